/*
 * The last hour of a sensor's quantity (history.c says how it is kept and asked for). Owner's
 * thread.
 */
#ifndef HUB_HISTORY_H
#define HUB_HISTORY_H

#include "request.h"

typedef struct history history;

/* Adds what was measured now; made with the first value (`*history` NULL until then). */
void history_add(history **history, const hub *hub, double value);
void history_free(history *history);
/*
 * Answers history/get: `histories` has one for each of the device's quantities, NULL while empty.
 */
void history_answer(hub_device *device, request *request, history *const *histories);

#endif
