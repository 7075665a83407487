/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image store: an OCI image layout (oci-layout, index.json, blobs/sha256/) that skopeo and
 * umoci read as it is. Blobs are content-addressed, written as temp + fsync + rename; index.json is
 * replaced the same way under flock of index.json.lock, so several gadgetd may share one store.
 * Every blob's size and digest is checked each time it is read. Runs in gadgetd and in tools/;
 * parses only manifests and indexes (jansson: bounded, duplicate keys refused), never ELF.
 */
#pragma once

#include "base/error.h"
#include "image/digest.h"
#include "image/ref.h"

#define MEDIA_TYPE_INDEX "application/vnd.oci.image.index.v1+json"
#define MEDIA_TYPE_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_TYPE_GADGET_CONFIG "application/vnd.gadget.config.v1+yaml"
#define MEDIA_TYPE_GADGET_EBPF "application/vnd.gadget.ebpf.program.v1+binary"
#define ARTIFACT_TYPE_GADGET "application/vnd.gadget.v1+binary"

struct store;

enum { STORE_READ_ONLY = 1 << 0, STORE_CREATE = 1 << 1 };
int store_open(const char *path, int flags, struct store **ret, struct error *err);
struct store *store_close(struct store *store);
DEFINE_CLEANUP(struct store, store_close)

/* Borrowed, for blob_read() and others. */
int store_root_fd(const struct store *store);
const char *store_path(const struct store *store);

/* How an image came into a store. */
enum image_origin {
        ORIGIN_UNKNOWN, /* somebody else's tool wrote the entry */
        ORIGIN_BUILT,   /* packed here, by root */
        ORIGIN_PULLED,
        ORIGIN_IMPORTED,
        _ORIGIN_MAX,
};
const char *image_origin_name(enum image_origin origin);

/* A gadget ready to run: both blobs in memory, digests just checked. */
struct image {
        char *name;                   /* canonical reference */
        char digest[DIGEST_TEXT_MAX]; /* of the index (or of a lone manifest) */
        char manifest_digest[DIGEST_TEXT_MAX];
        uint8_t *object;
        size_t object_size;
        uint8_t *definition; /* may be empty */
        size_t definition_size;
        char *definition_name; /* of a file that somebody gave; NULL = "gadget.yaml" */
        bool is_bundled;       /* came from the read-only store */
        enum image_origin origin;
        char policy[DIGEST_TEXT_MAX]; /* that admitted it last, "" = none did */
};
struct image *image_free(struct image *image);
DEFINE_CLEANUP(struct image, image_free)

/* arch: "amd64", "arm64". -ENOENT (ERROR_NOT_FOUND) when there is no such reference; no such
 * architecture names those that there are. */
int store_load(struct store *store, const struct image_ref *ref, const char *arch,
               struct image **ret, struct error *err);

/* One tagged image, for listings. */
struct image_info {
        char name[LIMIT_IMAGE_REF_MAX + 1];
        char digest[DIGEST_TEXT_MAX];
        uint64_t size;          /* bytes of all its blobs */
        char created[40];       /* RFC 3339, "" = not said */
        char architectures[64]; /* "amd64,arm64" */
        bool is_bundled;
        bool is_damaged; /* a document of it is missing or corrupted; size and the like are what
                            could be read */
};
typedef int (*store_list_func)(void *userdata, const struct image_info *info);
/* Calls func for each named image, in order of names; ends early with func's result when that is
 * negative. */
int store_list(struct store *store, store_list_func func, void *userdata, struct error *err);

/* JSON text of {"name","digest","mediaType","annotations","manifests":[{...}],"definition",
 * "origin"} and, once policy has admitted it, "policy" and "admitted" (the history); the caller
 * frees. */
int store_inspect(struct store *store, const struct image_ref *ref, char **ret_json,
                  struct error *err);

int store_tag(struct store *store, const struct image_ref *source, const struct image_ref *target,
              struct error *err);

/* store_tag() from one store into another: copies the blobs too, checking each. A blob of a
 * platform that is not in `from` stays away. */
int store_copy(struct store *from, const struct image_ref *source, struct store *to,
               const struct image_ref *target, struct error *err);

/* Removes the reference; blobs that nothing names any more go too. */
int store_remove(struct store *store, const struct image_ref *ref, struct error *err);

/* What `build` makes of a definition and objects. Deterministic: same input, same bytes. */
struct pack_object {
        const char *arch; /* "amd64", "arm64" */
        struct bytes object;
};
struct pack_annotation {
        const char *key;
        const char *value;
};
struct pack_spec {
        struct bytes definition;
        const struct pack_object *objects; /* sorted by arch when written */
        size_t n_objects;
        const struct pack_annotation *annotations;
        size_t n_annotations;
        uint64_t created; /* seconds since the epoch: SOURCE_DATE_EPOCH or now */
};
int store_pack(struct store *store, const struct image_ref *target, const struct pack_spec *spec,
               char ret_digest[DIGEST_TEXT_MAX], struct error *err);
