/* SPDX-License-Identifier: MIT */
#include "app/plot.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define N_POINTS 60 /* of a curve; ten for each nine more */

static void file_closep(FILE **file) {
    if (*file)
        fclose(*file);
}

/* Run gnuplot with descriptors for its input and output. Return: 0 or negative errno. */
static int run_gnuplot(const char *option, int input, int output) {
    char *argv[] = {(char *)"gnuplot", (char *)option, NULL};
    Process process = PROCESS_NULL;
    int status, r = process_spawn(&process, argv, NULL, (const int[]){input, output, STDERR_FILENO});

    if (r < 0)
        return r;
    while (poll(&(struct pollfd){.fd = process.pidfd, .events = POLLIN}, 1, -1) < 0 && errno == EINTR)
        ;
    r = process_end(&process, &status);
    return r < 0 ? r : status == 0 ? 0 : error_origin(-EREMOTEIO);
}

int plot_check(void) {
    _cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    return null < 0 ? error_errno() : run_gnuplot("--version", null, null);
}

/* One in ten, in a hundred …: where a curve's next point is. */
static double share_above(unsigned point) {
    double share = 1;

    for (unsigned i = 0; i < point; i++)
        share *= 0.7943282347242815; /* the tenth root of 1/10 */
    return share;
}

static void write_curve(FILE *script, size_t index, const Histogram *histogram) {
    fprintf(script, "$line%zu << end\n", index);
    for (unsigned i = 0; i < N_POINTS; i++) {
        double above = share_above(i);

        if (above * (double)histogram->n < 1)
            break;
        fprintf(script, "%.6g %.6g\n", 1 / above, (double)histogram_quantile(histogram, 1 - above) / 1e3);
    }
    fputs("end\n", script);
}

static void write_script(FILE *script, const PlotLine *lines, size_t n_lines) {
    fputs("set terminal svg size 720,432 noenhanced background rgb 'white'\n"
          "set logscale xy\n"
          "set grid\n"
          "set key left top\n"
          "set xlabel 'share of the exchanges'\n"
          "set ylabel 'time at most (us)'\n"
          "set xtics ('0 %%' 1, '50 %%' 2, '90 %%' 10, '99 %%' 100, '99.9 %%' 1e3, '99.99 %%' 1e4, '99.999 "
          "%%' 1e5)\n",
          script);
    for (size_t i = 0; i < n_lines; i++)
        write_curve(script, i, lines[i].histogram);
    fputs("plot ", script);
    for (size_t i = 0; i < n_lines; i++)
        fprintf(script, "%s$line%zu with lines linewidth 2 title '%s'", i ? ", " : "", i, lines[i].title);
    fputc('\n', script);
}

int plot_percentiles(const char *path, const PlotLine *lines, size_t n_lines) {
    _cleanup_(file_closep) FILE *script = tmpfile();
    _cleanup_close_ int output = -1;

    if (!script)
        return error_errno();
    write_script(script, lines, n_lines);
    if (fflush(script) != 0)
        return error_errno();
    rewind(script);
    output = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (output < 0)
        return error_errno();
    return run_gnuplot("-", fileno(script), output);
}
