/* SPDX-License-Identifier: MIT */
/*
 * Limits: whether the kernel gives hosts the queues and descriptors that the configuration asks for
 *
 * What counts for an instance that runs are its process's limits, and fs.mqueue as it is in its IPC
 * namespace; for one that does not, what its unit would give it, or a shell, in this namespace.
 */
#include "app/doctor/doctor.h"
#include "app/job.h"

#include "base/units.h"
#include "os/limits.h"
#include "wire/message.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FILES_PER_CLIENT 7
#define FILES_BESIDE     64

/* ---- queues ---- */

/* What hosts may need in all: they share one user, and most of them one IPC namespace. */
typedef struct Needs {
    uint64_t n_queues; /* of those in this namespace */
    uint64_t queue_bytes;
} Needs;

/* Two users have clients, say: each has a request queue. */
static uint64_t queues_of(const HostSettings *host) {
    return host->max_clients + 3;
}

static void add_needs(Needs *needs, const HostSettings *host, bool here) {
    needs->n_queues += here ? queues_of(host) : 0;
    needs->queue_bytes += (host->max_clients + 1) * queue_cost(REPLY_QUEUE_DEPTH, sizeof(Message)) +
                          2 * queue_cost(host->queue_depth, sizeof(Message));
}

/* fs.mqueue as the host @name has it. Return: as limits_read_queues_of(). */
static int queue_limits_of(const Doctor *doctor, const char *name, QueueLimits *ret) {
    const Daemon *daemon = doctor_daemon(doctor, name);

    return limits_read_queues_of(daemon ? daemon->pid : 0, ret);
}

static Needs needs_of_all(const Doctor *doctor) {
    Needs needs = {0};
    Instance instance;

    for (size_t i = 0; i < config_count(doctor->config); i++) {
        QueueLimits limits;

        config_at(doctor->config, i, &instance);
        if (instance.host)
            add_needs(&needs, instance.host,
                      queue_limits_of(doctor, instance.name, &limits) == 0 && limits.is_here);
    }
    return needs;
}

/* Those that count for the host @name. */
static void limits_of(const Doctor *doctor, const char *name, Limits *ret_limits) {
    const Daemon *daemon = doctor_daemon(doctor, name);
    JobUnit unit;

    limits_read(ret_limits);
    if (daemon)
        limits_read_of(daemon->pid, ret_limits);
    else if (doctor->has_systemd && job_unit_read(name, &unit) == 0) {
        ret_limits->queue_bytes = unit.queue_bytes;
        ret_limits->n_files = unit.n_files;
    }
}

static void note_sysctl(Doctor *doctor, Verdict verdict, const char *subject, const char *name, uint64_t is,
                        uint64_t wanted, const char *why) {
    doctor_note(doctor, verdict, subject, "fs.mqueue.%s is %" PRIu64 ", and %" PRIu64 " is needed: %s", name,
                is, wanted, why);
    doctor_cure(doctor, "sysctl -w fs.mqueue.%s=%" PRIu64 " (and in /etc/sysctl.d, to keep it)", name,
                wanted);
}

static const char too_few[] = "not as many clients as `max_clients` says can come";

static void look_at_depth(Doctor *doctor, const Instance *instance, uint64_t max) {
    uint64_t depth = instance->host->queue_depth;
    char why[96];

    if (max >= depth)
        return;
    snprintf(why, sizeof(why), "`queue_depth` = %" PRIu64 " cannot be had, and the host does not start",
             depth);
    note_sysctl(doctor, doctor_daemon(doctor, instance->name) ? VERDICT_WARN : VERDICT_FAIL, instance->name,
                "msg_max", max, depth, why);
}

