/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a test needs from the machine, honest skipping, and the main() of every cmocka program. A
 * need is probed by doing it once, never by version; the reason of each skip goes to stderr as
 * "SKIP-REASON need: why". GADGET_TEST_REQUIRE (a comma list of need names, or "all") turns an
 * unmet need into a failure, so that a broken machine cannot turn the suite green. Call
 * test_needs() in the test itself: cmocka 1.1.5 counts a skip() in a fixture as an error.
 */
#pragma once

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/util.h"

enum need {
        NEED_ROOT,
        NEED_BTF,            /* /sys/kernel/btf/vmlinux */
        NEED_BPF_TRACEPOINT, /* each BPF need: load a program of that type and attach it */
        NEED_BPF_RAW_TP,
        NEED_BPF_TP_BTF,
        NEED_BPF_PERF_EVENT,
        NEED_BPF_ITER,
        NEED_BPF_UPROBE,
        NEED_BPF_KPROBE,
        NEED_BPF_FENTRY,
        NEED_BPF_LSM,
        NEED_BPF_XDP,
        NEED_BPF_CGROUP_SKB,
        NEED_BPF_SOCKET,
        NEED_USERNS,
        NEED_OVERLAY,
        NEED_CGROUP,   /* a hierarchy that limits memory, and one that limits pids */
        NEED_REGISTRY, /* Debian's docker-registry */
        NEED_SKOPEO,
        NEED_UMOCI,
        NEED_RUNC,      /* runc, that makes containers here */
        NEED_CLANG_BPF, /* clang that compiles for the BPF target */
        _NEED_MAX,
};

const char *need_name(enum need need);

/* Probes once a process. NULL when met, else why not; the text stays valid. */
const char *need_probe(enum need need);

/* Goes on when the need is met; else skips the running test, or fails it when GADGET_TEST_REQUIRE
 * names the need. */
void test_needs(enum need need);

/* Skips the running test, or fails it, as test_needs() does, for a need that only the test itself
 * can know. */
void test_unmet(const char *need, const char *why);

/* Runs the group; 1 = a test failed, 77 = all were skipped, else 0. Prints the line that ./x test
 * counts. */
int test_main(const char *name, const struct CMUnitTest *tests, size_t n_tests,
              CMFixtureFunction setup, CMFixtureFunction teardown);

#define TEST_MAIN(_name, _tests) TEST_MAIN_SETUP(_name, _tests, NULL, NULL)
#define TEST_MAIN_SETUP(_name, _tests, _setup, _teardown)                                          \
        int main(void) {                                                                           \
                return test_main(_name, _tests, ARRAY_SIZE(_tests), _setup, _teardown);            \
        }
