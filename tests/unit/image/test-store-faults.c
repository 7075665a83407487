/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fails the n-th allocation, then the n-th change of the disk, then kills the process there, for
 * each n until an operation gets through. Afterwards the store opens and holds the old state or the
 * new one, and nothing has leaked.
 */
#include "tests/unit/image/store-fixture.h"

#include <stdio.h>
#include <sys/wait.h>

#include "image/intake.h"
#include "image/partial.h"
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

/* --- as a pull does it: from another store, blob by blob --- */

static struct store *registry;
static char registry_path[160];

#define PULL_BLOBS_MAX 8
struct pull {
        struct document index;
        struct document manifests[2];
        uint8_t *texts[3];
        struct intake_document documents[3];
        struct intake_blob blobs[PULL_BLOBS_MAX];
        struct blob_writer writers[PULL_BLOBS_MAX];
        size_t n;
};

static void pull_done(struct pull *pull) {
        for (size_t i = 0; i < pull->n; i++)
                blob_writer_done(&pull->writers[i]);
        for (size_t i = 0; i < 3; i++)
                free(pull->texts[i]);
        for (size_t i = 0; i < 2; i++)
                document_done(&pull->manifests[i]);
        document_done(&pull->index);
}

static int pull_blob(struct store *store, struct pull *pull, const struct descriptor *d,
                     struct error *err) {
        struct blob_writer *w = &pull->writers[pull->n];
        struct partial partial = { .fd = -1 };
        cleanup_free uint8_t *data = NULL;
        uint64_t there, position = 0;
        int r;

        for (size_t i = 0; i < pull->n; i++)
                if (str_eq(pull->blobs[i].digest, d->digest))
                        return 0;
        assert_int_equal(blob_read(store_root_fd(registry), d, 1 << 20, &data, NULL), 0);
        r = partial_open(store_root_fd(store), d->digest, d->size, &partial, &there, err);
        if (r < 0)
                return r;
        /* What an earlier attempt left is resumed. */
        if (pwrite(partial.fd, data + there, d->size - there, (off_t)there) !=
            (ssize_t)(d->size - there))
                r = error_set(err, ERROR_UNAVAILABLE, -EIO, "cannot write");
        if (r == 0)
                r = blob_writer_init(w, store_root_fd(store), d->digest, err);
        if (r == 0) {
                pull->blobs[pull->n++] = (struct intake_blob){ d->digest, d->size, w };
                r = partial_copy(partial.fd, &position, 1 << 20, w, NULL, err);
        }
        if (r >= 0)
                r = blob_writer_verify(w, d->digest, NULL, err);
        partial_close(&partial, r < 0);
        return r;
}

static void pull_document(struct pull *pull, const struct descriptor *d, size_t i,
                          struct document *ret) {
        assert_int_equal(blob_read(store_root_fd(registry), d, 1 << 20, &pull->texts[i], NULL), 0);
        assert_int_equal(document_parse(BYTES(pull->texts[i], d->size), d->media_type, ret, NULL),
                         0);
        pull->documents[i] = (struct intake_document){ d->digest, BYTES(pull->texts[i], d->size) };
}

static int pull_new(struct store *store, struct error *err) {
        cleanup(pull_done) struct pull pull = { .n = 0 };
        struct image_ref new = ref_of("new");
        struct resolved root;
        struct intake intake = { .ref = &new,
                                 .origin = ORIGIN_PULLED,
                                 .documents = pull.documents,
                                 .blobs = pull.blobs };
        int r = 0;

        assert_int_equal(store_resolve(registry, &new, &root, NULL), 0);
        intake.root = (struct descriptor){ .media_type = root.media_type,
                                           .digest = root.digest,
                                           .size = root.size };
        pull_document(&pull, &intake.root, 0, &pull.index);
        for (size_t i = 0; i < pull.index.n_entries && r == 0; i++) {
                struct document *manifest = &pull.manifests[i];

                pull_document(&pull, &pull.index.entries[i], i + 1, manifest);
                r = pull_blob(store, &pull, &manifest->config, err);
                for (size_t k = 0; k < manifest->n_entries && r == 0; k++)
                        r = pull_blob(store, &pull, &manifest->entries[k], err);
        }
        intake.n_documents = pull.index.n_entries + 1;
        intake.n_blobs = pull.n;
        return r < 0 ? r : store_take_in(store, &intake, NULL, err);
}

static void start_registry(struct store_fixture *f) {
        snprintf(registry_path, sizeof(registry_path), "%s/registry", f->dir);
        assert_int_equal(store_open(registry_path, STORE_CREATE, &registry, NULL), 0);
        assert_int_equal(pack_sample(registry, "new", "two", NULL, NULL), 0);
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

/* Not in the list above: it reads its registry, where a failing allocation is not its affair. */
static const struct operation pull_operation = { "pull", pull_new, without_new, with_new_two,
                                                 false };

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

/* Every write, fsync, rename of a pull, failing and dying there. */
static void test_pull_fails_at_each_step(void **state) {
        start_registry(*state);
        fail_each(*state, &pull_operation, FAULT_DISK);
        kill_each(*state, &pull_operation);
        registry = store_close(registry);
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
        FIXTURE_TEST(test_failing_allocations),     FIXTURE_TEST(test_failing_disk),
        FIXTURE_TEST(test_full_disk_is_named),      FIXTURE_TEST(test_killed_at_each_step),
        FIXTURE_TEST(test_pull_fails_at_each_step), FIXTURE_TEST(test_killed_while_created),
};

int main(void) {
        faults_init();
        return test_main("image-store-faults", tests, ARRAY_SIZE(tests), NULL, NULL);
}
