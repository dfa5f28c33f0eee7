/* SPDX-License-Identifier: MIT */
/* Objects of shared memory, and who maps them, for tests. */
#pragma once

#include "os/segment.h"

/* A new object. Its caller closes it. */
int make_object(uint64_t bytes);

/* The same window as another process sees it, which can only read it. */
Segment reader_of(const Segment *writer);
