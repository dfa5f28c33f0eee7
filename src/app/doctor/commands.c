/* SPDX-License-Identifier: MIT */
/*
 * What handlers run
 *
 * A command counts as there if whoever runs it finds it and may run it: with the PATH, the user and the files
 * of the process that runs, or else of its unit. A caller's own shell says nothing of that: a unit has
 * another PATH, and /home is closed to it.
 */
#include "app/doctor/doctor.h"
#include "app/job.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_MOST    4096
#define LOOK_SECONDS 10 /* what he sees may be a file system of his own, which need not answer */
#define PATH_DEFAULT "/usr/local/bin:/usr/bin:/bin" /* of the exec handler */

/* Who runs the commands of an instance, and what he sees. */
typedef struct Runner {
    char path[PATH_MOST]; /* $PATH */
    uid_t uid;
    bool is_sure;  /* that and the files are known, and may be looked at */
    int root_fd;   /* what he takes for / */
    int folder_fd; /* where he stands */
} Runner;

#define RUNNER_NULL                                                                                          \
    { .root_fd = -1, .folder_fd = -1 }

static void runner_deinit(Runner *runner) {
    fd_close(runner->root_fd);
    fd_close(runner->folder_fd);
}

/* ---- who ---- */

static int folder_of(pid_t pid, const char *which) {
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, which);
    return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void set_path(Runner *runner, const char *path) {
    snprintf(runner->path, sizeof(runner->path), "%s", path);
}

/* The environment that a process was started with. Return: whether it can be seen. */
static bool take_path_of(Runner *runner, pid_t pid) {
    _cleanup_free_ char *variable = NULL;
    size_t room = 0;
    char path[64];
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
    file = fopen(path, "re");
    if (!file)
        return false;
    set_path(runner, PATH_DEFAULT);
    while (getdelim(&variable, &room, '\0', file) > 0)
        if (!strncmp(variable, "PATH=", 5))
            set_path(runner, variable + 5);
    fclose(file);
    return true;
}

static void runner_of_process(Runner *runner, const Daemon *daemon) {
    runner->uid = daemon->uid;
    runner->root_fd = folder_of(daemon->pid, "root");
    runner->folder_fd = folder_of(daemon->pid, "cwd");
    runner->is_sure = take_path_of(runner, daemon->pid) && runner->root_fd >= 0 && runner->folder_fd >= 0;
}

