/* SPDX-License-Identifier: MIT */
/*
 * Attacks by names: anybody may make objects and links in /dev/shm and queues, and try so beside the socket.
 */
#include "attack.h"

#include <fcntl.h>
#include <mqueue.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define NAME      "/shmipc.host.new" /* of the host that is called "host" */
#define FILE_NAME "/dev/shm" NAME

/* Where a link leads: a file of the attacker's, which must stay as it is. */
static char target[] = "/tmp/shmipc-attack-XXXXXX";

static void make_target(void) {
    int fd = mkstemp(target);

    if (fd < 0 || write(fd, "mine", 4) != 4)
        err(EXIT_FAILURE, "%s", target);
    close(fd);
}

static void check_target(void) {
    struct stat st;

    if (stat(target, &st) < 0 || st.st_size != 4)
        errx(EXIT_FAILURE, "the host has gone through a link");
    (void)unlink(target);
}

static void make_file(void) {
    fd_close(open(FILE_NAME, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666));
}

static void make_link(void) {
    (void)symlink(target, FILE_NAME);
}

static void make_fifo(void) {
    (void)mkfifo(FILE_NAME, 0666);
}

static void make_folder(void) {
    (void)mkdir(FILE_NAME, 0777);
}

static void make_socket(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = FILE_NAME};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)bind(fd, (struct sockaddr *)&address, sizeof(address));
    fd_close(fd);
}

static void squat_file(void) {
    static void (*const kinds[])(void) = {make_file, make_link, make_fifo, make_folder, make_socket};

    kinds[attack_random() % ELEMENTS(kinds)]();
}

static void squat_queue(void) {
    struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 1};
    mqd_t queue = mq_open(NAME, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666, &attributes);

    if (queue != (mqd_t)-1)
        (void)mq_close(queue);
}

static void clear(void) {
    (void)unlink(FILE_NAME);
    (void)rmdir(FILE_NAME);
    (void)mq_unlink(NAME);
}

/* There to stay. */
static void squat_with(void (*make)(void)) {
    struct stat st;

    make_target();
    make();
    squat_queue();
    if (lstat(FILE_NAME, &st) < 0)
        err(EXIT_FAILURE, FILE_NAME);
    attack_rest();
    clear();
    check_target();
}

static void squat_with_file(void) {
    squat_with(make_file);
}

static void squat_with_link(void) {
    squat_with(make_link);
}

static void squat_with_fifo(void) {
    squat_with(make_fifo);
}

static void squat_with_folder(void) {
    squat_with(make_folder);
}

static void squat_with_socket(void) {
    squat_with(make_socket);
}

/* There and gone, so that it comes between any two steps of the host. */
static void flicker(void) {
    make_target();
    while (attack_goes_on()) {
        squat_file();
        squat_queue();
        clear();
    }
    check_target();
}

/* All queues that the namespace has room for, or that this user may have. */
static void queues_max(void) {
    struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 1};
    char name[64];
    int n = 0;

    do
        snprintf(name, sizeof(name), "/attack.%d", ++n);
    while (mq_open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600, &attributes) != (mqd_t)-1);
    attack_rest();
    for (; n > 0; n--) {
        snprintf(name, sizeof(name), "/attack.%d", n);
        (void)mq_unlink(name);
    }
}

static void must_fail(int r, const char *what) {
    if (r >= 0 || (errno != EPERM && errno != EACCES && errno != EADDRINUSE))
        errx(EXIT_FAILURE, "the socket's name: it was possible to %s it", what);
}

/* The socket itself: another user's file in a folder that is not one's own. */
static void socket_name(void) {
    const char *path = getenv("SHMIPC_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    make_target();
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    while (attack_goes_on()) {
        must_fail(unlink(path), "remove");
        must_fail(rename(path, target), "rename");
        must_fail(rename(target, path), "replace");
        must_fail(chmod(path, 0), "lock");
        must_fail(bind(fd, (struct sockaddr *)&address, sizeof(address)), "bind to");
    }
    fd_close(fd);
    check_target();
}

const Attack name_attacks[] = {
    {"squat-file", squat_with_file},     {"squat-link", squat_with_link},     {"squat-fifo", squat_with_fifo},
    {"squat-folder", squat_with_folder}, {"squat-socket", squat_with_socket}, {"flicker", flicker},
    {"queues-max", queues_max},          {"socket-name", socket_name},        {NULL, NULL},
};
