# Clown.Talk messages: pure, json-c and libc only.
noinst_LTLIBRARIES += libtalk.la
libtalk_la_SOURCES = src/talk/talk.h
libtalk_la_LIBADD = $(JSONC_LIBS)
