/* SPDX-License-Identifier: MIT */
/*
 * The plugin `zstd`. The command line tool is met in tests/e2e/test-plugin.sh.
 */
#include "base/units.h"
#include "plugin-unit.h"
#include "unit.h"

#include <inttypes.h>
#include <string.h>

#define ZSTD SHIPPED_PLUGINS "/zstd.so"

/* What `zstd -c FILE` says if the file has "abc" in it. */
static const uint8_t abc_frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0x24, 0x03, 0x19, 0x00,
                                    0x00, 0x61, 0x62, 0x63, 0x99, 0x09, 0x77, 0xad};

/* What says that 2^40 bytes follow, and has one. */
static const uint8_t boasting_frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0xc0, 0x00, 0x00, 0x00, 0x00,
                                         0x00, 0x00, 0x01, 0x00, 0x00, 0x09, 0x00, 0x00, 0x78};

/* What needs a window of 2^31 bytes. */
static const uint8_t wide_frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00};

/* ---- what a test says ---- */

static void load(const char *mode) {
    rig.settings.plugin.n = 0;
    rig_set("mode", mode);
    if (rig_new(ZSTD) != 0)
        ck_abort_msg("%s", rig.error);
}

/* Byte @at of a payload that can be compressed, but not to nothing. */
static uint8_t pattern(uint64_t at) {
    return (uint8_t)((at >> 3) * 31 + (at >> 12));
}

static void request_pattern(uint64_t bytes) {
    _cleanup_free_ uint8_t *data = calloc(1, bytes + 1);

    for (uint64_t i = 0; i < bytes; i++)
        data[i] = pattern(i);
    rig_request(data, bytes);
}

static void request_zeros(uint64_t bytes) {
    _cleanup_free_ uint8_t *data = calloc(1, bytes);

    rig_request(data, bytes);
}

/* The response becomes the request of who undoes it. */
static void back(const char *mode) {
    uint64_t bytes = rig.exchange.response_bytes;
    _cleanup_free_ uint8_t *data = malloc(bytes + 1);

    ck_assert_int_eq(rig.exchange.reason, REASON_NONE);
    memcpy(data, rig.response.map, bytes);
    rig_request(data, bytes);
    load(mode);
    rig_handle();
}

static void assert_pattern(uint64_t bytes) {
    const uint8_t *response = rig.response.map;

    assert_answered(bytes);
    for (uint64_t i = 0; i < bytes; i++)
        if (response[i] != pattern(i))
            ck_abort_msg("byte %" PRIu64 " is wrong", i);
}

static void assert_corrupt(const char *text) {
    ck_assert_int_eq(rig.exchange.reason, REASON_HANDLER_FAILED);
    ck_assert_int_eq(rig.exchange.status, 1);
    ck_assert_msg(strstr(rig_text(), text) != NULL, "\"%s\" does not say \"%s\"", rig_text(), text);
}

/* ---- settings ---- */

START_TEST(mode_is_compress_unless_said) {
    ck_assert_int_eq(rig_new(ZSTD), 0);
    rig_handle_text("abc");
    assert_answered(sizeof(abc_frame));
    ck_assert_int_eq(memcmp(rig.response.map, abc_frame, sizeof(abc_frame)), 0);
}
END_TEST

START_TEST(unknown_mode_is_refused) {
    rig_set("mode", "shrink");
    assert_refused(ZSTD, "zstd cannot be used: mode: \"shrink\" is not allowed; "
                         "it can be \"compress\" or \"decompress\"");
}
END_TEST

START_TEST(unknown_setting_is_refused) {
    rig_set("levle", "3");
    assert_refused(ZSTD, "zstd cannot be used: levle is not a setting; there are mode and level");
}
END_TEST

START_TEST(bad_level_is_refused) {
    static const char *const bad[] = {"23",   "-131073", "", "3x", "high", "99999999999999999999",
                                      "true", "1.5"};

    rig_set("level", bad[_i]);
    assert_refused(ZSTD, "is not allowed; it can be a whole number from -131072 to 22, like 3");
}
END_TEST

START_TEST(level_of_decompression_is_refused) {
    rig_set("level", "3");
    rig_set("mode", "decompress");
    assert_refused(ZSTD, "level is a setting of mode = \"compress\"");
}
END_TEST

