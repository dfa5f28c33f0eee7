/* SPDX-License-Identifier: MIT */
/*
 * The configuration. Files under tests/config/ that are called bad-* say themselves what is wrong with them:
 * each fault stands behind
 * "# FAULT: " at the end of its line, or behind "# FAULT ABOVE: " on the line below it.
 */
#include "app/config-settings.h"
#include "base/units.h"
#include "os/limits.h"
#include "core/spin.h"
#include "config-unit.h"
#include "unit.h"

#include <glob.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

static Config *load_fixture(const char *name) {
    char path[512];
    Config *config;

    snprintf(path, sizeof(path), "%s/%s", TEST_CONFIG_FOLDER, name);
    ck_assert_int_eq(config_load(&config, path), 0);
    return config;
}

/* --- the fixtures --- */

static glob_t good_files, bad_files;

START_TEST(good_file_is_taken) {
    _cleanup_(config_freep) Config *config = NULL;
    const ConfigFault *faults;
    int r = config_load(&config, good_files.gl_pathv[_i]);

    if (r == CONFIG_FAULTY && config_faults(config, &faults) > 0)
        ck_abort_msg("%s:%u: %s", faults[0].file, faults[0].line, faults[0].text);
    ck_assert_int_eq(r, 0);
    ck_assert_uint_gt(config_count(config), 0);
}
END_TEST

static bool faults_have(const Config *config, const char *file, unsigned line, const char *text) {
    const ConfigFault *faults;
    size_t n = config_faults(config, &faults);

    for (size_t i = 0; i < n; i++)
        if (strcmp(faults[i].file, file) == 0 && faults[i].line == line && strcmp(faults[i].text, text) == 0)
            return true;
    return false;
}

/* Whether the fault that this line of a file tells of was found. Return: 1 if it tells of one, else 0. */
static unsigned expect_of_line(const Config *config, const char *file, unsigned number, char *line) {
    static const char here[] = "# FAULT: ", above[] = "# FAULT ABOVE: ";
    char *text = strstr(line, here);

    line[strcspn(line, "\n")] = '\0';
    if (text)
        text += strlen(here);
    else if ((text = strstr(line, above)) != NULL) {
        text += strlen(above);
        number--;
    } else
        return 0;
    ck_assert_msg(faults_have(config, file, number, text), "%s:%u: not found: %s", file, number, text);
    return 1;
}

/* Every fault that a file tells of was found. Return: how many. */
static unsigned expect_of_file(const Config *config, const char *file) {
    _cleanup_free_ char *line = NULL;
    size_t bytes = 0;
    unsigned n = 0, number = 1;
    FILE *stream = fopen(file, "r");

    ck_assert_ptr_nonnull(stream);
    for (; getline(&line, &bytes, stream) > 0; number++)
        n += expect_of_line(config, file, number, line);
    fclose(stream);
    return n;
}

START_TEST(bad_file_has_its_faults_and_no_others) {
    _cleanup_(config_freep) Config *config = NULL;
    const char *file = bad_files.gl_pathv[_i];
    const ConfigFault *faults;
    unsigned n_expected;
    size_t n;

    ck_assert_int_eq(config_load(&config, file), CONFIG_FAULTY);
    n = config_faults(config, &faults);
    n_expected = expect_of_file(config, file);
    if (strstr(file, "bad-included.conf"))
        n_expected += expect_of_file(config, TEST_CONFIG_FOLDER "/included/bad.conf");
    ck_assert_msg(n == n_expected, "%s: %zu faults, the last being \"%s\"", file, n, faults[n - 1].text);
    ck_assert_uint_eq(config_count(config), 0);
}
END_TEST

/* --- values --- */

