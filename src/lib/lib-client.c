/* SPDX-License-Identifier: MIT */
/*
 * Clients: the public face of core/client
 *
 * A connection that was lost stays until the last request on it is released, while a new one takes its place;
 * `wait` holds whichever is current, so that its descriptor is the same all along. A shmipc_request is a
 * Request of the core.
 */
#include "lib/lib.h"

#include "base/error.h"
#include "base/units.h"
#include "os/channel.h"
#include "os/page.h"
#include "os/wait.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PRIORITY_MAX 31u
#define GRACE_NS     (2 * NS_PER_SEC) /* in which a host should have ended what is past its deadline */

/* One connection to the host. */
typedef struct Link {
    Client *client;
    WaitSource source;
    shmipc_client *owner;
    struct Link *next; /* older ones, which still have requests */
} Link;

struct shmipc_client {
    char path[CHANNEL_PATH_MAX];
    int64_t patience_ns; /* of shmipc_connect() */
    const volatile char *canary;
    Wait *wait;
    Link *links;         /* the current one first */
    bool watched;        /* the descriptor was asked for: others wait for it */
    char text[256];
};

/* Why this thread's latest shmipc_connect() failed: there is no client to ask. */
static _Thread_local char connect_text[256];

static Request *core_of(const shmipc_request *request) {
    return (Request *)(uintptr_t)request;
}

static bool is_stranger(const shmipc_client *client) {
    return *client->canary != 1;
}

static shmipc_client *owner_of(const shmipc_request *request) {
    return client_get_owner(core_of(request)->client);
}

static int fail(shmipc_client *client, int r, const char *text) {
    snprintf(client->text, sizeof(client->text), "%s", text && *text ? text : shmipc_strerror(r));
    return r;
}

/* --- connections --- */

static Link *link_free(Link *link) {
    if (!link)
        return NULL;
    wait_remove(&link->source);
    client_free(link->client);
    free(link);
    return NULL;
}

DEFINE_CLEANUP(Link, link_free)

/* Whether nothing can end any more. */
static bool is_lost(const shmipc_client *client) {
    for (const Link *link = client->links; link; link = link->next)
        if (client_state(link->client) != CLIENT_LOST)
            return false;
    return true;
}

/* Let go of lost connections that nobody has a request on. */
static void reap(shmipc_client *client) {
    Link **at = &client->links;

    while (*at) {
        Link *link = *at;

        if (client_state(link->client) != CLIENT_LOST || client_n_taken(link->client) > 0) {
            at = &link->next;
            continue;
        }
        *at = link->next;
        link_free(link);
    }
}

static int await_welcome(shmipc_client *client, Client *core, uint64_t until_ns) {
    const char *text;
    Reason reason;

    while (client_state(core) == CLIENT_CONNECTING) {
        int r = client_wait(core, until_ns);

        if (r < 0)
            return fail(client, r == -EBADMSG ? -EPROTO : r, NULL);
        if (client_state(core) == CLIENT_CONNECTING && clock_now_ns() >= until_ns)
            return fail(client, -ETIMEDOUT, "the host does not answer");
    }
    if (client_state(core) == CLIENT_READY)
        return 0;
    if (client_state(core) == CLIENT_LOST)
        return fail(client, -ECONNRESET, NULL);
    reason = client_refusal(core, &text);
    return fail(client, lib_error_of(reason), text);
}

static int dial_once(shmipc_client *client, uint64_t until_ns) {
    _cleanup_(link_freep) Link *link = calloc(1, sizeof(*link));
    int fd, r;

    if (!link)
        return fail(client, -ENOMEM, NULL);
    r = channel_connect_until(client->path, until_ns, &fd);
    if (r == -EAGAIN)
        return fail(client, -ETIMEDOUT, "the host has no place for another connection: too many wait for it");
    if (r < 0)
        return fail(client, r, NULL);
    r = client_new(&link->client, fd, program_invocation_short_name);
    if (r < 0)
        return fail(client, r, NULL);
    client_set_owner(link->client, client);
    r = await_welcome(client, link->client, until_ns);
    if (r < 0)
        return r;
    (void)client_set_spin(link->client, client->watched ? 0 : lib_spin_ns()); /* nothing is in flight */
    r = wait_add(client->wait, &link->source, client_get_fd(link->client), WAIT_READ, 0, link);
    if (r < 0)
        return fail(client, r, NULL);
    link->next = client->links;
    client->links = TAKE(link);
    return 0;
}

