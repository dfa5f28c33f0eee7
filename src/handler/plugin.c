/* SPDX-License-Identifier: MIT */
/*
 * plugin: a shared object is called, through the interface of lib/shmipc-plugin.h
 *
 * What the administrator names is loaded, looked at and made ready once, before the worker takes its first
 * request. Whatever is wrong with it then is his to mend, so it is said in words and refuses the settings: a
 * worker that starts has a plugin that was ready. From there on the plugin is trusted as our own code is;
 * what it hands back is checked for slips, not for malice.
 *
 * A request that lies in its client's own memory is handed on where the client is trusted with that.
 * Otherwise a plugin, which reads by plain loads, would see it change or vanish: it gets a copy.
 */
#include "base/error.h"
#include "base/units.h"
#include "handler/handler.h"
#include "lib/shmipc-plugin.h"
#include "os/wait.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct Plugin {
    Handler handler;
    const HandlerSettings *settings;
    char *path;                          /* owned; of the shared object */
    void *object;                        /* owned; of dlopen() */
    const struct shmipc_plugin *exports; /* in the object, once that was found right */
    void *state;                         /* the plugin's */
    bool ready;                          /* init() went well, so end() is due */
    char description[HANDLER_ERROR_MAX];
} Plugin;

/* One request. What the plugin has of it leads back here. */
typedef struct Job {
    struct shmipc_plugin_job job;
    Exchange *exchange;
    uint64_t limit; /* bytes of a response */
    const void *copy; /* of a request that is not handled in place */
    bool failed;    /* the plugin has said why */
    int refusal;    /* of the latest reserve(): 0, a Reason, or a negative errno */
} Job;

_Static_assert(SHMIPC_USER_BYTES == SLOT_USER_BYTES, "the public number is the wire's");

/* ---- a handler ---- */

