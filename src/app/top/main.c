/* SPDX-License-Identifier: MIT */
/*
 * shmipc top: a program of its own, so that the daemon needs no terminal library
 *
 * It waits for whichever comes first: a key, a signal, the host's answer, the time of the next question. A
 * host that goes away, or says nothing for long, is said and waited for.
 */
#include "app/command.h"
#include "app/top/screen.h"
#include "app/top/top.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/units.h"
#include "core/endpoint.h"
#include "os/wait.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DELAY_NS     NS_PER_SEC
#define DELAY_MIN_NS (50 * NS_PER_MS)
#define ANSWER_NS    (5 * NS_PER_SEC)
#define INPUT_BYTES  16

static const char help[] =
    "Usage: shmipc top [OPTION...]\n"
    "\n"
    "Show what a running host does, again and again: exchanges and payload bytes a\n"
    "second, how long exchanges are queued, running, replied, and who is at work.\n"
    "\n"
    "  -H, --host HOST    instead of $SHMIPC_HOST or `host`\n"
    "  -d, --delay TIME   between two pictures: 2, 0.5, 250ms (1s)\n"
    "  -s, --sort KEY     clients by load, rate, memory or failed (load)\n"
    "  -b, --batch        write to standard output, as text\n"
    "  -n, --number N     end after N pictures\n"
    "  -h, --help         this text\n"
    "\n"
    "Keys: q ends, h shows all of them. The first picture is of all the time since\n"
    "the start of the host, each other of the time since the one before.\n"
    "\n"
    "Exit status: 0 ended, 1 failed, 2 usage, 3 no such host or not running, 4 not\n"
    "allowed, 8 busy: a limit of the host is reached.\n";

typedef struct Show {
    const char *host;
    char path[CHANNEL_PATH_MAX];
    uint64_t delay_ns;
    uint64_t n_left; /* pictures; 0: without end */
    bool batch;

    Top top;
    StatusLine line;
    Status coming; /* the answer, as far as it is here */
    bool asked;
    uint64_t asked_ns;
    uint64_t next_ns; /* when to ask */
    bool lost;        /* the host */
    bool helps;
    bool asks_delay;
    char input[INPUT_BYTES];
    const char *fault; /* with what was typed */
    bool ends;
} Show;

static volatile sig_atomic_t told_to_end;

static void on_signal(int number) {
    told_to_end = number;
}

/* They come only while we wait. */
static void catch_signals(sigset_t *ret_while_waiting) {
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    sigset_t blocked;

    sigemptyset(&blocked);
    sigprocmask(SIG_BLOCK, NULL, ret_while_waiting);
    for (size_t i = 0; i < ELEMENTS(ends); i++) {
        if (!command_catch(ends[i], on_signal, 0))
            continue;
        sigaddset(&blocked, ends[i]);
        sigdelset(ret_while_waiting, ends[i]);
    }
    sigaddset(&blocked, SIGWINCH);
    sigdelset(ret_while_waiting, SIGWINCH);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
}

/* --- the host --- */

static void hang_up(Show *show) {
    status_hang_up(&show->line);
    status_deinit(&show->coming);
    show->asked = false;
}

static int ask(Show *show) {
    int r = show->line.fd < 0 ? status_connect(&show->line, show->path, "shmipc top") : 0;

    if (r == 0)
        r = status_begin(&show->line, false);
    if (r == 0) {
        show->asked = true;
        show->asked_ns = clock_now_ns();
    }
    return r;
}

/* Return: 1 if there is a new picture, 0, or negative errno: the host is lost, or will not have us. */
static int hear(Show *show) {
    int r = status_hear(&show->line, &show->coming);

    if (r == 0 && clock_now_ns() >= show->asked_ns + ANSWER_NS)
        return error_origin(-ETIMEDOUT);
    if (r <= 0)
        return r;
    show->asked = false;
    show->lost = false;
    r = top_take(&show->top, &show->coming, clock_now_ns());
    return r < 0 ? r : 1;
}

/* --- pictures --- */

static void draw_lost(const Show *show, TopPage *page) {
    top_page_add(page, TOP_BAD, "shmipc top - host %s is gone or stuck: waiting for it at %s", show->host,
                 show->path);
    top_page_add(page, TOP_PLAIN, "%s", "");
    top_page_add(page, TOP_PLAIN, "`systemctl status shmipc@%s` and `journalctl -u shmipc@%s` say why.",
                 show->host, show->host);
}

static void draw(const Show *show, TopPage *page) {
    if (show->helps)
        top_draw_help(page);
    else if (show->lost || !show->top.has)
        draw_lost(show, page);
    else
        top_draw(&show->top, page);
}

