/* SPDX-License-Identifier: MIT */
/* The packets of the socket, against docs/protocol.md, section 2: their bytes, and the door to them. */
#include "base/cleanup.h"
#include "unit.h"
#include "wire/hello.h"
#include "wire/message.h"
#include "wire/reason.h"

#include <stdio.h>
#include <string.h>

#define SEED     UINT64_C(0x2545f4914f6cdd1d)
#define RECORD   512u /* room for the largest record that a channel carries */
#define BEYOND   (RECORD + 8)
#define FDS_MANY 9u

enum { CLIENT = 1u << PEER_CLIENT, WORKER = 1u << PEER_WORKER, STATUS = 1u << PEER_STATUS };
enum { HOST = 1u << PEER_HOST, STRANGER = 1u << PEER_STRANGER };

/*
 * The table of docs/protocol.md, section 2: type, size of the whole packet, descriptors, who may send it; the
 * least size of what may grow at its end.
 */
typedef struct Row {
    PacketType type;
    size_t bytes;
    size_t fds_min;
    size_t fds_max;
    unsigned senders;
    size_t bytes_min; /* 0: it has one size */
} Row;

static const Row rows[] = {
    {PACKET_HELLO, 16 + 96, 0, 0, STRANGER},
    {PACKET_WELCOME, 16 + 48, 0, 6, HOST}, /* six to a client, none to a worker */
    {PACKET_REFUSED, 16 + 240, 0, 0, HOST},
    {PACKET_RESERVE, 16 + 24, 0, 0, CLIENT | WORKER},
    {PACKET_RESERVED, 16 + 160, 0, 0, HOST},
    {PACKET_LOOK, 16 + 8, 0, 0, CLIENT},
    {PACKET_WORKERS, 16 + 8, 0, 0, HOST},
    {PACKET_QUEUE, 16 + 8, 1, 1, HOST},
    {PACKET_UNQUEUE, 16 + 8, 0, 0, HOST},
    {PACKET_MEET, 16 + 16, 0, 0, WORKER},
    {PACKET_CLIENT, 16 + 32, 0, 5, HOST}, /* five; none with the flag "gone" */
    {PACKET_GONE, 16 + 8, 0, 0, HOST},
    {PACKET_DROPPED, 16 + 8, 0, 0, WORKER},
    {PACKET_PING, 16, 0, 0, HOST},
    {PACKET_PONG, 16, 0, 0, WORKER},
    {PACKET_LEAVING, 16, 0, 0, WORKER},
    {PACKET_CANCEL, 16 + 16, 0, 0, HOST},
    {PACKET_STATUS, 16, 0, 0, STATUS},
    {PACKET_STATUS_HOST, sizeof(PacketStatusHost), 0, 0, HOST, 384},
    {PACKET_STATUS_CLIENT, sizeof(PacketStatusClient), 0, 0, HOST, 168},
    {PACKET_STATUS_WORKER, sizeof(PacketStatusWorker), 0, 0, HOST, 136},
    {PACKET_STATUS_END, 16, 0, 0, HOST, 16},
    {PACKET_AGAIN, 16 + 8, 0, 0, HOST},
    {PACKET_HOLDS, 16 + 8, 0, 0, WORKER},
    {PACKET_STATUS_SLOTS, 16, 0, 0, STATUS},
    {PACKET_STATUS_SLOT, sizeof(PacketStatusSlot), 0, 0, HOST, 88},
    {PACKET_STATUS_STAGE, sizeof(PacketStatusStage), 0, 0, HOST, 488},
    {PACKET_TRACE, 16 + 32, 0, 0, STATUS},
    {PACKET_TRACED, 16 + 400, 0, 0, HOST, 416},
    {PACKET_RING, 16, 1, 1, HOST},
    {PACKET_UNRING, 16, 0, 0, HOST},
};

#define N_ROWS ((int)ELEMENTS(rows))

