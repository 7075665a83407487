/* SPDX-License-Identifier: Apache-2.0 */
#include "base/filter-term.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <math.h>
#include <strings.h>

#include "base/format.h"
#include "base/parse.h"
#include "base/text.h"
#include "gadget/api.h"

/* Numbers that may have names: errors, signals and system calls. */
#define NAMED_MAX 1024

const char *const term_op_names[_TERM_OP_MAX] = {
        [TERM_EQ] = "==",   [TERM_NE] = "!=",       [TERM_GT] = ">",
        [TERM_GE] = ">=",   [TERM_LT] = "<",        [TERM_LE] = "<=",
        [TERM_MATCH] = "~", [TERM_NO_MATCH] = "!~", [TERM_CONTAINS] = "contains",
};

/* --- compiling --- */

struct compiler {
        struct term *term;
        const struct filter_source *source;
        struct filter_field field;
        bool is_twin; /* the field's text was named, not the field */
        const char *what;
        struct error *err;
};

static int oom(const struct compiler *c) {
        return error_set(c->err, ERROR_INTERNAL, -ENOMEM, "no memory for the filter");
}

static bool has_target(const struct filter_field *f) {
        return f->target && f->target[0];
}

static bool find_field(struct compiler *c, const char *name) {
        for (uint32_t i = 0; i < c->source->n_fields; i++) {
                c->source->field(c->source->userdata, i, &c->field);
                c->is_twin = has_target(&c->field) && strcasecmp(c->field.target, name) == 0;
                if (!c->is_twin && strcasecmp(c->field.name, name) != 0)
                        continue;
                c->term->field = i;
                c->term->kind = c->field.kind;
                return true;
        }
        return false;
}

static int unknown_field(const struct compiler *c, const char *name) {
        const char *names[2 * LIMIT_FIELDS_MAX], *near;
        struct filter_field f;
        size_t n = 0;

        for (uint32_t i = 0; i < c->source->n_fields && n + 2 <= ARRAY_SIZE(names); i++) {
                c->source->field(c->source->userdata, i, &f);
                names[n++] = f.name;
                if (has_target(&f))
                        names[n++] = f.target;
        }
        near = text_nearest(name, names, n);
        error_set(c->err, ERROR_USAGE, -EINVAL, "%s: data source '%s' has no field '%.64s'",
                  c->what, c->source->name, name);
        if (near)
                error_append(c->err, "did you mean '%s'?", near);
        return -EINVAL;
}

static const char *name_of(enum field_render render, uint64_t number) {
        return render == RENDER_ERRNO    ? errno_name(number)
               : render == RENDER_SIGNAL ? signal_name(number)
                                         : syscall_name(ARCH_NATIVE, number);
}

/* The number behind one name of the field's text. */
static bool number_of_name(const struct compiler *c, const char *text, int64_t *ret) {
        enum field_render render = c->field.rendering.render;
        struct enum_value value;

        if (render == RENDER_ENUM) {
                for (uint32_t i = 0;
                     c->source->enumerator(c->source->userdata, c->term->field, i, &value); i++)
                        if (strcasecmp(value.name, text) == 0) {
                                *ret = value.value;
                                return true;
                        }
                return false;
        }
        if (render != RENDER_ERRNO && render != RENDER_SIGNAL && render != RENDER_SYSCALL)
                return false;
        for (uint64_t i = 0; i < NAMED_MAX; i++) {
                const char *name = name_of(render, i);

                if (name && strcasecmp(name, text) == 0) {
                        *ret = (int64_t)i;
                        return true;
                }
        }
        /* No error has no name. */
        *ret = 0;
        return render == RENDER_ERRNO && text[0] == '\0';
}

/* "A|B" for a set of bits, "" for none of them. */
static bool number_of_names(const struct compiler *c, const char *text, int64_t *ret) {
        cleanup_free char *copy = strdup(text);
        char *rest = copy, *name;
        int64_t value;

        if (c->field.rendering.render != RENDER_ENUM || !c->field.rendering.is_set)
                return number_of_name(c, text, ret);
        *ret = 0;
        while (copy && copy[0] && (name = strsep(&rest, "|"))) {
                if (!number_of_name(c, name, &value))
                        return false;
                *ret |= value;
        }
        return copy != NULL;
}

/* "1.5ms" and "4K": with a unit, which tells them from plain numbers. */
static bool read_amount(enum field_render render, const char *text, uint64_t *ret) {
        size_t n = strlen(text);

        if (n == 0 || !isalpha((unsigned char)text[n - 1]))
                return false;
        return render == RENDER_DURATION ? parse_duration(text, ret) == 0
               : render == RENDER_BYTES  ? parse_size(text, ret) == 0
                                         : false;
}

