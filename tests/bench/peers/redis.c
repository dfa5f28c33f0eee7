/* SPDX-License-Identifier: MIT */
/*
 * Redis: a list for requests and one for responses, over its Unix socket ($BENCH_FOLDER/redis.sock); both
 * sides block in BLPOP, and requests are pipelined
 */
#include "peer.h"

#include <err.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const Task *task;
static char asked[32], answered[32];
static unsigned char *memory;
static redisContext *pushes, *pops;
static redisReply *received;

static redisContext *join(void) {
    char path[108];
    redisContext *context;

    snprintf(path, sizeof(path), "%s/redis.sock", getenv("BENCH_FOLDER"));
    context = redisConnectUnix(path);
    if (!context || context->err)
        errx(EXIT_FAILURE, "%s: %s", path, context ? context->errstr : "no memory");
    return context;
}

static redisReply *must(redisContext *context, redisReply *reply) {
    if (!reply || reply->type == REDIS_REPLY_ERROR)
        errx(EXIT_FAILURE, "redis: %s", reply ? reply->str : context->errstr);
    return reply;
}

static redisReply *reply_of(redisContext *context) {
    void *reply = NULL;

    (void)redisGetReply(context, &reply);
    return must(context, reply);
}

static void prepare(const Task *with) {
    task = with;
    snprintf(asked, sizeof(asked), "asked-%d", (int)getpid());
    snprintf(answered, sizeof(answered), "answered-%d", (int)getpid());
    memory = malloc(task->bytes);
    if (!memory)
        err(EXIT_FAILURE, "%ju bytes", (uintmax_t)task->bytes);
}

static void serve(const Task *with) {
    redisContext *context = join();

    redisAppendCommand(context, "BLPOP %s 0", asked);
    for (;;) {
        redisReply *request = reply_of(context);

        peer_answer(with, request->element[1]->str, memory);
        freeReplyObject(request);
        redisAppendCommand(context, "RPUSH %s %b", answered, memory, (size_t)peer_response_bytes(with));
        redisAppendCommand(context, "BLPOP %s 0", asked);
        freeReplyObject(reply_of(context));
    }
}

static void be_client(const Task *with) {
    (void)with;
    pushes = join();
    pops = join();
}

static void *begin(uint32_t slot) {
    (void)slot;
    return memory;
}

static void flush_out(redisContext *context) {
    int done = 0;

    while (!done)
        if (redisBufferWrite(context, &done) != REDIS_OK)
            errx(EXIT_FAILURE, "redis: %s", context->errstr);
}

static void send_it(uint32_t slot) {
    (void)slot;
    redisAppendCommand(pushes, "RPUSH %s %b", asked, memory, (size_t)task->bytes);
    redisAppendCommand(pops, "BLPOP %s 0", answered);
    flush_out(pushes);
    flush_out(pops);
}

static const void *receive(uint32_t slot) {
    (void)slot;
    freeReplyObject(reply_of(pushes));
    received = reply_of(pops);
    return received->element[1]->str;
}

static void end(uint32_t slot) {
    (void)slot;
    freeReplyObject(received);
}

int main(int argc, char **argv) {
    static const Peer peer = {.name = "redis",
                              .open = prepare,
                              .serve = serve,
                              .connect = be_client,
                              .begin = begin,
                              .send = send_it,
                              .receive = receive,
                              .end = end};

    return peer_main(argc, argv, &peer);
}
