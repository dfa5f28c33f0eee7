/* SPDX-License-Identifier: MIT */
#include "app/config-settings.h"

#include <stdio.h>
#include <string.h>

static const Choice spins[] = {
    {.word = "auto", .value = SPIN_WORD_AUTO},
    {.word = "always", .value = SPIN_WORD_ALWAYS},
    {0},
};

static const Choice roles[] = {
    {"host", ROLE_HOST, IN_HOST},
    {"worker", ROLE_WORKER, IN_WORKER},
    {NULL, 0, 0},
};

/* The numbers are those of syslog(3). */
static const Choice log_levels[] = {
    {"err", 3, IN_INSTANCE},  {"warning", 4, IN_INSTANCE}, {"notice", 5, IN_INSTANCE},
    {"info", 6, IN_INSTANCE}, {"debug", 7, IN_INSTANCE},   {NULL, 0, 0},
};

static const Choice huge_pages[] = {
    {"never", HUGE_NEVER, IN_HOST},
    {"auto", HUGE_AUTO, IN_HOST},
    {"always", HUGE_ALWAYS, IN_HOST},
    {NULL, 0, 0},
};

static const Choice wires[] = {
    {"slots", WIRE_SLOTS, IN_WORKER_SLOTS},
    {"plain", WIRE_PLAIN, IN_WORKER_PLAIN},
    {NULL, 0, 0},
};

static const Choice handler_types[] = {
    {"echo", HANDLER_ECHO, IN_HANDLER_ECHO},
    {"exec", HANDLER_EXEC, IN_HANDLER_EXEC},
    {"plugin", HANDLER_PLUGIN, IN_HANDLER_PLUGIN},
    {"plain", HANDLER_PLAIN, IN_HANDLER_PLAIN},
    {NULL, 0, 0},
};

#define FIELD(field) .offset = offsetof(Group, field)

