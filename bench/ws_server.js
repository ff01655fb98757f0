// The Node server of the benchmark: `ws`, as its documentation shows it. It echoes every message,
// and sends one that begins with '!' to all clients.
//
//   node ws_server.js PORT TLS-PORT CERTIFICATE KEY
'use strict';

const fs = require('fs');
const http = require('http');
const https = require('https');
const { WebSocket, WebSocketServer } = require('ws');

const [port, tlsPort, certificate, key] = process.argv.slice(2);
const EXCLAMATION_MARK = 0x21;

function onRequest(request, response) {
    response.writeHead(426, { Upgrade: 'websocket' }).end('This address speaks WebSocket.\n');
}

function serve(server, port) {
    const sockets = new WebSocketServer({ server, perMessageDeflate: false });

    sockets.on('connection', (socket) => {
        socket.on('error', () => socket.terminate());
        socket.on('message', (data, isBinary) => {
            if (data[0] !== EXCLAMATION_MARK) {
                socket.send(data, { binary: isBinary });
                return;
            }
            for (const client of sockets.clients) {
                if (client.readyState === WebSocket.OPEN) {
                    client.send(data, { binary: isBinary });
                }
            }
        });
    });
    server.listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 });
}

serve(http.createServer(onRequest), port);
serve(
    https.createServer(
        { cert: fs.readFileSync(certificate), key: fs.readFileSync(key) },
        onRequest,
    ),
    tlsPort,
);
