# The process around the hub, its socket, and the link to it: part of the module.
mod_clowntalk_la_SOURCES += \
	src/link/envelope.c src/link/envelope.h \
	src/link/heartbeat.c src/link/heartbeat.h \
	src/link/house.c src/link/house.h \
	src/link/link.c src/link/link.h \
	src/link/outbox.c src/link/outbox.h \
	src/link/place.c src/link/place.h \
	src/link/process.c src/link/process.h \
	src/link/server.c src/link/server.h \
	src/link/socket.c src/link/socket.h \
	src/link/state_place.c src/link/state_place.h \
	src/link/tidy.c src/link/tidy.h

UNIT_TESTS += t/unit/heartbeat t/unit/outbox t/unit/link
t_unit_heartbeat_SOURCES = t/unit/heartbeat.c src/link/heartbeat.c src/loop/loop.c
t_unit_heartbeat_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) -D_GNU_SOURCE
t_unit_heartbeat_LDFLAGS = -Wl,--wrap=clock_gettime -Wl,--wrap=epoll_wait
t_unit_heartbeat_LDADD = libbase.la $(CMOCKA_LIBS)

t_unit_outbox_SOURCES = t/unit/outbox.c src/link/envelope.c src/link/outbox.c
t_unit_outbox_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
t_unit_outbox_LDADD = libtalk.la libbase.la $(CMOCKA_LIBS) $(JSONC_LIBS)

# Both ends of the link, around a hub of the test's own. It replaces the clock and epoll_wait().
t_unit_link_SOURCES = t/unit/link.c \
	src/link/envelope.c src/link/link.c src/link/outbox.c src/link/server.c \
	src/link/tidy.c src/loop/loop.c
t_unit_link_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) -D_GNU_SOURCE
t_unit_link_LDFLAGS = -Wl,--wrap=clock_gettime -Wl,--wrap=epoll_wait -Wl,--wrap=malloc_trim
t_unit_link_LDADD = libtalk.la libbase.la $(CMOCKA_LIBS) $(JSONC_LIBS)
