/* SPDX-License-Identifier: Apache-2.0 */
#include "gadgetctl/command.h"

#include <stdio.h>

#include "tests/lib/needs.h"

#define WORDS_MAX 16

/* The words behind "gadgetctl", separated by blanks ("~" stands for one inside of a word). */
struct line {
        char text[512];
        char *argv[WORDS_MAX + 1];
        int argc;
};

static void split(struct line *line, const char *text) {
        char *save = NULL;

        snprintf(line->text, sizeof(line->text), "gadgetctl %s", text);
        line->argc = 0;
        for (char *word = strtok_r(line->text, " ", &save); word;
             word = strtok_r(NULL, " ", &save)) {
                assert_true(line->argc < WORDS_MAX);
                for (char *p = word; *p; p++)
                        if (*p == '~')
                                *p = ' ';
                line->argv[line->argc++] = word;
        }
        line->argv[line->argc] = NULL;
}

static struct args parse(struct line *line, const char *text) {
        struct error err = { 0 };
        struct args args;

        split(line, text);
        if (args_parse(line->argc, line->argv, &args, &err) < 0)
                fail_msg("'%s': %s", text, error_text(&err));
        return args;
}

static void expect_error(const char *text, const char *want) {
        struct error err = { 0 };
        struct line line = { 0 };
        struct args args;

        split(&line, text);
        if (args_parse(line.argc, line.argv, &args, &err) == 0)
                fail_msg("'%s' was accepted", text);
        if (!strstr(err.msg, want))
                fail_msg("'%s': '%s', want '%s'", text, err.msg, want);
        args_done(&args);
}

static void test_run(void **state) {
        struct line line = { 0 };
        struct args args = parse(&line, "--root /r run trace_open -o json --fields a,b --timeout "
                                        "1.5 --name n --detach --ring-size 4M");

        assert_string_equal(args.command->name, "run");
        assert_int_equal(args.words.n, 1);
        assert_string_equal(args.words.items[0], "trace_open");
        assert_string_equal(args.root, "/r");
        assert_string_equal(args.output, "json");
        assert_string_equal(args.fields, "a,b");
        assert_true(args.timeout_ns == 1500000000);
        assert_string_equal(args.name, "n");
        assert_true(args.detach);
        assert_false(args.allow_unsafe);
        assert_true(args.ring_size == 4 << 20);
        assert_int_equal(args.n_params, 0);
        args_done(&args);
}

static void test_spellings(void **state) {
        static const char *const same[] = { "attach x -o json", "attach -ojson x",
                                            "attach --output json x", "attach x --output=json" };
        struct line line = { 0 };

        for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
                struct args args = parse(&line, same[i]);

                assert_string_equal(args.output, "json");
                assert_int_equal(args.words.n, 1);
                assert_string_equal(args.words.items[0], "x");
                args_done(&args);
        }
}

/* The name of a data source behind the option is the same as in front of each part of its value. */
static void test_options_of_one_source(void **state) {
        static const struct {
                const char *line;
                enum run_option option;
                const char *value;
        } cases[] = {
                { "run x --filter.a p==1,q==2", RUN_OPTION_FILTER, "a:p==1,a:q==2" },
                { "run x --filter.a=p==1", RUN_OPTION_FILTER, "a:p==1" },
                { "run x -F r==3 --filter.a p==1 --filter.b q==2", RUN_OPTION_FILTER,
                  "r==3,a:p==1,b:q==2" },
                { "run x --filter.a t==1\\,2", RUN_OPTION_FILTER, "a:t==1\\,2" },
                { "run x --filter-expr.a p==1", RUN_OPTION_FILTER_EXPR, "a:p==1" },
                { "run x --sort.a p,-q --sort.b r", RUN_OPTION_SORT, "a:p,-q;b:r" },
                { "attach x --max-entries.a 3", RUN_OPTION_MAX_ENTRIES, "a:3" },
                { "run x --keep.a", RUN_OPTION_KEEP, "a:true" },
                { "run x --keep.a=false", RUN_OPTION_KEEP, "a:false" },
        };
        struct line line = { 0 };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct args args = parse(&line, cases[i].line);

                assert_string_equal(args.run_options[cases[i].option], cases[i].value);
                assert_int_equal(args.n_params, 0);
                assert_int_equal(args.words.n, 1);
                args_done(&args);
        }
}

