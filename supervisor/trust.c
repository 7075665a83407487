/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/trust.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/file.h"
#include "base/log.h"
#include "image/store-signatures.h"
#include "policy/image-policy.h"
#include "supervisor/supervisor.h"

/* One question: the policy as it is now, and the image that it is about. */
struct question {
        struct supervisor *sup;
        struct image_policy policy;
        const char *name;
        const char *digest;
        const struct policy_key *signer; /* found */
        const struct policy_rule *rule;
        char id[DIGEST_TEXT_MAX];
};

static void question_done(struct question *q) {
        image_policy_done(&q->policy);
}

static int read_key(const struct policy_key *key, struct buf *pem, struct error *err) {
        int r = read_file_at(AT_FDCWD, key->path, pem);

        return r < 0 ? error_set(err, ERROR_INVALID, r, "cannot read key '%s' (%s): %s", key->name,
                                 key->path, strerror(-r))
                     : 0;
}

/* Keys belong to it by content: one that is exchanged under its name is another policy. */
static int compute_id(struct question *q) {
        cleanup_buf struct buf all = BUF_INIT(8u << 20);
        cleanup_free char *text = NULL;
        int r;

        r = image_policy_print(&q->policy, &text);
        if (r < 0)
                return r;
        buf_puts(&all, text);
        for (size_t i = 0; i < q->policy.n_keys; i++) {
                cleanup_buf struct buf pem = BUF_INIT(SIGNATURE_KEY_MAX);

                if (read_key(&q->policy.keys[i], &pem, NULL) == 0)
                        buf_append(&all, pem.data, pem.len);
        }
        r = buf_result(&all);
        return r < 0 ? r : digest_of(all.data, all.len, q->id);
}

/* --- signatures --- */

struct attempt {
        const struct signing_key *key;
        const char *digest;
};

static int try_signature(void *userdata, const struct stored_signature *signature) {
        const struct attempt *attempt = userdata;
        int r;

        if (signature->bundle.len > 0)
                r = signature_verify_bundle(attempt->key, signature->bundle, attempt->digest, NULL);
        else
                r = signature_verify_simple(attempt->key, signature->payload, signature->signature,
                                            attempt->digest, NULL, NULL);
        return r == 0 ? 1 : 0;
}

static int is_signed_by(struct question *q, const struct policy_key *named, struct error *err) {
        cleanup_buf struct buf pem = BUF_INIT(SIGNATURE_KEY_MAX);
        cleanup(signing_key_freep) struct signing_key *key = NULL;
        struct store *store = NULL;
        int r;

        r = read_key(named, &pem, err);
        if (r == 0)
                r = signing_key_read_public(BYTES(pem.data, pem.len), &key, err);
        if (r < 0)
                return error_prefix(err, r, "%s line %zu", q->policy.path, named->line);
        r = image_service_local(&q->sup->images, false, &store, err);
        if (r < 0 || !store)
                return r;
        r = store_each_signature(store, q->digest, try_signature,
                                 &(struct attempt){ key, q->digest });
        if (r > 0)
                q->signer = named;
        return r;
}

/* By one of those that the rule names, or of all when there is no rule or it names none. 1 = yes.
 */
static int find_signer(struct question *q, struct error *err) {
        bool named = q->rule && q->rule->n_signed_by > 0;
        size_t n = named ? q->rule->n_signed_by : q->policy.n_keys;
        int r = 0;

        for (size_t i = 0; i < n && r == 0; i++)
                r = is_signed_by(q,
                                 named ? image_policy_key(&q->policy, q->rule->signed_by[i])
                                       : &q->policy.keys[i],
                                 err);
        return r;
}

/* --- the answer --- */

static int refuse(const struct question *q, struct error *err, const char *what) {
        error_set(err, ERROR_UNTRUSTED, -EKEYREJECTED, "image '%.200s' may not run: %s", q->name,
                  what);
        if (q->rule && q->rule->line > 0)
                error_append(err, "that is the rule '%.80s' in %s line %zu", q->rule->match,
                             q->policy.path, q->rule->line);
        else
                error_append(err,
                             "to allow it, add  - {match: \"%.100s\", unsigned: allow}  under "
                             "images: in %s, sign it with a key of keys:, or run with "
                             "--allow-unsigned",
                             q->name, q->policy.path);
        return -EKEYREJECTED;
}

static bool lists_digest(const struct policy_rule *rule, const char *digest) {
        for (size_t i = 0; i < rule->n_digests; i++)
                if (str_eq(rule->digests[i], digest))
                        return true;
        return false;
}

static int ask(struct question *q, bool is_bundled, enum image_origin origin, struct trust *ret,
               struct error *err) {
        int r;

        if (q->rule && q->rule->n_digests > 0 && !lists_digest(q->rule, q->digest))
                return refuse(q, err, "its digest is not one that policy lists");
        if (q->rule &&
            (q->rule->allows_unsigned || (q->rule->n_digests > 0 && q->rule->n_signed_by == 0))) {
                snprintf(ret->why, sizeof(ret->why), "rule '%.80s', %s", q->rule->match,
                         q->rule->allows_unsigned ? "unsigned: allow" : "digest");
                return 0;
        }
        if (!q->rule && (is_bundled || origin == ORIGIN_BUILT)) {
                snprintf(ret->why, sizeof(ret->why), "default, %s",
                         is_bundled ? "bundled" : "built here by root");
                return 0;
        }
        r = find_signer(q, err);
        if (r < 0)
                return r;
        if (r == 0)
                return refuse(q, err,
                              q->rule && q->rule->n_signed_by > 0
                                      ? "it has no signature by a key that the rule names"
                                      : "it has no signature by a key of the policy");
        snprintf(ret->why, sizeof(ret->why), "signed by '%.80s'", q->signer->name);
        return 0;
}

int trust_check(struct supervisor *sup, const char *name, const char *digest, bool is_bundled,
                enum image_origin origin, struct trust *ret, struct error *err) {
        cleanup(question_done) struct question q = { .sup = sup, .name = name, .digest = digest };
        int r;

        r = image_policy_read(sup->paths.policy, &q.policy, err);
        if (r == 0)
                r = compute_id(&q);
        if (r < 0)
                return error_prefix(err, r, "nothing may run by this policy");
        memcpy(ret->policy, q.id, sizeof(q.id));
        q.rule = image_policy_find(&q.policy, name);
        return ask(&q, is_bundled, origin, ret, err);
}

int trust_admit(struct supervisor *sup, const struct image *image, bool allow_unsigned,
                struct error *err) {
        struct store *store = NULL;
        struct trust trust = { .why = "" };
        struct image_ref ref;
        int r;

        r = trust_check(sup, image->name, image->digest, image->is_bundled, image->origin, &trust,
                        err);
        if (r < 0 && allow_unsigned) {
                log_warning("'%s' runs by --allow-unsigned: %s", image->name,
                            err ? error_text(err) : "");
                if (err)
                        *err = (struct error){};
                return 0;
        }
        if (r < 0 || image->is_bundled || str_eq(image->policy, trust.policy))
                return r;
        /* What cannot be noted is asked again the next time: no reason not to run. */
        if (image_ref_parse(image->name, &ref, NULL) == 0 &&
            image_service_local(&sup->images, false, &store, NULL) == 0 && store &&
            store_note_admission(store, &ref, trust.policy, trust.why, NULL) < 0)
                log_warning("'%s': the policy that admitted it could not be noted", image->name);
        return 0;
}
