/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event ring from both ends. Honest writer: rows delivered + rows lost = rows written, for
 * every cursor, from wherever it started, however often it was overrun. Hostile writer: a reader
 * never crashes, never looks outside, never loops.
 */
#include "ipc/ring.h"

#include <pthread.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/file.h"
#include "tests/lib/needs.h"
#include "tests/property/random.h"

#define N_STREAMS 5
#define N_CURSORS 4
#define ROOM_MAX (64u << 10)

struct ring {
        int fd;
        struct ring_writer w;
        struct ring_reader r;
};

static void ring_open(struct ring *ring, size_t data_size) {
        ring->fd = memfd_sized("ring", EVENT_RING_HEADER_SIZE + data_size);
        assert_int_equal(ring_writer_init(&ring->w, ring->fd), 0);
        assert_int_equal(ring_reader_init(&ring->r, ring->fd, data_size), 0);
}

static void ring_close(struct ring *ring) {
        ring_writer_done(&ring->w);
        ring_reader_done(&ring->r);
        close(ring->fd);
}

/* What byte i of a frame is: torn or mixed-up payload does not fit. */
static uint8_t byte_of(unsigned int stream, uint64_t first_seq, uint32_t length, uint32_t i) {
        return (uint8_t)(first_seq * 31 + stream * 7 + length + i);
}

static void put_frame(struct ring *ring, struct random *random) {
        uint16_t stream = (uint16_t)random_below(random, N_STREAMS);
        uint16_t flags =
                (uint16_t)(random_below(random, 8) == 0 ? random_below(random, 4) << 1 : 0);
        uint64_t first_seq = ring->w.header->streams[stream].rows;
        uint32_t length, n_rows;
        uint8_t *p;

        /* Mostly small, sometimes as large as they get. */
        length = (uint32_t)random_below(random,
                                        random_below(random, 10) == 0 ? ring->w.frame_max + 1 : 80);
        n_rows = length == 0 ? 0 : 1 + (uint32_t)random_below(random, length);
        p = ring_writer_begin(&ring->w, stream, flags);
        for (uint32_t i = 0; i < length; i++)
                p[i] = byte_of(stream, first_seq, length, i);
        ring_writer_commit(&ring->w, length, n_rows, first_seq);
}

struct tally {
        struct ring_cursor cursor;
        uint64_t start[LIMIT_STREAMS_MAX];
        uint64_t delivered[LIMIT_STREAMS_MAX];
        uint64_t lost[LIMIT_STREAMS_MAX];
};

static void tally_begin(struct ring *ring, struct random *random, struct tally *tally) {
        memset(tally, 0, sizeof(*tally));
        switch (random_below(random, 3)) {
        case 0:
                ring_cursor_newest(&ring->r, &tally->cursor);
                break;
        case 1:
                ring_cursor_oldest(&ring->r, &tally->cursor);
                break;
        default:
                assert_int_equal(
                        ring_cursor_tail(&ring->r, &tally->cursor, random_below(random, 200)), 0);
                break;
        }
        memcpy(tally->start, tally->cursor.next_seq, sizeof(tally->start));
}

/* 1 = a frame was read and is what was written. */
static int tally_read(struct ring *ring, struct tally *tally, uint8_t *out) {
        struct ring_frame frame;
        unsigned int stream;
        int r;

        r = ring_read(&ring->r, &tally->cursor, out, ROOM_MAX, &frame);
        if (r != 1)
                return r;
        stream = frame.header.stream;
        assert_true(stream < N_STREAMS);
        assert_true(frame.header.time_ns == frame.header.first_seq);
        for (uint32_t i = 0; i < frame.header.length; i++)
                if (out[i] != byte_of(stream, frame.header.first_seq, frame.header.length, i))
                        fail_msg("byte %u of a frame of %u is torn", i, frame.header.length);
        tally->lost[stream] += frame.lost;
        tally->delivered[stream] += frame.header.n_rows;
        assert_true(tally->start[stream] + tally->delivered[stream] + tally->lost[stream] ==
                    frame.header.first_seq + frame.header.n_rows);
        return 1;
}

