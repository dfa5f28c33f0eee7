/* SPDX-License-Identifier: MIT */
/*
 * That nothing is left of a child is seen at its standard output, a pipe whose writing end all descendants
 * hold: once it reads as ended they are all gone, whatever their ids were.
 */
#include "base/cleanup.h"
#include "os/process.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define GIVE_UP_MS 30000 /* for what happens at once, or never */

#define COMMAND(...)  ((const char *[]){__VA_ARGS__, NULL})
#define SHELL(script) COMMAND("sh", "-c", script)

static Process process;
static int null_fd;
static int out_fd; /* what children write to, which reads as ended when none is left */
static int out_write_fd;
static char folder[] = "/tmp/shmipc-test-XXXXXX";

static const char *program_path(void) {
    static char path[sizeof(folder) + 32];

    snprintf(path, sizeof(path), "%s/program", folder);
    return path;
}

static void set_up(void) {
    int fds[2];

    process = (Process)PROCESS_NULL;
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(null_fd, 0);
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    out_fd = fds[0];
    out_write_fd = fds[1];
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void tear_down(void) {
    (void)unlink(program_path());
    ck_assert_int_eq(rmdir(folder), 0);
}

static int spawn_to(Process *to, const char **argv, const char **environment, const int *fds) {
    return process_spawn(to, (char *const *)argv, (char *const *)environment, fds);
}

static int spawn_with(const char **argv, const char **environment) {
    return spawn_to(&process, argv, environment, (const int[]){null_fd, out_write_fd, 2});
}

static void spawn(const char **argv) {
    ck_assert_int_eq(spawn_with(argv, NULL), 0);
}

/* Return: the writing end of its input, which ends when that is closed. */
static int spawn_waiting(const char **argv) {
    int fds[2];

    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    ck_assert_int_eq(spawn_to(&process, argv, NULL, (const int[]){fds[0], out_write_fd, 2}), 0);
    fd_close(fds[0]);
    return fds[1];
}

/* Wait for a descriptor to be readable, or to have ended. */
static void await(int fd) {
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};

    ck_assert_int_eq(poll(&pollfd, 1, GIVE_UP_MS), 1);
}

/* The next line that the child writes, without its newline; "" at the end. Static buffer. */
static const char *next_line(void) {
    static char line[1024];
    size_t n = 0;

    for (;; n++) {
        ck_assert_uint_lt(n, sizeof(line) - 1);
        await(out_fd);
        if (read(out_fd, line + n, 1) <= 0 || line[n] == '\n')
            break;
    }
    line[n] = '\0';
    return line;
}

static void let_go_of_output(void) {
    out_write_fd = fd_close(out_write_fd);
}

/* It reads as ended, here and now. */
static void assert_nothing_left(void) {
    char rest[4096];
    ssize_t bytes;

    let_go_of_output();
    ck_assert_int_eq(fcntl(out_fd, F_SETFL, O_NONBLOCK), 0);
    while ((bytes = read(out_fd, rest, sizeof(rest))) > 0)
        ;
    ck_assert_msg(bytes == 0, "somebody still holds the output");
}

static int end(void) {
    int status = 1000;

    ck_assert_int_eq(process_end(&process, &status), 0);
    ck_assert_int_eq(process.pid, 0);
    return status;
}

/* As end(), when it has ended by itself. */
static int exit_status(void) {
    await(process.pidfd);
    return end();
}

static const char *program_new(const char *content, mode_t mode) {
    FILE *file = fopen(program_path(), "we");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(content, file), 0);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(program_path(), mode), 0);
    return program_path();
}

/* ---- starting ---- */

START_TEST(spawn_looks_the_command_up_in_path) {
    spawn(SHELL("echo here"));
    ck_assert_str_eq(next_line(), "here");
    ck_assert_int_eq(exit_status(), 0);
}
END_TEST

START_TEST(spawn_uses_the_path_of_the_child) {
    const char *environment[] = {"PATH=/nowhere", NULL};

    ck_assert_int_eq(spawn_with(SHELL("echo here"), environment), -ENOENT);
}
END_TEST

