/* SPDX-License-Identifier: MIT */
#include "app/config-scan.h"

#include "base/error.h"
#include "base/units.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define FILE_BYTES_MAX    (256u << 10) /* libconfig takes seconds for as many settings */
#define INCLUDE_DEPTH_MAX 10           /* libconfig's */
#define INCLUDES_MAX      100
#define NAME_BYTES_MAX    32 /* of a name that is shown */

#define DIGITS        "0123456789"
#define LETTERS       "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define VALUE_FOLLOWS "=:[(" /* after a comma there may be a value or a name */

/* What all files of one configuration have in common. */
typedef struct Scan {
    const char *folder;
    Faults *faults;
    uint64_t *changed_ns;
    unsigned n_includes;
    bool unreadable; /* libconfig would give up, or worse */
    bool endless;    /* includes without end: no more of them */
} Scan;

/* One file on its way through. */
typedef struct Text {
    Scan *scan;
    Place place; /* of the token */
    unsigned depth;
    char *at;
    bool line_start;  /* nothing but blanks before the token on its line */
    char before;      /* first character of the token before */
    const char *name; /* the latest name, for the words of a fault */
    size_t name_bytes;
    char *string_end; /* behind the string that is the token before, else NULL */
} Text;

/* Something that hides where the next token starts: the rest is not looked at. */
static int text_stop(Text *text, const char *what) {
    text->scan->unreadable = true;
    text->at += strlen(text->at);
    return faults_add(text->scan->faults, text->place, "%s", what);
}

/* "NAME: WORD SENTENCE" */
static int text_fault_word(const Text *text, const char *at, size_t bytes, const char *sentence) {
    char quoted[QUOTED_TEXT_MAX];
    _cleanup_free_ char *word = strndup(at, bytes);

    if (!word)
        return error_origin(-ENOMEM);
    return faults_add(text->scan->faults, text->place, "%.*s%s%s %s", (int)text->name_bytes, text->name,
                      text->name_bytes ? ": " : "", text_quoted(word, quoted), sentence);
}

static void text_skip(Text *text, size_t bytes) {
    for (char *end = text->at + bytes; text->at < end; text->at++)
        if (*text->at == '\n')
            text->place.line++;
}

static int text_take_comment(Text *text) {
    const char *end;

    if (strncmp(text->at, "/*", 2) != 0) {
        text_skip(text, strcspn(text->at, "\n"));
        return 0;
    }
    end = strstr(text->at + 2, "*/");
    if (!end)
        return text_stop(text, "the comment that starts here never ends");
    text_skip(text, (size_t)(end + 2 - text->at));
    return 0;
}

static int text_take_string(Text *text) {
    const char *end = text->at + 1;
    int r = 0;

    while (*end && *end != '"')
        end += *end == '\\' && (end[1] == '"' || end[1] == '\\') ? 2 : 1;
    if (!*end)
        return text_stop(text, "the quote that starts here is never closed");
    if (!text->before || !strchr(VALUE_FOLLOWS ",\"", text->before)) {
        text->scan->unreadable = true;
        r = text_fault_word(text, text->at + 1, (size_t)(end - text->at - 1), "must come after =");
    }
    text_skip(text, (size_t)(end + 1 - text->at));
    text->string_end = text->at;
    return r;
}

static int scan_file(Scan *scan, const char *path, const Place *included_at, unsigned depth, char **ret_text);

static int text_take_include(Text *text) {
    const char *name = text->at + strlen("@include"), *end;
    _cleanup_free_ char *path = NULL;
    _cleanup_free_ char *included = NULL;

    name += strspn(name, " \t");
    end = *name == '"' ? strpbrk(name + 1, "\"\n\\") : NULL;
    if (!text->line_start || !end || *end != '"')
        return text_stop(text, "an include reads @include \"FILE\" and has a line of its own");
    if (name[1] == '/')
        return text_stop(text, "the path after @include is relative to the folder of the configuration file");
    if (asprintf(&path, "%s/%.*s", text->scan->folder, (int)(end - name - 1), name + 1) < 0)
        return error_origin(-ENOMEM);
    text_skip(text, (size_t)(end + 1 - text->at));
    return scan_file(text->scan, path, &text->place, text->depth + 1, &included);
}

