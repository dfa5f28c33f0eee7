/* SPDX-License-Identifier: MIT */
/*
 * A target as an ordinary test: goes through all inputs of a folder. Prints TAP.
 *
 * Usage: TARGET FOLDER
 */
#include "fuzz.h"

#include <dirent.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX (1u << 20)

static void run(const char *folder, const char *name) {
    static uint8_t data[INPUT_MAX];
    char path[4096];
    uint8_t *exact; /* so that a read past its end is seen */
    size_t bytes;
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "re");
    if (!file)
        err(EXIT_FAILURE, "%s", path);
    bytes = fread(data, 1, sizeof(data), file);
    fclose(file);
    printf("# %s\n", name); /* the last one that is shown is the one that failed */
    fflush(stdout);
    exact = malloc(bytes + 1);
    memcpy(exact, data, bytes);
    (void)LLVMFuzzerTestOneInput(exact, bytes);
    free(exact);
}

int main(int argc, char **argv) {
    struct dirent **entries;
    int n = argc == 2 ? scandir(argv[1], &entries, NULL, alphasort) : -1, n_run = 0;

    if (n < 0)
        err(2, "name the folder of a corpus");
    (void)LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.') {
            run(argv[1], entries[i]->d_name);
            n_run++;
        }
        free(entries[i]);
    }
    free(entries);
    printf("%sok 1 - goes through its corpus: %d inputs\n1..1\n", n_run > 0 ? "" : "not ", n_run);
    return n_run > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
