/* The bus's side of i2c/... requests: scans and raw transfers, in order. Bus's thread only. */
#ifndef BUS_RAW_H
#define BUS_RAW_H

#include "worker_internal.h"

void raw_take(worker *worker, message *request);
/* When the request in front is due, or HUB_NEVER. */
int64_t raw_due(const worker *worker);
/* Does the next step of the request in front. */
void raw_run(worker *worker);
/* Gives all requests back with this error. */
void raw_refuse(worker *worker, int error);

#endif
