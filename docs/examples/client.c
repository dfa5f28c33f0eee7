/* SPDX-License-Identifier: MIT */
/*
 * A client in twenty lines: sends its argument, prints the reply.
 *
 *     cc client.c $(pkg-config --cflags --libs shmipc) -o client && ./client hello
 */
#include <shmipc.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    const char *text = argc > 1 ? argv[1] : "hello";
    shmipc_client *client;
    shmipc_request *reply;
    uint64_t bytes;
    int r = shmipc_connect(&client, NULL, INT64_C(10000000000));

    if (r < 0) {
        fprintf(stderr, "client: %s\n", shmipc_strerror(r));
        return 1;
    }
    r = shmipc_call(client, text, strlen(text), &reply, INT64_C(60000000000));
    if (r < 0) {
        fprintf(stderr, "client: %s\n", shmipc_error_text(client));
    } else {
        const char *data = shmipc_reply(reply, &bytes); /* in place, until it is released */

        printf("%.*s\n", (int)bytes, bytes ? data : "");
    }
    shmipc_release(reply);
    shmipc_close(client);
    return r < 0;
}
