/* SPDX-License-Identifier: Apache-2.0 */
#include "image/ref.h"

#include <stdio.h>

#include "base/parse.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"
#define HEX "0123456789abcdefABCDEF"

#define NAME_MAX_LEN 255 /* HOST/PATH */
#define TAG_MAX_LEN 128

static int refuse(const char *text, struct error *err, const char *why) {
        return error_set(err, ERROR_INVALID, -EINVAL, "image reference '%.200s': %s", text, why);
}

/* One of "-"s, ".", "_", "__" between two runs of letters and digits; 0 = there is none. */
static size_t separator_length(const char *s) {
        if (*s == '-')
                return strspn(s, "-");
        if (*s == '_')
                return s[1] == '_' ? 2 : 1;
        return *s == '.' ? 1 : 0;
}

static bool is_path_component(const char *s, size_t n) {
        const char *end = s + n;

        for (;;) {
                size_t run = strspn(s, LOWER DIGIT);

                if (run == 0)
                        return false;
                s += run;
                if (s >= end)
                        return s == end;
                s += separator_length(s);
                if (s >= end)
                        return false;
                if (strspn(s, LOWER DIGIT) == 0)
                        return false;
        }
}

static bool is_path(const char *s) {
        for (;;) {
                size_t n = strcspn(s, "/");

                if (!is_path_component(s, n))
                        return false;
                if (s[n] == '\0')
                        return true;
                s += n + 1;
        }
}

static bool is_tag(const char *s) {
        size_t n = strlen(s);

        return n > 0 && n <= TAG_MAX_LEN && *s != '.' && *s != '-' &&
               strspn(s, LOWER UPPER DIGIT "_.-") == n;
}

/* Labels of letters, digits and inner hyphens, joined by dots. */
static bool is_host_name(const char *s, size_t n) {
        while (n > 0) {
                size_t label = MIN(strcspn(s, "."), n);

                if (label == 0 || s[0] == '-' || s[label - 1] == '-' ||
                    strspn(s, LOWER UPPER DIGIT "-") < label)
                        return false;
                if (label == n)
                        return true;
                s += label + 1;
                n -= label + 1;
        }
        return false;
}

static bool is_host(const char *s) {
        const char *port;
        uint32_t number;
        size_t n;

        if (*s == '[') {
                n = strspn(s + 1, HEX ":.") + 1;
                if (n == 1 || s[n] != ']')
                        return false;
                n++;
        } else {
                n = strcspn(s, ":");
                if (!is_host_name(s, n))
                        return false;
        }
        if (s[n] == '\0')
                return true;
        port = s + n + 1;
        return s[n] == ':' && strspn(port, DIGIT) == strlen(port) &&
               parse_u32(port, 1, UINT16_MAX, &number) == 0;
}

/* docker's rule: a first component is a host when it could not be a path component, or is
 * "localhost". */
static bool looks_like_host(const char *s) {
        return strpbrk(s, ".:" UPPER) || str_eq(s, "localhost");
}

/* Cuts "HOST/" off the front; the rest is the path. */
static int split_host(char *name, const char *text, struct image_ref *ref, struct error *err) {
        char *slash = strchr(name, '/');

        if (strlen(name) > NAME_MAX_LEN)
                return refuse(text, err, "the name has more than 255 characters");
        if (slash) {
                *slash = '\0';
                if (looks_like_host(name)) {
                        if (!is_host(name))
                                return refuse(
                                        text, err,
                                        "what stands before the first '/' is not HOST[:PORT]");
                        snprintf(ref->host, sizeof(ref->host), "%.255s", name);
                        name = slash + 1;
                } else {
                        *slash = '/';
                }
        }
        if (!is_path(name))
                return refuse(text, err,
                              "a name is lower-case letters and digits, parts joined by '/', '.', "
                              "'_', '__' or '-'");
        if (ref->host[0] == '\0' && strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64)
                return refuse(text, err,
                              "64 hexadecimal digits alone are no name; write NAME@sha256:HEX");
        snprintf(ref->path, sizeof(ref->path), "%.255s", name);
        return 0;
}

int image_ref_parse(const char *text, struct image_ref *ret, struct error *err) {
        struct image_ref ref = { 0 };
        char name[LIMIT_IMAGE_REF_MAX + 1];
        char *at, *colon, *slash;
        int r;

        if (*text == '\0')
                return refuse(text, err, "is empty");
        if (strlen(text) > LIMIT_IMAGE_REF_MAX)
                return refuse(text, err, "is too long");
        snprintf(name, sizeof(name), "%s", text);

        at = strchr(name, '@');
        if (at) {
                *at++ = '\0';
                if (!digest_is_valid(at))
                        return refuse(text, err,
                                      "behind '@' stands no digest: sha256:<64 lower-case "
                                      "hexadecimal digits>");
                snprintf(ref.digest, sizeof(ref.digest), "%s", at);
        }

        /* A colon before the last slash belongs to a port. */
        colon = strrchr(name, ':');
        slash = strrchr(name, '/');
        if (colon && (!slash || colon > slash)) {
                *colon++ = '\0';
                if (!is_tag(colon))
                        return refuse(text, err,
                                      "a tag is up to 128 letters, digits, '_', '.' and '-', not "
                                      "beginning with '.' or '-'");
                snprintf(ref.tag, sizeof(ref.tag), "%s", colon);
        } else if (!at) {
                snprintf(ref.tag, sizeof(ref.tag), "latest");
        }

        r = split_host(name, text, &ref, err);
        if (r < 0)
                return r;
        *ret = ref;
        return 0;
}

void image_ref_repository(const struct image_ref *ref, char *out, size_t n) {
        snprintf(out, n, "%s%s%s", ref->host, ref->host[0] ? "/" : "", ref->path);
}

void image_ref_format(const struct image_ref *ref, char *out, size_t n) {
        bool by_digest = ref->digest[0] != '\0';

        snprintf(out, n, "%s%s%s%c%s", ref->host, ref->host[0] ? "/" : "", ref->path,
                 by_digest ? '@' : ':', by_digest ? ref->digest : ref->tag);
}
