/* SPDX-License-Identifier: Apache-2.0 */
/* Several processes on one store: no name is lost, and a reader never meets a state in between. */
#include "tests/unit/image/store-fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "base/clock.h"

#define N_WRITERS 3
#define N_NAMES 15

/* Waiting takes no time but lets the clock run (linked with --wrap). */
static bool is_waiting_skipped;
static uint64_t skipped_ns;

int __real_clock_gettime(clockid_t clock, struct timespec *ts);
int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ts) {
        int r = __real_clock_gettime(clock, ts);

        ts->tv_sec += (time_t)(skipped_ns / NSEC_PER_SEC);
        ts->tv_nsec += (long)(skipped_ns % NSEC_PER_SEC);
        return r;
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms) {
        if (n > 0 || !is_waiting_skipped)
                return __real_poll(fds, n, timeout_ms);
        skipped_ns += (uint64_t)timeout_ms * NSEC_PER_MSEC;
        return 0;
}

/* In a child: exits with 0, or the line of what failed. */
#define MUST(_condition)                                                                           \
        do {                                                                                       \
                if (!(_condition))                                                                 \
                        _exit(__LINE__ % 254 + 1);                                                 \
        } while (0)

static void write_names(const char *path, int writer) {
        cleanup(store_closep) struct store *store = NULL;
        struct image_ref source, target;
        char name[32];

        MUST(store_open(path, 0, &store, NULL) == 0);
        MUST(image_ref_parse("source", &source, NULL) == 0);
        for (int i = 0; i < N_NAMES; i++) {
                snprintf(name, sizeof(name), "w%d:%d", writer, i);
                MUST(image_ref_parse(name, &target, NULL) == 0);
                MUST(store_tag(store, &source, &target, NULL) == 0);
        }
}

/* Builds and removes its own image all the time, so garbage is collected while the others write. */
static void churn(const char *path) {
        cleanup(store_closep) struct store *store = NULL;
        struct image_ref ref;
        char object[32];

        MUST(store_open(path, 0, &store, NULL) == 0);
        MUST(image_ref_parse("churn", &ref, NULL) == 0);
        for (int i = 0; i < N_NAMES / 2; i++) {
                cleanup(image_freep) struct image *image = NULL;

                snprintf(object, sizeof(object), "object %d", i);
                MUST(pack_sample(store, "churn", object, NULL, NULL) == 0);
                MUST(store_load(store, &ref, "amd64", &image, NULL) == 0);
                MUST(store_remove(store, &ref, NULL) == 0);
        }
}

static void read_until_closed(const char *path, int end_fd) {
        cleanup(store_closep) struct store *store = NULL;
        struct image_ref ref;
        char byte;

        MUST(store_open(path, STORE_READ_ONLY, &store, NULL) == 0);
        MUST(image_ref_parse("source", &ref, NULL) == 0);
        do {
                cleanup(image_freep) struct image *image = NULL;

                MUST(store_load(store, &ref, "amd64", &image, NULL) == 0);
        } while (read(end_fd, &byte, 1) < 0);
}

static void assert_exits(pid_t pid) {
        int status;

        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

static int count(void *userdata, const struct image_info *info) {
        (void)info;
        ++*(size_t *)userdata;
        return 0;
}

static void test_concurrent_writers(void **state) {
        struct store_fixture *f = *state;
        pid_t writers[N_WRITERS + 1], reader;
        size_t n = 0;
        int end[2];

        assert_int_equal(pack_sample(f->store, "source", "one", NULL, NULL), 0);
        assert_int_equal(pipe2(end, O_CLOEXEC | O_NONBLOCK), 0);
        reader = fork();
        if (reader == 0) {
                close(end[1]);
                read_until_closed(f->path, end[0]);
                _exit(0);
        }
        for (int i = 0; i <= N_WRITERS; i++) {
                writers[i] = fork();
                if (writers[i] > 0)
                        continue;
                if (i < N_WRITERS)
                        write_names(f->path, i);
                else
                        churn(f->path);
                _exit(0);
        }
        for (int i = 0; i <= N_WRITERS; i++)
                assert_exits(writers[i]);
        close(end[1]);
        assert_exits(reader);
        close(end[0]);

        assert_int_equal(store_list(f->store, count, &n, NULL), 0);
        assert_int_equal(n, 1 + N_WRITERS * N_NAMES);
        assert_int_equal(count_blobs(f), 6);
        assert_loads(f->store, "w0:0", "one");
}

/* The lock is not waited for without end: somebody may have stopped the process that holds it. */
static void test_stuck_writer(void **state) {
        struct store_fixture *f = *state;
        cleanup_close int lock_fd =
                openat(f->store->root_fd, "index.json.lock", O_RDWR | O_CLOEXEC);
        uint64_t before = now_ns();
        struct error err = { 0 };

        assert_int_equal(flock(lock_fd, LOCK_EX | LOCK_NB), 0);
        is_waiting_skipped = true;
        assert_int_equal(pack_sample(f->store, "a", "one", NULL, &err), -EBUSY);
        is_waiting_skipped = false;
        assert_int_equal(err.code, ERROR_UNAVAILABLE);
        assert_in_range((now_ns() - before) / NSEC_PER_MSEC, LAYOUT_LOCK_WAIT_MS,
                        LAYOUT_LOCK_WAIT_MS + 500);
        close_fd(&lock_fd);
        assert_int_equal(pack_sample(f->store, "a", "one", NULL, &err), 0);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_concurrent_writers, store_fixture_setup,
                                        store_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_stuck_writer, store_fixture_setup,
                                        store_fixture_teardown),
};
TEST_MAIN("image-store-concurrent", tests)
