/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/ring.h"

#include "base/file.h"
#include "tests/lib/needs.h"

#define DATA_SIZE 4096
#define FRAME_MAX 480 /* DATA_SIZE / 8 less the header */

struct fixture {
        int fd;
        struct ring_writer w;
        struct ring_reader r;
        struct ring_cursor c;
        struct ring_frame frame;
        uint8_t out[DATA_SIZE];
};

static int setup(void **state) {
        struct fixture *f = calloc(1, sizeof(*f));

        f->fd = memfd_sized("ring", EVENT_RING_HEADER_SIZE + DATA_SIZE);
        *state = f;
        if (ring_writer_init(&f->w, f->fd) < 0 || ring_reader_init(&f->r, f->fd, DATA_SIZE) < 0)
                return -1;
        ring_cursor_oldest(&f->r, &f->c);
        return 0;
}

static int teardown(void **state) {
        struct fixture *f = *state;

        ring_writer_done(&f->w);
        ring_reader_done(&f->r);
        ring_reader_done(&f->r);
        close(f->fd);
        free(f);
        return 0;
}

/* One frame of n rows with `length` payload bytes that say which row came first. */
static void put(struct fixture *f, uint16_t stream, uint32_t n_rows, uint32_t length,
                uint16_t flags) {
        uint8_t *p = ring_writer_begin(&f->w, stream, flags);

        memset(p, (int)(f->w.header->streams[stream].rows & 0xff), length);
        ring_writer_commit(&f->w, length, n_rows, 1234);
}

static int get(struct fixture *f) {
        return ring_read(&f->r, &f->c, f->out, sizeof(f->out), &f->frame);
}

static void test_layout(void **state) {
        struct fixture *f = *state;

        assert_int_equal(f->w.header->magic, EVENT_RING_MAGIC);
        assert_int_equal(f->w.header->version, EVENT_RING_VERSION);
        assert_int_equal(f->w.header->data_size, DATA_SIZE);
        assert_int_equal(f->w.frame_max, FRAME_MAX);
        assert_int_equal((uintptr_t)f->w.data - (uintptr_t)f->w.header, EVENT_RING_HEADER_SIZE);
}

static void test_sizes_that_are_refused(void **state) {
        struct fixture *f = *state;
        static const size_t sizes[] = { 0, 100, EVENT_RING_HEADER_SIZE,
                                        EVENT_RING_HEADER_SIZE + 2048,
                                        EVENT_RING_HEADER_SIZE + 4096 + 8 };
        struct ring_writer w = { 0 };
        struct ring_reader r = { 0 };

        for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
                int fd = memfd_sized("ring", sizes[i]);

                assert_int_equal(ring_writer_init(&w, fd), -EINVAL);
                assert_int_equal(ring_reader_init(&r, fd, 4096), -EINVAL);
                close(fd);
        }
        assert_int_equal(ring_reader_init(&r, f->fd, 8192), -EINVAL);
        assert_int_equal(ring_reader_init(&r, f->fd, 0), -EINVAL);
        assert_int_equal(ring_reader_init(&r, -1, 4096), -EBADF);
        assert_int_equal(ring_writer_init(&w, -1), -EBADF);
        ring_writer_done(&w);
        ring_reader_done(&r);
}

static void test_largest_frame_of_a_large_ring(void **state) {
        int fd = memfd_sized("ring", EVENT_RING_HEADER_SIZE + (1 << 20));
        struct ring_writer w;

        assert_int_equal(ring_writer_init(&w, fd), 0);
        assert_int_equal(w.frame_max, (64 << 10) - sizeof(struct event_frame));
        ring_writer_done(&w);
        close(fd);
}

