/* SPDX-License-Identifier: MIT */
/*
 * Odd files, slips of the keyboard, and what libconfig would make of them
 */
#include "app/config-faults.h"
#include "config-unit.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TEXT_BYTES_MAX (1u << 21)

/* --- odd files --- */

START_TEST(folder_is_no_file) {
    _cleanup_(config_freep) Config *config = NULL;

    ck_assert_int_eq(config_load(&config, TEST_CONFIG_FOLDER), CONFIG_FAULTY);
    ck_assert_str_eq(only_fault(config)->text, "cannot be read: Is a directory");
}
END_TEST

/* What loading a file says of it, as one fault. */
static int has_fault(const char *path, const char *fault) {
    _cleanup_(config_freep) Config *config = NULL;

    ck_assert_int_eq(config_load(&config, path), CONFIG_FAULTY);
    return strcmp(only_fault(config)->text, fault) == 0;
}

static int is_denied(void *path) {
    return has_fault(path, "cannot be read: Permission denied");
}

START_TEST(unreadable_file_is_not_taken_for_missing) {
    char path[] = P_tmpdir "/shmipc-test-config.XXXXXX";
    _cleanup_close_ int fd = mkstemp(path);
    int denied;

    ck_assert_int_ge(fd, 0);
    denied = unit_as_uid(UNIT_UID, is_denied, path);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(denied, true);
}
END_TEST

START_TEST(link_to_itself_is_not_taken_for_missing) {
    char path[] = P_tmpdir "/shmipc-test-config.XXXXXX";
    _cleanup_close_ int fd = mkstemp(path);
    int looped;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink(path, path), 0);
    looped = has_fault(path, "cannot be read: Too many levels of symbolic links");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(looped, true);
}
END_TEST

START_TEST(empty_file_has_no_instance) {
    assert_fault("", 0, "there is no instance in it; one reads NAME: { role = \"host\"; };");
    assert_fault("# nothing\n/* at all */\n", 0,
                 "there is no instance in it; one reads NAME: { role = \"host\"; };");
}
END_TEST

START_TEST(nul_byte_ends_nothing_silently) {
    static const char text[] = "h: { role = \"host\"; };\n\0\ncolour = \"red\";\n";
    _cleanup_(config_freep) Config *config = NULL;

    ck_assert_int_eq(load_bytes(text, sizeof(text) - 1, &config), CONFIG_FAULTY);
    ck_assert_uint_eq(only_fault(config)->line, 2);
    ck_assert_str_eq(only_fault(config)->text, "there is a NUL byte here; a configuration is a text file");
}
END_TEST

START_TEST(huge_file_is_refused) {
    _cleanup_(config_freep) Config *config = NULL;
    _cleanup_free_ char *text = malloc(TEXT_BYTES_MAX);

    memset(text, ' ', TEXT_BYTES_MAX);
    ck_assert_int_eq(load_bytes(text, TEXT_BYTES_MAX, &config), CONFIG_FAULTY);
    ck_assert_str_eq(only_fault(config)->text, "cannot be read: it is larger than 256K");
}
END_TEST

START_TEST(endless_device_is_refused) {
    _cleanup_(config_freep) Config *config = NULL;

    ck_assert_int_eq(config_load(&config, "/dev/zero"), CONFIG_FAULTY);
    ck_assert_str_eq(only_fault(config)->text, "cannot be read: it is larger than 256K");
}
END_TEST

START_TEST(long_word_is_shown_short) {
    static const char head[] = "h: { role = \"host\"; log_level = \"", tail[] = "\"; };";
    _cleanup_(config_freep) Config *config = NULL;
    _cleanup_free_ char *text = malloc(200000);
    size_t n = sizeof(head) - 1;

    memcpy(text, head, n);
    memset(text + n, 'x', 190000);
    memcpy(text + n + 190000, tail, sizeof(tail) - 1);
    ck_assert_int_eq(load_bytes(text, n + 190000 + sizeof(tail) - 1, &config), CONFIG_FAULTY);
    ck_assert_uint_lt(strlen(only_fault(config)->text), 250);
    ck_assert_ptr_nonnull(strstr(only_fault(config)->text, "xxx...\" is not allowed"));
}
END_TEST

