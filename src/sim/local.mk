# Simulated chips, one file a chip.
noinst_LTLIBRARIES += libsim.la
libsim_la_SOURCES = \
	src/sim/sim.h \
	src/sim/sim_bus.c src/sim/sim_bus.h \
	src/sim/sim_chip.h \
	src/sim/sim_chips.c \
	src/sim/sim_default.c \
	src/sim/sim_register.c \
	src/sim/sim_relay_module.c \
	src/sim/sim_signal.c src/sim/sim_signal.h \
	src/sim/sim_tca9534a.c src/sim/sim_tca9534a.h \
	src/sim/sim_tmp112.c
libsim_la_LIBADD = $(JSONC_LIBS) -lm
