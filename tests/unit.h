/* SPDX-License-Identifier: MIT */
/*
 * What unit tests share. Each program has one suite; unit.c holds main(): it enters an IPC namespace of its
 * own, so that queues of tests that run side by side never meet, and prints TAP.
 */
#pragma once

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Defined by each test program. */
Suite *unit_suite(void);

/* A name that no object had before: "/shmipc-test.PID.TIME.n". Return: static buffer. */
const char *unit_name(void);

/* Uids that nothing else of the tests uses, so that what is charged to them is charged to one test. */
#define UNIT_UID       61184
#define UNIT_OTHER_UID 61185

/* Whether tests may mount and change uids. Those that do are added to their suite only then. */
bool unit_is_root(void);

/*
 * Run @function in a child of that uid, without groups. Return: what it returned, 0 to 255; -1 if it was
 * killed.
 */
int unit_as_uid(uid_t uid, int (*function)(void *data), void *data);

/* From now on /dev/shm is, for this process, an empty file system of @bytes. Needs unit_is_root(). */
void unit_small_shm(size_t bytes);

/* How many descriptors this process has open. */
size_t unit_n_fds(void);

/* Whether there is something to read at this moment. */
bool unit_is_readable(int fd);

/* Run as another user than root, who may become root again. */
void unit_set_user(uid_t uid);

/* Standard error is from now on the other end of what is returned. */
int unit_stderr_to(bool terminal);

/* What was written there since the last time, as it came in one read. */
const char *unit_said(int fd);
