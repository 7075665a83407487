/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/methods.h"

#include "gadget/api.h"
#include "ipc/mp.h"

#define REQUIRED FIELD_REQUIRED
#define ID_LEN 64
#define DIGEST_LEN_MAX 128 /* "sha256:" and 64 digits, with room for longer kinds */
#define TEXT_MAX 256
#define REPLY_MAX (LIMIT_CLIENT_FRAME_MAX / 2)

/* clang-format off */
static const struct field hello_request[] = {
        F_U32(struct req_hello, protocol, REQUIRED, UINT32_MAX, "Newest protocol version that the client speaks."),
        F_STR(struct req_hello, client, 0, TEXT_MAX, "Name and version of the client, for the log."),
};
static const struct field hello_reply[] = {
        F_U32(struct rep_hello, protocol, REQUIRED, UINT32_MAX, "Protocol version of this connection, the newest that both speak."),
        F_STR(struct rep_hello, server, REQUIRED, TEXT_MAX, "Name of the server, \"gadgetd\"."),
        F_STR(struct rep_hello, version, REQUIRED, TEXT_MAX, "Version of the server."),
        F_BOOL(struct rep_hello, is_private, 0, "The server ends when this connection does; default false."),
};

static const struct field describe_reply[] = {
        F_ANY(struct rep_describe, methods, REQUIRED, REPLY_MAX,
              "Array of maps {name, doc, request, reply}; the last two are arrays of fields {name, type, required, max, doc}."),
};

static const struct field instance_run_request[] = {
        F_STR(struct req_instance_run, image, 0, LIMIT_IMAGE_REF_MAX,
              "Reference of the image to run; either this or `object` is given."),
        F_BIN(struct req_instance_run, object, 0, LIMIT_OBJECT_SIZE_MAX, "The eBPF object itself, to run without an image."),
        F_BIN(struct req_instance_run, definition, 0, LIMIT_DEFINITION_SIZE_MAX, "The gadget.yaml that belongs to `object`; default none."),
        F_STR(struct req_instance_run, definition_name, 0, LIMIT_IMAGE_REF_MAX, "What messages call `definition`; default \"gadget.yaml\"."),
        F_ANY(struct req_instance_run, params, 0, LIMIT_PARAMS_MAX * (LIMIT_PARAM_KEY_MAX + LIMIT_PARAM_VALUE_MAX + 8),
              "Parameters, a map of key to value, both str; default empty."),
        F_STR(struct req_instance_run, name, 0, LIMIT_NAME_MAX_LEN, "Name of the instance; default one is made up."),
        F_BOOL(struct req_instance_run, detach, 0, "The instance lives on when this connection ends; default false."),
        F_U64(struct req_instance_run, timeout_ns, 0, INT64_MAX, "Nanoseconds after which the instance is stopped; default 0 = never."),
        F_BOOL(struct req_instance_run, allow_unsafe, 0, "Permit helpers that change the system; root only; default false."),
        F_BOOL(struct req_instance_run, allow_unsigned, 0, "Run the image although policy does not admit it; root only; default false."),
        F_BOOL(struct req_instance_run, host, 0, "Show events of processes outside containers as well; default false."),
        F_U64(struct req_instance_run, ring_size, 0, LIMIT_EVENT_RING_MAX,
              "Bytes of the event ring, a power of two; default 0 = the daemon's choice."),
        F_STR(struct req_instance_run, container_name, 0, LIMIT_SELECTION_MAX, "Containers of these names, a list like a,b,!c where ! excludes and a word may end in *; default anything."),
        F_STR(struct req_instance_run, container_runtime, 0, LIMIT_SELECTION_MAX, "Containers of these runtimes, such a list; default anything."),
        F_STR(struct req_instance_run, container_image, 0, LIMIT_SELECTION_MAX, "Containers of these images, such a list; default anything."),
        F_STR(struct req_instance_run, container_digest, 0, LIMIT_SELECTION_MAX, "Containers of images with these digests, such a list; default anything."),
        F_STR(struct req_instance_run, container_id, 0, LIMIT_SELECTION_MAX, "Containers with these ids, such a list; default anything."),
        F_STR(struct req_instance_run, k8s_namespace, 0, LIMIT_SELECTION_MAX, "Containers of these Kubernetes namespaces, such a list; default anything."),
        F_STR(struct req_instance_run, k8s_pod, 0, LIMIT_SELECTION_MAX, "Containers of these pods, such a list; default anything."),
        F_STR(struct req_instance_run, k8s_container, 0, LIMIT_SELECTION_MAX, "Containers of these names in their pods, such a list; default anything."),
        F_STR(struct req_instance_run, k8s_labels, 0, LIMIT_SELECTION_MAX, "Containers of pods with these labels, a list like a=b,c=d,!e=f: of each key one value, where ! excludes, a value may end in * and a key alone stands for any value; default anything."),
};
static const struct field instance_run_reply[] = {
        F_STR(struct rep_instance_run, id, REQUIRED, ID_LEN, "Id of the instance, 64 hex digits."),
        F_STR(struct rep_instance_run, name, REQUIRED, LIMIT_NAME_MAX_LEN, "Name of the instance."),
        F_STR(struct rep_instance_run, note, 0, 255, "What is not as it should be, such as processes that gadgetd cannot see; absent = nothing."),
};

