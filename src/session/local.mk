# The session on a connection of httpd's: part of the module.
mod_clowntalk_la_SOURCES += \
	src/session/api.c src/session/api.h \
	src/session/audience.c src/session/audience.h \
	src/session/batch.c src/session/batch.h \
	src/session/census.c src/session/census.h \
	src/session/husk.c src/session/husk.h \
	src/session/options.c src/session/options.h \
	src/session/outgoing.c src/session/outgoing.h \
	src/session/payer.c src/session/payer.h \
	src/session/queue.c src/session/queue.h \
	src/session/reactor.c src/session/reactor.h \
	src/session/reactors.c src/session/reactors.h \
	src/session/reserve.c src/session/reserve.h \
	src/session/session.c src/session/session.h \
	src/session/session_private.h \
	src/session/session_clock.c \
	src/session/session_end.c \
	src/session/session_flow.c \
	src/session/session_input.c \
	src/session/session_linger.c \
	src/session/session_output.c \
	src/session/session_publish.c \
	src/session/session_turn.c \
	src/session/settings.c src/session/settings.h \
	src/session/shares.c src/session/shares.h \
	src/session/tls.c src/session/tls.h \
	src/session/transport.c src/session/transport.h \
	src/session/transport_kind.h \
	src/session/transport_filters.c \
	src/session/transport_socket.c \
	src/session/transport_stream.c \
	src/session/transport_through.c \
	src/session/transport_tls.c \
	src/session/upgrade.c src/session/upgrade.h \
	src/session/wire.c src/session/wire.h
mod_clowntalk_la_LIBADD += $(LIBSSL_LIBS) $(LIBURING_LIBS)
clowntalkinclude_HEADERS += src/session/mod_clowntalk.h

UNIT_TESTS += t/unit/audience t/unit/batch t/unit/census t/unit/fan_out t/unit/outgoing \
	t/unit/session t/unit/shares t/unit/transport

# The test is the loop itself.
t_unit_audience_SOURCES = t/unit/audience.c src/session/audience.c src/session/audience.h \
	src/session/outgoing.c src/session/outgoing.h
t_unit_audience_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) $(ZLIB_CFLAGS)
t_unit_audience_LDADD = libwebsocket.la libbase.la $(APR_LIBS) $(ZLIB_LIBS) $(CMOCKA_LIBS)

# The test has the kernel refuse.
t_unit_batch_SOURCES = t/unit/batch.c src/session/batch.c src/session/batch.h
t_unit_batch_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) -D_GNU_SOURCE
t_unit_batch_LDFLAGS = -Wl,--wrap=send -Wl,--wrap=sendmsg -Wl,--wrap=io_uring_queue_init \
	-Wl,--wrap=io_uring_submit_and_wait
t_unit_batch_LDADD = libbase.la $(LIBURING_LIBS) $(CMOCKA_LIBS)

# The test counts how often a message is compressed.
t_unit_outgoing_SOURCES = t/unit/outgoing.c src/session/outgoing.c src/session/outgoing.h
t_unit_outgoing_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) $(ZLIB_CFLAGS)
t_unit_outgoing_LDFLAGS = -Wl,--wrap=ws_deflate_message
t_unit_outgoing_LDADD = libwebsocket.la libbase.la $(APR_LIBS) $(ZLIB_LIBS) $(CMOCKA_LIBS)

t_unit_census_SOURCES = t/unit/census.c src/session/census.c src/session/census.h
t_unit_census_CPPFLAGS = $(HTTPD_CPPFLAGS) $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) -D_GNU_SOURCE
t_unit_census_LDADD = $(APR_LIBS) $(CMOCKA_LIBS)

t_unit_shares_SOURCES = t/unit/shares.c src/session/shares.c src/session/shares.h
t_unit_shares_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) -D_GNU_SOURCE
t_unit_shares_LDADD = $(APR_LIBS) $(CMOCKA_LIBS)

# What a session is made of, but for its transport.
SESSION_SOURCES = src/loop/loop.c src/session/audience.c src/session/options.c \
	src/session/reactor.c src/session/session.c src/session/session_clock.c \
	src/session/session_end.c src/session/session_flow.c src/session/session_input.c \
	src/session/session_linger.c src/session/session_output.c src/session/session_publish.c src/session/session_turn.c
TRANSPORT_SOURCES = src/session/tls.c src/session/transport.c src/session/transport_filters.c \
	src/session/transport_socket.c src/session/transport_stream.c \
	src/session/transport_through.c src/session/transport_tls.c src/session/wire.c
SENDING_SOURCES = src/session/batch.c src/session/outgoing.c src/session/queue.c
SESSION_TEST_CPPFLAGS = $(HTTPD_CPPFLAGS) $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) $(ZLIB_CFLAGS) \
	$(OPENSSL_CFLAGS) -D_GNU_SOURCE
SESSION_TEST_LIBS = libwebsocket.la libbase.la $(APR_LIBS) $(LIBSSL_LIBS) $(OPENSSL_LIBS) \
	$(LIBURING_LIBS) $(ZLIB_LIBS) $(CMOCKA_LIBS)

# The session on a transport, a clock and an httpd of the test's own.
t_unit_session_SOURCES = t/unit/session.c t/unit/fake_session.c t/unit/fake_session.h \
	t/unit/no_httpd.c $(SESSION_SOURCES) $(SENDING_SOURCES)
t_unit_session_CPPFLAGS = $(SESSION_TEST_CPPFLAGS)
t_unit_session_LDFLAGS = -Wl,--wrap=base_monotonic_us -Wl,--wrap=epoll_wait \
	-Wl,--wrap=malloc_trim
t_unit_session_LDADD = $(SESSION_TEST_LIBS)

# The real transports, httpd being the test's own; the linker leads the system's calls through it.
t_unit_transport_SOURCES = t/unit/transport.c t/unit/tls_pair.c t/unit/tls_pair.h \
	$(TRANSPORT_SOURCES) $(SENDING_SOURCES)
t_unit_transport_CPPFLAGS = $(SESSION_TEST_CPPFLAGS)
t_unit_transport_LDFLAGS = -Wl,--wrap=send -Wl,--wrap=sendmsg -Wl,--wrap=recv
t_unit_transport_LDADD = $(SESSION_TEST_LIBS)

# Both.
t_unit_fan_out_SOURCES = t/unit/fan_out.c t/unit/tls_pair.c t/unit/tls_pair.h t/unit/no_httpd.c \
	$(SESSION_SOURCES) $(TRANSPORT_SOURCES) $(SENDING_SOURCES)
t_unit_fan_out_CPPFLAGS = $(SESSION_TEST_CPPFLAGS)
t_unit_fan_out_LDFLAGS = -Wl,--wrap=ws_transport_open -Wl,--wrap=send -Wl,--wrap=epoll_wait
t_unit_fan_out_LDADD = $(SESSION_TEST_LIBS)
