/* SPDX-License-Identifier: Apache-2.0 */
/* Rows to text by the usual means, to compare with: msgpack-c decodes each row into objects, and
 * fprintf() prints each of them. */
#pragma once

#include <stdio.h>

#include "client/render.h"

struct plain {
        FILE *file;
        enum output_mode mode;
        const struct schema_stream *stream;
};

/* Modes that it has: columns, json, yaml and csv. */
bool plain_prints(enum output_mode mode);

/* fd stays the caller's. */
int plain_init(struct plain *plain, const struct schema_stream *stream, enum output_mode mode,
               int fd, size_t buffer);
void plain_done(struct plain *plain); /* flushes */

/* Returns the number of rows. */
uint64_t plain_print(struct plain *plain, struct bytes rows);
