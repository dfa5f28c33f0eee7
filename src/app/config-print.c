/* SPDX-License-Identifier: MIT */
#include "app/config-print.h"

#include "app/config-settings.h"

#include <string.h>

#define COLUMNS  80
#define TEXT_MAX 1024

/* Words of @text, as many on a line as fit, each line behind @prefix. */
static void print_wrapped(FILE *stream, const char *prefix, const char *text) {
    size_t column = 0;

    while (*text) {
        size_t bytes = strcspn(text, " ");

        if (column > 0 && column + 1 + bytes > COLUMNS) {
            fputc('\n', stream);
            column = 0;
        }
        column += (size_t)fprintf(stream, "%s%.*s", column ? " " : prefix, (int)bytes, text);
        text += bytes + strspn(text + bytes, " ");
    }
    fputc('\n', stream);
}

/* "With type = \"exec\" or \"plain\": ", for what depends on another setting. */
static const char *condition_text(const Setting *setting, char buffer[static SETTING_TEXT_MAX]) {
    const Setting *selector = setting_find(setting->where & IN_HANDLER ? "type" : "wire", setting->where);
    const char *before = "";
    size_t n = (size_t)snprintf(buffer, SETTING_TEXT_MAX, "With %s = ", selector->name);

    for (const Choice *choice = selector->choices; choice->word; choice++) {
        if (!(choice->where & setting->where))
            continue;
        n += (size_t)snprintf(buffer + n, SETTING_TEXT_MAX - n, "%s\"%s\"", before, choice->word);
        before = " or ";
    }
    snprintf(buffer + n, SETTING_TEXT_MAX - n, ": ");
    return buffer;
}

/* What the setting means and what it can be. @level: all places that what is printed around it is about. */
static const char *meaning_text(const Setting *setting, unsigned level, char buffer[static TEXT_MAX]) {
    char condition[SETTING_TEXT_MAX] = "", allowed[SETTING_TEXT_MAX];

    if (level & ~setting->where)
        condition_text(setting, condition);
    if (setting->kind == SETTING_GROUP)
        snprintf(buffer, TEXT_MAX, "%s%s", condition, setting->help);
    else
        snprintf(buffer, TEXT_MAX, "%s%s It can be %s.", condition, setting->help,
                 setting_allowed(setting, allowed));
    return buffer;
}

static void sample_print_group(FILE *stream, unsigned level, const char *indent, const char *role);

static void sample_print_setting(FILE *stream, const Setting *setting, unsigned level, const char *indent,
                                 const char *role) {
    char prefix[32], text[TEXT_MAX];

    snprintf(prefix, sizeof(prefix), "%s# ", indent);
    print_wrapped(stream, prefix, meaning_text(setting, level, text));
    if (setting->kind == SETTING_GROUP) {
        fprintf(stream, "%s%s = {\n", indent, setting->name);
        sample_print_group(stream, IN_HANDLER, "        ", "\"echo\"");
        fprintf(stream, "%s};\n", indent);
    } else if (!setting->fallback && setting->kind == SETTING_CHOICE)
        fprintf(stream, "%s%s = %s;\n", indent, setting->name, role);
    else
        fprintf(stream, "%s#%s = %s;\n", indent, setting->name,
                setting->fallback ? setting->fallback : setting->example);
}

/* The settings of @level. @role: what the group is; it has to be said. */
static void sample_print_group(FILE *stream, unsigned level, const char *indent, const char *role) {
    const char *before = "";

    for (size_t i = 0; i < n_settings; i++) {
        if (!(settings[i].where & level))
            continue;
        fputs(before, stream);
        sample_print_setting(stream, &settings[i], level, indent, role);
        before = "\n";
    }
}

