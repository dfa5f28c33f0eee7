/* SPDX-License-Identifier: MIT */
/*
 * shmipc doctor: what is wrong with this installation, and the command that mends it
 *
 * Each check is a row of one table. People get a line for each finding, and below what is wrong the command
 * that mends it; programs get the same as JSON.
 */
#include "app/command.h"
#include "app/doctor/doctor.h"
#include "app/output.h"

#include "base/error.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define COLUMNS     80
#define TEXT_COLUMN 8 /* where texts begin, and their further lines */

static const char help[] =
    "Usage: shmipc doctor [-c FILE] [-q] [--json]\n"
    "\n"
    "Look for what is wrong with shmipc on this machine, and say which command mends\n"
    "it. Nothing is changed. What this user may not see is said, too; root sees all.\n"
    "\n"
    "  -c, --config FILE   instead of " SHMIPC_CONFIG_FILE "\n"
    "  -q, --quiet         only what is wrong\n"
    "  -j, --json          for programs\n"
    "  -h, --help          this text\n"
    "\n"
    "Each line begins with `ok`, `warn` (works, but not as it could), `FAIL` (does\n"
    "not work) or `?` (this user may not look).\n"
    "\n"
    "Exit status: 0 nothing fails, 1 something does, 2 usage.\n";

static const struct {
    const char *name;
    void (*check)(Doctor *doctor);
    bool needs_config;
} checks[] = {
    {"configuration", doctor_check_configuration, false},
    {"commands", doctor_check_commands, true},
    {"user", doctor_check_user, false},
    {"units", doctor_check_units, true},
    {"hosts", doctor_check_hosts, true},
    {"versions", doctor_check_versions, false},
    {"settings", doctor_check_settings, true},
    {"queues", doctor_check_queues, true},
    {"descriptors", doctor_check_descriptors, true},
    {"memory", doctor_check_memory, true},
    {"namespaces", doctor_check_namespaces, true},
    {"removal", doctor_check_removal, true},
    {"leftovers", doctor_check_leftovers, true},
    {"clock", doctor_check_clock, false},
    {"huge-pages", doctor_check_huge_pages, true},
};

static void run_checks(Doctor *doctor) {
    for (size_t i = 0; i < ELEMENTS(checks); i++) {
        doctor->check = checks[i].name;
        if (checks[i].needs_config && !doctor->config)
            doctor_note(doctor, VERDICT_UNSEEN, NULL, "needs a valid configuration");
        else
            checks[i].check(doctor);
    }
}

static size_t count(const Doctor *doctor, Verdict verdict) {
    size_t n = 0;

    for (size_t i = 0; i < doctor->n_findings; i++)
        n += doctor->findings[i].verdict == verdict;
    return n;
}

/* ---- for people ---- */

static const struct {
    const char *word;
    const char *colour;
} verdicts[_VERDICT_N] = {
    [VERDICT_OK] = {"ok", "\033[32m"},
    [VERDICT_WARN] = {"warn", "\033[33m"},
    [VERDICT_FAIL] = {"FAIL", "\033[1;31m"},
    [VERDICT_UNSEEN] = {"?", "\033[36m"},
};

/* As many words on a line as fit; the first line begins at @column, the others at TEXT_COLUMN. */
static void print_wrapped(const char *text, size_t column) {
    bool first = true;

    while (*text) {
        size_t length = strcspn(text, " ");

        if (!first && column + 1 + length > COLUMNS) {
            printf("\n%*s", TEXT_COLUMN, "");
            column = TEXT_COLUMN;
            first = true;
        }
        column += (size_t)printf("%s%.*s", first ? "" : " ", (int)length, text);
        text += length + strspn(text + length, " ");
        first = false;
    }
    putchar('\n');
}

static void print_finding(const Finding *finding, bool colours) {
    const char *word = verdicts[finding->verdict].word;
    char line[sizeof(finding->text) + 64];

    printf("%s%-*s%s", colours ? verdicts[finding->verdict].colour : "", TEXT_COLUMN, word,
           colours ? "\033[0m" : "");
    snprintf(line, sizeof(line), "%s%s%s: %s", finding->check, finding->subject[0] ? " of " : "",
             finding->subject, finding->text);
    print_wrapped(line, TEXT_COLUMN);
    /* On a line of its own and as long as it is, to be copied. */
    if (finding->cure[0])
        printf("%*s=> %s\n", TEXT_COLUMN, "", finding->cure);
}

static bool wants_colours(void) {
    const char *terminal = getenv("TERM"), *refused = getenv("NO_COLOR");

    return isatty(STDOUT_FILENO) && terminal && strcmp(terminal, "dumb") != 0 && !(refused && refused[0]);
}

