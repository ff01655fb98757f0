# Chip drivers, one file a chip.
noinst_LTLIBRARIES += libdevices.la
libdevices_la_SOURCES = src/devices/device.h
libdevices_la_LIBADD = -lm
