# Clown.Talk messages: pure, json-c and libc only.
noinst_LTLIBRARIES += libtalk.la
libtalk_la_SOURCES = src/talk/talk.h src/talk/internal.h src/talk/json.h src/talk/char.c \
    src/talk/data.c src/talk/error.c src/talk/json.c src/talk/message.c src/talk/number.c \
    src/talk/text.c src/talk/topic.c src/talk/write.c
libtalk_la_LIBADD = $(JSONC_LIBS)
