/* SPDX-License-Identifier: MIT */
/*
 * What peers meet in: the hosts' sockets, namespaces, and the named objects of the plain wire
 *
 * Peers of a host get everything over its socket, so that IPC namespaces, names and whoever removes names do
 * not concern them. Peers on the plain wire find each other by names: all of this concerns them.
 */
#include "app/doctor/doctor.h"
#include "app/job.h"
#include "app/message-ids.h"
#include "app/status.h"

#include "base/units.h"
#include "core/endpoint.h"
#include "core/parking.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define FIRST_LOGIN_UID 1000 /* logind spares the others */
#define MQUEUE_MAGIC    0x19800202
#define MOMENT_SECONDS  60 /* that a name of a host's object may stand */

/* The names that an instance has on the plain wire, on either side; NULL if it does not speak it. */
static const PlainNames *plain_names(const Instance *instance) {
    if (!instance->worker)
        return NULL;
    if (instance->worker->wire == WIRE_PLAIN)
        return &instance->worker->plain;
    return instance->worker->handler.type == HANDLER_PLAIN ? &instance->worker->handler.plain : NULL;
}

static const char *user_name(uid_t uid, char buffer[static 32]) {
    const struct passwd *user = getpwuid(uid);

    if (user)
        snprintf(buffer, 32, "%s", user->pw_name);
    else
        snprintf(buffer, 32, "%u", (unsigned)uid);
    return buffer;
}

/* ---- IPC namespaces ---- */

/* Return: whether it can be seen. */
static bool namespace_of(const char *process, char name[static 64]) {
    char path[64];
    ssize_t length;

    snprintf(path, sizeof(path), "/proc/%s/ns/ipc", process);
    length = readlink(path, name, 63);
    name[length > 0 ? length : 0] = '\0';
    return length > 0;
}

static void look_at_namespace(Doctor *doctor, const Daemon *daemon, const char *ours) {
    char process[16], theirs[64];
    Instance instance;

    snprintf(process, sizeof(process), "%d", (int)daemon->pid);
    if (!namespace_of(process, theirs)) {
        doctor_note(doctor, VERDICT_UNSEEN, daemon->name,
                    "process %s is another user's: its IPC namespace is for root to see", process);
        return;
    }
    if (!strcmp(ours, theirs))
        return;
    if (config_instance(doctor->config, daemon->name, &instance) == 0 && plain_names(&instance)) {
        doctor_note(doctor, VERDICT_WARN, daemon->name,
                    "has an IPC namespace of its own: peers on the plain wire outside of it do not find its "
                    "queues");
        doctor_cure(doctor, "remove PrivateIPC= by `systemctl edit shmipc@%s`, then restart it",
                    daemon->name);
        return;
    }
    doctor_note(doctor, VERDICT_OK, daemon->name,
                "has an IPC namespace of its own, with limits of its own; its peers need not be in it");
}

void doctor_check_namespaces(Doctor *doctor) {
    char ours[64];

    if (!namespace_of("self", ours)) {
        doctor_note(doctor, VERDICT_UNSEEN, NULL, "/proc/self/ns/ipc cannot be read");
        return;
    }
    for (size_t i = 0; i < doctor->n_daemons; i++)
        look_at_namespace(doctor, &doctor->daemons[i], ours);
    if (doctor_count(doctor, VERDICT_OK) + doctor_count(doctor, VERDICT_WARN) +
            doctor_count(doctor, VERDICT_UNSEEN) ==
        0)
        doctor_note(doctor, VERDICT_OK, NULL,
                    doctor->n_daemons ? "all that run are in one IPC namespace, this one"
                                      : "nothing runs in another IPC namespace");
}

/* ---- who removes names ---- */

/* The user that an instance runs as, or would. Return: whether that is known. */
static bool user_of(const Doctor *doctor, const char *name, uid_t *ret_uid) {
    const Daemon *daemon = doctor_daemon(doctor, name);
    const struct passwd *user;
    JobUnit unit;

    if (daemon) {
        *ret_uid = daemon->uid;
        return true;
    }
    if (!doctor->has_systemd || job_unit_read(name, &unit) < 0)
        return false;
    user = getpwnam(unit.user[0] ? unit.user : "root");
    if (user)
        *ret_uid = user->pw_uid;
    return user != NULL;
}

