/* SPDX-License-Identifier: Apache-2.0 */
#include "base/filter.h"

#include <assert.h>
#include <ctype.h>
#include <strings.h>

#include "base/filter-term.h"

#define NODES_MAX 256
#define DEPTH_MAX 32
#define WORD_MAX 512
/* Of a value's text. */
#define TEXT_MAX (1u << 20)

enum node_type { NODE_AND, NODE_OR, NODE_NOT, NODE_TERM };

struct node {
        enum node_type type;
        uint16_t left;
        uint16_t right;
        struct term term;
};

struct filter {
        struct node nodes[NODES_MAX];
        size_t n;
        uint16_t root;
        struct buf scratch;
};

struct filter *filter_free(struct filter *f) {
        if (!f)
                return NULL;
        for (size_t i = 0; i < f->n; i++)
                term_done(&f->nodes[i].term);
        buf_done(&f->scratch);
        free(f);
        return NULL;
}

/* --- compiling --- */

struct compiler {
        struct filter *f;
        const struct filter_source *source;
        const char *what; /* the option */
        const char *at;
        unsigned int depth;
        bool is_elsewhere; /* the last term names a field that only other sources have */
        struct error *err;
};

static int wrong(struct compiler *c, const char *what, const char *text) {
        return error_set(c->err, ERROR_USAGE, -EINVAL, "%s: %s '%.64s'", c->what, what, text);
}

