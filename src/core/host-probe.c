/* SPDX-License-Identifier: MIT */
/*
 * The probe: the host is its own client now and then
 *
 * Through a socket, a queue, memory and a worker, by the ordinary client code, in sizes that differ each time
 * so that both sides have to remap. The worker answers it itself; its handler never sees it.
 */
#include "core/host-internal.h"

#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int host_probe_init(Host *host) {
    HostProbe *probe = &host->probe;
    int fds[2], r = channel_pair(fds);

    if (r < 0)
        return r;
    r = host_add_peer(host, fds[0], true, NULL);
    if (r < 0) {
        fd_close(fds[1]);
        return r;
    }
    r = client_new(&probe->client, fds[1], "probe");
    if (r < 0)
        return r;
    return wait_add(host->wait, &probe->source, client_get_fd(probe->client), WAIT_READ, SOURCE_PROBE, host);
}

void host_probe_deinit(Host *host) {
    wait_remove(&host->probe.source);
    host->probe.client = client_free(host->probe.client);
    host->probe.request = NULL;
}

static void set_health(Host *host, bool healthy, uint64_t took_ns, const char *text) {
    HostProbe *probe = &host->probe;
    Event *event;

    probe->last_ns = took_ns;
    if (probe->known && probe->healthy == healthy)
        return;
    probe->known = true;
    probe->healthy = healthy;
    event = event_push(&host->events, EVENT_HEALTH);
    event->ok = healthy;
    event->duration_ns = took_ns;
    text_copy(event->text, sizeof(event->text), text);
}

/* One page and two in turn, as far as `max_payload` allows. */
static size_t probe_bytes(const HostProbe *probe) {
    uint64_t bytes = (probe->round % 2 + 1) * PAGE_BYTES, most = client_max_payload(probe->client);

    return bytes < most ? bytes : most;
}

static void fill(const HostProbe *probe, uint8_t *data) {
    for (size_t i = 0; i < probe_bytes(probe); i++)
        data[i] = (uint8_t)(i * 31 + probe->round);
}

static bool is_same(const HostProbe *probe) {
    const Request *request = probe->request;

    return request->response_bytes == probe_bytes(probe) &&
           memcmp(request->response.map, request->segment.map, probe_bytes(probe)) == 0;
}

/* Take the probe as far as it goes without waiting. */
static int advance(Host *host) {
    HostProbe *probe = &host->probe;
    int r = 0;

    if (!probe->request)
        r = client_take(probe->client, &probe->request);
    if (r == CLIENT_NOT_READY || r == CLIENT_NO_SLOT)
        return 0; /* its WELCOME is on the way; or the slot of one that was given up is not back yet */
    if (probe->request->state != REQUEST_TAKEN)
        return 0;
    r = request_reserve(probe->request, probe_bytes(probe), true);
    if (r == CLIENT_NOT_GRANTED) {
        set_health(host, false, 0, probe->request->text);
        request_release(TAKE(probe->request));
        return 0;
    }
    if (r != 0)
        return r < 0 ? r : 0;
    fill(probe, probe->request->segment.map);
    probe->request->payload_bytes = probe_bytes(probe);
    probe->sent_ns = clock_now_ns();
    probe->request->deadline_ns = probe->sent_ns + host->patience.probe_ns;
    return request_send(probe->request);
}

/*
 * The probe's own connection has failed, for want of something that may be there by now. Once in a tick: the
 * next one sees what came of it.
 */
static int begin_again(Host *host) {
    const char *text = "";
    int r;

    if (host->probe.client)
        (void)client_refusal(host->probe.client, &text);
    set_health(host, false, 0, *text ? text : "the probe has no connection");
    host_probe_deinit(host);
    r = host_probe_init(host);
    if (r < 0)
        host_probe_deinit(host);
    host->probe.due = false;
    return r == -ENOMEM ? r : 0;
}

/* What the probe's client cannot do is no fault of the host's. */
static int give_up(Host *host, int r) {
    set_health(host, false, 0, strerror(-r));
    host_probe_deinit(host);
    return 0;
}

static bool has_failed(const HostProbe *probe) {
    ClientState state = probe->client ? client_state(probe->client) : CLIENT_LOST;

    return state == CLIENT_REFUSED || state == CLIENT_LOST;
}

int host_probe(Host *host) {
    HostProbe *probe = &host->probe;
    int r;

    if (host->n_workers == 0) {
        probe->due = false;
        if (probe->known) /* before the first worker has come there is nothing to complain of */
            set_health(host, false, 0, "no worker is attached");
        return 0;
    }
    if (host_refuses_uid(host, host->uid))
        return 0; /* its queue is nobody's for a while */
    if (has_failed(probe))
        return begin_again(host);
    if (probe->request && probe->request->state != REQUEST_TAKEN)
        return 0; /* one is on its way */
    probe->due = client_state(probe->client) == CLIENT_CONNECTING;
    r = advance(host);
    return r < 0 ? give_up(host, r) : 0;
}

static bool all_are_busy(const Host *host) {
    for (size_t i = 0; i < host->workers.n; i++) {
        const HostWorker *worker = table_at(&host->workers, i);

        if (worker->peer && !worker->leaving && worker->claimed_ns == 0)
            return false;
    }
    return host->workers.n > 0;
}

static void judge(Host *host) {
    HostProbe *probe = &host->probe;
    uint64_t now_ns = clock_now_ns(), took_ns = now_ns - probe->sent_ns;

    if (probe->request->end == SLOT_DONE && is_same(probe)) {
        set_health(host, true, took_ns, "a probe went to a worker and back");
    } else if (probe->request->end == SLOT_DONE) {
        set_health(host, false, took_ns, "a probe came back with other bytes than it went with");
    } else if (probe->request->end == SLOT_FAILED) {
        set_health(host, false, took_ns, reason_name(probe->request->reason));
    } else if (!host_refuses_uid(host, host->uid)) {
        host_ping_workers(host, now_ns);
        if (!all_are_busy(host))
            set_health(host, false, took_ns, "no worker has answered a probe in time");
    }
}

int host_probe_dispatch(Host *host) {
    HostProbe *probe = &host->probe;
    Request *request;
    int r = client_dispatch(probe->client);

    while (r == 0 && client_pop(probe->client, &request)) {
        judge(host);
        request_release(request);
        probe->request = NULL;
        probe->round++;
    }
    if (r == 0 && probe->request && probe->request->state == REQUEST_TAKEN)
        r = advance(host); /* the host's word on memory has come */
    if (r < 0)
        return give_up(host, r);
    return probe->due ? host_probe(host) : 0;
}