static int dial(shmipc_client *client, uint64_t until_ns) {
    int r = -ECONNRESET;

    for (unsigned i = 0; r == -ECONNRESET && i < CLIENT_TRIES; i++)
        r = dial_once(client, until_ns);
    return r;
}

/*
 * A host that went away while nobody looked should not cost the next request. With requests in flight
 * somebody looks anyway.
 */
static int look(shmipc_client *client) {
    if (!client->links || client_n_taken(client->links->client) > 0 ||
        client_was_served(client->links->client) || client_is_quiet(client->links->client))
        return 0;
    return client_dispatch(client->links->client);
}

/* The connection that new requests go to; made anew if the last was lost. */
static int current(shmipc_client *client, Client **ret) {
    int r = look(client);

    if (r < 0)
        return fail(client, r, NULL);
    reap(client);
    if (!client->links || client_state(client->links->client) == CLIENT_LOST) {
        r = dial(client, lib_until(client->patience_ns));
        if (r < 0)
            return r;
    }
    *ret = client->links->client;
    return 0;
}

PUBLIC int shmipc_connect(shmipc_client **ret_client, const char *host, int64_t timeout_ns) {
    shmipc_client *client = calloc(1, sizeof(*client));
    int r;

    if (!client) {
        snprintf(connect_text, sizeof(connect_text), "%s", shmipc_strerror(-ENOMEM));
        return -ENOMEM;
    }
    client->patience_ns = timeout_ns;
    r = lib_find_host(host, client->path);
    if (r == 0)
        r = canary_new(&client->canary);
    if (r == 0)
        r = wait_new(&client->wait);
    if (r == 0)
        r = dial(client, lib_until(timeout_ns));
    if (r < 0) {
        snprintf(connect_text, sizeof(connect_text), "%s",
                 client->text[0] ? client->text : shmipc_strerror(r));
        shmipc_close(client);
        return r;
    }
    *ret_client = client;
    return 0;
}

PUBLIC void shmipc_close(shmipc_client *client) {
    if (!client)
        return;
    if (client->canary && is_stranger(client)) {
        wait_abandon(client->wait);
        for (Link *link = client->links; link; link = link->next)
            client_abandon(link->client);
    }
    while (client->links) {
        Link *link = client->links;

        client->links = link->next;
        link_free(link);
    }
    wait_free(client->wait);
    canary_free(client->canary);
    free(client);
}

PUBLIC const char *shmipc_error_text(const shmipc_client *client) {
    return client ? client->text : connect_text;
}

PUBLIC uint64_t shmipc_max_payload(const shmipc_client *client) {
    return client->links ? client_max_payload(client->links->client) : 0;
}

PUBLIC uint32_t shmipc_n_slots(const shmipc_client *client) {
    return client->links ? client_n_slots(client->links->client) : 0;
}

PUBLIC int shmipc_get_fd(shmipc_client *client) {
    if (is_stranger(client))
        return -ECHILD;
    client->watched = true; /* whoever waits for it is woken by messages only */
    for (Link *link = client->links; link; link = link->next) {
        int r = client_set_spin(link->client, 0);

        if (r < 0)
            return fail(client, r, NULL);
    }
    return wait_get_fd(client->wait);
}

/*
 * Back to the caller, who may wait for the descriptor next. What has ended while another thing was waited for
 * has been heard already: nothing else would tell of it.
 */
static int leave(shmipc_client *client, int r) {
    for (Link *link = client->watched ? client->links : NULL; link; link = link->next)
        (void)client_ring(link->client);
    return r;
}

