/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/image-service.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "base/log.h"
#include "image/intake.h"
#include "supervisor/config.h"

#if defined(__x86_64__)
#define ARCHITECTURE "amd64"
#elif defined(__aarch64__)
#define ARCHITECTURE "arm64"
#else
#define ARCHITECTURE "unknown" /* then no image has anything for us, and says what it has */
#endif

void image_service_init(struct image_service *service, const char *bundled_path,
                        const char *local_path, const struct config *config) {
        *service = (struct image_service){ .bundled_path = bundled_path,
                                           .local_path = local_path,
                                           .config = config };
}

const char *image_service_architecture(void) {
        return ARCHITECTURE;
}

void image_service_done(struct image_service *service) {
        service->bundled = store_close(service->bundled);
        service->local = store_close(service->local);
}

/* The bundled store, or NULL: an installation may come without. */
static struct store *bundled(struct image_service *service) {
        struct error err = {};

        if (!service->bundled && access(service->bundled_path, F_OK) == 0 &&
            store_open(service->bundled_path, STORE_READ_ONLY, &service->bundled, &err) < 0)
                log_warning("%s, going on without the bundled gadgets", error_text(&err));
        return service->bundled;
}

/* The local store; *ret NULL when it does not exist yet and is not to be made. */
int image_service_local(struct image_service *service, bool create, struct store **ret,
                        struct error *err) {
        char index[PATH_MAX];
        int r = 0;

        /* What a full disk kept from being made is not there yet: nobody who only reads needs it.
         */
        snprintf(index, sizeof(index), "%s/index.json", service->local_path);
        if (!service->local && (create || access(index, F_OK) == 0))
                r = store_open(service->local_path, STORE_CREATE, &service->local, err);
        if (r < 0)
                return r;
        *ret = service->local;
        return 0;
}

static int no_such_image(const char *reference, struct error *err) {
        return error_set(err, ERROR_NOT_FOUND, -ENOENT,
                         "there is no image '%.200s', neither bundled nor built or tagged here "
                         "(see gadgetctl "
                         "image list)",
                         reference);
}

typedef int (*lookup_func)(struct store *store, const struct image_ref *ref, void *userdata,
                           struct error *err);

/* Asks for the reference: the bundled store, the local one, and that for what a short name is
 * pulled as. */
static int lookup(struct image_service *service, const char *reference, lookup_func func,
                  void *userdata, struct error *err) {
        struct store *stores[3] = { bundled(service), NULL, NULL };
        struct image_ref refs[3];
        int r;

        r = image_ref_parse(reference, &refs[0], err);
        if (r == 0)
                r = image_service_local(service, false, &stores[1], err);
        if (r < 0)
                return r;
        refs[1] = refs[0];
        if (refs[0].host[0] == '\0' && config_complete(service->config, &refs[0], &refs[2]))
                stores[2] = stores[1];
        for (size_t i = 0; i < ARRAY_SIZE(stores); i++) {
                struct error why = {};

                if (!stores[i])
                        continue;
                r = func(stores[i], &refs[i], userdata, &why);
                if (r == -ENOENT && why.code == ERROR_NOT_FOUND)
                        continue;
                if (r < 0 && err)
                        *err = why;
                return r;
        }
        return no_such_image(reference, err);
}

static int find_in(struct store *store, const struct image_ref *ref, void *userdata,
                   struct error *err) {
        struct resolved found;
        int r = store_resolve(store, ref, &found, err);

        if (r == 0)
                *(struct image_ref *)userdata = *ref;
        return r;
}

int image_service_resolve(struct image_service *service, const char *reference,
                          struct image_ref *ret, bool *ret_present, struct error *err) {
        struct error why = {};
        struct image_ref ref;
        int r;

        r = lookup(service, reference, find_in, ret, &why);
        *ret_present = r == 0;
        if (r == 0)
                return 0;
        if (r != -ENOENT) {
                if (err)
                        *err = why;
                return r;
        }
        r = image_ref_parse(reference, &ref, err);
        if (r == 0 && !config_complete(service->config, &ref, ret))
                *ret = ref;
        return r;
}

