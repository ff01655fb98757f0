# The hub: scheduler, last values, relay memory.
noinst_LTLIBRARIES += libhub.la
HUB_SOURCES = \
	src/hub/check.c \
	src/hub/class_display.c \
	src/hub/class_led.c \
	src/hub/class_raw.c \
	src/hub/class_relay.c \
	src/hub/class_sensor.c \
	src/hub/classes.c \
	src/hub/config.c \
	src/hub/devices.c \
	src/hub/font.c \
	src/hub/ground.c \
	src/hub/history.c \
	src/hub/hub.c \
	src/hub/intake.c \
	src/hub/interlock.c \
	src/hub/power.c \
	src/hub/presence.c \
	src/hub/relay.c \
	src/hub/moves.c \
	src/hub/request.c \
	src/hub/request_queue.c \
	src/hub/setup.c \
	src/hub/state.c \
	src/hub/state_dir.c
libhub_la_SOURCES = $(HUB_SOURCES) \
	src/hub/class.h \
	src/hub/classes.h \
	src/hub/config.h \
	src/hub/devices.h \
	src/hub/environment.h \
	src/hub/font.h \
	src/hub/ground.h \
	src/hub/history.h \
	src/hub/hub.h \
	src/hub/intake.h \
	src/hub/interlock.h \
	src/hub/moves.h \
	src/hub/node.h \
	src/hub/pin.h \
	src/hub/power.h \
	src/hub/presence.h \
	src/hub/relay.h \
	src/hub/request.h \
	src/hub/request_queue.h \
	src/hub/settings.h \
	src/hub/setup.h \
	src/hub/state.h \
	src/hub/state_dir.h
libhub_la_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE
libhub_la_CFLAGS = $(AM_CFLAGS) -pthread
libhub_la_LIBADD = libbus.la libdevices.la libi2cbus.la libtalk.la $(JSONC_LIBS) -lm

# The fixture of the unit tests: a hub on simulated buses and a clock of its own.
HUB_BENCH = t/unit/hub_bench.c t/unit/hub_bench.h
HUB_TEST_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE
HUB_TEST_LIBS = libhub.la libsim.la libbase.la $(CMOCKA_LIBS)
UNIT_TESTS += \
	t/unit/hub_buses \
	t/unit/hub_directives \
	t/unit/hub_boards \
	t/unit/hub_displays \
	t/unit/hub_house \
	t/unit/hub_directory \
	t/unit/hub_memory \
	t/unit/moves \
	t/unit/hub_quantities \
	t/unit/hub_relays \
	t/unit/hub_requests \
	t/unit/hub_sensors \
	t/unit/hub_threads
