// What a shop does with npm's `bakong-khqr`, unmodified: a code, its deeplink, account checks.
const { BakongKHQR, IndividualInfo, SourceInfo, khqrData } = require("bakong-khqr");

const [url, receiver] = process.argv.slice(2);

async function settled(promise) {
  try {
    return await promise;
  } catch (error) {
    return error;
  }
}

async function main() {
  const now = Date.now();
  const optional = {
    currency: khqrData.currency.usd,
    amount: 1.5,
    billNumber: `N-${now}`,
    expirationTimestamp: now + 600000,
  };
  const made = new BakongKHQR().generateIndividual(
    new IndividualInfo(receiver, "Coffee Klaing", "Phnom Penh", optional),
  );
  const source = new SourceInfo("https://shop.test/icon.png", "Shop", "https://shop.test/done");
  const links = `${url}/v1/generate_deeplink_by_qr`;
  const accounts = {};
  for (const path of ["check_bakong_account", "check_account_exist"])
    for (const account of [receiver, "nobody@devb", "da ve@devb"])
      accounts[`${path} ${account}`] = await settled(
        BakongKHQR.checkBakongAccount(`${url}/v1/${path}`, account),
      );
  console.log(
    JSON.stringify({
      made,
      link: await settled(BakongKHQR.generateDeepLink(links, made.data.qr, source)),
      accounts,
    }),
  );
}

main();