static int load_from(struct store *store, const struct image_ref *ref, void *userdata,
                     struct error *err) {
        return store_load(store, ref, ARCHITECTURE, userdata, err);
}

int image_service_load(struct image_service *service, const char *reference, struct image **ret,
                       struct error *err) {
        return lookup(service, reference, load_from, ret, err);
}

int image_service_load_bundled(struct image_service *service, const char *reference,
                               struct image **ret, struct error *err) {
        struct store *store = bundled(service);
        struct image_ref ref;
        int r;

        if (!store)
                return no_such_image(reference, err);
        r = image_ref_parse(reference, &ref, err);
        return r < 0 ? r : load_from(store, &ref, ret, err);
}

static int inspect_in(struct store *store, const struct image_ref *ref, void *userdata,
                      struct error *err) {
        return store_inspect(store, ref, userdata, err);
}

int image_service_inspect(struct image_service *service, const char *reference, char **ret_json,
                          struct error *err) {
        return lookup(service, reference, inspect_in, ret_json, err);
}

int image_service_list(struct image_service *service, store_list_func func, void *userdata,
                       struct error *err) {
        struct store *store = bundled(service);
        int r = 0;

        if (store)
                r = store_list(store, func, userdata, err);
        if (r == 0)
                r = image_service_local(service, false, &store, err);
        if (r == 0 && store)
                r = store_list(store, func, userdata, err);
        return r;
}

static int parse_target(const char *target, struct image_ref *ref, char *ret_name,
                        struct error *err) {
        int r;

        r = image_ref_parse(target, ref, err);
        if (r < 0)
                return r;
        image_ref_format(ref, ret_name, LIMIT_IMAGE_REF_MAX + 1);
        return 0;
}

struct wanted {
        const char *name;
        char *digest; /* out, DIGEST_TEXT_MAX */
};

static int match_name(void *userdata, const struct image_info *info) {
        struct wanted *wanted = userdata;

        if (str_eq(info->name, wanted->name))
                memcpy(wanted->digest, info->digest, DIGEST_TEXT_MAX);
        return 0;
}

struct tag {
        struct store *local;
        const struct image_ref *target;
};

static int tag_in(struct store *store, const struct image_ref *ref, void *userdata,
                  struct error *err) {
        const struct tag *tag = userdata;

        return store == tag->local ? store_tag(store, ref, tag->target, err)
                                   : store_copy(store, ref, tag->local, tag->target, err);
}

int image_service_tag(struct image_service *service, const char *source, const char *target,
                      char ret_digest[DIGEST_TEXT_MAX], char *ret_name, struct error *err) {
        struct store *store = NULL;
        struct image_ref to;
        int r;

        r = parse_target(target, &to, ret_name, err);
        if (r == 0)
                r = image_service_local(service, true, &store, err);
        if (r == 0)
                r = lookup(service, source, tag_in, &(struct tag){ store, &to }, err);
        if (r < 0)
                return r;
        ret_digest[0] = '\0';
        return store_list(store, match_name, &(struct wanted){ ret_name, ret_digest }, err);
}

int image_service_remove(struct image_service *service, const char *reference, struct error *err) {
        struct resolved found;
        struct store *store = NULL;
        struct image_ref ref;
        int r;

        r = image_ref_parse(reference, &ref, err);
        if (r == 0)
                r = image_service_local(service, false, &store, err);
        if (r < 0)
                return r;
        if (store) {
                r = store_remove(store, &ref, err);
                if (r != -ENOENT)
                        return r;
        }
        /* Not there: bundled ones say that they cannot be changed. */
        return bundled(service) && store_resolve(service->bundled, &ref, &found, NULL) == 0
                       ? store_remove(service->bundled, &ref, err)
                       : no_such_image(reference, err);
}

int image_service_pack(struct image_service *service, const char *target,
                       const struct pack_spec *spec, char ret_digest[DIGEST_TEXT_MAX],
                       char *ret_name, struct error *err) {
        struct store *store = NULL;
        struct image_ref to;
        int r;

        r = parse_target(target, &to, ret_name, err);
        if (r == 0)
                r = image_service_local(service, true, &store, err);
        if (r < 0)
                return r;
        return store_pack(store, &to, spec, ret_digest, err);
}
