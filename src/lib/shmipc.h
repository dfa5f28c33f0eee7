/* SPDX-License-Identifier: MIT */
/*
 * libshmipc: send blocks of memory to workers on this machine, or be such a worker, without copying
 *
 * A client takes a request, fills its memory in place, sends it, and reads the reply in place. A worker
 * receives a job, reads the request in place, writes the response in place, and replies. Between them are a
 * host (`shmipc run host`, `shmipc@host.service`) and shared memory; payloads are copied by nobody.
 * docs/protocol.md describes what happens underneath.
 *
 * Conventions
 * - Calls that can fail return 0 or a negative errno; shmipc_strerror() and the *_error_text() calls put it
 *   into words. Outputs (`ret_…`) are written on success only. Memory that a call hands out belongs to the
 *   library and is valid as long as its description says.
 * - Sizes are in bytes. Times are in nanoseconds; timeouts are relative and run on CLOCK_MONOTONIC; 0 does
 *   not wait, SHMIPC_FOREVER waits without end. A signal handler that runs does not end a wait.
 * - Threads: a client with its requests, and a worker with its jobs, are used by one thread at a time;
 *   different ones by different threads at will. The memory of a request, reply, job or response may be read
 *   and written by any thread while it is valid, so that the work can be handed to others; only the calls are
 *   not.
 * - After fork() the child may not use what the parent had made: every call fails with -ECHILD, except the
 *   freeing ones, which free the child's memory and say nothing to the host.
 * - The library installs no signal handler, starts no thread and keeps no process-wide state (of each thread,
 *   two texts of errors). It writes nothing to standard output or error.
 *
 * Errors that calls have in common
 *   -ENOENT, -ECONNREFUSED  no such host, or it is not running
 *   -EACCES                 the host does not let this user in (settings `access`, `workers`)
 *   -EPROTO                 the host speaks another version of the protocol, or not this protocol
 *   -EUSERS                 a limit of the host is reached; the text names it
 *   -ETIMEDOUT              the timeout has passed
 *   -ECONNRESET             the host went away
 *   -ENOMEM                 no memory: of this process, of the host's `memory` budget (the text says so)
 *   -ENOSPC                 no memory: the file system of shared memory is full
 *   -EMSGSIZE               larger than the host's `max_payload`
 *   -ECHILD                 called in a child after fork()
 *   -EINVAL                 called with what is not allowed, or in the wrong order
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SHMIPC_FOREVER    INT64_C(-1)
#define SHMIPC_USER_BYTES 64 /* of the caller's own that travel with each request and each reply */

typedef struct shmipc_client shmipc_client;
typedef struct shmipc_request shmipc_request;
typedef struct shmipc_worker shmipc_worker;
typedef struct shmipc_job shmipc_job;

/** shmipc_version() - "0.1.0"; static. */
const char *shmipc_version(void);

/** shmipc_strerror() - what a negative errno of this library means, in its own terms; static. */
const char *shmipc_strerror(int error);

/* --- clients --- */

/**
 * shmipc_connect() - become a client of a host
 * @host:       its name; a path with a '/' in it for a socket elsewhere; NULL for $SHMIPC_HOST, or "host".
 *              $SHMIPC_SOCKET overrides all but a path.
 * @timeout_ns: for the host to answer, and to have a place for another connection where many want one
 *
 * When the host goes away later, requests in flight end with -ECONNRESET, and the next shmipc_take() connects
 * again.
 */
int shmipc_connect(shmipc_client **ret_client, const char *host, int64_t timeout_ns);

/**
 * shmipc_close() - free the client and all of its requests and replies; what is in flight is cancelled. Takes
 * NULL.
 */
void shmipc_close(shmipc_client *client);

/**
 * shmipc_error_text() - the latest failed call of this client in words, a setting or limit by its name; valid
 * until the next call
 *
 * Of NULL: why the latest shmipc_connect() of this thread failed.
 */
