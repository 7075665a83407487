/* SPDX-License-Identifier: Apache-2.0 */
/* Containers on their way from gadgetd into the kernel's filter and to the worker. */
#pragma once

#include <stddef.h>

#include "gadget/container-row.h"

struct broker;
struct object;
struct row;
struct msg_container_set;

struct container_rows {
        struct row *items;
        size_t n;
        size_t n_unsent;
};

/* MSG_CONTAINER_SET: the filter has it when this returns, and gadgetd is told so. */
int containers_set(struct broker *b, const struct msg_container_set *set);

/* The filter map has just been made. */
void containers_fill_filter(struct broker *b, const struct object *map);

/* Tells the worker what it can be told now. */
void containers_flush(struct broker *b);
void containers_done(struct broker *b);
