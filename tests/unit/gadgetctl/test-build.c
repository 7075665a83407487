/* SPDX-License-Identifier: Apache-2.0 */
/* What `build` takes from the command line and from a directory that anybody may have written. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "gadgetctl/cflags.h"
#include "gadgetctl/sources.h"
#include "tests/lib/needs.h"

static int read_flags(const char *text, struct cflags *cflags, struct error *err) {
        const char *items[] = { text };

        *err = (struct error){ 0 };
        return cflags_read(&(struct word_list){ .items = items, .n = 1 }, cflags, err);
}

static void test_cflags_that_choose(void **state) {
        static const char *const good[] = {
                "-DNAME=1 -D OTHER -UX",  "-I../include -I ../include -isystem /usr/include",
                "-Wextra -Wno-unused -w", "-O1 -std=gnu11 -mcpu=v3",
                "-include extra.h",       "-fno-builtin -funroll-loops",
        };
        struct cflags cflags;
        struct error err;

        for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
                if (read_flags(good[i], &cflags, &err) < 0)
                        fail_msg("'%s': %s", good[i], error_text(&err));
                assert_true(cflags.n > 0);
                assert_null(cflags.words[cflags.n]);
                cflags_done(&cflags);
        }
        assert_int_equal(read_flags(" \t", &cflags, &err), 0);
        assert_int_equal(cflags.n, 0);
        assert_int_equal(read_flags("-D A=1", &cflags, &err), 0);
        assert_int_equal(cflags.n, 2);
        assert_string_equal(cflags.words[1], "A=1");
        cflags_done(&cflags);
}

/* Everything of clang's that writes a file, runs something or brings more options along. */
static void test_cflags_that_write_are_refused(void **state) {
        static const char *const bad[] = {
                "-o /etc/passwd",
                "-o/etc/passwd",
                "--output=/x",
                "-MF /x -MD",
                "-MD",
                "-MMD",
                "-MJ /x",
                "-save-temps",
                "-save-temps=obj",
                "--save-temps",
                "-fplugin=/x.so",
                "-fpass-plugin=/x.so",
                "-Xclang -load",
                "-mllvm -debug",
                "-Wp,-MD,/x",
                "-Wa,-o,/x",
                "-Wl,-o,/x",
                "@/x",
                "--config=/x",
                "-ftime-trace=/x",
                "-fdump-record-layouts",
                "-fsave-optimization-record=yaml",
                "-foptimization-record-file=/x",
                "-fprofile-instr-generate=/x",
                "-fmodules-cache-path=/x",
                "-fcrash-diagnostics-dir=/x",
                "-dependency-file /x",
                "--serialize-diagnostics /x",
                "-gsplit-dwarf",
                "-fuse-ld=/x",
                "-B/x",
                "-specs=/x",
                "-E",
                "-x c++",
                "program2.c",
                "-D @/x",
                "-I -o",
                "-include",
                "-std=",
                "-W",
                "-O2x",
                "-ffile-prefix-map=a=b",
        };
        struct cflags cflags;
        struct error err;

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                if (read_flags(bad[i], &cflags, &err) != -EINVAL)
                        fail_msg("'%s' is taken", bad[i]);
                assert_non_null(strstr(error_text(&err), "--cflags"));
        }
}

static void test_cflags_are_limited(void **state) {
        char text[4 * (CFLAGS_MAX + 1) + 1] = "";
        struct cflags cflags;
        struct error err;

        for (size_t i = 0; i <= CFLAGS_MAX; i++)
                strcat(text, "-w ");
        assert_int_equal(read_flags(text, &cflags, &err), -E2BIG);
        text[3 * CFLAGS_MAX] = '\0';
        assert_int_equal(read_flags(text, &cflags, &err), 0);
        assert_int_equal(cflags.n, CFLAGS_MAX);
        cflags_done(&cflags);
}

/* --- a directory --- */

struct dir {
        char path[64];
        int fd;
};

static int setup(void **state) {
        struct dir *dir = calloc(1, sizeof(*dir));

        snprintf(dir->path, sizeof(dir->path), "/tmp/gadgetd-sources-XXXXXX");
        if (!mkdtemp(dir->path))
                return -1;
        dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        *state = dir;
        return 0;
}

