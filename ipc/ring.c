/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory order. The writer stores `tail`, then (release fence) the bytes it takes from the oldest
 * frames, then `rows`, then `head`, the last two as releases. The reader loads `tail` before
 * `head`, so that tail <= head holds for what it has, and judges a copied header only after it has
 * seen that `tail` did not pass the frame meanwhile: what it calls nonsense then is the writer's
 * doing, not a torn copy.
 */
#include "ipc/ring.h"

#include <assert.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define DATA_SIZE_MIN 4096u
#define FRAME_SIZE_MAX (64u << 10)
#define HEADER_SIZE ((uint32_t)sizeof(struct event_frame))

/* How often a reader starts again when the writer overtakes it; then it leaves the rest to the next
 * call. */
#define TRIES_MAX 16

_Static_assert(sizeof(struct event_frame) % EVENT_RING_ALIGN == 0, "frame header keeps alignment");

/* --- writer --- */

int ring_writer_init(struct ring_writer *w, int fd) {
        uint64_t size;
        struct stat st;
        void *p;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (st.st_size < (off_t)(EVENT_RING_HEADER_SIZE + DATA_SIZE_MIN))
                return -EINVAL;
        size = (uint64_t)st.st_size - EVENT_RING_HEADER_SIZE;
        if ((size & (size - 1)) != 0)
                return -EINVAL;
        p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
                return -errno;

        *w = (struct ring_writer){
                .header = p,
                .data = (uint8_t *)p + EVENT_RING_HEADER_SIZE,
                .size = size,
                .mask = size - 1,
                .frame_max = (uint32_t)MIN(size / 8, (uint64_t)FRAME_SIZE_MAX) - HEADER_SIZE,
        };
        w->header->version = EVENT_RING_VERSION;
        w->header->data_size = size;
        w->header->magic = EVENT_RING_MAGIC;
        return 0;
}

void ring_writer_rest(struct ring_writer *w) {
        (void)madvise(w->data, (size_t)w->size, MADV_DONTNEED);
}

void ring_writer_done(struct ring_writer *w) {
        if (w->header)
                munmap(w->header, EVENT_RING_HEADER_SIZE + w->size);
        *w = (struct ring_writer){ 0 };
}

static struct event_frame *frame_at(const struct ring_writer *w, uint64_t position) {
        return (struct event_frame *)(void *)(w->data + (position & w->mask));
}

/* Gives up the oldest frames until [head, end) overlaps none. */
static void make_room(struct ring_writer *w, uint64_t end) {
        if (end - w->tail <= w->size)
                return;
        do
                w->tail += frame_at(w, w->tail)->size;
        while (end - w->tail > w->size);
        __atomic_store_n(&w->header->tail, w->tail, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_RELEASE);
}

uint8_t *ring_writer_begin(struct ring_writer *w, uint16_t stream, uint16_t flags) {
        uint64_t need = ALIGN_UP(HEADER_SIZE + w->frame_max, EVENT_RING_ALIGN);
        uint64_t to_end = w->size - (w->head & w->mask);
        uint64_t start = to_end >= need ? w->head : w->head + to_end;

        assert(!w->frame);
        /* The last frame before the end may grow by less than a header, see commit. */
        make_room(w, start + need + HEADER_SIZE);
        if (start != w->head)
                *frame_at(w, w->head) =
                        (struct event_frame){ .size = (uint32_t)to_end, .flags = EVENT_FRAME_PAD };
        w->frame = frame_at(w, start);
        w->frame->stream = stream;
        w->frame->flags = flags;
        return (uint8_t *)(w->frame + 1);
}

