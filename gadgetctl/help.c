/* SPDX-License-Identifier: Apache-2.0 */
#include "gadgetctl/help.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "gadgetctl/diag.h"

#define WIDTH 96

static const char about[] =
        "Runs eBPF gadgets: programs in OCI images that report what happens on this machine.";

/* Words of text in lines that start at column `indent`; the cursor already stands there. */
static void print_wrapped(FILE *f, const char *text, size_t indent) {
        size_t at = indent;

        while (*text) {
                size_t n = strcspn(text, " ");

                if (at > indent && at + 1 + n > WIDTH) {
                        fprintf(f, "\n%*s", (int)indent, "");
                        at = indent;
                } else if (at > indent) {
                        fputc(' ', f);
                        at++;
                }
                fwrite(text, 1, n, f);
                at += n;
                text += n;
                while (*text == ' ')
                        text++;
        }
        fputc('\n', f);
}

static void print_row(FILE *f, const char *left, const char *right, size_t indent) {
        if (strlen(left) + 4 > indent)
                fprintf(f, "  %s\n%*s", left, (int)indent, "");
        else
                fprintf(f, "  %-*s", (int)indent - 2, left);
        print_wrapped(f, right, indent);
}

static void print_options(FILE *f, const struct option_info *options, size_t n) {
        for (size_t i = 0; i < n; i++) {
                char left[64], letter[8] = "    ";

                if (options[i].letter)
                        snprintf(letter, sizeof(letter), "-%c, ", options[i].letter);
                snprintf(left, sizeof(left), "%s--%s%s%s", letter, options[i].name,
                         options[i].value ? " " : "", options[i].value ? options[i].value : "");
                print_row(f, left, options[i].help, 30);
        }
}

static void print_commands(FILE *f, const char *group) {
        for (size_t i = 0; i < n_commands; i++) {
                const struct command *c = &commands[i];
                char left[64], right[256];
                size_t n = 0;

                if (group &&
                    (strncmp(c->name, group, strlen(group)) != 0 || c->name[strlen(group)] != ' '))
                        continue;
                snprintf(left, sizeof(left), "%s", c->name);
                n = (size_t)snprintf(right, sizeof(right), "%s", c->summary);
                for (size_t k = 0; k < ARRAY_SIZE(c->aliases) && c->aliases[k]; k++) {
                        /* Within a group its name goes without saying. */
                        const char *last = strrchr(c->aliases[k], ' ');
                        const char *alias = last && strchr(c->name, ' ') ? last + 1 : c->aliases[k];

                        n += (size_t)snprintf(right + n, sizeof(right) - n, "%s%s",
                                              k ? ", " : " (also: ", alias);
                }
                if (c->aliases[0])
                        snprintf(right + n, sizeof(right) - n, ")");
                print_row(f, left, right, 20);
        }
}

int help_all(bool is_error) {
        FILE *f = is_error ? stderr : stdout;

        fprintf(f, "gadgetctl COMMAND [OPTION]... [ARGUMENT]...\n\n%s\n\nCommands:\n", about);
        print_commands(f, NULL);
        fprintf(f, "\nOptions of every command:\n");
        print_options(f, global_options, n_global_options);
        fprintf(f, "\n\"gadgetctl COMMAND --help\" says more. Exit status: 0 all went well, 1 the "
                   "gadget or request\n"
                   "failed, 2 wrong usage, 3 no gadgetd, 4 denied.\n");
        return is_error ? EXIT_USAGE : EXIT_OK;
}

int help_group(const char *word, bool is_error) {
        FILE *f = is_error ? stderr : stdout;

        fprintf(f, "gadgetctl %s COMMAND [OPTION]... [ARGUMENT]...\n\nCommands:\n", word);
        print_commands(f, word);
        return is_error ? EXIT_USAGE : EXIT_OK;
}

