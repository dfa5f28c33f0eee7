/* SPDX-License-Identifier: MIT */
/*
 * Operations that a party can be killed in, and the tracer that does it
 *
 * An operation is one function of one party: from its entry until it returns, with all that it calls. Others
 * run freely meanwhile.
 */
#pragma once

#include "world.h"

typedef void (*Function)(void);

typedef struct Operation {
    const char *name;
    PartyKind victim;     /* the first of its kind */
    Function function;
    void (*prepare)(World *world); /* until just before: all who take part are there */
    void (*trigger)(World *world); /* what makes the victim come by */
    bool keeps;                    /* hosts take up what the one before has left */
} Operation;

extern const Operation step_operations[];
extern const size_t step_n_operations;

/* The trigger after which an exchange may end as cancelled. */
void step_cancels(World *world);

/* The victim of an operation in this world. */
Party *step_victim(World *world, const Operation *operation);

/* How an instruction is worth a kill before and after it. */
typedef enum StepKind { STEP_PLAIN, STEP_SYSTEM_CALL, STEP_ATOMIC } StepKind;

#define STEPS_MAX 200000u

/* What was seen on one way through an operation. */
typedef struct Trail {
    uint32_t n;               /* instructions */
    uint8_t kinds[STEPS_MAX]; /* StepKind of each */
} Trail;

/* Positive codes. */
enum {
    STEP_STUCK = 1, /* it does not come by, or not to the end of it */
    STEP_DIED,      /* it has ended by itself */
};

/* Take hold of a running party: it will stop at the entry of @function. Return: 0, or STEP_DIED. */
int step_arm(Party *party, Function function);

/*
 * Wait until it is there, and let it go through to the function's end, noting what it does; it is free then.
 * Return: 0, STEP_STUCK or STEP_DIED.
 */
int step_through(Party *party, Function function, Trail *trail);

/*
 * Wait until it is there, let it do @n instructions, or fewer if the function returns before, and kill it.
 * @trail:      of an earlier way through; the way to its last system call before @n is not stepped
 * Return: 0, with the address of what it did not execute any more; STEP_STUCK or STEP_DIED.
 */
int step_kill(Party *party, Function function, const Trail *trail, uint32_t n, uintptr_t *ret_address);