static const struct field instance_ref_request[] = {
        F_STR(struct req_instance_ref, instance, REQUIRED, LIMIT_NAME_MAX_LEN, "Name, id or unique start of the id of an instance."),
};

static const struct field instance_attach_request[] = {
        F_STR(struct req_instance_attach, instance, REQUIRED, LIMIT_NAME_MAX_LEN, "Name, id or unique start of the id of an instance."),
        F_U64(struct req_instance_attach, tail, 0, UINT64_MAX,
              "Rows of the past to send first, at least this many as far as the ring holds them; default 0; the largest number = all."),
};
static const struct field instance_attach_reply[] = {
        F_U32(struct rep_instance_attach, stream, REQUIRED, UINT32_MAX,
              "Handle of this attachment, unique on this connection, named by each of its notifications."),
        F_STR(struct rep_instance_attach, id, REQUIRED, ID_LEN, "Id of the instance, 64 hex digits."),
        F_STR(struct rep_instance_attach, name, REQUIRED, LIMIT_NAME_MAX_LEN, "Name of the instance."),
        F_STR(struct rep_instance_attach, image, 0, LIMIT_IMAGE_REF_MAX, "Reference of its image; absent when it runs without one."),
        F_U64(struct rep_instance_attach, replay, 0, UINT64_MAX,
              "Rows of the past that come first: whole batches, so there may be more of them than were asked for."),
        F_BIN(struct rep_instance_attach, schema, REQUIRED, LIMIT_SCHEMA_SIZE_MAX,
              "Encoded schema of the rows: data sources, fields, enumerations."),
};

static const struct field instance_detach_request[] = {
        F_U32(struct req_instance_detach, stream, REQUIRED, UINT32_MAX, "Handle of the attachment to end."),
};

static const struct field list_reply[] = {
        F_ANY(struct rep_list, items, REQUIRED, REPLY_MAX, "Array with one map an item."),
};

static const struct field instance_show_request[] = {
        F_STR(struct req_instance_show, instance, REQUIRED, LIMIT_NAME_MAX_LEN, "Name, id or unique start of the id of an instance."),
        F_BOOL(struct req_instance_show, privs, 0, "Add the privileges of worker and broker, read back from the kernel; default false."),
};
static const struct field object_reply[] = {
        F_ANY(struct rep_object, object, REQUIRED, REPLY_MAX, "Map of what there is to say."),
};

static const struct field instance_list_request[] = {
        F_BOOL(struct req_instance_list, all, 0, "Also what gadgetd runs for itself."),
};

