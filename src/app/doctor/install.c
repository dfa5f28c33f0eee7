/* SPDX-License-Identifier: MIT */
/* What was installed: the configuration, the user, the units */
#include "app/doctor/doctor.h"
#include "app/job.h"

#include "base/units.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESTARTS_MANY 3 /* of a unit by systemd: more are not an accident */

/* ---- the configuration ---- */

static void note_faults(Doctor *doctor, const Config *config) {
    const ConfigFault *faults;
    size_t n = config_faults(config, &faults);

    for (size_t i = 0; i < n; i++) {
        if (faults[i].line > 0)
            doctor_note(doctor, VERDICT_FAIL, NULL, "%s:%u: %s", faults[i].file, faults[i].line,
                        faults[i].text);
        else
            doctor_note(doctor, VERDICT_FAIL, NULL, "%s: %s", faults[i].file, faults[i].text);
        doctor_cure(doctor, "edit %s, then `shmipc check%s%s`", faults[i].file, doctor->file ? " -c " : "",
                    doctor->file ? doctor->file : "");
    }
}

static bool is_served(const Config *config, const char *host) {
    for (size_t i = 0; i < config_count(config); i++) {
        Instance instance;

        config_at(config, i, &instance);
        if (instance.worker && instance.worker->wire == WIRE_SLOTS && !strcmp(instance.worker->serves, host))
            return true;
    }
    return false;
}

static void look_at_pairing(Doctor *doctor, const Instance *instance) {
    const WorkerSettings *worker = instance->worker;
    Instance host;

    if (instance->host && !is_served(doctor->config, instance->name)) {
        doctor_note(doctor, VERDICT_WARN, instance->name, "no worker of this file serves it: who answers?");
        doctor_cure(doctor, "add a group with role = \"worker\"; serves = \"%s\"; to %s", instance->name,
                    doctor->path);
    }
    if (worker && worker->wire == WIRE_SLOTS && config_instance(doctor->config, worker->serves, &host) != 0) {
        doctor_note(doctor, VERDICT_WARN, instance->name,
                    "serves `%s`, which is no host of this file: it waits until there is one",
                    worker->serves);
        doctor_cure(doctor, "set `serves` to a host, or add a group %s with role = \"host\"; to %s",
                    worker->serves, doctor->path);
    }
}

static void note_instances(Doctor *doctor) {
    unsigned n_hosts = 0, n_workers = 0;
    Instance instance;

    for (size_t i = 0; i < config_count(doctor->config); i++) {
        config_at(doctor->config, i, &instance);
        n_hosts += instance.host != NULL;
        n_workers += instance.worker != NULL;
        look_at_pairing(doctor, &instance);
    }
    doctor_note(doctor, VERDICT_OK, NULL, "%s%s: %u host%s, %u worker%s",
                config_is_builtin(doctor->config) ? "the built-in one, for there is no " : "",
                config_path(doctor->config), n_hosts, n_hosts == 1 ? "" : "s", n_workers,
                n_workers == 1 ? "" : "s");
}

void doctor_check_configuration(Doctor *doctor) {
    Config *config = NULL;
    int r = config_load(&config, doctor->file);

    if (r < 0) {
        doctor_note(doctor, VERDICT_UNSEEN, NULL, "%s: %s", doctor->path, strerror(-r));
        return;
    }
    if (r == CONFIG_FAULTY) {
        note_faults(doctor, config);
        config_free(config);
        return;
    }
    doctor->config = config;
    note_instances(doctor);
}

/* ---- the user ---- */

/* Whether the databases count this user as a member, of which the running session may not know yet. */
static bool is_listed(const struct group *group, const char *user) {
    for (char **member = group->gr_mem; *member; member++)
        if (!strcmp(*member, user))
            return true;
    return false;
}

static bool is_member(gid_t wanted) {
    gid_t groups[1024];
    int n = getgroups(ELEMENTS(groups), groups);

    for (int i = 0; i < n; i++)
        if (groups[i] == wanted)
            return true;
    return getegid() == wanted;
}

static void look_at_caller(Doctor *doctor) {
    const struct group *group = getgrnam(SHMIPC_USER);
    const struct passwd *caller = getpwuid(geteuid());

    if (geteuid() == 0 || !group || !caller || is_member(group->gr_gid))
        return;
    if (is_listed(group, caller->pw_name)) {
        doctor_note(doctor, VERDICT_WARN, NULL,
                    "%s was added to group `%s` after this session began, and is not in it here",
                    caller->pw_name, SHMIPC_USER);
        doctor_cure(doctor, "log in again, or `newgrp %s`", SHMIPC_USER);
    }
}

