/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `gadgetctl test DIR`: the tests that a gadget brings with it. DIR/test/NAME.yaml says how to run
 * the gadget, what to do while it runs, and which rows must come:
 *
 *     params: { failed: true }
 *     command: [cat, /nonexistent]
 *     timeout: 10s
 *     expect:
 *       - event: { fname: /nonexistent, error: ENOENT, proc.pid: $PID, fd: { min: 0 }, proc.comm: {
 * matches: ^c } } count: 1
 */
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <yaml.h>

#include "base/clock.h"
#include "base/parse.h"
#include "client/library.h"
#include "client/row-filter.h"
#include "gadget/api.h"
#include "gadgetctl/compile.h"
#include "gadgetctl/diag.h"
#include "gadgetctl/session.h"
#include "gadgetctl/signals.h"
#include "gadgetctl/sources.h"

#define EXPECTATIONS_MAX 64
#define WORDS_MAX 64
#define TIMEOUT_DEFAULT (10 * NSEC_PER_SEC)

extern char **environ;

struct expectation {
        const yaml_node_t *event;
        struct row_filter *filters[LIMIT_STREAMS_MAX]; /* NULL = the data source lacks a field */
        uint64_t count;                                /* UINT64_MAX = one or more */
        uint64_t n_seen;
};

struct test {
        const char *path;
        yaml_document_t doc;
        bool has_doc;
        struct gadget_client_param params[LIMIT_PARAMS_MAX];
        size_t n_params;
        char *command[WORDS_MAX + 1];
        size_t n_command;
        uint64_t timeout_ns;
        struct expectation expectations[EXPECTATIONS_MAX];
        size_t n_expectations;
        uint64_t n_rows;
        pid_t pid;
        int pidfd;
};

/* --- the file --- */

static const char *scalar(const yaml_node_t *node) {
        return node && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value
                                                      : NULL;
}

static int bad(const struct test *test, const yaml_node_t *node, struct error *err,
               const char *what) {
        return error_set(err, ERROR_INVALID, -EINVAL, "%s:%zu:%zu: %s", test->path,
                         node->start_mark.line + 1, node->start_mark.column + 1, what);
}

static int read_params(struct test *test, const yaml_node_t *node, struct error *err) {
        if (node->type != YAML_MAPPING_NODE)
                return bad(test, node, err, "params: a map of parameters to values is expected");
        for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
             pair < node->data.mapping.pairs.top; pair++) {
                const char *key = scalar(yaml_document_get_node(&test->doc, pair->key));
                const char *value = scalar(yaml_document_get_node(&test->doc, pair->value));

                if (!key || !value || test->n_params == LIMIT_PARAMS_MAX)
                        return bad(test, node, err, "params: a value is no scalar, or too many");
                test->params[test->n_params++] = (struct gadget_client_param){ key, value };
        }
        return 0;
}

static int read_command(struct test *test, const yaml_node_t *node, struct error *err) {
        if (node->type != YAML_SEQUENCE_NODE)
                return bad(test, node, err, "command: a list of words is expected, [cat, /x]");
        for (yaml_node_item_t *item = node->data.sequence.items.start;
             item < node->data.sequence.items.top; item++) {
                const char *word = scalar(yaml_document_get_node(&test->doc, *item));

                if (!word || test->n_command == WORDS_MAX)
                        return bad(test, node, err, "command: a word is no scalar, or too many");
                test->command[test->n_command++] = (char *)word;
        }
        return 0;
}

static int read_expectation(struct test *test, const yaml_node_t *node, struct error *err) {
        struct expectation *e = &test->expectations[test->n_expectations];

        if (node->type != YAML_MAPPING_NODE || test->n_expectations == EXPECTATIONS_MAX)
                return bad(test, node, err, "expect: {event: {...}, count: N} is expected");
        *e = (struct expectation){ .count = UINT64_MAX };
        for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
             pair < node->data.mapping.pairs.top; pair++) {
                const yaml_node_t *key = yaml_document_get_node(&test->doc, pair->key);
                const yaml_node_t *value = yaml_document_get_node(&test->doc, pair->value);
                const char *name = scalar(key), *text = scalar(value);

                if (name && str_eq(name, "event") && value->type == YAML_MAPPING_NODE)
                        e->event = value;
                else if (!name || !str_eq(name, "count"))
                        return bad(test, key, err,
                                   "expect: only event (a map) and count stand here");
                else if (!text || parse_u64(text, 0, UINT32_MAX, &e->count) < 0)
                        return bad(test, value, err, "count: a number is expected");
        }
        if (!e->event || e->event->data.mapping.pairs.top == e->event->data.mapping.pairs.start)
                return bad(test, node, err, "expect: event is missing or empty");
        test->n_expectations++;
        return 0;
}

