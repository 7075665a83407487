/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/inflight.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "supervisor/supervisor.h"
#include "supervisor/transfer.h"

#define SLICE ((size_t)1 << 20) /* hashed and copied in about a millisecond */

static struct inflight *find(struct supervisor *sup, const char *digest) {
        struct inflight *inflight;

        LIST_FOREACH (inflight, &sup->inflight, link)
                if (str_eq(inflight->digest, digest))
                        return inflight;
        return NULL;
}

int inflight_get(struct supervisor *sup, struct store *store, const char *digest, uint64_t size,
                 struct inflight **ret, struct error *err) {
        struct inflight *inflight = find(sup, digest);

        if (inflight && inflight->size != size)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "blob %s is said to have %" PRIu64 " bytes and %" PRIu64 " bytes",
                                 digest, inflight->size, size);
        if (!inflight) {
                inflight = calloc(1, sizeof(*inflight));
                if (!inflight)
                        return -ENOMEM;
                inflight->sup = sup;
                inflight->store = store;
                inflight->size = size;
                inflight->partial.fd = inflight->writer.fd = inflight->check_fd = -1;
                snprintf(inflight->digest, sizeof(inflight->digest), "%s", digest);
                LIST_INSERT_HEAD(&sup->inflight, inflight, link);
        }
        inflight->n_refs++;
        *ret = inflight;
        return 0;
}

static void stop_checking(struct inflight *inflight) {
        loop_timer_clear(&inflight->slice);
        hasher_done(&inflight->hasher);
        close_fd(&inflight->check_fd);
}

void inflight_put(struct inflight *inflight) {
        if (--inflight->n_refs > 0)
                return;
        stop_checking(inflight);
        partial_close(&inflight->partial,
                      inflight->state == INFLIGHT_FETCHING || inflight->state == INFLIGHT_WAITING);
        blob_writer_done(&inflight->writer);
        LIST_REMOVE(inflight, link);
        free(inflight);
}

static void set_state(struct inflight *inflight, enum inflight_state state) {
        inflight->state = state;
        transfers_on_blob(inflight->sup, inflight);
}

static void fail(struct inflight *inflight, int r, struct error *err) {
        if (err->code == ERROR_NONE)
                error_set(err, ERROR_INTERNAL, r, "blob %s: %s", inflight->digest, strerror(-r));
        inflight->error = *err;
        stop_checking(inflight);
        blob_writer_done(&inflight->writer);
        set_state(inflight, INFLIGHT_FAILED);
        inflight->state = INFLIGHT_WAITING; /* whoever comes later may try again */
}

void inflight_reset(struct inflight *inflight) {
        blob_writer_done(&inflight->writer);
        inflight->bytes = 0;
        inflight->state = INFLIGHT_WAITING;
}

/* --- checking --- */

/* A blob of the right name and size whose content is another: it is fetched as if it were not
 * there. */
static void on_store_hashed(struct inflight *inflight) {
        char digest[DIGEST_TEXT_MAX] = "";
        int r = hasher_finish(&inflight->hasher, digest);

        stop_checking(inflight);
        if (r == 0 && str_eq(digest, inflight->digest)) {
                inflight->bytes = inflight->size;
                set_state(inflight, INFLIGHT_READY);
                return;
        }
        log_warning("blob %s of the store is damaged, fetching it again", inflight->digest);
        inflight->has_restarted = true; /* so that the store is not asked again */
        set_state(inflight, INFLIGHT_WAITING);
}

static void on_copied(struct inflight *inflight) {
        struct error err = {};
        int r;

        r = blob_writer_verify(&inflight->writer, inflight->digest, NULL, &err);
        stop_checking(inflight);
        partial_close(&inflight->partial, false);
        if (r == 0) {
                inflight->bytes = inflight->size;
                set_state(inflight, INFLIGHT_READY);
                return;
        }
        blob_writer_done(&inflight->writer);
        if (r == -EBADMSG && inflight->resumed > 0) {
                /* What an earlier transfer left may have been the bad part. */
                log_info("blob %s: the resumed download is not what it should be, beginning again",
                         inflight->digest);
                inflight->resumed = inflight->bytes = 0;
                set_state(inflight, INFLIGHT_WAITING);
                return;
        }
        if (r == -EBADMSG)
                error_prefix(&err, r, "the registry sent something else than blob %s",
                             inflight->digest);
        fail(inflight, r, &err);
}

static int on_slice(struct loop_timer *timer) {
        struct inflight *inflight = container_of(timer, struct inflight, slice);
        bool is_copy = inflight->check_fd < 0;
        struct error err = {};
        int r;

        r = partial_copy(is_copy ? inflight->partial.fd : inflight->check_fd, &inflight->position,
                         SLICE, is_copy ? &inflight->writer : NULL, &inflight->hasher, &err);
        if (r == 0 && inflight->position > inflight->size)
                r = error_set(&err, ERROR_INVALID, -EBADMSG,
                              "blob %s has more than %" PRIu64 " bytes", inflight->digest,
                              inflight->size);
        if (r == 0)
                r = loop_timer_set(inflight->sup->loop, timer, 0, "blob slice", on_slice);
        else if (r > 0) {
                if (is_copy)
                        on_copied(inflight);
                else
                        on_store_hashed(inflight);
                return 0;
        }
        if (r < 0) {
                partial_close(&inflight->partial, false);
                fail(inflight, r, &err);
        }
        return 0;
}

static int start_checking(struct inflight *inflight) {
        inflight->state = INFLIGHT_CHECKING;
        inflight->position = 0;
        return loop_timer_set(inflight->sup->loop, &inflight->slice, 0, "blob slice", on_slice);
}

/* --- fetching --- */

int inflight_start(struct inflight *inflight, struct transfer *carrier, struct error *err) {
        uint64_t there = 0;
        int r;

        if (!inflight->has_restarted && store_has_blob(inflight->store, inflight->digest,
                                                       inflight->size, &inflight->check_fd)) {
                r = hasher_init(&inflight->hasher, inflight->digest);
                return r < 0 ? r : start_checking(inflight);
        }
        r = partial_open(store_root_fd(inflight->store), inflight->digest, inflight->size,
                         &inflight->partial, &there, err);
        if (r < 0)
                return r;
        inflight->carrier = carrier;
        inflight->resumed = inflight->bytes = there;
        if (there == inflight->size) {
                inflight_fetched(inflight, there);
                return 0;
        }
        if (there > 0)
                log_info("blob %s: resuming at %" PRIu64 " of %" PRIu64 " bytes", inflight->digest,
                         there, inflight->size);
        inflight->state = INFLIGHT_FETCHING;
        return 1;
}

void inflight_fetched(struct inflight *inflight, uint64_t bytes) {
        struct error err = {};
        int r = 0;

        inflight->carrier = NULL;
        if (bytes != inflight->size) {
                r = error_set(&err, ERROR_INVALID, -EBADMSG,
                              "blob %s has %" PRIu64 " bytes in the registry, but its manifest "
                              "says %" PRIu64,
                              inflight->digest, bytes, inflight->size);
                partial_close(&inflight->partial, false);
        }
        if (r == 0)
                r = blob_writer_init(&inflight->writer, store_root_fd(inflight->store),
                                     inflight->digest, &err);
        if (r == 0)
                r = start_checking(inflight);
        if (r < 0)
                fail(inflight, r, &err);
}

void inflight_drop(struct inflight *inflight, bool keep) {
        inflight->carrier = NULL;
        partial_close(&inflight->partial, keep);
        if (inflight->state == INFLIGHT_FETCHING)
                set_state(inflight, INFLIGHT_WAITING);
}
