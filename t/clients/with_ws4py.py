import asyncio
import queue

import ws4py
from ws4py.client.threadedclient import WebSocketClient

import steps


class Client(WebSocketClient):
    def __init__(self, url):
        url, authorization = steps.take_password(url)
        super().__init__(url, headers=[('Authorization', authorization)],
                         ssl_options={'ca_certs': steps.CA})
        self.received = queue.Queue()

    def received_message(self, message):
        self.received.put(str(message))


async def connect(url):
    client = Client(url)
    client.connect()

    async def send(text):
        client.send(text)

    async def receive():
        return await asyncio.to_thread(client.received.get, timeout=steps.TIMEOUT)

    async def close():
        client.close()

    return send, receive, close


steps.run(ws4py.__version__, connect)
