/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pattern.h"

#include <assert.h>

#define GROUPS_MAX 32
/* A byte of the pattern becomes at most two instructions, and the end is one more. */
#define INSNS_MAX (2 * PATTERN_LEN_MAX + 2)

enum insn_code { INSN_SET, INSN_SPLIT, INSN_JUMP, INSN_BEGIN, INSN_END, INSN_MATCH };

/* Jumps are relative, so that code can be moved when an operator comes behind it. */
struct insn {
        uint8_t code; /* enum insn_code */
        int16_t x;    /* SPLIT, JUMP: first way */
        int16_t y;    /* SPLIT: second way */
        uint16_t set; /* SET: which bytes */
};

struct set {
        uint8_t bits[32];
};

struct pattern {
        struct insn insns[INSNS_MAX];
        size_t n;
        struct set *sets;
        size_t n_sets;
        /* of a match; one at a time */
        uint16_t *lists[2];
        uint16_t *stack;
        uint32_t *seen; /* position at which an instruction was added last */
};

struct pattern *pattern_free(struct pattern *p) {
        if (!p)
                return NULL;
        free(p->sets);
        free(p->lists[0]);
        free(p->lists[1]);
        free(p->stack);
        free(p->seen);
        free(p);
        return NULL;
}

/* --- compiling --- */

struct compiler {
        struct pattern *p;
        const char *text;
        const char *at;
        unsigned int depth;
        struct error *err;
};

static int wrong(struct compiler *c, const char *what) {
        return error_set(c->err, ERROR_USAGE, -EINVAL, "pattern '%.64s', byte %zu: %s", c->text,
                         (size_t)(c->at - c->text) + 1, what);
}

static int emit(struct compiler *c, struct insn insn) {
        if (c->p->n == INSNS_MAX)
                return wrong(c, "the pattern is too long");
        c->p->insns[c->p->n++] = insn;
        return 0;
}

/* Makes room for one instruction at `at`. */
static int insert(struct compiler *c, size_t at, struct insn insn) {
        int r = emit(c, insn);

        if (r < 0)
                return r;
        memmove(&c->p->insns[at + 1], &c->p->insns[at], (c->p->n - 1 - at) * sizeof(insn));
        c->p->insns[at] = insn;
        return 0;
}

static void set_add(struct set *s, uint8_t from, uint8_t to) {
        for (unsigned int b = from; b <= to; b++)
                s->bits[b / 8] |= (uint8_t)(1u << (b % 8));
}

static void set_invert(struct set *s) {
        for (size_t i = 0; i < sizeof(s->bits); i++)
                s->bits[i] = (uint8_t)~s->bits[i];
}

static int emit_set(struct compiler *c, const struct set *s) {
        struct set *sets = reallocarray(c->p->sets, c->p->n_sets + 1, sizeof(*sets));

        if (!sets)
                return -ENOMEM;
        c->p->sets = sets;
        sets[c->p->n_sets] = *s;
        return emit(c, (struct insn){ .code = INSN_SET, .set = (uint16_t)c->p->n_sets++ });
}

/* What \X stands for; false when it is the byte itself. */
static bool named_set(char name, struct set *s) {
        switch (name) {
        case 'd':
        case 'D':
                set_add(s, '0', '9');
                break;
        case 'w':
        case 'W':
                set_add(s, '0', '9');
                set_add(s, 'A', 'Z');
                set_add(s, 'a', 'z');
                set_add(s, '_', '_');
                break;
        case 's':
        case 'S':
                set_add(s, ' ', ' ');
                set_add(s, '\t', '\r');
                break;
        default:
                return false;
        }
        if (name < 'a')
                set_invert(s);
        return true;
}

/* One byte of the pattern, maybe behind a backslash. */
static int read_escape(struct compiler *c, struct set *s, uint8_t *ret) {
        c->at++;
        if (*c->at == '\0')
                return wrong(c, "a backslash ends the pattern");
        if (*c->at >= '1' && *c->at <= '9')
                return wrong(c, "back-references are not known");
        if (named_set(*c->at, s)) {
                c->at++;
                return 1;
        }
        *ret = (uint8_t)(*c->at == 'n' ? '\n' : *c->at == 't' ? '\t' : *c->at);
        c->at++;
        return 0;
}