START_TEST(control_characters_are_not_shown) {
    _cleanup_(config_freep) Config *config = NULL;

    ck_assert_int_eq(load_text("h: { role = \"\x1b[31mred\x7f\n\"; };", &config), CONFIG_FAULTY);
    ck_assert_str_eq(only_fault(config)->text,
                     "role: \"?[31mred??\" is not allowed; it can be \"host\" or \"worker\"");
}
END_TEST

START_TEST(deep_nesting_is_refused) {
    _cleanup_(config_freep) Config *config = NULL;
    char text[20001];

    memset(text, '(', sizeof(text));
    memcpy(text, "a=", 2);
    ck_assert_int_eq(load_bytes(text, sizeof(text), &config), CONFIG_FAULTY);
    ck_assert_ptr_eq(strstr(only_fault(config)->text, "groups or lists are nested too deep"),
                     only_fault(config)->text);
}
END_TEST

START_TEST(only_the_first_hundred_faults_are_kept) {
    _cleanup_(config_freep) Config *config = NULL;
    const ConfigFault *faults;
    char text[8192];
    size_t n = 0;

    for (unsigned i = 0; i < 500; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "n%u = 1;\n", i);
    ck_assert_int_eq(load_text(text, &config), CONFIG_FAULTY);
    ck_assert_uint_eq(config_faults(config, &faults), FAULTS_MAX + 1);
    ck_assert_ptr_nonnull(strstr(faults[FAULTS_MAX].text, "only the first hundred"));
}
END_TEST

/* Whatever a slip of the keyboard makes of a file, it is taken or has faults; libconfig must not end the
 * process. */
START_TEST(garbled_file_is_taken_or_faulty) {
    static const char letters[] = "\"'{}[]();:=,@#/*\\+-.eELx0a \n";
    _cleanup_free_ char *text = malloc(TEXT_BYTES_MAX);
    FILE *stream = fopen(TEST_CONFIG_FOLDER "/good-every-setting.conf", "r");
    unsigned seed = (unsigned)_i;
    size_t bytes;

    ck_assert_ptr_nonnull(stream);
    bytes = fread(text, 1, TEXT_BYTES_MAX, stream);
    fclose(stream);
    for (unsigned i = 0; i < 20; i++) {
        _cleanup_(config_freep) Config *config = NULL;
        const ConfigFault *faults;
        int r;

        text[(size_t)rand_r(&seed) % bytes] = letters[(size_t)rand_r(&seed) % (sizeof(letters) - 1)];
        r = load_bytes(text, bytes, &config);
        ck_assert_int_eq(r, config_faults(config, &faults) > 0 ? CONFIG_FAULTY : 0);
    }
}
END_TEST

/* --- numbers as libconfig reads them --- */

START_TEST(number_that_fits_is_left_alone) {
    static const char *const numbers[] = {"7", "+7", "0x7", "0X07", "007", "7L", "7LL", "0x7L"};
    char text[128];

    for (size_t i = 0; i < ELEMENTS(numbers); i++) {
        _cleanup_(config_freep) Config *config = NULL;

        snprintf(text, sizeof(text), "h: { role = \"host\"; attempts = %s; };", numbers[i]);
        config = load_valid(text);
        ck_assert_uint_eq(instance_of(config, "h").host->attempts, 7);
    }
}
END_TEST

START_TEST(number_that_wraps_is_never_taken) {
    static const char *const numbers[] = {"4294967303",
                                          "-4294967289",
                                          "0x100000007",
                                          "18446744073709551623",
                                          "99999999999999999999999999999999",
                                          "4294967303L",
                                          "0x100000007L"};
    char text[128];

    for (size_t i = 0; i < ELEMENTS(numbers); i++) {
        _cleanup_(config_freep) Config *config = NULL;

        snprintf(text, sizeof(text), "h: { role = \"host\"; attempts = %s; };", numbers[i]);
        ck_assert_msg(load_text(text, &config) == CONFIG_FAULTY, "%s was taken", numbers[i]);
        ck_assert_uint_eq(only_fault(config)->line, 1);
    }
}
END_TEST