/* In the order in which people read them. */
const Setting settings[] = {
    {
        .name = "role",
        .where = IN_INSTANCE,
        .kind = SETTING_CHOICE,
        FIELD(role),
        .example = "\"worker\"",
        .choices = roles,
        .help = "What the instance is: a host owns the socket, the queues and the memory that clients and "
                "workers meet in; a worker answers the requests of a host.",
    },
    {
        .name = "log_level",
        .where = IN_INSTANCE,
        .kind = SETTING_CHOICE,
        FIELD(log_level),
        .fallback = "\"info\"",
        .choices = log_levels,
        .help = "How much is logged. Single exchanges are logged at \"debug\", payloads never.",
    },

    /* host */
    {
        .name = "max_payload",
        .where = IN_HOST,
        .kind = SETTING_SIZE,
        FIELD(host.max_payload),
        .fallback = "\"8G\"",
        .min = "4K",
        .max = "1T",
        .help = "The largest request or response. It costs address space, not memory.",
    },
    {
        .name = "memory",
        .where = IN_HOST,
        .kind = SETTING_SIZE,
        FIELD(host.memory),
        .fallback = "\"auto\"",
        .example = "\"4G\"",
        .min = "4K",
        .max = "64T",
        .word = "auto",
        .help = "The budget for all payloads that are in shared memory at one time, and for the copies that "
                "workers make of the requests of those who are not trusted. \"auto\" is half of the "
                "machine's memory, of the size of /dev/shm or of what the control groups of the host and "
                "of its workers allow (MemoryMax= of a unit), whichever is least.",
    },
    {
        .name = "memory_idle",
        .where = IN_HOST,
        .kind = SETTING_DURATION,
        FIELD(host.memory_idle_ns),
        .fallback = "\"1min\"",
        .min = "100ms",
        .max = "24h",
        .word = "never",
        .help = "How long shared memory that a client does not use is kept for its next request. Where "
                "memory is wanting it is given back at once.",
    },
    {
        .name = "huge_pages",
        .where = IN_HOST,
        .kind = SETTING_CHOICE,
        FIELD(host.huge_pages),
        .fallback = "\"auto\"",
        .choices = huge_pages,
        .help = "Whether shared memory is made of pages of 2 MiB, which are there sooner and are gone "
                "through faster than those of 4 KiB. \"auto\" has each 2 MiB that a payload fills in one; "
                "\"always\" all, so that the smallest payload takes 2 MiB of `memory`. Where the kernel "
                "has none to give, small ones are used; what is in use is logged at the start and shown by "
                "`shmipc status`. It counts for clients that attach from now on.",
    },
    {
        .name = "max_clients",
        .where = IN_HOST,
        .kind = SETTING_INTEGER,
        FIELD(host.max_clients),
        .fallback = "256",
        .min = "1",
        .max = "65535",
        .help = "How many clients can be connected at a time.",
    },
    {
        .name = "requests_per_client",
        .where = IN_HOST,
        .kind = SETTING_INTEGER,
        FIELD(host.requests_per_client),
        .fallback = "16",
        .min = "1",
        .max = "1024",
        .help = "How many requests of one client can be in flight at a time.",
    },
    {
        .name = "user_share",
        .where = IN_HOST,
        .kind = SETTING_INTEGER,
        FIELD(host.user_share),
        .fallback = "50",
        .min = "1",
        .max = "100",
        .help = "How many percent of each of the host's limits one user can have: of its clients, "
                "connections, memory, message queues and descriptors. Root and the host's own user can have "
                "all of them.",
    },
    {
        .name = "queue_depth",
        .where = IN_HOST,
        .kind = SETTING_INTEGER,
        FIELD(host.queue_depth),
        .fallback = "10",
        .min = "1",
        .max = "65536",
        .help = "How many messages fit into one message queue. The kernel must allow it: a value over "
                "fs.mqueue.msg_max (10 unless raised) keeps the host from starting. Requests beyond it "
                "wait with their clients.",
    },
    {
        .name = "attempts",
        .where = IN_HOST,
        .kind = SETTING_INTEGER,
        FIELD(host.attempts),
        .fallback = "2",
        .min = "1",
        .max = "15",
        .help = "How many workers are given a request, one after the other, when the one that handles it "
                "dies. With 1 a request is never handled twice.",
    },
    {
        .name = "max_deaths",
        .where = IN_HOST,
        .kind = SETTING_INTEGER,
        FIELD(host.max_deaths),
        .fallback = "3",
        .min = "0",
        .max = "16",
        .help =
            "How many workers may die within a minute while they handle requests of one user. Then the user "
            "is refused for a minute, so that the workers are there for others. A worker that somebody kills "
            "at work counts, too. With 0 nobody is refused.",
    },
    {
        .name = "parked",
        .where = IN_HOST,
        .kind = SETTING_SIZE,
        FIELD(host.parked),
        .fallback = "\"256M\"",
        .min = "0",
        .max = "1T",
        .help =
            "How much room on disk the requests can have that their workers did not survive. They are kept "
            "in "
            "the host's state folder (/var/lib/shmipc) until `shmipc parked` retries or drops them; when the "
            "room is used up, new ones are not kept. With \"0\" none is.",
    },
    {
        .name = "access",
        .where = IN_HOST,
        .kind = SETTING_PRINCIPALS,
        FIELD(host.access),
        .fallback = "[\"root\", \"self\", \"@" SHMIPC_USER "\"]",
        .example = "[\"root\", \"@users\"]",
        .help = "Who may be a client.",
    },
    {
        .name = "workers",
        .where = IN_HOST,
        .kind = SETTING_PRINCIPALS,
        FIELD(host.workers),
        .fallback = "[\"root\", \"self\"]",
        .help = "Who may be a worker. Workers can read the requests of all clients.",
    },
    {
        .name = "trusted",
        .where = IN_HOST,
        .kind = SETTING_PRINCIPALS,
        FIELD(host.trusted),
        .fallback = "[\"root\", \"self\"]",
        .help = "Whose requests are handled in place, without a copy. A trusted client can disturb the "
                "handling of its own requests by changing them meanwhile.",
    },
    {
        .name = "health_interval",
        .where = IN_HOST,
        .kind = SETTING_DURATION,
        FIELD(host.health_interval_ns),
        .fallback = "\"30s\"",
        .min = "1s",
        .max = "1h",
        .word = "never",
        .help = "The time between two probes of the host's own through its workers.",
    },

    /* worker */
    {
        .name = "serves",
        .where = IN_WORKER_SLOTS,
        .kind = SETTING_INSTANCE_NAME,
        FIELD(worker.serves),
        .fallback = "\"host\"",
        .help = "The host whose requests this worker answers.",
    },
    {
        .name = "timeout",
        .where = IN_WORKER,
        .kind = SETTING_DURATION,
        FIELD(worker.timeout_ns),
        .fallback = "\"5min\"",
        .min = "1ms",
        .max = "24h",
        .help = "How long the handler may work on one request before it is stopped and the request fails.",
    },
    {
        .name = "poll_us",
        .where = IN_WORKER_SLOTS,
        .kind = SETTING_SPIN,
        FIELD(worker.poll_ns),
        .fallback = "\"auto\"",
        .choices = spins,
        .min = "0",
        .max = "1000000",
        .help =
            "How many microseconds the worker polls its clients' shared memory after an answer before it "
            "sleeps: "
            "then an exchange takes no system call. \"auto\" is as long as waking up takes, and rarely where "
            "nothing comes of it; 0 is never; \"always\" never sleeps and uses up a processor.",
    },
    {
        .name = "wire",
        .where = IN_WORKER,
        .kind = SETTING_CHOICE,
        FIELD(worker.wire),
        .fallback = "\"slots\"",
        .choices = wires,
        .help = "How the worker's host speaks: \"slots\" is a host of shmipc, \"plain\" a program that "
                "makes two queues and a segment with the names below.",
    },
    {
        .name = "host_queue",
        .where = IN_WORKER_PLAIN,
        .kind = SETTING_OBJECT_NAME,
        FIELD(worker.plain.host_queue),
        .fallback = "\"/mq_queue_host\"",
        .help = "The queue on which that host sends.",
    },
    {
        .name = "worker_queue",
        .where = IN_WORKER_PLAIN,
        .kind = SETTING_OBJECT_NAME,
        FIELD(worker.plain.worker_queue),
        .fallback = "\"/mq_queue_worker\"",
        .help = "The queue on which the worker answers.",
    },
    {
        .name = "segment",
        .where = IN_WORKER_PLAIN,
        .kind = SETTING_OBJECT_NAME,
        FIELD(worker.plain.segment),
        .fallback = "\"/sm_services\"",
        .help = "The shared memory that holds the payload.",
    },
    {
        .name = "handler",
        .where = IN_WORKER,
        .kind = SETTING_GROUP,
        FIELD(worker.handler),
        .fallback = "{ type = \"echo\"; }",
        .help = "What makes a response of a request.",
    },

    /* handler */
    {
        .name = "type",
        .where = IN_HANDLER,
        .kind = SETTING_CHOICE,
        FIELD(worker.handler.type),
        .example = "\"echo\"",
        .choices = handler_types,
        .help = "\"echo\" answers with the request itself; \"exec\" runs a command with the request on "
                "its standard input, whose standard output is the response; \"plugin\" calls a shared "
                "object that was made for this; \"plain\" passes the request on to a worker that speaks "
                "the plain wire.",
    },
    {
        .name = "command",
        .where = IN_HANDLER_EXEC,
        .kind = SETTING_COMMAND,
        FIELD(worker.handler.command),
        .example = "[\"sha256sum\"]",
        .help = "The program, looked up in PATH, and its arguments. No shell is involved unless it is the "
                "program, as in [\"sh\", \"-c\", \"sort | uniq\"].",
    },
    {
        .name = "environment",
        .where = IN_HANDLER_EXEC,
        .kind = SETTING_ENVIRONMENT,
        FIELD(worker.handler.environment),
        .fallback = "[]",
        .example = "[\"LC_ALL=C\"]",
        .help = "Environment variables for the command, besides the worker's own.",
    },
    {
        .name = "path",
        .where = IN_HANDLER_PLUGIN,
        .kind = SETTING_PLUGIN,
        FIELD(worker.handler.path),
        .example = "\"zstd\"",
        .help = "The name of a plugin in the plugin folder, or a file. An instance whose plugin cannot be "
                "loaded, or does not take its settings, ends with exit status 78.",
    },
    {
        .name = "settings",
        .where = IN_HANDLER_PLUGIN,
        .kind = SETTING_FREE,
        FIELD(worker.handler.plugin),
        .fallback = "{}",
        .example = "{ mode = \"compress\"; level = 19; }",
        .help = "Settings of the plugin's own, which refuses those that it does not know.",
    },
    {
        .name = "max_response",
        .where = IN_HANDLER_EXEC | IN_HANDLER_PLUGIN | IN_HANDLER_PLAIN,
        .kind = SETTING_SIZE,
        FIELD(worker.handler.max_response),
        .fallback = "\"host\"",
        .example = "\"64M\"",
        .min = "1",
        .max = "1T",
        .word = "host",
        .help = "The largest response that is taken; \"host\" is as much as the host allows.",
    },
    {
        .name = "max_stderr",
        .where = IN_HANDLER_EXEC,
        .kind = SETTING_SIZE,
        FIELD(worker.handler.max_stderr),
        .fallback = "\"4K\"",
        .min = "0",
        .max = "64K",
        .help =
            "How much of the end of the command's standard error is kept for the caller of a failed request.",
    },
    {
        .name = "host_queue",
        .where = IN_HANDLER_PLAIN,
        .kind = SETTING_OBJECT_NAME,
        FIELD(worker.handler.plain.host_queue),
        .fallback = "\"/mq_queue_host\"",
        .help = "The queue on which that worker is sent requests.",
    },
    {
        .name = "worker_queue",
        .where = IN_HANDLER_PLAIN,
        .kind = SETTING_OBJECT_NAME,
        FIELD(worker.handler.plain.worker_queue),
        .fallback = "\"/mq_queue_worker\"",
        .help = "The queue on which it answers.",
    },
    {
        .name = "segment",
        .where = IN_HANDLER_PLAIN,
        .kind = SETTING_OBJECT_NAME,
        FIELD(worker.handler.plain.segment),
        .fallback = "\"/sm_services\"",
        .help = "The shared memory that holds the payload.",
    },
};
const size_t n_settings = ELEMENTS(settings);

