/* SPDX-License-Identifier: MIT */
/*
 * Kills a party after each instruction of what it does, and sees what becomes of the others
 *
 * Usage: step [-b] [-n POINTS] [-o OPERATION [-k STEP]] [QUEUES]
 *
 * Each operation is walked through once, instruction by instruction, to see how long it is and where its
 * system calls and atomic instructions are. Then, at as many points as there is time for, a world is made
 * anew, the victim is killed there, and:
 *
 * - the others go on: a worker that comes now serves them, a client that comes now is served;
 * - each exchange of a client that lives ends once, as it may: answered with the right bytes, or, when a host
 *   was killed that nothing is kept for, with that one clear error; a handler has begun it once, and once
 *   more for each worker that died, at most;
 * - the host forgets whoever was killed, and stops well;
 * - then no memory, queue, file or descriptor is left, and after all of an operation's points the kernel
 *   gives as many bytes of queues as before.
 *
 * Half of the points are right before and right after system calls and atomic instructions, where something
 * becomes visible to others; the rest are anywhere, inside the C library too. A repeated string instruction
 * is one point.
 *
 *   -b  nobody else uses this user's bytes of queues: they are counted
 *   -n  points in all, shared by the operations; 0 for every instruction of each
 *   -o  only this operation
 *   -k  only this point of it
 *   QUEUES  where the namespace's queues are mounted
 */
#include "step.h"

#include "result.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <mqueue.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#define LARGE_BYTES   20000
#define SMALL_BYTES   300
#define FAULTS_MAX    5 /* of one operation: then the next */
#define N_PROBES_MAX  512
#define COME_BACK_MS  60000
#define POINTS_OF_ALL 0u

static Trail trail; /* of the operation at hand */
static const char *queues_folder;
static bool counts_bytes;

typedef struct Tally {
    Result *result;
    unsigned n_faults; /* in this operation */
} Tally;

static void fault(Tally *tally, uint64_t *count, const char *what, uint32_t at, uintptr_t address) {
    ++*count;
    tally->n_faults++;
    printf("# after %u instructions, at %#lx (step is at %#lx): %s\n", at, address,
           (unsigned long)(uintptr_t)step_kill & ~0xfffUL, what);
}

/* ---- what is left ---- */

static uint64_t n_entries(const char *folder) {
    DIR *directory = opendir(folder);
    uint64_t n = 0;

    while (directory && readdir(directory))
        n++;
    if (directory)
        closedir(directory);
    return n;
}

/* Memory and files of /dev/shm, names of queues, descriptors of this process. */
static uint64_t count_objects(void) {
    struct statvfs memory;

    if (statvfs("/dev/shm", &memory) < 0)
        err(EXIT_FAILURE, "/dev/shm");
    return (memory.f_blocks - memory.f_bfree) + (memory.f_files - memory.f_ffree) +
           n_entries("/proc/self/fd") + (queues_folder ? n_entries(queues_folder) : 0);
}

/* How many bytes of queues the kernel still gives to this user. */
static uint64_t free_queue_bytes(void) {
    mqd_t queues[N_PROBES_MAX];
    uint64_t bytes = 0;
    size_t n = 0;

    for (long size = 8192; counts_bytes && size >= 32; size /= 2)
        while (n < N_PROBES_MAX) {
            struct mq_attr attributes = {.mq_maxmsg = 10, .mq_msgsize = size};

            queues[n] = mq_open("/kills.probe", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attributes);
            if (queues[n] == (mqd_t)-1)
                break;
            mq_unlink("/kills.probe");
            bytes += (uint64_t)size * 10;
            n++;
        }
    while (n > 0)
        mq_close(queues[--n]);
    return bytes;
}

/*
 * Whether a count comes back to what it was. What a killed process had is given back by the kernel a little
 * later: descriptors that were under way in its sockets, for one.
 */
static bool comes_back(uint64_t (*count)(void), uint64_t wanted) {
    for (unsigned i = 0; count() != wanted; i++) {
        if (i == COME_BACK_MS)
            return false;
        (void)poll(NULL, 0, 1);
    }
    return true;
}

/* ---- after a kill ---- */

/* Whoever was killed by the scene itself. */
static void bury(World *world) {
    if (world->client_killed)
        world_kill(&world->clients[0]);
    if (world->worker_killed)
        world_kill(&world->workers[0]);
}

static bool replace_host(World *world) {
    if (world->host.pid > 0)
        return true;
    world->ledger->host_ready = 0;
    world->ledger->host_clients = 0;
    world_start(world, &world->host);
    world_command(&world->host, COMMAND_CONNECT, 0, 0);
    return world_await(world, &world->ledger->host_ready, 1);
}