static bool read_plain_number(const char *text, struct value *ret) {
        char *end;

        ret->type = VALUE_UINT;
        if (parse_u64(text, 0, UINT64_MAX, &ret->u) == 0)
                return true;
        ret->type = VALUE_INT;
        if (parse_i64(text, INT64_MIN, INT64_MAX, &ret->i) == 0)
                return true;
        ret->type = VALUE_FLOAT;
        ret->f = strtod(text, &end);
        return end != text && *end == '\0' && !isspace((unsigned char)text[0]);
}

/* The literal as a value to compare with, of whatever type the number has. */
static bool read_number(const struct compiler *c, const char *text, struct value *ret) {
        int64_t i;
        bool b;

        if (number_of_names(c, text, &i)) {
                *ret = (struct value){ .type = c->field.kind == FIELD_UINT ? VALUE_UINT : VALUE_INT,
                                       .i = i };
                return true;
        }
        ret->type = VALUE_UINT;
        if (c->field.kind == FIELD_BOOL && parse_bool(text, &b) == 0) {
                ret->u = b;
                return true;
        }
        return read_amount(c->field.rendering.render, text, &ret->u) ||
               read_plain_number(text, ret);
}

static int set_text(const struct compiler *c, const char *text) {
        struct term *t = c->term;

        t->text = strdup(text);
        if (!t->text)
                return oom(c);
        t->literal = (struct value){ .type = VALUE_BYTES, .bytes = BYTES(t->text, strlen(text)) };
        return 0;
}

static int read_address(const struct compiler *c, const char *text) {
        struct term *t = c->term;
        uint8_t address[16];
        uint32_t n = 0;

        if (inet_pton(AF_INET, text, address) == 1)
                n = 4;
        else if (inet_pton(AF_INET6, text, address) == 1)
                n = 16;
        else if (text[0] != '\0')
                return error_set(c->err, ERROR_USAGE, -EINVAL, "%s: this is no address: '%.64s'",
                                 c->what, text);
        if (t->op != TERM_EQ && t->op != TERM_NE)
                return error_set(c->err, ERROR_USAGE, -EINVAL,
                                 "%s: addresses are compared with == != ~ !~, not with '%s'",
                                 c->what, term_op_names[t->op]);
        t->text = malloc(sizeof(address));
        if (!t->text)
                return oom(c);
        memcpy(t->text, address, n);
        t->literal = (struct value){ .type = VALUE_BYTES, .bytes = BYTES(t->text, n) };
        return 0;
}

/* A copy of the enumeration's names, which texts are made of. */
static int copy_values(const struct compiler *c) {
        struct term *t = c->term;
        struct enum_value value;
        size_t room = 0;

        for (uint32_t i = 0; c->source->enumerator(c->source->userdata, t->field, i, &value); i++) {
                if (i == room) {
                        struct enum_value *more;

                        room = MAX(2 * room, (size_t)16);
                        more = reallocarray(t->values, room, sizeof(*more));
                        if (!more)
                                return oom(c);
                        t->values = more;
                }
                value.name = strdup(value.name);
                if (!value.name)
                        return oom(c);
                t->values[i] = value;
                t->rendering.n_values = i + 1;
        }
        t->rendering.values = t->values;
        return 0;
}

/* From here on the value's text is what counts. */
static int compare_text(const struct compiler *c) {
        struct term *t = c->term;

        t->by_text = true;
        if (!c->is_twin)
                return 0;
        t->rendering = c->field.rendering;
        t->rendering.values = NULL;
        t->rendering.n_values = 0;
        if (t->rendering.render == RENDER_TIMESTAMP)
                return error_set(c->err, ERROR_USAGE, -EINVAL,
                                 "%s: '%s' has no text that can be matched; compare '%s' with "
                                 "nanoseconds since 1970",
                                 c->what, c->field.target, c->field.name);
        return t->rendering.render == RENDER_ENUM ? copy_values(c) : 0;
}

/* Texts that stand for no single number, but are shown: permissions, flags, and what an enumeration
 * does not know. */
static bool is_shown_text(const struct compiler *c, const char *text) {
        enum field_render render = c->field.rendering.render;

        if (!c->is_twin || (c->term->op != TERM_EQ && c->term->op != TERM_NE))
                return false;
        return render == RENDER_FILE_MODE || render == RENDER_FILE_FLAGS ||
               (render == RENDER_ENUM && str_eq(text, RENDERED_UNKNOWN));
}

static int read_text_literal(const struct compiler *c, const char *text) {
        struct term *t = c->term;
        int r = compare_text(c);

        if (r < 0)
                return r;
        if (t->op == TERM_MATCH || t->op == TERM_NO_MATCH)
                return pattern_new(text, &t->pattern, c->err);
        return set_text(c, text);
}

