# What the messages of a session mean: part of the module.
mod_clowntalk_la_SOURCES += \
	src/handlers/handlers.h \
	src/handlers/cost.c src/handlers/cost.h \
	src/handlers/echo.c \
	src/handlers/i2c.c \
	src/handlers/repeat.c src/handlers/repeat.h

UNIT_TESTS += t/unit/cost t/unit/repeat
t_unit_repeat_SOURCES = t/unit/repeat.c src/handlers/repeat.c src/handlers/repeat.h
t_unit_repeat_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
t_unit_repeat_LDADD = libtalk.la libbase.la $(CMOCKA_LIBS) $(JSONC_LIBS)

t_unit_cost_SOURCES = t/unit/cost.c src/handlers/cost.c src/handlers/cost.h
t_unit_cost_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
t_unit_cost_LDADD = libtalk.la libbase.la $(CMOCKA_LIBS) $(JSONC_LIBS)