static void test_params(void **state) {
        static const struct {
                const char *line;
                const char *params; /* key=value; ... */
        } cases[] = {
                { "run img --pid 5", "pid=5;" },
                { "run img --pid=5", "pid=5;" },
                { "run --pid=5 img", "pid=5;" },
                { "run --pid 5 img", "pid=5;" },
                { "run img --failed", "failed=true;" },
                { "run img --failed --pid 5", "failed=true;pid=5;" },
                { "run img --failed -o json", "failed=true;" },
                { "run img --failed=false", "failed=false;" },
                { "run img --empty=", "empty=;" },
                { "run img --a=b=c", "a=b=c;" },
                { "run img --level -5", "level=-5;" },
                { "run img --comm a~b", "comm=a b;" },
                { "run img --x -", "x=-;" },
                { "run --failed=true -- --odd", "failed=true;" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct line line = { 0 };
                struct args args = parse(&line, cases[i].line);
                char text[256] = "";

                for (size_t k = 0; k < args.n_params; k++) {
                        size_t n = strlen(text);

                        snprintf(text + n, sizeof(text) - n, "%s=%s;", args.params[k].key,
                                 args.params[k].value);
                }
                assert_string_equal(text, cases[i].params);
                assert_int_equal(args.words.n, 1);
                args_done(&args);
        }
}

static void test_aliases(void **state) {
        static const struct {
                const char *line;
                const char *command;
        } cases[] = {
                { "ps", "list" },
                { "ls", "list" },
                { "list", "list" },
                { "rm a", "stop" },
                { "delete a b", "stop" },
                { "image ls", "image list" },
                { "image rm a", "image remove" },
                { "image delete a", "image remove" },
                { "image --root / list", "image list" },
        };

        for (size_t i = 0; i + 1 < ARRAY_SIZE(cases); i++) {
                struct line line = { 0 };
                struct args args = parse(&line, cases[i].line);

                assert_string_equal(args.command->name, cases[i].command);
                args_done(&args);
        }
}

static void test_tail_and_lists(void **state) {
        struct line line = { 0 };
        struct args args = parse(&line, "attach x --tail all");

        assert_true(args.tail == UINT64_MAX);
        args_done(&args);
        args = parse(&line, "attach x --tail 100 --timeout 500ms");
        assert_true(args.tail == 100);
        assert_true(args.timeout_ns == 500000000);
        args_done(&args);
        args = parse(&line, "build --prog f.c --annotation a=b --annotation c=d name:1");
        assert_int_equal(args.annotations.n, 2);
        assert_string_equal(args.annotations.items[1], "c=d");
        assert_string_equal(args.words.items[0], "name:1");
        args_done(&args);
}

static void test_help_anywhere(void **state) {
        static const char *const lines[] = { "--help",     "-h",           "run --help",
                                             "run img -h", "image --help", "image list -h",
                                             "stop --help" };

        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                struct line line = { 0 };
                struct args args = parse(&line, lines[i]);

                assert_true(args.help);
                args_done(&args);
        }
}

static void test_errors(void **state) {
        expect_error("rnu x", "did you mean 'run'?");
        expect_error("atach x", "did you mean 'attach'?");
        expect_error("image lst", "did you mean 'image list'?");
        expect_error("image insepct x", "did you mean 'image inspect'?");
        expect_error("run", "run: IMAGE [--PARAM VALUE]... is missing");
        expect_error("run a b", "unexpected argument 'b'");
        expect_error("list x", "unexpected argument 'x'");
        expect_error("attach", "INSTANCE is missing");
        expect_error("attach x --tial 5", "did you mean --tail?");
        expect_error("attach x --tai 5", "did you mean --tail?");
        expect_error("attach x -x", "unknown option '-x'");
        expect_error("attach x --tail", "a value is missing behind --tail");
        expect_error("attach x --tail=five", "--tail: 'five' is neither a number nor \"all\"");
        expect_error("attach x -o", "a value is missing behind -o");
        expect_error("attach x -o jsn", "did you mean 'json'?");
        expect_error("list -o csv", "--output: 'csv' is none of columns, json");
        expect_error("run x --timeout soon", "--timeout: 'soon' is not a time");
        expect_error("run x --ring-size many", "--ring-size: 'many' is not a size");
        expect_error("run x --detach=maybe", "--detach: 'maybe' is neither true nor false");
        expect_error("run --failed trace_open", "'trace_open' was taken as the value of --failed");
        expect_error("-o json list", "unknown option '-o'");
        expect_error("tag a", "SOURCE TARGET is missing");
}

static void test_too_many(void **state) {
        static char words[600][16];
        static char *argv[602] = { (char *)"gadgetctl", (char *)"run" };
        struct error err = { 0 };
        struct args args;

        for (int i = 0; i < 200; i++) {
                snprintf(words[i], sizeof(words[i]), "--p%d=1", i);
                argv[2 + i] = words[i];
        }
        assert_true(args_parse(202, argv, &args, &err) < 0);
        assert_non_null(strstr(err.msg, "more than 128 parameters"));
        args_done(&args);
}

/* The table itself: what the parser, the help and the man pages rely on. */
static void check_options(const struct command *command, const struct option_info *options,
                          size_t n) {
        for (size_t i = 0; i < n; i++) {
                assert_true(strlen(options[i].help) > 0);
                assert_true(options[i].help[strlen(options[i].help) - 1] != '.');
                assert_true((options[i].type == OPTION_FLAG || options[i].type == OPTION_SWITCH) ==
                            (options[i].value == NULL));
                assert_true((options[i].type == OPTION_CHOICE) == (options[i].choices != NULL));
                assert_true(options[i].offset < sizeof(struct args));
                assert_ptr_equal(option_find(command, options[i].name, strlen(options[i].name)),
                                 &options[i]);
                if (options[i].letter)
                        assert_ptr_equal(option_find_letter(command, options[i].letter),
                                         &options[i]);
        }
}

static void test_table(void **state) {
        check_options(NULL, global_options, n_global_options);
        for (size_t i = 0; i < n_commands; i++) {
                const struct command *c = &commands[i];
                const char *space = strchr(c->name, ' ');
                char first[32];
                size_t n_words;

                assert_non_null(c->run);
                assert_non_null(c->arguments);
                assert_true(strlen(c->summary) > 0 && c->summary[strlen(c->summary) - 1] != '.');
                assert_true(c->words_max >= c->words_min);
                check_options(c, c->options, c->n_options);
                snprintf(first, sizeof(first), "%.*s", space ? (int)(space - c->name) : 31,
                         c->name);
                assert_ptr_equal(command_find(first, space ? space + 1 : NULL, &n_words), c);
                assert_int_equal(n_words, space ? 2 : 1);
                for (size_t k = 0; k < ARRAY_SIZE(c->aliases) && c->aliases[k]; k++)
                        assert_ptr_equal(command_find(c->aliases[k], NULL, &n_words), c);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_options_of_one_source),
        cmocka_unit_test(test_params),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_tail_and_lists),
        cmocka_unit_test(test_help_anywhere),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_table),
};

TEST_MAIN("gadgetctl-args", tests)
