// npm's `iso_8583`, unmodified, at a host: asks each message, tells each answer.
const net = require("net");
const Iso8583 = require("iso_8583");

const [port, messages] = process.argv.slice(2).map((word) => JSON.parse(word));
const told = [];
let come = Buffer.alloc(0);
const socket = net.connect(port, "127.0.0.1", () => ask());

function ask() {
  if (told.length < messages.length) {
    socket.write(new Iso8583(messages[told.length]).getBufferMessage());
  } else {
    console.log(JSON.stringify(told));
    socket.end();
  }
}

socket.on("data", (data) => {
  come = Buffer.concat([come, data]);
  while (come.length >= 2 && come.length >= 2 + come.readUInt16BE(0)) {
    const end = 2 + come.readUInt16BE(0);
    told.push(new Iso8583().getIsoJSON(come.subarray(0, end), { lenHeader: true }));
    come = come.subarray(end);
    ask();
  }
});
