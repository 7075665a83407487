/* SPDX-License-Identifier: Apache-2.0 */
/* What a broker tells its worker of one container: BROKER_CONTAINER, unasked for, in phase RUNNING.
 * One chunk: the struct, then the texts one behind the other, without NUL. */
#pragma once

#include <stdint.h>

enum container_text {
        CONTAINER_NAME,
        CONTAINER_RUNTIME,
        CONTAINER_ID,
        CONTAINER_IMAGE,
        CONTAINER_DIGEST,
        CONTAINER_K8S_NAMESPACE,
        CONTAINER_K8S_POD,
        CONTAINER_K8S_CONTAINER,
        CONTAINER_K8S_NODE,
        CONTAINER_K8S_LABELS, /* longer than the others */
        _CONTAINER_TEXT_MAX,
};

struct broker_container {
        uint64_t mntns;
        uint64_t netns; /* 0 = the host's */
        uint64_t started_ns;
        uint32_t pid;
        uint32_t is_gone;   /* forget it */
        uint32_t has_ended; /* nothing of it is left but late events */
        uint32_t root;      /* number of its root directory; 0 = it is not known */
        uint16_t len[_CONTAINER_TEXT_MAX];
};

#define CONTAINER_TEXTS_SIZE_MAX                                                                   \
        ((_CONTAINER_TEXT_MAX - 1) * LIMIT_CONTAINER_TEXT_MAX + LIMIT_CONTAINER_LABELS_MAX)
#define BROKER_CONTAINER_SIZE_MAX (sizeof(struct broker_container) + CONTAINER_TEXTS_SIZE_MAX)
