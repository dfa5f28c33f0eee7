/* SPDX-License-Identifier: MIT */
#include "plain-unit.h"

#include "os/queue.h"
#include "unit.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

void unit_nap(void) {
    nanosleep(&(const struct timespec){.tv_nsec = 1000000}, NULL);
}

/* ---- names ---- */

void test_names_init(TestNames *names) {
    for (int i = 0; i < 3; i++)
        snprintf(names->text[i], sizeof(names->text[i]), "%s", unit_name());
    names->names = (PlainNames){names->text[0], names->text[1], names->text[2]};
}

bool test_names_exist(const TestNames *names) {
    int fd;

    for (int part = PLAIN_REQUESTS; part <= PLAIN_REPLIES; part++)
        if (queue_open_named(names->text[part], QUEUE_READ, false, 0, 0, &fd) == 0)
            return fd_close(fd) < 0;
    fd = shm_open(names->text[PLAIN_PAYLOAD], O_RDONLY, 0);
    return fd >= 0 && fd_close(fd) < 0;
}

void test_names_unlink(const TestNames *names) {
    (void)queue_unlink(names->text[PLAIN_REQUESTS]);
    (void)queue_unlink(names->text[PLAIN_REPLIES]);
    (void)shm_unlink(names->text[PLAIN_PAYLOAD]);
}

int test_part_open(const TestNames *names, PlainPart part) {
    bool made;
    int fd;

    ck_assert_int_eq(plain_part_open(&names->names, part, &made, &fd), 0);
    return fd;
}

/* ---- peers ---- */

/* The programs are built beside the tests. */
static const char *program(const char *name, char path[static PATH_MAX]) {
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 64);
    char *slash;

    ck_assert_int_gt(n, 0);
    path[n] = '\0';
    slash = strrchr(path, '/');
    snprintf(slash + 1, 64, "%s", name);
    return path;
}

static const char *python_peer(void) {
    const char *path = getenv("PLAIN_PEER_PY");

    ck_assert_msg(path, "PLAIN_PEER_PY is to be the path of plain_peer.py");
    return path;
}

static pid_t spawn(char *const *argv, int in, int out) {
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int r;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    r = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    ck_assert_int_eq(r, 0);
    return pid;
}

static char *unconst(const char *text) {
    union {
        const char *from;
        char *to;
    } both = {.from = text};

    return both.to;
}

static pid_t spawn_python(const char *role, const TestNames *names, int in, int out) {
    char *argv[] = {unconst("python3"),        unconst(python_peer()), unconst(role), names->names.host_queue,
                    names->names.worker_queue, names->names.segment,   NULL};

    return spawn(argv, in, out);
}

static pid_t spawn_c(const char *what, const TestNames *names, int in, int out, const char *option,
                     const char *value) {
    char path[PATH_MAX];
    char *argv[] = {unconst(program(what, path)),
                    unconst("-q"),
                    names->names.host_queue,
                    unconst("-w"),
                    names->names.worker_queue,
                    unconst("-s"),
                    names->names.segment,
                    unconst(option),
                    unconst(value),
                    NULL};

    return spawn(argv, in, out);
}

Peer peer_start(const char *what, const TestNames *names, const void *input, size_t bytes, const char *option,
                const char *value) {
    int in = memfd_create("in", MFD_CLOEXEC);
    Peer peer = {.out = memfd_create("out", MFD_CLOEXEC)};

    ck_assert_int_eq(write(in, input, bytes), (ssize_t)bytes);
    ck_assert_int_eq(lseek(in, 0, SEEK_SET), 0);
    if (strncmp(what, "py-", 3) == 0)
        peer.pid = spawn_python(what + 3, names, in, peer.out);
    else
        peer.pid = spawn_c(what, names, in, peer.out, option, value);
    close(in);
    return peer;
}

