/* SPDX-License-Identifier: MIT */
/*
 * What the service manager knows: of this process, whether it is told to stop for good or to make way for
 * another; of any, its unit
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/** job_is_restart() - whether this unit is being restarted. False, too, where nobody can be asked. */
bool job_is_restart(void);

#define JOB_TEXT_MAX 64
#define JOB_PATH_MAX 1024

/* What systemd says of an instance's unit, in its own words. */
typedef struct JobUnit {
    char load[JOB_TEXT_MAX];   /* "loaded", "not-found", … */
    char active[JOB_TEXT_MAX]; /* "active", "inactive", "failed", … */
    char result[JOB_TEXT_MAX]; /* "success", "exit-code", … */
    char user[JOB_TEXT_MAX];
    int needs_reload;     /* the files have changed */
    int exit_status;      /* of its latest main process */
    uint32_t n_restarts;  /* by systemd itself */
    uint64_t queue_bytes; /* LimitMSGQUEUE=; UINT64_MAX for none */
    uint64_t n_files;     /* LimitNOFILE= */
    uint64_t memory_max;  /* MemoryMax=; UINT64_MAX for none */
    uint64_t changed_us;  /* CLOCK_REALTIME of its latest start, reload or stop */
    int private_ipc;
    int remove_ipc;
    char path[JOB_PATH_MAX]; /* the PATH that it is started with; "" if that is not known */
} JobUnit;

/** job_unit_read() - about shmipc@INSTANCE.service, also one that does not run. Return: 0 or negative errno.
 */
int job_unit_read(const char *instance, JobUnit *ret_unit);

/**
 * job_login_removes() - whether logind removes what users have left in shared memory at their logout
 * (RemoveIPC=). Return: 0; -EHOSTUNREACH or another negative errno where it does not run.
 */
int job_login_removes(bool *ret_removes);

/**
 * job_unit_of() - the unit of a process, of its user's own manager if it has one there
 * Return: the caller's to free; NULL if it is in none, or that cannot be seen.
 */
char *job_unit_of(pid_t pid);

/**
 * job_is_in_unit() - whether a process is in this unit of the system's manager, into which nobody but root
 * puts one. Units of users' own managers have the names that their users give them.
 */
bool job_is_in_unit(pid_t pid, const char *unit);