static PeerRole sender_of(const Row *row) {
    for (PeerRole role = PEER_CLIENT; role <= PEER_STRANGER; role++)
        if (row->senders & 1u << role)
            return role;
    ck_abort();
}

static bool is_size_of(const Row *row, size_t bytes) {
    return row->bytes_min ? bytes >= row->bytes_min && bytes <= RECORD : bytes == row->bytes;
}

/* A record as it comes: a packet that says it has @bytes, in a buffer that really has them. */
static const char *check(const Row *row, uint32_t says, size_t bytes, size_t n_fds, PeerRole from) {
    union {
        Packet packet;
        uint8_t bytes[BEYOND];
    } record;

    memset(&record, 0, sizeof(record));
    record.packet.header = (PacketHeader){.type = row->type, .bytes = says};
    return packet_check(&record.packet, bytes, n_fds, from);
}

/* ---- the door ---- */

START_TEST(every_type_has_a_row) {
    ck_assert_int_eq(N_ROWS, _PACKET_N - 1);
    for (int i = 0; i < N_ROWS; i++)
        ck_assert_int_eq((int)rows[i].type, i + 1); /* the numbers of the protocol */
}
END_TEST

START_TEST(packet_is_taken_from_those_who_may_send_it) {
    const Row *row = &rows[_i];

    for (PeerRole role = PEER_CLIENT; role <= PEER_STRANGER; role++) {
        const char *fault = check(row, (uint32_t)row->bytes, row->bytes, row->fds_min, role);

        ck_assert_msg(!fault == !!(row->senders & 1u << role), "type %d from role %d: %s", (int)row->type,
                      (int)role, fault ? fault : "taken");
    }
}
END_TEST

START_TEST(packet_is_taken_in_the_sizes_that_it_may_have) {
    const Row *row = &rows[_i];
    PeerRole from = sender_of(row);

    for (size_t bytes = 0; bytes <= BEYOND; bytes++)
        ck_assert_msg(!check(row, (uint32_t)bytes, bytes, row->fds_min, from) == is_size_of(row, bytes),
                      "type %d of %zu bytes", (int)row->type, bytes);
}
END_TEST

/* Exchanges depend on the rest: it has one size in this version of the protocol. */
START_TEST(only_what_a_host_says_to_those_who_look_may_grow) {
    const Row *row = &rows[_i];

    if (row->bytes_min)
        ck_assert_uint_eq(row->senders, HOST);
    if (row->bytes_min && row->type != PACKET_TRACED)
        ck_assert(row->type >= PACKET_STATUS_HOST && row->type <= PACKET_STATUS_STAGE);
    ck_assert_uint_le(row->bytes_min, row->bytes);
}
END_TEST

/* Whatever the record before it has left in the buffer. */
START_TEST(what_an_older_host_does_not_say_is_zero) {
    const Row *row = &rows[_i];
    Packet packet;

    for (size_t bytes = row->bytes_min; bytes && bytes <= RECORD; bytes++) {
        memset(&packet, '#', sizeof(packet));
        packet.header = (PacketHeader){.type = row->type, .bytes = (uint32_t)bytes};
        ck_assert_ptr_null(packet_check(&packet, bytes, 0, PEER_HOST));
        for (size_t i = bytes; i < row->bytes; i++)
            ck_assert_uint_eq(packet.bytes[i], 0);
        if (bytes > sizeof(packet.header) && row->type != PACKET_TRACED) /* which ends with a text */
            ck_assert_uint_eq(packet.bytes[bytes - 1], '#');
    }
}
END_TEST

START_TEST(packet_that_says_another_size_than_it_has_is_refused) {
    const Row *row = &rows[_i];
    PeerRole from = sender_of(row);

    ck_assert_ptr_nonnull(check(row, (uint32_t)row->bytes, row->bytes - 1, row->fds_min, from));
    ck_assert_ptr_nonnull(check(row, (uint32_t)row->bytes, row->bytes + 1, row->fds_min, from));
    ck_assert_ptr_nonnull(check(row, (uint32_t)row->bytes - 1, row->bytes, row->fds_min, from));
    ck_assert_ptr_nonnull(check(row, UINT32_MAX, row->bytes, row->fds_min, from));
    ck_assert_ptr_nonnull(check(row, 0, row->bytes, row->fds_min, from));
}
END_TEST