const Setting *setting_find(const char *name, unsigned where) {
    for (size_t i = 0; i < n_settings; i++)
        if ((settings[i].where & where) && strcmp(settings[i].name, name) == 0)
            return &settings[i];
    return NULL;
}

unsigned setting_places(const char *name, unsigned where) {
    unsigned places = 0;

    for (size_t i = 0; i < n_settings; i++)
        if (strcmp(settings[i].name, name) == 0)
            places |= settings[i].where & where;
    return places;
}

const Choice *setting_choice(const Setting *setting, const char *word, size_t bytes) {
    for (const Choice *choice = setting->choices; choice->word; choice++)
        if (strlen(choice->word) == bytes && memcmp(choice->word, word, bytes) == 0)
            return choice;
    return NULL;
}

const Choice *setting_default_choice(const Setting *setting) {
    const char *quoted = setting->fallback;

    return quoted ? setting_choice(setting, quoted + 1, strlen(quoted) - 2) : NULL;
}

const char *setting_example(const Setting *setting) {
    return setting->example ? setting->example : setting->fallback;
}

static void choices_text(const Choice *choices, char buffer[static SETTING_TEXT_MAX]) {
    size_t n = 0;

    for (const Choice *choice = choices; choice->word; choice++) {
        const char *before = choice == choices ? "" : choice[1].word ? ", " : " or ";

        n += (size_t)snprintf(buffer + n, SETTING_TEXT_MAX - n, "%s\"%s\"", before, choice->word);
    }
}

