/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a stack in the making: frames with "; " in between, cut at the limit. */
#pragma once

#include "base/util.h"
#include "gadget/api.h"

#define STACK_UNKNOWN "[unknown]"
#define STACK_MORE "; ..."

struct stack_text {
        char *out; /* room for LIMIT_STACK_TEXT_MAX */
        uint32_t len;
        bool is_full; /* frames are missing; the text says so */
};

/* Adds a frame that is made of two parts. */
static inline void stack_text_add(struct stack_text *t, struct bytes first, struct bytes second) {
        size_t need = (t->len ? 2 : 0) + first.len + second.len;

        if (t->is_full)
                return;
        /* There is always room to say that there is more. */
        if (need > LIMIT_STACK_TEXT_MAX - strlen(STACK_MORE) - t->len) {
                memcpy(t->out + t->len, STACK_MORE, strlen(STACK_MORE));
                t->len += (uint32_t)strlen(STACK_MORE);
                t->is_full = true;
                return;
        }
        if (t->len) {
                memcpy(t->out + t->len, "; ", 2);
                t->len += 2;
        }
        memcpy(t->out + t->len, first.data, first.len);
        t->len += (uint32_t)first.len;
        memcpy(t->out + t->len, second.data, second.len);
        t->len += (uint32_t)second.len;
}
