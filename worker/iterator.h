/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what iter/ programs write: structs of the source's type, one behind the other. */
#pragma once

#include "worker/array.h"

#define ITERATOR_PROGRAMS_MAX 3

struct iterator {
        int links[ITERATOR_PROGRAMS_MAX]; /* placeholders of attached programs */
        size_t n_links;
        uint32_t size; /* of one struct */
};

void iterator_init(struct iterator *it, const struct source *source);
void iterator_done(struct iterator *it);

/* Remembers the link of one of the source's programs, once it is attached. */
int iterator_add_link(struct iterator *it, int link_fd);

/* Runs the programs one after the other and adds their structs to the open array. */
int iterator_read(struct iterator *it, struct array *a, struct drain *d);