/* Reads to the end; with the writer at rest every row is accounted for. */
static void tally_close(struct ring *ring, struct tally *tally, uint8_t *out) {
        int r;

        while ((r = tally_read(ring, tally, out)) == 1)
                ;
        assert_int_equal(r, 0);
        assert_false(ring_has_more(&ring->r, &tally->cursor));
        for (unsigned int i = 0; i < LIMIT_STREAMS_MAX; i++) {
                struct event_ring_stream counters;

                ring_stream_counters(&ring->r, i, &counters);
                tally->lost[i] += ring_cursor_lost_tail(&ring->r, &tally->cursor, i);
                assert_true(tally->start[i] + tally->delivered[i] + tally->lost[i] ==
                            counters.rows);
        }
}

/* Attaches at the one moment that matters: the next frame's rows are counted, its head is not yet
 * published. */
static void tally_begin_in_flight(struct ring *ring, struct random *random, struct tally *tally) {
        uint64_t head = ring->w.head;

        put_frame(ring, random);
        ring->w.header->head = head;
        tally_begin(ring, random, tally);
        ring->w.header->head = ring->w.head;
}

static void balance(struct random *random, size_t data_size, unsigned int n_steps) {
        static uint8_t out[ROOM_MAX];
        struct tally tallies[N_CURSORS];
        unsigned int n_closed = 0;
        uint64_t lost = 0;
        struct ring ring;

        ring_open(&ring, data_size);
        for (unsigned int i = 0; i < N_CURSORS; i++)
                tally_begin(&ring, random, &tallies[i]);
        for (unsigned int step = 0; step < n_steps; step++) {
                unsigned int i = (unsigned int)random_below(random, N_CURSORS);
                struct tally *tally = &tallies[i];
                uint64_t n;

                /* Now and then far more than the ring holds, so that it goes round several times
                 * between two reads. */
                n = random_below(random, random_below(random, 20) == 0 ? data_size / 8 : 8);
                while (n-- > 0)
                        put_frame(&ring, random);
                /* Cursor 0 reads everything at once, the others the slower the higher. */
                n = i == 0 ? UINT64_MAX : random_below(random, 12 / i);
                while (n-- > 0 && tally_read(&ring, tally, out) == 1)
                        ;
                if (random_below(random, 50) == 0) {
                        tally_close(&ring, tally, out);
                        for (unsigned int k = 0; k < N_STREAMS; k++)
                                lost += tally->lost[k];
                        if (random_below(random, 2))
                                tally_begin(&ring, random, tally);
                        else
                                tally_begin_in_flight(&ring, random, tally);
                        n_closed++;
                }
        }
        for (unsigned int i = 0; i < N_CURSORS; i++)
                tally_close(&ring, &tallies[i], out);
        printf("ring of %zu: %u cursors closed, %" PRIu64 " rows lost, head %" PRIu64 "\n",
               data_size, n_closed, lost, ring.w.head);
        assert_true(lost > 0 && n_closed > 0 && ring.w.head > 10 * data_size);
        ring_close(&ring);
}

static void test_rows_balance(void **state) {
        struct random random = random_init("ring, balance");

        balance(&random, 4096, 20000);
        balance(&random, 8192, 10000);
        balance(&random, 64 << 10, 2000);
}

/* --- both at once --- */

struct flood {
        struct ring ring;
        bool stop;
        uint64_t n_frames;
};

static void *write_flood(void *data) {
        struct random random = { 7 };
        struct flood *flood = data;

        while (!__atomic_load_n(&flood->stop, __ATOMIC_RELAXED)) {
                put_frame(&flood->ring, &random);
                flood->n_frames++;
        }
        return NULL;
}

struct follower {
        struct flood *flood;
        struct tally tally;
        unsigned int n_begins;
        uint64_t n_read;
        uint64_t seed;
        uint8_t *out;
};

