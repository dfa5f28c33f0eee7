/* SPDX-License-Identifier: MIT */
/*
 * zstd: the response is the request compressed, or decompressed (RFC 8878)
 *
 *     mode     "compress" or "decompress"; "compress" if not given
 *     level    of the compression, from fast to small; ZSTD_CLEVEL_DEFAULT if not given
 *
 * As an example of a plugin it shows settings that are checked, contexts that are kept from one request to
 * the next, and a response whose size nobody knows before: it grows in place while it is written. What a
 * small request may swell to is bounded: by job->max_response for the response, by the library's own limit
 * (128M) for the window that it keeps, and what is reserved at first depends on what was sent, not on what a
 * header promises.
 */
#include <shmipc-plugin.h>

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define INPUT_STEP_BYTES  (UINT64_C(1) << 20)   /* compressed between two looks at the clock */
#define OUTPUT_STEP_BYTES (UINT64_C(16) << 20)  /* written between them */
#define LEAST_ROOM_BYTES  (UINT64_C(128) << 10) /* that growing asks for */
#define SWELLING          16                    /* times the request that is reserved before it is needed */

typedef struct Zstd {
    bool decompresses;
    ZSTD_CCtx *compressor;
    ZSTD_DCtx *decompressor;
} Zstd;

/* One request. */
typedef struct Flow {
    shmipc_plugin_job *job;
    ZSTD_inBuffer in;
    ZSTD_outBuffer out; /* its size is where the present step ends */
    uint64_t room;      /* bytes that are reserved */
} Flow;

/* ---- settings ---- */

typedef struct Refusal {
    char *text;
    size_t bytes;
} Refusal;

