/* SPDX-License-Identifier: MIT */
/* The configuration: any file. It is either taken whole, or refused with a fault that a person can read. */
#include "fuzz.h"

#include "app/config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * libconfig 1.5 forgets the string at which it finds a syntax error. By the name of the library: that of a
 * function is found only where there is a program that knows. Visible, for a sanitizer that is shared.
 */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libconfig.so\n";
}

static char path[64];

static void clear(void) {
    (void)unlink(path);
    *strrchr(path, '/') = '\0';
    (void)rmdir(path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    char folder[] = "/tmp/shmipc-fuzz-XXXXXX";

    MUST(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/fuzz.conf", folder);
    (void)atexit(clear);
    return 0;
}

static void write_file(const uint8_t *data, size_t bytes) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    MUST(fd >= 0 && write(fd, data, bytes) == (ssize_t)bytes);
    close(fd);
}

static void check_faults(const Config *config) {
    const ConfigFault *faults;
    size_t n = config_faults(config, &faults);

    MUST(n > 0 && config_count(config) == 0);
    for (size_t i = 0; i < n; i++)
        MUST(faults[i].text && *faults[i].text);
}

static void check_instances(const Config *config) {
    for (size_t i = 0; i < config_count(config); i++) {
        Instance instance, again;

        config_at(config, i, &instance);
        MUST((instance.host != NULL) == (instance.role == ROLE_HOST));
        MUST((instance.worker != NULL) == (instance.role == ROLE_WORKER));
        MUST(config_instance(config, instance.name, &again) == 0 && again.host == instance.host);
        MUST(!instance.host || (instance.host->max_payload >= 4096 && instance.host->attempts >= 1));
        MUST(!instance.worker || instance.worker->timeout_ns > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    char text[256];
    Instance instance;
    Config *config;
    int r;

    write_file(data, bytes);
    r = config_load(&config, path);
    MUST(r == 0 || r == CONFIG_FAULTY);
    if (r == 0)
        check_instances(config);
    else
        check_faults(config);
    if (config_instance(config, "nobody-7", &instance) == CONFIG_NO_INSTANCE)
        MUST(*config_explain_missing(config, "nobody-7", text, sizeof(text)));
    config_free(config);
    return 0;
}
