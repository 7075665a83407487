/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structural check of foreign msgpack before anything else looks at it: every length lies inside the buffer, nesting
 * and element counts are bounded. (msgpack-c reserves 4 GiB for the five bytes dd 08 00 00 00.) Allocates nothing.
 */
#pragma once

#include "base/util.h"

struct scan_limits {
        uint32_t depth;    /* deepest nesting of arrays and maps */
        uint32_t elements; /* objects altogether */
};

/* Length of the one object at the start of b; -EAGAIN when b ends inside it, -EBADMSG when it can never be valid,
 * -E2BIG when a limit is passed. */
ssize_t msgpack_scan(struct bytes b, const struct scan_limits *limits);

/* 0 when b is exactly one object within limits. */
int msgpack_scan_one(struct bytes b, const struct scan_limits *limits);
