/* SPDX-License-Identifier: Apache-2.0 */
/* What a client has sent by image.write and not yet imported: verified temporary files that go with
 * it. */
#pragma once

#include "image/intake.h"

#define IMPORT_BLOBS_MAX 2048

struct import {
        struct import_blob {
                char digest[DIGEST_TEXT_MAX];
                uint64_t size;
                struct blob_writer writer;
                bool is_verified;
        } * blobs[IMPORT_BLOBS_MAX];
        size_t n;
        uint64_t total;
};
struct import *import_free(struct import *import);