static int read_literal(const struct compiler *c, const char *text) {
        const struct filter_field *f = &c->field;
        struct term *t = c->term;

        if (f->kind == FIELD_BIN || (f->kind == FIELD_ARRAY && f->elem != FIELD_STR))
                return error_set(c->err, ERROR_USAGE, -EINVAL,
                                 "%s: field '%s' is %s, which cannot be filtered", c->what, f->name,
                                 f->kind == FIELD_BIN ? "binary" : "an array of numbers");
        if (t->op == TERM_MATCH || t->op == TERM_NO_MATCH || t->op == TERM_CONTAINS)
                return read_text_literal(c, text);
        if (f->kind == FIELD_IP)
                return read_address(c, text);
        if (f->kind == FIELD_ARRAY)
                return read_text_literal(c, text);
        if (f->kind == FIELD_STR)
                return set_text(c, text);
        if (read_number(c, text, &t->literal))
                return 0;
        if (is_shown_text(c, text))
                return read_text_literal(c, text);
        return error_set(c->err, ERROR_USAGE, -EINVAL,
                         "%s: field '%s' is a number, and '%.64s' is neither one nor a name of one",
                         c->what, f->name, text);
}

int term_init(struct term *t, const struct filter_source *source, const char *what,
              const char *name, enum term_op op, const char *text, bool *ret_is_elsewhere,
              struct error *err) {
        struct compiler c = { .term = t, .source = source, .what = what, .err = err };

        *t = (struct term){ .op = op };
        *ret_is_elsewhere = false;
        if (find_field(&c, name))
                return read_literal(&c, text);
        if (!source->elsewhere || !source->elsewhere(source->userdata, name))
                return unknown_field(&c, name);
        *ret_is_elsewhere = true;
        return 0;
}

void term_done(struct term *t) {
        for (size_t i = 0; i < t->rendering.n_values; i++)
                free((char *)(uintptr_t)t->values[i].name);
        free(t->values);
        free(t->text);
        pattern_free(t->pattern);
        *t = (struct term){ 0 };
}

/* --- running --- */

static void append_float(struct buf *b, double v) {
        uint8_t text[FORMAT_MAX];

        if (isfinite(v))
                buf_append(b, text, (size_t)(format_double(text, v, false, -1) - text));
        else
                buf_puts(b, isnan(v) ? "NaN" : v < 0 ? "-Inf" : "Inf");
}

static void append_number(const struct term *t, const struct value *v, struct buf *b) {
        uint8_t text[FORMAT_MAX], *end;

        if (v->type == VALUE_FLOAT) {
                append_float(b, v->f);
        } else if (t->rendering.render != RENDER_NONE) {
                rendered_append(b, &t->rendering, v->u, v->type == VALUE_INT && v->i < 0);
        } else if (t->kind == FIELD_BOOL) {
                buf_puts(b, v->u ? "true" : "false");
        } else {
                end = v->type == VALUE_INT ? format_i64(text, v->i) : format_u64(text, v->u);
                buf_append(b, text, (size_t)(end - text));
        }
}

/* The value as people read it; strings of an array stand one behind the other with a space. */
static struct bytes text_of(const struct term *t, const struct value *v, struct buf *b) {
        uint8_t text[FORMAT_MAX];

        if (v->type == VALUE_BYTES && t->kind != FIELD_IP && t->kind != FIELD_ARRAY)
                return v->bytes;
        buf_reset(b);
        if (v->type != VALUE_BYTES) {
                append_number(t, v, b);
        } else if (t->kind == FIELD_IP) {
                buf_append(b, text, (size_t)(format_ip(text, v->bytes.data, v->bytes.len) - text));
        } else if (buf_append(b, v->bytes.data, v->bytes.len) == 0) {
                for (size_t i = 0; i < b->len; i++)
                        if (b->data[i] == 0)
                                b->data[i] = ' ';
        }
        return b->failed ? BYTES("", 0) : BYTES(b->data, b->len);
}

static bool compare(enum term_op op, int order) {
        switch (op) {
        case TERM_EQ:
                return order == 0;
        case TERM_NE:
                return order != 0;
        case TERM_GT:
                return order > 0;
        case TERM_GE:
                return order >= 0;
        case TERM_LT:
                return order < 0;
        case TERM_LE:
                return order <= 0;
        case TERM_MATCH:
        case TERM_NO_MATCH:
        case TERM_CONTAINS:
        case _TERM_OP_MAX:
                break;
        }
        return false;
}

bool term_holds(const struct term *t, const struct value *v, struct buf *scratch) {
        struct value text;

        if (v->type == VALUE_NONE)
                return t->op == TERM_NE || t->op == TERM_NO_MATCH;
        if (!t->by_text)
                return compare(t->op, value_compare(v, &t->literal));
        text = (struct value){ .type = VALUE_BYTES, .bytes = text_of(t, v, scratch) };
        if (t->pattern)
                return pattern_matches(t->pattern, text.bytes) == (t->op == TERM_MATCH);
        if (t->op == TERM_CONTAINS)
                return t->literal.bytes.len == 0 ||
                       memmem(text.bytes.data, text.bytes.len, t->literal.bytes.data,
                              t->literal.bytes.len) != NULL;
        return compare(t->op, value_compare(&text, &t->literal));
}
