# The process around the hub, its socket, and the link to it: part of the module.
mod_clowntalk_la_SOURCES += \
	src/link/envelope.c src/link/envelope.h \
	src/link/house.c src/link/house.h \
	src/link/link.c src/link/link.h \
	src/link/process.c src/link/process.h \
	src/link/server.c src/link/server.h
