/* SPDX-License-Identifier: MIT */
/*
 * What tests of plugins share: one handler, and one exchange in real shared memory whose wire does as it is
 * told
 */
#pragma once

#include "handler/handler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MIB              (UINT64_C(1) << 20)
#define RIG_WINDOW_BYTES (UINT64_C(256) * MIB) /* of either direction */
#define RIG_SETTINGS_MAX 8

typedef struct Rig {
    Exchange exchange;
    Segment request;
    Segment response;
    bool trusted; /* the request is handled where it lies */
    Handler *handler;
    HandlerSettings settings;
    PluginSetting own[RIG_SETTINGS_MAX];
    char error[HANDLER_ERROR_MAX];

    uint64_t granted_bytes; /* more than that the wire refuses, */
    Reason refusal;         /* for this reason */
    bool cancelled;
} Rig;

extern Rig rig;

/* A fixture: checked ones are made for each test anew. */
void rig_set_up(void);
void rig_tear_down(void);

/* A setting of the plugin's own, for the next rig_new(). */
void rig_set(const char *key, const char *value);

/* Load a plugin. Return: as handler_new(); a refusal is in rig.error. */
int rig_new(const char *path);

/* The request. */
void rig_request(const void *data, uint64_t bytes);
void rig_request_text(const char *text);

/* Have it handled, by a plugin that was loaded. */
void rig_handle(void);
void rig_handle_text(const char *text);

/* The response, or the text of a failure, with a NUL behind it. Static buffer. */
const char *rig_text(void);

void assert_answered(uint64_t bytes);
void assert_answer(const char *expected);
void assert_failed(Reason reason, int status, const char *text);

/* The plugin cannot be loaded, and why has these words in it. */
void assert_refused(const char *path, const char *words);
