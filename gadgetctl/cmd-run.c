/* SPDX-License-Identifier: Apache-2.0 */
/* `gadgetctl run` and `attach`. */
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>

#include "gadget/api.h"
#include "gadgetctl/compile.h"
#include "gadgetctl/diag.h"
#include "gadgetctl/follow.h"
#include "gadgetctl/help.h"
#include "gadgetctl/inspect.h"
#include "gadgetctl/object.h"
#include "gadgetctl/registry.h"
#include "gadgetctl/signals.h"
#include "gadgetctl/sources.h"
#include "ipc/mp.h"

enum subject { SUBJECT_IMAGE, SUBJECT_DIRECTORY, SUBJECT_OBJECT };

/* An image is named without a path in front: "./x", "../x", "/x", "." and FILE.o are files. */
static enum subject subject_of(const char *word) {
        size_t n = strlen(word);
        bool is_path = word[0] == '/' || strncmp(word, "./", 2) == 0 ||
                       strncmp(word, "../", 3) == 0 || str_eq(word, ".") || str_eq(word, "..");
        struct stat st;

        if (n > 2 && str_eq(word + n - 2, ".o") && (is_path || stat(word, &st) == 0))
                return SUBJECT_OBJECT;
        return is_path ? SUBJECT_DIRECTORY : SUBJECT_IMAGE;
}

struct run {
        struct req_instance_run request;
        struct buf object;
        struct buf definition;
        char *definition_name; /* NULL = none */
        struct buf params;
};

#define RUN_INIT                                                                                   \
        {                                                                                          \
                .object = BUF_INIT(LIMIT_OBJECT_SIZE_MAX),                                         \
                .definition = BUF_INIT(LIMIT_DEFINITION_SIZE_MAX),                                 \
                .params = BUF_INIT(LIMIT_CLIENT_FRAME_MAX),                                        \
        }

static void run_done(struct run *run) {
        buf_done(&run->object);
        buf_done(&run->definition);
        free(run->definition_name);
        buf_done(&run->params);
}

static int put_pair(struct buf *b, const char *key, const char *value) {
        size_t n_key = strlen(key), n_value = strlen(value);
        uint8_t *p = buf_reserve(b, n_key + n_value + 2 * MP_HEADER_MAX);

        if (!p)
                return buf_result(b);
        p = mp_put_str(p, key, (uint32_t)n_key);
        p = mp_put_str(p, value, (uint32_t)n_value);
        b->len = (size_t)(p - b->data);
        return 0;
}

#define KEY(_name, _key, _alias, _doc) [RUN_OPTION_##_name] = _key,
static const char *const option_keys[_RUN_OPTION_MAX] = { GADGET_RUN_OPTIONS(KEY) };
#undef KEY

/* The gadget's parameters, and what the worker is to do with the rows, which travels among them. */
static int encode_params(const struct args *args, struct buf *b) {
        uint8_t *p = buf_reserve(b, MP_HEADER_MAX);
        uint32_t n = (uint32_t)args->n_params;
        int r = 0;

        if (!p)
                return -ENOMEM;
        for (size_t i = 0; i < _RUN_OPTION_MAX; i++)
                n += args->run_options[i] != NULL;
        b->len = (size_t)(mp_put_map(p, n) - b->data);
        for (size_t i = 0; i < args->n_params && r == 0; i++)
                r = put_pair(b, args->params[i].key, args->params[i].value);
        for (size_t i = 0; i < _RUN_OPTION_MAX && r == 0; i++)
                if (args->run_options[i])
                        r = put_pair(b, option_keys[i], args->run_options[i]);
        return r;
}

/* Messages name the file; the end of a very long path will do. */
static int read_definition(const char *path, struct run *run, struct error *err) {
        size_t n = strlen(path);

        run->definition_name =
                strdup(n > LIMIT_IMAGE_REF_MAX ? path + n - LIMIT_IMAGE_REF_MAX : path);
        if (!run->definition_name)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        return read_input(path, "definition", &run->definition, err);
}

