/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event ring: a sealed memfd (F_SEAL_SHRINK|GROW|SEAL) through which a worker hands encoded
 * rows to gadgetd. The worker is its only writer; gadgetd maps it read-only, copies out and
 * believes nothing in it. It overwrites its oldest frames, so it is the flight recorder as well
 * (`attach --tail`).
 *
 * Layout: one header of EVENT_RING_HEADER_SIZE bytes, then `data_size` bytes (a power of two) of
 * frames. `head` and `tail` count bytes since the start and never wrap; offset = position &
 * (data_size - 1). A frame starts at a multiple of 8 and never wraps around: a frame with n_rows 0
 * and EVENT_FRAME_PAD fills what is left at the end. Everything is little- or big-endian as the
 * machine is.
 *
 * Writing: store `tail` past all that the frame will overwrite, write payload and header,
 * store-release `head`. Reading at a cursor: load-acquire `head`; copy the frame; fence; if `tail`
 * has passed the cursor the copy is torn: drop it and go on at `tail`. Rows lost are what is
 * missing between sequence numbers.
 */
#pragma once

#include <stdint.h>

#include "gadget/api.h"

#define EVENT_RING_MAGIC 0x474e5247u /* "GRNG" */
#define EVENT_RING_VERSION 1u
#define EVENT_RING_HEADER_SIZE 8192u
#define EVENT_RING_ALIGN 8u

/* Why a row that the kernel produced did not reach the ring. The wire names are in ipc/ledger.c. */
enum drop_reason {
        DROP_KERNEL_FULL, /* the gadget found its kernel buffer full (its <map>_lost_samples) */
        DROP_MALFORMED,   /* larger or shorter than any event of its type can be */
        DROP_TOO_LARGE, /* encoded row does not fit into a frame, or array too large to be sorted */
        DROP_FILTERED,  /* the user's --filter said no */
        DROP_LIMITED,   /* --max-entries or a rate limit */
        _DROP_REASON_MAX,
        _DROP_REASON_SLOTS = 12, /* room to grow without a new ring version */
};

/* produced = rows + sum(dropped), exact once the gadget has stopped. */
struct event_ring_stream {
        uint64_t rows; /* written to the ring; the next row's sequence number */
        uint64_t dropped[_DROP_REASON_SLOTS]; /* by enum drop_reason */
};

struct event_ring_header {
        uint32_t magic;
        uint32_t version;
        uint64_t data_size;
        uint64_t head __attribute__((aligned(64)));
        uint64_t tail __attribute__((aligned(64)));
        struct event_ring_stream streams[LIMIT_STREAMS_MAX] __attribute__((aligned(64)));
};
_Static_assert(sizeof(struct event_ring_header) <= EVENT_RING_HEADER_SIZE, "ring header grew");

enum event_frame_flags {
        EVENT_FRAME_PAD = 1 << 0,      /* no rows: skip `size` bytes */
        EVENT_FRAME_SNAPSHOT = 1 << 1, /* first frame of a new array (map or iterator read) */
        EVENT_FRAME_END = 1 << 2, /* last frame of that array; both bits on a one-frame array */
};

struct event_frame {
        uint32_t size;   /* header, payload and padding to EVENT_RING_ALIGN */
        uint32_t length; /* payload bytes: n_rows msgpack arrays, one after another */
        uint32_t n_rows;
        uint16_t stream; /* index of the data source in the schema */
        uint16_t flags;
        uint64_t first_seq; /* sequence number of the first row; rows of a stream are counted from 0
                             */
        uint64_t time_ns;   /* CLOCK_REALTIME when the frame was written */
};
