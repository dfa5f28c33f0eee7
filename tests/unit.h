/* SPDX-License-Identifier: MIT */
/*
 * What unit tests share. Each program has one suite; unit.c holds main(): it enters an IPC namespace of its own, so that queues of
 * tests that run side by side never meet, and prints TAP.
 */
#pragma once

#include <check.h>

/* Defined by each test program. */
Suite *unit_suite(void);

/* A name for an object of this test process: "/shmipc-test.PID.n". Return: static buffer. */
const char *unit_name(void);
