/* SPDX-License-Identifier: MIT */
/*
 * The overview of `shmipc status`: one glance, 80 columns
 *
 * What a host is and does, what is wrong and what to do about it, who is at work. The tables behind it show
 * all.
 */
#pragma once

#include "app/status-tables.h"

/** overview_show() - Return: 0 or negative errno. */
int overview_show(const StatusRows *rows, bool noheadings);