static int load_directory(const struct args *args, const char *dir, struct run *run,
                          struct error *err) {
        cleanup(sources_done) struct sources sources = { 0 };
        int r;

        r = sources_find(&(struct sources_spec){ .dir = dir, .definition = args->definition },
                         &sources, err);
        if (r == 0)
                r = compile(args, sources.program, TARGET_NATIVE, &run->object, err);
        if (r == 0 && sources.definition)
                r = read_definition(sources.definition, run, err);
        return r;
}

/* The gadget.yaml beside an object is its own. */
static int load_object(const struct args *args, const char *path, struct run *run,
                       struct error *err) {
        cleanup_free char *copy = strdup(path), *sibling = NULL;
        struct stat st;
        int r;

        r = read_input(path, "object", &run->object, err);
        if (r < 0)
                return r;
        if (run->object.len == 0)
                return error_set(err, ERROR_INVALID, -ENODATA, "object '%s' is empty", path);
        if (args->definition)
                return read_definition(args->definition, run, err);
        if (!copy || asprintf(&sibling, "%s/gadget.yaml", dirname(copy)) < 0)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        return stat(sibling, &st) == 0 ? read_definition(sibling, run, err) : 0;
}

static bool is_choosy(const struct args *args) {
        return args->containers || args->container_name || args->container_runtime ||
               args->container_image || args->container_digest || args->container_id ||
               args->k8s_namespace || args->k8s_pod || args->k8s_container || args->k8s_labels;
}

static int prepare(const struct args *args, struct run *run, struct error *err) {
        const char *word = args->words.items[0];
        int r = 0;

        switch (subject_of(word)) {
        case SUBJECT_IMAGE:
                if (args->definition)
                        return error_set(
                                err, ERROR_USAGE, -EINVAL,
                                "run: --definition goes with an object file or a directory");
                run->request.image = word;
                break;
        case SUBJECT_DIRECTORY:
                r = load_directory(args, word, run, err);
                break;
        case SUBJECT_OBJECT:
                r = load_object(args, word, run, err);
                break;
        }
        if (r < 0)
                return r;
        if (encode_params(args, &run->params) < 0)
                return error_set(err, ERROR_LIMIT, -E2BIG, "run: the parameters are too large");
        run->request.object = BYTES(run->object.data, run->object.len);
        run->request.definition = BYTES(run->definition.data, run->definition.len);
        run->request.definition_name = run->definition_name;
        run->request.params = BYTES(run->params.data, run->params.len);
        run->request.name = args->name;
        run->request.detach = args->detach;
        run->request.timeout_ns = args->timeout_ns;
        run->request.allow_unsafe = args->allow_unsafe;
        run->request.allow_unsigned = args->allow_unsigned;
        run->request.container_name = args->container_name;
        run->request.container_runtime = args->container_runtime;
        run->request.container_image = args->container_image;
        run->request.container_digest = args->container_digest;
        run->request.container_id = args->container_id;
        run->request.k8s_namespace = args->k8s_namespace;
        run->request.k8s_pod = args->k8s_pod;
        run->request.k8s_container = args->k8s_container;
        run->request.k8s_labels = args->k8s_labels;
        /* Who chooses nothing wants everything (docs/decisions/004). */
        run->request.host = args->host || !is_choosy(args);
        run->request.ring_size = args->ring_size;
        return 0;
}

/* What was taken for a parameter of the gadget may be an option of ours, misspelt. */
static void suggest_options(const struct args *args) {
        for (size_t i = 0; i < args->n_params; i++) {
                const char *nearest = option_nearest(args->command, args->params[i].key);

                if (nearest)
                        diag("--%s was taken for a parameter of the gadget; did you mean --%s?",
                             args->params[i].key, nearest);
        }
}

