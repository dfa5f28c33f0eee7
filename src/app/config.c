/* SPDX-License-Identifier: MIT */
/*
 * From libconfig's tree to Groups
 *
 * Every group is read by the table of settings (config-settings.c): each entry that may stand there is taken
 * from the file or from its default, both by the same way, and whatever else the file has is a fault. Where
 * the file leaves open what a group is (no role, a role that does not exist), everything that could be right
 * is taken for right, so that one fault does not make others.
 */
#include "app/config.h"

#include "app/config-faults.h"
#include "app/config-scan.h"
#include "app/config-settings.h"
#include "app/config-values.h"
#include "base/error.h"

#include <libconfig.h>
#include <stdio.h>
#include <string.h>

struct Config {
    char *path;
    char *folder; /* of the file; includes are relative to it */
    bool is_builtin;
    uint64_t changed_ns;
    Faults faults;
    Group *groups;
    size_t n_groups;
    const config_setting_t *root; /* of the tree, while there is one */
};

static const char builtin[] = "host: { role = \"host\"; };\n"
                              "worker: { role = \"worker\"; };\n";

/* The library's names begin with config_, as ours do. */
typedef config_t Tree;
typedef config_setting_t Node;

#define FILE_NAME_MAX 4096

static Place node_place(const Config *config, const Node *node, char file[static FILE_NAME_MAX]) {
    const char *included = config_setting_source_file(node);

    if (!included)
        return (Place){.file = config->path, .line = config_setting_source_line(node)};
    snprintf(file, FILE_NAME_MAX, "%s/%s", config->folder, included);
    return (Place){.file = file, .line = config_setting_source_line(node)};
}

static const struct {
    ValueType type;
    const char *text;
} value_types[] = {
    [CONFIG_TYPE_NONE] = {VALUE_OTHER, "nothing"},
    [CONFIG_TYPE_GROUP] = {VALUE_GROUP, "a group"},
    [CONFIG_TYPE_INT] = {VALUE_NUMBER, "a number without quotes"},
    [CONFIG_TYPE_INT64] = {VALUE_NUMBER, "a number without quotes"},
    [CONFIG_TYPE_FLOAT] = {VALUE_OTHER, "a number with a point"},
    [CONFIG_TYPE_STRING] = {VALUE_STRING, "a string in quotes"},
    [CONFIG_TYPE_BOOL] = {VALUE_OTHER, "true or false"},
    [CONFIG_TYPE_ARRAY] = {VALUE_LIST, "a list"},
    [CONFIG_TYPE_LIST] = {VALUE_LIST, "a list"},
};

static void value_deinit(Value *value) {
    free(value->elements);
}

/* A number, or true or false, as text. Return: @buffer, or NULL if it is something else. */
static const char *scalar_text(const Node *node, char buffer[static SCALAR_TEXT_MAX]) {
    switch (config_setting_type(node)) {
    case CONFIG_TYPE_INT:
        snprintf(buffer, SCALAR_TEXT_MAX, "%d", config_setting_get_int(node));
        return buffer;
    case CONFIG_TYPE_INT64:
        snprintf(buffer, SCALAR_TEXT_MAX, "%lld", config_setting_get_int64(node));
        return buffer;
    case CONFIG_TYPE_FLOAT:
        /* As many digits as always come from what people write. */
        snprintf(buffer, SCALAR_TEXT_MAX, "%.15g", config_setting_get_float(node));
        return buffer;
    case CONFIG_TYPE_BOOL:
        return config_setting_get_bool(node) ? "true" : "false";
    default:
        return NULL;
    }
}

static int value_take_elements(Value *value, const Node *node) {
    size_t n = (size_t)config_setting_length(node);

    value->elements = calloc(n ? n : 1, sizeof(*value->elements));
    if (!value->elements)
        return error_origin(-ENOMEM);
    for (value->n_elements = 0; value->n_elements < n; value->n_elements++) {
        const Node *of = config_setting_get_elem(node, (unsigned)value->n_elements);
        Element *element = &value->elements[value->n_elements];

        element->name = config_setting_name(of);
        element->string = config_setting_get_string(of);
        element->line = config_setting_source_line(of);
        if (!element->string && value->type == VALUE_GROUP)
            element->string = scalar_text(of, element->scalar);
    }
    return 0;
}

