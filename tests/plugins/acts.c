/* SPDX-License-Identifier: MIT */
/*
 * Does what the request says, in one word and a number:
 *
 *     grow N      N bytes of a pattern, a thousand at a time
 *     room N      asks for N bytes, answers with all that it gets
 *     fail N      fails with the code N and a text; looks whether it can still reserve
 *     return N    returns N
 *     answer N    says that its response has N bytes, having reserved 10
 *     insist N    asks for N bytes, and answers "no" if it does not get them
 *     where       answers with the address of the request
 *     crash       by touching no memory
 *     hang        for ever
 */
#include <shmipc-plugin.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*Action)(shmipc_plugin_job *job, uint64_t n);

static int grow(shmipc_plugin_job *job, uint64_t n) {
    for (uint64_t has = 0; has < n;) {
        uint64_t more = n - has < 1000 ? n - has : 1000;
        uint64_t room;
        void *response;
        int r = job->calls->reserve(job, has + more, &response, &room);

        if (r < 0)
            return r;
        if (room < has + more)
            return 99;
        for (; more > 0; more--, has++)
            ((char *)response)[has] = (char)('a' + has % 23);
    }
    job->response_bytes = n;
    return 0;
}

static int room(shmipc_plugin_job *job, uint64_t n) {
    void *response;
    uint64_t gets;
    int r = job->calls->reserve(job, n, &response, &gets);

    if (r < 0)
        return r;
    memset(response, 'r', gets);
    job->response_bytes = gets;
    return 0;
}

static int fail(shmipc_plugin_job *job, uint64_t n) {
    void *response;

    (void)job->calls->reserve(job, 100, &response, NULL);
    job->response_bytes = 100;
    job->calls->fail(job, (int32_t)n, n == 1 ? NULL : "no such colour");
    return job->calls->reserve(job, 1, &response, NULL) == -EINVAL ? 0 : 99;
}

static int give_back(shmipc_plugin_job *job, uint64_t n) {
    return (int)n;
}

static int answer(shmipc_plugin_job *job, uint64_t n) {
    void *response;

    (void)job->calls->reserve(job, 10, &response, NULL);
    job->response_bytes = n;
    return 0;
}

static int insist(shmipc_plugin_job *job, uint64_t n) {
    void *response;

    if (job->calls->reserve(job, n, &response, NULL) == 0 || job->calls->reserve(job, 2, &response, NULL) < 0)
        return 99;
    memcpy(response, "no", 2);
    job->response_bytes = 2;
    return 0;
}

static int where(shmipc_plugin_job *job, uint64_t n) {
    void *response;
    int r = job->calls->reserve(job, 32, &response, NULL);

    if (r < 0)
        return r;
    job->response_bytes = (uint64_t)snprintf(response, 32, "%p", job->request);
    return 0;
}

static int crash(shmipc_plugin_job *job, uint64_t n) {
    abort();
}

static int hang(shmipc_plugin_job *job, uint64_t n) {
    while (pause() < 0)
        ;
    return 0;
}

static const struct {
    const char *word;
    Action action;
} actions[] = {
    {"grow", grow},     {"room", room},   {"fail", fail},   {"return", give_back}, {"answer", answer},
    {"insist", insist}, {"where", where}, {"crash", crash}, {"hang", hang},
};

static int handle(void *state, shmipc_plugin_job *job) {
    char text[64] = "", word[16] = "";
    long long n = 0;

    if (job->request_bytes < sizeof(text))
        memcpy(text, job->request, job->request_bytes);
    (void)sscanf(text, "%15s %lld", word, &n);
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
        if (strcmp(actions[i].word, word) == 0)
            return actions[i].action(job, (uint64_t)n);
    return -ENOSYS;
}

const struct shmipc_plugin shmipc_plugin = {
    .abi = SHMIPC_PLUGIN_ABI,
    .name = "acts",
    .description = "does what it is told",
    .handle = handle,
};
