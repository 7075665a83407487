/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/dns-name.h"

#define HEADER_SIZE 12   /* of a message; pointers count from its beginning */
#define NAME_MAX_LEN 255 /* bytes of labels, as the protocol has it */
#define POINTER 0xc0
#define LABEL_MAX 63
#define MARK "..."

static char *put_byte(char *out, uint8_t c) {
        if (c == '.' || c == '\\') {
                *out++ = '\\';
                *out++ = (char)c;
        } else if (c > ' ' && c < 0x7f) {
                *out++ = (char)c;
        } else {
                *out++ = '\\';
                *out++ = (char)('0' + c / 100);
                *out++ = (char)('0' + c / 10 % 10);
                *out++ = (char)('0' + c % 10);
        }
        return out;
}

/* Where the pointer at `at` goes, or `labels.len` when it goes nowhere. Each one has to go further
 * to the front than the last did, so that no circle is walked. */
static size_t follow(struct bytes labels, size_t at, size_t limit) {
        size_t target;

        if (labels.len - at < 2)
                return labels.len;
        target = (size_t)(labels.data[at] & ~POINTER) << 8 | labels.data[at + 1];
        if (target < HEADER_SIZE || target - HEADER_SIZE >= limit)
                return labels.len;
        return target - HEADER_SIZE;
}

uint32_t dns_name_text(struct bytes labels, char out[DNS_TEXT_MAX]) {
        size_t at = 0, limit = labels.len, used = 1;
        char *p = out;

        while (at < labels.len) {
                uint8_t n = labels.data[at];

                if ((n & POINTER) == POINTER) {
                        limit = at = follow(labels, at, MIN(limit, at));
                        continue;
                }
                if (n == 0) {
                        if (p == out)
                                *p++ = '.';
                        return (uint32_t)(p - out);
                }
                used += n + 1u;
                if (n > LABEL_MAX || n >= labels.len - at || used > NAME_MAX_LEN)
                        break;
                if (p != out)
                        *p++ = '.';
                for (size_t i = 1; i <= n; i++)
                        p = put_byte(p, labels.data[at + i]);
                at += n + 1u;
        }
        memcpy(p, MARK, strlen(MARK));
        return (uint32_t)(p + strlen(MARK) - out);
}