static int parse_class(struct compiler *c) {
        struct set s = { 0 };
        bool is_inverted = c->at[1] == '^', is_first = true;

        c->at += is_inverted ? 2 : 1;
        for (; *c->at != ']' || is_first; is_first = false) {
                uint8_t from, to;
                int r = 0;

                if (*c->at == '\0')
                        return wrong(c, "'[' has no ']'");
                if (*c->at == '\\')
                        r = read_escape(c, &s, &from);
                else
                        from = (uint8_t)*c->at++;
                if (r < 0)
                        return r;
                if (r == 1)
                        continue;
                to = from;
                if (c->at[0] == '-' && c->at[1] != ']' && c->at[1] != '\0') {
                        to = (uint8_t)c->at[1];
                        c->at += 2;
                }
                if (to < from)
                        return wrong(c, "the range ends before it begins");
                set_add(&s, from, to);
        }
        c->at++;
        if (is_inverted)
                set_invert(&s);
        return emit_set(c, &s);
}

static int parse_alternatives(struct compiler *c);

static int parse_group(struct compiler *c) {
        int r;

        if (++c->depth > GROUPS_MAX)
                return wrong(c, "groups are nested too deeply");
        c->at++;
        if (c->at[0] == '?' && c->at[1] == ':')
                c->at += 2;
        r = parse_alternatives(c);
        if (r < 0)
                return r;
        if (*c->at != ')')
                return wrong(c, "'(' has no ')'");
        c->at++;
        c->depth--;
        return 0;
}

static int parse_atom(struct compiler *c) {
        struct set s = { 0 };
        uint8_t b;
        int r;

        switch (*c->at) {
        case '(':
                return parse_group(c);
        case '[':
                return parse_class(c);
        case '^':
                c->at++;
                return emit(c, (struct insn){ .code = INSN_BEGIN });
        case '$':
                c->at++;
                return emit(c, (struct insn){ .code = INSN_END });
        case '*':
        case '+':
        case '?':
                return wrong(c, "there is nothing to repeat");
        case '{':
                return wrong(c, "repetitions with a number are not known; write \\{ for the byte");
        case '.':
                c->at++;
                set_add(&s, 0, UINT8_MAX);
                return emit_set(c, &s);
        case '\\':
                r = read_escape(c, &s, &b);
                if (r == 0)
                        set_add(&s, b, b);
                return r < 0 ? r : emit_set(c, &s);
        default:
                b = (uint8_t)*c->at++;
                set_add(&s, b, b);
                return emit_set(c, &s);
        }
}

static int parse_repeated(struct compiler *c) {
        size_t start = c->p->n;
        int16_t n;
        int r = parse_atom(c);

        for (; r == 0 && (*c->at == '*' || *c->at == '+' || *c->at == '?'); c->at++) {
                n = (int16_t)(c->p->n - start);
                if (*c->at == '+') {
                        r = emit(c, (struct insn){ .code = INSN_SPLIT, .x = (int16_t)-n, .y = 1 });
                        continue;
                }
                r = insert(c, start,
                           (struct insn){ .code = INSN_SPLIT,
                                          .x = 1,
                                          .y = (int16_t)(n + (*c->at == '*' ? 2 : 1)) });
                if (r == 0 && *c->at == '*')
                        r = emit(c, (struct insn){ .code = INSN_JUMP, .x = (int16_t)(-n - 1) });
        }
        return r;
}

static int parse_alternatives(struct compiler *c) {
        size_t start = c->p->n, jump;
        int r = 0;

        while (r == 0 && *c->at != '\0' && *c->at != '|' && *c->at != ')')
                r = parse_repeated(c);
        if (r < 0 || *c->at != '|')
                return r;
        c->at++;
        r = insert(
                c, start,
                (struct insn){ .code = INSN_SPLIT, .x = 1, .y = (int16_t)(c->p->n - start + 2) });
        if (r < 0)
                return r;
        jump = c->p->n;
        r = emit(c, (struct insn){ .code = INSN_JUMP });
        if (r == 0)
                r = parse_alternatives(c);
        if (r == 0)
                c->p->insns[jump].x = (int16_t)(c->p->n - jump);
        return r;
}