static void range_text(const Setting *setting, char buffer[static SETTING_TEXT_MAX]) {
    const char *kind = setting->kind == SETTING_SIZE ? "a size" : "a duration";
    int n;

    n = snprintf(buffer, SETTING_TEXT_MAX, "%s from \"%s\" to \"%s\"", kind, setting->min, setting->max);
    if (setting->word)
        snprintf(buffer + n, SETTING_TEXT_MAX - (size_t)n, ", or \"%s\"", setting->word);
}

static void number_text(const Setting *setting, char buffer[static SETTING_TEXT_MAX]) {
    char words[SETTING_TEXT_MAX];
    int n = snprintf(buffer, SETTING_TEXT_MAX, "a whole number from %s to %s", setting->min, setting->max);

    if (setting->choices) {
        choices_text(setting->choices, words);
        snprintf(buffer + n, SETTING_TEXT_MAX - (size_t)n, ", %s", words);
    }
}

const char *setting_allowed(const Setting *setting, char buffer[static SETTING_TEXT_MAX]) {
    static const char *const texts[] = {
        [SETTING_INSTANCE_NAME] = "the name of an instance: 1 to 32 letters, digits, \"_\" and \"-\"",
        [SETTING_OBJECT_NAME] = "\"/\" and then 1 to 254 characters without another \"/\"",
        [SETTING_PLUGIN] = "a name of letters, digits, \".\", \"_\" and \"-\", or an absolute path",
        [SETTING_COMMAND] = "a list of strings, at least one",
        [SETTING_ENVIRONMENT] = "a list of \"NAME=value\"",
        [SETTING_PRINCIPALS] = "a list of users (\"nobody\", \"65534\"), groups (\"@users\", \"@100\") and "
                               "\"self\", the host's own user",
        [SETTING_FREE] = "a group of strings, numbers, true and false",
        [SETTING_GROUP] = "a group of settings",
    };

    if (setting->kind == SETTING_CHOICE)
        choices_text(setting->choices, buffer);
    else if (setting->kind == SETTING_SIZE || setting->kind == SETTING_DURATION)
        range_text(setting, buffer);
    else if (setting->kind != SETTING_INTEGER && setting->kind != SETTING_SPIN)
        snprintf(buffer, SETTING_TEXT_MAX, "%s", texts[setting->kind]);
    else
        number_text(setting, buffer);
    return buffer;
}

