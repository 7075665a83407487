/* SPDX-License-Identifier: Apache-2.0 */
#include "base/loop.h"

#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include "base/clock.h"
#include "tests/lib/needs.h"

/* A source with an eventfd, and what its callback is to do. */
struct source {
        struct loop_io io;
        int fd;
        unsigned int n_calls;
        struct source *remove; /* removed by the callback */
        int result;
        bool is_drained;
};

struct fixture {
        struct loop *loop;
        struct source sources[4];
};

static int on_source(struct loop_io *io, uint32_t events) {
        struct source *source = container_of(io, struct source, io);
        uint64_t value;

        source->n_calls++;
        if (source->is_drained)
                assert_int_equal(read(source->fd, &value, sizeof(value)), sizeof(value));
        if (source->remove)
                loop_io_remove(&source->remove->io);
        return source->result;
}

static int setup(void **state) {
        struct fixture *f = calloc(1, sizeof(*f));

        if (loop_new(&f->loop) < 0)
                return -1;
        for (unsigned int i = 0; i < ARRAY_SIZE(f->sources); i++) {
                struct source *source = &f->sources[i];

                source->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
                source->is_drained = true;
                if (loop_io_add(f->loop, &source->io, source->fd, EPOLLIN, "source", on_source) < 0)
                        return -1;
        }
        *state = f;
        return 0;
}

static int teardown(void **state) {
        struct fixture *f = *state;

        for (unsigned int i = 0; i < ARRAY_SIZE(f->sources); i++) {
                loop_io_remove(&f->sources[i].io);
                close(f->sources[i].fd);
        }
        loop_free(f->loop);
        free(f);
        return 0;
}

static void ring(struct source *source) {
        assert_int_equal(eventfd_write(source->fd, 1), 0);
}

static void once(struct fixture *f) {
        assert_int_equal(loop_run_once(f->loop, 0), 0);
}

static void test_io(void **state) {
        struct fixture *f = *state;

        once(f);
        assert_int_equal(f->sources[0].n_calls, 0);
        ring(&f->sources[0]);
        once(f);
        once(f);
        assert_int_equal(f->sources[0].n_calls, 1);
        assert_int_equal(f->sources[1].n_calls, 0);
}

static void test_level_triggered(void **state) {
        struct fixture *f = *state;

        f->sources[0].is_drained = false;
        ring(&f->sources[0]);
        once(f);
        once(f);
        assert_int_equal(f->sources[0].n_calls, 2);
}

static void test_modify(void **state) {
        struct fixture *f = *state;

        assert_int_equal(loop_io_modify(&f->sources[0].io, 0), 0);
        ring(&f->sources[0]);
        once(f);
        assert_int_equal(f->sources[0].n_calls, 0);
        assert_int_equal(loop_io_modify(&f->sources[0].io, EPOLLIN), 0);
        once(f);
        assert_int_equal(f->sources[0].n_calls, 1);
        loop_io_remove(&f->sources[0].io);
        assert_int_equal(loop_io_modify(&f->sources[0].io, 0), -EINVAL);
}

/* Whichever of two ready sources is called first removes the other: exactly one is called. */
static void test_removed_in_the_same_round(void **state) {
        struct fixture *f = *state;
        struct source *a = &f->sources[0], *b = &f->sources[1];

        a->remove = b;
        b->remove = a;
        ring(a);
        ring(b);
        ring(&f->sources[2]);
        once(f);
        assert_int_equal(a->n_calls + b->n_calls, 1);
        assert_int_equal(f->sources[2].n_calls, 1);
}

static void test_removes_itself_twice(void **state) {
        struct fixture *f = *state;

        f->sources[0].remove = &f->sources[0];
        f->sources[0].is_drained = false;
        ring(&f->sources[0]);
        once(f);
        once(f);
        assert_int_equal(f->sources[0].n_calls, 1);
        loop_io_remove(&f->sources[0].io);
        /* And may come back. */
        f->sources[0].remove = NULL;
        assert_int_equal(loop_io_add(f->loop, &f->sources[0].io, f->sources[0].fd, EPOLLIN,
                                     "source", on_source),
                         0);
        f->sources[0].n_calls = 0;
        once(f);
        assert_int_equal(f->sources[0].n_calls, 1);
}

static void test_negative_result_ends(void **state) {
        struct fixture *f = *state;

        f->sources[0].result = -EIO;
        ring(&f->sources[0]);
        assert_int_equal(loop_run(f->loop), -EIO);
        f->sources[0].result = 0;
        once(f);
}

static void test_bad_fd(void **state) {
        struct fixture *f = *state;
        struct loop_io io = { 0 };

        assert_int_equal(loop_io_add(f->loop, &io, -1, EPOLLIN, "bad", on_source), -EBADF);
        loop_io_remove(&io);
}

