/* SPDX-License-Identifier: Apache-2.0 */
/* Maps and iterators as arrays: every entry, once, in order, with everything that is left out
 * counted. */
#include <bpf/bpf.h>
#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "rig.h"
#include "tests/lib/needs.h"
#include "tests/lib/wait.h"

#define ROWS_MAX 8192

struct call_key {
        uint32_t id;
        char name[8];
};
struct call_value {
        uint64_t count;
        int32_t delta;
        uint32_t id;
};

static struct {
        struct bytes object;
        struct rig rig;
        /* the array read last */
        uint64_t rows[ROWS_MAX][8];
        size_t n;
} fx;

static unsigned int stream_of(const char *name) {
        for (size_t i = 0; i < fx.rig.gadget.n_sources; i++)
                if (str_eq(fx.rig.gadget.sources[i].name, name))
                        return (unsigned int)i;
        fail_msg("no data source '%s'", name);
        return 0;
}

/* Readers are in the order of their sources, and there is no tracer. */
static struct reader *reader_of(const char *name) {
        return &fx.rig.run.readers[stream_of(name)];
}

static void start(const char *object, const char *const *options) {
        fx.object = rig_object(object);
        if (rig_open(&fx.rig, fx.object, NULL, 1 << 20) < 0)
                fail_msg("%s", fx.rig.err.msg);
        for (; options && options[0]; options += 2)
                rig_param(&fx.rig, options[0], options[1]);
        if (rig_start(&fx.rig) < 0)
                fail_msg("%s\n%s", fx.rig.err.msg, fx.rig.detail ? fx.rig.detail : "");
}

static void stop(void) {
        rig_done(&fx.rig);
        free((void *)(uintptr_t)fx.object.data);
}

static int map_fd(const char *name) {
        return bpf_map__fd(bpf_object__find_map_by_name(fx.rig.gadget.object, name));
}

static void put_entry(uint32_t id, uint64_t count, int32_t delta) {
        struct call_key key = { .id = id, .name = "n" };
        struct call_value value = { .count = count, .delta = delta, .id = 7 };

        assert_int_equal(bpf_map_update_elem(map_fd("stats_calls"), &key, &value, BPF_ANY), 0);
}

static uint64_t number(struct mp_reader *r) {
        struct mp_value v;

        assert_int_equal(mp_read(r, &v), 0);
        for (uint32_t i = 0; v.type == MP_ARRAY && i < v.n; i++)
                (void)number(r);
        if (v.type == MP_STR || v.type == MP_ARRAY)
                return v.n;
        assert_true(v.type == MP_UINT || v.type == MP_INT);
        return v.u;
}

static void add_row(struct mp_reader *rows) {
        uint32_t n;

        assert_int_equal(mp_read_array(rows, &n), 0);
        assert_true(fx.n < ROWS_MAX);
        for (uint32_t i = 0; i < n; i++) {
                uint64_t v = number(rows);

                if (i < 8)
                        fx.rows[fx.n][i] = v;
        }
        fx.n++;
}

/* One read of the source: exactly one array, whose first and last frame say so. */
static void read_array(const char *name) {
        unsigned int stream = stream_of(name);
        bool is_first = true, is_last = false;
        struct drain d;

        fx.n = 0;
        drain_begin(&d, &fx.rig.run.out, fx.rig.run.bell_fd);
        reader_read(reader_of(name), &d, now_ns());
        drain_end(&d);
        while (!is_last) {
                struct ring_frame frame;
                struct mp_reader rows;

                assert_int_equal(
                        ring_read(&fx.rig.reader, &fx.rig.cursor, fx.rig.frame, 64 << 10, &frame),
                        1);
                assert_int_equal(frame.header.stream, stream);
                assert_int_equal((frame.header.flags & EVENT_FRAME_SNAPSHOT) != 0, is_first);
                is_last = frame.header.flags & EVENT_FRAME_END;
                is_first = false;
                rows = mp_reader_of(BYTES(fx.rig.frame, frame.header.length));
                for (uint32_t i = 0; i < frame.header.n_rows; i++)
                        add_row(&rows);
        }
        assert_false(ring_has_more(&fx.rig.reader, &fx.rig.cursor));
}

