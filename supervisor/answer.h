/* SPDX-License-Identifier: Apache-2.0 */
/* What a runtime's API has said of a container, kept until that ends: gadget-watch, which tells of
 * the container again and again, does not know of it. */
#pragma once

#include "ipc/message.h"

struct answer {
        char *id; /* of the container that it is about; NULL = there is none */
        char *name;
        char *image;
        char *digest;
        char *k8s_namespace;
        char *k8s_pod;
        char *k8s_container;
        char *k8s_labels;
};

/* Takes copies of what may be shown; gadget-ask is not believed. -ENOMEM. */
int answer_set(struct answer *answer, const char *id, const struct msg_asked *asked);
void answer_done(struct answer *answer);

/* Fills what `info`, whose texts are its own, leaves open; a name that is only the id is replaced.
 * True when anything has changed. */
bool answer_apply(const struct answer *answer, struct msg_container_added *info);
