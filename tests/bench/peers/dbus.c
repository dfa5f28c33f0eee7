/* SPDX-License-Identifier: MIT */
/*
 * sd-bus through dbus-broker, which is told by this program whom to let in, as systemd would
 *
 *   copy    payloads in the messages, written where sd-bus will send them from
 *   memory  payloads in shared memory that both have, messages to say so
 */
#include "peer.h"

#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#define BATCH  "bta(btbs)a(btssssuutt)a(btssssuutt)"
#define POLICY "a(u(" BATCH "))a(buu(" BATCH "))a(ss)bs"
#define PATH   "/bench"
#define NAME   "com.example.Bench"

static const Task *task;
static char path[108];
static sd_bus *bus, *controller;
static sd_bus_message *sent, *received;
static unsigned char *requests, *responses;

static void must(int r, const char *what) {
    if (r < 0)
        errx(EXIT_FAILURE, "%s: %s", what, strerror(-r));
}

static bool copies(void) {
    return strcmp(task->mode, "memory") != 0;
}

/* --- the broker --- */

static int listen_here(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    snprintf(path, sizeof(path), "/tmp/bench-dbus-%d", (int)getpid());
    memcpy(address.sun_path, path, strlen(path));
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 16) < 0)
        err(EXIT_FAILURE, "%s", path);
    return fd;
}

static int start_broker(void) {
    pid_t parent = getpid();
    int pair[2];
    char fd[16];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
        err(EXIT_FAILURE, "socketpair");
    snprintf(fd, sizeof(fd), "%d", pair[1]);
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(EXIT_FAILURE);
        close(pair[0]);
        execlp("dbus-broker", "dbus-broker", "--controller", fd, "--machine-id",
               "0123456789abcdef0123456789abcdef", "--max-bytes", "2000000000", NULL);
        err(EXIT_FAILURE, "dbus-broker");
    }
    close(pair[1]);
    fcntl(pair[0], F_SETFD, FD_CLOEXEC);
    return pair[0];
}

/* Everybody may do everything. */
static void let_all_in(sd_bus_message *message) {
    must(sd_bus_message_open_container(message, 'v', "(" POLICY ")"), "policy");
    must(sd_bus_message_append(message, "(" POLICY ")", 1, (uint32_t)-1, true, UINT64_C(1), 1, true,
                               UINT64_C(1), true, "", 1, true, UINT64_C(1), "", "", "", "", 0, 0, UINT64_C(0),
                               UINT64_MAX, 1, true, UINT64_C(1), "", "", "", "", 0, 0, UINT64_C(0),
                               UINT64_MAX, 0, 0, false, ""),
         "policy");
    must(sd_bus_message_close_container(message), "policy");
}

static void *share(uint64_t bytes) {
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED)
        err(EXIT_FAILURE, "mmap");
    return map;
}

static void prepare(const Task *with) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *message;
    int listener, fd;

    task = with;
    requests = share(task->bytes * task->n_in_flight);
    responses = share(task->bytes * task->n_in_flight);
    listener = listen_here();
    fd = start_broker();
    must(sd_bus_new(&controller), "sd_bus_new");
    must(sd_bus_set_fd(controller, fd, fd), "sd_bus_set_fd");
    must(sd_bus_start(controller), "starting dbus-broker");
    must(sd_bus_message_new_method_call(controller, &message, NULL, "/org/bus1/DBus/Broker",
                                        "org.bus1.DBus.Broker", "AddListener"),
         "AddListener");
    must(sd_bus_message_append(message, "oh", "/org/bus1/DBus/Listener/0", listener), "AddListener");
    let_all_in(message);
    if (sd_bus_call(controller, message, 0, &error, NULL) < 0)
        errx(EXIT_FAILURE, "dbus-broker does not take the listener: %s",
             error.message ? error.message : "hung up");
    sd_bus_message_unref(message);
}

