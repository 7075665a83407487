/* SPDX-License-Identifier: Apache-2.0 */
#include "gadgetctl/object.h"

#include <time.h>

#include <math.h>
#include <strings.h>

#include "base/format.h"
#include "base/text.h"
#include "ipc/mp.h"

#define TEXT_MAX (64u << 20)

bool object_get(struct bytes map, const char *key, struct bytes *ret) {
        struct mp_reader r = mp_reader_of(map);
        struct bytes name;
        uint32_t n;

        if (map.len == 0 || mp_read_map(&r, &n) < 0)
                return false;
        for (uint32_t i = 0; i < n; i++) {
                const uint8_t *start;

                if (mp_read_str(&r, &name) < 0)
                        return false;
                start = r.pos;
                if (mp_skip(&r) < 0)
                        return false;
                if (bytes_eq(name, key)) {
                        *ret = BYTES(start, (size_t)(r.pos - start));
                        return true;
                }
        }
        return false;
}

static bool get_value(struct bytes map, const char *key, struct mp_value *ret) {
        struct bytes encoded;
        struct mp_reader r;

        if (!object_get(map, key, &encoded))
                return false;
        r = mp_reader_of(encoded);
        return mp_read(&r, ret) == 0;
}

const char *object_text(struct bytes map, const char *key, char *buf, size_t n) {
        struct mp_value v;
        size_t len = 0;

        if (get_value(map, key, &v) && v.type == MP_STR) {
                len = MIN((size_t)v.n, n - 1);
                memcpy(buf, v.data, len);
        }
        buf[len] = '\0';
        return buf;
}

uint64_t object_uint(struct bytes map, const char *key) {
        struct mp_value v;

        return get_value(map, key, &v) && v.type == MP_UINT ? v.u : 0;
}

bool object_bool(struct bytes map, const char *key) {
        struct mp_value v;

        return get_value(map, key, &v) && v.type == MP_BOOL && v.b;
}

struct bytes object_bin(struct bytes map, const char *key) {
        struct mp_value v;

        if (get_value(map, key, &v) && v.type == MP_BIN)
                return BYTES(v.data, v.n);
        return BYTES(NULL, 0);
}

struct object_iter object_iter_of(struct bytes array) {
        struct mp_reader r = mp_reader_of(array);
        struct object_iter iter = { .left = 0 };

        if (array.len == 0 || mp_read_array(&r, &iter.left) < 0)
                return (struct object_iter){ .left = 0 };
        iter.rest = BYTES(r.pos, (size_t)(r.end - r.pos));
        return iter;
}

bool object_next(struct object_iter *iter, struct bytes *ret) {
        struct mp_reader r = mp_reader_of(iter->rest);

        if (iter->left == 0 || mp_skip(&r) < 0)
                return false;
        iter->left--;
        *ret = BYTES(iter->rest.data, (size_t)(r.pos - iter->rest.data));
        iter->rest = BYTES(r.pos, (size_t)(r.end - r.pos));
        return true;
}

/* --- printing --- */

void printer_init(struct printer *p, struct out *out, enum output_format format) {
        *p = (struct printer){ .out = out, .format = format };
}

static void put(struct printer *p, const char *text) {
        out_put(p->out, text, strlen(text));
}

static void put_indent(struct printer *p, unsigned int n) {
        while (n-- > 0)
                out_put(p->out, " ", 1);
}

static void put_json(struct printer *p, const void *text, size_t n) {
        cleanup_buf struct buf b = BUF_INIT(TEXT_MAX);

        if (text_append_json(&b, text, n) < 0)
                put(p, "null");
        else
                out_put(p->out, b.data, b.len);
}

static bool is_yaml(const struct printer *p) {
        return p->format == FORMAT_YAML;
}

/* What has to stand before the next key or element of the innermost container. */
static void before_child(struct printer *p) {
        unsigned int d = p->depth - 1;

        if (is_yaml(p)) {
                if (p->stack[d].n++ == 0 && p->stack[d].needs_newline)
                        put(p, "\n");
                if (p->is_inline)
                        p->is_inline = false;
                else
                        put_indent(p, p->stack[d].indent);
                return;
        }
        if (p->stack[d].n++ > 0)
                put(p, ",");
        if (p->format == FORMAT_JSONPRETTY) {
                put(p, "\n");
                put_indent(p, 2 * p->depth);
        }
}