START_TEST(spawn_passes_over_relative_directories_in_path) {
    const char *environment[] = {"PATH=.::bin", NULL};

    ck_assert_int_eq(chdir("/bin"), 0);
    ck_assert_int_eq(spawn_with(SHELL("echo here"), environment), -ENOENT);
}
END_TEST

START_TEST(spawn_of_what_is_not_there_says_enoent) {
    ck_assert_int_eq(spawn_with(COMMAND("shmipc-no-such-command"), NULL), -ENOENT);
    ck_assert_int_eq(spawn_with(COMMAND("/shmipc/no/such/command"), NULL), -ENOENT);
    ck_assert_int_eq(spawn_with(COMMAND(""), NULL), -ENOENT);
    ck_assert_int_eq(process.pid, 0);
}
END_TEST

START_TEST(spawn_of_what_is_not_executable_says_eacces) {
    ck_assert_int_eq(spawn_with(COMMAND(program_new("#!/bin/sh\n", 0644)), NULL), -EACCES);
    ck_assert_int_eq(spawn_with(COMMAND(folder), NULL), -EACCES);
}
END_TEST

START_TEST(spawn_in_path_says_eacces_only_when_there_is_no_better_one) {
    char path[64];
    const char *only[] = {path, NULL};

    program_new("#!/bin/sh\n", 0644);
    snprintf(path, sizeof(path), "PATH=/nowhere:%s:/bin", folder);
    ck_assert_int_eq(spawn_with(COMMAND("program"), only), -EACCES);
    ck_assert_int_eq(spawn_with(COMMAND("true"), only), 0);
    ck_assert_int_eq(exit_status(), 0);
}
END_TEST

START_TEST(spawn_of_what_is_no_program_says_enoexec) {
    ck_assert_int_eq(spawn_with(COMMAND(program_new("just text\n", 0755)), NULL), -ENOEXEC);
    ck_assert_int_eq(process.pid, 0);
    assert_nothing_left();
}
END_TEST

START_TEST(spawn_without_the_interpreter_says_elibacc) {
    ck_assert_int_eq(spawn_with(COMMAND(program_new("#!/nowhere/sh\n", 0755)), NULL), -ELIBACC);
}
END_TEST

/* ---- what a child starts with ---- */

START_TEST(child_has_no_descriptor_but_three) {
    int fds[3];

    /* Not close-on-exec, as a careless library opens them. */
    for (size_t i = 0; i < ELEMENTS(fds); i++)
        ck_assert_int_ge(fds[i] = open("/dev/null", O_RDONLY), 0);
    spawn(SHELL("ls /proc/$$/fd; :"));
    ck_assert_str_eq(next_line(), "0");
    ck_assert_str_eq(next_line(), "1");
    ck_assert_str_eq(next_line(), "2");
    let_go_of_output();
    ck_assert_str_eq(next_line(), "");
    ck_assert_int_eq(exit_status(), 0);
}
END_TEST

START_TEST(keeper_holds_none_of_them) {
    spawn(SHELL("exec > /dev/null; sleep 1000; :"));
    let_go_of_output();
    ck_assert_str_eq(next_line(), "");
    ck_assert(!process_has_exited(process.pidfd));
    ck_assert_int_eq(end(), -SIGKILL);
}
END_TEST

START_TEST(descriptors_may_lie_in_each_others_way) {
    int status, saved = fcntl(2, F_DUPFD_CLOEXEC, 100);

    ck_assert_int_ge(dup2(null_fd, 2), 0);
    ck_assert_int_ge(dup2(out_write_fd, 0), 0);
    ck_assert_int_ge(dup2(saved, 1), 0);
    ck_assert_int_eq(spawn_to(&process, SHELL("cat; echo moved"), NULL, (const int[]){2, 0, 1}), 0);
    ck_assert_str_eq(next_line(), "moved");
    ck_assert_int_eq(process_end(&process, &status), 0);
}
END_TEST