static void test_one_frame(void **state) {
        struct fixture *f = *state;
        uint8_t *p;

        assert_false(ring_has_more(&f->r, &f->c));
        assert_int_equal(get(f), 0);
        p = ring_writer_begin(&f->w, 3, EVENT_FRAME_SNAPSHOT);
        memcpy(p, "\x91\x01\x91\x02\x90", 5);
        assert_false(ring_has_more(&f->r, &f->c));
        ring_writer_commit(&f->w, 5, 3, 99);

        assert_true(ring_has_more(&f->r, &f->c));
        assert_int_equal(get(f), 1);
        assert_int_equal(f->frame.header.stream, 3);
        assert_int_equal(f->frame.header.flags, EVENT_FRAME_SNAPSHOT);
        assert_int_equal(f->frame.header.n_rows, 3);
        assert_int_equal(f->frame.header.length, 5);
        assert_int_equal(f->frame.header.first_seq, 0);
        assert_int_equal(f->frame.header.time_ns, 99);
        assert_int_equal(f->frame.lost, 0);
        assert_memory_equal(f->out, "\x91\x01\x91\x02\x90", 5);
        assert_false(ring_has_more(&f->r, &f->c));
        assert_int_equal(get(f), 0);
}

/* Pages that are let go come back with what was in them, and writing goes on: also while the reader
 * is behind. */
static void test_rest(void **state) {
        struct fixture *f = *state;

        for (uint32_t i = 0; i < 1000; i += 3) {
                for (uint32_t k = 0; k < 3; k++) {
                        put(f, 0, 1, 100, 0);
                        ring_writer_rest(&f->w);
                }
                for (uint32_t k = 0; k < 3; k++) {
                        assert_int_equal(get(f), 1);
                        assert_int_equal(f->frame.header.first_seq, i + k);
                        assert_int_equal(f->frame.lost, 0);
                        assert_int_equal(f->out[99], (i + k) & 0xff);
                }
        }
        assert_true(f->w.head > 2 * DATA_SIZE);
}

static void test_empty_commit_publishes_nothing(void **state) {
        struct fixture *f = *state;

        put(f, 0, 0, 0, 0);
        assert_int_equal(get(f), 0);
        /* But an array without rows is news. */
        put(f, 0, 0, 0, EVENT_FRAME_SNAPSHOT | EVENT_FRAME_END);
        assert_int_equal(get(f), 1);
        assert_int_equal(f->frame.header.n_rows, 0);
        put(f, 0, 2, 2, 0);
        assert_int_equal(get(f), 1);
        assert_int_equal(f->frame.header.first_seq, 0);
}

static void test_wraps_without_loss(void **state) {
        struct fixture *f = *state;

        /* Every payload length, so that every way of meeting the end comes up. */
        for (uint32_t i = 0; i < 5000; i++) {
                uint32_t length = 1 + i * 7 % FRAME_MAX;

                put(f, 0, 1, length, 0);
                assert_int_equal(get(f), 1);
                assert_int_equal(f->frame.header.length, length);
                assert_int_equal(f->frame.header.first_seq, i);
                assert_int_equal(f->frame.lost, 0);
                assert_int_equal(f->out[0], i & 0xff);
                assert_int_equal(f->out[length - 1], i & 0xff);
                assert_int_equal(get(f), 0);
        }
        assert_true(f->w.head > 10 * DATA_SIZE);
}

static void test_overrun_is_counted_exactly(void **state) {
        struct fixture *f = *state;
        uint64_t seen = 0, lost = 0;

        put(f, 0, 1, 8, 0);
        assert_int_equal(get(f), 1);
        seen++;
        for (unsigned int round = 0; round < 5; round++) {
                for (unsigned int i = 0; i < 1000; i++)
                        put(f, 0, 3, 40, 0);
                while (get(f) == 1) {
                        seen += f->frame.header.n_rows;
                        lost += f->frame.lost;
                }
                assert_int_equal(seen + lost, 1 + (round + 1) * 3000);
        }
        assert_true(lost > 5 * 2000);
        assert_int_equal(ring_cursor_lost_tail(&f->r, &f->c, 0), 0);
}

