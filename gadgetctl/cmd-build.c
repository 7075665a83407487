/* SPDX-License-Identifier: Apache-2.0 */
/* `gadgetctl build`: compile for every architecture, read what the definition says of itself, have
 * gadgetd pack and store it. */
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <yaml.h>

#include "base/file.h"
#include "base/parse.h"
#include "gadget/api.h"
#include "gadgetctl/compile.h"
#include "gadgetctl/diag.h"
#include "gadgetctl/inspect.h"
#include "gadgetctl/metadata.h"
#include "gadgetctl/object.h"
#include "gadgetctl/sources.h"
#include "ipc/mp.h"

#define ANNOTATIONS_MAX 128
#define ANNOTATIONS_SIZE (256u << 10)

/* A msgpack map str -> str being made; the header is put in front at the end. */
struct annotations_out {
        struct buf body;
        uint32_t n;
};

static int put_pair(struct annotations_out *out, const char *key, const void *value,
                    size_t n_value) {
        size_t n_key = strlen(key);
        uint8_t *p;

        if (out->n >= ANNOTATIONS_MAX)
                return -E2BIG;
        p = buf_reserve(&out->body, n_key + n_value + 2 * MP_HEADER_MAX);
        if (!p)
                return buf_result(&out->body);
        p = mp_put_str(p, key, (uint32_t)n_key);
        p = mp_put_str(p, value, (uint32_t)n_value);
        out->body.len = (size_t)(p - out->body.data);
        out->n++;
        return 0;
}

/* --- what the definition says of the image --- */

static const struct {
        const char *key;
        const char *annotation;
} known_keys[] = {
        { "name", "org.opencontainers.image.title" },
        { "description", "org.opencontainers.image.description" },
        { "homepageURL", "org.opencontainers.image.url" },
        { "documentationURL", "org.opencontainers.image.documentation" },
        { "sourceURL", "org.opencontainers.image.source" },
};

static const char *scalar(const yaml_node_t *node) {
        return node && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value
                                                      : NULL;
}

/* The map below "annotations" goes over as it is. */
static int copy_annotations(yaml_document_t *doc, const yaml_node_t *map,
                            struct annotations_out *out) {
        int r = 0;

        if (map->type != YAML_MAPPING_NODE)
                return 0;
        for (yaml_node_pair_t *pair = map->data.mapping.pairs.start;
             pair < map->data.mapping.pairs.top && r == 0; pair++) {
                const yaml_node_t *value = yaml_document_get_node(doc, pair->value);
                const char *key = scalar(yaml_document_get_node(doc, pair->key));

                if (key && scalar(value))
                        r = put_pair(out, key, scalar(value), value->data.scalar.length);
        }
        return r;
}

static int read_pair(yaml_document_t *doc, const char *key, const yaml_node_t *value,
                     struct annotations_out *out) {
        if (str_eq(key, "annotations"))
                return copy_annotations(doc, value, out);
        for (size_t i = 0; i < ARRAY_SIZE(known_keys); i++)
                if (str_eq(known_keys[i].key, key) && scalar(value) &&
                    value->data.scalar.length > 0)
                        return put_pair(out, known_keys[i].annotation, scalar(value),
                                        value->data.scalar.length);
        return 0;
}

static int read_document(yaml_document_t *doc, struct annotations_out *out) {
        yaml_node_t *root = yaml_document_get_root_node(doc);
        int r = 0;

        if (!root)
                return 0;
        if (root->type != YAML_MAPPING_NODE)
                return -EINVAL;
        for (yaml_node_pair_t *pair = root->data.mapping.pairs.start;
             pair < root->data.mapping.pairs.top && r == 0; pair++) {
                const char *key = scalar(yaml_document_get_node(doc, pair->key));

                if (key)
                        r = read_pair(doc, key, yaml_document_get_node(doc, pair->value), out);
        }
        return r;
}

