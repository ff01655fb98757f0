#include "classes.h"

const hub_class *class_of_driver(const device_driver *driver)
{
    if (driver->sensor) {
        return &class_sensor;
    }
    return driver->relay ? &class_relay : &class_display;
}
