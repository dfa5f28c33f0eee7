/* SPDX-License-Identifier: MIT */
/*
 * `shmipc check`, and what is made of the table of settings for people: the sample and the manual page
 */
#include "app/command.h"
#include "app/config-print.h"
#include "app/config-settings.h"
#include "app/config.h"
#include "unit.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* All of a stream from its beginning. */
static char *stream_text(FILE *stream) {
    long bytes;
    char *text;

    ck_assert_int_eq(fseek(stream, 0, SEEK_END), 0);
    bytes = ftell(stream);
    rewind(stream);
    text = calloc(1, (size_t)bytes + 1);
    ck_assert_uint_eq(fread(text, 1, (size_t)bytes, stream), (size_t)bytes);
    fclose(stream);
    return text;
}

static char *file_text(const char *path) {
    FILE *stream = fopen(path, "r");

    ck_assert_msg(stream != NULL, "%s: %s", path, strerror(errno));
    return stream_text(stream);
}

static char *printed_text(void (*print)(FILE *stream)) {
    FILE *stream = tmpfile();

    print(stream);
    return stream_text(stream);
}

/* One run of the command. */
typedef struct Run {
    int status;
    char *out;
    char *err;
} Run;

static void run_deinit(Run *run) {
    free(run->out);
    free(run->err);
}

/* Each test is a process of its own, whose streams are put back for check's sake. */
static Run run_check(int argc, const char **argv) {
    FILE *out = tmpfile(), *err = tmpfile();
    int saved_out = dup(STDOUT_FILENO), saved_err = dup(STDERR_FILENO);
    Run run;

    fflush(NULL);
    dup2(fileno(out), STDOUT_FILENO);
    dup2(fileno(err), STDERR_FILENO);
    run.status = command_check(argc, (char **)argv);
    fflush(NULL);
    dup2(saved_out, STDOUT_FILENO);
    dup2(saved_err, STDERR_FILENO);
    close(saved_out);
    close(saved_err);
    run.out = stream_text(out);
    run.err = stream_text(err);
    return run;
}

static Run run_check_file(const char *file) {
    return run_check(3, (const char *[]){"check", "-c", file, NULL});
}

static Run run_check_option(const char *option) {
    return run_check(option ? 2 : 1, (const char *[]){"check", option, NULL});
}

START_TEST(valid_file_shows_its_instances) {
    _cleanup_(run_deinit) Run run = run_check_file(TEST_CONFIG_FOLDER "/good-every-setting.conf");

    ck_assert_int_eq(run.status, 0);
    ck_assert_str_eq(run.err, "");
    ck_assert_str_eq(
        run.out, "host: host, payloads up to 64M, 1G of memory, 65535 clients with 1024 requests each\n"
                 "exec-worker: worker, serves host, handler exec sh -c \"sort | uniq\" \"\", timeout 1.5s\n"
                 "plain_worker: worker, plain wire /from /to /between, "
                 "handler plain /further-from /further-to /further-between, timeout 5min\n"
                 "plugin-worker: worker, serves host, handler plugin /opt/plugins/colour.so "
                 "text=\"two words\" none=\"\" small=\"-7\" hexadecimal=\"255\" large=\"12345678901\" "
                 "part=\"0.1\" tiny=\"1.5e-09\" yes=\"true\" no=\"false\", timeout 5min\n");
}
END_TEST

START_TEST(host_of_another_file_is_pointed_out) {
    _cleanup_(run_deinit) Run run = run_check_file(TEST_CONFIG_FOLDER "/good-spellings.conf");

    ck_assert_int_eq(run.status, 0);
    ck_assert_ptr_nonnull(strstr(run.out, "b: worker, serves host (not in this file), handler exec"));
}
END_TEST

START_TEST(invalid_file_shows_every_fault_with_its_line) {
    static const char file[] = TEST_CONFIG_FOLDER "/bad-included.conf";
    _cleanup_(run_deinit) Run run = run_check(3, (const char *[]){"check", "--config", file, NULL});

    ck_assert_int_eq(run.status, EXIT_CONFIG);
    ck_assert_str_eq(run.out, "");
    ck_assert_str_eq(run.err, TEST_CONFIG_FOLDER
                     "/included/bad.conf:3: max_clients is a setting of a host, and this is "
                     "a worker\n" TEST_CONFIG_FOLDER
                     "/included/bad.conf:4: timeout: \"1d\" is not allowed; it "
                     "can be a duration from \"1ms\" to \"24h\", like \"5min\"\n");
}
END_TEST

START_TEST(fault_of_the_whole_file_has_no_line) {
    _cleanup_(run_deinit) Run run = run_check_file("/nonexistent/named.conf");

    ck_assert_int_eq(run.status, EXIT_CONFIG);
    ck_assert_str_eq(run.err, "/nonexistent/named.conf: cannot be read: No such file or directory\n");
}
END_TEST

START_TEST(builtin_configuration_is_called_so) {
    _cleanup_(run_deinit) Run run = run_check_option(NULL);

    ck_assert_int_eq(run.status, 0);
    ck_assert_str_eq(run.err, "shmipc check: there is no " SHMIPC_CONFIG_FILE
                              "; this is the built-in configuration\n");
    ck_assert_ptr_nonnull(strstr(run.out, "worker: worker, serves host, handler echo, timeout 5min\n"));
}
END_TEST

