/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fails the n-th allocation, then the n-th change of the disk, then kills the process there, for
 * each n until an operation gets through. Afterwards the store opens and holds the old state or the
 * new one, and nothing has leaked.
 */
#include "tests/unit/image/store-fixture.h"

#include <stdio.h>
#include <sys/wait.h>

#include "tests/unit/image/faults.h"

#define N_MAX 100000

/* Before: "old" and "gone" exist. */
struct operation {
        const char *name;
        int (*run)(struct store *store, struct error *err);
        void (*check_old)(struct store *store);
        void (*check_new)(struct store *store);
        bool is_reading;
};

static bool is_there(struct store *store, const char *name, const char *object) {
        cleanup(image_freep) struct image *image = NULL;
        struct image_ref ref = ref_of(name);

        if (store_load(store, &ref, "amd64", &image, NULL) == -ENOENT)
                return false;
        assert_loads(store, name, object);
        return true;
}

static int pack_new(struct store *store, struct error *err) {
        return pack_sample(store, "new", "two", NULL, err);
}

static int replace(struct store *store, struct error *err) {
        return pack_sample(store, "gone", "two", NULL, err);
}

static int tag(struct store *store, struct error *err) {
        struct image_ref gone = ref_of("gone"), new = ref_of("new");

        return store_tag(store, &gone, &new, err);
}

static int copy(struct store *store, struct error *err) {
        struct image_ref gone = ref_of("gone"), new = ref_of("new");

        return store_copy(store, &gone, store, &new, err);
}

static int remove_gone(struct store *store, struct error *err) {
        struct image_ref gone = ref_of("gone");

        return store_remove(store, &gone, err);
}

static int load(struct store *store, struct error *err) {
        cleanup(image_freep) struct image *image = NULL;
        struct image_ref ref = ref_of("old");

        return store_load(store, &ref, "amd64", &image, err);
}

static int inspect(struct store *store, struct error *err) {
        struct image_ref ref = ref_of("old");
        char *json = NULL;
        int r = store_inspect(store, &ref, &json, err);

        free(json);
        return r;
}

static int on_image(void *userdata, const struct image_info *info) {
        (void)userdata;
        return info->is_damaged ? -EBADMSG : 0;
}

static int list(struct store *store, struct error *err) {
        return store_list(store, on_image, NULL, err);
}

static void without_new(struct store *store) {
        assert_not_found(store, "new");
        assert_loads(store, "gone", "one");
}

static void with_new_two(struct store *store) {
        assert_loads(store, "new", "two");
        assert_loads(store, "gone", "one");
}

static void with_new_one(struct store *store) {
        assert_loads(store, "new", "one");
        assert_loads(store, "gone", "one");
}

static void with_gone_two(struct store *store) {
        assert_loads(store, "gone", "two");
}

static void without_gone(struct store *store) {
        assert_not_found(store, "gone");
}

static const struct operation operations[] = {
        { "pack", pack_new, without_new, with_new_two, false },
        { "replace", replace, without_new, with_gone_two, false },
        { "tag", tag, without_new, with_new_one, false },
        { "copy", copy, without_new, with_new_one, false },
        { "remove", remove_gone, without_new, without_gone, false },
        { "load", load, without_new, without_new, true },
        { "inspect", inspect, without_new, without_new, true },
        { "list", list, without_new, without_new, true },
};

static void prepare(struct store_fixture *f) {
        for (size_t i = 0; i < 3; i++) {
                struct image_ref ref = ref_of(i == 0 ? "new" : i == 1 ? "gone" : "old");
                int r = store_remove(f->store, &ref, NULL);

                assert_true(r == 0 || r == -ENOENT);
        }
        assert_int_equal(count_blobs(f), 0);
        assert_int_equal(pack_sample(f->store, "old", "zero", NULL, NULL), 0);
        assert_int_equal(pack_sample(f->store, "gone", "one", NULL, NULL), 0);
}

static bool state_is_new(struct store *store, const struct operation *op) {
        if (op->check_new == without_gone)
                return !is_there(store, "gone", "one");
        if (op->check_new == with_gone_two) {
                cleanup(image_freep) struct image *image = NULL;
                struct image_ref ref = ref_of("gone");

                assert_int_equal(store_load(store, &ref, "amd64", &image, NULL), 0);
                return memcmp(image->object, "two", 3) == 0;
        }
        return !op->is_reading &&
               is_there(store, "new", op->check_new == with_new_two ? "two" : "one");
}

/* Old or new and nothing else; the neighbour is whole, and (every tenth time) doing it again works.
 * True: the store is as prepare() left it. */
