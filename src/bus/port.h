/*
 * The addresses at which a chip without registers may sit: a PCF8574 (20 to 27) or a PCF8574A (38
 * to 3f), of which relay boards and adapters of displays are made. What is the address of a
 * register to other chips is a value for the pins to such a one, and relays move. So no driver is
 * tried there, unless the configuration says that one may be: a ClownTalkDevice names the address,
 * or the bus carries BigClown's modules, and a driver of one looks there.
 *
 * Other addresses of this range are only watched: a plain read shows that a chip answers, and the
 * log and a scan name the lines of configuration that make use of it. Any thread.
 */
#ifndef BUS_PORT_H
#define BUS_PORT_H

#include "worker.h"

/* Whether nothing may be sent to an address of this bus but a plain read. */
bool port_is_unasked(const worker_config *bus, uint8_t address);

#define PORT_MAX_LINES 3

/* A line of configuration. */
typedef struct port_line {
    char text[320];
} port_line;

/* The lines that make use of a chip at such an address, or silence it. How many there are. */
size_t port_advise(const worker_config *bus, uint8_t address, port_line lines[PORT_MAX_LINES]);

#endif