const char *setting_like(const Setting *setting, char buffer[static SETTING_TEXT_MAX]) {
    buffer[0] = '\0';
    if (!setting->choices)
        snprintf(buffer, SETTING_TEXT_MAX, ", like %s", setting_example(setting));
    return buffer;
}

const char *places_text(unsigned where, char buffer[static SETTING_TEXT_MAX]) {
    static const struct {
        unsigned where;
        const char *text;
    } places[] = {
        {IN_HOST, "a host"},
        {IN_WORKER, "a worker"},
        {IN_WORKER_SLOTS, "a worker with wire = \"slots\""},
        {IN_WORKER_PLAIN, "a worker with wire = \"plain\""},
        {IN_HANDLER, "a handler"},
        {IN_HANDLER_ECHO, "a handler of type \"echo\""},
        {IN_HANDLER_EXEC, "a handler of type \"exec\""},
        {IN_HANDLER_PLUGIN, "a handler of type \"plugin\""},
        {IN_HANDLER_PLAIN, "a handler of type \"plain\""},
    };
    size_t n = 0;

    buffer[0] = '\0';
    for (size_t i = 0; i < ELEMENTS(places); i++) {
        if ((places[i].where & where) != places[i].where)
            continue;
        n += (size_t)snprintf(buffer + n, SETTING_TEXT_MAX - n, "%s%s", n ? " or " : "", places[i].text);
        where &= ~places[i].where;
    }
    return buffer;
}
