// Judges documents by JSON:API's own schema of responses, as `jsonapi-validator` carries it: the
// official one of version 1.0, draft 06. No package ships a later one.
// Reads one line {"name", "document"} each from standard input; the arguments are the waivers.
const readline = require("readline");
const Ajv = require("ajv").default;
const addFormats = require("ajv-formats");
const draft06 = require("ajv/dist/refs/json-schema-draft-06.json");
const published = require("jsonapi-validator/lib/schema.json");

const WAIVERS = {
  // The card API's own resources have an attribute `type`, which 1.0 and 1.1 forbid.
  "attribute-type": ({ attributes }) => {
    const [names] = Object.keys(attributes.patternProperties);
    const waived = names.replace("|type$", "");
    if (waived === names) throw new Error("the schema no longer forbids an attribute `type`");
    attributes.patternProperties = { [waived]: attributes.patternProperties[names] };
  },
  // A link that is not there is null: so says 1.1 of every link, and 1.0 of a page's. The schema
  // says so too, and then asks every member of `links` to be a URL or an object.
  "null-link": ({ links }) => {
    links.additionalProperties = { anyOf: [links.additionalProperties, { type: "null" }] };
  },
};

function judge(waivers) {
  const schema = structuredClone(published);
  for (const name of waivers) WAIVERS[name](schema.definitions);
  const ajv = new Ajv({ allErrors: true, strict: false });
  addFormats(ajv);
  ajv.addMetaSchema(draft06);
  return ajv.compile(schema);
}

const told = ({ instancePath, message, params }) =>
  `${instancePath || "/"} ${message} ${JSON.stringify(params)}`;

async function main() {
  const valid = judge(process.argv.slice(2));
  const failures = [];
  let checked = 0;
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { name, document } = JSON.parse(line);
    checked += 1;
    if (!valid(document)) failures.push({ name, errors: valid.errors.map(told) });
  }
  console.log(JSON.stringify({ checked, failures }));
}

main();
