/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `build --update-metadata`: what the object has and its definition does not mention is written
 * into the definition, for its author to describe. What is there stays as it is, comments and all:
 * lines are added, none is changed.
 */
#pragma once

#include "base/buf.h"
#include "client/schema.h"

/*
 * text: of the definition, which may be empty; it is replaced. *ret_added counts data sources,
 * fields and parameters. -EINVAL: it is no YAML that lines can be added to ("{a: b}" on one line).
 * `path` is for messages, `name` is what a gadget without name is called.
 */
int metadata_complete(const char *path, const char *name, const struct schema *schema,
                      struct buf *text, unsigned int *ret_added, struct error *err);
