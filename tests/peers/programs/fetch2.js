// Node's own HTTP/2: node fetch2.js PORT NAME AUTHORITY CA PATH... asks for all paths at once on one connection.
'use strict';
const fs = require('node:fs'), http2 = require('node:http2');
const [port, name, authority, ca, ...paths] = process.argv.slice(2);
const session = http2.connect(`https://127.0.0.1:${port}`, { servername: name, ca: fs.readFileSync(ca) });
let left = paths.length;
for (const path of paths) {
  const stream = session.request({ ':path': path, ':authority': authority });
  let status, body = '';
  stream.on('response', (headers) => { status = headers[':status']; });
  stream.setEncoding('utf8').on('data', (piece) => { body += piece; }).on('end', () => {
    console.log(status, path, body.split('\n')[0]);
    if (!--left) session.close();
  });
}
