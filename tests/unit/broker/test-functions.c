/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of the kernel by a pattern: which match, and what the kernel is asked for. */
#include <fcntl.h>
#include <stdio.h>

#include "tests/unit/broker/bed.h"

static void test_patterns(void **state) {
        static const struct {
                const char *pattern;
                const char *name;
                bool matches;
        } cases[] = {
                { "vfs_open", "vfs_open", true },   { "vfs_open", "vfs_open2", false },
                { "vfs_open2", "vfs_open", false }, { "*", "vfs_open", true },
                { "vfs_*", "vfs_open", true },      { "vfs_*", "vfs_", true },
                { "vfs_?*", "vfs_", false },        { "*_open", "vfs_open", true },
                { "*_open", "vfs_open_x", false },  { "*op*n*", "vfs_open", true },
                { "v?s_o??n", "vfs_open", true },   { "?", "", false },
                { "*a*b*c", "xaxbxbxc", true },     { "*a*b*c", "xaxcxb", false },
                { "**o**", "vfs_open", true },      { "", "vfs_open", false },
        };
        char name[128], pattern[64];

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (functions_match(cases[i].pattern, cases[i].name) != cases[i].matches)
                        fail_msg("'%s' and '%s'", cases[i].pattern, cases[i].name);
        /* Exponential for who tries every way. */
        memset(name, 'a', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        for (size_t i = 0; i < sizeof(pattern) - 2; i += 2)
                memcpy(pattern + i, "*a", 3);
        memcpy(pattern + sizeof(pattern) - 3, "*b", 3);
        assert_false(functions_match(pattern, name));
}

/* A directory that stands for tracefs, with a list of n functions f0, f1, ... and some others. */
static int make_tracefs(char *dir, unsigned int n) {
        char path[64];
        FILE *list;
        int fd;

        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/available_filter_functions", dir);
        list = fopen(path, "we");
        assert_non_null(list);
        fputs("zeta\n__ftrace_invalid_address___123\ntwin\nalpha [module]\ntwin\n", list);
        for (unsigned int i = 0; i < n; i++)
                fprintf(list, "f%u\n", i);
        assert_int_equal(fclose(list), 0);
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        return fd;
}

static void remove_tracefs(const char *dir) {
        char path[64];

        snprintf(path, sizeof(path), "%s/available_filter_functions", dir);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(dir), 0);
}

/* What the kernel is asked to attach to is looked at while the names are there. */
static int attach(struct bed *bed, uint32_t attach_type, uint32_t flags, const char *hook,
                  struct error *err) {
        struct broker_attach body = { .prog = PROG, .attach_type = attach_type, .flags = flags };
        struct request request = { .type = BROKER_ATTACH,
                                   .body = &body,
                                   .payload = (uint8_t *)(uintptr_t)hook,
                                   .payload_len = strlen(hook) };
        struct reply reply = { .fd = -1 };
        int r;

        *err = (struct error){ 0 };
        objects_find(&bed->broker->objects, PROG)->prog.type = BPF_PROG_TYPE_KPROBE;
        r = on_attach(bed->broker, &request, &reply, err);
        return r < 0 ? r : reply.result;
}

static void test_links(void **state) {
        char dir[] = "/tmp/test-functions-XXXXXX";
        int before = bed_bpf_calls[BPF_LINK_CREATE];
        struct error err;
        struct bed bed;

        bed_init(&bed);
        bed.broker->tracefs_fd = make_tracefs(dir, LIMIT_PROBE_FUNCTIONS_MAX + 1);
        assert_int_equal(attach(&bed, BPF_TRACE_KPROBE_MULTI, 0, "*t*", &err), 0);
        /* zeta and one twin. */
        assert_int_equal(bed_last_link.link_create.kprobe_multi.cnt, 2);
        assert_int_equal(bed_last_link.link_create.kprobe_multi.flags, 0);
        assert_string_equal(objects_find(&bed.broker->objects, SPECS + 1)->hook,
                            "kprobe.multi/*t*");
        assert_int_equal(attach(&bed, BPF_TRACE_KPROBE_MULTI, BROKER_ATTACH_RETURN, "alpha", &err),
                         0);
        assert_int_equal(bed_last_link.link_create.kprobe_multi.cnt, 1);
        assert_int_equal(bed_last_link.link_create.kprobe_multi.flags, BPF_F_KPROBE_MULTI_RETURN);
        /* The limit, and one more: f0 to f999 have at most three digits. */
        assert_int_equal(attach(&bed, ATTACH_TYPE_KPROBE_SESSION, 0, "f?*", &err), -E2BIG);
        assert_int_equal(attach(&bed, BPF_TRACE_KPROBE_MULTI, 0, "none", &err), -ENOENT);
        assert_int_equal(attach(&bed, BPF_TRACE_KPROBE_MULTI, 0, "__ftrace_inv*", &err), -ENOENT);
        assert_int_equal(bed_bpf_calls[BPF_LINK_CREATE], before + 2);
        assert_int_equal(attach(&bed, BPF_TRACE_KPROBE_MULTI, 0, "a/b", &err), -EPROTO);
        assert_int_equal(attach(&bed, BPF_TRACE_KPROBE_MULTI, 0, "", &err), -EPROTO);
        bed_done(&bed);
        remove_tracefs(dir);
}

static void test_as_many_as_the_limit(void **state) {
        char dir[] = "/tmp/test-functions-XXXXXX";
        struct error err;
        struct bed bed;

        bed_init(&bed);
        bed.broker->tracefs_fd = make_tracefs(dir, LIMIT_PROBE_FUNCTIONS_MAX);
        assert_int_equal(attach(&bed, BPF_TRACE_KPROBE_MULTI, 0, "f*", &err), 0);
        assert_int_equal(bed_last_link.link_create.kprobe_multi.cnt, LIMIT_PROBE_FUNCTIONS_MAX);
        bed_done(&bed);
        remove_tracefs(dir);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_as_many_as_the_limit),
};
TEST_MAIN("broker-functions", tests)
