# Chip drivers, one file a chip.
noinst_LTLIBRARIES += libdevices.la
libdevices_la_SOURCES = \
	src/devices/conversions.h \
	src/devices/device.h \
	src/devices/expander_relay.c src/devices/expander_relay.h \
	src/devices/co2_module.c \
	src/devices/hdc2080.c \
	src/devices/hts221.c \
	src/devices/mcp23017.c \
	src/devices/mpl3115a2.c \
	src/devices/opt3001.c \
	src/devices/pca9554.c \
	src/devices/pcf8574.c \
	src/devices/registry.c \
	src/devices/relay_module.c \
	src/devices/sht20.c \
	src/devices/ssd1306.c \
	src/devices/tmp112.c
libdevices_la_LIBADD = -lm

DRIVER_TEST_LIBS = libdevices.la libi2cbus.la libbase.la $(CMOCKA_LIBS)
noinst_HEADERS += t/unit/driver.h
UNIT_TESTS += \
	t/unit/co2_module \
	t/unit/expander_relay \
	t/unit/hdc2080 \
	t/unit/hts221 \
	t/unit/mpl3115a2 \
	t/unit/opt3001 \
	t/unit/random \
	t/unit/registry \
	t/unit/relay_module \
	t/unit/sht20 \
	t/unit/ssd1306 \
	t/unit/tmp112
t_unit_co2_module_LDADD = $(DRIVER_TEST_LIBS)
t_unit_expander_relay_LDADD = $(DRIVER_TEST_LIBS)
t_unit_hdc2080_LDADD = $(DRIVER_TEST_LIBS)
t_unit_hts221_LDADD = $(DRIVER_TEST_LIBS)
t_unit_mpl3115a2_LDADD = $(DRIVER_TEST_LIBS)
t_unit_opt3001_LDADD = $(DRIVER_TEST_LIBS)
t_unit_random_LDADD = $(DRIVER_TEST_LIBS)
t_unit_registry_LDADD = $(DRIVER_TEST_LIBS)
t_unit_relay_module_LDADD = $(DRIVER_TEST_LIBS)
t_unit_sht20_LDADD = $(DRIVER_TEST_LIBS)
t_unit_ssd1306_LDADD = $(DRIVER_TEST_LIBS)
t_unit_tmp112_LDADD = $(DRIVER_TEST_LIBS)