int help_command(const struct command *command) {
        printf("gadgetctl %s%s%s%s\n\n%s.", command->name, command->n_options ? " [OPTION]..." : "",
               command->arguments[0] ? " " : "", command->arguments, command->summary);
        if (command->description) {
                printf("\n\n");
                print_wrapped(stdout, command->description, 0);
        } else {
                printf("\n");
        }
        if (command->n_options) {
                printf("\nOptions:\n");
                print_options(stdout, command->options, command->n_options);
        }
        printf("\nOptions of every command:\n");
        print_options(stdout, global_options, n_global_options);
        return EXIT_OK;
}

static const char *kind_name(const struct schema_param *param) {
        switch (param->kind) {
        case FIELD_BOOL:
                return "bool";
        case FIELD_UINT:
                return param->size == 1   ? "u8"
                       : param->size == 2 ? "u16"
                       : param->size == 4 ? "u32"
                                          : "u64";
        case FIELD_INT:
                return param->size == 1   ? "s8"
                       : param->size == 2 ? "s16"
                       : param->size == 4 ? "s32"
                                          : "s64";
        case FIELD_FLOAT:
                return "float";
        case FIELD_IP:
                return "address";
        case FIELD_STR:
        case FIELD_BIN:
        case FIELD_ARRAY:
        case _FIELD_KIND_MAX:
                break;
        }
        return "text";
}

/* The image's own words, escaped. */
static char *escaped(const char *text) {
        struct buf b = BUF_INIT(64u << 10);
        char *result;

        text_append_escaped(&b, (const uint8_t *)text, strlen(text));
        result = buf_steal_string(&b);
        if (!result)
                buf_done(&b);
        return result;
}

static void append(char *text, size_t size, const char *separator, const char *word) {
        size_t n = strlen(text);

        snprintf(text + n, size - n, "%s%s", n ? separator : "", word);
}

/* What a number or text may be, "" = anything of its type. */
/* Of a signed number of so many bits, 1 to 64. */
static int64_t int_max(unsigned int bits) {
        return (int64_t)((UINT64_C(1) << (bits - 1)) - 1);
}

static void append_range(char *text, size_t size, const struct schema_param *param) {
        unsigned int bits = 8 * param->size;
        char range[96];

        if (param->kind == FIELD_STR && param->size > 1)
                snprintf(range, sizeof(range), "at most %u bytes", param->size - 1);
        else if (param->kind == FIELD_UINT && bits > 0 && bits <= 64)
                snprintf(range, sizeof(range), "0 to %" PRIu64, UINT64_MAX >> (64 - bits));
        else if (param->kind == FIELD_INT && bits > 0 && bits <= 64)
                snprintf(range, sizeof(range), "%" PRId64 " to %" PRId64, -int_max(bits) - 1,
                         int_max(bits));
        else
                return;
        append(text, size, ", ", range);
}

static void print_param(const struct schema_param *param) {
        char left[256] = "", right[2048] = "", note[512] = "";
        cleanup_free char *name = NULL, *help = NULL;
        uint32_t n_shown = 0;

        append(left, sizeof(left), "", "--");
        append(left, sizeof(left), "", param->key);
        if (param->kind != FIELD_BOOL) {
                append(left, sizeof(left), " ",
                       param->enumeration || param->n_values ? "NAME" : kind_name(param));
        }
        append(right, sizeof(right), "", param->description);
        for (; n_shown < param->n_values && strlen(note) < 300; n_shown++)
                append(note, sizeof(note), ", ", param->values[n_shown]);
        if (note[0]) {
                append(right, sizeof(right), "; ", "one of ");
                append(right, sizeof(right), "", note);
                if (n_shown < param->n_values)
                        append(right, sizeof(right), ", ", "...");
                note[0] = '\0';
        }
        if (!param->enumeration && param->n_values == 0)
                append_range(note, sizeof(note), param);
        if (param->mandatory) {
                append(note, sizeof(note), ", ", "required");
        } else if (param->default_value[0]) {
                append(note, sizeof(note), ", ", "default ");
                append(note, sizeof(note), "", param->default_value);
        }
        if (note[0]) {
                append(right, sizeof(right), " ", "(");
                append(right, sizeof(right), "", note);
                append(right, sizeof(right), "", ")");
        }
        name = escaped(left);
        help = escaped(right);
        if (name && help)
                print_row(stdout, name, help, 30);
}

