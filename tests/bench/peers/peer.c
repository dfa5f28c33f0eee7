/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include "base/histogram.h"

#include <err.h>
#include <getopt.h>
#include <grp.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define N_SERVERS_MAX 16

typedef uint64_t Word __attribute__((may_alias, aligned(1)));
typedef uint64_t Vector __attribute__((may_alias, aligned(1), vector_size(32)));

static Histogram histogram;
static pid_t servers[N_SERVERS_MAX];

uint64_t peer_now_ns(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/*
 * Reading the clock takes as long as a small exchange; the processor's own counter is read in a third of
 * that. It runs at the same pace on all processors where systems use it as their clock: all of today's.
 */
static uint64_t ticks(void) {
#if defined __x86_64__
    return __builtin_ia32_rdtsc();
#else
    return peer_now_ns();
#endif
}

static double ns_per_tick;

static void find_pace(void) {
    uint64_t begin_ns = peer_now_ns(), begin = ticks(), now_ns;

    do
        now_ns = peer_now_ns();
    while (now_ns < begin_ns + 10000000);
    ns_per_tick = (double)(now_ns - begin_ns) / (double)(ticks() - begin);
}

static uint64_t ticks_of_ms(uint64_t ms) {
    return (uint64_t)((double)ms * 1e6 / ns_per_tick);
}

/* --- payloads --- */

uint64_t peer_touched(const Task *task) {
    return task->touch && task->touch < task->bytes ? task->touch : task->bytes;
}

uint64_t peer_response_bytes(const Task *task) {
    return peer_touched(task);
}

void peer_write(void *memory, uint64_t bytes, unsigned char value) {
    memset(memory, value, bytes);
}

/*
 * The sum of whole words is enough to tell: they are read as fast as memory gives them, with the widest
 * registers there are.
 */
#if defined __x86_64__ && defined __GNUC__ && !defined __clang__
__attribute__((target_clones("avx2", "default")))
#endif
static uint64_t
sum_many(const unsigned char *data, uint64_t bytes) {
    Vector sums[8] = {{0}};
    uint64_t at = 0, all = 0;

    for (; at + sizeof(sums) <= bytes; at += sizeof(sums))
        for (unsigned k = 0; k < 8; k++)
            sums[k] += *(const Vector *)(data + at + k * sizeof(Vector));
    for (; at < bytes; at += sizeof(Word))
        all += *(const Word *)(data + at);
    for (unsigned k = 0; k < 8; k++)
        all += sums[k][0] + sums[k][1] + sums[k][2] + sums[k][3];
    return all;
}

static uint64_t sum(const unsigned char *data, uint64_t n_words) {
    uint64_t all = 0;

    if (n_words > 64)
        return sum_many(data, n_words * sizeof(Word));
    for (uint64_t i = 0; i < n_words; i++)
        all += ((const Word *)data)[i];
    return all;
}

unsigned char peer_read(const void *memory, uint64_t bytes) {
    const unsigned char *data = memory;
    uint64_t n = bytes / sizeof(Word);

    if (bytes == 0)
        return 0;
    if (sum(memory, n) != n * (data[0] * UINT64_C(0x0101010101010101)))
        errx(EXIT_FAILURE, "a payload arrived that is not what was sent");
    for (uint64_t i = n * sizeof(Word); i < bytes; i++)
        if (data[i] != data[0])
            errx(EXIT_FAILURE, "the end of a payload is not what was sent");
    return data[0];
}

static void burn(uint64_t us) {
    uint64_t until_ns = peer_now_ns() + us * 1000;

    while (peer_now_ns() < until_ns)
        ;
}

void peer_answer(const Task *task, const void *request, void *response) {
    unsigned char value = peer_read(request, peer_touched(task));

    if (task->burn_us)
        burn(task->burn_us);
    peer_write(response, peer_response_bytes(task), (unsigned char)(value + 1));
}

/* --- exchanges --- */

static void begin(const Peer *peer, const Task *task, uint32_t slot, unsigned char value) {
    peer_write(peer->begin(slot), peer_touched(task), value);
}

static void check(const Task *task, const void *response) {
    (void)peer_read(response, peer_response_bytes(task));
}

static void rest(const Task *task) {
    if (task->gap_us)
        usleep((useconds_t)task->gap_us);
}

static void record(uint64_t *begun, uint64_t *n) {
    uint64_t now = ticks();

    histogram_record(&histogram, (uint64_t)((double)(now - *begun) * ns_per_tick));
    *begun = now;
    (*n)++;
}

static uint64_t one_by_one(const Peer *peer, const Task *task, uint64_t until) {
    uint64_t n = 0, now = ticks();

    while (now < until) {
        const void *response;

        if (task->gap_us) {
            rest(task);
            now = ticks();
        }
        begin(peer, task, 0, (unsigned char)n);
        peer->send(0);
        response = peer->receive(0);
        check(task, response);
        if (*(const unsigned char *)response != (unsigned char)(n + 1))
            errx(EXIT_FAILURE, "the response to another request");
        peer->end(0);
        record(&now, &n);
    }
    return n;
}

static uint64_t in_batches(const Peer *peer, const Task *task, uint64_t until) {
    uint64_t n = 0, now = ticks();

    while (now < until) {
        if (task->gap_us) {
            rest(task);
            now = ticks();
        }
        for (uint32_t i = 0; i < task->n_in_flight; i++)
            begin(peer, task, i, (unsigned char)n);
        peer->call_many(task->n_in_flight);
        for (uint32_t i = 0; i < task->n_in_flight; i++) {
            check(task, peer->response(i));
            peer->end(i);
        }
        record(&now, &n);
        n += task->n_in_flight - 1;
    }
    return n;
}

/* The clock is read once for as many as are in flight: it takes as long as a small exchange. */
static uint64_t in_a_stream(const Peer *peer, const Task *task, uint64_t until) {
    uint64_t n = 0, now = ticks();

    for (uint32_t i = 0; i < task->n_in_flight; i++) {
        begin(peer, task, i, (unsigned char)i);
        peer->send(i);
    }
    while (now < until) {
        for (uint32_t i = 0; i < task->n_in_flight; i++) {
            check(task, peer->receive(i));
            peer->end(i);
            begin(peer, task, i, (unsigned char)n);
            peer->send(i);
        }
        record(&now, &n);
        n += task->n_in_flight - 1;
    }
    for (uint32_t i = 0; i < task->n_in_flight; i++) {
        (void)peer->receive(i);
        peer->end(i);
    }
    return n;
}

static uint64_t exchange(const Peer *peer, const Task *task, uint64_t ms) {
    uint64_t until = ticks() + ticks_of_ms(ms);

    if (peer->call_many)
        return in_batches(peer, task, until);
    return task->n_in_flight > 1 ? in_a_stream(peer, task, until) : one_by_one(peer, task, until);
}

static void measure(const Peer *peer, const Task *task) {
    uint64_t n, begin_ns, took_ns;

    exchange(peer, task, task->warm_ms);
    histogram_reset(&histogram);
    begin_ns = peer_now_ns();
    n = exchange(peer, task, task->ms);
    took_ns = peer_now_ns() - begin_ns;
    printf("n=%" PRIu64 " min_ns=%" PRIu64, n, histogram.min);
    printf(" p50_ns=%" PRIu64, histogram_quantile(&histogram, 0.5));
    printf(" p90_ns=%" PRIu64, histogram_quantile(&histogram, 0.9));
    printf(" p99_ns=%" PRIu64, histogram_quantile(&histogram, 0.99));
    printf(" p999_ns=%" PRIu64, histogram_quantile(&histogram, 0.999));
    printf(" max_ns=%" PRIu64 " requests_per_second=%.0f\n", histogram.max,
           (double)n * 1e9 / (double)took_ns);
}

/* --- processes --- */

static void pin(int cpu) {
    cpu_set_t set;

    if (cpu < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu % (size_t)sysconf(_SC_NPROCESSORS_ONLN), &set);
    if (sched_setaffinity(0, sizeof(set), &set) < 0)
        err(EXIT_FAILURE, "pinning to CPU %d", cpu);
}

/* Until seteuid(0), which is needed to stop servers that are root's. */
static void become(uint64_t uid) {
    if (uid && (setgroups(0, NULL) < 0 || setegid((gid_t)uid) < 0 || seteuid((uid_t)uid) < 0))
        err(EXIT_FAILURE, "becoming uid %" PRIu64, uid);
}

static void start_server(const Peer *peer, const Task *task, uint32_t i) {
    pid_t parent = getpid();

    servers[i] = fork();
    if (servers[i] < 0)
        err(EXIT_FAILURE, "fork");
    if (servers[i] > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    pin(task->server_cpu < 0 ? -1 : task->server_cpu + (int)i);
    peer->serve(task);
    _exit(EXIT_FAILURE);
}

static void stop_servers(const Task *task) {
    for (uint32_t i = 0; i < task->n_servers; i++) {
        kill(servers[i], SIGKILL);
        waitpid(servers[i], NULL, 0);
    }
}

static uint64_t number(const char *text) {
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;

    if (end == text || (*end && (!shift || end[1])))
        errx(2, "`%s` is no number", text);
    return value << shift;
}

static void set_option(Task *task, const char *name, const char *value) {
    if (!strcmp(name, "mode"))
        task->mode = value;
    else if (!strcmp(name, "size"))
        task->bytes = number(value);
    else if (!strcmp(name, "touch"))
        task->touch = number(value);
    else if (!strcmp(name, "in-flight"))
        task->n_in_flight = (uint32_t)number(value);
    else if (!strcmp(name, "servers"))
        task->n_servers = (uint32_t)number(value);
    else if (!strcmp(name, "ms"))
        task->ms = number(value);
    else if (!strcmp(name, "warm-ms"))
        task->warm_ms = number(value);
    else if (!strcmp(name, "gap-us"))
        task->gap_us = number(value);
    else if (!strcmp(name, "burn-us"))
        task->burn_us = number(value);
    else if (!strcmp(name, "uid"))
        task->uid = number(value);
    else if (sscanf(value, "%d,%d", &task->client_cpu, &task->server_cpu) != 2)
        errx(2, "--cpus takes two numbers: of the client's CPU and the server's");
}

static void parse(int argc, char **argv, const Peer *peer, Task *task) {
    static const struct option options[] = {
        {"mode", 1, NULL, 0},    {"size", 1, NULL, 0}, {"touch", 1, NULL, 0},   {"in-flight", 1, NULL, 0},
        {"servers", 1, NULL, 0}, {"ms", 1, NULL, 0},   {"warm-ms", 1, NULL, 0}, {"gap-us", 1, NULL, 0},
        {"burn-us", 1, NULL, 0}, {"cpus", 1, NULL, 0}, {"uid", 1, NULL, 0},     {0}};
    int option, index;

    while ((option = getopt_long(argc, argv, "", options, &index)) == 0)
        set_option(task, options[index].name, optarg);
    if (option != -1 || optind != argc)
        errx(2,
             "usage: %s [--mode %s] [--size BYTES] [--touch BYTES] [--in-flight N] [--servers N] [--ms N] "
             "[--warm-ms N] [--gap-us N] [--burn-us N] [--cpus CLIENT,SERVER] [--uid CLIENT]",
             peer->name, peer->modes ? peer->modes : "-");
    if (task->bytes == 0 || task->n_in_flight == 0 || task->n_servers > N_SERVERS_MAX)
        errx(2, "at least one byte, one request in flight, and at most %d servers", N_SERVERS_MAX);
}

int peer_main(int argc, char **argv, const Peer *peer) {
    Task task = {
        .bytes = 64, .n_in_flight = 1, .ms = 200, .warm_ms = 50, .n_servers = 1, .server_cpu = 1, .mode = ""};

    parse(argc, argv, peer, &task);
    find_pace();
    if (peer->open)
        peer->open(&task);
    for (uint32_t i = 0; i < task.n_servers; i++)
        start_server(peer, &task, i);
    pin(task.client_cpu);
    become(task.uid);
    peer->connect(&task);
    measure(peer, &task);
    if (peer->close)
        peer->close();
    if (task.uid && seteuid(0) < 0)
        err(EXIT_FAILURE, "becoming root again");
    stop_servers(&task);
    return EXIT_SUCCESS;
}