static uint64_t dropped(const char *name, enum drop_reason reason) {
        struct event_ring_stream c;

        ring_stream_counters(&fx.rig.reader, stream_of(name), &c);
        return c.dropped[reason];
}

static void test_what_is_found(void **state) {
        const struct source *calls, *sizes, *table;

        test_needs(NEED_BPF_ITER);
        start("tests/unit/worker/kinds", NULL);
        assert_int_equal(fx.rig.gadget.n_sources, 6);
        calls = &fx.rig.gadget.sources[stream_of("calls")];
        sizes = &fx.rig.gadget.sources[stream_of("sizes")];
        table = &fx.rig.gadget.sources[stream_of("table")];
        assert_int_equal(calls->kind, STREAM_MAP);
        assert_int_equal(calls->type->n_fields, 4); /* not the second id */
        assert_string_equal(calls->type->fields[0].name, "id");
        assert_true(calls->type->fields[0].flags & FIELD_KEY);
        assert_string_equal(calls->type->fields[1].name, "name");
        assert_int_equal(calls->type->fields[1].kind, FIELD_STR);
        assert_string_equal(calls->type->fields[2].name, "count");
        assert_false(calls->type->fields[2].flags & FIELD_KEY);
        assert_int_equal(sizes->kind, STREAM_HISTOGRAM);
        assert_string_equal(sizes->type->fields[0].name, "key");
        assert_int_equal(sizes->type->fields[1].render, RENDER_HISTOGRAM);
        assert_int_equal(table->kind, STREAM_MAP);
        assert_string_equal(table->type->fields[1].name, "value");
        assert_int_equal(fx.rig.gadget.sources[stream_of("elements")].kind, STREAM_SNAPSHOT);
        stop();
}

/* Every id from 0 to n - 1 is there exactly once, with its values. */
static void expect_all(size_t n) {
        static bool seen[ROWS_MAX];

        memset(seen, 0, sizeof(seen));
        assert_int_equal(fx.n, n);
        for (size_t i = 0; i < n; i++) {
                uint64_t id = fx.rows[i][0];

                assert_true(id < n);
                assert_false(seen[id]);
                seen[id] = true;
                assert_int_equal(fx.rows[i][1], 1); /* length of the name */
                assert_int_equal(fx.rows[i][2], id * 10);
        }
}

static void read_every_way(bool has_batch, uint32_t n_batch, const char *keep) {
        const char *const options[] = { "keep", keep, NULL };
        struct reader *reader;

        start("tests/unit/worker/kinds", options);
        reader = reader_of("calls");
        reader->map.has_batch = has_batch;
        if (n_batch)
                reader->map.n_batch = n_batch;
        read_array("calls");
        assert_int_equal(fx.n, 0);
        for (uint32_t i = 0; i < 3000; i++)
                put_entry(i, i * 10, -1);
        read_array("calls");
        expect_all(3000);
        read_array("calls");
        if (str_eq(keep, "true"))
                expect_all(3000);
        else
                assert_int_equal(fx.n, 0);
        stop();
}

static void test_in_batches(void **state) {
        test_needs(NEED_BPF_ITER);
        read_every_way(true, 0, "false");
        read_every_way(true, 0, "true");
}

/* Buckets do not fit into a batch of one entry: the batch grows. */
static void test_growing_batches(void **state) {
        test_needs(NEED_BPF_ITER);
        read_every_way(true, 1, "false");
        read_every_way(true, 1, "true");
}

static void test_one_by_one(void **state) {
        test_needs(NEED_BPF_ITER);
        read_every_way(false, 0, "false");
        read_every_way(false, 0, "true");
}