/* A worker and a client that have seen nothing of it. Return: what does not go on, or NULL. */
static const char *go_on(World *world) {
    Party *first = &world->clients[0], *second = &world->clients[1];
    uint32_t n;

    if (!replace_host(world))
        return "no host can begin";
    world_start(world, &world->workers[1]);
    world_command(&world->workers[1], COMMAND_CONNECT, 0, 0);
    if (!world_await(world, &world->ledger->attached[1], 1))
        return "no worker can attach";
    if (first->pid > 0)
        world_ask(world, first, COMMAND_EXCHANGE, SMALL_BYTES);
    n = world->n_exchanges;
    for (uint32_t i = 0; i < n && first->pid > 0; i++)
        if (!world_await(world, &world->ledger->n_ended[i], 1))
            return "an exchange does not end";
    world_start(world, second);
    world_ask(world, second, COMMAND_EXCHANGE, SMALL_BYTES);
    world_ask(world, second, COMMAND_EXCHANGE, LARGE_BYTES);
    for (uint32_t i = n; i < world->n_exchanges; i++)
        if (!world_await(world, &world->ledger->n_ended[i], 1))
            return "another client's exchange does not end";
    n = 1 + (first->pid > 0);
    if (!world_await_equal(world, &world->ledger->host_clients, n) ||
        !world_await_equal(world, &world->ledger->host_records, n))
        return "the host does not forget a client that was killed";
    return NULL;
}

/* ---- one point ---- */

/* The last three exchanges came after the kill, when nothing was amiss any more. */
static bool may_fail(const World *world, const Operation *operation, uint32_t exchange, Outcome outcome) {
    if (exchange + 3 >= world->n_exchanges)
        return false;
    return (outcome == OUTCOME_HOST_LOST && operation->victim == PARTY_HOST && !operation->keeps) ||
           (outcome == OUTCOME_CANCELLED && operation->trigger == step_cancels);
}

static const char *judge_exchange(Tally *tally, const World *world, const Operation *operation, uint32_t i,
                                  uint64_t **ret_count) {
    const Ledger *ledger = world->ledger;
    bool worker_died = operation->victim == PARTY_WORKER || world->worker_killed;
    bool client_lives = world->clients[0].pid > 0 || i + 2 >= world->n_exchanges;

    *ret_count = &tally->result->n_doubled;
    if (ledger->n_ended[i] > 1)
        return "an exchange ended twice";
    if (ledger->n_runs[i] > (worker_died ? 2 : 1))
        return "a handler has begun an exchange too often";
    *ret_count = &tally->result->n_lost;
    if (!client_lives)
        return NULL;
    if (ledger->n_ended[i] == 0)
        return "an exchange has no end";
    if (ledger->outcome[i] == OUTCOME_RIGHT)
        return ledger->n_runs[i] ? NULL : "an exchange was answered by nobody";
    if (ledger->outcome[i] == OUTCOME_WRONG)
        *ret_count = &tally->result->n_wrong;
    else if (may_fail(world, operation, i, ledger->outcome[i])) {
        tally->result->n_failed++;
        return NULL;
    }
    return ledger->outcome[i] == OUTCOME_WRONG ? "an answer has wrong bytes" : "an exchange failed";
}

static const char *see_what_becomes(Tally *tally, World *world, const Operation *operation,
                                    uint64_t **ret_count) {
    const char *what;

    bury(world);
    *ret_count = &tally->result->n_lost;
    what = go_on(world);
    for (uint32_t i = 0; !what && i < world->n_exchanges; i++)
        what = judge_exchange(tally, world, operation, i, ret_count);
    tally->result->n_exchanges += world->n_exchanges;
    if (what && world->ledger->fault[0])
        printf("# a party says: %s\n", world->ledger->fault);
    return what;
}

static void kill_at(Tally *tally, const Operation *operation, uint32_t at) {
    uint64_t n_before = count_objects(), *count;
    uintptr_t address = 0;
    const char *what;
    World world;
    int r;

    world_begin(&world, operation->keeps);
    operation->prepare(&world);
    r = step_arm(step_victim(&world, operation), operation->function);
    if (r == 0) {
        operation->trigger(&world);
        r = step_kill(step_victim(&world, operation), operation->function, &trail, at, &address);
    }
    if (r != 0)
        errx(EXIT_FAILURE, "%s: the victim %s; %s", operation->name,
             r == STEP_DIED ? "ended by itself" : "hangs", world.ledger->fault);
    tally->result->n_points++;
    what = see_what_becomes(tally, &world, operation, &count);
    if (what)
        fault(tally, count, what, at, address);
    if (!world_end(&world))
        fault(tally, &tally->result->n_lost, "the host does not stop well", at, address);
    if (!comes_back(count_objects, n_before))
        fault(tally, &tally->result->n_left, "something is left", at, address);
}

