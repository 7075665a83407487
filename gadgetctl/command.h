/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What gadgetctl can do: one table of commands and their options. Parsing, --help, the man pages
 * and the shells' completion all come from it, so that they cannot disagree.
 */
#pragma once

#include "base/error.h"
#include "gadget/run-options.h"

enum exit_code {
        EXIT_OK = 0,
        EXIT_FAILED = 1, /* the gadget or the request failed */
        EXIT_USAGE = 2,
        EXIT_UNREACHABLE = 3, /* no gadgetd */
        EXIT_DENIED = 4,
};

enum output_format { FORMAT_TABLE, FORMAT_JSON, FORMAT_JSONPRETTY, FORMAT_YAML };

struct word_list {
        const char **items;
        size_t n;
};

/* A parameter of the gadget: --KEY VALUE. */
struct param {
        const char *key;
        const char *value;
};

/* Everything that any command line can say. Texts are borrowed from argv, but keys of --KEY=VALUE.
 */
struct args {
        const struct command *command;
        struct word_list words; /* what is no option */

        const char *root; /* "" = none */
        const char *socket;
        bool help;

        const char *output;
        const char *fields;
        const char *record;                       /* file; NULL = none */
        const char *run_options[_RUN_OPTION_MAX]; /* NULL = not given */
        const char *name;
        uint64_t timeout_ns;
        uint64_t tail;
        uint64_t ring_size;
        bool detach;
        bool host;
        bool watch;
        bool containers; /* no process of the host, also without a selection */
        /* Selections, as in struct req_instance_run. */
        const char *container_name;
        const char *container_runtime;
        const char *container_image;
        const char *container_digest;
        const char *container_id;
        const char *k8s_namespace;
        const char *k8s_pod;
        const char *k8s_container;
        const char *k8s_labels;
        bool allow_unsafe;
        bool privs;
        bool quiet;
        const char *pull;
        const char *platform;
        bool all_platforms;
        bool insecure;
        bool plain_http;
        bool allow_unsigned;
        uint64_t transfer_timeout_ns;
        const char *authfile;
        const char *cert_dir;
        const char *username;
        const char *password;
        bool password_stdin;
        struct word_list keys;
        const char *signature_format;
        const char *format;
        bool all;
        const char *prog;
        bool update_metadata;
        const char *validate_metadata; /* "true", "false"; NULL = true */
        const char *definition;
        const char *tag;
        const char *build_file;
        struct word_list platforms;
        struct word_list cflags;
        struct word_list annotations;

        struct param *params;
        size_t n_params;
        char **owned; /* keys of --KEY=VALUE */
        size_t n_owned;
};
void args_done(struct args *args);

enum option_type {
        OPTION_FLAG,     /* bool */
        OPTION_TEXT,     /* const char * */
        OPTION_CHOICE,   /* const char *, one of `choices` */
        OPTION_DURATION, /* uint64_t, nanoseconds */
        OPTION_SIZE,     /* uint64_t, bytes */
        OPTION_COUNT,    /* uint64_t, or "all" */
        OPTION_LIST,     /* struct word_list, may stand several times */
        OPTION_SWITCH,   /* const char *, "true" or "false"; needs no value */
};

/* What a shell offers for a value or an argument. */
enum complete {
        COMPLETE_NOTHING,
        COMPLETE_FILE,
        COMPLETE_DIRECTORY,
        COMPLETE_IMAGE,
        COMPLETE_INSTANCE,
        COMPLETE_COMMAND,
        COMPLETE_SHELL,
};

struct option_info {
        const char *name; /* without "--" */
        char letter;      /* 0 = none */
        enum option_type type;
        size_t offset;     /* in struct args */
        const char *value; /* what the value is called; NULL = has none */
        const char *help;
        const char *const *choices;
        enum complete complete;
};

struct command {
        const char *name; /* "run", "image list" */
        const char *aliases[4];
        const char *arguments;   /* for the synopsis, "IMAGE" */
        const char *summary;     /* one line, no full stop */
        const char *description; /* for --help and the man page */
        const struct option_info *options;
        size_t n_options;
        unsigned int words_min;
        unsigned int words_max;
        enum complete complete; /* its arguments */
        bool takes_params;      /* unknown long options are parameters of the gadget */
        bool is_hidden;
        int (*run)(struct args *args); /* returns enum exit_code */
};

extern const struct command commands[];
extern const size_t n_commands;
extern const struct option_info global_options[];
extern const size_t n_global_options;

/* By one or two words; *ret_words says how many of them were the name. NULL = no such command. */
const struct command *command_find(const char *first, const char *second, size_t *ret_words);

/* True for "image": a first word that needs a second. */
bool command_is_group(const char *word);

/* 0, or -EINVAL with a message that says what is wrong and the nearest thing that there is. */
int args_parse(int argc, char *const *argv, struct args *ret, struct error *err);

/* The option of this command (or a global one) by name or letter; NULL = none. */
const struct option_info *option_find(const struct command *command, const char *name,
                                      size_t n_name);
const struct option_info *option_find_letter(const struct command *command, char letter);

/* The option of this command whose name is nearest to the word, or NULL. */
const char *option_nearest(const struct command *command, const char *word);

enum output_format output_format_of(const struct args *args, enum output_format otherwise);

/* The commands. */
int cmd_run(struct args *args);
int cmd_attach(struct args *args);
int cmd_replay(struct args *args);
int cmd_test(struct args *args);
int cmd_list(struct args *args);
int cmd_show(struct args *args);
int cmd_stop(struct args *args);
int cmd_containers(struct args *args);
int cmd_build(struct args *args);
int cmd_tag(struct args *args);
int cmd_image_sign(struct args *args);
int cmd_image_verify(struct args *args);
int cmd_image_prune(struct args *args);
int cmd_image_fsck(struct args *args);
int cmd_image_export(struct args *args);
int cmd_image_import(struct args *args);
int cmd_policy_show(struct args *args);
int cmd_policy_check(struct args *args);
int cmd_pull(struct args *args);
int cmd_push(struct args *args);
int cmd_login(struct args *args);
int cmd_logout(struct args *args);
int cmd_image_list(struct args *args);
int cmd_image_inspect(struct args *args);
int cmd_image_remove(struct args *args);
int cmd_version(struct args *args);
int cmd_completion(struct args *args);
int cmd_help(struct args *args);