START_TEST(child_neither_blocks_nor_ignores_a_signal) {
    sigset_t blocked;

    ck_assert_ptr_ne(signal(SIGPIPE, SIG_IGN), SIG_ERR);
    ck_assert_ptr_ne(signal(SIGCHLD, SIG_IGN), SIG_ERR);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigaddset(&blocked, SIGTERM);
    ck_assert_int_eq(sigprocmask(SIG_BLOCK, &blocked, NULL), 0);
    spawn(COMMAND("grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"));
    ck_assert_str_eq(next_line(), "SigBlk:\t0000000000000000");
    ck_assert_str_eq(next_line(), "SigIgn:\t0000000000000000");
    ck_assert_int_eq(exit_status(), 0);
}
END_TEST

START_TEST(spawn_leaves_the_signals_of_this_thread_alone) {
    sigset_t before, after;

    sigemptyset(&before);
    sigaddset(&before, SIGUSR1);
    ck_assert_int_eq(sigprocmask(SIG_SETMASK, &before, NULL), 0);
    spawn(COMMAND("true"));
    ck_assert_int_eq(exit_status(), 0);
    ck_assert_int_eq(sigprocmask(SIG_SETMASK, NULL, &after), 0);
    for (int number = 1; number < SIGRTMIN; number++)
        ck_assert_int_eq(sigismember(&after, number), sigismember(&before, number));
}
END_TEST

START_TEST(child_leads_a_process_group) {
    char expected[32];

    spawn(SHELL("read -r pid name state parent group rest < /proc/$$/stat; echo $group"));
    snprintf(expected, sizeof(expected), "%d", (int)process.pid);
    ck_assert_str_eq(next_line(), expected);
    ck_assert_int_eq(exit_status(), 0);
}
END_TEST

START_TEST(environment_adds_and_replaces) {
    const char *added[] = {"UNIT_NEW=new", "UNIT_OLD=replaced", NULL};

    ck_assert_int_eq(setenv("UNIT_OLD", "old", 1), 0);
    ck_assert_int_eq(setenv("UNIT_KEPT", "kept", 1), 0);
    ck_assert_int_eq(spawn_with(SHELL("echo $UNIT_NEW $UNIT_OLD $UNIT_KEPT"), added), 0);
    ck_assert_str_eq(next_line(), "new replaced kept");
    ck_assert_int_eq(exit_status(), 0);
}
END_TEST

START_TEST(environment_holds_each_name_once) {
    const char *added[] = {"UNIT_OLD=first", "UNIT_OLD=last", NULL};

    ck_assert_int_eq(setenv("UNIT_OLD", "old", 1), 0);
    ck_assert_int_eq(spawn_with(COMMAND("grep", "-acz", "^UNIT_OLD=", "/proc/self/environ"), added), 0);
    ck_assert_str_eq(next_line(), "1");
    ck_assert_int_eq(exit_status(), 0);
    ck_assert_int_eq(spawn_with(SHELL("echo $UNIT_OLD"), added), 0);
    ck_assert_str_eq(next_line(), "last");
    ck_assert_int_eq(exit_status(), 0);
}
END_TEST

START_TEST(environment_leaves_out_what_systemd_says_to_us) {
    static const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_PID",   "WATCHDOG_USEC",
                                        "LISTEN_PID",    "LISTEN_FDNAMES", "LISTEN_FDS"};

    for (size_t i = 0; i < ELEMENTS(names); i++)
        ck_assert_int_eq(setenv(names[i], "1", 1), 0);
    ck_assert_int_eq(setenv("UNIT_KEPT", "kept", 1), 0);
    spawn(SHELL("env | grep -E '^(NOTIFY|WATCHDOG|LISTEN)_|^UNIT_KEPT'"));
    ck_assert_str_eq(next_line(), "UNIT_KEPT=kept");
    let_go_of_output();
    ck_assert_str_eq(next_line(), "");
    ck_assert_int_eq(exit_status(), 0);
}
END_TEST

/* ---- ending ---- */

