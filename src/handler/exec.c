/* SPDX-License-Identifier: MIT */
/*
 * exec: the payload is a command's standard input, its standard output is the response
 *
 * One command for each exchange. The exchange ends when the command has exited: what it has left running is
 * killed then, so that it can neither hold the response open nor outlive it. An exit status other than 0
 * makes it a failed exchange, with the end of what the command wrote to its standard error as the text.
 *
 * Nothing here waits for one side only: request, response and standard error move as the pipes allow, until
 * the deadline. So a command may write before it has read, or never read, or close its input early, which is
 * no error: a command need not want all of its request. What it may not do is end another way than by exiting
 * with 0.
 *
 * The request is spliced from its shared memory into the pipe, whoever it is from: the pages are lent, not
 * copied, and never mapped here, so that an owner who takes them away does no harm. The response is read from
 * the pipe straight into its segment.
 *
 * The command's environment is the worker's own (without what systemd tells the worker alone), the setting
 * `environment`, and
 *
 *     SHMIPC_CLIENT_UID       numeric user id of whoever asks
 *     SHMIPC_ATTEMPT          1; more when a worker died with this request: it may have run before
 *     SHMIPC_REQUEST_BYTES    size of the request
 */
#include "base/error.h"
#include "base/units.h"
#include "handler/handler.h"
#include "handler/tail.h"
#include "os/process.h"
#include "os/wait.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#define PIPE_BYTES   (UINT64_C(1) << 20)  /* what fs.pipe-max-size allows to everybody */
#define PIPE_FIRST   (UINT64_C(64) << 10) /* what a pipe has unasked */
#define SPLICE_BYTES (UINT64_C(1) << 30)  /* of one call, which takes no more than 2^31 */
#define N_OWN        3                    /* variables of ours in the environment */

typedef struct Exec {
    Handler handler;
    const HandlerSettings *settings;
    char **environment; /* owned; its strings are the settings' and, last, the three below */
    char client_uid[48];
    char attempt[48];
    char request_bytes[48];
    Tail errors; /* of the present exchange's standard error */
} Exec;

/* How a run ended, if not by a negative errno. */
typedef enum Outcome {
    OUTCOME_NONE,      /* it has not */
    OUTCOME_EXITED,    /* the command has, and its pipes are empty */
    OUTCOME_EXPIRED,   /* the deadline has passed */
    OUTCOME_CANCELLED, /* nobody waits any more */
    OUTCOME_REFUSED,   /* by us, for Run.refusal */
} Outcome;

/* One exchange. */
typedef struct Run {
    Exec *exec;
    Exchange *exchange;
    Process process;
    int stdin_fd; /* our ends of the pipes; -1 once closed */
    int stdout_fd;
    int stderr_fd;
    uint64_t n_fed; /* bytes of the request that are in the pipe or beyond */
    uint64_t limit; /* bytes of a response */
    bool exited;
    bool cancel_deaf; /* cancel_fd only reports that it has hung up */
    Reason refusal;
} Run;

enum { AT_STDIN, AT_STDOUT, AT_STDERR, AT_EXIT, AT_CANCEL, N_POLLED };

/* ---- a handler ---- */

static Handler *exec_free(Handler *handler) {
    Exec *exec = (Exec *)handler;

    if (exec) {
        tail_deinit(&exec->errors);
        free(exec->environment);
        free(exec);
    }
    return NULL;
}

static void freep_exec(Exec **exec) {
    exec_free((Handler *)*exec);
}

static char **environment_new(Exec *exec, char *const *setting) {
    char *const own[N_OWN] = {exec->client_uid, exec->attempt, exec->request_bytes};
    size_t n = 0;
    char **environment;

    while (setting && setting[n])
        n++;
    environment = calloc(n + N_OWN + 1, sizeof(*environment));
    if (!environment)
        return NULL;
    if (n > 0)
        memcpy(environment, setting, n * sizeof(*environment));
    memcpy(environment + n, own, sizeof(own));
    return environment;
}

