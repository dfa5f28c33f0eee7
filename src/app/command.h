/* SPDX-License-Identifier: MIT */
/*
 * Subcommands: each takes its own argc and argv (argv[0] is "shmipc" and its name) and returns the exit
 * status of the process
 */
#pragma once

#include "wire/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit statuses; those of `shmipc call` are 1 to 9. */
enum {
    EXIT_HANDLER = 1, /* the handler failed; of other commands: the command did */
    EXIT_USAGE = 2,
    EXIT_NO_HOST = 3, /* or it speaks another version */
    EXIT_NOT_ALLOWED = 4,
    EXIT_TIMED_OUT = 5,
    EXIT_NO_MEMORY = 6, /* or the payload is too large */
    EXIT_WORKER_LOST = 7,
    EXIT_BUSY = 8,    /* a limit of the host is reached: later there may be room */
    EXIT_LOCAL = 9,   /* on this side: its input, its output, its memory */
    EXIT_CONFIG = 78, /* EX_CONFIG of sysexits.h: starting again will not help */
};

/** command_fail() - say on standard error what went wrong in @command (NULL: in none); printf. Return:
 * @status.
 */
int command_fail(const char *command, int status, const char *text, ...)
    __attribute__((format(printf, 3, 4)));

/** command_no_host() - likewise, that nobody listens for @host on @path. Return: EXIT_NO_HOST. */
int command_no_host(const char *command, const char *host, const char *path);

/** command_refused() - likewise, that the host did not let us in. Return: the exit status for that. */
int command_refused(const char *command, Reason reason, const char *text);

/**
 * command_end() - the end of every command: what it has said on standard output must have arrived
 * @command:    as for command_fail(); NULL for none
 * @status:     how it went so far
 * @lost:       the exit status if something did not arrive, which is said; unless @status is worse than 0
 * already
 *
 * Nothing else looks whether standard output takes what is written. It is closed.
 * Return: the exit status of the process.
 */
int command_end(const char *command, int status, int lost);

/**
 * command_write() / command_flush() - write much, or have all written now
 * Return: whether it was; if not, it is no use to go on, and command_end() says so.
 */
bool command_write(const void *data, size_t bytes);
bool command_flush(void);

/**
 * command_catch() - have @handler hear of a signal, unless whoever started us has us ignore it (nohup)
 * @flags:      of sigaction()
 * Return: whether it will.
 */
bool command_catch(int number, void (*handler)(int), int flags);

/** command_status_of() - Return: the exit status for an exchange that failed, or was refused, for @reason. */
int command_status_of(Reason reason);

int command_bench(int argc, char **argv);
int command_run(int argc, char **argv);
int command_call(int argc, char **argv);
int command_check(int argc, char **argv);
int command_doctor(int argc, char **argv);
int command_parked(int argc, char **argv);
int command_status(int argc, char **argv);
int command_top(int argc, char **argv);
int command_trace(int argc, char **argv);

/**
 * call_again() - `shmipc call` with what is in @input from @at on, and the caller's own bytes of its first
 * time
 *
 * Should workers not survive it, it is not kept once more.
 * @timeout, @output: as for -t and -o; NULL for none
 */
int call_again(const char *host, int input, uint64_t at, const uint8_t *user, const char *output,
               const char *timeout);