static const struct field container_list_request[] = {
        F_U64(struct req_container_list, after, 0, UINT64_MAX, "Wait until the list is newer than this generation; default 0 = now."),
};
static const struct field container_list_reply[] = {
        F_ANY(struct rep_container_list, items, REQUIRED, REPLY_MAX,
              "Array of maps {name, runtime, id, pid, image, digest, started, mntns, netns, cgroup, cgroup_id, host_network, k8s_namespace, k8s_pod, k8s_container, k8s_labels}."),
        F_U64(struct rep_container_list, generation, REQUIRED, UINT64_MAX, "Grows with each change."),
        F_BOOL(struct rep_container_list, is_incomplete, 0, "There are more containers than can be known at once; gadgets do not see those that are not listed."),
};

static const struct field image_inspect_request[] = {
        F_STR(struct req_image_inspect, image, 0, LIMIT_IMAGE_REF_MAX, "Reference of an image of a local store; either this or `object` is given."),
        F_BIN(struct req_image_inspect, object, 0, LIMIT_OBJECT_SIZE_MAX, "An eBPF object, to be described without an image."),
        F_BIN(struct req_image_inspect, definition, 0, LIMIT_DEFINITION_SIZE_MAX, "The gadget.yaml that belongs to `object`; default none."),
        F_STR(struct req_image_inspect, definition_name, 0, LIMIT_IMAGE_REF_MAX, "What messages call `definition`; default \"gadget.yaml\"."),
};
static const struct field image_ref_request[] = {
        F_STR(struct req_image_ref, image, REQUIRED, LIMIT_IMAGE_REF_MAX, "Reference of an image of a local store."),
};

static const struct field image_tag_request[] = {
        F_STR(struct req_image_tag, source, REQUIRED, LIMIT_IMAGE_REF_MAX, "Reference of an image of a local store."),
        F_STR(struct req_image_tag, target, REQUIRED, LIMIT_IMAGE_REF_MAX, "Reference that it gets in addition."),
};

static const struct field image_build_request[] = {
        F_STR(struct req_image_build, image, REQUIRED, LIMIT_IMAGE_REF_MAX, "Reference of the new image."),
        F_BIN(struct req_image_build, definition, 0, LIMIT_DEFINITION_SIZE_MAX, "Content of gadget.yaml; default empty."),
        F_ANY(struct req_image_build, objects, REQUIRED, LIMIT_CLIENT_FRAME_MAX,
              "Map of architecture (\"amd64\", \"arm64\") to eBPF object, a bin."),
        F_ANY(struct req_image_build, annotations, 0, LIMIT_DEFINITION_SIZE_MAX, "Annotations of the manifest, a map str to str; default empty."),
        F_U64(struct req_image_build, created, 0, INT64_MAX, "Time of creation in seconds since the epoch; default 0 = now."),
};
static const struct field image_reply[] = {
        F_STR(struct rep_image, digest, REQUIRED, DIGEST_LEN_MAX, "Digest of the image's index."),
        F_STR(struct rep_image, image, REQUIRED, LIMIT_IMAGE_REF_MAX, "The reference in full."),
};

