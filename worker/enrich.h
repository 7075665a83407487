/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the worker says about a value beside the value itself, as text: names of ids, of the
 * functions on a stack, of a DNS label sequence. Everything of which a client cannot know.
 */
#pragma once

#include "base/util.h"
#include "gadget/api.h"

enum enrich {
        ENRICH_NONE,
        ENRICH_USER,
        ENRICH_GROUP,
        ENRICH_INTERFACE,    /* __u32 index; `extra` is where the event has its network namespace */
        ENRICH_DNS_NAME,     /* labels */
        ENRICH_KERNEL_STACK, /* __u32 id */
        ENRICH_STACK_ADDRESSES, /* struct gadget_user_stack, as the next two */
        ENRICH_STACK_BUILD_IDS,
        ENRICH_STACK_SYMBOLS,
        _ENRICH_MAX,
};

/* A text's source: where in the event, how many bytes of it are there. */
struct enrich_from {
        enum enrich what;
        uint32_t offset;
        uint32_t size;
        uint32_t extra; /* offset of a __u32 that belongs to it; UINT32_MAX = none */
};

/* No text is longer. */
#define ENRICH_TEXT_MAX LIMIT_STACK_TEXT_MAX

/* Most bytes of a text of this kind. */
uint32_t enrich_text_max(enum enrich what);

/* Writes the text to out, which has room for enrich_text_max(), and returns its length: 0 when
 * there is nothing to say, also when the event ends before the value. */
uint32_t enrich_text(const struct enrich_from *from, const uint8_t *event, uint32_t len, char *out);
