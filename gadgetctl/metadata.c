/* SPDX-License-Identifier: Apache-2.0 */
#include "gadgetctl/metadata.h"

#include <stdio.h>
#include <strings.h>
#include <yaml.h>

#include "base/text.h"
#include "gadget/api.h"

#define INDENT 2
#define INSERTIONS_MAX (LIMIT_STREAMS_MAX * 4 + 8)
#define TEXT_MAX (LIMIT_DEFINITION_SIZE_MAX)

/* Lines to add behind a line of the file. */
struct insertion {
        size_t behind; /* lines of the file that come before */
        size_t indent;
        struct buf text;
};

struct edit {
        const char *path;
        const struct buf *text;
        yaml_document_t doc;
        bool has_doc;
        struct insertion insertions[INSERTIONS_MAX];
        size_t n;
        unsigned int n_added;
        struct error *err;
};

static void edit_done(struct edit *e) {
        if (e->has_doc)
                yaml_document_delete(&e->doc);
        for (size_t i = 0; i < e->n; i++)
                buf_done(&e->insertions[i].text);
}

/* --- the tree --- */

static const char *text_of(const yaml_node_t *node) {
        return node && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : "";
}

static bool is_null(const yaml_node_t *node) {
        return node->type == YAML_SCALAR_NODE &&
               node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
               (text_of(node)[0] == '\0' || str_eq(text_of(node), "~") ||
                str_eq(text_of(node), "null"));
}

/* The value of a key in a map, in *ret_key the key. NULL = it has none. */
static yaml_node_t *find(struct edit *e, const yaml_node_t *map, const char *name,
                         const yaml_node_t **ret_key) {
        if (!map || map->type != YAML_MAPPING_NODE)
                return NULL;
        for (yaml_node_pair_t *pair = map->data.mapping.pairs.start;
             pair < map->data.mapping.pairs.top; pair++) {
                const yaml_node_t *key = yaml_document_get_node(&e->doc, pair->key);

                if (strcasecmp(text_of(key), name) != 0)
                        continue;
                if (ret_key)
                        *ret_key = key;
                return yaml_document_get_node(&e->doc, pair->value);
        }
        return NULL;
}

/* Lines of the file up to the end of a node. Marks of block nodes lie behind comments and empty
 * lines, so that these are asked for their last child. */
static size_t lines_to(struct edit *e, const yaml_node_t *node) {
        yaml_node_pair_t *pair;

        switch (node->type) {
        case YAML_MAPPING_NODE:
                pair = node->data.mapping.pairs.top;
                if (node->data.mapping.style == YAML_FLOW_MAPPING_STYLE ||
                    pair == node->data.mapping.pairs.start)
                        break;
                return MAX(lines_to(e, yaml_document_get_node(&e->doc, pair[-1].value)),
                           lines_to(e, yaml_document_get_node(&e->doc, pair[-1].key)));
        case YAML_SEQUENCE_NODE:
                if (node->data.sequence.style == YAML_FLOW_SEQUENCE_STYLE ||
                    node->data.sequence.items.top == node->data.sequence.items.start)
                        break;
                return lines_to(e,
                                yaml_document_get_node(&e->doc, node->data.sequence.items.top[-1]));
        case YAML_SCALAR_NODE:
                /* The end of a literal block is the beginning of a line. */
                if (node->end_mark.column == 0 && node->end_mark.line > node->start_mark.line)
                        return node->end_mark.line;
                break;
        case YAML_NO_NODE:
                break;
        }
        return node->end_mark.line + 1;
}

/* --- lines to add --- */

struct place {
        struct buf *text;
        size_t indent;
};

static void put_line(const struct place *at, size_t indent, const char *key, const char *value) {
        buf_printf(at->text, "%*s%s:", (int)(at->indent + indent), "", key);
        if (value) {
                buf_puts(at->text, " ");
                text_append_json(at->text, (const uint8_t *)value, strlen(value));
        }
        buf_puts(at->text, "\n");
}

static int new_insertion(struct edit *e, size_t behind, size_t indent, struct place *ret) {
        struct insertion *insertion;

        if (e->n == INSERTIONS_MAX)
                return error_set(e->err, ERROR_LIMIT, -E2BIG, "'%s': too much is missing", e->path);
        insertion = &e->insertions[e->n++];
        *insertion = (struct insertion){ behind, indent, BUF_INIT(TEXT_MAX) };
        *ret = (struct place){ &insertion->text, indent };
        return 0;
}

