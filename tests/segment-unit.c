/* SPDX-License-Identifier: MIT */
#include "segment-unit.h"

#include "unit.h"

int make_object(uint64_t bytes) {
    int fd = -1;

    ck_assert_int_eq(object_create(unit_name(), bytes, &fd), 0);
    return fd;
}

Segment reader_of(const Segment *writer) {
    Segment segment;
    int fd = -1;

    ck_assert_int_eq(object_connect(writer->fd, false, &fd), 0);
    segment_init(&segment, fd, false, writer->offset, writer->capacity);
    segment_published(&segment, writer->bytes);
    ck_assert_int_eq(segment_remap(&segment), 0);
    return segment;
}
