/* SPDX-License-Identifier: Apache-2.0 */
#include "client/selection.h"

#include "base/parse.h"
#include "base/text.h"
#include "client/render.h"
#include "client/row-filter.h"
#include "gadget/event-ring.h"

#define KEYS_MAX 8

struct sort_key {
        struct field_ref ref;
        bool is_descending;
};

/* A row that is held: where it lies among the held bytes. */
struct held {
        size_t offset;
        size_t n;
};

struct source {
        const struct schema_stream *stream;
        struct row_filter *filter;
        struct sort_key keys[KEYS_MAX];
        size_t n_keys;
        uint64_t max_rows; /* UINT64_MAX = all */
        uint64_t n_rows;   /* of the open array, handed on */
        bool holds;        /* rows wait for the end of the array, or of everything */
        struct buf bytes;
        struct held *held;
        size_t n_held;
        size_t room_held;
};

struct selection {
        struct source sources[LIMIT_STREAMS_MAX];
        uint32_t n_sources;
        struct buf out;
        uint64_t n_limited;
};

/* --- options --- */

/* Another array has the field: the key is for that one. */
static bool is_elsewhere(const struct schema *schema, const struct source *source,
                         const char *name) {
        struct field_ref ref;

        for (uint32_t i = 0; i < schema->n_streams; i++)
                if (&schema->streams[i] != source->stream &&
                    schema->streams[i].kind != STREAM_TRACER &&
                    field_find(&schema->streams[i], name, &ref) == 0)
                        return true;
        return false;
}

static int add_key(const struct schema *schema, struct source *source, const char *text,
                   struct error *err) {
        const char *name = text + (*text == '-' || *text == '+'), *near;
        struct sort_key *key = &source->keys[source->n_keys];

        if (source->n_keys == KEYS_MAX)
                return error_set(err, ERROR_USAGE, -EINVAL, "sort: more than %d fields", KEYS_MAX);
        if (field_find(source->stream, name, &key->ref) < 0) {
                if (is_elsewhere(schema, source, name))
                        return 0;
                near = field_nearest(source->stream, name);
                error_set(err, ERROR_USAGE, -EINVAL, "sort: data source '%s' has no field '%.64s'",
                          source->stream->name, name);
                if (near)
                        error_append(err, "did you mean '%s'?", near);
                return -EINVAL;
        }
        key->is_descending = *text == '-';
        source->n_keys++;
        return 0;
}

/* The option's text for this source; *ret is NULL when there is none. */
static int option_for(const struct schema *schema, const struct source *source,
                      const struct run_options *options, enum run_option option, char **ret,
                      struct error *err) {
        const char *names[LIMIT_STREAMS_MAX];
        int r;

        for (uint32_t i = 0; i < schema->n_streams; i++)
                names[i] = schema->streams[i].name;
        r = run_options_for_source(options, option, source->stream->name, names, schema->n_streams,
                                   ret);
        return r < 0 ? error_set(err, ERROR_INTERNAL, r, "out of memory") : 0;
}

static int read_filter(const struct schema *schema, struct source *source,
                       const struct run_options *options, struct error *err) {
        cleanup_free char *terms = NULL, *expression = NULL;
        int r;

        r = option_for(schema, source, options, RUN_OPTION_FILTER, &terms, err);
        if (r == 0)
                r = option_for(schema, source, options, RUN_OPTION_FILTER_EXPR, &expression, err);
        return r < 0 ? r
                     : row_filter_new(schema, source->stream, terms, expression, &source->filter,
                                      err);
}

static int read_sort(const struct schema *schema, struct source *source,
                     const struct run_options *options, struct error *err) {
        cleanup_free char *text = NULL;
        char *rest;
        int r;

        r = option_for(schema, source, options, RUN_OPTION_SORT, &text, err);
        rest = text;
        while (r == 0 && rest) {
                const char *name = strsep(&rest, ",;");

                if (*name)
                        r = add_key(schema, source, name, err);
        }
        return r;
}