static int refuse(char *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int refuse(char *error, const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(error, HANDLER_ERROR_MAX, format, arguments);
    va_end(arguments);
    return HANDLER_REFUSED;
}

static Handler *plugin_free(Handler *handler) {
    Plugin *plugin = (Plugin *)handler;

    if (!plugin)
        return NULL;
    if (plugin->ready && plugin->exports->end)
        plugin->exports->end(plugin->state);
    if (plugin->object)
        dlclose(plugin->object);
    free(plugin->path);
    free(plugin);
    return NULL;
}

static void freep_plugin(Plugin **plugin) {
    plugin_free((Handler *)*plugin);
}

static char *path_of(const char *setting) {
    char *path;

    if (strchr(setting, '/'))
        return strdup(setting);
    return asprintf(&path, "%s/%s.so", SHMIPC_PLUGIN_FOLDER, setting) < 0 ? NULL : path;
}

static int load(Plugin *plugin, char *error) {
    /* All that it lacks is to be missed now, and what it has is nobody else's. */
    plugin->object = dlopen(plugin->path, RTLD_NOW | RTLD_LOCAL);
    return plugin->object ? 0 : refuse(error, "the plugin cannot be loaded: %s", dlerror());
}

static int find_exports(Plugin *plugin, char *error) {
    const struct shmipc_plugin *exports = dlsym(plugin->object, "shmipc_plugin");

    if (!exports)
        return refuse(error, "%s is no plugin: it has no symbol `shmipc_plugin`", plugin->path);
    if (exports->abi != SHMIPC_PLUGIN_ABI)
        return refuse(error,
                      "the plugin %s was made for version %" PRIu32 " of the plugin interface, "
                      "and this is version %d: it must be built anew",
                      plugin->path, exports->abi, SHMIPC_PLUGIN_ABI);
    if (!exports->name || !exports->description || !exports->handle)
        return refuse(error, "the plugin %s has no name, no description or no function to handle requests",
                      plugin->path);
    plugin->exports = exports;
    return 0;
}

static int make_ready(Plugin *plugin, char *error) {
    const struct shmipc_plugin *exports = plugin->exports;
    const PluginSettings *own = &plugin->settings->plugin;
    _cleanup_free_ shmipc_plugin_setting *settings = calloc(own->n + 1, sizeof(*settings));
    char text[HANDLER_ERROR_MAX / 2] = "";
    int r;

    if (!settings)
        return error_origin(-ENOMEM);
    if (!exports->init && own->n > 0)
        return refuse(error, "the plugin %s takes no settings, and `%s` is one", plugin->path,
                      own->list[0].key);
    for (size_t i = 0; i < own->n; i++)
        settings[i] = (shmipc_plugin_setting){.key = own->list[i].key, .value = own->list[i].value};

    r = exports->init ? exports->init(settings, own->n, &plugin->state, text, sizeof(text)) : 0;
    text[sizeof(text) - 1] = '\0';
    if (r != 0)
        return refuse(error, "the plugin %s cannot be used: %s", exports->name, *text ? text : strerror(-r));
    plugin->ready = true;
    return 0;
}

static void describe(Plugin *plugin) {
    snprintf(plugin->description, sizeof(plugin->description), "plugin %s (%s): %s", plugin->exports->name,
             plugin->path, plugin->exports->description);
    plugin->handler.description = plugin->description;
}

static int plugin_new(Handler **ret, const HandlerSettings *settings, char *error) {
    _cleanup_(freep_plugin) Plugin *plugin = calloc(1, sizeof(*plugin));
    int r;

    if (!plugin)
        return error_origin(-ENOMEM);
    plugin->handler.kind = &handler_plugin;
    plugin->settings = settings;
    plugin->path = path_of(settings->path);
    if (!plugin->path)
        return error_origin(-ENOMEM);
    r = load(plugin, error);
    if (r == 0)
        r = find_exports(plugin, error);
    if (r == 0)
        r = make_ready(plugin, error);
    if (r != 0)
        return r;
    describe(plugin);
    *ret = &TAKE(plugin)->handler;
    return 0;
}

/* ---- what a plugin calls ---- */

static int error_of(int refusal) {
    switch (refusal) {
    case REASON_RESPONSE_TOO_LARGE:
        return -EMSGSIZE;
    case REASON_MEMORY_BUDGET:
        return -ENOMEM;
    case REASON_MEMORY_FULL:
        return -ENOSPC;
    case REASON_HOST_LOST:
        return -ECONNRESET;
    default:
        return refusal < 0 ? refusal : -EIO;
    }
}

static uint64_t room_of(const Job *job) {
    const Segment *response = job->exchange->response;

    if (!response->map)
        return 0;
    return response->bytes < job->limit ? response->bytes : job->limit;
}

static int job_reserve(shmipc_plugin_job *of, uint64_t bytes, void **ret_data, uint64_t *ret_room) {
    Job *job = (Job *)of;

    if (job->failed)
        return -EINVAL;
    job->refusal = bytes > job->limit ? REASON_RESPONSE_TOO_LARGE : exchange_reserve(job->exchange, bytes);
    if (job->refusal != 0)
        return error_of(job->refusal);
    *ret_data = job->exchange->response->map;
    if (ret_room)
        *ret_room = room_of(job);
    return 0;
}

static void job_fail(shmipc_plugin_job *of, int32_t code, const char *text) {
    Job *job = (Job *)of;

    job->failed = true;
    exchange_fail(job->exchange, REASON_HANDLER_FAILED, code > 0 ? code : 0, "%s", text ? text : "");
}

static int job_is_cancelled(shmipc_plugin_job *of) {
    return exchange_is_cancelled(((Job *)of)->exchange);
}

static int64_t job_remaining(const shmipc_plugin_job *of) {
    return (int64_t)(((const Job *)of)->exchange->deadline_ns - clock_now_ns());
}

static const shmipc_plugin_calls calls = {
    .bytes = sizeof(calls),
    .reserve = job_reserve,
    .fail = job_fail,
    .is_cancelled = job_is_cancelled,
    .remaining = job_remaining,
};

/* ---- how a request ended ---- */

static void fail_too_large(const Plugin *plugin, const Job *job) {
    const bool own = job->limit == plugin->settings->max_response;
    char limit[UNITS_TEXT_MAX];

    exchange_fail(job->exchange, REASON_RESPONSE_TOO_LARGE, 0, "%s: the response is larger than %s, the %s",
                  plugin->exports->name, size_format(job->limit, limit),
                  own ? "`max_response` of the worker's handler" : "`max_payload` of the host");
}

static void fail_no_room(const Plugin *plugin, const Job *job) {
    const char *cure = job->refusal == REASON_MEMORY_BUDGET ? "raise `memory` of the host"
                       : job->refusal == REASON_MEMORY_FULL ? "raise the size of the file system on /dev/shm"
                       : job->refusal > 0                   ? reason_name((Reason)job->refusal)
                                                            : strerror(-job->refusal);
    Reason reason = job->refusal > 0 ? (Reason)job->refusal : REASON_HANDLER_FAILED;

    exchange_fail(job->exchange, reason, 0, "%s: no room for the response: %s", plugin->exports->name, cure);
}

/* handle() returned an error and has not said more. */
static void fail_error(const Plugin *plugin, const Job *job, int r) {
    Exchange *exchange = job->exchange;

    if (job->refusal == REASON_RESPONSE_TOO_LARGE && r == -EMSGSIZE)
        fail_too_large(plugin, job);
    else if (job->refusal != 0 && r == error_of(job->refusal))
        fail_no_room(plugin, job);
    else if (r == -ETIMEDOUT && clock_now_ns() >= exchange->deadline_ns)
        exchange_fail_expired(exchange);
    else if (r == -ECANCELED && exchange_is_cancelled(exchange))
        exchange_fail(exchange, REASON_STOPPED, 0, "%s: given up, nobody waits for the answer",
                      plugin->exports->name);
    else if (r < 0)
        exchange_fail(exchange, REASON_HANDLER_FAILED, -r, "%s: %s", plugin->exports->name, strerror(-r));
    else
        exchange_fail(exchange, REASON_HANDLER_FAILED, 0,
                      "%s: the plugin returned %d, which is no negative errno", plugin->exports->name, r);
}

static void judge(const Plugin *plugin, const Job *job, int r) {
    if (job->failed)
        return;
    if (r != 0)
        fail_error(plugin, job, r);
    else if (job->job.response_bytes > room_of(job))
        exchange_fail(job->exchange, REASON_HANDLER_FAILED, 0,
                      "%s: the plugin answers with more than it has reserved", plugin->exports->name);
    else
        job->exchange->response_bytes = job->job.response_bytes;
}

/* ---- a request ---- */

/*
 * A copy that nobody else can change.
 * Return: 0, also when the exchange has failed for want of one; or negative errno.
 */
static int copy_request(Job *job) {
    Exchange *exchange = job->exchange;
    int r;

    r = exchange_copy_request(exchange, &job->copy);
    job->failed = r != 0;
    if (r == -ENOMEM)
        exchange_fail(exchange, REASON_HANDLER_NOT_STARTED, 0,
                      "there is no memory for a copy of the request: raise MemoryMax= of the worker's unit, "
                      "or add the caller to `trusted` of the host");
    else if (r == REASON_MEMORY_BUDGET)
        exchange_fail(
            exchange, REASON_MEMORY_BUDGET, 0,
            "there is no room for a copy of the request: raise `memory` of the host, or add the caller "
            "to its `trusted`");
    else if (r == REASON_REQUEST_CHANGED)
        exchange_fail(exchange, REASON_REQUEST_CHANGED, 0,
                      "the request is no longer all there: its owner has shrunk it");
    else if (r > 0)
        exchange_fail(exchange, (Reason)r, 0, "%s", reason_name((Reason)r));
    return r == -ENOMEM || r > 0 ? 0 : r;
}

static uint64_t response_limit(const HandlerSettings *settings, const Exchange *exchange) {
    uint64_t limit = exchange->max_response;

    if (limit > exchange->response->capacity)
        limit = exchange->response->capacity;
    return settings->max_response > 0 && settings->max_response < limit ? settings->max_response : limit;
}

static void job_init(Job *job, const Plugin *plugin, Exchange *exchange) {
    const uint64_t limit = response_limit(plugin->settings, exchange);

    *job = (Job){
        .job =
            {
                .calls = &calls,
                .request_bytes = exchange->request_bytes,
                .max_response = limit,
                .user = exchange->user,
                .response_user = exchange->response_user,
                .client = exchange->client,
                .uid = exchange->uid,
                .attempt = exchange->attempt,
            },
        .exchange = exchange,
        .limit = limit,
    };
}

static int plugin_handle(Handler *handler, Exchange *exchange) {
    Plugin *plugin = (Plugin *)handler;
    Job job;
    int r = 0;

    exchange->response_bytes = 0;
    job_init(&job, plugin, exchange);
    if (exchange->request_bytes > 0 && !exchange->request)
        r = copy_request(&job);
    if (r == 0 && !job.failed) {
        if (exchange->request_bytes > 0)
            job.job.request = job.copy ? job.copy : exchange->request;
        judge(plugin, &job, plugin->exports->handle(plugin->state, &job.job));
    }
    return r;
}

const HandlerKind handler_plugin = {
    .name = "plugin",
    .new = plugin_new,
    .free = plugin_free,
    .handle = plugin_handle,
};