static int exec_new(Handler **ret, const HandlerSettings *settings, char *error) {
    _cleanup_(freep_exec) Exec *exec = calloc(1, sizeof(*exec));
    int r;

    if (!settings->command || !settings->command[0])
        return error_origin(-EINVAL);
    if (!exec)
        return error_origin(-ENOMEM);
    exec->handler.kind = &handler_exec;
    exec->settings = settings;
    exec->environment = environment_new(exec, settings->environment);
    if (!exec->environment)
        return error_origin(-ENOMEM);
    r = tail_init(&exec->errors, settings->max_stderr);
    if (r < 0)
        return r;
    *ret = &TAKE(exec)->handler;
    return 0;
}

/* ---- the start ---- */

/*
 * A pipe for so many bytes, whose end @ours does not block. The command's end has flags of its own. A bigger
 * pipe is faster, and no more than that: a user has a share of them (fs.pipe-user-pages-soft), past which all
 * of its pipes are tiny. So none is bigger than it can be filled.
 */
static int pipe_new(int ours, uint64_t bytes, int *ret_ours, int *ret_theirs) {
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return error_errno();
    if (bytes > PIPE_FIRST)
        (void)fcntl(fds[ours], F_SETPIPE_SZ, (int)(bytes < PIPE_BYTES ? bytes : PIPE_BYTES));
    (void)fcntl(fds[ours], F_SETFL, O_NONBLOCK);
    *ret_ours = fds[ours];
    *ret_theirs = fds[!ours];
    return 0;
}

static void environment_update(Exec *exec, const Exchange *exchange) {
    snprintf(exec->client_uid, sizeof(exec->client_uid), "SHMIPC_CLIENT_UID=%u", exchange->uid);
    snprintf(exec->attempt, sizeof(exec->attempt), "SHMIPC_ATTEMPT=%" PRIu32, exchange->attempt);
    snprintf(exec->request_bytes, sizeof(exec->request_bytes), "SHMIPC_REQUEST_BYTES=%" PRIu64,
             exchange->request_bytes);
}

static int run_start(Run *run) {
    Exec *exec = run->exec;
    _cleanup_close_ int in = -1, out = -1, errors = -1;
    int r;

    if ((r = pipe_new(1, run->exchange->request_bytes, &run->stdin_fd, &in)) < 0 ||
        (r = pipe_new(0, run->limit, &run->stdout_fd, &out)) < 0 ||
        (r = pipe_new(0, PIPE_FIRST, &run->stderr_fd, &errors)) < 0)
        return r;
    environment_update(exec, run->exchange);
    return process_spawn(&run->process, exec->settings->command, exec->environment,
                         (const int[]){in, out, errors});
}

static void run_deinit(Run *run) {
    fd_close(run->stdin_fd);
    fd_close(run->stdout_fd);
    fd_close(run->stderr_fd);
}

/* ---- moving bytes ---- */

static int run_refuse(Run *run, Reason reason) {
    run->refusal = reason;
    return OUTCOME_REFUSED;
}

static bool is_for_later(int error) {
    return error == EAGAIN || error == EINTR;
}

/*
 * Room for @bytes of a response. Whoever has to ask the host for it hears what else the host says meanwhile,
 * and then the descriptor does not tell that again.
 */
static int run_grow(Run *run, uint64_t bytes) {
    Exchange *exchange = run->exchange;
    uint64_t before = exchange->response->bytes;
    int r = exchange_reserve(exchange, bytes);

    if (r != 0)
        return r < 0 ? r : run_refuse(run, (Reason)r);
    return exchange->response->bytes != before && !run->cancel_deaf && exchange_is_cancelled(exchange)
               ? OUTCOME_CANCELLED
               : OUTCOME_NONE;
}

