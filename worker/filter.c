/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/filter.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "base/names.h"
#include "base/parse.h"
#include "worker/pattern.h"
#include "worker/value.h"

#define NODES_MAX 256
#define DEPTH_MAX 32
#define WORD_MAX 512

/* Longest name of a number that patterns see; names of bits are cut there. */
#define NAME_ROOM 512

enum node_type { NODE_AND, NODE_OR, NODE_NOT, NODE_TEST };
enum test_op { OP_EQ, OP_NE, OP_GT, OP_GE, OP_LT, OP_LE, OP_MATCH, OP_NO_MATCH, OP_CONTAINS };

static const char *const op_names[] = {
        [OP_EQ] = "==",   [OP_NE] = "!=",       [OP_GT] = ">",
        [OP_GE] = ">=",   [OP_LT] = "<",        [OP_LE] = "<=",
        [OP_MATCH] = "~", [OP_NO_MATCH] = "!~", [OP_CONTAINS] = "contains",
};

/* A number's name, copied: the gadget's BTF does not live as long. */
struct number_name {
        char *name;
        int64_t value;
};

struct test {
        struct value_field field;
        enum test_op op;
        enum field_render render; /* of the twin that is tested; NONE = the value itself */
        struct value literal;
        char *text; /* what literal.bytes points to; of contains */
        struct pattern *pattern;
        struct number_name *names; /* RENDER_ENUM with a pattern */
        size_t n_names;
        bool is_set;
};

struct node {
        enum node_type type;
        uint16_t left;
        uint16_t right;
        struct test test;
};

struct filter {
        struct node nodes[NODES_MAX];
        size_t n;
        uint16_t root;
        uint8_t *scratch; /* arrays of strings as one text */
};

struct filter *filter_free(struct filter *f) {
        if (!f)
                return NULL;
        for (size_t i = 0; i < f->n; i++) {
                struct test *t = &f->nodes[i].test;

                free(t->text);
                pattern_free(t->pattern);
                for (size_t k = 0; k < t->n_names; k++)
                        free(t->names[k].name);
                free(t->names);
        }
        free(f->scratch);
        free(f);
        return NULL;
}

/* --- compiling --- */

struct compiler {
        struct filter *f;
        const struct gadget *g;
        const struct source *source;
        const char *what; /* the option */
        const char *at;
        unsigned int depth;
        bool is_foreign; /* the last term names a field that only other sources have */
        struct error *err;
};

static int oom(struct compiler *c) {
        return error_set(c->err, ERROR_INTERNAL, -ENOMEM, "no memory for the filter");
}

static int wrong(struct compiler *c, const char *what, const char *text) {
        return error_set(c->err, ERROR_USAGE, -EINVAL, "%s: %s '%.64s'", c->what, what, text);
}

static int add_node(struct compiler *c, enum node_type type, uint16_t left, uint16_t right,
                    uint16_t *ret) {
        if (c->f->n == NODES_MAX)
                return error_set(c->err, ERROR_LIMIT, -E2BIG, "%s: more than %d terms", c->what,
                                 NODES_MAX);
        *ret = (uint16_t)c->f->n;
        c->f->nodes[c->f->n++] = (struct node){ .type = type, .left = left, .right = right };
        return 0;
}

/* The number behind a name of the field's twin. */
static bool number_of_name(const struct compiler *c, const struct event_field *f, const char *text,
                           int64_t *ret) {
        const struct type_enum *e;

        switch (f->render) {
        case RENDER_ERRNO:
        case RENDER_SIGNAL:
        case RENDER_SYSCALL:
                for (uint64_t i = 0; i < 1024; i++) {
                        const char *name = f->render == RENDER_ERRNO ? errno_name(i)
                                           : f->render == RENDER_SIGNAL
                                                   ? signal_name(i)
                                                   : syscall_name(ARCH_NATIVE, i);

                        if (name && strcasecmp(name, text) == 0) {
                                *ret = (int64_t)i;
                                return true;
                        }
                }
                /* No error has no name. */
                *ret = 0;
                return f->render == RENDER_ERRNO && text[0] == '\0';
        case RENDER_ENUM:
                e = &c->g->enums.items[f->enum_index];
                for (uint32_t i = 0; e->btf && i < btf_vlen(btf__type_by_id(e->btf, e->btf_id));
                     i++)
                        if (strcasecmp(btf_enum_name_at(e->btf, e->btf_id, i), text) == 0) {
                                *ret = btf_enum_value_at(e->btf, e->btf_id, i);
                                return true;
                        }
                for (size_t i = 0; i < e->n_values; i++)
                        if (strcasecmp(e->values[i].name, text) == 0) {
                                *ret = e->values[i].value;
                                return true;
                        }
                return false;
        case RENDER_NONE:
        case RENDER_TIMESTAMP:
        case RENDER_FILE_MODE:
        case RENDER_FILE_FLAGS:
        case RENDER_BYTES:
        case RENDER_DURATION:
        case RENDER_HISTOGRAM:
        case _RENDER_MAX:
                break;
        }
        return false;
}

