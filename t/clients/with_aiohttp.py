import aiohttp

import steps


async def connect(url):
    session = aiohttp.ClientSession()
    socket = await session.ws_connect(url, ssl=steps.tls(), compress=15 if steps.DEFLATE else 0,
                                      max_msg_size=steps.LARGEST + 1)

    async def close():
        await socket.close()
        await session.close()

    return socket.send_str, socket.receive_str, close


steps.run(aiohttp.__version__, connect)