START_TEST(packet_is_taken_with_the_descriptors_that_belong_to_it) {
    const Row *row = &rows[_i];

    for (size_t n_fds = 0; n_fds <= FDS_MANY; n_fds++)
        ck_assert_msg(!check(row, (uint32_t)row->bytes, row->bytes, n_fds, sender_of(row)) ==
                          (n_fds >= row->fds_min && n_fds <= row->fds_max),
                      "type %d with %zu descriptors", (int)row->type, n_fds);
}
END_TEST

START_TEST(unknown_types_are_refused_from_everybody) {
    static const uint32_t types[] = {0, _PACKET_N, _PACKET_N + 1, 1u << 31, UINT32_MAX};

    for (size_t i = 0; i < ELEMENTS(types); i++) {
        const Row row = {.type = types[i]};

        for (PeerRole role = PEER_CLIENT; role <= PEER_STRANGER; role++)
            ck_assert_ptr_nonnull(check(&row, 16, 16, 0, role));
    }
}
END_TEST

START_TEST(init_makes_what_the_door_lets_in) {
    const Row *row = &rows[_i];
    Packet packet;

    memset(&packet, 0xff, sizeof(packet));
    ck_assert_uint_eq(packet_init(&packet, row->type, 42), row->bytes);
    ck_assert_uint_eq(packet.header.type, row->type);
    ck_assert_uint_eq(packet.header.bytes, row->bytes);
    ck_assert_uint_eq(packet.header.serial, 42);
    for (size_t at = sizeof(PacketHeader); at < sizeof(packet); at++)
        ck_assert_uint_eq(((uint8_t *)&packet)[at], 0);
    ck_assert_ptr_null(packet_check(&packet, row->bytes, row->fds_min, sender_of(row)));
}
END_TEST

/* ---- texts ---- */

START_TEST(texts_that_came_without_an_end_have_one_afterwards) {
    static const struct {
        PacketType type;
        size_t at;
        size_t bytes;
    } texts[] = {
        {PACKET_HELLO, offsetof(PacketHello, name), NAME_BYTES},
        {PACKET_REFUSED, offsetof(PacketRefused, text), REFUSED_TEXT_BYTES},
        {PACKET_RESERVED, offsetof(PacketReserved, text), RESERVED_TEXT_BYTES},
        {PACKET_STATUS_HOST, offsetof(PacketStatusHost, name), NAME_BYTES},
        {PACKET_STATUS_HOST, offsetof(PacketStatusHost, version), 32},
        {PACKET_STATUS_CLIENT, offsetof(PacketStatusClient, name), NAME_BYTES},
        {PACKET_STATUS_WORKER, offsetof(PacketStatusWorker, name), NAME_BYTES},
    };
    const Row *row = &rows[texts[_i].type - 1];
    const char *text;
    Packet packet;

    memset(&packet, 'x', sizeof(packet));
    packet.header = (PacketHeader){.type = row->type, .bytes = (uint32_t)row->bytes};
    ck_assert_ptr_null(packet_check(&packet, row->bytes, 0, sender_of(row)));
    text = (const char *)&packet + texts[_i].at;
    ck_assert_uint_eq(strnlen(text, texts[_i].bytes), texts[_i].bytes - 1);
}
END_TEST

