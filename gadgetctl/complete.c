/* SPDX-License-Identifier: Apache-2.0 */
#include "gadgetctl/complete.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/text.h"
#include "gadgetctl/diag.h"
#include "gadgetctl/object.h"
#include "gadgetctl/session.h"

struct completion {
        const char *word;   /* being typed */
        const char *prefix; /* of each candidate: "--output=" */
        int n_prefix;
        const struct command *command;
        struct args args; /* root and socket, as typed so far */
};

/* Names come from the daemon and the file system: nothing that a shell or terminal could take for
 * more than a name. */
static bool is_harmless(const char *text) {
        for (const char *p = text; *p; p++)
                if ((unsigned char)*p < 0x20 || *p == 0x7f)
                        return false;
        return utf8_is_valid((const uint8_t *)text, strlen(text));
}

static void offer(const struct completion *c, const char *candidate, const char *help) {
        if (strncmp(candidate, c->word, strlen(c->word)) != 0 || !is_harmless(candidate))
                return;
        printf("%.*s%s\t%s\n", c->n_prefix, c->prefix, candidate,
               help && is_harmless(help) ? help : "");
}

static void offer_commands(const struct completion *c, const char *group) {
        const char *last = "";

        for (size_t i = 0; i < n_commands; i++) {
                const char *name = commands[i].name, *space = strchr(name, ' ');
                char word[64];

                if (group) {
                        if (space && strncmp(name, group, strlen(group)) == 0 &&
                            name + strlen(group) == space)
                                offer(c, space + 1, commands[i].summary);
                        continue;
                }
                if (!space) {
                        offer(c, name, commands[i].summary);
                        continue;
                }
                snprintf(word, sizeof(word), "%.*s", (int)(space - name), name);
                if (strncmp(last, word, strlen(word)) != 0)
                        offer(c, word,
                              str_eq(word, "policy") ? "Commands on the policy for images"
                                                     : "Commands on images");
                last = name;
        }
}

static void offer_options(const struct completion *c) {
        char name[80];

        for (size_t i = 0; c->command && i < c->command->n_options; i++) {
                snprintf(name, sizeof(name), "--%s", c->command->options[i].name);
                offer(c, name, c->command->options[i].help);
        }
        for (size_t i = 0; i < n_global_options; i++) {
                snprintf(name, sizeof(name), "--%s", global_options[i].name);
                offer(c, name, global_options[i].help);
        }
}

/* Asks the daemon that runs; no private one is started for this. */
static void offer_names(const struct completion *c, enum method method, const char *help_key) {
        cleanup_session struct session session = { .daemon_pidfd = -1 };
        struct error err = { 0 };
        struct object_iter iter;
        struct rep_list reply;
        struct bytes item;

        if (session_try(&session, &c->args) != 0 ||
            connection_call(session.connection, method, NULL, &reply, &err) < 0)
                return;
        iter = object_iter_of(reply.items);
        while (object_next(&iter, &item)) {
                char name[600], help[600];

                offer(c, object_text(item, "name", name, sizeof(name)),
                      object_text(item, help_key, help, sizeof(help)));
        }
}