static int read_expect(struct test *test, const yaml_node_t *node, struct error *err) {
        int r = 0;

        if (node->type != YAML_SEQUENCE_NODE)
                return bad(test, node, err, "expect: a list is expected");
        for (yaml_node_item_t *item = node->data.sequence.items.start;
             item < node->data.sequence.items.top && r == 0; item++)
                r = read_expectation(test, yaml_document_get_node(&test->doc, *item), err);
        return r;
}

static int read_key(struct test *test, const yaml_node_t *key, const yaml_node_t *value,
                    struct error *err) {
        const char *name = scalar(key), *text = scalar(value);

        if (name && str_eq(name, "params"))
                return read_params(test, value, err);
        if (name && str_eq(name, "command"))
                return read_command(test, value, err);
        if (name && str_eq(name, "expect"))
                return read_expect(test, value, err);
        if (!name || !str_eq(name, "timeout"))
                return bad(test, key, err, "only params, command, timeout and expect stand here");
        if (!text || parse_duration(text, &test->timeout_ns) < 0)
                return bad(test, value, err, "timeout: a time such as 10s is expected");
        return 0;
}

static int load(struct test *test, struct error *err) {
        yaml_parser_t parser;
        FILE *f = fopen(test->path, "re");
        const yaml_node_t *root;
        int r = 0;

        if (!f)
                return error_set(err, ERROR_NOT_FOUND, -errno, "'%s': %m", test->path);
        if (!yaml_parser_initialize(&parser)) {
                fclose(f);
                return -ENOMEM;
        }
        yaml_parser_set_input_file(&parser, f);
        test->has_doc = yaml_parser_load(&parser, &test->doc);
        if (!test->has_doc)
                r = error_set(err, ERROR_INVALID, -EINVAL, "%s:%zu:%zu: %s", test->path,
                              parser.problem_mark.line + 1, parser.problem_mark.column + 1,
                              parser.problem ? parser.problem : "not YAML");
        yaml_parser_delete(&parser);
        fclose(f);
        root = r == 0 ? yaml_document_get_root_node(&test->doc) : NULL;
        if (r == 0 && (!root || root->type != YAML_MAPPING_NODE))
                return error_set(err, ERROR_INVALID, -EINVAL, "%s: a map is expected", test->path);
        if (r < 0)
                return r;
        for (yaml_node_pair_t *pair = root->data.mapping.pairs.start;
             pair < root->data.mapping.pairs.top && r == 0; pair++)
                r = read_key(test, yaml_document_get_node(&test->doc, pair->key),
                             yaml_document_get_node(&test->doc, pair->value), err);
        if (r == 0 && test->n_expectations == 0)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "%s: expect is missing: a test that expects nothing shows nothing",
                                 test->path);
        return r;
}

/* --- matchers: each becomes an expression of the filter language --- */

static void append_quoted(struct buf *b, const char *text) {
        buf_puts(b, "\"");
        for (; *text; text++) {
                if (*text == '"' || *text == '\\')
                        buf_puts(b, "\\");
                buf_append(b, text, 1);
        }
        buf_puts(b, "\"");
}

static void append_term(const struct test *test, struct buf *b, const char *field,
                        const char *operation, const char *value) {
        char pid[16];

        snprintf(pid, sizeof(pid), "%d", (int)test->pid);
        if (b->len > 0)
                buf_puts(b, " and ");
        buf_printf(b, "%s %s ", field, operation);
        append_quoted(b, str_eq(value, "$PID") ? pid : value);
}

static int append_matchers(const struct test *test, struct buf *b, const char *field,
                           const yaml_node_t *map, struct error *err) {
        static const struct {
                const char *key, *operation;
        } matchers[] = { { "is", "==" },  { "not", "!=" },    { "min", ">=" },
                         { "max", "<=" }, { "matches", "~" }, { "contains", "contains" } };

        for (yaml_node_pair_t *pair = map->data.mapping.pairs.start;
             pair < map->data.mapping.pairs.top; pair++) {
                yaml_document_t *doc = (yaml_document_t *)&test->doc;
                const char *key = scalar(yaml_document_get_node(doc, pair->key));
                const char *value = scalar(yaml_document_get_node(doc, pair->value));
                size_t i = 0;

                while (key && i < ARRAY_SIZE(matchers) && !str_eq(matchers[i].key, key))
                        i++;
                if (!key || !value || i == ARRAY_SIZE(matchers))
                        return bad(test, map, err,
                                   "matchers are is, not, min, max, matches and contains");
                append_term(test, b, field, matchers[i].operation, value);
        }
        return 0;
}

