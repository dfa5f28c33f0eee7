/* SPDX-License-Identifier: MIT */
#include "app/config-values.h"

#include "base/error.h"
#include "base/units.h"
#include "core/spin.h"
#include "os/limits.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#define OBJECT_NAME_MAX 255 /* with its slash; what both mq_open() and shm_open() take */

/* One value on its way into one field. */
typedef struct Store {
    const Setting *setting;
    const Value *value;
    void *field;
    Faults *faults;
} Store;

/* The one sentence for everything that is not allowed. */
static int store_refuse(const Store *store, unsigned line, const char *what, const Suggestion *suggestion) {
    char allowed[SETTING_TEXT_MAX], like[SETTING_TEXT_MAX], meant[SUGGESTION_TEXT_MAX] = "";
    const Place place = {.file = store->value->place.file, .line = line};

    if (suggestion)
        suggestion_text(suggestion, meant);
    return faults_add(store->faults, place, "%s: %s is not allowed; it can be %s%s%s", store->setting->name,
                      what, setting_allowed(store->setting, allowed), setting_like(store->setting, like),
                      meant);
}

static int store_refuse_string(const Store *store, const Suggestion *suggestion) {
    char quoted[QUOTED_TEXT_MAX];

    return store_refuse(store, store->value->place.line, text_quoted(store->value->string, quoted),
                        suggestion);
}

static int store_refuse_element(const Store *store, const Element *element) {
    char quoted[QUOTED_TEXT_MAX];
    const char *what =
        element->string ? text_quoted(element->string, quoted) : "what is not a string in quotes";

    return store_refuse(store, element->line, what, NULL);
}

static int store_refuse_member(const Store *store, const Element *element) {
    char what[QUOTED_TEXT_MAX + 32];

    snprintf(what, sizeof(what), "a group or list as `%.*s`", QUOTED_TEXT_MAX, element->name);
    return store_refuse(store, element->line, what, NULL);
}

/*
 * The word's value, if it is one that is known; a fault otherwise. Return: whether it is, or negative errno.
 */
static int choice_take(const Store *store, int *ret_value) {
    Suggestion suggestion = {.word = store->value->string};
    const Choice *choice = setting_choice(store->setting, store->value->string, strlen(store->value->string));
    int r;

    if (choice) {
        *ret_value = choice->value;
        return true;
    }
    for (choice = store->setting->choices; choice->word; choice++)
        suggestion_consider(&suggestion, choice->word);
    r = store_refuse_string(store, &suggestion);
    return r < 0 ? r : false;
}

static int store_choice(const Store *store) {
    int r = choice_take(store, store->field);

    return r < 0 ? r : 0;
}

/* The number, if it is in range; a fault otherwise. Return: whether it is, or negative errno. */
static int number_take(const Store *store, long long *ret_number) {
    long long number = store->value->number;
    char text[32];
    int r;

    if (number >= strtoll(store->setting->min, NULL, 10) &&
        number <= strtoll(store->setting->max, NULL, 10)) {
        *ret_number = number;
        return true;
    }
    snprintf(text, sizeof(text), "%lld", number);
    r = store_refuse(store, store->value->place.line, text, NULL);
    return r < 0 ? r : false;
}

static int store_integer(const Store *store) {
    long long number;
    int r = number_take(store, &number);

    if (r > 0)
        *(uint32_t *)store->field = (uint32_t)number;
    return r < 0 ? r : 0;
}

static int store_spin(const Store *store) {
    long long number;
    int word, r;

    if (store->value->type == VALUE_STRING) {
        r = choice_take(store, &word);
        if (r > 0)
            *(uint64_t *)store->field = word == SPIN_WORD_ALWAYS ? SPIN_ALWAYS : SPIN_AUTO;
        return r < 0 ? r : 0;
    }
    r = number_take(store, &number);
    if (r > 0)
        *(uint64_t *)store->field = (uint64_t)number * NS_PER_US;
    return r < 0 ? r : 0;
}

/* Sizes and durations: only what reads their units differs. */
static int store_range(const Store *store, int (*parse)(const char *text, uint64_t *ret)) {
    const Setting *setting = store->setting;
    const char *string = store->value->string;
    uint64_t number = 0, min = 0, max = 0;
    bool is_word = setting->word && strcmp(string, setting->word) == 0;

    if (!is_word && (parse(string, &number) < 0 || parse(setting->min, &min) < 0 ||
                     parse(setting->max, &max) < 0 || number < min || number > max)) {
        Suggestion suggestion = {.word = string};

        if (setting->word)
            suggestion_consider(&suggestion, setting->word);
        return store_refuse_string(store, &suggestion);
    }
    *(uint64_t *)store->field = is_word ? 0 : number;
    return 0;
}

static int store_size(const Store *store) {
    return store_range(store, size_parse);
}

static int store_duration(const Store *store) {
    return store_range(store, duration_parse);
}

