/* SPDX-License-Identifier: MIT */
/*
 * The plugin `digest`, by the vectors of FIPS 180-4 and of RFC 3720 (B.4). The command line tool is met in
 * tests/e2e/test-plugin.sh.
 */
#include "plugin-unit.h"
#include "unit.h"

#include <gcrypt.h>
#include <stdio.h>
#include <string.h>

#define DIGEST SHIPPED_PLUGINS "/digest.so"

static void load(const char *algorithm, const char *format) {
    rig_set("algorithm", algorithm);
    rig_set("format", format);
    if (rig_new(DIGEST) != 0)
        ck_abort_msg("%s", rig.error);
}

/* ---- settings ---- */

START_TEST(hex_line_of_sha256_unless_said) {
    ck_assert_int_eq(rig_new(DIGEST), 0);
    rig_handle_text("abc");
    assert_answer("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n");
}
END_TEST

START_TEST(unknown_algorithm_is_refused) {
    rig_set("algorithm", "md5");
    assert_refused(DIGEST, "digest cannot be used: algorithm: \"md5\" is not allowed; "
                           "it can be \"sha256\" or \"crc32c\"");
}
END_TEST

START_TEST(unknown_format_is_refused) {
    rig_set("format", "base64");
    assert_refused(DIGEST, "format: \"base64\" is not allowed; it can be \"hex\" or \"raw\"");
}
END_TEST

START_TEST(unknown_setting_is_refused) {
    rig_set("algorithms", "sha256");
    assert_refused(DIGEST, "algorithms is not a setting; there are algorithm and format");
}
END_TEST

/* ---- vectors ---- */

static const struct {
    const char *text, *digest;
} sha256_vectors[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1\n"},
};

START_TEST(sha256_is_that_of_the_standard) {
    rig.trusted = true;
    load("sha256", "hex");
    rig_handle_text(sha256_vectors[_i].text);
    assert_answer(sha256_vectors[_i].digest);
}
END_TEST

START_TEST(sha256_of_a_million_is_that_of_the_standard) {
    _cleanup_free_ char *data = malloc(1000000);

    memset(data, 'a', 1000000);
    rig_request(data, 1000000);
    load("sha256", "hex");
    rig_handle();
    assert_answer("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0\n");
}
END_TEST

START_TEST(raw_sha256_is_32_bytes) {
    static const uint8_t expected[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                                       0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                                       0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};

    load("sha256", "raw");
    rig_handle_text("abc");
    assert_answered(sizeof(expected));
    ck_assert_int_eq(memcmp(rig.response.map, expected, sizeof(expected)), 0);
}
END_TEST

/* 32 bytes, from a first one on and each so much more than the one before. */
static const struct {
    uint8_t first, step;
    const char *digest;
} crc32c_vectors[] = {
    {0x00, 0, "8a9136aa\n"},
    {0xff, 0, "62a8ab43\n"},
    {0x00, 1, "46dd794e\n"},
    {0x1f, 0xff, "113fdb5c\n"},
};

START_TEST(crc32c_is_that_of_the_rfc) {
    uint8_t data[32];

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(crc32c_vectors[_i].first + i * crc32c_vectors[_i].step);
    rig_request(data, sizeof(data));
    load("crc32c", "hex");
    rig_handle();
    assert_answer(crc32c_vectors[_i].digest);
}
END_TEST

START_TEST(crc32c_of_nothing_is_zero) {
    load("crc32c", "hex");
    rig_handle_text("");
    assert_answer("00000000\n");
}
END_TEST

START_TEST(raw_crc32c_is_4_bytes_in_network_order) {
    load("crc32c", "raw");
    rig_handle_text("123456789");
    assert_answered(4);
    ck_assert_int_eq(memcmp(rig.response.map, "\xe3\x06\x92\x83", 4), 0);
}
END_TEST

/* As the polynomial is written down. */
static uint32_t crc32c_slowly(const uint8_t *data, size_t bytes) {
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

/* Longer than what is done between two looks at the clock. */
START_TEST(crc32c_goes_on_from_step_to_step) {
    const size_t bytes = 9 * MIB + 5;
    _cleanup_free_ uint8_t *data = malloc(bytes);
    char expected[16];

    for (size_t i = 0; i < bytes; i++)
        data[i] = (uint8_t)(i * 7 + (i >> 9));
    rig_request(data, bytes);
    load("crc32c", "hex");
    rig_handle();
    snprintf(expected, sizeof(expected), "%08x\n", crc32c_slowly(data, bytes));
    assert_answer(expected);
}
END_TEST

START_TEST(one_plugin_digests_one_request_after_the_other) {
    load(_i ? "crc32c" : "sha256", "hex");
    rig_handle_text("something else");
    rig_handle_text("123456789");
    assert_answer(_i ? "e3069283\n" : "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225\n");
}
END_TEST

/* ---- giving up ---- */

START_TEST(cancelled_request_is_given_up) {
    rig.cancelled = true;
    load("sha256", "hex");
    rig_handle_text("abc");
    assert_failed(REASON_STOPPED, 0, "digest: given up, nobody waits for the answer");
}
END_TEST

START_TEST(expired_request_is_given_up) {
    rig.exchange.deadline_ns = 1;
    load("crc32c", "hex");
    rig_handle_text("abc");
    ck_assert_int_eq(rig.exchange.reason, REASON_TIMED_OUT);
}
END_TEST

START_TEST(response_over_the_limit_fails) {
    rig.settings.max_response = 64;
    load("sha256", "hex");
    rig_handle_text("abc");
    ck_assert_int_eq(rig.exchange.reason, REASON_RESPONSE_TOO_LARGE);
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("plugin-digest");
    TCase *tests = tcase_create("digest");

    /* As in a worker, where libsystemd holds the library: it does not clean up when it is unloaded. */
    (void)gcry_check_version(NULL);
    tcase_add_checked_fixture(tests, rig_set_up, rig_tear_down);
    tcase_add_test(tests, hex_line_of_sha256_unless_said);
    tcase_add_test(tests, unknown_algorithm_is_refused);
    tcase_add_test(tests, unknown_format_is_refused);
    tcase_add_test(tests, unknown_setting_is_refused);
    tcase_add_loop_test(tests, sha256_is_that_of_the_standard, 0, ELEMENTS(sha256_vectors));
    tcase_add_test(tests, sha256_of_a_million_is_that_of_the_standard);
    tcase_add_test(tests, raw_sha256_is_32_bytes);
    tcase_add_loop_test(tests, crc32c_is_that_of_the_rfc, 0, ELEMENTS(crc32c_vectors));
    tcase_add_test(tests, crc32c_of_nothing_is_zero);
    tcase_add_test(tests, raw_crc32c_is_4_bytes_in_network_order);
    tcase_add_test(tests, crc32c_goes_on_from_step_to_step);
    tcase_add_loop_test(tests, one_plugin_digests_one_request_after_the_other, 0, 2);
    tcase_add_test(tests, cancelled_request_is_given_up);
    tcase_add_test(tests, expired_request_is_given_up);
    tcase_add_test(tests, response_over_the_limit_fails);
    suite_add_tcase(suite, tests);
    return suite;
}
