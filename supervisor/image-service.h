/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The images that this gadgetd has: the read-only store beside the programs first, then the local
 * one, which is made when something is written to it for the first time.
 */
#pragma once

#include "image/store.h"

struct image_service {
        const char *bundled_path;
        const char *local_path;
        struct store *bundled; /* opened at first use; NULL = there is none */
        struct store *local;
        const struct config *config;
};

struct config;
void image_service_init(struct image_service *service, const char *bundled_path,
                        const char *local_path, const struct config *config);
void image_service_done(struct image_service *service);

/* What this machine is called in images: "amd64". */
const char *image_service_architecture(void);

/* The local store, borrowed; NULL when it does not exist yet and is not to be made. */
int image_service_local(struct image_service *service, bool create, struct store **ret,
                        struct error *err);

/* In full: as it is found in a store, else with the configured prefix. */
int image_service_resolve(struct image_service *service, const char *reference,
                          struct image_ref *ret, bool *ret_present, struct error *err);

/* Both blobs for this machine's architecture. */
int image_service_load(struct image_service *service, const char *reference, struct image **ret,
                       struct error *err);

/* From the read-only store beside the programs alone: nobody can put another in its place. */
int image_service_load_bundled(struct image_service *service, const char *reference,
                               struct image **ret, struct error *err);

int image_service_list(struct image_service *service, store_list_func func, void *userdata,
                       struct error *err);

/* JSON text, see store_inspect(). */
int image_service_inspect(struct image_service *service, const char *reference, char **ret_json,
                          struct error *err);

/* ret_name: canonical form of the target, LIMIT_IMAGE_REF_MAX + 1 bytes. */
int image_service_tag(struct image_service *service, const char *source, const char *target,
                      char ret_digest[DIGEST_TEXT_MAX], char *ret_name, struct error *err);
int image_service_remove(struct image_service *service, const char *reference, struct error *err);
int image_service_pack(struct image_service *service, const char *target,
                       const struct pack_spec *spec, char ret_digest[DIGEST_TEXT_MAX],
                       char *ret_name, struct error *err);