START_TEST(elements_have_the_line_that_they_are_in) {
    assert_fault("h: { role = \"host\";\naccess = [\n\"root\",\n\"no-such-user\" # who\n\n] };", 4,
                 "access: this machine has no user \"no-such-user\"");
    assert_fault("h: { role = \"host\";\naccess = (\n\"no-such-user\"\n,\"root\"\n) };", 3,
                 "access: this machine has no user \"no-such-user\"");
}
END_TEST

/* --- did you mean --- */

static const char *suggested(const char *word) {
    static const char *const candidates[] = {"timeout", "warning", "err", "serves", "max_clients", "segment"};
    Suggestion suggestion = {.word = word};

    for (size_t i = 0; i < ELEMENTS(candidates); i++)
        suggestion_consider(&suggestion, candidates[i]);
    return suggestion.nearest;
}

START_TEST(slips_are_understood) {
    ck_assert_str_eq(suggested("timeuot"), "timeout");
    ck_assert_str_eq(suggested("time_out"), "timeout");
    ck_assert_str_eq(suggested("imeout"), "timeout");
    ck_assert_str_eq(suggested("warn"), "warning");
    ck_assert_str_eq(suggested("error"), "err");
    ck_assert_str_eq(suggested("server"), "serves");
    ck_assert_str_eq(suggested("max-clients"), "max_clients");
}
END_TEST

START_TEST(other_words_are_not_guessed_at) {
    ck_assert_ptr_null(suggested("colour"));
    ck_assert_ptr_null(suggested(""));
    ck_assert_ptr_null(suggested("x"));
    ck_assert_ptr_null(suggested("timeoutttttttttttttttttttttttttttttttttttttttttttttttttt"));
}
END_TEST

START_TEST(quoted_text_never_cuts_a_character) {
    char text[QUOTED_TEXT_MAX * 2 + 2], quoted[QUOTED_TEXT_MAX];

    for (size_t shift = 0; shift < 2; shift++) {
        size_t n = shift;

        memset(text, 'x', sizeof(text));
        for (; n + 2 < sizeof(text); n += 2)
            memcpy(text + n, "\xc3\xa9", 2);
        text[n] = '\0';
        text_quoted(text, quoted);
        /* the quote, what was shifted, whole characters, the end */
        ck_assert_uint_eq((strlen(quoted) - 1 - shift - 4) % 2, 0);
        ck_assert_str_eq(quoted + strlen(quoted) - 4, "...\"");
    }
}
END_TEST

static TCase *case_oddities(void) {
    TCase *tests = tcase_create("oddities");

    tcase_add_test(tests, folder_is_no_file);
    tcase_add_test(tests, link_to_itself_is_not_taken_for_missing);
    if (unit_is_root())
        tcase_add_test(tests, unreadable_file_is_not_taken_for_missing);
    tcase_add_test(tests, empty_file_has_no_instance);
    tcase_add_test(tests, nul_byte_ends_nothing_silently);
    tcase_add_test(tests, huge_file_is_refused);
    tcase_add_test(tests, endless_device_is_refused);
    tcase_add_test(tests, long_word_is_shown_short);
    tcase_add_test(tests, control_characters_are_not_shown);
    tcase_add_test(tests, deep_nesting_is_refused);
    tcase_add_test(tests, only_the_first_hundred_faults_are_kept);
    tcase_add_loop_test(tests, garbled_file_is_taken_or_faulty, 0, 50);
    tcase_add_test(tests, number_that_fits_is_left_alone);
    tcase_add_test(tests, number_that_wraps_is_never_taken);
    tcase_add_test(tests, elements_have_the_line_that_they_are_in);
    return tests;
}

static TCase *case_words(void) {
    TCase *tests = tcase_create("words");

    tcase_add_test(tests, slips_are_understood);
    tcase_add_test(tests, other_words_are_not_guessed_at);
    tcase_add_test(tests, quoted_text_never_cuts_a_character);
    return tests;
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("config-odd");

    suite_add_tcase(suite, case_oddities());
    suite_add_tcase(suite, case_words());
    return suite;
}