/* --- timers --- */

struct timer {
        struct loop_timer timer;
        struct timer *clear;
        unsigned int order; /* when it was called, from 1 */
        int exit_code;
};

static unsigned int n_fired;

static int on_timer(struct loop_timer *t) {
        struct timer *timer = container_of(t, struct timer, timer);

        timer->order = ++n_fired;
        if (timer->clear)
                loop_timer_clear(&timer->clear->timer);
        if (timer->exit_code > 0)
                loop_exit(t->loop, timer->exit_code);
        return 0;
}

static void test_timers_fire_in_order(void **state) {
        struct fixture *f = *state;
        struct timer timers[40] = { 0 }, last = { .exit_code = 7 };

        n_fired = 0;
        /* 17 and 40 have no common factor: every delay once, in scrambled order. */
        for (unsigned int i = 0; i < ARRAY_SIZE(timers); i++)
                assert_int_equal(loop_timer_set(f->loop, &timers[i * 17 % 40].timer,
                                                (1 + i * 17 % 40) * 100 * NSEC_PER_USEC, "t",
                                                on_timer),
                                 0);
        loop_timer_set(f->loop, &last.timer, 6 * NSEC_PER_MSEC, "last", on_timer);
        loop_timer_clear(&timers[11].timer);
        loop_timer_clear(&timers[11].timer);
        loop_timer_clear(&timers[39].timer);
        assert_int_equal(loop_run(f->loop), 7);
        assert_int_equal(n_fired, 39);
        assert_int_equal(timers[11].order, 0);
        for (unsigned int i = 0, order = 1; i < 39; i++)
                if (i != 11)
                        assert_int_equal(timers[i].order, order++);
}

static void test_timer_is_rearmed_not_doubled(void **state) {
        struct fixture *f = *state;
        struct timer a = { 0 }, b = { .exit_code = 1 };
        uint64_t start = now_ns();

        n_fired = 0;
        loop_timer_set(f->loop, &a.timer, 0, "a", on_timer);
        loop_timer_set(f->loop, &a.timer, 3 * NSEC_PER_MSEC, "a", on_timer);
        loop_timer_set(f->loop, &b.timer, 6 * NSEC_PER_MSEC, "b", on_timer);
        assert_int_equal(loop_run(f->loop), 1);
        assert_int_equal(a.order, 1);
        assert_int_equal(n_fired, 2);
        assert_true(now_ns() - start >= 6 * NSEC_PER_MSEC);
}

static void test_timer_clears_another_that_is_due(void **state) {
        struct fixture *f = *state;
        struct timer b = { 0 }, a = { .clear = &b };

        n_fired = 0;
        loop_timer_set(f->loop, &a.timer, 0, "a", on_timer);
        loop_timer_set(f->loop, &b.timer, 1, "b", on_timer);
        assert_int_equal(loop_run_once(f->loop, NSEC_PER_MSEC), 0);
        assert_int_equal(loop_run_once(f->loop, 2 * NSEC_PER_MSEC), 0);
        assert_int_equal(n_fired, 1);
        assert_int_equal(b.order, 0);
}

static void test_far_future(void **state) {
        struct fixture *f = *state;
        struct timer a = { 0 };

        assert_int_equal(loop_timer_set(f->loop, &a.timer, UINT64_MAX, "a", on_timer), 0);
        assert_int_equal(a.timer.deadline_ns, UINT64_MAX);
        once(f);
        assert_int_equal(a.order, 0);
        loop_timer_clear(&a.timer);
}

static void test_free_forgets_timers(void **state) {
        struct timer a = { 0 };
        struct loop *loop;

        assert_int_equal(loop_new(&loop), 0);
        loop_timer_set(loop, &a.timer, NSEC_PER_SEC, "a", on_timer);
        assert_null(loop_free(loop));
        loop_timer_clear(&a.timer);
        assert_null(loop_free(NULL));
}

/* --- defers --- */

struct deferred {
        struct loop_defer defer;
        struct deferred *cancel;
        struct deferred *again;
        unsigned int n_calls;
};

static int on_defer(struct loop_defer *d) {
        struct deferred *deferred = container_of(d, struct deferred, defer);
        struct loop *loop = d->loop;

        deferred->n_calls++;
        if (deferred->cancel)
                loop_defer_cancel(&deferred->cancel->defer);
        if (deferred->again)
                loop_defer(loop, &deferred->again->defer, on_defer);
        return 0;
}

static void test_defer_once(void **state) {
        struct fixture *f = *state;
        struct deferred a = { 0 };

        loop_defer(f->loop, &a.defer, on_defer);
        loop_defer(f->loop, &a.defer, on_defer);
        once(f);
        once(f);
        assert_int_equal(a.n_calls, 1);
}

