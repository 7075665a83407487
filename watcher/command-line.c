/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/command-line.h"

/* Options of runc and crun that take a value, in the same word behind '=' or in the next one. runc
 * takes one dash or two. */
static const char *const with_value[] = {
        "root",           "bundle",    "b",        "pid-file",     "console-socket", "log",
        "criu",           "f",         "rootless", "preserve-fds", "log-format",     "config",
        "cgroup-manager", "log-level",
};

static bool takes_value(const char *name, size_t n) {
        for (size_t i = 0; i < ARRAY_SIZE(with_value); i++)
                if (strlen(with_value[i]) == n && memcmp(with_value[i], name, n) == 0)
                        return true;
        return false;
}

static void take_option(const char *name, size_t n, const char *value, struct command_line *ret) {
        if (n == 4 && memcmp(name, "root", n) == 0)
                ret->root = value;
        else if ((n == 6 && memcmp(name, "bundle", n) == 0) || (n == 1 && name[0] == 'b'))
                ret->bundle = value;
}

void command_line_parse(char *text, size_t len, struct command_line *ret) {
        const char *command = NULL, *end = text + len;

        *ret = (struct command_line){ .runtime = text };
        for (char *word = text + strlen(text) + 1; word < end; word += strlen(word) + 1) {
                const char *name = word + strspn(word, "-");
                size_t n = strcspn(name, "=");

                if (word[0] != '-' && !command) {
                        command = word;
                } else if (word[0] != '-' && !ret->id) {
                        ret->id = word;
                } else if (word[0] == '-' && name[n] == '=') {
                        take_option(name, n, name + n + 1, ret);
                } else if (word[0] == '-' && takes_value(name, n)) {
                        word += strlen(word) + 1;
                        if (word >= end)
                                break;
                        take_option(name, n, word, ret);
                }
        }
        ret->makes_container = command && (str_eq(command, "run") || str_eq(command, "create"));
}