/* A Value for value_store(). What it points to belongs to the tree. */
static int value_take(Value *value, const Node *node) {
    int type = config_setting_type(node);

    value->type = value_types[type].type;
    value->type_text = value_types[type].text;
    if (value->type == VALUE_NUMBER)
        value->number =
            type == CONFIG_TYPE_INT ? config_setting_get_int(node) : config_setting_get_int64(node);
    else if (value->type == VALUE_STRING)
        value->string = config_setting_get_string(node);
    else if (value->type == VALUE_LIST || value->type == VALUE_GROUP)
        return value_take_elements(value, node);
    return 0;
}

static int group_take(Config *config, Group *group, const Node *node, unsigned level, bool is_default);

static bool node_has_role(const Node *group, const char *role) {
    const char *text = NULL;

    return config_setting_is_group(group) && config_setting_lookup_string(group, "role", &text) &&
           strcmp(text, role) == 0;
}

/* A worker serves a host. One that this file does not have may have a file of its own. */
static int reference_check(Config *config, const Setting *setting, const char *name, const Place *place) {
    Suggestion suggestion = {.word = name};
    char quoted[QUOTED_TEXT_MAX], meant[SUGGESTION_TEXT_MAX];
    const Node *group = config_setting_get_member(config->root, name);

    if (!group || !node_has_role(group, "worker"))
        return 0;
    for (unsigned i = 0; i < (unsigned)config_setting_length(config->root); i++) {
        const Node *other = config_setting_get_elem(config->root, i);

        if (node_has_role(other, "host"))
            suggestion_consider(&suggestion, config_setting_name(other));
    }
    return faults_add(&config->faults, *place, "%s: %s is not a host%s", setting->name,
                      text_quoted(name, quoted), suggestion_text(&suggestion, meant));
}

static int setting_take(Config *config, Group *group, const Setting *setting, const Node *node,
                        const Place *place, bool is_default) {
    _cleanup_(value_deinit) Value value = {.place = *place, .is_default = is_default};
    int r = value_take(&value, node);

    if (r == 0)
        r = value_store(setting, &value, group, &config->faults);
    if (r < 0)
        return r;
    if (setting->kind == SETTING_GROUP && value.type == VALUE_GROUP)
        return group_take(config, group, node, IN_HANDLER, is_default);
    if (setting->kind == SETTING_INSTANCE_NAME && value.type == VALUE_STRING)
        return reference_check(config, setting, value.string, place);
    return 0;
}

/* Where the library got no memory it goes on: without a name, or without a text. */
static bool tree_is_whole(const Node *node) {
    bool is_group = config_setting_is_group(node);

    if (config_setting_type(node) == CONFIG_TYPE_STRING)
        return config_setting_get_string(node) != NULL;
    for (int i = 0; i < config_setting_length(node); i++) {
        const Node *member = config_setting_get_elem(node, (unsigned)i);

        if (!tree_is_whole(member) || (is_group && !config_setting_name(member)))
            return false;
    }
    return true;
}

/* What nobody has written goes the same way. */
static int setting_take_default(Config *config, Group *group, const Setting *setting, const Place *place) {
    _cleanup_(config_destroy) Tree tree;
    _cleanup_free_ char *text = NULL;
    const Node *node;

    config_init(&tree);
    if (asprintf(&text, "%s = %s;", setting->name, setting->fallback) < 0)
        return error_origin(-ENOMEM);
    if (!config_read_string(&tree, text))
        return error_origin(-EINVAL);
    node = config_lookup(&tree, setting->name);
    if (!node || !tree_is_whole(node))
        return error_origin(-ENOMEM);
    return setting_take(config, group, setting, node, place, true);
}

