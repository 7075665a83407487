/* SPDX-License-Identifier: Apache-2.0 */
/* From argv to struct args, by the table. */
#include <stdio.h>

#include "base/parse.h"
#include "base/run-options.h"
#include "base/text.h"
#include "gadget/api.h"
#include "gadgetctl/command.h"

#define WORDS_MAX 512

static bool has_name(const struct command *command, const char *name) {
        if (str_eq(command->name, name))
                return true;
        for (size_t i = 0; i < ARRAY_SIZE(command->aliases) && command->aliases[i]; i++)
                if (str_eq(command->aliases[i], name))
                        return true;
        return false;
}

static const struct command *find_by_name(const char *name) {
        for (size_t i = 0; i < n_commands; i++)
                if (has_name(&commands[i], name))
                        return &commands[i];
        return NULL;
}

const struct command *command_find(const char *first, const char *second, size_t *ret_words) {
        const struct command *command;
        char both[256];

        *ret_words = 1;
        command = find_by_name(first);
        if (command || !second || strlen(first) > 100 || strlen(second) > 100)
                return command;
        snprintf(both, sizeof(both), "%.100s %.100s", first, second);
        *ret_words = 2;
        return find_by_name(both);
}

bool command_is_group(const char *word) {
        size_t n = strlen(word);

        for (size_t i = 0; i < n_commands; i++)
                if (strncmp(commands[i].name, word, n) == 0 && commands[i].name[n] == ' ')
                        return true;
        return false;
}

static const struct option_info *find_in(const struct option_info *options, size_t n_options,
                                         const char *name, size_t n_name) {
        for (size_t i = 0; i < n_options; i++)
                if (strlen(options[i].name) == n_name && memcmp(options[i].name, name, n_name) == 0)
                        return &options[i];
        return NULL;
}

const struct option_info *option_find(const struct command *command, const char *name,
                                      size_t n_name) {
        const struct option_info *option = NULL;

        if (command)
                option = find_in(command->options, command->n_options, name, n_name);
        return option ? option : find_in(global_options, n_global_options, name, n_name);
}

const struct option_info *option_find_letter(const struct command *command, char letter) {
        for (size_t i = 0; command && i < command->n_options; i++)
                if (command->options[i].letter == letter)
                        return &command->options[i];
        for (size_t i = 0; i < n_global_options; i++)
                if (global_options[i].letter == letter)
                        return &global_options[i];
        return NULL;
}

const char *option_nearest(const struct command *command, const char *word) {
        const char *names[64];
        size_t n = 0;

        for (size_t i = 0; command && i < command->n_options; i++)
                names[n++] = command->options[i].name;
        for (size_t i = 0; i < n_global_options; i++)
                names[n++] = global_options[i].name;
        return text_nearest(word, names, n);
}

struct parser {
        int argc;
        char *const *argv;
        int at;
        struct args *args;
        struct error *err;
};

#define USAGE(_p, ...) error_set((_p)->err, ERROR_INVALID, -EINVAL, __VA_ARGS__)

