# The bus interface, the Linux bus, and the bus that injects faults.
noinst_LTLIBRARIES += libi2cbus.la
libi2cbus_la_SOURCES = \
	src/i2c/bus.c src/i2c/bus.h \
	src/i2c/fault.c src/i2c/fault.h \
	src/i2c/linux.c src/i2c/linux.h
libi2cbus_la_LIBADD = $(I2C_LIBS)

EXTRA_DIST += src/i2c/chips.def src/i2c/chips.sh
# A chip more, or less, changes the lists of the build: automake reads them again. (configure.ac makes
# them the first time; autoconf keeps what it knows and would not run chips.sh again.)
$(srcdir)/src/i2c/chips.mk: $(srcdir)/src/i2c/chips.def $(srcdir)/src/i2c/chips.sh
	$(AM_V_GEN)sh $(srcdir)/src/i2c/chips.sh && touch $@

UNIT_TESTS += t/unit/bus t/unit/linux_bus
t_unit_bus_LDADD = $(DRIVER_TEST_LIBS)
t_unit_linux_bus_LDADD = $(DRIVER_TEST_LIBS)