/* Attaches over and over while the writer runs; sums have to agree frame by frame (tally_read
 * checks). */
static void *follow(void *data) {
        struct follower *f = data;
        struct random random = { f->seed };

        while (!__atomic_load_n(&f->flood->stop, __ATOMIC_RELAXED)) {
                tally_begin(&f->flood->ring, &random, &f->tally);
                f->n_begins++;
                for (unsigned int i = 0; i < 300; i++) {
                        int r = tally_read(&f->flood->ring, &f->tally, f->out);

                        if (r < 0)
                                return (void *)(intptr_t)r;
                        f->n_read += (uint64_t)r;
                }
        }
        return NULL;
}

static void run_flood(size_t data_size, uint64_t seed) {
        struct flood flood = { 0 };
        struct follower followers[2];
        pthread_t writer, readers[2];
        uint64_t end;
        void *result;

        ring_open(&flood.ring, data_size);
        pthread_create(&writer, NULL, write_flood, &flood);
        for (unsigned int i = 0; i < 2; i++) {
                followers[i] = (struct follower){ .flood = &flood,
                                                  .seed = seed + i,
                                                  .out = malloc(ROOM_MAX) };
                pthread_create(&readers[i], NULL, follow, &followers[i]);
        }
        for (end = now_ns() + 300 * NSEC_PER_MSEC; now_ns() < end;)
                sched_yield();
        __atomic_store_n(&flood.stop, true, __ATOMIC_RELAXED);
        pthread_join(writer, NULL);
        for (unsigned int i = 0; i < 2; i++) {
                pthread_join(readers[i], &result);
                assert_int_equal((intptr_t)result, 0);
                assert_true(followers[i].n_begins > 0);
                tally_close(&flood.ring, &followers[i].tally, followers[i].out);
                printf("ring of %zu: %u attached, %" PRIu64 " of %" PRIu64 " frames read\n",
                       data_size, followers[i].n_begins, followers[i].n_read, flood.n_frames);
                free(followers[i].out);
        }
        ring_close(&flood.ring);
}

static void test_concurrent(void **state) {
        struct random random = random_init("ring, concurrent");

        run_flood(4096, random_u64(&random));
        run_flood(64 << 10, random_u64(&random));
}

/* --- a hostile writer --- */

/* Reads as a client's cursor would; whatever comes out obeys the rules. The number of calls is
 * bounded by the data. */
static void read_hostile(struct ring *ring, struct ring_cursor *cursor, uint8_t *out, size_t room) {
        unsigned int n = 0;
        int r;

        do {
                struct ring_frame frame;

                r = ring_read(&ring->r, cursor, out, room, &frame);
                if (r != 1)
                        break;
                assert_true(frame.header.length <= room &&
                            frame.header.n_rows <= frame.header.length);
                assert_true(frame.header.stream < LIMIT_STREAMS_MAX);
                assert_int_equal(frame.header.flags & ~(EVENT_FRAME_SNAPSHOT | EVENT_FRAME_END), 0);
        } while (n++ < ring->r.size);
        assert_true(r == 0 || r == -EPROTO || r == -ENOBUFS);
        assert_true(n <= ring->r.size / sizeof(struct event_frame));
}

static void attack(struct ring *ring, struct random *random, uint8_t *out, size_t room) {
        struct ring_cursor cursor;
        struct event_ring_stream counters;

        ring_cursor_oldest(&ring->r, &cursor);
        read_hostile(ring, &cursor, out, room);
        (void)ring_has_more(&ring->r, &cursor);
        (void)ring_cursor_tail(&ring->r, &cursor, random_below(random, 100));
        read_hostile(ring, &cursor, out, room);
        ring_cursor_newest(&ring->r, &cursor);
        read_hostile(ring, &cursor, out, room);
        cursor.position = random_u64(random);
        read_hostile(ring, &cursor, out, room);
        for (unsigned int i = 0; i < LIMIT_STREAMS_MAX; i++) {
                ring_stream_counters(&ring->r, i, &counters);
                (void)ring_cursor_lost_tail(&ring->r, &cursor, i);
        }
}

