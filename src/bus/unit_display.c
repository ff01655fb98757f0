/* Displays on their bus: a page at a time, and only those that changed. */
#include "unit_kinds.h"

#include <errno.h>
#include <string.h>

/* A page could not be written. Perhaps the display lost power: once, it is switched on again. */
static void draw_again(worker *worker, unit *unit, int error)
{
    if (error == DEVICE_LOST_POWER) {
        unit_lost_power(worker, unit);
        error = -EIO;
    }
    if (unit->requests->again || error == -ETIMEDOUT) {
        unit_fail(worker, unit, error);
        return;
    }
    unit->requests->again = true;
    unit_enter(worker, unit, UNIT_IDENTIFY);
}

void unit_draw(worker *worker, unit *unit)
{
    const display_ops *display = unit->device.driver->display;
    const uint8_t *wanted = unit->requests->data;
    unsigned page = 0;
    int error;

    while (page < display->pages && (unit->certain >> page & 1) &&
           memcmp(wanted + page * display->columns, unit->shown + page * display->columns,
                  display->columns) == 0) {
        page++;
    }
    if (page == display->pages) {
        unit_enter(worker, unit, UNIT_IDLE);
        unit_answer(worker, unit, 0);
        unit_succeeded(worker, unit);
        return;
    }
    unit->certain &= ~(UINT64_C(1) << page);
    error = display->write_page(&unit->device, page, wanted + page * display->columns);
    if (worker_outcome(worker, error) < 0) {
        draw_again(worker, unit, error);
        return;
    }
    memcpy(unit->shown + page * display->columns, wanted + page * display->columns,
           display->columns);
    unit->certain |= UINT64_C(1) << page;
    unit->due = worker_now(worker);
}
