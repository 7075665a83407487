/* SPDX-License-Identifier: Apache-2.0 */
/* Objects whose declarations do not fit together: each is refused with a message that names what
 * and where. */
#include <stdio.h>

#include "rig.h"
#include "tests/lib/needs.h"

/* By the CASE_* of convention.bpf.c. */
static const struct {
        int result;
        const char *message;
} cases[] = {
        [1] = { -EEXIST, "data sources 'one' and 'two' both use map 'events'" },
        [2] = { -EEXIST, "two data sources are called 'one'" },
        [3] = { -ENOENT, "data source 'one' names map 'evnts', which does not exist; did you mean "
                         "'events'?" },
        [4] = { -ENOENT, "data source 'one' names struct 'evemt', which does not exist; did you "
                         "mean 'event'?" },
        [5] = { -ENOEXEC,
                "tracer 'one': map 'table' is neither a ring buffer nor a perf event array" },
        [6] = { -ENOEXEC, "'gadget_tracer_one___events' does not read name___map___type" },
        [7] = { -ENOEXEC, "data source 'one': map 'events_lost_samples' is not a per-CPU array of "
                          "8-byte counters" },
        [8] = { -ENOEXEC, "map iterator 'one': map 'events' is neither a hash map nor an "
                          "array" },
        [9] = { -ENOEXEC, "map 'print_one' does not say what it carries; add __type(value, struct "
                          "...) to it" },
        [10] = { -ENOEXEC, "the object declares no data source" },
        [11] = { -E2BIG, "the gadget has more than 16 data sources" }, /* LIMIT_STREAMS_MAX */
        [12] = { -ENOEXEC, "gadget_param_setting marks a parameter, but there is no const volatile "
                           "variable 'setting'" },
        [13] = { -ENOEXEC,
                 "variable 'setting' cannot be a parameter: it is no integer, bool, enum or text" },
        [14] = { -E2BIG,
                 "tracer 'one': struct huge has 65540 bytes, not 1 to 65536" }, /* LIMIT_EVENT_SIZE_MAX
                                                                                 */
        [15] = { -E2BIG,
                 "map iterator 'one': histogram 'slots' of struct (anonymous) has 65 slots" },
        [16] = { -ENOEXEC, "map iterator 'one': map 'table' does not say what it holds" },
        [17] = { -ENOENT, "data source 'one' names map 'event', which does not exist; did you mean "
                          "'events'?" },
        [18] = { -ENOEXEC, "'gadget_iter_one___event' does not read name___type___program" },
        [19] = { -ENOENT, "data source 'one' names program 'on_tsk', which does not exist; did you "
                          "mean 'on_task'?" },
        [20] = { -ENOEXEC,
                 "program 'on_switch' is in section 'tp_btf/sched_switch', not in one that "
                 "begins with iter/" },
        [21] = { -ENOEXEC, "'gadget_iter_type' says what iterators write, but the object has no "
                           "program in a section that begins with iter/" },
        [22] = { -E2BIG, "map iterator 'one': key and value have not 1 to 65528 bytes together" },
        [23] = { -ENOEXEC, "'gadget_tracer_two' does not read name___map___type" },
};

static void test_wrong_declarations(void **state) {
        for (size_t i = 1; i < ARRAY_SIZE(cases); i++) {
                char name[64];
                struct bytes object;
                struct rig rig;
                int r;

                snprintf(name, sizeof(name), "tests/unit/worker/convention%zu", i);
                object = rig_object(name);
                r = rig_open(&rig, object, NULL, 64 << 10);
                if (r != cases[i].result || !strstr(rig.err.msg, cases[i].message))
                        fail_msg("case %zu: %d '%s' is not '%s'", i, r, rig.err.msg,
                                 cases[i].message);
                rig_done(&rig);
                free((void *)(uintptr_t)object.data);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_declarations),
};

TEST_MAIN("worker/convention", tests)