static void test_arrays_and_histograms(void **state) {
        uint32_t slots[8] = { 1, 2, 3 };

        test_needs(NEED_BPF_ITER);
        start("tests/unit/worker/kinds", NULL);
        for (uint32_t i = 0; i < 4; i++) {
                uint64_t v = 100 + i;

                assert_int_equal(bpf_map_update_elem(map_fd("table"), &i, &v, BPF_ANY), 0);
        }
        /* Nothing can be taken out of an array, so it is the same twice. */
        for (int k = 0; k < 2; k++) {
                read_array("table");
                assert_int_equal(fx.n, 4);
                for (size_t i = 0; i < 4; i++) {
                        assert_int_equal(fx.rows[i][0], i);
                        assert_int_equal(fx.rows[i][1], 100 + i);
                }
        }
        for (uint32_t i = 0; i < 2; i++)
                assert_int_equal(bpf_map_update_elem(map_fd("hist_sizes"), &i, slots, BPF_ANY), 0);
        read_array("sizes");
        assert_int_equal(fx.n, 2);
        assert_int_equal(fx.rows[0][1], 8); /* slots */
        stop();
}

/* As in kinds.bpf.c. */
struct cpu_value {
        uint64_t count;
        char text[8];
        int32_t delta;
        uint32_t pid;
        uint16_t small;
        uint64_t bytes;
        uint32_t slots[4];
};

/* Entry `id`, which only the CPUs from `first` on have: each of them counts 10 and its number. */
static void put_cpu_entry(uint32_t id, uint32_t first) {
        uint32_t n = fx.rig.start.n_cpus;
        struct cpu_value *values = calloc(n, sizeof(*values));

        assert_non_null(values);
        assert_int_equal(sizeof(*values) % 8, 0);
        for (uint32_t cpu = first; cpu < n; cpu++) {
                values[cpu] = (struct cpu_value){ .count = 10 + cpu,
                                                  .delta = -1,
                                                  .pid = 1000 + cpu,
                                                  .small = UINT16_MAX,
                                                  .bytes = UINT64_C(1) << 40,
                                                  .slots = { 1, 0, cpu, UINT32_MAX } };
                snprintf(values[cpu].text, sizeof(values[cpu].text), "c%u", cpu % 1000);
        }
        assert_int_equal(bpf_map_update_elem(map_fd("cpu_table"), &id, values, BPF_ANY), 0);
        free(values);
}

static void expect_cpu_entry(const uint64_t *row, uint32_t first) {
        uint32_t n = fx.rig.start.n_cpus, all = n - first;
        uint64_t count = 0;
        char text[8];

        for (uint32_t cpu = first; cpu < n; cpu++)
                count += 10 + cpu;
        assert_int_equal(row[1], count);
        assert_int_equal(row[2], snprintf(text, sizeof(text), "c%u", first % 1000));
        assert_int_equal((int64_t)row[3], -(int64_t)all);
        assert_int_equal(row[4], 1000 + first); /* an id is not added */
        assert_int_equal(row[5], (uint16_t)(all * UINT16_MAX));
        assert_int_equal(row[6], all * (UINT64_C(1) << 40));
}

static void read_cpus(bool has_batch, uint32_t n_batch) {
        struct reader *reader;

        start("tests/unit/worker/kinds", NULL);
        reader = reader_of("cpus");
        reader->map.has_batch = has_batch;
        if (n_batch)
                reader->map.n_batch = n_batch;
        for (uint32_t id = 0; id < 1000; id++)
                put_cpu_entry(id, id % fx.rig.start.n_cpus);
        read_array("cpus");
        assert_int_equal(fx.n, 1000);
        for (size_t i = 0; i < fx.n; i++)
                expect_cpu_entry(fx.rows[i], fx.rows[i][0] % fx.rig.start.n_cpus);
        read_array("cpus");
        assert_int_equal(fx.n, 0); /* taken */
        stop();
}

