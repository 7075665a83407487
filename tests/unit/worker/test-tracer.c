/* SPDX-License-Identifier: Apache-2.0 */
/* Real programs on this kernel: exact rows, and exact numbers of those that are missing. */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "rig.h"
#include "tests/lib/needs.h"

static void trigger(unsigned int n) {
        for (unsigned int i = 0; i < n; i++)
                syscall(SYS_getppid);
}

static void start(struct rig *rig, struct bytes object, size_t ring_size, const char *key,
                  const char *value) {
        char pid[16];

        snprintf(pid, sizeof(pid), "%d", getpid());
        if (rig_open(rig, object, NULL, ring_size) < 0)
                fail_msg("%s", rig->err.msg);
        rig_param(rig, "pid", pid);
        if (key)
                rig_param(rig, key, value);
        if (rig_start(rig) < 0)
                fail_msg("%s\n%s", rig->err.msg, rig->detail ? rig->detail : "");
}

static size_t field_index(const struct rig *rig, unsigned int stream, const char *name) {
        const struct event_type *type = rig->gadget.sources[stream].type;

        for (size_t i = 0; i < type->n_fields; i++)
                if (str_eq(type->fields[i].name, name))
                        return i;
        fail_msg("no field '%s'", name);
        return 0;
}

/* A copy of the row's reader moved to the field. */
static struct mp_value field(const struct rig *rig, unsigned int stream, struct mp_reader row,
                             const char *name) {
        struct mp_value v;

        for (size_t i = field_index(rig, stream, name); i > 0; i--)
                assert_int_equal(mp_skip(&row), 0);
        assert_int_equal(mp_read(&row, &v), 0);
        return v;
}

static struct event_ring_stream counters(const struct rig *rig, unsigned int stream) {
        struct event_ring_stream c;

        ring_stream_counters(&rig->reader, stream, &c);
        return c;
}

static void test_one_of_every_type(void **state) {
        struct bytes object;
        struct mp_reader row;
        unsigned int stream;
        struct rig rig;
        struct mp_value v;
        uint64_t wall;

        test_needs(NEED_BPF_TRACEPOINT);
        object = rig_object("tests/gadgets/all_types");
        start(&rig, object, 64 << 10, "p_s16", "-1234");
        wall = clock_ns(CLOCK_REALTIME);
        trigger(1);
        assert_int_equal(rig_next_row(&rig, &stream, &row), 1);
        assert_int_equal(stream, 0);
        assert_true(field(&rig, 0, row, "u64_max").u == UINT64_MAX);
        assert_true(field(&rig, 0, row, "s64_min").i == INT64_MIN);
        assert_int_equal(field(&rig, 0, row, "s8_min").i, -128);
        assert_int_equal(field(&rig, 0, row, "c").u, 'c');
        assert_true(field(&rig, 0, row, "yes").b);
        assert_int_equal(field(&rig, 0, row, "color_raw").u, 7);
        assert_int_equal(field(&rig, 0, row, "signed_color_raw").i, -3);
        assert_int_equal(field(&rig, 0, row, "access_raw").u, 9);
        v = field(&rig, 0, row, "text");
        assert_true(bytes_eq(BYTES(v.data, v.n), "some text"));
        v = field(&rig, 0, row, "tail");
        assert_true(bytes_eq(BYTES(v.data, v.n), "the end of the tail"));
        v = field(&rig, 0, row, "l4v4.addr");
        assert_int_equal(v.n, 4);
        assert_memory_equal(v.data, "\xc0\xa8\x01\x02", 4);
        assert_int_equal(field(&rig, 0, row, "args").n, 4);
        assert_int_equal(field(&rig, 0, row, "proc.pid").u, getpid());
        /* Boot time has become wall-clock time, right to well within a second. */
        assert_true(field(&rig, 0, row, "timestamp_raw").u - wall + NSEC_PER_SEC / 2 <
                    NSEC_PER_SEC);

        /* The other stream has the parameters as the program saw them. */
        assert_int_equal(rig_next_row(&rig, &stream, &row), 1);
        assert_int_equal(stream, 1);
        assert_int_equal(field(&rig, 1, row, "p_s16").i, -1234);
        assert_int_equal(field(&rig, 1, row, "p_u8").u, 1);
        v = field(&rig, 1, row, "p_text");
        assert_true(bytes_eq(BYTES(v.data, v.n), "default"));
        assert_int_equal(rig_next_row(&rig, &stream, &row), 0);
        rig_done(&rig);
        free((void *)(uintptr_t)object.data);
}

