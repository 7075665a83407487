/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/command-line.h"

#include "tests/lib/needs.h"

static void parse(char *text, size_t n, struct command_line *ret) {
        command_line_parse(text, n, ret);
}

#define PARSE(_words, _ret)                                                                        \
        do {                                                                                       \
                static char text[] = _words;                                                       \
                parse(text, sizeof(text), _ret);                                                   \
        } while (0)

/* As containerd's shim calls it. */
static void test_shim(void **state) {
        struct command_line line;

        (void)state;
        PARSE("runc\0--root\0/run/containerd/runc/default\0--log\0/l\0--log-format\0json\0create\0"
              "--bundle\0/b\0--pid-file\0/p\0web",
              &line);
        assert_true(line.makes_container);
        assert_string_equal(line.runtime, "runc");
        assert_string_equal(line.root, "/run/containerd/runc/default");
        assert_string_equal(line.bundle, "/b");
        assert_string_equal(line.id, "web");
}

static void test_by_hand(void **state) {
        struct command_line line;

        (void)state;
        PARSE("/usr/bin/crun\0--root=/r\0run\0-d\0-b\0b\0-rootless\0true\0c1", &line);
        assert_true(line.makes_container);
        assert_string_equal(line.root, "/r");
        assert_string_equal(line.bundle, "b");
        assert_string_equal(line.id, "c1");
}

static void test_other_commands(void **state) {
        struct command_line line;

        (void)state;
        PARSE("runc\0init", &line);
        assert_false(line.makes_container);
        PARSE("runc\0exec\0web\0run", &line);
        assert_false(line.makes_container);
        PARSE("runc", &line);
        assert_false(line.makes_container);
        assert_null(line.id);
        PARSE("runc\0run\0--root", &line);
        assert_true(line.makes_container);
        assert_null(line.root);
        assert_null(line.id);
        PARSE("runc\0--roots\0run\0a", &line);
        assert_null(line.root);
        assert_string_equal(line.id, "a");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_shim),
                cmocka_unit_test(test_by_hand),
                cmocka_unit_test(test_other_commands),
        };

        return test_main("watcher-command-line", tests, ARRAY_SIZE(tests), NULL, NULL);
}