START_TEST(end_says_the_exit_status) {
    spawn(SHELL("exit 7"));
    ck_assert_int_eq(exit_status(), 7);
    spawn(SHELL("exit 255"));
    ck_assert_int_eq(exit_status(), 255);
}
END_TEST

START_TEST(end_says_the_signal) {
    spawn(SHELL("kill -9 $$"));
    ck_assert_int_eq(exit_status(), -SIGKILL);
    spawn(SHELL("ulimit -c 0; kill -SEGV $$"));
    ck_assert_int_eq(exit_status(), -SIGSEGV);
}
END_TEST

START_TEST(end_says_the_status_also_where_sigchld_is_ignored) {
    ck_assert_ptr_ne(signal(SIGCHLD, SIG_IGN), SIG_ERR);
    spawn(SHELL("exit 7"));
    ck_assert_int_eq(exit_status(), 7);
}
END_TEST

START_TEST(end_kills_what_still_runs) {
    spawn(SHELL("trap '' TERM INT HUP; echo up; sleep 1000; sleep 1000"));
    ck_assert_str_eq(next_line(), "up");
    ck_assert(!process_has_exited(process.pidfd));
    ck_assert_int_eq(end(), -SIGKILL);
    assert_nothing_left();
}
END_TEST

START_TEST(end_kills_one_that_has_stopped_itself) {
    spawn(SHELL("echo up; kill -STOP $$"));
    ck_assert_str_eq(next_line(), "up");
    ck_assert_int_eq(end(), -SIGKILL);
    assert_nothing_left();
}
END_TEST

START_TEST(end_of_none_is_refused) {
    int status = 5;

    ck_assert_int_eq(process_end(&process, &status), -EINVAL);
    ck_assert_int_eq(status, 5);
}
END_TEST

START_TEST(end_kills_grandchildren) {
    spawn(SHELL("sleep 1000 & sh -c 'sleep 1000 & echo up; sleep 1000; :' & wait"));
    ck_assert_str_eq(next_line(), "up");
    ck_assert_int_eq(end(), -SIGKILL);
    assert_nothing_left();
}
END_TEST

START_TEST(end_kills_who_left_the_process_group) {
    spawn(SHELL("setsid sh -c 'echo up; sleep 1000; :' & wait"));
    ck_assert_str_eq(next_line(), "up");
    ck_assert_int_eq(end(), -SIGKILL);
    assert_nothing_left();
}
END_TEST

START_TEST(end_kills_who_became_a_daemon) {
    spawn(SHELL("(setsid sh -c 'setsid sleep 1000 & echo up; sleep 1000; :' &); exec sleep 1000"));
    ck_assert_str_eq(next_line(), "up");
    ck_assert_int_eq(end(), -SIGKILL);
    assert_nothing_left();
}
END_TEST

/* More than one read of the list holds, each with a child of its own. */
START_TEST(end_kills_a_crowd) {
    spawn(SHELL("for i in $(seq 150); do setsid sh -c 'setsid sleep 999 & echo; sleep 999; :' & done; wait"));
    for (int i = 0; i < 150; i++)
        next_line();
    ck_assert_int_eq(end(), -SIGKILL);
    assert_nothing_left();
}
END_TEST

START_TEST(exit_takes_along_what_runs_in_the_background) {
    spawn(SHELL("sleep 1000 & setsid sleep 1000 & (setsid sleep 1000 &) ; exit 4"));
    await(process.pidfd);
    assert_nothing_left();
    ck_assert_int_eq(end(), 4);
}
END_TEST

START_TEST(orphans_live_while_the_child_does) {
    spawn(SHELL("(sh -c 'read -r line < /proc/self/status; echo up; exec sleep 1000' &); exec sleep 1000"));
    ck_assert_str_eq(next_line(), "up");
    ck_assert(!process_has_exited(process.pidfd));
    ck_assert_int_eq(end(), -SIGKILL);
    assert_nothing_left();
}
END_TEST

