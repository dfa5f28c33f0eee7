/* SPDX-License-Identifier: MIT */
/*
 * What the checks share: their findings, and the daemons that run
 *
 * Daemons are found in /proc, which shows everybody's command lines to everybody: a process `shmipc run NAME`
 * that has our configuration. One in a PID namespace below ours is somebody else's, with files of its own.
 * Anybody can have a process that says anything: what is no name of an instance is not one, and goes neither
 * to the terminal nor into a command.
 */
#include "app/doctor/doctor.h"

#include "app/config-values.h"
#include "base/error.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define ARGUMENTS_MAX 8

/* ---- findings ---- */

void doctor_note(Doctor *doctor, Verdict verdict, const char *subject, const char *text, ...) {
    Finding *more = reallocarray(doctor->findings, doctor->n_findings + 1, sizeof(*more));
    va_list arguments;

    if (!more) {
        doctor->error = error_origin(-ENOMEM);
        return;
    }
    doctor->findings = more;
    more += doctor->n_findings++;
    *more = (Finding){.check = doctor->check, .verdict = verdict};
    snprintf(more->subject, sizeof(more->subject), "%s", subject ? subject : "");
    va_start(arguments, text);
    vsnprintf(more->text, sizeof(more->text), text, arguments);
    va_end(arguments);
}

void doctor_cure(Doctor *doctor, const char *text, ...) {
    Finding *latest;
    va_list arguments;

    if (doctor->error < 0 || doctor->n_findings == 0)
        return;
    latest = &doctor->findings[doctor->n_findings - 1];
    va_start(arguments, text);
    vsnprintf(latest->cure, sizeof(latest->cure), text, arguments);
    va_end(arguments);
}

size_t doctor_count(const Doctor *doctor, Verdict verdict) {
    size_t n = 0;

    for (size_t i = 0; i < doctor->n_findings; i++)
        n += doctor->findings[i].check == doctor->check && doctor->findings[i].verdict == verdict;
    return n;
}

/* ---- daemons ---- */

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

/* Whether it is `shmipc run NAME` with the configuration @path. Return: the name, a valid one, or NULL. */
static const char *instance_of(const char *const *arguments, size_t n, const char *path) {
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
    return name && instance_name_is_valid(name) && is_same_file(file, path) ? name : NULL;
}

/* Whether a process is in our PID namespace: then it has one number, as seen from here, and no further one.
 */
static bool is_in_our_namespace(pid_t pid) {
    char path[64], line[256];
    bool is = true;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file)) {
        int first, second;

        if (sscanf(line, "NSpid: %d %d", &first, &second) == 2)
            is = false;
    }
    if (file)
        fclose(file);
    return is;
}

static int add_daemon(Doctor *doctor, pid_t pid, const char *name) {
    Daemon *more = reallocarray(doctor->daemons, doctor->n_daemons + 1, sizeof(*more));
    struct stat is;
    char path[64];

    if (!more)
        return error_origin(-ENOMEM);
    doctor->daemons = more;
    snprintf(path, sizeof(path), "/proc/%d", (int)pid);
    if (stat(path, &is) < 0)
        return 0; /* it has just ended */
    more += doctor->n_daemons++;
    *more = (Daemon){.pid = pid, .uid = is.st_uid};
    snprintf(more->name, sizeof(more->name), "%s", name);
    return 0;
}

static int look_at_process(Doctor *doctor, pid_t pid) {
    const char *arguments[ARGUMENTS_MAX], *name;
    char room[4096];
    size_t n = arguments_of(pid, room, sizeof(room), arguments);

    name = instance_of(arguments, n, doctor->path);
    return name && is_in_our_namespace(pid) ? add_daemon(doctor, pid, name) : 0;
}

static int find_daemons(Doctor *doctor) {
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

const Daemon *doctor_daemon(const Doctor *doctor, const char *name) {
    for (size_t i = 0; i < doctor->n_daemons; i++)
        if (!strcmp(doctor->daemons[i].name, name))
            return &doctor->daemons[i];
    return NULL;
}

const char *doctor_start_command(const Doctor *doctor, const char *name, char *buffer, size_t bytes) {
    if (doctor->has_systemd)
        snprintf(buffer, bytes, "systemctl start shmipc@%s", name);
    else
        snprintf(buffer, bytes, "shmipc run %s%s%s", name, doctor->file ? " -c " : "",
                 doctor->file ? doctor->file : "");
    return buffer;
}

/* ---- files ---- */

bool doctor_text_in(const char *path, char *buffer, size_t bytes) {
    FILE *file = fopen(path, "re");
    bool has = file && fgets(buffer, (int)bytes, file);

    if (file)
        fclose(file);
    if (has)
        buffer[strcspn(buffer, "\n")] = '\0';
    return has;
}

uint64_t doctor_number_in(const char *path) {
    char text[32];
    uint64_t number;

    return doctor_text_in(path, text, sizeof(text)) && sscanf(text, "%" SCNu64, &number) == 1 ? number
                                                                                              : UINT64_MAX;
}

/* ---- the doctor ---- */

int doctor_init(Doctor *doctor, const char *file) {
    *doctor = (Doctor){
        .file = file,
        .path = file ? file : SHMIPC_CONFIG_FILE,
        .has_systemd = access("/run/systemd/system", F_OK) == 0,
    };
    return find_daemons(doctor);
}

void doctor_deinit(Doctor *doctor) {
    config_free(doctor->config);
    free(doctor->daemons);
    free(doctor->findings);
}
