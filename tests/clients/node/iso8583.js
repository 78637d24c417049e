// What npm's `iso_8583`, unmodified, reads and writes: frames in hex on one side, fields on the other.
const Iso8583 = require("iso_8583");

const [frames, messages] = process.argv.slice(2).map((words) => JSON.parse(words));
const told = {
  read: frames.map((frame) => new Iso8583().getIsoJSON(Buffer.from(frame, "hex"), { lenHeader: true })),
  written: messages.map((fields) => new Iso8583(fields).getBufferMessage().toString("hex")),
};
console.log(JSON.stringify(told));