static void test_design_document_gadget(void **state) {
        struct bytes object;
        struct mp_reader row;
        unsigned int stream, n = 0;
        struct rig rig;
        struct mp_value v;

        test_needs(NEED_BPF_TRACEPOINT);
        object = rig_object("tests/unit/worker/design");
        if (rig_open(&rig, object, "params:\n  ebpf:\n    only_pid: { key: pid }\n", 64 << 10) < 0)
                fail_msg("%s", rig.err.msg);
        char pid[16];

        snprintf(pid, sizeof(pid), "%d", getpid());
        rig_param(&rig, "pid", pid);
        if (rig_start(&rig) < 0)
                fail_msg("%s", rig.err.msg);
        trigger(10);
        while (rig_next_row(&rig, &stream, &row)) {
                assert_int_equal(field(&rig, 0, row, "pid").u, getpid());
                assert_int_equal(field(&rig, 0, row, "ret").i, -2);
                v = field(&rig, 0, row, "fname");
                assert_true(bytes_eq(BYTES(v.data, v.n), "/etc/hostname"));
                n++;
        }
        assert_int_equal(n, 10);
        rig_done(&rig);
        free((void *)(uintptr_t)object.data);
}

/* A 4 KiB ring has room for 7 records of 520 bytes: what does not fit is counted, to the last one.
 */
static void test_full_kernel_ring_is_counted(void **state) {
        struct event_ring_stream c;
        struct bytes object;
        struct mp_reader row;
        unsigned int stream;
        uint64_t next = 0, n = 0;
        struct rig rig;

        test_needs(NEED_BPF_TRACEPOINT);
        object = rig_object("tests/unit/worker/small_ring");
        start(&rig, object, 64 << 10, NULL, NULL);
        for (int round = 0; round < 100; round++) {
                trigger(13);
                while (rig_next_row(&rig, &stream, &row)) {
                        uint64_t number = field(&rig, 0, row, "number").u;

                        assert_true(number >= next);
                        next = number + 1;
                        n++;
                }
        }
        for (size_t i = 0; i < rig.run.n_tracers; i++)
                assert_int_equal(tracer_read_losses(&rig.run.tracers[i], &rig.run.out), 0);
        c = counters(&rig, 0);
        assert_int_equal(c.rows, n);
        assert_true(c.dropped[DROP_KERNEL_FULL] > 100);
        assert_int_equal(c.rows + c.dropped[DROP_KERNEL_FULL], 1300);
        assert_int_equal(c.dropped[DROP_MALFORMED], 0);
        /* Read again: nothing is counted twice. */
        assert_int_equal(tracer_read_losses(&rig.run.tracers[0], &rig.run.out), 0);
        assert_int_equal(counters(&rig, 0).dropped[DROP_KERNEL_FULL], c.dropped[DROP_KERNEL_FULL]);
        rig_done(&rig);
        free((void *)(uintptr_t)object.data);
}

static void test_sizes(void **state) {
        static const struct {
                const char *size; /* of the record; the type has 512 bytes */
                unsigned int rows;
                unsigned int malformed;
                const char *text;
                uint64_t size_field;
        } cases[] = {
                { "520", 0, 5, NULL, 0 }, { "512", 5, 0, "tail", 512 }, { "17", 5, 0, "tail", 17 },
                { "14", 5, 0, "ta", 14 }, { "12", 5, 0, "", 12 },       { "8", 5, 0, "", 0 },
                { "0", 0, 0, NULL, 0 },
        };

        test_needs(NEED_BPF_TRACEPOINT);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct bytes object = rig_object("tests/unit/worker/small_ring");
                unsigned int stream, n = 0;
                struct mp_reader row;
                struct rig rig;

                start(&rig, object, 64 << 10, "size", cases[i].size);
                trigger(5);
                while (rig_next_row(&rig, &stream, &row)) {
                        struct mp_value v = field(&rig, 0, row, "text");

                        assert_true(bytes_eq(BYTES(v.data, v.n), cases[i].text));
                        assert_int_equal(field(&rig, 0, row, "number").u, n);
                        assert_int_equal(field(&rig, 0, row, "size").u, cases[i].size_field);
                        n++;
                }
                assert_int_equal(n, cases[i].rows);
                assert_int_equal(counters(&rig, 0).dropped[DROP_MALFORMED], cases[i].malformed);
                rig_done(&rig);
                free((void *)(uintptr_t)object.data);
        }
}

/* A 64 KiB event ring has frames of 8 KiB: every second row of 9 KB is dropped and counted. */
static void test_rows_larger_than_a_frame(void **state) {
        unsigned int stream, n = 0;
        struct bytes object;
        struct mp_reader row;
        struct rig rig;

        test_needs(NEED_BPF_TRACEPOINT);
        object = rig_object("tests/unit/worker/small_ring");
        start(&rig, object, 64 << 10, "size", "99999");
        for (int i = 0; i < 20; i++) {
                trigger(2);
                while (rig_next_row(&rig, &stream, &row)) {
                        assert_int_equal(stream, 1);
                        assert_int_equal(field(&rig, 1, row, "text").n, 1000);
                        n++;
                }
        }
        assert_int_equal(n, 20);
        assert_int_equal(counters(&rig, 1).dropped[DROP_TOO_LARGE], 20);
        rig_done(&rig);
        free((void *)(uintptr_t)object.data);
}

static void *loop(void *arg) {
        struct rig *rig = arg;

        return (void *)(intptr_t)run_loop(&rig->run);
}

static bool bell_rings(const struct rig *rig, int timeout_ms) {
        struct pollfd p = { .fd = rig->start.bell_fd, .events = POLLIN };
        uint64_t n;

        return poll(&p, 1, timeout_ms) == 1 && read(p.fd, &n, sizeof(n)) == sizeof(n);
}

