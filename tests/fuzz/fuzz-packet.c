/* SPDX-License-Identifier: MIT */
/* The door of the socket protocol: any record, with any number of descriptors, from anybody. */
#include "fuzz.h"

#include "wire/hello.h"

#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    return 0;
}

static bool ends(const char *text, size_t bytes) {
    return memchr(text, '\0', bytes) != NULL;
}

static void check_texts(const Packet *packet) {
    switch (packet->header.type) {
    case PACKET_HELLO:
        MUST(ends(packet->hello.name, sizeof(packet->hello.name)));
        break;
    case PACKET_REFUSED:
        MUST(ends(packet->refused.text, sizeof(packet->refused.text)));
        break;
    case PACKET_RESERVED:
        MUST(ends(packet->reserved.text, sizeof(packet->reserved.text)));
        break;
    case PACKET_STATUS_HOST:
        MUST(ends(packet->status_host.name, NAME_BYTES));
        MUST(ends(packet->status_host.version, sizeof(packet->status_host.version)));
        break;
    case PACKET_STATUS_CLIENT:
        MUST(ends(packet->status_client.name, NAME_BYTES));
        break;
    case PACKET_STATUS_WORKER:
        MUST(ends(packet->status_worker.name, NAME_BYTES));
        break;
    case PACKET_TRACED:
        for (size_t i = 0; i < TRACED_MAX; i++)
            MUST(ends(packet->traced.records[i].name, TRACED_NAME_BYTES));
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    Input input = {data, bytes};
    PeerRole from = (PeerRole)(input_u8(&input) % 7);
    size_t n_fds = input_u8(&input) % 10, n = input.bytes < sizeof(Packet) ? input.bytes : sizeof(Packet);
    Packet packet, expected;
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
    MUST(packet_init(&expected, (PacketType)packet.header.type, 0) == n);
    check_texts(&packet);
    if (packet.header.type == PACKET_HELLO)
        check_hello(&packet.hello);
    return 0;
}
