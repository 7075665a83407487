/* SPDX-License-Identifier: Apache-2.0 */
/* What did not arrive, by data source and by reason, for the last words of `run` and `attach`. */
#pragma once

#include "client/schema.h"

#define LOSS_REASONS_MAX 12

struct loss {
        uint64_t lost; /* overwritten in the event ring before we read it */
        struct {
                char name[32];
                uint64_t n;
        } dropped[LOSS_REASONS_MAX];
        uint32_t n_dropped;
};

struct losses {
        struct loss sources[LIMIT_STREAMS_MAX];
};

/* Rows of an "events" notification that we have missed. */
void losses_add(struct losses *losses, uint32_t source, uint64_t lost);

/* An encoded ledger, which knows it all; and an encoded array with one a source. */
void losses_set(struct losses *losses, uint32_t source, struct bytes ledger);
void losses_set_all(struct losses *losses, struct bytes ledgers);

/* Rows that the user did not ask to be left out. */
uint64_t losses_total(const struct loss *loss);

/* One line on standard error a data source that lost something. */
void losses_print(const struct losses *losses, const struct schema *schema);
