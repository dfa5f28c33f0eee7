/* SPDX-License-Identifier: MIT */
#include "base/units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define SIZE_BYTES_MAX  ((uint64_t)INT64_MAX)
#define DURATION_NS_MAX (UINT64_C(100) * 366 * 24 * 3600 * NS_PER_SEC)

static const char size_suffixes[] = {'\0', 'K', 'M', 'G', 'T'};

static const struct {
    const char *suffix;
    uint64_t ns;
} duration_units[] = {
    {"us", NS_PER_US},        {"ms", NS_PER_MS},        {"s", NS_PER_SEC},
    {"min", 60 * NS_PER_SEC}, {"h", 3600 * NS_PER_SEC}, {"", NS_PER_SEC},
};

/* Decimal digits at *text, which moves behind them. Return: 0, -EINVAL for no digit, -ERANGE. */
static int digits_parse(const char **text, uint64_t *ret_number) {
    uint64_t number = 0;

    if (!isdigit((unsigned char)**text))
        return -EINVAL;
    for (; isdigit((unsigned char)**text); (*text)++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(**text - '0'), &number))
            return -ERANGE;
    *ret_number = number;
    return 0;
}

int size_parse(const char *text, uint64_t *ret_bytes) {
    uint64_t number;
    unsigned power = 0;
    int r = digits_parse(&text, &number);

    if (r < 0)
        return r;
    if (*text) {
        for (power = 1; power < sizeof(size_suffixes) && size_suffixes[power] != *text; power++)
            ;
        if (power == sizeof(size_suffixes) || text[1])
            return -EINVAL;
    }
    if (number > SIZE_BYTES_MAX >> (10 * power))
        return -ERANGE;
    *ret_bytes = number << (10 * power);
    return 0;
}

const char *size_format(uint64_t bytes, char buffer[static UNITS_TEXT_MAX]) {
    unsigned power = 0;

    while (power + 1 < sizeof(size_suffixes) && bytes >= UINT64_C(1) << (10 * (power + 1)))
        power++;

    uint64_t unit = UINT64_C(1) << (10 * power);
    char suffix = power ? size_suffixes[power] : 'B';

    if (bytes % unit == 0)
        snprintf(buffer, UNITS_TEXT_MAX, "%" PRIu64 "%c", bytes / unit, suffix);
    else
        snprintf(buffer, UNITS_TEXT_MAX, "%.1f%c", (double)bytes / (double)unit, suffix);
    return buffer;
}

int duration_parse(const char *text, uint64_t *ret_ns) {
    uint64_t whole, ns;
    double fraction = 0, scale = 0.1;
    int r = digits_parse(&text, &whole);

    if (r < 0)
        return r;
    if (*text == '.') {
        if (!isdigit((unsigned char)*++text))
            return -EINVAL;
        for (; isdigit((unsigned char)*text); text++, scale /= 10)
            fraction += (*text - '0') * scale;
    }
    for (size_t i = 0; i < sizeof(duration_units) / sizeof(duration_units[0]); i++) {
        if (strcmp(text, duration_units[i].suffix) != 0)
            continue;
        if (__builtin_mul_overflow(whole, duration_units[i].ns, &ns) || ns > DURATION_NS_MAX)
            return -ERANGE;
        *ret_ns = ns + (uint64_t)(fraction * (double)duration_units[i].ns + 0.5);
        return 0;
    }
    return -EINVAL;
}

const char *duration_format(uint64_t ns, char buffer[static UNITS_TEXT_MAX]) {
    static const size_t order[] = {4, 3, 2, 1, 0}; /* h, min, s, ms, us */

    if (ns && ns < NS_PER_US) {
        snprintf(buffer, UNITS_TEXT_MAX, "%" PRIu64 "ns", ns);
        return buffer;
    }
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        uint64_t unit = duration_units[order[i]].ns;

        if (ns < unit)
            continue;
        if (ns % unit == 0)
            snprintf(buffer, UNITS_TEXT_MAX, "%" PRIu64 "%s", ns / unit, duration_units[order[i]].suffix);
        else
            snprintf(buffer, UNITS_TEXT_MAX, "%.3g%s", (double)ns / (double)unit,
                     duration_units[order[i]].suffix);
        return buffer;
    }
    return strcpy(buffer, "0s");
}

static const char *brief_parts(uint64_t minutes, char buffer[static UNITS_TEXT_MAX]) {
    uint64_t hours = minutes / 60, days = hours / 24;

    if (hours == 0)
        snprintf(buffer, UNITS_TEXT_MAX, "%" PRIu64 "min", minutes);
    else if (days == 0)
        snprintf(buffer, UNITS_TEXT_MAX, "%" PRIu64 "h%" PRIu64 "min", hours, minutes % 60);
    else
        snprintf(buffer, UNITS_TEXT_MAX, "%" PRIu64 "d%" PRIu64 "h", days, hours % 24);
    return buffer;
}

const char *duration_brief(uint64_t ns, char buffer[static UNITS_TEXT_MAX]) {
    static const char *const suffixes[] = {"ns", "us", "ms", "s"};
    double value = (double)ns;
    size_t i = 0;

    if (ns >= 60 * NS_PER_SEC - NS_PER_SEC / 20) /* what would be rounded to 60.0s is a minute */
        return brief_parts(ns < 60 * NS_PER_SEC ? 1 : ns / (60 * NS_PER_SEC), buffer);
    for (; value >= 999.5; value /= 1000)
        i++;
    snprintf(buffer, UNITS_TEXT_MAX, "%.*f%s", i == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2, value,
             suffixes[i]);
    return buffer;
}
