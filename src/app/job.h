/* SPDX-License-Identifier: MIT */
/*
 * The service manager's job for this process: is it told to stop for good, or to make way for another?
 */
#pragma once

#include <stdbool.h>

/** job_is_restart() - whether this unit is being restarted. False, too, where nobody can be asked. */
bool job_is_restart(void);
