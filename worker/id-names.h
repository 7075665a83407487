/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of users and groups, as the host's /etc/passwd and /etc/group have them, and of network
 * interfaces. The broker looks them up; what it said is remembered for a minute.
 */
#pragma once

#include "base/util.h"
#include "gadget/broker.h"

/* Longest name; the host's may be 32. */
#define ID_NAME_MAX 64

/* What has a name. netns: of interfaces, whose numbers are those of a network namespace; 0 = the
 * host's. */
struct named_id {
        enum broker_id_kind kind;
        uint32_t id;
        uint32_t netns;
};

/* Who is asked for names: writes one and returns its length, or is negative. Without this no id has
 * a name. */
void id_names_set_source(int (*ask)(const struct named_id *id, char *out, size_t room));

/* Empty for an id without a name. Valid until the next call. */
struct bytes id_name(const struct named_id *id);

/* Forgets everything when the last time was a minute ago. */
void id_names_expire(uint64_t now_ns);