/* --- requests --- */

static int try_reserve(shmipc_client *client, Request *request, uint64_t bytes) {
    uint64_t until_ns = 0;

    for (;;) {
        int r = request_reserve(request, bytes, false);

        if (r <= 0)
            return r < 0 ? fail(client, r, NULL) : 0;
        until_ns = until_ns ? until_ns : lib_until(client->patience_ns);
        if (r == CLIENT_NOT_GRANTED)
            return fail(client, lib_error_of(request->reason), request->text);
        r = client_wait(request->client, until_ns);
        if (r < 0)
            return fail(client, r, NULL);
        if (client_state(request->client) == CLIENT_LOST)
            return fail(client, -ECONNRESET, NULL);
        if (request->state == REQUEST_GROWING && clock_now_ns() >= until_ns)
            return fail(client, -ETIMEDOUT, "the host does not answer");
    }
}

static int reserve(shmipc_client *client, Request *request, uint64_t bytes) {
    int r;

    if (request->state == REQUEST_TAKEN)
        request->reason = REASON_NONE; /* what was refused at another time may be had by now */
    r = try_reserve(client, request, bytes);
    request_grow_no_more(request);
    return r;
}

static int take(shmipc_client *client, uint64_t bytes, shmipc_request **ret_request) {
    Request *request;
    Client *core;
    int r;

    r = current(client, &core);
    if (r < 0)
        return r;
    r = client_take(core, &request);
    if (r > 0)
        return fail(client, r == CLIENT_NO_SLOT ? -EBUSY : -ECONNRESET, NULL);
    r = reserve(client, request, bytes);
    if (r < 0) {
        request_release(request);
        return r;
    }
    request->payload_bytes = bytes;
    *ret_request = (shmipc_request *)request;
    return 0;
}

PUBLIC int shmipc_take(shmipc_client *client, uint64_t bytes, shmipc_request **ret_request) {
    int r;

    if (is_stranger(client))
        return -ECHILD;
    r = take(client, bytes, ret_request);
    /* A host that went away since it was last looked at is no reason to fail: there may be another by now. */
    return leave(client, r == -ECONNRESET ? take(client, bytes, ret_request) : r);
}

PUBLIC void *shmipc_data(shmipc_request *request) {
    Request *core = core_of(request);

    return core->state == REQUEST_TAKEN ? core->segment.map : NULL;
}

PUBLIC int shmipc_resize(shmipc_request *request, uint64_t bytes) {
    Request *core = core_of(request);
    shmipc_client *client = owner_of(request);
    int r;

    if (is_stranger(client))
        return -ECHILD;
    if (core->state != REQUEST_TAKEN)
        return fail(client, -EINVAL, "the request was sent already");
    r = reserve(client, core, bytes);
    if (r == 0)
        core->payload_bytes = bytes;
    return leave(client, r);
}

PUBLIC void *shmipc_user(shmipc_request *request) {
    return core_of(request)->user;
}

PUBLIC void shmipc_set_tag(shmipc_request *request, void *tag) {
    core_of(request)->tag = tag;
}

PUBLIC void *shmipc_get_tag(const shmipc_request *request) {
    return core_of(request)->tag;
}

/* @until_ns: of lib_until(). @waits: the caller waits for it at once. */
static int send(shmipc_request *request, unsigned priority, uint64_t until_ns, bool waits) {
    Request *core = core_of(request);
    shmipc_client *client = owner_of(request);
    int r;

    if (is_stranger(client))
        return -ECHILD;
    if (core->state != REQUEST_TAKEN)
        return fail(client, -EINVAL, "the request was sent already");
    if (priority > PRIORITY_MAX)
        return fail(client, -EINVAL, "priorities are 0 to 31");
    if (client_state(core->client) == CLIENT_LOST)
        return fail(client, -ECONNRESET, NULL);
    core->priority = priority;
    core->deadline_ns = until_ns == UINT64_MAX ? 0 : until_ns ? until_ns : clock_now_ns();
    r = waits ? request_post(core) : request_send(core);
    return leave(client, r < 0 ? fail(client, r, NULL) : 0);
}

