# A bus's thread.
noinst_LTLIBRARIES += libbus.la
libbus_la_SOURCES = \
	src/bus/environment.c src/bus/environment.h \
	src/bus/health.c \
	src/bus/log.h \
	src/bus/look.c src/bus/look.h \
	src/bus/message.c src/bus/message.h \
	src/bus/port.c src/bus/port.h \
	src/bus/raw.c src/bus/raw.h \
	src/bus/report.c \
	src/bus/site.c src/bus/site.h \
	src/bus/unit.c src/bus/unit.h \
	src/bus/unit_display.c src/bus/unit_kinds.h src/bus/unit_relay.c src/bus/unit_sensor.c \
	src/bus/unit_run.c src/bus/unit_run.h \
	src/bus/worker.c src/bus/worker.h src/bus/worker_internal.h
libbus_la_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE

UNIT_TESTS += t/unit/worker
t_unit_worker_LDADD = libbus.la $(DRIVER_TEST_LIBS)
