/* SPDX-License-Identifier: Apache-2.0 */
#include "client/row-filter.h"

#include <ctype.h>
#include <regex.h>
#include <stdio.h>

#include "base/parse.h"

#define NODES_MAX 256
#define DEPTH_MAX 32
#define TEXT_MAX (1u << 20)

enum node_type { NODE_AND, NODE_OR, NODE_NOT, NODE_TERM };

enum comparison {
        EQUAL,
        NOT_EQUAL,
        GREATER,
        GREATER_EQUAL,
        LESS,
        LESS_EQUAL,
        MATCHES,
        MATCHES_NOT,
        CONTAINS
};

/* Longer spellings before those that they begin with. */
static const struct {
        const char *text;
        enum comparison comparison;
} comparisons[] = {
        { "==", EQUAL },      { "!=", NOT_EQUAL },   { ">=", GREATER_EQUAL },
        { "<=", LESS_EQUAL }, { "!~", MATCHES_NOT }, { ">", GREATER },
        { "<", LESS },        { "~", MATCHES },      { "=", EQUAL },
};

struct node {
        enum node_type type;
        struct node *left, *right;
        struct field_ref ref;
        enum comparison comparison;
        char *text;
        struct number number; /* VALUE_NONE: the text is none */
        regex_t regex;
        bool has_regex;
};

struct row_filter {
        struct node nodes[NODES_MAX];
        uint32_t n_nodes;
        struct node *root;
        struct format_clock clock;
        struct buf text; /* of the value being looked at */
};

struct parser {
        const struct schema_stream *stream;
        struct row_filter *filter;
        const char *pos;
        const char *option; /* for messages: "filter" */
        struct error *err;
};

static int bad(struct parser *p, const char *what, const char *where) {
        return error_set(p->err, ERROR_USAGE, -EINVAL, "%s: %s at '%.40s'", p->option, what,
                         where[0] ? where : "the end");
}

static struct node *add_node(struct parser *p, enum node_type type) {
        struct node *node;

        if (p->filter->n_nodes == NODES_MAX) {
                error_set(p->err, ERROR_LIMIT, -E2BIG, "%s: more than %d parts", p->option,
                          NODES_MAX);
                return NULL;
        }
        node = &p->filter->nodes[p->filter->n_nodes++];
        node->type = type;
        return node;
}

static struct node *join(struct parser *p, enum node_type type, struct node *left,
                         struct node *right) {
        struct node *node;

        if (!left || !right)
                return left ? left : right;
        node = add_node(p, type);
        if (node) {
                node->left = left;
                node->right = right;
        }
        return node;
}

/* --- one term --- */

static struct number number_from(const char *text) {
        struct number n = { VALUE_UINT, { 0 } };
        char *end;

        if (parse_u64(text, 0, UINT64_MAX, &n.u) == 0)
                return n;
        n.type = VALUE_INT;
        if (parse_i64(text, INT64_MIN, -1, &n.i) == 0)
                return n;
        n.type = VALUE_FLOAT;
        n.f = strtod(text, &end);
        if (text[0] && !*end && !isspace((unsigned char)text[0]))
                return n;
        n.type = VALUE_NONE;
        return n;
}

/* A back-reference is a backslash and a digit; "\\1" is a backslash and a one. */
static bool has_back_reference(const char *pattern) {
        for (const char *c = pattern; *c; c++) {
                if (*c != '\\')
                        continue;
                if (c[1] >= '1' && c[1] <= '9')
                        return true;
                if (c[1])
                        c++;
        }
        return false;
}

static int compile_regex(struct parser *p, struct node *node) {
        char why[128];
        int r;

        if (has_back_reference(node->text))
                return error_set(p->err, ERROR_USAGE, -EINVAL,
                                 "%s: back-references are not supported: '%.60s'", p->option,
                                 node->text);
        r = regcomp(&node->regex, node->text, REG_EXTENDED | REG_NOSUB);
        if (r != 0) {
                regerror(r, &node->regex, why, sizeof(why));
                return error_set(p->err, ERROR_USAGE, -EINVAL, "%s: pattern '%.60s': %s", p->option,
                                 node->text, why);
        }
        node->has_regex = true;
        return 0;
}

static int find_field(struct parser *p, const char *name, struct field_ref *ret) {
        const char *near;

        if (field_find(p->stream, name, ret) == 0)
                return 0;
        error_set(p->err, ERROR_USAGE, -EINVAL, "%s: data source '%s' has no field '%.64s'",
                  p->option, p->stream->name, name);
        near = field_nearest(p->stream, name);
        if (near)
                error_append(p->err, "did you mean '%s'?", near);
        return -EINVAL;
}

