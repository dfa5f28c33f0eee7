/* SPDX-License-Identifier: MIT */
/* Plots: histograms as curves in an SVG file, by means of gnuplot. */
#pragma once

#include "base/histogram.h"

typedef struct PlotLine {
    const char *title;
    const Histogram *histogram;
} PlotLine;

/** plot_check() - whether there is a gnuplot. Return: 0, -ENOENT, or another negative errno. */
int plot_check(void);

/**
 * plot_percentiles() - write @path: how long the fastest 50 %, 90 %, 99 % … took at most
 * Return: 0; -EREMOTEIO if gnuplot failed, which has said why on standard error; or another negative errno.
 */
int plot_percentiles(const char *path, const PlotLine *lines, size_t n_lines);
