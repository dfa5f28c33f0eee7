/* SPDX-License-Identifier: MIT */
/* The `memory` of a host beside what the kernel lets its unit have. */
#pragma once

#include "core/settings.h"

#define BUDGET_TEXT_MAX 256

/**
 * budget_exceeds() - whether the kernel would kill before the host refuses
 * @limit:  of the control group, in bytes; UINT64_MAX for none
 * @text:   says so with both numbers, and what to do
 *
 * `memory` = "auto" never does.
 */
bool budget_exceeds(const HostSettings *host, uint64_t limit, char text[static BUDGET_TEXT_MAX]);