static bool is_numeric(const struct schema_field *field) {
        return field->kind == FIELD_UINT || field->kind == FIELD_INT || field->kind == FIELD_FLOAT;
}

static int check_value(struct parser *p, struct node *node) {
        const struct schema_field *field = node->ref.field;
        bool on;

        if (node->comparison == MATCHES || node->comparison == MATCHES_NOT)
                return compile_regex(p, node);
        if (node->comparison == CONTAINS)
                return 0;
        if (field->kind == FIELD_BOOL) {
                if (parse_bool(node->text, &on) < 0)
                        return error_set(p->err, ERROR_USAGE, -EINVAL,
                                         "%s: field '%s': '%.60s' is neither true nor false",
                                         p->option, field->name, node->text);
                node->number = (struct number){ VALUE_BOOL, { .u = on } };
                return 0;
        }
        if (!is_numeric(field))
                return 0;
        node->number = number_from(node->text);
        if (node->number.type == VALUE_NONE && !node->ref.is_rendered)
                return error_set(p->err, ERROR_USAGE, -EINVAL,
                                 "%s: field '%s': '%.60s' is not a number", p->option, field->name,
                                 node->text);
        return 0;
}

/* take_text is the filter's from here on. */
static struct node *term(struct parser *p, const char *name, enum comparison comparison,
                         char *take_text) {
        struct node *node = take_text ? add_node(p, NODE_TERM) : NULL;

        if (!node) {
                free(take_text);
                return NULL;
        }
        node->text = take_text;
        node->comparison = comparison;
        if (find_field(p, name, &node->ref) < 0 || check_value(p, node) < 0)
                return NULL;
        return node;
}

/* --- FIELD OP VALUE,... --- */

static bool read_comparison(const char **pos, enum comparison *ret) {
        for (size_t i = 0; i < ARRAY_SIZE(comparisons); i++) {
                size_t n = strlen(comparisons[i].text);

                if (strncmp(*pos, comparisons[i].text, n) != 0)
                        continue;
                *pos += n;
                *ret = comparisons[i].comparison;
                return true;
        }
        return false;
}

/* Up to the next comma without a backslash in front; the backslash of "\," goes. */
static char *take_until_comma(const char **pos) {
        char *text = calloc(1, strlen(*pos) + 1), *to = text;
        const char *from = *pos;

        if (!text)
                return NULL;
        for (; *from && *from != ','; from++) {
                if (from[0] == '\\' && from[1] == ',')
                        from++;
                *to++ = *from;
        }
        *pos = from + (*from == ',');
        return text;
}

/* The data source named in front of a part, or NULL. */
static const struct schema_stream *named_stream(const struct schema *schema, const char *part,
                                                size_t n_part) {
        for (uint32_t i = 0; i < schema->n_streams; i++) {
                size_t n = strlen(schema->streams[i].name);

                if (n < n_part && part[n] == ':' && strncmp(part, schema->streams[i].name, n) == 0)
                        return &schema->streams[i];
        }
        return NULL;
}