const char *shmipc_error_text(const shmipc_client *client);

/** shmipc_max_payload() - the host's limit for one request or response. */
uint64_t shmipc_max_payload(const shmipc_client *client);

/** shmipc_n_slots() - how many requests may be taken at a time. */
uint32_t shmipc_n_slots(const shmipc_client *client);

/**
 * shmipc_take() - take a request with room for @bytes
 *
 * It is the caller's until shmipc_release(). May wait for the host to grant memory, for as long as
 * shmipc_connect() was allowed to; memory that the slot had before is used again without asking.
 * Errors: -EBUSY if all slots are in use: release a reply first; the common ones.
 */
int shmipc_take(shmipc_client *client, uint64_t bytes, shmipc_request **ret_request);

/**
 * shmipc_data() - the memory of a request that was taken and not sent yet; at least as many bytes as were
 * asked for, page-aligned
 *
 * Moves when the request is resized. NULL if it has no room (0 bytes), or was sent.
 */
void *shmipc_data(shmipc_request *request);

/**
 * shmipc_resize() - change how many bytes are sent, more or fewer; what was written stays. Errors as
 * shmipc_take(); the old size then still holds.
 */
int shmipc_resize(shmipc_request *request, uint64_t bytes);

/**
 * shmipc_user() - SHMIPC_USER_BYTES to be filled before sending; zeroed when taken. They reach the worker
 * with the request.
 */
void *shmipc_user(shmipc_request *request);

/**
 * shmipc_set_tag() / shmipc_get_tag() - a pointer of the caller's that stays with the request in this
 * process. NULL when taken.
 */
void shmipc_set_tag(shmipc_request *request, void *tag);
void *shmipc_get_tag(const shmipc_request *request);

/**
 * shmipc_send() - send it; returns at once
 * @priority:   0 to 31; among the waiting requests of this user, higher ones go first
 * @timeout_ns: after which it ends with -ETIMEDOUT; a handler that can be stopped is stopped then
 *
 * The memory must not be touched any more until it has ended.
 */
int shmipc_send(shmipc_request *request, unsigned priority, int64_t timeout_ns);

/**
 * shmipc_call_many() - send requests that were taken and filled, and wait until all of them have ended
 * @requests:   @n of one client; each is then read and released as if shmipc_wait() had handed it out
 * @timeout_ns: of each, as shmipc_send()
 *
 * The fastest way, for one request, too: while a worker is awake nothing but memory is touched.
 * Return: 0 once all have ended, whatever became of each: shmipc_result() says it.
 */
int shmipc_call_many(shmipc_request *const *requests, size_t n, int64_t timeout_ns);

/**
 * shmipc_cancel() - do not want the answer any more. If no worker has claimed it yet, none will; otherwise
 * the worker can see it. It ends nevertheless, in one way or another.
 */
int shmipc_cancel(shmipc_request *request);

/**
 * shmipc_wait() - wait for any request to end
 *
 * Each is handed out once, in the order in which they ended as far as that can be seen. Errors: -ETIMEDOUT.
 */
int shmipc_wait(shmipc_client *client, int64_t timeout_ns, shmipc_request **ret_request);

/**
 * shmipc_get_fd() - a descriptor for poll(), epoll or any loop: readable (POLLIN) when there is something to
 * do; the library's
 *
 * It stays the same, also when the connection comes back. When it is readable, and before sleeping on it for
 * the first time, call shmipc_wait() with a timeout of 0 until that says -ETIMEDOUT.
 */
int shmipc_get_fd(shmipc_client *client);

/**
 * shmipc_result() - how a request ended
 * Return: 0 if there is a response; -EINPROGRESS if it has not ended; -EREMOTEIO if the worker's handler
 * failed (see shmipc_status() and shmipc_text());
 * -EOWNERDEAD if the worker was lost; -ECANCELED; -ETIMEDOUT; -ECONNRESET; -ENOMEM, -ENOSPC or -EMSGSIZE if
 * there was no room for the response.
 */
