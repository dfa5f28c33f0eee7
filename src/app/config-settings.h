/* SPDX-License-Identifier: MIT */
/*
 * The table of all settings
 *
 * A setting exists because it has an entry here: name, place, kind, default, range and meaning. The parser,
 * the texts of `shmipc check`, the sample file and the manual page are all made of it. Defaults and ranges
 * are written as in the file, so that what people read is what is parsed.
 */
#pragma once

#include "app/config.h"

#include <stddef.h>
#include <stdint.h>

/* Where a setting may stand: a group in one of the first three places, its `handler` in one of the others. */
#define IN_HOST           (1u << 0)
#define IN_WORKER_SLOTS   (1u << 1)
#define IN_WORKER_PLAIN   (1u << 2)
#define IN_HANDLER_ECHO   (1u << 3)
#define IN_HANDLER_EXEC   (1u << 4)
#define IN_HANDLER_PLAIN  (1u << 5)
#define IN_HANDLER_PLUGIN (1u << 6)
#define IN_WORKER         (IN_WORKER_SLOTS | IN_WORKER_PLAIN)
#define IN_INSTANCE       (IN_HOST | IN_WORKER)
#define IN_HANDLER        (IN_HANDLER_ECHO | IN_HANDLER_EXEC | IN_HANDLER_PLUGIN | IN_HANDLER_PLAIN)

/* One group of the file, parsed. Offsets in the table are into this. */
typedef struct Group {
    char *name;
    char *file;
    unsigned line;
    int role; /* Role */
    int log_level;
    HostSettings host;
    WorkerSettings worker;
} Group;

/* What stands in the file, and in the Group. */
typedef enum SettingKind {
    SETTING_CHOICE,        /* one of some words: int or enum */
    SETTING_INTEGER,       /* a number: uint32_t */
    SETTING_SPIN,          /* a number of microseconds, or a word: uint64_t as spin_begin() takes it */
    SETTING_SIZE,          /* "64M": uint64_t bytes */
    SETTING_DURATION,      /* "5min": uint64_t nanoseconds */
    SETTING_INSTANCE_NAME, /* "host": char * */
    SETTING_OBJECT_NAME,   /* "/name": char * */
    SETTING_PLUGIN,        /* "zstd" or "/a/path": char * */
    SETTING_COMMAND,       /* ["sha256sum", "-b"]: char ** */
    SETTING_ENVIRONMENT,   /* ["NAME=value"]: char ** */
    SETTING_PRINCIPALS,    /* ["root", "@staff"]: Principals */
    SETTING_FREE,          /* { ... } of what only somebody else knows: PluginSettings */
    SETTING_GROUP,         /* { ... }: settings of their own */
} SettingKind;

/* The words of a SETTING_SPIN. */
enum { SPIN_WORD_AUTO, SPIN_WORD_ALWAYS };

/* A word that a setting can have, and the places that are then meant. */
typedef struct Choice {
    const char *word;
    int value;
    unsigned where;
} Choice;

typedef struct Setting {
    const char *name;
    unsigned where;
    SettingKind kind;
    size_t offset;         /* of its field in a Group */
    const char *fallback;  /* default; NULL: it must be given */
    const char *example;   /* where the default is none or shows little */
    const char *min, *max; /* of numbers, sizes, durations */
    const char *word;      /* taken instead of a size or duration, for the value 0 */
    const Choice *choices; /* ends with a NULL word */
    const char *help;
} Setting;

extern const Setting settings[];
extern const size_t n_settings;

/** setting_find() - Return: the setting of this name that may stand in one of @where, or NULL. */
const Setting *setting_find(const char *name, unsigned where);

/** setting_places() - all of @where that settings of this name may stand in. */
unsigned setting_places(const char *name, unsigned where);

/** setting_choice() - Return: the choice of the word that is the first @bytes of @word, or NULL. */
const Choice *setting_choice(const Setting *setting, const char *word, size_t bytes);

/** setting_default_choice() - Return: the choice that is the default, or NULL if it must be given. */
const Choice *setting_default_choice(const Setting *setting);

/** setting_example() - an example, or the default where that is one, as written in the file. */
const char *setting_example(const Setting *setting);

#define SETTING_TEXT_MAX 256

/** setting_allowed() - what it can be: "a size from \"4K\" to \"1T\"". Return: @buffer. */
const char *setting_allowed(const Setting *setting, char buffer[static SETTING_TEXT_MAX]);

/** setting_like() - ", like 256", or "" where what is allowed is its own example. Return: @buffer. */
const char *setting_like(const Setting *setting, char buffer[static SETTING_TEXT_MAX]);

/** places_text() - where: "a worker with wire = \"plain\"". Return: @buffer. */
const char *places_text(unsigned where, char buffer[static SETTING_TEXT_MAX]);
