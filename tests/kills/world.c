/* SPDX-License-Identifier: MIT */
#include "world.h"

#include "base/cleanup.h"
#include "base/units.h"
#include "os/channel.h"
#include "os/wait.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define HANG_NS (60 * NS_PER_SEC) /* what takes longer never comes */

World world_of_party;

uint8_t world_request_byte(uint32_t exchange, uint64_t at) {
    return (uint8_t)(exchange * 41 + at * 7 + (at >> 9));
}

uint8_t world_response_byte(uint8_t request_byte) {
    return request_byte ^ 0x5a;
}

/* ---- what parties say ---- */

static void ring(int bell_fd) {
    const uint64_t one = 1;

    if (write(bell_fd, &one, sizeof(one)) < 0)
        _exit(200);
}

void party_note(uint32_t *value, uint32_t number) {
    __atomic_store_n(value, number, __ATOMIC_SEQ_CST);
    ring(world_of_party.bell_fd);
}

void party_count(uint32_t *value) {
    __atomic_fetch_add(value, 1, __ATOMIC_SEQ_CST);
    ring(world_of_party.bell_fd);
}

void party_fault(const char *what, int error) {
    snprintf(world_of_party.ledger->fault, sizeof(world_of_party.ledger->fault), "%s: %s", what,
             strerror(-error));
    ring(world_of_party.bell_fd);
    _exit(201);
}

bool party_listen(int command_fd, Command *ret_command) {
    return read(command_fd, ret_command, sizeof(*ret_command)) == sizeof(*ret_command);
}

/* ---- processes ---- */

static Party party_of(PartyKind kind, unsigned number) {
    return (Party){.kind = kind, .number = number, .command_fd = -1};
}

