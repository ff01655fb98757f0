/*
 * Whether power has come on, and which relays are to be put into their power-on states for it
 * (class_relay.c does that). Noted before anything moves: what shows a loss of power is gone when
 * the chip is configured again, and the next hub is to know of it, too. Owner's thread.
 */
#ifndef HUB_POWER_H
#define HUB_POWER_H

#include "node.h"

/* The node's memory was opened: the machine may have been started since it was written. */
void power_note_boot(hub_node *node);
/* The chip at a 7-bit address of this bus has lost its power; its thread waits for the answer. */
void power_note_chip(hub_bus *bus, uint8_t address);

#endif