/* What has to stand before any value. */
static void before_value(struct printer *p, bool is_container) {
        if (p->depth == 0)
                return;
        if (!p->stack[p->depth - 1].is_map) {
                before_child(p);
                if (is_yaml(p)) {
                        put(p, "- ");
                        p->is_inline = is_container;
                }
        } else if (is_yaml(p) && !is_container) {
                put(p, " ");
        }
}

static void after_scalar(struct printer *p) {
        p->is_after_key = false;
        if (is_yaml(p) || p->depth == 0)
                put(p, "\n");
}

static void begin(struct printer *p, bool is_map) {
        bool is_behind_key = p->is_after_key;
        unsigned int outer = p->depth ? p->stack[p->depth - 1].indent : 0;
        bool is_outermost = p->depth == 0;

        if (p->depth == ARRAY_SIZE(p->stack))
                return;
        before_value(p, true);
        p->stack[p->depth].is_map = is_map;
        p->stack[p->depth].n = 0;
        p->stack[p->depth].needs_newline = is_behind_key;
        p->stack[p->depth].indent = is_outermost ? 0 : outer + 2;
        p->depth++;
        p->is_after_key = false;
        if (!is_yaml(p))
                put(p, is_map ? "{" : "[");
}

void printer_map(struct printer *p) {
        begin(p, true);
}

void printer_array(struct printer *p) {
        begin(p, false);
}

void printer_end(struct printer *p) {
        bool is_map = p->stack[--p->depth].is_map;
        bool is_empty = p->stack[p->depth].n == 0;

        if (is_yaml(p)) {
                if (is_empty) {
                        if (p->stack[p->depth].needs_newline)
                                put(p, " ");
                        put(p, is_map ? "{}\n" : "[]\n");
                }
                p->is_inline = false;
                return;
        }
        if (p->format == FORMAT_JSONPRETTY && !is_empty) {
                put(p, "\n");
                put_indent(p, 2 * p->depth);
        }
        put(p, is_map ? "}" : "]");
        if (p->depth == 0)
                put(p, "\n");
}

/* A string that every YAML reader takes for the same string without quotes. */
static bool is_plain(const char *text, size_t n) {
        static const char *const taken[] = { "y",   "n",    "yes",   "no",  "on",
                                             "off", "true", "false", "null" };

        for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
                if (strlen(taken[i]) == n && strncasecmp(text, taken[i], n) == 0)
                        return false;
        for (size_t i = 0; i < n; i++) {
                bool is_letter =
                        ((text[i] | 0x20) >= 'a' && (text[i] | 0x20) <= 'z') || text[i] == '_';
                bool is_other = i > 0 && text[i] && strchr("0123456789-./@+", text[i]);
                bool is_colon = i > 0 && i + 1 < n && text[i] == ':';

                if (!is_letter && !is_other && !is_colon)
                        return false;
        }
        return n > 0;
}

static void put_name(struct printer *p, const void *text, size_t n) {
        if (is_yaml(p) && is_plain(text, n))
                out_put(p->out, text, n);
        else
                put_json(p, text, n);
}

void printer_key_bytes(struct printer *p, struct bytes key) {
        before_child(p);
        put_name(p, key.data, key.len);
        put(p, p->format == FORMAT_JSONPRETTY ? ": " : ":");
        p->is_after_key = true;
}

void printer_key(struct printer *p, const char *key) {
        printer_key_bytes(p, BYTES(key, strlen(key)));
}

/* Several lines of plain text, which YAML can show as they are. */
static bool is_block(struct bytes text) {
        if (text.len < 2 || text.data[0] == ' ' || text.data[0] == '\n' ||
            !memchr(text.data, '\n', text.len - 1))
                return false;
        if (text.data[text.len - 1] == '\n' && text.data[text.len - 2] == '\n')
                return false;
        for (size_t at = 0; at < text.len;) {
                const uint8_t *line = text.data + at;
                const uint8_t *end = memchr(line, '\n', text.len - at);
                size_t n = end ? (size_t)(end - line) : text.len - at;
                cleanup_buf struct buf b = BUF_INIT(TEXT_MAX);

                text_append_escaped(&b, line, n);
                if (b.failed || b.len != n)
                        return false;
                at += n + 1;
        }
        return true;
}

static void put_block(struct printer *p, struct bytes text) {
        unsigned int indent = p->depth ? p->stack[p->depth - 1].indent + 2 : 2;
        bool has_newline = text.data[text.len - 1] == '\n';

        put(p, has_newline ? "|" : "|-");
        for (size_t at = 0; at < text.len;) {
                const uint8_t *line = text.data + at;
                const uint8_t *end = memchr(line, '\n', text.len - at);
                size_t n = end ? (size_t)(end - line) : text.len - at;

                put(p, "\n");
                if (n > 0)
                        put_indent(p, indent);
                out_put(p->out, line, n);
                at += n + 1;
        }
}

