/* SPDX-License-Identifier: MIT */
#include "app/log-sink.h"

#include "os/datagram.h"
#include "os/descriptor.h"
#include "os/wait.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int journal_fd = -1;
static int line_fd = STDERR_FILENO;
static bool never_waits; /* a write to line_fd */

/* systemd tells a service which stream its standard error is; a terminal or a pipe is another one. */
static bool is_journal(const struct stat *is) {
    const char *stream = getenv("JOURNAL_STREAM");
    uint64_t device, inode;

    return stream && sscanf(stream, "%" SCNu64 ":%" SCNu64, &device, &inode) == 2 && is->st_dev == device &&
           is->st_ino == inode;
}

/*
 * O_NONBLOCK of standard error is not ours to set: others have the description, too. A terminal knows of no
 * other way not to wait for it, but can be opened once more.
 */
static void open_lines(const struct stat *is) {
    if (line_fd != STDERR_FILENO)
        (void)close(line_fd);
    line_fd = STDERR_FILENO;
    never_waits = S_ISREG(is->st_mode) ||
                  (S_ISCHR(is->st_mode) &&
                   descriptor_reopen(STDERR_FILENO, O_WRONLY | O_NONBLOCK | O_NOCTTY, &line_fd) == 0);
}

bool sink_open(void) {
    struct stat is;

    if (fstat(STDERR_FILENO, &is) < 0)
        return false;
    open_lines(&is);
    return is_journal(&is) && (journal_fd >= 0 || datagram_open(&journal_fd) == 0);
}

bool sink_put_line(const char *line, size_t bytes) {
    const struct iovec part = {.iov_base = (void *)line, .iov_len = bytes};

    if (!never_waits) {
        if (pwritev2(line_fd, &part, 1, -1, RWF_NOWAIT) >= 0)
            return true;
        if (errno != EOPNOTSUPP && errno != ENOSYS)
            return false;
        if (!((unsigned)wait_for_fd(line_fd, WAIT_WRITE, 0) & WAIT_WRITE))
            return false;
    }
    return write(line_fd, line, bytes) >= 0;
}

/*
 * NAME, a newline, the value's size in 64 bits little-endian, the value, a newline: so the value may have
 * newlines, too.
 */
bool sink_put_entry(const char *path, const SinkField *fields, size_t n_fields) {
    struct iovec parts[SINK_FIELDS_MAX * 5];
    uint8_t sizes[SINK_FIELDS_MAX][8];
    size_t n = 0;

    assert(n_fields <= SINK_FIELDS_MAX);
    if (journal_fd < 0 && datagram_open(&journal_fd) < 0)
        return false;
    for (size_t i = 0; i < n_fields; i++) {
        size_t bytes = strlen(fields[i].value);

        for (unsigned k = 0; k < 8; k++)
            sizes[i][k] = (uint8_t)((uint64_t)bytes >> 8 * k);
        parts[n++] = (struct iovec){(void *)fields[i].name, strlen(fields[i].name)};
        parts[n++] = (struct iovec){(void *)"\n", 1};
        parts[n++] = (struct iovec){sizes[i], sizeof(sizes[i])};
        parts[n++] = (struct iovec){(void *)fields[i].value, bytes};
        parts[n++] = (struct iovec){(void *)"\n", 1};
    }
    return datagram_send(journal_fd, path, parts, n) == 0;
}
