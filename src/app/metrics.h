/* SPDX-License-Identifier: MIT */
/*
 * Metrics: a status in the OpenMetrics text format, which Prometheus and node_exporter's textfile collector
 * read
 *
 * Times are in seconds, sizes in bytes. What has a number of its own for ever, as a client has, gets no
 * label: there would be no end of them. Clients are summed up by user.
 */
#pragma once

#include "app/status-tables.h"

/**
 * metrics_write() - write all of them
 * @path:       of a file that is replaced in one go, so that nobody reads half of it; "" for standard output
 *
 * A file is for node_exporter's textfile collector, which reads Prometheus' older text format and takes the
 * counters of OpenMetrics for untyped; no text is both. So it gets that one.
 * Return: 0 or negative errno.
 */
int metrics_write(const StatusRows *rows, const char *path);
