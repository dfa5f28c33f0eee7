/* SPDX-License-Identifier: MIT */
/*
 * The screen: the one file that knows the terminal library
 *
 * From screen_open() to screen_close() the terminal is ours; afterwards it is as it was.
 */
#pragma once

#include "app/top/top.h"

enum { SCREEN_NO_KEY = -1, SCREEN_RESIZED = -2 };

/** screen_open() - Return: 0, or -ENOTTY where the terminal cannot be used so. */
int screen_open(void);
void screen_close(void);

/** screen_n_lines() */
size_t screen_n_lines(void);

/** screen_show() - show this page. @prompt: on the last line, with what was typed after it; NULL for none. */
void screen_show(const TopPage *page, const char *prompt);

/** screen_key() - a character, or one of the above. Does not wait. */
int screen_key(void);
