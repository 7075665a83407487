/* SPDX-License-Identifier: Apache-2.0 */
/* `gadgetctl image sign`, `image verify` and `policy`: keys are read and used here, as the user;
 * gadgetd never sees a private one. */
#include <stdio.h>

#include "gadgetctl/compile.h"
#include "gadgetctl/diag.h"
#include "gadgetctl/print.h"
#include "image/digest.h"
#include "image/signature.h"

/* Digest and full name as policy sees them. */
static int ask(struct session *session, const char *image, char *name, size_t n_name, char *digest,
               struct error *err) {
        struct req_image_ref request = { .image = image };
        struct rep_object reply;
        int r;

        r = connection_call(session->connection, METHOD_POLICY_CHECK, &request, &reply, err);
        if (r < 0)
                return r;
        object_text(reply.object, "image", name, n_name);
        object_text(reply.object, "digest", digest, DIGEST_TEXT_MAX);
        return digest_is_valid(digest) ? 0 : -EBADMSG;
}

static int make_signature(const struct args *args, const struct signing_key *key, const char *name,
                          const char *digest, struct req_image_sign *request, char **ret_text,
                          char signature[SIGNATURE_TEXT_MAX]) {
        size_t n;
        int r;

        if (args->signature_format && str_eq(args->signature_format, "bundle")) {
                r = signature_make_bundle(key, name, digest, ret_text, &n);
                if (r == 0)
                        request->bundle = BYTES(*ret_text, n);
                return r;
        }
        r = signature_payload(name, digest, ret_text, &n);
        if (r == 0)
                r = signature_make(key, BYTES(*ret_text, n), signature);
        request->payload = BYTES(*ret_text, n);
        request->signature = signature;
        return r;
}

/* Signatures name a repository, not a tag. */
static void strip_tag(char *name) {
        char *slash = strrchr(name, '/'), *colon = strrchr(name, ':'), *at = strchr(name, '@');

        if (at)
                *at = '\0';
        else if (colon && (!slash || colon > slash))
                *colon = '\0';
}

int cmd_image_sign(struct args *args) {
        cleanup_buf struct buf pem = BUF_INIT(SIGNATURE_KEY_MAX);
        cleanup(signing_key_freep) struct signing_key *key = NULL;
        cleanup_session struct session session = { .daemon_pidfd = -1 };
        struct req_image_sign request = { .image = args->words.items[0] };
        char name[1024], digest[DIGEST_TEXT_MAX], signature[SIGNATURE_TEXT_MAX];
        cleanup_free char *text = NULL;
        struct error err = { 0 };
        int r;

        if (args->keys.n != 1) {
                diag("image sign: --key FILE is missing");
                return EXIT_USAGE;
        }
        r = read_input(args->keys.items[0], "key", &pem, &err);
        if (r == 0)
                r = signing_key_read_private(BYTES(pem.data, pem.len), &key, &err);
        if (pem.data)
                explicit_bzero(pem.data, pem.len);
        if (r < 0)
                return diag_failure(&err, r, NULL);
        r = session_open(&session, args, SESSION_MAY_SPAWN);
        if (r != 0)
                return r;
        r = ask(&session, request.image, name, sizeof(name), digest, &err);
        strip_tag(name);
        if (r == 0)
                r = make_signature(args, key, name, digest, &request, &text, signature);
        if (r == 0)
                r = connection_call(session.connection, METHOD_IMAGE_SIGN, &request, NULL, &err);
        if (r < 0)
                return diag_failure(&err, r, session.connection);
        printf("Signed %s@%s\n", name, digest);
        return EXIT_OK;
}

static int try_one(const struct signing_key *key, struct bytes item, const char *digest,
                   const char *reference, struct error *err) {
        struct bytes bundle = object_bin(item, "bundle");
        char signature[SIGNATURE_TEXT_MAX];

        if (bundle.len > 0)
                return signature_verify_bundle(key, bundle, digest, err);
        object_text(item, "signature", signature, sizeof(signature));
        return signature_verify_simple(key, object_bin(item, "payload"), signature, digest,
                                       reference, err);
}

