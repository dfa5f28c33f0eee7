/* SPDX-License-Identifier: MIT */
/*
 * The configuration: /etc/shmipc.conf
 *
 * One group for each instance. A file is either taken whole or refused whole, with every fault that one
 * reading can find; a Config never changes after config_load(), so that a reload is a second Config beside
 * the first.
 */
#pragma once

#include "base/cleanup.h"
#include "core/settings.h"

#include <stdbool.h>
#include <stddef.h>

/* Positive codes */
#define CONFIG_FAULTY      1 /* config_load(): see config_faults() */
#define CONFIG_NO_INSTANCE 2 /* config_instance(): see config_explain_missing() */

typedef enum Role {
    ROLE_HOST,
    ROLE_WORKER,
} Role;

/* Something wrong with the file; put before a person as FILE:LINE: TEXT. */
typedef struct ConfigFault {
    char *file;
    unsigned line; /* 0: the file as a whole */
    char *text;
} ConfigFault;

/* One instance. What it points to belongs to the Config. */
typedef struct Instance {
    char name[SETTINGS_NAME_MAX + 1];
    Role role;
    int log_level;                /* as in syslog(3): 3 (err) to 7 (debug) */
    const HostSettings *host;     /* of a host, else NULL */
    const WorkerSettings *worker; /* of a worker, else NULL */
} Instance;

typedef struct Config Config;

/**
 * config_load() - read and check a configuration
 * @path:   a file, which must exist; or NULL for the installed one, in whose absence a built-in one is used
 *          (`host`, and `worker` that echoes)
 *
 * Return: 0; CONFIG_FAULTY, when *ret has faults and no instances; or a negative errno, which is never about
 * the file.
 */
int config_load(Config **ret, const char *path);
Config *config_free(Config *config);

/** config_path() - the file that was asked for, also when the built-in configuration stands in for it. */
const char *config_path(const Config *config);

/** config_is_builtin() - whether there was no file. */
bool config_is_builtin(const Config *config);

/** config_changed_ns() - when the file was changed last, or what it includes, on CLOCK_REALTIME. Return: 0 if
 * there was none. */
uint64_t config_changed_ns(const Config *config);

/** config_faults() - everything that is wrong, in the order in which it was found. Return: how many. */
size_t config_faults(const Config *config, const ConfigFault **ret_faults);

/** config_count() - Return: the number of groups, each of which is an instance. */
size_t config_count(const Config *config);

/** config_at() - the instance of the group number @i, from 0. */
void config_at(const Config *config, size_t i, Instance *ret);

/**
 * config_instance() - the instance of a name
 *
 * A name without a group of its own that is a worker's followed by "-2", "-3", … is a copy of that worker.
 * Return: 0 or CONFIG_NO_INSTANCE.
 */
int config_instance(const Config *config, const char *name, Instance *ret);

/** config_explain_missing() - why there is no instance of that name, and which there are. Return: @buffer. */
const char *config_explain_missing(const Config *config, const char *name, char *buffer, size_t bytes);

DEFINE_CLEANUP(Config, config_free)
