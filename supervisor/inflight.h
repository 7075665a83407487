/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blobs on their way into the local store, each once, however many pulls want it. One transfer
 * carries it (its fetcher downloads); when that is cut another takes over where it ended. What was
 * downloaded is copied, hashed and compared here, in slices between other work, before anybody
 * believes it.
 */
#pragma once

#include <sys/queue.h>

#include "base/loop.h"
#include "image/intake.h"
#include "image/partial.h"

struct supervisor;
struct transfer;

enum inflight_state {
        INFLIGHT_WAITING,  /* nobody does anything for it */
        INFLIGHT_FETCHING, /* the carrier's fetcher writes `partial` */
        INFLIGHT_CHECKING, /* being hashed */
        INFLIGHT_READY,    /* in `writer`, or in the store */
        INFLIGHT_FAILED,   /* `error` says why; for those who wait now */
};

struct inflight {
        struct supervisor *sup;
        LIST_ENTRY(inflight) link;
        struct store *store;
        char digest[DIGEST_TEXT_MAX];
        uint64_t size;
        uint64_t bytes; /* for progress */
        enum inflight_state state;
        uint32_t n_refs;
        struct transfer *carrier;
        struct partial partial;
        uint64_t resumed; /* bytes that were there before */
        bool has_restarted;
        struct blob_writer writer;
        struct hasher hasher; /* of a blob that the store seems to have */
        int check_fd;
        uint64_t position;
        struct loop_timer slice;
        struct error error;
};
LIST_HEAD(inflight_list, inflight);

/* Found or made; each get is undone by one put. size must be the same for all: -EINVAL. */
int inflight_get(struct supervisor *sup, struct store *store, const char *digest, uint64_t size,
                 struct inflight **ret, struct error *err);
void inflight_put(struct inflight *inflight);

/* In state WAITING. 1 = ask the carrier's fetcher for it, from `resumed` on into partial.fd; 0 = it
 * is being checked already. */
int inflight_start(struct inflight *inflight, struct transfer *carrier, struct error *err);

/* The fetcher says that it is there. */
void inflight_fetched(struct inflight *inflight, uint64_t bytes);

/* The carrier cannot go on; keep: what is there so far is resumed later. */
void inflight_drop(struct inflight *inflight, bool keep);

/* It has vanished from the store: begins again. */
void inflight_reset(struct inflight *inflight);
