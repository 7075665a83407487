/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which containers an instance is about. Each field is a list "a,b,!c": one of a and b, and not c;
 * several fields must all hold. "*" at the end of a word stands for anything. Labels read
 * "a=b,c=d": of each key one of its values, as selectors of Kubernetes do.
 */
#pragma once

#include "base/error.h"

struct msg_container_added;
struct req_instance_run;

enum selection_field {
        SELECT_NAME,
        SELECT_RUNTIME,
        SELECT_IMAGE,
        SELECT_DIGEST,
        SELECT_ID,
        SELECT_K8S_NAMESPACE,
        SELECT_K8S_POD,
        SELECT_K8S_CONTAINER,
        SELECT_K8S_LABELS,
        _SELECT_MAX,
};

struct selection {
        char *lists[_SELECT_MAX]; /* NULL = anything */
};

/* From a request; -EINVAL for a list with an empty word. */
int selection_init(struct selection *selection, const struct req_instance_run *request,
                   struct error *err);
int selection_copy(const struct selection *from, struct selection *ret);
void selection_done(struct selection *selection);

bool selection_is_empty(const struct selection *selection);
bool selection_matches(const struct selection *selection, const struct msg_container_added *c);
