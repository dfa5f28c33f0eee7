/* SPDX-License-Identifier: MIT */
/*
 * What a host leaves to the next one, damaged: an index with anything in it, descriptors that are missing,
 * doubled, of another kind or under another name, pages that say anything; and then peers that go on
 *
 * A first host lets a client and a worker in, who meet. Then the input has its way with what was kept. The
 * next host takes up what hangs together and lets go of the rest; it must go on, and leave no descriptor
 * behind.
 */
#include "fuzz.h"

#include "base/units.h"
#include "core/host-internal.h"
#include "core/host-store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_SLOTS  3
#define KEPT_MAX 64

typedef struct Kept {
    char name[INDEX_NAME_BYTES];
    int fd;
} Kept;

static Kept kept[KEPT_MAX];
static size_t n_kept;
static uid_t everybody[1];
static HostSettings settings = {
    .max_payload = 1 << 16,
    .memory = 1 << 20,
    .max_clients = 4,
    .requests_per_client = N_SLOTS,
    .queue_depth = 3,
    .attempts = 2,
    .user_share = 50,
};
static Host *host;
static int client, worker;

/* ---- the store ---- */

static int keep(void *data, const char *name, const int *fds, size_t n_fds) {
    for (size_t i = 0; i < n_fds && n_kept < KEPT_MAX; i++, n_kept++) {
        kept[n_kept].fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
        text_copy(kept[n_kept].name, sizeof(kept[n_kept].name), name);
    }
    return 0;
}

static void forget_at(size_t i) {
    fd_close(kept[i].fd);
    kept[i] = kept[--n_kept];
}

static void drop(void *data, const char *name) {
    for (size_t i = n_kept; i > 0; i--)
        if (strcmp(kept[i - 1].name, name) == 0)
            forget_at(i - 1);
}

static const HostKeeper keeper = {.store = keep, .drop = drop};

/* All that is kept is this process's: it is not killed, whatever its pidfd stands for. */
int __wrap_process_kill(int pidfd);
int __wrap_process_kill(int pidfd) {
    return -EPERM;
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    everybody[0] = geteuid();
    settings.access = settings.workers = settings.trusted = (Principals){.uids = everybody, .n_uids = 1};
    fuzz_enter_namespace();
    return 0;
}

/* ---- hosts and peers ---- */

static void turn(void) {
    Event event;

    MUST(host_wait(host, 0) == 0);
    while (host_pop_event(host, &event))
        ;
}

static void begin(HostKept *list, size_t n) {
    char name[32];

    snprintf(name, sizeof(name), "fuzz-%d", (int)getpid()); /* others of its kind run beside it */
    MUST(host_new(&host, name, &settings) == 0);
    MUST(host_keep(host, &keeper, list, n) == 0);
}

static void say(int fd, PacketType type, uint64_t id) {
    Packet packet;
    size_t bytes = packet_init(&packet, type, 1);

    if (type == PACKET_HELLO) {
        packet_init_hello(&packet, (PeerRole)id, "");
        packet.hello.timeout_ns = NS_PER_SEC;
    } else if (type == PACKET_MEET) {
        packet.meet.client = id;
        packet.meet.uid = everybody[0];
    } else if (bytes >= sizeof(packet.id))
        packet.id.client = id;
    (void)channel_send(fd, &packet, bytes, NULL, 0);
}

static void hear(int fd) {
    int fds[CHANNEL_FDS_MAX];
    size_t bytes, n_fds;
    Packet packet;

    while (channel_receive(fd, &packet, sizeof(packet), &bytes, fds, &n_fds) == 0) {
        MUST(packet_check(&packet, bytes, n_fds, PEER_HOST) == NULL);
        for (size_t i = 0; i < n_fds; i++)
            fd_close(fds[i]);
    }
}

static int join(PeerRole role) {
    int fds[2];

    MUST(channel_pair(fds) == 0 && host_add_peer(host, fds[1], false, NULL) == 0);
    say(fds[0], PACKET_HELLO, role);
    turn();
    hear(fds[0]);
    return fds[0];
}

static uint64_t id_of_client(void) {
    for (size_t i = 0; i < host->clients.n; i++)
        if (!((HostClient *)table_at(&host->clients, i))->probe)
            return ((HostClient *)table_at(&host->clients, i))->id;
    return 0;
}