/* The socket may be a stranger's, and what its host says goes to a terminal. */
START_TEST(texts_of_a_host_steer_no_terminal) {
    Packet packet;
    size_t bytes = packet_init(&packet, PACKET_STATUS_HOST, 0);

    strcpy(packet.status_host.name, "a\x1b[2Jb\n\xff");
    strcpy(packet.status_host.version, "1.2\r");
    ck_assert_ptr_null(packet_check(&packet, bytes, 0, PEER_HOST));
    ck_assert_str_eq(packet.status_host.name, "a?[2Jb??");
    ck_assert_str_eq(packet.status_host.version, "1.2?");
    bytes = packet_init(&packet, PACKET_REFUSED, 0);
    strcpy(packet.refused.text, "no\x1b[31m `place`");
    ck_assert_ptr_null(packet_check(&packet, bytes, 0, PEER_HOST));
    ck_assert_str_eq(packet.refused.text, "no?[31m `place`");
}
END_TEST

START_TEST(text_copy_cuts_ends_and_pads) {
    char field[8];

    memset(field, 'x', sizeof(field));
    text_copy(field, sizeof(field), "abc");
    ck_assert_mem_eq(field, "abc\0\0\0\0\0", 8);
    text_copy(field, sizeof(field), "abcdefg");
    ck_assert_mem_eq(field, "abcdefg", 8);
    text_copy(field, sizeof(field), "abcdefghij");
    ck_assert_mem_eq(field, "abcdefg", 8);
    text_copy(field, sizeof(field), "");
    ck_assert_mem_eq(field, "\0\0\0\0\0\0\0\0", 8);
}
END_TEST

/* ---- HELLO ---- */

static PacketHello make_hello(PeerRole role) {
    PacketHello hello = {.role = role, .version_min = PROTOCOL_VERSION, .version_max = PROTOCOL_VERSION};

    memcpy(hello.magic, HELLO_MAGIC, sizeof(hello.magic));
    return hello;
}

START_TEST(hello_of_each_role_can_be_answered) {
    const char *text = "untouched";

    for (PeerRole role = PEER_CLIENT; role <= PEER_STATUS; role++)
        ck_assert_int_eq(hello_check(&(PacketHello[]){make_hello(role)}[0], &text), 0);
    ck_assert_str_eq(text, "untouched");
}
END_TEST

START_TEST(hello_of_no_role_that_comes_in_is_refused) {
    static const uint32_t roles[] = {0, PEER_HOST, PEER_STRANGER, 6, UINT32_MAX};
    const char *text = NULL;

    for (size_t i = 0; i < ELEMENTS(roles); i++) {
        PacketHello hello = make_hello(roles[i]);

        ck_assert_int_eq(hello_check(&hello, &text), REASON_BAD_REQUEST);
        ck_assert_ptr_nonnull(text);
    }
}
END_TEST

START_TEST(hello_with_another_magic_is_refused) {
    PacketHello hello = make_hello(PEER_CLIENT);
    const char *text = NULL;

    hello.magic[7] = '\0'; /* a line end that was translated on the way */
    ck_assert_int_eq(hello_check(&hello, &text), REASON_BAD_REQUEST);
    ck_assert_ptr_nonnull(text);
}
END_TEST

START_TEST(peer_that_speaks_ours_among_others_is_taken) {
    PacketHello hello = make_hello(PEER_CLIENT);
    const char *text;

    hello.version_min = 0;
    hello.version_max = UINT32_MAX;
    ck_assert_int_eq(hello_check(&hello, &text), 0);
}
END_TEST

START_TEST(newer_peer_is_told_that_the_host_is_old) {
    PacketHello hello = make_hello(PEER_WORKER);
    const char *text = NULL;

    hello.version_min = PROTOCOL_VERSION + 1;
    hello.version_max = PROTOCOL_VERSION + 2;
    ck_assert_int_eq(hello_check(&hello, &text), REASON_VERSION);
    ck_assert_ptr_nonnull(strstr(text, "host is too old"));
}
END_TEST

START_TEST(older_peer_is_told_that_it_is_old) {
    PacketHello hello = make_hello(PEER_WORKER);
    const char *text = NULL;

    hello.version_min = 0;
    hello.version_max = PROTOCOL_VERSION - 1;
    ck_assert_int_eq(hello_check(&hello, &text), REASON_VERSION);
    ck_assert_ptr_nonnull(strstr(text, "you are too old"));
}
END_TEST

