/* SPDX-License-Identifier: MIT */
/*
 * Doctor: what can be wrong with an installation, and the command that mends it
 *
 * A check is a function that looks at one thing and notes what it has found; command-doctor.c has the table
 * of them. Each looks with the rights of whoever asks, changes nothing, and notes what it was not allowed to
 * see as UNSEEN, so that silence always means that all is well. One finding is one sentence about one
 * subject (an instance, or the machine), and for what is wrong the command that mends it.
 */
#pragma once

#include "app/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef enum Verdict {
    VERDICT_OK,
    VERDICT_WARN,   /* works, but not as it could, or not for everybody */
    VERDICT_FAIL,   /* does not work */
    VERDICT_UNSEEN, /* not known: this user may not look */
    _VERDICT_N,
} Verdict;

typedef struct Finding {
    const char *check;
    Verdict verdict;
    char subject[SETTINGS_NAME_MAX + 1]; /* an instance, or "" for the machine */
    char text[512];
    char cure[256]; /* "" for none */
} Finding;

/* An instance that runs: a process `shmipc run NAME` with the configuration that is looked at. */
typedef struct Daemon {
    pid_t pid;
    uid_t uid;
    bool in_unit; /* of this instance */
    char name[SETTINGS_NAME_MAX + 1];
    uint64_t settings_ns;  /* CLOCK_REALTIME when it has read its settings, as its host says, or 0 */
    uint64_t memory_bytes; /* of a host: what it has reserved; 0: it does not say */
} Daemon;

typedef struct Doctor {
    Config *config;    /* NULL: it cannot be used, which was found */
    const char *file;  /* as -c says; NULL for the installed one */
    const char *path;  /* of it */
    bool has_systemd;  /* this machine was booted with it */
    const char *check; /* the one at work */
    Daemon *daemons;
    size_t n_daemons;
    Finding *findings;
    size_t n_findings;
    int error; /* negative errno: findings were lost */
} Doctor;

/** doctor_init() - look for what runs with the configuration @file (NULL: the installed one). Return: 0 or
 * negative errno. */
int doctor_init(Doctor *doctor, const char *file);
void doctor_deinit(Doctor *doctor);

/** doctor_note() - a finding about @subject (NULL: the machine); printf. */
void doctor_note(Doctor *doctor, Verdict verdict, const char *subject, const char *text, ...)
    __attribute__((format(printf, 4, 5)));

/** doctor_cure() - the command that mends what was noted last; printf. */
void doctor_cure(Doctor *doctor, const char *text, ...) __attribute__((format(printf, 2, 3)));

/** doctor_count() - findings of the check at work that have this verdict. */
size_t doctor_count(const Doctor *doctor, Verdict verdict);

/** doctor_find_daemons() - see daemons.c. Return: 0 or negative errno. */
int doctor_find_daemons(Doctor *doctor);

/** doctor_daemon() - the process that runs the instance @name; NULL if there is none. */
Daemon *doctor_daemon(const Doctor *doctor, const char *name);

/** doctor_program_of() - the file that a process runs, which may be gone since. Return: whether it can be
 * seen. */
bool doctor_program_of(pid_t pid, char *program, size_t bytes, bool *ret_gone);

/** doctor_start_command() - the command that starts an instance, here. Return: @buffer. */
const char *doctor_start_command(const Doctor *doctor, const char *name, char *buffer, size_t bytes);

/** doctor_now_ns() - CLOCK_REALTIME. */
uint64_t doctor_now_ns(void);

/** doctor_text_in() - the first line of a file, without its end. Return: whether there is one. */
bool doctor_text_in(const char *path, char *buffer, size_t bytes);

/* The checks: of what was installed, … */
void doctor_check_configuration(Doctor *doctor);
void doctor_check_commands(Doctor *doctor);
void doctor_check_user(Doctor *doctor);
void doctor_check_units(Doctor *doctor);

/* … of what runs, */
void doctor_check_versions(Doctor *doctor);
void doctor_check_settings(Doctor *doctor);

/* … of the machine, … */
void doctor_check_queues(Doctor *doctor);
void doctor_check_descriptors(Doctor *doctor);
void doctor_check_memory(Doctor *doctor);
void doctor_check_clock(Doctor *doctor);
void doctor_check_huge_pages(Doctor *doctor);

/* … of what peers meet in. */
void doctor_check_namespaces(Doctor *doctor);
void doctor_check_removal(Doctor *doctor);
void doctor_check_leftovers(Doctor *doctor);
void doctor_check_hosts(Doctor *doctor);
