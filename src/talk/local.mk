# Clown.Talk messages: pure, json-c and libc only.
noinst_LTLIBRARIES += libtalk.la
libtalk_la_SOURCES = src/talk/talk.h src/talk/internal.h src/talk/json.h src/talk/char.c \
    src/talk/data.c src/talk/error.c src/talk/json.c src/talk/message.c src/talk/number.c \
    src/talk/text.c src/talk/topic.c src/talk/write.c
libtalk_la_LIBADD = $(JSONC_LIBS)

UNIT_TESTS += t/unit/talk_data t/unit/talk_message t/unit/talk_topic t/unit/talk_write
TALK_TEST_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
TALK_TEST_LDADD = libtalk.la libbase.la $(JSONC_LIBS) $(CMOCKA_LIBS)
t_unit_talk_data_SOURCES = t/unit/talk_data.c
t_unit_talk_data_CPPFLAGS = $(TALK_TEST_CPPFLAGS)
t_unit_talk_data_LDADD = $(TALK_TEST_LDADD)
t_unit_talk_message_SOURCES = t/unit/talk_message.c
t_unit_talk_message_CPPFLAGS = $(TALK_TEST_CPPFLAGS)
t_unit_talk_message_LDADD = $(TALK_TEST_LDADD)
t_unit_talk_topic_SOURCES = t/unit/talk_topic.c
t_unit_talk_topic_CPPFLAGS = $(TALK_TEST_CPPFLAGS)
t_unit_talk_topic_LDADD = $(TALK_TEST_LDADD)
t_unit_talk_write_SOURCES = t/unit/talk_write.c
t_unit_talk_write_CPPFLAGS = $(TALK_TEST_CPPFLAGS)
t_unit_talk_write_LDADD = $(TALK_TEST_LDADD)

# make fuzz-talk: fuzzes for FUZZ_SECONDS with clang's libFuzzer. What it learns stays in the build
# tree, below t/fuzz, and so does an input that breaks something.
# make replay-talk: runs the corpus through the same target with the C compiler and its sanitizers.
FUZZ_CC = clang
FUZZ_CFLAGS = -std=gnu11 -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_SECONDS = 60
TALK_FUZZ = $(FUZZ_CFLAGS) $(AM_CPPFLAGS) $(top_srcdir)/t/fuzz/talk_message.c \
    $(top_srcdir)/src/base/*.c $(top_srcdir)/src/talk/*.c
TALK_CORPUS = $(top_srcdir)/t/fuzz/corpus/talk
CLEANFILES += t/fuzz/talk_message t/fuzz/talk_replay
EXTRA_DIST += t/fuzz/standalone.c t/fuzz/talk_message.c t/fuzz/corpus/talk

fuzz-talk:
	$(MKDIR_P) t/fuzz/talk-learnt
	$(FUZZ_CC) -fsanitize=fuzzer $(TALK_FUZZ) $(JSONC_LIBS) -o t/fuzz/talk_message
	t/fuzz/talk_message -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=t/fuzz/ \
	    t/fuzz/talk-learnt $(TALK_CORPUS)

replay-talk:
	$(MKDIR_P) t/fuzz
	$(CC) $(TALK_FUZZ) $(top_srcdir)/t/fuzz/standalone.c $(JSONC_LIBS) -o t/fuzz/talk_replay
	t/fuzz/talk_replay $(TALK_CORPUS)/*

.PHONY: fuzz-talk replay-talk
