/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of users and groups, as the host's /etc/passwd and /etc/group have them. The broker reads
 * those; what it said is remembered for a minute.
 */
#pragma once

#include "base/util.h"

enum id_kind { ID_NONE, ID_USER, ID_GROUP };

/* Longest name; the host's may be 32. */
#define ID_NAME_MAX 64

/* Who is asked for names: writes one and returns its length, or is negative. Without this no id has
 * a name. */
void id_names_set_source(int (*ask)(bool is_group, uint32_t id, char *out, size_t room));

/* Empty for an id without a name. Valid until the next call. */
struct bytes id_name(enum id_kind kind, uint32_t id);

/* Forgets everything when the last time was a minute ago. */
void id_names_expire(uint64_t now_ns);