/* As much of the request as the pipe takes. */
static int run_feed(Run *run) {
    const Exchange *exchange = run->exchange;
    loff_t at = (loff_t)(exchange->request_offset + run->n_fed);
    uint64_t left = exchange->request_bytes - run->n_fed;
    ssize_t bytes = 0;

    if (left > 0) {
        bytes = splice(exchange->request_fd, &at, run->stdin_fd, NULL,
                       left < SPLICE_BYTES ? left : SPLICE_BYTES, SPLICE_F_NONBLOCK);
        if (bytes < 0 && is_for_later(errno))
            return OUTCOME_NONE;
        if (bytes == 0 || (bytes < 0 && errno != EPIPE))
            return run_refuse(run, REASON_REQUEST_CHANGED);
    }
    if (bytes > 0)
        run->n_fed += (uint64_t)bytes;
    if (bytes < 0 || run->n_fed == exchange->request_bytes)
        run->stdin_fd = fd_close(run->stdin_fd);
    return OUTCOME_NONE;
}

/* What is in the pipe, into the segment, which grows to hold it. An empty pipe that hung up is at its end. */
static int run_collect(Run *run, short events) {
    Exchange *exchange = run->exchange;
    uint64_t has = exchange->response_bytes, wanted, room;
    int available = 0, r;
    ssize_t bytes;

    if (ioctl(run->stdout_fd, FIONREAD, &available) < 0)
        return error_errno();
    if (available == 0) {
        if (events & POLLHUP)
            run->stdout_fd = fd_close(run->stdout_fd);
        return OUTCOME_NONE;
    }
    if (has == run->limit)
        return run_refuse(run, REASON_RESPONSE_TOO_LARGE);
    wanted = has + (uint64_t)available;
    r = run_grow(run, wanted < run->limit ? wanted : run->limit);
    if (r != OUTCOME_NONE)
        return r;

    room = (exchange->response->bytes < run->limit ? exchange->response->bytes : run->limit) - has;
    bytes = read(run->stdout_fd, (char *)exchange->response->map + has, room);
    if (bytes > 0)
        exchange->response_bytes += (uint64_t)bytes;
    return bytes < 0 && !is_for_later(errno) ? error_errno() : OUTCOME_NONE;
}

static int run_listen(Run *run) {
    char text[16384];
    ssize_t bytes = read(run->stderr_fd, text, sizeof(text));

    if (bytes > 0)
        tail_add(&run->exec->errors, text, (size_t)bytes);
    else if (bytes == 0)
        run->stderr_fd = fd_close(run->stderr_fd);
    return bytes < 0 && !is_for_later(errno) ? error_errno() : OUTCOME_NONE;
}

/* ---- waiting ---- */

/*
 * Wait for whatever comes first. Once the command has exited and all that it started is dead, nothing more
 * comes: what is in the pipes is taken out without waiting for their ends, which a stranger could hold who
 * got them passed.
 * Return: as ppoll().
 */
static int run_wait(const Run *run, uint64_t ns, struct pollfd polled[static N_POLLED]) {
    const struct timespec timeout = {.tv_sec = (time_t)(ns / NS_PER_SEC), .tv_nsec = (long)(ns % NS_PER_SEC)};
    const bool running = !run->exited;

    polled[AT_STDIN] = (struct pollfd){.fd = run->stdin_fd, .events = POLLOUT};
    polled[AT_STDOUT] = (struct pollfd){.fd = run->stdout_fd, .events = POLLIN};
    polled[AT_STDERR] = (struct pollfd){.fd = run->stderr_fd, .events = POLLIN};
    polled[AT_EXIT] = (struct pollfd){.fd = running ? run->process.pidfd : -1, .events = POLLIN};
    polled[AT_CANCEL] = (struct pollfd){
        .fd = running && !run->cancel_deaf ? run->exchange->cancel_fd : -1,
        .events = POLLIN,
    };
    return ppoll(polled, N_POLLED, running ? &timeout : &(const struct timespec){0}, NULL);
}

