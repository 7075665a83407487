/* SPDX-License-Identifier: Apache-2.0 */
/* profile_blockio: as many requests in the histograms as this test wrote past the page cache. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "tests/lib/env.h"

#define ENV_TEST(_test) cmocka_unit_test_setup_teardown(_test, env_setup, env_teardown)
#define N 64
#define BLOCK 4096
#define PATH "/var/tmp/test-profile-blockio"

/* The file on a disk; its device, or false where writes never reach one. */
static bool write_blocks(struct stat *st) {
        int fd = open(PATH, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_DIRECT, 0600);
        void *block = NULL;
        bool is_done = fd >= 0;

        assert_int_equal(posix_memalign(&block, BLOCK, BLOCK), 0);
        memset(block, 'x', BLOCK);
        for (int i = 0; i < N && is_done; i++)
                is_done = write(fd, block, BLOCK) == BLOCK;
        if (is_done)
                assert_int_equal(fstat(fd, st), 0);
        free(block);
        if (fd >= 0)
                close(fd);
        unlink(PATH);
        return is_done && major(st->st_dev) != 0;
}

/* Somebody reads what the gadget sends. */
static bool is_attached(struct env *env) {
        json_t *list = env_ctl_json(env, "list", "-o", "json", NULL);
        json_t *item = json_array_get(list, 0);
        bool is = item && row_int(item, "attached") == 1;

        json_decref(list);
        return is;
}

static void test_writes_are_counted(void **state) {
        struct env *env = *state;
        json_int_t total = 0;
        size_t i, k, n_slots;
        json_t *rows, *row, *slots, *slot;
        struct run *run;
        struct stat st;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        if (!write_blocks(&st)) {
                fprintf(stderr, "SKIP-REASON disk: /var/tmp is on no block device of its own\n");
                skip();
        }
        env_start(env, NULL);
        run = env_run(env, "run", "profile_blockio", "--name", "disk", "--host", "-o", "json",
                      NULL);
        assert_true(WAIT_UNTIL(is_attached(env), WAIT_DEFAULT));
        assert_true(write_blocks(&st));
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
        rows = json_loads(run_out(run), 0, NULL);
        assert_true(json_is_array(rows));
        json_array_foreach(rows, i, row) {
                if (row_int(row, "major") != (json_int_t)major(st.st_dev) ||
                    !json_is_true(row_get(row, "is_write")))
                        continue;
                slots = row_get(row, "latency");
                n_slots = json_array_size(slots);
                assert_true(n_slots > 0 && n_slots <= 27);
                json_array_foreach(slots, k, slot) {
                        total += row_int(slot, "count");
                        assert_int_equal(row_int(slot, "start"), k == 0 ? 0 : 1LL << k);
                        assert_int_equal(row_int(slot, "end"), (1LL << (k + 1)) - 1);
                }
        }
        /* Others may write as well, but ours are all there. */
        assert_true(total >= N);
        json_decref(rows);
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_writes_are_counted),
};
TEST_MAIN("gadget-profile-blockio", tests)
