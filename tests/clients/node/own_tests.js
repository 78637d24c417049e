// Runs test files that `bakong-khqr` ships, as they are, with the live service's name led to us.
// They are written for jest; of it they use `test` and `expect().toBe()` only.
const path = require("path");

const [url, ...files] = process.argv.slice(2);
const axios = require("axios");
const LIVE = "https://sit-api-bakong.nbc.gov.kh";
const sent = [];

axios.interceptors.request.use((request) => {
  if (!request.url.startsWith(LIVE)) throw new Error("no such host");
  sent.push(request.url.slice(LIVE.length));
  return { ...request, url: request.url.replace(LIVE, url) };
});

const waiting = [];
global.test = (name, run) => waiting.push([name, run]);
global.expect = (found) => ({
  toBe(wanted) {
    if (!Object.is(found, wanted)) throw new Error(`${found} is not ${wanted}`);
  },
});

async function main() {
  const home = path.dirname(require.resolve("bakong-khqr/package.json"));
  for (const file of files) require(path.join(home, "test", file));
  const results = {};
  for (const [name, run] of waiting) {
    try {
      await run();
      results[name] = "passed";
    } catch (error) {
      results[name] = String(error.message || error);
    }
  }
  console.log(JSON.stringify({ results, sent }));
}

main();