static unsigned choices_places(const Choice *choices) {
    unsigned where = 0;

    for (const Choice *choice = choices; choice->word; choice++)
        where |= choice->where;
    return where;
}

/* Where a group stands, as far as its own choices say: of @level, each choice leaves its own places. */
static unsigned node_places(const Node *node, unsigned level) {
    unsigned here = level;

    for (size_t i = 0; i < n_settings; i++) {
        const Setting *setting = &settings[i];
        const Node *member = config_setting_get_member(node, setting->name);
        const char *word = member ? config_setting_get_string(member) : NULL;
        const Choice *choice = NULL;

        if (!(setting->where & level) || setting->kind != SETTING_CHOICE)
            continue;
        if (!member)
            choice = setting_default_choice(setting);
        else if (word)
            choice = setting_choice(setting, word, strlen(word));
        if (choice)
            here &= choice->where | ~choices_places(setting->choices);
    }
    return here;
}

static int setting_take_absent(Config *config, Group *group, const Setting *setting, const Node *node,
                               unsigned here) {
    char file[FILE_NAME_MAX], allowed[SETTING_TEXT_MAX], like[SETTING_TEXT_MAX];
    const Place place = node_place(config, node, file);

    if (setting->fallback)
        return setting_take_default(config, group, setting, &place);
    if (here & ~setting->where)
        return 0;
    return faults_add(&config->faults, place, "%s has no %s; it can be %s%s", config_setting_name(node),
                      setting->name, setting_allowed(setting, allowed), setting_like(setting, like));
}

/* Which worker or which handler does not matter for what none of them has. */
static unsigned places_widened(unsigned here) {
    if (here & IN_WORKER)
        here |= IN_WORKER;
    return here & IN_HANDLER ? IN_HANDLER : here;
}

#define NAMES_TEXT_MAX 512

/* All settings that may stand @here. */
static const char *names_text(unsigned here, char buffer[static NAMES_TEXT_MAX]) {
    const char *before = "";
    size_t n = 0;

    for (size_t i = 0; i < n_settings && n < NAMES_TEXT_MAX; i++) {
        if (!(settings[i].where & here))
            continue;
        n += (size_t)snprintf(buffer + n, NAMES_TEXT_MAX - n, "%s%s", before, settings[i].name);
        before = ", ";
    }
    return buffer;
}

static int refuse_unknown(Config *config, const char *name, const Place *place, unsigned here) {
    char quoted[QUOTED_TEXT_MAX], meant[SUGGESTION_TEXT_MAX];
    char here_text[SETTING_TEXT_MAX], names[NAMES_TEXT_MAX];
    Suggestion suggestion = {.word = name};

    text_quoted(name, quoted);
    places_text(here, here_text);
    for (size_t i = 0; i < n_settings; i++)
        if (settings[i].where & here)
            suggestion_consider(&suggestion, settings[i].name);
    if (suggestion.nearest)
        return faults_add(&config->faults, *place, "%s is not a setting of %s%s", quoted, here_text,
                          suggestion_text(&suggestion, meant));
    return faults_add(&config->faults, *place, "%s is not a setting of %s; its settings are %s", quoted,
                      here_text, names_text(here, names));
}

/* A setting that stands where it cannot: it may be one of another place, or none at all. */
static int member_refuse(Config *config, const char *name, const Place *place, unsigned here) {
    char there_text[SETTING_TEXT_MAX], here_text[SETTING_TEXT_MAX];
    unsigned there = setting_places(name, places_widened(here));

    if (!there) {
        here = places_widened(here);
        there = setting_places(name, ~0u);
    }
    if (!there)
        return refuse_unknown(config, name, place, here);
    return faults_add(&config->faults, *place, "%s is a setting of %s, and this is %s", name,
                      places_text(there, there_text), places_text(here, here_text));
}

