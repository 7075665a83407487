/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What runtimes write about a container: runc's state.json, crun's status, the bundle's
 * config.json, and the records that docker and podman keep of names and images. Parsed only in the
 * parser process (watcher/parser.h), whose privileges are none; the result has a fixed shape, so
 * that it can be handed back as it is.
 */
#pragma once

#include "base/util.h"
#include "gadget/api.h"

enum oci_file {
        OCI_FILE,          /* state.json, status, config.json */
        OCI_DOCKER_RECORD, /* config.v2.json; key is the container's id */
        OCI_PODMAN_RECORD, /* containers.json, all of a store; key is the container's id */
        OCI_PODMAN_IMAGES, /* images.json, all of a store; key is the image's id */
        _OCI_FILE_MAX,
};

enum oci_text {
        OCI_ID,
        OCI_BUNDLE,
        OCI_NAME, /* as an annotation says it */
        OCI_IMAGE,
        OCI_K8S_NAMESPACE,
        OCI_K8S_POD,
        OCI_K8S_CONTAINER,
        OCI_K8S_KIND, /* "sandbox" or "container" */
        OCI_MANAGER,  /* "containerd", "cri-o", "podman"; from the annotations */
        OCI_ROOTFS,
        OCI_DIGEST,
        OCI_IMAGE_ID,
        OCI_SANDBOX,   /* id of the pod's sandbox */
        OCI_NAMESPACE, /* of containerd; gadget-watch's own remark */
        OCI_RECORD,    /* directory that docker keeps of the container, if it is one of docker's */
        _OCI_TEXT_MAX,
};

struct oci_info {
        uint32_t pid;    /* 0 = not said */
        bool is_partial; /* there was no time to read all of it; gadget-watch's own remark */
        char text[_OCI_TEXT_MAX][LIMIT_CONTAINER_TEXT_MAX + 1];
        char labels[LIMIT_CONTAINER_LABELS_MAX + 1]; /* of the pod: "a=b,c=d" */
};

/* Texts that are too long or hold control characters are left out. False when it is no JSON of that
 * kind, or nothing in it has the key. */
bool oci_parse(enum oci_file file, struct bytes json, const char *key, struct oci_info *ret);

/* Fills what `info` leaves open. */
void oci_merge(struct oci_info *info, const struct oci_info *more);

/* The same for what may have been tampered with: whatever is no text goes. */
void oci_clean(struct oci_info *info);

/* Appends "key=value" to a list of labels of this size when there is room, and it is text without a
 * comma. */
void oci_add_label(char *labels, size_t size, const char *key, const char *value);

/* A text that may be shown: not empty, valid UTF-8, no control characters, not too long. */
bool oci_is_text(const char *text, size_t n);