static int expression_of(const struct test *test, const struct expectation *e, struct buf *b,
                         struct error *err) {
        int r = 0;

        for (yaml_node_pair_t *pair = e->event->data.mapping.pairs.start;
             pair < e->event->data.mapping.pairs.top && r == 0; pair++) {
                yaml_document_t *doc = (yaml_document_t *)&test->doc;
                const yaml_node_t *value = yaml_document_get_node(doc, pair->value);
                const char *field = scalar(yaml_document_get_node(doc, pair->key));

                if (field && scalar(value))
                        append_term(test, b, field, "==", scalar(value));
                else if (field && value->type == YAML_MAPPING_NODE)
                        r = append_matchers(test, b, field, value, err);
                else
                        r = bad(test, value, err, "a value or {matches: ...} is expected");
        }
        buf_append(b, "", 1);
        return r < 0 ? r : buf_result(b);
}

/* One data source at least must have all the fields. */
static int compile_expectation(const struct test *test, struct expectation *e,
                               const struct schema *schema, struct error *err) {
        cleanup_buf struct buf b = BUF_INIT(64u << 10);
        bool fits = false;
        int r = expression_of(test, e, &b, err);

        if (r < 0)
                return r;
        for (uint32_t i = 0; i < schema->n_streams; i++)
                fits |= row_filter_new(schema, &schema->streams[i], NULL, (char *)b.data,
                                       &e->filters[i], err) == 0;
        return fits ? 0
                    : error_prefix(err, -EINVAL, "%s:%zu", test->path,
                                   e->event->start_mark.line + 1);
}

/* --- running one --- */

static int spawn_command(struct test *test, struct error *err) {
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t defaults;
        int r;

        if (test->n_command == 0)
                return 0;
        sigemptyset(&defaults);
        sigaddset(&defaults, SIGPIPE);
        posix_spawnattr_init(&attributes);
        posix_spawnattr_setsigdefault(&attributes, &defaults);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        r = posix_spawnp(&test->pid, test->command[0], &actions, &attributes, test->command,
                         environ);
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
        if (r != 0)
                return error_set(err, ERROR_NOT_FOUND, -r, "%s: command '%s': %s", test->path,
                                 test->command[0], strerror(r));
        test->pidfd = pidfd_open(test->pid, 0);
        return test->pidfd < 0 ? error_set(err, ERROR_INTERNAL, -errno, "pidfd_open: %m") : 0;
}

static void count_row(struct test *test, struct gadget_client *client) {
        const struct row *row = gadget_client_row(client);
        size_t source = (size_t)(row->stream - gadget_client_schema(client)->streams);

        test->n_rows++;
        for (size_t i = 0; i < test->n_expectations; i++) {
                struct row_filter *filter = test->expectations[i].filters[source];

                if (filter && row_filter_passes(filter, row))
                        test->expectations[i].n_seen++;
        }
}

static bool is_met(const struct expectation *e, bool at_end) {
        if (e->count == UINT64_MAX)
                return e->n_seen > 0;
        return at_end ? e->n_seen == e->count : e->n_seen >= e->count;
}

static bool are_met(const struct test *test, bool at_end) {
        for (size_t i = 0; i < test->n_expectations; i++)
                if (!is_met(&test->expectations[i], at_end))
                        return false;
        return true;
}

/* Until everything has come and the command has ended, or the time is over; then the gadget is
 * stopped and what is left of its rows is counted as well. */
static int watch(struct test *test, struct gadget_client *client) {
        uint64_t deadline = now_ns() + test->timeout_ns;
        bool has_ended = test->n_command == 0, is_stopping = false;
        int r;

        while ((r = gadget_client_next(client)) != -ENODATA) {
                uint64_t now = now_ns();
                struct pollfd fds[] = {
                        { .fd = gadget_client_fd(client), .events = POLLIN },
                        { .fd = has_ended ? -1 : test->pidfd, .events = POLLIN },
                        { .fd = is_stopping ? -1 : signals_fd(), .events = POLLIN },
                };

                if (r < 0)
                        return r;
                if (r > 0) {
                        count_row(test, client);
                        continue;
                }
                if (!is_stopping &&
                    ((has_ended && are_met(test, false)) || now >= deadline || signals_count > 0)) {
                        gadget_client_stop(client);
                        is_stopping = true;
                        continue;
                }
                poll(fds, ARRAY_SIZE(fds),
                     is_stopping ? -1 : (int)((deadline - now) / NSEC_PER_MSEC + 1));
                has_ended |= (fds[1].revents & POLLIN) != 0;
        }
        return 0;
}

static void end_command(struct test *test) {
        siginfo_t info;

        if (test->pidfd < 0)
                return;
        syscall(SYS_pidfd_send_signal, test->pidfd, SIGKILL, NULL, 0);
        waitid(P_PIDFD, (id_t)test->pidfd, &info, WEXITED);
        close_fd(&test->pidfd);
}

