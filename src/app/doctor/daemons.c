/* SPDX-License-Identifier: MIT */
/*
 * The daemons that run
 *
 * They are found in /proc, which shows everybody's command lines to everybody: a process `shmipc run NAME`
 * that has our configuration. One in a PID namespace below ours is somebody else's, with files of its own.
 *
 * Anybody can have a process that says anything. What is no name of an instance is not one, and goes neither
 * to the terminal nor into a command. A process is believed if it is in the unit of that instance, into which
 * nobody but systemd puts one; or else if it is of a user who does not lie to us (root, the service user,
 * whose the configuration is, and who asks) and runs a program of our name, where that may be seen.
 */
#include "app/doctor/doctor.h"
#include "app/job.h"

#include "app/config-values.h"
#include "base/error.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARGUMENTS_MAX 8

/* ---- what it says of itself ---- */

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* The arguments of a process, in @room. Return: how many; 0 if they cannot be read, or there are too many. */
static size_t arguments_of(pid_t pid, char *room, size_t bytes, const char *arguments[ARGUMENTS_MAX]) {
    _cleanup_close_ int fd = -1;
    char path[64];
    ssize_t length;
    size_t n = 0;

    snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    length = fd < 0 ? -1 : read(fd, room, bytes - 1);
    if (length <= 0)
        return 0;
    room[length] = '\0';
    for (char *at = room; at < room + length; at += strlen(at) + 1) {
        if (n == ARGUMENTS_MAX)
            return 0;
        arguments[n++] = at;
    }
    return n;
}

/* The file of -c, if @argument is that option; *@next is what follows it, and is taken if it is its value. */
static const char *config_option(const char *argument, const char *next, size_t *ret_taken) {
    static const char word[] = "--config";

    *ret_taken = 0;
    if (!strcmp(argument, "-c") || !strcmp(argument, word)) {
        *ret_taken = 1;
        return next;
    }
    if (!strncmp(argument, word, sizeof(word) - 1) && argument[sizeof(word) - 1] == '=')
        return argument + sizeof(word);
    return !strncmp(argument, "-c", 2) ? argument + 2 : NULL;
}

/* A path as it was given may be relative to a folder that is not known: its name is compared, too. */
static bool is_same_file(const char *given, const char *path) {
    struct stat a, b;

    if (given[0] != '/')
        return !strcmp(base_name(given), base_name(path));
    return !strcmp(given, path) ||
           (stat(given, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino);
}

/* Whether it is `shmipc run NAME`, with which configuration. Return: the name, a valid one, or NULL. */
static const char *instance_of(const char *const *arguments, size_t n, const char **ret_file) {
    const char *file = SHMIPC_CONFIG_FILE, *name = NULL;

    if (n < 3 || strcmp(base_name(arguments[0]), "shmipc") != 0 || strcmp(arguments[1], "run") != 0)
        return NULL;
    for (size_t i = 2, n_taken; i < n; i += 1 + n_taken) {
        const char *option = config_option(arguments[i], i + 1 < n ? arguments[i + 1] : NULL, &n_taken);

        if (option)
            file = option;
        else if (arguments[i][0] != '-')
            name = arguments[i];
    }
    *ret_file = file;
    return name && instance_name_is_valid(name) ? name : NULL;
}

/*
 * Who runs a process, if it is in our PID namespace: then it has one number, as seen from here, and no
 * further one. (The owner of its folder is root where it cannot be dumped, which anybody can ask for.)
 */
static bool is_in_our_namespace(pid_t pid, uid_t *ret_uid) {
    char path[64], line[256];
    bool is = true, has_uid = false;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file)) {
        int first, second;

        if (sscanf(line, "NSpid: %d %d", &first, &second) == 2)
            is = false;
        has_uid = sscanf(line, "Uid: %u", ret_uid) == 1 || has_uid;
    }
    if (file)
        fclose(file);
    return is && has_uid;
}

/* ---- whether that is so ---- */

static const char gone[] = " (deleted)";

bool doctor_program_of(pid_t pid, char *program, size_t bytes, bool *ret_gone) {
    char path[64];
    ssize_t length;
    size_t end;

    snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    length = readlink(path, program, bytes - 1);
    if (length < 0)
        return false;
    program[length] = '\0';
    end = (size_t)length - strlen(gone);
    *ret_gone = (size_t)length > strlen(gone) && !strcmp(program + end, gone);
    if (*ret_gone)
        program[end] = '\0';
    return true;
}

static bool is_in_unit_of(pid_t pid, const char *name) {
    char unit[128];

    snprintf(unit, sizeof(unit), "shmipc@%s.service", name);
    return job_is_in_unit(pid, unit);
}

static bool is_honest(const Doctor *doctor, uid_t uid) {
    const struct passwd *service = getpwnam(SHMIPC_USER);
    struct stat config;

    return uid == 0 || uid == geteuid() || (service && service->pw_uid == uid) ||
           (stat(doctor->path, &config) == 0 && config.st_uid == uid);
}

static bool runs_our_program(pid_t pid) {
    char program[1024];
    bool is_gone;

    return !doctor_program_of(pid, program, sizeof(program), &is_gone) ||
           !strcmp(base_name(program), "shmipc");
}

/* ---- all of them ---- */

static int add_daemon(Doctor *doctor, const Daemon *daemon) {
    Daemon *more = reallocarray(doctor->daemons, doctor->n_daemons + 1, sizeof(*more));

    if (!more)
        return error_origin(-ENOMEM);
    doctor->daemons = more;
    more[doctor->n_daemons++] = *daemon;
    return 0;
}

static int look_at_process(Doctor *doctor, pid_t pid) {
    const char *arguments[ARGUMENTS_MAX], *name, *file;
    char room[4096];
    size_t n = arguments_of(pid, room, sizeof(room), arguments);
    Daemon daemon = {.pid = pid};

    name = instance_of(arguments, n, &file);
    if (!name || !is_in_our_namespace(pid, &daemon.uid))
        return 0;
    daemon.in_unit = is_in_unit_of(pid, name);
    snprintf(daemon.name, sizeof(daemon.name), "%s", name);
    if (!daemon.in_unit && !(is_honest(doctor, daemon.uid) && runs_our_program(pid)))
        return 0;
    /* Only now: a stranger's path may lead to where a look takes for ever, or has something mounted. */
    return is_same_file(file, doctor->path) ? add_daemon(doctor, &daemon) : 0;
}

int doctor_find_daemons(Doctor *doctor) {
    DIR *processes = opendir("/proc");
    const struct dirent *entry;
    int r = 0;

    if (!processes)
        return error_errno();
    while (r == 0 && (entry = readdir(processes)))
        if (isdigit((unsigned char)entry->d_name[0]))
            r = look_at_process(doctor, (pid_t)atoi(entry->d_name));
    closedir(processes);
    return r;
}

/* The one in the unit, if there are more. */
Daemon *doctor_daemon(const Doctor *doctor, const char *name) {
    Daemon *found = NULL;

    for (size_t i = 0; i < doctor->n_daemons; i++) {
        Daemon *daemon = &doctor->daemons[i];

        if (!strcmp(daemon->name, name) && (!found || (daemon->in_unit && !found->in_unit)))
            found = daemon;
    }
    return found;
}