static int show_on_screen(const Show *show) {
    _cleanup_(top_page_deinit) TopPage page = {0};
    char prompt[128];
    int r = top_page_init(&page, screen_n_lines());

    if (r < 0)
        return r;
    draw(show, &page);
    snprintf(prompt, sizeof(prompt), "%sdelay between two pictures: %s", show->fault ? show->fault : "",
             show->input);
    screen_show(&page, show->asks_delay ? prompt : NULL);
    return 0;
}

static int show_as_text(const Show *show) {
    _cleanup_(top_page_deinit) TopPage page = {0};
    int r = top_page_init(&page, top_n_lines(&show->top));

    if (r < 0)
        return r;
    draw(show, &page);
    for (size_t i = 0; i < page.n; i++) {
        size_t length = strlen(page.lines[i].text);

        while (length > 0 && page.lines[i].text[length - 1] == ' ')
            length--;
        printf("%.*s\n", (int)length, page.lines[i].text);
    }
    putchar('\n');
    return 0;
}

static int show_it(const Show *show) {
    return show->batch ? show_as_text(show) : show_on_screen(show);
}

/* --- keys --- */

static void take_delay(Show *show) {
    uint64_t ns;

    show->fault = NULL;
    if (duration_parse(show->input, &ns) < 0)
        show->fault = "no such time; ";
    else if (ns < DELAY_MIN_NS)
        show->fault = "50ms at least; ";
    if (show->fault)
        return;
    show->delay_ns = ns;
    show->next_ns = clock_now_ns();
    show->asks_delay = false;
}

static void take_input(Show *show, int key) {
    size_t n = strlen(show->input);

    if (key == '\n' || key == '\r')
        take_delay(show);
    else if (key == 27)
        show->asks_delay = false;
    else if ((key == 127 || key == 8) && n > 0)
        show->input[n - 1] = 0;
    else if (key > ' ' && key < 127 && n + 1 < INPUT_BYTES)
        show->input[n] = (char)key;
}

static void sort_by(Show *show, TopSort sort) {
    show->top.sort = sort;
    top_sort(&show->top);
}

static void take_command(Show *show, int key) {
    switch (key) {
    case 'q':
        show->ends = true;
        break;
    case 'h':
    case '?':
        show->helps = true;
        break;
    case 'd':
        show->asks_delay = true;
        show->fault = NULL;
        memset(show->input, 0, sizeof(show->input));
        break;
    case ' ':
        show->next_ns = clock_now_ns();
        break;
    case 'L':
        sort_by(show, TOP_LOAD);
        break;
    case 'R':
        sort_by(show, TOP_RATE);
        break;
    case 'M':
        sort_by(show, TOP_MEMORY);
        break;
    case 'F':
        sort_by(show, TOP_FAILED);
        break;
    case 'r':
        show->top.reverse = !show->top.reverse;
        top_sort(&show->top);
        break;
    default:
        break;
    }
}

static void take_keys(Show *show) {
    int key;

    while ((key = screen_key()) != SCREEN_NO_KEY) {
        if (key == SCREEN_RESIZED)
            continue;
        if (show->helps)
            show->helps = false;
        else if (show->asks_delay)
            take_input(show, key);
        else
            take_command(show, key);
    }
}

/* --- the loop --- */

/* Wait for a key, the answer, a signal, or the time of the next question. Return: 0 or negative errno. */
static int wait_for_something(Show *show, const sigset_t *while_waiting, bool *ret_key) {
    struct pollfd fds[2] = {{.fd = show->batch ? -1 : STDIN_FILENO, .events = POLLIN},
                            {.fd = show->asked ? show->line.fd : -1, .events = POLLIN}};
    uint64_t now_ns = clock_now_ns(), until_ns = show->asked ? show->asked_ns + ANSWER_NS : show->next_ns;
    uint64_t left_ns = until_ns <= now_ns ? 0 : until_ns - now_ns;
    struct timespec time = {.tv_sec = (time_t)(left_ns / NS_PER_SEC),
                            .tv_nsec = (long)(left_ns % NS_PER_SEC)};
    int r = ppoll(fds, ELEMENTS(fds), &time, while_waiting);

    if (r < 0 && errno != EINTR)
        return error_errno();
    *ret_key = r > 0 ? fds[0].revents != 0 : r < 0;
    if (r > 0 && fds[0].revents & (POLLHUP | POLLERR))
        show->ends = true; /* the terminal is gone */
    return 0;
}

/* Return: 1 if there is something new to see, 0, or negative errno. */
static int ask_or_hear(Show *show) {
    int r = 0;

    if (show->asked)
        r = hear(show);
    else if (clock_now_ns() >= show->next_ns) {
        show->next_ns = clock_now_ns() + show->delay_ns;
        r = ask(show);
    }
    if (r >= 0 || r == -ENOMEM || r == -EBADMSG || show->coming.refused || !show->top.has)
        return r;
    hang_up(show); /* it was there: it may come back */
    show->next_ns = clock_now_ns() + show->delay_ns;
    show->lost = true;
    return 1;
}

