/* SPDX-License-Identifier: Apache-2.0 */
/* Files that uprobes go into: numbered once, as many as there may be, let go of with their last
 * user. */
#include "broker/target.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tests/unit/broker/bed.h"

static struct {
        char dir[64];
        int fd;
} fx;

static int setup(void **state) {
        snprintf(fx.dir, sizeof(fx.dir), "/tmp/gadget-target-XXXXXX");
        if (!mkdtemp(fx.dir))
                return -1;
        fx.fd = open(fx.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fx.fd < 0 ? -1 : 0;
}

static int teardown(void **state) {
        char command[128];

        close_fd(&fx.fd);
        snprintf(command, sizeof(command), "rm -rf '%s'", fx.dir);
        return system(command);
}

static void make_program(const char *name) {
        Elf64_Ehdr header = { .e_type = ET_DYN };

        memcpy(header.e_ident, ELFMAG, SELFMAG);
        assert_int_equal(write_file_atomic(fx.fd, name, (char *)&header, sizeof(header), 0644), 0);
}

/* The worker asks for a file of the host, whose root is the directory of this test. */
static int ask(struct bed *bed, const char *path, uint32_t *ret_id) {
        const struct broker_target want = { .what = BROKER_TARGET_ELF };
        struct request request = { .type = BROKER_TARGET,
                                   .body = &want,
                                   .payload = (uint8_t *)(uintptr_t)path,
                                   .payload_len = strlen(path) };
        struct reply reply = { .fd = -1, .payload = BUF_INIT(4096) };
        struct error err;

        assert_int_equal(on_target(bed->broker, &request, &reply, &err), 0);
        assert_true((reply.result == 0) == (reply.fd >= 0));
        close_fd(&reply.fd);
        buf_done(&reply.payload);
        *ret_id = reply.handle;
        return reply.result;
}

static void bed_of_host(struct bed *bed) {
        bed_init(bed);
        bed->broker->is_host_wide = true;
        bed->broker->root_fd = dup(fx.fd);
}

static void test_same_file(void **state) {
        struct bed bed;
        uint32_t first, second;

        bed_of_host(&bed);
        make_program("one");
        make_program("two");
        assert_int_equal(linkat(fx.fd, "one", fx.fd, "link", 0), 0);
        assert_int_equal(ask(&bed, "/one", &first), 0);
        assert_int_equal(ask(&bed, "/link", &second), 0);
        assert_int_equal(first, second);
        assert_string_equal(target_find(bed.broker, first)->path, "/one");
        assert_int_equal(ask(&bed, "/two", &second), 0);
        assert_int_not_equal(first, second);
        assert_int_equal(ask(&bed, "/three", &second), -ENOENT);
        /* The host is among those who see it only when the gadget is about the host. */
        bed.broker->is_host_wide = false;
        assert_int_equal(ask(&bed, "/one", &second), -EACCES);
        targets_leave(bed.broker, 0);
        assert_null(target_find(bed.broker, first));
        bed_done(&bed);
}

static void test_as_many_as_the_limit(void **state) {
        struct bed bed;
        uint32_t id, last = 0;
        char path[32];

        bed_of_host(&bed);
        for (size_t i = bed.broker->targets.n; i < LIMIT_PROBE_FILES_MAX; i++) {
                snprintf(path, sizeof(path), "/file%zu", i);
                make_program(path + 1);
                assert_int_equal(ask(&bed, path, &id), 0);
                assert_true(id > last);
                last = id;
        }
        make_program("more");
        assert_int_equal(ask(&bed, "/more", &id), -ENOSPC);
        assert_int_equal(ask(&bed, path, &id), 0);
        assert_int_equal(id, last);
        bed_done(&bed);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_same_file),
                cmocka_unit_test(test_as_many_as_the_limit),
        };

        return test_main("broker-target", tests, ARRAY_SIZE(tests), setup, teardown);
}