START_TEST(higher_level_makes_less) {
    uint64_t fast;

    request_pattern(MIB);
    rig_set("level", "-50");
    ck_assert_int_eq(rig_new(ZSTD), 0);
    rig_handle();
    fast = rig.exchange.response_bytes;
    rig.settings.plugin.n = 0;
    rig_set("level", "19");
    ck_assert_int_eq(rig_new(ZSTD), 0);
    rig_handle();
    ck_assert_uint_lt(rig.exchange.response_bytes, fast);
}
END_TEST

/* ---- there and back ---- */

static const uint64_t sizes[] = {0, 1, 4095, 4096, 4097, MIB - 1, MIB, MIB + 1, (UINT64_C(1) << 24) + 1};

START_TEST(whatever_was_compressed_comes_back) {
    rig.trusted = _i % 2;
    request_pattern(sizes[_i]);
    load("compress");
    rig_handle();
    back("decompress");
    assert_pattern(sizes[_i]);
}
END_TEST

START_TEST(bytes_that_cannot_be_compressed_come_back) {
    uint64_t bytes = 3 * MIB, seed = 1;
    _cleanup_free_ uint8_t *data = malloc(bytes);

    for (uint64_t i = 0; i < bytes; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        data[i] = (uint8_t)(seed >> 56);
    }
    rig_request(data, bytes);
    load("compress");
    rig_handle();
    ck_assert_uint_gt(rig.exchange.response_bytes, bytes);
    back("decompress");
    assert_answered(bytes);
    ck_assert_int_eq(memcmp(rig.response.map, data, bytes), 0);
}
END_TEST

START_TEST(one_plugin_compresses_one_request_after_the_other) {
    load("compress");
    for (int i = 0; i < 3; i++) {
        rig_handle_text("abc");
        assert_answered(sizeof(abc_frame));
        ck_assert_int_eq(memcmp(rig.response.map, abc_frame, sizeof(abc_frame)), 0);
    }
}
END_TEST

START_TEST(frames_behind_each_other_are_all_decompressed) {
    uint8_t frames[3 * sizeof(abc_frame)];

    for (int i = 0; i < 3; i++)
        memcpy(frames + (size_t)i * sizeof(abc_frame), abc_frame, sizeof(abc_frame));
    rig_request(frames, sizeof(frames));
    load("decompress");
    rig_handle();
    assert_answer("abcabcabc");
}
END_TEST

/* ---- what zstd has not made ---- */

START_TEST(empty_request_cannot_be_decompressed) {
    load("decompress");
    rig_handle_text("");
    assert_corrupt("the request is empty");
}
END_TEST

START_TEST(text_cannot_be_decompressed) {
    load("decompress");
    rig_handle_text("no frame at all");
    assert_corrupt("zstd cannot decompress the request, at byte 0 of 15: Unknown frame descriptor");
}
END_TEST

/* Wherever it is cut, that is noticed. */
START_TEST(cut_frame_cannot_be_decompressed) {
    load("decompress");
    rig_request(abc_frame, (size_t)_i);
    rig_handle();
    assert_corrupt("it ends in the middle of a frame");
}
END_TEST

/* Whichever byte is changed, no wrong bytes come out. The fourth of the header says how long its fields are.
 */
START_TEST(changed_frame_cannot_be_decompressed) {
    uint8_t frame[sizeof(abc_frame)];

    memcpy(frame, abc_frame, sizeof(frame));
    frame[_i] ^= 0x40;
    rig_request(frame, sizeof(frame));
    load("decompress");
    rig_handle();
    if (rig.exchange.reason == REASON_NONE)
        assert_answer("abc");
}
END_TEST

START_TEST(garbage_behind_a_frame_is_an_error) {
    uint8_t data[sizeof(abc_frame) + 10] = {0};

    memcpy(data, abc_frame, sizeof(abc_frame));
    rig_request(data, sizeof(data));
    load("decompress");
    rig_handle();
    assert_corrupt("at byte 16 of 26: Unknown frame descriptor");
}
END_TEST

START_TEST(failure_does_not_spoil_the_next_request) {
    load("decompress");
    rig_request(abc_frame, sizeof(abc_frame) - 3);
    rig_handle();
    assert_corrupt("middle of a frame");
    rig_request(abc_frame, sizeof(abc_frame));
    rig_handle();
    assert_answer("abc");
}
END_TEST

/* ---- bombs ---- */

START_TEST(bomb_ends_at_the_limit) {
    request_zeros(64 * MIB);
    load("compress");
    rig_handle();
    ck_assert_uint_lt(rig.exchange.response_bytes, 64 << 10);
    rig.settings.max_response = MIB;
    back("decompress");
    assert_failed(REASON_RESPONSE_TOO_LARGE, 0,
                  "zstd: the response is larger than 1M, the `max_response` of the worker's handler");
}
END_TEST

