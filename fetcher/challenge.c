/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict reader of challenge headers: scheme, then name=token or name="quoted" pairs separated by
 * commas. A scheme that we do not speak is skipped with its parameters, so "Negotiate, Bearer
 * realm=..." works.
 */
#include "fetcher/challenge.h"

#include <ctype.h>
#include <strings.h>

struct param {
        const char *name;
        size_t offset;
        size_t size;
};

static const struct param bearer_params[] = {
        { "realm", offsetof(struct challenge, realm), CHALLENGE_REALM_MAX },
        { "service", offsetof(struct challenge, service), CHALLENGE_TEXT_MAX },
        { "scope", offsetof(struct challenge, scope), CHALLENGE_TEXT_MAX },
        { "error", offsetof(struct challenge, error), CHALLENGE_TEXT_MAX },
};

static bool is_token_char(char c) {
        return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static const char *skip_blank(const char *p) {
        while (*p == ' ' || *p == '\t')
                p++;
        return p;
}

/* Copies a token or quoted string into out (NULL = skip it); the byte behind it, or NULL when
 * malformed or too long. */
static const char *read_value(const char *p, char *out, size_t size) {
        bool is_quoted = *p == '"';
        size_t n = 0;

        if (is_quoted)
                p++;
        for (; is_quoted ? *p && *p != '"' : is_token_char(*p) || *p == '/' || *p == ':'; p++) {
                if (is_quoted && *p == '\\' && p[1])
                        p++;
                if ((unsigned char)*p < 0x20 || *p == 0x7f)
                        return NULL;
                if (out && n + 1 >= size)
                        return NULL;
                if (out)
                        out[n++] = *p;
        }
        if (is_quoted && *p++ != '"')
                return NULL;
        if (out)
                out[n] = '\0';
        return p;
}

static char *param_slot(struct challenge *challenge, const char *name, size_t n, size_t *ret_size) {
        for (size_t i = 0; i < ARRAY_SIZE(bearer_params); i++)
                if (strlen(bearer_params[i].name) == n &&
                    strncasecmp(bearer_params[i].name, name, n) == 0) {
                        *ret_size = bearer_params[i].size;
                        return (char *)challenge + bearer_params[i].offset;
                }
        return NULL;
}

static enum challenge_scheme scheme_of(const char *name, size_t n) {
        if (n == 5 && strncasecmp(name, "basic", n) == 0)
                return CHALLENGE_BASIC;
        if (n == 6 && strncasecmp(name, "bearer", n) == 0)
                return CHALLENGE_BEARER;
        return CHALLENGE_NONE;
}

/* Reads the parameters of one challenge up to the next scheme or the end. */
static const char *read_params(const char *p, struct challenge *challenge) {
        for (;;) {
                const char *name;
                char *slot;
                size_t n, size = 0;

                p = skip_blank(p);
                while (*p == ',')
                        p = skip_blank(p + 1);
                name = p;
                while (is_token_char(*p))
                        p++;
                n = (size_t)(p - name);
                if (n == 0)
                        return *p ? NULL : p;
                if (*skip_blank(p) != '=')
                        return name; /* no parameter: the next scheme begins here */
                p = skip_blank(skip_blank(p) + 1);
                slot = param_slot(challenge, name, n, &size);
                p = read_value(p, slot, size);
                if (!p)
                        return NULL;
        }
}

int challenge_parse(const char *header, struct challenge *ret) {
        struct challenge best = { 0 };
        const char *p = skip_blank(header);

        while (*p) {
                struct challenge one = { 0 };
                const char *name = p;

                while (is_token_char(*p))
                        p++;
                if (p == name)
                        return -EBADMSG;
                one.scheme = scheme_of(name, (size_t)(p - name));
                p = read_params(p, &one);
                if (!p)
                        return -EBADMSG;
                if (one.scheme > best.scheme)
                        best = one;
        }
        if (best.scheme == CHALLENGE_NONE)
                return -EBADMSG;
        if (best.scheme == CHALLENGE_BEARER && !best.realm[0])
                return -EBADMSG;
        *ret = best;
        return 0;
}