/* A stream of which the reader never sees anything again still balances at the end. */
static void test_stream_that_was_overwritten_entirely(void **state) {
        struct fixture *f = *state;

        put(f, 1, 10, 10, 0);
        assert_int_equal(get(f), 1);
        put(f, 1, 7, 10, 0);
        put(f, 2, 5, 10, 0);
        for (unsigned int i = 0; i < 100; i++)
                put(f, 0, 1, 200, 0);
        while (get(f) == 1)
                assert_int_equal(f->frame.header.stream, 0);
        assert_int_equal(ring_cursor_lost_tail(&f->r, &f->c, 1), 7);
        assert_int_equal(ring_cursor_lost_tail(&f->r, &f->c, 2), 5);
        assert_int_equal(ring_cursor_lost_tail(&f->r, &f->c, 2), 0);
        assert_int_equal(ring_cursor_lost_tail(&f->r, &f->c, 0), 0);
}

static void test_newest(void **state) {
        struct fixture *f = *state;

        put(f, 0, 5, 10, 0);
        ring_cursor_newest(&f->r, &f->c);
        assert_int_equal(get(f), 0);
        put(f, 0, 2, 10, 0);
        assert_int_equal(get(f), 1);
        assert_int_equal(f->frame.header.first_seq, 5);
        assert_int_equal(f->frame.lost, 0);
        /* What is lost after attaching counts, also for a stream that was quiet then. */
        put(f, 4, 9, 10, 0);
        for (unsigned int i = 0; i < 100; i++)
                put(f, 0, 1, 200, 0);
        put(f, 4, 1, 10, 0);
        while (get(f) == 1 && f->frame.header.stream != 4)
                ;
        assert_int_equal(f->frame.header.first_seq, 9);
        assert_int_equal(f->frame.lost, 9);
}

static void test_oldest(void **state) {
        struct fixture *f = *state;
        unsigned int n = 0;

        for (unsigned int i = 0; i < 300; i++)
                put(f, i % 3 ? 0 : 1, 1, 30, 0);
        ring_cursor_oldest(&f->r, &f->c);
        while (get(f) == 1) {
                /* Nothing is missing from where it starts. */
                assert_int_equal(f->frame.lost, 0);
                n++;
        }
        /* All but the room of one largest frame and a pad. */
        assert_true(n >= (DATA_SIZE - 2 * 512 - 64) / 64);
        assert_int_equal(f->c.next_seq[0], 200);
        assert_int_equal(f->c.next_seq[1], 100);
}

static void test_tail(void **state) {
        struct fixture *f = *state;
        static const struct {
                uint64_t wanted;
                uint64_t first_seq;
        } cases[] = { { 1, 16 }, { 4, 16 }, { 5, 12 }, { 8, 12 }, { 20, 0 }, { 1000, 0 } };

        for (unsigned int i = 0; i < 5; i++)
                put(f, 0, 4, 10, 0);
        for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
                assert_int_equal(ring_cursor_tail(&f->r, &f->c, cases[i].wanted), 0);
                assert_int_equal(get(f), 1);
                assert_int_equal(f->frame.header.first_seq, cases[i].first_seq);
                assert_int_equal(f->frame.lost, 0);
        }
        assert_int_equal(ring_cursor_tail(&f->r, &f->c, 0), 0);
        assert_int_equal(get(f), 0);
}

static void test_tail_over_several_streams(void **state) {
        struct fixture *f = *state;

        put(f, 0, 3, 10, 0);
        put(f, 1, 3, 10, 0);
        put(f, 0, 3, 10, 0);
        put(f, 2, 3, 10, 0);
        assert_int_equal(ring_cursor_tail(&f->r, &f->c, 6), 0);
        assert_int_equal(f->c.next_seq[0], 3);
        assert_int_equal(f->c.next_seq[1], 3);
        assert_int_equal(f->c.next_seq[2], 0);
        assert_int_equal(get(f), 1);
        assert_int_equal(f->frame.header.stream, 0);
        assert_int_equal(f->frame.lost, 0);
        assert_int_equal(get(f), 1);
        assert_int_equal(f->frame.header.stream, 2);
        assert_int_equal(get(f), 0);
}