void help_params(const char *image, const struct schema *schema) {
        cleanup_free char *name = escaped(image), *description = escaped(schema->description);

        printf("\nParameters of %s%s%s:\n", name ? name : "",
               description && description[0] ? ", " : "", description ? description : "");
        for (uint32_t i = 0; i < schema->n_params; i++)
                print_param(&schema->params[i]);
        if (schema->n_params == 0)
                printf("  none\n");
}

/* --- man pages --- */

static void man_text(const char *text) {
        for (; *text; text++) {
                if (strchr("*`|\\_", *text))
                        putchar('\\');
                putchar(*text);
        }
}

static void man_options(const struct option_info *options, size_t n) {
        for (size_t i = 0; i < n; i++) {
                const struct option_info *o = &options[i];

                if (o->letter && o->value)
                        printf("``-%c %s``, ", o->letter, o->value);
                else if (o->letter)
                        printf("``-%c``, ", o->letter);
                printf("``--%s%s%s``\n    ", o->name, o->value ? " " : "",
                       o->value ? o->value : "");
                man_text(o->help);
                printf(".\n\n");
        }
}

static void man_synopsis(const struct command *c) {
        printf("| **gadgetctl** **%s**%s%s", c->name, c->n_options ? " [*OPTION*]..." : "",
               c->arguments[0] ? " " : "");
        man_text(c->arguments);
        printf("\n");
}

static void man_command(const struct command *c) {
        printf("%s\n", c->name);
        for (size_t i = 0; i < strlen(c->name); i++)
                putchar('-');
        printf("\n\n");
        man_synopsis(c);
        printf("\n");
        man_text(c->summary);
        printf(".");
        if (c->aliases[0]) {
                printf(" Also");
                for (size_t k = 0; k < ARRAY_SIZE(c->aliases) && c->aliases[k]; k++)
                        printf("%s **%s**", k ? "," : "", c->aliases[k]);
                printf(".");
        }
        if (c->description) {
                printf(" ");
                man_text(c->description);
        }
        printf("\n\n");
        man_options(c->options, c->n_options);
}

static void man_heading(const char *text) {
        printf("%s\n", text);
        for (size_t i = 0; i < strlen(text); i++)
                putchar('=');
        printf("\n\n");
}

int help_dump_man(const char *what) {
        char name[128];
        const char *space;
        size_t n_words;

        if (str_eq(what, "all")) {
                man_heading("SYNOPSIS");
                for (size_t i = 0; i < n_commands; i++)
                        man_synopsis(&commands[i]);
                printf("\n");
                man_heading("COMMANDS");
                for (size_t i = 0; i < n_commands; i++)
                        man_command(&commands[i]);
                man_heading("OPTIONS OF EVERY COMMAND");
                man_options(global_options, n_global_options);
                return EXIT_OK;
        }
        snprintf(name, sizeof(name), "%s", what);
        space = strchr(name, '-');
        if (space)
                name[space - name] = ' ';
        if (!command_find(name, NULL, &n_words)) {
                diag("--dump-man: unknown command '%s'", what);
                return EXIT_USAGE;
        }
        man_command(command_find(name, NULL, &n_words));
        return EXIT_OK;
}

int cmd_help(struct args *args) {
        const struct command *command;
        size_t n_words;

        if (args->words.n == 0)
                return help_all(false);
        command = command_find(args->words.items[0],
                               args->words.n > 1 ? args->words.items[1] : NULL, &n_words);
        if (command)
                return help_command(command);
        if (args->words.n == 1 && command_is_group(args->words.items[0]))
                return help_group(args->words.items[0], false);
        diag("help: unknown command '%s'", args->words.items[0]);
        return EXIT_USAGE;
}
