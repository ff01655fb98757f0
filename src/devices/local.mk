# Chip drivers, one file a chip.
noinst_LTLIBRARIES += libdevices.la
libdevices_la_SOURCES = \
	src/devices/conversions.h \
	src/devices/device.h \
	src/devices/expander_relay.c src/devices/expander_relay.h \
	src/devices/mcp23017.c \
	src/devices/pca9554.c \
	src/devices/pcf8574.c \
	src/devices/quantity.c src/devices/quantity.h \
	src/devices/registry.c \
	$(CHIP_DRIVERS)
libdevices_la_LIBADD = -lm

DRIVER_TEST_LIBS = libdevices.la libsim.la libi2cbus.la libbase.la $(CMOCKA_LIBS)
noinst_HEADERS += t/unit/driver.h
UNIT_TESTS += $(CHIP_TESTS) t/unit/expander_relay t/unit/random t/unit/registry
t_unit_expander_relay_LDADD = $(DRIVER_TEST_LIBS)
t_unit_random_LDADD = $(DRIVER_TEST_LIBS)
t_unit_registry_LDADD = $(DRIVER_TEST_LIBS)