static int refuse(Refusal *refusal, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int refuse(Refusal *refusal, const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(refusal->text, refusal->bytes, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

static int take_mode(Zstd *zstd, const char *value, Refusal *refusal) {
    zstd->decompresses = strcmp(value, "decompress") == 0;
    if (!zstd->decompresses && strcmp(value, "compress") != 0)
        return refuse(refusal, "mode: \"%s\" is not allowed; it can be \"compress\" or \"decompress\"",
                      value);
    return 0;
}

static int take_level(Zstd *zstd, const char *value, Refusal *refusal) {
    char *end;
    long level;

    errno = 0;
    level = strtol(value, &end, 10);
    if (errno != 0 || end == value || *end || level < ZSTD_minCLevel() || level > ZSTD_maxCLevel())
        return refuse(refusal, "level: %s is not allowed; it can be a whole number from %d to %d, like %d",
                      value, ZSTD_minCLevel(), ZSTD_maxCLevel(), ZSTD_CLEVEL_DEFAULT);
    ZSTD_CCtx_setParameter(zstd->compressor, ZSTD_c_compressionLevel, (int)level);
    return 0;
}

static int take_settings(Zstd *zstd, const shmipc_plugin_setting *settings, size_t n_settings,
                         Refusal *refusal) {
    bool has_level = false;
    int r = 0;

    for (size_t i = 0; i < n_settings && r == 0; i++) {
        if (strcmp(settings[i].key, "mode") == 0) {
            r = take_mode(zstd, settings[i].value, refusal);
        } else if (strcmp(settings[i].key, "level") == 0) {
            r = take_level(zstd, settings[i].value, refusal);
            has_level = true;
        } else {
            r = refuse(refusal, "%s is not a setting; there are mode and level", settings[i].key);
        }
    }
    if (r == 0 && has_level && zstd->decompresses)
        r = refuse(refusal, "level is a setting of mode = \"compress\"");
    return r;
}

static void end(void *state) {
    Zstd *zstd = state;

    if (!zstd)
        return;
    ZSTD_freeCCtx(zstd->compressor);
    ZSTD_freeDCtx(zstd->decompressor);
    free(zstd);
}

static int init(const shmipc_plugin_setting *settings, size_t n_settings, void **ret_state, char *error,
                size_t error_bytes) {
    Refusal refusal = {.text = error, .bytes = error_bytes};
    Zstd *zstd = calloc(1, sizeof(*zstd));
    int r = -ENOMEM;

    if (zstd) {
        zstd->compressor = ZSTD_createCCtx();
        zstd->decompressor = ZSTD_createDCtx();
    }
    if (zstd && zstd->compressor && zstd->decompressor) {
        ZSTD_CCtx_setParameter(zstd->compressor, ZSTD_c_checksumFlag, 1); /* as the command line tool */
        r = take_settings(zstd, settings, n_settings, &refusal);
    }
    if (r < 0) {
        end(zstd);
        return r;
    }
    *ret_state = zstd;
    return 0;
}

/* ---- moving bytes ---- */

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static int reserve(Flow *flow, uint64_t bytes) {
    return flow->job->calls->reserve(flow->job, bytes, &flow->out.dst, &flow->room);
}

/* Before each step. Whoever needs more room than is allowed asks for it, and learns that it is not. */
static int prepare(Flow *flow) {
    shmipc_plugin_job *job = flow->job;
    uint64_t wanted = flow->out.pos + LEAST_ROOM_BYTES;
    int r = 0;

    if (job->calls->is_cancelled(job))
        return -ECANCELED;
    if (job->calls->remaining(job) <= 0)
        return -ETIMEDOUT;
    if (flow->out.pos == flow->room && flow->out.pos < job->max_response)
        r = reserve(flow, least(wanted, job->max_response));
    else if (flow->out.pos == flow->room)
        r = reserve(flow, wanted);
    flow->out.size = least(flow->room, flow->out.pos + OUTPUT_STEP_BYTES);
    return r;
}

static int fail(Flow *flow, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int fail(Flow *flow, const char *format, ...) {
    va_list arguments;
    char text[256];

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    flow->job->calls->fail(flow->job, 1, text);
    return 0;
}

/* ---- compressing ---- */

static int compress(Flow *flow, ZSTD_CCtx *compressor) {
    const uint64_t bytes = flow->job->request_bytes;
    bool is_last;
    size_t left;
    int r;

    ZSTD_CCtx_reset(compressor, ZSTD_reset_session_only);
    ZSTD_CCtx_setPledgedSrcSize(compressor, bytes);
    do {
        r = prepare(flow);
        if (r < 0)
            return r;
        if (flow->in.pos == flow->in.size)
            flow->in.size = least(bytes, flow->in.pos + INPUT_STEP_BYTES);
        is_last = flow->in.size == bytes;
        left =
            ZSTD_compressStream2(compressor, &flow->out, &flow->in, is_last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left))
            return fail(flow, "zstd cannot compress the request: %s", ZSTD_getErrorName(left));
    } while (!is_last || left > 0);
    flow->job->response_bytes = flow->out.pos;
    return 0;
}

/* ---- decompressing ---- */

/* What will probably be needed. A frame says how big it was, if its maker knew; but anybody can write that.
 */
static uint64_t decompressed_guess(const shmipc_plugin_job *job) {
    unsigned long long said = ZSTD_getFrameContentSize(job->request, job->request_bytes);
    uint64_t limit = least(job->max_response, job->request_bytes * SWELLING + LEAST_ROOM_BYTES);

    return least(limit, said == ZSTD_CONTENTSIZE_UNKNOWN || said == ZSTD_CONTENTSIZE_ERROR
                            ? job->request_bytes
                            : said);
}

/* All frames of the request, one behind the other. */
static int decompress(Flow *flow, ZSTD_DCtx *decompressor) {
    size_t left;
    int r = 0;

    if (flow->job->request_bytes == 0)
        return fail(flow, "the request is empty, and so nothing that zstd has made");
    ZSTD_DCtx_reset(decompressor, ZSTD_reset_session_only);
    flow->in.size = flow->job->request_bytes;
    r = reserve(flow, decompressed_guess(flow->job));
    do {
        if (r == 0)
            r = prepare(flow);
        if (r < 0)
            return r;
        left = ZSTD_decompressStream(decompressor, &flow->out, &flow->in);
        if (ZSTD_isError(left))
            return fail(flow, "zstd cannot decompress the request, at byte %zu of %zu: %s", flow->in.pos,
                        flow->in.size, ZSTD_getErrorName(left));
    } while (flow->in.pos < flow->in.size || (left > 0 && flow->out.pos == flow->out.size));
    if (left > 0)
        return fail(flow, "zstd cannot decompress the request: it ends in the middle of a frame");
    flow->job->response_bytes = flow->out.pos;
    return 0;
}

static int handle(void *state, shmipc_plugin_job *job) {
    Flow flow = {.job = job, .in.src = job->request};
    Zstd *zstd = state;

    return zstd->decompresses ? decompress(&flow, zstd->decompressor) : compress(&flow, zstd->compressor);
}

const struct shmipc_plugin shmipc_plugin = {
    .abi = SHMIPC_PLUGIN_ABI,
    .name = "zstd",
    .description = "compresses or decompresses with Zstandard",
    .init = init,
    .handle = handle,
    .end = end,
};