START_TEST(what_is_not_understood_is_usage) {
    static const char *const bad[] = {"-x", "--nonsense", "file", "-c", "--print-sampler"};

    for (size_t i = 0; i < ELEMENTS(bad); i++) {
        _cleanup_(run_deinit) Run run = run_check_option(bad[i]);

        ck_assert_msg(run.status == EXIT_USAGE, "%s: %d", bad[i], run.status);
        ck_assert_str_eq(run.out, "");
        ck_assert_ptr_nonnull(strstr(run.err, bad[i]));
        ck_assert_ptr_nonnull(strstr(run.err, "--help"));
    }
}
END_TEST

START_TEST(help_fits_a_terminal) {
    _cleanup_(run_deinit) Run run = run_check_option("--help");

    ck_assert_int_eq(run.status, 0);
    ck_assert_str_eq(run.err, "");
    for (char *line = strtok(run.out, "\n"); line; line = strtok(NULL, "\n"))
        ck_assert_msg(strlen(line) <= 80, "%s", line);
}
END_TEST

START_TEST(sample_is_printed_from_the_table) {
    _cleanup_free_ char *installed = file_text(TEST_SAMPLE), *printed = printed_text(config_print_sample);

    ck_assert_msg(strcmp(installed, printed) == 0,
                  "conf/shmipc.conf is not what `shmipc check --print-sample` prints");
}
END_TEST

START_TEST(sample_is_the_builtin_configuration) {
    _cleanup_(run_deinit) Run sample = run_check_file(TEST_SAMPLE), builtin = run_check_option(NULL);

    ck_assert_str_eq(sample.err, "");
    ck_assert_int_eq(sample.status, 0);
    ck_assert_str_eq(sample.out, builtin.out);
}
END_TEST

/* The examples at the end of the sample: what begins in the first column with # and a letter, up to "#};". */
static void sample_write_examples(char *sample, FILE *stream) {
    bool in_example = false;

    for (char *line = strtok(sample, "\n"); line; line = strtok(NULL, "\n")) {
        in_example |= line[0] == '#' && isalpha((unsigned char)line[1]);
        if (in_example)
            fprintf(stream, "%s\n", line + 1);
        if (strcmp(line, "#};") == 0)
            in_example = false;
    }
    fflush(stream);
}

START_TEST(examples_of_the_sample_are_valid) {
    _cleanup_free_ char *sample = file_text(TEST_SAMPLE);
    FILE *stream = tmpfile();
    char path[64];

    sample_write_examples(sample, stream);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fileno(stream));
    {
        _cleanup_(run_deinit) Run run = run_check_file(path);

        ck_assert_str_eq(run.err, "");
        ck_assert_ptr_nonnull(
            strstr(run.out, "checksum-worker: worker, serves checksums, handler exec sha256sum, "));
        ck_assert_ptr_nonnull(strstr(run.out, "relay: worker, serves relays, handler plain /mq_queue_host "));
    }
    fclose(stream);
}
END_TEST

START_TEST(sample_has_every_setting_with_its_default) {
    _cleanup_free_ char *sample = file_text(TEST_SAMPLE);
    const Setting *setting = &settings[_i];
    char line[256];

    if (setting->kind == SETTING_GROUP)
        snprintf(line, sizeof(line), "    %s = {\n", setting->name);
    else if (setting->fallback)
        snprintf(line, sizeof(line), "    #%s = %s;\n", setting->name, setting->fallback);
    else if (setting->kind == SETTING_CHOICE)
        snprintf(line, sizeof(line), "    %s = %s;\n", setting->name, setting->example);
    else
        snprintf(line, sizeof(line), "    #%s = %s;\n", setting->name, setting->example);
    ck_assert_msg(strstr(sample, line) != NULL, "%s", line);
}
END_TEST

START_TEST(manual_page_is_printed_from_the_table) {
    _cleanup_free_ char *page = file_text(TEST_MANUAL), *printed = printed_text(config_print_manual);

    ck_assert_msg(strstr(page, printed) != NULL,
                  "the settings in docs/shmipc.conf.5.scd are not what `shmipc check --print-manual` prints");
}
END_TEST

START_TEST(manual_page_has_every_setting) {
    _cleanup_free_ char *page = file_text(TEST_MANUAL);
    char line[64];

    snprintf(line, sizeof(line), "\n*%s*\n\t", settings[_i].name);
    ck_assert_msg(strstr(page, line) != NULL, "%s is missing", settings[_i].name);
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("check");
    TCase *command = tcase_create("command"), *texts = tcase_create("texts");

    tcase_add_test(command, valid_file_shows_its_instances);
    tcase_add_test(command, host_of_another_file_is_pointed_out);
    tcase_add_test(command, invalid_file_shows_every_fault_with_its_line);
    tcase_add_test(command, fault_of_the_whole_file_has_no_line);
    tcase_add_test(command, builtin_configuration_is_called_so);
    tcase_add_test(command, what_is_not_understood_is_usage);
    tcase_add_test(command, help_fits_a_terminal);
    suite_add_tcase(suite, command);

    tcase_add_test(texts, sample_is_printed_from_the_table);
    tcase_add_test(texts, sample_is_the_builtin_configuration);
    tcase_add_test(texts, examples_of_the_sample_are_valid);
    tcase_add_loop_test(texts, sample_has_every_setting_with_its_default, 0, (int)n_settings);
    tcase_add_test(texts, manual_page_is_printed_from_the_table);
    tcase_add_loop_test(texts, manual_page_has_every_setting, 0, (int)n_settings);
    suite_add_tcase(suite, texts);
    return suite;
}