static void test_per_cpu_maps(void **state) {
        struct cpu_value values[3] = { { 0 },
                                       { .slots = { 1, 2, 3, 4 } },
                                       { .slots = { 10, 20, 30, UINT32_MAX } } };
        struct cpu_value sum = { .slots = { 11, 22, 33, 3 } }, out;
        struct per_cpu *per_cpu;
        uint64_t *slots;

        test_needs(NEED_BPF_ITER);
        read_cpus(true, 0);
        read_cpus(true, 1);
        read_cpus(false, 0);

        start("tests/unit/worker/kinds", NULL);
        per_cpu = &reader_of("cpus")->map.per_cpu;
        per_cpu->n_cpus = ARRAY_SIZE(values);
        per_cpu_merge(per_cpu, (const uint8_t *)values, (uint8_t *)&out);
        assert_memory_equal(&out, &sum, sizeof(sum));

        slots = calloc(fx.rig.start.n_cpus, sizeof(*slots));
        assert_non_null(slots);
        for (uint32_t i = 0; i < fx.rig.start.n_cpus; i++)
                slots[i] = 100;
        for (uint32_t i = 0; i < 3; i++)
                assert_int_equal(bpf_map_update_elem(map_fd("cpu_array"), &i, slots, BPF_ANY), 0);
        free(slots);
        for (int k = 0; k < 2; k++) { /* nothing is taken out of an array */
                read_array("cpu_elements");
                assert_int_equal(fx.n, 3);
                for (size_t i = 0; i < 3; i++)
                        assert_int_equal(fx.rows[i][1], 100 * fx.rig.start.n_cpus);
        }
        stop();
}

static void test_iterators(void **state) {
        bool is_here = false;

        test_needs(NEED_BPF_ITER);
        start("tests/unit/worker/kinds", NULL);
        read_array("elements");
        assert_int_equal(fx.n, 0);
        for (uint32_t i = 0; i < 1000; i++)
                put_entry(i, i * 2, 0);
        read_array("elements");
        assert_int_equal(fx.n, 1000);
        for (size_t i = 0; i < fx.n; i++)
                assert_int_equal(fx.rows[i][1], fx.rows[i][0] * 2);
        stop();

        start("tests/unit/worker/iterator", NULL);
        read_array("tasks");
        for (size_t i = 0; i < fx.n; i++)
                is_here |= fx.rows[i][0] == (uint64_t)getpid();
        assert_true(is_here);
        assert_int_equal(dropped("tasks", DROP_MALFORMED), 0);
        stop();
}

static void test_sort_and_limit(void **state) {
        static const char *const options[] = { "sort", "calls:delta,-count", "max-entries",
                                               "calls:10", NULL };

        test_needs(NEED_BPF_ITER);
        start("tests/unit/worker/kinds", options);
        for (uint32_t i = 0; i < 100; i++)
                put_entry(i, i, -(int32_t)(i % 2));
        read_array("calls");
        assert_int_equal(fx.n, 10);
        for (size_t i = 0; i < 10; i++)
                assert_int_equal(fx.rows[i][0], 99 - 2 * i); /* odd ones have delta -1 */
        assert_int_equal(dropped("calls", DROP_LIMITED), 90);

        /* So many that only the best are held meanwhile. */
        for (uint32_t i = 0; i < 4000; i++)
                put_entry(i, i, 0);
        read_array("calls");
        assert_int_equal(fx.n, 10);
        for (size_t i = 0; i < 10; i++)
                assert_int_equal(fx.rows[i][0], 3999 - i);
        assert_int_equal(dropped("calls", DROP_LIMITED), 90 + 3990);
        stop();
}

