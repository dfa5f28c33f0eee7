/* SPDX-License-Identifier: MIT */
/*
 * shmipc call --output-dir: many files, several of them in flight
 *
 * What it keeps true: an output is there as a whole or not at all, and is of the input as it was when the
 * output was named, so that whoever starts the same command again has only what is missing done (an input
 * that is not what was sent any more is sent again; one that changes each time has failed); a file that fails
 * does not keep the others back; nothing is sent while names could collide, with each other or with the
 * inputs. Where memory is refused, fewer files are in flight from then on, and the file is tried again after
 * a pause, in which the host gets back what is not used: only one that is refused again and again when it is
 * alone has failed.
 */
#include "app/call.h"
#include "app/command.h"
#include "app/progress.h"

#include "base/error.h"
#include "base/units.h"
#include "os/file.h"
#include "os/wait.h"
#include "wire/message.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GRACE_NS       NS_PER_SEC           /* past the deadline, for the host or worker to write the end */
#define PAUSE_NS       (3 * NS_PER_SEC / 2) /* until the host looks for idle memory again, and more */
#define ALONE_TRIES    3
#define CHANGE_TRIES   3
#define INPUT_CHANGED  1 /* write_output(): nothing was named */
#define STUCK_NS       (60 * NS_PER_SEC)
#define READ_BYTES     (UINT64_C(1) << 20)
#define TEXT_BYTES_MAX 4096                /* of a failure's text that are shown: there may be many */
#define PART           ".shmipc-call.part" /* the output that is being written: no two are at a time */

#define fail(status, ...) command_fail("call", status, __VA_ARGS__)

/* Likewise, in the place of the line of progress. */
#define complain(batch, status, ...) (progress_clear(&(batch)->progress), fail(status, __VA_ARGS__))

/* One file, whose output has the same name in the folder. */
typedef struct File {
    const char *path;
    const char *name;
    uint64_t bytes;
    bool is_left;       /* to be sent */
    int fd;             /* open until it is read */
    struct stat sent;   /* as it was before it was read */
    unsigned n_refused; /* times that there was no memory for it though it was alone */
    unsigned n_changed; /* times that it was another when its response came */
    Request *request;
} File;

typedef struct Batch {
    const CallOrder *order;
    int folder;
    File *files;
    size_t next; /* those before it are not left */
    File *active[CALL_JOBS_MAX];
    size_t n_active;
    size_t limit; /* of those in flight */
    size_t n_done, n_skipped, n_failed;
    uint64_t done_bytes, left_bytes;
    int status;        /* of those that failed; EXIT_HANDLER where they differ */
    uint64_t pause_ns; /* until when none begins */
    uint64_t alone_ns; /* since when no worker is attached; 0: one is */
    uint64_t idle_ns;  /* since when none is in flight; 0: one is */
    Client *client;
    Progress progress;
} Batch;

static volatile sig_atomic_t interrupted; /* by which signal */

static void on_signal(int number) {
    interrupted = number;
}

/* ---- what is to be done ---- */

