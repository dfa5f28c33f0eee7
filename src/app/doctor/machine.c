/* SPDX-License-Identifier: MIT */
/*
 * The machine: whether the kernel gives what the configuration asks for
 *
 * What counts for an instance that runs are its process's limits; for one that does not, what its unit would
 * give it, or a shell.
 */
#include "app/doctor/doctor.h"
#include "app/job.h"

#include "base/units.h"
#include "os/limits.h"
#include "wire/message.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#define MQUEUE           "/proc/sys/fs/mqueue/"
#define SHM_MAGIC        0x01021994 /* tmpfs */
#define SHM_NEARLY_FULL  90         /* percent */
#define FILES_PER_CLIENT 7
#define FILES_BESIDE     64

/* ---- limits of hosts ---- */

/* What all hosts of the configuration may need in all: they share one user, and one namespace. */
typedef struct Needs {
    uint64_t n_queues;
    uint64_t queue_bytes;
} Needs;

/* Two users have clients, say: each has a request queue. */
static void add_needs(Needs *needs, const HostSettings *host) {
    needs->n_queues += host->max_clients + 3;
    needs->queue_bytes += (host->max_clients + 1) * queue_cost(REPLY_QUEUE_DEPTH, sizeof(Message)) +
                          2 * queue_cost(host->queue_depth, sizeof(Message));
}

