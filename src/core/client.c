/* SPDX-License-Identifier: MIT */
/*
 * The connection: who the client is, what it was given, and what the host says. Requests are in
 * client-request.c.
 */
#include "base/error.h"
#include "core/client-internal.h"
#include "os/channel.h"
#include "os/queue.h"
#include "wire/message.h"

#include <errno.h>
#include <string.h>

#define IN_A_ROW     16u  /* as client_wait() */
#define IN_A_ROW_MAX 256u /* likewise, where they take microseconds in all */

enum { SOURCE_CHANNEL, SOURCE_REPLIES, SOURCE_REQUESTS };

static void client_lose(Client *client) {
    if (client->state == CLIENT_LOST)
        return;
    if (client->state != CLIENT_REFUSED)
        client->state = CLIENT_LOST;
    wait_remove(&client->channel_source);
    wait_remove(&client->request_source);
    client->channel = fd_close(client->channel);
    client_end_all(client);
}

int client_say(Client *client, const Packet *packet) {
    int r = channel_send(client->channel, packet, packet->header.bytes, NULL, 0);

    if (r == -EPIPE || r == -ECONNRESET) {
        client_lose(client);
        return 0;
    }
    return r;
}

static int client_hello(Client *client, const char *name) {
    Packet packet;
    int r;

    packet_init_hello(&packet, PEER_CLIENT, name);
    r = channel_send(client->channel, &packet, packet.header.bytes, NULL, 0);
    return r == -EPIPE ? 0 : r; /* refused: why can still be read */
}

int client_new(Client **ret, int fd, const char *name) {
    _cleanup_(client_freep) Client *client = calloc(1, sizeof(*client));
    int r;

    if (!client) {
        fd_close(fd);
        return error_origin(-ENOMEM);
    }
    client->channel = fd;
    client->request_queue = client->reply_queue = client->requests_fd = client->responses_fd = -1;
    client->submit = client->states = (Page)PAGE_NULL;

    r = wait_new(&client->wait);
    if (r < 0)
        return r;
    r = wait_add(client->wait, &client->channel_source, fd, WAIT_READ, SOURCE_CHANNEL, client);
    if (r < 0)
        return r;
    r = client_hello(client, name);
    if (r < 0)
        return r;
    *ret = TAKE(client);
    return 0;
}

Client *client_free(Client *client) {
    if (!client)
        return NULL;
    for (uint32_t i = 0; client->requests && i < client->n_slots; i++) {
        segment_disconnect(&client->requests[i].segment);
        segment_disconnect(&client->requests[i].response);
    }
    free(client->requests);
    wait_remove(&client->channel_source);
    wait_remove(&client->request_source);
    wait_remove(&client->reply_source);
    page_deinit(&client->submit);
    page_deinit(&client->states);
    fd_close(client->request_queue);
    fd_close(client->reply_queue);
    fd_close(client->requests_fd);
    fd_close(client->responses_fd);
    fd_close(client->channel);
    wait_free(client->wait);
    free(client);
    return NULL;
}

/* Take the descriptors of WELCOME over, each where it belongs. */
static int client_take_fds(Client *client, int *fds) {
    size_t bytes = slots_page_bytes(client->n_slots);
    int r;

    client->request_queue = TAKE_FD(fds[WELCOME_REQUEST_QUEUE]);
    client->reply_queue = TAKE_FD(fds[WELCOME_REPLY_QUEUE]);
    client->requests_fd = TAKE_FD(fds[WELCOME_REQUESTS]);
    client->responses_fd = TAKE_FD(fds[WELCOME_RESPONSES]);
    r = page_init_connect(&client->submit, TAKE_FD(fds[WELCOME_SUBMIT]), bytes, true);
    if (r < 0)
        return r;
    r = page_init_connect(&client->states, TAKE_FD(fds[WELCOME_STATE]), bytes, false);
    if (r < 0)
        return r;
    if (!submit_page_is_valid(client->submit.map, client->n_slots) ||
        !state_page_is_valid(client->states.map, client->n_slots))
        return error_origin(-EBADMSG);
    r = wait_add(client->wait, &client->reply_source, client->reply_queue, WAIT_READ, SOURCE_REPLIES, client);
    if (r < 0)
        return r;
    return wait_add(client->wait, &client->request_source, client->request_queue, 0, SOURCE_REQUESTS, client);
}