/* In the namespace of the host: as root sees it. */
static void look_at_namespace(Doctor *doctor, const Instance *instance) {
    const Daemon *daemon = doctor_daemon(doctor, instance->name);
    uint64_t wanted = queues_of(instance->host);
    QueueLimits limits;
    int r = queue_limits_of(doctor, instance->name, &limits);

    if (r < 0) {
        doctor_note(doctor, VERDICT_UNSEEN, instance->name, "fs.mqueue as process %d has it is %s",
                    daemon ? (int)daemon->pid : 0,
                    r == -EPERM || r == -EACCES ? "for root to see" : strerror(-r));
        return;
    }
    look_at_depth(doctor, instance, limits.n_messages);
    if (!limits.is_here && limits.n_queues < wanted) {
        note_sysctl(doctor, VERDICT_WARN, instance->name, "queues_max", limits.n_queues, wanted, too_few);
        doctor_cure(doctor, "nsenter -t %d -i sysctl -w fs.mqueue.queues_max=%" PRIu64, (int)daemon->pid,
                    wanted);
    }
}

static void look_at_queue_bytes(Doctor *doctor, const Instance *instance, uint64_t needed) {
    char sizes[2][UNITS_TEXT_MAX];
    Limits limits;

    limits_of(doctor, instance->name, &limits);
    if (limits.queue_bytes >= needed)
        return;
    doctor_note(
        doctor, VERDICT_WARN, instance->name,
        "RLIMIT_MSGQUEUE is %s, and all clients of this user's hosts may need %s: some may be refused",
        size_format(limits.queue_bytes, sizes[0]), size_format(needed, sizes[1]));
    if (doctor->has_systemd)
        doctor_cure(doctor, "LimitMSGQUEUE=%" PRIu64 " by `systemctl edit shmipc@%s`, or less `max_clients`",
                    needed, instance->name);
    else
        doctor_cure(doctor, "`ulimit -q %" PRIu64 "` before it is started, or less `max_clients`", needed);
}

void doctor_check_queues(Doctor *doctor) {
    const Needs needs = needs_of_all(doctor);
    QueueLimits here;
    int r = limits_read_queues_of(0, &here);

    if (r < 0) {
        doctor_note(doctor, VERDICT_UNSEEN, NULL, "fs.mqueue cannot be read: %s", strerror(-r));
        return;
    }
    for (size_t i = 0; i < config_count(doctor->config); i++) {
        Instance instance;

        config_at(doctor->config, i, &instance);
        if (!instance.host)
            continue;
        look_at_namespace(doctor, &instance);
        look_at_queue_bytes(doctor, &instance, needs.queue_bytes);
    }
    if (here.n_queues < needs.n_queues)
        note_sysctl(doctor, VERDICT_WARN, NULL, "queues_max", here.n_queues, needs.n_queues, too_few);
    if (doctor_count(doctor, VERDICT_WARN) + doctor_count(doctor, VERDICT_FAIL) +
            doctor_count(doctor, VERDICT_UNSEEN) ==
        0)
        doctor_note(doctor, VERDICT_OK, NULL, "fs.mqueue and RLIMIT_MSGQUEUE are enough for `max_clients`");
}

/* ---- descriptors ---- */

void doctor_check_descriptors(Doctor *doctor) {
    for (size_t i = 0; i < config_count(doctor->config); i++) {
        Instance instance;
        Limits limits;
        uint64_t needed;

        config_at(doctor->config, i, &instance);
        if (!instance.host)
            continue;
        limits_of(doctor, instance.name, &limits);
        needed = (uint64_t)instance.host->max_clients * FILES_PER_CLIENT + FILES_BESIDE;
        if (limits.n_files >= needed)
            continue;
        doctor_note(doctor, VERDICT_WARN, instance.name,
                    "RLIMIT_NOFILE is %" PRIu64 ", and `max_clients` = %" PRIu32 " may need %" PRIu64,
                    limits.n_files, instance.host->max_clients, needed);
        if (doctor->has_systemd)
            doctor_cure(doctor, "LimitNOFILE=%" PRIu64 " by `systemctl edit shmipc@%s`, then restart it",
                        needed, instance.name);
        else
            doctor_cure(doctor, "`ulimit -n %" PRIu64 "` before it is started", needed);
    }
    if (doctor_count(doctor, VERDICT_WARN) == 0)
        doctor_note(doctor, VERDICT_OK, NULL, "RLIMIT_NOFILE is enough for `max_clients`");
}