static void look_at_removal(Doctor *doctor, const char *name, bool login_removes) {
    JobUnit unit;
    char user[32];
    uid_t uid;

    if (doctor->has_systemd && job_unit_read(name, &unit) == 0 && unit.remove_ipc) {
        doctor_note(
            doctor, VERDICT_FAIL, name,
            "RemoveIPC= of its unit takes its queues and segment away when a unit of this user stops");
        doctor_cure(doctor, "RemoveIPC=no by `systemctl edit shmipc@%s`", name);
    }
    if (login_removes && user_of(doctor, name, &uid) && uid >= FIRST_LOGIN_UID) {
        user_name(uid, user);
        doctor_note(doctor, VERDICT_WARN, name,
                    "logind (RemoveIPC=yes) takes the queues and segment of user %s away when they log out",
                    user);
        doctor_cure(doctor, "loginctl enable-linger %s, or RemoveIPC=no in /etc/systemd/logind.conf", user);
    }
}

void doctor_check_removal(Doctor *doctor) {
    bool login_removes = false;
    unsigned n_plain = 0;

    (void)job_login_removes(&login_removes); /* who does not run removes nothing */
    for (size_t i = 0; i < config_count(doctor->config); i++) {
        Instance instance;

        config_at(doctor->config, i, &instance);
        if (!plain_names(&instance))
            continue;
        n_plain++;
        look_at_removal(doctor, instance.name, login_removes);
    }
    if (n_plain == 0)
        doctor_note(doctor, VERDICT_OK, NULL, "RemoveIPC= concerns the plain wire only, which nobody speaks");
    else if (doctor_count(doctor, VERDICT_WARN) + doctor_count(doctor, VERDICT_FAIL) == 0)
        doctor_note(doctor, VERDICT_OK, NULL, "nobody removes what the plain wire needs");
}

/* ---- what was left behind ---- */

static bool has_queue_folder(void) {
    struct statfs kind;

    return statfs("/dev/mqueue", &kind) == 0 && kind.f_type == MQUEUE_MAGIC;
}

static void look_at_object(Doctor *doctor, const Instance *instance, const char *folder, const char *name) {
    const Daemon *daemon = doctor_daemon(doctor, instance->name);
    char path[512], owner[32], user[32];
    struct stat is;

    snprintf(path, sizeof(path), "%s%s", folder, name);
    if (stat(path, &is) < 0)
        return;
    user_name(is.st_uid, owner);
    if (daemon && daemon->uid != is.st_uid) {
        doctor_note(doctor, VERDICT_FAIL, instance->name,
                    "%s is of user %s, and the instance runs as %s: it cannot use it", path, owner,
                    user_name(daemon->uid, user));
        /* Not to be a stranger's because he was here first. */
        doctor_cure(doctor, "rm %s; only if %s is whom it serves: User=%s by `systemctl edit shmipc@%s`",
                    path, owner, owner, instance->name);
    } else if (!daemon) {
        doctor_note(doctor, VERDICT_WARN, instance->name,
                    "%s of user %s is there though the instance does not run: left behind, unless its peer "
                    "runs",
                    path, owner);
        doctor_cure(doctor, "rm %s", path);
    }
}

/* "shmipc.HOST.new" or "shmipc.HOST.NUMBER.new". Everybody can make names here, and this one goes into a
 * command: with a character that no host's has, it is none of ours. */
static bool is_name_of_host(const char *name) {
    static const char begin[] = "shmipc.", end[] = ".new";
    size_t length = strlen(name);

    return length > strlen(begin) + strlen(end) && strncmp(name, begin, strlen(begin)) == 0 &&
           strcmp(name + length - strlen(end), end) == 0 &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.") == length;
}

/* A host's objects have a name for a moment only; one that stands was left by a kill in that moment. */
static void look_for_half_made(Doctor *doctor, const char *folder) {
    DIR *names = opendir(folder);
    const struct dirent *entry;

    while (names && (entry = readdir(names))) {
        struct stat is;

        if (!is_name_of_host(entry->d_name) ||
            fstatat(dirfd(names), entry->d_name, &is, AT_SYMLINK_NOFOLLOW) < 0 ||
            is.st_mtime + MOMENT_SECONDS > time(NULL))
            continue;
        doctor_note(doctor, VERDICT_WARN, NULL, "%s/%s was left by a host that was killed", folder,
                    entry->d_name);
        doctor_cure(doctor, "rm %s/%s", folder, entry->d_name);
    }
    if (names)
        closedir(names);
}