static HugePages huge_pages_of(const PacketWelcome *welcome) {
    if (welcome->flags & WELCOME_HUGE_ALL)
        return HUGE_ALWAYS;
    return welcome->flags & WELCOME_HUGE ? HUGE_AUTO : HUGE_NEVER;
}

static int client_welcome(Client *client, const PacketWelcome *welcome, int *fds, size_t n_fds) {
    if (client->state != CLIENT_CONNECTING || n_fds != WELCOME_N_FDS || welcome->n_slots == 0 ||
        welcome->n_slots > SLOTS_MAX || welcome->stride == 0 || welcome->stride % PAGE_BYTES ||
        welcome->max_payload > welcome->stride || welcome->stride > (uint64_t)INT64_MAX / welcome->n_slots)
        return error_origin(-EBADMSG);

    client->id = welcome->id;
    client->max_payload = welcome->max_payload;
    client->stride = welcome->stride;
    client->n_workers = welcome->n_workers;
    client->requests = calloc(welcome->n_slots, sizeof(*client->requests));
    if (!client->requests)
        return error_origin(-ENOMEM);
    client->n_slots = welcome->n_slots;
    for (uint32_t i = 0; i < client->n_slots; i++) {
        Request *request = &client->requests[i];

        request->client = client;
        request->slot = i;
        segment_init(&request->segment, fds[WELCOME_REQUESTS], true, i * client->stride, client->stride);
        request->segment.huge = huge_pages_of(welcome);
        segment_init(&request->response, fds[WELCOME_RESPONSES], false, i * client->stride, client->stride);
    }
    client->state = CLIENT_READY;
    return client_take_fds(client, fds);
}

static int client_hear(Client *client, Packet *packet, int *fds, size_t n_fds) {
    switch (packet->header.type) {
    case PACKET_WELCOME:
        return client_welcome(client, &packet->welcome, fds, n_fds);
    case PACKET_REFUSED:
        client->refused = (Reason)packet->refused.code;
        text_copy(client->refused_text, sizeof(client->refused_text), packet->refused.text);
        /* One that was let in is hung up on next: it is lost, and may come again. */
        if (client->state == CLIENT_CONNECTING)
            client->state = CLIENT_REFUSED;
        return 0;
    case PACKET_RESERVED:
        client_granted(client, &packet->reserved);
        return 0;
    case PACKET_WORKERS:
        client->n_workers = packet->number.number;
        return 0;
    case PACKET_AGAIN:
        if (client->state == CLIENT_READY)
            return client_ask_again(client);
        client_lose(client); /* its WELCOME died with the host before: whoever connects again gets one */
        return 0;
    default:
        return error_origin(-EBADMSG); /* a worker's packet */
    }
}

/* One packet from the host. Return: 0, -EAGAIN when there is none, or negative errno. */
static int client_listen(Client *client) {
    int fds[CHANNEL_FDS_MAX];
    size_t bytes, n_fds;
    Packet packet;
    int r = channel_receive(client->channel, &packet, sizeof(packet), &bytes, fds, &n_fds);

    if (r == -EPIPE || r == -ECONNRESET) {
        client_lose(client);
        return -EAGAIN;
    }
    if (r < 0)
        return r;
    r = packet_check(&packet, bytes, n_fds, PEER_HOST) ? error_origin(-EBADMSG)
                                                       : client_hear(client, &packet, fds, n_fds);
    for (size_t i = 0; i < n_fds; i++)
        fd_close(fds[i]);
    return r;
}

