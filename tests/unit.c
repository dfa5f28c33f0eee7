/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static bool is_root;

const char *unit_name(void) {
    static char name[64];
    static int n;
    struct timespec now;

    /* A process number comes again; a time with it does not. */
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(name, sizeof(name), "/shmipc-test.%d.%lld.%d", (int)getpid(),
             now.tv_sec * 1000000000LL + now.tv_nsec, n++);
    return name;
}

bool unit_is_root(void) {
    return is_root;
}

int unit_as_uid(uid_t uid, int (*function)(void *data), void *data) {
    pid_t pid = fork();
    int status;

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        if (setgroups(0, NULL) < 0 || setgid(uid) < 0 || setuid(uid) < 0)
            _exit(255);
        _exit(function(data));
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void unit_small_shm(size_t bytes) {
    char options[64];

    snprintf(options, sizeof(options), "size=%zu,mode=1777", bytes);
    ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
    ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    ck_assert_int_eq(mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, options), 0);
}

size_t unit_n_fds(void) {
    DIR *directory = opendir("/proc/self/fd");
    size_t n = 0;

    ck_assert_ptr_nonnull(directory);
    while (readdir(directory))
        n++;
    closedir(directory);
    return n - 3; /* "." and ".." and the directory's own */
}

bool unit_is_readable(int fd) {
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};

    return poll(&pollfd, 1, 0) > 0;
}

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "we");

    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        perror(path);
}

/*
 * An IPC namespace needs a user namespace where one is not root. In it this user stays who he is: without a
 * uid he could make no queue there. Where none can be had, the tests share the machine's.
 */
static void enter_ipc_namespace(void) {
    char uids[64], gids[64];

    if (unshare(CLONE_NEWIPC) == 0 || geteuid() == 0)
        return;
    snprintf(uids, sizeof(uids), "%u %u 1", geteuid(), geteuid());
    snprintf(gids, sizeof(gids), "%u %u 1", getegid(), getegid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWIPC) < 0)
        return;
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/uid_map", uids);
    write_file("/proc/self/gid_map", gids);
}

void unit_set_user(uid_t uid) {
    ck_assert_int_eq(seteuid(uid), 0);
    ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1), 0); /* or it cannot open its own descriptors again */
}

int unit_stderr_to(bool terminal) {
    int ends[2];

    if (terminal) {
        ends[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        ck_assert_int_eq(grantpt(ends[0]), 0);
        ck_assert_int_eq(unlockpt(ends[0]), 0);
        ends[1] = open(ptsname(ends[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
    } else
        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    ck_assert_int_ge(ends[1], 0);
    ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    close(ends[1]);
    return ends[0];
}

const char *unit_said(int fd) {
    static char text[1024];
    ssize_t n = read(fd, text, sizeof(text) - 1);

    ck_assert_int_gt(n, 0);
    text[n] = '\0';
    return text;
}

int main(void) {
    SRunner *runner;
    int n_failed;

    /* Root in a container may lack what it takes. */
    is_root = geteuid() == 0 && unshare(CLONE_NEWNS) == 0;
    if (!is_root)
        printf("# no right to mount and to change uids: tests that do are left out\n");
    enter_ipc_namespace();

    /* Only what hangs shall time out, not what runs on a busy machine. */
    setenv("CK_DEFAULT_TIMEOUT", "60", 0);
    runner = srunner_create(unit_suite());
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
