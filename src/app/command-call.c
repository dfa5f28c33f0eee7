/* SPDX-License-Identifier: MIT */
/*
 * shmipc call: one exchange. (Many files are in call-many.c.)
 *
 * The input is read straight into the request's segment, and the response is written straight from the
 * response's. Nothing reaches the output before the exchange is known to be DONE.
 */
#include "app/call.h"
#include "app/command.h"
#include "core/endpoint.h"
#include "app/progress.h"
#include "app/status.h"

#include "base/error.h"
#include "base/units.h"
#include "core/client.h"
#include "os/wait.h"
#include "wire/message.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define TIMEOUT_NS        (60 * NS_PER_SEC)
#define GRACE_NS          NS_PER_SEC        /* past the deadline, for the host or worker to write the end */
#define READ_BYTES        (UINT64_C(1) << 20)
#define FIRST_BYTES       (UINT64_C(64) << 10) /* room that is made for an input of unknown size */
#define TEXT_BYTES_MAX    (64 << 10)           /* of a failure's text that are shown */

#define fail(status, ...) command_fail("call", status, __VA_ARGS__)

static const char help[] =
    "Usage: shmipc call [-H HOST] [-t SECONDS] [-o OUT] [FILE]\n"
    "       shmipc call [-H HOST] [-t SECONDS] [-j N] --output-dir DIR FILE...\n"
    "\n"
    "Send FILE, or standard input, to a worker of the host and write its response to\n"
    "OUT, or standard output; or each FILE to a worker and its response to DIR, where\n"
    "there is none yet that is as new. A failed call writes nothing there.\n"
    "\n"
    "  -H, --host HOST         instead of $SHMIPC_HOST or `host`\n"
    "  -t, --timeout SECONDS   how long to wait: 60 unless said, 10 while no worker\n"
    "                          is attached; 0 for ever; 250ms, 5min are understood\n"
    "  -o, --output OUT        write the response to this file\n"
    "  -d, --output-dir DIR    write the responses to this folder, named as the files\n"
    "  -j, --jobs N            of these at a time: as many as there are workers\n"
    "  -h, --help              this text\n"
    "\n"
    "Exit status: 0 done, 1 the handler failed (its exit status and the end of its\n"
    "standard error are shown), 2 usage, 3 no such host, not running, or of another\n"
    "version, 4 not allowed, 5 timed out, 6 payload too large or no memory, 7 the\n"
    "worker was lost, 8 busy: a limit of the host is reached, 9 failed on this side:\n"
    "the input cannot be read, the output not written.\n";

typedef struct Call {
    const char *host;
    const char *input;  /* NULL: standard input */
    const char *output; /* NULL: standard output */
    uint64_t timeout_ns;
    bool has_timeout;
    const char *folder; /* of the outputs of many files */
    uint32_t n_jobs;
    uint64_t started_ns;
    uint64_t deadline_ns; /* UINT64_MAX: none */
    uint64_t alone_ns;    /* since when no worker is attached; 0: one is */
    int input_fd;
    const uint8_t *user; /* NULL: none */
    bool again;          /* it was parked */
    char path[CHANNEL_PATH_MAX];
    Client *client;
    Request *request;
    Progress progress;
} Call;

static int fail_errno(int r, const char *what) {
    return fail(EXIT_LOCAL, "%s: %s (%s)", what, strerror(-r), error_where());
}

/* --- waiting --- */

/* When this call has waited long enough, as things are now. */
static uint64_t give_up_at(const Call *call, uint64_t grace_ns) {
    uint64_t at_ns = call->deadline_ns == UINT64_MAX ? UINT64_MAX : call->deadline_ns + grace_ns;

    if (!call->has_timeout && call->alone_ns && call->alone_ns + CALL_NO_WORKER_NS < at_ns)
        return call->alone_ns + CALL_NO_WORKER_NS;
    return at_ns;
}

/* A worker that dies or is started again while we wait is given the same time as one that was not there. */
static void watch_workers(Call *call) {
    if (client_state(call->client) != CLIENT_READY || client_n_workers(call->client) > 0)
        call->alone_ns = 0;
    else if (call->alone_ns == 0)
        call->alone_ns = clock_now_ns();
}

/* Whether it was given up because a worker had the request, died, and no other has come. */
static bool is_worker_lost(const Call *call) {
    return !call->has_timeout && call->alone_ns && call->request && request_was_claimed(call->request);
}