/* Entries of the directory that the word leads into. */
static void offer_files(const struct completion *c, bool only_directories) {
        const char *slash = strrchr(c->word, '/');
        size_t n_dir = slash ? (size_t)(slash - c->word) + 1 : 0;
        cleanup_free char *dir = n_dir ? strndup(c->word, n_dir) : strdup(".");
        struct dirent *entry;
        DIR *d = dir ? opendir(dir) : NULL;

        while (d && (entry = readdir(d))) {
                char path[4200];
                struct stat st;
                bool is_dir;

                if (entry->d_name[0] == '.' && c->word[n_dir] != '.')
                        continue;
                is_dir = fstatat(dirfd(d), entry->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
                if (only_directories && !is_dir)
                        continue;
                snprintf(path, sizeof(path), "%.*s%s%s", (int)n_dir, c->word, entry->d_name,
                         is_dir ? "/" : "");
                offer(c, path, "");
        }
        if (d)
                closedir(d);
}

static void offer_kind(const struct completion *c, enum complete kind) {
        static const char *const shells[] = { "bash", "zsh", "fish" };

        switch (kind) {
        case COMPLETE_NOTHING:
                break;
        case COMPLETE_FILE:
                offer_files(c, false);
                break;
        case COMPLETE_DIRECTORY:
                offer_files(c, true);
                break;
        case COMPLETE_IMAGE:
                if (c->word[0] == '.' || c->word[0] == '/')
                        offer_files(c, false);
                else
                        offer_names(c, METHOD_IMAGE_LIST, "digest");
                break;
        case COMPLETE_INSTANCE:
                offer_names(c, METHOD_INSTANCE_LIST, "image");
                break;
        case COMPLETE_COMMAND:
                offer_commands(c, NULL);
                break;
        case COMPLETE_SHELL:
                for (size_t i = 0; i < ARRAY_SIZE(shells); i++)
                        offer(c, shells[i], "");
                break;
        }
}

static void offer_values(const struct completion *c, const struct option_info *option) {
        for (size_t i = 0; option->choices && option->choices[i]; i++)
                offer(c, option->choices[i], "");
        offer_kind(c, option->complete);
}

static const struct option_info *option_of(const struct completion *c, const char *word) {
        const struct option_info *option = NULL;

        if (word[0] == '-' && word[1] == '-')
                option = option_find(c->command, word + 2, strlen(word + 2));
        else if (word[0] == '-' && word[1] && !word[2])
                option = option_find_letter(c->command, word[1]);
        return option && option->value ? option : NULL;
}

/* Walks the finished words: which command, and does the word being typed belong to an option? */
static const struct option_info *read_words(struct completion *c, int n, char *const *words,
                                            const char **ret_group) {
        const struct option_info *pending = NULL;

        for (int i = 0; i < n; i++) {
                size_t n_words;

                if (pending) {
                        if (str_eq(pending->name, "root"))
                                c->args.root = words[i];
                        else if (str_eq(pending->name, "socket"))
                                c->args.socket = words[i];
                        pending = NULL;
                } else if (words[i][0] == '-') {
                        pending = option_of(c, words[i]);
                } else if (!c->command && *ret_group) {
                        c->command = command_find(*ret_group, words[i], &n_words);
                } else if (!c->command) {
                        c->command = command_find(words[i], NULL, &n_words);
                        if (!c->command && command_is_group(words[i]))
                                *ret_group = words[i];
                }
        }
        return pending;
}

/* "--output=js": the value behind the sign is what is typed. */
static const struct option_info *split_at_equals(struct completion *c) {
        const char *equals = strchr(c->word, '=');
        const struct option_info *option;

        if (!equals || strncmp(c->word, "--", 2) != 0)
                return NULL;
        option = option_find(c->command, c->word + 2, (size_t)(equals - c->word) - 2);
        if (!option || !option->value)
                return NULL;
        c->prefix = c->word;
        c->n_prefix = (int)(equals - c->word) + 1;
        c->word = equals + 1;
        return option;
}

int complete(int n_words, char *const *words) {
        struct completion c = { .word = n_words > 0 ? words[n_words - 1] : "",
                                .prefix = "",
                                .args.root = "" };
        const struct option_info *option;
        const char *group = NULL;

        option = read_words(&c, n_words - 1, words, &group);
        if (!option)
                option = split_at_equals(&c);
        if (option)
                offer_values(&c, option);
        else if (c.word[0] == '-')
                offer_options(&c);
        else if (!c.command)
                offer_commands(&c, group);
        else
                offer_kind(&c, c.command->complete);
        return EXIT_OK;
}

/* clang-format off */
/* Bash ends words at ":" and "=" and replaces only what stands behind; images and options contain both. */
static const char bash_script[] =
        "_gadgetctl() {\n"
        "        local line=${COMP_LINE:0:COMP_POINT} name typed\n"
        "        local -a words\n"
        "        read -ra words <<<\"$line\"\n"
        "        [[ $line == *[[:space:]] ]] && words+=(\"\")\n"
        "        typed=${words[-1]}\n"
        "        typed=${typed%\"${typed##*[:=]}\"}\n"
        "        COMPREPLY=()\n"
        "        while IFS=$'\\t' read -r name _; do\n"
        "                [[ $name == */ ]] && compopt -o nospace\n"
        "                COMPREPLY+=(\"$(printf %q \"${name#\"$typed\"}\")\")\n"
        "        done < <(\"${words[0]}\" __complete \"${words[@]:1}\" 2>/dev/null)\n"
        "}\n"
        "complete -F _gadgetctl gadgetctl\n";

static const char zsh_script[] =
        "#compdef gadgetctl\n"
        "compdef _gadgetctl gadgetctl\n"
        "_gadgetctl() {\n"
        "        local name help\n"
        "        local -a found\n"
        "        while IFS=$'\\t' read -r name help; do\n"
        "                found+=(\"${name//:/\\\\:}:$help\")\n"
        "        done < <(\"${words[1]}\" __complete \"${(@)words[2,CURRENT]}\" 2>/dev/null)\n"
        "        _describe gadgetctl found\n"
        "}\n"
        "[ \"$funcstack[1]\" = _gadgetctl ] && _gadgetctl \"$@\"\n";

static const char fish_script[] =
        "function __gadgetctl_complete\n"
        "        set -l words (commandline -opc) (commandline -ct)\n"
        "        $words[1] __complete $words[2..-1] 2>/dev/null\n"
        "end\n"
        "complete -c gadgetctl -f -a '(__gadgetctl_complete)'\n";
/* clang-format on */

int cmd_completion(struct args *args) {
        static const struct {
                const char *shell;
                const char *script;
        } scripts[] = { { "bash", bash_script }, { "zsh", zsh_script }, { "fish", fish_script } };
        const char *shell = args->words.items[0];

        for (size_t i = 0; i < ARRAY_SIZE(scripts); i++)
                if (str_eq(scripts[i].shell, shell)) {
                        fputs(scripts[i].script, stdout);
                        return EXIT_OK;
                }
        diag("completion: '%s' is none of bash, zsh, fish", shell);
        return EXIT_USAGE;
}