static int parse_part(struct parser *p, const char *text, struct node **ret) {
        size_t n_name = strcspn(text, "=!<>~");
        cleanup_free char *name = strndup(text, n_name);
        const char *pos = text + n_name;
        enum comparison comparison;
        size_t n = n_name;

        if (!name)
                return error_set(p->err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        while (n > 0 && name[n - 1] == ' ')
                name[--n] = '\0';
        if (n == 0 || !read_comparison(&pos, &comparison))
                return bad(p, "FIELD OP VALUE is expected, such as pid>1000,", text);
        while (*pos == ' ')
                pos++;
        n = strlen(pos);
        while (n > 0 && pos[n - 1] == ' ')
                n--;
        *ret = term(p, name + strspn(name, " "), comparison, strndup(pos, n));
        return *ret ? 0 : -EINVAL;
}

static int parse_terms(struct parser *p, const struct schema *schema, const char *terms) {
        int r = 0;

        p->option = "filter";
        for (const char *pos = terms; *pos && r == 0;) {
                cleanup_free char *part = take_until_comma(&pos);
                const struct schema_stream *named;
                struct node *node = NULL;

                if (!part)
                        return error_set(p->err, ERROR_INTERNAL, -ENOMEM, "out of memory");
                named = named_stream(schema, part, strlen(part));
                if (named && named != p->stream)
                        continue;
                r = parse_part(p, named ? part + strlen(named->name) + 1 : part, &node);
                if (r == 0)
                        p->filter->root = join(p, NODE_AND, p->filter->root, node);
                if (r == 0 && !p->filter->root)
                        r = -E2BIG;
        }
        return r;
}

/* --- expressions --- */

static void skip_space(struct parser *p) {
        while (isspace((unsigned char)*p->pos))
                p->pos++;
}

static bool is_word_char(char c) {
        return isalnum((unsigned char)c) || (c && strchr("_.:/+-*@%$#", c));
}

static size_t word_length(const char *pos) {
        size_t n = 0;

        while (pos[n] && is_word_char(pos[n]))
                n++;
        return n;
}

static bool take_word(struct parser *p, const char *word) {
        size_t n = strlen(word);

        skip_space(p);
        if (strncmp(p->pos, word, n) != 0 ||
            (isalpha((unsigned char)word[0]) && is_word_char(p->pos[n])))
                return false;
        p->pos += n;
        return true;
}

static char *take_quoted(struct parser *p) {
        char quote = *p->pos++, *text = calloc(1, strlen(p->pos) + 1), *to = text;

        if (!text)
                return NULL;
        while (*p->pos && *p->pos != quote) {
                if (p->pos[0] == '\\' && (p->pos[1] == quote || p->pos[1] == '\\'))
                        p->pos++;
                *to++ = *p->pos++;
        }
        if (!*p->pos) {
                bad(p, "a quote has no end", text);
                free(text);
                return NULL;
        }
        p->pos++;
        return text;
}

static char *take_value(struct parser *p) {
        char *text;
        size_t n;

        skip_space(p);
        if (*p->pos == '"' || *p->pos == '\'')
                return take_quoted(p);
        n = word_length(p->pos);
        if (n == 0) {
                bad(p, "a value is expected", p->pos);
                return NULL;
        }
        text = strndup(p->pos, n);
        p->pos += n;
        return text;
}

/* "in (a, b)": any of them. */
static struct node *parse_list(struct parser *p, const char *name) {
        struct node *list = NULL;

        if (!take_word(p, "(")) {
                bad(p, "'(' is expected", p->pos);
                return NULL;
        }
        do {
                char *value = take_value(p);
                struct node *node = value ? term(p, name, EQUAL, value) : NULL;

                list = node ? join(p, NODE_OR, list, node) : NULL;
                if (!list)
                        return NULL;
        } while (take_word(p, ","));
        if (take_word(p, ")"))
                return list;
        bad(p, "')' is expected", p->pos);
        return NULL;
}

static struct node *negate(struct parser *p, struct node *operand) {
        struct node *node = operand ? add_node(p, NODE_NOT) : NULL;

        if (node)
                node->left = operand;
        return node;
}

static struct node *parse_comparison(struct parser *p) {
        cleanup_free char *name = NULL;
        enum comparison comparison;
        char *value;
        size_t n;

        skip_space(p);
        n = word_length(p->pos);
        name = strndup(p->pos, n);
        if (n == 0 || !name) {
                bad(p, "a field is expected", p->pos);
                return NULL;
        }
        p->pos += n;
        if (take_word(p, "in"))
                return parse_list(p, name);
        if (take_word(p, "not")) {
                if (take_word(p, "in"))
                        return negate(p, parse_list(p, name));
                bad(p, "'in' is expected", p->pos);
                return NULL;
        }
        if (take_word(p, "contains")) {
                comparison = CONTAINS;
        } else if (!read_comparison(&p->pos, &comparison)) {
                bad(p, "one of == != > >= < <= ~ !~ in contains is expected", p->pos);
                return NULL;
        }
        value = take_value(p);
        return value ? term(p, name, comparison, value) : NULL;
}

static struct node *parse_or(struct parser *p, unsigned int depth);

static struct node *parse_not(struct parser *p, unsigned int depth) {
        struct node *node;

        if (depth > DEPTH_MAX) {
                bad(p, "nested too deep", p->pos);
                return NULL;
        }
        if (take_word(p, "not") || (take_word(p, "!") && *p->pos != '='))
                return negate(p, parse_not(p, depth + 1));
        if (!take_word(p, "("))
                return parse_comparison(p);
        node = parse_or(p, depth + 1);
        if (node && !take_word(p, ")")) {
                bad(p, "')' is expected", p->pos);
                return NULL;
        }
        return node;
}

static struct node *parse_and(struct parser *p, unsigned int depth) {
        struct node *node = parse_not(p, depth);

        while (node && (take_word(p, "and") || take_word(p, "&&"))) {
                struct node *right = parse_not(p, depth);

                node = right ? join(p, NODE_AND, node, right) : NULL;
        }
        return node;
}

static struct node *parse_or(struct parser *p, unsigned int depth) {
        struct node *node = parse_and(p, depth);

        while (node && (take_word(p, "or") || take_word(p, "||"))) {
                struct node *right = parse_and(p, depth);

                node = right ? join(p, NODE_OR, node, right) : NULL;
        }
        return node;
}

/* "EXPR;source:EXPR": the parts that speak of this stream must all hold. */
static int parse_expression(struct parser *p, const struct schema *schema, const char *text) {
        p->option = "filter-expr";
        p->pos = text;
        do {
                const struct schema_stream *named;
                struct node *node;

                skip_space(p);
                named = named_stream(schema, p->pos, strlen(p->pos));
                if (named && named != p->stream) {
                        p->pos += strcspn(p->pos, ";");
                        continue;
                }
                if (named)
                        p->pos += strlen(named->name) + 1;
                node = parse_or(p, 0);
                if (!node)
                        return -EINVAL;
                p->filter->root = join(p, NODE_AND, p->filter->root, node);
                if (!p->filter->root)
                        return -E2BIG;
        } while (take_word(p, ";"));
        skip_space(p);
        return *p->pos ? bad(p, "'and', 'or' or the end is expected", p->pos) : 0;
}

int row_filter_new(const struct schema *schema, const struct schema_stream *stream,
                   const char *terms, const char *expression, struct row_filter **ret,
                   struct error *err) {
        cleanup(row_filter_freep) struct row_filter *filter = calloc(1, sizeof(*filter));
        struct parser p = { .stream = stream, .filter = filter, .err = err };
        int r = 0;

        if (!filter)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        filter->text = BUF_INIT(TEXT_MAX);
        if (terms)
                r = parse_terms(&p, schema, terms);
        if (r == 0 && expression)
                r = parse_expression(&p, schema, expression);
        if (r < 0)
                return r;
        *ret = filter->root ? TAKE_PTR(filter) : NULL;
        return 0;
}

struct row_filter *row_filter_free(struct row_filter *filter) {
        if (!filter)
                return NULL;
        for (uint32_t i = 0; i < filter->n_nodes; i++) {
                free(filter->nodes[i].text);
                if (filter->nodes[i].has_regex)
                        regfree(&filter->nodes[i].regex);
        }
        buf_done(&filter->text);
        free(filter);
        return NULL;
}

/* --- evaluation --- */

static bool holds(enum comparison comparison, int order) {
        switch (comparison) {
        case EQUAL:
                return order == 0;
        case NOT_EQUAL:
                return order != 0;
        case GREATER:
                return order > 0;
        case GREATER_EQUAL:
                return order >= 0;
        case LESS:
                return order < 0;
        case LESS_EQUAL:
                return order <= 0;
        case MATCHES:
        case MATCHES_NOT:
        case CONTAINS:
                break;
        }
        return false;
}

static bool text_holds(struct row_filter *filter, const struct node *node, const struct row *row) {
        struct buf *b = &filter->text;
        const char *text;

        buf_reset(b);
        row_append_text(row, &node->ref, &filter->clock, b);
        buf_append(b, "", 1);
        text = b->failed ? "" : (const char *)b->data;
        if (node->has_regex)
                return (regexec(&node->regex, text, 0, NULL, 0) == 0) ==
                       (node->comparison == MATCHES);
        if (node->comparison == CONTAINS)
                return strstr(text, node->text) != NULL;
        return holds(node->comparison, strcmp(text, node->text));
}

static bool term_holds(struct row_filter *filter, const struct node *node, const struct row *row) {
        struct number n;

        if (node->number.type == VALUE_NONE)
                return text_holds(filter, node, row);
        n = row_number(row, &node->ref);
        if (n.type == VALUE_NONE)
                return node->comparison == NOT_EQUAL;
        return holds(node->comparison, number_compare(n, node->number));
}

static bool node_holds(struct row_filter *filter, const struct node *node, const struct row *row) {
        switch (node->type) {
        case NODE_AND:
                return node_holds(filter, node->left, row) && node_holds(filter, node->right, row);
        case NODE_OR:
                return node_holds(filter, node->left, row) || node_holds(filter, node->right, row);
        case NODE_NOT:
                return !node_holds(filter, node->left, row);
        case NODE_TERM:
                break;
        }
        return term_holds(filter, node, row);
}

bool row_filter_passes(struct row_filter *filter, const struct row *row) {
        return node_holds(filter, filter->root, row);
}
