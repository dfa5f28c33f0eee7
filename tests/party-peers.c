/* SPDX-License-Identifier: MIT */
/* The parties that are no part of this process, or that keep no rules: children, and peers by hand. */
#include "party.h"

#include "base/units.h"
#include "os/queue.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* ---- children ---- */

static int report_fd = -1; /* in a child */

static void become(uid_t uid) {
    if (uid != UNIT_SAME_UID)
        (void)seteuid(0); /* where the test has put it off for a while */
    if (uid != UNIT_SAME_UID && (setgroups(0, NULL) < 0 || setgid(uid) < 0 || setuid(uid) < 0))
        _exit(255);
    /* What the test leaves behind, if it fails, dies with it. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

Child child_start(uid_t uid, int (*function)(void)) {
    Child child;
    int fds[2];

    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    fflush(NULL);
    child.pid = fork();
    ck_assert_int_ge(child.pid, 0);
    if (child.pid == 0) {
        report_fd = dup2(fds[1], 3);
        if (report_fd < 0 || close_range(4, ~0U, 0) < 0)
            _exit(255);
        become(uid);
        _exit(function());
    }
    close(fds[1]);
    child.report_fd = fds[0];
    child.pidfd = (int)syscall(SYS_pidfd_open, child.pid, 0);
    ck_assert_int_ge(child.pidfd, 0);
    return child;
}

void child_report(char what) {
    if (write(report_fd, &what, 1) != 1)
        _exit(254);
}

char child_await(const Child *child) {
    char what = 0;

    party_await_fd(child->report_fd);
    ck_assert_int_eq(read(child->report_fd, &what, 1), 1);
    return what;
}

int child_end(Child *child) {
    int status;

    party_await_fd(child->pidfd);
    ck_assert_int_eq(waitpid(child->pid, &status, 0), child->pid);
    close(child->pidfd);
    close(child->report_fd);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void child_check_killed(Child *child) {
    ck_assert_int_eq(child_end(child), -SIGKILL);
}

int child_work(const HandlerKind *kind, uint64_t timeout_ns) {
    const WorkerSettings settings = {
        .serves = (char *)"test", .timeout_ns = timeout_ns, .poll_ns = party.poll_ns};
    Handler handler = {.kind = kind};
    Worker *worker;
    int r = worker_new(&worker, "test-child", party.path, &settings, &handler);

    while (r == 0)
        r = worker_wait(worker, UINT64_MAX);
    return 253;
}

static int report_and_wait(Handler *handler, Exchange *exchange) {
    child_report('c');
    for (;;)
        pause();
    return 0;
}

int child_wait_for_ever(uint64_t timeout_ns) {
    const HandlerKind kind = {.handle = report_and_wait};

    return child_work(&kind, timeout_ns);
}

int child_echo(void) {
    return child_work(&handler_echo, 1000 * NS_PER_SEC);
}

Child party_add_child_of(uid_t uid, int (*function)(void)) {
    unsigned n_before = party_n_events(EVENT_WORKER_ATTACHED);
    Child child = child_start(uid, function);

    AWAIT(party_n_events(EVENT_WORKER_ATTACHED) > n_before);
    return child;
}

Child party_add_child(int (*function)(void)) {
    return party_add_child_of(UNIT_SAME_UID, function);
}

void party_kill_child(Child *child) {
    size_t n_before = party.host->workers.n;

    ck_assert_int_eq(kill(child->pid, SIGKILL), 0);
    ck_assert_int_eq(child_end(child), -SIGKILL);
    AWAIT(party.host->workers.n < n_before);
}

/* ---- peers by hand ---- */

static void fill_hello(Packet *packet, PeerRole role) {
    packet_init_hello(packet, role, "by-hand");
    packet->hello.timeout_ns = 100 * NS_PER_SEC;
}

int raw_connect_as(uid_t uid, PeerRole role) {
    int fd;

    ck_assert_int_eq(seteuid(uid), 0);
    fd = raw_connect(role);
    ck_assert_int_eq(seteuid(0), 0);
    return fd;
}

int raw_connect(PeerRole role) {
    Packet hello;
    int fd;

    ck_assert_int_eq(channel_connect(party.path, &fd), 0);
    if (role == PEER_STRANGER)
        return fd;
    fill_hello(&hello, role);
    raw_say(fd, &hello);
    return fd;
}

void raw_say(int fd, const Packet *packet) {
    ck_assert_int_eq(channel_send(fd, packet, packet->header.bytes, NULL, 0), 0);
}

/* Return: 0 or -EPIPE. */
static int raw_receive(int fd, Packet *ret_packet, int *ret_fds) {
    int fds[CHANNEL_FDS_MAX], r;
    size_t bytes, n_fds;

    while ((r = channel_receive(fd, ret_packet, sizeof(*ret_packet), &bytes, fds, &n_fds)) == -EAGAIN)
        party_await_fd(fd);
    if (r == -EPIPE)
        return r;
    ck_assert_int_eq(r, 0);
    ck_assert_ptr_null(packet_check(ret_packet, bytes, n_fds, PEER_HOST));
    for (size_t i = 0; i < n_fds; i++)
        if (ret_fds)
            ret_fds[i] = fds[i];
        else
            fd_close(fds[i]);
    return 0;
}

void raw_expect(int fd, PacketType type, Packet *ret_packet, int *ret_fds) {
    ck_assert_int_eq(raw_receive(fd, ret_packet, ret_fds), 0);
    ck_assert_int_eq((int)ret_packet->header.type, (int)type);
}

void raw_expect_end(int fd) {
    Packet packet;

    while (raw_receive(fd, &packet, NULL) == 0)
        ;
}

int raw_join(int *ret_queue) {
    int fds[CHANNEL_FDS_MAX], fd = raw_connect(PEER_WORKER);
    Packet packet;

    raw_expect(fd, PACKET_WELCOME, &packet, NULL);
    raw_expect(fd, PACKET_QUEUE, &packet, fds);
    ck_assert_uint_eq(packet.number.number, geteuid());
    *ret_queue = fds[0];
    return fd;
}

void raw_leave(int fd, int queue) {
    Packet packet;

    packet_init(&packet, PACKET_LEAVING, 0);
    raw_say(fd, &packet);
    fd_close(fd);
    fd_close(queue);
    AWAIT(party.host->workers.n == 0);
}

/* ---- a worker by hand ---- */

/* In a child nobody hears an assertion: it ends with a status of its own. */
static void must(bool is_so) {
    if (!is_so)
        _exit(252);
}

static void hand_receive(Hand *hand, PacketType type, Packet *ret_packet, int *ret_fds) {
    size_t bytes, n_fds;

    do {
        while (channel_receive(hand->channel, ret_packet, sizeof(*ret_packet), &bytes, ret_fds, &n_fds) ==
               -EAGAIN)
            must(wait_for_fd(hand->channel, WAIT_READ, UINT64_MAX) >= 0);
        must(packet_check(ret_packet, bytes, n_fds, PEER_HOST) == NULL);
    } while (ret_packet->header.type != type);
}

void hand_attach(Hand *hand, uid_t uid) {
    int fds[CHANNEL_FDS_MAX];
    Packet packet;

    *hand = (Hand){.uid = uid, .submit = PAGE_NULL, .states = PAGE_NULL};
    must(channel_connect(party.path, &hand->channel) == 0);
    fill_hello(&packet, PEER_WORKER);
    must(channel_send(hand->channel, &packet, packet.header.bytes, NULL, 0) == 0);
    hand_receive(hand, PACKET_WELCOME, &packet, fds);
    hand->number = (uint32_t)packet.welcome.id;
    do
        hand_receive(hand, PACKET_QUEUE, &packet, fds);
    while (packet.number.number != uid);
    hand->queue = fds[0];
}

void hand_take(Hand *hand, uint64_t client, Message *ret_message) {
    size_t bytes;

    do {
        while (queue_receive(hand->queue, ret_message, sizeof(*ret_message), &bytes) == -EAGAIN)
            must(wait_for_fd(hand->queue, WAIT_READ, UINT64_MAX) >= 0);
    } while (ret_message->client != client);
}

void hand_meet(Hand *hand, const Message *message) {
    int fds[CHANNEL_FDS_MAX];
    Packet packet;

    packet_init(&packet, PACKET_MEET, 1);
    packet.meet.client = message->client;
    packet.meet.uid = hand->uid;
    must(channel_send(hand->channel, &packet, packet.header.bytes, NULL, 0) == 0);
    hand_receive(hand, PACKET_CLIENT, &packet, fds);
    must(!(packet.client.flags & CLIENT_GONE));
    hand->reply_queue = fds[CLIENT_REPLY_QUEUE];
    must(page_init_connect(&hand->submit, fds[CLIENT_SUBMIT], slots_page_bytes(packet.client.n_slots),
                           false) == 0);
    must(page_init_connect(&hand->states, fds[CLIENT_STATE], slots_page_bytes(packet.client.n_slots), true) ==
         0);
}

void hand_claim(Hand *hand, const Message *message, SlotClaim *ret_claim) {
    must(slots_claim(hand->submit.map, hand->states.map, message->slot, message->generation, hand->number,
                     clock_now_ns(), ret_claim));
}

_Noreturn void hand_await_end(Hand *hand) {
    int fds[CHANNEL_FDS_MAX];
    size_t bytes, n_fds;
    Packet packet;

    while (channel_receive(hand->channel, &packet, sizeof(packet), &bytes, fds, &n_fds) != -EPIPE)
        must(wait_for_fd(hand->channel, WAIT_READ, UINT64_MAX) >= 0);
    _exit(0);
}
