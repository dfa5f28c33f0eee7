/* SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include "base/error.h"

#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define FDS_MAX 512

uint8_t input_u8(Input *input) {
    if (input->bytes == 0)
        return 0;
    input->bytes--;
    return *input->data++;
}

uint16_t input_u16(Input *input) {
    uint16_t low = input_u8(input);

    return (uint16_t)(low | input_u8(input) << 8);
}

uint32_t input_u32(Input *input) {
    uint32_t low = input_u16(input);

    return low | (uint32_t)input_u16(input) << 16;
}

/* One byte says around what; its upper bits how far from there. */
uint64_t input_number(Input *input) {
    uint8_t how = input_u8(input);
    uint64_t low;

    if (how == 0xff) {
        low = input_u32(input);
        return low | (uint64_t)input_u32(input) << 32;
    }
    if (how >= 0xc0)
        return input_u16(input);
    return (UINT64_C(1) << how % 64) + (uint64_t)(how / 64) - 1;
}

void input_bytes(Input *input, void *data, size_t room) {
    size_t n = input->bytes < room ? input->bytes : room;

    memset(data, 0, room);
    memcpy(data, input->data, n);
    input->data += n;
    input->bytes -= n;
}

_Noreturn void fuzz_finding(const char *condition, const char *file, int line) {
    fprintf(stderr, "%s:%d: not so: %s (the latest error was at %s)\n", file, line, condition, error_where());
    abort();
}

/* poll() says of all at once which are not open. */
int fuzz_count_fds(void) {
    struct pollfd fds[FDS_MAX];
    int n = 0;

    for (int i = 0; i < FDS_MAX; i++)
        fds[i] = (struct pollfd){.fd = i};
    MUST(poll(fds, FDS_MAX, 0) >= 0);
    for (int i = 0; i < FDS_MAX; i++)
        n += !(fds[i].revents & POLLNVAL);
    return n;
}

void fuzz_enter_namespace(void) {
    const struct rlimit limit = {.rlim_cur = FDS_MAX, .rlim_max = FDS_MAX};

    if (unshare(CLONE_NEWIPC) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWIPC) < 0)
        warn("in everybody's namespace of queues");
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (fcntl(STDIN_FILENO, F_GETFD) < 0)
        (void)open("/dev/null", O_RDWR);
}

static int pair_of_sockets(void) {
    int fds[2] = {-1, -1};

    (void)socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);
    close(fds[1]);
    return fds[0];
}

static int short_memfd(bool sealed) {
    int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (ftruncate(fd, 4096) == 0 && sealed)
        (void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
    return fd;
}

int fuzz_odd_fd(unsigned kind) {
    int fds[2] = {-1, -1};

    switch (kind % 8) {
    case 0:
        return open("/dev/null", O_RDWR | O_CLOEXEC);
    case 1:
        return open("/", O_PATH | O_CLOEXEC);
    case 2:
        (void)pipe2(fds, O_CLOEXEC | O_NONBLOCK);
        close(fds[1]);
        return fds[0];
    case 3:
        return pair_of_sockets();
    case 4:
        return eventfd(0, EFD_CLOEXEC);
    case 5:
        return epoll_create1(EPOLL_CLOEXEC);
    case 6:
        return short_memfd(false);
    default:
        return short_memfd(true);
    }
}