static bool check_state(struct store_fixture *f, const struct operation *op, bool must_be_new,
                        size_t n) {
        bool is_new;
        int r;

        store_fixture_reopen(f);
        is_new = state_is_new(f->store, op);
        if (must_be_new)
                assert_true(is_new || op->is_reading);
        if (is_new)
                op->check_new(f->store);
        else
                op->check_old(f->store);
        assert_loads(f->store, "old", "zero");
        assert_int_equal(list(f->store, NULL), 0);

        if (!is_new && n % 10 != 0)
                return true;
        r = op->run(f->store, NULL);
        assert_true(r == 0 || (op->run == remove_gone && r == -ENOENT));
        op->check_new(f->store);
        assert_loads(f->store, "old", "zero");
        return op->is_reading;
}

static void fail_each(struct store_fixture *f, const struct operation *op, enum fault_kind kind) {
        bool is_prepared = false;

        for (size_t n = 1; n < N_MAX; n++) {
                size_t allocated, n_calls;
                struct error err = { 0 };
                int r;

                if (!is_prepared)
                        prepare(f);
                allocated = faults_allocated();
                faults_arm(kind, n);
                r = op->run(f->store, &err);
                n_calls = faults_disarm();
                assert_int_equal(faults_allocated(), allocated);
                if (r < 0 && (err.code == ERROR_NONE || !err.msg[0]))
                        fail_msg("%s: call %zu failed with %d but said nothing", op->name, n, r);
                is_prepared = check_state(f, op, r == 0, n);
                if (n_calls < n) {
                        assert_int_equal(r, 0);
                        assert_true(n > 1 || (kind == FAULT_DISK && op->is_reading));
                        return;
                }
        }
        fail_msg("%s: no end", op->name);
}

static void test_failing_allocations(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(operations); i++)
                fail_each(*state, &operations[i], FAULT_MALLOC);
}

static void test_failing_disk(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(operations); i++)
                fail_each(*state, &operations[i], FAULT_DISK);
}

static void test_full_disk_is_named(void **state) {
        struct store_fixture *f = *state;
        struct error err = { 0 };

        faults_arm(FAULT_DISK, 1);
        assert_int_equal(pack_new(f->store, &err), -ENOSPC);
        faults_disarm();
        assert_int_equal(err.code, ERROR_UNAVAILABLE);
        assert_non_null(strstr(err.msg, f->path));
        assert_non_null(strstr(err.msg, "No space left on device"));
        assert_int_equal(count_blobs(f), 0);
}

static void kill_each(struct store_fixture *f, const struct operation *op) {
        for (size_t n = 1; n < N_MAX; n++) {
                int status;
                pid_t pid;

                prepare(f);
                pid = fork();
                if (pid == 0) {
                        faults_arm(FAULT_KILL, n);
                        _exit(op->run(f->store, NULL) == 0 ? 42 : 1);
                }
                assert_int_equal(waitpid(pid, &status, 0), pid);
                assert_true(WIFEXITED(status) &&
                            (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 42));
                check_state(f, op, WEXITSTATUS(status) == 42, 0);
                if (WEXITSTATUS(status) == 42) {
                        assert_true(n > 1);
                        return;
                }
        }
        fail_msg("%s: no end", op->name);
}

static void test_killed_at_each_step(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(operations); i++)
                if (!operations[i].is_reading)
                        kill_each(*state, &operations[i]);
}

/* A store that dies while it is made is made anew the next time. */
static void test_killed_while_created(void **state) {
        struct store_fixture *f = *state;
        char path[128];

        for (size_t n = 1; n < N_MAX; n++) {
                cleanup(store_closep) struct store *store = NULL;
                struct error err = { 0 };
                int status;
                pid_t pid;

                snprintf(path, sizeof(path), "%s/created-%zu", f->dir, n);
                pid = fork();
                if (pid == 0) {
                        faults_arm(FAULT_KILL, n);
                        _exit(store_open(path, STORE_CREATE, &store, NULL) == 0 ? 42 : 1);
                }
                assert_int_equal(waitpid(pid, &status, 0), pid);
                if (store_open(path, STORE_CREATE, &store, &err) < 0)
                        fail_msg("step %zu: %s", n, error_text(&err));
                assert_int_equal(pack_sample(store, "a", "one", NULL, NULL), 0);
                assert_loads(store, "a", "one");
                if (WEXITSTATUS(status) == 42) {
                        assert_true(n > 5);
                        return;
                }
        }
        fail_msg("no end");
}

#define FIXTURE_TEST(_name)                                                                        \
        cmocka_unit_test_setup_teardown(_name, store_fixture_setup, store_fixture_teardown)

static const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_failing_allocations),  FIXTURE_TEST(test_failing_disk),
        FIXTURE_TEST(test_full_disk_is_named),   FIXTURE_TEST(test_killed_at_each_step),
        FIXTURE_TEST(test_killed_while_created),
};

int main(void) {
        faults_init();
        return test_main("image-store-faults", tests, ARRAY_SIZE(tests), NULL, NULL);
}