START_TEST(host_settings_reach_their_fields) {
    _cleanup_(config_freep) Config *config = load_fixture("good-every-setting.conf");
    Instance instance = instance_of(config, "host");
    const HostSettings *host = instance.host;

    ck_assert_int_eq(instance.role, ROLE_HOST);
    ck_assert_int_eq(instance.log_level, 7);
    ck_assert_ptr_null(instance.worker);
    ck_assert_uint_eq(host->max_payload, 64 << 20);
    ck_assert_uint_eq(host->memory, 1 << 30);
    ck_assert_uint_eq(host->memory_idle_ns, 0);
    ck_assert_int_eq(host->huge_pages, HUGE_ALWAYS);
    ck_assert(!host->memory_is_auto);
    ck_assert_uint_eq(host->max_clients, 65535);
    ck_assert_uint_eq(host->requests_per_client, 1024);
    ck_assert_uint_eq(host->queue_depth, 1);
    ck_assert_uint_eq(host->user_share, 100);
    ck_assert_uint_eq(host->attempts, 15);
    ck_assert_uint_eq(host->health_interval_ns, 0);
    ck_assert_uint_eq(host->access.n_uids, 3);
    ck_assert_uint_eq(host->access.n_gids, 2);
    ck_assert_uint_eq(host->workers.n_uids, 1);
    ck_assert_uint_eq(host->trusted.n_uids, 0);
    ck_assert_uint_eq(host->trusted.n_gids, 0);
}
END_TEST

START_TEST(exec_worker_settings_reach_their_fields) {
    _cleanup_(config_freep) Config *config = load_fixture("good-every-setting.conf");
    Instance instance = instance_of(config, "exec-worker");
    const HandlerSettings *handler = &instance.worker->handler;

    ck_assert_int_eq(instance.role, ROLE_WORKER);
    ck_assert_int_eq(instance.log_level, 3);
    ck_assert_ptr_null(instance.host);
    ck_assert_str_eq(instance.worker->serves, "host");
    ck_assert_int_eq(instance.worker->wire, WIRE_SLOTS);
    ck_assert_uint_eq(instance.worker->timeout_ns, 1500 * NS_PER_MS);
    ck_assert_uint_eq(instance.worker->poll_ns, 0);
    ck_assert_int_eq(handler->type, HANDLER_EXEC);
    ck_assert_str_eq(handler->command[2], "sort | uniq");
    ck_assert_str_eq(handler->command[3], "");
    ck_assert_ptr_null(handler->command[4]);
    ck_assert_str_eq(handler->environment[1], "EMPTY=");
    ck_assert_ptr_null(handler->environment[2]);
    ck_assert_uint_eq(handler->max_response, 1 << 20);
    ck_assert_uint_eq(handler->max_stderr, 0);
}
END_TEST

START_TEST(plain_worker_settings_reach_their_fields) {
    _cleanup_(config_freep) Config *config = load_fixture("good-every-setting.conf");
    const WorkerSettings *worker = instance_of(config, "plain_worker").worker;

    ck_assert_int_eq(worker->wire, WIRE_PLAIN);
    ck_assert_str_eq(worker->plain.host_queue, "/from");
    ck_assert_str_eq(worker->plain.worker_queue, "/to");
    ck_assert_str_eq(worker->plain.segment, "/between");
    ck_assert_int_eq(worker->handler.type, HANDLER_PLAIN);
    ck_assert_uint_eq(worker->handler.max_response, 1);
    ck_assert_str_eq(worker->handler.plain.host_queue, "/further-from");
    ck_assert_str_eq(worker->handler.plain.worker_queue, "/further-to");
    ck_assert_str_eq(worker->handler.plain.segment, "/further-between");
}
END_TEST

START_TEST(plugin_settings_reach_their_fields_as_text) {
    static const struct {
        const char *key, *value;
    } expected[] = {
        {"text", "two words"},    {"none", ""},    {"small", "-7"},     {"hexadecimal", "255"},
        {"large", "12345678901"}, {"part", "0.1"}, {"tiny", "1.5e-09"}, {"yes", "true"},
        {"no", "false"},
    };
    _cleanup_(config_freep) Config *config = load_fixture("good-every-setting.conf");
    const HandlerSettings *handler = &instance_of(config, "plugin-worker").worker->handler;

    ck_assert_int_eq(handler->type, HANDLER_PLUGIN);
    ck_assert_str_eq(handler->path, "/opt/plugins/colour.so");
    ck_assert_uint_eq(handler->max_response, 3 << 20);
    ck_assert_uint_eq(handler->plugin.n, ELEMENTS(expected));
    for (size_t i = 0; i < ELEMENTS(expected); i++) {
        ck_assert_str_eq(handler->plugin.list[i].key, expected[i].key);
        ck_assert_str_eq(handler->plugin.list[i].value, expected[i].value);
    }
}
END_TEST