/* Where one more key of this map goes. */
static int place_in(struct edit *e, const yaml_node_t *key, const yaml_node_t *map,
                    struct place *ret) {
        const yaml_node_t *first;

        if (is_null(map))
                return new_insertion(e, key->end_mark.line + 1, key->start_mark.column + INDENT,
                                     ret);
        if (map->type != YAML_MAPPING_NODE || map->data.mapping.style == YAML_FLOW_MAPPING_STYLE)
                return error_set(
                        e->err, ERROR_INVALID, -EINVAL,
                        "%s:%zu:%zu: lines cannot be added to this: write it as keys below "
                        "each other",
                        e->path, map->start_mark.line + 1, map->start_mark.column + 1);
        first = yaml_document_get_node(&e->doc, map->data.mapping.pairs.start->key);
        return new_insertion(e, lines_to(e, map), first->start_mark.column, ret);
}

/* --- what is missing --- */

/* Users see a rendered field by the name of its text. */
static const char *shown_name(const struct schema_field *f) {
        return f->target[0] ? f->target : f->name;
}

static void put_field(struct edit *e, const struct place *at, size_t indent,
                      const struct schema_field *f) {
        const char *description = annotation_get(&f->annotations, "description");

        put_line(at, indent, shown_name(f), NULL);
        put_line(at, indent + INDENT, "annotations", NULL);
        put_line(at, indent + 2 * INDENT, "description", description ? description : "");
        e->n_added++;
}

static bool is_missing(struct edit *e, const yaml_node_t *fields, const struct schema_field *f) {
        return !(f->flags & FIELD_ADDED) && !find(e, fields, f->name, NULL) &&
               !(f->target[0] && find(e, fields, f->target, NULL));
}

static bool has_missing_fields(struct edit *e, const yaml_node_t *fields,
                               const struct schema_stream *stream) {
        for (uint32_t i = 0; i < stream->n_fields; i++)
                if (is_missing(e, fields, &stream->fields[i]))
                        return true;
        return false;
}

static void put_fields(struct edit *e, const struct place *at, size_t indent,
                       const yaml_node_t *fields, const struct schema_stream *stream) {
        for (uint32_t i = 0; i < stream->n_fields; i++)
                if (is_missing(e, fields, &stream->fields[i]))
                        put_field(e, at, indent, &stream->fields[i]);
}

static void put_stream(struct edit *e, const struct place *at, size_t indent,
                       const struct schema_stream *stream) {
        put_line(at, indent, stream->name, NULL);
        put_line(at, indent + INDENT, "fields", NULL);
        put_fields(e, at, indent + 2 * INDENT, NULL, stream);
        e->n_added++;
}

/* A data source that the definition has. */
static int complete_stream(struct edit *e, const yaml_node_t *key, const yaml_node_t *source,
                           const struct schema_stream *stream) {
        const yaml_node_t *fields_key = NULL, *fields = find(e, source, "fields", &fields_key);
        struct place at;
        int r;

        if (!has_missing_fields(e, fields, stream))
                return 0;
        r = fields ? place_in(e, fields_key, fields, &at) : place_in(e, key, source, &at);
        if (r < 0)
                return r;
        if (!fields)
                put_line(&at, 0, "fields", NULL);
        put_fields(e, &at, fields ? 0 : INDENT, fields, stream);
        return 0;
}

static int complete_streams(struct edit *e, const yaml_node_t *root, const struct place *end,
                            const struct schema *schema) {
        const yaml_node_t *key = NULL, *sources = find(e, root, "datasources", &key);
        struct place at = { NULL };
        int r;

        /* The design document's way to say it. */
        if (find(e, root, "columns", NULL))
                return 0;
        if (!sources && schema->n_streams > 0)
                put_line(end, 0, "datasources", NULL);
        for (uint32_t i = 0; i < schema->n_streams; i++) {
                const struct schema_stream *stream = &schema->streams[i];
                const yaml_node_t *source_key = NULL,
                                  *source = find(e, sources, stream->name, &source_key);

                if (source) {
                        r = complete_stream(e, source_key, source, stream);
                        if (r < 0)
                                return r;
                        continue;
                }
                if (!sources) {
                        put_stream(e, end, INDENT, stream);
                        continue;
                }
                r = at.text ? 0 : place_in(e, key, sources, &at);
                if (r < 0)
                        return r;
                put_stream(e, &at, 0, stream);
        }
        return 0;
}

static void put_param(struct edit *e, const struct place *at, size_t indent,
                      const struct schema_param *param) {
        put_line(at, indent, param->variable, NULL);
        put_line(at, indent + INDENT, "key", param->key);
        put_line(at, indent + INDENT, "description", param->description);
        e->n_added++;
}

