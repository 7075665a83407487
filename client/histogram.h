/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histograms with log2 slots: slot 0 counts the values 0 and 1, slot i those from 2^i to 2^(i+1)-1.
 * Slots come from a gadget: more than HISTOGRAM_SLOTS_MAX are none (values have 64 bits).
 */
#pragma once

#include "base/buf.h"
#include "ipc/mp.h"

#define HISTOGRAM_SLOTS_MAX 64

struct histogram {
        uint64_t counts[HISTOGRAM_SLOTS_MAX];
        uint32_t n;
};

/* Reads an array of counts. -EBADMSG: something else, or too many of them. */
int histogram_read(struct mp_reader *r, struct histogram *ret);

/* Lowest and highest value that a slot counts. */
uint64_t histogram_low(uint32_t slot);
uint64_t histogram_high(uint32_t slot);

/* Lines of text, a bar for each slot from the first to the last that is not empty. */
void histogram_append_bars(struct buf *b, const struct histogram *histogram, const char *name,
                           const char *unit);

/* [{"start":0,"end":1,"count":3},...] up to the last slot that is not empty. */
void histogram_append_json(struct buf *b, const struct histogram *histogram);
