/* SPDX-License-Identifier: MIT */
/*
 * Plugins of shmipc: handlers that a worker calls instead of running a command
 *
 * A plugin is a shared object with one exported symbol, `shmipc_plugin`. A worker whose configuration says
 *
 *     handler = { type = "plugin"; path = "NAME"; settings = { KEY = VALUE; … }; };
 *
 * loads it once, calls init() with its settings, then handle() for each request, one after the other, and
 * end() when it stops or its configuration is loaded anew. A NAME without a '/' stands for NAME.so in the
 * plugin folder (`pkg-config --variable=plugindir shmipc`); otherwise it is an absolute path.
 *
 * A plugin need not be linked against anything of shmipc: what it may call comes with each request. It is
 * built like this:
 *
 *     cc -shared -fPIC $(pkg-config --cflags shmipc) -o NAME.so NAME.c
 *
 * Conventions
 * - Sizes are in bytes, times in nanoseconds on CLOCK_MONOTONIC. Calls that can fail return 0 or a negative
 *   errno. Outputs (`ret_…`) are written on success only.
 * - Texts are UTF-8 and end with a NUL. Those handed to the daemon are copied at once; those that the
 *   daemon hands out belong to it.
 * - Threads: init() and end() run in one thread at a time, with no handle() at the same time. All calls of
 *   handle() come from one thread, and the functions in struct shmipc_plugin_calls may be called from that
 *   one alone, before handle() returns. Memory of the request and the response may be used by any thread
 *   until handle() returns, and by none later. A plugin may have threads of its own if they have ended when
 *   end() returns; signals that are blocked when init() or handle() is called must stay blocked in them.
 * - The plugin runs inside the daemon: it must not exit, change the working directory, the uid or a
 *   signal's action, or close what it has not opened. What it writes to standard error is in the journal.
 *   When it crashes, its worker does, and the request goes to another one, `attempts` times in all.
 * - A handle() that has not come back when its time (see remaining()) is long over has its worker killed.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Of this header. A plugin with another number is not loaded. The number changes whenever a plugin that was
 * built with an earlier header would notice; members that are added at the end of struct shmipc_plugin_job
 * or struct shmipc_plugin_calls do not change it: whoever uses them looks at `calls->bytes` first.
 */
#define SHMIPC_PLUGIN_ABI 1

#define SHMIPC_USER_BYTES 64 /* of the caller's own that travel with each request and each reply */

typedef struct shmipc_plugin_job shmipc_plugin_job;

/* One setting. */
typedef struct shmipc_plugin_setting {
    const char *key;
    const char *value; /* a string as it is; a number in decimal; "true" or "false" */
} shmipc_plugin_setting;

/* What a plugin may call in handle(). */
typedef struct shmipc_plugin_calls {
    uint64_t bytes; /* of this struct, as the daemon has it */

    /*
     * reserve() - make room for a response of @bytes in all
     * @ret_data:   where it is; NULL if @bytes is 0 and nothing was reserved before
     * @ret_room:   how many bytes may be used there, at least @bytes; may be NULL
     *
     * May be called again for more: what was written stays, but may move. The room doubles as it grows, so
     * that small steps cost little. What is in it at first is not defined, but never another user's. Valid
     * until handle() returns.
     *
     * Errors, after which the old room still holds:
     *   -EMSGSIZE    more than job->max_response
     *   -ENOMEM      the host's `memory` budget is used up
     *   -ENOSPC      the file system of shared memory is full
     *   -ECONNRESET  the host went away
     *   -EINVAL      after fail()
     * or another negative errno. When handle() returns it, the caller is told which limit it was.
     */
    int (*reserve)(shmipc_plugin_job *job, uint64_t bytes, void **ret_data, uint64_t *ret_room);

    /*
     * fail() - the request cannot be handled
     * @code:       for the caller, like the exit status of a command
     * @text:       for a person; NULL for none
     *
     * Takes the place of the response: what was reserved is gone. handle() should return 0 then.
     */
    void (*fail)(shmipc_plugin_job *job, int32_t code, const char *text);

    /*
     * is_cancelled() - 1 if nobody waits for the answer any more, else 0
     *
     * Costs a system call: for every few milliseconds of work, not for every byte.
     */
    int (*is_cancelled)(shmipc_plugin_job *job);

    /* remaining() - nanoseconds until the request has to be answered; 0 or less when that has passed. */
    int64_t (*remaining)(const shmipc_plugin_job *job);
} shmipc_plugin_calls;

/* One request. Belongs to the daemon and is valid until handle() returns. */
struct shmipc_plugin_job {
    const shmipc_plugin_calls *calls;

    /*
     * The payload; NULL if it is empty. It must not be written to (it is mapped read-only).
     *
     * Of a client that the host trusts (setting `trusted`) this is the client's own memory, without a copy:
     * he could rewrite it meanwhile, so what is checked should be read once. Of another client it is a
     * private copy that the daemon has made, in as much memory again, and that does not change.
     */
    const void *request;
    uint64_t request_bytes;

    uint64_t response_bytes; /* set by handle(): how much of what was reserved is the response; 0 before */
    uint64_t max_response;   /* the least of what the host and the settings allow */

    const uint8_t *user;     /* SHMIPC_USER_BYTES that came with the request */
    uint8_t *response_user;  /* SHMIPC_USER_BYTES to go with the response; zeroed before */

    uint64_t client;         /* the client's number at the host, never used twice; 0 if the host has none */
    uint32_t uid;            /* of the client, as the kernel says */
    uint32_t attempt;        /* 1; more when a worker has died with this request: it may have run before */
};

/* What a plugin exports. */
struct shmipc_plugin {
    uint32_t abi;            /* SHMIPC_PLUGIN_ABI; looked at before anything else */
    const char *name;        /* a word: begins its lines in the log and its failures */
    const char *description; /* a few words on what it does, for the log */

    /*
     * init() - get ready
     * @settings:   @n_settings of them, as the configuration has them; valid until init() returns
     * @ret_state:  handed to handle() and end(); NULL before
     * @error:      for the text of what is wrong, in one line; @error_bytes of room, empty before
     *
     * A key that is not known, or a value that is not allowed, should be an error: the administrator learns
     * of it here or never. May be NULL, for a plugin that takes no settings and has no state.
     *
     * Return: 0; or a negative errno, and the worker ends with exit status 78. end() is not called then.
     */
    int (*init)(const shmipc_plugin_setting *settings, size_t n_settings, void **ret_state, char *error,
                size_t error_bytes);

    /*
     * handle() - handle one request
     *
     * Return: 0, when job->response_bytes of what was reserved are the response, or fail() was called. A
     * negative errno fails the request for that reason; -ECANCELED and -ETIMEDOUT are right for one that
     * gives up because of is_cancelled() or remaining().
     */
    int (*handle)(void *state, shmipc_plugin_job *job);

    /* end() - free what init() has made. May be NULL. */
    void (*end)(void *state);
};

#if defined(__GNUC__)
__attribute__((visibility("default"))) /* also where the plugin hides its symbols */
#endif
extern const struct shmipc_plugin shmipc_plugin;

#ifdef __cplusplus
}
#endif
