/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/yaml-tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

#define DEPTH_MAX 24
#define NODES_MAX 50000

struct parse {
        yaml_parser_t parser;
        const char *file;
        unsigned int n_nodes;
        struct error *err;
};

static void parse_done(struct parse *p) {
        yaml_parser_delete(&p->parser);
}

struct yaml *yaml_tree_free(struct yaml *node) {
        if (!node)
                return NULL;
        for (size_t i = 0; i < node->n; i++)
                yaml_tree_free(node->items[i]);
        free(node->items);
        free(node->text);
        free(node);
        return NULL;
}

bool yaml_is_null(const struct yaml *node) {
        return node->kind == YAML_TEXT && node->is_plain &&
               (node->text[0] == '\0' || str_eq(node->text, "~") || str_eq(node->text, "null"));
}

int yaml_error(const struct yaml *node, struct error *err, const char *fmt, ...) {
        char text[sizeof(err->msg)];
        va_list args;

        va_start(args, fmt);
        vsnprintf(text, sizeof(text), fmt, args);
        va_end(args);
        return error_set(err, ERROR_INVALID, -EINVAL, "%s:%u:%u: %s", node->file, node->line,
                         node->column, text);
}

static int oom(struct parse *p) {
        return error_set(p->err, ERROR_INTERNAL, -ENOMEM, "no memory for the YAML document");
}

static int next_event(struct parse *p, yaml_event_t *ret) {
        if (yaml_parser_parse(&p->parser, ret))
                return 0;
        if (p->parser.error == YAML_MEMORY_ERROR)
                return oom(p);
        return error_set(p->err, ERROR_INVALID, -EINVAL, "%s:%zu:%zu: not YAML: %s", p->file,
                         p->parser.problem_mark.line + 1, p->parser.problem_mark.column + 1,
                         p->parser.problem ? p->parser.problem : "cannot be read");
}

static int append(struct parse *p, struct yaml *list, struct yaml *take_item) {
        struct yaml **items = reallocarray(list->items, list->n + 1, sizeof(*items));

        if (!items) {
                yaml_tree_free(take_item);
                return oom(p);
        }
        list->items = items;
        items[list->n++] = take_item;
        return 0;
}

static int check_key(const struct yaml *map, const struct yaml *key, struct error *err) {
        if (key->kind != YAML_TEXT)
                return yaml_error(key, err, "a key must be text");
        for (size_t i = 0; i < map->n; i += 2)
                if (str_eq(map->items[i]->text, key->text))
                        return yaml_error(key, err,
                                          "'%.64s' stands here a second time (first in line %u)",
                                          key->text, map->items[i]->line);
        return 0;
}

static int build(struct parse *p, const yaml_event_t *event, unsigned int depth, struct yaml **ret);

/* The items of a list or map up to its end. */
static int build_items(struct parse *p, struct yaml *list, yaml_event_type_t end,
                       unsigned int depth) {
        for (;;) {
                cleanup(yaml_event_delete) yaml_event_t event = { 0 };
                struct yaml *item;
                int r;

                r = next_event(p, &event);
                if (r < 0)
                        return r;
                if (event.type == end)
                        return 0;
                r = build(p, &event, depth + 1, &item);
                if (r < 0)
                        return r;
                if (list->kind == YAML_MAP && list->n % 2 == 0) {
                        r = check_key(list, item, p->err);
                        if (r < 0) {
                                yaml_tree_free(item);
                                return r;
                        }
                }
                r = append(p, list, item);
                if (r < 0)
                        return r;
        }
}

/* The node that begins with `event`. */
static int build(struct parse *p, const yaml_event_t *event, unsigned int depth,
                 struct yaml **ret) {
        cleanup(yaml_tree_freep) struct yaml *node = calloc(1, sizeof(*node));
        bool is_map = event->type == YAML_MAPPING_START_EVENT;
        int r;

        if (!node)
                return oom(p);
        node->file = p->file;
        node->line = (uint32_t)event->start_mark.line + 1;
        node->column = (uint32_t)event->start_mark.column + 1;
        if (depth > DEPTH_MAX || ++p->n_nodes > NODES_MAX)
                return yaml_error(node, p->err, "the document is nested or long beyond reason");
        if (event->type == YAML_ALIAS_EVENT)
                return yaml_error(node, p->err,
                                  "aliases (*name) are not supported; repeat the text");
        if (event->type == YAML_SCALAR_EVENT) {
                if (memchr(event->data.scalar.value, 0, event->data.scalar.length))
                        return yaml_error(node, p->err, "text contains a NUL");
                node->text = strdup((const char *)event->data.scalar.value);
                if (!node->text)
                        return oom(p);
                node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
                *ret = TAKE_PTR(node);
                return 0;
        }
        node->kind = is_map ? YAML_MAP : YAML_LIST;
        r = build_items(p, node, is_map ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT, depth);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(node);
        return 0;
}

int yaml_parse(const char *file, struct bytes text, struct yaml **ret, struct error *err) {
        cleanup(parse_done) struct parse p = { .file = file, .err = err };
        cleanup(yaml_tree_freep) struct yaml *root = NULL;

        if (!yaml_parser_initialize(&p.parser))
                return oom(&p);
        yaml_parser_set_input_string(&p.parser, text.data ? text.data : (const uint8_t *)"",
                                     text.len);
        for (;;) {
                cleanup(yaml_event_delete) yaml_event_t event = { 0 };
                int r = next_event(&p, &event);

                if (r < 0)
                        return r;
                switch (event.type) {
                case YAML_STREAM_END_EVENT:
                        *ret = TAKE_PTR(root);
                        return 0;
                case YAML_SCALAR_EVENT:
                case YAML_SEQUENCE_START_EVENT:
                case YAML_MAPPING_START_EVENT:
                case YAML_ALIAS_EVENT:
                        if (root)
                                return error_set(
                                        err, ERROR_INVALID, -EINVAL,
                                        "%s:%zu:1: a second document begins; only one is read",
                                        file, event.start_mark.line + 1);
                        r = build(&p, &event, 1, &root);
                        if (r < 0)
                                return r;
                        break;
                case YAML_NO_EVENT:
                case YAML_STREAM_START_EVENT:
                case YAML_DOCUMENT_START_EVENT:
                case YAML_DOCUMENT_END_EVENT:
                case YAML_SEQUENCE_END_EVENT:
                case YAML_MAPPING_END_EVENT:
                        break;
                }
        }
}
