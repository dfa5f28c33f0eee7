/* SPDX-License-Identifier: MIT */
#include "config-unit.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* libconfig 1.5 forgets the string at which it finds a syntax error. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libconfig.so\n";
}

int load_bytes(const void *text, size_t bytes, Config **ret) {
    char name[] = P_tmpdir "/shmipc-test-config.XXXXXX", path[64];
    _cleanup_close_ int fd = mkstemp(name);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(unlink(name), 0);
    ck_assert_int_eq(write(fd, text, bytes), (ssize_t)bytes);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return config_load(ret, path);
}

int load_text(const char *text, Config **ret) {
    return load_bytes(text, strlen(text), ret);
}

const ConfigFault *only_fault(const Config *config) {
    const ConfigFault *faults;

    ck_assert_uint_eq(config_faults(config, &faults), 1);
    return faults;
}

void assert_fault(const char *text, unsigned line, const char *fault) {
    _cleanup_(config_freep) Config *config = NULL;

    ck_assert_int_eq(load_text(text, &config), CONFIG_FAULTY);
    ck_assert_str_eq(only_fault(config)->text, fault);
    ck_assert_uint_eq(only_fault(config)->line, line);
}

Config *load_valid(const char *text) {
    const ConfigFault *faults;
    Config *config;
    int r = load_text(text, &config);

    ck_assert_msg(r == 0, "%s",
                  r == CONFIG_FAULTY && config_faults(config, &faults) ? faults[0].text : strerror(-r));
    return config;
}

Instance instance_of(const Config *config, const char *name) {
    Instance instance;

    ck_assert_msg(config_instance(config, name, &instance) == 0, "there is no %s", name);
    return instance;
}
