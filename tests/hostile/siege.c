/* SPDX-License-Identifier: MIT */
/*
 * A host under attack, and an honest client meanwhile
 *
 * Usage: siege [-w WINDOW_MS] [-b BEFORE_MS] [-k TURNS] [-h HONEST_UID] [-u ATTACKER_UID] [-n COPIES]
 *              [-a NAME] [-c] [-e BYTES] [-r] ATTACK
 *
 * The honest client, a process of another user, makes one exchange after the other, of sizes around the
 * boundaries of pages, and compares each answer byte for byte with what it sent; another one of that user
 * comes, makes one exchange, and goes, over and over. The first one's exchanges are counted while both are
 * alone, and beside the attack; in between, beside what the attacker's user may do without any harm, so that
 * what is lost to the attack itself can be told from what is lost to having company at all:
 *
 *   -e BYTES as many honest clients that do nothing but send payloads of that size, since a worker divides
 *            its time between users; or
 *   else     as many processes as there are CPUs that burn them, since the scheduler does.
 *
 * An attack has gone on for BEFORE_MS (0; later ones for half of it) when the window begins in which it
 * is measured: a host lets anybody have some of its time at once. The three take turns, TURNS (1) times;
 * what is told are the medians, of the rates and of the ratios of each turn, so that a machine that is
 * busier now than a moment ago changes little. With -c attackers and company have only CPUs that this
 * process may not use: then what the honest client loses is what the service does for them, and not what the
 * scheduler gives to any user's processes.
 *
 * No rate is judged. What is: every answer right; no exchange and no joining that hangs or is refused (-r: by
 * this attack new clients may be refused, in words); exchanges during the attack and after it; the attack
 * ends as it must. Prints one line, called NAME (ATTACK), and appends it to $RELIABILITY_RESULTS. Exit
 * status 0 if all is so.
 */
#include "base/units.h"
#include "core/client.h"
#include "os/channel.h"
#include "os/wait.h"

#include <err.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#define HANG_NS            (60 * NS_PER_SEC)
#define VISITS_MS          10 /* between two */
#define COPIES_MAX         16
#define TURNS_MAX          99

/* What a client tells; shared with it. */
typedef struct Tally {
    _Atomic uint64_t n_exchanges;
    _Atomic uint64_t n_joins;
    _Atomic uint64_t n_refused;
    _Atomic uint64_t slowest_ns;      /* exchange */
    _Atomic uint64_t slowest_join_ns;
    _Atomic bool stop;
} Tally;

typedef struct Attackers {
    pid_t pids[COPIES_MAX];
    unsigned n;
    int stop_fd; /* closed: the end */
    int said_fd;
    uint64_t since_ns;
} Attackers;

static struct {
    unsigned window_ms;
    unsigned before_ms;
    uid_t honest_uid;
    uid_t attacker_uid;
    unsigned n_copies;
    unsigned n_turns;
    bool by_exchanges;
    uint32_t payload_bytes; /* of these */
    bool may_refuse;
    bool own_cpus;
    const char *attack;
    const char *name;
} options = {.window_ms = 200, .n_copies = 1, .n_turns = 1};

enum { HONEST, VISITOR, NEIGHBOUR, N_TALLIES };

static Tally *tallies; /* of the honest clients, and of the attacker's honest neighbours */
static Tally *tally;   /* of this process */

/* ---- processes ---- */