void world_begin(World *world, bool keeps) {
    *world = (World){.host = party_of(PARTY_HOST, 0), .keeps = keeps, .store_fds = {-1, -1}};
    if (keeps && channel_pair(world->store_fds) < 0)
        errx(EXIT_FAILURE, "a store could not be made");
    for (unsigned i = 0; i < WORLD_WORKERS; i++)
        world->workers[i] = party_of(PARTY_WORKER, i);
    for (unsigned i = 0; i < WORLD_CLIENTS; i++)
        world->clients[i] = party_of(PARTY_CLIENT, i);
    strcpy(world->folder, "/tmp/shmipc-world-XXXXXX");
    if (!mkdtemp(world->folder))
        err(EXIT_FAILURE, "%s", world->folder);
    snprintf(world->path, sizeof(world->path), "%s/host.sock", world->folder);
    world->ledger =
        mmap(NULL, sizeof(*world->ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    world->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (world->ledger == MAP_FAILED || world->bell_fd < 0)
        err(EXIT_FAILURE, "a world could not be made");
}

/* ---- what is kept ---- */

static void let_go(World *world, const char *name) {
    for (unsigned i = world->n_kept; i > 0; i--)
        if (!name || strcmp(world->kept[i - 1].name, name) == 0) {
            close(world->kept[i - 1].fd);
            world->kept[i - 1] = world->kept[--world->n_kept];
        }
}

static void keep(World *world, const char *name, const int *fds, size_t n_fds) {
    for (size_t i = 0; i < n_fds; i++) {
        if (world->n_kept == KEPT_MAX)
            errx(EXIT_FAILURE, "more is kept than KEPT_MAX");
        snprintf(world->kept[world->n_kept].name, KEPT_NAME_MAX, "%s", name);
        world->kept[world->n_kept++].fd = fds[i];
    }
}

/* What hosts have said by now: "+NAME" with descriptors, or "-NAME". */
static void hear_hosts(World *world) {
    char text[KEPT_NAME_MAX + 1];
    int fds[CHANNEL_FDS_MAX];
    size_t bytes, n_fds;

    while (world->keeps && channel_receive(world->store_fds[0], text, sizeof(text), &bytes, fds, &n_fds) == 0)
        if (text[0] == '+')
            keep(world, text + 1, fds, n_fds);
        else
            let_go(world, text + 1);
}

/* What the watcher has open of the others, a party must not: their pipes' ends tell them when to end. */
static void forget_others(const World *world) {
    fd_close(world->host.command_fd);
    for (unsigned i = 0; i < WORLD_WORKERS; i++)
        fd_close(world->workers[i].command_fd);
    for (unsigned i = 0; i < WORLD_CLIENTS; i++)
        fd_close(world->clients[i].command_fd);
}

_Noreturn static void live(const Party *party, int command_fd) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    switch (party->kind) {
    case PARTY_HOST:
        host_life(party, command_fd);
    case PARTY_WORKER:
        worker_life(party, command_fd);
    case PARTY_CLIENT:
        client_life(party, command_fd);
    }
    abort();
}

void world_start(World *world, Party *party) {
    int fds[2];

    if (party->kind == PARTY_HOST)
        hear_hosts(world);
    if (pipe2(fds, O_CLOEXEC) < 0)
        err(EXIT_FAILURE, "pipe");
    fflush(NULL);
    party->pid = fork();
    if (party->pid < 0)
        err(EXIT_FAILURE, "fork");
    if (party->pid == 0) {
        close(fds[1]);
        forget_others(world);
        world_of_party = *world;
        if (party->kind != PARTY_HOST)
            let_go(world, NULL);
        live(party, fds[0]);
    }
    close(fds[0]);
    party->command_fd = fds[1];
}

void world_command(const Party *party, CommandKind kind, uint32_t exchange, uint64_t bytes) {
    const Command command = {.kind = kind, .exchange = exchange, .bytes = bytes};

    if (write(party->command_fd, &command, sizeof(command)) < 0 && errno != EPIPE)
        err(EXIT_FAILURE, "a command");
}

static int see_end(Party *party) {
    int status = 0;

    while (waitpid(party->pid, &status, __WALL) < 0 && errno == EINTR)
        ;
    party->command_fd = fd_close(party->command_fd);
    party->pid = 0;
    return status;
}

void world_kill(Party *party) {
    if (party->pid <= 0)
        return;
    kill(party->pid, SIGKILL);
    see_end(party);
}

static bool stop_host(Party *host) {
    int status;

    if (host->pid <= 0)
        return true;
    host->command_fd = fd_close(host->command_fd);
    status = see_end(host);
    return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}

bool world_end(World *world) {
    bool well;

    for (unsigned i = 0; i < WORLD_CLIENTS; i++)
        world_kill(&world->clients[i]);
    for (unsigned i = 0; i < WORLD_WORKERS; i++)
        world_kill(&world->workers[i]);
    well = stop_host(&world->host);
    let_go(world, NULL);
    fd_close(world->store_fds[0]);
    fd_close(world->store_fds[1]);
    munmap(world->ledger, sizeof(*world->ledger));
    close(world->bell_fd);
    return well && rmdir(world->folder) == 0; /* its socket must be gone */
}

/* ---- waiting ---- */

static uint32_t load(const uint32_t *value) {
    return __atomic_load_n(value, __ATOMIC_SEQ_CST);
}

/*
 * What the host wants kept or let go of is heard meanwhile: a client's socket that nobody keeps any more has
 * to hang up. Return: false if somebody complains, or at @until_ns: a host that does nothing rings, too.
 */
static bool await_bell(World *world, uint64_t until_ns) {
    struct pollfd fds[] = {
        {.fd = world->bell_fd, .events = POLLIN},
        {.fd = world->store_fds[0], .events = POLLIN},
    };
    uint64_t n, now_ns = clock_now_ns();
    int r;

    if (now_ns >= until_ns)
        return false;
    r = poll(fds, ELEMENTS(fds), (int)((until_ns - now_ns) / NS_PER_MS) + 1);
    if (r < 0 && errno != EINTR)
        return false;
    hear_hosts(world);
    if (r > 0 && fds[0].revents && read(world->bell_fd, &n, sizeof(n)) < 0)
        return false;
    return world->ledger->fault[0] == '\0';
}

bool world_await(World *world, const uint32_t *value, uint32_t wanted) {
    uint64_t until_ns = clock_now_ns() + HANG_NS;

    while (load(value) < wanted)
        if (!await_bell(world, until_ns))
            return load(value) >= wanted;
    return true;
}

bool world_await_equal(World *world, const uint32_t *value, uint32_t wanted) {
    uint64_t until_ns = clock_now_ns() + HANG_NS;

    while (load(value) != wanted)
        if (!await_bell(world, until_ns))
            return load(value) == wanted;
    return true;
}

uint32_t world_ask(World *world, const Party *client, CommandKind kind, uint64_t bytes) {
    uint32_t exchange = world->n_exchanges++;

    if (exchange >= WORLD_EXCHANGES)
        errx(EXIT_FAILURE, "more exchanges than WORLD_EXCHANGES");
    world_command(client, kind, exchange, bytes);
    return exchange;
}
