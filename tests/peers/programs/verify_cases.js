// Runs the second verifier, the file argv[2], on many packets in one process. The file argv[3] holds `blobs` (name to
// base64) and `cases`, each with its `files` (name to the name of a blob) and its `keys`. Prints the list of reports.
const { readFileSync } = require('node:fs');
const { readKey, verifyPacket } = require(require('node:path').resolve(process.argv[2]));

(async () => {
  const { blobs, cases } = JSON.parse(readFileSync(process.argv[3], 'utf8'));
  for (const name of Object.keys(blobs)) blobs[name] = new Uint8Array(Buffer.from(blobs[name], 'base64'));
  const reports = [];
  for (const { files, keys } of cases) {
    const packet = new Map(Object.entries(files).map(([name, blob]) => [name, blobs[blob]]));
    reports.push(await verifyPacket(packet, keys.map(readKey)));
  }
  console.log(JSON.stringify(reports));
})();
