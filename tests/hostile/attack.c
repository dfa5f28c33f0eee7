/* SPDX-License-Identifier: MIT */
/*
 * A client that means no good, to a host at $SHMIPC_SOCKET
 *
 * Usage: attack NAME
 *
 * Says "under way" as soon as it is so, goes on until standard input ends, and then says "rounds=N". Exit
 * status 0 if all came to what it must come to. `attack` alone lists the names.
 */
#include "attack.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#define HELPERS_MAX 8

Client *attacker;

static uint64_t n_rounds;
static uint64_t random_state;
static pid_t helpers[HELPERS_MAX];
static size_t n_helpers;

static const Attack *const tables[] = {memory_attacks, message_attacks, slot_attacks,   socket_attacks,
                                       hoard_attacks,  name_attacks,    handler_attacks};

/* ---- when ---- */

static bool input_has_ended(int timeout_ms) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

    return poll(&input, 1, timeout_ms) != 0;
}

bool attack_goes_on(void) {
    if (n_rounds++ == 0) {
        puts("under way");
        fflush(stdout);
    }
    return !input_has_ended(0);
}

void attack_rest(void) {
    (void)attack_goes_on();
    while (!input_has_ended(-1))
        ;
}

void attack_beside(void (*act)(void)) {
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid < 0 || n_helpers == HELPERS_MAX)
        err(EXIT_FAILURE, "fork");
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            act();
    }
    helpers[n_helpers++] = pid;
}

void attack_end_helpers(void) {
    while (n_helpers > 0) {
        (void)kill(helpers[--n_helpers], SIGKILL);
        (void)waitpid(helpers[n_helpers], NULL, 0);
    }
}

/* xorshift64* */
uint64_t attack_random(void) {
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * UINT64_C(2685821657736338717);
}

static void set_seed(void) {
    const char *seed = getenv("HOSTILE_SEED");

    random_state = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
    random_state = (random_state + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

/* ---- as a client of the library ---- */

void attack_turn(void) {
    uint64_t until_ns = clock_now_ns() + HANG_NS;

    if (client_wait(attacker, until_ns) < 0 || clock_now_ns() >= until_ns)
        errx(EXIT_FAILURE, "nothing happens any more");
}

void attack_join(void) {
    const char *why;
    int fd, r = channel_connect(getenv("SHMIPC_SOCKET"), &fd);

    if (r == 0)
        r = client_new(&attacker, fd, "attack");
    if (r < 0)
        errx(EXIT_FAILURE, "connecting: %s", strerror(-r));
    while (client_state(attacker) == CLIENT_CONNECTING)
        attack_turn();
    (void)client_refusal(attacker, &why);
    if (client_state(attacker) != CLIENT_READY)
        errx(EXIT_FAILURE, "not let in: %s", why);
}

void attack_leave(void) {
    attacker = client_free(attacker);
}

void attack_await_end_of_connection(void) {
    while (client_state(attacker) != CLIENT_LOST)
        attack_turn();
}

Request *attack_prepare(uint64_t bytes) {
    Request *request;
    int r;

    while ((r = client_take(attacker, &request)) == CLIENT_NO_SLOT)
        attack_turn();
    while (r == 0 && (r = request_reserve(request, bytes, false)) == CLIENT_PENDING) {
        attack_turn();
        r = 0;
    }
    if (r != 0)
        errx(EXIT_FAILURE, "no memory for a request: %s", r > 0 ? request->text : strerror(-r));
    memset(request->segment.map, 'h', bytes);
    request->payload_bytes = bytes;
    return request;
}

void attack_send_and_wait(Request *request) {
    if (request_send(request) < 0)
        errx(EXIT_FAILURE, "sending");
    while (request->state != REQUEST_ENDED) {
        attack_turn();
        if (client_state(attacker) != CLIENT_READY)
            errx(EXIT_FAILURE, "thrown out");
    }
}

void attack_be_honest(void) {
    Request *request = attack_prepare(MIB);

    attack_send_and_wait(request);
    if (request->end != SLOT_DONE || request->response_bytes != MIB)
        errx(EXIT_FAILURE, "an honest exchange ended in state %d: %s", (int)request->end,
             reason_name(request->reason));
    request_release(request);
}

/* ---- by hand ---- */

void attack_put(const void *message, size_t bytes, unsigned priority) {
    struct pollfd queue = {.fd = attacker->request_queue, .events = POLLOUT};
    int r;

    while ((r = queue_send(attacker->request_queue, message, bytes, priority)) == -EAGAIN)
        if (poll(&queue, 1, (int)(HANG_NS / NS_PER_MS)) == 0)
            errx(EXIT_FAILURE, "nobody takes messages any more");
    if (r < 0)
        errx(EXIT_FAILURE, "sending a message: %s", strerror(-r));
}

int raw_connect(void) {
    int fd, r = channel_connect(getenv("SHMIPC_SOCKET"), &fd);

    if (r < 0 && r != -EAGAIN)
        errx(EXIT_FAILURE, "connecting: %s", strerror(-r));
    return r < 0 ? -1 : fd;
}

void raw_hello(Packet *packet, PeerRole role) {
    packet_init_hello(packet, role, "attack");
}

int raw_send(int fd, const void *data, size_t bytes) {
    int r;

    while ((r = channel_send(fd, data, bytes, NULL, 0)) == -EAGAIN)
        if (wait_for_fd(fd, WAIT_WRITE, clock_now_ns() + HANG_NS) <= 0)
            errx(EXIT_FAILURE, "the host does not listen any more");
    if (r < 0 && r != -EPIPE)
        errx(EXIT_FAILURE, "sending a packet: %s", strerror(-r));
    return r;
}

int raw_receive(int fd, Packet *ret_packet, int fds[static CHANNEL_FDS_MAX], size_t *ret_n_fds) {
    size_t bytes;
    int r;

    while ((r = channel_receive(fd, ret_packet, sizeof(*ret_packet), &bytes, fds, ret_n_fds)) == -EAGAIN)
        if (wait_for_fd(fd, WAIT_READ, clock_now_ns() + HANG_NS) <= 0)
            errx(EXIT_FAILURE, "the host does not answer");
    if (r < 0 && r != -EPIPE)
        errx(EXIT_FAILURE, "hearing a packet: %s", strerror(-r));
    return r;
}

void raw_close_all(int *fds, size_t n_fds) {
    for (size_t i = 0; i < n_fds; i++)
        fds[i] = fd_close(fds[i]);
}

void raw_await_end(int fd) {
    int fds[CHANNEL_FDS_MAX];
    Packet packet;
    size_t n_fds;

    while (raw_receive(fd, &packet, fds, &n_fds) == 0)
        raw_close_all(fds, n_fds);
}

/* ---- */

static const Attack *find(const char *name) {
    for (size_t i = 0; i < ELEMENTS(tables); i++)
        for (const Attack *attack = tables[i]; attack->name; attack++) {
            if (!name)
                puts(attack->name);
            else if (strcmp(name, attack->name) == 0)
                return attack;
        }
    return NULL;
}

int main(int argc, char **argv) {
    const Attack *attack = find(argc == 2 ? argv[1] : NULL);

    if (!attack)
        errx(2, "name one attack");
    set_seed();
    attack->act();
    attack_end_helpers();
    attack_leave();
    printf("rounds=%llu\n", (unsigned long long)n_rounds);
    return EXIT_SUCCESS;
}