static int store_string(const Store *store, bool is_valid) {
    char *string;

    if (!is_valid)
        return store_refuse_string(store, NULL);
    string = strdup(store->value->string);
    if (!string)
        return error_origin(-ENOMEM);
    *(char **)store->field = string;
    return 0;
}

bool instance_name_is_valid(const char *name) {
    size_t bytes = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

    return bytes >= 1 && bytes <= SETTINGS_NAME_MAX && name[bytes] == '\0';
}

static int store_instance_name(const Store *store) {
    return store_string(store, instance_name_is_valid(store->value->string));
}

static bool object_name_is_valid(const char *name) {
    return name[0] == '/' && name[1] && !strchr(name + 1, '/') && strlen(name) <= OBJECT_NAME_MAX &&
           strcmp(name, "/.") != 0 && strcmp(name, "/..") != 0;
}

static int store_object_name(const Store *store) {
    return store_string(store, object_name_is_valid(store->value->string));
}

static bool plugin_is_valid(const char *path) {
    size_t bytes = strspn(path, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

    return path[0] == '/' || (path[0] && path[0] != '.' && path[bytes] == '\0');
}

static int store_plugin(const Store *store) {
    return store_string(store, plugin_is_valid(store->value->string));
}

static void strings_free(char **strings) {
    for (char **string = strings; string && *string; string++)
        free(*string);
    free(strings);
}
DEFINE_CLEANUP(char *, strings_free)

/* A NULL-terminated copy of the elements, or nothing and a fault if one is not valid. */
static int store_strings(const Store *store, bool (*is_valid)(const char *string, size_t i)) {
    const Value *value = store->value;
    _cleanup_(strings_freep) char **strings = calloc(value->n_elements + 1, sizeof(*strings));

    if (!strings)
        return error_origin(-ENOMEM);
    for (size_t i = 0; i < value->n_elements; i++) {
        if (!value->elements[i].string || !is_valid(value->elements[i].string, i))
            return store_refuse_element(store, &value->elements[i]);
        strings[i] = strdup(value->elements[i].string);
        if (!strings[i])
            return error_origin(-ENOMEM);
    }
    *(char ***)store->field = TAKE(strings);
    return 0;
}

/* A program has a name; its arguments may be empty. */
static bool argument_is_valid(const char *string, size_t i) {
    return i > 0 || *string;
}

static int store_command(const Store *store) {
    if (store->value->n_elements == 0)
        return store_refuse(store, store->value->place.line, "an empty list", NULL);
    return store_strings(store, argument_is_valid);
}

static bool variable_is_valid(const char *string, size_t i) {
    size_t bytes = strspn(string, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

    return bytes > 0 && string[bytes] == '=' && !strchr("0123456789", string[0]);
}

static int store_environment(const Store *store) {
    return store_strings(store, variable_is_valid);
}

static void plugin_settings_deinit(PluginSettings *own) {
    for (size_t i = 0; i < own->n; i++) {
        free(own->list[i].key);
        free(own->list[i].value);
    }
    free(own->list);
}

/* Whatever has a name and can be put in words. */
static int store_free(const Store *store) {
    const Value *value = store->value;
    _cleanup_(plugin_settings_deinit) PluginSettings own = {0};

    own.list = calloc(value->n_elements + 1, sizeof(*own.list));
    if (!own.list)
        return error_origin(-ENOMEM);
    for (; own.n < value->n_elements; own.n++) {
        const Element *element = &value->elements[own.n];
        PluginSetting *setting = &own.list[own.n];

        if (!element->string)
            return store_refuse_member(store, element);
        *setting = (PluginSetting){.key = strdup(element->name), .value = strdup(element->string)};
        if (!setting->key || !setting->value)
            return error_origin(-ENOMEM);
    }
    *(PluginSettings *)store->field = own;
    own = (PluginSettings){0};
    return 0;
}

static bool text_is_id(const char *text) {
    return *text && strspn(text, "0123456789") == strlen(text);
}

/* Return: 0; -ERANGE for a number that can be no id: the last one means "none" in system calls. */
static int id_parse(const char *text, uint32_t *ret_id) {
    unsigned long long id;

    errno = 0;
    id = strtoull(text, NULL, 10);
    if (errno || id >= UINT32_MAX)
        return -ERANGE;
    *ret_id = (uint32_t)id;
    return 0;
}

/* Return: 0; -ESRCH for a name that nobody has; -ERANGE. */
static int user_find(const char *name, uint32_t *ret_id) {
    const struct passwd *user;

    if (text_is_id(name))
        return id_parse(name, ret_id);
    user = getpwnam(name);
    if (!user)
        return -ESRCH;
    *ret_id = user->pw_uid;
    return 0;
}

/* Likewise. */
static int group_find(const char *name, uint32_t *ret_id) {
    const struct group *group;

    if (text_is_id(name))
        return id_parse(name, ret_id);
    group = getgrnam(name);
    if (!group)
        return -ESRCH;
    *ret_id = group->gr_gid;
    return 0;
}

static int principals_add(Principals *principals, bool is_group, uint32_t id) {
    uint32_t **ids = is_group ? &principals->gids : &principals->uids;
    size_t *n = is_group ? &principals->n_gids : &principals->n_uids;
    uint32_t *more = reallocarray(*ids, *n + 1, sizeof(*more));

    if (!more)
        return error_origin(-ENOMEM);
    more[(*n)++] = id;
    *ids = more;
    return 0;
}

static int principals_take(const Store *store, Principals *principals, const Element *element) {
    const Place place = {.file = store->value->place.file, .line = element->line};
    const char *name = element->string;
    bool is_group = name && *name == '@';
    char quoted[QUOTED_TEXT_MAX];
    uint32_t id = geteuid();
    int r = 0;

    if (!name || !name[is_group])
        return store_refuse_element(store, element);
    if (strcmp(name, "self") != 0)
        r = is_group ? group_find(name + 1, &id) : user_find(name, &id);
    if (r == -ERANGE)
        return store_refuse_element(store, element);
    if (r == -ESRCH && store->value->is_default)
        return 0;
    if (r == -ESRCH)
        return faults_add(store->faults, place, "%s: this machine has no %s %s", store->setting->name,
                          is_group ? "group" : "user", text_quoted(name + is_group, quoted));
    return principals_add(principals, is_group, id);
}

static void principals_deinit(Principals *principals) {
    free(principals->uids);
    free(principals->gids);
}

static int store_principals(const Store *store) {
    _cleanup_(principals_deinit) Principals principals = {0};
    int r;

    for (size_t i = 0; i < store->value->n_elements; i++) {
        r = principals_take(store, &principals, &store->value->elements[i]);
        if (r < 0)
            return r;
    }
    *(Principals *)store->field = principals;
    principals = (Principals){0};
    return 0;
}

/* Its settings have entries of their own. */
static int store_group(const Store *store) {
    return 0;
}

static const struct {
    ValueType type;
    int (*store)(const Store *store);
} kinds[] = {
    [SETTING_CHOICE] = {VALUE_STRING, store_choice},
    [SETTING_INTEGER] = {VALUE_NUMBER, store_integer},
    [SETTING_SPIN] = {VALUE_NUMBER, store_spin}, /* or a word */
    [SETTING_SIZE] = {VALUE_STRING, store_size},
    [SETTING_DURATION] = {VALUE_STRING, store_duration},
    [SETTING_INSTANCE_NAME] = {VALUE_STRING, store_instance_name},
    [SETTING_OBJECT_NAME] = {VALUE_STRING, store_object_name},
    [SETTING_PLUGIN] = {VALUE_STRING, store_plugin},
    [SETTING_COMMAND] = {VALUE_LIST, store_command},
    [SETTING_ENVIRONMENT] = {VALUE_LIST, store_environment},
    [SETTING_PRINCIPALS] = {VALUE_LIST, store_principals},
    [SETTING_FREE] = {VALUE_GROUP, store_free},
    [SETTING_GROUP] = {VALUE_GROUP, store_group},
};

int value_store(const Setting *setting, const Value *value, Group *group, Faults *faults) {
    const Store store = {
        .setting = setting,
        .value = value,
        .field = (char *)group + setting->offset,
        .faults = faults,
    };

    /* The library has cut a number of this line short: what it says is not what the file says. */
    if (value->type == VALUE_NUMBER && faults_scanned_at(faults, value->place))
        return 0;
    if (value->type != kinds[setting->kind].type &&
        !(setting->kind == SETTING_SPIN && value->type == VALUE_STRING))
        return store_refuse(&store, value->place.line, value->type_text, NULL);
    return kinds[setting->kind].store(&store);
}

/*
 * Half of what there is, in whole bytes; a tmpfs that says no size has none of its own. The limits of
 * workers, who fill the responses, are known to the host when they come.
 */
static uint64_t memory_auto(void) {
    uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    struct statvfs shm;

    if (statvfs("/dev/shm", &shm) == 0 && shm.f_blocks > 0 && shm.f_blocks * shm.f_frsize < bytes)
        bytes = shm.f_blocks * shm.f_frsize;
    if (limits_memory(0) < bytes)
        bytes = limits_memory(0);
    return bytes / 2;
}

void group_resolve(Group *group) {
    group->host.memory_is_auto = group->host.memory == 0;
    if (group->host.memory_is_auto)
        group->host.memory = memory_auto();
}

static void plain_names_deinit(PlainNames *names) {
    free(names->host_queue);
    free(names->worker_queue);
    free(names->segment);
}

void group_deinit(Group *group) {
    free(group->name);
    free(group->file);
    principals_deinit(&group->host.access);
    principals_deinit(&group->host.workers);
    principals_deinit(&group->host.trusted);
    free(group->worker.serves);
    plain_names_deinit(&group->worker.plain);
    plain_names_deinit(&group->worker.handler.plain);
    strings_free(group->worker.handler.command);
    strings_free(group->worker.handler.environment);
    free(group->worker.handler.path);
    plugin_settings_deinit(&group->worker.handler.plugin);
}
