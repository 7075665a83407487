/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/yaml-file.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/file.h"
#include "base/parse.h"

int yaml_error(const struct yaml *yaml, const yaml_node_t *node, struct error *err, const char *fmt,
               ...) {
        char text[320];
        va_list args;

        va_start(args, fmt);
        vsnprintf(text, sizeof(text), fmt, args);
        va_end(args);
        return error_set(err, ERROR_INVALID, -EINVAL, "%s line %zu: %s", yaml->path,
                         node ? node->start_mark.line + 1 : 1, text);
}

int yaml_parse(const char *path, struct bytes text, struct yaml *ret, struct error *err) {
        yaml_parser_t parser;
        int r = 0;

        *ret = (struct yaml){ .path = path };
        if (!yaml_parser_initialize(&parser))
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        yaml_parser_set_input_string(&parser, text.data, text.len);
        if (yaml_parser_load(&parser, &ret->doc))
                ret->is_loaded = true;
        else
                r = error_set(err, ERROR_INVALID, -EINVAL, "%s line %zu: %s", path,
                              parser.problem_mark.line + 1, parser.problem ?: "is not YAML");
        yaml_parser_delete(&parser);
        return r;
}

int yaml_open(const char *path, struct yaml *ret, struct error *err) {
        cleanup_buf struct buf text = BUF_INIT(YAML_FILE_MAX);
        int r;

        *ret = (struct yaml){ .path = path };
        r = read_file_at(AT_FDCWD, path, &text);
        if (r < 0)
                return error_prefix(err, r, "cannot read '%s'", path);
        return yaml_parse(path, BYTES(text.data, text.len), ret, err);
}

void yaml_done(struct yaml *yaml) {
        if (yaml->is_loaded)
                yaml_document_delete(&yaml->doc);
        yaml->is_loaded = false;
}

const yaml_node_t *yaml_root(struct yaml *yaml) {
        return yaml->is_loaded ? yaml_document_get_root_node(&yaml->doc) : NULL;
}

static const char *scalar(const yaml_node_t *node) {
        return node && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value
                                                      : NULL;
}

static int read_pair(struct yaml *yaml, const yaml_node_pair_t *pair, const struct yaml_key *keys,
                     size_t n_keys, void *userdata, struct error *err) {
        const yaml_node_t *key = yaml_document_get_node(&yaml->doc, pair->key);

        for (size_t i = 0; scalar(key) && i < n_keys; i++)
                if (str_eq(scalar(key), keys[i].name))
                        return keys[i].func(yaml, yaml_document_get_node(&yaml->doc, pair->value),
                                            userdata, err);
        yaml_error(yaml, key, err, "unknown key '%.60s'; known here:", scalar(key) ?: "?");
        for (size_t i = 0; err && i < n_keys; i++) {
                size_t used = strlen(err->msg);

                snprintf(err->msg + used, sizeof(err->msg) - used, "%s %s", i ? "," : "",
                         keys[i].name);
        }
        return -EINVAL;
}

int yaml_read_map(struct yaml *yaml, const yaml_node_t *node, const struct yaml_key *keys,
                  size_t n_keys, void *userdata, struct error *err) {
        int r = 0;

        if (!node || node->type != YAML_MAPPING_NODE)
                return yaml_error(yaml, node, err, "this should be a map");
        for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
             pair < node->data.mapping.pairs.top && r == 0; pair++)
                r = read_pair(yaml, pair, keys, n_keys, userdata, err);
        return r;
}

int yaml_read_list(struct yaml *yaml, const yaml_node_t *node, yaml_func func, void *userdata,
                   struct error *err) {
        int r = 0;

        if (!node || node->type != YAML_SEQUENCE_NODE)
                return yaml_error(yaml, node, err, "this should be a list");
        for (const yaml_node_item_t *item = node->data.sequence.items.start;
             item < node->data.sequence.items.top && r == 0; item++)
                r = func(yaml, yaml_document_get_node(&yaml->doc, *item), userdata, err);
        return r;
}

int yaml_read_text(struct yaml *yaml, const yaml_node_t *node, char **ret, struct error *err) {
        char *copy;

        if (!scalar(node) || scalar(node)[0] == '\0' ||
            strlen(scalar(node)) != node->data.scalar.length)
                return yaml_error(yaml, node, err, "this should be a text");
        copy = strdup(scalar(node));
        if (!copy)
                return -ENOMEM;
        free(*ret);
        *ret = copy;
        return 0;
}

int yaml_read_bool(struct yaml *yaml, const yaml_node_t *node, bool *ret, struct error *err) {
        if (!scalar(node) || parse_bool(scalar(node), ret) < 0)
                return yaml_error(yaml, node, err, "this should be true or false");
        return 0;
}
