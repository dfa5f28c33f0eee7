/* SPDX-License-Identifier: MIT */
/*
 * What is made of the table of settings: conf/shmipc.conf and the settings in docs/shmipc.conf.5.scd. Both
 * are kept in the tree, to be read there; a test compares.
 */
#pragma once

#include <stdio.h>

/** config_print_sample() - a configuration file with every setting and its default. */
void config_print_sample(FILE *stream);

/** config_print_manual() - the sections of the manual page that describe the settings, for scdoc. */
void config_print_manual(FILE *stream);
