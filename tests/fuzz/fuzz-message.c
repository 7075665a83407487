/* SPDX-License-Identifier: Apache-2.0 */
/* A frame of a child of gadgetd: the first byte is the message's type, the rest its map. */
#include "ipc/message.h"

#include "tests/fuzz/fuzz.h"

static void decode(const struct record *record, const uint8_t *data, size_t size,
                   enum record_mode mode) {
        cleanup_buf struct buf once = BUF_INIT(64 << 20), twice = BUF_INIT(64 << 20);
        uint8_t *frame = malloc(size > 0 ? size : 1);
        struct error err = { 0 };
        union message message;

        MUST(frame);
        if (size > 0)
                memcpy(frame, data, size);
        if (record_decode(record, frame, size, mode, &message, &err) < 0) {
                MUST(err.code != ERROR_NONE && err.msg[0] != '\0');
                free(frame);
                return;
        }
        /* Decoded, encoded, decoded and encoded again it is the same bytes. */
        MUST(record_encode(record, &message, &once) == 0);
        free(frame);
        MUST(buf_append(&twice, once.data, once.len) == 0);
        MUST(record_decode(record, twice.data, twice.len, RECORD_STRICT, &message, NULL) == 0);
        {
                cleanup_buf struct buf again = BUF_INIT(64 << 20);

                MUST(record_encode(record, &message, &again) == 0);
                MUST(again.len == once.len && memcmp(again.data, once.data, once.len) == 0);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const struct record *record;

        if (size == 0)
                return 0;
        record = &message_types[data[0] % _MSG_MAX].record;
        decode(record, data + 1, size - 1, RECORD_STRICT);
        decode(record, data + 1, size - 1, RECORD_LENIENT);
        return 0;
}