START_TEST(end_of_one_leaves_the_descendants_of_another_alone) {
    Process other = PROCESS_NULL;
    pid_t orphan;
    int status;

    spawn(SHELL("(setsid sh -c 'echo $$; exec sleep 1000' &); exec sleep 1000"));
    orphan = (pid_t)atoi(next_line());
    ck_assert_int_gt(orphan, 1);
    ck_assert_int_eq(spawn_to(&other, SHELL("(setsid sleep 1000 &)"), NULL, (const int[]){null_fd, 1, 2}), 0);
    ck_assert_int_eq(process_end(&other, &status), 0);
    ck_assert_int_eq(kill(orphan, 0), 0);
    ck_assert(!process_has_exited(process.pidfd));

    ck_assert_int_eq(end(), -SIGKILL);
    ck_assert_int_eq(kill(orphan, 0), -1);
    ck_assert_int_eq(errno, ESRCH);
}
END_TEST

/* ---- who dies early ---- */

#define BUSY SHELL("sleep 1000 & (setsid sleep 1000 &); echo up; exec sleep 1000")

/* A process like this one, in a process group of its own, with a child. */
static pid_t worker_new(void) {
    pid_t worker = fork();

    ck_assert_int_ge(worker, 0);
    if (worker == 0) {
        int r = setpgid(0, 0) < 0 ? -errno : spawn_with(BUSY, NULL);

        let_go_of_output();
        if (r < 0)
            _exit(EXIT_FAILURE);
        for (;;)
            pause();
    }
    ck_assert_str_eq(next_line(), "up");
    let_go_of_output();
    return worker;
}

START_TEST(nothing_is_left_of_a_killed_worker) {
    ck_assert_int_eq(kill(worker_new(), SIGKILL), 0);
    ck_assert_str_eq(next_line(), "");
}
END_TEST

/* As a shell does with a job of its own. */
START_TEST(nothing_is_left_of_a_worker_killed_with_its_process_group) {
    ck_assert_int_eq(kill(-worker_new(), SIGKILL), 0);
    ck_assert_str_eq(next_line(), "");
}
END_TEST

static void *spawning_thread(void *unused) {
    spawn(BUSY);
    ck_assert_str_eq(next_line(), "up");
    return unused;
}

START_TEST(child_does_not_outlive_the_thread_that_started_it) {
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, spawning_thread, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(exit_status(), -SIGKILL);
    assert_nothing_left();
}
END_TEST

START_TEST(child_that_kills_its_keeper_dies_with_its_group) {
    spawn(SHELL("sleep 1000 & echo up; kill -9 $PPID; sleep 1000; :"));
    ck_assert_str_eq(next_line(), "up");
    ck_assert_int_eq(exit_status(), -SIGKILL);
    let_go_of_output();
    ck_assert_str_eq(next_line(), "");
}
END_TEST

START_TEST(child_that_stops_its_keeper_is_ended) {
    int go_fd = spawn_waiting(SHELL("cat; kill -STOP $PPID; echo up; exec sleep 1000"));

    go_fd = fd_close(go_fd);
    ck_assert_str_eq(next_line(), "up");
    ck_assert_int_eq(end(), -SIGKILL);
    assert_nothing_left();
}
END_TEST

START_TEST(signals_of_a_terminal_do_not_reach_child_or_keeper) {
    int go_fd = spawn_waiting(SHELL("echo up; cat; echo down"));

    ck_assert_str_eq(next_line(), "up");
    ck_assert_ptr_ne(signal(SIGINT, SIG_IGN), SIG_ERR);
    ck_assert_int_eq(kill(0, SIGINT), 0);
    go_fd = fd_close(go_fd);
    ck_assert_str_eq(next_line(), "down");
    ck_assert_int_eq(exit_status(), 0);
}
END_TEST

/* ---- pidfds ---- */

