/* SPDX-License-Identifier: MIT */
/*
 * What tests of the configuration share
 */
#pragma once

#include "app/config.h"

#include <stddef.h>

/* A configuration of this text, from a file that has no name. Return: as config_load(). */
int load_bytes(const void *text, size_t bytes, Config **ret);
int load_text(const char *text, Config **ret);

/* Likewise; the text must be valid. */
Config *load_valid(const char *text);

/* The instance of this name, which there must be. */
Instance instance_of(const Config *config, const char *name);

/* The fault, of which there must be one alone. */
const ConfigFault *only_fault(const Config *config);

/* The text has this fault alone, in this line. */
void assert_fault(const char *text, unsigned line, const char *fault);