/* "A|B" for a set of bits. */
static bool number_of_names(const struct compiler *c, const struct event_field *f, const char *text,
                            int64_t *ret) {
        cleanup_free char *copy = strdup(text);
        char *rest = copy, *name;
        int64_t value;

        if (f->render != RENDER_ENUM || !c->g->enums.items[f->enum_index].is_set)
                return number_of_name(c, f, text, ret);
        *ret = 0;
        while (copy && (name = strsep(&rest, "|"))) {
                if (!number_of_name(c, f, name, &value))
                        return false;
                *ret |= value;
        }
        return copy != NULL;
}

static int parse_float(const char *text, double *ret) {
        char *end;

        *ret = strtod(text, &end);
        return end == text || *end ? -EINVAL : 0;
}

/* The literal as a value to compare with, of whatever type the number has. */
static int read_number(struct compiler *c, const struct event_field *f, const char *text,
                       struct value *ret) {
        int64_t i;
        bool b;

        if (number_of_names(c, f, text, &i)) {
                *ret = (struct value){ .type = VALUE_INT, .i = i };
                if (f->kind == FIELD_UINT)
                        ret->type = VALUE_UINT;
                return 0;
        }
        if (f->kind == FIELD_BOOL && parse_bool(text, &b) == 0) {
                *ret = (struct value){ .type = VALUE_UINT, .u = b };
                return 0;
        }
        if (f->render == RENDER_DURATION && text[0] &&
            isalpha((unsigned char)text[strlen(text) - 1]) && parse_duration(text, &ret->u) == 0) {
                ret->type = VALUE_UINT;
                return 0;
        }
        if (f->render == RENDER_BYTES && text[0] &&
            isalpha((unsigned char)text[strlen(text) - 1]) && parse_size(text, &ret->u) == 0) {
                ret->type = VALUE_UINT;
                return 0;
        }
        if (parse_u64(text, 0, UINT64_MAX, &ret->u) == 0) {
                ret->type = VALUE_UINT;
                return 0;
        }
        if (parse_i64(text, INT64_MIN, INT64_MAX, &ret->i) == 0) {
                ret->type = VALUE_INT;
                return 0;
        }
        if (parse_float(text, &ret->f) == 0) {
                ret->type = VALUE_FLOAT;
                return 0;
        }
        return error_set(c->err, ERROR_USAGE, -EINVAL,
                         "%s: field '%s' is a number, and '%.64s' is neither one nor a name of one",
                         c->what, f->name, text);
}

static int read_address(struct compiler *c, struct test *t, const struct event_field *f,
                        const char *text) {
        uint8_t address[16];
        uint32_t n = 0;

        if (inet_pton(AF_INET, text, address) == 1)
                n = 4;
        else if (inet_pton(AF_INET6, text, address) == 1)
                n = 16;
        else if (text[0] != '\0')
                return wrong(c, "this is no address:", text);
        if (t->op != OP_EQ && t->op != OP_NE)
                return wrong(c, "addresses are compared with == != ~ !~, not with",
                             op_names[t->op]);
        t->text = malloc(16);
        if (!t->text)
                return oom(c);
        memcpy(t->text, address, n);
        t->literal = (struct value){ .type = VALUE_BYTES, .bytes = BYTES(t->text, n) };
        return 0;
}