START_TEST(plugin_has_no_settings_by_default) {
    _cleanup_(config_freep) Config *config =
        load_valid("w: { role = \"worker\"; handler = { type = \"plugin\"; path = \"zstd\"; }; };");
    const HandlerSettings *handler = &instance_of(config, "w").worker->handler;

    ck_assert_str_eq(handler->path, "zstd");
    ck_assert_uint_eq(handler->plugin.n, 0);
    ck_assert_uint_eq(handler->max_response, 0);
}
END_TEST

START_TEST(other_spellings_mean_the_same) {
    _cleanup_(config_freep) Config *config = load_fixture("good-spellings.conf");
    const HostSettings *host = instance_of(config, "a").host;
    const WorkerSettings *worker = instance_of(config, "b").worker;

    ck_assert_uint_eq(host->max_clients, 16);
    ck_assert_uint_eq(host->attempts, 3);
    ck_assert_str_eq(worker->handler.command[2], "echo '# no comment' // nor this /* nor this");
}
END_TEST

START_TEST(included_groups_are_instances) {
    _cleanup_(config_freep) Config *config = load_fixture("good-include.conf");

    ck_assert_uint_eq(config_count(config), 4);
    ck_assert_int_eq(instance_of(config, "first").role, ROLE_WORKER);
    ck_assert_int_eq(instance_of(config, "second").role, ROLE_WORKER);
    ck_assert_int_eq(instance_of(config, "last").role, ROLE_WORKER);
}
END_TEST

/* Half of the machine's memory, of /dev/shm or of the limit of a control group. */
static uint64_t memory_expected(void) {
    uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    struct statvfs shm;

    ck_assert_int_eq(statvfs("/dev/shm", &shm), 0);
    if (shm.f_blocks && shm.f_blocks * shm.f_frsize < bytes)
        bytes = shm.f_blocks * shm.f_frsize;
    if (limits_memory(0) < bytes)
        bytes = limits_memory(0);
    return bytes / 2;
}

START_TEST(host_defaults_are_these) {
    _cleanup_(config_freep) Config *config = load_valid("h: { role = \"host\"; };");
    Instance instance = instance_of(config, "h");
    const HostSettings *host = instance.host;

    ck_assert_int_eq(instance.log_level, 6);
    ck_assert_uint_eq(host->max_payload, UINT64_C(8) << 30);
    ck_assert_uint_eq(host->memory, memory_expected());
    ck_assert_uint_eq(host->memory_idle_ns, 60 * NS_PER_SEC);
    ck_assert_int_eq(host->huge_pages, HUGE_AUTO);
    ck_assert(host->memory_is_auto);
    ck_assert_uint_eq(host->max_clients, 256);
    ck_assert_uint_eq(host->requests_per_client, 16);
    ck_assert_uint_eq(host->queue_depth, 10);
    ck_assert_uint_eq(host->user_share, 50);
    ck_assert_uint_eq(host->attempts, 2);
    ck_assert_uint_eq(host->health_interval_ns, 30 * NS_PER_SEC);
    ck_assert_uint_eq(host->access.n_uids, 2);
    ck_assert_uint_eq(host->workers.n_uids, 2);
    ck_assert_uint_eq(host->trusted.n_uids, 2);
    ck_assert_uint_eq(host->trusted.n_gids, 0);
}
END_TEST

START_TEST(worker_defaults_are_these) {
    _cleanup_(config_freep) Config *config = load_valid("w: { role = \"worker\"; };");
    const WorkerSettings *worker = instance_of(config, "w").worker;

    ck_assert_str_eq(worker->serves, "host");
    ck_assert_int_eq(worker->wire, WIRE_SLOTS);
    ck_assert_uint_eq(worker->timeout_ns, 300 * NS_PER_SEC);
    ck_assert_uint_eq(worker->poll_ns, SPIN_AUTO);
    ck_assert_int_eq(worker->handler.type, HANDLER_ECHO);
}
END_TEST

