# The WebSocket codec: pure, libc (and libcrypto's SHA-1, zlib) only.
noinst_LTLIBRARIES += libwebsocket.la
libwebsocket_la_SOURCES = src/websocket/deflate.c src/websocket/deflate.h src/websocket/frame.c \
	src/websocket/frame.h src/websocket/handshake.c src/websocket/handshake.h
libwebsocket_la_CPPFLAGS = $(AM_CPPFLAGS) $(OPENSSL_CFLAGS) $(ZLIB_CFLAGS)
libwebsocket_la_LIBADD = $(OPENSSL_LIBS) $(ZLIB_LIBS)

UNIT_TESTS += t/unit/deflate t/unit/frame t/unit/handshake

# The test counts the zlib streams that the library opens, and has them fail.
t_unit_deflate_SOURCES = t/unit/deflate.c
t_unit_deflate_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) $(ZLIB_CFLAGS)
t_unit_deflate_LDFLAGS = -Wl,--wrap=inflateInit2_ -Wl,--wrap=deflateInit2_
t_unit_deflate_LDADD = libwebsocket.la libbase.la $(ZLIB_LIBS) $(CMOCKA_LIBS)

t_unit_frame_SOURCES = t/unit/frame.c
t_unit_frame_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
t_unit_frame_LDADD = libwebsocket.la libbase.la $(CMOCKA_LIBS)

t_unit_handshake_SOURCES = t/unit/handshake.c
t_unit_handshake_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
t_unit_handshake_LDADD = libwebsocket.la libbase.la $(CMOCKA_LIBS)

# make fuzz-frame, make fuzz-deflate, replay-frame, replay-deflate: as fuzz-talk and replay-talk.
CODEC_FUZZ = $(FUZZ_CFLAGS) $(AM_CPPFLAGS) $(ZLIB_CFLAGS) $(top_srcdir)/src/websocket/deflate.c \
	$(top_srcdir)/src/websocket/frame.c $(top_srcdir)/src/base/utf8.c
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