int pattern_new(const char *text, struct pattern **ret, struct error *err) {
        cleanup(pattern_freep) struct pattern *p = calloc(1, sizeof(*p));
        struct compiler c = { .p = p, .text = text, .at = text, .err = err };
        int r;

        if (!p)
                return -ENOMEM;
        if (strlen(text) > PATTERN_LEN_MAX)
                return error_set(err, ERROR_LIMIT, -E2BIG, "a pattern has more than %d bytes",
                                 PATTERN_LEN_MAX);
        r = parse_alternatives(&c);
        if (r == 0 && *c.at != '\0')
                r = wrong(&c, "')' has no '('");
        if (r == 0)
                r = emit(&c, (struct insn){ .code = INSN_MATCH });
        if (r < 0)
                return r;
        p->lists[0] = calloc(p->n, sizeof(*p->lists[0]));
        p->lists[1] = calloc(p->n, sizeof(*p->lists[1]));
        p->stack = calloc(2 * p->n + 1, sizeof(*p->stack));
        p->seen = calloc(p->n, sizeof(*p->seen));
        if (!p->lists[0] || !p->lists[1] || !p->stack || !p->seen)
                return -ENOMEM;
        *ret = TAKE_PTR(p);
        return 0;
}

/* --- matching --- */

struct match {
        const struct pattern *p;
        struct bytes text;
        uint32_t mark; /* of this position in `seen` */
};

/* Adds the instruction and all that it leads to without taking a byte; true at a match. */
static bool follow(const struct match *m, size_t first, size_t position, uint16_t *list,
                   size_t *n) {
        const struct pattern *p = m->p;
        size_t depth = 0;

        p->stack[depth++] = (uint16_t)first;
        while (depth > 0) {
                uint16_t at = p->stack[--depth];
                const struct insn *insn = &p->insns[at];

                if (p->seen[at] == m->mark)
                        continue;
                p->seen[at] = m->mark;
                switch ((enum insn_code)insn->code) {
                case INSN_MATCH:
                        return true;
                case INSN_SET:
                        list[(*n)++] = at;
                        break;
                case INSN_BEGIN:
                        if (position == 0)
                                p->stack[depth++] = (uint16_t)(at + 1);
                        break;
                case INSN_END:
                        if (position == m->text.len)
                                p->stack[depth++] = (uint16_t)(at + 1);
                        break;
                case INSN_SPLIT:
                        p->stack[depth++] = (uint16_t)(at + insn->y);
                        p->stack[depth++] = (uint16_t)(at + insn->x);
                        break;
                case INSN_JUMP:
                        p->stack[depth++] = (uint16_t)(at + insn->x);
                        break;
                }
        }
        return false;
}

bool pattern_matches(const struct pattern *p, struct bytes text) {
        struct match m = { .p = p, .text = text };
        uint16_t *now = p->lists[0], *next = p->lists[1], *swap;
        size_t n_now = 0, n_next;

        m.text.len = MIN(text.len, (size_t)PATTERN_TEXT_MAX);
        memset(p->seen, 0, p->n * sizeof(*p->seen));
        for (size_t position = 0;; position++) {
                /* Threads that reach here from before have this mark already; new ones may begin
                 * anywhere. */
                if (position == 0)
                        m.mark = 1;
                if (follow(&m, 0, position, now, &n_now))
                        return true;
                if (position == m.text.len)
                        return false;
                m.mark++;
                n_next = 0;
                for (size_t i = 0; i < n_now; i++) {
                        const struct set *s = &p->sets[p->insns[now[i]].set];
                        uint8_t b = m.text.data[position];

                        if ((s->bits[b / 8] & (1u << (b % 8))) &&
                            follow(&m, now[i] + 1u, position + 1, next, &n_next))
                                return true;
                }
                swap = now;
                now = next;
                next = swap;
                n_now = n_next;
        }
}
