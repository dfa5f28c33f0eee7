/* SPDX-License-Identifier: MIT */
/* The door of the socket protocol: any record, with any number of descriptors, from anybody. */
#include "fuzz.h"

#include "wire/hello.h"

#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    return 0;
}

/* It ends, and steers no terminal. */
static bool is_plain(const char *text, size_t bytes) {
    const char *end = memchr(text, '\0', bytes);

    for (; end && text < end; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return end != NULL;
}

static void check_texts(const Packet *packet) {
    switch (packet->header.type) {
    case PACKET_HELLO:
        MUST(is_plain(packet->hello.name, sizeof(packet->hello.name)));
        break;
    case PACKET_REFUSED:
        MUST(is_plain(packet->refused.text, sizeof(packet->refused.text)));
        break;
    case PACKET_RESERVED:
        MUST(is_plain(packet->reserved.text, sizeof(packet->reserved.text)));
        break;
    case PACKET_STATUS_HOST:
        MUST(is_plain(packet->status_host.name, NAME_BYTES));
        MUST(is_plain(packet->status_host.version, sizeof(packet->status_host.version)));
        break;
    case PACKET_STATUS_CLIENT:
        MUST(is_plain(packet->status_client.name, NAME_BYTES));
        break;
    case PACKET_STATUS_WORKER:
        MUST(is_plain(packet->status_worker.name, NAME_BYTES));
        break;
    case PACKET_TRACED:
        for (size_t i = 0; i < TRACED_MAX; i++)
            MUST(is_plain(packet->traced.records[i].name, TRACED_NAME_BYTES));
        break;
    default:
        break;
    }
}

static void check_hello(const PacketHello *hello) {
    const char *text = NULL;
    int code = hello_check(hello, &text);

    if (code != 0)
        MUST(text && *text);
    else {
        MUST(memcmp(hello->magic, HELLO_MAGIC, sizeof(hello->magic)) == 0);
        MUST(hello->version_min <= PROTOCOL_VERSION && hello->version_max >= PROTOCOL_VERSION);
        MUST(hello->role >= PEER_CLIENT && hello->role <= PEER_STATUS);
    }
}

/* What a host says to those who only look may be of another age, and then shorter or longer. */
static bool may_grow(PacketType type) {
    return (type >= PACKET_STATUS_HOST && type <= PACKET_STATUS_END) || type == PACKET_STATUS_SLOT ||
           type == PACKET_STATUS_STAGE || type == PACKET_TRACED;
}

static void check_size(const Packet *packet, size_t bytes) {
    Packet expected;
    size_t full = packet_init(&expected, (PacketType)packet->header.type, 0);

    MUST(bytes == full || may_grow((PacketType)packet->header.type));
    for (size_t i = bytes; i < full; i++)
        MUST(packet->bytes[i] == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    Input input = {data, bytes};
    PeerRole from = (PeerRole)(input_u8(&input) % 7);
    size_t n_fds = input_u8(&input) % 10, n = input.bytes < sizeof(Packet) ? input.bytes : sizeof(Packet);
    Packet packet;
    const char *fault;

    memset(&packet, 0xa5, sizeof(packet)); /* what the last record has left */
    memcpy(&packet, input.data, n);
    fault = packet_check(&packet, n, n_fds, from);
    if (fault) {
        MUST(*fault);
        return 0;
    }
    MUST(n >= sizeof(packet.header) && packet.header.bytes == n);
    MUST(packet.header.type > 0 && packet.header.type < _PACKET_N);
    check_size(&packet, n);
    check_texts(&packet);
    if (packet.header.type == PACKET_HELLO)
        check_hello(&packet.hello);
    return 0;
}
