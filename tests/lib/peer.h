/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of gadgetd without libgadget: blocking, deliberate, and as badly behaved as a test
 * wants. It keeps the sum of what its attachments' notifications said. Failures of the protocol
 * itself fail the running test.
 */
#pragma once

#include "ipc/rpc.h"

struct peer_ledger {
        uint64_t rows;
        uint64_t skipped;
        uint64_t delivered;
        uint64_t lost;
        uint64_t dropped;             /* all reasons together */
        uint64_t dropped_kernel_full; /* one of them */
};

struct peer {
        int fd;
        uint8_t *data; /* received, not yet consumed */
        size_t len;
        size_t cap;
        uint8_t *message; /* the last one taken out: replies point into it */
        uint32_t next_id;

        /* notifications so far, all attachments and sources together */
        uint64_t n_rows;   /* counted in "events" by walking their bins */
        uint64_t n_lost;   /* sum of "lost" in "events" */
        uint64_t next_seq; /* of source 0 */
        bool has_gap; /* first_seq did not go on where the last batch ended, and `lost` did not say
                         so */
        bool is_done;
        char cause[32];
        char done_message[512];
        struct peer_ledger ledger; /* source 0, from "done" */
};

/* take_fd: a connected socket (env_connect). Says hello. */
struct peer *peer_new(int take_fd);
struct peer *peer_free(struct peer *peer);

/* Sends bytes as they are; -EPIPE and the like when the other side has closed. */
int peer_send(struct peer *peer, const void *data, size_t n);

/* One call and its answer, notifications on the way being taken into account. 0 and the reply
 * decoded, or a negative errno and the error; both valid until the next call. */
int peer_call(struct peer *peer, enum method method, const void *request, void *reply,
              struct rpc_error *ret_error);

/* Reads until "done" has come or the time is over (false); timeout 0 takes what is there. */
bool peer_wait_done(struct peer *peer, uint64_t timeout_ns);

/* True when gadgetd closes the connection in time; whatever comes before is thrown away. */
bool peer_wait_closed(struct peer *peer, uint64_t timeout_ns);