START_TEST(kill_goes_through_a_pidfd) {
    _cleanup_close_ int pidfd = -1;
    pid_t pid = fork();
    int status;

    if (pid == 0)
        for (;;)
            pause();
    ck_assert_int_ge(pidfd = pidfd_open(pid, 0), 0);
    ck_assert(!process_has_exited(pidfd));
    ck_assert_int_eq(process_kill(pidfd), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(process_has_exited(pidfd));
    ck_assert_int_eq(process_kill(pidfd), -ESRCH);
}
END_TEST

START_TEST(kill_of_another_users_process_says_eperm) {
    _cleanup_close_ int pidfd = pidfd_open(getpid(), 0);
    pid_t stranger;
    int status;

    if (geteuid() != 0)
        return; /* nobody else to be */
    stranger = fork();
    ck_assert_int_ge(stranger, 0);
    if (stranger == 0)
        _exit(setresuid(65534, 65534, 65534) < 0 || process_kill(pidfd) != -EPERM);
    ck_assert_int_eq(waitpid(stranger, &status, 0), stranger);
    ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(name_is_what_the_process_calls_itself) {
    char name[32];

    ck_assert_str_eq(process_name(getpid(), name), "test-process");
    ck_assert_str_eq(process_name(0x7fffffff, name), "?");
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("process");
    TCase *tests = tcase_create("process");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, spawn_looks_the_command_up_in_path);
    tcase_add_test(tests, spawn_uses_the_path_of_the_child);
    tcase_add_test(tests, spawn_passes_over_relative_directories_in_path);
    tcase_add_test(tests, spawn_of_what_is_not_there_says_enoent);
    tcase_add_test(tests, spawn_of_what_is_not_executable_says_eacces);
    tcase_add_test(tests, spawn_in_path_says_eacces_only_when_there_is_no_better_one);
    tcase_add_test(tests, spawn_of_what_is_no_program_says_enoexec);
    tcase_add_test(tests, spawn_without_the_interpreter_says_elibacc);
    tcase_add_test(tests, child_has_no_descriptor_but_three);
    tcase_add_test(tests, keeper_holds_none_of_them);
    tcase_add_test(tests, descriptors_may_lie_in_each_others_way);
    tcase_add_test(tests, child_neither_blocks_nor_ignores_a_signal);
    tcase_add_test(tests, spawn_leaves_the_signals_of_this_thread_alone);
    tcase_add_test(tests, child_leads_a_process_group);
    tcase_add_test(tests, environment_adds_and_replaces);
    tcase_add_test(tests, environment_holds_each_name_once);
    tcase_add_test(tests, environment_leaves_out_what_systemd_says_to_us);
    tcase_add_test(tests, end_says_the_exit_status);
    tcase_add_test(tests, end_says_the_signal);
    tcase_add_test(tests, end_says_the_status_also_where_sigchld_is_ignored);
    tcase_add_test(tests, end_kills_what_still_runs);
    tcase_add_test(tests, end_kills_one_that_has_stopped_itself);
    tcase_add_test(tests, end_of_none_is_refused);
    tcase_add_test(tests, end_kills_grandchildren);
    tcase_add_test(tests, end_kills_who_left_the_process_group);
    tcase_add_test(tests, end_kills_who_became_a_daemon);
    tcase_add_test(tests, end_kills_a_crowd);
    tcase_add_test(tests, exit_takes_along_what_runs_in_the_background);
    tcase_add_test(tests, orphans_live_while_the_child_does);
    tcase_add_test(tests, end_of_one_leaves_the_descendants_of_another_alone);
    tcase_add_test(tests, nothing_is_left_of_a_killed_worker);
    tcase_add_test(tests, nothing_is_left_of_a_worker_killed_with_its_process_group);
    tcase_add_test(tests, child_does_not_outlive_the_thread_that_started_it);
    tcase_add_test(tests, child_that_kills_its_keeper_dies_with_its_group);
    tcase_add_test(tests, child_that_stops_its_keeper_is_ended);
    tcase_add_test(tests, signals_of_a_terminal_do_not_reach_child_or_keeper);
    tcase_add_test(tests, kill_goes_through_a_pidfd);
    tcase_add_test(tests, kill_of_another_users_process_says_eperm);
    tcase_add_test(tests, name_is_what_the_process_calls_itself);
    suite_add_tcase(suite, tests);
    return suite;
}