/* ---- which points ---- */

static void walk_through(const Operation *operation) {
    World world;

    world_begin(&world, operation->keeps);
    operation->prepare(&world);
    if (step_arm(step_victim(&world, operation), operation->function) != 0)
        errx(EXIT_FAILURE, "%s: the victim cannot be traced", operation->name);
    operation->trigger(&world);
    if (step_through(step_victim(&world, operation), operation->function, &trail) != 0)
        errx(EXIT_FAILURE, "%s: the victim does not come by", operation->name);
    world_end(&world);
}

static uint32_t n_of_kind(StepKind kind) {
    uint32_t n = 0;

    for (uint32_t i = 0; i < trail.n; i++)
        n += trail.kinds[i] == kind;
    return n;
}

static bool is_hot(uint32_t at) {
    return (at < trail.n && trail.kinds[at] != STEP_PLAIN) || (at > 0 && trail.kinds[at - 1] != STEP_PLAIN);
}

/* Mark @n_wanted more points, of the hot ones only or of all. Return: how many there were. */
static uint32_t mark(bool *marked, uint32_t n_wanted, bool hot, uint64_t *random) {
    uint32_t candidates[STEPS_MAX + 1], n = 0, n_marked = 0;

    for (uint32_t i = 0; i <= trail.n; i++)
        if (!marked[i] && (!hot || is_hot(i)))
            candidates[n++] = i;
    while (n > 0 && n_marked < n_wanted) {
        uint32_t chosen = (uint32_t)(result_random(random) % n);

        marked[candidates[chosen]] = true;
        candidates[chosen] = candidates[--n];
        n_marked++;
    }
    return n_marked;
}

static void choose(bool *marked, uint32_t n_points, uint64_t *random) {
    uint32_t n_wanted = n_points == POINTS_OF_ALL || n_points > trail.n ? trail.n + 1 : n_points;

    memset(marked, 0, (trail.n + 1) * sizeof(*marked));
    n_wanted -= mark(marked, n_wanted / 2, true, random);
    mark(marked, n_wanted, false, random);
}

static bool try_operation(Result *result, const Operation *operation, size_t number, uint32_t n_points,
                          uint64_t *random) {
    static bool marked[STEPS_MAX + 1];
    uint64_t n_before = result->n_points, bytes_before = free_queue_bytes();
    Tally tally = {.result = result};

    walk_through(operation);
    choose(marked, n_points, random);
    for (uint32_t at = 0; at <= trail.n && tally.n_faults < FAULTS_MAX; at++)
        if (marked[at])
            kill_at(&tally, operation, at);
    if (!comes_back(free_queue_bytes, bytes_before))
        fault(&tally, &result->n_left, "bytes of queues are left", trail.n, 0);
    printf("%sok %zu - %s: killed at %" PRIu64 " points of %u instructions, with %u system calls and %u "
           "atomic ones\n",
           tally.n_faults ? "not " : "", number, operation->name, result->n_points - n_before, trail.n,
           n_of_kind(STEP_SYSTEM_CALL), n_of_kind(STEP_ATOMIC));
    fflush(stdout);
    return tally.n_faults == 0;
}

static bool try_point(Result *result, const Operation *operation, uint32_t at) {
    Tally tally = {.result = result};

    walk_through(operation);
    kill_at(&tally, operation, at);
    return tally.n_faults == 0;
}

int main(int n_arguments, char **arguments) {
    const char *only = NULL;
    long n_points = 300, point = -1;
    size_t number = 0;
    bool well = true;
    Result result;
    uint64_t random;
    int option;

    while ((option = getopt(n_arguments, arguments, "bn:o:k:")) != -1)
        if (option == 'b')
            counts_bytes = true;
        else if (option == 'n')
            n_points = atol(optarg);
        else if (option == 'o')
            only = optarg;
        else if (option == 'k')
            point = atol(optarg);
        else
            return 2;
    queues_folder = arguments[optind];
    result_begin(&result);
    random = result.seed;
    for (size_t i = 0; i < step_n_operations; i++) {
        const Operation *operation = &step_operations[i];
        uint32_t share = (uint32_t)(n_points / (long)(only ? 1 : step_n_operations));

        if (only && strcmp(only, operation->name) != 0)
            continue;
        if (point >= 0)
            well &= try_point(&result, operation, (uint32_t)point);
        else
            well &= try_operation(&result, operation, ++number, share, &random);
    }
    printf("1..%zu\n", number);
    return result_tell(&result, "kills-step") && well ? EXIT_SUCCESS : EXIT_FAILURE;
}
