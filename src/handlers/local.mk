# What the messages of a session mean: part of the module.
mod_clowntalk_la_SOURCES += src/handlers/handlers.h src/handlers/echo.c src/handlers/i2c.c
