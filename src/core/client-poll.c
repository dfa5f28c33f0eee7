/* SPDX-License-Identifier: MIT */
/*
 * Polling: looking at the slots in flight before sleeping (docs/protocol.md, section 5, "Polling")
 *
 * Only while a worker polls for this client, too: where that is switched off, nobody polls. While the client
 * is awake no reply message is sent to it. It stays awake until it is about to block: nobody else waits for
 * its descriptor meanwhile, or client_set_spin() has not been called.
 */
#include "core/client-internal.h"

#include "base/units.h"
#include "os/cpu.h"

#define SERVED_NS    (10 * NS_PER_MS) /* more than the coarse clock is late */
#define SEEN_NS      (50 * NS_PER_US) /* of those who are told: the next request follows at once */
#define OTHERS_EVERY 16u              /* looks */
#define BEHIND_MAX   4u

/*
 * The oldest, since a worker takes them as they were sent. Of many, one a little behind it: a look takes the
 * line from whoever is about to write the end there, and so it meets one exchange in some, not each of them.
 */
static Request *next_to_end(const Client *client) {
    uint32_t n = client->n_in_flight / 8;
    Request *request = client->in_flight.first;

    for (n = n < BEHIND_MAX ? n : BEHIND_MAX; n > 0; n--)
        request = request->next;
    return request;
}

/* Which to look at: now and then another, which several workers may have done before. */
static Request *choose(const Client *client, const Spin *spin, Request **other) {
    if (spin->n % OTHERS_EVERY != OTHERS_EVERY - 1)
        return next_to_end(client);
    *other = *other && (*other)->next ? (*other)->next : client->in_flight.first;
    return *other;
}

static bool is_polled(const Client *client) {
    return client->state == CLIENT_READY && state_poller(client->states.map) != 0;
}

static void wake_up(Client *client) {
    if (client->awake)
        return;
    client->awake = true;
    submit_set_awake(client->submit.map, true);
}

int client_poll(Client *client, uint64_t until_ns) {
    bool shares_cpu = client->last_cpu && client->last_cpu == cpu_current();
    Request *request, *other = NULL;
    bool found;
    Spin spin;

    if (client->spin_ns == 0 || client->n_in_flight == 0 || !is_polled(client))
        return 0;
    /* Who always looks does so for as long as others at a time, and sees in between what else there is. */
    if (client->spin_ns == SPIN_ALWAYS)
        (void)spin_begin(&spin, &(SpinPace){0}, SPIN_AUTO, client->last_bytes, shares_cpu);
    else if (!spin_begin(&spin, &client->pace, client->spin_ns, client->last_bytes, shares_cpu))
        return 0;
    wake_up(client);
    spin_cap(&spin, until_ns);
    do {
        request = choose(client, &spin, &other);
        found = request_shows_end(request);
    } while (!found && spin_once(&spin));
    spin_end(&client->pace, found);
    if (found) {
        int r = request_reap(request);

        client->served_ns = clock_coarse_ns();
        return r < 0 ? r : 1;
    }
    return 0;
}

bool client_was_served(const Client *client) {
    return (is_polled(client) && clock_coarse_ns() - client->served_ns < SERVED_NS) ||
           (client->seen_ns && clock_now_ns() - client->seen_ns < SEEN_NS);
}

bool client_stays_awake(const Client *client) {
    return client->spin_ns == SPIN_ALWAYS && client->n_in_flight > 0 && is_polled(client);
}

int client_settle(Client *client) {
    return client->skips && client->n_owed > 0 && client->state == CLIENT_READY ? client_pay(client) : 0;
}

int client_rest(Client *client) {
    uint32_t before = client->n_in_flight;
    int r = client_settle(client);

    if (r < 0 || !client->awake)
        return r;
    client->awake = false;
    submit_set_awake(client->submit.map, false);
    r = client_look(client);
    return r < 0 ? r : client->n_in_flight < before;
}

int client_set_spin(Client *client, uint64_t ns) {
    int r;

    client->spin_ns = ns;
    if (ns > 0 || client->state != CLIENT_READY)
        return 0;
    r = client_rest(client);
    /* What has ended was told by no message: the descriptor must be readable all the same. */
    return r > 0 ? wait_set_timer(client->wait, clock_now_ns()) : r;
}
