/* SPDX-License-Identifier: Apache-2.0 */
/* The methods image.sign, image.signatures and policy.*. */
#include "image/store-signatures.h"
#include "policy/image-policy.h"
#include "supervisor/client-routes.h"
#include "supervisor/client.h"
#include "supervisor/pack.h"
#include "supervisor/supervisor.h"
#include "supervisor/trust.h"

#define REPLY_MAX (4u << 20)

/* The image's entry, in full, and whether it is a bundled one. */
static int find(struct supervisor *sup, const char *reference, struct image_ref *ref,
                struct resolved *found, bool *ret_bundled, struct error *err) {
        struct store *local = NULL;
        bool is_present;
        int r;

        r = image_service_resolve(&sup->images, reference, ref, &is_present, err);
        if (r == 0 && !is_present)
                r = error_set(err, ERROR_NOT_FOUND, -ENOENT,
                              "there is no image '%.200s' here (see gadgetctl image list)",
                              reference);
        if (r == 0)
                r = image_service_local(&sup->images, false, &local, err);
        if (r < 0)
                return r;
        /* As a run does it: the bundled one first. */
        *ret_bundled =
                sup->images.bundled && store_resolve(sup->images.bundled, ref, found, NULL) == 0;
        return *ret_bundled ? 0 : store_resolve(local, ref, found, err);
}

int on_image_sign(struct call *call, const union request *request, struct error *err) {
        const struct req_image_sign *sign = &request->image_sign;
        struct supervisor *sup = call->client->sup;
        const struct stored_signature signature = { sign->payload, sign->signature, sign->bundle };
        struct store *store = NULL;
        struct resolved found;
        struct image_ref ref;
        bool is_bundled;
        int r;

        if ((sign->bundle.len > 0) == (sign->payload.len > 0 && sign->signature))
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "image.sign: either 'bundle', or 'payload' with 'signature'");
        r = find(sup, sign->image, &ref, &found, &is_bundled, err);
        if (r == 0)
                r = image_service_local(&sup->images, true, &store, err);
        if (r == 0)
                r = store_add_signature(store, &ref, found.digest, &signature, err);
        return r < 0 ? r : call_reply(call, NULL);
}

static int pack_signature(void *userdata, const struct stored_signature *signature) {
        struct pack *array = userdata, map;

        pack_item(array);
        map = pack_map(array->buf);
        if (signature->bundle.len > 0) {
                pack_key(&map, "bundle");
                pack_bin(array->buf, signature->bundle);
        } else {
                pack_key(&map, "payload");
                pack_bin(array->buf, signature->payload);
                pack_map_str(&map, "signature", signature->signature);
        }
        pack_end(&map);
        return 0;
}

int on_image_signatures(struct call *call, const union request *request, struct error *err) {
        cleanup_buf struct buf out = BUF_INIT(REPLY_MAX);
        struct pack array = pack_array(&out);
        struct supervisor *sup = call->client->sup;
        struct store *store = NULL;
        struct resolved found;
        struct image_ref ref;
        bool is_bundled;
        int r;

        r = find(sup, request->image_ref.image, &ref, &found, &is_bundled, err);
        if (r == 0)
                r = image_service_local(&sup->images, false, &store, err);
        if (r == 0 && store)
                r = store_each_signature(store, found.digest, pack_signature, &array);
        if (r < 0)
                return r;
        pack_end(&array);
        if (out.failed)
                return buf_result(&out);
        return call_reply(call, &(struct rep_list){ .items = { out.data, out.len } });
}

int on_policy_check(struct call *call, const union request *request, struct error *err) {
        cleanup_buf struct buf out = BUF_INIT(REPLY_MAX);
        struct supervisor *sup = call->client->sup;
        struct pack map = pack_map(&out);
        struct trust trust = { .why = "" };
        char name[LIMIT_IMAGE_REF_MAX + 1];
        struct error why = {};
        struct resolved found;
        struct image_ref ref;
        bool is_bundled;
        int r;

        r = find(sup, request->image_ref.image, &ref, &found, &is_bundled, err);
        if (r < 0)
                return r;
        image_ref_format(&ref, name, sizeof(name));
        r = trust_check(sup, name, found.digest, is_bundled, found.origin, &trust, &why);
        pack_map_str(&map, "image", name);
        pack_map_str(&map, "digest", found.digest);
        pack_map_str(&map, "origin", is_bundled ? "bundled" : image_origin_name(found.origin));
        pack_map_bool(&map, "admitted", r == 0);
        pack_map_str(&map, "reason", r == 0 ? trust.why : error_text(&why));
        pack_map_str(&map, "policy", trust.policy);
        pack_end(&map);
        if (out.failed)
                return buf_result(&out);
        return call_reply(call, &(struct rep_object){ .object = { out.data, out.len } });
}

static void pack_list(struct pack *map, const char *key, char *const *list, size_t n) {
        struct pack array;

        pack_key(map, key);
        array = pack_array(map->buf);
        for (size_t i = 0; i < n; i++) {
                pack_item(&array);
                pack_str(map->buf, list[i]);
        }
        pack_end(&array);
}

static void pack_policy(const struct image_policy *policy, struct pack *map) {
        struct pack array, item;

        pack_map_str(map, "path", policy->path);
        pack_map_bool(map, "is_default", policy->is_default);
        pack_map_str(map, "default",
                     "bundled images, images built here by root, images signed by one of the keys");
        pack_key(map, "keys");
        array = pack_array(map->buf);
        for (size_t i = 0; i < policy->n_keys; i++) {
                pack_item(&array);
                item = pack_map(map->buf);
                pack_map_str(&item, "name", policy->keys[i].name);
                pack_map_str(&item, "path", policy->keys[i].path);
                pack_end(&item);
        }
        pack_end(&array);
        pack_key(map, "images");
        array = pack_array(map->buf);
        for (size_t i = 0; i < policy->n_rules; i++) {
                const struct policy_rule *rule = &policy->rules[i];

                pack_item(&array);
                item = pack_map(map->buf);
                pack_map_str(&item, "match", rule->match);
                pack_map_uint(&item, "line", rule->line);
                pack_list(&item, "signed-by", rule->signed_by, rule->n_signed_by);
                pack_list(&item, "digest", rule->digests, rule->n_digests);
                pack_map_str(&item, "unsigned", rule->allows_unsigned ? "allow" : "refuse");
                pack_end(&item);
        }
        pack_end(&array);
}

int on_policy_show(struct call *call, const union request *request, struct error *err) {
        cleanup_image_policy struct image_policy policy = { .path = NULL };
        cleanup_buf struct buf out = BUF_INIT(REPLY_MAX);
        struct pack map = pack_map(&out);
        int r;

        (void)request;
        r = image_policy_read(call->client->sup->paths.policy, &policy, err);
        if (r < 0)
                return r;
        pack_policy(&policy, &map);
        pack_end(&map);
        if (out.failed)
                return buf_result(&out);
        return call_reply(call, &(struct rep_object){ .object = { out.data, out.len } });
}