static void test_tail_of_an_empty_ring(void **state) {
        struct fixture *f = *state;

        assert_int_equal(ring_cursor_tail(&f->r, &f->c, 10), 0);
        assert_int_equal(get(f), 0);
        ring_cursor_newest(&f->r, &f->c);
        assert_int_equal(get(f), 0);
}

static void test_room(void **state) {
        struct fixture *f = *state;

        put(f, 0, 1, 100, 0);
        assert_int_equal(ring_read(&f->r, &f->c, f->out, 99, &f->frame), -ENOBUFS);
        assert_int_equal(f->frame.header.length, 100);
        assert_int_equal(ring_read(&f->r, &f->c, f->out, 100, &f->frame), 1);
}

static void test_counters(void **state) {
        struct fixture *f = *state;
        struct event_ring_stream counters;

        put(f, 5, 4, 10, 0);
        ring_writer_drop(&f->w, 5, DROP_KERNEL_FULL, 7);
        ring_writer_drop(&f->w, 5, DROP_KERNEL_FULL, 1);
        ring_writer_drop(&f->w, 5, DROP_LIMITED, 2);
        ring_stream_counters(&f->r, 5, &counters);
        assert_int_equal(counters.rows, 4);
        assert_int_equal(counters.dropped[DROP_KERNEL_FULL], 8);
        assert_int_equal(counters.dropped[DROP_LIMITED], 2);
        assert_int_equal(counters.dropped[DROP_MALFORMED], 0);
}

static void test_drop_reason_names(void **state) {
        static const char *const want[] = { "kernel-full", "malformed", "too-large", "filtered",
                                            "limited" };

        for (unsigned int i = 0; i < _DROP_REASON_MAX; i++)
                assert_string_equal(drop_reason_name((enum drop_reason)i), want[i]);
        assert_null(drop_reason_name(_DROP_REASON_MAX));
}

/* --- a writer that lies --- */

static struct event_frame *first_frame(struct fixture *f) {
        return (struct event_frame *)f->w.data;
}

static void test_nonsense_in_a_header(void **state) {
        struct fixture *f = *state;
        static const struct event_frame lies[] = {
                { .size = 0, .length = 8, .n_rows = 1 },
                { .size = 24, .length = 0, .n_rows = 0 },
                { .size = 36, .length = 1, .n_rows = 1 },
                { .size = 48, .length = 8, .n_rows = 1 }, /* past the head, which is at 40 */
                { .size = UINT32_MAX & ~7u, .length = 8, .n_rows = 1 },
                { .size = 40, .length = 9, .n_rows = 1 },
                { .size = 40, .length = UINT32_MAX, .n_rows = 1 },
                { .size = 40, .length = 8, .n_rows = 9 },
                { .size = 40, .length = 8, .n_rows = 0 },
                { .size = 40, .length = 8, .n_rows = 1, .stream = LIMIT_STREAMS_MAX },
                { .size = 40, .length = 8, .n_rows = 1, .flags = 8 },
                { .size = 40, .length = 8, .n_rows = 1, .flags = EVENT_FRAME_PAD },
                { .size = 40, .flags = EVENT_FRAME_PAD }, /* a pad fills the rest */
                { .size = 40, .flags = EVENT_FRAME_PAD | EVENT_FRAME_END },
                { .size = 40, .length = 8, .n_rows = 2, .first_seq = UINT64_MAX - 1 },
        };

        put(f, 0, 1, 8, 0);
        assert_int_equal(f->w.head, 40);
        for (unsigned int i = 0; i < ARRAY_SIZE(lies); i++) {
                ring_cursor_newest(&f->r, &f->c);
                f->c.position = 0;
                *first_frame(f) = lies[i];
                assert_int_equal(get(f), -EPROTO);
                assert_int_equal(ring_cursor_tail(&f->r, &f->c, 1), -EPROTO);
                ring_cursor_oldest(&f->r, &f->c);
                assert_int_equal(get(f), -EPROTO);
        }
}