static void print_text(struct printer *p, struct bytes text) {
        before_value(p, false);
        if (is_yaml(p) && is_block(text))
                put_block(p, text);
        else
                put_name(p, text.data, text.len);
        after_scalar(p);
}

void printer_text(struct printer *p, const char *text) {
        print_text(p, BYTES(text, strlen(text)));
}

static void print_word(struct printer *p, const void *word, size_t n) {
        before_value(p, false);
        out_put(p->out, word, n);
        after_scalar(p);
}

void printer_uint(struct printer *p, uint64_t v) {
        uint8_t text[FORMAT_MAX];

        print_word(p, text, (size_t)(format_u64(text, v) - text));
}

void printer_bool(struct printer *p, bool v) {
        print_word(p, v ? "true" : "false", v ? 4 : 5);
}

static void print_number(struct printer *p, const struct mp_value *v) {
        uint8_t text[FORMAT_MAX], *end;

        if (v->type == MP_FLOAT && !isfinite(v->f)) {
                print_word(p, "null", 4);
                return;
        }
        end = v->type == MP_UINT  ? format_u64(text, v->u)
              : v->type == MP_INT ? format_i64(text, v->i)
                                  : format_double(text, v->f, false, -1);
        print_word(p, text, (size_t)(end - text));
}

static void print_hex(struct printer *p, struct bytes data) {
        cleanup_free char *text = malloc(2 * data.len + 1);

        if (!text) {
                print_word(p, "null", 4);
                return;
        }
        hex_encode(data.data, data.len, text);
        print_text(p, BYTES(text, 2 * data.len));
}

/* Points in time travel as nanoseconds and are shown as images show theirs. */
static const char *const time_keys[] = { "created", "ended" };

static bool is_time(struct bytes key) {
        for (size_t i = 0; i < ARRAY_SIZE(time_keys); i++)
                if (bytes_eq(key, time_keys[i]))
                        return true;
        return false;
}

/* "2026-11-22T02:31:54Z"; null for what has not come yet. False when there is no such number. */
static bool print_time(struct printer *p, struct mp_reader *r) {
        struct mp_reader peek = *r;
        struct mp_value v;
        char text[64];
        struct tm tm;
        time_t t;

        if (mp_read(&peek, &v) < 0 || v.type != MP_UINT)
                return false;
        *r = peek;
        t = (time_t)(v.u / NSEC_PER_SEC);
        if (v.u > 0 && gmtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
                printer_text(p, text);
        else
                print_word(p, "null", 4);
        return true;
}

static void print_next(struct printer *p, struct mp_reader *r) {
        const uint8_t *start = r->pos;
        struct mp_value v;

        if (mp_read(r, &v) < 0) {
                r->pos = r->end;
                print_word(p, "null", 4);
                return;
        }
        if ((v.type == MP_MAP || v.type == MP_ARRAY) && p->depth == ARRAY_SIZE(p->stack)) {
                r->pos = start;
                if (mp_skip(r) < 0)
                        r->pos = r->end;
                print_word(p, "null", 4);
                return;
        }
        switch (v.type) {
        case MP_NIL:
        case MP_EXT:
                print_word(p, "null", 4);
                break;
        case MP_BOOL:
                printer_bool(p, v.b);
                break;
        case MP_UINT:
        case MP_INT:
        case MP_FLOAT:
                print_number(p, &v);
                break;
        case MP_STR:
                print_text(p, BYTES(v.data, v.n));
                break;
        case MP_BIN:
                print_hex(p, BYTES(v.data, v.n));
                break;
        case MP_ARRAY:
                printer_array(p);
                for (uint32_t i = 0; i < v.n && r->pos < r->end; i++)
                        print_next(p, r);
                printer_end(p);
                break;
        case MP_MAP:
                printer_map(p);
                for (uint32_t i = 0; i < v.n && r->pos < r->end; i++) {
                        struct bytes key;

                        if (mp_read_str(r, &key) < 0) {
                                r->pos = r->end;
                                break;
                        }
                        printer_key_bytes(p, key);
                        if (!is_time(key) || !print_time(p, r))
                                print_next(p, r);
                }
                printer_end(p);
                break;
        }
}

void printer_object(struct printer *p, struct bytes encoded) {
        struct mp_reader r = mp_reader_of(encoded);

        print_next(p, &r);
}
