/* SPDX-License-Identifier: MIT */
/*
 * Settings of a host and of a worker
 *
 * Plain values that src/app/config fills from /etc/shmipc.conf and that the state machines read. They own no
 * memory of the configuration file: strings and lists here belong to the settings object and are freed with
 * it. The table in src/app/config.c says every setting's name, default, range and meaning.
 */
#pragma once

#include "os/mapping.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SETTINGS_NAME_MAX 32 /* bytes of an instance's name, without the terminator: [A-Za-z0-9_-]+ */

/* Users and groups that may do something. */
typedef struct Principals {
    uid_t *uids;
    size_t n_uids;
    gid_t *gids;
    size_t n_gids;
} Principals;

typedef struct HostSettings {
    uint64_t max_payload;          /* bytes of one request or response */
    uint64_t memory;               /* bytes of all segments and private copies together */
    bool memory_is_auto;           /* and less where a worker's control group has less */
    uint64_t memory_idle_ns;       /* after which it is given back; 0: never */
    HugePages huge_pages;          /* of shared memory and of private copies */
    uint32_t max_clients;          /* clients at a time */
    uint32_t requests_per_client;  /* slots of each client */
    uint32_t user_share;           /* percent of each limit that one user can have */
    uint32_t queue_depth;          /* messages in each request queue */
    uint32_t attempts;             /* times an exchange is handed to a worker at most */
    uint32_t max_deaths;           /* of workers, by requests of one user within a minute; 0: any number */
    uint64_t parked;               /* bytes of all parked requests; 0: none is */
    uint64_t health_interval_ns;   /* between two probes; 0: none */
    Principals access;             /* who may be a client */
    Principals workers;            /* who may be a worker */
    Principals trusted;            /* whose requests are handled in place */
} HostSettings;

typedef enum HandlerType {
    HANDLER_ECHO,
    HANDLER_EXEC,
    HANDLER_PLAIN,
    HANDLER_PLUGIN,
} HandlerType;

typedef enum Wire {
    WIRE_SLOTS, /* a host of ours, through its socket */
    WIRE_PLAIN, /* a host that speaks the plain wire */
} Wire;

/* The names of the plain wire (docs/protocol.md, section 7). */
typedef struct PlainNames {
    char *host_queue;   /* host -> worker */
    char *worker_queue; /* worker -> host */
    char *segment;
} PlainNames;

/* A setting that only a plugin knows. */
typedef struct PluginSetting {
    char *key;
    char *value;
} PluginSetting;

typedef struct PluginSettings {
    PluginSetting *list;
    size_t n;
} PluginSettings;

typedef struct HandlerSettings {
    HandlerType type;
    char **command;        /* exec: argv, NULL-terminated; command[0] is looked up in PATH */
    char **environment;    /* exec: "NAME=value", NULL-terminated, added to the worker's own */
    uint64_t max_response; /* all but echo: bytes of a response; 0 for as many as the host allows */
    uint64_t max_stderr;   /* exec: bytes of stderr's end that are kept */
    PlainNames plain;      /* plain: the peer's names */
    char *path;            /* plugin: of the shared object, or its name in the plugin folder */
    PluginSettings plugin; /* plugin: its own settings */
} HandlerSettings;

typedef struct WorkerSettings {
    char *serves;        /* name of the host */
    Wire wire;
    PlainNames plain;    /* wire = plain: the host's names */
    uint64_t timeout_ns; /* of one claim */
    uint64_t poll_ns;    /* that clients' slots are polled: as spin_begin() */
    HandlerSettings handler;
} WorkerSettings;
