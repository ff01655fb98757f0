"""What every Python client here does once it has connected; with_*.py know how that is done.

    python3 with_LIBRARY.py wss://USER:PASSWORD@HOST:PORT CA.pem [deflate]

Each step that succeeds is a line on standard output; the first that does not ends the program.
"""
import asyncio
import base64
import json
import ssl
import sys

NODE = '/clown-talk-server_nodes_bridge_0'
RELAY = 'relay/i2c0-3b'
SIZES = (0, 125, 126, 65536, 1048576, 16777216)
LARGEST = max(SIZES)
TIMEOUT = 20  # seconds a step may take

CA = sys.argv[2]
DEFLATE = 'deflate' in sys.argv[3:]


def tls():
    return ssl.create_default_context(cafile=CA)


def take_password(url):
    """(URL without name and password, value of the header Authorization)"""
    scheme, rest = url.split('://')
    user, address = rest.split('@')
    return f'{scheme}://{address}', 'Basic ' + base64.b64encode(user.encode()).decode()


def text(size):
    return ('temperature 21.50, humidity 41.2; ' * (size // 34 + 1))[:size]


async def _until(receive, topic, accept):
    while True:
        for line in (await receive()).splitlines():
            message = json.loads(line)
            if message[0] == topic and accept(message[1]):
                return


async def _node(connect, url):
    send, receive, close = await connect(url + NODE)
    await send('["clown.talk/-/config/set", {}]')
    await _until(receive, 'clown.talk/-/config/ok', lambda payload: True)
    print('ok opening', flush=True)
    await send(json.dumps([RELAY + '/set', {'state': True}]))
    await _until(receive, RELAY, lambda payload: payload['state'] is True)
    print('ok relay', flush=True)
    await close()


async def _echo(connect, url):
    send, receive, close = await connect(url + '/echo')
    for size in SIZES:
        await send(text(size))
        answer = await asyncio.wait_for(receive(), TIMEOUT)
        if answer != text(size):
            sys.exit(f'echo {size}: {len(answer)} other characters came back')
        print(f'ok echo {size}', flush=True)
    await close()


async def _all(connect):
    await asyncio.wait_for(_node(connect, sys.argv[1]), TIMEOUT)
    await _echo(connect, sys.argv[1])


def run(version, connect):
    """connect(url) gives three coroutine functions: send(text), receive() and close()."""
    print(f'version {version}', flush=True)
    asyncio.run(_all(connect))
