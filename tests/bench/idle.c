/* SPDX-License-Identifier: MIT */
/*
 * Clients that do nothing: connects as many as the argument says, says `ready`, and stays until its standard
 * input ends
 */
#include "shmipc.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define PATIENT INT64_C(60000000000)

int main(int argc, char **argv) {
    unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    struct rlimit files;

    if (n == 0)
        errx(2, "usage: idle CLIENTS");
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    for (unsigned long i = 0; i < n; i++) {
        shmipc_client *client;

        if (shmipc_connect(&client, NULL, PATIENT) < 0)
            errx(EXIT_FAILURE, "client %lu: %s", i, shmipc_error_text(NULL));
    }
    puts("ready");
    fflush(stdout);
    while (getchar() != EOF)
        ;
    return EXIT_SUCCESS;
}
