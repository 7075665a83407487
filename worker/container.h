/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enrichment: the containers that this gadget may see, by mount and network namespace, and the
 * fields that events with such an id get behind their own. What a container adds to a row is
 * encoded once, when the broker tells of it, and copied behind each row. One table a process, as
 * there is one gadget.
 */
#pragma once

#include "gadget/api.h"
#include "gadget/container-row.h"
#include "worker/types.h"

/* Most bytes that the added fields take in a row. */
#define CONTAINER_FIELDS 15
#define CONTAINER_BLOB_MAX (CONTAINER_TEXTS_SIZE_MAX + CONTAINER_FIELDS * 9)

/* An event may be about several containers ("parent_mntns_id"): so many get fields. */
#define CONTAINER_GROUPS_MAX 4

/* Adds the fields to a type that has an id; others stay as they are. Those of the first ids have
 * their plain names, those of an id X_mntns_id or X.netns_id are called X.runtime.containerName and
 * so on. */
int container_add_fields(struct event_type *type, bool is_shown);

/* BROKER_CONTAINER, as it came. Malformed ones are ignored. */
void container_on_message(const uint8_t *data, size_t len);

/* Takes what the broker has told meanwhile. The kernel gives ids of namespaces out again, so this
 * comes between looking how far a kernel buffer is filled and reading it: who made an event that is
 * in it has been told of by then. */
void container_set_refill(void (*refill)(void));
void container_begin_drain(void);

/* The encoded fields for this event. */
struct bytes container_blob(const struct container_ids *ids, const uint8_t *event);

/* Value of an added field (event_field.added): true and the number, or false and the text. Of no
 * container: 0 or "". */
bool container_field_value(uint32_t added, const struct container_ids *ids, const uint8_t *event,
                           uint64_t *ret_number, const char **ret_text);

/* "" when there is none of this mount namespace. */
const char *container_name_of(uint64_t mntns);
void container_forget_all(void);
