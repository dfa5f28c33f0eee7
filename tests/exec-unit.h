/* SPDX-License-Identifier: MIT */
/*
 * Exchanges here have windows in real shared memory, and a wire that only counts. The windows begin a page
 * into their objects, so that offsets matter.
 *
 * Commands that are to be killed say that they run by a byte into the "roll", a FIFO that they hold open:
 * $ROLL. It is the exchange's cancel_fd too: the wire hears it, and lets the deadline pass or cancels when
 * all of them are up. Afterwards the roll reads as ended when none of them is left.
 */
#pragma once

#include "handler/handler.h"
#include "unit.h"

#define WINDOW_BYTES (UINT64_C(64) << 20)
#define OFFSET       PAGE_BYTES
#define MIB          (UINT64_C(1) << 20)

#define COMMAND(...)  ((const char *[]){__VA_ARGS__, NULL})
#define SHELL(script) COMMAND("sh", "-c", script)

/* What the wire does once the roll has n_awaited bytes. */
typedef enum Then {
    THEN_GO_ON,
    THEN_EXPIRE,
    THEN_CANCEL,
} Then;

typedef struct Rig {
    Exchange exchange;
    Segment response;
    HandlerSettings settings;
    Handler *handler;

    unsigned n_grown;
    Reason refuse_growth; /* what grow says to more than growth_limit bytes */
    uint64_t growth_limit;

    Then then;
    unsigned n_awaited;
    unsigned n_on_roll;
    unsigned n_asked;
    uint64_t pipe_bytes; /* the most that all pipes could hold when it was asked */
} Rig;

extern Rig rig;
extern char exec_folder[];
extern int roll_fd;       /* non-blocking, for reading */
extern int roll_write_fd; /* so that it does not end before anybody has opened it */

/* A case of tests that each begin with an empty rig and roll. */
TCase *exec_add_case(Suite *suite, const char *name);

/* Further ones, without a roll of their own. */
void rig_init(Rig *of);
void rig_deinit(Rig *of);

/* What can lie in all pipes that this process has an end of. */
uint64_t count_pipe_bytes(void);

/* ---- what a test says ---- */

void set_request(uint64_t bytes);
void set_request_text(const char *request);
void make(Rig *of, const char **command);
void handle(const char **command);
void await_roll(unsigned n_awaited, Then then);

/* The response, or the text of a failure. Static buffer. */
const char *text(void);

void assert_failed(Reason reason, int status);
void assert_answered(uint64_t bytes);
void assert_answer(const char *expected);
void assert_pattern(const char *data, uint64_t bytes); /* as set_request() made it */
void assert_says(const char *part);

/* Nobody holds the roll open. */
void assert_nobody_left(void);