static int text_take_name(Text *text) {
    size_t bytes = strspn(text->at, LETTERS DIGITS "-_*");
    bool is_truth = (bytes == 4 && strncasecmp(text->at, "true", 4) == 0) ||
                    (bytes == 5 && strncasecmp(text->at, "false", 5) == 0);
    int r = 0;

    if (text->before && strchr(VALUE_FOLLOWS, text->before)) {
        text->scan->unreadable |= !is_truth;
        if (!is_truth)
            r = text_fault_word(text, text->at, bytes, "must stand in quotes");
    } else {
        text->name = text->at;
        text->name_bytes = bytes < NAME_BYTES_MAX ? bytes : NAME_BYTES_MAX;
    }
    text_skip(text, bytes);
    return r;
}

/* Where the number ends that libconfig would take here, and whether it takes the whole of it. */
static const char *number_end(const char *text, bool *ret_fits) {
    bool is_negative = *text == '-';
    const char *digits = text + strspn(text, "+-");
    bool is_hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    unsigned long long number = strtoull(digits, (char **)&text, is_hex ? 16 : 10);

    /* What is too large for strtoull() is ULLONG_MAX. */
    *ret_fits = number <= (unsigned long long)INT_MAX + is_negative;
    if (*text == 'L') {
        *ret_fits = true;
        return text + strspn(text, "L");
    }
    if (is_hex || !strchr(".eE", *text) || !*text)
        return text;
    if (*text == '.')
        text += 1 + strspn(text + 1, DIGITS);
    if ((*text == 'e' || *text == 'E') &&
        isdigit((unsigned char)text[1 + (text[1] == '-' || text[1] == '+')]))
        text += 2 + strspn(text + 2, DIGITS);
    *ret_fits = true;
    return text;
}

static int text_take_number(Text *text) {
    bool fits, is_value = text->before && strchr(VALUE_FOLLOWS ",.", text->before);
    const char *end = number_end(text->at, &fits);
    size_t more = strspn(end, LETTERS DIGITS "_");
    size_t bytes = (size_t)(end - text->at) + more;
    int r = 0;

    text->scan->unreadable |= more > 0;
    if (!is_value)
        text->name_bytes = 0;
    if (more > 0)
        r = text_fault_word(text, text->at, bytes,
                            is_value ? "must be a number or stand in quotes" : "must begin with a letter");
    else if (!fits)
        r = text_fault_word(text, text->at, bytes,
                            "is too large for a number; sizes and durations stand in quotes, like \"8G\"");
    text_skip(text, bytes);
    return r;
}

/*
 * libconfig knows that a string in a list has ended by the token that follows, and gives that token's line
 * for the string's. So the token changes places with the blanks and comments before it.
 */
static void text_take_mark(Text *text) {
    char mark = *text->at;

    if (text->string_end && strchr(",])", mark)) {
        memmove(text->string_end + 1, text->string_end, (size_t)(text->at - text->string_end));
        *text->string_end = mark;
    }
    text->at++;
}

static int text_take(Text *text) {
    char first = *text->at;
    bool is_string = first == '"';
    int r = 0;

    if (is_string)
        r = text_take_string(text);
    else if (isalpha((unsigned char)first) || first == '*')
        r = text_take_name(text);
    else if (isdigit((unsigned char)first) || (strchr("+-", first) && isdigit((unsigned char)text->at[1])))
        r = text_take_number(text);
    else if (strncmp(text->at, "@include", strlen("@include")) == 0)
        r = text_take_include(text);
    else
        text_take_mark(text);

    if (!is_string)
        text->string_end = NULL;
    text->before = first;
    text->line_start = false;
    return r;
}

static int text_scan(Text *text) {
    int r = 0;

    while (*text->at && r == 0 && !text->scan->endless) {
        if (*text->at == '\n')
            text->line_start = true;
        if (isspace((unsigned char)*text->at))
            text_skip(text, 1);
        else if (*text->at == '#' || (text->at[0] == '/' && strchr("/*", text->at[1]) && text->at[1]))
            r = text_take_comment(text);
        else
            r = text_take(text);
    }
    return r;
}

