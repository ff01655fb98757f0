import importlib.metadata

import websockets

import steps


async def connect(url):
    socket = await websockets.connect(url, ssl=steps.tls(), max_size=steps.LARGEST)
    return socket.send, socket.recv, socket.close


steps.run(importlib.metadata.version('websockets'), connect)
