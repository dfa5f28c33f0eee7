/* SPDX-License-Identifier: MIT */
/*
 * digest: the response is a checksum of the request
 *
 *     algorithm    "sha256" or "crc32c" (the polynomial of Castagnoli, as in iSCSI); "sha256" if not given
 *     format       "hex", a line of lower-case digits, or "raw", bytes in network order; "hex" if not given
 *
 * SHA-256 is libgcrypt's, which libsystemd has already brought into the worker; CRC-32C is ISA-L's. Both take
 * the processor's own instructions where it has them.
 *
 * As an example of a plugin it shows a request that is read where it lies, and work in steps between which it
 * looks whether anybody still waits.
 */
#include <shmipc-plugin.h>

#include <errno.h>
#include <gcrypt.h>
#include <isa-l/crc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Between two looks at the clock: a few milliseconds; fits an int. */
#define STEP_BYTES (UINT64_C(4) << 20)
#define DIGEST_BYTES_MAX 32

typedef struct Digest Digest;

typedef struct Algorithm {
    const char *name;
    size_t bytes; /* of a digest */
    void (*begin)(Digest *digest);
    void (*add)(Digest *digest, const uint8_t *data, size_t bytes);
    void (*finish)(Digest *digest, uint8_t *ret_digest);
} Algorithm;

struct Digest {
    const Algorithm *algorithm;
    bool is_raw;
    gcry_md_hd_t sha256;
    uint32_t crc32c;
};

/* ---- algorithms ---- */

static void sha256_begin(Digest *digest) {
    gcry_md_reset(digest->sha256);
}

static void sha256_add(Digest *digest, const uint8_t *data, size_t bytes) {
    gcry_md_write(digest->sha256, data, bytes);
}

static void sha256_finish(Digest *digest, uint8_t *ret_digest) {
    memcpy(ret_digest, gcry_md_read(digest->sha256, GCRY_MD_SHA256), 32);
}

static void crc32c_begin(Digest *digest) {
    digest->crc32c = UINT32_MAX;
}

static void crc32c_add(Digest *digest, const uint8_t *data, size_t bytes) {
    digest->crc32c = crc32_iscsi((unsigned char *)data, (int)bytes, digest->crc32c);
}

static void crc32c_finish(Digest *digest, uint8_t *ret_digest) {
    for (int i = 0; i < 4; i++)
        ret_digest[i] = (uint8_t)(~digest->crc32c >> (24 - 8 * i));
}

static const Algorithm algorithms[] = {
    {.name = "sha256", .bytes = 32, .begin = sha256_begin, .add = sha256_add, .finish = sha256_finish},
    {.name = "crc32c", .bytes = 4, .begin = crc32c_begin, .add = crc32c_add, .finish = crc32c_finish},
};

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

static int take_algorithm(Digest *digest, const char *value, Refusal *refusal) {
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
        if (strcmp(algorithms[i].name, value) == 0) {
            digest->algorithm = &algorithms[i];
            return 0;
        }
    return refuse(refusal, "algorithm: \"%s\" is not allowed; it can be \"sha256\" or \"crc32c\"", value);
}

static int take_format(Digest *digest, const char *value, Refusal *refusal) {
    digest->is_raw = strcmp(value, "raw") == 0;
    if (!digest->is_raw && strcmp(value, "hex") != 0)
        return refuse(refusal, "format: \"%s\" is not allowed; it can be \"hex\" or \"raw\"", value);
    return 0;
}

static int take_setting(Digest *digest, const shmipc_plugin_setting *setting, Refusal *refusal) {
    if (strcmp(setting->key, "algorithm") == 0)
        return take_algorithm(digest, setting->value, refusal);
    if (strcmp(setting->key, "format") == 0)
        return take_format(digest, setting->value, refusal);
    return refuse(refusal, "%s is not a setting; there are algorithm and format", setting->key);
}

/* The library is the whole process's: whoever comes first makes it ready. */
static int gcrypt_open(Digest *digest, Refusal *refusal) {
    if (!gcry_check_version(GCRYPT_VERSION))
        return refuse(refusal, "libgcrypt is older than " GCRYPT_VERSION ", which this was built with");
    if (!gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P)) {
        gcry_control(GCRYCTL_DISABLE_SECMEM); /* nothing here is a secret */
        gcry_control(GCRYCTL_INITIALIZATION_FINISHED);
    }
    if (gcry_md_open(&digest->sha256, GCRY_MD_SHA256, 0) != 0)
        return refuse(refusal, "libgcrypt does not give SHA-256");
    return 0;
}

static void end(void *state) {
    Digest *digest = state;

    gcry_md_close(digest->sha256);
    free(digest);
}

static int init(const shmipc_plugin_setting *settings, size_t n_settings, void **ret_state, char *error,
                size_t error_bytes) {
    Refusal refusal = {.text = error, .bytes = error_bytes};
    Digest *digest = calloc(1, sizeof(*digest));
    int r;

    if (!digest)
        return -ENOMEM;
    digest->algorithm = &algorithms[0];
    r = gcrypt_open(digest, &refusal);
    for (size_t i = 0; i < n_settings && r == 0; i++)
        r = take_setting(digest, &settings[i], &refusal);
    if (r < 0) {
        end(digest);
        return r;
    }
    *ret_state = digest;
    return 0;
}

/* ---- a request ---- */

/* Return: 0; -ECANCELED or -ETIMEDOUT if nobody waits any more. */
static int digest_request(Digest *digest, shmipc_plugin_job *job, uint8_t *ret_digest) {
    const uint8_t *data = job->request;
    uint64_t left = job->request_bytes;

    digest->algorithm->begin(digest);
    while (left > 0) {
        size_t bytes = left < STEP_BYTES ? left : STEP_BYTES;

        if (job->calls->is_cancelled(job))
            return -ECANCELED;
        if (job->calls->remaining(job) <= 0)
            return -ETIMEDOUT;
        digest->algorithm->add(digest, data, bytes);
        data += bytes;
        left -= bytes;
    }
    digest->algorithm->finish(digest, ret_digest);
    return 0;
}

static size_t write_hex(const uint8_t *digest, size_t bytes, char *to) {
    for (size_t i = 0; i < bytes; i++) {
        to[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        to[2 * i + 1] = "0123456789abcdef"[digest[i] & 0xf];
    }
    to[2 * bytes] = '\n';
    return 2 * bytes + 1;
}

static int handle(void *state, shmipc_plugin_job *job) {
    Digest *digest = state;
    uint8_t result[DIGEST_BYTES_MAX];
    char text[2 * DIGEST_BYTES_MAX + 1];
    size_t bytes = digest->algorithm->bytes;
    void *response;
    int r = digest_request(digest, job, result);

    if (r == 0 && !digest->is_raw)
        bytes = write_hex(result, bytes, text);
    if (r == 0)
        r = job->calls->reserve(job, bytes, &response, NULL);
    if (r < 0)
        return r;
    memcpy(response, digest->is_raw ? (const void *)result : text, bytes);
    job->response_bytes = bytes;
    return 0;
}

const struct shmipc_plugin shmipc_plugin = {
    .abi = SHMIPC_PLUGIN_ABI,
    .name = "digest",
    .description = "checksums by SHA-256 or CRC-32C",
    .init = init,
    .handle = handle,
    .end = end,
};