PUBLIC int shmipc_send(shmipc_request *request, unsigned priority, int64_t timeout_ns) {
    return send(request, priority, lib_until(timeout_ns), false);
}

PUBLIC int shmipc_cancel(shmipc_request *request) {
    shmipc_client *client = owner_of(request);
    int r;

    if (is_stranger(client))
        return -ECHILD;
    r = request_cancel(core_of(request));
    return leave(client, r < 0 ? fail(client, r, NULL) : 0);
}

/* Whatever has ended, on any connection. */
static Request *pop(shmipc_client *client) {
    Request *request;

    for (Link *link = client->links; link; link = link->next)
        if (client_pop(link->client, &request))
            return request;
    return NULL;
}

static int turn(shmipc_client *client, uint64_t until_ns) {
    WaitSource *source;
    uint32_t events;
    int r;

    /* One connection, as nearly always: no need to ask twice. */
    if (client->links && !client->links->next)
        return client_wait(client->links->client, until_ns);
    for (Link *link = client->links; link; link = link->next) {
        r = client_rest(link->client);
        if (r != 0)
            return r < 0 ? r : 0;
    }
    r = wait_poll(client->wait, until_ns);
    while (r == 0 && (source = wait_next(client->wait, &events)))
        r = client_dispatch(((Link *)source->owner)->client);
    return r;
}

PUBLIC int shmipc_wait(shmipc_client *client, int64_t timeout_ns, shmipc_request **ret_request) {
    uint64_t until_ns;
    bool turned = false;

    if (is_stranger(client))
        return -ECHILD;
    until_ns = lib_until(timeout_ns);
    for (;;) {
        Request *request = pop(client);
        int r;

        if (request) {
            *ret_request = (shmipc_request *)request;
            return 0;
        }
        if (is_lost(client))
            return fail(client, -ECONNRESET, "the host went away, and no request is left");
        if (turned && until_ns != UINT64_MAX && (until_ns == 0 || clock_now_ns() >= until_ns))
            return fail(client, -ETIMEDOUT, NULL);
        r = turn(client, until_ns);
        if (r < 0)
            return fail(client, r, NULL);
        turned = true;
    }
}

PUBLIC int shmipc_result(const shmipc_request *request) {
    const Request *core = core_of(request);

    return core->state == REQUEST_ENDED ? lib_result(core->end, core->reason) : -EINPROGRESS;
}

PUBLIC const void *shmipc_reply(const shmipc_request *request, uint64_t *ret_bytes) {
    const Request *core = core_of(request);
    bool there = core->state == REQUEST_ENDED && core->end == SLOT_DONE && core->response_bytes > 0;

    *ret_bytes = there ? core->response_bytes : 0;
    return there ? core->response.map : NULL;
}

PUBLIC const void *shmipc_reply_user(const shmipc_request *request) {
    return core_of(request)->response_user;
}

PUBLIC int shmipc_status(const shmipc_request *request) {
    const Request *core = core_of(request);

    return core->state == REQUEST_ENDED && core->end == SLOT_FAILED ? core->status : 0;
}

PUBLIC size_t shmipc_text(const shmipc_request *request, char *buffer, size_t bytes) {
    const Request *core = core_of(request);
    bool there = core->state == REQUEST_ENDED && core->end == SLOT_FAILED && core->response_bytes > 0;
    size_t all = there ? core->response_bytes : 0;
    size_t part = all < bytes ? all : bytes - 1;

    if (bytes == 0)
        return all;
    if (part > 0)
        memcpy(buffer, core->response.map, part);
    buffer[part] = 0;
    return all;
}

