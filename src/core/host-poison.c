/* SPDX-License-Identifier: MIT */
/*
 * Poison: a user whose requests kill workers is refused for a while
 *
 * Workers that died within a minute while each handled requests of one user and of nobody else (a process
 * that is several workers counts as one): when they are as many as `max_deaths` says, this user's clients
 * are not let in for a minute, what they have submitted ends at once, and workers do not hear of their
 * queue. So whoever sends one such request after the other has the workers for a moment only, and all others
 * have them in between. Why a worker died cannot be told: one that an administrator kills at work counts,
 * too. Nobody is above it, root and the host's own user neither; the host's own probe waits until its user's
 * queue is back.
 */
#include "core/host-internal.h"

#include "base/units.h"
#include "os/queue.h"

#include <stdio.h>
#include <string.h>

bool host_refuses(const HostAccount *account) {
    return account->refused_until_ns != 0;
}

bool host_refuses_uid(const Host *host, uid_t uid) {
    const HostAccount *account = table_find(&host->accounts, uid);

    return account && host_refuses(account);
}

const char *host_refusal_text(const Host *host, const HostAccount *account,
                              char text[static REFUSED_TEXT_BYTES]) {
    uint64_t now_ns = clock_now_ns();
    uint64_t left_ns = account->refused_until_ns > now_ns ? account->refused_until_ns - now_ns : 0;

    snprintf(text, REFUSED_TEXT_BYTES,
             "requests of user %u have killed %u workers of host `%s` within a minute (`max_deaths`), so "
             "that no more are taken for another "
             "%u s; what they were: `shmipc parked list`",
             (unsigned)account->uid, host->settings->max_deaths, host->name,
             (unsigned)((left_ns + NS_PER_SEC - 1) / NS_PER_SEC));
    return text;
}

/* --- slots --- */

void host_refuse_slot(Host *host, HostClient *client, uint32_t slot) {
    char text[REFUSED_TEXT_BYTES];
    uint32_t generation;
    SlotClaim claim;

    if (host_end_wished(host, client, slot, clock_now_ns()) != SLOT_WAITING ||
        !slots_pending(client->submit.map, client->states.map, slot, &generation) ||
        !slots_claim(client->submit.map, client->states.map, slot, generation, SLOT_OWNER_ENDER,
                     clock_now_ns(), &claim))
        return; /* it has ended, or a worker was faster */
    claim.request.payload_bytes = 0; /* nobody has seen whether it is true: it is not counted */
    host_fail(host, client, slot, &claim, REASON_REFUSED, host_refusal_text(host, client->account, text));
    host_trace(host, client, slot, TRACE_FAILED, REASON_REFUSED, 0, 0);
}

static void refuse_all_slots(Host *host, const HostAccount *account) {
    for (size_t i = 0; i < host->clients.n; i++) {
        HostClient *client = table_at(&host->clients, i);

        for (uint32_t slot = 0; client->account == account && !client->probe && slot < client->n_slots;
             slot++)
            host_refuse_slot(host, client, slot);
    }
}

/*
 * Nobody else takes these messages now. One at a time, so that whoever sends many delays nobody; the host's
 * own probe is not refused, and is announced again afterwards.
 */
int host_drain_uid(Host *host, HostUid *uid) {
    HostClient *client;
    Message message;
    size_t bytes;
    int r = queue_receive(uid->queue, &message, sizeof(message), &bytes);

    if (r < 0)
        return r == -EAGAIN ? 0 : r;
    client = bytes == sizeof(message) ? table_find(&host->clients, message.client) : NULL;
    if (client && client->uid == uid && !client->probe && message.slot < client->n_slots)
        host_refuse_slot(host, client, message.slot);
    return 0;
}

/* --- the user --- */

static void watch_queue(Host *host, const HostAccount *account, uint32_t events) {
    HostUid *uid = table_find(&host->uids, account->uid);

    if (uid)
        (void)wait_modify(&uid->source, events);
}

static void begin(Host *host, HostAccount *account, uint64_t now_ns) {
    Event *event = event_push(&host->events, EVENT_USER_REFUSED);

    account->refused_until_ns = now_ns + host->patience.poison_ns;
    memset(account->deaths_ns, 0, sizeof(account->deaths_ns));
    if (account->refused_until_ns < host->refused_ns || host->refused_ns == 0)
        host->refused_ns = account->refused_until_ns;
    event->uid = account->uid;
    event->duration_ns = host->patience.poison_ns;
    host_sync_workers(host);
    watch_queue(host, account, WAIT_READ);
    refuse_all_slots(host, account);
}

void host_note_death(Host *host, HostAccount *account) {
    uint64_t now_ns = clock_now_ns(), *oldest = &account->deaths_ns[0];
    uint32_t n = 0;

    for (size_t i = 1; i < ACCOUNT_DEATHS; i++)
        oldest = account->deaths_ns[i] < *oldest ? &account->deaths_ns[i] : oldest;
    *oldest = now_ns;
    for (size_t i = 0; i < ACCOUNT_DEATHS; i++)
        n += account->deaths_ns[i] && now_ns - account->deaths_ns[i] < host->patience.poison_ns;
    if (host->settings->max_deaths && n >= host->settings->max_deaths)
        begin(host, account, now_ns);
}

/* What was not paid before is not owed: its exchanges have ended. Whatever came after that is announced. */
static void end(Host *host, HostAccount *account) {
    Event *event = event_push(&host->events, EVENT_USER_REFUSED);
    const HostUid *uid = table_find(&host->uids, account->uid);

    account->refused_until_ns = 0;
    host->probe.due = host->probe.due || account->uid == host->uid;
    event->uid = account->uid;
    event->ok = true;
    watch_queue(host, account, uid && uid->n_owed ? WAIT_WRITE : 0);
}

void host_end_refusals(Host *host, uint64_t now_ns) {
    host->refused_ns = 0;
    for (size_t i = 0; i < host->accounts.n; i++) {
        HostAccount *account = table_at(&host->accounts, i);

        if (host_refuses(account) && account->refused_until_ns <= now_ns)
            end(host, account);
        else if (host_refuses(account) &&
                 (host->refused_ns == 0 || account->refused_until_ns < host->refused_ns))
            host->refused_ns = account->refused_until_ns;
    }
    host_sync_workers(host);
    host_repeat(host);
}
