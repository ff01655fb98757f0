# The WebSocket codec: pure, libc (and libcrypto's SHA-1, zlib) only.
noinst_LTLIBRARIES += libwebsocket.la
libwebsocket_la_SOURCES = src/websocket/deflate.c src/websocket/deflate.h src/websocket/frame.c \
	src/websocket/frame.h src/websocket/handshake.c src/websocket/handshake.h \
	src/websocket/utf8.c src/websocket/utf8.h
libwebsocket_la_CPPFLAGS = $(AM_CPPFLAGS) $(OPENSSL_CFLAGS) $(ZLIB_CFLAGS)
libwebsocket_la_LIBADD = $(OPENSSL_LIBS) $(ZLIB_LIBS)

UNIT_TESTS += t/unit/audience t/unit/deflate t/unit/frame t/unit/handshake t/unit/loop \
	t/unit/outgoing t/unit/utf8

# The test is the loop itself.
t_unit_audience_SOURCES = t/unit/audience.c src/websocket/audience.c src/websocket/audience.h \
	src/websocket/outgoing.c src/websocket/outgoing.h
t_unit_audience_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) $(ZLIB_CFLAGS)
t_unit_audience_LDADD = libwebsocket.la $(APR_LIBS) $(ZLIB_LIBS) $(CMOCKA_LIBS)

# The test has the kernel refuse.
if HAVE_LIBURING
UNIT_TESTS += t/unit/batch
endif
t_unit_batch_SOURCES = t/unit/batch.c src/websocket/batch.c src/websocket/batch.h \
	src/websocket/outgoing.c src/websocket/outgoing.h
t_unit_batch_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) $(ZLIB_CFLAGS) -D_GNU_SOURCE
t_unit_batch_LDFLAGS = -Wl,--wrap=io_uring_queue_init -Wl,--wrap=io_uring_submit_and_wait
t_unit_batch_LDADD = libwebsocket.la $(APR_LIBS) $(LIBURING_LIBS) $(ZLIB_LIBS) $(CMOCKA_LIBS)

# The test counts the zlib streams that the library opens, and has them fail.
t_unit_deflate_SOURCES = t/unit/deflate.c
t_unit_deflate_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) $(ZLIB_CFLAGS)
t_unit_deflate_LDFLAGS = -Wl,--wrap=inflateInit2_ -Wl,--wrap=deflateInit2_
t_unit_deflate_LDADD = libwebsocket.la $(ZLIB_LIBS) $(CMOCKA_LIBS)

t_unit_frame_SOURCES = t/unit/frame.c
t_unit_frame_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
t_unit_frame_LDADD = libwebsocket.la $(CMOCKA_LIBS)

t_unit_handshake_SOURCES = t/unit/handshake.c
t_unit_handshake_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
t_unit_handshake_LDADD = libwebsocket.la $(CMOCKA_LIBS)

# The test gives the loop a clock of its own.
t_unit_loop_SOURCES = t/unit/loop.c src/websocket/loop.c src/websocket/loop.h
t_unit_loop_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) -D_GNU_SOURCE
t_unit_loop_LDFLAGS = -Wl,--wrap=clock_gettime -Wl,--wrap=epoll_wait
t_unit_loop_LDADD = $(CMOCKA_LIBS)

# The test counts how often a message is compressed.
t_unit_outgoing_SOURCES = t/unit/outgoing.c src/websocket/outgoing.c src/websocket/outgoing.h
t_unit_outgoing_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) $(ZLIB_CFLAGS)
t_unit_outgoing_LDFLAGS = -Wl,--wrap=ws_deflate_message
t_unit_outgoing_LDADD = libwebsocket.la $(APR_LIBS) $(ZLIB_LIBS) $(CMOCKA_LIBS)

t_unit_utf8_SOURCES = t/unit/utf8.c
t_unit_utf8_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
t_unit_utf8_LDADD = libwebsocket.la $(CMOCKA_LIBS)

# make fuzz-frame, make fuzz-deflate, replay-frame, replay-deflate: as fuzz-talk and replay-talk.
CODEC_FUZZ = $(FUZZ_CFLAGS) $(AM_CPPFLAGS) $(ZLIB_CFLAGS) $(top_srcdir)/src/websocket/deflate.c \
	$(top_srcdir)/src/websocket/frame.c $(top_srcdir)/src/websocket/utf8.c
CLEANFILES += t/fuzz/frame t/fuzz/frame_replay t/fuzz/deflate t/fuzz/deflate_replay
EXTRA_DIST += t/fuzz/frame.c t/fuzz/corpus/frame t/fuzz/deflate.c t/fuzz/corpus/deflate

fuzz-frame fuzz-deflate: fuzz-%:
	$(MKDIR_P) t/fuzz/$*-learnt
	$(FUZZ_CC) -fsanitize=fuzzer $(CODEC_FUZZ) $(top_srcdir)/t/fuzz/$*.c $(ZLIB_LIBS) -o t/fuzz/$*
	t/fuzz/$* -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=t/fuzz/ \
	    t/fuzz/$*-learnt $(top_srcdir)/t/fuzz/corpus/$*

replay-frame replay-deflate: replay-%:
	$(MKDIR_P) t/fuzz
	$(CC) $(CODEC_FUZZ) $(top_srcdir)/t/fuzz/$*.c $(top_srcdir)/t/fuzz/standalone.c $(ZLIB_LIBS) \
	    -o t/fuzz/$*_replay
	t/fuzz/$*_replay $(top_srcdir)/t/fuzz/corpus/$*/*

.PHONY: fuzz-frame fuzz-deflate replay-frame replay-deflate

# The session, its loop and the handshake know httpd: part of the module.
mod_clowntalk_la_SOURCES += \
	src/websocket/audience.c src/websocket/audience.h \
	src/websocket/batch.c src/websocket/batch.h \
	src/websocket/census.c src/websocket/census.h \
	src/websocket/husk.c src/websocket/husk.h \
	src/websocket/loop.c src/websocket/loop.h \
	src/websocket/outgoing.c src/websocket/outgoing.h \
	src/websocket/queue.c src/websocket/queue.h \
	src/websocket/reactor.c src/websocket/reactor.h \
	src/websocket/session.c src/websocket/session.h src/websocket/session_private.h \
	src/websocket/tls.c src/websocket/tls.h \
	src/websocket/transport.c src/websocket/transport.h \
	src/websocket/upgrade.c src/websocket/upgrade.h \
	src/websocket/wire.c src/websocket/wire.h
mod_clowntalk_la_LIBADD += $(LIBSSL_LIBS) $(LIBURING_LIBS)
clowntalkinclude_HEADERS += src/websocket/mod_clowntalk.h
