/* SPDX-License-Identifier: MIT */
/*
 * The tracer: a breakpoint at a function's entry, then one instruction after the other
 *
 * A repeated string instruction counts as one, however often it traps. Watcher and parties are forks of one
 * program, so what lies at an address of a party's code lies at that address here.
 */
#include "step.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>

#define BREAKPOINT 0xcc
#define STUCK_S    30 /* without a stop; on a busy machine a walk of many takes longer */

#define SYSTEM_CALL_STOP (SIGTRAP | 0x80) /* by PTRACE_O_TRACESYSGOOD */

typedef struct user_regs_struct Registers;

static long former_word; /* what the breakpoint has replaced */
static volatile sig_atomic_t is_late, has_stopped; /* has_stopped: since the last alarm */

/* Positive code, of this file alone. */
#define STEP_RETURNED (STEP_DIED + 1)

static void on_alarm(int number) {
    is_late = !has_stopped;
    has_stopped = 0;
}

/* From now on, until it does not stop any more for so long. */
static void be_patient(unsigned seconds) {
    const struct sigaction action = {.sa_handler = on_alarm}; /* without SA_RESTART: a wait comes back */
    const struct itimerval timer = {.it_value.tv_sec = seconds, .it_interval.tv_sec = seconds};

    is_late = has_stopped = 0;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* Return: 0 if it has stopped, because of *@ret_signal; STEP_DIED; STEP_STUCK. */
static int await_stop(Party *party, int *ret_signal) {
    int status;

    while (waitpid(party->pid, &status, __WALL) < 0)
        if (errno != EINTR || is_late)
            return STEP_STUCK;
    has_stopped = 1;
    if (!WIFSTOPPED(status)) {
        party->pid = 0;
        return STEP_DIED;
    }
    *ret_signal = WSTOPSIG(status);
    return 0;
}

/* Let it run until it traps; other signals are its own. */
static int resume(Party *party, enum __ptrace_request how) {
    int number = 0, r;

    do {
        if (ptrace(how, party->pid, NULL, number) < 0)
            return STEP_DIED;
        r = await_stop(party, &number);
    } while (r == 0 && number != SIGTRAP);
    return r;
}

int step_arm(Party *party, Function function) {
    int number;

    be_patient(STUCK_S);
    if (ptrace(PTRACE_SEIZE, party->pid, NULL,
               PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD) < 0 ||
        ptrace(PTRACE_INTERRUPT, party->pid, NULL, NULL) < 0 || await_stop(party, &number) != 0)
        return STEP_DIED;
    former_word = ptrace(PTRACE_PEEKTEXT, party->pid, function, NULL);
    if (ptrace(PTRACE_POKETEXT, party->pid, function, (former_word & ~0xffL) | BREAKPOINT) < 0 ||
        ptrace(PTRACE_CONT, party->pid, NULL, NULL) < 0)
        return STEP_DIED;
    be_patient(0);
    return 0;
}

/* It stops at the entry, as if there were no breakpoint. */
static int await_entry(Party *party, Function function, Registers *ret_registers) {
    int number, r;

    while ((r = await_stop(party, &number)) == 0 && number != SIGTRAP)
        if (ptrace(PTRACE_CONT, party->pid, NULL, number) < 0)
            return STEP_DIED;
    if (r != 0 || ptrace(PTRACE_GETREGS, party->pid, NULL, ret_registers) < 0)
        return r ? r : STEP_DIED;
    ret_registers->rip = (uintptr_t)function;
    if (ptrace(PTRACE_POKETEXT, party->pid, function, former_word) < 0 ||
        ptrace(PTRACE_SETREGS, party->pid, NULL, ret_registers) < 0)
        return STEP_DIED;
    return 0;
}

/* Where a function that was just entered will return to. */
typedef struct Return {
    uintptr_t address;
    uintptr_t stack;
} Return;

static Return return_of(const Party *party, const Registers *registers) {
    return (Return){
        .address = (uintptr_t)ptrace(PTRACE_PEEKDATA, party->pid, registers->rsp, NULL),
        .stack = registers->rsp,
    };
}

static bool has_returned(const Registers *registers, const Return *to) {
    return registers->rip == to->address && registers->rsp > to->stack;
}

/* One instruction, with all of its repetitions. */
static int step(Party *party, Registers *registers) {
    uintptr_t address = registers->rip;
    int r;

    do {
        r = resume(party, PTRACE_SINGLESTEP);
        if (r == 0 && ptrace(PTRACE_GETREGS, party->pid, NULL, registers) < 0)
            r = STEP_DIED;
    } while (r == 0 && registers->rip == address);
    return r;
}

static bool is_prefix(uint8_t byte) {
    return byte == 0x66 || byte == 0xf2 || byte == 0xf3 || byte == 0x2e || (byte & 0xf0) == 0x40;
}

/* What lies there is worth a kill before and after it: a system call, or what others may see at once. */
static StepKind kind_at(uintptr_t address) {
    const uint8_t *code = (const uint8_t *)address; /* the same here as there */

    for (int i = 0; i < 4; i++, code++) {
        if (*code == 0xf0) /* lock */
            return STEP_ATOMIC;
        if (!is_prefix(*code))
            break;
    }
    if (code[0] == 0x0f && code[1] == 0x05)
        return STEP_SYSTEM_CALL;
    return (code[0] == 0x86 || code[0] == 0x87) && code[1] < 0xc0 ? STEP_ATOMIC : STEP_PLAIN; /* xchg */
}

static int walk(Party *party, Function function, Trail *trail) {
    Registers registers;
    Return to;
    int r = await_entry(party, function, &registers);

    if (r != 0)
        return r;
    to = return_of(party, &registers);
    for (trail->n = 0; r == 0 && trail->n < STEPS_MAX && !has_returned(&registers, &to); trail->n++) {
        trail->kinds[trail->n] = (uint8_t)kind_at(registers.rip);
        r = step(party, &registers);
    }
    return r == 0 && ptrace(PTRACE_DETACH, party->pid, NULL, NULL) < 0 ? STEP_DIED : r;
}

int step_through(Party *party, Function function, Trail *trail) {
    int r;

    be_patient(STUCK_S);
    r = walk(party, function, trail);
    be_patient(0);
    return r;
}

/* ---- straight to a point ---- */

static long put_breakpoint(const Party *party, uintptr_t address) {
    long word = ptrace(PTRACE_PEEKTEXT, party->pid, address, NULL);

    (void)ptrace(PTRACE_POKETEXT, party->pid, address, (word & ~0xffL) | BREAKPOINT);
    return word;
}

/* Let it run to the next stop at a system call. Return: 0; STEP_RETURNED if the function came to its end. */
static int run_to_system_call(Party *party) {
    int number = 0, r;

    do {
        if (ptrace(PTRACE_SYSCALL, party->pid, NULL, number) < 0)
            return STEP_DIED;
        r = await_stop(party, &number);
    } while (r == 0 && number != SIGTRAP && number != SYSTEM_CALL_STOP);
    return r == 0 && number == SIGTRAP ? STEP_RETURNED : r;
}

/* Past so many system calls, or until the function has returned. */
static int run_past(Party *party, unsigned n_system_calls, const Return *to) {
    long word = put_breakpoint(party, to->address);
    int r = 0;

    for (unsigned i = 0; r == 0 && i < 2 * n_system_calls; i++)
        r = run_to_system_call(party);
    if (ptrace(PTRACE_POKETEXT, party->pid, to->address, word) < 0)
        return STEP_DIED;
    return r;
}

/* The last system call before @n is run to, the rest stepped. */
static int go(Party *party, Function function, const Trail *trail, uint32_t n, uintptr_t *ret_address) {
    unsigned n_system_calls = 0;
    uint32_t i, n_run = 0;
    Registers registers;
    Return to;
    int r = await_entry(party, function, &registers);

    if (r != 0)
        return r;
    to = return_of(party, &registers);
    for (i = 0; i < n && i < trail->n; i++)
        if (trail->kinds[i] == STEP_SYSTEM_CALL) {
            n_system_calls++;
            n_run = i + 1;
        }
    r = run_past(party, n_system_calls, &to);
    if (r == 0 && ptrace(PTRACE_GETREGS, party->pid, NULL, &registers) < 0)
        r = STEP_DIED;
    for (i = n_run; r == 0 && i < n && !has_returned(&registers, &to); i++)
        r = step(party, &registers);
    *ret_address = registers.rip;
    return r == STEP_RETURNED ? 0 : r;
}

int step_kill(Party *party, Function function, const Trail *trail, uint32_t n, uintptr_t *ret_address) {
    int r;

    be_patient(STUCK_S);
    r = go(party, function, trail, n, ret_address);
    be_patient(0);
    world_kill(party);
    return r;
}
