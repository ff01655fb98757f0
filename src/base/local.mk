# What every folder may use: libc only. Each program and the module link it once, after the libraries
# that use it. Convenience libraries do not contain it: the module would have it once for each.
noinst_LTLIBRARIES += libbase.la
libbase_la_SOURCES = \
	src/base/append.c src/base/append.h \
	src/base/clock.c src/base/clock.h \
	src/base/container.h \
	src/base/memory.c src/base/memory.h \
	src/base/utf8.c src/base/utf8.h

UNIT_TESTS += t/unit/append t/unit/memory t/unit/utf8
t_unit_append_SOURCES = t/unit/append.c
t_unit_append_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
t_unit_append_LDADD = libbase.la $(CMOCKA_LIBS)
t_unit_memory_SOURCES = t/unit/memory.c
t_unit_memory_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
t_unit_memory_LDADD = libbase.la $(CMOCKA_LIBS)
t_unit_utf8_SOURCES = t/unit/utf8.c
t_unit_utf8_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
t_unit_utf8_LDADD = libbase.la $(CMOCKA_LIBS)