static int not_here(struct compiler *c, const char *name) {
        return error_set(c->err, ERROR_USAGE, -EINVAL,
                         "%s: data source '%s' has no field '%.64s', others have: say which one "
                         "the expression is for, SOURCE:EXPR",
                         c->what, c->source->name, name);
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

/* A term becomes a node, unless it is for other data sources only. */
static int add_term(struct compiler *c, const char *name, enum term_op op, const char *text,
                    uint16_t *ret) {
        int r = add_node(c, NODE_TERM, 0, 0, ret);

        return r < 0 ? r
                     : term_init(&c->f->nodes[*ret].term, c->source, c->what, name, op, text,
                                 &c->is_elsewhere, c->err);
}

/* The operator at the front of text; the longer ones first. */
static bool read_op(const char **text, enum term_op *ret) {
        static const enum term_op order[] = { TERM_EQ,       TERM_NE, TERM_GE, TERM_LE,
                                              TERM_NO_MATCH, TERM_GT, TERM_LT, TERM_MATCH };
        const char *rest = NULL;

        for (size_t i = 0; i < ARRAY_SIZE(order) && !rest; i++) {
                rest = str_after(*text, term_op_names[order[i]]);
                *ret = order[i];
        }
        if (!rest && **text == '=') {
                rest = *text + 1;
                *ret = TERM_EQ;
        }
        if (rest)
                *text = rest;
        return rest != NULL;
}

/* --- option filter: FIELD OP VALUE[,...] --- */

static char *trim(char *text) {
        char *end;

        text += strspn(text, " ");
        end = text + strlen(text);
        while (end > text && end[-1] == ' ')
                *--end = '\0';
        return text;
}

static int compile_term(struct compiler *c, char *term, uint16_t *ret) {
        size_t n = strcspn(term, "=!<>~");
        const char *value = term + n;
        enum term_op op;

        if (!read_op(&value, &op))
                return wrong(c, "no operator (== != > >= < <= ~ !~) in", term);
        if (n == 0)
                return wrong(c, "no field in front of", term);
        value += strspn(value, " ");
        term[n] = '\0';
        return add_term(c, trim(term), op, value, ret);
}

/* The next term, up to a comma without a backslash in front, whose own backslash goes. */
static char *take_term(char **rest) {
        char *from = *rest, *to = from, *term = from;

        for (; *from && *from != ','; *to++ = *from++)
                if (from[0] == '\\' && from[1] == ',')
                        from++;
        *rest = from + (*from == ',');
        *to = '\0';
        return trim(term);
}

static int compile_terms(struct compiler *c, const char *text, bool *ret_any, uint16_t *ret) {
        cleanup_free char *copy = strdup(text);
        char *rest = copy;

        if (!copy)
                return error_set(c->err, ERROR_INTERNAL, -ENOMEM, "no memory for the filter");
        *ret_any = false;
        while (*rest) {
                char *term = take_term(&rest);
                uint16_t node;
                int r;

                if (term[0] == '\0')
                        continue;
                r = compile_term(c, term, &node);
                if (r == 0 && c->is_elsewhere)
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
        return b != '\0' && !isspace((unsigned char)b) && !strchr("()=!<>~,;'\"&|", b);
}

static void skip_space(struct compiler *c) {
        while (isspace((unsigned char)*c->at))
                c->at++;
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

/* A bare word, or text in quotes where a backslash takes a quote or backslash as it is. */
static int read_word(struct compiler *c, char *out, bool may_be_quoted) {
        char quote;
        size_t n = 0;

        skip_space(c);
        quote = may_be_quoted && (*c->at == '\'' || *c->at == '"') ? *c->at++ : '\0';
        /* Names of a set of bits are one word: READ|WRITE. */
        while (quote ? *c->at && *c->at != quote
                     : is_word_byte(*c->at) || (n > 0 && *c->at == '|' && is_word_byte(c->at[1]))) {
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
                        r = add_term(c, name, TERM_EQ, word, &node);
                if (r == 0 && c->is_elsewhere)
                        return not_here(c, name);
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
        enum term_op op;
        int r;

        r = read_word(c, name, false);
        if (r < 0)
                return r;
        if (take_word(c, "in"))
                return compile_in(c, name, ret);
        if (take_word(c, "not")) {
                if (!take_word(c, "in"))
                        return wrong(c, "expected 'in' behind 'not', found", c->at);
                r = compile_in(c, name, ret);
                return r < 0 ? r : add_node(c, NODE_NOT, *ret, 0, ret);
        }
        skip_space(c);
        if (take_word(c, term_op_names[TERM_CONTAINS]))
                op = TERM_CONTAINS;
        else if (!read_op(&c->at, &op))
                return wrong(c, "expected an operator behind the field, found", c->at);
        r = read_word(c, word, true);
        if (r == 0)
                r = add_term(c, name, op, word, ret);
        return r == 0 && c->is_elsewhere ? not_here(c, name) : r;
}

static int compile_factor(struct compiler *c, uint16_t *ret) {
        bool is_not;
        int r;

        if (++c->depth > DEPTH_MAX)
                return wrong(c, "nested too deeply at", c->at);
        is_not = take_word(c, "not") || take_text(c, "!");
        if (is_not) {
                r = compile_factor(c, ret);
        } else if (!take_text(c, "(")) {
                r = compile_comparison(c, ret);
        } else {
                r = compile_or(c, ret);
                if (r == 0 && !take_text(c, ")"))
                        r = wrong(c, "expected ')', found", c->at);
        }
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

/* Those with ';' between them must all hold. */
static int compile_expression(struct compiler *c, const char *text, uint16_t *ret) {
        uint16_t right;
        int r;

        c->at = text;
        r = compile_or(c, ret);
        while (r == 0 && take_text(c, ";")) {
                r = compile_or(c, &right);
                if (r == 0)
                        r = add_node(c, NODE_AND, *ret, right, ret);
        }
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

int filter_new(const struct filter_source *source, const char *terms, const char *expression,
               struct filter **ret, struct error *err) {
        cleanup(filter_freep) struct filter *f = NULL;
        struct compiler c = { .source = source, .err = err };
        bool any;
        int r;

        *ret = NULL;
        if (!terms && !expression)
                return 0;
        c.f = f = calloc(1, sizeof(*f));
        if (!f)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory for the filter");
        f->scratch = BUF_INIT(TEXT_MAX);
        r = compile(&c, terms, expression, &any);
        if (r == 0 && any)
                *ret = TAKE_PTR(f);
        return r;
}

/* --- running --- */

/* Chains of "and" and "or" lean to the left, so depth is that of parentheses and the chain. */
static bool passes(struct filter *f, uint16_t at, filter_get get, const void *row) {
        const struct node *n = &f->nodes[at];
        struct value v;

        switch (n->type) {
        case NODE_AND:
                return passes(f, n->left, get, row) && passes(f, n->right, get, row);
        case NODE_OR:
                return passes(f, n->left, get, row) || passes(f, n->right, get, row);
        case NODE_NOT:
                return !passes(f, n->left, get, row);
        case NODE_TERM:
                v = get(row, n->term.field);
                return term_holds(&n->term, &v, &f->scratch);
        }
        assert(false);
        return false;
}

bool filter_passes(struct filter *f, filter_get get, const void *row) {
        return passes(f, f->root, get, row);
}
