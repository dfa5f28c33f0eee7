/* SPDX-License-Identifier: MIT */
/*
 * Attacks by the socket: anybody on the machine may connect and say anything; who is let in may go on so.
 */
#include "attack.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

static int connect_patiently(void) {
    int fd;

    while ((fd = raw_connect()) < 0)
        if (!attack_goes_on())
            exit(EXIT_SUCCESS);
    return fd;
}

/* ---- what is no packet ---- */

static void random_bytes(uint64_t *record, size_t n_words) {
    for (size_t i = 0; i < n_words; i++)
        record[i] = attack_random();
}

/* Random records, most with a type that there is. */
static void garbage(void) {
    uint64_t record[CHANNEL_RECORD_MAX / sizeof(uint64_t)];

    while (attack_goes_on()) {
        int fd = connect_patiently();
        uint32_t type = (uint32_t)(attack_random() % (_PACKET_N + 1));

        random_bytes(record, ELEMENTS(record));
        if (attack_random() % 8)
            memcpy(record, &type, sizeof(type));
        if (raw_send(fd, record, 1 + attack_random() % sizeof(record)) == 0)
            raw_await_end(fd);
        fd_close(fd);
    }
}

/* Each packet, a byte or more too short or too long. */
static void lengths(void) {
    uint64_t record[CHANNEL_RECORD_MAX / sizeof(uint64_t)];

    while (attack_goes_on())
        for (int type = PACKET_HELLO; type < _PACKET_N; type++) {
            static const int by[] = {-16, -8, -1, 1, 8, 16};
            size_t bytes = packet_init((Packet *)(void *)record, (PacketType)type, 0);
            size_t wrong = bytes + (size_t)by[attack_random() % ELEMENTS(by)];
            int fd = connect_patiently();

            if (wrong > 0 && raw_send(fd, record, wrong) == 0)
                raw_await_end(fd);
            fd_close(fd);
        }
}

static void expect_refusal(int fd, uint32_t code) {
    int fds[CHANNEL_FDS_MAX];
    Packet packet;
    size_t n_fds;

    if (raw_receive(fd, &packet, fds, &n_fds) != 0)
        return; /* its place was needed */
    raw_close_all(fds, n_fds);
    if (packet.header.type != PACKET_REFUSED || packet.refused.code != code)
        errx(EXIT_FAILURE, "packet %u, code %u, where %u was due", packet.header.type, packet.refused.code,
             code);
    raw_await_end(fd);
}

static void versions(void) {
    while (attack_goes_on()) {
        int fd = connect_patiently();
        Packet packet;

        raw_hello(&packet, PEER_CLIENT);
        packet.hello.version_min = PROTOCOL_VERSION + 1 + (uint32_t)(attack_random() % 100);
        packet.hello.version_max = (uint32_t)attack_random() | PROTOCOL_VERSION;
        if (packet.hello.version_max < packet.hello.version_min)
            packet.hello.version_max = UINT32_MAX;
        if (raw_send(fd, &packet, packet.header.bytes) == 0)
            expect_refusal(fd, REASON_VERSION);
        fd_close(fd);
    }
}

/* A client's uid as a worker, or a stranger as anything. */
static void say_hello_as(PeerRole role) {
    int fd = connect_patiently();
    Packet packet;

    raw_hello(&packet, role);
    if (raw_send(fd, &packet, packet.header.bytes) == 0)
        expect_refusal(fd, REASON_NOT_ALLOWED);
    fd_close(fd);
}

static void impostor(void) {
    while (attack_goes_on())
        say_hello_as(PEER_WORKER);
}

static void stranger(void) {
    static const PeerRole roles[] = {PEER_CLIENT, PEER_WORKER, PEER_STATUS};

    while (attack_goes_on())
        say_hello_as(roles[attack_random() % ELEMENTS(roles)]);
}

/* ---- once it is in ---- */