static int add_word(struct word_list *list, const char *word) {
        const char **items;

        if (list->n >= WORDS_MAX)
                return -E2BIG;
        items = reallocarray(list->items, list->n + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        list->items = items;
        list->items[list->n++] = word;
        return 0;
}

static int bad_value(struct parser *p, const struct option_info *option, const char *value,
                     const char *what) {
        return error_set(p->err, ERROR_INVALID, -EINVAL, "--%s: '%.100s' is %s", option->name,
                         value, what);
}

static int set_choice(struct parser *p, const struct option_info *option, const char *value,
                      const char **ret) {
        const char *nearest;
        size_t n = 0;

        while (option->choices[n]) {
                if (str_eq(option->choices[n], value)) {
                        *ret = option->choices[n];
                        return 0;
                }
                n++;
        }
        bad_value(p, option, value, "none of");
        for (size_t i = 0; i < n; i++) {
                size_t used = strlen(p->err->msg);

                snprintf(p->err->msg + used, sizeof(p->err->msg) - used, "%s %s", i ? "," : "",
                         option->choices[i]);
        }
        nearest = text_nearest(value, option->choices, n);
        if (nearest)
                error_append(p->err, "did you mean '%s'?", nearest);
        return -EINVAL;
}

static int set_option(struct parser *p, const struct option_info *option, const char *value) {
        void *member = (char *)p->args + option->offset;
        bool on;
        int r;

        switch (option->type) {
        case OPTION_FLAG:
                if (!value) {
                        *(bool *)member = true;
                        return 0;
                }
                if (parse_bool(value, member) < 0)
                        return bad_value(p, option, value, "neither true nor false");
                return 0;
        case OPTION_TEXT:
                *(const char **)member = value;
                return 0;
        case OPTION_CHOICE:
                return set_choice(p, option, value, member);
        case OPTION_DURATION:
                if (parse_duration(value, member) < 0)
                        return bad_value(p, option, value,
                                         "not a time such as 10s, 500ms or 1m30s");
                return 0;
        case OPTION_SIZE:
                if (parse_size(value, member) < 0)
                        return bad_value(p, option, value, "not a size such as 64K or 4M");
                return 0;
        case OPTION_COUNT:
                if (str_eq(value, "all"))
                        *(uint64_t *)member = UINT64_MAX;
                else if (parse_u64(value, 0, UINT64_MAX, member) < 0)
                        return bad_value(p, option, value, "neither a number nor \"all\"");
                return 0;
        case OPTION_LIST:
                r = add_word(member, value);
                return r < 0 ? USAGE(p, "--%s: too many", option->name) : 0;
        case OPTION_SWITCH:
                if (value && strchr(value, ':')) { /* "source:true": the gadget's to judge */
                        *(const char **)member = value;
                        return 0;
                }
                if (parse_bool(value ? value : "true", &on) < 0)
                        return bad_value(p, option, value, "neither true nor false");
                *(const char **)member = on ? "true" : "false";
                return 0;
        }
        return -EINVAL;
}

static bool needs_value(const struct option_info *option) {
        return option->type != OPTION_FLAG && option->type != OPTION_SWITCH;
}

/* The value behind an option: what follows "=", else the next argument. */
static int take_value(struct parser *p, const char *option, const char *given, const char **ret) {
        if (given) {
                *ret = given;
                return 0;
        }
        if (p->at + 1 >= p->argc)
                return USAGE(p, "a value is missing behind %s", option);
        *ret = p->argv[++p->at];
        return 0;
}

static int add_param(struct parser *p, const char *key, size_t n_key, const char *value) {
        struct args *args = p->args;
        struct param *params;
        char **owned, *copy;

        if (args->n_params >= LIMIT_PARAMS_MAX)
                return error_set(p->err, ERROR_LIMIT, -E2BIG, "more than %d parameters",
                                 LIMIT_PARAMS_MAX);
        copy = strndup(key, n_key);
        owned = reallocarray(args->owned, args->n_owned + 1, sizeof(*owned));
        if (owned)
                args->owned = owned;
        params = reallocarray(args->params, args->n_params + 1, sizeof(*params));
        if (params)
                args->params = params;
        if (!copy || !owned || !params) {
                free(copy);
                return error_set(p->err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        }
        args->owned[args->n_owned++] = copy;
        args->params[args->n_params++] = (struct param){ copy, value };
        return 0;
}

/* "-" and "-5" are values, "-o" and "--name" are not. */
static bool is_option(const char *word) {
        return word[0] == '-' && word[1] != '\0' && !(word[1] >= '0' && word[1] <= '9');
}

static int parse_param(struct parser *p, const char *name, const char *equals) {
        const char *value = equals ? equals + 1 : NULL;
        size_t n_name = equals ? (size_t)(equals - name) : strlen(name);

        if (!value && p->at + 1 < p->argc && !is_option(p->argv[p->at + 1]))
                value = p->argv[++p->at];
        return add_param(p, name, n_name, value ? value : "true");
}

static int unknown_option(struct parser *p, const char *word, const char *name) {
        const struct command *command = p->args->command;
        const char *nearest = option_nearest(command, name);

        error_set(p->err, ERROR_INVALID, -EINVAL, "%s%sunknown option '%.100s'",
                  command ? command->name : "", command ? ": " : "", word);
        if (nearest)
                error_append(p->err, "did you mean --%s?", nearest);
        else if (!command)
                error_append(p->err, "options of a command stand behind it");
        return -EINVAL;
}

/* Remembers memory that args_done() frees. */
static int own(struct args *args, char *take_text) {
        char **owned =
                take_text ? reallocarray(args->owned, args->n_owned + 1, sizeof(*owned)) : NULL;

        if (!owned) {
                free(take_text);
                return -ENOMEM;
        }
        args->owned = owned;
        args->owned[args->n_owned++] = take_text;
        return 0;
}

/* "--filter.open TERMS" is what "--filter open:TERMS" is. 1 = it is none of these. */
static int parse_for_source(struct parser *p, const char *word, const char *equals) {
        const char *name = word + 2, *dot = strchr(name, '.'), *value = NULL;
        cleanup_free char *key = dot ? strndup(name, (size_t)(dot - name)) : NULL, *source = NULL;
        size_t n_source = dot ? strcspn(dot + 1, "=") : 0;
        enum run_option option;
        char *text;
        int r;

        if (!key || n_source == 0 || !run_option_from_key(key, &option) ||
            option == RUN_OPTION_IFACE || !option_find(p->args->command, key, strlen(key)))
                return 1;
        if (option == RUN_OPTION_KEEP)
                value = equals ? equals + 1 : "true";
        r = value ? 0 : take_value(p, word, equals ? equals + 1 : NULL, &value);
        if (r < 0)
                return r;
        source = strndup(dot + 1, n_source);
        text = source ? run_option_for(option, p->args->run_options[option], source, value) : NULL;
        if (own(p->args, text) < 0)
                return error_set(p->err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        p->args->run_options[option] = text;
        return 0;
}

static int parse_long(struct parser *p, const char *word) {
        const char *name = word + 2, *equals = strchr(name, '='), *value = NULL;
        size_t n_name = equals ? (size_t)(equals - name) : strlen(name);
        const struct option_info *option = option_find(p->args->command, name, n_name);
        int r;

        if (!option) {
                cleanup_free char *plain = strndup(name, n_name);

                r = parse_for_source(p, word, equals);
                if (r <= 0)
                        return r;

                if (p->args->command && p->args->command->takes_params)
                        return parse_param(p, name, equals);
                return unknown_option(p, word, plain ? plain : "");
        }
        if (!needs_value(option))
                return set_option(p, option, equals ? equals + 1 : NULL);
        r = take_value(p, word, equals ? equals + 1 : NULL, &value);
        return r < 0 ? r : set_option(p, option, value);
}

/* "-o json", "-ojson", "-dq". */
static int parse_short(struct parser *p, const char *word) {
        for (const char *c = word + 1; *c; c++) {
                const struct option_info *option = option_find_letter(p->args->command, *c);
                const char *value = NULL;
                int r;

                if (!option)
                        return unknown_option(p, word, word + 1);
                if (!needs_value(option)) {
                        r = set_option(p, option, NULL);
                        if (r < 0)
                                return r;
                        continue;
                }
                r = take_value(p, word, c[1] ? c + 1 : NULL, &value);
                return r < 0 ? r : set_option(p, option, value);
        }
        return 0;
}

static int unknown_command(struct parser *p, const char *first, const char *second) {
        const char *names[64], *nearest;
        char word[256];
        size_t n = 0;

        if (command_is_group(first) && !second)
                return USAGE(p, "%s: a second word is missing, such as list or inspect", first);
        snprintf(word, sizeof(word), "%.100s%s%.100s", first, command_is_group(first) ? " " : "",
                 command_is_group(first) ? second : "");
        for (size_t i = 0; i < n_commands; i++) {
                names[n++] = commands[i].name;
                for (size_t k = 0; k < ARRAY_SIZE(commands[i].aliases) && commands[i].aliases[k];
                     k++)
                        names[n++] = commands[i].aliases[k];
        }
        nearest = text_nearest(word, names, n);
        error_set(p->err, ERROR_INVALID, -EINVAL, "unknown command '%s'", word);
        if (nearest)
                error_append(p->err, "did you mean '%s'?", nearest);
        return -EINVAL;
}

/* A word in command position. */
static int parse_command(struct parser *p) {
        const char *first = p->argv[p->at];
        const char *second = p->at + 1 < p->argc ? p->argv[p->at + 1] : NULL;
        size_t n_words;

        if (second && is_option(second))
                second = NULL;
        p->args->command = command_find(first, second, &n_words);
        if (p->args->command) {
                p->at += (int)n_words - 1;
                return 0;
        }
        /* "gadgetctl image --help" and "gadgetctl help image" show the group. */
        if (command_is_group(first) && !second)
                return add_word(&p->args->words, first);
        return unknown_command(p, first, second);
}

static int check_words(struct parser *p) {
        const struct args *args = p->args;
        const struct command *command = args->command;

        if (args->help || !command)
                return 0;
        if (args->words.n < command->words_min) {
                error_set(p->err, ERROR_INVALID, -EINVAL, "%s: %s is missing", command->name,
                          command->arguments);
                if (args->n_params > 0)
                        error_append(p->err,
                                     "'%.60s' was taken as the value of --%.60s: write "
                                     "--%.60s=VALUE, or the image first",
                                     args->params[args->n_params - 1].value,
                                     args->params[args->n_params - 1].key,
                                     args->params[args->n_params - 1].key);
                return -EINVAL;
        }
        if (args->words.n > command->words_max)
                return error_set(p->err, ERROR_INVALID, -EINVAL, "%s: unexpected argument '%.100s'",
                                 command->name, args->words.items[command->words_max]);
        return 0;
}

int args_parse(int argc, char *const *argv, struct args *ret, struct error *err) {
        struct parser p = { .argc = argc, .argv = argv, .at = 1, .args = ret, .err = err };
        bool only_words = false;
        int r = 0;

        *ret = (struct args){ .root = "" };
        for (; p.at < argc && r == 0; p.at++) {
                const char *word = argv[p.at];

                if (!only_words && str_eq(word, "--"))
                        only_words = true;
                else if (!only_words && word[0] == '-' && word[1] == '-')
                        r = parse_long(&p, word);
                else if (!only_words && is_option(word))
                        r = parse_short(&p, word);
                else if (!ret->command && ret->words.n == 0)
                        r = parse_command(&p);
                else
                        r = add_word(&ret->words, word);
        }
        if (r == 0)
                r = check_words(&p);
        return r;
}

void args_done(struct args *args) {
        for (size_t i = 0; i < args->n_owned; i++)
                free(args->owned[i]);
        free(args->owned);
        free(args->params);
        free(args->words.items);
        free(args->annotations.items);
        free(args->platforms.items);
        free(args->cflags.items);
        free(args->keys.items);
        *args = (struct args){ 0 };
}

enum output_format output_format_of(const struct args *args, enum output_format otherwise) {
        if (!args->output)
                return otherwise;
        if (str_eq(args->output, "json"))
                return FORMAT_JSON;
        if (str_eq(args->output, "jsonpretty"))
                return FORMAT_JSONPRETTY;
        if (str_eq(args->output, "yaml"))
                return FORMAT_YAML;
        return FORMAT_TABLE;
}
