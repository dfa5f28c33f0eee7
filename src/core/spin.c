/* SPDX-License-Identifier: MIT */
#include "core/spin.h"

#include "base/units.h"
#include "os/cpu.h"
#include "os/wait.h"

#define WAKE_UP_NS   (50 * NS_PER_US) /* what sleeping costs on two processors, both sides counted */
#define BYTES_PER_NS 5                /* of writing and reading memory that another processor has */
#define EAGER        128u             /* looks without a pause, which takes as long as a small exchange */
#define CLOCK_EVERY  64u              /* looks */
#define CLOCK_EVERY_YIELD 8u
#define DUE_EVERY    256u             /* looks, each of which takes nanoseconds */

bool spin_begin(Spin *spin, SpinPace *pace, uint64_t wish_ns, uint64_t bytes, bool shares_cpu) {
    if (wish_ns == 0)
        return false;
    if (wish_ns == SPIN_AUTO) {
        if (pace->n_skips > 0) {
            pace->n_skips--;
            return false;
        }
        wish_ns = WAKE_UP_NS + bytes / BYTES_PER_NS;
    }
    *spin = (Spin){.for_ns = wish_ns, .cap_ns = UINT64_MAX, .shares_cpu = shares_cpu};
    return true;
}

void spin_cap(Spin *spin, uint64_t until_ns) {
    spin->cap_ns = until_ns;
}

bool spin_once(Spin *spin) {
    uint64_t now_ns;

    if (spin->cap_ns == 0)
        return false;
    if (spin->shares_cpu)
        cpu_yield();
    else if (spin->n >= EAGER)
        cpu_relax();
    if (++spin->n % (spin->shares_cpu ? CLOCK_EVERY_YIELD : CLOCK_EVERY) != 0)
        return true;
    now_ns = clock_now_ns();
    if (spin->until_ns == 0)
        spin->until_ns = spin->for_ns == SPIN_ALWAYS ? UINT64_MAX : now_ns + spin->for_ns;
    return now_ns < spin->until_ns && now_ns < spin->cap_ns;
}

bool spin_is_due(const Spin *spin) {
    uint32_t every = spin->shares_cpu ? CLOCK_EVERY_YIELD : DUE_EVERY;

    return spin->n % every == every - 1;
}

void spin_end(SpinPace *pace, bool found) {
    pace->n_missed = found ? 0 : pace->n_missed < SPIN_SKIPS_MAX ? pace->n_missed * 2 + 1 : SPIN_SKIPS_MAX;
    pace->n_skips = pace->n_missed;
}