START_TEST(polling_is_a_number_of_microseconds_or_a_word) {
    static const struct {
        const char *text;
        uint64_t ns;
    } cases[] = {{"0", 0},
                 {"50", 50 * NS_PER_US},
                 {"1000000", NS_PER_SEC},
                 {"\"auto\"", SPIN_AUTO},
                 {"\"always\"", SPIN_ALWAYS}};

    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        _cleanup_(config_freep) Config *config = NULL;
        char text[80];

        snprintf(text, sizeof(text), "w: { role = \"worker\"; poll_us = %s; };", cases[i].text);
        config = load_valid(text);
        ck_assert_uint_eq(instance_of(config, "w").worker->poll_ns, cases[i].ns);
    }
}
END_TEST

START_TEST(exec_defaults_are_these) {
    _cleanup_(config_freep) Config *config =
        load_valid("w: { role = \"worker\"; handler = { type = \"exec\"; command = [\"cat\"]; }; };");
    const HandlerSettings *handler = &instance_of(config, "w").worker->handler;

    ck_assert_ptr_null(handler->environment[0]);
    ck_assert_uint_eq(handler->max_response, 0);
    ck_assert_uint_eq(handler->max_stderr, 4096);
}
END_TEST

START_TEST(plain_names_default_to_those_of_the_protocol) {
    _cleanup_(config_freep) Config *config =
        load_valid("w: { role = \"worker\"; wire = \"plain\"; };"
                   "v: { role = \"worker\"; handler = { type = \"plain\"; }; };");
    const PlainNames *wire = &instance_of(config, "w").worker->plain;
    const PlainNames *handler = &instance_of(config, "v").worker->handler.plain;

    ck_assert_str_eq(wire->host_queue, "/mq_queue_host");
    ck_assert_str_eq(wire->worker_queue, "/mq_queue_worker");
    ck_assert_str_eq(wire->segment, "/sm_services");
    ck_assert_str_eq(handler->host_queue, "/mq_queue_host");
    ck_assert_str_eq(handler->worker_queue, "/mq_queue_worker");
    ck_assert_str_eq(handler->segment, "/sm_services");
}
END_TEST

START_TEST(principals_are_looked_up) {
    _cleanup_(config_freep) Config *config =
        load_valid("h: { role = \"host\"; access = [\"root\", \"1234\", \"self\", \"@root\", \"@4321\"]; };");
    const Principals *access = &instance_of(config, "h").host->access;

    ck_assert_uint_eq(access->n_uids, 3);
    ck_assert_uint_eq(access->uids[0], 0);
    ck_assert_uint_eq(access->uids[1], 1234);
    ck_assert_uint_eq(access->uids[2], geteuid());
    ck_assert_uint_eq(access->n_gids, 2);
    ck_assert_uint_eq(access->gids[0], 0);
    ck_assert_uint_eq(access->gids[1], 4321);
}
END_TEST

START_TEST(default_group_counts_only_where_it_exists) {
    _cleanup_(config_freep) Config *config = load_valid("h: { role = \"host\"; };");
    const Principals *access = &instance_of(config, "h").host->access;
    const struct group *group = getgrnam(SHMIPC_USER);

    ck_assert_uint_eq(access->n_gids, group ? 1 : 0);
    if (group)
        ck_assert_uint_eq(access->gids[0], group->gr_gid);
}
END_TEST