void config_print_sample(FILE *stream) {
    fputs("# The configuration of shmipc: see shmipc.conf(5). `shmipc check` says what is\n"
          "# wrong with it.\n"
          "#\n"
          "# Each group is an instance: `systemctl start shmipc@NAME` runs the group NAME.\n"
          "# A worker has copies without a group of their own: shmipc@NAME-2, shmipc@NAME-3\n"
          "# and so on. What is commented out shows the defaults.\n"
          "#\n"
          "# Sizes have the suffix K, M, G or T (powers of 1024), durations us, ms, s, min or\n"
          "# h. Both stand in quotes. What is changed here takes effect with the next\n"
          "# `systemctl restart`, and in part with `systemctl reload`.\n"
          "\n"
          "host: {\n",
          stream);
    sample_print_group(stream, IN_HOST, "    ", "\"host\"");
    fputs("};\n"
          "\n"
          "worker: {\n",
          stream);
    sample_print_group(stream, IN_WORKER, "    ", "\"worker\"");
    fputs("};\n"
          "\n"
          "# Any worker of a host may get any of its requests, so what is handled in another\n"
          "# way has a host of its own. These two make `shmipc call -H checksums FILE` print\n"
          "# the checksum of FILE.\n"
          "#\n"
          "#checksums: {\n"
          "#    role = \"host\";\n"
          "#};\n"
          "#checksum-worker: {\n"
          "#    role = \"worker\";\n"
          "#    serves = \"checksums\";\n"
          "#    handler = { type = \"exec\"; command = [\"sha256sum\"]; };\n"
          "#    timeout = \"1min\";\n"
          "#};\n"
          "\n"
          "# A worker for programs that speak the plain wire, and one that passes requests on\n"
          "# to such a worker.\n"
          "#\n"
          "#plain-worker: {\n"
          "#    role = \"worker\";\n"
          "#    wire = \"plain\";\n"
          "#    handler = { type = \"exec\"; command = [\"gzip\", \"-c\"]; };\n"
          "#};\n"
          "#relays: {\n"
          "#    role = \"host\";\n"
          "#};\n"
          "#relay: {\n"
          "#    role = \"worker\";\n"
          "#    serves = \"relays\";\n"
          "#    handler = { type = \"plain\"; };\n"
          "#};\n",
          stream);
}

/* With a backslash before what has a meaning for scdoc. */
static const char *manual_escape(const char *text, char buffer[static TEXT_MAX]) {
    size_t n = 0;

    for (; *text && n + 2 < TEXT_MAX; text++) {
        if (strchr("\\_*[]|`#", *text))
            buffer[n++] = '\\';
        buffer[n++] = *text;
    }
    buffer[n] = '\0';
    return buffer;
}

static void manual_print_setting(FILE *stream, const Setting *setting, unsigned level) {
    char text[TEXT_MAX], escaped[TEXT_MAX];

    fprintf(stream, "*%s*\n", setting->name);
    print_wrapped(stream, "\t", manual_escape(meaning_text(setting, level, text), escaped));
    if (setting->fallback)
        fprintf(stream, "\tDefault: %s.\n\n", manual_escape(setting->fallback, escaped));
    else
        fprintf(stream, "\tIt must be given, like %s = %s.\n\n", setting->name,
                manual_escape(setting->example, escaped));
}

void config_print_manual(FILE *stream) {
    static const struct {
        const char *title;
        unsigned level;
    } sections[] = {
        {"SETTINGS OF EVERY INSTANCE", IN_INSTANCE},
        {"SETTINGS OF A HOST", IN_HOST},
        {"SETTINGS OF A WORKER", IN_WORKER},
        {"SETTINGS OF A HANDLER", IN_HANDLER},
    };

    for (size_t i = 0; i < ELEMENTS(sections); i++) {
        fprintf(stream, "# %s\n\n", sections[i].title);
        for (size_t j = 0; j < n_settings; j++) {
            bool in_every = (settings[j].where & IN_INSTANCE) == IN_INSTANCE;

            if ((settings[j].where & sections[i].level) && in_every == (i == 0))
                manual_print_setting(stream, &settings[j], sections[i].level);
        }
    }
}