START_TEST(versions_the_wrong_way_round_are_refused) {
    PacketHello hello = make_hello(PEER_CLIENT);
    const char *text = NULL;

    hello.version_min = PROTOCOL_VERSION + 1;
    hello.version_max = PROTOCOL_VERSION - 1;
    ck_assert_int_eq(hello_check(&hello, &text), REASON_VERSION);
    ck_assert_ptr_nonnull(text);
}
END_TEST

/* Whatever the host says to a peer must fit into REFUSED. */
START_TEST(words_of_refusal_fit_into_their_packet) {
    PacketHello hellos[4];
    const char *text = NULL;

    for (size_t i = 0; i < ELEMENTS(hellos); i++)
        hellos[i] = make_hello(PEER_CLIENT);
    hellos[1].role = 0;
    hellos[0].magic[0] = 0;
    hellos[2].version_min = UINT32_MAX;
    hellos[3].version_max = 0;
    for (size_t i = 0; i < ELEMENTS(hellos); i++) {
        ck_assert_int_gt(hello_check(&hellos[i], &text), 0);
        ck_assert_uint_lt(strlen(text), REFUSED_TEXT_BYTES);
    }
}
END_TEST

/* ---- bytes ---- */

#define AT(Type, field, offset) ck_assert_uint_eq(offsetof(Type, field), (offset))

START_TEST(headers_and_greetings_lie_where_the_protocol_says) {
    AT(PacketHeader, type, 0);
    AT(PacketHeader, bytes, 4);
    AT(PacketHeader, serial, 8);
    ck_assert_uint_eq(sizeof(PacketHeader), 16);

    AT(PacketHello, magic, 16);
    AT(PacketHello, role, 24);
    AT(PacketHello, version_min, 28);
    AT(PacketHello, version_max, 32);
    AT(PacketHello, timeout_ns, 40);
    AT(PacketHello, name, 48);
    ck_assert_mem_eq(HELLO_MAGIC, "SHMIPC\r\n", 8);

    AT(PacketWelcome, version, 16);
    AT(PacketWelcome, n_slots, 20);
    AT(PacketWelcome, id, 24);
    AT(PacketWelcome, max_payload, 32);
    AT(PacketWelcome, stride, 40);
    AT(PacketWelcome, uid, 48);
    AT(PacketWelcome, n_workers, 52);
    AT(PacketWelcome, flags, 56);

    AT(PacketRefused, code, 16);
    AT(PacketRefused, text, 24);
}
END_TEST

START_TEST(questions_and_answers_lie_where_the_protocol_says) {
    AT(PacketReserve, client, 16);
    AT(PacketReserve, bytes, 24);
    AT(PacketReserve, slot, 32);
    AT(PacketReserve, direction, 36);

    AT(PacketReserved, client, 16);
    AT(PacketReserved, bytes, 24);
    AT(PacketReserved, slot, 32);
    AT(PacketReserved, direction, 36);
    AT(PacketReserved, code, 40);
    AT(PacketReserved, text, 48);

    AT(PacketSlot, slot, 16);
    AT(PacketSlot, generation, 20);
    AT(PacketNumber, number, 16);
    AT(PacketId, client, 16);

    AT(PacketCancel, client, 16);
    AT(PacketCancel, slot, 24);
    AT(PacketCancel, generation, 28);
}
END_TEST

START_TEST(meetings_lie_where_the_protocol_says) {
    AT(PacketMeet, client, 16);
    AT(PacketMeet, uid, 24);

    AT(PacketClient, client, 16);
    AT(PacketClient, stride, 24);
    AT(PacketClient, n_slots, 32);
    AT(PacketClient, uid, 36);
    AT(PacketClient, flags, 40);
}
END_TEST