static int read_definition(const char *path, const struct buf *text, struct annotations_out *out,
                           struct error *err) {
        yaml_document_t doc;
        yaml_parser_t parser;
        int r;

        if (!yaml_parser_initialize(&parser))
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        yaml_parser_set_input_string(&parser, text->data, text->len);
        if (!yaml_parser_load(&parser, &doc)) {
                r = error_set(err, ERROR_INVALID, -EINVAL, "'%s' line %zu column %zu: %s", path,
                              parser.problem_mark.line + 1, parser.problem_mark.column + 1,
                              parser.problem ? parser.problem : "is not YAML");
                yaml_parser_delete(&parser);
                return r;
        }
        r = read_document(&doc, out);
        yaml_document_delete(&doc);
        yaml_parser_delete(&parser);
        if (r == -EINVAL)
                return error_set(err, ERROR_INVALID, r, "'%s' is not a map", path);
        if (r < 0)
                return error_set(err, ERROR_LIMIT, r,
                                 "'%s': more than %d annotations or %u bytes of them", path,
                                 ANNOTATIONS_MAX, ANNOTATIONS_SIZE);
        return 0;
}

static int read_annotation_options(const struct args *args, struct annotations_out *out,
                                   struct error *err) {
        for (size_t i = 0; i < args->annotations.n; i++) {
                const char *text = args->annotations.items[i], *equals = strchr(text, '=');
                cleanup_free char *key = equals ? strndup(text, (size_t)(equals - text)) : NULL;

                if (!key || !key[0])
                        return error_set(err, ERROR_INVALID, -EINVAL,
                                         "--annotation: '%.100s' is not KEY=VALUE", text);
                if (put_pair(out, key, equals + 1, strlen(equals + 1)) < 0)
                        return error_set(err, ERROR_LIMIT, -E2BIG, "more than %d annotations",
                                         ANNOTATIONS_MAX);
        }
        return 0;
}

static void finish_map(const struct annotations_out *pairs, struct buf *out) {
        uint8_t *p = buf_reserve(out, MP_HEADER_MAX);

        if (p)
                out->len = (size_t)(mp_put_map(p, pairs->n) - out->data);
        buf_append(out, pairs->body.data, pairs->body.len);
}

/* --- the objects --- */

static int put_object(struct buf *out, const char *name, const struct buf *object) {
        uint8_t *p = buf_reserve(out, strlen(name) + object->len + 2 * MP_HEADER_MAX);

        if (!p)
                return buf_result(out);
        p = mp_put_str(p, name, (uint32_t)strlen(name));
        p = mp_put_bin(p, object->data, (uint32_t)object->len);
        out->len = (size_t)(p - out->data);
        return 0;
}

/* "linux/amd64,arm64": all that is asked for, or every platform there is. */
static int read_platforms(const struct args *args, bool wanted[_TARGET_MAX], struct error *err) {
        for (enum target target = 0; target < _TARGET_MAX; target++)
                wanted[target] = args->platforms.n == 0;
        for (size_t i = 0; i < args->platforms.n; i++) {
                cleanup_free char *copy = strdup(args->platforms.items[i]);
                char *rest = copy, *word;

                if (!copy)
                        return -ENOMEM;
                while ((word = strsep(&rest, ","))) {
                        enum target target;

                        if (target_of(word, &target) < 0)
                                return error_set(err, ERROR_INVALID, -EINVAL,
                                                 "--platform: '%.60s' is not linux/amd64 or "
                                                 "linux/arm64",
                                                 word);
                        wanted[target] = true;
                }
        }
        return 0;
}

static int compile_all(const struct args *args, const char *program, struct buf *objects,
                       struct error *err) {
        bool wanted[_TARGET_MAX];
        uint32_t n = 0;
        uint8_t *p;
        int r;

        r = read_platforms(args, wanted, err);
        if (r < 0)
                return r;
        for (enum target target = 0; target < _TARGET_MAX; target++)
                n += wanted[target];
        p = buf_reserve(objects, MP_HEADER_MAX);
        if (!p)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        objects->len = (size_t)(mp_put_map(p, n) - objects->data);
        for (enum target target = 0; target < _TARGET_MAX && r == 0; target++) {
                cleanup_buf struct buf object = BUF_INIT(LIMIT_OBJECT_SIZE_MAX);

                if (!wanted[target])
                        continue;
                r = compile(args, program, target, &object, err);
                if (r == 0)
                        r = put_object(objects, target_names[target], &object);
        }
        return r;
}

