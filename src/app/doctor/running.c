/* SPDX-License-Identifier: MIT */
/*
 * What runs: whether it is what the disk has
 *
 * When an instance has read its settings, systemd knows of a unit, which it has started or reloaded, and a
 * host of itself and its workers. Of others only the start is known. What has read them within a second of
 * the file's last change is believed to have read that.
 */
#include "app/doctor/doctor.h"
#include "app/job.h"

#include "base/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- its program ---- */

static void look_at_program(Doctor *doctor, const Daemon *daemon) {
    char program[1024];
    bool is_gone;

    if (!doctor_program_of(daemon->pid, program, sizeof(program), &is_gone)) {
        doctor_note(doctor, VERDICT_UNSEEN, daemon->name,
                    "process %d is another user's: which program it runs is for root to see",
                    (int)daemon->pid);
        return;
    }
    if (is_gone) {
        doctor_note(doctor, VERDICT_WARN, daemon->name,
                    "process %d still runs the program from before it was replaced on the disk",
                    (int)daemon->pid);
        doctor_cure(doctor, daemon->in_unit ? "systemctl restart shmipc@%s" : "restart %s", daemon->name);
    }
}

void doctor_check_versions(Doctor *doctor) {
    for (size_t i = 0; i < doctor->n_daemons; i++)
        look_at_program(doctor, &doctor->daemons[i]);
    if (doctor_count(doctor, VERDICT_WARN) == 0 && doctor_count(doctor, VERDICT_UNSEEN) == 0)
        doctor_note(doctor, VERDICT_OK, NULL,
                    doctor->n_daemons ? "shmipc " SHMIPC_VERSION ", as it is on the disk, is what runs"
                                      : "shmipc " SHMIPC_VERSION "; nothing runs");
}

/* ---- its settings ---- */

/* On CLOCK_REALTIME. Return: 0 if it cannot be seen. */
static uint64_t start_of(pid_t pid) {
    uint64_t ticks = 0, booted_ns;
    struct timespec up;
    char path[64], text[1024];
    const char *at;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    /* The name, in parentheses, may hold anything; from behind it the start is the 20th of the words. */
    if (!doctor_text_in(path, text, sizeof(text)) || !(at = strrchr(text, ')')) ||
        sscanf(at + 1,
               " %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %" SCNu64,
               &ticks) != 1)
        return 0;
    clock_gettime(CLOCK_BOOTTIME, &up);
    booted_ns = doctor_now_ns() - (uint64_t)up.tv_sec * NS_PER_SEC - (uint64_t)up.tv_nsec;
    return booted_ns + ticks * (NS_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* Since when its settings are at least as they are. */
static uint64_t settings_since(const Daemon *daemon) {
    uint64_t ns = start_of(daemon->pid);
    JobUnit unit;

    if (daemon->settings_ns > ns)
        ns = daemon->settings_ns;
    if (daemon->in_unit && job_unit_read(daemon->name, &unit) == 0 && unit.changed_us * NS_PER_US > ns)
        ns = unit.changed_us * NS_PER_US;
    return ns;
}

static void look_at_settings(Doctor *doctor, const Daemon *daemon) {
    uint64_t since_ns = settings_since(daemon);

    if (since_ns == 0 || config_changed_ns(doctor->config) <= since_ns + NS_PER_SEC)
        return;
    doctor_note(doctor, VERDICT_WARN, daemon->name,
                "process %d goes by an older %s: that was edited since it was started or reloaded",
                (int)daemon->pid, doctor->path);
    if (daemon->in_unit)
        doctor_cure(doctor, "shmipc check && systemctl reload shmipc@%s", daemon->name);
    else
        doctor_cure(doctor, "shmipc check%s%s && kill -HUP %d", doctor->file ? " -c " : "",
                    doctor->file ? doctor->file : "", (int)daemon->pid);
}

void doctor_check_settings(Doctor *doctor) {
    for (size_t i = 0; i < doctor->n_daemons; i++)
        look_at_settings(doctor, &doctor->daemons[i]);
    if (doctor_count(doctor, VERDICT_WARN) == 0)
        doctor_note(doctor, VERDICT_OK, NULL,
                    doctor->n_daemons ? "what runs has read %s since it was edited" : "nothing runs with %s",
                    doctor->path);
}
