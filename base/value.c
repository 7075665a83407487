/* SPDX-License-Identifier: Apache-2.0 */
#include "base/value.h"

static int compare_bytes(struct bytes a, struct bytes b) {
        size_t n = MIN(a.len, b.len);
        int r = n > 0 ? memcmp(a.data, b.data, n) : 0;

        if (r != 0)
                return r < 0 ? -1 : 1;
        return (a.len > b.len) - (a.len < b.len);
}

static double as_double(const struct value *v) {
        return v->type == VALUE_FLOAT ? v->f : v->type == VALUE_INT ? (double)v->i : (double)v->u;
}

static int compare_floats(double x, double y) {
        if (x != x || y != y)
                return (y != y) - (x != x);
        return (x > y) - (x < y);
}

/* A negative number is below every unsigned one; else the bits are worth the same. */
static int compare_integers(const struct value *a, const struct value *b) {
        bool a_is_negative = a->type == VALUE_INT && a->i < 0;
        bool b_is_negative = b->type == VALUE_INT && b->i < 0;

        if (a_is_negative != b_is_negative)
                return a_is_negative ? -1 : 1;
        return a_is_negative ? (a->i > b->i) - (a->i < b->i) : (a->u > b->u) - (a->u < b->u);
}

/* What is below what: see value_compare(). */
static int rank(const struct value *v) {
        return v->type == VALUE_NONE ? 0 : v->type == VALUE_BYTES ? 2 : 1;
}

int value_compare(const struct value *a, const struct value *b) {
        if (rank(a) != rank(b))
                return rank(a) < rank(b) ? -1 : 1;
        if (a->type == VALUE_NONE)
                return 0;
        if (a->type == VALUE_BYTES)
                return compare_bytes(a->bytes, b->bytes);
        if (a->type == VALUE_FLOAT || b->type == VALUE_FLOAT)
                return compare_floats(as_double(a), as_double(b));
        return compare_integers(a, b);
}
