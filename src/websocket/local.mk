# The WebSocket codec: pure, libc (and libcrypto's SHA-1, zlib) only.
noinst_LTLIBRARIES += libwebsocket.la
libwebsocket_la_SOURCES = src/websocket/frame.h src/websocket/handshake.h src/websocket/utf8.h
libwebsocket_la_LIBADD = $(OPENSSL_LIBS) $(ZLIB_LIBS)
