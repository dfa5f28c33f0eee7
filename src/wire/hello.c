/* SPDX-License-Identifier: MIT */
#include "wire/hello.h"

#include "wire/reason.h"

#include <string.h>

#define BY(role) (1u << (role))

/*
 * One row a packet: its size, how many descriptors may come with it, and who may send it; of what may grow at
 * its end, how many bytes say enough. That number stays when the struct grows.
 */
static const struct {
    uint16_t bytes;
    uint8_t fds_min;
    uint8_t fds_max;
    uint8_t senders;
    uint16_t bytes_min; /* 0: it has one size */
} packets[_PACKET_N] = {
    [PACKET_HELLO] = {sizeof(PacketHello), 0, 0, BY(PEER_STRANGER)},
    [PACKET_WELCOME] = {sizeof(PacketWelcome), 0, WELCOME_N_FDS, BY(PEER_HOST)},
    [PACKET_REFUSED] = {sizeof(PacketRefused), 0, 0, BY(PEER_HOST)},
    [PACKET_RESERVE] = {sizeof(PacketReserve), 0, 0, BY(PEER_CLIENT) | BY(PEER_WORKER)},
    [PACKET_RESERVED] = {sizeof(PacketReserved), 0, 0, BY(PEER_HOST)},
    [PACKET_LOOK] = {sizeof(PacketSlot), 0, 0, BY(PEER_CLIENT)},
    [PACKET_WORKERS] = {sizeof(PacketNumber), 0, 0, BY(PEER_HOST)},
    [PACKET_QUEUE] = {sizeof(PacketNumber), 1, 1, BY(PEER_HOST)},
    [PACKET_UNQUEUE] = {sizeof(PacketNumber), 0, 0, BY(PEER_HOST)},
    [PACKET_MEET] = {sizeof(PacketMeet), 0, 0, BY(PEER_WORKER)},
    [PACKET_CLIENT] = {sizeof(PacketClient), 0, CLIENT_N_FDS, BY(PEER_HOST)},
    [PACKET_GONE] = {sizeof(PacketId), 0, 0, BY(PEER_HOST)},
    [PACKET_DROPPED] = {sizeof(PacketId), 0, 0, BY(PEER_WORKER)},
    [PACKET_PING] = {sizeof(PacketEmpty), 0, 0, BY(PEER_HOST)},
    [PACKET_PONG] = {sizeof(PacketEmpty), 0, 0, BY(PEER_WORKER)},
    [PACKET_LEAVING] = {sizeof(PacketEmpty), 0, 0, BY(PEER_WORKER)},
    [PACKET_CANCEL] = {sizeof(PacketCancel), 0, 0, BY(PEER_HOST)},
    [PACKET_STATUS] = {sizeof(PacketEmpty), 0, 0, BY(PEER_STATUS)},
    [PACKET_STATUS_HOST] = {sizeof(PacketStatusHost), 0, 0, BY(PEER_HOST), 384},
    [PACKET_STATUS_CLIENT] = {sizeof(PacketStatusClient), 0, 0, BY(PEER_HOST), 168},
    [PACKET_STATUS_WORKER] = {sizeof(PacketStatusWorker), 0, 0, BY(PEER_HOST), 136},
    [PACKET_STATUS_END] = {sizeof(PacketEmpty), 0, 0, BY(PEER_HOST), 16},
    [PACKET_AGAIN] = {sizeof(PacketAgain), 0, 0, BY(PEER_HOST)},
    [PACKET_HOLDS] = {sizeof(PacketId), 0, 0, BY(PEER_WORKER)},
    [PACKET_STATUS_SLOTS] = {sizeof(PacketEmpty), 0, 0, BY(PEER_STATUS)},
    [PACKET_STATUS_SLOT] = {sizeof(PacketStatusSlot), 0, 0, BY(PEER_HOST), 88},
    [PACKET_STATUS_STAGE] = {sizeof(PacketStatusStage), 0, 0, BY(PEER_HOST), 488},
    [PACKET_TRACE] = {sizeof(PacketTrace), 0, 0, BY(PEER_STATUS)},
    [PACKET_TRACED] = {sizeof(PacketTraced), 0, 0, BY(PEER_HOST), 416},
    [PACKET_RING] = {sizeof(PacketEmpty), 1, 1, BY(PEER_HOST)},
    [PACKET_UNRING] = {sizeof(PacketEmpty), 0, 0, BY(PEER_HOST)},
};

