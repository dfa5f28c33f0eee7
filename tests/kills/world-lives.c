/* SPDX-License-Identifier: MIT */
/* What the parties of a world do; functions that can be stepped through are not static, and not inlined. */
#include "world-lives.h"

#include "base/units.h"
#include "core/host-internal.h"
#include "core/worker-internal.h"
#include "os/channel.h"
#include "os/wait.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

/* ---- the host ---- */

#define MIB (UINT64_C(1) << 20)

static uid_t everybody[1];

static const HostSettings host_settings = {
    .max_payload = 4 * MIB,
    .memory = 64 * MIB,
    .max_clients = 8,
    .requests_per_client = 2,
    .queue_depth = 4,
    .attempts = 2,
    .access = {.uids = everybody, .n_uids = 1},
    .workers = {.uids = everybody, .n_uids = 1},
    .trusted = {.uids = everybody, .n_uids = 1},
};

/* Of clients, gone ones with them; its own probe does not count. */
static uint32_t n_records(const Host *host) {
    uint32_t n = 0;

    for (size_t i = 0; i < host->clients.n; i++)
        n += !((const HostClient *)table_at(&host->clients, i))->probe;
    return n;
}

static void note_host(const Host *host) {
    Ledger *ledger = world_of_party.ledger;

    ledger->host_records = n_records(host);
    party_note(&ledger->host_clients, host->n_clients);
}

static int say_to_keeper(char what, const char *name, const int *fds, size_t n_fds) {
    char text[KEPT_NAME_MAX + 1] = {what};

    snprintf(text + 1, sizeof(text) - 1, "%s", name);
    return channel_send(world_of_party.store_fds[1], text, sizeof(text), fds, n_fds);
}

static int store(void *data, const char *name, const int *fds, size_t n_fds) {
    return say_to_keeper('+', name, fds, n_fds);
}

static void drop(void *data, const char *name) {
    (void)say_to_keeper('-', name, NULL, 0);
}

static int take_up(Host *host) {
    static const HostKeeper keeper = {.store = store, .drop = drop};
    HostKept kept[KEPT_MAX];

    for (unsigned i = 0; i < world_of_party.n_kept; i++)
        kept[i] = (HostKept){.name = world_of_party.kept[i].name, .fd = world_of_party.kept[i].fd};
    return host_keep(host, &keeper, kept, world_of_party.n_kept);
}

void life_begin_host(Host **ret_host) {
    int r = host_new(ret_host, "world", &host_settings);

    if (r == 0 && world_of_party.keeps)
        r = take_up(*ret_host);
    if (r == 0)
        r = host_listen(*ret_host, world_of_party.path);
    if (r < 0)
        party_fault("the host could not begin", r);
}

static void turn_host(Host *host) {
    Event event;
    int r = host_wait(host, 0);

    if (r < 0)
        party_fault("the host could not go on", r);
    while (host_pop_event(host, &event))
        if (event.kind == EVENT_PEER_MISBEHAVED)
            party_fault(event.text, -EBADMSG);
    note_host(host);
}

void host_life(const Party *self, int command_fd) {
    Command command;
    Host *host = NULL;

    everybody[0] = geteuid();
    if (party_listen(command_fd, &command)) {
        struct pollfd fds[] = {{.events = POLLIN}, {.fd = command_fd, .events = POLLIN}};

        life_begin_host(&host);
        party_note(&world_of_party.ledger->host_ready, 1);
        fds[0].fd = host_get_fd(host);
        while (fds[1].revents == 0) {
            (void)poll(fds, ELEMENTS(fds), -1);
            if (fds[0].revents)
                turn_host(host);
        }
    }
    host_free(host);
    exit(EXIT_SUCCESS);
}

/* ---- workers ---- */

static void respond(Exchange *exchange) {
    const uint8_t *request = exchange->request;
    uint8_t *response;
    int r = exchange_reserve(exchange, exchange->request_bytes);

    if (r != 0) {
        exchange_fail(exchange, r > 0 ? (Reason)r : REASON_HANDLER_FAILED, 0, "no room for the response");
        return;
    }
    response = exchange->response->map;
    for (uint64_t i = 0; i < exchange->request_bytes; i++)
        response[i] = world_response_byte(request[i]);
    exchange->response_bytes = exchange->request_bytes;
}

static void handle(const Party *self, Exchange *exchange) {
    Ledger *ledger = world_of_party.ledger;
    uint32_t number;
    int r;

    memcpy(&number, exchange->user, sizeof(number));
    party_count(&ledger->n_runs[number]);
    if (ledger->hold) {
        party_note(&ledger->holding, 1);
        for (;;)
            pause();
    }
    respond(exchange);
    r = worker_end(exchange);
    if (r < 0)
        party_fault("a worker could not reply", r);
}

static void turn_worker(Worker *worker) {
    Event event;
    int r = worker_wait(worker, UINT64_MAX);

    if (r < 0)
        party_fault("a worker could not go on", r);
    while (worker_pop_event(worker, &event))
        if (event.kind == EVENT_HOST_REFUSED)
            party_fault(event.text, -EACCES);
}

void life_attach_worker(Worker *worker) {
    while (worker_state(worker) != WORKER_ATTACHED)
        turn_worker(worker);
}

static bool is_told(int command_fd) {
    struct pollfd pollfd = {.fd = command_fd, .events = POLLIN};

    return poll(&pollfd, 1, 0) > 0;
}