static void join(void) {
    char address[128];

    snprintf(address, sizeof(address), "unix:path=%s", path);
    must(sd_bus_new(&bus), "sd_bus_new");
    must(sd_bus_set_address(bus, address), address);
    must(sd_bus_set_bus_client(bus, true), "sd_bus_set_bus_client");
    must(sd_bus_start(bus), "connecting");
}

/* --- exchanges --- */

static void *append_payload(sd_bus_message *message, uint64_t bytes) {
    void *data;

    must(sd_bus_message_append_array_space(message, 'y', bytes, &data), "a payload");
    return data;
}

static int handle(sd_bus_message *request, void *data, sd_bus_error *error) {
    sd_bus_message *response;
    const void *payload;
    uint32_t slot;
    size_t bytes;

    (void)data;
    (void)error;
    must(sd_bus_message_new_method_return(request, &response), "a response");
    must(sd_bus_message_read(request, "u", &slot), "a request");
    if (copies()) {
        must(sd_bus_message_read_array(request, 'y', &payload, &bytes), "a request");
        peer_answer(task, payload, append_payload(response, peer_response_bytes(task)));
    } else
        peer_answer(task, requests + slot * task->bytes, responses + slot * task->bytes);
    must(sd_bus_send(bus, response, NULL), "sending");
    sd_bus_message_unref(response);
    return 1;
}

static void serve(const Task *with) {
    static const sd_bus_vtable table[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Exchange", "uay", "ay", handle, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Look", "u", "", handle, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
    };

    (void)with;
    join();
    must(sd_bus_add_object_vtable(bus, NULL, PATH, NAME, table, NULL), "vtable");
    must(sd_bus_request_name(bus, NAME, 0), NAME);
    for (;;) {
        int r = sd_bus_process(bus, NULL);

        must(r, "processing");
        if (r == 0)
            must(sd_bus_wait(bus, UINT64_MAX), "waiting");
    }
}

static void be_client(const Task *with) {
    (void)with;
    join();
    while (sd_bus_get_name_creds(bus, NAME, 0, NULL) < 0)
        usleep(1000);
}

static void *begin(uint32_t slot) {
    must(sd_bus_message_new_method_call(bus, &sent, NAME, PATH, NAME, copies() ? "Exchange" : "Look"),
         "a request");
    must(sd_bus_message_append(sent, "u", slot), "a request");
    return copies() ? append_payload(sent, task->bytes) : requests + slot * task->bytes;
}

static int keep(sd_bus_message *message, void *data, sd_bus_error *error) {
    (void)data;
    (void)error;
    if (sd_bus_message_is_method_error(message, NULL))
        errx(EXIT_FAILURE, "dbus: %s", sd_bus_message_get_error(message)->message);
    received = sd_bus_message_ref(message);
    return 1;
}

static void send_it(uint32_t slot) {
    (void)slot;
    must(sd_bus_call_async(bus, NULL, sent, keep, NULL, 0), "sending");
    sd_bus_message_unref(sent);
}

static const void *receive(uint32_t slot) {
    const void *response = responses + slot * task->bytes;
    size_t bytes;

    for (received = NULL; !received;) {
        int r = sd_bus_process(bus, NULL);

        must(r, "processing");
        if (r == 0)
            must(sd_bus_wait(bus, UINT64_MAX), "waiting");
    }
    if (copies())
        must(sd_bus_message_read_array(received, 'y', &response, &bytes), "a response");
    return response;
}

static void end(uint32_t slot) {
    (void)slot;
    sd_bus_message_unref(received);
}

static void leave(void) {
    unlink(path);
}

int main(int argc, char **argv) {
    static const Peer peer = {.name = "dbus",
                              .modes = "copy|memory",
                              .open = prepare,
                              .serve = serve,
                              .connect = be_client,
                              .begin = begin,
                              .send = send_it,
                              .receive = receive,
                              .end = end,
                              .close = leave};

    return peer_main(argc, argv, &peer);
}