static int complete_params(struct edit *e, const yaml_node_t *root, const struct place *end,
                           const struct schema *schema) {
        const yaml_node_t *params_key = NULL, *params = find(e, root, "params", &params_key);
        const yaml_node_t *ebpf_key = NULL, *ebpf = find(e, params, "ebpf", &ebpf_key);
        struct place at = { NULL };
        size_t indent = 0;

        for (uint32_t i = 0; i < schema->n_params; i++) {
                const struct schema_param *param = &schema->params[i];
                int r = 0;

                if (find(e, ebpf, param->variable, NULL))
                        continue;
                if (!at.text && ebpf) {
                        r = place_in(e, ebpf_key, ebpf, &at);
                } else if (!at.text && params) {
                        r = place_in(e, params_key, params, &at);
                        if (r == 0)
                                put_line(&at, 0, "ebpf", NULL);
                        indent = INDENT;
                } else if (!at.text) {
                        at = *end;
                        put_line(&at, 0, "params", NULL);
                        put_line(&at, INDENT, "ebpf", NULL);
                        indent = 2 * INDENT;
                }
                if (r < 0)
                        return r;
                put_param(e, &at, indent, param);
        }
        return 0;
}

/* --- the file --- */

static int load(struct edit *e) {
        yaml_parser_t parser;
        int r = 0;

        if (!yaml_parser_initialize(&parser))
                return error_set(e->err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        yaml_parser_set_input_string(&parser, e->text->data ? e->text->data : (uint8_t *)"",
                                     e->text->len);
        e->has_doc = yaml_parser_load(&parser, &e->doc);
        if (!e->has_doc)
                r = error_set(e->err, ERROR_INVALID, -EINVAL, "%s:%zu:%zu: not YAML: %s", e->path,
                              parser.problem_mark.line + 1, parser.problem_mark.column + 1,
                              parser.problem ? parser.problem : "cannot be read");
        yaml_parser_delete(&parser);
        return r;
}

static int complete(struct edit *e, const char *name, const struct schema *schema) {
        yaml_node_t *root;
        struct place begin, end;
        int r;

        r = load(e);
        if (r < 0)
                return r;
        root = yaml_document_get_root_node(&e->doc);
        if (root && (root->type != YAML_MAPPING_NODE ||
                     root->data.mapping.style == YAML_FLOW_MAPPING_STYLE))
                return error_set(e->err, ERROR_INVALID, -EINVAL,
                                 "%s:%zu:%zu: keys below each other are expected here", e->path,
                                 root->start_mark.line + 1, root->start_mark.column + 1);
        r = new_insertion(e, root ? root->start_mark.line : 0, 0, &begin);
        if (r == 0)
                r = new_insertion(e, root ? lines_to(e, root) : SIZE_MAX, 0, &end);
        if (r < 0)
                return r;
        if (!find(e, root, "name", NULL))
                put_line(&begin, 0, "name", name);
        if (!find(e, root, "description", NULL))
                put_line(&begin, 0, "description", "");
        r = complete_streams(e, root, &end, schema);
        return r < 0 ? r : complete_params(e, root, &end, schema);
}

/* What goes behind so many lines: what belongs to an inner map before what belongs to an outer. */
static void put_insertions(const struct edit *e, size_t n_lines, bool is_end, struct buf *out) {
        bool is_done[INSERTIONS_MAX] = { false };

        for (;;) {
                const struct insertion *next = NULL;

                for (size_t i = 0; i < e->n; i++) {
                        const struct insertion *in = &e->insertions[i];

                        if (is_done[i] || in->behind < n_lines || (in->behind > n_lines && !is_end))
                                continue;
                        if (!next || in->indent > next->indent)
                                next = in;
                }
                if (!next)
                        return;
                is_done[next - e->insertions] = true;
                buf_append(out, next->text.data, next->text.len);
        }
}

/* The file with what was inserted. */
static int merge(const struct edit *e, struct buf *out) {
        const uint8_t *p = e->text->data, *stop = p + e->text->len;
        size_t n_lines = 0;

        for (;;) {
                const uint8_t *newline;
                bool is_end = p == stop;

                put_insertions(e, n_lines, is_end, out);
                if (is_end)
                        break;
                newline = memchr(p, '\n', (size_t)(stop - p));
                buf_append(out, p, (size_t)((newline ? newline + 1 : stop) - p));
                if (!newline)
                        buf_puts(out, "\n");
                p = newline ? newline + 1 : stop;
                n_lines++;
        }
        return buf_result(out);
}

int metadata_complete(const char *path, const char *name, const struct schema *schema,
                      struct buf *text, unsigned int *ret_added, struct error *err) {
        cleanup(edit_done) struct edit e = { .path = path, .text = text, .err = err };
        struct buf out = BUF_INIT(TEXT_MAX);
        int r;

        r = complete(&e, name, schema);
        if (r == 0 && merge(&e, &out) < 0)
                r = error_set(err, ERROR_LIMIT, -EFBIG, "'%s' would have more than %d bytes", path,
                              TEXT_MAX);
        if (r < 0) {
                buf_done(&out);
                return r;
        }
        buf_done(text);
        *text = out;
        *ret_added = e.n_added;
        return 0;
}