/*
 * What came on the reply queue: the messages only woke us. There are no more than exchanges in flight, but
 * for those that are told of twice: these wake us once more.
 */
static int client_empty_queue(Client *client) {
    uint32_t n = client->n_in_flight;
    Message message;
    size_t bytes;
    int r;

    do
        r = queue_receive(client->reply_queue, &message, sizeof(message), &bytes);
    while (r == 0 && n-- > 1);
    return r;
}

/* What the host said, and what came on the reply queue. */
static int client_empty(Client *client, uint32_t kind, uint32_t events) {
    int r = 0;

    if (kind == SOURCE_CHANNEL && events & WAIT_WRITE)
        r = client_pay_host(client);
    if (kind == SOURCE_CHANNEL)
        while (r == 0 && client->channel >= 0)
            r = client_listen(client);
    else if (kind == SOURCE_REPLIES)
        r = client_empty_queue(client);
    return r == -EAGAIN ? 0 : r;
}

static int client_work(Client *client) {
    WaitSource *source;
    uint32_t events;
    int r;

    while ((source = wait_next(client->wait, &events))) {
        r = client_empty(client, source->kind, events);
        if (r < 0)
            return r;
    }
    if (wait_timer_expired(client->wait))
        client->timer_ns = 0;
    if (client->state != CLIENT_READY)
        return 0;
    r = client_look(client);
    if (r < 0)
        return r;
    r = client_pay(client);
    if (r < 0)
        return r;
    return client_watch_deadlines(client);
}

int client_dispatch(Client *client) {
    return client_wait(client, 0);
}

/*
 * Whether it is enough to have found something, and what else there is can wait: some rounds, more of them
 * until the coarse clock goes on, but no debt.
 */
static bool is_enough(Client *client) {
    if (client->n_in_a_row++ == 0)
        client->row_ns = client->served_ns;
    return client->n_in_a_row < (client->row_ns == client->served_ns ? IN_A_ROW_MAX : IN_A_ROW) &&
           (client->n_owed == 0 || client->skips);
}

int client_wait(Client *client, uint64_t until_ns) {
    int r = client_poll(client, until_ns);

    if (r < 0 || (r > 0 && is_enough(client)))
        return r < 0 ? r : 0;
    client->n_in_a_row = 0;
    if (r > 0)
        until_ns = 0;
    else if (client_stays_awake(client)) {
        until_ns = 0;
        r = client_settle(client);
    } else {
        r = client_rest(client);
        until_ns = r > 0 ? 0 : until_ns;
    }
    if (r >= 0)
        r = wait_poll(client->wait, until_ns);
    return r < 0 ? r : client_work(client);
}

/* Its timer is one that has expired; whoever looks then sets it for what else there is. */
int client_ring(Client *client) {
    if (!client->ended.first)
        return 0;
    client->timer_ns = 1;
    return wait_set_timer(client->wait, client->timer_ns);
}

bool client_is_quiet(const Client *client) {
    return client->state == CLIENT_READY && client->n_in_flight == 0 && client->n_owed == 0 &&
           wait_for_fd(client->channel, WAIT_READ, 0) == 0;
}

int client_get_fd(const Client *client) {
    return wait_get_fd(client->wait);
}

ClientState client_state(const Client *client) {
    return client->state;
}

Reason client_refusal(const Client *client, const char **ret_text) {
    *ret_text = client->refused_text;
    return client->refused;
}

void client_set_owner(Client *client, void *owner) {
    client->owner = owner;
}

void *client_get_owner(const Client *client) {
    return client->owner;
}

uint64_t client_id(const Client *client) {
    return client->id;
}

uint64_t client_max_payload(const Client *client) {
    return client->max_payload;
}

uint32_t client_n_slots(const Client *client) {
    return client->n_slots;
}

void client_abandon(Client *client) {
    wait_abandon(client->wait);
}

uint32_t client_n_workers(const Client *client) {
    return client->n_workers;
}
