# Chip drivers, one file a chip.
noinst_LTLIBRARIES += libdevices.la
libdevices_la_SOURCES = \
	src/devices/conversions.h \
	src/devices/device.h \
	src/devices/registry.c \
	src/devices/relay_module.c \
	src/devices/tmp112.c
libdevices_la_LIBADD = -lm

DRIVER_TEST_LIBS = libdevices.la libi2cbus.la $(CMOCKA_LIBS)
noinst_HEADERS += t/unit/driver.h
UNIT_TESTS += t/unit/relay_module t/unit/tmp112
t_unit_relay_module_LDADD = $(DRIVER_TEST_LIBS)
t_unit_tmp112_LDADD = $(DRIVER_TEST_LIBS)