/* The real loop, in a thread: an idle worker tells of one event at once, a busy one loses nothing,
 * a stop drains all. */
static void test_run_loop(void **state) {
        unsigned int stream;
        uint64_t n = 0, best = UINT64_MAX;
        struct bytes object;
        struct mp_reader row;
        struct rig rig;
        pthread_t thread;
        void *result;

        test_needs(NEED_BPF_TRACEPOINT);
        object = rig_object("tests/gadgets/all_types");
        start(&rig, object, 1 << 20, NULL, NULL);
        assert_int_equal(pthread_create(&thread, NULL, loop, &rig), 0);
        for (int i = 0; i < 50; i++) {
                uint64_t begin = now_ns();

                trigger(1);
                assert_true(bell_rings(&rig, 5000));
                best = MIN(best, now_ns() - begin);
                while (bell_rings(&rig, 5)) /* until it rests again */
                        ;
        }
        /* The best of 50: a shared machine may hold us up, a timer would always. */
        assert_true(best < NSEC_PER_MSEC);

        for (int i = 0; i < 100; i++)
                trigger(100);
        rig_host_says(HOST_STOP);
        assert_int_equal(pthread_join(thread, &result), 0);
        assert_int_equal((intptr_t)result, 0);
        ring_cursor_oldest(&rig.reader, &rig.cursor);
        while (rig_next_row(&rig, &stream, &row))
                n++;
        assert_int_equal(counters(&rig, 0).rows + counters(&rig, 0).dropped[DROP_KERNEL_FULL],
                         10050);
        assert_int_equal(counters(&rig, 1).rows + counters(&rig, 1).dropped[DROP_KERNEL_FULL],
                         10050);
        assert_true(n <= counters(&rig, 0).rows + counters(&rig, 1).rows);
        assert_true(n > 0);
        rig_done(&rig);
        free((void *)(uintptr_t)object.data);
}

static void test_lost_broker_ends_the_loop(void **state) {
        struct bytes object;
        struct rig rig;

        test_needs(NEED_BPF_TRACEPOINT);
        object = rig_object("tests/gadgets/all_types");
        start(&rig, object, 64 << 10, NULL, NULL);
        rig_host_says(HOST_CLOSED);
        assert_int_equal(run_loop(&rig.run), -ECONNRESET);
        rig_done(&rig);
        free((void *)(uintptr_t)object.data);
}

static void run_on(int cpu) {
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
}

/* One buffer a CPU: rows of all of them, and what did not fit into one of them is counted when its
 * next event comes. */
static void test_perf_event_array(void **state) {
        struct bytes object;
        struct mp_reader row;
        unsigned int stream;
        uint64_t n = 0, made = 0;
        cpu_set_t allowed;
        struct mp_value v;
        struct rig rig;
        char pid[16];

        test_needs(NEED_BPF_TRACEPOINT);
        object = rig_object("tests/unit/worker/perf");
        if (rig_open(&rig, object, NULL, 4 << 20) < 0)
                fail_msg("%s", rig.err.msg);
        snprintf(pid, sizeof(pid), "%d", getpid());
        rig_param(&rig, "only_pid", pid);
        if (rig_start(&rig) < 0)
                fail_msg("%s\n%s", rig.err.msg, rig.detail ? rig.detail : "");
        assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
                if (!CPU_ISSET(cpu, &allowed))
                        continue;
                run_on(cpu);
                trigger(3);
                made += 3;
                for (unsigned int i = 0; i < 3; i++, n++) {
                        assert_int_equal(rig_next_row(&rig, &stream, &row), 1);
                        assert_int_equal(field(&rig, 0, row, "number").u, n);
                        assert_int_equal(field(&rig, 0, row, "cpu").u, cpu);
                        v = field(&rig, 0, row, "text");
                        assert_true(bytes_eq(BYTES(v.data, v.n), "per CPU"));
                }
                assert_int_equal(rig_next_row(&rig, &stream, &row), 0);
        }
        /* More than fits, then one more to hear of the rest. */
        trigger(20000);
        run_drain(&rig.run);
        trigger(1);
        run_drain(&rig.run);
        made += 20001;
        assert_true(counters(&rig, 0).dropped[DROP_KERNEL_FULL] > 0);
        assert_int_equal(counters(&rig, 0).dropped[DROP_MALFORMED], 0);
        assert_int_equal(counters(&rig, 0).rows + counters(&rig, 0).dropped[DROP_KERNEL_FULL],
                         made);
        assert_int_equal(sched_setaffinity(0, sizeof(allowed), &allowed), 0);
        rig_done(&rig);
        free((void *)(uintptr_t)object.data);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_of_every_type),
        cmocka_unit_test(test_design_document_gadget),
        cmocka_unit_test(test_full_kernel_ring_is_counted),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_rows_larger_than_a_frame),
        cmocka_unit_test(test_run_loop),
        cmocka_unit_test(test_lost_broker_ends_the_loop),
        cmocka_unit_test(test_perf_event_array),
};

TEST_MAIN("worker/tracer", tests)