START_TEST(response_of_exactly_the_limit_is_no_bomb) {
    request_pattern(3 * MIB);
    load("compress");
    rig_handle();
    rig.settings.max_response = 3 * MIB;
    back("decompress");
    assert_pattern(3 * MIB);
}
END_TEST

/* What a header promises is not what is reserved. */
START_TEST(boasting_frame_takes_no_memory) {
    rig_request(boasting_frame, sizeof(boasting_frame));
    load("decompress");
    rig_handle();
    assert_corrupt("zstd cannot decompress the request");
    ck_assert_uint_le(rig.response.bytes, MIB);
}
END_TEST

START_TEST(wide_window_is_refused) {
    rig_request(wide_frame, sizeof(wide_frame));
    load("decompress");
    rig_handle();
    assert_corrupt("Frame requires too much memory for decoding");
}
END_TEST

START_TEST(compressed_response_over_the_limit_fails) {
    request_pattern(4 * MIB);
    rig.settings.max_response = 100;
    load("compress");
    rig_handle();
    ck_assert_int_eq(rig.exchange.reason, REASON_RESPONSE_TOO_LARGE);
}
END_TEST

/* ---- giving up ---- */

START_TEST(cancelled_request_is_given_up) {
    request_pattern(MIB);
    rig.cancelled = true;
    load(_i ? "compress" : "decompress");
    rig_handle();
    assert_failed(REASON_STOPPED, 0, "zstd: given up, nobody waits for the answer");
}
END_TEST

START_TEST(expired_request_is_given_up) {
    request_pattern(MIB);
    rig.exchange.deadline_ns = 1;
    load(_i ? "compress" : "decompress");
    rig_handle();
    ck_assert_int_eq(rig.exchange.reason, REASON_TIMED_OUT);
}
END_TEST

static TCase *case_settings(void) {
    TCase *tests = tcase_create("settings");

    tcase_add_checked_fixture(tests, rig_set_up, rig_tear_down);
    tcase_add_test(tests, mode_is_compress_unless_said);
    tcase_add_test(tests, unknown_mode_is_refused);
    tcase_add_test(tests, unknown_setting_is_refused);
    tcase_add_loop_test(tests, bad_level_is_refused, 0, 8);
    tcase_add_test(tests, level_of_decompression_is_refused);
    tcase_add_test(tests, higher_level_makes_less);
    return tests;
}

static TCase *case_payloads(void) {
    TCase *tests = tcase_create("payloads");

    tcase_add_checked_fixture(tests, rig_set_up, rig_tear_down);
    tcase_add_loop_test(tests, whatever_was_compressed_comes_back, 0, ELEMENTS(sizes));
    tcase_add_test(tests, bytes_that_cannot_be_compressed_come_back);
    tcase_add_test(tests, one_plugin_compresses_one_request_after_the_other);
    tcase_add_test(tests, frames_behind_each_other_are_all_decompressed);
    return tests;
}

static TCase *case_bad_payloads(void) {
    TCase *tests = tcase_create("bad payloads");

    tcase_add_checked_fixture(tests, rig_set_up, rig_tear_down);
    tcase_add_test(tests, empty_request_cannot_be_decompressed);
    tcase_add_test(tests, text_cannot_be_decompressed);
    tcase_add_loop_test(tests, cut_frame_cannot_be_decompressed, 1, sizeof(abc_frame));
    tcase_add_loop_test(tests, changed_frame_cannot_be_decompressed, 0, sizeof(abc_frame));
    tcase_add_test(tests, garbage_behind_a_frame_is_an_error);
    tcase_add_test(tests, failure_does_not_spoil_the_next_request);
    tcase_add_test(tests, bomb_ends_at_the_limit);
    tcase_add_test(tests, response_of_exactly_the_limit_is_no_bomb);
    tcase_add_test(tests, boasting_frame_takes_no_memory);
    tcase_add_test(tests, wide_window_is_refused);
    tcase_add_test(tests, compressed_response_over_the_limit_fails);
    tcase_add_loop_test(tests, cancelled_request_is_given_up, 0, 2);
    tcase_add_loop_test(tests, expired_request_is_given_up, 0, 2);
    return tests;
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("plugin-zstd");

    suite_add_tcase(suite, case_settings());
    suite_add_tcase(suite, case_payloads());
    suite_add_tcase(suite, case_bad_payloads());
    return suite;
}
