/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client protocol's methods and notifications (DESIGN section 3): one row each, with the field
 * tables of the request and the reply. api.describe, docs/PROTOCOL.md, supervisor routes and
 * libgadget come from methods[] and notifications[].
 */
#pragma once

#include "ipc/field.h"

enum method {
        METHOD_HELLO,
        METHOD_DESCRIBE,
        METHOD_INSTANCE_RUN,
        METHOD_INSTANCE_ATTACH,
        METHOD_INSTANCE_DETACH,
        METHOD_INSTANCE_LIST,
        METHOD_INSTANCE_SHOW,
        METHOD_INSTANCE_STOP,
        METHOD_CONTAINER_LIST,
        METHOD_IMAGE_LIST,
        METHOD_IMAGE_INSPECT,
        METHOD_IMAGE_TAG,
        METHOD_IMAGE_REMOVE,
        METHOD_IMAGE_BUILD,
        METHOD_IMAGE_RESOLVE,
        METHOD_IMAGE_PULL,
        METHOD_IMAGE_PUSH,
        METHOD_IMAGE_PRUNE,
        METHOD_IMAGE_FSCK,
        METHOD_IMAGE_EXPORT,
        METHOD_IMAGE_READ,
        METHOD_IMAGE_WRITE,
        METHOD_IMAGE_IMPORT,
        METHOD_IMAGE_SIGN,
        METHOD_IMAGE_SIGNATURES,
        METHOD_POLICY_SHOW,
        METHOD_POLICY_CHECK,
        METHOD_DAEMON_STATS,
        _METHOD_MAX,
};

struct req_hello {
        uint32_t protocol;
        const char *client;
};
struct rep_hello {
        uint32_t protocol;
        const char *server; /* "gadgetd" */
        const char *version;
        bool is_private; /* ends when this client goes */
};

struct rep_describe {
        struct bytes methods; /* any: [ {name, doc, request: [field], reply: [field]} ] */
};

struct req_instance_run {
        const char *image;       /* reference; or */
        struct bytes object;     /* the eBPF object itself, with */
        struct bytes definition; /* its gadget.yaml, if any */
        const char *definition_name;
        struct bytes params; /* any: map str -> str */
        const char *name;
        bool detach;         /* lives on when this connection ends */
        uint64_t timeout_ns; /* 0 = none */
        bool allow_unsafe;
        bool allow_unsigned; /* policy's want of a signature is waived for this run */
        bool host;           /* include host processes */
        uint64_t ring_size;  /* bytes, power of two; 0 = default */
        /* Lists "a,b,!c"; NULL = anything. */
        const char *container_name;
        const char *container_runtime;
        const char *container_image;
        const char *container_digest;
        const char *container_id;
        const char *k8s_namespace;
        const char *k8s_pod;
        const char *k8s_container;
        const char *k8s_labels;
};
/* Sent once the gadget runs (or has failed: then an error). */
struct rep_instance_run {
        const char *id;
        const char *name;
        const char *note; /* what is not as it should be, absent = nothing */
};

struct req_instance_ref {
        const char *instance; /* name, id or unique id prefix */
};
struct req_instance_attach {
        const char *instance;
        uint64_t tail; /* rows to replay from the ring first; UINT64_MAX = all it holds */
};
struct rep_instance_attach {
        uint32_t stream; /* handle of this attachment, unique on this connection; in every
                            notification */
        const char *id;
        const char *name;
        const char *image;
        uint64_t replay;     /* rows of the past that come first */
        struct bytes schema; /* bin: include/gadget/schema.h */
};
struct req_instance_detach {
        uint32_t stream;
};

struct rep_list {
        struct bytes items; /* any: array of maps */
};
struct req_instance_show {
        const char *instance;
        bool privs; /* add what the kernel says of worker and broker */
};
struct rep_object {
        struct bytes object; /* any: map */
};

struct req_instance_list {
        bool all; /* also what gadgetd runs for itself */
};

struct req_container_list {
        uint64_t after; /* wait for a list newer than this */
};
struct rep_container_list {
        struct bytes items;  /* any: array of maps */
        uint64_t generation; /* for `after` */
        bool is_incomplete;  /* there are more than LIMIT_CONTAINERS_MAX */
};

struct req_image_inspect {
        const char *image;       /* reference; or */
        struct bytes object;     /* the eBPF object itself, with */
        struct bytes definition; /* its gadget.yaml, if any */
        const char *definition_name;
};

