/* SPDX-License-Identifier: MIT */
/*
 * A look at the file before libconfig sees it
 *
 * libconfig 1.5 ends the process when an included file is a folder, cuts numbers short, stops at NUL bytes,
 * calls every missing file a "file I/O error" and every slip a "syntax error". So the file and what it
 * includes are read here first, and the slips that people make most (sizes, durations and words without
 * quotes) are put in words. This is no second parser: what it lets through may still be wrong.
 */
#pragma once

#include "app/config-faults.h"

#include <stdint.h>

/* Positive code */
#define SCAN_UNREADABLE 1 /* the faults say why; there is nothing to parse */

/**
 * config_scan() - read a file and look for what libconfig would get wrong
 * @path:       the file
 * @folder:     what @include names are relative to
 * @ret_text:   the file as libconfig shall get it: unchanged but for blanks
 * @changed_ns: raised to when it was changed last, or what it includes
 *
 * Return: 0, also with faults (then parsing finds more); SCAN_UNREADABLE; -ENOENT when there is no such file,
 * without a fault; or another negative errno, which is not about the file.
 */
int config_scan(const char *path, const char *folder, Faults *faults, char **ret_text,
                uint64_t *changed_ns);