void doctor_check_leftovers(Doctor *doctor) {
    bool has_queues = has_queue_folder();

    for (size_t i = 0; i < config_count(doctor->config); i++) {
        const PlainNames *names;
        Instance instance;

        config_at(doctor->config, i, &instance);
        names = plain_names(&instance);
        if (!names)
            continue;
        look_at_object(doctor, &instance, "/dev/shm", names->segment);
        if (has_queues) {
            look_at_object(doctor, &instance, "/dev/mqueue", names->host_queue);
            look_at_object(doctor, &instance, "/dev/mqueue", names->worker_queue);
        }
    }
    look_for_half_made(doctor, "/dev/shm");
    if (has_queues)
        look_for_half_made(doctor, "/dev/mqueue");
    else {
        doctor_note(doctor, VERDICT_UNSEEN, NULL,
                    "queues with names can be seen where /dev/mqueue is mounted");
        doctor_cure(doctor, "mkdir -p /dev/mqueue && mount -t mqueue mqueue /dev/mqueue");
    }
    if (doctor_count(doctor, VERDICT_WARN) + doctor_count(doctor, VERDICT_FAIL) == 0)
        doctor_note(doctor, VERDICT_OK, NULL, "no object was left behind");
}

/* ---- hosts ---- */

static void note_parked(Doctor *doctor, const char *name) {
    char path[PARKING_PATH_MAX];
    ParkingList list = {0};

    if (parking_find(name, path) == 0 && parking_list(path, &list) == 0 && list.n > 0) {
        doctor_note(doctor, VERDICT_WARN, name, "keeps %zu request%s that killed their workers", list.n,
                    list.n == 1 ? "" : "s");
        doctor_cure(doctor, "shmipc parked list -H %s", name);
    }
    parking_list_deinit(&list);
}

/* A worker of this file that serves the host; its own name where there is none. */
static const char *worker_for(const Doctor *doctor, const char *host,
                              char name[static SETTINGS_NAME_MAX + 1]) {
    Instance instance;

    for (size_t i = 0; i < config_count(doctor->config); i++) {
        config_at(doctor->config, i, &instance);
        if (instance.worker && instance.worker->wire == WIRE_SLOTS && !strcmp(instance.worker->serves, host))
            return strcpy(name, instance.name);
    }
    return strcpy(name, "WORKER");
}

static void look_at_answer(Doctor *doctor, const Instance *instance, const PacketStatusHost *host) {
    const char *name = instance->name;
    char worker[SETTINGS_NAME_MAX + 1], start[256], duration[UNITS_TEXT_MAX];

    if (strcmp(host->version, SHMIPC_VERSION) != 0) {
        doctor_note(doctor, VERDICT_WARN, name, "runs shmipc %s, and this is " SHMIPC_VERSION, host->version);
        doctor_cure(doctor, doctor->has_systemd ? "systemctl restart shmipc@%s" : "restart %s", name);
    }
    if (host->n_workers == 0) {
        doctor_note(doctor, VERDICT_FAIL, name, "no worker is attached: every call waits until it times out");
        doctor_cure(doctor, "%s",
                    doctor_start_command(doctor, worker_for(doctor, name, worker), start, sizeof(start)));
    } else if (host->healthy == 2) {
        doctor_note(doctor, VERDICT_FAIL, name,
                    "its own probe does not come back: its workers are busy, or stuck");
        doctor_cure(doctor, "shmipc status -H %s says with what; systemctl restart the worker that is stuck",
                    name);
    } else
        doctor_note(doctor, VERDICT_OK, name, "answers, with %u worker%s; its latest probe took %s",
                    host->n_workers, host->n_workers == 1 ? "" : "s",
                    duration_format(host->probe_ns, duration));
    if (host->huge_pages == 0 && instance->host->huge_pages != HUGE_NEVER) {
        doctor_note(
            doctor, VERDICT_WARN, name,
            "gets no huge pages, which its `huge_pages` asks for: large payloads take longer at first");
        doctor_cure(doctor,
                    "see huge-pages below; where that is well, restart it: systemctl restart shmipc@%s",
                    name);
    }
    if (host->n_limits > 0) {
        doctor_note(doctor, VERDICT_WARN, name, "has run into a limit %" PRIu64 " times since its start",
                    host->n_limits);
        doctor_cure(doctor, "journalctl -xu shmipc@%s MESSAGE_ID=%s says which", name,
                    MESSAGE_ID_LIMIT_REACHED);
    }
}