static void become(uid_t uid) {
    if (uid != getuid() && (setgroups(0, NULL) < 0 || setgid(uid) < 0 || setuid(uid) < 0))
        err(EXIT_FAILURE, "becoming user %u", (unsigned)uid);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* Onto the CPUs that were not ours, if it is to be so. */
static void leave_cpus(void) {
    cpu_set_t cpus, others;

    if (!options.own_cpus)
        return;
    if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
        err(EXIT_FAILURE, "sched_getaffinity");
    CPU_ZERO(&others);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (!CPU_ISSET(i, &cpus))
            CPU_SET(i, &others);
    if (sched_setaffinity(0, sizeof(others), &others) < 0)
        err(EXIT_FAILURE, "there are no CPUs but those of this process");
}

static pid_t start(uid_t uid, void (*function)(void)) {
    pid_t pid = fork();

    if (pid < 0)
        err(EXIT_FAILURE, "fork");
    if (pid == 0) {
        become(uid);
        function();
        _exit(EXIT_SUCCESS);
    }
    return pid;
}

/* ---- the honest client ---- */

static Client *join(void) {
    Client *client;
    int fd, r = channel_connect_until(getenv("SHMIPC_SOCKET"), clock_now_ns() + HANG_NS, &fd);

    if (r == 0)
        r = client_new(&client, fd, "honest");
    if (r < 0)
        errx(EXIT_FAILURE, "honest: connecting: %s", strerror(-r));
    while (client_state(client) == CLIENT_CONNECTING) {
        uint64_t until_ns = clock_now_ns() + HANG_NS;

        if (client_wait(client, until_ns) < 0 || clock_now_ns() >= until_ns)
            errx(EXIT_FAILURE, "honest: not let in, and not refused");
    }
    if (client_state(client) == CLIENT_READY)
        return client;
    return client_free(client);
}

static uint64_t word_at(uint64_t number, uint64_t i) {
    uint64_t word = ((number << 24) + i + 1) * UINT64_C(0x9e3779b97f4a7c15);

    return word ^ word >> 29;
}

static void fill(uint8_t *data, uint64_t bytes, uint64_t number) {
    for (uint64_t at = 0; at < bytes; at += sizeof(uint64_t)) {
        uint64_t word = word_at(number, at);

        memcpy(data + at, &word, bytes - at < sizeof(word) ? bytes - at : sizeof(word));
    }
}

static bool fits(const uint8_t *data, uint64_t bytes, uint64_t number) {
    for (uint64_t at = 0; at < bytes; at += sizeof(uint64_t)) {
        uint64_t word = word_at(number, at);

        if (memcmp(data + at, &word, bytes - at < sizeof(word) ? bytes - at : sizeof(word)) != 0)
            return false;
    }
    return true;
}

static void wait_honestly(Client *client) {
    uint64_t until_ns = clock_now_ns() + HANG_NS;

    if (client_wait(client, until_ns) < 0 || clock_now_ns() >= until_ns)
        errx(EXIT_FAILURE, "honest: nothing happens any more");
}

static Request *prepare(Client *client, uint64_t bytes) {
    Request *request;
    int r = client_take(client, &request);

    while (r == 0 && (r = request_reserve(request, bytes, false)) == CLIENT_PENDING) {
        wait_honestly(client);
        r = 0;
    }
    if (r != 0)
        errx(EXIT_FAILURE, "honest: no memory: %s", r < 0 ? strerror(-r) : request->text);
    request->payload_bytes = bytes;
    return request;
}

static void note_time(_Atomic uint64_t *slowest_ns, uint64_t ns) {
    if (ns > atomic_load(slowest_ns))
        atomic_store(slowest_ns, ns);
}

static void exchange(Client *client, uint64_t number) {
    static const uint32_t sizes[] = {0, 1, 4095, 4096, 4097, 65536, 300001, 31};
    uint64_t bytes = sizes[number % ELEMENTS(sizes)];
    uint64_t since_ns = clock_now_ns();
    Request *request = prepare(client, bytes);

    fill(request->segment.map, bytes, number);
    if (request_send(request) < 0)
        errx(EXIT_FAILURE, "honest: sending");
    while (request->state != REQUEST_ENDED)
        wait_honestly(client);
    if (request->end != SLOT_DONE)
        errx(EXIT_FAILURE, "honest: exchange %" PRIu64 " ended in state %d: %s", number, (int)request->end,
             reason_name(request->reason));
    if (request->response_bytes != bytes || !fits(request->response.map, bytes, number))
        errx(EXIT_FAILURE, "honest: exchange %" PRIu64 " has brought wrong bytes", number);
    request_release(request);
    note_time(&tally->slowest_ns, clock_now_ns() - since_ns);
    atomic_fetch_add(&tally->n_exchanges, 1);
}

static void be_honest(void) {
    Client *client = join();

    if (!client)
        errx(EXIT_FAILURE, "honest: refused, before any attack");
    for (uint64_t number = 0; !atomic_load(&tally->stop); number++)
        exchange(client, number);
    client_free(client);
}

static void visit(uint64_t number) {
    uint64_t since_ns = clock_now_ns();
    Client *client = join();

    if (!client) {
        atomic_fetch_add(&tally->n_refused, 1);
        return;
    }
    note_time(&tally->slowest_join_ns, clock_now_ns() - since_ns);
    exchange(client, number);
    client_free(client);
    atomic_fetch_add(&tally->n_joins, 1);
}

static void be_visitor(void) {
    tally = tallies + VISITOR;
    for (uint64_t number = 0; !atomic_load(&tally->stop); number++) {
        visit(number);
        (void)poll(NULL, 0, VISITS_MS);
    }
}

/* ---- the attackers ---- */

static void be_neighbour(void) {
    leave_cpus();
    Client *client = join();

    tally = tallies + NEIGHBOUR;
    if (!client)
        errx(EXIT_FAILURE, "neighbour: refused");
    for (;;) {
        Request *request = prepare(client, options.payload_bytes);

        if (request_send(request) < 0)
            errx(EXIT_FAILURE, "neighbour: sending");
        while (request->state != REQUEST_ENDED)
            wait_honestly(client);
        request_release(request);
        atomic_fetch_add(&tally->n_exchanges, 1);
    }
}

static void burn(void) {
    leave_cpus();
    for (volatile uint64_t i = 0;; i = i + 1)
        ;
}

static void exec_attack(int stop_fd, int said_fd) {
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 16);
    char *slash;

    path[n > 0 ? n : 0] = '\0';
    slash = strrchr(path, '/');
    if (!slash || dup2(stop_fd, STDIN_FILENO) < 0 || dup2(said_fd, STDOUT_FILENO) < 0)
        err(EXIT_FAILURE, "starting the attack");
    strcpy(slash, "/attack");
    execl(path, path, options.attack, NULL);
    err(EXIT_FAILURE, "%s", path);
}