static uint64_t first_host(void) {
    uint64_t id;

    begin(NULL, 0);
    client = join(PEER_CLIENT);
    worker = join(PEER_WORKER);
    id = id_of_client();
    say(worker, PACKET_MEET, id);
    turn();
    hear(worker);
    host_leave(host);
    host = host_free(host);
    return id;
}

/* ---- damage ---- */

/* A number over some bytes of what is kept under a name, if that can be written. */
static void overwrite(const char *name, Input *input) {
    uint8_t buffer[8];
    uint64_t number, at = input_u16(input);
    uint8_t where = input_u8(input);
    size_t n = 1 + where % sizeof(buffer);

    number = input_number(input);
    memcpy(buffer, &number, sizeof(number));
    if (where & 0x40) /* in the first client's record */
        at = 512 + 32000 + at % 192;
    else if (where & 0x80) /* in the first worker's */
        at = 512 + 32000 + 3000 * 192 + at % 128;
    else
        at %= 1024; /* in the head, and the first uid's */
    for (size_t i = 0; i < n_kept; i++)
        if (strcmp(kept[i].name, name) == 0)
            (void)!pwrite(kept[i].fd, buffer, n, (off_t)at);
}

static void overwrite_page(Input *input) {
    uint64_t number = input_number(input);
    size_t which = input_u8(input), at = input_u16(input) % 512;

    if (n_kept > 0)
        (void)!pwrite(kept[which % n_kept].fd, &number, sizeof(number), (off_t)at);
}

static void rename_one(Input *input) {
    static const char *const names[] = {"index", "socket", "u0",  "c0", "w0", "c1",
                                        "w500",  "u1",     "c00", "x",  ""};
    size_t which = input_u8(input), name = input_u8(input);

    if (n_kept > 0)
        text_copy(kept[which % n_kept].name, sizeof(kept->name), names[name % ELEMENTS(names)]);
}

static void damage(Input *input) {
    uint8_t what = input_u8(input);
    int odd;

    switch (what % 8) {
    case 0:
    case 1:
    case 2:
        overwrite(INDEX_NAME, input);
        break;
    case 3:
        overwrite_page(input);
        break;
    case 4:
        if (n_kept > 0)
            forget_at(input_u8(input) % n_kept);
        break;
    case 5:
        odd = fuzz_odd_fd(what >> 3);
        if (n_kept > 0 && odd >= 0) {
            size_t i = input_u8(input) % n_kept;

            fd_close(kept[i].fd);
            kept[i].fd = TAKE_FD(odd);
        }
        fd_close(odd);
        break;
    case 6:
        rename_one(input);
        break;
    default:
        if (n_kept > 0) {
            size_t i = input_u8(input) % n_kept;

            (void)keep(NULL, kept[i].name, &kept[i].fd, 1);
        }
    }
}

/* ---- the next host ---- */

static void go_on(Input *input, uint64_t id) {
    uint8_t what = input_u8(input);
    int fd = what & 0x10 ? client : worker;

    switch (what % 4) {
    case 0:
        say(fd, PACKET_HOLDS, what & 0x20 ? id : 0);
        break;
    case 1:
        say(fd, (PacketType)(1 + input_u8(input) % (_PACKET_N - 1)), id);
        break;
    case 2:
        hear(fd);
        break;
    default:
        host_set_settings(host, &settings); /* looks at everything in this turn */
    }
    turn();
}

static void next_host(Input *input, uint64_t id) {
    HostKept list[KEPT_MAX];
    char names[KEPT_MAX][INDEX_NAME_BYTES];
    size_t n = n_kept;

    for (size_t i = 0; i < n; i++) {
        memcpy(names[i], kept[i].name, sizeof(names[i]));
        list[i] = (HostKept){.name = names[i], .fd = fcntl(kept[i].fd, F_DUPFD_CLOEXEC, 3)};
    }
    begin(list, n);
    turn();
    for (int i = 0; i < 20 && input->bytes > 0; i++)
        go_on(input, id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    int n_fds = fuzz_count_fds();
    Input input = {data, bytes};
    uint64_t id = first_host();
    uint8_t n = input_u8(&input) % 16;

    for (uint8_t i = 0; i < n && input.bytes > 0; i++)
        damage(&input);
    next_host(&input, id);
    fd_close(client);
    fd_close(worker);
    turn();
    host = host_free(host);
    while (n_kept > 0)
        forget_at(n_kept - 1);
    MUST(fuzz_count_fds() == n_fds);
    return 0;
}