/* 1 = one of the signatures holds. */
static int verify_with(struct session *session, const struct args *args, const char *key_path,
                       const char *digest, const char *reference, struct error *err) {
        cleanup_buf struct buf pem = BUF_INIT(SIGNATURE_KEY_MAX);
        cleanup(signing_key_freep) struct signing_key *key = NULL;
        struct req_image_ref request = { .image = args->words.items[0] };
        struct object_iter iter;
        struct rep_list reply;
        struct bytes item;
        unsigned int n = 0;
        int r;

        r = read_input(key_path, "key", &pem, err);
        if (r == 0)
                r = signing_key_read_public(BYTES(pem.data, pem.len), &key, err);
        if (r == 0)
                r = connection_call(session->connection, METHOD_IMAGE_SIGNATURES, &request, &reply,
                                    err);
        if (r < 0)
                return r;
        iter = object_iter_of(reply.items);
        while (object_next(&iter, &item)) {
                n++;
                if (try_one(key, item, digest, reference, err) == 0)
                        return 1;
        }
        if (n == 0)
                error_set(err, ERROR_UNTRUSTED, -EKEYREJECTED, "the image has no signature");
        return 0;
}

int cmd_image_verify(struct args *args) {
        cleanup_session struct session session = { .daemon_pidfd = -1 };
        char name[1024], digest[DIGEST_TEXT_MAX];
        struct error err = { 0 };
        int r;

        if (args->keys.n == 0) {
                diag("image verify: --key FILE is missing");
                return EXIT_USAGE;
        }
        r = session_open(&session, args, SESSION_MAY_SPAWN);
        if (r != 0)
                return r;
        r = ask(&session, args->words.items[0], name, sizeof(name), digest, &err);
        if (r < 0)
                return diag_failure(&err, r, session.connection);
        strip_tag(name);
        for (size_t i = 0; i < args->keys.n; i++) {
                r = verify_with(&session, args, args->keys.items[i], digest,
                                args->all ? name : NULL, &err);
                if (r < 0)
                        return diag_failure(&err, r, session.connection);
                if (r > 0) {
                        printf("Verified %s@%s with %s\n", name, digest, args->keys.items[i]);
                        return EXIT_OK;
                }
        }
        diag("%s@%s is not signed by any of the keys: %s", name, digest, error_text(&err));
        return EXIT_DENIED;
}

static int show(struct args *args, enum method method, const void *request) {
        cleanup_session struct session session = { .daemon_pidfd = -1 };
        struct error err = { 0 };
        struct rep_object reply;
        bool is_refused;
        int r;

        r = session_open(&session, args, SESSION_MAY_SPAWN);
        if (r != 0)
                return r;
        r = connection_call(session.connection, method, request, &reply, &err);
        if (r < 0)
                return diag_failure(&err, r, session.connection);
        is_refused = method == METHOD_POLICY_CHECK && !object_bool(reply.object, "admitted");
        r = print_object(args, reply.object);
        return r == EXIT_OK && is_refused ? EXIT_DENIED : r;
}

int cmd_policy_show(struct args *args) {
        return show(args, METHOD_POLICY_SHOW, NULL);
}

int cmd_policy_check(struct args *args) {
        return show(args, METHOD_POLICY_CHECK,
                    &(struct req_image_ref){ .image = args->words.items[0] });
}

int cmd_image_fsck(struct args *args) {
        return show(args, METHOD_IMAGE_FSCK, NULL);
}

int cmd_image_prune(struct args *args) {
        cleanup_session struct session session = { .daemon_pidfd = -1 };
        struct req_image_prune request = { .all = args->all };
        struct rep_image_prune reply;
        struct error err = { 0 };
        int r;

        r = session_open(&session, args, SESSION_MAY_SPAWN);
        if (r != 0)
                return r;
        r = connection_call(session.connection, METHOD_IMAGE_PRUNE, &request, &reply, &err);
        if (r < 0)
                return diag_failure(&err, r, session.connection);
        printf("Removed %u names and %u blobs, %llu bytes\n", reply.images, reply.blobs,
               (unsigned long long)reply.bytes);
        return EXIT_OK;
}