static void say_begin(Attackers *attackers) {
    struct pollfd said = {.fd = attackers->said_fd, .events = POLLIN};
    char text[256];

    for (unsigned n = 0; n < attackers->n; n++)
        if (poll(&said, 1, (int)(HANG_NS / NS_PER_MS)) <= 0 || read(attackers->said_fd, text, 10) != 10)
            errx(EXIT_FAILURE, "the attack does not begin");
}

static void attackers_start(Attackers *attackers) {
    int stop[2], said[2];

    if (pipe2(stop, O_CLOEXEC) < 0 || pipe2(said, O_CLOEXEC) < 0)
        err(EXIT_FAILURE, "pipe");
    attackers->since_ns = clock_now_ns();
    for (attackers->n = 0; attackers->n < options.n_copies; attackers->n++) {
        pid_t pid = fork();

        if (pid < 0)
            err(EXIT_FAILURE, "fork");
        if (pid == 0) {
            become(options.attacker_uid);
            leave_cpus();
            exec_attack(stop[0], said[1]);
        }
        attackers->pids[attackers->n] = pid;
    }
    close(stop[0]);
    close(said[1]);
    attackers->stop_fd = stop[1];
    attackers->said_fd = said[0];
    say_begin(attackers);
}

static bool has_ended(pid_t pid, int *ret_status, struct rusage *ret_usage) {
    uint64_t until_ns = clock_now_ns() + HANG_NS;
    pid_t r;

    while ((r = wait4(pid, ret_status, WNOHANG, ret_usage)) == 0 && clock_now_ns() < until_ns)
        (void)poll(NULL, 0, 1);
    return r == pid;
}