/* --- the command --- */

/* "build DIR NAME", "build DIR -t NAME", "build --prog FILE NAME", "build DIR": NAME is the
 * directory's then. */
struct build_what {
        const char *dir;
        char *name;
        char *dir_copy;
};

static void build_what_done(struct build_what *what) {
        free(what->name);
        free(what->dir_copy);
}

static int find_what(const struct args *args, struct build_what *what, struct error *err) {
        const char *name = args->tag;
        size_t at = 0;

        if (!args->prog)
                what->dir = args->words.n > 0 ? args->words.items[at++] : ".";
        if (at < args->words.n && name)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "build: the name is given twice, '%s' and '%s'",
                                 args->words.items[at], name);
        if (at < args->words.n)
                name = args->words.items[at++];
        if (at < args->words.n)
                return error_set(err, ERROR_INVALID, -EINVAL, "build: unexpected argument '%s'",
                                 args->words.items[at]);
        if (name) {
                what->name = strdup(name);
        } else if (what->dir) {
                what->dir_copy = realpath(what->dir, NULL);
                what->name = what->dir_copy ? strdup(basename(what->dir_copy)) : NULL;
                if (!what->dir_copy)
                        return error_set(err, ERROR_NOT_FOUND, -errno, "build: '%s': %m",
                                         what->dir);
        } else {
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "build: the name of the image is missing");
        }
        return what->name ? 0 : error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
}

static int read_created(uint64_t *ret, struct error *err) {
        const char *epoch = getenv("SOURCE_DATE_EPOCH");

        *ret = 0;
        if (epoch && epoch[0] && parse_u64(epoch, 0, INT64_MAX, ret) < 0)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "$SOURCE_DATE_EPOCH: '%s' is not a number of seconds", epoch);
        return 0;
}

static int find_sources(const struct args *args, const struct build_what *what, struct sources *ret,
                        struct error *err) {
        return sources_find(&(struct sources_spec){ .dir = what->dir,
                                                    .program = args->prog,
                                                    .definition = args->definition,
                                                    .file = args->build_file },
                            ret, err);
}

static int prepare(const struct args *args, const struct build_what *what, struct sources *sources,
                   struct req_image_build *request, struct buf *definition, struct buf *objects,
                   struct buf *annotations, struct error *err) {
        struct annotations_out pairs = { .body = BUF_INIT(ANNOTATIONS_SIZE) };
        int r;

        r = find_sources(args, what, sources, err);
        if (r == 0)
                r = read_created(&request->created, err);
        if (r == 0 && sources->definition) {
                r = read_input(sources->definition, "definition", definition, err);
                if (r == 0)
                        r = read_definition(sources->definition, definition, &pairs, err);
        }
        if (r == 0)
                r = read_annotation_options(args, &pairs, err);
        if (r == 0)
                finish_map(&pairs, annotations);
        buf_done(&pairs.body);
        if (r == 0)
                r = compile_all(args, sources->program, objects, err);
        request->image = what->name;
        request->definition = BYTES(definition->data, definition->len);
        request->objects = BYTES(objects->data, objects->len);
        request->annotations = BYTES(annotations->data, annotations->len);
        return r;
}

/* --- metadata --- */

/* Of the machine's own architecture; empty when that is not built. */
static struct bytes native_object(struct bytes objects) {
        return object_bin(objects, target_names[TARGET_NATIVE]);
}

static int validate(struct session *session, const struct args *args,
                    const struct req_image_build *request, const char *definition_name,
                    struct error *err) {
        struct inspect_spec spec = { .object = native_object(request->objects),
                                     .definition = request->definition,
                                     .definition_name = definition_name };
        cleanup(schema_freep) struct schema *schema = NULL;

        if (str_eq(args->validate_metadata ?: "true", "false") || spec.object.len == 0)
                return 0;
        return inspect_object(session, &spec, &schema, err);
}