/* What has to stand around a setting for it to be allowed. */
static const char *text_around(const Setting *setting) {
    if (setting->where & IN_HOST)
        return "x: { role = \"host\"; %s = %s; };";
    if (setting->where & IN_WORKER_SLOTS)
        return "x: { role = \"worker\"; %s = %s; };";
    if (setting->where & IN_WORKER_PLAIN)
        return "x: { role = \"worker\"; wire = \"plain\"; %s = %s; };";
    if (strcmp(setting->name, "command") == 0)
        return "x: { role = \"worker\"; handler = { type = \"exec\"; %s = %s; }; };";
    if (setting->kind == SETTING_PLUGIN)
        return "x: { role = \"worker\"; handler = { type = \"plugin\"; %s = %s; }; };";
    if (setting->kind == SETTING_FREE)
        return "x: { role = \"worker\"; handler = { type = \"plugin\"; path = \"zstd\"; %s = %s; }; };";
    if (setting->where & IN_HANDLER_EXEC)
        return "x: { role = \"worker\"; handler = { type = \"exec\"; command = [\"cat\"]; %s = %s; }; };";
    return "x: { role = \"worker\"; handler = { type = \"plain\"; %s = %s; }; };";
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void assert_takes(const Setting *setting, const char *value) {
    _cleanup_(config_freep) Config *config = NULL;
    const ConfigFault *faults;
    char text[512];

    snprintf(text, sizeof(text), text_around(setting), setting->name, value);
    if (load_text(text, &config) == CONFIG_FAULTY && config_faults(config, &faults) > 0) {
        const char *unknown = strstr(faults[0].text, "this machine has no");

        /* The default group is not on every machine, and said to be missing where it is written. */
        ck_assert_msg(unknown && strstr(value, SHMIPC_USER), "%s: %s", text, faults[0].text);
    }
}
#pragma GCC diagnostic pop

START_TEST(default_and_example_of_a_setting_can_be_written) {
    const Setting *setting = &settings[_i];

    if (setting->kind == SETTING_CHOICE && !setting->fallback)
        return; /* role and type: in every other text here */
    assert_takes(setting, setting_example(setting));
    if (setting->fallback)
        assert_takes(setting, setting->fallback);
}
END_TEST

START_TEST(every_setting_has_a_help_and_a_default_or_an_example) {
    const Setting *setting = &settings[_i];

    ck_assert_ptr_nonnull(setting->help);
    ck_assert_int_eq(setting->help[strlen(setting->help) - 1], '.');
    ck_assert_ptr_nonnull(setting_example(setting));
    ck_assert_msg(setting_find(setting->name, setting->where) == setting, "%s is there twice", setting->name);
}
END_TEST

/* --- instances --- */

START_TEST(missing_installed_file_gives_the_builtin_instances) {
    _cleanup_(config_freep) Config *config = NULL;

    ck_assert_int_eq(config_load(&config, NULL), 0);
    ck_assert(config_is_builtin(config));
    ck_assert_str_eq(config_path(config), SHMIPC_CONFIG_FILE);
    ck_assert_uint_eq(config_count(config), 2);
    ck_assert_int_eq(instance_of(config, "host").role, ROLE_HOST);
    ck_assert_int_eq(instance_of(config, "worker").worker->handler.type, HANDLER_ECHO);
    ck_assert_int_eq(instance_of(config, "worker-2").role, ROLE_WORKER);
}
END_TEST

START_TEST(missing_named_file_is_a_fault) {
    _cleanup_(config_freep) Config *config = NULL;

    ck_assert_int_eq(config_load(&config, "/nonexistent/named.conf"), CONFIG_FAULTY);
    ck_assert(!config_is_builtin(config));
    ck_assert_str_eq(only_fault(config)->text, "cannot be read: No such file or directory");
    ck_assert_uint_eq(only_fault(config)->line, 0);
}
END_TEST

START_TEST(worker_has_copies) {
    _cleanup_(config_freep) Config *config = load_valid("a-b: { role = \"worker\"; };");
    static const char *const copies[] = {"a-b-2", "a-b-3", "a-b-10", "a-b-999"};

    for (size_t i = 0; i < ELEMENTS(copies); i++) {
        Instance copy = instance_of(config, copies[i]);

        ck_assert_str_eq(copy.name, copies[i]);
        ck_assert_ptr_eq(copy.worker, instance_of(config, "a-b").worker);
    }
}
END_TEST

START_TEST(copies_are_numbered_from_two) {
    _cleanup_(config_freep) Config *config = load_valid("worker: { role = \"worker\"; };");
    static const char *const others[] = {"worker-1",
                                         "worker-0",
                                         "worker-02",
                                         "worker-",
                                         "worker-x",
                                         "worker2",
                                         "-2",
                                         "worker-2x",
                                         "work",
                                         "worker-2-3",
                                         "",
                                         "WORKER",
                                         "worker-22222222222222222222222222"};
    Instance instance;

    for (size_t i = 0; i < ELEMENTS(others); i++)
        ck_assert_msg(config_instance(config, others[i], &instance) == CONFIG_NO_INSTANCE, "'%s'", others[i]);
}
END_TEST

START_TEST(host_has_no_copies) {
    _cleanup_(config_freep) Config *config = load_valid("host: { role = \"host\"; };");
    Instance instance;

    ck_assert_int_eq(config_instance(config, "host-2", &instance), CONFIG_NO_INSTANCE);
}
END_TEST

START_TEST(group_of_its_own_is_no_copy) {
    _cleanup_(config_freep) Config *config =
        load_valid("worker: { role = \"worker\"; };\n"
                   "worker-2: { role = \"worker\"; timeout = \"1s\"; };");

    ck_assert_uint_eq(instance_of(config, "worker-2").worker->timeout_ns, NS_PER_SEC);
    ck_assert_uint_eq(instance_of(config, "worker-3").worker->timeout_ns, 300 * NS_PER_SEC);
}
END_TEST

START_TEST(missing_instance_is_explained) {
    _cleanup_(config_freep) Config *config = NULL;
    char text[256], small[16];

    ck_assert_int_eq(config_load(&config, NULL), 0);
    ck_assert_str_eq(config_explain_missing(config, "wroker", text, sizeof(text)), SHMIPC_CONFIG_FILE
                     " has no instance \"wroker\" (did you mean \"worker\"?); it has host, worker");
    ck_assert_uint_eq(strlen(config_explain_missing(config, "wroker", small, sizeof(small))),
                      sizeof(small) - 1);
}
END_TEST

START_TEST(host_may_be_in_another_file) {
    _cleanup_(config_freep) Config *config = load_valid("w: { role = \"worker\"; serves = \"elsewhere\"; };");

    ck_assert_str_eq(instance_of(config, "w").worker->serves, "elsewhere");
}
END_TEST

static int files_of(const char *pattern, glob_t *ret_files) {
    return glob(pattern, 0, NULL, ret_files) == 0 ? (int)ret_files->gl_pathc : 0;
}

static TCase *case_files(void) {
    TCase *tests = tcase_create("files");
    int n_good = files_of(TEST_CONFIG_FOLDER "/good-*.conf", &good_files);
    int n_bad = files_of(TEST_CONFIG_FOLDER "/bad-*.conf", &bad_files);

    tcase_add_loop_test(tests, good_file_is_taken, 0, n_good);
    tcase_add_loop_test(tests, bad_file_has_its_faults_and_no_others, 0, n_bad);
    tcase_add_test(tests, host_settings_reach_their_fields);
    tcase_add_test(tests, exec_worker_settings_reach_their_fields);
    tcase_add_test(tests, plain_worker_settings_reach_their_fields);
    tcase_add_test(tests, plugin_settings_reach_their_fields_as_text);
    tcase_add_test(tests, other_spellings_mean_the_same);
    tcase_add_test(tests, included_groups_are_instances);
    return tests;
}

static TCase *case_values(void) {
    TCase *tests = tcase_create("values");

    tcase_add_test(tests, host_defaults_are_these);
    tcase_add_test(tests, worker_defaults_are_these);
    tcase_add_test(tests, exec_defaults_are_these);
    tcase_add_test(tests, polling_is_a_number_of_microseconds_or_a_word);
    tcase_add_test(tests, plugin_has_no_settings_by_default);
    tcase_add_test(tests, plain_names_default_to_those_of_the_protocol);
    tcase_add_test(tests, principals_are_looked_up);
    tcase_add_test(tests, default_group_counts_only_where_it_exists);
    tcase_add_loop_test(tests, default_and_example_of_a_setting_can_be_written, 0, (int)n_settings);
    tcase_add_loop_test(tests, every_setting_has_a_help_and_a_default_or_an_example, 0, (int)n_settings);
    return tests;
}

static TCase *case_instances(void) {
    TCase *tests = tcase_create("instances");

    tcase_add_test(tests, missing_installed_file_gives_the_builtin_instances);
    tcase_add_test(tests, missing_named_file_is_a_fault);
    tcase_add_test(tests, worker_has_copies);
    tcase_add_test(tests, copies_are_numbered_from_two);
    tcase_add_test(tests, host_has_no_copies);
    tcase_add_test(tests, group_of_its_own_is_no_copy);
    tcase_add_test(tests, missing_instance_is_explained);
    tcase_add_test(tests, host_may_be_in_another_file);
    return tests;
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("config");

    suite_add_tcase(suite, case_files());
    suite_add_tcase(suite, case_values());
    suite_add_tcase(suite, case_instances());
    return suite;
}