/* What a client of gadgetd would do, in a thread of its own. */
static void *consume(void *arg) {
        uint64_t *rows = arg, deadline = now_ns() + 20 * NSEC_PER_SEC;
        uint8_t *frame = malloc(64 << 10);
        uint64_t rung;
        bool is_last = false;

        while (!is_last && now_ns() < deadline) {
                struct ring_frame f;
                int r = ring_read(&fx.rig.reader, &fx.rig.cursor, frame, 64 << 10, &f);

                if (r == 0 && wait_readable(fx.rig.start.bell_fd, NSEC_PER_SEC) == 0)
                        (void)!read(fx.rig.start.bell_fd, &rung, sizeof(rung));
                if (r <= 0)
                        continue;
                rows[0] += f.header.n_rows;
                rows[1] += f.lost;
                is_last = f.header.flags & EVENT_FRAME_END;
        }
        free(frame);
        return NULL;
}

/* Several times as much as the event ring holds, and nothing of it is lost. */
static void test_larger_than_the_ring(void **state) {
        uint64_t rows[2] = { 0 };
        pthread_t thread;
        struct drain d;

        test_needs(NEED_BPF_ITER);
        fx.object = rig_object("tests/unit/worker/kinds");
        assert_int_equal(rig_open(&fx.rig, fx.object, NULL, LIMIT_EVENT_RING_MIN), 0);
        assert_int_equal(rig_start(&fx.rig), 0);
        for (uint32_t i = 0; i < 4000; i++)
                put_entry(i, UINT64_MAX - i, INT32_MIN);
        assert_int_equal(pthread_create(&thread, NULL, consume, rows), 0);
        for (int k = 0; k < 3; k++) {
                struct run *run = &fx.rig.run;

                drain_begin(&d, &run->out, run->bell_fd);
                reader_of("calls")->map.takes = false;
                reader_read(reader_of("calls"), &d, now_ns());
                drain_end(&d);
                pthread_join(thread, NULL);
                assert_int_equal(rows[1], 0);
                assert_int_equal(rows[0], 4000 * (k + 1));
                if (k < 2)
                        assert_int_equal(pthread_create(&thread, NULL, consume, rows), 0);
        }
        stop();
}

static void test_filtered_arrays(void **state) {
        static const char *const options[] = { "filter", "calls:count>=95", "max-entries", "3",
                                               NULL };

        test_needs(NEED_BPF_ITER);
        start("tests/unit/worker/kinds", options);
        for (uint32_t i = 0; i < 100; i++)
                put_entry(i, i, 0);
        read_array("calls");
        assert_int_equal(fx.n, 3);
        assert_int_equal(dropped("calls", DROP_FILTERED), 95);
        assert_int_equal(dropped("calls", DROP_LIMITED), 2);
        stop();
}

static void test_schedule(void **state) {
        static const char *const options[] = { "interval", "calls:200ms,table:0,elements:1s",
                                               "count", "calls:2,table:1", NULL };
        struct reader *calls, *table, *sizes, *elements;
        uint64_t t = 1000 * NSEC_PER_SEC;

        test_needs(NEED_BPF_ITER);
        start("tests/unit/worker/kinds", options);
        calls = reader_of("calls");
        table = reader_of("table");
        sizes = reader_of("sizes");
        elements = reader_of("elements");
        for (size_t i = 0; i < fx.rig.run.n_readers; i++)
                reader_start(&fx.rig.run.readers[i], t);
        assert_int_equal(calls->next_ns, t + 200 * NSEC_PER_MSEC);
        assert_int_equal(table->next_ns, t); /* once, at the start */
        assert_true(sizes->next_ns == UINT64_MAX);
        assert_true(sizes->reads_at_stop);
        assert_int_equal(elements->next_ns, t);
        assert_false(elements->reads_at_stop);

        assert_int_equal(run_read_due(&fx.rig.run, t), t + 200 * NSEC_PER_MSEC);
        assert_true(reader_is_finished(table));
        assert_int_equal(elements->next_ns, t + NSEC_PER_SEC);
        assert_false(reader_is_finished(calls));
        run_read_due(&fx.rig.run, t + 200 * NSEC_PER_MSEC);
        assert_false(reader_is_finished(calls));
        /* Late by a lot: one read, and the next an interval from now. */
        run_read_due(&fx.rig.run, t + 5 * NSEC_PER_SEC);
        assert_true(reader_is_finished(calls));
        assert_int_equal(elements->next_ns, t + 6 * NSEC_PER_SEC);
        stop();
}