static int member_take(Config *config, Group *group, const Node *node, unsigned here, bool is_default) {
    char file[FILE_NAME_MAX];
    const Place place = node_place(config, node, file);
    const char *name = config_setting_name(node);
    const Setting *setting = setting_find(name, here);

    return setting ? setting_take(config, group, setting, node, &place, is_default)
                   : member_refuse(config, name, &place, here);
}

/* @level: where the group stands; @is_default: nobody has written it. */
static int group_take(Config *config, Group *group, const Node *node, unsigned level, bool is_default) {
    unsigned here = node_places(node, level);
    int r = 0;

    for (size_t i = 0; i < n_settings && r == 0; i++)
        if ((settings[i].where & here) && !config_setting_get_member(node, settings[i].name))
            r = setting_take_absent(config, group, &settings[i], node, here);
    for (int i = 0; i < config_setting_length(node) && r == 0; i++)
        r = member_take(config, group, config_setting_get_elem(node, (unsigned)i), here, is_default);
    return r;
}

static bool names_are_same(const char *a, const char *b) {
    return a && b && strcmp(a, b) == 0;
}

/* Two ends that use one queue would each take what is meant for the other. */
static int group_check_plain(Config *config, const Group *group) {
    const PlainNames *wire = &group->worker.plain, *handler = &group->worker.handler.plain;
    const char *const queues[] = {wire->host_queue, wire->worker_queue, handler->host_queue,
                                  handler->worker_queue};
    const Place place = {.file = group->file, .line = group->line};
    char quoted[QUOTED_TEXT_MAX];

    for (size_t i = 0; i < ELEMENTS(queues); i++)
        for (size_t j = 0; j < i; j++)
            if (names_are_same(queues[i], queues[j]))
                return faults_add(&config->faults, place,
                                  "%s uses the queue %s for two things; each needs a queue of its own",
                                  group->name, text_quoted(queues[i], quoted));
    if (names_are_same(wire->segment, handler->segment))
        return faults_add(&config->faults, place,
                          "%s uses the segment %s on its wire and in its handler; each needs its own",
                          group->name, text_quoted(wire->segment, quoted));
    return 0;
}

/* Room for one more, named. Return: NULL when there is no memory. */
static Group *groups_add(Config *config, const char *name, const Place *place) {
    Group *groups = reallocarray(config->groups, config->n_groups + 1, sizeof(*groups));
    Group *group;

    if (!groups)
        return NULL;
    config->groups = groups;
    group = &groups[config->n_groups++];
    *group = (Group){.name = strdup(name), .file = strdup(place->file), .line = place->line};
    return group->name && group->file ? group : NULL;
}

static int root_refuse(Config *config, const Node *node, const Place *place) {
    const char *name = config_setting_name(node);
    char quoted[QUOTED_TEXT_MAX], where[SETTING_TEXT_MAX];
    unsigned places = setting_places(name, ~0u);

    if (places)
        return faults_add(&config->faults, *place, "%s stands outside of the groups; it is a setting of %s",
                          name, places_text(places, where));
    return faults_add(&config->faults, *place,
                      "%s is not a group; an instance reads NAME: { role = \"worker\"; };",
                      text_quoted(name, quoted));
}

static int root_take(Config *config, const Node *node) {
    char file[FILE_NAME_MAX], quoted[QUOTED_TEXT_MAX];
    const Place place = node_place(config, node, file);
    const char *name = config_setting_name(node);
    Group *group;
    int r;

    if (!config_setting_is_group(node))
        return root_refuse(config, node, &place);
    if (!instance_name_is_valid(name))
        return faults_add(&config->faults, place,
                          "%s cannot name an instance; it can be 1 to %d letters, digits, \"_\" and \"-\"",
                          text_quoted(name, quoted), SETTINGS_NAME_MAX);
    group = groups_add(config, name, &place);
    if (!group)
        return error_origin(-ENOMEM);
    r = group_take(config, group, node, IN_INSTANCE, false);
    if (r == 0)
        r = group_check_plain(config, group);
    if (r == 0)
        group_resolve(group);
    return r;
}