int peer_end(Peer *peer) {
    int status;

    ck_assert_int_eq(waitpid(peer->pid, &status, 0), peer->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

bool peer_wrote(Peer *peer, const void *data, size_t bytes, const char *text) {
    const size_t n_text = strlen(text);
    struct stat st;
    char *wrote;
    bool same;

    ck_assert_int_eq(fstat(peer->out, &st), 0);
    wrote = malloc((size_t)st.st_size + 1);
    ck_assert_int_eq(pread(peer->out, wrote, (size_t)st.st_size, 0), st.st_size);
    close(peer->out);
    same = (size_t)st.st_size == bytes + n_text && memcmp(wrote, data, bytes) == 0 &&
           memcmp(wrote + bytes, text, n_text) == 0;
    free(wrote);
    return same;
}

char *test_payload(size_t bytes, unsigned seed) {
    char *payload = malloc(bytes + 1);

    for (size_t i = 0; i < bytes; i++)
        payload[i] = (char)(i * 7 + i / 251 + seed);
    return payload;
}

/* ---- our worker ---- */

static void collect(Server *server) {
    Event event;

    while (plain_worker_pop_event(server->worker, &event)) {
        pthread_mutex_lock(&server->lock);
        server->latest[event.kind] = event;
        server->n_events[event.kind]++;
        pthread_mutex_unlock(&server->lock);
    }
}

static void *run(void *data) {
    Server *server = data;
    struct pollfd polled[] = {
        {.fd = plain_worker_get_fd(server->worker), .events = POLLIN},
        {.fd = server->stop, .events = POLLIN},
    };

    while (poll(polled, 2, -1) > 0 && !polled[1].revents) {
        ck_assert_int_eq(plain_worker_dispatch(server->worker), 0);
        collect(server);
    }
    return NULL;
}

void server_start(Server *server, const TestNames *names, Handler *handler, uint64_t timeout_ns) {
    *server = (Server){
        .settings = {.wire = WIRE_PLAIN, .plain = names->names, .timeout_ns = timeout_ns},
        .handler = handler,
        .stop = eventfd(0, EFD_CLOEXEC),
    };
    pthread_mutex_init(&server->lock, NULL);
    ck_assert_int_eq(plain_worker_new(&server->worker, &server->settings, handler), 0);
    ck_assert_int_eq(pthread_create(&server->thread, NULL, run, server), 0);
}

void server_start_first(Server *server, const TestNames *names, Handler *handler) {
    server_start(server, names, handler, PATIENT_NS);
    AWAIT(server_n_events(server, EVENT_HOST_MISSING) == 1);
}

void server_stop(Server *server) {
    ck_assert_int_eq(eventfd_write(server->stop, 1), 0);
    ck_assert_int_eq(pthread_join(server->thread, NULL), 0);
    plain_worker_free(server->worker);
    close(server->stop);
    pthread_mutex_destroy(&server->lock);
}

unsigned server_n_events(Server *server, EventKind kind) {
    unsigned n;

    pthread_mutex_lock(&server->lock);
    n = server->n_events[kind];
    pthread_mutex_unlock(&server->lock);
    return n;
}

const char *server_text(Server *server, EventKind kind) {
    return server->latest[kind].text;
}

/* ---- handlers ---- */

static int processed_handle(Handler *handler, Exchange *exchange) {
    static const char text[] = " processed";
    const size_t n_text = sizeof(text) - 1;
    int r = exchange_reserve(exchange, exchange->request_bytes + n_text);

    if (r == 0)
        r = exchange_read_request(exchange, 0, exchange->response->map, exchange->request_bytes);
    if (r != 0) {
        exchange_fail(exchange, r > 0 ? (Reason)r : REASON_HANDLER_FAILED, 0, "processed: %d", r);
        return 0;
    }
    memcpy((char *)exchange->response->map + exchange->request_bytes, text, n_text);
    exchange->response_bytes = exchange->request_bytes + n_text;
    return 0;
}

static int failing_handle(Handler *handler, Exchange *exchange) {
    exchange_fail(exchange, REASON_HANDLER_FAILED, 3, "no luck today");
    return 0;
}

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned n_open;
    bool waited_for;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int gated_handle(Handler *handler, Exchange *exchange) {
    pthread_mutex_lock(&gate.lock);
    gate.waited_for = true;
    while (gate.n_open == 0)
        pthread_cond_wait(&gate.changed, &gate.lock);
    gate.n_open--;
    gate.waited_for = false;
    pthread_mutex_unlock(&gate.lock);
    return processed_handle(handler, exchange);
}

void gate_init(void) {
    gate.n_open = 0;
    gate.waited_for = false;
}

void gate_open(void) {
    pthread_mutex_lock(&gate.lock);
    gate.n_open++;
    pthread_cond_signal(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

bool gate_is_waited_for(void) {
    bool waited_for;

    pthread_mutex_lock(&gate.lock);
    waited_for = gate.waited_for;
    pthread_mutex_unlock(&gate.lock);
    return waited_for;
}

static const HandlerKind processed = {.name = "processed", .handle = processed_handle};
static const HandlerKind failing = {.name = "failing", .handle = failing_handle};
static const HandlerKind gated = {.name = "gated", .handle = gated_handle};

Handler test_processed = {.kind = &processed};
Handler test_failing = {.kind = &failing};
Handler test_gated = {.kind = &gated};
