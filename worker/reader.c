/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/reader.h"

#include <stdio.h>

#include "base/log.h"
#include "base/parse.h"
#include "worker/container.h"

#define USUAL_INTERVAL NSEC_PER_SEC
/* More often than this is a tracer's work. */
#define INTERVAL_MIN (NSEC_PER_MSEC)

static int read_interval(struct reader *reader, const struct gadget *g, const struct source *source,
                         struct error *err) {
        cleanup_free char *text = NULL;
        int r;

        reader->interval_ns = source->kind == STREAM_MAP ? USUAL_INTERVAL : 0;
        if (annotations_is_true(&source->annotations, "ebpf.map.flush-on-stop"))
                reader->interval_ns = 0;
        r = gadget_option(g, source, RUN_OPTION_INTERVAL, &text, err);
        if (r < 0 || !text)
                return r;
        if (parse_duration(text, &reader->interval_ns) < 0 || reader->interval_ns > INT64_MAX)
                return error_set(err, ERROR_USAGE, -EINVAL,
                                 "interval: '%.64s' is no duration such as 500ms or 2s", text);
        if (reader->interval_ns > 0 && reader->interval_ns < INTERVAL_MIN)
                return error_set(err, ERROR_USAGE, -EINVAL, "interval: '%.64s' is shorter than 1ms",
                                 text);
        return 0;
}

static int read_count(struct reader *reader, const struct gadget *g, const struct source *source,
                      struct error *err) {
        cleanup_free char *text = NULL;
        uint64_t count = 0;
        int r;

        r = gadget_option(g, source, RUN_OPTION_COUNT, &text, err);
        if (r == 0 && text && parse_u64(text, 0, UINT32_MAX, &count) < 0)
                r = error_set(err, ERROR_USAGE, -EINVAL,
                              "count: '%.64s' is not a number from 0 to %u", text, UINT32_MAX);
        if (r < 0)
                return r;
        if (count == 0 && !reader->reads_at_stop && reader->interval_ns == 0)
                count = 1;
        reader->reads_left = count ? count : UINT64_MAX;
        if (count > 1 && reader->interval_ns == 0)
                reader->interval_ns = USUAL_INTERVAL;
        return 0;
}

static int read_keep(const struct gadget *g, const struct source *source, bool *ret,
                     struct error *err) {
        cleanup_free char *text = NULL;
        int r;

        *ret = false;
        r = gadget_option(g, source, RUN_OPTION_KEEP, &text, err);
        if (r == 0 && text && parse_bool(text, ret) < 0)
                r = error_set(err, ERROR_USAGE, -EINVAL, "keep: '%.64s' is neither true nor false",
                              text);
        return r;
}

int reader_init(struct reader *reader, const struct gadget *g, uint16_t stream,
                const struct ring_writer *out, struct error *err) {
        const struct source *source = &g->sources[stream];
        bool keep;
        int r;

        *reader = (struct reader){
                .kind = source->kind, .map.fd = -1, .losses.fd = -1, .next_ns = UINT64_MAX
        };
        snprintf(reader->name, sizeof(reader->name), "%.63s", source->name);
        reader->reads_at_stop =
                source->kind != STREAM_SNAPSHOT ||
                annotations_is_true(&source->annotations, "ebpf.iter.fetch-on-stop");
        r = array_init(&reader->array, g, stream, out, err);
        if (r == 0)
                r = read_interval(reader, g, source, err);
        if (r == 0)
                r = read_count(reader, g, source, err);
        if (r == 0)
                r = read_keep(g, source, &keep, err);
        if (r < 0)
                return r;
        if (source->kind == STREAM_SNAPSHOT) {
                iterator_init(&reader->iterator, source);
                return 0;
        }
        r = map_reader_init(&reader->map, source, g->start->n_cpus, !keep, err);
        return r < 0 ? r : losses_init(&reader->losses, source, g->start->n_cpus, err);
}

void reader_done(struct reader *reader) {
        array_done(&reader->array);
        map_reader_done(&reader->map);
        iterator_done(&reader->iterator);
        losses_done(&reader->losses);
}

void reader_start(struct reader *reader, uint64_t now) {
        if (!reader->reads_at_stop || reader->reads_left == 1)
                reader->next_ns = now;
        else if (reader->interval_ns > 0)
                reader->next_ns = now + reader->interval_ns;
}

/* By the clock, not by when the last read ended; what was missed is not made up for. */
static void plan(struct reader *reader, uint64_t now) {
        if (reader->reads_left == 0 || reader->interval_ns == 0) {
                reader->next_ns = UINT64_MAX;
                return;
        }
        reader->next_ns += reader->interval_ns;
        if (reader->next_ns <= now)
                reader->next_ns = now + reader->interval_ns;
}

void reader_read(struct reader *reader, struct drain *d, uint64_t now) {
        int r;

        container_begin_drain();
        array_begin(&reader->array, d);
        r = reader->kind == STREAM_SNAPSHOT ? iterator_read(&reader->iterator, &reader->array, d)
                                            : map_reader_read(&reader->map, &reader->array, d);
        array_end(&reader->array, d);
        if (r == 0)
                r = losses_read(&reader->losses, reader->array.rows.stream, d->out);
        if (r < 0)
                log_warning_errno(r, "cannot read all of data source '%s', going on with the rest",
                                  reader->name);
        if (reader->reads_left != UINT64_MAX)
                reader->reads_left--;
        plan(reader, now);
}