static void print_summary(const Doctor *doctor) {
    size_t n_fail = count(doctor, VERDICT_FAIL), n_warn = count(doctor, VERDICT_WARN);
    size_t n_unseen = count(doctor, VERDICT_UNSEEN);

    printf("%zu ok, %zu warn, %zu FAIL", count(doctor, VERDICT_OK), n_warn, n_fail);
    if (n_unseen)
        printf("; %zu could not be looked at%s", n_unseen,
               geteuid() == 0 || !doctor->config ? "" : ": as root more can be seen");
    putchar('\n');
}

static void print_for_people(const Doctor *doctor, bool quiet) {
    bool colours = wants_colours();

    for (size_t i = 0; i < doctor->n_findings; i++)
        if (!quiet || doctor->findings[i].verdict == VERDICT_WARN ||
            doctor->findings[i].verdict == VERDICT_FAIL)
            print_finding(&doctor->findings[i], colours);
    if (!quiet)
        print_summary(doctor);
}

/* ---- for programs ---- */

#define CELL(name, expression)                                                                               \
    static OutputCell name(const void *data) {                                                               \
        const Finding *row = data;                                                                           \
        return (OutputCell){.text = (expression)};                                                           \
    }

static const char *verdict_key(Verdict verdict) {
    static const char *const keys[_VERDICT_N] = {
        [VERDICT_OK] = "ok",
        [VERDICT_WARN] = "warn",
        [VERDICT_FAIL] = "fail",
        [VERDICT_UNSEEN] = "unseen",
    };

    return keys[verdict];
}

CELL(cell_check, row->check)
CELL(cell_verdict, verdict_key(row->verdict))
CELL(cell_instance, row->subject)
CELL(cell_text, row->text)
CELL(cell_cure, row->cure)

static OutputCell cell_count(const void *data, Verdict verdict) {
    return (OutputCell){.number = count(data, verdict)};
}

static OutputCell cell_n_ok(const void *data) {
    return cell_count(data, VERDICT_OK);
}
static OutputCell cell_n_warn(const void *data) {
    return cell_count(data, VERDICT_WARN);
}
static OutputCell cell_n_fail(const void *data) {
    return cell_count(data, VERDICT_FAIL);
}
static OutputCell cell_n_unseen(const void *data) {
    return cell_count(data, VERDICT_UNSEEN);
}

static int print_for_programs(const Doctor *doctor) {
    static const OutputColumn columns[] = {
        {"CHECK", "check", OUTPUT_TEXT, cell_check},
        {"VERDICT", "verdict", OUTPUT_TEXT, cell_verdict},
        {"INSTANCE", "instance", OUTPUT_TEXT, cell_instance},
        {"TEXT", "text", OUTPUT_TEXT, cell_text},
        {"CURE", "cure", OUTPUT_TEXT, cell_cure},
    };
    static const OutputColumn counts[] = {
        {"OK", "ok", OUTPUT_NUMBER, cell_n_ok},
        {"WARN", "warn", OUTPUT_NUMBER, cell_n_warn},
        {"FAIL", "fail", OUTPUT_NUMBER, cell_n_fail},
        {"UNSEEN", "unseen", OUTPUT_NUMBER, cell_n_unseen},
    };
    const OutputTable tables[] = {
        {"findings", columns, ELEMENTS(columns), doctor->findings, doctor->n_findings, sizeof(Finding)},
        {"summary", counts, ELEMENTS(counts), doctor, 1, sizeof(*doctor)},
    };

    return output_json(tables, ELEMENTS(tables), stdout);
}

/* ---- the command ---- */

static int examine(const char *file, bool quiet, bool json) {
    _cleanup_(doctor_deinit) Doctor doctor;
    int r = doctor_init(&doctor, file);

    if (r < 0)
        return command_fail("doctor", EXIT_FAILURE, "looking for what runs: %s", strerror(-r));
    run_checks(&doctor);
    r = doctor.error;
    if (r == 0 && json)
        r = print_for_programs(&doctor);
    else if (r == 0)
        print_for_people(&doctor, quiet);
    if (r < 0)
        return command_fail("doctor", EXIT_FAILURE, "writing what was found: %s", strerror(-r));
    return count(&doctor, VERDICT_FAIL) ? EXIT_FAILURE : EXIT_SUCCESS;
}

int command_doctor(int argc, char **argv) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"quiet", no_argument, NULL, 'q'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *file = NULL;
    bool quiet = false, json = false;
    int option;

    while ((option = getopt_long(argc, argv, "c:qjh", options, NULL)) >= 0) {
        switch (option) {
        case 'c':
            file = optarg;
            break;
        case 'q':
            quiet = true;
            break;
        case 'j':
            json = true;
            break;
        case 'h':
            fputs(help, stdout);
            return EXIT_SUCCESS;
        default:
            fputs("Try `shmipc doctor --help`.\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (optind != argc)
        return command_fail("doctor", EXIT_USAGE, "%s is too much; a file is given with -c", argv[optind]);
    return examine(file, quiet, json);
}
