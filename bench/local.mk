# The benchmark: this module beside a Node server, that one behind mod_proxy, and bare epoll.
# Built and run by `make bench` alone, not by `make` or `make check`. It needs Node.js with npm, and
# gnuplot for the plot; docs/performance.md says how to read what it prints.
#
#   make bench                       everything, five rounds: half an hour on a quiet machine
#   make bench BENCHFLAGS=--quick    a short look; bench/run --help lists the options
EXTRA_PROGRAMS = bench/load bench/epoll_echo
EXTRA_LTLIBRARIES = bench/mod_clowntalk_broadcast.la
CLEANFILES += $(EXTRA_PROGRAMS) $(EXTRA_LTLIBRARIES)
EXTRA_DIST += bench/run bench/lib bench/ws_server.js bench/package.json bench/package-lock.json \
	bench/performance.gp bench/floods bench/flood.mjs \
	bench/flood_kinds.mjs bench/flood_loads.mjs bench/flood_client.mjs bench/flood_frames.mjs \
	bench/soak bench/soak.mjs

# libssl comes with libcrypto, which configure has found.
bench_load_SOURCES = bench/load.c bench/load.h bench/load_echo.c bench/load_fan_out.c \
	bench/load_idle.c bench/load_relay.c bench/client.c bench/client.h bench/samples.c \
	bench/samples.h
bench_load_CPPFLAGS = $(AM_CPPFLAGS) $(OPENSSL_CFLAGS) -D_GNU_SOURCE
bench_load_LDADD = libwebsocket.la libbase.la -lssl $(OPENSSL_LIBS) -lm

bench_epoll_echo_SOURCES = bench/epoll_echo.c
bench_epoll_echo_CPPFLAGS = $(AM_CPPFLAGS) $(OPENSSL_CFLAGS) -D_GNU_SOURCE
bench_epoll_echo_LDADD = libwebsocket.la libbase.la -lssl $(OPENSSL_LIBS)

# A handler of another module: what the other servers do with a message, on this one.
bench_mod_clowntalk_broadcast_la_SOURCES = bench/mod_clowntalk_broadcast.c
bench_mod_clowntalk_broadcast_la_CPPFLAGS = $(HTTPD_CPPFLAGS) $(AM_CPPFLAGS)
bench_mod_clowntalk_broadcast_la_CFLAGS = $(AM_CFLAGS) -fvisibility=default
bench_mod_clowntalk_broadcast_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared \
	-rpath $(abs_builddir)/bench

bench: all $(EXTRA_PROGRAMS) $(EXTRA_LTLIBRARIES)
	$(PERL) $(srcdir)/bench/run --builddir='$(abs_builddir)' $(BENCHFLAGS)
.PHONY: bench

# Everything at once, at random: docs/testing.md. make soak MINUTES=30 SOAKFLAGS='--clients=100 --seed=7'
soak: all
	$(PERL) $(srcdir)/bench/soak --builddir='$(abs_builddir)' --minutes=$${MINUTES:-1} $(SOAKFLAGS)
.PHONY: soak