#define PEM_MAX (64 << 10)
static const struct field image_transfer_request[] = {
        F_STR(struct req_image_transfer, image, REQUIRED, LIMIT_IMAGE_REF_MAX, "Reference; short names get the configured prefix."),
        F_STR(struct req_image_transfer, platform, 0, TEXT_MAX, "Platform to pull, such as linux/arm64; default this machine's."),
        F_BOOL(struct req_image_transfer, all_platforms, 0, "Pull every platform of the image; default false."),
        F_BOOL(struct req_image_transfer, plain_http, 0, "Speak http instead of https; default as configured for the host."),
        F_BOOL(struct req_image_transfer, is_insecure, 0, "Do not verify the registry's certificate; default as configured for the host."),
        F_STR(struct req_image_transfer, username, 0, 255, "User, absent for anonymous access."),
        F_STR(struct req_image_transfer, password, 0, 4096, "Password or access token; never logged."),
        F_STR(struct req_image_transfer, identity_token, 0, 8192, "OAuth2 refresh token in place of a password; never logged."),
        F_STR(struct req_image_transfer, proxy, 0, 1024, "URL of the proxy."),
        F_STR(struct req_image_transfer, no_proxy, 0, 4096, "Hosts reached without the proxy, separated by commas."),
        F_BIN(struct req_image_transfer, ca, 0, 1 << 20, "Certificates trusted in addition to the system's, PEM."),
        F_BIN(struct req_image_transfer, client_cert, 0, PEM_MAX, "Client certificate, PEM."),
        F_BIN(struct req_image_transfer, client_key, 0, PEM_MAX, "Key of the client certificate, PEM."),
        F_U64(struct req_image_transfer, timeout_ns, 0, INT64_MAX, "Nanoseconds for all of it; default 0 = 30 minutes."),
};
static const struct field image_pull_reply[] = {
        F_STR(struct rep_image_pull, digest, REQUIRED, DIGEST_LEN_MAX, "Digest of the image's index, or of its only manifest."),
        F_STR(struct rep_image_pull, image, REQUIRED, LIMIT_IMAGE_REF_MAX, "The reference in full."),
        F_BOOL(struct rep_image_pull, was_present, 0, "The same image had this name already."),
        F_STR(struct rep_image_pull, note, 0, 4096, "Why policy would not let it run; absent = it would."),
};
static const struct field image_resolve_reply[] = {
        F_STR(struct rep_image_resolve, image, REQUIRED, LIMIT_IMAGE_REF_MAX, "The reference in full, as a pull would take it."),
        F_STR(struct rep_image_resolve, host, 0, TEXT_MAX, "Registry that a pull would ask; absent = a short name, and no prefix is configured."),
        F_BOOL(struct rep_image_resolve, present, 0, "It is in a local store already."),
};
static const struct field image_prune_request[] = {
        F_BOOL(struct req_image_prune, all, 0, "Also remove every image that no instance runs; default false: only what no name leads to."),
};
static const struct field image_prune_reply[] = {
        F_U64(struct rep_image_prune, bytes, 0, UINT64_MAX, "Bytes freed."),
        F_U32(struct rep_image_prune, blobs, 0, UINT32_MAX, "Files removed."),
        F_U32(struct rep_image_prune, images, 0, UINT32_MAX, "Names removed."),
};
static const struct field image_export_request[] = {
        F_ANY(struct req_image_export, images, REQUIRED, 256 * LIMIT_IMAGE_REF_MAX, "Array of references; their signatures come with them."),
};
static const struct field image_export_reply[] = {
        F_BIN(struct rep_image_export, index, REQUIRED, REPLY_MAX, "Content of index.json of an OCI layout that holds these images."),
        F_ANY(struct rep_image_export, blobs, REQUIRED, REPLY_MAX, "Array of maps {digest, size}: the blobs of the layout, for image.read."),
};
static const struct field image_read_request[] = {
        F_STR(struct req_image_read, digest, REQUIRED, DIGEST_LEN_MAX + 16, "Digest of a blob of a local store."),
        F_U64(struct req_image_read, offset, 0, INT64_MAX, "Where to begin; default 0."),
};
static const struct field image_read_reply[] = {
        F_BIN(struct rep_image_read, data, 0, LIMIT_BLOB_CHUNK_MAX, "The bytes from there on, fewer than asked for only at the end."),
};
static const struct field image_write_request[] = {
        F_STR(struct req_image_write, digest, REQUIRED, DIGEST_LEN_MAX + 16, "Digest that the blob will have."),
        F_U64(struct req_image_write, size, 0, LIMIT_BLOB_SIZE_MAX, "Size of the whole blob."),
        F_U64(struct req_image_write, offset, 0, LIMIT_BLOB_SIZE_MAX, "Where the data belongs: behind what was written before."),
        F_BIN(struct req_image_write, data, 0, LIMIT_BLOB_CHUNK_MAX, "The next bytes; the digest is checked with the last ones."),
};
static const struct field image_import_request[] = {
        F_BIN(struct req_image_import, index, REQUIRED, LIMIT_MANIFEST_SIZE_MAX, "Content of index.json; its blobs were sent by image.write on this connection."),
};
static const struct field image_sign_request[] = {
        F_STR(struct req_image_sign, image, REQUIRED, LIMIT_IMAGE_REF_MAX, "Reference of an image of a local store."),
        F_BIN(struct req_image_sign, payload, 0, PEM_MAX, "Simple-signing payload."),
        F_STR(struct req_image_sign, signature, 0, TEXT_MAX, "Signature of the payload, base64."),
        F_BIN(struct req_image_sign, bundle, 0, PEM_MAX, "Sigstore bundle, in place of payload and signature."),
};