void doctor_check_user(Doctor *doctor) {
    const struct passwd *user = getpwnam(SHMIPC_USER);
    const struct group *group = getgrnam(SHMIPC_USER);

    if (user && group)
        doctor_note(doctor, VERDICT_OK, NULL, "there are user and group `%s`", SHMIPC_USER);
    else if (!doctor->has_systemd)
        doctor_note(doctor, VERDICT_OK, NULL, "there is no %s `%s`, which only the units need",
                    user ? "group" : "user", SHMIPC_USER);
    else {
        doctor_note(doctor, VERDICT_FAIL, NULL, "there is no %s `%s`, which the units run as",
                    user ? "group" : "user", SHMIPC_USER);
        doctor_cure(doctor, "systemd-sysusers");
    }
    look_at_caller(doctor);
}

/* ---- units ---- */

static void look_at_failed_unit(Doctor *doctor, const char *name, const JobUnit *unit) {
    if (!strcmp(unit->result, "exit-code") && unit->exit_status == 78) {
        doctor_note(doctor, VERDICT_FAIL, name, "failed, for its configuration was not valid");
        doctor_cure(doctor, "shmipc check && systemctl restart shmipc@%s", name);
        return;
    }
    doctor_note(doctor, VERDICT_FAIL, name, "failed (%s); its log says why: journalctl -xu shmipc@%s",
                unit->result, name);
    doctor_cure(doctor, "systemctl restart shmipc@%s", name);
}

static void look_at_unit(Doctor *doctor, const char *name, const JobUnit *unit) {
    if (strcmp(unit->load, "loaded") != 0) {
        doctor_note(doctor, VERDICT_FAIL, name, "its unit shmipc@%s.service is %s", name, unit->load);
        doctor_cure(doctor, "install it again, then `systemctl daemon-reload`");
        return;
    }
    if (unit->needs_reload) {
        doctor_note(doctor, VERDICT_WARN, name, "its unit was changed, and systemd has not read it again");
        doctor_cure(doctor, "systemctl daemon-reload && systemctl restart shmipc@%s", name);
    }
    if (!strcmp(unit->active, "failed"))
        look_at_failed_unit(doctor, name, unit);
    else if (unit->n_restarts > RESTARTS_MANY) {
        doctor_note(doctor, VERDICT_WARN, name,
                    "systemd had to start it again %u times; its log says why: journalctl -xu shmipc@%s",
                    unit->n_restarts, name);
        doctor_cure(doctor, "systemctl reset-failed shmipc@%s (when that is mended)", name);
    } else if (!strcmp(unit->active, "active") || !strcmp(unit->active, "reloading"))
        doctor_note(doctor, VERDICT_OK, name, "shmipc@%s.service runs", name);
    else if (!doctor_daemon(doctor, name)) {
        doctor_note(doctor, VERDICT_WARN, name, "does not run (%s)", unit->active);
        doctor_cure(doctor, "systemctl start shmipc@%s", name);
    } else
        doctor_note(doctor, VERDICT_OK, name, "runs as process %d, outside of systemd",
                    (int)doctor_daemon(doctor, name)->pid);
}

static void look_at_process_of(Doctor *doctor, const char *name) {
    const Daemon *daemon = doctor_daemon(doctor, name);
    char start[256];

    if (daemon)
        doctor_note(doctor, VERDICT_OK, name, "runs as process %d", (int)daemon->pid);
    else {
        doctor_note(doctor, VERDICT_WARN, name, "does not run");
        doctor_cure(doctor, "%s", doctor_start_command(doctor, name, start, sizeof(start)));
    }
}

void doctor_check_units(Doctor *doctor) {
    for (size_t i = 0; i < config_count(doctor->config); i++) {
        Instance instance;
        JobUnit unit;
        int r = 0;

        config_at(doctor->config, i, &instance);
        if (!doctor->has_systemd) {
            look_at_process_of(doctor, instance.name);
            continue;
        }
        r = job_unit_read(instance.name, &unit);
        if (r == 0)
            look_at_unit(doctor, instance.name, &unit);
        else
            doctor_note(doctor, VERDICT_UNSEEN, instance.name, "systemd cannot be asked about its unit: %s",
                        strerror(-r));
    }
}
