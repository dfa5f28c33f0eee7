/* SPDX-License-Identifier: MIT */
#include "app/job.h"

#include "base/cleanup.h"
#include "base/units.h"

#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-login.h>

#define SYSTEMD   "org.freedesktop.systemd1"
#define PATIENCE_US (2 * NS_PER_SEC / NS_PER_US)

static void bus_closep(sd_bus **bus) {
    sd_bus_flush_close_unref(*bus);
}

static void message_unrefp(sd_bus_message **message) {
    sd_bus_message_unref(*message);
}

/* The manager that runs this process, and our unit there. Return: 0 or negative errno. */
static int find_unit(sd_bus **ret_bus, char **ret_path) {
    _cleanup_free_ char *unit = NULL;
    int r = sd_pid_get_user_unit(0, &unit);

    if (r >= 0)
        r = sd_bus_open_user(ret_bus);
    else if ((r = sd_pid_get_unit(0, &unit)) >= 0)
        r = sd_bus_open_system(ret_bus);
    if (r >= 0)
        r = sd_bus_set_method_call_timeout(*ret_bus, PATIENCE_US);
    return r < 0 ? r : sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, ret_path);
}

bool job_is_restart(void) {
    _cleanup_(bus_closep) sd_bus *bus = NULL;
    _cleanup_(message_unrefp) sd_bus_message *reply = NULL;
    _cleanup_free_ char *unit = NULL, *type = NULL;
    const char *job;
    uint32_t id = 0;

    if (find_unit(&bus, &unit) < 0 ||
        sd_bus_get_property(bus, SYSTEMD, unit, SYSTEMD ".Unit", "Job", NULL, &reply, "(uo)") < 0 ||
        sd_bus_message_read(reply, "(uo)", &id, &job) < 0 || id == 0)
        return false;
    return sd_bus_get_property_string(bus, SYSTEMD, job, SYSTEMD ".Job", "JobType", NULL, &type) >= 0 &&
           !strcmp(type, "restart");
}
