/* SPDX-License-Identifier: MIT */
#include "app/job.h"

#include "base/cleanup.h"
#include "base/units.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-login.h>

#define SYSTEMD     "org.freedesktop.systemd1"
#define LOGIN       "org.freedesktop.login1"
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

/* ---- units, for whoever asks ---- */

static int system_bus(sd_bus **ret_bus) {
    int r = sd_bus_open_system(ret_bus);

    return r < 0 ? r : sd_bus_set_method_call_timeout(*ret_bus, PATIENCE_US);
}

/* The part of a unit's interface that is one value, of any fixed type. */
typedef struct Property {
    const char *interface;
    const char *name;
    char type;
    void *ret;
} Property;

static int read_text(sd_bus *bus, const char *path, const char *interface, const char *name,
                     char text[static JOB_TEXT_MAX]) {
    _cleanup_free_ char *value = NULL;
    int r = sd_bus_get_property_string(bus, SYSTEMD, path, interface, name, NULL, &value);

    if (r >= 0)
        snprintf(text, JOB_TEXT_MAX, "%s", value);
    return r;
}

/* The PATH in a list of variables, if it has one. */
static int read_path(sd_bus *bus, const char *object, const char *interface, char path[static JOB_PATH_MAX]) {
    _cleanup_(message_unrefp) sd_bus_message *reply = NULL;
    const char *variable;
    int r = sd_bus_get_property(bus, SYSTEMD, object, interface, "Environment", NULL, &reply, "as");

    if (r >= 0)
        r = sd_bus_message_enter_container(reply, 'a', "s");
    while (r >= 0 && (r = sd_bus_message_read(reply, "s", &variable)) > 0)
        if (!strncmp(variable, "PATH=", 5))
            snprintf(path, JOB_PATH_MAX, "%s", variable + 5);
    return r;
}

static int read_unit(sd_bus *bus, const char *path, JobUnit *unit) {
    const Property properties[] = {
        {SYSTEMD ".Unit", "NeedDaemonReload", 'b', &unit->needs_reload},
        {SYSTEMD ".Service", "NRestarts", 'u', &unit->n_restarts},
        {SYSTEMD ".Service", "ExecMainStatus", 'i', &unit->exit_status},
        {SYSTEMD ".Service", "LimitMSGQUEUE", 't', &unit->queue_bytes},
        {SYSTEMD ".Service", "LimitNOFILE", 't', &unit->n_files},
        {SYSTEMD ".Service", "MemoryMax", 't', &unit->memory_max},
        {SYSTEMD ".Unit", "StateChangeTimestamp", 't', &unit->changed_us},
        {SYSTEMD ".Service", "PrivateIPC", 'b', &unit->private_ipc},
        {SYSTEMD ".Service", "RemoveIPC", 'b', &unit->remove_ipc},
    };
    int r = read_text(bus, path, SYSTEMD ".Unit", "LoadState", unit->load);

    if (r >= 0)
        r = read_text(bus, path, SYSTEMD ".Unit", "ActiveState", unit->active);
    if (r >= 0)
        r = read_text(bus, path, SYSTEMD ".Service", "Result", unit->result);
    if (r >= 0)
        r = read_text(bus, path, SYSTEMD ".Service", "User", unit->user);
    if (r >= 0)
        r = read_path(bus, "/org/freedesktop/systemd1", SYSTEMD ".Manager", unit->path);
    if (r >= 0) /* which wins */
        r = read_path(bus, path, SYSTEMD ".Service", unit->path);
    for (size_t i = 0; i < ELEMENTS(properties) && r >= 0; i++)
        r = sd_bus_get_property_trivial(bus, SYSTEMD, path, properties[i].interface, properties[i].name, NULL,
                                        properties[i].type, properties[i].ret);
    return r;
}

int job_unit_read(const char *instance, JobUnit *ret_unit) {
    _cleanup_(bus_closep) sd_bus *bus = NULL;
    _cleanup_free_ char *path = NULL;
    JobUnit unit = {0};
    char name[128];
    int r = system_bus(&bus);

    snprintf(name, sizeof(name), "shmipc@%s.service", instance);
    if (r >= 0)
        r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", name, &path);
    if (r >= 0)
        r = read_unit(bus, path, &unit);
    if (r < 0)
        return r;
    *ret_unit = unit;
    return 0;
}

int job_login_removes(bool *ret_removes) {
    _cleanup_(bus_closep) sd_bus *bus = NULL;
    _cleanup_(message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
    int removes = 0;
    int r = system_bus(&bus);

    if (r >= 0)
        r = sd_bus_message_new_method_call(bus, &call, LOGIN, "/org/freedesktop/login1",
                                           "org.freedesktop.DBus.Properties", "Get");
    if (r >= 0)
        r = sd_bus_message_append(call, "ss", LOGIN ".Manager", "RemoveIPC");
    if (r >= 0)
        r = sd_bus_message_set_auto_start(call, false); /* where it does not run, it removes nothing */
    if (r >= 0)
        r = sd_bus_call(bus, call, 0, NULL, &reply);
    if (r >= 0)
        r = sd_bus_message_enter_container(reply, 'v', "b");
    if (r >= 0)
        r = sd_bus_message_read(reply, "b", &removes);
    if (r < 0)
        return r;
    *ret_removes = removes != 0;
    return 0;
}

char *job_unit_of(pid_t pid) {
    char *unit = NULL;

    if (pid <= 0 || (sd_pid_get_user_unit(pid, &unit) < 0 && sd_pid_get_unit(pid, &unit) < 0))
        return NULL;
    return unit;
}

bool job_is_in_unit(pid_t pid, const char *unit) {
    _cleanup_free_ char *is = NULL;

    return pid > 0 && sd_pid_get_unit(pid, &is) >= 0 && !strcmp(is, unit);
}