/* A copy of the enum's names, which patterns are held against. */
static int copy_names(struct compiler *c, struct test *t, const struct event_field *f) {
        const struct type_enum *e = &c->g->enums.items[f->enum_index];
        size_t n = e->btf ? btf_vlen(btf__type_by_id(e->btf, e->btf_id)) : e->n_values;

        t->is_set = e->is_set;
        t->names = calloc(MAX(n, (size_t)1), sizeof(*t->names));
        if (!t->names)
                return oom(c);
        for (; t->n_names < n; t->n_names++) {
                uint32_t i = (uint32_t)t->n_names;

                t->names[i].name =
                        strdup(e->btf ? btf_enum_name_at(e->btf, e->btf_id, i) : e->values[i].name);
                if (!t->names[i].name)
                        return oom(c);
                t->names[i].value =
                        e->btf ? btf_enum_value_at(e->btf, e->btf_id, i) : e->values[i].value;
        }
        return 0;
}

static bool is_text_op(enum test_op op) {
        return op == OP_MATCH || op == OP_NO_MATCH || op == OP_CONTAINS;
}

/* Fills the test of a node whose field and operator are known. */
static int read_literal(struct compiler *c, struct test *t, const struct event_field *f,
                        bool is_twin, const char *text) {
        bool is_text = f->kind == FIELD_STR || f->kind == FIELD_ARRAY;

        value_field_init(&t->field, f);
        t->render = is_twin ? f->render : RENDER_NONE;
        if (is_twin && is_text_op(t->op) &&
            (f->render == RENDER_TIMESTAMP || f->render == RENDER_FILE_MODE ||
             f->render == RENDER_FILE_FLAGS || f->render == RENDER_BYTES ||
             f->render == RENDER_DURATION))
                return error_set(c->err, ERROR_USAGE, -EINVAL,
                                 "%s: '%s' has no text that can be matched; compare '%s' with a "
                                 "number",
                                 c->what, f->target, f->name);
        if (f->kind == FIELD_ARRAY && f->elem != FIELD_STR)
                return error_set(c->err, ERROR_USAGE, -EINVAL,
                                 "%s: field '%s' is an array of numbers", c->what, f->name);
        if (is_twin && f->render == RENDER_ENUM && is_text_op(t->op) && copy_names(c, t, f) < 0)
                return -ENOMEM;
        if (t->op == OP_MATCH || t->op == OP_NO_MATCH)
                return pattern_new(text, &t->pattern, c->err);
        if (f->kind == FIELD_IP && t->op != OP_CONTAINS)
                return read_address(c, t, f, text);
        if (!is_text && t->op != OP_CONTAINS)
                return read_number(c, f, text, &t->literal);
        t->text = strdup(text);
        if (!t->text)
                return oom(c);
        t->literal = (struct value){ .type = VALUE_BYTES, .bytes = BYTES(t->text, strlen(text)) };
        return 0;
}

static bool other_source_has(const struct compiler *c, const char *name) {
        for (size_t i = 0; i < c->g->n_sources; i++)
                if (&c->g->sources[i] != c->source &&
                    value_find_field(c->g->sources[i].type, name, NULL))
                        return true;
        return false;
}

/* A term becomes a node; c->is_foreign when it is for other data sources only. */
static int add_test(struct compiler *c, const char *name, enum test_op op, const char *text,
                    uint16_t *ret) {
        bool is_twin = false;
        const struct event_field *f = value_find_field(c->source->type, name, &is_twin);
        const char *near;
        struct test *t;
        int r;

        c->is_foreign = !f && other_source_has(c, name);
        if (!f && !c->is_foreign) {
                near = value_nearest_field(c->source->type, name);
                r = error_set(c->err, ERROR_USAGE, -EINVAL,
                              "%s: data source '%s' has no field '%.64s'", c->what, c->source->name,
                              name);
                if (near)
                        error_append(c->err, "did you mean '%s'?", near);
                return r;
        }
        if (c->is_foreign)
                return 0;
        r = add_node(c, NODE_TEST, 0, 0, ret);
        if (r < 0)
                return r;
        t = &c->f->nodes[*ret].test;
        t->op = op;
        return read_literal(c, t, f, is_twin, text);
}

static void skip_space(struct compiler *c) {
        while (isspace((unsigned char)*c->at))
                c->at++;
}

/* The operator at the front of text; the longer ones first. */
static bool read_op(const char **text, enum test_op *ret) {
        static const enum test_op order[] = { OP_EQ,       OP_NE, OP_GE, OP_LE,
                                              OP_NO_MATCH, OP_GT, OP_LT, OP_MATCH };

        for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
                const char *rest = str_after(*text, op_names[order[i]]);

                if (!rest)
                        continue;
                *text = rest;
                *ret = order[i];
                return true;
        }
        return false;
}