static void report(const struct test *test, const struct gadget_client *client) {
        printf("%s %s\n", are_met(test, true) ? "ok  " : "FAIL", test->path);
        for (size_t i = 0; i < test->n_expectations; i++) {
                const struct expectation *e = &test->expectations[i];
                char want[32] = "one or more";

                if (e->count != UINT64_MAX)
                        snprintf(want, sizeof(want), "%llu", (unsigned long long)e->count);
                if (!is_met(e, true))
                        printf("     line %zu: %llu rows match, %s expected\n",
                               e->event->start_mark.line + 1, (unsigned long long)e->n_seen, want);
        }
        if (!are_met(test, true))
                printf("     %llu rows came, %llu were lost\n", (unsigned long long)test->n_rows,
                       (unsigned long long)gadget_client_lost(client));
        fflush(stdout);
}

/* The gadget runs; 0 = every expectation was looked at. */
static int run_started(struct test *test, struct gadget_client *client, struct error *err) {
        int r = spawn_command(test, err);

        for (size_t i = 0; i < test->n_expectations && r == 0; i++)
                r = compile_expectation(test, &test->expectations[i], gadget_client_schema(client),
                                        err);
        if (r == 0) {
                r = watch(test, client);
                if (r < 0 || str_eq(gadget_client_cause(client), "failed"))
                        r = error_set(err, ERROR_INTERNAL, -EREMOTEIO, "%s: %s", test->path,
                                      gadget_client_error(client));
        }
        end_command(test);
        return r;
}

static int run_test(const struct args *args, struct test *test, const struct buf *object,
                    const struct buf *definition) {
        cleanup_session struct session session = { .daemon_pidfd = -1 };
        const char *image = args->words.n > 1 ? args->words.items[1] : NULL;
        struct error err = { 0 };
        struct gadget_client *client;
        int r;

        r = load(test, &err);
        if (r < 0)
                return diag_failure(&err, r, NULL);
        r = session_open(&session, args, SESSION_MAY_SPAWN);
        if (r != 0)
                return r;
        client = gadget_client_new("gadgetctl test");
        if (!client)
                return EXIT_FAILED;
        gadget_client_use(client, TAKE_PTR(session.connection));
        r = image ? gadget_client_run_image(client, image, test->params, test->n_params)
                  : gadget_client_run_object(client, object->data, object->len, definition->data,
                                             definition->len, test->params, test->n_params);
        if (r < 0)
                error_set(&err, ERROR_INTERNAL, r, "%s: %s", test->path,
                          gadget_client_error(client));
        else
                r = run_started(test, client, &err);
        if (r < 0)
                diag("%s", error_text(&err));
        else
                report(test, client);
        gadget_client_free(client);
        return r == 0 && are_met(test, true) ? EXIT_OK : EXIT_FAILED;
}

static void test_done(struct test *test) {
        for (size_t i = 0; i < test->n_expectations; i++)
                for (size_t k = 0; k < LIMIT_STREAMS_MAX; k++)
                        row_filter_free(test->expectations[i].filters[k]);
        if (test->has_doc)
                yaml_document_delete(&test->doc);
}

static int build(const struct args *args, struct buf *object, struct buf *definition,
                 struct error *err) {
        cleanup(sources_done) struct sources sources = { 0 };
        int r = sources_find(&(struct sources_spec){ .dir = args->words.items[0] }, &sources, err);

        if (r == 0)
                r = compile(args, sources.program, TARGET_NATIVE, object, err);
        if (r == 0 && sources.definition)
                r = read_input(sources.definition, "definition", definition, err);
        return r;
}

int cmd_test(struct args *args) {
        cleanup_buf struct buf object = BUF_INIT(LIMIT_OBJECT_SIZE_MAX),
                               definition = BUF_INIT(LIMIT_DEFINITION_SIZE_MAX);
        cleanup_free char *pattern = NULL;
        struct error err = { 0 };
        int worst = EXIT_OK, r = 0;
        glob_t found;

        if (asprintf(&pattern, "%s/test/*.yaml", args->words.items[0]) < 0)
                return EXIT_FAILED;
        if (glob(pattern, 0, NULL, &found) != 0) {
                diag("test: there is no '%s'", pattern);
                return EXIT_FAILED;
        }
        if (args->words.n == 1)
                r = build(args, &object, &definition, &err);
        if (r < 0)
                worst = diag_failure(&err, r, NULL);
        for (size_t i = 0; i < found.gl_pathc && r == 0 && signals_count == 0; i++) {
                struct test *test = calloc(1, sizeof(*test));
                int code = EXIT_FAILED;

                if (test) {
                        test->path = found.gl_pathv[i];
                        test->timeout_ns = TIMEOUT_DEFAULT;
                        test->pidfd = -1;
                        code = run_test(args, test, &object, &definition);
                        test_done(test);
                }
                free(test);
                worst = MAX(worst, code);
        }
        globfree(&found);
        return worst;
}
