/* The bus's side of i2c/... requests: scans and raw transfers, in order. On the bus's thread. */
#include "raw.h"

#include "site.h"
#include "unit.h"

#include <errno.h>

/*
 * A scan looks at one address at a time and lets the devices that are due in between. Its result is
 * an array of one byte per address that answers. `address` in its message is how far it has come.
 */

int64_t raw_due(const worker *worker)
{
    const message *request = worker->raw;

    /* What is sent to a chip in the middle of its probe would spoil that. */
    if (!request ||
        (request->type == MESSAGE_TRANSFER && site_is_probed(worker, request->transfer.address))) {
        return HUB_NEVER;
    }
    return request->time;
}

static void finish(worker *worker, message *result)
{
    message *request = worker->raw;

    worker->raw = request->next;
    if (!worker->raw) {
        worker->raw_end = &worker->raw;
    }
    result->type = MESSAGE_RESULT;
    worker_send(worker, result);
    if (result != request) {
        message_free(request);
    }
}

static void scan_step(worker *worker, message *scan)
{
    uint8_t address = scan->transfer.address ? scan->transfer.address + 1 : I2C_FIRST_ADDRESS;
    int error = 0;

    /* A driver's own chips are not disturbed: that they are there is known. */
    if (!unit_by_address(worker, address) && !site_is_probed(worker, address)) {
        error = worker_is_quiet(worker) ? -ETIMEDOUT
                                        : worker_outcome(worker, i2c_probe(worker->bus, address));
    }
    if (error == -ETIMEDOUT || error == -ENODEV || error == -EOPNOTSUPP) {
        scan->error = error;
        finish(worker, scan);
        return;
    }
    /* A chip that a kernel driver holds answers, too. */
    if (error >= 0 || error == -EBUSY) {
        scan->data[scan->length++] = address;
    }
    scan->transfer.address = address;
    scan->time = worker_now(worker);
    if (address == I2C_LAST_ADDRESS) {
        finish(worker, scan);
    }
}

static void transfer(worker *worker, message *request)
{
    size_t written = request->transfer.write_length, read = request->transfer.read_length;
    message *result = message_new(MESSAGE_RESULT, read);
    unit *owner = unit_by_address(worker, request->transfer.address);

    result->serial = request->serial;
    result->transfer = request->transfer;
    if (owner) {
        result->error = -EACCES;
        result->unit = 0;
    } else if (worker_is_quiet(worker)) {
        result->error = -ETIMEDOUT;
    } else {
        int error = i2c_transfer(worker->bus, request->transfer.address, request->data, written,
                                 result->data, read);
        worker_outcome(worker, error);
        result->error = error < 0 ? error : 0;
    }
    finish(worker, result);
}

void raw_take(worker *worker, message *request)
{
    request->next = NULL;
    *worker->raw_end = request;
    worker->raw_end = &request->next;
}

void raw_refuse(worker *worker, int error)
{
    while (worker->raw) {
        message *request = worker->raw;
        worker->raw = request->next;
        unit_refuse(worker, request, error);
    }
    worker->raw_end = &worker->raw;
}

void raw_run(worker *worker)
{
    message *request = worker->raw;

    if (worker_now(worker) > request->deadline) {
        request->error = -ETIMEDOUT;
        finish(worker, request);
    } else if (request->type == MESSAGE_SCAN) {
        scan_step(worker, request);
    } else {
        transfer(worker, request);
    }
}