static int say_timed_out(const Call *call) {
    char duration[UNITS_TEXT_MAX];

    duration_format((clock_now_ns() - call->started_ns) / NS_PER_MS * NS_PER_MS, duration);
    if (!call->client)
        return fail(EXIT_TIMED_OUT,
                    "timed out after %s: so many wait for the host `%s` on %s that there was no place for "
                    "one more; try again, or wait longer with -t",
                    duration, call->host, call->path);
    if (client_state(call->client) == CLIENT_CONNECTING)
        return fail(EXIT_TIMED_OUT, "timed out after %s: the host `%s` listens on %s, but does not answer",
                    duration, call->host, call->path);
    if (is_worker_lost(call))
        return fail(
            EXIT_WORKER_LOST,
            "the worker that had the request is lost, and no other has come for %s; wait longer with -t",
            duration_format(CALL_NO_WORKER_NS, duration));
    if (client_n_workers(call->client) == 0)
        return fail(
            EXIT_TIMED_OUT,
            "timed out after %s: no worker is attached to the host `%s`; start one, as in `systemctl start "
            "shmipc@worker`, or wait longer with -t",
            duration, call->host);
    return fail(EXIT_TIMED_OUT, "timed out after %s: no worker has answered; wait longer with -t", duration);
}

static int say_refused(const Call *call) {
    const char *text;
    Reason reason = client_refusal(call->client, &text);

    return command_refused("call", reason, text);
}

static int say_host_lost(const Call *call) {
    if (client_id(call->client) == 0) /* it was never let in */
        return fail(EXIT_NO_HOST,
                    "the host `%s` hung up without an answer: it may have no descriptor left for another "
                    "client; see `journalctl -u shmipc@%s`, and try again",
                    call->host, call->host);
    return fail(EXIT_NO_HOST, "the host `%s` went away; is it running? See `systemctl status shmipc@%s`",
                call->host, call->host);
}

/* The host has hung up before it has answered: nothing is lost, and it may have been restarted just then. */
static bool was_never_let_in(const Call *call) {
    return client_state(call->client) == CLIENT_LOST && client_id(call->client) == 0;
}

/* Whatever ends every call, whoever waits for what. Return: 0 to go on, or an exit status. */
static int look_at_client(const Call *call) {
    const char *why;

    if (client_refusal(call->client, &why) != REASON_NONE) /* also of one that was let in by a host before */
        return say_refused(call);
    if (client_state(call->client) == CLIENT_LOST && !was_never_let_in(call) &&
        (!call->request || call->request->state != REQUEST_ENDED))
        return say_host_lost(call);
    return 0;
}

/* Wait once. Return: 0, or an exit status. */
static int wait_once(Call *call, uint64_t grace_ns) {
    uint64_t until_ns;
    int r;

    watch_workers(call);
    until_ns = give_up_at(call, grace_ns);
    if (clock_now_ns() >= until_ns)
        return say_timed_out(call);
    progress_show(&call->progress);
    r = client_wait(call->client, progress_until(&call->progress, until_ns));
    if (r == -EBADMSG)
        return status_explain("call", r, &(Status){0}, call->host, call->path);
    if (r < 0)
        return fail_errno(r, "waiting for the host");
    return look_at_client(call);
}

/* --- the request --- */

/* Where others wait in front of the host, wait with them. */
static int dial(Call *call, int *ret_fd) {
    int r;

    do {
        progress_show(&call->progress);
        r = channel_connect_until(call->path, progress_until(&call->progress, call->deadline_ns), ret_fd);
    } while (r == -EAGAIN && clock_now_ns() < call->deadline_ns);
    return r;
}

static int connect_once(Call *call) {
    int fd, r = endpoint_find(call->host, call->path);

    if (r < 0)
        return fail(EXIT_USAGE, "the path of the socket is too long");
    r = dial(call, &fd);
    if (r == -ENOENT || r == -ECONNREFUSED)
        return command_no_host("call", call->host, call->path);
    if (r == -EACCES)
        return fail(EXIT_NOT_ALLOWED, "%s: permission denied", call->path);
    if (r == -EAGAIN)
        return say_timed_out(call);
    if (r < 0)
        return fail(EXIT_NO_HOST, "%s: %s", call->path, strerror(-r));
    r = client_new(&call->client, fd, "shmipc call");
    if (r < 0)
        return fail_errno(r, "connecting");
    while (r == 0 && client_state(call->client) == CLIENT_CONNECTING)
        r = wait_once(call, 0);
    return r;
}

static int connect_to_host(Call *call) {
    unsigned n_tried = 0;
    int r;

    do {
        call->client = client_free(call->client);
        r = connect_once(call);
    } while (r == 0 && was_never_let_in(call) && ++n_tried < CLIENT_TRIES);
    if (r != 0)
        return r;
    return was_never_let_in(call) ? say_host_lost(call) : look_at_client(call);
}