static void test_hostile_bytes(void **state) {
        struct random random = random_init("ring, hostile");
        const size_t data_size = 4096, room = 512;
        uint8_t *out = malloc(room);
        struct ring ring;

        ring_open(&ring, data_size);
        for (unsigned int i = 0; i < 20000; i++) {
                struct event_ring_header *header = ring.w.header;
                uint64_t n_damages = random_below(&random, 4);

                if (random_below(&random, 50) == 0) {
                        random_bytes(&random, ring.w.data, data_size);
                        header->tail = 0;
                        header->head = random_below(&random, data_size / 8 + 1) * 8;
                } else {
                        /* A good ring, then a few bytes of it wrong. */
                        ring.w.head = ring.w.tail = header->head = header->tail = 0;
                        for (uint64_t k = 0; k < 20 + random_below(&random, 100); k++)
                                put_frame(&ring, &random);
                }
                while (n_damages-- > 0) {
                        struct event_frame *frame;
                        uint64_t at;

                        switch (random_below(&random, 4)) {
                        case 0:
                                ring.w.data[random_below(&random, data_size)] =
                                        (uint8_t)random_u64(&random);
                                break;
                        case 1:
                                header->head += (random_below(&random, 5) - 2) * 8;
                                break;
                        case 2:
                                header->tail += (random_below(&random, 5) - 2) * 8;
                                break;
                        default:
                                /* A header field of some frame, chosen to be near the truth. */
                                at = random_below(&random, data_size / 8 - 4) * 8;
                                frame = (struct event_frame *)(ring.w.data + at);
                                frame->size = (uint32_t)random_below(&random, 600) & ~7u;
                                frame->length = (uint32_t)random_below(&random, 600);
                                frame->n_rows = (uint32_t)random_below(&random, 600);
                                break;
                        }
                }
                attack(&ring, &random, out, room);
        }
        free(out);
        ring_close(&ring);
}

/* The same while another thread goes on damaging it: no check may be made on bytes that are read
 * again. */
static void *damage(void *data) {
        struct random random = { 99 };
        struct flood *flood = data;
        struct event_ring_header *header = flood->ring.w.header;

        while (!__atomic_load_n(&flood->stop, __ATOMIC_RELAXED)) {
                uint64_t at = random_below(&random, flood->ring.w.size / 8 - 4) * 8;
                struct event_frame *frame = (struct event_frame *)(flood->ring.w.data + at);

                __atomic_store_n(&frame->size, (uint32_t)random_below(&random, 1024) & ~7u,
                                 __ATOMIC_RELAXED);
                __atomic_store_n(&frame->length, (uint32_t)random_below(&random, 1024),
                                 __ATOMIC_RELAXED);
                __atomic_store_n(&header->head, random_below(&random, 1024) * 8, __ATOMIC_RELAXED);
                __atomic_store_n(&header->tail, random_below(&random, 64) * 8, __ATOMIC_RELAXED);
        }
        return NULL;
}

static void test_hostile_while_reading(void **state) {
        struct random random = random_init("ring, hostile and concurrent");
        struct flood flood = { 0 };
        const size_t room = 512;
        uint8_t *out = malloc(room);
        pthread_t thread;
        uint64_t end;

        ring_open(&flood.ring, 4096);
        pthread_create(&thread, NULL, damage, &flood);
        for (end = now_ns() + 300 * NSEC_PER_MSEC; now_ns() < end;)
                attack(&flood.ring, &random, out, room);
        __atomic_store_n(&flood.stop, true, __ATOMIC_RELAXED);
        pthread_join(thread, NULL);
        free(out);
        ring_close(&flood.ring);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_balance),
        cmocka_unit_test(test_concurrent),
        cmocka_unit_test(test_hostile_bytes),
        cmocka_unit_test(test_hostile_while_reading),
};
TEST_MAIN("property-ring", tests)