/* Return: -1 if the host is too busy with hang-ups to take it in now. */
static int join_by_hand(uint64_t *ret_id) {
    int fds[CHANNEL_FDS_MAX], fd = connect_patiently();
    Packet packet;
    size_t n_fds;

    raw_hello(&packet, PEER_CLIENT);
    if (raw_send(fd, &packet, packet.header.bytes) != 0 || raw_receive(fd, &packet, fds, &n_fds) != 0 ||
        packet.header.type != PACKET_WELCOME) {
        fd_close(fd);
        return -1;
    }
    raw_close_all(fds, n_fds);
    *ret_id = packet.welcome.id;
    return fd;
}

/* What others say, what was said before, what is not its own. */
static void speak_out_of_turn(Packet *packet, uint64_t id) {
    packet_init(packet, (PacketType)(1 + attack_random() % (_PACKET_N - 1)), attack_random());
    if (packet->header.type == PACKET_RESERVE) {
        packet->reserve.client = attack_random() % 2 ? id : id - 1 - attack_random() % 10;
        packet->reserve.bytes = attack_random() << 12;
        packet->reserve.slot = (uint32_t)attack_random();
        packet->reserve.direction = (uint32_t)attack_random() % 4;
    } else if (packet->header.type == PACKET_LOOK)
        packet->slot.slot = (uint32_t)(attack_random() % 4 ? attack_random() % 4 : attack_random());
    else if (packet->header.type == PACKET_HELLO)
        raw_hello(packet, (PeerRole)(attack_random() % 6));
}

static void out_of_turn(void) {
    while (attack_goes_on()) {
        uint64_t id = 0;
        int fd = join_by_hand(&id);
        Packet packet;

        if (fd < 0)
            continue;
        do
            speak_out_of_turn(&packet, id);
        while (raw_send(fd, &packet, packet.header.bytes) == 0 &&
               (packet.header.type == PACKET_LOOK || packet.header.type == PACKET_RESERVE));
        shutdown(fd, SHUT_WR);
        raw_await_end(fd);
        fd_close(fd);
    }
}

/* Comes and goes. */
static void churn(void) {
    while (attack_goes_on()) {
        int fd = connect_patiently();
        Packet packet;

        raw_hello(&packet, PEER_CLIENT);
        if (attack_random() % 2)
            (void)raw_send(fd, &packet, packet.header.bytes);
        fd_close(fd);
    }
}

/* Questions as fast as they are answered: whoever reads no answer is not heard. */
static void ask_for_ever(int fd, const Packet *question) {
    int fds[CHANNEL_FDS_MAX], r = 0;
    Packet packet;
    size_t n_fds;

    while (r == 0 && attack_goes_on()) {
        do
            r = channel_send(fd, question, question->header.bytes, NULL, 0);
        while (r == 0);
        if (r == -EAGAIN)
            r = wait_for_fd(fd, WAIT_READ | WAIT_WRITE, clock_now_ns() + HANG_NS) > 0 ? 0 : -ETIMEDOUT;
        while (r == 0 && wait_for_fd(fd, WAIT_READ, 0) > 0)
            r = raw_receive(fd, &packet, fds, &n_fds);
    }
    if (r < 0)
        errx(EXIT_FAILURE, "asking: %s", strerror(-r));
    fd_close(fd);
}

static void look(void) {
    uint64_t id = 0;
    Packet packet;
    int fd = join_by_hand(&id);

    packet_init(&packet, PACKET_LOOK, 0);
    ask_for_ever(fd, &packet);
}

static void reserve(void) {
    uint64_t id = 0;
    Packet packet;
    int fd = join_by_hand(&id);

    packet_init(&packet, PACKET_RESERVE, 1);
    packet.reserve.client = id;
    packet.reserve.bytes = UINT64_C(1) << 62;
    packet.reserve.direction = DIRECTION_REQUEST;
    ask_for_ever(fd, &packet);
}

static void status(void) {
    Packet packet;
    int fd = connect_patiently();

    raw_hello(&packet, PEER_STATUS);
    (void)raw_send(fd, &packet, packet.header.bytes);
    packet_init(&packet, PACKET_STATUS, 1);
    ask_for_ever(fd, &packet);
}