static int read_max(const struct schema *schema, struct source *source,
                    const struct run_options *options, struct error *err) {
        cleanup_free char *text = NULL;
        int r;

        r = option_for(schema, source, options, RUN_OPTION_MAX_ENTRIES, &text, err);
        source->max_rows = UINT64_MAX;
        if (r < 0 || !text)
                return r;
        if (parse_u64(text, 0, UINT32_MAX, &source->max_rows) < 0)
                return error_set(err, ERROR_USAGE, -EINVAL,
                                 "max-entries: '%.64s' is not a number from 0 to %u", text,
                                 UINT32_MAX);
        if (source->max_rows == 0)
                source->max_rows = UINT64_MAX;
        return 0;
}

static int source_init(struct source *source, const struct schema *schema,
                       const struct schema_stream *stream, const struct run_options *options,
                       bool is_whole, struct error *err) {
        int r;

        *source = (struct source){ .stream = stream,
                                   .max_rows = UINT64_MAX,
                                   .bytes = BUF_INIT(SELECTION_HELD_MAX) };
        r = read_filter(schema, source, options, err);
        /* The rows of a tracer have no end. */
        if (stream->kind == STREAM_TRACER && !is_whole)
                return r;
        if (r == 0)
                r = read_sort(schema, source, options, err);
        if (r == 0)
                r = read_max(schema, source, options, err);
        source->holds = source->n_keys > 0;
        return r;
}

static int check(const struct schema *schema, const struct run_options *options, bool is_whole,
                 struct error *err) {
        struct run_source sources[LIMIT_STREAMS_MAX];

        for (uint32_t i = 0; i < schema->n_streams; i++)
                sources[i] =
                        (struct run_source){ schema->streams[i].name, schema->streams[i].kind };
        return run_options_check(options, sources, schema->n_streams, is_whole, err);
}