/*
 * All of a file, with a line end and a NUL behind it: libconfig wants its comments to end. An include is
 * opened once more by libconfig, which must not wait then, nor find a folder.
 */
static int file_read(const char *path, bool is_include, char **ret_text, size_t *ret_bytes,
                     uint64_t *changed_ns) {
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (is_include ? O_NONBLOCK : 0));
    _cleanup_free_ char *text = NULL;
    struct stat status;
    uint64_t written_ns;
    size_t bytes = 0;
    ssize_t n;

    if (fd < 0 || fstat(fd, &status) < 0)
        return -errno;
    if (S_ISDIR(status.st_mode))
        return -EISDIR;
    if (is_include && !S_ISREG(status.st_mode))
        return -ENOTSUP;
    text = malloc(FILE_BYTES_MAX + 2);
    if (!text)
        return error_origin(-ENOMEM);
    while ((n = read(fd, text + bytes, FILE_BYTES_MAX + 1 - bytes)) != 0) {
        if (n < 0 && errno != EINTR)
            return -errno;
        bytes += n > 0 ? (size_t)n : 0;
    }
    if (bytes > FILE_BYTES_MAX)
        return -EFBIG;
    memcpy(text + bytes, "\n", 2);
    written_ns = (uint64_t)status.st_mtim.tv_sec * NS_PER_SEC + (uint64_t)status.st_mtim.tv_nsec;
    *changed_ns = written_ns > *changed_ns ? written_ns : *changed_ns;
    *ret_text = TAKE(text);
    *ret_bytes = bytes;
    return 0;
}

static const char *file_problem(int r) {
    if (r == -EFBIG)
        return "it is larger than 256K";
    if (r == -ENOTSUP)
        return "it is not a regular file";
    return strerror(-r);
}

static int scan_unreadable(Scan *scan, const char *path, const Place *included_at, int r) {
    char quoted[QUOTED_TEXT_MAX];
    const char *name = path + (included_at ? strlen(scan->folder) + 1 : 0);

    if (r == -ENOMEM || (r == -ENOENT && !included_at))
        return r;
    scan->unreadable = true;
    if (!included_at)
        return faults_add(scan->faults, (Place){.file = path}, "cannot be read: %s", file_problem(r));
    return faults_add(scan->faults, *included_at, "%s cannot be included: %s", text_quoted(name, quoted),
                      file_problem(r));
}

/* @included_at: the line that includes it, or NULL. Return: 0, also with faults, or negative errno. */
static int scan_file(Scan *scan, const char *path, const Place *included_at, unsigned depth,
                     char **ret_text) {
    _cleanup_free_ char *file = NULL;
    size_t bytes = 0;
    Text text = {
        .scan = scan,
        .place = {.file = path, .line = 1},
        .depth = depth,
        .line_start = true,
        .name = "",
    };
    int r;

    if (depth > INCLUDE_DEPTH_MAX || scan->n_includes++ > INCLUDES_MAX) {
        scan->unreadable = scan->endless = true;
        return faults_add(scan->faults, *included_at, "too many includes; does a file include itself?");
    }
    r = file_read(path, included_at, &file, &bytes, scan->changed_ns);
    if (r < 0)
        return scan_unreadable(scan, path, included_at, r);
    text.at = file;
    if (memchr(file, '\0', bytes)) {
        text_skip(&text, strlen(file));
        r = text_stop(&text, "there is a NUL byte here; a configuration is a text file");
    } else
        r = text_scan(&text);
    if (r == 0)
        *ret_text = TAKE(file);
    return r;
}

int config_scan(const char *path, const char *folder, Faults *faults, char **ret_text,
                uint64_t *changed_ns) {
    Scan scan = {.folder = folder, .faults = faults, .changed_ns = changed_ns};
    _cleanup_free_ char *text = NULL;
    int r = scan_file(&scan, path, NULL, 0, &text);

    if (r < 0)
        return r;
    faults->n_scanned = faults->n;
    if (scan.unreadable)
        return SCAN_UNREADABLE;
    *ret_text = TAKE(text);
    return 0;
}