#define NOTHING(_name) RECORD_EMPTY(_name)
#define REQUEST(_name, _struct, _fields) RECORD(_name, struct req_##_struct, _fields)
#define REPLY(_struct, _fields) RECORD("reply", struct rep_##_struct, _fields)

const struct method_info methods[_METHOD_MAX] = {
        [METHOD_HELLO] = {
                "hello", REQUEST("hello", hello, hello_request), REPLY(hello, hello_reply),
                "Agrees on a protocol version; the first call of every connection."
        },
        [METHOD_DESCRIBE] = {
                "api.describe", NOTHING("api.describe"), REPLY(describe, describe_reply),
                "Describes every method, as this document does."
        },
        [METHOD_INSTANCE_RUN] = {
                "instance.run", REQUEST("instance.run", instance_run, instance_run_request),
                REPLY(instance_run, instance_run_reply),
                "Starts a gadget and answers when its programs are attached, or with the error that kept it from running."
        },
        [METHOD_INSTANCE_ATTACH] = {
                "instance.attach", REQUEST("instance.attach", instance_attach, instance_attach_request),
                REPLY(instance_attach, instance_attach_reply),
                "Follows the rows of an instance: notifications \"events\" and \"losses\" come until \"done\"."
        },
        [METHOD_INSTANCE_DETACH] = {
                "instance.detach", REQUEST("instance.detach", instance_detach, instance_detach_request), NOTHING("reply"),
                "Ends an attachment; the instance runs on."
        },
        [METHOD_INSTANCE_LIST] = {
                "instance.list", REQUEST("instance.list", instance_list, instance_list_request), REPLY(list, list_reply),
                "Lists the instances that the caller may see."
        },
        [METHOD_INSTANCE_SHOW] = {
                "instance.show", REQUEST("instance.show", instance_show, instance_show_request), REPLY(object, object_reply),
                "Shows one instance: state, image, parameters' names, permissions, ledger."
        },
        [METHOD_INSTANCE_STOP] = {
                "instance.stop", REQUEST("instance.stop", instance_ref, instance_ref_request), NOTHING("reply"),
                "Stops an instance and answers when nothing of it is left in the kernel."
        },
        [METHOD_CONTAINER_LIST] = {
                "container.list", REQUEST("container.list", container_list, container_list_request),
                REPLY(container_list, container_list_reply),
                "Lists the containers of this host, whoever made them."
        },
        [METHOD_IMAGE_LIST] = {
                "image.list", NOTHING("image.list"), REPLY(list, list_reply),
                "Lists the images of the local and the bundled store."
        },
        [METHOD_IMAGE_INSPECT] = {
                "image.inspect", REQUEST("image.inspect", image_inspect, image_inspect_request), REPLY(object, object_reply),
                "Shows one image: digests, annotations, architectures, and the permissions that its programs need."
        },
        [METHOD_IMAGE_TAG] = {
                "image.tag", REQUEST("image.tag", image_tag, image_tag_request), REPLY(image, image_reply),
                "Gives an image one more reference."
        },
        [METHOD_IMAGE_REMOVE] = {
                "image.remove", REQUEST("image.remove", image_ref, image_ref_request), NOTHING("reply"),
                "Removes a reference, and the blobs that no other one needs."
        },
        [METHOD_IMAGE_BUILD] = {
                "image.build", REQUEST("image.build", image_build, image_build_request), REPLY(image, image_reply),
                "Packs compiled objects and a definition as an image into the local store."
        },
        [METHOD_IMAGE_RESOLVE] = {
                "image.resolve", REQUEST("image.resolve", image_ref, image_ref_request), REPLY(image_resolve, image_resolve_reply),
                "Says what a reference means here: which image, from which registry, and whether it is there already."
        },
        [METHOD_IMAGE_PULL] = {
                "image.pull", REQUEST("image.pull", image_transfer, image_transfer_request), REPLY(image_pull, image_pull_reply),
                "Fetches an image and its signatures from a registry; notifications \"progress\" come until it answers."
        },
        [METHOD_IMAGE_PUSH] = {
                "image.push", REQUEST("image.push", image_transfer, image_transfer_request), REPLY(image, image_reply),
                "Sends an image and its signatures to the registry that its reference names; notifications as for image.pull."
        },
        [METHOD_IMAGE_PRUNE] = {
                "image.prune", REQUEST("image.prune", image_prune, image_prune_request), REPLY(image_prune, image_prune_reply),
                "Removes from the local store what nothing needs; images of instances stay."
        },
        [METHOD_IMAGE_FSCK] = {
                "image.fsck", NOTHING("image.fsck"), REPLY(object, object_reply),
                "Compares every blob of the local store with its digest and moves damaged ones to quarantine/."
        },
        [METHOD_IMAGE_EXPORT] = {
                "image.export", REQUEST("image.export", image_export, image_export_request), REPLY(image_export, image_export_reply),
                "Describes an OCI layout that holds these images with their signatures; image.read then gives its blobs."
        },
        [METHOD_IMAGE_READ] = {
                "image.read", REQUEST("image.read", image_read, image_read_request), REPLY(image_read, image_read_reply),
                "Reads a piece of a blob."
        },
        [METHOD_IMAGE_WRITE] = {
                "image.write", REQUEST("image.write", image_write, image_write_request), NOTHING("reply"),
                "Sends a piece of a blob for image.import on the same connection; pieces come in order."
        },
        [METHOD_IMAGE_IMPORT] = {
                "image.import", REQUEST("image.import", image_import, image_import_request), REPLY(list, list_reply),
                "Takes the named images of an OCI layout into the local store; items are maps {name, digest, note}."
        },
        [METHOD_IMAGE_SIGN] = {
                "image.sign", REQUEST("image.sign", image_sign, image_sign_request), NOTHING("reply"),
                "Stores a signature that the client made beside the image, in cosign's layout."
        },
        [METHOD_IMAGE_SIGNATURES] = {
                "image.signatures", REQUEST("image.signatures", image_ref, image_ref_request), REPLY(list, list_reply),
                "Returns what claims to be a signature of the image: maps {payload, signature} or {bundle}; nothing is verified."
        },
        [METHOD_POLICY_SHOW] = {
                "policy.show", NOTHING("policy.show"), REPLY(object, object_reply),
                "Shows the effective policy for images: {id, path, keys, rules}."
        },
        [METHOD_POLICY_CHECK] = {
                "policy.check", REQUEST("policy.check", image_ref, image_ref_request), REPLY(object, object_reply),
                "Says whether policy admits an image of a local store, and by what: {image, digest, admitted, reason, policy}."
        },
        [METHOD_DAEMON_STATS] = {
                "daemon.stats", NOTHING("daemon.stats"), REPLY(object, object_reply),
                "Shows counters of the daemon itself."
        },
};
/* clang-format on */

enum method method_from_name(struct bytes name) {
        unsigned int i;

        for (i = 0; i < _METHOD_MAX; i++)
                if (bytes_eq(name, methods[i].name))
                        break;
        return (enum method)i;
}

const char *const notification_names[_NOTIFY_MAX] = {
        [NOTIFY_EVENTS] = "events",
        [NOTIFY_LOSSES] = "losses",
        [NOTIFY_DONE] = "done",
        [NOTIFY_PROGRESS] = "progress",
};
