# What every room may use: libc only.
noinst_HEADERS += src/base/container.h
