/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel stacks as text. The map and the broker are played by the test. */
#include <bpf/bpf.h>
#include <stdio.h>

#include "base/util.h"
#include "gadget/api.h"
#include "tests/lib/needs.h"
#include "worker/kernel-stack.h"
#include "worker/stack-text.h"

static uint64_t map[16][LIMIT_STACK_FRAMES_MAX]; /* by id */
static unsigned int n_asked;                     /* addresses */
static int broker_says;
static size_t name_len;
static char text[LIMIT_STACK_TEXT_MAX + 1];

int __wrap_bpf_map_lookup_elem(int fd, const void *key, void *value);
int __wrap_bpf_map_lookup_elem(int fd, const void *key, void *value) {
        uint32_t id = *(const uint32_t *)key;

        assert_int_equal(fd, 77);
        if (id >= ARRAY_SIZE(map) || map[id][0] == 0)
                return -ENOENT;
        memcpy(value, map[id], sizeof(map[id]));
        return 0;
}

/* Names are the addresses in words, so long as the test wants them; odd hundreds have none. */
static int ask(const uint64_t *addresses, size_t n, uint8_t *out, size_t room) {
        size_t at = 0;

        assert_true(n > 0 && n <= LIMIT_STACK_FRAMES_MAX);
        n_asked += (unsigned int)n;
        if (broker_says < 0)
                return broker_says;
        for (size_t i = 0; i < n; i++) {
                char name[256];
                int len = snprintf(name, sizeof(name), "f%0*llu", (int)name_len,
                                   (unsigned long long)addresses[i]);

                if (addresses[i] / 100 % 2)
                        len = 0;
                assert_true(at + 1 + (size_t)len <= room);
                out[at++] = (uint8_t)len;
                memcpy(out + at, name, (size_t)len);
                at += (size_t)len;
        }
        return (int)at;
}

static const char *text_of(uint32_t id) {
        uint32_t n = kernel_stack_text(id, text);

        assert_true(n <= LIMIT_STACK_TEXT_MAX);
        text[n] = '\0';
        return text;
}

static int setup(void **state) {
        memset(map, 0, sizeof(map));
        broker_says = 0;
        name_len = 0;
        kernel_stack_set_source(ask);
        kernel_stack_set_map(77, sizeof(map[0]));
        kernel_stack_expire(UINT64_MAX);
        kernel_stack_expire(UINT64_MAX - UINT64_MAX / 2);
        n_asked = 0;
        return 0;
}

static void test_text(void **state) {
        memcpy(map[3], (uint64_t[]){ 1000, 2001, 3101 }, 24);
        memcpy(map[0], (uint64_t[]){ 2000 }, 8); /* 0 is an id like others */
        /* The innermost function is where it was, the others before the call. */
        assert_string_equal(text_of(3), "f1000; f2000; [unknown]");
        assert_int_equal(n_asked, 3);
        assert_string_equal(text_of(3), "f1000; f2000; [unknown]");
        assert_string_equal(text_of(0), "f2000");
        assert_int_equal(n_asked, 3); /* all known, also that one has no name */
        assert_string_equal(text_of(4), "");
        assert_string_equal(text_of((uint32_t)-EEXIST), "[no stack: EEXIST]");
        assert_string_equal(text_of((uint32_t)-EFAULT), "");
}

static void test_names_expire(void **state) {
        map[1][0] = 1000;
        assert_string_equal(text_of(1), "f1000");
        kernel_stack_expire(UINT64_MAX / 2 + 59 * NSEC_PER_SEC);
        text_of(1);
        assert_int_equal(n_asked, 1);
        kernel_stack_expire(UINT64_MAX / 2 + 62 * NSEC_PER_SEC);
        assert_string_equal(text_of(1), "f1000");
        assert_int_equal(n_asked, 2);
}

/* No names at all, and it is asked once only. */
static void test_broker_does_not_know(void **state) {
        memcpy(map[1], (uint64_t[]){ 1000, 2001 }, 16);
        broker_says = -EACCES;
        assert_string_equal(text_of(1), "[unknown]; [unknown]");
        assert_string_equal(text_of(1), "[unknown]; [unknown]");
        assert_int_equal(n_asked, 2);
}

/* As many functions as there can be in a hundred kernels: the table stays bounded and right. */
static void test_many_names(void **state) {
        for (uint64_t round = 0; round < 200; round++) {
                char expected[32];

                for (size_t i = 0; i < LIMIT_STACK_FRAMES_MAX; i++)
                        map[1][i] = (round * LIMIT_STACK_FRAMES_MAX + i + 1) * 200 + (i > 0);
                snprintf(expected, sizeof(expected), "f%llu; f%llu; ",
                         (unsigned long long)map[1][0], (unsigned long long)map[1][1] - 1);
                assert_memory_equal(text_of(1), expected, strlen(expected));
        }
        assert_int_equal(n_asked, 200 * LIMIT_STACK_FRAMES_MAX);
}

static void test_long_text_is_cut(void **state) {
        size_t n;

        name_len = 200;
        for (size_t i = 0; i < LIMIT_STACK_FRAMES_MAX; i++)
                map[1][i] = (i + 1) * 200 + (i > 0);
        n = strlen(text_of(1));
        assert_true(n > LIMIT_STACK_TEXT_MAX - 210 && n <= LIMIT_STACK_TEXT_MAX);
        assert_string_equal(text + n - strlen(STACK_MORE), STACK_MORE);
}

/* Exactly full is not cut. */
static void test_text_limit(void **state) {
        static char big[LIMIT_STACK_TEXT_MAX];
        struct stack_text t = { .out = text };
        size_t room = LIMIT_STACK_TEXT_MAX - strlen(STACK_MORE);

        stack_text_add(&t, BYTES(big, room - 1), BYTES("x", 1));
        assert_int_equal(t.len, room);
        assert_false(t.is_full);
        stack_text_add(&t, BYTES("", 0), BYTES("", 0));
        assert_true(t.is_full);
        assert_int_equal(t.len, LIMIT_STACK_TEXT_MAX);
        stack_text_add(&t, BYTES("y", 1), BYTES("", 0));
        assert_int_equal(t.len, LIMIT_STACK_TEXT_MAX);
}

static void test_odd_maps(void **state) {
        map[1][0] = 1000;
        kernel_stack_set_map(77, sizeof(map[0]) + 8);
        assert_string_equal(text_of(1), "");
        kernel_stack_set_map(77, 12);
        assert_string_equal(text_of(1), "");
        kernel_stack_set_map(-1, 0);
        assert_string_equal(text_of(1), "");
        kernel_stack_set_map(77, 8);
        map[1][1] = 2000;
        assert_string_equal(text_of(1), "f1000");
}

#define STACK_TEST(_test) cmocka_unit_test_setup(_test, setup)
static const struct CMUnitTest tests[] = {
        STACK_TEST(test_text),
        STACK_TEST(test_names_expire),
        STACK_TEST(test_broker_does_not_know),
        STACK_TEST(test_many_names),
        STACK_TEST(test_long_text_is_cut),
        STACK_TEST(test_text_limit),
        STACK_TEST(test_odd_maps),
};
TEST_MAIN("worker-kernel-stack", tests)
