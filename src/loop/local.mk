# The event loop of one thread: part of the module.
mod_clowntalk_la_SOURCES += src/loop/loop.c src/loop/loop.h

UNIT_TESTS += t/unit/loop

# The test replaces the clock and epoll_wait().
t_unit_loop_SOURCES = t/unit/loop.c src/loop/loop.c src/loop/loop.h
t_unit_loop_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) -D_GNU_SOURCE
t_unit_loop_LDFLAGS = -Wl,--wrap=clock_gettime -Wl,--wrap=epoll_wait
t_unit_loop_LDADD = libbase.la $(CMOCKA_LIBS)
