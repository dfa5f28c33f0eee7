/* SPDX-License-Identifier: MIT */
#include "app/budget.h"

#include "base/units.h"

#include <stdio.h>

bool budget_exceeds(const HostSettings *host, uint64_t limit, char text[static BUDGET_TEXT_MAX]) {
    char sizes[2][UNITS_TEXT_MAX];

    if (host->memory_is_auto || host->memory <= limit)
        return false;
    snprintf(text, BUDGET_TEXT_MAX,
             "`memory` = %s is more than the %s that the control group may have (MemoryMax=): the kernel "
             "would kill before the host refuses; set less, or \"auto\", or raise MemoryMax=",
             size_format(host->memory, sizes[0]), size_format(limit, sizes[1]));
    return true;
}
