/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What runtimes write about a container: runc's state.json, crun's status, and the bundle's
 * config.json. Parsed only in the parser process (watcher/parser.h), whose privileges are none; the
 * result has a fixed shape, so that it can be handed back as it is.
 */
#pragma once

#include "base/util.h"
#include "gadget/api.h"

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
        _OCI_TEXT_MAX,
};

struct oci_info {
        uint32_t pid; /* 0 = not said */
        char text[_OCI_TEXT_MAX][LIMIT_CONTAINER_TEXT_MAX + 1];
};

/* Any of the three files. Texts that are too long or hold control characters are left out. False
 * when it is no JSON object. */
bool oci_parse(struct bytes json, struct oci_info *ret);

/* A text that may be shown: not empty, valid UTF-8, no control characters, not too long. */
bool oci_is_text(const char *text, size_t n);
