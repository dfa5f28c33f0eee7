/* SPDX-License-Identifier: MIT */
/* The machine: whether it has the memory that the configuration asks for, and what makes it slow */
#include "app/budget.h"
#include "app/doctor/doctor.h"
#include "app/job.h"

#include "base/units.h"
#include "os/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#define SHM_MAGIC       0x01021994 /* tmpfs */
#define SHM_NEARLY_FULL 90         /* percent */
#define MIB             (UINT64_C(1) << 20)

/* ---- memory ---- */

#define PATH_BYTES 64

/* A file system of shared memory. */
typedef struct Shm {
    const char *host; /* that has it to itself; NULL: the machine's */
    char path[PATH_BYTES];
    uint64_t all; /* bytes; 0: it has no size of its own */
    uint64_t used;
} Shm;

/* Where a host finds its memory: its process may have a /dev/shm of its own (own-shm.conf), which root can
 * see. */
static void shm_of(const Doctor *doctor, const char *host, char path[static PATH_BYTES]) {
    const Daemon *daemon = doctor_daemon(doctor, host);
    struct stat here, there;

    snprintf(path, PATH_BYTES, "/proc/%d/root/dev/shm", daemon ? (int)daemon->pid : 0);
    if (!daemon || stat("/dev/shm", &here) < 0 || stat(path, &there) < 0 || here.st_dev == there.st_dev)
        strcpy(path, "/dev/shm");
}

static bool is_in(const Doctor *doctor, const char *host, const Shm *shm) {
    char path[PATH_BYTES];

    shm_of(doctor, host, path);
    return !strcmp(path, shm->path);
}

/* Where the kernel kills, if the memory of @instance counts there. UINT64_MAX: nowhere, or not known. */
static uint64_t memory_limit_of(const Doctor *doctor, const char *instance) {
    const Daemon *daemon = doctor_daemon(doctor, instance);
    JobUnit unit;

    if (daemon)
        return limits_memory(daemon->pid);
    return doctor->has_systemd && job_unit_read(instance, &unit) == 0 ? unit.memory_max : UINT64_MAX;
}

/* What a host's clients and workers may touch counts in its own control group, and in its workers'. */
static void look_at_group(Doctor *doctor, const Instance *host, const char *instance) {
    char text[BUDGET_TEXT_MAX];

    if (!budget_exceeds(host->host, memory_limit_of(doctor, instance), text))
        return;
    doctor_note(doctor, VERDICT_WARN, instance, "of %s, %s", host->name, text);
    doctor_cure(doctor, "`memory` = \"auto\" in %s, or MemoryMax= by `systemctl edit shmipc@%s`",
                doctor->path, instance);
}

/* A setting that exceeds what there is moves the refusal from the host to the kernel. */
static void look_at_budget(Doctor *doctor, const Instance *host, uint64_t shm) {
    uint64_t memory = host->host->memory;
    char sizes[2][UNITS_TEXT_MAX];

    if (shm > 0 && memory > shm) { /* 0: it has no size of its own */
        doctor_note(doctor, VERDICT_WARN, host->name,
                    "`memory` = %s is more than the %s of /dev/shm, which is full first",
                    size_format(memory, sizes[0]), size_format(shm, sizes[1]));
        doctor_cure(doctor, "mount -o remount,size=%" PRIu64 " /dev/shm, or `memory` = \"auto\" in %s",
                    memory + memory / 4, doctor->path);
    }
    look_at_group(doctor, host, host->name);
    for (size_t i = 0; i < config_count(doctor->config); i++) {
        Instance other;

        config_at(doctor->config, i, &other);
        if (other.worker && other.worker->wire == WIRE_SLOTS && !strcmp(other.worker->serves, host->name))
            look_at_group(doctor, host, other.name);
    }
}

