import tornado
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

import steps


async def connect(url):
    socket = await websocket_connect(HTTPRequest(url, ca_certs=steps.CA),
                                     compression_options={} if steps.DEFLATE else None,
                                     max_message_size=steps.LARGEST)

    async def close():
        socket.close()

    return socket.write_message, socket.read_message, close


steps.run(tornado.version, connect)