/* A line of the file, for a fault in it. Return: @buffer, empty if the file is another one. */
static const char *tree_error_line(const Tree *tree, const char *text, char buffer[static QUOTED_TEXT_MAX]) {
    _cleanup_free_ char *line = NULL;

    buffer[0] = '\0';
    if (config_error_file(tree))
        return buffer;
    for (int i = 1; i < config_error_line(tree); i++)
        text += strcspn(text, "\n") + (strchr(text, '\n') != NULL);
    text += strspn(text, " \t");
    line = strndup(text, strcspn(text, "\r\n"));
    return line ? text_quoted(line, buffer) : buffer;
}

/* The library's words in ours. */
static const char *tree_problem(const char *text) {
    static const struct {
        const char *library, *ours;
    } problems[] = {
        {"syntax error",
         "syntax error here or just before (settings read NAME = VALUE; groups NAME: { ... };)"},
        {"duplicate setting name", "a name is here for the second time"},
        {"mismatched element type in array", "the elements of a list are of different kinds"},
        {"memory exhausted", "groups or lists are nested too deep"},
    };

    for (size_t i = 0; i < ELEMENTS(problems); i++)
        if (strcmp(problems[i].library, text) == 0)
            return problems[i].ours;
    return text;
}

static int refuse_tree(Config *config, const Tree *tree, const char *text) {
    char file[FILE_NAME_MAX], line[QUOTED_TEXT_MAX];
    Place place = {.file = config->path, .line = (unsigned)config_error_line(tree)};

    if (config_error_file(tree)) {
        snprintf(file, sizeof(file), "%s/%s", config->folder, config_error_file(tree));
        place.file = file;
    }
    tree_error_line(tree, text, line);
    return faults_add(&config->faults, place, "%s%s%s", tree_problem(config_error_text(tree)),
                      *line ? ": " : "", line);
}

static int config_parse(Config *config, const char *text) {
    _cleanup_(config_destroy) Tree tree;
    int r = 0;

    config_init(&tree);
    config_set_include_dir(&tree, config->folder);
    if (!config_read_string(&tree, text))
        return refuse_tree(config, &tree, text);
    if (!tree_is_whole(config_root_setting(&tree)))
        return error_origin(-ENOMEM);

    config->root = config_root_setting(&tree);
    for (int i = 0; i < config_setting_length(config->root) && r == 0; i++)
        r = root_take(config, config_setting_get_elem(config->root, (unsigned)i));
    if (r == 0 && config_setting_length(config->root) == 0)
        r = faults_add(&config->faults, (Place){.file = config->path},
                       "there is no instance in it; one reads NAME: { role = \"host\"; };");
    config->root = NULL;
    return r;
}

static void config_clear_groups(Config *config) {
    for (size_t i = 0; i < config->n_groups; i++)
        group_deinit(&config->groups[i]);
    free(config->groups);
    config->groups = NULL;
    config->n_groups = 0;
}

Config *config_free(Config *config) {
    if (!config)
        return NULL;
    config_clear_groups(config);
    faults_deinit(&config->faults);
    free(config->path);
    free(config->folder);
    free(config);
    return NULL;
}

static int config_new(Config **ret, const char *path) {
    _cleanup_(config_freep) Config *config = calloc(1, sizeof(*config));
    const char *slash = strrchr(path, '/');

    if (!config)
        return error_origin(-ENOMEM);
    config->path = strdup(path);
    config->folder = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
    if (!config->path || !config->folder)
        return error_origin(-ENOMEM);
    *ret = TAKE(config);
    return 0;
}

/* The file's text, or what stands in for it. Return: 0, CONFIG_FAULTY, or negative errno. */
static int config_read_text(Config *config, bool must_exist, char **ret_text) {
    int r = config_scan(config->path, config->folder, &config->faults, ret_text, &config->changed_ns);

    if (r == SCAN_UNREADABLE)
        return CONFIG_FAULTY;
    if (r != -ENOENT)
        return r;
    if (must_exist) {
        r = faults_add(&config->faults, (Place){.file = config->path}, "cannot be read: %s",
                       strerror(ENOENT));
        return r < 0 ? r : CONFIG_FAULTY;
    }
    config->is_builtin = true;
    *ret_text = strdup(builtin);
    return *ret_text ? 0 : error_origin(-ENOMEM);
}