static int run_ask_cancelled(Run *run, short events) {
    if (exchange_is_cancelled(run->exchange))
        return OUTCOME_CANCELLED;
    run->cancel_deaf = !(events & POLLIN);
    return OUTCOME_NONE;
}

/* Return: an Outcome or a negative errno. */
static int run_dispatch(Run *run, const struct pollfd polled[static N_POLLED]) {
    int r = OUTCOME_NONE;

    if (polled[AT_CANCEL].revents)
        r = run_ask_cancelled(run, polled[AT_CANCEL].revents);
    if (r == OUTCOME_NONE && polled[AT_STDIN].revents)
        r = run_feed(run);
    if (r == OUTCOME_NONE && polled[AT_STDOUT].revents)
        r = run_collect(run, polled[AT_STDOUT].revents);
    if (r == OUTCOME_NONE && polled[AT_STDERR].revents)
        r = run_listen(run);
    if (r == OUTCOME_NONE && polled[AT_EXIT].revents) {
        run->exited = true;
        run->stdin_fd = fd_close(run->stdin_fd);
    }
    return r;
}

/* Return: an Outcome, not OUTCOME_NONE, or a negative errno. */
static int run_to_outcome(Run *run) {
    struct pollfd polled[N_POLLED];
    int n, r = OUTCOME_NONE;

    while (r == OUTCOME_NONE) {
        uint64_t now = clock_now_ns();

        if (now >= run->exchange->deadline_ns)
            return OUTCOME_EXPIRED;
        n = run_wait(run, run->exchange->deadline_ns - now, polled);
        if (n > 0)
            r = run_dispatch(run, polled);
        else if (n == 0 && run->exited)
            r = OUTCOME_EXITED;
        else if (n < 0 && errno != EINTR)
            r = error_errno();
    }
    return r;
}

/* ---- what to tell ---- */

static const char *cure_of(int error) {
    switch (error) {
    case -ENOENT:
        return "there is no such command: install it, or write its full path in the handler's `command`";
    case -ELIBACC:
        return "the interpreter that its first line names is not there: install it, or correct that line";
    case -EACCES:
        return "the worker's user may not execute it: see its mode and its directories', ProtectHome= of "
               "its unit, and whether its file system is mounted noexec";
    case -ENOEXEC:
        return "it is no program for this machine: a script's first line must name its interpreter, "
               "as #!/bin/sh does";
    case -EAGAIN:
        return "the limit of processes is reached: raise LimitNPROC= or TasksMax= of the worker's unit";
    case -EMFILE:
        return "the limit of open files is reached: raise LimitNOFILE= of the worker's unit";
    case -ENFILE:
        return "the machine's limit of open files is reached: raise fs.file-max";
    case -E2BIG:
        return "its arguments and environment are too long: shorten the handler's `command` or `environment`";
    case -ENOMEM:
        return "there is no memory: raise MemoryMax= of the worker's unit, or end what takes it";
    default:
        return strerror(-error);
    }
}

static void fail_not_started(Run *run, int error) {
    exchange_fail(run->exchange, REASON_HANDLER_NOT_STARTED, 0, "%s: %s", run->exec->settings->command[0],
                  cure_of(error));
}

static void fail_too_large(const Run *run) {
    const bool own = run->limit == run->exec->settings->max_response;
    char limit[UNITS_TEXT_MAX];

    exchange_fail(run->exchange, REASON_RESPONSE_TOO_LARGE, 0,
                  "the command wrote more than %s, the %s: raise it, or let the command write less",
                  size_format(run->limit, limit),
                  own ? "`max_response` of the worker's handler" : "`max_payload` of the host");
}

static void fail_changed(const Run *run) {
    exchange_fail(run->exchange, REASON_REQUEST_CHANGED, 0,
                  "only %" PRIu64 " of the request's %" PRIu64 " bytes were there: its owner has shrunk it",
                  run->n_fed, run->exchange->request_bytes);
}