/* One picture after the other. Return: 0 or negative errno. */
static int go_on(Show *show, const sigset_t *while_waiting) {
    bool key = false;
    int r = 0;

    while (r == 0 && !show->ends && !told_to_end) {
        r = wait_for_something(show, while_waiting, &key);
        if (r == 0 && key && !show->batch)
            take_keys(show);
        if (r == 0)
            r = ask_or_hear(show);
        if (r < 0 || (r == 0 && !key))
            continue;
        if (r > 0 && !show->lost && show->n_left > 0 && --show->n_left == 0)
            show->ends = true;
        r = show->top.has ? show_it(show) : 0;
        if (show->batch && !command_flush())
            show->ends = true;
    }
    return r;
}

static int run(Show *show) {
    sigset_t while_waiting;
    int r = endpoint_find(show->host, show->path);

    if (r == 0)
        r = top_init(&show->top) < 0 ? -ENOMEM : 0;
    if (r == 0)
        r = ask(show); /* who has no host has no use for a screen */
    if (r < 0)
        return status_explain("top", r, &show->coming, show->host, show->path);
    catch_signals(&while_waiting);
    if (!show->batch && screen_open() < 0)
        return command_fail("top", EXIT_FAILURE, "this terminal (TERM=%s) cannot be used; -b writes text",
                            getenv("TERM") ? getenv("TERM") : "");
    r = go_on(show, &while_waiting);
    screen_close();
    return r < 0 ? status_explain("top", r, &show->coming, show->host, show->path) : EXIT_SUCCESS;
}

static bool parse_sort(const char *name, TopSort *ret) {
    for (TopSort sort = 0; sort < _TOP_SORT_N; sort++)
        if (!strcmp(top_sort_name(sort), name)) {
            *ret = sort;
            return true;
        }
    return false;
}

static bool parse_number(const char *text, uint64_t *ret) {
    char *end;

    errno = 0;
    *ret = strtoull(text, &end, 10);
    return *text >= '1' && *text <= '9' && !*end && errno == 0;
}

/* Return: 0 to go on; the exit status + 1 to end with it. */
static int take_option(Show *show, int option) {
    switch (option) {
    case 'H':
        show->host = optarg;
        return 0;
    case 'd':
        if (duration_parse(optarg, &show->delay_ns) == 0 && show->delay_ns >= DELAY_MIN_NS)
            return 0;
        return 1 + command_fail("top", EXIT_USAGE,
                                "-d wants a time of 50ms at least, as 2 or 250ms, not `%s`", optarg);
    case 's':
        if (parse_sort(optarg, &show->top.sort))
            return 0;
        return 1 + command_fail("top", EXIT_USAGE, "-s wants load, rate, memory or failed, not `%s`", optarg);
    case 'n':
        if (parse_number(optarg, &show->n_left))
            return 0;
        return 1 + command_fail("top", EXIT_USAGE, "-n wants a number of pictures, not `%s`", optarg);
    case 'b':
        show->batch = true;
        return 0;
    case 'h':
        fputs(help, stdout);
        return 1 + EXIT_SUCCESS;
    default:
        fputs("Try `shmipc top --help`.\n", stderr);
        return 1 + EXIT_USAGE;
    }
}

static int take_options(Show *show, int argc, char **argv) {
    static const struct option options[] = {{"host", required_argument, NULL, 'H'},
                                            {"delay", required_argument, NULL, 'd'},
                                            {"sort", required_argument, NULL, 's'},
                                            {"number", required_argument, NULL, 'n'},
                                            {"batch", no_argument, NULL, 'b'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int option, r = 0;

    while (r == 0 && (option = getopt_long(argc, argv, "H:d:s:n:bh", options, NULL)) >= 0)
        r = take_option(show, option);
    if (r == 0 && optind != argc)
        r = 1 + command_fail("top", EXIT_USAGE, "takes no argument. Try `shmipc top --help`.");
    if (r == 0 && !show->batch && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)))
        r = 1 + command_fail("top", EXIT_USAGE, "this is no terminal: -b writes text, -b -n 1 once");
    return r;
}

int main(int argc, char **argv) {
    Show show = {.host = endpoint_default_host(), .delay_ns = DELAY_NS, .line = STATUS_LINE_NULL};
    int r;

    argv[0] = (char *)"shmipc top"; /* as getopt's messages have it */
    r = take_options(&show, argc, argv);
    if (r == 0)
        r = 1 + run(&show);
    hang_up(&show);
    top_deinit(&show.top);
    return command_end("top", r - 1, EXIT_FAILURE);
}