t_unit_hub_buses_SOURCES = t/unit/hub_buses.c $(HUB_BENCH)
t_unit_hub_buses_CPPFLAGS = $(HUB_TEST_CPPFLAGS)
t_unit_hub_buses_LDADD = $(HUB_TEST_LIBS)
t_unit_hub_directives_LDADD = $(HUB_TEST_LIBS)
t_unit_hub_house_SOURCES = t/unit/hub_house.c $(HUB_BENCH)
t_unit_hub_house_CPPFLAGS = $(HUB_TEST_CPPFLAGS)
t_unit_hub_house_LDADD = $(HUB_TEST_LIBS)
t_unit_hub_directory_SOURCES = t/unit/hub_directory.c $(HUB_BENCH)
t_unit_hub_directory_CPPFLAGS = $(HUB_TEST_CPPFLAGS)
t_unit_hub_directory_LDADD = $(HUB_TEST_LIBS)
t_unit_moves_SOURCES = t/unit/moves.c
t_unit_moves_CPPFLAGS = $(HUB_TEST_CPPFLAGS)
t_unit_moves_LDADD = $(HUB_TEST_LIBS)
t_unit_hub_memory_SOURCES = t/unit/hub_memory.c $(HUB_BENCH)
t_unit_hub_memory_CPPFLAGS = $(HUB_TEST_CPPFLAGS)
t_unit_hub_memory_LDADD = $(HUB_TEST_LIBS)
t_unit_hub_boards_SOURCES = t/unit/hub_boards.c $(HUB_BENCH)
t_unit_hub_boards_CPPFLAGS = $(HUB_TEST_CPPFLAGS)
t_unit_hub_boards_LDADD = $(HUB_TEST_LIBS)
t_unit_hub_displays_SOURCES = t/unit/hub_displays.c $(HUB_BENCH)
t_unit_hub_displays_CPPFLAGS = $(HUB_TEST_CPPFLAGS)
t_unit_hub_displays_LDADD = $(HUB_TEST_LIBS)
t_unit_hub_quantities_SOURCES = t/unit/hub_quantities.c $(HUB_BENCH)
t_unit_hub_quantities_CPPFLAGS = $(HUB_TEST_CPPFLAGS)
t_unit_hub_quantities_LDADD = $(HUB_TEST_LIBS)
t_unit_hub_relays_SOURCES = t/unit/hub_relays.c $(HUB_BENCH)
t_unit_hub_relays_CPPFLAGS = $(HUB_TEST_CPPFLAGS)
t_unit_hub_relays_LDADD = $(HUB_TEST_LIBS)
t_unit_hub_requests_SOURCES = t/unit/hub_requests.c $(HUB_BENCH)
t_unit_hub_requests_CPPFLAGS = $(HUB_TEST_CPPFLAGS)
t_unit_hub_requests_LDADD = $(HUB_TEST_LIBS)
t_unit_hub_sensors_SOURCES = t/unit/hub_sensors.c $(HUB_BENCH)
t_unit_hub_sensors_CPPFLAGS = $(HUB_TEST_CPPFLAGS)
t_unit_hub_sensors_LDADD = $(HUB_TEST_LIBS)
t_unit_hub_threads_LDADD = $(HUB_TEST_LIBS)

# make fuzz-hub, replay-hub: as for Clown.Talk.
HUB_FUZZ = $(FUZZ_CFLAGS) $(HUB_TEST_CPPFLAGS) -I$(top_srcdir)/t/unit \
	$(top_srcdir)/t/fuzz/hub_request.c $(top_srcdir)/t/unit/hub_bench.c \
	`for file in $(HUB_SOURCES); do echo $(top_srcdir)/$$file; done` \
	$(top_srcdir)/src/base/*.c $(top_srcdir)/src/bus/*.c $(top_srcdir)/src/talk/*.c \
	$(top_srcdir)/src/i2c/*.c $(top_srcdir)/src/devices/*.c $(top_srcdir)/src/sim/*.c
HUB_FUZZ_LIBS = $(CMOCKA_LIBS) $(JSONC_LIBS) $(I2C_LIBS) -pthread -lm
HUB_CORPUS = $(top_srcdir)/t/fuzz/corpus/hub
CLEANFILES += t/fuzz/hub_request t/fuzz/hub_replay
EXTRA_DIST += t/fuzz/hub_request.c t/fuzz/corpus/hub

fuzz-hub:
	$(MKDIR_P) t/fuzz/hub-learnt
	$(FUZZ_CC) -fsanitize=fuzzer $(HUB_FUZZ) $(HUB_FUZZ_LIBS) -o t/fuzz/hub_request
	t/fuzz/hub_request -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=t/fuzz/ \
	    t/fuzz/hub-learnt $(HUB_CORPUS)

replay-hub:
	$(MKDIR_P) t/fuzz
	$(CC) $(HUB_FUZZ) $(top_srcdir)/t/fuzz/standalone.c $(HUB_FUZZ_LIBS) -o t/fuzz/hub_replay
	t/fuzz/hub_replay $(HUB_CORPUS)/*

.PHONY: fuzz-hub replay-hub