/* An iterator that is read at the stop waits for it, unless it is to be read once anyway. */
static void test_iterator_at_stop(void **state) {
        static const char definition[] = "datasources:\n  elements:\n    annotations:\n"
                                         "      ebpf.iter.fetch-on-stop: true\n";
        static const struct {
                const char *key;
                const char *value;
                uint64_t first; /* after the start */
                bool is_last;   /* read when the stop comes */
        } cases[] = {
                { "keep", "calls:true", UINT64_MAX, true },
                { "interval", "elements:1s", NSEC_PER_SEC, true },
                { "count", "elements:1", 0, false },
        };
        uint64_t t = 1000 * NSEC_PER_SEC;

        test_needs(NEED_BPF_ITER);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct reader *reader;

                fx.object = rig_object("tests/unit/worker/kinds");
                assert_int_equal(rig_open(&fx.rig, fx.object, definition, 1 << 20), 0);
                rig_param(&fx.rig, cases[i].key, cases[i].value);
                if (rig_start(&fx.rig) < 0)
                        fail_msg("%s", fx.rig.err.msg);
                reader = reader_of("elements");
                reader_start(reader, t);
                assert_true(reader->next_ns ==
                            (cases[i].first == UINT64_MAX ? UINT64_MAX : t + cases[i].first));
                run_read_due(&fx.rig.run, t);
                assert_true(reader->reads_at_stop);
                assert_int_equal(reader_is_finished(reader), !cases[i].is_last);
                stop();
        }
}

static void test_refusals(void **state) {
        static const struct {
                const char *key;
                const char *value;
                const char *message;
        } wrong[] = {
                { "interval", "soon", "interval: 'soon' is no duration" },
                { "interval", "10us", "interval: '10us' is shorter than 1ms" },
                { "count", "-1", "count: '-1' is not a number" },
                { "keep", "perhaps", "keep: 'perhaps' is neither true nor false" },
                { "sort", "calls:cuont", "has no field 'cuont'; did you mean 'count'?" },
                { "sort", "sizes:slots", "sort: field 'slots' is an array" },
                { "max-entries", "1x", "max-entries: '1x' is not a number" },
        };

        test_needs(NEED_BPF_ITER);
        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                fx.object = rig_object("tests/unit/worker/kinds");
                assert_int_equal(rig_open(&fx.rig, fx.object, NULL, 64 << 10), 0);
                rig_param(&fx.rig, wrong[i].key, wrong[i].value);
                assert_int_equal(rig_start(&fx.rig), -EINVAL);
                if (!strstr(fx.rig.err.msg, wrong[i].message))
                        fail_msg("'%s'", fx.rig.err.msg);
                stop();
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_found),
        cmocka_unit_test(test_in_batches),
        cmocka_unit_test(test_growing_batches),
        cmocka_unit_test(test_one_by_one),
        cmocka_unit_test(test_arrays_and_histograms),
        cmocka_unit_test(test_iterators),
        cmocka_unit_test(test_sort_and_limit),
        cmocka_unit_test(test_larger_than_the_ring),
        cmocka_unit_test(test_filtered_arrays),
        cmocka_unit_test(test_per_cpu_maps),
        cmocka_unit_test(test_schedule),
        cmocka_unit_test(test_iterator_at_stop),
        cmocka_unit_test(test_refusals),
};
TEST_MAIN("worker-reader", tests)
