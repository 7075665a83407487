/* SPDX-License-Identifier: Apache-2.0 */
/* How large maps are made under which parameters. Nothing is loaded. */
#include <unistd.h>

#include "rig.h"
#include "tests/lib/needs.h"

static struct rig rig;
static struct bytes object;

static const char *off; /* a program that is switched off */

static void apply(bool is_host_wide, const char *key, const char *value) {
        object = rig_object("tests/unit/worker/sizes");
        if (rig_open(&rig, object, NULL, 64 << 10) < 0)
                fail_msg("%s", rig.err.msg);
        if (key)
                rig_param(&rig, key, value);
        if (params_apply(&rig.gadget.params, rig.start.params, &rig.gadget.options, &rig.err) < 0)
                fail_msg("%s", rig.err.msg);
        if (!is_host_wide)
                params_set_flag(rig.gadget.object, "gadget_filter_by_mntns", true);
        if (off)
                bpf_program__set_autoload(bpf_object__find_program_by_name(rig.gadget.object, off),
                                          false);
        if (map_sizes_apply(&rig.gadget, object, &rig.err) < 0)
                fail_msg("%s", rig.err.msg);
}

static uint32_t entries(const char *map) {
        return bpf_map__max_entries(bpf_object__find_map_by_name(rig.gadget.object, map));
}

static void done(void) {
        rig_done(&rig);
        free((void *)(uintptr_t)object.data);
}

static void test_unused_maps_are_small(void **state) {
        const struct map_sizes *sizes = &rig.gadget.map_sizes;

        apply(true, NULL, NULL);
        assert_int_equal(entries("ig_ustack"), 1);
        assert_int_equal(entries("ig_build_id"), 1);
        assert_int_equal(entries("gadget_mntns_filter_map"), 1);
        assert_int_equal(entries("table"), 64);
        assert_int_equal(entries("events"), 4096);
        /* Ten thousand stacks and a thousand lists of build ids. */
        assert_true(sizes->declared_bytes > 14 << 20);
        assert_true(sizes->bytes < 1 << 20);
        done();
}

static void test_used_maps_stay(void **state) {
        apply(false, "collect-ustack", "true");
        assert_int_equal(entries("ig_ustack"), 10000);
        assert_int_equal(entries("ig_build_id"), 1); /* not asked for */
        assert_int_equal(entries("gadget_mntns_filter_map"), 1024);
        assert_true(rig.gadget.map_sizes.bytes > 10 << 20);
        done();
}

static void test_size_by_parameter(void **state) {
        apply(true, "table_max_entries", "5000");
        assert_int_equal(entries("table"), 5000);
        done();
}

static void test_maps_of_programs(void **state) {
        uint64_t bytes;

        apply(true, NULL, NULL);
        assert_int_equal(entries("of_one"), 1000);
        assert_int_equal(entries("of_both"), 1000);
        assert_int_equal(entries("of_nobody"), 1);
        assert_int_equal(entries("ring_of_nobody"), sysconf(_SC_PAGESIZE));
        assert_int_equal(entries("with_elements"), 4);
        assert_int_equal(entries("of_a_map"), 10);
        bytes = rig.gadget.map_sizes.bytes;
        done();

        off = "on_getsid";
        apply(true, NULL, NULL);
        off = NULL;
        assert_int_equal(entries("of_one"), 1);
        assert_int_equal(entries("of_both"), 1000);
        assert_int_equal(entries("of_function"), 1000); /* shared by whoever calls it */
        assert_true(rig.gadget.map_sizes.bytes < bytes);
        done();
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maps_of_programs),
        cmocka_unit_test(test_unused_maps_are_small),
        cmocka_unit_test(test_used_maps_stay),
        cmocka_unit_test(test_size_by_parameter),
};
TEST_MAIN("worker-map-size", tests)
