/* SPDX-License-Identifier: Apache-2.0 */
/* Foreign text on its way to a terminal and into JSON. */
#include "base/text.h"

#include "tests/fuzz/fuzz.h"

static void check_harmless(struct buf *b) {
        MUST(buf_result(b) == 0);
        MUST(utf8_is_valid(b->data, b->len));
        for (size_t i = 0; i < b->len; i++)
                MUST(b->data[i] >= 0x20 && b->data[i] != 0x7f);
        /* C1 controls are c2 80 to c2 9f in UTF-8. */
        for (size_t i = 1; i < b->len; i++)
                MUST(b->data[i - 1] != 0xc2 || b->data[i] >= 0xa0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        cleanup_buf struct buf b = BUF_INIT(SIZE_MAX / 2);

        text_append_escaped(&b, data, size);
        check_harmless(&b);
        MUST(text_columns(data, size) == text_columns(b.data, b.len));
        buf_reset(&b);
        text_append_json(&b, data, size);
        check_harmless(&b);
        return 0;
}
