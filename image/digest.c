/* SPDX-License-Identifier: Apache-2.0 */
#include "image/digest.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "base/text.h"

static const struct algorithm {
        const char *name;
        size_t n_hex;
        const EVP_MD *(*md)(void);
} algorithms[] = {
        { "sha256", 64, EVP_sha256 },
        { "sha512", 128, EVP_sha512 },
};

/* By its name alone or in front of ":HEX". */
static const struct algorithm *find_algorithm(const char *text) {
        size_t n = strcspn(text, ":");

        for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++)
                if (strlen(algorithms[i].name) == n && memcmp(algorithms[i].name, text, n) == 0)
                        return &algorithms[i];
        return NULL;
}

bool digest_is_valid(const char *text) {
        const struct algorithm *algorithm = find_algorithm(text);
        const char *hex = strchr(text, ':');

        if (!algorithm || !hex)
                return false;
        hex++;
        return strlen(hex) == algorithm->n_hex &&
               strspn(hex, "0123456789abcdef") == algorithm->n_hex;
}

int hasher_init(struct hasher *h, const char *algorithm) {
        const struct algorithm *found = find_algorithm(algorithm);

        *h = (struct hasher){ 0 };
        if (!found)
                return -EINVAL;
        h->algorithm = found->name;
        h->ctx = EVP_MD_CTX_new();
        if (!h->ctx || EVP_DigestInit_ex(h->ctx, found->md(), NULL) != 1) {
                hasher_done(h);
                return -ENOMEM;
        }
        return 0;
}

int hasher_add(struct hasher *h, const void *data, size_t n) {
        return EVP_DigestUpdate(h->ctx, data, n) == 1 ? 0 : -ENOMEM;
}

int hasher_finish(struct hasher *h, char *out) {
        unsigned char raw[EVP_MAX_MD_SIZE];
        unsigned int n_raw;
        size_t n;

        if (EVP_DigestFinal_ex(h->ctx, raw, &n_raw) != 1)
                return -ENOMEM;
        n = (size_t)snprintf(out, DIGEST_TEXT_MAX, "%s:", h->algorithm);
        hex_encode(raw, n_raw, out + n);
        return 0;
}

void hasher_done(struct hasher *h) {
        EVP_MD_CTX_free(h->ctx);
        h->ctx = NULL;
}

static int digest_by(const char *algorithm, const void *data, size_t n, char *out) {
        cleanup_hasher struct hasher h = { 0 };
        int r;

        r = hasher_init(&h, algorithm);
        if (r < 0)
                return r;
        r = hasher_add(&h, data, n);
        if (r < 0)
                return r;
        return hasher_finish(&h, out);
}

int digest_of(const void *data, size_t n, char *out) {
        return digest_by("sha256", data, n, out);
}

int digest_check(const char *text, const void *data, size_t n) {
        char got[DIGEST_TEXT_MAX];
        int r;

        if (!digest_is_valid(text))
                return -EINVAL;
        r = digest_by(text, data, n, got);
        if (r < 0)
                return r;
        return str_eq(got, text) ? 0 : -EBADMSG;
}
