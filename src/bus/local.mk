# A bus's thread: part of the hub's library.
BUS_SOURCES = \
	src/bus/environment.c \
	src/bus/look.c \
	src/bus/message.c \
	src/bus/raw.c \
	src/bus/unit.c \
	src/bus/unit_display.c \
	src/bus/unit_relay.c \
	src/bus/unit_sensor.c \
	src/bus/worker.c
libhub_la_SOURCES += \
	src/bus/environment.h \
	src/bus/log.h \
	src/bus/message.h \
	src/bus/unit.h \
	src/bus/worker.h