static int write_definition(const char *path, const struct buf *text, struct error *err) {
        cleanup_free char *copy = strdup(path), *again = strdup(path);
        cleanup_close int dir_fd = -1;
        struct stat st;
        int r;

        if (!copy || !again)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        dir_fd = open(dirname(copy), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        r = dir_fd < 0 ? -errno
                       : write_file_atomic(dir_fd, basename(again), text->data, text->len,
                                           stat(path, &st) == 0 ? st.st_mode & 07777 : 0644);
        return r < 0 ? error_set(err, ERROR_INVALID, r, "cannot write '%s': %s", path, strerror(-r))
                     : 0;
}

/* Writes what the object has and the definition does not mention into the definition. */
static int update_definition(struct session *session, const struct args *args,
                             const struct build_what *what, struct error *err) {
        cleanup(sources_done) struct sources sources = { 0 };
        cleanup_buf struct buf definition = BUF_INIT(LIMIT_DEFINITION_SIZE_MAX);
        cleanup_buf struct buf object = BUF_INIT(LIMIT_OBJECT_SIZE_MAX);
        cleanup(schema_freep) struct schema *schema = NULL;
        cleanup_free char *name = strndup(what->name, strcspn(what->name, ":@")), *path = NULL;
        unsigned int n_added = 0;
        int r;

        r = find_sources(args, what, &sources, err);
        if (r == 0 && sources.definition)
                r = read_input(sources.definition, "definition", &definition, err);
        if (r == 0)
                r = compile(args, sources.program, TARGET_NATIVE, &object, err);
        if (r < 0)
                return r;
        if (asprintf(&path, "%s%s", sources.definition ? sources.definition : what->dir ?: ".",
                     sources.definition ? "" : "/gadget.yaml") < 0 || !name)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        r = inspect_object(
                session,
                &(struct inspect_spec){ .object = BYTES(object.data, object.len),
                                        .definition = BYTES(definition.data, definition.len),
                                        .definition_name = path },
                &schema, err);
        if (r == 0 && !schema)
                r = error_set(
                        err, ERROR_UNAVAILABLE, -ENOEXEC,
                        "--update-metadata: the object cannot be loaded on this machine, which "
                        "is how it is looked at");
        if (r == 0)
                r = metadata_complete(path, name, schema, &definition, &n_added, err);
        if (r == 0 && n_added > 0)
                r = write_definition(path, &definition, err);
        if (r == 0)
                diag("'%s': %u added, for you to describe", path, n_added);
        return r;
}

int cmd_build(struct args *args) {
        cleanup_buf struct buf definition = BUF_INIT(LIMIT_DEFINITION_SIZE_MAX);
        cleanup_buf struct buf objects = BUF_INIT(LIMIT_CLIENT_FRAME_MAX);
        cleanup_buf struct buf annotations = BUF_INIT(2 * ANNOTATIONS_SIZE);
        cleanup(build_what_done) struct build_what what = { 0 };
        cleanup(sources_done) struct sources sources = { 0 };
        cleanup_session struct session session = { .daemon_pidfd = -1 };
        struct req_image_build request = { 0 };
        struct error err = { 0 };
        struct rep_image reply;
        int r;

        r = find_what(args, &what, &err);
        if (r < 0) {
                diag("%s", error_text(&err));
                return EXIT_USAGE;
        }
        if (args->update_metadata) {
                r = session_open(&session, args, SESSION_MAY_SPAWN);
                if (r != 0)
                        return r;
                r = update_definition(&session, args, &what, &err);
                if (r < 0)
                        return diag_failure(&err, r, session.connection);
        }
        r = prepare(args, &what, &sources, &request, &definition, &objects, &annotations, &err);
        if (r < 0)
                return diag_failure(&err, r, NULL);
        if (!args->update_metadata)
                r = session_open(&session, args, SESSION_MAY_SPAWN);
        if (r != 0)
                return r;
        r = validate(&session, args, &request, sources.definition, &err);
        if (r == 0)
                r = connection_call(session.connection, METHOD_IMAGE_BUILD, &request, &reply, &err);
        if (r < 0)
                return diag_failure(&err, r, session.connection);
        printf("Successfully built %s@%s\n", reply.image, reply.digest);
        return EXIT_OK;
}