/* --- option filter: FIELD OP VALUE[,...] --- */

static int compile_term(struct compiler *c, char *term, uint16_t *ret) {
        size_t n = strcspn(term, "=!<>~");
        const char *value = term + n;
        enum test_op op;

        if (!read_op(&value, &op))
                return wrong(c, "no operator (== != > >= < <= ~ !~) in", term);
        if (n == 0)
                return wrong(c, "no field in front of", term);
        term[n] = '\0';
        return add_test(c, term, op, value, ret);
}

static int compile_terms(struct compiler *c, const char *text, bool *ret_any, uint16_t *ret) {
        cleanup_free char *copy = strdup(text);
        char *rest = copy, *term;

        if (!copy)
                return oom(c);
        *ret_any = false;
        while ((term = strsep(&rest, ","))) {
                uint16_t node;
                int r;

                if (term[0] == '\0')
                        continue;
                r = compile_term(c, term, &node);
                if (r == 0 && c->is_foreign)
                        continue;
                if (r == 0 && *ret_any)
                        r = add_node(c, NODE_AND, *ret, node, &node);
                if (r < 0)
                        return r;
                *ret = node;
                *ret_any = true;
        }
        return 0;
}

/* --- option filter-expr --- */

static bool is_word_byte(char b) {
        return b != '\0' && !isspace((unsigned char)b) && !strchr("()=!<>~,'\"&", b);
}

/* True and behind it when the next word is this one. */
static bool take_word(struct compiler *c, const char *word) {
        size_t n = strlen(word);

        skip_space(c);
        if (strncasecmp(c->at, word, n) != 0 || is_word_byte(c->at[n]))
                return false;
        c->at += n;
        return true;
}

static bool take_text(struct compiler *c, const char *text) {
        const char *rest;

        skip_space(c);
        rest = str_after(c->at, text);
        if (rest)
                c->at = rest;
        return rest != NULL;
}

/* A bare word, or text in quotes where a backslash takes the next byte as it is. */
static int read_word(struct compiler *c, char *out, bool may_be_quoted) {
        char quote;
        size_t n = 0;

        skip_space(c);
        quote = may_be_quoted && (*c->at == '\'' || *c->at == '"') ? *c->at++ : '\0';
        while (quote ? *c->at && *c->at != quote : is_word_byte(*c->at)) {
                if (quote && c->at[0] == '\\' && (c->at[1] == quote || c->at[1] == '\\'))
                        c->at++;
                if (n == WORD_MAX - 1)
                        return wrong(c, "a word is too long:", c->at);
                out[n++] = *c->at++;
        }
        out[n] = '\0';
        if (quote && *c->at != quote)
                return wrong(c, "a quote is not closed:", out);
        c->at += quote != '\0';
        if (!quote && n == 0)
                return wrong(c, "expected a word, found", c->at);
        return 0;
}

static int compile_or(struct compiler *c, uint16_t *ret);

/* "in (a, b)": any of them. */
static int compile_in(struct compiler *c, const char *name, uint16_t *ret) {
        char word[WORD_MAX];
        bool is_first = true;
        uint16_t node;
        int r;

        if (!take_text(c, "("))
                return wrong(c, "'in' needs a list in parentheses, found", c->at);
        do {
                r = read_word(c, word, true);
                if (r == 0)
                        r = add_test(c, name, OP_EQ, word, &node);
                if (r == 0 && c->is_foreign)
                        return wrong(c, "this data source has no field", name);
                if (r == 0 && !is_first)
                        r = add_node(c, NODE_OR, *ret, node, &node);
                if (r < 0)
                        return r;
                *ret = node;
                is_first = false;
        } while (take_text(c, ","));
        return take_text(c, ")") ? 0 : wrong(c, "expected ')', found", c->at);
}

static int compile_comparison(struct compiler *c, uint16_t *ret) {
        char name[WORD_MAX], word[WORD_MAX];
        enum test_op op;
        int r;

        r = read_word(c, name, false);
        if (r < 0)
                return r;
        if (take_word(c, "in"))
                return compile_in(c, name, ret);
        skip_space(c);
        if (take_word(c, "contains"))
                op = OP_CONTAINS;
        else if (!read_op(&c->at, &op))
                return wrong(c, "expected an operator behind the field, found", c->at);
        r = read_word(c, word, true);
        if (r == 0)
                r = add_test(c, name, op, word, ret);
        if (r == 0 && c->is_foreign)
                return wrong(c, "this data source has no field", name);
        return r;
}

