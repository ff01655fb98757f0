# clowntalk-bridge: the hub on standard input and output.
bin_PROGRAMS += clowntalk-bridge
clowntalk_bridge_SOURCES = src/bridge/bridge.c
clowntalk_bridge_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE
clowntalk_bridge_LDADD = libhub.la libbase.la
clowntalk_bridge_LDFLAGS = -pthread

EXTRA_DIST += \
	t/bridge/010_command_line.t \
	t/bridge/020_opening.t \
	t/bridge/030_requests.t \
	t/bridge/040_relays.t \
	t/bridge/050_ending.t \
	t/bridge/060_scenario.t \
	t/bridge/Bridge.pm
