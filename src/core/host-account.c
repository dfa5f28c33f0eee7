/* SPDX-License-Identifier: MIT */
#include "core/host-internal.h"

#include "base/error.h"
#include "base/units.h"
#include "os/limits.h"
#include "os/queue.h"
#include "os/watch.h"

#define PAST_NS (60 * NS_PER_SEC) /* that a death is remembered */

int host_get_account(Host *host, uid_t uid, HostAccount **ret) {
    HostAccount *account = table_find(&host->accounts, uid);
    int r;

    if (!account) {
        account = calloc(1, sizeof(*account));
        if (!account)
            return error_origin(-ENOMEM);
        account->uid = uid;
        r = table_insert(&host->accounts, uid, account);
        if (r < 0) {
            free(account);
            return r;
        }
    }
    *ret = account;
    return 0;
}

static bool has_a_past(HostAccount *account, uint64_t now_ns) {
    if (account->refused_until_ns > now_ns || account_has_spent(account, now_ns))
        return true;
    for (size_t i = 0; i < ACCOUNT_DEATHS; i++)
        if (account->deaths_ns[i] && account->deaths_ns[i] + PAST_NS > now_ns)
            return true;
    return false;
}

static void put(Host *host, HostAccount *account, uint64_t now_ns) {
    if (account->n_connections || account->n_clients || account->n_queues || account->memory_bytes ||
        has_a_past(account, now_ns))
        return;
    table_remove(&host->accounts, account->uid);
    free(account);
}

void host_put_account(Host *host, HostAccount *account) {
    if (account)
        put(host, account, clock_now_ns());
}

void host_reap_accounts(Host *host, uint64_t now_ns) {
    for (size_t i = host->accounts.n; i > 0; i--)
        put(host, table_at(&host->accounts, i - 1), now_ns);
}

static void uncharge(Host *host, HostCharge *charge) {
    HostAccount *account = charge->account;

    account->n_queues--;
    account->queue_bytes -= charge->bytes;
    account->n_flying -= charge->n_flying;
    if (charge->watch_id >= 0)
        table_remove(&host->charges, (uint64_t)charge->watch_id);
    free(charge);
    host_put_account(host, account);
}

/* The host ends, and with it what it knows. */
void host_free_accounts(Host *host) {
    while (host->charges.n > 0)
        uncharge(host, table_at(&host->charges, host->charges.n - 1));
    while (host->accounts.n > 0) {
        HostAccount *account = table_at(&host->accounts, host->accounts.n - 1);

        table_remove(&host->accounts, account->uid);
        free(account);
    }
    table_deinit(&host->charges);
    table_deinit(&host->accounts);
}

/* One that cannot be watched is charged all the same. */
static void watch_queue(Host *host, HostCharge *charge, int fd) {
    if (host->watch < 0 || watch_add(host->watch, fd, WATCH_GONE, &charge->watch_id) < 0)
        return;
    if (table_insert(&host->charges, (uint64_t)charge->watch_id, charge) < 0) {
        watch_remove(host->watch, charge->watch_id);
        charge->watch_id = -1;
    }
}

int host_charge(Host *host, HostAccount *account, int fd, HostCharge **ret) {
    HostCharge *charge = calloc(1, sizeof(*charge));
    uint32_t depth = 0;

    if (!charge)
        return error_origin(-ENOMEM);
    (void)queue_depth(fd, NULL, &depth, NULL);
    *charge = (HostCharge){
        .account = account, .bytes = queue_cost(depth, sizeof(Message)), .watch_id = -1, .held = true};
    watch_queue(host, charge, fd);
    account->n_queues++;
    account->queue_bytes += charge->bytes;
    *ret = charge;
    return 0;
}

void host_release_charge(Host *host, HostCharge *charge, int fd) {
    fd_close(fd);
    if (!charge)
        return;
    charge->held = false;
    if (charge->watch_id < 0)
        uncharge(host, charge);
}

/* More was told at once than the kernel keeps: what the host does not hold itself is taken for given back. */
static void lost_track(Host *host) {
    for (size_t i = host->charges.n; i > 0; i--) {
        HostCharge *charge = table_at(&host->charges, i - 1);

        if (!charge->held)
            uncharge(host, charge);
    }
}

void host_hear_watch(Host *host) {
    uint32_t events;
    int id;

    while (watch_next(host->watch, &id, &events)) {
        HostCharge *charge = events & WATCH_LOST ? NULL : table_find(&host->charges, (uint64_t)id);

        if (events & WATCH_LOST)
            lost_track(host);
        else if (charge)
            uncharge(host, charge);
    }
}