_Static_assert(sizeof(PacketHello) == 112 && sizeof(PacketWelcome) == 64, "docs/protocol.md, section 2");
_Static_assert(sizeof(PacketRefused) == 256 && sizeof(PacketReserved) == 176, "docs/protocol.md, section 2");
_Static_assert(sizeof(Packet) == PACKET_BYTES_MAX, "a record's size");
/* Who speaks the same version of the protocol must know the pages, too. */
_Static_assert(PROTOCOL_VERSION == 1 && SLOTS_VERSION == 2, "other pages: another version of the protocol");

size_t packet_init(Packet *packet, PacketType type, uint64_t serial) {
    memset(packet, 0, sizeof(*packet));
    packet->header = (PacketHeader){.type = type, .bytes = packets[type].bytes, .serial = serial};
    return packets[type].bytes;
}

size_t packet_init_hello(Packet *packet, PeerRole role, const char *name) {
    size_t bytes = packet_init(packet, PACKET_HELLO, 0);

    memcpy(packet->hello.magic, HELLO_MAGIC, sizeof(packet->hello.magic));
    packet->hello.role = role;
    packet->hello.version_min = packet->hello.version_max = PROTOCOL_VERSION;
    text_copy(packet->hello.name, sizeof(packet->hello.name), name);
    return bytes;
}

/* A stranger's words go to logs and terminals: nothing in them may steer these, or break their lines. */
static void text_clean(char *text, size_t bytes) {
    text[bytes - 1] = 0;
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

#define TEXT_CLEAN(field) text_clean((field), sizeof(field))

static void texts_clean(Packet *packet) {
    switch (packet->header.type) {
    case PACKET_HELLO:
        TEXT_CLEAN(packet->hello.name);
        break;
    case PACKET_REFUSED:
        TEXT_CLEAN(packet->refused.text);
        break;
    case PACKET_RESERVED:
        TEXT_CLEAN(packet->reserved.text);
        break;
    case PACKET_STATUS_HOST:
        TEXT_CLEAN(packet->status_host.name);
        TEXT_CLEAN(packet->status_host.version);
        break;
    case PACKET_STATUS_CLIENT:
        TEXT_CLEAN(packet->status_client.name);
        break;
    case PACKET_STATUS_WORKER:
        TEXT_CLEAN(packet->status_worker.name);
        break;
    case PACKET_TRACED:
        for (size_t i = 0; i < TRACED_MAX; i++)
            TEXT_CLEAN(packet->traced.records[i].name);
        break;
    default:
        break;
    }
}

static bool size_fits(uint32_t type, size_t bytes) {
    if (packets[type].bytes_min == 0)
        return bytes == packets[type].bytes;
    return bytes >= packets[type].bytes_min && bytes <= PACKET_BYTES_MAX;
}

const char *packet_check(Packet *packet, size_t bytes, size_t n_fds, PeerRole from) {
    uint32_t type = packet->header.type;

    if (bytes < sizeof(PacketHeader) || packet->header.bytes != bytes)
        return "a packet that does not have the size it says";
    if (type == 0 || type >= _PACKET_N)
        return "a packet of an unknown type";
    if (!size_fits(type, bytes))
        return "a packet of the wrong size for its type";
    if (!(packets[type].senders & BY(from)))
        return from == PEER_STRANGER ? "a packet before its HELLO" : "a packet that its role does not send";
    if (n_fds < packets[type].fds_min || n_fds > packets[type].fds_max)
        return "a packet with the wrong number of descriptors";
    if (bytes < packets[type].bytes)
        memset((char *)packet + bytes, 0, packets[type].bytes - bytes);
    texts_clean(packet);
    return NULL;
}

int hello_check(const PacketHello *hello, const char **ret_text) {
    if (memcmp(hello->magic, HELLO_MAGIC, sizeof(hello->magic)) != 0) {
        *ret_text = "this is the socket of a shmipc host, and that was no HELLO of a shmipc peer";
        return REASON_BAD_REQUEST;
    }
    if (hello->version_min > PROTOCOL_VERSION) {
        *ret_text = "this host is too old for you";
        return REASON_VERSION;
    }
    if (hello->version_max < PROTOCOL_VERSION) {
        *ret_text = "you are too old for this host";
        return REASON_VERSION;
    }
    if (hello->role < PEER_CLIENT || hello->role > PEER_STATUS) {
        *ret_text = "the role must be client, worker or status";
        return REASON_BAD_REQUEST;
    }
    return 0;
}

void text_copy(char *field, size_t bytes, const char *text) {
    memset(field, 0, bytes);
    for (size_t i = 0; i + 1 < bytes && text[i]; i++)
        field[i] = text[i];
}
