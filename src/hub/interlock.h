/*
 * Interlocks: of the relays in a group at most one is on, and between one that is switched off and
 * another that is switched on lies a dead time (a motor's two directions). That holds for what is
 * found as well: where several are on, only the one that was commanded last stays on.
 *
 * A group lives in its members: the first that joins makes it, and it ends with the last that
 * leaves. All but interlock_join() are for members only. Owner's thread.
 */
#ifndef HUB_INTERLOCK_H
#define HUB_INTERLOCK_H

#include "relay.h"

/* Once per relay, while it is created. `dead_time` in seconds; the longest of the group holds. */
void interlock_join(hub_device *device, const char *group, double dead_time);
void interlock_leave(hub_device *device);
/* Begins a request that switches its relay on: at once, or when the group is free and off. */
void interlock_begin(hub_device *device, request *request);
/*
 * Which relay was commanded last is known of every relay, since it may become a member at the next
 * start: remembered, and to be noted whenever its state has changed. `commanded`: by a command.
 */
void interlock_remember(hub_device *device);
void interlock_note(hub_device *device, bool commanded);
/* A relay was found, or has moved without a request: others go off if it is not alone. */
void interlock_seen(hub_device *device);
/* A relay's command is over. */
void interlock_member_moved(hub_device *device, const message *result);
/* A relay has left. */
void interlock_member_lost(hub_device *device);
/* The request that is being served is over. */
void interlock_release(hub_device *device, request *request);
/* Does what is due for the request of this relay; when that is, HUB_NEVER. */
void interlock_tick(hub_device *device);
int64_t interlock_due(const hub_device *device);

#endif
