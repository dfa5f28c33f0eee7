/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *unit_name(void) {
    static char name[64];
    static int n;

    snprintf(name, sizeof(name), "/shmipc-test.%d.%d", (int)getpid(), n++);
    return name;
}

int main(void) {
    SRunner *runner;
    int n_failed;

    /* Where it cannot be had, the tests share the machine's namespace. */
    if (unshare(CLONE_NEWIPC) < 0)
        (void)unshare(CLONE_NEWUSER | CLONE_NEWIPC);

    runner = srunner_create(unit_suite());
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