static void test_sequence_that_goes_back(void **state) {
        struct fixture *f = *state;

        put(f, 0, 5, 8, 0);
        put(f, 0, 5, 8, 0);
        assert_int_equal(get(f), 1);
        ((struct event_frame *)(f->w.data + 40))->first_seq = 3;
        f->c.start_limit = 0;
        assert_int_equal(get(f), -EPROTO);
}

static void test_lying_positions(void **state) {
        struct fixture *f = *state;
        static const struct {
                uint64_t head, tail;
        } lies[] = {
                { 0, 8 },              /* tail before head */
                { 40, 4 },             /* crooked tail */
                { 40 + DATA_SIZE, 0 }, /* more than there is */
                { UINT64_MAX, 0 },
                { UINT64_MAX, UINT64_MAX },
                { UINT64_MAX & ~7ull, UINT64_MAX & ~7ull },
                { DATA_SIZE, DATA_SIZE - 8 }, /* no room for a header before the end */
                { 4, 0 },
        };

        for (unsigned int i = 0; i < ARRAY_SIZE(lies); i++) {
                int n;

                memset(&f->c, 0, sizeof(f->c));
                f->w.header->head = lies[i].head;
                f->w.header->tail = lies[i].tail;
                n = get(f);
                assert_true(n == -EPROTO || (n == 0 && lies[i].head == lies[i].tail));
                n = ring_cursor_tail(&f->r, &f->c, 10);
                assert_true(n == -EPROTO || (n == 0 && lies[i].head == lies[i].tail));
                ring_cursor_oldest(&f->r, &f->c);
                ring_cursor_newest(&f->r, &f->c);
        }
}

static void test_head_that_moves_back(void **state) {
        struct fixture *f = *state;

        put(f, 0, 1, 8, 0);
        put(f, 0, 1, 8, 0);
        assert_int_equal(get(f), 1);
        assert_int_equal(get(f), 1);
        f->w.header->head = 40;
        assert_int_equal(get(f), -EPROTO);
}

/* Pads all the way: a reader must not walk for ever on behalf of a liar. */
static void test_pads_only(void **state) {
        struct fixture *f = *state;

        *first_frame(f) = (struct event_frame){ .size = DATA_SIZE, .flags = EVENT_FRAME_PAD };
        f->w.header->head = DATA_SIZE;
        assert_int_equal(get(f), 0);
        f->c = (struct ring_cursor){ 0 };
        f->w.header->head = 3 * DATA_SIZE;
        f->w.header->tail = 2 * DATA_SIZE;
        assert_int_equal(get(f), 0);
        assert_int_equal(f->c.position, 3 * DATA_SIZE);
        /* Two pads one after the other. */
        f->c = (struct ring_cursor){ .position = DATA_SIZE - 32 };
        *(struct event_frame *)(f->w.data + DATA_SIZE - 32) =
                (struct event_frame){ .size = 32, .flags = EVENT_FRAME_PAD };
        f->w.header->head = DATA_SIZE - 32 + DATA_SIZE;
        f->w.header->tail = 0;
        *first_frame(f) = (struct event_frame){ .size = DATA_SIZE, .flags = EVENT_FRAME_PAD };
        assert_int_equal(get(f), -EPROTO);
}

static void test_lying_row_counter(void **state) {
        struct fixture *f = *state;

        put(f, 0, 5, 8, 0);
        assert_int_equal(get(f), 1);
        f->w.header->streams[0].rows = 2;
        assert_int_equal(ring_cursor_lost_tail(&f->r, &f->c, 0), 0);
        f->w.header->streams[0].rows = UINT64_MAX;
        assert_true(ring_cursor_lost_tail(&f->r, &f->c, 0) == UINT64_MAX - 5);
}

/* Attaching while a frame is on its way: its rows are counted already, but it is not published. */
static void test_frame_in_flight_at_attach(void **state) {
        struct fixture *f = *state;
        uint64_t head;

        put(f, 0, 5, 8, 0);
        head = f->w.head;
        put(f, 0, 3, 8, 0);
        f->w.header->head = head; /* the moment between the two stores of a commit */
        ring_cursor_newest(&f->r, &f->c);
        assert_int_equal(f->c.next_seq[0], 8);
        f->w.header->head = f->w.head;
        put(f, 0, 2, 8, 0);
        /* It belongs to the time before; what follows is complete. */
        assert_int_equal(get(f), 1);
        assert_int_equal(f->frame.header.first_seq, 8);
        assert_int_equal(f->frame.lost, 0);
        assert_int_equal(get(f), 0);
}

