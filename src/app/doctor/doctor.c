/* SPDX-License-Identifier: MIT */
/* What the checks share: their findings, and how they read files and name commands */
#include "app/doctor/doctor.h"

#include "base/error.h"
#include "base/units.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- findings ---- */

/* What comes from processes and hosts may hold anything; on a terminal it steers nothing and ends no line. */
static void clean(char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

void doctor_note(Doctor *doctor, Verdict verdict, const char *subject, const char *text, ...) {
    Finding *more = reallocarray(doctor->findings, doctor->n_findings + 1, sizeof(*more));
    va_list arguments;

    if (!more) {
        doctor->error = error_origin(-ENOMEM);
        return;
    }
    doctor->findings = more;
    more += doctor->n_findings++;
    *more = (Finding){.check = doctor->check, .verdict = verdict};
    snprintf(more->subject, sizeof(more->subject), "%s", subject ? subject : "");
    va_start(arguments, text);
    vsnprintf(more->text, sizeof(more->text), text, arguments);
    va_end(arguments);
    clean(more->text);
}

void doctor_cure(Doctor *doctor, const char *text, ...) {
    Finding *latest;
    va_list arguments;

    if (doctor->error < 0 || doctor->n_findings == 0)
        return;
    latest = &doctor->findings[doctor->n_findings - 1];
    va_start(arguments, text);
    vsnprintf(latest->cure, sizeof(latest->cure), text, arguments);
    va_end(arguments);
    clean(latest->cure);
}

size_t doctor_count(const Doctor *doctor, Verdict verdict) {
    size_t n = 0;

    for (size_t i = 0; i < doctor->n_findings; i++)
        n += doctor->findings[i].check == doctor->check && doctor->findings[i].verdict == verdict;
    return n;
}

/* ---- commands ---- */

const char *doctor_start_command(const Doctor *doctor, const char *name, char *buffer, size_t bytes) {
    if (doctor->has_systemd)
        snprintf(buffer, bytes, "systemctl start shmipc@%s", name);
    else
        snprintf(buffer, bytes, "shmipc run %s%s%s", name, doctor->file ? " -c " : "",
                 doctor->file ? doctor->file : "");
    return buffer;
}

/* ---- files ---- */

bool doctor_text_in(const char *path, char *buffer, size_t bytes) {
    FILE *file = fopen(path, "re");
    bool has = file && fgets(buffer, (int)bytes, file);

    if (file)
        fclose(file);
    if (has)
        buffer[strcspn(buffer, "\n")] = '\0';
    return has;
}

uint64_t doctor_now_ns(void) {
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

/* ---- the doctor ---- */

int doctor_init(Doctor *doctor, const char *file) {
    *doctor = (Doctor){
        .file = file,
        .path = file ? file : SHMIPC_CONFIG_FILE,
        .has_systemd = access("/run/systemd/system", F_OK) == 0,
    };
    return doctor_find_daemons(doctor);
}

void doctor_deinit(Doctor *doctor) {
    config_free(doctor->config);
    free(doctor->daemons);
    free(doctor->findings);
}
