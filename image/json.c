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

int json_parse(struct bytes text, size_t max_values, json_t **ret, struct error *err) {
        cleanup_json json_t *root = NULL;
        json_error_t where;
        int r;

        r = check_bounds(text, max_values, err);
        if (r < 0)
                return r;

        root = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &where);
        if (!root && json_error_code(&where) == json_error_out_of_memory)
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
        char *text = json_dumps(root, JSON_COMPACT);

        if (!text)
                return -ENOMEM;
        *ret = text;
        if (ret_n)
                *ret_n = strlen(text);
        return 0;
}