/* What the gadget takes, whether it is an image, a directory or an object. */
static int describe(const struct args *args, struct run *run) {
        cleanup_session struct session session = { .daemon_pidfd = -1 };
        cleanup(schema_freep) struct schema *schema = NULL;
        struct error err = { 0 };
        int r;

        r = prepare(args, run, &err);
        if (r < 0)
                return diag_failure(&err, r, NULL);
        r = session_open(&session, args, SESSION_MAY_SPAWN);
        if (r != 0)
                return r;
        r = inspect_object(
                &session,
                &(struct inspect_spec){ .image = run->request.image,
                                        .object = run->request.object,
                                        .definition = run->request.definition,
                                        .definition_name = run->request.definition_name },
                &schema, &err);
        if (r < 0 || !schema)
                return diag_failure(&err, r < 0 ? r : -ENOEXEC, session.connection);
        help_params(args->words.items[0], schema);
        return EXIT_OK;
}

static int run_help(const struct args *args) {
        cleanup(run_done) struct run run = RUN_INIT;

        help_command(args->command);
        fflush(stdout);
        return args->words.n == 0 ? EXIT_OK : describe(args, &run);
}

static int failed(const struct args *args, const struct session *session, const struct error *err,
                  int r) {
        int code = diag_failure(err, r, session->connection);

        if (err->code != ERROR_USAGE)
                return code;
        suggest_options(args);
        diag("'gadgetctl run %s --help' lists what it takes", args->words.items[0]);
        return code;
}

/* Ctrl-C is how a run is ended, also one that has not quite begun: closing the connection takes
 * the gadget down. */
static int ended(int code) {
        return signals_count > 0 && code == signals_exit_code() ? EXIT_OK : code;
}

/* Runs it; by --pull its image is fetched before, or when it turns out not to be here. */
static int pull_and_run(struct session *session, const struct args *args,
                        const struct req_instance_run *request, struct rep_instance_run *reply,
                        struct error *err) {
        const char *when = request->image ? args->pull ?: "missing" : "never";
        struct rep_image_pull pulled;
        struct error why = { 0 };
        int r = 0;

        if (str_eq(when, "always"))
                r = registry_pull(session, args, request->image, false, &pulled, err);
        if (r == 0)
                r = connection_call(session->connection, METHOD_INSTANCE_RUN, request, reply, err);
        if (r != -EREMOTEIO || err->code != ERROR_NOT_FOUND || !str_eq(when, "missing"))
                return r;
        r = registry_pull(session, args, request->image, true, &pulled, &why);
        if (r < 0) {
                *err = why;
                return r;
        }
        if (!pulled.image) /* it is here, or has no registry: something else was not found */
                return -EREMOTEIO;
        *err = (struct error){ 0 };
        return connection_call(session->connection, METHOD_INSTANCE_RUN, request, reply, err);
}

static int run_once(const struct args *args) {
        cleanup(run_done) struct run run = RUN_INIT;
        cleanup_session struct session session = { .daemon_pidfd = -1 };
        struct rep_instance_run reply;
        struct error err = { 0 };
        char id[80];
        int r;

        r = prepare(args, &run, &err);
        if (r < 0)
                return diag_failure(&err, r, NULL);
        r = session_open(&session, args, SESSION_MAY_SPAWN);
        if (r != 0)
                return r;
        r = pull_and_run(&session, args, &run.request, &reply, &err);
        if (r < 0)
                return failed(args, &session, &err, r);
        if (reply.note)
                diag("note: %s", reply.note);
        if (args->detach) {
                printf("%s\n", reply.id);
                return EXIT_OK;
        }
        snprintf(id, sizeof(id), "%s", reply.id);
        return follow(
                &session, args,
                &(struct follow_options){ .instance = id, .tail = UINT64_MAX, .is_owner = true });
}

int cmd_run(struct args *args) {
        return args->help ? run_help(args) : ended(run_once(args));
}

int cmd_attach(struct args *args) {
        cleanup_session struct session session = { .daemon_pidfd = -1 };
        int r;

        r = session_open(&session, args, 0);
        if (r != 0)
                return ended(r);
        return ended(follow(&session, args,
                            &(struct follow_options){ .instance = args->words.items[0],
                                                      .tail = args->tail,
                                                      .timeout_ns = args->timeout_ns }));
}