static uint64_t cpu_ns(const struct rusage *usage) {
    return (uint64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * NS_PER_SEC +
           (uint64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * NS_PER_US;
}

/* Return: which part of one CPU they have used. */
static double attackers_stop(Attackers *attackers) {
    uint64_t used_ns = 0;

    close(attackers->stop_fd);
    for (unsigned i = 0; i < attackers->n; i++) {
        struct rusage usage;
        int status;

        if (!has_ended(attackers->pids[i], &status, &usage))
            errx(EXIT_FAILURE, "the attack does not end");
        if (status != 0)
            errx(EXIT_FAILURE, "the attack has not come to what it must: status %#x", (unsigned)status);
        used_ns += cpu_ns(&usage);
    }
    return (double)used_ns / (double)(clock_now_ns() - attackers->since_ns);
}

static uint64_t n_rounds_of(const Attackers *attackers) {
    char text[4096], *at = text;
    ssize_t n = read(attackers->said_fd, text, sizeof(text) - 1);
    uint64_t n_rounds = 0;

    text[n > 0 ? n : 0] = '\0';
    while ((at = strstr(at, "rounds=")))
        n_rounds += strtoull(at += 7, NULL, 10);
    close(attackers->said_fd);
    return n_rounds;
}

/* ---- the siege ---- */

static pid_t honest[2];

static void check_honest(void) {
    int status;

    for (int i = HONEST; i <= VISITOR; i++)
        if (waitpid(honest[i], &status, WNOHANG) != 0)
            errx(EXIT_FAILURE, "an honest client has ended");
}

static uint64_t n_visits(void) {
    return atomic_load(&tallies[VISITOR].n_joins) + atomic_load(&tallies[VISITOR].n_refused);
}

/* A whole visit. */
static void await_visit(void) {
    uint64_t until_ns = clock_now_ns() + HANG_NS, first = n_visits();

    while (n_visits() - first < 2) {
        check_honest();
        if (clock_now_ns() >= until_ns)
            errx(EXIT_FAILURE, "nobody can join any more");
        (void)poll(NULL, 0, 1);
    }
}

static void await_exchanges(uint64_t n) {
    uint64_t until_ns = clock_now_ns() + HANG_NS, first = atomic_load(&tally->n_exchanges);

    while (atomic_load(&tally->n_exchanges) - first < n) {
        check_honest();
        if (clock_now_ns() >= until_ns)
            errx(EXIT_FAILURE, "the honest client makes no exchanges any more");
        (void)poll(NULL, 0, 1);
    }
}

/* Exchanges of the honest client in a second, as it is now. */
static double rate(void) {
    uint64_t since_ns = clock_now_ns(), first = atomic_load(&tally->n_exchanges);

    (void)poll(NULL, 0, (int)options.window_ms);
    check_honest();
    return (double)(atomic_load(&tally->n_exchanges) - first) * 1e9 / (double)(clock_now_ns() - since_ns);
}

/* Beside company that does no harm. */
static double rate_in_company(void) {
    unsigned n = options.by_exchanges ? options.n_copies : (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    pid_t company[COPIES_MAX];
    double result;

    n = n < COPIES_MAX ? n : COPIES_MAX;
    for (unsigned i = 0; i < n; i++)
        company[i] = start(options.attacker_uid, options.by_exchanges ? be_neighbour : burn);
    while (options.by_exchanges && atomic_load(&tallies[NEIGHBOUR].n_exchanges) == 0)
        await_exchanges(1);
    result = rate();
    for (unsigned i = 0; i < n; i++) {
        (void)kill(company[i], SIGKILL);
        (void)waitpid(company[i], NULL, 0);
    }
    return result;
}

static void end_honest(void) {
    uint64_t n_refused = atomic_load(&tallies[VISITOR].n_refused);
    struct rusage usage;
    int status;

    for (int i = HONEST; i <= VISITOR; i++) {
        atomic_store(&tallies[i].stop, true);
        if (!has_ended(honest[i], &status, &usage) || status != 0)
            errx(EXIT_FAILURE, "an honest client has not come to a good end");
    }
    if (!options.may_refuse && n_refused > 0)
        errx(EXIT_FAILURE, "an honest client was refused %" PRIu64 " times", n_refused);
}

/* What one turn has measured: rates, and parts of one CPU. */
typedef struct Turn {
    double alone;
    double company;
    double during;
    double of_alone;
    double of_company;
    double company_of_alone;
    double attack_cpu;
    double host_cpu;
    uint64_t n_rounds;
    uint64_t slowest_ns; /* of the exchanges beside the attack */
    uint64_t slowest_join_ns;
} Turn;

static int compare(const void *a, const void *b) {
    double first = *(const double *)a, second = *(const double *)b;

    return (first > second) - (first < second);
}

/* Of the numbers at this place of each turn. */
static double median(const Turn *turns, size_t offset) {
    double values[TURNS_MAX];

    for (unsigned i = 0; i < options.n_turns; i++)
        memcpy(values + i, (const char *)(turns + i) + offset, sizeof(*values));
    qsort(values, options.n_turns, sizeof(*values), compare);
    return (values[(options.n_turns - 1) / 2] + values[options.n_turns / 2]) / 2;
}

#define MEDIAN(turns, field) median(turns, offsetof(Turn, field))

static uint64_t larger(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static void report(const Turn *turns) {
    const char *path = getenv("RELIABILITY_RESULTS");
    uint64_t n_rounds = 0, slowest_ns = 0, slowest_join_ns = 0;
    char line[512];
    FILE *file;

    for (unsigned i = 0; i < options.n_turns; i++) {
        n_rounds += turns[i].n_rounds;
        slowest_ns = larger(slowest_ns, turns[i].slowest_ns);
        slowest_join_ns = larger(slowest_join_ns, turns[i].slowest_join_ns);
    }
    snprintf(line, sizeof(line),
             "hostile/%s\tuid=%u copies=%u turns=%u own_cpus=%s alone=%.0f/s company=%.0f/s attack=%.0f/s "
             "of_alone=%.0f%% of_company=%.0f%% company_of_alone=%.0f%% company_is=%s attack_cpu=%.0f%% "
             "host_cpu=%.0f%% rounds=%" PRIu64 " exchanges=%" PRIu64 " wrong=0 joins=%" PRIu64
             " refused=%" PRIu64 " slowest=%.1fms slowest_join=%.1fms",
             options.name, (unsigned)options.attacker_uid, options.n_copies, options.n_turns,
             options.own_cpus ? "yes" : "no", MEDIAN(turns, alone), MEDIAN(turns, company),
             MEDIAN(turns, during), 100 * MEDIAN(turns, of_alone), 100 * MEDIAN(turns, of_company),
             100 * MEDIAN(turns, company_of_alone), options.by_exchanges ? "client" : "busy",
             100 * MEDIAN(turns, attack_cpu), 100 * MEDIAN(turns, host_cpu), n_rounds,
             atomic_load(&tally->n_exchanges), atomic_load(&tallies[VISITOR].n_joins),
             atomic_load(&tallies[VISITOR].n_refused), (double)slowest_ns / 1e6,
             (double)slowest_join_ns / 1e6);
    puts(line);
    file = path && *path ? fopen(path, "ae") : NULL;
    if (file) {
        fprintf(file, "%s\n", line);
        fclose(file);
    }
}

/* CPU time of the host so far; 0 where it cannot be read. */
static uint64_t host_ns(void) {
    static char path[64];
    unsigned long long ns = 0;
    ChannelPeer host;
    FILE *file;
    int fd;

    if (!*path && channel_connect(getenv("SHMIPC_SOCKET"), &fd) == 0) {
        if (channel_peer(fd, &host) == 0) {
            snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)host.pid);
            channel_peer_deinit(&host);
        }
        fd_close(fd);
    }
    file = fopen(path, "re");
    if (file) {
        if (fscanf(file, "%llu", &ns) != 1)
            ns = 0;
        fclose(file);
    }
    return ns;
}

/* Beside the attack, which begins, and ends. */
static void measure_attack(Turn *turn, unsigned before_ms) {
    Attackers attackers;
    uint64_t before_ns;

    atomic_store(&tally->slowest_ns, 0);
    atomic_store(&tallies[VISITOR].slowest_join_ns, 0);
    attackers_start(&attackers);
    await_exchanges(5);
    (void)poll(NULL, 0, (int)before_ms);
    before_ns = host_ns();
    turn->during = rate();
    turn->host_cpu = (double)(host_ns() - before_ns) / ((double)options.window_ms * (double)NS_PER_MS);
    turn->attack_cpu = attackers_stop(&attackers);
    turn->n_rounds = n_rounds_of(&attackers);
    await_exchanges(5);
    await_visit();
    turn->slowest_ns = atomic_load(&tally->slowest_ns);
    turn->slowest_join_ns = atomic_load(&tallies[VISITOR].slowest_join_ns);
}

static void take_turn(Turn *turn, unsigned before_ms) {
    turn->alone = rate();
    turn->company = rate_in_company();
    measure_attack(turn, before_ms);
    turn->of_alone = turn->during / turn->alone;
    turn->of_company = turn->during / turn->company;
    turn->company_of_alone = turn->company / turn->alone;
}

static void besiege(void) {
    Turn turns[TURNS_MAX];

    honest[HONEST] = start(options.honest_uid, be_honest);
    honest[VISITOR] = start(options.honest_uid, be_visitor);
    await_exchanges(20);
    await_visit();
    for (unsigned i = 0; i < options.n_turns; i++)
        take_turn(turns + i, i > 0 ? options.before_ms / 2 : options.before_ms);
    end_honest();
    report(turns);
}

static int parse(int argc, char **argv) {
    int option;

    options.honest_uid = options.attacker_uid = getuid();
    while ((option = getopt(argc, argv, "w:b:k:h:u:n:a:ce:r")) >= 0) {
        if (option == 'w')
            options.window_ms = (unsigned)strtoul(optarg, NULL, 10);
        else if (option == 'b')
            options.before_ms = (unsigned)strtoul(optarg, NULL, 10);
        else if (option == 'k')
            options.n_turns = (unsigned)strtoul(optarg, NULL, 10);
        else if (option == 'h')
            options.honest_uid = (uid_t)strtoul(optarg, NULL, 10);
        else if (option == 'u')
            options.attacker_uid = (uid_t)strtoul(optarg, NULL, 10);
        else if (option == 'n')
            options.n_copies = (unsigned)strtoul(optarg, NULL, 10);
        else if (option == 'a')
            options.name = optarg;
        else if (option == 'c')
            options.own_cpus = true;
        else if (option == 'e') {
            options.by_exchanges = true;
            options.payload_bytes = (uint32_t)strtoul(optarg, NULL, 10);
        } else if (option == 'r')
            options.may_refuse = true;
        else
            return -1;
    }
    if (optind != argc - 1 || options.n_copies < 1 || options.n_copies > COPIES_MAX || options.n_turns < 1 ||
        options.n_turns > TURNS_MAX)
        return -1;
    options.attack = argv[optind];
    options.name = options.name ? options.name : options.attack;
    return 0;
}

int main(int argc, char **argv) {
    if (parse(argc, argv) < 0)
        errx(2, "name one attack");
    tallies =
        mmap(NULL, N_TALLIES * sizeof(*tallies), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tallies == MAP_FAILED)
        err(EXIT_FAILURE, "mmap");
    tally = tallies + HONEST;
    besiege();
    return EXIT_SUCCESS;
}
