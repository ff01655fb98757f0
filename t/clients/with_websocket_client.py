import websocket

import steps


async def connect(url):
    url, authorization = steps.take_password(url)
    # Before 1.3.0 its Origin says http where the URL says wss.
    socket = websocket.create_connection(url, header={'Authorization': authorization},
                                         suppress_origin=True, sslopt={'ca_certs': steps.CA},
                                         timeout=steps.TIMEOUT)

    async def send(text):
        socket.send(text)

    async def receive():
        return socket.recv()

    async def close():
        socket.close()

    return send, receive, close


steps.run(websocket.__version__, connect)
