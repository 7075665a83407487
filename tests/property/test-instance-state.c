/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold for the life of an instance whatever the table says: all cells are checked, and
 * long random walks. */
#include <stdio.h>

#include "supervisor/instance-state.h"
#include "tests/lib/needs.h"

#define WALKS 2000
#define WALK_LENGTH 100

#define EACH_STATE(_s) (enum instance_state _s = 0; _s < _INSTANCE_STATE_MAX; _s++)
#define EACH_EVENT(_e) (enum instance_event _e = 0; _e < _INSTANCE_EVENT_MAX; _e++)

static bool can_happen(enum instance_state state, enum instance_event event) {
        return instance_state_next(state, event) != _INSTANCE_STATE_MAX;
}

static void test_worker_leaves_only_by_exit(void **unused) {
        (void)unused;
        for
                EACH_STATE(state)
                for
                        EACH_EVENT(event) {
                                enum instance_state next = instance_state_next(state, event);

                                if (next == _INSTANCE_STATE_MAX ||
                                    !instance_state_has_worker(state))
                                        continue;
                                if (event == EVENT_EXITED)
                                        assert_false(instance_state_has_worker(next));
                                else
                                        assert_true(instance_state_has_worker(next));
                        }
}

static void test_stop_is_accepted(void **unused) {
        (void)unused;
        for
                EACH_STATE(state)
        if (!instance_state_is_final(state))
                assert_true(can_happen(state, EVENT_STOP));
}

static void test_worker_appears_in_starting(void **unused) {
        (void)unused;
        for
                EACH_STATE(state)
                for
                        EACH_EVENT(event) {
                                enum instance_state next = instance_state_next(state, event);

                                if (next != _INSTANCE_STATE_MAX &&
                                    instance_state_has_worker(next) &&
                                    !instance_state_has_worker(state))
                                        assert_int_equal(next, INSTANCE_STARTING);
                        }
}

static void test_done_is_reachable(void **unused) {
        bool reaches[_INSTANCE_STATE_MAX] = { [INSTANCE_DONE] = true };

        (void)unused;
        for (unsigned int round = 0; round < _INSTANCE_STATE_MAX; round++)
                for
                        EACH_STATE(state)
                        for
                                EACH_EVENT(event)
                        if (can_happen(state, event) && reaches[instance_state_next(state, event)])
                                reaches[state] = true;
        for
                EACH_STATE(state)
        assert_true(reaches[state]);
}

static void test_exit_is_accepted_with_a_worker(void **unused) {
        (void)unused;
        for
                EACH_STATE(state)
        assert_int_equal(can_happen(state, EVENT_EXITED), instance_state_has_worker(state));
}

/* A fault, a stop or a late READY may come at any time while there is a worker. */
static void test_late_messages_are_accepted(void **unused) {
        (void)unused;
        for
                EACH_STATE(state)
        if (instance_state_has_worker(state))
                assert_true(can_happen(state, EVENT_FAULT));
        assert_true(can_happen(INSTANCE_STOPPING, EVENT_WORKER_READY));
        assert_true(can_happen(INSTANCE_KILLING, EVENT_WORKER_READY));
}

/* A deadline exists in every state that waits for somebody else, but where SIGKILL has been sent
 * there is nothing more to do. */
static void test_timeouts(void **unused) {
        (void)unused;
        for
                EACH_STATE(state)
        if (instance_state_has_worker(state))
                assert_int_equal(can_happen(state, EVENT_TIMEOUT), state != INSTANCE_KILLING);
        assert_int_equal(instance_state_next(INSTANCE_STOPPING, EVENT_TIMEOUT), INSTANCE_KILLING);
        assert_int_equal(instance_state_next(INSTANCE_STARTING, EVENT_TIMEOUT), INSTANCE_KILLING);
}

static void test_nothing_leaves_done(void **unused) {
        (void)unused;
        for
                EACH_EVENT(event)
        assert_false(can_happen(INSTANCE_DONE, event));
}

static void test_names(void **unused) {
        (void)unused;
        for
                EACH_STATE(state) {
                        assert_true(strlen(instance_state_name(state)) > 0);
                        for (enum instance_state other = 0; other < state; other++)
                                assert_string_not_equal(instance_state_name(state),
                                                        instance_state_name(other));
                }
        for
                EACH_EVENT(event) {
                        assert_true(strlen(instance_event_name(event)) > 0);
                        for (enum instance_event other = 0; other < event; other++)
                                assert_string_not_equal(instance_event_name(event),
                                                        instance_event_name(other));
                }
}

static uint32_t next_random(uint32_t *seed) {
        *seed = *seed * 1664525u + 1013904223u;
        return *seed >> 8;
}

/* A model of the process beside the table: at most one exists, it is born in STARTING and dies
 * once, by EXITED. */
static void test_random_walks(void **unused) {
        uint32_t seed = 20260301;

        (void)unused;
        printf("seed %u\n", seed);
        for (unsigned int walk = 0; walk < WALKS; walk++) {
                enum instance_state state = INSTANCE_IDLE;
                bool has_process = false;

                for (unsigned int step = 0; step < WALK_LENGTH; step++) {
                        enum instance_event event = next_random(&seed) % _INSTANCE_EVENT_MAX;
                        enum instance_state next = instance_state_next(state, event);

                        if (next == _INSTANCE_STATE_MAX)
                                continue;
                        if (next == INSTANCE_STARTING) {
                                assert_false(has_process);
                                has_process = true;
                        }
                        if (event == EVENT_EXITED) {
                                assert_true(has_process);
                                has_process = false;
                        }
                        assert_int_equal(has_process, instance_state_has_worker(next));
                        state = next;
                }
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_worker_leaves_only_by_exit),
                cmocka_unit_test(test_stop_is_accepted),
                cmocka_unit_test(test_worker_appears_in_starting),
                cmocka_unit_test(test_done_is_reachable),
                cmocka_unit_test(test_exit_is_accepted_with_a_worker),
                cmocka_unit_test(test_late_messages_are_accepted),
                cmocka_unit_test(test_timeouts),
                cmocka_unit_test(test_nothing_leaves_done),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_random_walks),
        };

        return test_main("instance-state", tests, ARRAY_SIZE(tests), NULL, NULL);
}
