/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A YAML document as a tree that remembers lines and columns. Foreign text: depth and number of
 * nodes are bounded, anchors, aliases and a second document are refused.
 */
#pragma once

#include "base/error.h"

enum yaml_kind { YAML_TEXT, YAML_LIST, YAML_MAP };

struct yaml {
        enum yaml_kind kind;
        const char *file; /* for messages, borrowed */
        uint32_t line;    /* both from 1 */
        uint32_t column;
        char *text;          /* YAML_TEXT */
        bool is_plain;       /* YAML_TEXT without quotes: may mean null, true, a number */
        struct yaml **items; /* YAML_LIST: n items; YAML_MAP: n keys and values in turn */
        size_t n;
};

/* NULL for an empty document. Messages begin with "file:line:column: "; file outlives the tree. */
int yaml_parse(const char *file, struct bytes text, struct yaml **ret, struct error *err);
struct yaml *yaml_tree_free(struct yaml *node);
DEFINE_CLEANUP(struct yaml, yaml_tree_free)

/* True for a value left out, "~" or "null". */
bool yaml_is_null(const struct yaml *node);

/* error_set() with "file:line:column: " of the node in front. Always -EINVAL. */
int yaml_error(const struct yaml *node, struct error *err, const char *fmt, ...) PRINTF_LIKE(3, 4);
