/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Twins that the worker fills: the name of a user beside the id, of an interface beside its index,
 * of the functions beside a stack. They are fields of their own, right behind the one they speak
 * of; what a client renders by itself is no field (event_field.target).
 */
#pragma once

#include "worker/types.h"

/* The annotation that names the twin of this kind, or NULL. */
const char *twin_target_key(enum enrich twin);

/* Adds one to each field that can have one. Its name is what the annotation says, else that of the
 * field without _raw, else "user" beside "uid" and so on; a field that fits none of this has no
 * twin. A gadget that has a field of that name knows better. */
int twins_add(struct event_type *type, struct error *err);