int shmipc_result(const shmipc_request *request);

/**
 * shmipc_reply() - the response, read-only and in place, valid until shmipc_release(). Return: NULL if it is
 * empty or there is none.
 */
const void *shmipc_reply(const shmipc_request *request, uint64_t *ret_bytes);

/**
 * shmipc_reply_user() - SHMIPC_USER_BYTES that the worker sent with its reply; valid until shmipc_release().
 */
const void *shmipc_reply_user(const shmipc_request *request);

/**
 * shmipc_status() - of a failed request: the handler's exit status or code, or minus the signal that killed
 * it.
 */
int shmipc_status(const shmipc_request *request);

/**
 * shmipc_text() - of a failed request: what the worker said. Copies at most @bytes - 1 and a NUL. Return: the
 * length of the whole text.
 */
size_t shmipc_text(const shmipc_request *request, char *buffer, size_t bytes);

/**
 * shmipc_sequence() - what the host's and the worker's log call the exchange: for a log of the caller's own,
 * and for `journalctl SHMIPC_SEQUENCE=…`
 *
 * Digits and '-'. Copies at most @bytes - 1 and a NUL; 43 are always enough. Return: the length of the whole
 * text; 0, and "", before the request is sent.
 */
size_t shmipc_sequence(const shmipc_request *request, char *buffer, size_t bytes);

/**
 * shmipc_release() - give a request back, in whichever state it is; one in flight is cancelled. Takes NULL.
 *
 * The pointer is void from then on: what it leads to may be another request, of a later shmipc_take().
 */
void shmipc_release(shmipc_request *request);

/**
 * shmipc_call() - the simple case: send a copy of @data, wait for the reply
 *
 * Return: what shmipc_result() says, or why it could not be sent. When the request has ended, *ret_reply is
 * set, also after a failure that the worker reported, and must be released; otherwise it is NULL.
 */
int shmipc_call(shmipc_client *client, const void *data, uint64_t bytes, shmipc_request **ret_reply,
                int64_t timeout_ns);

/**
 * shmipc_call_fd() - send all that can be read from one descriptor, write the response to another
 *
 * The payload does not pass through this process's own memory: it is read straight into the request and
 * written straight from the response. Nothing is written unless there is a response. Both descriptors must
 * block. Return: as shmipc_call(); or the negative errno of reading or writing.
 */
int shmipc_call_fd(shmipc_client *client, int input_fd, int output_fd, shmipc_request **ret_reply,
                   int64_t timeout_ns);

/* --- workers --- */

/**
 * shmipc_worker_new() - become a worker of a host
 * @host:       as in shmipc_connect()
 * @timeout_ns: how long one job may take; the host kills a process that holds one for longer. > 0
 *
 * Need not find the host: it waits for it, and comes back after it was lost. This user must be in the host's
 * `workers` setting.
 *
 * Now and then the host asks a worker that has no job whether it is there, and kills the process if nobody
 * has answered after ten seconds: who is stopped may hold a request that nobody knows of. shmipc_receive()
 * answers, so a program that has no job is to be in that call, or to make it whenever
 * shmipc_worker_get_fd() is readable.
 */
int shmipc_worker_new(shmipc_worker **ret_worker, const char *host, int64_t timeout_ns);

/**
 * shmipc_worker_free() - leave the host. Jobs that were not replied to fail as "worker stopped". Takes NULL.
 */
void shmipc_worker_free(shmipc_worker *worker);

/**
 * shmipc_worker_error_text() - the latest failed call, or why the host does not let this worker in; "" if
 * nothing is wrong.
 */
const char *shmipc_worker_error_text(const shmipc_worker *worker);

/**
 * shmipc_worker_get_fd() - readable when shmipc_receive() with a timeout of 0 is worth calling; stays the
 * same.
 */
int shmipc_worker_get_fd(shmipc_worker *worker);

