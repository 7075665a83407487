/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/array.h"

#include <time.h>

#include "base/parse.h"

/* Bytes of events held for sorting; a larger array loses its last rows before they are sorted. */
#define HELD_MAX (32u << 20)
#define HELD_FIRST 64u
/* A limited array is cut back to its best rows when it has become so much larger. */
#define SPARE_ROWS 1024u
#define PAUSE_NS 10000000

/* Another array has the field: the key is for that one. */
static bool is_elsewhere(const struct gadget *g, const struct source *source, const char *name) {
        for (size_t i = 0; i < g->n_sources; i++)
                if (&g->sources[i] != source && g->sources[i].kind != STREAM_TRACER &&
                    value_find_field(g->sources[i].type, name, NULL))
                        return true;
        return false;
}

static int add_key(struct array *a, const struct gadget *g, const struct source *source,
                   const char *text, struct error *err) {
        const char *name = text + (*text == '-' || *text == '+');
        const struct event_field *f = value_find_field(source->type, name, NULL);
        struct sort_key *key = &a->keys[a->n_keys];
        int r;

        if (!f) {
                const char *near = value_nearest_field(source->type, name);

                if (is_elsewhere(g, source, name))
                        return 0;
                r = error_set(err, ERROR_USAGE, -EINVAL,
                              "sort: data source '%s' has no field '%.64s'", source->name, name);
                if (near)
                        error_append(err, "did you mean '%s'?", near);
                return r;
        }
        if (f->kind == FIELD_ARRAY)
                return error_set(err, ERROR_USAGE, -EINVAL, "sort: field '%s' is an array",
                                 f->name);
        if (a->n_keys == SORT_KEYS_MAX)
                return error_set(err, ERROR_USAGE, -EINVAL, "sort: more than %d fields",
                                 SORT_KEYS_MAX);
        value_field_init(&key->field, f);
        key->is_descending = *text == '-';
        a->n_keys++;
        return 0;
}

static int read_sort(struct array *a, const struct gadget *g, const struct source *source,
                     struct error *err) {
        cleanup_free char *text = NULL;
        char *rest;
        int r;

        r = gadget_option(g, source, RUN_OPTION_SORT, &text, err);
        rest = text;
        while (r == 0 && rest) {
                const char *name = strsep(&rest, ",;");

                if (*name)
                        r = add_key(a, g, source, name, err);
        }
        return r;
}

static int read_max_rows(struct array *a, const struct gadget *g, const struct source *source,
                         struct error *err) {
        cleanup_free char *text = NULL;
        int r;

        r = gadget_option(g, source, RUN_OPTION_MAX_ENTRIES, &text, err);
        if (r < 0 || !text)
                return r;
        if (parse_u64(text, 0, UINT32_MAX, &a->max_rows) < 0)
                return error_set(err, ERROR_USAGE, -EINVAL,
                                 "max-entries: '%.64s' is not a number from 0 to %u", text,
                                 UINT32_MAX);
        if (a->max_rows == 0)
                a->max_rows = UINT64_MAX;
        return 0;
}

int array_init(struct array *a, const struct gadget *g, uint16_t stream,
               const struct ring_writer *out, struct error *err) {
        const struct source *source = &g->sources[stream];
        int r;

        *a = (struct array){ .max_rows = UINT64_MAX };
        r = rows_init(&a->rows, g, stream, out, err);
        if (r == 0)
                r = read_sort(a, g, source, err);
        return r < 0 ? r : read_max_rows(a, g, source, err);
}

static void forget_held(struct array *a) {
        free(a->held);
        free(a->lens);
        a->held = NULL;
        a->lens = NULL;
        a->n_held = a->room_held = 0;
}

void array_done(struct array *a) {
        forget_held(a);
        rows_done(&a->rows);
        *a = (struct array){ 0 };
}

void array_begin(struct array *a, const struct drain *d) {
        a->pause_at = d->out->head + d->out->size / 2;
        a->batch = (struct batch){ .flags = EVENT_FRAME_SNAPSHOT };
        a->n_rows = 0;
}

/* Half a ring may be written at once, even before anybody has attached; then there is a pause for
 * each eighth. Who still does not keep up loses rows, and is told. */
static void pause_for_reader(struct array *a, struct drain *d) {
        if (d->out->head < a->pause_at)
                return;
        a->pause_at = d->out->head + d->out->size / 8;
        rows_ring_bell(d);
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
}

static void put(struct array *a, struct drain *d, const uint8_t *event, uint32_t len) {
        pause_for_reader(a, d);
        rows_put(&a->rows, d, &a->batch, event, len);
}

static void limit(struct array *a, struct drain *d, uint64_t n) {
        if (n > 0)
                ring_writer_drop(d->out, a->rows.stream, DROP_LIMITED, n);
}