static void fail_no_room(const Run *run, const char *cure) {
    char has[UNITS_TEXT_MAX];

    exchange_fail(run->exchange, run->refusal, 0, "no room for more than %s of the response: %s",
                  size_format(run->exchange->response_bytes, has), cure);
}

static void fail_refused(const Run *run) {
    if (run->refusal == REASON_RESPONSE_TOO_LARGE)
        fail_too_large(run);
    else if (run->refusal == REASON_REQUEST_CHANGED)
        fail_changed(run);
    else if (run->refusal == REASON_MEMORY_BUDGET)
        fail_no_room(run, "raise `memory` of the host");
    else if (run->refusal == REASON_MEMORY_FULL)
        fail_no_room(run, "raise the size of the file system on /dev/shm");
    else
        fail_no_room(run, reason_name(run->refusal));
}

/* The command has ended by itself. */
static void run_judge(Run *run, int status) {
    _cleanup_free_ char *text = NULL;

    if (status == 0)
        return;
    text = tail_text(&run->exec->errors);
    exchange_fail(run->exchange, status > 0 ? REASON_HANDLER_FAILED : REASON_HANDLER_KILLED, status, "%s",
                  text ? text : "");
}

/* ---- an exchange ---- */

static int run_finish(Run *run, int outcome) {
    int status, r = process_end(&run->process, &status);

    if (outcome < 0)
        return outcome;
    if (r < 0)
        return r;
    switch ((Outcome)outcome) {
    case OUTCOME_NONE:
    case OUTCOME_EXITED:
        run_judge(run, status);
        break;
    case OUTCOME_EXPIRED:
        exchange_fail_expired(run->exchange);
        break;
    case OUTCOME_CANCELLED:
        exchange_fail(run->exchange, REASON_STOPPED, 0, "killed: nobody waits for the answer");
        break;
    case OUTCOME_REFUSED:
        fail_refused(run);
        break;
    }
    return 0;
}

static uint64_t response_limit(const HandlerSettings *settings, const Exchange *exchange) {
    uint64_t limit = exchange->max_response;

    if (limit > exchange->response->capacity)
        limit = exchange->response->capacity;
    return settings->max_response > 0 && settings->max_response < limit ? settings->max_response : limit;
}

static int run_all(Exec *exec, Exchange *exchange) {
    Run run = {
        .exec = exec,
        .exchange = exchange,
        .process = PROCESS_NULL,
        .stdin_fd = -1,
        .stdout_fd = -1,
        .stderr_fd = -1,
        .limit = response_limit(exec->settings, exchange),
    };
    int r = run_start(&run);

    if (r < 0) {
        fail_not_started(&run, r);
        r = 0;
    } else {
        r = run_finish(&run, run_to_outcome(&run));
    }
    run_deinit(&run);
    return r;
}

static bool sigpipe_is_pending(void) {
    sigset_t pending;

    return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

/*
 * A command that closes its input makes the next splice raise SIGPIPE in this thread, which would end the
 * process unless it ignores it. So it is held back meanwhile, and taken away if it is ours.
 */
static int exec_handle(Handler *handler, Exchange *exchange) {
    const bool was_pending = sigpipe_is_pending();
    Exec *exec = (Exec *)handler;
    sigset_t sigpipe, before;
    int r;

    (void)sigemptyset(&sigpipe);
    (void)sigaddset(&sigpipe, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &sigpipe, &before);

    tail_clear(&exec->errors);
    exchange->response_bytes = 0;
    r = run_all(exec, exchange);

    if (!was_pending && sigpipe_is_pending())
        (void)sigtimedwait(&sigpipe, NULL, &(const struct timespec){0});
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

const HandlerKind handler_exec = {.name = "exec", .new = exec_new, .free = exec_free, .handle = exec_handle};