PUBLIC size_t shmipc_sequence(const shmipc_request *request, char *buffer, size_t bytes) {
    const Request *core = core_of(request);

    if (core->state == REQUEST_SENT || core->state == REQUEST_ENDED)
        return lib_sequence(client_id(core->client), core->slot, core->generation, buffer, bytes);
    if (bytes > 0)
        buffer[0] = 0;
    return 0;
}

PUBLIC void shmipc_release(shmipc_request *request) {
    shmipc_client *client = request ? owner_of(request) : NULL;

    if (!request || is_stranger(client))
        return;
    request_release(core_of(request));
    (void)leave(client, 0);
}

/* --- the simple case --- */

/* The host ends what is past its deadline. If it is not heard of, nothing comes any more. */
static int await_end(Request *request) {
    uint64_t until_ns = request->deadline_ns ? request->deadline_ns + GRACE_NS : UINT64_MAX;

    while (request->state != REQUEST_ENDED) {
        int r = client_wait(request->client, until_ns);

        if (r < 0)
            return r;
        if (request->state != REQUEST_ENDED && clock_now_ns() >= until_ns)
            return -ETIMEDOUT;
    }
    return 0;
}

/* Send and wait for this one request; others that end meanwhile are handed out by shmipc_wait() later. */
static int see_through(shmipc_client *client, Request *request, int64_t timeout_ns,
                       shmipc_request **ret_reply) {
    int r = send((shmipc_request *)request, 0, lib_until(timeout_ns), true);

    if (r == 0)
        r = await_end(request);
    if (r == 0)
        r = client_settle(request->client);
    if (r < 0) {
        request_release(request);
        return leave(client, fail(client, r, NULL));
    }
    request_pop(request);
    *ret_reply = (shmipc_request *)request;
    r = lib_result(request->end, request->reason);
    return leave(client, r < 0 ? fail(client, r, NULL) : 0);
}

PUBLIC int shmipc_call_many(shmipc_request *const *requests, size_t n, int64_t timeout_ns) {
    shmipc_client *client = n ? owner_of(requests[0]) : NULL;
    uint64_t until_ns = lib_until(timeout_ns);
    int r = 0;

    if (client && is_stranger(client))
        return -ECHILD;
    for (size_t i = 0; i < n; i++)
        if (owner_of(requests[i]) != client)
            return fail(client, -EINVAL, "the requests are of several clients");
    for (size_t i = 0; i < n && r == 0; i++)
        r = send(requests[i], 0, until_ns, true);
    for (size_t i = 0; i < n && r == 0; i++) {
        r = await_end(core_of(requests[i]));
        request_pop(core_of(requests[i]));
    }
    /* Whatever went wrong, no message is left out any more. */
    for (Link *link = client ? client->links : NULL; link; link = link->next) {
        int settled = client_settle(link->client);

        r = r < 0 ? r : settled;
    }
    if (client)
        (void)leave(client, 0);
    return r < 0 ? fail(client, r, NULL) : 0;
}

PUBLIC int shmipc_call(shmipc_client *client, const void *data, uint64_t bytes, shmipc_request **ret_reply,
                       int64_t timeout_ns) {
    shmipc_request *request;
    int r;

    *ret_reply = NULL;
    r = shmipc_take(client, bytes, &request);
    if (r < 0)
        return r;
    if (bytes > 0)
        memcpy(shmipc_data(request), data, bytes);
    return see_through(client, core_of(request), timeout_ns, ret_reply);
}

PUBLIC int shmipc_call_fd(shmipc_client *client, int input_fd, int output_fd, shmipc_request **ret_reply,
                          int64_t timeout_ns) {
    shmipc_request *request;
    int r;

    *ret_reply = NULL;
    r = shmipc_take(client, 0, &request);
    if (r < 0)
        return r;
    r = lib_read_request(request, input_fd);
    if (r < 0) {
        request_release(core_of(request));
        return fail(client, r, client->text);
    }
    r = see_through(client, core_of(request), timeout_ns, ret_reply);
    if (r == 0)
        r = lib_write_reply(*ret_reply, output_fd);
    return r < 0 ? fail(client, r, NULL) : 0;
}
