# The bus interface and its implementations.
noinst_LTLIBRARIES += libi2cbus.la
libi2cbus_la_SOURCES = src/i2c/bus.h
libi2cbus_la_LIBADD = $(I2C_LIBS)