START_TEST(message_lies_where_the_protocol_says) {
    ck_assert_uint_eq(sizeof(Message), 32);
    AT(Message, client, 0);
    AT(Message, slot, 8);
    AT(Message, generation, 12);
    AT(Message, payload_bytes, 16);
    AT(Message, segment_bytes, 24);
}
END_TEST

START_TEST(flags_codes_and_descriptors_have_the_protocols_numbers) {
    ck_assert_uint_eq(WELCOME_TRUSTED, 1);
    ck_assert_uint_eq(CLIENT_TRUSTED, 1);
    ck_assert_uint_eq(CLIENT_PROBE, 2);
    ck_assert_uint_eq(CLIENT_GONE, 4);
    ck_assert_uint_eq(WELCOME_HUGE, 2);
    ck_assert_uint_eq(WELCOME_HUGE_ALL, 4);
    ck_assert_uint_eq(CLIENT_HUGE, 8);
    ck_assert_uint_eq(CLIENT_HUGE_ALL, 16);
    ck_assert_uint_eq(DIRECTION_REQUEST, 1);
    ck_assert_uint_eq(DIRECTION_RESPONSE, 2);
    ck_assert_int_eq(WELCOME_N_FDS, 6);
    ck_assert_int_eq(CLIENT_N_FDS, 5);
    ck_assert_int_eq(REASON_HANDLER_FAILED, 1);
    ck_assert_int_eq(REASON_WORKER_LOST, 5);
    ck_assert_int_eq(REASON_MEMORY_BUDGET, 6);
    ck_assert_int_eq(REASON_BAD_REQUEST, 10);
    ck_assert_int_eq(REASON_NOT_ALLOWED, 12);
    ck_assert_int_eq(REASON_STOPPED, 17);
}
END_TEST

START_TEST(every_reason_has_a_name_and_others_have_one_too) {
    for (int i = 0; i < _REASON_N; i++)
        ck_assert_uint_gt(strlen(reason_name((Reason)i)), 0);
    ck_assert_str_eq(reason_name(_REASON_N), "unknown reason");
    ck_assert_str_eq(reason_name((Reason)-1), "unknown reason");
}
END_TEST

/* ---- random bytes ---- */

static uint64_t random_state = SEED;

/* xorshift64*: the same numbers on each machine. */
static uint64_t random_next(void) {
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * UINT64_C(2685821657736338717);
}

static const Row *row_of(const PacketHeader *header) {
    return header->type >= 1 && header->type < _PACKET_N ? &rows[header->type - 1] : NULL;
}

/* Whether the rows above let it in. */
static bool may_pass(const PacketHeader *header, size_t bytes, size_t n_fds, PeerRole from) {
    const Row *row = row_of(header);

    return row && header->bytes == bytes && is_size_of(row, bytes) && n_fds >= row->fds_min &&
           n_fds <= row->fds_max && row->senders & 1u << from;
}

/* Half of them say a type and a size that could be right, or something would never be reached. */
static size_t random_record(uint8_t *record) {
    PacketHeader header;
    size_t bytes = sizeof(header) + random_next() % (RECORD - sizeof(header));

    for (size_t i = 0; i < RECORD; i++)
        record[i] = (uint8_t)(random_next() >> 32);
    if (random_next() % 2)
        return bytes;
    header.type = (uint32_t)(random_next() % (_PACKET_N + 1));
    if (random_next() % 4 && header.type >= 1 && header.type < _PACKET_N)
        bytes = rows[header.type - 1].bytes;
    header.bytes = (uint32_t)bytes;
    header.serial = random_next();
    memcpy(record, &header, sizeof(header));
    return bytes;
}