static int say_no_memory(const Call *call) {
    const char *text = call->request->text[0] ? call->request->text : reason_name(call->request->reason);

    return fail(call->request->reason == REASON_HOST_LOST ? EXIT_NO_HOST : EXIT_NO_MEMORY,
                "the request cannot be sent: %s%s", text,
                call->request->reason == REASON_MEMORY_FULL ? "; see `shmipc doctor`" : "");
}

/* Make the segment big enough. Return: 0, CLIENT_NOT_GRANTED, or minus an exit status. */
static int reserve(Call *call, uint64_t bytes) {
    for (;;) {
        int r = request_reserve(call->request, bytes, false);

        if (r == 0 || r == CLIENT_NOT_GRANTED)
            return r;
        if (r < 0)
            return -fail_errno(r, "making room for the request");
        r = wait_once(call, 0);
        if (r != 0)
            return -r;
    }
}

/* What the segment can take now: its last page may reach beyond what the host allows. */
static uint64_t room(const Call *call) {
    uint64_t now = call->request->segment.bytes;
    uint64_t max = client_max_payload(call->client);

    return now < max ? now : max;
}

/* Make room for more of an input whose size is not known: twice as much if that can be had, else a little. */
static int make_room(Call *call) {
    uint64_t now = room(call);
    uint64_t max = client_max_payload(call->client);
    uint64_t wanted = now ? 2 * now : FIRST_BYTES;
    int r;

    /* At the limit there is no more: asking for it says why. */
    r = reserve(call, now == max ? max + 1 : wanted < max ? wanted : max);
    if (r == CLIENT_NOT_GRANTED && now && now < max)
        r = reserve(call, now + READ_BYTES < max ? now + READ_BYTES : max);
    if (r == CLIENT_NOT_GRANTED)
        return say_no_memory(call);
    return r < 0 ? -r : 0;
}

/* At the end of a full segment: is there more? Return: 0 with whether, or an exit status. */
static int read_one_more(Call *call, char *ret_byte, bool *ret_more) {
    ssize_t n;

    do
        n = read(call->input_fd, ret_byte, 1);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return fail(EXIT_LOCAL, "reading %s: %s", call->input ? call->input : "standard input",
                    strerror(errno));
    *ret_more = n > 0;
    return 0;
}

/* Read until the segment is full or the input ends. Return: 0 with whether it ended, or an exit status. */
static int read_segment(Call *call, bool *ret_end) {
    Request *request = call->request;

    *ret_end = false;
    while (request->payload_bytes < room(call)) {
        uint64_t left = room(call) - request->payload_bytes;
        ssize_t n = read(call->input_fd, (char *)request->segment.map + request->payload_bytes,
                         left < READ_BYTES ? left : READ_BYTES);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(EXIT_LOCAL, "reading %s: %s", call->input ? call->input : "standard input",
                        strerror(errno));
        if (n == 0) {
            *ret_end = true;
            return 0;
        }
        request->payload_bytes += (uint64_t)n;
        progress_add(&call->progress, (uint64_t)n);
        progress_show(&call->progress);
    }
    return 0;
}

static int read_input(Call *call) {
    for (;;) {
        bool end = false, more = false;
        char byte = 0;
        int r = read_segment(call, &end);

        if (r != 0 || end)
            return r;
        r = read_one_more(call, &byte, &more);
        if (r != 0 || !more)
            return r;
        r = make_room(call);
        if (r != 0)
            return r;
        ((char *)call->request->segment.map)[call->request->payload_bytes++] = byte;
    }
}

/* A file says how big it is, so that too big a one is refused before a byte is read. */
static int fill_request(Call *call) {
    struct stat is;
    int r = client_take(call->client, &call->request);

    if (r != 0)
        return fail(EXIT_NO_HOST, "the host `%s` has no slot for this call", call->host);
    if (fstat(call->input_fd, &is) == 0 && S_ISREG(is.st_mode) && is.st_size > 0) {
        off_t at = lseek(call->input_fd, 0, SEEK_CUR);
        uint64_t bytes = (uint64_t)(at > 0 && at < is.st_size ? is.st_size - at : is.st_size);

        progress_expect(&call->progress, bytes);
        r = reserve(call, bytes);
        if (r == CLIENT_NOT_GRANTED)
            return say_no_memory(call);
        if (r < 0)
            return -r;
    }
    return read_input(call);
}

