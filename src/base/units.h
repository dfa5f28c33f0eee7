/* SPDX-License-Identifier: MIT */
/*
 * Sizes and durations as people write them
 *
 * A size is a whole number of bytes with an optional suffix K, M, G or T (powers of 1024): "0", "4096",
 * "64M". A duration is a number, whole or with decimals, with one of the suffixes us, ms, s, min, h; without
 * a suffix it is in seconds: "250ms", "2.5s", "10". Nothing else is taken: no sign, no blank inside, no
 * overflow.
 */
#pragma once

#include <stdint.h>

#define NS_PER_US  UINT64_C(1000)
#define NS_PER_MS  UINT64_C(1000000)
#define NS_PER_SEC UINT64_C(1000000000)

#define UNITS_TEXT_MAX 32

/** size_parse() - Return: 0, -EINVAL for what is no size, -ERANGE for one over 2^63 - 1 bytes. */
int size_parse(const char *text, uint64_t *ret_bytes);

/**
 * size_format() - the shortest exact or one-decimal text: "64M", "1.5G", "100B". Return: @buffer, of
 * UNITS_TEXT_MAX bytes.
 */
const char *size_format(uint64_t bytes, char buffer[static UNITS_TEXT_MAX]);

/** duration_parse() - Return: 0, -EINVAL for what is no duration, -ERANGE for one over 100 years. */
int duration_parse(const char *text, uint64_t *ret_ns);

/** duration_format() - "250ms", "1.25s", "2min". Return: @buffer, of UNITS_TEXT_MAX bytes. */
const char *duration_format(uint64_t ns, char buffer[static UNITS_TEXT_MAX]);

/**
 * duration_brief() - for tables: three digits, "812ns", "3.21ms", "45.1s", and from a minute on its two
 * greatest parts, "12min", "3h12min", "41d5h". Return: @buffer, of UNITS_TEXT_MAX bytes.
 */
const char *duration_brief(uint64_t ns, char buffer[static UNITS_TEXT_MAX]);
