/* SPDX-License-Identifier: Apache-2.0 */
/* The structural scan against the two other readers there are: our cursor and msgpack-c agree with
 * what it lets through. */
#include "ipc/scan.h"

#include <msgpack/unpack.h>

#include "ipc/mp.h"
#include "tests/fuzz/fuzz.h"

/* Few enough elements that what msgpack-c allocates for them is bounded, too. */
static const struct scan_limits limits = { .depth = LIMIT_CLIENT_DEPTH_MAX, .elements = 1000 };

static void agree_on_size(struct bytes b, size_t n) {
        struct mp_reader reader = mp_reader_of(b);
        msgpack_unpacked unpacked;
        size_t offset = 0;

        MUST(mp_skip(&reader) == 0);
        MUST((size_t)(reader.pos - b.data) == n);

        msgpack_unpacked_init(&unpacked);
        MUST(msgpack_unpack_next(&unpacked, (const char *)b.data, b.len, &offset) ==
             MSGPACK_UNPACK_SUCCESS);
        MUST(offset == n);
        msgpack_unpacked_destroy(&unpacked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct bytes b = BYTES(data, size);
        struct scan_limits sized = limits;
        ssize_t n = msgpack_scan(b, &limits);

        MUST(n > 0 || n == -EAGAIN || n == -EBADMSG || n == -E2BIG || n == -EFBIG);
        MUST(n < 0 || (size_t)n <= size);
        MUST((msgpack_scan_one(b, &limits) == 0) == (n == (ssize_t)size && size > 0));
        if (n <= 0)
                return 0;
        agree_on_size(b, (size_t)n);
        /* The object needs exactly its size: no less room will do, and no shorter piece is whole.
         */
        sized.size = (size_t)n;
        MUST(msgpack_scan(b, &sized) == n);
        if (n > 1) {
                sized.size--;
                MUST(msgpack_scan(b, &sized) == -EFBIG);
        }
        MUST(msgpack_scan(BYTES(data, (size_t)n - 1), &limits) == -EAGAIN);
        return 0;
}