static int exchange(Call *call) {
    int r;

    progress_stage(&call->progress, "waiting");
    /* Without -t, the time runs from here: reading a slow input is not the worker's fault. */
    call->started_ns = call->has_timeout ? call->started_ns : clock_now_ns();
    call->alone_ns = 0;
    if (!call->has_timeout)
        call->deadline_ns = call->started_ns + call->timeout_ns;
    if (call->user)
        memcpy(call->request->user, call->user, sizeof(call->request->user));
    call->request->unkept = call->again;
    call->request->deadline_ns = call->deadline_ns == UINT64_MAX ? 0 : call->deadline_ns;
    r = request_send(call->request);
    if (r < 0)
        return fail_errno(r, "sending the request");
    while (call->request->state != REQUEST_ENDED) {
        r = wait_once(call, GRACE_NS);
        if (r != 0)
            return r;
    }
    return 0;
}

/* --- the response --- */

static int open_output(const Call *call, int *ret_fd) {
    *ret_fd = STDOUT_FILENO;
    if (!call->output)
        return 0;
    *ret_fd = open(call->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return *ret_fd < 0 ? fail(EXIT_LOCAL, "%s: %s", call->output, strerror(errno)) : 0;
}

static int write_response(Call *call) {
    const Request *request = call->request;
    uint64_t at = 0;
    int fd, r = open_output(call, &fd);

    progress_stage(&call->progress, "writing");
    while (r == 0 && at < request->response_bytes) {
        uint64_t left = request->response_bytes - at;
        ssize_t n =
            write(fd, (const char *)request->response.map + at, left < READ_BYTES ? left : READ_BYTES);

        if (n >= 0)
            at += (uint64_t)n;
        else if (errno != EINTR)
            r = fail(EXIT_LOCAL, "writing %s: %s", call->output ? call->output : "standard output",
                     strerror(errno));
    }
    if (call->output && fd >= 0 && close(fd) < 0 && r == 0)
        r = fail(EXIT_LOCAL, "writing %s: %s", call->output, strerror(errno));
    return r;
}

void call_show_text(const Request *request, uint64_t most) {
    uint64_t bytes = request->response_bytes < most ? request->response_bytes : most;
    const char *text = request->response.map;

    if (bytes == 0)
        return;
    fwrite(text, 1, bytes, stderr);
    if (text[bytes - 1] != '\n')
        fputc('\n', stderr);
}

static int say_failed(const Call *call) {
    const Request *request = call->request;

    if (request->end == SLOT_EXPIRED)
        return say_timed_out(call);
    if (request->end == SLOT_CANCELLED)
        return fail(EXIT_WORKER_LOST, "the exchange was cancelled");
    if (request->reason == REASON_HOST_LOST)
        return say_host_lost(call);
    if (request->status > 0)
        fail(0, "%s with exit status %d", reason_name(request->reason), request->status);
    else if (request->status < 0)
        fail(0, "%s by signal %d (%s)", reason_name(request->reason), -request->status,
             strsignal(-request->status));
    else
        fail(0, "%s", reason_name(request->reason));
    call_show_text(request, TEXT_BYTES_MAX);
    return command_status_of(request->reason);
}

/* What the log of host and worker calls it. */
static void say_which(const Call *call) {
    const Request *request = call->request;

    char text[SEQUENCE_TEXT_MAX];

    if (!request || !request->generation)
        return;
    sequence_format(client_id(call->client), request->slot, request->generation, text);
    fail(0, "it was exchange %s; `journalctl SHMIPC_SEQUENCE=%s` has what is known of it", text, text);
}

/* --- the command --- */

static int run(Call *call) {
    int r = connect_to_host(call);

    if (r == 0)
        r = fill_request(call);
    if (r == 0)
        r = exchange(call);
    progress_clear(&call->progress);
    if (r == 0 && call->request->end == SLOT_DONE)
        return write_response(call);
    r = r == 0 ? say_failed(call) : r;
    say_which(call);
    return r;
}

int call_connect(const char *host, uint64_t timeout_ns, bool has_timeout, Client **ret_client) {
    Call call = {.host = host,
                 .timeout_ns = has_timeout ? timeout_ns : TIMEOUT_NS,
                 .has_timeout = has_timeout,
                 .started_ns = clock_now_ns()};
    int r;

    call.deadline_ns = call.timeout_ns ? call.started_ns + call.timeout_ns : UINT64_MAX;
    progress_init(&call.progress);
    r = connect_to_host(&call);
    progress_clear(&call.progress);
    if (r != 0) {
        client_free(call.client);
        return r;
    }
    *ret_client = call.client;
    return 0;
}

static int open_input(Call *call) {
    call->input_fd = STDIN_FILENO;
    if (!call->input || !strcmp(call->input, "-"))
        return 0;
    call->input_fd = open(call->input, O_RDONLY | O_CLOEXEC);
    return call->input_fd < 0 ? fail(EXIT_LOCAL, "%s: %s", call->input, strerror(errno)) : 0;
}

static int set_timeout(Call *call, const char *text) {
    call->has_timeout = true;
    if (duration_parse(text, &call->timeout_ns) < 0)
        return fail(EXIT_USAGE, "-t takes seconds or a duration like 250ms or 5min, not `%s`", text);
    return 0;
}

static int set_jobs(Call *call, const char *text) {
    char *end = NULL;
    unsigned long n = strtoul(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end || n == 0 || n > CALL_JOBS_MAX)
        return fail(EXIT_USAGE, "-j takes a number from 1 to %d, not `%s`", CALL_JOBS_MAX, text);
    call->n_jobs = (uint32_t)n;
    return 0;
}

/* Files and options that do not go together. */
static int check_usage(const Call *call, int n_files) {
    if (call->folder && call->output)
        return fail(EXIT_USAGE, "-o is for one response, --output-dir for many: not both");
    if (call->folder && n_files == 0)
        return fail(EXIT_USAGE, "--output-dir needs files. Try `shmipc call --help`.");
    if (!call->folder && n_files > 1)
        return fail(EXIT_USAGE, "one file at a time, not %d, unless --output-dir says where they go",
                    n_files);
    if (!call->folder && call->n_jobs)
        return fail(EXIT_USAGE, "-j needs --output-dir. Try `shmipc call --help`.");
    return 0;
}

static int parse(int argc, char **argv, Call *call) {
    static const struct option options[] = {{"host", required_argument, NULL, 'H'},
                                            {"timeout", required_argument, NULL, 't'},
                                            {"output", required_argument, NULL, 'o'},
                                            {"output-dir", required_argument, NULL, 'd'},
                                            {"jobs", required_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int option;

    while ((option = getopt_long(argc, argv, "H:t:o:d:j:h", options, NULL)) >= 0) {
        switch (option) {
        case 'H':
            call->host = optarg;
            break;
        case 't':
            if (set_timeout(call, optarg) != 0)
                return EXIT_USAGE;
            break;
        case 'o':
            call->output = optarg;
            break;
        case 'd':
            call->folder = optarg;
            break;
        case 'j':
            if (set_jobs(call, optarg) != 0)
                return EXIT_USAGE;
            break;
        case 'h':
            fputs(help, stdout);
            return -1;
        default:
            fputs("Try `shmipc call --help`.\n", stderr);
            return EXIT_USAGE;
        }
    }
    call->input = argv[optind];
    return check_usage(call, argc - optind);
}

static int run_and_free(Call *call) {
    int r;

    call->started_ns = clock_now_ns();
    call->deadline_ns =
        call->has_timeout && call->timeout_ns == 0 ? UINT64_MAX : call->started_ns + call->timeout_ns;
    progress_init(&call->progress);
    r = run(call);
    progress_clear(&call->progress);
    client_free(call->client);
    return r;
}

int call_again(const char *host, int input, uint64_t at, const uint8_t *user, const char *output,
               const char *timeout) {
    Call call = {.host = host,
                 .timeout_ns = TIMEOUT_NS,
                 .input = "the parked request",
                 .output = output,
                 .input_fd = input,
                 .user = user,
                 .again = true};
    int r = timeout ? set_timeout(&call, timeout) : 0;

    if (r != 0)
        return r;
    if (lseek(input, (off_t)at, SEEK_SET) < 0)
        return fail(EXIT_LOCAL, "reading %s: %s", call.input, strerror(errno));
    return run_and_free(&call);
}

static int call_files(const Call *call, char *const *files, size_t n_files) {
    const CallOrder order = {.host = call->host,
                             .timeout_ns = call->timeout_ns,
                             .has_timeout = call->has_timeout,
                             .n_jobs = call->n_jobs,
                             .folder = call->folder,
                             .files = files,
                             .n_files = n_files};

    return call_many(&order);
}

int command_call(int argc, char **argv) {
    Call call = {.host = endpoint_default_host(), .timeout_ns = TIMEOUT_NS, .input_fd = -1};
    int r = parse(argc, argv, &call);

    if (r != 0)
        return r < 0 ? EXIT_SUCCESS : r;
    if (call.folder)
        return call_files(&call, argv + optind, (size_t)(argc - optind));
    r = open_input(&call);
    return r != 0 ? r : run_and_free(&call);
}