int config_load(Config **ret, const char *path) {
    _cleanup_(config_freep) Config *config = NULL;
    _cleanup_free_ char *text = NULL;
    int r = config_new(&config, path ? path : SHMIPC_CONFIG_FILE);

    if (r == 0)
        r = config_read_text(config, path, &text);
    if (r == 0)
        r = config_parse(config, text);
    if (r < 0)
        return r;
    if (config->faults.n > 0)
        config_clear_groups(config);
    r = config->faults.n > 0 ? CONFIG_FAULTY : 0;
    *ret = TAKE(config);
    return r;
}

const char *config_path(const Config *config) {
    return config->path;
}

bool config_is_builtin(const Config *config) {
    return config->is_builtin;
}

uint64_t config_changed_ns(const Config *config) {
    return config->changed_ns;
}

size_t config_faults(const Config *config, const ConfigFault **ret_faults) {
    *ret_faults = config->faults.list;
    return config->faults.n;
}

size_t config_count(const Config *config) {
    return config->n_groups;
}

void config_at(const Config *config, size_t i, Instance *ret) {
    const Group *group = &config->groups[i];

    *ret = (Instance){
        .role = (Role)group->role,
        .log_level = group->log_level,
        .host = group->role == ROLE_HOST ? &group->host : NULL,
        .worker = group->role == ROLE_WORKER ? &group->worker : NULL,
    };
    snprintf(ret->name, sizeof(ret->name), "%s", group->name);
}

/* How much of a name is the name of a group, if it is a copy's: "worker-2" is one, "worker-1", "worker-02"
 * and "worker-x" are not. */
static size_t copy_base_bytes(const char *name) {
    const char *dash = strrchr(name, '-');
    const char *number = dash ? dash + 1 : "";
    size_t digits = strspn(number, "0123456789");

    if (digits == 0 || number[digits] || number[0] == '0' || strcmp(number, "1") == 0)
        return 0;
    return (size_t)(dash - name);
}

static bool config_find(const Config *config, const char *name, size_t bytes, Instance *ret) {
    for (size_t i = 0; i < config->n_groups; i++) {
        if (strlen(config->groups[i].name) != bytes || memcmp(config->groups[i].name, name, bytes) != 0)
            continue;
        config_at(config, i, ret);
        return true;
    }
    return false;
}

int config_instance(const Config *config, const char *name, Instance *ret) {
    Instance instance;

    if (!instance_name_is_valid(name))
        return CONFIG_NO_INSTANCE;
    if (!config_find(config, name, strlen(name), &instance)) {
        if (!config_find(config, name, copy_base_bytes(name), &instance) || instance.role != ROLE_WORKER)
            return CONFIG_NO_INSTANCE;
        snprintf(instance.name, sizeof(instance.name), "%s", name);
    }
    *ret = instance;
    return 0;
}

const char *config_explain_missing(const Config *config, const char *name, char *buffer, size_t bytes) {
    Suggestion suggestion = {.word = name};
    char quoted[QUOTED_TEXT_MAX], meant[SUGGESTION_TEXT_MAX];
    size_t n;

    for (size_t i = 0; i < config->n_groups; i++)
        suggestion_consider(&suggestion, config->groups[i].name);
    n = (size_t)snprintf(buffer, bytes, "%s has no instance %s%s; it has", config->path,
                         text_quoted(name, quoted), suggestion_text(&suggestion, meant));
    for (size_t i = 0; i < config->n_groups && n < bytes; i++)
        n += (size_t)snprintf(buffer + n, bytes - n, "%s %s", i ? "," : "", config->groups[i].name);
    return buffer;
}