static int compile_factor(struct compiler *c, uint16_t *ret) {
        bool is_not;
        int r;

        if (++c->depth > DEPTH_MAX)
                return wrong(c, "nested too deeply at", c->at);
        is_not = take_word(c, "not") || take_text(c, "!");
        if (is_not)
                r = compile_factor(c, ret);
        else if (!take_text(c, "("))
                r = compile_comparison(c, ret);
        else
                r = compile_or(c, ret) < 0 ? -EINVAL
                    : take_text(c, ")")    ? 0
                                           : wrong(c, "expected ')', found", c->at);
        c->depth--;
        return r == 0 && is_not ? add_node(c, NODE_NOT, *ret, 0, ret) : r;
}

static int compile_and(struct compiler *c, uint16_t *ret) {
        uint16_t right;
        int r;

        r = compile_factor(c, ret);
        while (r == 0 && (take_word(c, "and") || take_text(c, "&&"))) {
                r = compile_factor(c, &right);
                if (r == 0)
                        r = add_node(c, NODE_AND, *ret, right, ret);
        }
        return r;
}

static int compile_or(struct compiler *c, uint16_t *ret) {
        uint16_t right;
        int r;

        r = compile_and(c, ret);
        while (r == 0 && (take_word(c, "or") || take_text(c, "||"))) {
                r = compile_and(c, &right);
                if (r == 0)
                        r = add_node(c, NODE_OR, *ret, right, ret);
        }
        return r;
}

static int compile_expression(struct compiler *c, const char *text, uint16_t *ret) {
        int r;

        c->at = text;
        r = compile_or(c, ret);
        skip_space(c);
        return r == 0 && *c->at ? wrong(c, "expected 'and' or 'or', found", c->at) : r;
}

/* Both options together: both must hold. */
static int compile(struct compiler *c, const char *terms, const char *expression, bool *ret_any) {
        bool any = false;
        uint16_t root = 0, node = 0;
        int r = 0;

        c->what = "filter";
        if (terms)
                r = compile_terms(c, terms, &any, &root);
        c->what = "filter-expr";
        if (r == 0 && expression) {
                r = compile_expression(c, expression, &node);
                if (r == 0 && any)
                        r = add_node(c, NODE_AND, root, node, &node);
                root = node;
                any = true;
        }
        c->f->root = root;
        *ret_any = any;
        return r;
}

DEFINE_CLEANUP(struct filter, filter_free)

int filter_new(const struct gadget *g, const struct source *source, struct filter **ret,
               struct error *err) {
        cleanup_free char *terms = NULL, *expression = NULL;
        cleanup(filter_freep) struct filter *f = NULL;
        struct compiler c = { .g = g, .source = source, .err = err };
        bool any;
        int r;

        *ret = NULL;
        r = gadget_option(g, source, RUN_OPTION_FILTER, &terms, err);
        if (r == 0)
                r = gadget_option(g, source, RUN_OPTION_FILTER_EXPR, &expression, err);
        if (r < 0 || (!terms && !expression))
                return r;
        c.f = f = calloc(1, sizeof(*f));
        if (!f || !(f->scratch = malloc(MAX(source->type->size, (uint32_t)NAME_ROOM))))
                return oom(&c);
        r = compile(&c, terms, expression, &any);
        if (r == 0 && any)
                *ret = TAKE_PTR(f);
        return r;
}

/* --- running --- */

static struct bytes text_of_set(const struct test *t, int64_t value, uint8_t *room) {
        size_t n = 0;

        for (size_t i = 0; i < t->n_names; i++) {
                size_t len = strlen(t->names[i].name);

                if (t->names[i].value == 0 ? value != 0
                                           : (value & t->names[i].value) != t->names[i].value)
                        continue;
                if (n + len + 1 > NAME_ROOM)
                        break;
                if (n > 0)
                        room[n++] = '|';
                memcpy(room + n, t->names[i].name, len);
                n += len;
        }
        return BYTES(room, n);
}

static struct bytes text_of_number(const struct test *t, const struct value *v, uint8_t *room) {
        const char *name = NULL;
        int n;