static void test_defer_cancel(void **state) {
        struct fixture *f = *state;
        struct deferred b = { 0 }, a = { .cancel = &b }, c = { 0 };

        loop_defer(f->loop, &a.defer, on_defer);
        loop_defer(f->loop, &b.defer, on_defer);
        loop_defer(f->loop, &c.defer, on_defer);
        loop_defer_cancel(&c.defer);
        loop_defer_cancel(&c.defer);
        once(f);
        assert_int_equal(a.n_calls, 1);
        assert_int_equal(b.n_calls, 0);
        assert_int_equal(c.n_calls, 0);
}

/* A defer that queues itself must not keep the round from ending, and must not wait for an event
 * either. */
static void test_defer_again_is_next_round(void **state) {
        struct fixture *f = *state;
        struct deferred a = { 0 };

        a.again = &a;
        loop_defer(f->loop, &a.defer, on_defer);
        for (unsigned int i = 1; i <= 3; i++) {
                assert_int_equal(loop_run_once(f->loop, UINT64_MAX), 0);
                assert_int_equal(a.n_calls, i);
        }
        loop_defer_cancel(&a.defer);
}

static int defer_from_io(struct loop_io *io, uint32_t events) {
        static struct deferred deferred;
        uint64_t value;

        assert_int_equal(read(io->fd, &value, sizeof(value)), sizeof(value));
        loop_defer(io->loop, &deferred.defer, on_defer);
        assert_int_equal(deferred.n_calls, 0);
        loop_exit(io->loop, 3);
        return 0;
}

static void test_exit_code_after_the_round(void **state) {
        struct fixture *f = *state;
        struct loop_io io = { 0 };
        int fd = eventfd(1, EFD_CLOEXEC);

        assert_int_equal(loop_io_add(f->loop, &io, fd, EPOLLIN, "io", defer_from_io), 0);
        assert_int_equal(loop_run(f->loop), 3);
        loop_io_remove(&io);
        close(fd);
}

static void test_signal_fd(void **state) {
        struct signalfd_siginfo info;
        sigset_t set;
        int fd;

        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        fd = loop_signal_fd(&set);
        assert_true(fd >= 0);
        assert_int_equal(read(fd, &info, sizeof(info)), -1);
        assert_int_equal(errno, EAGAIN);
        raise(SIGUSR1);
        assert_int_equal(read(fd, &info, sizeof(info)), sizeof(info));
        assert_int_equal(info.ssi_signo, SIGUSR1);
        close(fd);
}

static const struct loop_stat *find_stat(struct fixture *f, const char *name) {
        const struct loop_stat *stats;
        size_t n = loop_stats(f->loop, &stats);

        for (size_t i = 0; i < n; i++)
                if (str_eq(stats[i].name, name))
                        return &stats[i];
        return NULL;
}

static void test_stats(void **state) {
        static char names[LOOP_STATS_MAX + 8][8];
        struct fixture *f = *state;

        assert_null(find_stat(f, "source"));
        for (unsigned int i = 0; i < 3; i++) {
                ring(&f->sources[0]);
                ring(&f->sources[1]);
                once(f);
        }
        assert_int_equal(find_stat(f, "source")->calls, 6);
        assert_true(find_stat(f, "source")->ns > 0);
        /* More names than there is room for share the last place. */
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                snprintf(names[i], sizeof(names[i]), "n%zu", i);
                loop_io_remove(&f->sources[2].io);
                assert_int_equal(loop_io_add(f->loop, &f->sources[2].io, f->sources[2].fd, EPOLLIN,
                                             names[i], on_source),
                                 0);
                ring(&f->sources[2]);
                once(f);
        }
        assert_int_equal(find_stat(f, "n0")->calls, 1);
        assert_int_equal(find_stat(f, "others")->calls, ARRAY_SIZE(names) - (LOOP_STATS_MAX - 2));
}

#define TEST(_f) cmocka_unit_test_setup_teardown(_f, setup, teardown)
static const struct CMUnitTest tests[] = {
        TEST(test_io),
        TEST(test_level_triggered),
        TEST(test_modify),
        TEST(test_removed_in_the_same_round),
        TEST(test_removes_itself_twice),
        TEST(test_negative_result_ends),
        TEST(test_bad_fd),
        TEST(test_timers_fire_in_order),
        TEST(test_timer_is_rearmed_not_doubled),
        TEST(test_timer_clears_another_that_is_due),
        TEST(test_far_future),
        TEST(test_free_forgets_timers),
        TEST(test_defer_once),
        TEST(test_defer_cancel),
        TEST(test_defer_again_is_next_round),
        TEST(test_exit_code_after_the_round),
        TEST(test_signal_fd),
        TEST(test_stats),
};
TEST_MAIN("base-loop", tests)
