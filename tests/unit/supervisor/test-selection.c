/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/selection.h"

#include "ipc/message.h"
#include "ipc/methods.h"
#include "tests/lib/needs.h"

static bool matches(const char *names, const char *name) {
        const struct msg_container_added c = { .name = name };
        struct selection selection;
        bool does;

        assert_int_equal(selection_init(&selection,
                                        &(struct req_instance_run){ .container_name = names },
                                        NULL),
                         0);
        does = selection_matches(&selection, &c);
        selection_done(&selection);
        return does;
}

static void test_lists(void **state) {
        (void)state;
        assert_true(matches("web", "web"));
        assert_false(matches("web", "webb"));
        assert_false(matches("web", "we"));
        assert_true(matches("a,web,b", "web"));
        assert_false(matches("a,b", "web"));
        assert_false(matches("web", NULL));
        assert_true(matches("*", NULL));
        assert_true(matches("w*", "web"));
        assert_false(matches("w*", "a"));
        assert_false(matches("!web", "web"));
        assert_true(matches("!web", "db"));
        assert_true(matches("!web", NULL));
        assert_false(matches("w*,!web", "web"));
        assert_true(matches("w*,!web", "wiki"));
        assert_false(matches("w*,!web", "db"));
        assert_false(matches("!w*,!d*", "db"));
}

static void test_all_fields_must_hold(void **state) {
        const struct req_instance_run run = { .container_name = "web",
                                              .container_runtime = "runc",
                                              .k8s_namespace = "!kube-system" };
        const struct msg_container_added yes = { .name = "web", .runtime = "runc" };
        const struct msg_container_added other = { .name = "web", .runtime = "crun" };
        const struct msg_container_added system = { .name = "web",
                                                    .runtime = "runc",
                                                    .k8s_namespace = "kube-system" };
        struct selection selection, copy;

        (void)state;
        assert_int_equal(selection_init(&selection, &run, NULL), 0);
        assert_int_equal(selection_copy(&selection, &copy), 0);
        selection_done(&selection);
        assert_true(selection_is_empty(&selection));
        assert_false(selection_is_empty(&copy));
        assert_true(selection_matches(&copy, &yes));
        assert_false(selection_matches(&copy, &other));
        assert_false(selection_matches(&copy, &system));
        assert_true(selection_matches(&selection, &system));
        selection_done(&copy);
}

static bool labels_match(const char *wanted, const char *labels) {
        const struct msg_container_added c = { .k8s_labels = labels };
        struct selection selection;
        bool does;

        assert_int_equal(selection_init(&selection,
                                        &(struct req_instance_run){ .k8s_labels = wanted }, NULL),
                         0);
        does = selection_matches(&selection, &c);
        selection_done(&selection);
        return does;
}

/* As kubectl reads them: one value of each key. */
static void test_labels(void **state) {
        (void)state;
        assert_true(labels_match("app=web", "app=web,tier=front"));
        assert_true(labels_match("tier==front", "app=web,tier=front"));
        assert_true(labels_match("app=db,app=web", "app=web,tier=front"));
        assert_true(labels_match("app=web,tier=front", "app=web,tier=front"));
        assert_false(labels_match("app=web,tier=back", "app=web,tier=front"));
        assert_false(labels_match("app=we", "app=web"));
        assert_false(labels_match("ap=web", "app=web"));
        assert_true(labels_match("app=w*", "app=web"));
        assert_true(labels_match("app", "app=web"));
        assert_true(labels_match("app=", "app="));
        assert_false(labels_match("app=", "app=web"));
        assert_false(labels_match("app", "tier=app"));
        assert_false(labels_match("app", NULL));
        assert_true(labels_match("!app=web", "app=db"));
        assert_true(labels_match("!app=web", NULL));
        assert_false(labels_match("!app=web", "tier=front,app=web"));
        assert_false(labels_match("tier=front,!app", "tier=front,app=web"));
}

static void test_empty_words(void **state) {
        static const char *const wrong[] = { "", ",", "a,", ",a", "a,,b", "!", "a,!" };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                struct selection selection;
                struct error err = { 0 };

                assert_int_equal(
                        selection_init(&selection,
                                       &(struct req_instance_run){ .container_name = wrong[i] },
                                       &err),
                        -EINVAL);
                assert_int_equal(err.code, ERROR_INVALID);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lists),
                cmocka_unit_test(test_all_fields_must_hold),
                cmocka_unit_test(test_labels),
                cmocka_unit_test(test_empty_words),
        };

        return test_main("supervisor-selection", tests, ARRAY_SIZE(tests), NULL, NULL);
}