void ring_writer_commit(struct ring_writer *w, uint32_t length, uint32_t n_rows, uint64_t time_ns) {
        struct event_frame *frame = TAKE_PTR(w->frame);
        uint64_t offset, size, rest, pad;
        uint64_t *rows;

        assert(frame && length <= w->frame_max);
        if (n_rows == 0 && frame->flags == 0)
                return;

        offset = (uint64_t)((uint8_t *)frame - w->data);
        size = ALIGN_UP(HEADER_SIZE + length, EVENT_RING_ALIGN);
        /* What is left must hold at least the header of a pad. */
        rest = w->size - (offset + size);
        if (rest < HEADER_SIZE)
                size += rest;

        rows = &w->header->streams[frame->stream].rows;
        frame->size = (uint32_t)size;
        frame->length = length;
        frame->n_rows = n_rows;
        frame->first_seq = *rows;
        frame->time_ns = time_ns;

        pad = (offset - w->head) & w->mask;
        w->head += pad + size;
        __atomic_store_n(rows, *rows + n_rows, __ATOMIC_RELEASE);
        __atomic_store_n(&w->header->head, w->head, __ATOMIC_RELEASE);
}

/* --- reader --- */

int ring_reader_init(struct ring_reader *r, int fd, size_t data_size) {
        struct stat st;
        void *p;

        if (data_size < DATA_SIZE_MIN || (data_size & (data_size - 1)) != 0)
                return -EINVAL;
        if (fstat(fd, &st) < 0)
                return -errno;
        if ((uint64_t)st.st_size != EVENT_RING_HEADER_SIZE + (uint64_t)data_size)
                return -EINVAL;
        p = mmap(NULL, EVENT_RING_HEADER_SIZE + data_size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
                return -errno;
        *r = (struct ring_reader){
                .header = p,
                .data = (const uint8_t *)p + EVENT_RING_HEADER_SIZE,
                .size = data_size,
                .mask = data_size - 1,
        };
        return 0;
}

void ring_reader_done(struct ring_reader *r) {
        if (r->header)
                munmap((void *)r->header, EVENT_RING_HEADER_SIZE + r->size);
        *r = (struct ring_reader){ 0 };
}

static uint64_t load_head(const struct ring_reader *r) {
        return __atomic_load_n(&r->header->head, __ATOMIC_ACQUIRE);
}

static uint64_t load_tail(const struct ring_reader *r) {
        return __atomic_load_n(&r->header->tail, __ATOMIC_ACQUIRE);
}

static uint64_t load_rows(const struct ring_reader *r, unsigned int stream) {
        return __atomic_load_n(&r->header->streams[stream].rows, __ATOMIC_ACQUIRE);
}

/* Did the writer take the bytes from `position` on, before or while we copied them? */
static bool is_torn(const struct ring_reader *r, uint64_t position) {
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        return __atomic_load_n(&r->header->tail, __ATOMIC_RELAXED) > position;
}

/* All that a frame starting at `position` with `room` bytes before the head has to keep. */
static bool is_frame_valid(const struct ring_reader *r, uint64_t position, uint64_t room,
                           const struct event_frame *frame) {
        uint64_t to_end = r->size - (position & r->mask);
        uint64_t next_seq;

        if (frame->size < HEADER_SIZE || frame->size % EVENT_RING_ALIGN != 0 ||
            frame->size > to_end || frame->size > room)
                return false;
        if (frame->flags & EVENT_FRAME_PAD)
                return frame->flags == EVENT_FRAME_PAD && frame->size == to_end &&
                       frame->n_rows == 0 && frame->length == 0;
        return (frame->flags & ~(EVENT_FRAME_SNAPSHOT | EVENT_FRAME_END)) == 0 &&
               frame->length <= frame->size - HEADER_SIZE && frame->n_rows <= frame->length &&
               (frame->n_rows > 0 || frame->length == 0) && frame->stream < LIMIT_STREAMS_MAX &&
               !__builtin_add_overflow(frame->first_seq, (uint64_t)frame->n_rows, &next_seq);
}

/*
 * Copies the header at *position. 1 = valid, 0 = *position is the head, -EPROTO = nonsense, -EAGAIN
 * = the writer is too fast. *position moves to the tail when the writer has passed it.
 */
static int peek(const struct ring_reader *r, uint64_t *position, struct event_frame *ret) {
        for (unsigned int i = 0; i < TRIES_MAX; i++) {
                uint64_t tail = load_tail(r), head = load_head(r);

                if (tail > head || tail % EVENT_RING_ALIGN != 0)
                        return -EPROTO;
                *position = MAX(*position, tail);
                if (*position == head)
                        return 0;
                if (*position > head)
                        return -EPROTO;
                if (head - *position > r->size) {
                        /* The tail we have is stale, or a lie. */
                        if (!is_torn(r, *position))
                                return -EPROTO;
                        continue;
                }
                /* Writers leave room for a whole header before the end, see commit. */
                if (r->size - (*position & r->mask) < HEADER_SIZE)
                        return -EPROTO;
                memcpy(ret, r->data + (*position & r->mask), sizeof(*ret));
                /* The compiler may not look into the ring again for what we have checked. */
                __asm__ volatile("" ::: "memory");
                if (is_frame_valid(r, *position, head - *position, ret))
                        return 1;
                if (!is_torn(r, *position))
                        return -EPROTO;
        }
        return -EAGAIN;
}

/* Puts the cursor at `position` as if every row counted so far lay before it. */
static void place(const struct ring_reader *r, struct ring_cursor *cursor, uint64_t position) {
        *cursor = (struct ring_cursor){ .position = position };
        for (unsigned int i = 0; i < LIMIT_STREAMS_MAX; i++)
                cursor->next_seq[i] = load_rows(r, i);
        /* Frames that these counters hold already, up to the one that the writer is about to
         * publish at this head. */
        cursor->start_limit = load_head(r);
}

void ring_cursor_newest(const struct ring_reader *r, struct ring_cursor *cursor) {
        /* Better a quiet moment, in which nothing has to be skipped. */
        for (unsigned int i = 0; i < TRIES_MAX; i++) {
                place(r, cursor, load_head(r));
                if (cursor->start_limit == cursor->position)
                        break;
        }
}

/* Rows between tail and head; 1 = *ret, else as peek(). */
static int count_rows(const struct ring_reader *r, uint64_t *ret_tail, uint64_t *ret) {
        uint64_t position = load_tail(r), total = 0;
        struct event_frame frame;
        int n;

        *ret_tail = position;
        for (;;) {
                uint64_t at = position;

                n = peek(r, &position, &frame);
                if (n < 0)
                        return n;
                if (position != at)
                        return -EAGAIN;
                if (n == 0)
                        break;
                total += frame.n_rows;
                position += frame.size;
        }
        *ret = total;
        return 1;
}

/* Moves the cursor over all frames without which `wanted` rows are left; then next_seq of each
 * stream is what comes first. */
static int seek(const struct ring_reader *r, struct ring_cursor *cursor, uint64_t wanted) {
        uint64_t position, total;
        bool known[LIMIT_STREAMS_MAX] = { false };
        bool is_placed = false;
        int n;

        n = count_rows(r, &position, &total);
        if (n < 0)
                return n;
        place(r, cursor, position);
        for (;;) {
                uint64_t at = position;
                struct event_frame frame;

                n = peek(r, &position, &frame);
                if (n < 0)
                        return n;
                if (position != at)
                        return -EAGAIN;
                /* The rest was written since we began, so next_seq has it already or start_limit
                 * lies behind it. */
                if (n == 0 || position >= cursor->start_limit)
                        break;
                position += frame.size;
                if (frame.flags & EVENT_FRAME_PAD)
                        continue;
                if (!is_placed && total >= wanted && total - wanted >= frame.n_rows) {
                        total -= frame.n_rows;
                        cursor->position = position;
                        cursor->next_seq[frame.stream] = frame.first_seq + frame.n_rows;
                        known[frame.stream] = true;
                        continue;
                }
                is_placed = true;
                if (!known[frame.stream])
                        cursor->next_seq[frame.stream] = frame.first_seq;
                known[frame.stream] = true;
        }
        return 0;
}

int ring_cursor_tail(const struct ring_reader *r, struct ring_cursor *cursor, uint64_t rows) {
        for (unsigned int i = 0; i < TRIES_MAX; i++) {
                int n = seek(r, cursor, rows);

                if (n != -EAGAIN)
                        return n;
        }
        /* A writer that overwrites everything while we look: its past is worth nothing. */
        ring_cursor_newest(r, cursor);
        return 0;
}

void ring_cursor_oldest(const struct ring_reader *r, struct ring_cursor *cursor) {
        /* Nonsense in the ring is found again, and reported, by the first read. */
        if (ring_cursor_tail(r, cursor, UINT64_MAX) < 0)
                place(r, cursor, load_tail(r));
}

/* A frame of rows that were counted before the cursor took its place. The one in flight at
 * start_limit stands there, or behind a pad: at the ring's begin. */
static bool is_before_start(const struct ring_reader *r, const struct ring_cursor *cursor,
                            const struct event_frame *frame) {
        bool is_early = cursor->position <= cursor->start_limit ||
                        cursor->position == (cursor->start_limit | r->mask) + 1;

        return is_early && frame->n_rows > 0 &&
               frame->first_seq + frame->n_rows <= cursor->next_seq[frame->stream];
}

/* The frame is the writer's word: counts what is missing before it and moves on. */
static int deliver(struct ring_cursor *cursor, const struct event_frame *frame, size_t room,
                   uint64_t *ret_lost) {
        uint64_t *next_seq = &cursor->next_seq[frame->stream];

        if (frame->first_seq < *next_seq)
                return -EPROTO;
        if (frame->length > room)
                return -ENOBUFS;
        *ret_lost = frame->first_seq - *next_seq;
        *next_seq = frame->first_seq + frame->n_rows;
        cursor->position += frame->size;
        return 1;
}

int ring_read(const struct ring_reader *r, struct ring_cursor *cursor, uint8_t *out, size_t room,
              struct ring_frame *ret) {
        struct event_frame *frame = &ret->header;
        unsigned int n_torn = 0;
        bool was_pad = false;

        /* Ends: pads do not follow each other, rows before the start end at start_limit, tears are
         * counted. */
        while (n_torn < TRIES_MAX) {
                const uint8_t *payload;
                int n;

                n = peek(r, &cursor->position, frame);
                if (n <= 0)
                        return n == -EAGAIN ? 0 : n;
                payload = r->data + (cursor->position & r->mask) + HEADER_SIZE;
                if (frame->length > 0 && frame->length <= room)
                        memcpy(out, payload, frame->length);
                if (is_torn(r, cursor->position)) {
                        n_torn++;
                        continue;
                }
                if (frame->flags & EVENT_FRAME_PAD) {
                        if (was_pad)
                                return -EPROTO;
                        was_pad = true;
                        cursor->position += frame->size;
                        continue;
                }
                was_pad = false;
                if (is_before_start(r, cursor, frame)) {
                        cursor->position += frame->size;
                        continue;
                }
                return deliver(cursor, frame, room, &ret->lost);
        }
        return 0;
}

bool ring_has_more(const struct ring_reader *r, const struct ring_cursor *cursor) {
        return load_head(r) != cursor->position;
}

uint64_t ring_cursor_lost_tail(const struct ring_reader *r, struct ring_cursor *cursor,
                               unsigned int stream) {
        uint64_t rows = load_rows(r, stream);
        uint64_t *next_seq = &cursor->next_seq[stream];
        uint64_t lost = rows > *next_seq ? rows - *next_seq : 0;

        *next_seq += lost;
        return lost;
}

void ring_stream_counters(const struct ring_reader *r, unsigned int stream,
                          struct event_ring_stream *ret) {
        const struct event_ring_stream *from = &r->header->streams[stream];

        ret->rows = load_rows(r, stream);
        for (unsigned int i = 0; i < _DROP_REASON_SLOTS; i++)
                ret->dropped[i] = __atomic_load_n(&from->dropped[i], __ATOMIC_RELAXED);
}

const char *drop_reason_name(enum drop_reason reason) {
        static const char *const names[_DROP_REASON_MAX] = {
                [DROP_KERNEL_FULL] = "kernel-full", [DROP_MALFORMED] = "malformed",
                [DROP_TOO_LARGE] = "too-large",     [DROP_FILTERED] = "filtered",
                [DROP_LIMITED] = "limited",
        };

        return (unsigned int)reason < _DROP_REASON_MAX ? names[reason] : NULL;
}
