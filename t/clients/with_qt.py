import asyncio

from PyQt5.QtCore import PYQT_VERSION_STR, QT_VERSION_STR, QCoreApplication, QUrl
from PyQt5.QtNetwork import QNetworkRequest, QSslCertificate, QSslConfiguration
from PyQt5.QtWebSockets import QWebSocket

import steps

application = QCoreApplication([])


async def process_events(condition):
    while not condition():
        application.processEvents()
        await asyncio.sleep(0.001)


async def connect(url):
    socket = QWebSocket()
    configuration = QSslConfiguration.defaultConfiguration()
    configuration.setCaCertificates(QSslCertificate.fromPath(steps.CA))
    socket.setSslConfiguration(configuration)
    connected, received = [], []
    socket.connected.connect(lambda: connected.append(True))
    socket.error.connect(lambda code: connected.append(False))
    socket.textMessageReceived.connect(received.append)
    url, authorization = steps.take_password(url)
    request = QNetworkRequest(QUrl(url))
    request.setRawHeader(b'Authorization', authorization.encode())
    socket.open(request)
    await process_events(lambda: connected)
    if not connected[0]:
        raise OSError(socket.errorString())

    async def send(text):
        socket.sendTextMessage(text)

    async def receive():
        await process_events(lambda: received)
        return received.pop(0)

    async def close():
        socket.close()

    return send, receive, close


steps.run(f'{QT_VERSION_STR} (PyQt {PYQT_VERSION_STR})', connect)