static int teardown(void **state) {
        struct dir *dir = *state;

        close(dir->fd);
        (void)remove_tree(AT_FDCWD, dir->path);
        free(dir);
        return 0;
}

static void put(struct dir *dir, const char *name, const char *text) {
        assert_int_equal(write_file_atomic(dir->fd, name, text, strlen(text), 0644), 0);
}

static int look(struct dir *dir, struct sources *ret, struct error *err) {
        *err = (struct error){ 0 };
        return sources_find(&(struct sources_spec){ .dir = dir->path }, ret, err);
}

static void assert_ends(const char *text, const char *end) {
        assert_true(strlen(text) > strlen(end));
        assert_string_equal(text + strlen(text) - strlen(end), end);
}

static void test_usual_names(void **state) {
        struct dir *dir = *state;
        struct sources found;
        struct error err;

        assert_int_equal(look(dir, &found, &err), -ENOENT);
        put(dir, "program.bpf.c", "");
        assert_int_equal(look(dir, &found, &err), 0);
        assert_ends(found.program, "/program.bpf.c");
        assert_null(found.definition);
        sources_done(&found);
        put(dir, "gadget.yaml", "");
        assert_int_equal(look(dir, &found, &err), 0);
        assert_ends(found.definition, "/gadget.yaml");
        sources_done(&found);
}

static void test_build_yaml_names_others(void **state) {
        struct dir *dir = *state;
        struct sources found;
        struct error err;

        assert_int_equal(mkdirat(dir->fd, "src", 0755), 0);
        put(dir, "src/other.bpf.c", "");
        put(dir, "other.yaml", "");
        put(dir, "build.yaml", "ebpfsource: src/other.bpf.c\nmetadata: other.yaml\n");
        assert_int_equal(look(dir, &found, &err), 0);
        assert_ends(found.program, "/src/other.bpf.c");
        assert_ends(found.definition, "/other.yaml");
        sources_done(&found);

        /* What is said on the command line wins. */
        put(dir, "third.c", "");
        put(dir, "named.yaml", "ebpfsource: third.c\n");
        {
                char file[128];

                snprintf(file, sizeof(file), "%s/named.yaml", dir->path);
                assert_int_equal(
                        sources_find(&(struct sources_spec){ .dir = dir->path, .file = file },
                                     &found, &err),
                        0);
                assert_ends(found.program, "/third.c");
                sources_done(&found);
        }
        /* Named there, it must be there. */
        put(dir, "build.yaml", "ebpfsource: third.c\nmetadata: nothing.yaml\n");
        assert_int_equal(look(dir, &found, &err), -ENOENT);
        assert_non_null(strstr(error_text(&err), "nothing.yaml"));
}

static void test_build_yaml_stays_in_its_directory(void **state) {
        static const struct {
                const char *text;
                const char *says;
        } bad[] = {
                { "ebpfsource: /etc/passwd\n", "below the directory" },
                { "metadata: ../../etc/shadow\n", "below the directory" },
                { "metadata: a/..\n", "below the directory" },
                { "ebpfsource: -oevil\n", "starts with '-' or '@'" },
                { "ebpfsource: \"@options\"\n", "starts with '-' or '@'" },
                { "wasm: program.wasm\n", "wasm" },
                { "cflags: -fplugin=x.so\n", "--cflags" },
                { "surprise: 1\n", "unknown key" },
                { "- list\n", "a map" },
                { "ebpfsource: [a\n", "build.yaml" },
        };
        struct dir *dir = *state;
        struct sources found;
        struct error err;

        put(dir, "program.bpf.c", "");
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                put(dir, "build.yaml", bad[i].text);
                assert_int_equal(look(dir, &found, &err), -EINVAL);
                if (!strstr(error_text(&err), bad[i].says))
                        fail_msg("'%s': %s", bad[i].text, error_text(&err));
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cflags_that_choose),
        cmocka_unit_test(test_cflags_that_write_are_refused),
        cmocka_unit_test(test_cflags_are_limited),
        cmocka_unit_test_setup_teardown(test_usual_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_build_yaml_names_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_build_yaml_stays_in_its_directory, setup, teardown),
};

TEST_MAIN("build", tests)