/* Asks until the host does not listen any more, never reads an answer, and asks again. */
static void unread_answers(void) {
    enum { N = 20 };
    int fds[N];
    Packet packet;

    packet_init(&packet, PACKET_STATUS, 1);
    for (int i = 0; i < N; i++) {
        Packet hello;

        fds[i] = connect_patiently();
        raw_hello(&hello, PEER_STATUS);
        (void)raw_send(fds[i], &hello, hello.header.bytes);
    }
    while (attack_goes_on()) {
        for (int i = 0; i < N; i++)
            (void)channel_send(fds[i], &packet, packet.header.bytes, NULL, 0);
        (void)wait_for_fd(fds[0], WAIT_WRITE, clock_now_ns() + NS_PER_MS);
    }
    raw_close_all(fds, N);
}

/* ---- descriptors where none belong ---- */

static void set_linger(int fd, int seconds) {
    const struct linger linger = {.l_onoff = seconds > 0, .l_linger = seconds};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

/* Closing it lingers: there is something unsent, and nobody reads it. */
static int lingering(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    static char filling[65536];
    socklen_t bytes = sizeof(address);

    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 1) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &bytes) < 0)
        return fd_close(listener);
    (void)connect(fd, (struct sockaddr *)&address, sizeof(address));
    set_linger(fd, 60);
    while (send(fd, filling, sizeof(filling), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
        ;
    return fd; /* the listener stays open, and takes nobody in */
}

static size_t make_all_kinds(int *fds, int self) {
    int pipes[2] = {-1, -1}, pair[2] = {-1, -1};
    size_t n = 0;

    (void)pipe2(pipes, O_CLOEXEC);
    (void)socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    (void)send(pair[0], "unread", 6, 0);
    fds[n++] = open("/dev/null", O_RDWR | O_CLOEXEC);
    fds[n++] = open("/", O_PATH | O_CLOEXEC);
    fds[n++] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fds[n++] = pipes[0];
    fds[n++] = pipes[1];
    fds[n++] = pair[0];
    fds[n++] = epoll_create1(EPOLL_CLOEXEC);
    fds[n++] = eventfd(0, EFD_CLOEXEC);
    fds[n++] = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    fds[n++] = inotify_init1(IN_CLOEXEC);
    fds[n++] = memfd_create("attack", MFD_CLOEXEC);
    fds[n++] = (int)syscall(SYS_pidfd_open, getpid(), 0);
    fds[n++] = fcntl(self, F_DUPFD_CLOEXEC, 0); /* the connection, through itself */
    fds[n++] = lingering();
    return n;
}

/* One of each kind, alone or with others, before the host has taken the connection in or after. */
static void descriptors(void) {
    int all[32];
    size_t n = make_all_kinds(all, connect_patiently());

    while (attack_goes_on()) {
        int fd = connect_patiently(), fds[CHANNEL_FDS_MAX], r;
        size_t n_fds = 1 + attack_random() % ELEMENTS(fds);
        Packet packet;

        for (size_t i = 0; i < n_fds; i++)
            fds[i] = all[i == 0 ? attack_random() % n : attack_random() % (n - 1)];
        raw_hello(&packet, PEER_CLIENT);
        r = channel_send(fd, &packet, packet.header.bytes, fds, n_fds);
        if (r == 0)
            raw_await_end(fd); /* a kernel before 6.16 */
        else if (r != -EPERM && r != -EPIPE && r != -EBADF && r != -ETOOMANYREFS)
            errx(EXIT_FAILURE, "passing descriptors: %s", strerror(-r));
        fd_close(fd);
    }
    set_linger(all[n - 1], 0);
    raw_close_all(all, n);
}

const Attack socket_attacks[] = {
    {"garbage-packets", garbage},
    {"lengths", lengths},
    {"versions", versions},
    {"impostor", impostor},
    {"stranger", stranger},
    {"out-of-turn", out_of_turn},
    {"churn", churn},
    {"look", look},
    {"reserve", reserve},
    {"status", status},
    {"unread-answers", unread_answers},
    {"descriptors", descriptors},
    {NULL, NULL},
};