/* The host says when it was given its settings. A worker that is reloaded comes again; what systemd knows of
 * it is better. */
static void take_answer(const Doctor *doctor, const char *name, const Status *status) {
    uint64_t now_ns = doctor_now_ns();
    Daemon *host = doctor_daemon(doctor, name);

    if (host && (uint64_t)host->pid == status->host.pid) {
        host->memory_bytes = status->host.memory_bytes;
        if (status->host.settings_ns)
            host->settings_ns = now_ns - status->host.settings_ns;
    }
    for (size_t i = 0; i < status->n_workers; i++) {
        const PacketStatusWorker *row = &status->workers[i];
        Daemon *worker = doctor_daemon(doctor, row->name);

        if (worker && !worker->in_unit && (uint32_t)worker->pid == row->pid)
            worker->settings_ns = now_ns - row->age_ns;
    }
}

static void look_at_silence(Doctor *doctor, const char *name, int r, const Status *status, const char *path) {
    char start[256];

    if (r == -ENOENT || r == -ECONNREFUSED || r == -EPIPE) {
        doctor_note(doctor, VERDICT_FAIL, name, "nobody listens at %s: calls to it fail", path);
        doctor_cure(doctor, "%s", doctor_start_command(doctor, name, start, sizeof(start)));
    } else if (r == -ETIMEDOUT || r == -EAGAIN) {
        doctor_note(doctor, VERDICT_FAIL, name, "listens at %s, but does not answer", path);
        doctor_cure(doctor, "systemctl restart shmipc@%s", name);
    } else if (r == -EBADMSG || r == -EPROTO) {
        doctor_note(doctor, VERDICT_WARN, name,
                    "listens at %s, but does not understand this shmipc " SHMIPC_VERSION
                    ", or the other way round: %s",
                    path, status->refused ? status->refused_text : "one of them is older");
        doctor_cure(doctor, doctor->has_systemd ? "systemctl restart shmipc@%s" : "restart %s", name);
    } else if (status->refused || r == -EACCES) {
        doctor_note(doctor, VERDICT_WARN, name, "does not let this user in: %s",
                    status->refused ? status->refused_text : path);
        doctor_cure(doctor, "usermod -aG %s USER, then log in again; or name it in `access` in %s",
                    SHMIPC_USER, doctor->path);
    } else
        doctor_note(doctor, VERDICT_UNSEEN, name, "%s: %s", path, strerror(-r));
}

static void look_at_host(Doctor *doctor, const Instance *instance) {
    const char *name = instance->name;
    _cleanup_(status_hang_up) StatusLine line = STATUS_LINE_NULL;
    _cleanup_(status_deinit) Status status = {0};
    char path[CHANNEL_PATH_MAX] = "";
    int r = endpoint_find(name, path);

    if (r == 0)
        r = status_connect(&line, path, "shmipc doctor");
    if (r == 0)
        r = status_ask(&line, false, &status);
    if (r == 0) {
        look_at_answer(doctor, instance, &status.host);
        take_answer(doctor, name, &status);
    } else
        look_at_silence(doctor, name, r, &status, path);
    note_parked(doctor, name);
}

void doctor_check_hosts(Doctor *doctor) {
    for (size_t i = 0; i < config_count(doctor->config); i++) {
        Instance instance;

        config_at(doctor->config, i, &instance);
        if (instance.host)
            look_at_host(doctor, &instance);
    }
    if (doctor_count(doctor, VERDICT_OK) + doctor_count(doctor, VERDICT_WARN) +
            doctor_count(doctor, VERDICT_FAIL) + doctor_count(doctor, VERDICT_UNSEEN) ==
        0)
        doctor_note(doctor, VERDICT_OK, NULL, "there is no host in %s", doctor->path);
}