/**
 * shmipc_receive() - claim the next request
 * Return: 0; -ETIMEDOUT; -EACCES when the host refuses this worker (it goes on trying); another negative
 * errno.
 */
int shmipc_receive(shmipc_worker *worker, int64_t timeout_ns, shmipc_job **ret_job);

/**
 * shmipc_receive_many() - claim up to @n_max requests, for those who work in batches
 * @within_ns:  how long to go on claiming after the first
 * Return: as shmipc_receive(); 0 with *ret_n from 1 on. Each job is ended by itself.
 */
int shmipc_receive_many(shmipc_worker *worker, int64_t timeout_ns, int64_t within_ns, shmipc_job **ret_jobs,
                        size_t n_max, size_t *ret_n);

/**
 * shmipc_job_data() - the request's payload, read-only, valid until the job is ended
 *
 * In place for a client that the host trusts; otherwise a copy of the worker's own is made at the first call,
 * since its owner could rewrite it meanwhile. Such copies count in `memory` of the host.
 * Errors: -ENOMEM, also for want of that; -ESTALE if the client took the memory away; -ECONNRESET. The job is
 * to be ended all the same: shmipc_job_fail() then says so to the client.
 */
int shmipc_job_data(shmipc_job *job, const void **ret_data, uint64_t *ret_bytes);

/** shmipc_job_user() - SHMIPC_USER_BYTES that came with the request; valid until the job is ended. */
const void *shmipc_job_user(const shmipc_job *job);

uint32_t shmipc_job_uid(const shmipc_job *job);     /* of the client, as the kernel says */
uint64_t shmipc_job_client(const shmipc_job *job);  /* its number at the host; never used twice */
/* 1; more when a worker has died with it: it may have run before */
uint32_t shmipc_job_attempt(const shmipc_job *job);

/**
 * shmipc_job_sequence() - as shmipc_sequence(), which says the same on the client's side; so it is at each
 * attempt.
 */
size_t shmipc_job_sequence(const shmipc_job *job, char *buffer, size_t bytes);

/**
 * shmipc_job_remaining() - time left until nobody waits any more or the host takes this worker for stuck; may
 * be negative.
 */
int64_t shmipc_job_remaining(const shmipc_job *job);

/**
 * shmipc_job_is_cancelled() - 1 if nobody wants the answer any more, else 0. Looks at what the host has said
 * by now.
 */
int shmipc_job_is_cancelled(shmipc_job *job);

/**
 * shmipc_job_reserve() - make room for a response of @bytes
 *
 * What was written before stays, but may move. Valid until the job is ended. Errors: -EMSGSIZE, -ENOMEM,
 * -ENOSPC, -ECONNRESET.
 */
int shmipc_job_reserve(shmipc_job *job, uint64_t bytes, void **ret_data);

/** shmipc_job_reply_user() - SHMIPC_USER_BYTES to be filled before the reply; zeroed. */
void *shmipc_job_reply_user(shmipc_job *job);

/**
 * shmipc_job_reply() - end it with the first @bytes of what was reserved. The job is gone, also after an
 * error.
 */
int shmipc_job_reply(shmipc_job *job, uint64_t bytes);

/**
 * shmipc_job_fail() - end it as failed, with a code and a text for the caller (UTF-8; may be NULL). The job
 * is gone, also after an error.
 */
int shmipc_job_fail(shmipc_job *job, int code, const char *text);

/**
 * shmipc_worker_run() - be a worker until the handler says to stop
 * @handler:    must not end the job by itself for a return of 0 or less: 0 replies with what *ret_bytes says
 *              of what was reserved; a negative errno fails the job; 1 says that it was ended already; 2
 *              likewise, and ends the run
 * Return: 0 after a 2; or why there is no going on.
 */
int shmipc_worker_run(const char *host, int (*handler)(shmipc_job *job, uint64_t *ret_bytes, void *data),
                      void *data);

#ifdef __cplusplus
}
#endif