/* --- sorting --- */

/* More than can be held. Nobody has asked for that, so it is told as a loss. */
static void give_up(struct array *a, struct drain *d, uint64_t n) {
        if (n > 0)
                ring_writer_drop(d->out, a->rows.stream, DROP_TOO_LARGE, n);
}

/* Each held event: its type's whole room. */
static uint8_t *held_at(const struct array *a, size_t i) {
        return a->held + i * a->rows.program.event_size;
}

static int compare_held(const void *x, const void *y, void *arg) {
        const uint32_t *i = x, *k = y;
        const struct array *a = arg;

        for (size_t n = 0; n < a->n_keys; n++) {
                struct value v = value_of(&a->keys[n].field, held_at(a, *i), a->lens[*i], 0);
                struct value w = value_of(&a->keys[n].field, held_at(a, *k), a->lens[*k], 0);
                int r = value_compare(&v, &w);

                if (r != 0)
                        return a->keys[n].is_descending ? -r : r;
        }
        return (*i > *k) - (*i < *k); /* as they came */
}

/* Indexes of what is held, in order; NULL when there is no memory. */
static uint32_t *sorted(struct array *a) {
        uint32_t *order = reallocarray(NULL, MAX(a->n_held, (size_t)1), sizeof(*order));

        if (!order)
                return NULL;
        for (size_t i = 0; i < a->n_held; i++)
                order[i] = (uint32_t)i;
        qsort_r(order, a->n_held, sizeof(*order), compare_held, a);
        return order;
}

/* Keeps the best of what is held, and makes them the first. */
static void cut(struct array *a, struct drain *d) {
        cleanup_free uint32_t *order = sorted(a);
        size_t size = a->rows.program.event_size, n = (size_t)a->max_rows;
        cleanup_free uint8_t *held = order ? malloc(n * size) : NULL;
        cleanup_free uint32_t *lens = held ? calloc(n, sizeof(*lens)) : NULL;

        if (!lens)
                return; /* held until the limit of bytes is reached */
        for (size_t i = 0; i < n; i++) {
                memcpy(held + i * size, held_at(a, order[i]), size);
                lens[i] = a->lens[order[i]];
        }
        memcpy(a->held, held, n * size);
        memcpy(a->lens, lens, n * sizeof(*lens));
        limit(a, d, a->n_held - n);
        a->n_held = n;
}

static bool grow(struct array *a) {
        size_t size = a->rows.program.event_size, room = MAX(a->room_held * 2, (size_t)HELD_FIRST);
        uint8_t *held;
        uint32_t *lens;

        if (room * size > HELD_MAX)
                room = HELD_MAX / size;
        if (room <= a->n_held)
                return false;
        held = reallocarray(a->held, room, size);
        if (!held)
                return false;
        a->held = held;
        lens = reallocarray(a->lens, room, sizeof(*lens));
        if (!lens)
                return false;
        a->lens = lens;
        a->room_held = room;
        return true;
}

static void hold(struct array *a, struct drain *d, const uint8_t *event, uint32_t len) {
        if (a->n_held == a->room_held && a->max_rows < a->n_held / 2 && a->n_held > SPARE_ROWS)
                cut(a, d);
        if (a->n_held == a->room_held && !grow(a)) {
                give_up(a, d, 1);
                return;
        }
        memcpy(held_at(a, a->n_held), event, len);
        a->lens[a->n_held++] = len;
}

static void put_sorted(struct array *a, struct drain *d) {
        cleanup_free uint32_t *order = sorted(a);
        size_t n = order ? MIN(a->n_held, (size_t)MIN(a->max_rows, (uint64_t)SIZE_MAX)) : 0;

        for (size_t i = 0; i < n; i++)
                put(a, d, held_at(a, order[i]), a->lens[order[i]]);
        if (order)
                limit(a, d, a->n_held - n);
        else
                give_up(a, d, a->n_held);
        forget_held(a);
}

void array_add(struct array *a, struct drain *d, const uint8_t *event, uint32_t len) {
        if (!rows_admit(&a->rows, d, &event, &len))
                return;
        if (a->n_keys > 0) {
                hold(a, d, event, len);
        } else if (a->n_rows < a->max_rows) {
                put(a, d, event, len);
                a->n_rows++;
        } else {
                limit(a, d, 1);
        }
}

void array_end(struct array *a, struct drain *d) {
        if (a->n_keys > 0)
                put_sorted(a, d);
        if (!a->batch.start)
                rows_begin(&a->rows, d, &a->batch);
        d->out->frame->flags |= EVENT_FRAME_END;
        rows_commit(d, &a->batch);
}
