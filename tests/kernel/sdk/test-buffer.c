/* SPDX-License-Identifier: Apache-2.0 */
/* gadget/buffer.h: each way to send, into a ring and into perf buffers. */
#include "tests/lib/needs.h"

#include <bpf/bpf.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "tests/kernel/sdk/lab.h"

#define OBJECT SDK_OBJECT_DIR "/buffer-" GADGET_ARCH ".bpf.o"

enum way { RESERVE_SUBMIT, RESERVE_DISCARD, OUTPUT, OUTPUT_SHORT, COUNT_LOST };

static struct lab lab;

static int teardown(void **state) {
        lab_done(&lab);
        return 0;
}

static void start(enum lab_kernel kernel, enum way way) {
        test_needs(NEED_BPF_TRACEPOINT);
        lab_open(&lab, OBJECT, kernel);
        lab_set_u32(&lab, "targ_pid", (uint32_t)getpid());
        lab_set_u32(&lab, "how", way);
        lab_start(&lab);
}

static void call(int n) {
        for (int i = 0; i < n; i++)
                (void)syscall(SYS_getppid);
}

static void check_each_way(enum lab_kernel kernel) {
        /* Few enough for 4 KiB. */
        static const struct {
                enum way way;
                uint64_t n_events;
                uint64_t step;
                size_t len;
                char fill;
        } ways[] = {
                { RESERVE_SUBMIT, 10, 1, 128, 'r' },
                { RESERVE_DISCARD, 5, 2, 128, 'r' },
                { OUTPUT, 10, 1, 128, 'o' },
                { OUTPUT_SHORT, 10, 1, 12, 'o' },
        };

        for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
                start(kernel, ways[i].way);
                call(10);
                lab_drain(&lab);
                assert_int_equal(lab.n_received, ways[i].n_events);
                assert_int_equal(lab_lost(&lab), 0);
                for (size_t n = 0; n < lab.n_samples; n++) {
                        const struct sample *sample = lab.samples[n];
                        const char *text = sample_str(&lab, sample, "text");

                        assert_int_equal(sample_uint(&lab, sample, "number"), n * ways[i].step);
                        assert_in_range(sample->len, ways[i].len, ways[i].len + (lab.perf ? 8 : 0));
                        assert_int_equal(text[0], ways[i].fill);
                        if (lab.ring && ways[i].way == OUTPUT_SHORT)
                                assert_int_equal(strlen(text), 4); /* the rest reads as zeros */
                }
                lab_done(&lab);
        }
}

static void test_each_way(void **state) {
        check_each_way(LAB_THIS_KERNEL);
}

static void test_each_way_on_an_old_kernel(void **state) {
        check_each_way(LAB_OLD_KERNEL);
}

/* Unread until it is over: what did not fit is what was counted. */
static void check_overflow(enum lab_kernel kernel) {
        for (enum way way = RESERVE_SUBMIT; way <= OUTPUT_SHORT; way++) {
                uint64_t made = way == RESERVE_DISCARD ? 5000 : 10000;

                start(kernel, way);
                call(10000);
                lab_drain(&lab);
                assert_true(lab.n_received > 0);
                assert_true(lab_lost(&lab) > 0);
                /* A place that was not to be had is counted whether or not it would have been used.
                 */
                if (way == RESERVE_DISCARD)
                        assert_in_range(lab.n_received + lab_lost(&lab), made, 10000);
                else
                        assert_int_equal(lab.n_received + lab_lost(&lab), made);
                lab_done(&lab);
        }
}

static void test_overflow(void **state) {
        check_overflow(LAB_THIS_KERNEL);
}

static void test_overflow_on_an_old_kernel(void **state) {
        check_overflow(LAB_OLD_KERNEL);
}

static void test_count_lost(void **state) {
        start(LAB_THIS_KERNEL, COUNT_LOST);
        call(123);
        assert_int_equal(lab_lost(&lab), 123);
}

#define TEST(_test) cmocka_unit_test_teardown(_test, teardown)

static const struct CMUnitTest tests[] = {
        TEST(test_each_way),   TEST(test_each_way_on_an_old_kernel),
        TEST(test_overflow),   TEST(test_overflow_on_an_old_kernel),
        TEST(test_count_lost),
};

TEST_MAIN_SETUP("sdk/buffer", tests, lab_mount_tracefs, NULL)
