/* The handlers that come with the module. Both are providers; mod_clowntalk.c registers them. */
#ifndef CT_HANDLERS_H
#define CT_HANDLERS_H

#include "session/mod_clowntalk.h"

/* Returns each message as it came: for conformance tests and measurements. */
extern const clowntalk_handler ct_echo_handler;
/* Clown.Talk with the hub that drives the I2C buses. */
extern const clowntalk_handler ct_i2c_handler;

#endif
