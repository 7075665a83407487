/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON of foreign origin: bounded before jansson allocates anything for it, duplicate keys refused,
 * one object.
 */
#pragma once

#include <jansson.h>

#include "base/error.h"

#define JSON_NESTING_MAX 16   /* an OCI document needs 5 */
#define JSON_VALUES_MAX 16384 /* values of a manifest: about 4 MiB once parsed */

#define cleanup_json cleanup(json_decrefp)

/* Refuses what is no object, nests deeper than JSON_NESTING_MAX or holds more than max_values
 * values. */
int json_parse(struct bytes text, size_t max_values, json_t **ret, struct error *err);

/* Members of an object: -ENOENT when missing, -EINVAL when of another type. Borrowed from the
 * object. */
int json_get_text(const json_t *object, const char *key, const char **ret);
int json_get_u64(const json_t *object, const char *key, uint64_t *ret);

/* Compact text in the order of insertion, so that the same document is always the same bytes. The
 * caller frees. */
int json_print(const json_t *root, char **ret, size_t *ret_n);