static void runner_of_unit(Runner *runner, const JobUnit *unit) {
    const struct passwd *user = getpwnam(unit->user[0] ? unit->user : "root");

    set_path(runner, unit->path[0] ? unit->path : PATH_DEFAULT);
    runner->is_sure = user != NULL;
    if (user)
        runner->uid = user->pw_uid;
    runner->folder_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void runner_of_shell(Runner *runner) {
    const char *path = getenv("PATH");

    set_path(runner, path ? path : PATH_DEFAULT);
    runner->uid = geteuid();
    runner->is_sure = true;
}

/* For @instance, whose handler may set a PATH of its own. */
static void find_runner(const Doctor *doctor, const Instance *instance, Runner *runner) {
    const Daemon *daemon = doctor_daemon(doctor, instance->name);
    char **variable = instance->worker->handler.environment;
    JobUnit unit;

    if (daemon)
        runner_of_process(runner, daemon);
    else if (doctor->has_systemd && job_unit_read(instance->name, &unit) == 0)
        runner_of_unit(runner, &unit);
    else
        runner_of_shell(runner);
    if (runner->root_fd < 0)
        runner->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (runner->folder_fd < 0)
        runner->folder_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    runner->is_sure = runner->is_sure && (geteuid() == 0 || runner->uid == geteuid());
    for (; variable && *variable; variable++)
        if (!strncmp(*variable, "PATH=", 5))
            set_path(runner, *variable + 5);
}

/* ---- whether he can run it ---- */

/* All that follows: Return: 0, or the positive errno that says why not. */
static int try_path(const Runner *runner, const char *path) {
    int folder = path[0] == '/' ? runner->root_fd : runner->folder_fd;
    struct stat is;

    path += strspn(path, "/");
    if (fstatat(folder, path, &is, 0) < 0)
        return errno;
    if (!S_ISREG(is.st_mode))
        return EACCES;
    return faccessat(folder, path, X_OK, AT_EACCESS) < 0 ? errno : 0;
}

/* As the exec handler does. */
static int look(const Runner *runner, const char *command) {
    int error = ENOENT;
    char path[PATH_MOST];

    if (strchr(command, '/'))
        return try_path(runner, command);
    for (const char *folder = runner->path; *folder; folder += strspn(folder, ":")) {
        size_t length = strcspn(folder, ":");
        int r = ENOENT;

        if (*folder == '/' &&
            (size_t)snprintf(path, sizeof(path), "%.*s/%s", (int)length, folder, command) < sizeof(path))
            r = try_path(runner, path);
        if (r == 0)
            return 0;
        error = r == ENOENT ? error : r;
        folder += length;
    }
    return error;
}

/* In a process that becomes this user for good: the kernel knows best what he may. */
static int look_as(const Runner *runner, const char *command) {
    const struct passwd *user = getpwuid(runner->uid);
    gid_t gid = user ? user->pw_gid : (gid_t)runner->uid;
    int status;
    pid_t pid;

    if (runner->uid == geteuid() || geteuid() != 0)
        return look(runner, command);
    pid = fork();
    if (pid < 0)
        return errno;
    if (pid == 0) {
        alarm(LOOK_SECONDS);
        if ((user ? initgroups(user->pw_name, gid) : setgroups(0, NULL)) < 0 || setgid(gid) < 0 ||
            setuid(runner->uid) < 0)
            _exit(errno);
        _exit(look(runner, command));
    }
    if (waitpid(pid, &status, 0) < 0)
        return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

/* ---- the check ---- */

/* Whether he could, if he had the files that are seen from here. */
static bool is_hidden(const Runner *runner, const char *command) {
    Runner here = *runner;
    bool can;

    here.root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    can = here.root_fd >= 0 && command[0] == '/' && look_as(&here, command) == 0;
    fd_close(here.root_fd);
    return can;
}

static void note_missing(Doctor *doctor, const char *instance, const Runner *runner, const char *command,
                         int error) {
    if (!runner->is_sure)
        doctor_note(doctor, VERDICT_UNSEEN, instance,
                    "its handler runs `%s`; whether it is there for its user is for root to see", command);
    else if (is_hidden(runner, command)) {
        doctor_note(
            doctor, VERDICT_FAIL, instance,
            "its handler runs `%s`, which its unit does not let it see (ProtectHome=, PrivateTmp=): each "
            "request fails",
            command);
        doctor_cure(doctor, "put it into /usr/local/bin, or open its unit: open-handler.conf in systemd.md");
    } else if (error != ENOENT) {
        doctor_note(doctor, VERDICT_FAIL, instance,
                    "its handler runs `%s`, which cannot be run by user %u: %s: each request fails", command,
                    (unsigned)runner->uid, strerror(error));
        doctor_cure(doctor, "chmod +x it and the folders above it; or other `command` in %s", doctor->path);
    } else {
        doctor_note(doctor, VERDICT_FAIL, instance,
                    "its handler runs `%s`, which is %s%.200s%s: each request fails", command,
                    strchr(command, '/') ? "not there" : "in no folder of its PATH (",
                    strchr(command, '/') ? "" : runner->path, strchr(command, '/') ? "" : ")");
        doctor_cure(doctor, "install it, or give its path in `command` in %s", doctor->path);
    }
}

/* Return: whether the instance runs a command. */
static bool look_at_command(Doctor *doctor, const Instance *instance) {
    _cleanup_(runner_deinit) Runner runner = RUNNER_NULL;
    const char *command;
    int error;

    if (!instance->worker || instance->worker->handler.type != HANDLER_EXEC)
        return false;
    command = instance->worker->handler.command[0];
    find_runner(doctor, instance, &runner);
    error = look_as(&runner, command);
    if (error)
        note_missing(doctor, instance->name, &runner, command, error);
    return true;
}

void doctor_check_commands(Doctor *doctor) {
    unsigned n = 0;

    for (size_t i = 0; i < config_count(doctor->config); i++) {
        Instance instance;

        config_at(doctor->config, i, &instance);
        n += look_at_command(doctor, &instance);
    }
    if (n == 0)
        doctor_note(doctor, VERDICT_OK, NULL, "no handler runs a command");
    else if (doctor_count(doctor, VERDICT_FAIL) + doctor_count(doctor, VERDICT_UNSEEN) == 0)
        doctor_note(doctor, VERDICT_OK, NULL, "the commands of all handlers are there");
}