static Needs needs_of_all(const Doctor *doctor) {
    Needs needs = {0};
    Instance instance;

    for (size_t i = 0; i < config_count(doctor->config); i++) {
        config_at(doctor->config, i, &instance);
        if (instance.host)
            add_needs(&needs, instance.host);
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

static void look_at_depth(Doctor *doctor, const Instance *instance) {
    uint64_t depth = instance->host->queue_depth;
    uint64_t max = doctor_number_in(MQUEUE "msg_max");
    char why[96];

    if (max >= depth)
        return;
    snprintf(why, sizeof(why), "`queue_depth` = %" PRIu64 " cannot be had, and the host does not start",
             depth);
    note_sysctl(doctor, doctor_daemon(doctor, instance->name) ? VERDICT_WARN : VERDICT_FAIL, instance->name,
                "msg_max", max, depth, why);
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
    uint64_t n_queues = doctor_number_in(MQUEUE "queues_max");

    if (n_queues == UINT64_MAX) {
        doctor_note(doctor, VERDICT_UNSEEN, NULL, MQUEUE " cannot be read");
        return;
    }
    for (size_t i = 0; i < config_count(doctor->config); i++) {
        Instance instance;

        config_at(doctor->config, i, &instance);
        if (!instance.host)
            continue;
        look_at_depth(doctor, &instance);
        look_at_queue_bytes(doctor, &instance, needs.queue_bytes);
    }
    if (n_queues < needs.n_queues)
        note_sysctl(doctor, VERDICT_WARN, NULL, "queues_max", n_queues, needs.n_queues,
                    "not as many clients as `max_clients` says can come");
    if (doctor_count(doctor, VERDICT_WARN) + doctor_count(doctor, VERDICT_FAIL) == 0)
        doctor_note(doctor, VERDICT_OK, NULL, "fs.mqueue and RLIMIT_MSGQUEUE are enough for `max_clients`");
}

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

/* ---- memory ---- */

/* A setting that exceeds what there is moves the refusal from the host to the kernel. */
static void look_at_budget(Doctor *doctor, const Instance *instance, uint64_t shm) {
    const Daemon *daemon = doctor_daemon(doctor, instance->name);
    uint64_t group = limits_memory(daemon ? daemon->pid : 0);
    uint64_t memory = instance->host->memory;
    char sizes[2][UNITS_TEXT_MAX];

    if (memory > shm) {
        doctor_note(doctor, VERDICT_WARN, instance->name,
                    "`memory` = %s is more than the %s of /dev/shm, which is full first",
                    size_format(memory, sizes[0]), size_format(shm, sizes[1]));
        doctor_cure(doctor, "mount -o remount,size=%" PRIu64 " /dev/shm, or `memory` = \"auto\" in %s",
                    memory + memory / 4, doctor->path);
    } else if (daemon && memory > group) {
        doctor_note(doctor, VERDICT_WARN, instance->name,
                    "`memory` = %s is more than its control group's %s: the kernel would kill instead",
                    size_format(memory, sizes[0]), size_format(group, sizes[1]));
        doctor_cure(doctor, "MemoryMax= by `systemctl edit shmipc@%s`, or `memory` = \"auto\" in %s",
                    instance->name, doctor->path);
    }
}

static void look_at_budgets(Doctor *doctor, uint64_t shm) {
    for (size_t i = 0; i < config_count(doctor->config); i++) {
        Instance instance;

        config_at(doctor->config, i, &instance);
        if (instance.host)
            look_at_budget(doctor, &instance, shm);
    }
}

static void note_use(Doctor *doctor, uint64_t all, uint64_t used) {
    unsigned percent = all ? (unsigned)(used * 100 / all) : 0;
    char sizes[2][UNITS_TEXT_MAX];

    size_format(all, sizes[0]);
    size_format(used, sizes[1]);
    if (percent < SHM_NEARLY_FULL) {
        doctor_note(doctor, VERDICT_OK, NULL, "/dev/shm has %s, of which %u %% are used", sizes[0], percent);
        return;
    }
    doctor_note(
        doctor, percent < 100 ? VERDICT_WARN : VERDICT_FAIL, NULL,
        "/dev/shm is full to %u %% (%s of %s): requests are refused, or soon will be; `shmipc status` "
        "says who has how much, `ls -l /dev/shm` what others have there",
        percent, sizes[1], sizes[0]);
    doctor_cure(doctor, "mount -o remount,size=%" PRIu64 " /dev/shm", all * 2);
}

void doctor_check_memory(Doctor *doctor) {
    struct statvfs shm;
    struct statfs kind;
    uint64_t all;

    if (statfs("/dev/shm", &kind) < 0 || statvfs("/dev/shm", &shm) < 0 || kind.f_type != SHM_MAGIC) {
        doctor_note(doctor, VERDICT_FAIL, NULL, "/dev/shm is no tmpfs: there is no shared memory");
        doctor_cure(doctor, "mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /dev/shm");
        return;
    }
    all = shm.f_blocks * shm.f_frsize;
    note_use(doctor, all, (shm.f_blocks - shm.f_bfree) * shm.f_frsize);
    if (all > 0) /* else it has no size of its own */
        look_at_budgets(doctor, all);
}

/* ---- what makes it slow ---- */

#define CLOCK "/sys/devices/system/clocksource/clocksource0/"

/* Those that a process can read without a system call, from the best; others have none of these. */
static const char *better_clock(void) {
    static const char *const fast[] = {"tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"};
    char available[256];

    if (!doctor_text_in(CLOCK "available_clocksource", available, sizeof(available)))
        return NULL;
    for (size_t i = 0; i < ELEMENTS(fast); i++) {
        const char *at = strstr(available, fast[i]);
        size_t length = strlen(fast[i]);

        if (at && (at == available || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return fast[i];
    }
    return NULL;
}

void doctor_check_clock(Doctor *doctor) {
    static const char *const slow[] = {"hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit", "xen"};
    const char *better = better_clock();
    char clock[64];

    if (!doctor_text_in(CLOCK "current_clocksource", clock, sizeof(clock))) {
        doctor_note(doctor, VERDICT_UNSEEN, NULL, CLOCK "current_clocksource cannot be read");
        return;
    }
    for (size_t i = 0; i < ELEMENTS(slow); i++) {
        if (strcmp(clock, slow[i]) != 0)
            continue;
        doctor_note(doctor, VERDICT_WARN, NULL,
                    "the clock source is %s: each look at the clock is a system call, and an exchange slower",
                    clock);
        if (better)
            doctor_cure(doctor, "echo %s > " CLOCK "current_clocksource", better);
        else
            doctor_cure(doctor, "the kernel has no faster one: journalctl -k -g clocksource says why");
        return;
    }
    doctor_note(doctor, VERDICT_OK, NULL, "the clock source is %s", clock);
}

#define HUGE_PAGES "/sys/kernel/mm/transparent_hugepage/"

static bool wants_huge_pages(const Doctor *doctor) {
    Instance instance;

    for (size_t i = 0; i < config_count(doctor->config); i++) {
        config_at(doctor->config, i, &instance);
        if (instance.host && instance.host->huge_pages != HUGE_NEVER)
            return true;
    }
    return false;
}

/* A whole 2 MiB are asked for where they are of use (MADV_COLLAPSE, since Linux 6.1), but for "deny". */
void doctor_check_huge_pages(Doctor *doctor) {
    struct utsname kernel;
    unsigned major = 0, minor = 0;
    char choice[128];

    if (!wants_huge_pages(doctor)) {
        doctor_note(doctor, VERDICT_OK, NULL, "no host asks for huge pages");
        return;
    }
    if (!doctor_text_in(HUGE_PAGES "shmem_enabled", choice, sizeof(choice))) {
        doctor_note(doctor, VERDICT_WARN, NULL,
                    "this kernel has no huge pages for shared memory: large payloads take longer at first");
        doctor_cure(doctor, "a kernel with CONFIG_TRANSPARENT_HUGEPAGE");
        return;
    }
    if (strstr(choice, "[deny]")) {
        doctor_note(doctor, VERDICT_WARN, NULL,
                    "huge pages are denied to shared memory: large payloads take longer at first");
        doctor_cure(doctor, "echo never > " HUGE_PAGES "shmem_enabled (where asking for them is allowed)");
        return;
    }
    if (uname(&kernel) == 0 && sscanf(kernel.release, "%u.%u", &major, &minor) == 2 &&
        (major < 6 || (major == 6 && minor < 1)) && strstr(choice, "[never]")) {
        doctor_note(doctor, VERDICT_WARN, NULL,
                    "Linux %u.%u gives shared memory no huge pages: large payloads take longer at first",
                    major, minor);
        doctor_cure(doctor, "echo advise > " HUGE_PAGES "shmem_enabled");
        return;
    }
    doctor_note(doctor, VERDICT_OK, NULL, "shared memory can have huge pages");
}
