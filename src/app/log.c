/* SPDX-License-Identifier: MIT */
#include "app/log.h"

#include "app/log-sink.h"
#include "app/message-ids.h"
#include "base/cleanup.h"
#include "base/units.h"
#include "wire/message.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD_BYTES 640
#define VALUE_BYTES 96 /* of a field that is no message */

static const char *log_instance = "shmipc";
/* One word, written by a reload: a line more or less does not matter. */
static volatile int log_level = LOG_INFO;
static bool to_journal;
static uint64_t n_lost; /* lines that were not taken, and nobody was told of yet; atomic */

/* One journal entry, in the making. */
typedef struct Entry {
    SinkField fields[SINK_FIELDS_MAX];
    char room[SINK_FIELDS_MAX][VALUE_BYTES];
    size_t n;
} Entry;

void log_open(const char *instance, int level) {
    log_instance = instance;
    log_level = level;
    to_journal = sink_open();
}

void log_set_level(int level) {
    log_level = level;
}

static void add_text(Entry *entry, const char *name, const char *value) {
    if (entry->n < SINK_FIELDS_MAX)
        entry->fields[entry->n++] = (SinkField){name, value};
}

static void add_field(Entry *entry, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void add_field(Entry *entry, const char *name, const char *format, ...) {
    va_list arguments;

    if (entry->n == SINK_FIELDS_MAX)
        return;
    va_start(arguments, format);
    vsnprintf(entry->room[entry->n], VALUE_BYTES, format, arguments);
    va_end(arguments);
    add_text(entry, name, entry->room[entry->n]);
}

static bool put_line(int level, const char *text) {
    static const char *const words[] = {[LOG_ERR] = "error: ", [LOG_WARNING] = "warning: "};
    char line[FIELD_BYTES + 64];
    const char *word = level < (int)ELEMENTS(words) && words[level] ? words[level] : "";
    int length = snprintf(line, sizeof(line), "shmipc[%s]: %s%s\n", log_instance, word, text);

    if (length >= (int)sizeof(line))
        length = sizeof(line) - 1;
    return sink_put_line(line, (size_t)length);
}

static bool put(int level, const char *message_id, const char *text, Entry *entry) {
    if (!to_journal)
        return put_line(level, text);
    add_text(entry, "MESSAGE", text);
    add_field(entry, "PRIORITY", "%d", level);
    add_text(entry, "SYSLOG_IDENTIFIER", "shmipc");
    add_text(entry, "SHMIPC_INSTANCE", log_instance);
    if (message_id)
        add_text(entry, "MESSAGE_ID", message_id);
    return sink_put_entry(SINK_JOURNAL, entry->fields, entry->n);
}

/* The log takes lines again. Return: whether it took this one. */
static bool tell_lost(uint64_t n) {
    Entry entry = {.n = 0};
    char text[80];

    snprintf(text, sizeof(text), "%" PRIu64 " line%s before this one could not be logged", n,
             n == 1 ? "" : "s");
    return put(LOG_WARNING, NULL, text, &entry);
}

static void emit(int level, const char *message_id, const char *text, Entry *entry) {
    uint64_t n = __atomic_exchange_n(&n_lost, 0, __ATOMIC_RELAXED);

    if (n > 0 && tell_lost(n))
        n = 0;
    if (!put(level, message_id, text, entry))
        n++;
    (void)__atomic_fetch_add(&n_lost, n, __ATOMIC_RELAXED);
}

void log_line(int level, const char *message_id, const char *text, ...) {
    char message[FIELD_BYTES - 16];
    Entry entry = {.n = 0};
    va_list arguments;

    if (level > log_level)
        return;
    va_start(arguments, text);
    vsnprintf(message, sizeof(message), text, arguments);
    va_end(arguments);
    emit(level, message_id, message, &entry);
}

/* --- events in words --- */

static char *append(char *at, char *end, const char *format, ...) __attribute__((format(printf, 3, 4)));
static char *append(char *at, char *end, const char *format, ...) {
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(at, (size_t)(end - at), format, arguments);
    va_end(arguments);
    return length < end - at ? at + length : end - 1;
}

static char *put_worker(char *at, char *end, const Event *event) {
    return append(at, end, "worker %s (number %u, pid %d, uid %u)", event->name, event->worker,
                  (int)event->pid, (unsigned)event->uid);
}

static const char *sequence_of(const Event *event, char text[static SEQUENCE_TEXT_MAX]) {
    return sequence_format(event->client, event->slot, event->generation, text);
}

static char *put_exchange(char *at, char *end, const Event *event) {
    char sequence[SEQUENCE_TEXT_MAX];

    return append(at, end, "exchange %s", sequence_of(event, sequence));
}

static void say_worker(const Event *event, char *at, char *end) {
    char duration[UNITS_TEXT_MAX];

    at = put_worker(at, end, event);
    switch ((int)event->kind) {
    case EVENT_WORKER_ATTACHED:
        append(at, end, " attached");
        break;
    case EVENT_WORKER_DETACHED:
        append(at, end, " left after %s", duration_format(event->duration_ns, duration));
        break;
    case EVENT_WORKER_DIED:
        append(at, end, "%s after %s", event->ok ? " ended while it was leaving" : " died",
               duration_format(event->duration_ns, duration));
        break;
    default:
        append(at, end, "%s: %s",
               event->ok ? " was killed" : " should be killed, but this host may not signal it", event->text);
        break;
    }
}

static void say_client(const Event *event, char *at, char *end) {
    at = append(at, end, "client %" PRIu64 " (%s, pid %d, uid %u)", event->client, event->name,
                (int)event->pid, (unsigned)event->uid);
    append(at, end, event->kind == EVENT_CLIENT_ATTACHED ? " attached" : " went");
}

static char *put_peer(char *at, char *end, const Event *event, const char *what) {
    return append(at, end, "peer %s (pid %d, uid %u) %s: ", event->name[0] ? event->name : "without a name",
                  (int)event->pid, (unsigned)event->uid, what);
}

static void say_peer(const Event *event, char *at, char *end) {
    const char *what = event->kind == EVENT_CLIENT_REFUSED
                           ? "was refused"
                           : "was disconnected, because it sent or did what it must not";

    at = put_peer(at, end, event, what);
    append(at, end, "%s", event->text);
}

static void say_redelivered(const Event *event, char *at, char *end) {
    at = put_exchange(at, end, event);
    at = append(at, end, " goes to another worker after attempt %u: ", event->attempt);
    at = put_worker(at, end, event);
    append(at, end, " died");
}

static void say_parked(const Event *event, char *at, char *end) {
    char size[UNITS_TEXT_MAX], sequence[SEQUENCE_TEXT_MAX];

    at = put_exchange(at, end, event);
    at = append(at, end, " of uid %u (%s, pid %d), %s, is%s parked: %s", (unsigned)event->uid, event->name,
                (int)event->pid, size_format(event->request_bytes, size),
                event->kind == EVENT_EXCHANGE_PARKED ? "" : " not", event->text);
    if (event->kind == EVENT_EXCHANGE_PARKED)
        append(at, end, "; see `shmipc parked show %s`", sequence_of(event, sequence));
}

static void say_user(const Event *event, char *at, char *end) {
    char duration[UNITS_TEXT_MAX];

    at = append(at, end, "user %u is ", (unsigned)event->uid);
    if (event->ok)
        append(at, end, "heard again");
    else
        append(at, end,
               "refused for %s: as many workers have died within a minute at its requests as `max_deaths` "
               "allows",
               duration_format(event->duration_ns, duration));
}

static void say_health(const Event *event, char *at, char *end) {
    char duration[UNITS_TEXT_MAX];

    at = append(at, end, "%s: %s", event->ok ? "healthy" : "not healthy", event->text);
    if (event->ok)
        append(at, end, " in %s", duration_format(event->duration_ns, duration));
}

static void say_text(const Event *event, char *at, char *end) {
    static const char *const intros[_EVENT_N] = {
        [EVENT_LIMIT] = "limit reached: ",
        [EVENT_CAPACITY] = "",
        [EVENT_HUGE_PAGES] = "",
        [EVENT_TAKEN_UP] = "",
        [EVENT_HOST_MISSING] = "waiting for the host: ",
        [EVENT_HOST_REFUSED] = "the host refuses this worker: ",
        [EVENT_PLAIN_PEER] = "plain wire: ",
    };

    at = append(at, end, "%s", intros[event->kind] ? intros[event->kind] : "");
    if (event->kind == EVENT_LIMIT && event->pid)
        at = put_peer(at, end, event, "was refused");
    append(at, end, "%s", event->text);
}

static void say_host(const Event *event, char *at, char *end) {
    if (event->kind == EVENT_HOST_ATTACHED)
        append(at, end, "attached to the host as worker number %u", event->worker);
    else
        append(at, end, "lost the host; trying again");
}

static void say_first(const Event *event, char *at, char *end) {
    char size[UNITS_TEXT_MAX];

    append(at, end, "first exchange with client %" PRIu64 " of uid %u, %s", event->client,
           (unsigned)event->uid, size_format(event->request_bytes, size));
}

static void say_end(const Event *event, char *at, char *end) {
    char sizes[2][UNITS_TEXT_MAX], duration[UNITS_TEXT_MAX];

    at = put_exchange(at, end, event);
    at = append(at, end, " of uid %u, %s in", (unsigned)event->uid,
                size_format(event->request_bytes, sizes[0]));
    if (event->kind == EVENT_EXCHANGE_DONE)
        at = append(at, end, ", %s out, done in %s", size_format(event->response_bytes, sizes[1]),
                    duration_format(event->duration_ns, duration));
    else
        at = append(at, end, ", failed after %s: %s", duration_format(event->duration_ns, duration),
                    event->text);
    if (event->kind == EVENT_EXCHANGE_FAILED && event->status > 0)
        append(at, end, " (exit status %d)", event->status);
    else if (event->kind == EVENT_EXCHANGE_FAILED && event->status < 0)
        append(at, end, " (signal %d)", -event->status);
}

static void say_dropped(const Event *event, char *at, char *end) {
    at = append(at, end, "message about ");
    at = put_exchange(at, end, event);
    append(at, end, " dropped: %s", event->text);
}

static void say_untold(const Event *event, char *at, char *end) {
    append(at, end, "%" PRIu64 " event%s came faster than they could be logged", event->n_similar,
           event->n_similar == 1 ? "" : "s");
}

/* One row an event: how loud, for whom, in which words. */
static const struct {
    int level;
    const char *message_id;
    void (*say)(const Event *event, char *at, char *end);
} kinds[_EVENT_N] = {
    [EVENT_WORKER_ATTACHED] = {LOG_INFO, MESSAGE_ID_WORKER_ATTACHED, say_worker},
    [EVENT_WORKER_DETACHED] = {LOG_INFO, NULL, say_worker},
    [EVENT_WORKER_DIED] = {LOG_WARNING, MESSAGE_ID_WORKER_DIED, say_worker},
    [EVENT_WORKER_KILLED] = {LOG_ERR, MESSAGE_ID_WORKER_KILLED, say_worker},
    [EVENT_CLIENT_ATTACHED] = {LOG_DEBUG, NULL, say_client},
    [EVENT_CLIENT_DETACHED] = {LOG_DEBUG, NULL, say_client},
    [EVENT_CLIENT_REFUSED] = {LOG_WARNING, MESSAGE_ID_CLIENT_REFUSED, say_peer},
    [EVENT_PEER_MISBEHAVED] = {LOG_WARNING, MESSAGE_ID_PEER_MISBEHAVED, say_peer},
    [EVENT_EXCHANGE_REDELIVERED] = {LOG_WARNING, MESSAGE_ID_EXCHANGE_REDELIVERED, say_redelivered},
    [EVENT_EXCHANGE_PARKED] = {LOG_WARNING, MESSAGE_ID_EXCHANGE_PARKED, say_parked},
    [EVENT_EXCHANGE_NOT_PARKED] = {LOG_ERR, MESSAGE_ID_LIMIT_REACHED, say_parked},
    [EVENT_USER_REFUSED] = {LOG_ERR, MESSAGE_ID_USER_REFUSED, say_user},
    [EVENT_HEALTH] = {LOG_WARNING, MESSAGE_ID_HEALTH_CHANGED, say_health},
    [EVENT_LIMIT] = {LOG_ERR, MESSAGE_ID_LIMIT_REACHED, say_text},
    [EVENT_CAPACITY] = {LOG_WARNING, MESSAGE_ID_CAPACITY, say_text},
    [EVENT_HUGE_PAGES] = {LOG_WARNING, NULL, say_text},
    [EVENT_TAKEN_UP] = {LOG_WARNING, MESSAGE_ID_TAKEN_UP, say_text},
    [EVENT_HOST_MISSING] = {LOG_INFO, NULL, say_text},
    [EVENT_HOST_ATTACHED] = {LOG_INFO, MESSAGE_ID_HOST_ATTACHED, say_host},
    [EVENT_HOST_LOST] = {LOG_WARNING, MESSAGE_ID_HOST_LOST, say_host},
    [EVENT_HOST_REFUSED] = {LOG_ERR, NULL, say_text},
    [EVENT_FIRST_EXCHANGE] = {LOG_INFO, NULL, say_first},
    [EVENT_EXCHANGE_DONE] = {LOG_INFO, NULL, say_end},
    [EVENT_EXCHANGE_FAILED] = {LOG_WARNING, MESSAGE_ID_EXCHANGE_FAILED, say_end},
    [EVENT_EXCHANGE_DROPPED] = {LOG_DEBUG, NULL, say_dropped},
    [EVENT_PLAIN_PEER] = {LOG_WARNING, MESSAGE_ID_PEER_MISBEHAVED, say_text},
    [EVENT_UNTOLD] = {LOG_WARNING, NULL, say_untold},
};

/* How loud it is if it is `ok`, where that makes a difference. */
static const int levels_if_ok[_EVENT_N] = {
    [EVENT_WORKER_DIED] = LOG_INFO,
    [EVENT_USER_REFUSED] = LOG_INFO,
    [EVENT_HEALTH] = LOG_INFO,
    [EVENT_CAPACITY] = LOG_INFO,
    [EVENT_HUGE_PAGES] = LOG_INFO,
    [EVENT_TAKEN_UP] = LOG_INFO,
    [EVENT_EXCHANGE_DONE] = LOG_DEBUG, /* not slow */
    [EVENT_EXCHANGE_FAILED] = LOG_INFO, /* cancelled */
};

static int level_of(const Event *event) {
    int if_ok = event->ok ? levels_if_ok[event->kind] : 0;

    return if_ok ? if_ok : kinds[event->kind].level;
}

static void add_event_fields(Entry *entry, const Event *event) {
    char sequence[SEQUENCE_TEXT_MAX];

    if (event->client)
        add_field(entry, "SHMIPC_CLIENT", "%" PRIu64, event->client);
    if (event->client && event->generation)
        add_field(entry, "SHMIPC_SEQUENCE", "%s", sequence_of(event, sequence));
    if (event->worker)
        add_field(entry, "SHMIPC_WORKER", "%u", event->worker);
    if (event->client || event->pid || event->kind == EVENT_USER_REFUSED)
        add_field(entry, "SHMIPC_UID", "%u", (unsigned)event->uid);
    if (event->pid)
        add_field(entry, "SHMIPC_PID", "%d", (int)event->pid);
    if (event->kind >= EVENT_FIRST_EXCHANGE && event->kind <= EVENT_EXCHANGE_FAILED)
        add_field(entry, "PAYLOAD_SIZE", "%" PRIu64, event->request_bytes);
    if (event->kind == EVENT_EXCHANGE_DONE)
        add_field(entry, "RESPONSE_SIZE", "%" PRIu64, event->response_bytes);
    if (event->duration_ns)
        add_field(entry, "SHMIPC_DURATION_USEC", "%" PRIu64, event->duration_ns / NS_PER_US);
    if (event->reason)
        add_field(entry, "SHMIPC_REASON", "%s", reason_name(event->reason));
}

static void say_similar(const Event *event, char *at, char *end) {
    if (event->kind != EVENT_UNTOLD && event->n_similar)
        append(at, end, " (and %" PRIu64 " more like this)", event->n_similar);
}

void log_event(const Event *event) {
    char text[FIELD_BYTES - 16] = "";
    Entry entry = {.n = 0};
    int level = level_of(event);

    if (level > log_level)
        return;
    kinds[event->kind].say(event, text, text + sizeof(text));
    say_similar(event, text + strlen(text), text + sizeof(text));
    add_event_fields(&entry, event);
    emit(level, kinds[event->kind].message_id, text, &entry);
}
