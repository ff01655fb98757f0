import websocket

import steps


async def connect(url):
    # Before 1.3.0 its Origin says http where the URL says wss.
    socket = websocket.create_connection(url, sslopt={'ca_certs': steps.CA}, timeout=steps.TIMEOUT,
                                         suppress_origin=True)

    async def send(text):
        socket.send(text)

    async def receive():
        return socket.recv()

    async def close():
        socket.close()

    return send, receive, close


steps.run(websocket.__version__, connect)
