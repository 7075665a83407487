/* SPDX-License-Identifier: Apache-2.0 */
/* An event ring as a hostile worker leaves it: head, tail and the first bytes of the data are the
 * input. */
#include "ipc/ring.h"

#include <sys/mman.h>

#include "base/file.h"
#include "tests/fuzz/fuzz.h"

#define DATA_SIZE 4096u
#define ROOM 512u

static uint8_t *ring;
static struct ring_reader reader;

static void open_ring(void) {
        int fd = memfd_sized("ring", EVENT_RING_HEADER_SIZE + DATA_SIZE);

        MUST(fd >= 0);
        ring = mmap(NULL, EVENT_RING_HEADER_SIZE + DATA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
                    fd, 0);
        MUST(ring != MAP_FAILED);
        MUST(ring_reader_init(&reader, fd, DATA_SIZE) == 0);
        close(fd);
}

static void read_all(struct ring_cursor *cursor, uint8_t *out) {
        unsigned int n = 0;
        int r;

        do {
                struct ring_frame frame;

                r = ring_read(&reader, cursor, out, ROOM, &frame);
                if (r != 1)
                        break;
                MUST(frame.header.length <= ROOM && frame.header.n_rows <= frame.header.length);
                MUST(frame.header.stream < LIMIT_STREAMS_MAX);
                MUST(cursor->position % EVENT_RING_ALIGN == 0);
        } while (++n <= DATA_SIZE / sizeof(struct event_frame));
        MUST(r == 0 || r == -EPROTO || r == -ENOBUFS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct event_ring_header *header;
        struct ring_cursor cursor;
        uint8_t *out;

        if (!ring)
                open_ring();
        if (size < 16)
                return 0;
        header = (struct event_ring_header *)(void *)ring;
        memset(ring, 0, EVENT_RING_HEADER_SIZE + DATA_SIZE);
        memcpy(&header->head, data, 8);
        memcpy(&header->tail, data + 8, 8);
        memcpy(ring + EVENT_RING_HEADER_SIZE, data + 16, MIN(size - 16, (size_t)DATA_SIZE));

        out = malloc(ROOM);
        MUST(out);
        ring_cursor_oldest(&reader, &cursor);
        read_all(&cursor, out);
        if (ring_cursor_tail(&reader, &cursor, 3) == 0)
                read_all(&cursor, out);
        ring_cursor_newest(&reader, &cursor);
        read_all(&cursor, out);
        cursor = (struct ring_cursor){ 0 };
        read_all(&cursor, out);
        free(out);
        return 0;
}
