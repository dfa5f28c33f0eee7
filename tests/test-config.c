/* SPDX-License-Identifier: MIT */
/*
 * The configuration. Files under tests/config/ that are called bad-* say themselves what is wrong with them:
 * each fault stands behind
 * "# FAULT: " at the end of its line, or behind "# FAULT ABOVE: " on the line below it.
 */
#include "app/config-faults.h"
#include "app/config-settings.h"
#include "app/config.h"
#include "base/units.h"
#include "unit.h"

#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define TEXT_BYTES_MAX (1u << 21)

/* libconfig 1.5 forgets the string at which it finds a syntax error. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libconfig.so\n";
}

/* A configuration of this text, from a file that has no name. Return: as config_load(). */
static int load_bytes(const void *text, size_t bytes, Config **ret) {
    char name[] = P_tmpdir "/shmipc-test-config.XXXXXX", path[64];
    _cleanup_close_ int fd = mkstemp(name);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(unlink(name), 0);
    ck_assert_int_eq(write(fd, text, bytes), (ssize_t)bytes);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return config_load(ret, path);
}

static int load_text(const char *text, Config **ret) {
    return load_bytes(text, strlen(text), ret);
}

static const ConfigFault *only_fault(const Config *config) {
    const ConfigFault *faults;

    ck_assert_uint_eq(config_faults(config, &faults), 1);
    return faults;
}

/* This text has this one fault, in this line. */
static void assert_fault(const char *text, unsigned line, const char *fault) {
    _cleanup_(config_freep) Config *config = NULL;

    ck_assert_int_eq(load_text(text, &config), CONFIG_FAULTY);
    ck_assert_str_eq(only_fault(config)->text, fault);
    ck_assert_uint_eq(only_fault(config)->line, line);
}

static Config *load_valid(const char *text) {
    const ConfigFault *faults;
    Config *config;
    int r = load_text(text, &config);

    ck_assert_msg(r == 0, "%s",
                  r == CONFIG_FAULTY && config_faults(config, &faults) ? faults[0].text : strerror(-r));
    return config;
}

static Config *load_fixture(const char *name) {
    char path[512];
    Config *config;

    snprintf(path, sizeof(path), "%s/%s", TEST_CONFIG_FOLDER, name);
    ck_assert_int_eq(config_load(&config, path), 0);
    return config;
}

static Instance instance_of(const Config *config, const char *name) {
    Instance instance;

    ck_assert_msg(config_instance(config, name, &instance) == 0, "there is no %s", name);
    return instance;
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
    ck_assert_uint_eq(host->max_clients, 65535);
    ck_assert_uint_eq(host->requests_per_client, 1024);
    ck_assert_uint_eq(host->queue_depth, 1);
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

/* Half of the machine's memory or of /dev/shm. */
static uint64_t memory_expected(void) {
    uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    struct statvfs shm;

    ck_assert_int_eq(statvfs("/dev/shm", &shm), 0);
    if (shm.f_blocks && shm.f_blocks * shm.f_frsize < bytes)
        bytes = shm.f_blocks * shm.f_frsize;
    return bytes / 2;
}

START_TEST(host_defaults_are_these) {
    _cleanup_(config_freep) Config *config = load_valid("h: { role = \"host\"; };");
    Instance instance = instance_of(config, "h");
    const HostSettings *host = instance.host;

    ck_assert_int_eq(instance.log_level, 6);
    ck_assert_uint_eq(host->max_payload, UINT64_C(8) << 30);
    ck_assert_uint_eq(host->memory, memory_expected());
    ck_assert_uint_eq(host->max_clients, 256);
    ck_assert_uint_eq(host->requests_per_client, 16);
    ck_assert_uint_eq(host->queue_depth, 10);
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
    ck_assert_uint_eq(worker->poll_ns, 0);
    ck_assert_int_eq(worker->handler.type, HANDLER_ECHO);
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

/* --- odd files --- */

START_TEST(folder_is_no_file) {
    _cleanup_(config_freep) Config *config = NULL;

    ck_assert_int_eq(config_load(&config, TEST_CONFIG_FOLDER), CONFIG_FAULTY);
    ck_assert_str_eq(only_fault(config)->text, "cannot be read: Is a directory");
}
END_TEST

START_TEST(unreadable_file_is_no_missing_file) {
    _cleanup_(config_freep) Config *config = NULL;
    char path[] = P_tmpdir "/shmipc-test-config.XXXXXX";
    _cleanup_close_ int fd = mkstemp(path);

    ck_assert_int_eq(fchmod(fd, 0), 0);
    if (geteuid() == 0)
        ck_assert_int_eq(seteuid(65534), 0);
    ck_assert_int_eq(config_load(&config, path), CONFIG_FAULTY);
    ck_assert_str_eq(only_fault(config)->text, "cannot be read: Permission denied");
    if (getuid() == 0)
        ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(unlink(path), 0);
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
    tcase_add_test(tests, other_spellings_mean_the_same);
    tcase_add_test(tests, included_groups_are_instances);
    return tests;
}

static TCase *case_values(void) {
    TCase *tests = tcase_create("values");

    tcase_add_test(tests, host_defaults_are_these);
    tcase_add_test(tests, worker_defaults_are_these);
    tcase_add_test(tests, exec_defaults_are_these);
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

static TCase *case_oddities(void) {
    TCase *tests = tcase_create("oddities");

    tcase_add_test(tests, folder_is_no_file);
    tcase_add_test(tests, unreadable_file_is_no_missing_file);
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
    Suite *suite = suite_create("config");

    suite_add_tcase(suite, case_files());
    suite_add_tcase(suite, case_values());
    suite_add_tcase(suite, case_instances());
    suite_add_tcase(suite, case_oddities());
    suite_add_tcase(suite, case_words());
    return suite;
}