static const char *name_of(const char *path) {
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static int compare_names(const void *a, const void *b) {
    return strcmp((*(const File *const *)a)->name, (*(const File *const *)b)->name);
}

/* Outputs of one name would replace each other. Return: 0 or an exit status. */
static int refuse_collisions(const Batch *batch) {
    size_t n = batch->order->n_files;
    _cleanup_free_ const File **sorted = calloc(n, sizeof(*sorted));

    if (!sorted)
        return fail(EXIT_LOCAL, "no memory for %zu names", n);
    for (size_t i = 0; i < n; i++)
        sorted[i] = &batch->files[i];
    qsort(sorted, n, sizeof(*sorted), compare_names);
    for (size_t i = 1; i < n; i++)
        if (!strcmp(sorted[i - 1]->name, sorted[i]->name))
            return fail(EXIT_USAGE,
                        "nothing is sent: %s and %s would both be %s/%s; call them with an --output-dir each",
                        sorted[i - 1]->path, sorted[i]->path, batch->order->folder, sorted[i]->name);
    return 0;
}

static int take_names(Batch *batch) {
    const CallOrder *order = batch->order;

    batch->files = calloc(order->n_files, sizeof(*batch->files));
    if (!batch->files)
        return fail(EXIT_LOCAL, "no memory for %zu files", order->n_files);
    for (size_t i = 0; i < order->n_files; i++) {
        File *file = &batch->files[i];

        *file = (File){.path = order->files[i], .name = name_of(order->files[i]), .fd = -1};
        if (!*file->name || !strcmp(file->name, "-") || !strcmp(file->name, ".") || !strcmp(file->name, ".."))
            return fail(EXIT_USAGE, "nothing is sent: `%s` is no name of a file", file->path);
        if (!strcmp(file->name, PART))
            return fail(EXIT_USAGE,
                        "nothing is sent: %s has the name of unfinished outputs; call it by itself",
                        file->path);
    }
    return refuse_collisions(batch);
}

static int open_folder(Batch *batch) {
    const char *path = batch->order->folder;
    int r;

    if (mkdir(path, 0777) < 0 && errno != EEXIST)
        return fail(EXIT_LOCAL, "%s: %s", path, strerror(errno));
    batch->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (batch->folder < 0)
        return fail(EXIT_LOCAL, "%s: %s", path, strerror(errno));
    r = file_lock(batch->folder);
    if (r == -EWOULDBLOCK)
        return fail(EXIT_BUSY,
                    "%s: another `shmipc call` is at work there; wait for it, or take another folder", path);
    return r < 0 ? fail(EXIT_LOCAL, "%s: %s", path, strerror(-r)) : 0;
}

static void note_failure(Batch *batch, int status) {
    batch->n_failed++;
    batch->status = batch->status == 0 || batch->status == status ? status : EXIT_HANDLER;
}

static bool is_as_new(const struct stat *output, const struct stat *input) {
    if (output->st_mtim.tv_sec != input->st_mtim.tv_sec)
        return output->st_mtim.tv_sec > input->st_mtim.tv_sec;
    return output->st_mtim.tv_nsec >= input->st_mtim.tv_nsec;
}

/* An output that is as new as its input needs nothing. Return: 0 or an exit status that ends all. */
static int look_at_file(Batch *batch, File *file) {
    struct stat input, output;

    if (stat(file->path, &input) < 0) {
        note_failure(batch, fail(EXIT_LOCAL, "%s: %s", file->path, strerror(errno)));
        return 0;
    }
    if (!S_ISREG(input.st_mode)) {
        note_failure(batch, fail(EXIT_LOCAL, "%s: is no regular file; call it by itself", file->path));
        return 0;
    }
    if (fstatat(batch->folder, file->name, &output, 0) == 0) {
        if (input.st_dev == output.st_dev && input.st_ino == output.st_ino)
            return fail(EXIT_USAGE,
                        "nothing is sent: %s would be replaced by its own response; take another "
                        "--output-dir",
                        file->path);
        if (S_ISREG(output.st_mode) && is_as_new(&output, &input)) {
            batch->n_skipped++;
            return 0;
        }
    }
    file->bytes = (uint64_t)input.st_size;
    file->is_left = true;
    batch->left_bytes += file->bytes;
    return 0;
}

static int prepare(Batch *batch) {
    int r = take_names(batch);

    if (r == 0)
        r = open_folder(batch);
    for (size_t i = 0; i < batch->order->n_files && r == 0; i++)
        r = look_at_file(batch, &batch->files[i]);
    return r;
}

static size_t n_left(const Batch *batch) {
    return batch->order->n_files - batch->n_done - batch->n_skipped - batch->n_failed;
}

/* ---- progress ---- */

#define BAR_COLUMNS 20

static void show_progress(Batch *batch) {
    size_t n_ended = batch->n_done + batch->n_failed, n_all = n_ended + n_left(batch);
    uint64_t all = batch->done_bytes + batch->left_bytes,
             took_ns = clock_now_ns() - batch->progress.started_ns;
    double part = all ? (double)batch->done_bytes / (double)all : (double)n_ended / (double)n_all;
    char bar[BAR_COLUMNS + 1], rate[UNITS_TEXT_MAX], left[UNITS_TEXT_MAX], text[160];
    int length;

    if (!progress_is_due(&batch->progress))
        return;
    memset(bar, '-', BAR_COLUMNS);
    memset(bar, '#', (size_t)(part * BAR_COLUMNS));
    bar[BAR_COLUMNS] = '\0';
    size_format((uint64_t)((double)batch->done_bytes * NS_PER_SEC / (double)(took_ns | 1)), rate);
    length = snprintf(text, sizeof(text), "[%s] %zu of %zu files, %s/s", bar, n_ended, n_all, rate);
    if (part > 0 && n_ended > 0)
        length += snprintf(
            text + length, sizeof(text) - (size_t)length, ", %s left",
            duration_format((uint64_t)((double)took_ns * (1 - part) / part) / NS_PER_SEC * NS_PER_SEC, left));
    if (batch->n_failed)
        snprintf(text + length, sizeof(text) - (size_t)length, ", %zu failed", batch->n_failed);
    progress_line(&batch->progress, text);
}

static int say_summary(Batch *batch) {
    uint64_t took_ns = clock_now_ns() - batch->progress.started_ns;
    char bytes[UNITS_TEXT_MAX], took[UNITS_TEXT_MAX];
    size_t left = n_left(batch);

    progress_clear(&batch->progress);
    fprintf(stderr, "shmipc call: %zu done (%s in %s)", batch->n_done, size_format(batch->done_bytes, bytes),
            duration_format(took_ns / NS_PER_MS * NS_PER_MS, took));
    if (batch->n_skipped)
        fprintf(stderr, ", %zu were there already", batch->n_skipped);
    if (batch->n_failed)
        fprintf(stderr, ", %zu failed", batch->n_failed);
    if (left)
        fprintf(stderr, ", %zu left: the same command does what is missing", left);
    fputc('\n', stderr);
    return batch->status;
}

/* ---- ends ---- */

/* It is not in flight any more. */
static void let_go(Batch *batch, File *file) {
    if (file->request)
        request_release(file->request);
    file->request = NULL;
    file->fd = fd_close(file->fd);
    for (size_t i = 0; i < batch->n_active; i++)
        if (batch->active[i] == file) {
            batch->active[i] = batch->active[--batch->n_active];
            return;
        }
}

static void fail_file(Batch *batch, File *file, int status) {
    file->is_left = false;
    batch->left_bytes -= file->bytes;
    note_failure(batch, status);
    let_go(batch, file);
}

static void begin_again(Batch *batch, File *file) {
    if ((size_t)(file - batch->files) < batch->next)
        batch->next = (size_t)(file - batch->files);
    let_go(batch, file);
}

/* There is no memory for it: it is sent again when there are fewer. Return: whether that may help. */
static bool put_back(Batch *batch, File *file) {
    if (batch->n_active < 2 && ++file->n_refused > ALONE_TRIES)
        return false;
    batch->limit = batch->n_active > 1 ? batch->n_active - 1 : 1;
    batch->pause_ns = clock_now_ns() + PAUSE_NS;
    begin_again(batch, file);
    return true;
}

static bool is_want_of_memory(Reason reason) {
    return reason == REASON_MEMORY_BUDGET || reason == REASON_MEMORY_FULL;
}

/* What became of its exchange, in words. Return: the exit status for it. */
static int say_end(Batch *batch, const File *file) {
    const Request *request = file->request;
    char how[64] = "", sequence[SEQUENCE_TEXT_MAX];
    const char *what = request->end == SLOT_EXPIRED     ? "timed out; wait longer with -t"
                       : request->end == SLOT_CANCELLED ? "was cancelled"
                                                        : reason_name(request->reason);
    int status = request->end == SLOT_EXPIRED     ? EXIT_TIMED_OUT
                 : request->end == SLOT_CANCELLED ? EXIT_WORKER_LOST
                                                  : command_status_of(request->reason);

    if (request->end == SLOT_FAILED && request->status > 0)
        snprintf(how, sizeof(how), " with exit status %d", request->status);
    else if (request->end == SLOT_FAILED && request->status < 0)
        snprintf(how, sizeof(how), " by signal %d", -request->status);
    complain(batch, status, "%s: %s%s (exchange %s)", file->path, what, how,
             sequence_format(client_id(batch->client), request->slot, request->generation, sequence));
    if (request->end == SLOT_FAILED)
        call_show_text(request, TEXT_BYTES_MAX);
    return status;
}

/* As far as its times say: whether somebody has written to it, or has put another in its place. */
static bool is_as_it_was_sent(const File *file) {
    const struct stat *sent = &file->sent;
    struct stat now;

    return stat(file->path, &now) == 0 && now.st_dev == sent->st_dev && now.st_ino == sent->st_ino &&
           now.st_size == sent->st_size && now.st_mtim.tv_sec == sent->st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == sent->st_mtim.tv_nsec;
}

/* No other call writes into this folder: it is locked. What a kill has left goes; what a stranger has put
 * there (a link, a pipe, a file of his own) is not written into. Return: 0, INPUT_CHANGED, or negative errno.
 */
static int write_output(const Batch *batch, const File *file) {
    int fd, r;

    (void)file_remove(batch->folder, PART);
    fd = openat(batch->folder, PART, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return error_errno();
    r = file_write(fd, 0, file->request->response.map, file->request->response_bytes);
    if (r == 0) /* else a power failure could leave it empty, and newer than its input */
        r = file_sync(fd);
    if (close(fd) < 0 && r == 0)
        r = error_errno();
    /* Last: a change after this is newer than the output. */
    if (r == 0 && !is_as_it_was_sent(file))
        r = INPUT_CHANGED;
    if (r == 0 && renameat(batch->folder, PART, batch->folder, file->name) < 0)
        r = error_errno();
    if (r != 0)
        (void)file_remove(batch->folder, PART);
    return r;
}

static void finish_file(Batch *batch, File *file) {
    int r;

    if (file->request->end == SLOT_FAILED && is_want_of_memory(file->request->reason) &&
        put_back(batch, file))
        return;
    if (file->request->end != SLOT_DONE) {
        fail_file(batch, file, say_end(batch, file));
        return;
    }
    r = write_output(batch, file);
    if (r == INPUT_CHANGED && ++file->n_changed < CHANGE_TRIES) {
        begin_again(batch, file);
        return;
    }
    if (r == INPUT_CHANGED) {
        fail_file(batch, file,
                  complain(batch, EXIT_LOCAL,
                           "%s: was changed each time while it was at a worker; call it again "
                           "when nobody writes to it",
                           file->path));
        return;
    }
    if (r < 0) {
        fail_file(
            batch, file,
            complain(batch, EXIT_LOCAL, "writing %s/%s: %s", batch->order->folder, file->name, strerror(-r)));
        return;
    }
    file->is_left = false;
    batch->n_done++;
    batch->done_bytes += file->bytes;
    batch->left_bytes -= file->bytes;
    let_go(batch, file);
}

/* ---- beginnings ---- */

/* As much as there was when it was opened: what is added meanwhile is not waited for. */
static int read_input(File *file) {
    Request *request = file->request;

    while (request->payload_bytes < file->bytes) {
        uint64_t left = file->bytes - request->payload_bytes;
        ssize_t n = read(file->fd, (char *)request->segment.map + request->payload_bytes,
                         left < READ_BYTES ? left : READ_BYTES);

        if (n < 0 && errno != EINTR)
            return error_errno();
        if (n == 0)
            return 0;
        if (n > 0)
            request->payload_bytes += (uint64_t)n;
    }
    return 0;
}

static void send_file(Batch *batch, File *file) {
    const CallOrder *order = batch->order;
    int r = read_input(file);

    file->fd = fd_close(file->fd);
    if (r == 0) {
        file->request->deadline_ns =
            order->has_timeout && order->timeout_ns ? clock_now_ns() + order->timeout_ns : 0;
        r = request_send(file->request);
    }
    if (r < 0)
        fail_file(batch, file, complain(batch, EXIT_LOCAL, "%s: %s", file->path, strerror(-r)));
}

/* Make room for it, and send it. It comes here again when the host has answered. */
static void advance(Batch *batch, File *file) {
    int r = file->bytes ? request_reserve(file->request, file->bytes, false) : 0;

    if (r == CLIENT_PENDING)
        return;
    if (r == 0) {
        send_file(batch, file);
        return;
    }
    if (r == CLIENT_NOT_GRANTED && is_want_of_memory(file->request->reason) && put_back(batch, file))
        return;
    if (r < 0)
        complain(batch, EXIT_LOCAL, "%s: %s", file->path, strerror(-r));
    else
        complain(batch, EXIT_NO_MEMORY, "%s: cannot be sent: %s", file->path, file->request->text);
    fail_file(batch, file, r < 0 ? EXIT_LOCAL : EXIT_NO_MEMORY);
}

/* It may have changed since it was looked at. Return: 0 or negative errno. */
static int open_input(Batch *batch, File *file) {
    file->fd = open(file->path, O_RDONLY | O_CLOEXEC);
    if (file->fd < 0 || fstat(file->fd, &file->sent) < 0)
        return error_errno();
    batch->left_bytes += (uint64_t)file->sent.st_size - file->bytes;
    file->bytes = (uint64_t)file->sent.st_size;
    return 0;
}

/* Return: whether there is a slot for it. */
static bool begin_file(Batch *batch, File *file) {
    int r;

    if (client_take(batch->client, &file->request) != 0)
        return false;
    file->request->tag = file;
    batch->active[batch->n_active++] = file;
    r = open_input(batch, file);
    if (r == 0)
        advance(batch, file);
    else
        fail_file(batch, file, complain(batch, EXIT_LOCAL, "%s: %s", file->path, strerror(-r)));
    return true;
}

static void begin_files(Batch *batch) {
    if (clock_now_ns() < batch->pause_ns)
        return;
    while (!interrupted && batch->n_active < batch->limit && batch->next < batch->order->n_files) {
        File *file = &batch->files[batch->next++];

        if (!file->is_left || file->request)
            continue;
        if (begin_file(batch, file))
            continue;
        batch->next--;
        return;
    }
}

/* ---- the loop ---- */

/* Whose time is over though nobody has said so: the host may have stopped. */
static void give_up(Batch *batch) {
    uint64_t now_ns = clock_now_ns();

    for (size_t i = batch->n_active; i-- > 0;) {
        File *file = batch->active[i];

        if (file->request->state != REQUEST_SENT || file->request->deadline_ns == 0 ||
            now_ns < file->request->deadline_ns + GRACE_NS)
            continue;
        fail_file(batch, file,
                  complain(batch, EXIT_TIMED_OUT, "%s: timed out; wait longer with -t", file->path));
    }
}

/* Nothing is in flight and nothing can be: what was given up has every slot. */
static bool is_stuck(Batch *batch) {
    if (batch->n_active > 0)
        batch->idle_ns = 0;
    else if (batch->idle_ns == 0)
        batch->idle_ns = clock_now_ns();
    return batch->idle_ns && clock_now_ns() > batch->idle_ns + STUCK_NS;
}

/* What ends all of it. Return: 0 to go on, or an exit status. */
static int look_at_client(Batch *batch) {
    const char *host = batch->order->host;

    if (client_state(batch->client) != CLIENT_READY) {
        return complain(batch, EXIT_NO_HOST, "the host `%s` went away; see `systemctl status shmipc@%s`",
                        host, host);
    }
    if (client_n_workers(batch->client) > 0)
        batch->alone_ns = 0;
    else if (batch->alone_ns == 0)
        batch->alone_ns = clock_now_ns();
    if (is_stuck(batch))
        return complain(batch, EXIT_TIMED_OUT,
                        "what timed out does not end: see `shmipc status` of the host `%s`", host);
    if (batch->order->has_timeout || !batch->alone_ns || clock_now_ns() < batch->alone_ns + CALL_NO_WORKER_NS)
        return 0;
    return complain(
        batch, EXIT_TIMED_OUT,
        "no worker is attached to the host `%s`; start one, as in `systemctl start shmipc@worker`, or "
        "wait longer with -t",
        host);
}

/* Wait for something to happen, or for the next look at the clock. */
static int wait_once(Batch *batch) {
    int r = client_wait(batch->client, clock_now_ns() + NS_PER_SEC / 5);
    Request *request;

    if (r < 0)
        return complain(batch, EXIT_LOCAL, "waiting for the host: %s", strerror(-r));
    while (client_pop(batch->client, &request))
        finish_file(batch, request->tag);
    for (size_t i = batch->n_active; i-- > 0;)
        if (batch->active[i]->request->state == REQUEST_TAKEN)
            advance(batch, batch->active[i]);
    give_up(batch);
    return look_at_client(batch);
}

static int send_all(Batch *batch) {
    uint32_t n_slots, n_workers;
    int r =
        call_connect(batch->order->host, batch->order->timeout_ns, batch->order->has_timeout, &batch->client);

    if (r != 0)
        return r;
    /* Until now there was nothing to tell of: they ended it at once. */
    (void)command_catch(SIGINT, on_signal, 0);
    (void)command_catch(SIGTERM, on_signal, 0);
    n_slots = client_n_slots(batch->client);
    n_workers = client_n_workers(batch->client);
    batch->limit = batch->order->n_jobs ? batch->order->n_jobs : n_workers ? n_workers : 1;
    if (batch->limit > n_slots)
        batch->limit = n_slots;
    if (batch->limit > CALL_JOBS_MAX)
        batch->limit = CALL_JOBS_MAX;
    for (begin_files(batch); n_left(batch) > 0 && !interrupted && r == 0; begin_files(batch)) {
        show_progress(batch);
        r = wait_once(batch);
    }
    return r;
}

/* As if it had not been caught, for whoever started it. */
static int end_by_signal(int number) {
    (void)signal(number, SIG_DFL);
    (void)raise(number);
    return 128 + number;
}

static void batch_deinit(Batch *batch) {
    client_free(batch->client);
    for (size_t i = 0; i < batch->n_active; i++)
        fd_close(batch->active[i]->fd);
    fd_close(batch->folder);
    free(batch->files);
}

int call_many(const CallOrder *order) {
    _cleanup_(batch_deinit) Batch batch = {.order = order, .folder = -1};
    int r;

    progress_init(&batch.progress);
    r = prepare(&batch);
    if (r != 0)
        return r;
    if (n_left(&batch) > 0)
        r = send_all(&batch);
    if (r != 0)
        batch.status = r;
    r = say_summary(&batch);
    return interrupted ? end_by_signal(interrupted) : r;
}