struct req_image_ref {
        const char *image;
};
struct req_image_tag {
        const char *source;
        const char *target;
};
struct req_image_build {
        const char *image;        /* target reference */
        struct bytes definition;  /* gadget.yaml, may be empty */
        struct bytes objects;     /* any: map architecture ("amd64", "arm64") -> bin */
        struct bytes annotations; /* any: map str -> str */
        uint64_t created;         /* seconds since the epoch */
};
struct rep_image {
        const char *digest; /* of the index */
        const char *image;  /* normalised reference */
};

/* What the user's side says of the registry: gadgetd reads no credentials of its own. */
struct req_image_transfer {
        const char *image;
        const char *platform; /* "linux/arm64", "arm64" */
        bool all_platforms;
        bool plain_http;
        bool is_insecure;
        const char *username;
        const char *password;
        const char *identity_token;
        const char *proxy;
        const char *no_proxy;
        struct bytes ca; /* PEM, in addition to the system's roots */
        struct bytes client_cert;
        struct bytes client_key;
        uint64_t timeout_ns;
};
struct rep_image_pull {
        const char *digest;
        const char *image;
        bool was_present; /* the same image had this name already */
        const char *note; /* why policy would not let it run, absent = it would */
};
struct rep_image_resolve {
        const char *image; /* in full */
        const char *host;  /* registry that it is pulled from, absent = none */
        bool present;      /* it can run without a pull */
};
struct rep_image_prune {
        uint64_t bytes; /* freed */
        uint32_t blobs;
        uint32_t images; /* names removed */
};
struct req_image_prune {
        bool all; /* every image that no instance runs, not only what has no name */
};
struct req_image_export {
        struct bytes images; /* any: array of str */
};
struct rep_image_export {
        struct bytes index; /* bin: index.json of the archive */
        struct bytes blobs; /* any: array of {digest, size} */
};
struct req_image_read {
        const char *digest;
        uint64_t offset;
};
struct rep_image_read {
        struct bytes data;
};
struct req_image_write {
        const char *digest;
        uint64_t size;
        uint64_t offset;
        struct bytes data;
};
struct req_image_import {
        struct bytes index; /* bin: index.json of the archive */
};
struct req_image_sign {
        const char *image;
        struct bytes payload;  /* simple-signing payload, with */
        const char *signature; /* its signature, base64; or */
        struct bytes bundle;   /* a sigstore bundle */
};
union request {
        struct req_hello hello;
        struct req_instance_run instance_run;
        struct req_instance_ref instance_ref;
        struct req_instance_attach instance_attach;
        struct req_instance_detach instance_detach;
        struct req_instance_show instance_show;
        struct req_instance_list instance_list;
        struct req_container_list container_list;
        struct req_image_ref image_ref;
        struct req_image_inspect image_inspect;
        struct req_image_tag image_tag;
        struct req_image_build image_build;
        struct req_image_transfer image_transfer;
        struct req_image_prune image_prune;
        struct req_image_export image_export;
        struct req_image_read image_read;
        struct req_image_write image_write;
        struct req_image_import image_import;
        struct req_image_sign image_sign;
};

struct method_info {
        const char *name; /* "instance.run" */
        struct record request;
        struct record reply;
        const char *doc;
};
extern const struct method_info methods[_METHOD_MAX];

/* _METHOD_MAX when unknown. */
enum method method_from_name(struct bytes name);

/*
 * Notifications to clients: [2, name, [params...]], positional.
 *   "events" [stream u32, source u32, flags u32, first_seq u64, lost u64, rows bin]
 *       `lost` rows of this source were overwritten before this client read them; rows =
 * concatenated arrays. flags: enum event_frame_flags SNAPSHOT and END. "losses" [stream u32, source
 * u32, ledger map]     at most once a second, when a counter has moved "done"   [stream u32, cause
 * str, message str, detail str, ledgers array of map]  the last of an attachment A ledger: {"rows":
 * u64, "delivered": u64, "lost": u64, "dropped": {reason: u64}}; lost = this client's. cause:
 * "stopped" | "timeout" | "finished" | "failed"; message and detail explain a failure.
 *   "progress" [request u32, digest str, bytes u64, total u64]   of a blob of image.pull or push
 */
enum notification { NOTIFY_EVENTS, NOTIFY_LOSSES, NOTIFY_DONE, NOTIFY_PROGRESS, _NOTIFY_MAX };
extern const char *const notification_names[_NOTIFY_MAX];
