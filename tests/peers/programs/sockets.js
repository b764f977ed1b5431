// A conversation over a WebSocket, by Node's own client or by `ws`: sockets.js NAME URL.
'use strict';
const [name, url] = process.argv.slice(2);
const Client = name === 'ws' ? require('ws') : WebSocket;
const peer = new Client(url);
peer.binaryType = 'arraybuffer';
const heard = [];
peer.addEventListener('open', () => {
  console.log('extensions', JSON.stringify(peer.extensions));
  peer.send('hello');
  peer.send(new Uint8Array(300000));
});
peer.addEventListener('message', ({ data }) => {
  heard.push(data);
  console.log('said', typeof data === 'string' ? data : data.byteLength);
  if (heard.length === 2) peer.close(1000);
});
peer.addEventListener('close', ({ code }) => console.log('closed', code));
peer.addEventListener('error', ({ message }) => console.log('error', message));
