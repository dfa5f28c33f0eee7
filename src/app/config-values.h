/* SPDX-License-Identifier: MIT */
/*
 * Values: from what the file says to the field of a Group
 */
#pragma once

#include "app/config-faults.h"
#include "app/config-settings.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum ValueType {
    VALUE_NUMBER,
    VALUE_STRING,
    VALUE_LIST,
    VALUE_GROUP,
    VALUE_OTHER,
} ValueType;

#define SCALAR_TEXT_MAX 32

/* Of a list, or of a group. */
typedef struct Element {
    const char *name; /* of a member of a group, or NULL */
    const char
        *string; /* a string; in a group also a number, or true or false, in words; NULL: something else */
    unsigned line;
    char scalar[SCALAR_TEXT_MAX]; /* for `string` */
} Element;

/* What a file says, without the library that read it. */
typedef struct Value {
    ValueType type;
    const char *type_text; /* "a string" */
    Place place;
    bool is_default; /* written by nobody: names that this machine does not have are left out */
    long long number;
    const char *string;
    Element *elements; /* of a list or group */
    size_t n_elements;
} Value;

/**
 * value_store() - check a value and store it
 *
 * What is not allowed is a fault and leaves the field alone.
 * Return: 0 or negative errno.
 */
int value_store(const Setting *setting, const Value *value, Group *group, Faults *faults);

/** instance_name_is_valid() - 1 to SETTINGS_NAME_MAX of letters, digits, "_" and "-". */
bool instance_name_is_valid(const char *name);

/** group_resolve() - put this machine's numbers where the file says "auto". */
void group_resolve(Group *group);

void group_deinit(Group *group);
