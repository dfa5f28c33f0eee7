/* SPDX-License-Identifier: MIT */
#include "os/process.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "os/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PATH_DEFAULT       "/usr/local/bin:/usr/bin:/bin"
#define KEEPER_STACK_BYTES 65536 /* of which it needs a few KiB; sanitizers ask for more */

/* ---- the environment ---- */

/* Whether a "NAME=value" is named as @other, which may have a value of its own. */
static bool same_name(const char *entry, const char *other) {
    size_t bytes = strcspn(entry, "=");

    return entry[bytes] == '=' && strncmp(entry, other, bytes) == 0 &&
           (other[bytes] == '=' || other[bytes] == '\0');
}

/* What systemd says to this process and to no child of it: a command that says READY=1 would speak for us. */
static bool is_for_us_alone(const char *entry) {
    static const char *const prefixes[] = {"NOTIFY_SOCKET=", "WATCHDOG_", "LISTEN_"};

    for (size_t i = 0; i < ELEMENTS(prefixes); i++)
        if (strncmp(entry, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static bool is_named_in(const char *entry, char *const *entries) {
    for (; *entries; entries++)
        if (same_name(*entries, entry))
            return true;
    return false;
}

static size_t count(char *const *entries) {
    size_t n = 0;

    while (entries[n])
        n++;
    return n;
}

/* Return: a list to be freed, whose strings are borrowed; NULL if there is no memory. */
static char **environment_merge(char *const *inherited, char *const *added) {
    char **merged = calloc(count(inherited) + count(added) + 1, sizeof(*merged));
    size_t n = 0;

    if (!merged)
        return NULL;
    for (; *inherited; inherited++)
        if (!is_for_us_alone(*inherited) && !is_named_in(*inherited, added))
            merged[n++] = *inherited;
    /* The last of a name counts. */
    for (; *added; added++)
        if (!is_named_in(*added, added + 1))
            merged[n++] = *added;
    return merged;
}

static const char *environment_get(char *const *environment, const char *name) {
    for (; *environment; environment++)
        if (same_name(*environment, name))
            return *environment + strcspn(*environment, "=") + 1;
    return NULL;
}

/* ---- the program ---- */

static int program_check(const char *path) {
    struct stat st;

    if (stat(path, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EACCES;
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

/*
 * Where execvp() would find it, so that the keeper has nothing to look for; but a relative directory in PATH
 * would make what runs depend on where the daemon stands, and one that may not be looked into holds nothing.
 * What is there and may not be executed is passed over, and said if nothing else is found.
 */
static int program_search(const char *name, const char *directories, char **ret_path) {
    int error = -ENOENT;
    size_t bytes;

    for (const char *at = directories; *at; at += bytes + (at[bytes] == ':')) {
        _cleanup_free_ char *path = NULL;
        int r;

        bytes = strcspn(at, ":");
        if (*at != '/')
            continue;
        if (asprintf(&path, "%.*s/%s", (int)bytes, at, name) < 0) {
            path = NULL;
            return error_origin(-ENOMEM);
        }
        r = program_check(path);
        if (r == 0) {
            *ret_path = TAKE(path);
            return 0;
        }
        if (access(path, F_OK) == 0)
            error = r;
    }
    return error_origin(error);
}

static int program_find(const char *name, char *const *environment, char **ret_path) {
    const char *directories = environment_get(environment, "PATH");
    char *path;
    int r;

    if (!*name)
        return error_origin(-ENOENT);
    if (!strchr(name, '/'))
        return program_search(name, directories ? directories : PATH_DEFAULT, ret_path);
    r = program_check(name);
    if (r < 0)
        return error_origin(r);
    path = strdup(name);
    if (!path)
        return error_origin(-ENOMEM);
    *ret_path = path;
    return 0;
}

/* ---- the keeper ---- */

static int keeper_main(void *order) {
    keeper_run(order);
}

/*
 * A fork that yields the pidfd with it: opened afterwards it could fail or, where SIGCHLD is ignored, come
 * too late. All signals are blocked, lest a handler of ours runs in the keeper.
 */
static int keeper_start(KeeperOrder *order, int *ret_pidfd) {
    _Alignas(16) char stack[KEEPER_STACK_BYTES];
    sigset_t all, before;
    int pidfd, r = 0;

    order->parent = getpid();
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    if (clone(keeper_main, stack + sizeof(stack), CLONE_PIDFD | SIGCHLD, order, &pidfd) < 0)
        r = error_errno();
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r == 0)
        *ret_pidfd = pidfd;
    return r;
}

/* Return: 0, -EPIPE when the keeper is gone and has said nothing, or negative errno. */
static int keeper_listen(int report_fd, KeeperReport *ret_report) {
    KeeperReport report;
    ssize_t bytes;

    do
        bytes = read(report_fd, &report, sizeof(report));
    while (bytes < 0 && errno == EINTR);
    if (bytes < 0)
        return error_errno();
    if (bytes != sizeof(report))
        return error_origin(-EPIPE);
    *ret_report = report;
    return 0;
}

/*
 * Tell it to end, and wait until it has. A keeper that somebody stopped is woken. Where this process ignores
 * SIGCHLD the kernel has reaped, and says ECHILD.
 */
static int keeper_end(int pidfd) {
    siginfo_t state;
    int r;

    do {
        (void)pidfd_send_signal(pidfd, SIGTERM, NULL, 0);
        (void)pidfd_send_signal(pidfd, SIGCONT, NULL, 0);
        do
            r = waitid(P_PIDFD, (id_t)pidfd, &state, WEXITED | WSTOPPED);
        while (r < 0 && errno == EINTR);
    } while (r == 0 && state.si_code == CLD_STOPPED);
    return r < 0 && errno != ECHILD ? error_errno() : 0;
}

/* ---- a child ---- */

/*
 * Hear whether the command was started. One that has killed its keeper before that could tell was, and
 * process_end() says what became of it.
 * Return: its pid or negative errno.
 */
static pid_t keeper_await(int report_fd) {
    KeeperReport announced, started;
    int r;

    r = keeper_listen(report_fd, &announced);
    if (r == 0 && announced.error < 0)
        r = error_origin(announced.error);
    if (r < 0)
        return r;
    r = keeper_listen(report_fd, &started);
    if (r == 0 && started.error < 0)
        return error_origin(started.error);
    return r == 0 || r == -EPIPE ? announced.pid : r;
}

static int process_start(Process *process, KeeperOrder *order) {
    _cleanup_close_ int report_fd = -1, order_fd = -1, pidfd = -1;
    int pipe_fds[2], r;
    pid_t pid;

    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return error_errno();
    report_fd = pipe_fds[0];
    order->report_fd = order_fd = pipe_fds[1];
    r = keeper_start(order, &pidfd);
    if (r < 0)
        return r;
    order_fd = fd_close(order_fd);
    pid = keeper_await(report_fd);
    if (pid < 0) {
        (void)keeper_end(pidfd);
        return pid;
    }
    *process = (Process){.pid = pid, .pidfd = TAKE_FD(pidfd), .report_fd = TAKE_FD(report_fd)};
    return 0;
}

int process_spawn(Process *process, char *const *argv, char *const *environment, const int fds[static 3]) {
    static char *const nothing[] = {NULL};
    _cleanup_free_ char **merged = environment_merge(environ, environment ? environment : nothing);
    _cleanup_free_ char *path = NULL;
    KeeperOrder order = {.argv = argv, .environment = merged, .fds = fds};
    int r;

    if (!merged)
        return error_origin(-ENOMEM);
    r = program_find(argv[0], merged, &path);
    if (r < 0)
        return r;
    order.path = path;
    r = process_start(process, &order);
    /* The program was there: what is missing is what it names in its first line, or the dynamic linker. */
    return r == -ENOENT ? error_origin(-ELIBACC) : r;
}

int process_end(Process *process, int *ret_status) {
    _cleanup_close_ int pidfd = process->pidfd, report_fd = process->report_fd;
    const pid_t group = process->pid;
    KeeperReport ended;
    int r;

    *process = (Process)PROCESS_NULL;
    r = keeper_end(pidfd);
    if (r < 0)
        return r;
    r = keeper_listen(report_fd, &ended);
    if (r == -EPIPE) {
        /*
         * The keeper was killed, and its command with it; the rest of the group is still there. That its id
         * is another's by now would take all other ids to be used meanwhile.
         */
        (void)kill(-group, SIGKILL);
        ended.status = -SIGKILL;
        r = 0;
    }
    if (r == 0)
        *ret_status = ended.status;
    return r;
}

/* ---- pidfds ---- */

bool process_has_exited(int pidfd) {
    struct pollfd pollfd = {.fd = pidfd, .events = POLLIN};

    return poll(&pollfd, 1, 0) > 0 && pollfd.revents & POLLIN;
}

bool process_may_kill(int pidfd) {
    return pidfd_send_signal(pidfd, 0, NULL, 0) == 0 || errno != EPERM;
}

int process_kill(int pidfd) {
    return pidfd_send_signal(pidfd, SIGKILL, NULL, 0) < 0 ? error_errno() : 0;
}

const char *process_name(pid_t pid, char buffer[static 32]) {
    _cleanup_close_ int fd = -1;
    char path[64];
    ssize_t bytes = 0;

    snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        bytes = read(fd, buffer, 31);
    while (bytes > 0 && buffer[bytes - 1] == '\n')
        bytes--;
    if (bytes <= 0)
        return strcpy(buffer, "?");
    buffer[bytes] = '\0';
    return buffer;
}