/* The same where the frame stands behind a pad, so not at the head that the cursor saw. */
static void test_frame_in_flight_behind_a_pad(void **state) {
        struct fixture *f = *state;
        uint64_t head;

        while (DATA_SIZE - f->w.head % DATA_SIZE >= FRAME_MAX + sizeof(struct event_frame))
                put(f, 0, 1, 200, 0);
        head = f->w.head;
        put(f, 0, 3, 8, 0);
        assert_true(((struct event_frame *)(f->w.data + head % DATA_SIZE))->flags ==
                    EVENT_FRAME_PAD);
        f->w.header->head = head;
        ring_cursor_newest(&f->r, &f->c);
        f->w.header->head = f->w.head;
        put(f, 0, 2, 8, 0);
        assert_int_equal(get(f), 1);
        assert_int_equal(f->frame.header.n_rows, 2);
        assert_int_equal(f->frame.lost, 0);
        assert_int_equal(get(f), 0);
}

/* The same, and the reader is overrun until the oldest frame is the one that was in flight. */
static void test_frame_in_flight_is_the_tail(void **state) {
        struct fixture *f = *state;
        uint64_t head, at = 0;

        while (DATA_SIZE - (f->w.head & (DATA_SIZE - 1)) >= FRAME_MAX + sizeof(struct event_frame))
                put(f, 0, 1, 200, 0);
        head = f->w.head;
        put(f, 0, 3, 8, 0);
        f->w.header->head = head;
        ring_cursor_newest(&f->r, &f->c);
        assert_int_equal(f->c.start_limit, head);
        f->w.header->head = f->w.head;
        assert_true(f->w.head > DATA_SIZE);
        while (f->w.tail < DATA_SIZE) {
                at = f->w.header->streams[0].rows;
                put(f, 0, 1, 200, 0);
        }
        assert_true(at > 0);
        assert_int_equal(f->w.tail, DATA_SIZE);
        assert_int_equal(get(f), 1);
        assert_int_equal(f->frame.header.first_seq, f->c.next_seq[0] - f->frame.header.n_rows);
        assert_int_equal(f->frame.header.n_rows, 1);
        assert_int_equal(f->frame.lost, 0);
        while (get(f) == 1)
                assert_int_equal(f->frame.lost, 0);
        assert_int_equal(f->c.next_seq[0], f->w.header->streams[0].rows);
}

#define TEST(_f) cmocka_unit_test_setup_teardown(_f, setup, teardown)
static const struct CMUnitTest tests[] = {
        TEST(test_layout),
        TEST(test_sizes_that_are_refused),
        TEST(test_largest_frame_of_a_large_ring),
        TEST(test_one_frame),
        TEST(test_rest),
        TEST(test_empty_commit_publishes_nothing),
        TEST(test_wraps_without_loss),
        TEST(test_overrun_is_counted_exactly),
        TEST(test_stream_that_was_overwritten_entirely),
        TEST(test_newest),
        TEST(test_oldest),
        TEST(test_tail),
        TEST(test_tail_over_several_streams),
        TEST(test_tail_of_an_empty_ring),
        TEST(test_room),
        TEST(test_counters),
        TEST(test_drop_reason_names),
        TEST(test_nonsense_in_a_header),
        TEST(test_sequence_that_goes_back),
        TEST(test_lying_positions),
        TEST(test_head_that_moves_back),
        TEST(test_pads_only),
        TEST(test_lying_row_counter),
        TEST(test_frame_in_flight_at_attach),
        TEST(test_frame_in_flight_behind_a_pad),
        TEST(test_frame_in_flight_is_the_tail),
};
TEST_MAIN("ipc-ring", tests)