int selection_new(const struct schema *schema, const struct run_options *options, bool is_whole,
                  struct selection **ret, struct error *err) {
        cleanup(selection_freep) struct selection *selection = NULL;
        int r;

        r = check(schema, options, is_whole, err);
        if (r < 0)
                return r;
        selection = calloc(1, sizeof(*selection));
        if (!selection)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        selection->out = BUF_INIT(SELECTION_HELD_MAX + RENDER_SLACK);
        for (uint32_t i = 0; i < schema->n_streams; i++) {
                selection->n_sources = i + 1;
                r = source_init(&selection->sources[i], schema, &schema->streams[i], options,
                                is_whole, err);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(selection);
        return 0;
}

struct selection *selection_free(struct selection *selection) {
        if (!selection)
                return NULL;
        for (uint32_t i = 0; i < selection->n_sources; i++) {
                row_filter_free(selection->sources[i].filter);
                buf_done(&selection->sources[i].bytes);
                free(selection->sources[i].held);
        }
        buf_done(&selection->out);
        free(selection);
        return NULL;
}

uint64_t selection_n_limited(const struct selection *selection) {
        return selection->n_limited;
}

/* --- rows --- */

static bool hold(struct source *source, struct bytes encoded) {
        if (source->n_held == source->room_held) {
                size_t room = MAX(source->room_held * 2, (size_t)256);
                struct held *held = reallocarray(source->held, room, sizeof(*held));

                if (!held)
                        return false;
                source->held = held;
                source->room_held = room;
        }
        if (source->bytes.len + encoded.len > SELECTION_HELD_MAX ||
            buf_append(&source->bytes, encoded.data, encoded.len) < 0)
                return false;
        source->held[source->n_held++] =
                (struct held){ source->bytes.len - encoded.len, encoded.len };
        return true;
}

static int compare_key(const struct sort_key *key, const struct row *x, const struct row *y) {
        struct value a = row_value(x, &key->ref), b = row_value(y, &key->ref);

        return value_compare(&a, &b);
}

static int compare_held(const void *p, const void *q, void *arg) {
        const struct held *x = p, *y = q;
        const struct source *source = arg;
        struct bytes a = BYTES(source->bytes.data + x->offset, x->n);
        struct bytes b = BYTES(source->bytes.data + y->offset, y->n);
        struct row row_a, row_b;

        if (row_next(source->stream, &a, &row_a) <= 0 || row_next(source->stream, &b, &row_b) <= 0)
                return 0;
        for (size_t i = 0; i < source->n_keys; i++) {
                int r = compare_key(&source->keys[i], &row_a, &row_b);

                if (r != 0)
                        return source->keys[i].is_descending ? -r : r;
        }
        return (x->offset > y->offset) - (x->offset < y->offset);
}

static int hand_on(struct selection *selection, uint32_t index, uint32_t flags, selection_sink sink,
                   void *userdata) {
        struct buf *out = &selection->out;
        int64_t n;

        if (out->len == 0 && flags == 0)
                return 0;
        if (!buf_reserve(out, RENDER_SLACK))
                return buf_result(out);
        n = sink(userdata, index, flags, BYTES(out->data, out->len));
        return n < 0 ? (int)n : 0;
}

/* Sorted, at most max_rows of them. */
static int hand_on_held(struct selection *selection, uint32_t index, uint32_t flags,
                        selection_sink sink, void *userdata) {
        struct source *source = &selection->sources[index];
        size_t n = (size_t)MIN(source->max_rows, (uint64_t)source->n_held);

        if (source->n_held > 0)
                qsort_r(source->held, source->n_held, sizeof(*source->held), compare_held, source);
        buf_reset(&selection->out);
        for (size_t i = 0; i < n; i++)
                buf_append(&selection->out, source->bytes.data + source->held[i].offset,
                           source->held[i].n);
        source->n_held = 0;
        buf_reset(&source->bytes);
        return hand_on(selection, index, flags, sink, userdata);
}

/* True when the row goes on with its own frame. */
static bool admit(struct selection *selection, struct source *source, const struct row *row,
                  struct bytes encoded) {
        if (source->filter && !row_filter_passes(source->filter, row))
                return false;
        if (source->holds) {
                selection->n_limited += !hold(source, encoded);
                return false;
        }
        return source->n_rows++ < source->max_rows;
}

int selection_add(struct selection *selection, uint32_t index, uint32_t flags, struct bytes rows,
                  selection_sink sink, void *userdata) {
        struct source *source;
        struct row row;
        int r;

        if (index >= selection->n_sources)
                return -EBADMSG;
        source = &selection->sources[index];
        if (flags & EVENT_FRAME_SNAPSHOT)
                source->n_rows = 0;
        if (!source->filter && !source->holds && source->max_rows == UINT64_MAX) {
                int64_t n = sink(userdata, index, flags, rows);

                return n < 0 ? (int)n : 0;
        }
        buf_reset(&selection->out);
        for (;;) {
                const uint8_t *start = rows.data;

                r = row_next(source->stream, &rows, &row);
                if (r <= 0)
                        break;
                if (admit(selection, source, &row, BYTES(start, rows.data - start)))
                        buf_append(&selection->out, start, (size_t)(rows.data - start));
        }
        if (r < 0)
                return r;
        if (!source->holds)
                return hand_on(selection, index, flags, sink, userdata);
        if (!(flags & EVENT_FRAME_END))
                return 0;
        return hand_on_held(selection, index, EVENT_FRAME_SNAPSHOT | EVENT_FRAME_END, sink,
                            userdata);
}

int selection_end(struct selection *selection, selection_sink sink, void *userdata) {
        for (uint32_t i = 0; i < selection->n_sources; i++) {
                int r = 0;

                if (selection->sources[i].holds &&
                    selection->sources[i].stream->kind == STREAM_TRACER)
                        r = hand_on_held(selection, i, 0, sink, userdata);
                if (r < 0)
                        return r;
        }
        return 0;
}
