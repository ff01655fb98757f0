# Simulated chips, one file a chip.
noinst_LTLIBRARIES += libsim.la
libsim_la_SOURCES = \
	src/sim/sim.h \
	src/sim/sim_board.c \
	src/sim/sim_bus.c src/sim/sim_bus.h \
	src/sim/sim_chip.c src/sim/sim_chip.h \
	src/sim/sim_chips.c \
	src/sim/sim_default.c \
	src/sim/sim_handles.c \
	src/sim/sim_memory.c src/sim/sim_memory.h \
	src/sim/sim_player.c src/sim/sim_player.h \
	src/sim/sim_register.c \
	src/sim/sim_scenario.c src/sim/sim_scenario.h \
	src/sim/sim_signal.c src/sim/sim_signal.h \
	src/sim/sim_tca9534a.c src/sim/sim_tca9534a.h \
	src/sim/sim_port.c \
	$(CHIP_SIMULATIONS)
libsim_la_LIBADD = $(JSONC_LIBS) -lm
EXTRA_DIST += conf/scenario.json docs/simulation.md

UNIT_TESTS += t/unit/scenario t/unit/sim
t_unit_scenario_CPPFLAGS = $(AM_CPPFLAGS) -DSRCDIR='"$(abs_top_srcdir)"'
t_unit_scenario_LDADD = $(DRIVER_TEST_LIBS)
t_unit_sim_LDADD = $(DRIVER_TEST_LIBS)