START_TEST(random_records_pass_only_as_the_table_says) {
    unsigned n_passed = 0;

    printf("# seed %#llx\n", (unsigned long long)random_state);
    fflush(stdout);
    for (int i = 0; i < 200000; i++) {
        _Alignas(Packet) uint8_t record[RECORD] = {0};
        size_t bytes = random_record(record), n_fds = random_next() % (FDS_MANY + 1) * (random_next() % 2);
        PeerRole from = PEER_CLIENT + (PeerRole)(random_next() % 5);
        const Row *row = row_of((const PacketHeader *)(const void *)record);
        /* A buffer of the very size, so that a sanitizer sees whoever reads beyond it; or of that of a row
         * which lacks its end. */
        size_t room = row && row->bytes_min && bytes < row->bytes ? row->bytes : bytes;
        Packet *packet = aligned_alloc(16, (room + 15) / 16 * 16);
        bool may;

        memcpy(packet, record, bytes);
        may = may_pass(&packet->header, bytes, n_fds, from);
        if (!packet_check(packet, bytes, n_fds, from) != may)
            ck_abort_msg("record %d of type %u", i, packet->header.type);
        if (may && packet->header.type == PACKET_HELLO) {
            const char *text;

            (void)hello_check(&packet->hello, &text);
        }
        n_passed += may;
        free(packet);
    }
    ck_assert_uint_gt(n_passed, 1000);
}
END_TEST

static void add_bytes(Suite *suite) {
    TCase *tests = tcase_create("bytes");

    tcase_add_test(tests, headers_and_greetings_lie_where_the_protocol_says);
    tcase_add_test(tests, questions_and_answers_lie_where_the_protocol_says);
    tcase_add_test(tests, meetings_lie_where_the_protocol_says);
    tcase_add_test(tests, message_lies_where_the_protocol_says);
    tcase_add_test(tests, flags_codes_and_descriptors_have_the_protocols_numbers);
    tcase_add_test(tests, every_reason_has_a_name_and_others_have_one_too);
    suite_add_tcase(suite, tests);
}

static void add_hello(Suite *suite) {
    TCase *tests = tcase_create("hello");

    tcase_add_test(tests, hello_of_each_role_can_be_answered);
    tcase_add_test(tests, hello_of_no_role_that_comes_in_is_refused);
    tcase_add_test(tests, hello_with_another_magic_is_refused);
    tcase_add_test(tests, peer_that_speaks_ours_among_others_is_taken);
    tcase_add_test(tests, newer_peer_is_told_that_the_host_is_old);
    tcase_add_test(tests, older_peer_is_told_that_it_is_old);
    tcase_add_test(tests, versions_the_wrong_way_round_are_refused);
    tcase_add_test(tests, words_of_refusal_fit_into_their_packet);
    suite_add_tcase(suite, tests);
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("hello");
    TCase *tests = tcase_create("door");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, every_type_has_a_row);
    tcase_add_loop_test(tests, packet_is_taken_from_those_who_may_send_it, 0, N_ROWS);
    tcase_add_loop_test(tests, packet_is_taken_in_the_sizes_that_it_may_have, 0, N_ROWS);
    tcase_add_loop_test(tests, only_what_a_host_says_to_those_who_look_may_grow, 0, N_ROWS);
    tcase_add_loop_test(tests, what_an_older_host_does_not_say_is_zero, 0, N_ROWS);
    tcase_add_loop_test(tests, packet_that_says_another_size_than_it_has_is_refused, 0, N_ROWS);
    tcase_add_loop_test(tests, packet_is_taken_with_the_descriptors_that_belong_to_it, 0, N_ROWS);
    tcase_add_loop_test(tests, init_makes_what_the_door_lets_in, 0, N_ROWS);
    tcase_add_test(tests, unknown_types_are_refused_from_everybody);
    tcase_add_loop_test(tests, texts_that_came_without_an_end_have_one_afterwards, 0, 7);
    tcase_add_test(tests, texts_of_a_host_steer_no_terminal);
    tcase_add_test(tests, text_copy_cuts_ends_and_pads);
    tcase_add_test(tests, random_records_pass_only_as_the_table_says);
    suite_add_tcase(suite, tests);
    add_hello(suite);
    add_bytes(suite);
    return suite;
}
