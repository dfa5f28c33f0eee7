/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share: an input is a script, read from its start; behind its end there are zeros
 *
 * A target ends the process (abort) when something is not as it must be. Each is built twice: with libFuzzer
 * (-Dfuzz=true, tests/fuzz/run), and as an ordinary test that goes through its corpus (corpus.c).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Input {
    const uint8_t *data;
    size_t bytes;
} Input;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

uint8_t input_u8(Input *input);
uint16_t input_u16(Input *input);
uint32_t input_u32(Input *input);

/* Any value, those around boundaries preferred. */
uint64_t input_number(Input *input);

/* @room bytes. */
void input_bytes(Input *input, void *data, size_t room);

/* Whether it must be so: else the input is a finding. */
#define MUST(condition) ((condition) ? (void)0 : fuzz_finding(#condition, __FILE__, __LINE__))
_Noreturn void fuzz_finding(const char *condition, const char *file, int line);

/* How many descriptors are open. */
int fuzz_count_fds(void);

/* Queues of one's own, in a namespace of its own if that can be had. */
void fuzz_enter_namespace(void);

/* A descriptor of some kind, which is not the one that is wanted. */
int fuzz_odd_fd(unsigned kind);
