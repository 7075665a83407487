/* SPDX-License-Identifier: Apache-2.0 */
/* Encodes what a gadget offers as the schema of include/gadget/schema.h. */
#pragma once

#include "base/buf.h"
#include "worker/gadget.h"

/* Appends to out, whose bound is the schema's limit. -EFBIG with a message when it does not fit. */
int schema_encode(const struct gadget *g, struct buf *out, struct error *err);
