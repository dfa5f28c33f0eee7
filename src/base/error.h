/* SPDX-License-Identifier: MIT */
/*
 * Errors
 *
 * Every call that can fail returns an int. 0 is success. A negative value is a negative errno: fatal to what
 * was asked, and forwarded unchanged by callers that have nothing to add. A positive value is documented
 * beside the function and must be handled by the caller. The two are never mixed.
 *
 * A fatal error is marked where it starts, with error_origin(). The place is kept for each thread, so that
 * whoever reports the error at last can say where it came from.
 */
#pragma once

/** error_origin() - mark where a negative errno starts. Return: @r. */
#define error_origin(r) error_origin_at((r), __FILE__, __LINE__, __func__)

/** error_errno() - the current errno as an error that starts here. Return: a negative errno, never 0. */
#define error_errno() error_errno_at(__FILE__, __LINE__, __func__)

/**
 * error_memory() - error_errno() of mmap() or mremap(), whose EAGAIN (too much memory is locked) is -ENOMEM
 * here
 *
 * Everywhere else -EAGAIN means that there is nothing to do just now.
 */
#define error_memory() error_memory_at(__FILE__, __LINE__, __func__)

int error_origin_at(int r, const char *file, int line, const char *function);
int error_errno_at(const char *file, int line, const char *function);
int error_memory_at(const char *file, int line, const char *function);

/**
 * error_where() - where the latest error of this thread started
 *
 * Return: "file:line function: message", valid until this thread's next call here; "" if there was none.
 */
const char *error_where(void);
