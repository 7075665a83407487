/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structural check of foreign msgpack before anything else looks at it: every length lies inside
 * the buffer, nesting and element counts are bounded. (msgpack-c reserves 4 GiB for the five bytes
 * dd 08 00 00 00.) Allocates nothing.
 */
#pragma once

#include <sys/types.h>

#include "base/util.h"
#include "gadget/api.h"

/* Nobody may allow more nesting than this: the scanner keeps its place on the stack. */
#define SCAN_DEPTH_MAX 64

struct scan_limits {
        uint32_t depth;    /* deepest nesting of arrays and maps, at most SCAN_DEPTH_MAX */
        uint32_t elements; /* objects altogether */
        size_t size;       /* bytes of the whole object, also those still to come; 0 = no bound */
};

/* For messages of ours and of clients: more than any of them needs. */
#define SCAN_LIMITS_MESSAGE                                                                        \
        ((struct scan_limits){ .depth = LIMIT_CLIENT_DEPTH_MAX, .elements = 1u << 18 })

/*
 * Length of the one object at the start of b; -EAGAIN when b ends inside it, -EBADMSG when it can
 * never be valid, -E2BIG when depth or elements and -EFBIG when size is passed, each as soon as the
 * header says so.
 */
ssize_t msgpack_scan(struct bytes b, const struct scan_limits *limits);

/* 0 when b is exactly one object within limits; -EBADMSG also when b ends early or goes on. */
int msgpack_scan_one(struct bytes b, const struct scan_limits *limits);