        if (t->render == RENDER_ERRNO || t->render == RENDER_SIGNAL || t->render == RENDER_SYSCALL)
                name = t->render == RENDER_ERRNO    ? errno_name(v->u)
                       : t->render == RENDER_SIGNAL ? signal_name(v->u)
                                                    : syscall_name(ARCH_NATIVE, v->u);
        else if (t->render == RENDER_ENUM && t->is_set)
                return text_of_set(t, v->i, room);
        for (size_t i = 0; t->render == RENDER_ENUM && i < t->n_names && !name; i++)
                if (t->names[i].value == v->i)
                        name = t->names[i].name;
        if (name)
                return BYTES(name, strlen(name));
        if (t->render == RENDER_ERRNO && v->u == 0)
                return BYTES("", 0);
        n = v->type == VALUE_FLOAT ? snprintf((char *)room, NAME_ROOM, "%g", v->f)
            : v->type == VALUE_INT ? snprintf((char *)room, NAME_ROOM, "%" PRId64, v->i)
                                   : snprintf((char *)room, NAME_ROOM, "%" PRIu64, v->u);
        return BYTES(room, (size_t)n);
}

/* The value as people read it; strings of an array stand one behind the other with a space. */
static struct bytes text_of(const struct filter *f, const struct test *t, const struct value *v) {
        if (t->field.kind == FIELD_IP) {
                bool is_v4 = v->bytes.len == 4;

                if (v->bytes.len == 0 || !inet_ntop(is_v4 ? AF_INET : AF_INET6, v->bytes.data,
                                                    (char *)f->scratch, NAME_ROOM))
                        return BYTES("", 0);
                return BYTES(f->scratch, strlen((char *)f->scratch));
        }
        if (v->type != VALUE_BYTES)
                return text_of_number(t, v, f->scratch);
        if (t->field.kind != FIELD_ARRAY)
                return v->bytes;
        for (size_t i = 0; i < v->bytes.len; i++)
                f->scratch[i] = v->bytes.data[i] ? v->bytes.data[i] : ' ';
        return BYTES(f->scratch, v->bytes.len);
}

static bool passes_test(const struct filter *f, const struct test *t, const uint8_t *event,
                        uint32_t len, uint64_t wall_offset) {
        struct value v = value_of(&t->field, event, len, wall_offset);
        struct bytes text;

        if (is_text_op(t->op) || t->field.kind == FIELD_ARRAY) {
                text = text_of(f, t, &v);
                if (t->op == OP_CONTAINS)
                        return memmem(text.data, text.len, t->literal.bytes.data,
                                      t->literal.bytes.len) != NULL;
                if (t->pattern)
                        return pattern_matches(t->pattern, text) == (t->op == OP_MATCH);
                v = (struct value){ .type = VALUE_BYTES, .bytes = text };
        }
        switch (t->op) {
        case OP_EQ:
                return value_compare(&v, &t->literal) == 0;
        case OP_NE:
                return value_compare(&v, &t->literal) != 0;
        case OP_GT:
                return value_compare(&v, &t->literal) > 0;
        case OP_GE:
                return value_compare(&v, &t->literal) >= 0;
        case OP_LT:
                return value_compare(&v, &t->literal) < 0;
        case OP_LE:
                return value_compare(&v, &t->literal) <= 0;
        case OP_MATCH:
        case OP_NO_MATCH:
        case OP_CONTAINS:
                break;
        }
        assert(false);
        return false;
}

/* Chains of "and" and "or" lean to the left, so depth is that of parentheses and the chain. */
static bool passes(const struct filter *f, uint16_t at, const uint8_t *event, uint32_t len,
                   uint64_t wall_offset) {
        const struct node *n = &f->nodes[at];

        switch (n->type) {
        case NODE_AND:
                return passes(f, n->left, event, len, wall_offset) &&
                       passes(f, n->right, event, len, wall_offset);
        case NODE_OR:
                return passes(f, n->left, event, len, wall_offset) ||
                       passes(f, n->right, event, len, wall_offset);
        case NODE_NOT:
                return !passes(f, n->left, event, len, wall_offset);
        case NODE_TEST:
                return passes_test(f, &n->test, event, len, wall_offset);
        }
        assert(false);
        return false;
}

bool filter_passes(const struct filter *f, const uint8_t *event, uint32_t len,
                   uint64_t wall_offset) {
        return passes(f, f->root, event, len, wall_offset);
}
