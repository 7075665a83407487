/* SPDX-License-Identifier: Apache-2.0 */
/* What an object and its definition are, as a sandboxed worker sees them that loads them and
 * attaches nothing. */
#pragma once

#include "client/schema.h"
#include "gadgetctl/session.h"

struct inspect_spec {
        const char *image;   /* reference; or */
        struct bytes object; /* an object, with */
        struct bytes definition;
        const char *definition_name; /* NULL = none */
};

/*
 * *ret_schema (freed by the caller) is NULL, and err says why, when the object cannot be loaded
 * here; elsewhere it may. -EINVAL: object or definition are wrong, wherever they run. Other
 * failures are those of the call.
 */
int inspect_object(struct session *session, const struct inspect_spec *spec,
                   struct schema **ret_schema, struct error *err);