/* What the hosts in it may use in all, and have in use now. */
static void sum_hosts(const Doctor *doctor, const Shm *shm, uint64_t *ret_memory, uint64_t *ret_used) {
    *ret_memory = *ret_used = 0;
    for (size_t i = 0; i < config_count(doctor->config); i++) {
        const Daemon *daemon;
        Instance instance;

        config_at(doctor->config, i, &instance);
        if (!instance.host || !is_in(doctor, instance.name, shm))
            continue;
        daemon = doctor_daemon(doctor, instance.name);
        *ret_memory += instance.host->memory;
        *ret_used += daemon ? daemon->memory_bytes : 0;
    }
}

static uint64_t machine_memory(void) {
    return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The cure is a size in which others keep what they have, hosts get what they may ask for, and a tenth is
 * free. */
static void note_full(Doctor *doctor, const Shm *shm, unsigned percent) {
    uint64_t memory, ours, others, wanted;
    char sizes[4][UNITS_TEXT_MAX];

    sum_hosts(doctor, shm, &memory, &ours);
    others = shm->used > ours ? shm->used - ours : 0;
    wanted = (others + (memory > ours ? memory : ours)) / (SHM_NEARLY_FULL - 1) * 100;
    doctor_note(doctor, percent < 100 ? VERDICT_WARN : VERDICT_FAIL, shm->host,
                "/dev/shm is full to %u %% (%s of %s): requests are refused, or soon will be. Hosts may use "
                "%s of it (`memory`; `shmipc status` says who has how much), others have %s there (`ls -l "
                "/dev/shm` says what): with less of either, or with room for both, it is well",
                percent, size_format(shm->used, sizes[0]), size_format(shm->all, sizes[1]),
                size_format(memory, sizes[2]), size_format(others, sizes[3]));
    if (shm->host)
        doctor_cure(doctor,
                    "a larger TemporaryFileSystem=/dev/shm by `systemctl edit shmipc@%s`, then restart it",
                    shm->host);
    else if (wanted <= machine_memory())
        doctor_cure(doctor, "mount -o remount,size=%" PRIu64 "M /dev/shm", (wanted + MIB - 1) / MIB);
    else
        doctor_cure(doctor, "less `memory` in %s, or rm what is not needed there: the machine has no more",
                    doctor->path);
}

static void note_use(Doctor *doctor, const Shm *shm) {
    unsigned percent = shm->all ? (unsigned)(shm->used * 100 / shm->all) : 0;
    char size[UNITS_TEXT_MAX];

    if (percent >= SHM_NEARLY_FULL)
        note_full(doctor, shm, percent);
    else
        doctor_note(doctor, VERDICT_OK, shm->host, "%s/dev/shm has %s, of which %u %% are used",
                    shm->host ? "its own " : "", size_format(shm->all, size), percent);
}

/* Return: whether it is one. */
static bool look_at_shm(Doctor *doctor, Shm *shm) {
    struct statvfs use;
    struct statfs kind;

    if (statfs(shm->path, &kind) < 0 || statvfs(shm->path, &use) < 0 || kind.f_type != SHM_MAGIC)
        return false;
    shm->all = use.f_blocks * use.f_frsize;
    shm->used = (use.f_blocks - use.f_bfree) * use.f_frsize;
    note_use(doctor, shm);
    return true;
}

/* The budget of each host, and a /dev/shm that it has to itself. */
static void look_at_hosts(Doctor *doctor, const Shm *ours) {
    for (size_t i = 0; i < config_count(doctor->config); i++) {
        Instance instance;
        Shm own = {.host = instance.name};

        config_at(doctor->config, i, &instance);
        if (!instance.host)
            continue;
        shm_of(doctor, instance.name, own.path);
        if (is_in(doctor, instance.name, ours))
            look_at_budget(doctor, &instance, ours->all);
        else if (look_at_shm(doctor, &own))
            look_at_budget(doctor, &instance, own.all);
    }
}

void doctor_check_memory(Doctor *doctor) {
    Shm ours = {.path = "/dev/shm"};

    if (!look_at_shm(doctor, &ours)) {
        doctor_note(doctor, VERDICT_FAIL, NULL, "/dev/shm is no tmpfs: there is no shared memory");
        doctor_cure(doctor, "mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /dev/shm");
        return;
    }
    look_at_hosts(doctor, &ours);
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
