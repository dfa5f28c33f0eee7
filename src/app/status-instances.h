/* SPDX-License-Identifier: MIT */
/* Instances: every host whose socket is found on this machine, and the workers of each. */
#pragma once

#include "app/output.h"

/** instances_table() - the name and columns of the table. */
OutputTable instances_table(void);

/** instances_show() - ask all of them. @wish: as in OutputTable. Return: 0 or negative errno. */
int instances_show(const char *wish, bool noheadings, bool json);
