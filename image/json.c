/* SPDX-License-Identifier: Apache-2.0 */
#include "image/json.h"

/* Counts without allocating. A text that is not JSON may be counted wrongly; jansson refuses it
 * next. */
static int check_bounds(struct bytes text, size_t max_values, struct error *err) {
        size_t depth = 0, values = 1;
        bool in_string = false;

        for (size_t i = 0; i < text.len; i++) {
                uint8_t c = text.data[i];

                if (in_string) {
                        if (c == '\\')
                                i++;
                        else if (c == '"')
                                in_string = false;
                        continue;
                }
                if (c == '"') {
                        in_string = true;
                } else if (c == '{' || c == '[') {
                        values++;
                        if (++depth > JSON_NESTING_MAX)
                                return error_set(err, ERROR_LIMIT, -E2BIG,
                                                 "JSON is nested deeper than %d levels",
                                                 JSON_NESTING_MAX);
                } else if ((c == '}' || c == ']') && depth > 0) {
                        depth--;
                } else if (c == ',') {
                        values++;
                }
                if (values > max_values)
                        return error_set(err, ERROR_LIMIT, -E2BIG,
                                         "JSON holds more than %zu values", max_values);
        }
        return 0;
}

/*
 * jansson's lexer (2.14) drops a byte of a string when its buffer cannot grow, and goes on: a
 * digest would be another one. So what it allocates with takes note of a failure.
 */
static bool out_of_memory;

static void *malloc_noting_failure(size_t n) {
        void *p = malloc(n);

        if (!p)
                out_of_memory = true;
        return p;
}

int json_parse(struct bytes text, size_t max_values, json_t **ret, struct error *err) {
        cleanup_json json_t *root = NULL;
        json_error_t where;
        int r;

        r = check_bounds(text, max_values, err);
        if (r < 0)
                return r;

        json_set_alloc_funcs(malloc_noting_failure, free);
        out_of_memory = false;
        root = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &where);
        if (out_of_memory)
                return error_set(err, ERROR_UNAVAILABLE, -ENOMEM, "no memory to parse JSON");
        if (!root)
                return error_set(err, ERROR_INVALID, -EBADMSG, "is not JSON: line %d column %d: %s",
                                 where.line, where.column, where.text);
        if (!json_is_object(root))
                return error_set(err, ERROR_INVALID, -EBADMSG, "JSON is not an object");
        *ret = TAKE_PTR(root);
        return 0;
}

int json_get_text(const json_t *object, const char *key, const char **ret) {
        const json_t *value = json_object_get(object, key);

        if (!value)
                return -ENOENT;
        if (!json_is_string(value))
                return -EINVAL;
        *ret = json_string_value(value);
        return 0;
}

int json_get_u64(const json_t *object, const char *key, uint64_t *ret) {
        const json_t *value = json_object_get(object, key);

        if (!value)
                return -ENOENT;
        if (!json_is_integer(value) || json_integer_value(value) < 0)
                return -EINVAL;
        *ret = (uint64_t)json_integer_value(value);
        return 0;
}

int json_print(const json_t *root, char **ret, size_t *ret_n) {
        cleanup_free char *text = NULL;
        size_t n;

        /* Not json_dumps(): as of 2.14 it overlooks that memory ran out at a key and prints on
         * without it. */
        n = json_dumpb(root, NULL, 0, JSON_COMPACT);
        if (n == 0)
                return -ENOMEM;
        text = malloc(n + 1);
        if (!text || json_dumpb(root, text, n, JSON_COMPACT) != n)
                return -ENOMEM;
        text[n] = '\0';
        *ret = TAKE_PTR(text);
        if (ret_n)
                *ret_n = n;
        return 0;
}
