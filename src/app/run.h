/* SPDX-License-Identifier: MIT */
/*
 * The daemon in its two roles; command-run.c reads the configuration and chooses
 */
#pragma once

#include "app/config.h"

/* What a running instance is made of. */
typedef struct Run {
    const char *name;
    const char *file; /* as given by -c, or NULL */
    Config *config;   /* owned; replaced by a reload */
    Instance instance;
} Run;

/**
 * run_reload() - read the configuration again; a bad one changes nothing and is logged
 * @ret_old:    the one before, to be freed when nothing uses it any more
 * Return: whether @run has a new one.
 */
bool run_reload(Run *run, Config **ret_old);

/**
 * run_revert() - take the configuration from before the reload again, which is logged; @old has the new one
 * then.
 */
void run_revert(Run *run, Config **old);

/** run_host() / run_worker() - until told to stop. Return: the exit status. */
int run_host(Run *run);
int run_worker(Run *run);