void worker_life(const Party *self, int command_fd) {
    const WorkerSettings settings = {.serves = (char *)"world", .timeout_ns = 100 * NS_PER_SEC};
    uint32_t *attached = &world_of_party.ledger->attached[self->number];
    Command command;
    Worker *worker;
    int r = worker_new(&worker, "worker", world_of_party.path, &settings, NULL);

    if (r == 0)
        r = worker_watch(worker, command_fd);
    if (r < 0)
        party_fault("a worker could not begin", r);
    if (!party_listen(command_fd, &command))
        exit(EXIT_SUCCESS);
    life_attach_worker(worker);
    party_note(attached, 1);
    while (!is_told(command_fd)) {
        Exchange *exchange;

        turn_worker(worker);
        if (worker_pop(worker, &exchange))
            handle(self, exchange);
    }
    worker_stop(worker);
    party_note(attached, 0);
    worker_free(worker);
    exit(EXIT_SUCCESS);
}

/* ---- clients ---- */

static void wait_for_host(Client *client) {
    int r = client_wait(client, UINT64_MAX);

    if (r < 0)
        party_fault("a client could not wait", r);
}

void life_connect(Client **client) {
    while (!*client || client_state(*client) != CLIENT_READY) {
        int fd;

        *client = client_free(*client);
        if (channel_connect(world_of_party.path, &fd) < 0) {
            (void)poll(NULL, 0, 1); /* the host is not there, or not yet */
            continue;
        }
        if (client_new(client, fd, "client") < 0)
            continue;
        while (client_state(*client) == CLIENT_CONNECTING)
            wait_for_host(*client);
    }
}

/* A request with room for so much, or NULL if the host went away. */
Request *life_take(Client *client, uint64_t bytes) {
    Request *request;
    int r = client_take(client, &request);

    if (r != 0)
        return NULL;
    while ((r = request_reserve(request, bytes, true)) == CLIENT_PENDING)
        wait_for_host(client);
    if (r == 0)
        return request;
    if (r < 0 || request->reason != REASON_HOST_LOST)
        party_fault(r < 0 ? "a client got no memory" : request->text, r < 0 ? r : -ENOMEM);
    request_release(request);
    return NULL;
}

void life_await_answer(Client *client, Request *request) {
    Request *ended;

    while (request->state != REQUEST_ENDED)
        wait_for_host(client);
    if (!client_pop(client, &ended) || ended != request)
        party_fault("another request ended", -EPROTO);
}

static bool is_right(const Request *request, uint32_t exchange) {
    const uint8_t *response = request->response.map;

    if (request->response_bytes != request->payload_bytes)
        return false;
    for (uint64_t i = 0; i < request->response_bytes; i++)
        if (response[i] != world_response_byte(world_request_byte(exchange, i)))
            return false;
    return true;
}

static Outcome judge(const Request *request, uint32_t exchange) {
    switch ((int)request->end) {
    case SLOT_DONE:
        return is_right(request, exchange) ? OUTCOME_RIGHT : OUTCOME_WRONG;
    case SLOT_CANCELLED:
        return OUTCOME_CANCELLED;
    case SLOT_FAILED:
        return request->reason == REASON_HOST_LOST ? OUTCOME_HOST_LOST : OUTCOME_OTHER;
    default:
        return OUTCOME_OTHER;
    }
}

static void note_end(uint32_t exchange, Outcome outcome) {
    Ledger *ledger = world_of_party.ledger;

    ledger->outcome[exchange] = outcome;
    party_count(&ledger->n_ended[exchange]);
}

static void send_one(Request *request, const Command *command) {
    uint8_t *data = request->segment.map;
    int r;

    for (uint64_t i = 0; i < command->bytes; i++)
        data[i] = world_request_byte(command->exchange, i);
    request->payload_bytes = command->bytes;
    memcpy(request->user, &command->exchange, sizeof(command->exchange));
    r = request_send(request);
    if (r == 0 && command->kind == COMMAND_CANCEL)
        r = request_cancel(request);
    if (r < 0)
        party_fault("a client could not send", r);
}

static void exchange_one(Client **client, const Command *command) {
    Request *request;

    if (*client && client_dispatch(*client) < 0) /* a host that has gone meanwhile costs no exchange */
        party_fault("a client could not look", -EIO);
    life_connect(client);
    request = life_take(*client, command->bytes);
    if (!request) {
        note_end(command->exchange, OUTCOME_HOST_LOST);
        return;
    }
    send_one(request, command);
    life_await_answer(*client, request);
    note_end(command->exchange, judge(request, command->exchange));
    request_release(request);
}

void client_life(const Party *self, int command_fd) {
    Ledger *ledger = world_of_party.ledger;
    Client *client = NULL;
    Command command;

    while (party_listen(command_fd, &command))
        switch ((CommandKind)command.kind) {
        case COMMAND_CONNECT:
            life_connect(&client);
            party_note(&ledger->connected[self->number], 1);
            break;
        case COMMAND_EXCHANGE:
        case COMMAND_CANCEL:
            exchange_one(&client, &command);
            break;
        case COMMAND_LEAVE:
            client = client_free(client);
            party_count(&ledger->n_left[self->number]);
            break;
        }
    exit(EXIT_SUCCESS);
}
