/* SPDX-License-Identifier: Apache-2.0 */
/* Objects and definitions that are wrong, through the whole chain: each is a clear error before
 * anything is attached, or a bound that is reached, counted and told. */
#include <fcntl.h>
#include <linux/btf.h>
#include <signal.h>
#include <stdio.h>

#include "base/file.h"
#include "tests/system/act.h"

#define WRONG(_case) TEST_BUILD_DIR "/tests/unit/worker/convention" #_case "-" TEST_ARCH ".bpf.o"
#define BAD(_case) TEST_BUILD_DIR "/tests/system/gadgets/bad_input" #_case ".bpf.o"

/* By the CASE_* of convention.bpf.c and bad_input.bpf.c. */
static const struct {
        const char *what;
        const char *object;
        const char *says;
} refused[] = {
        { "misspelt type", WRONG(4), "names struct 'evemt', which does not exist; did you mean" },
        { "missing type", WRONG(9), "does not say what it carries; add __type(value, struct ...)" },
        { "two tracers on one map", WRONG(1), "'one' and 'two' both use map 'events'" },
        { "two of one name", WRONG(2), "two data sources are called 'one'" },
        { "misspelt map", WRONG(3), "names map 'evnts', which does not exist; did you mean" },
        { "iterator without type", WRONG(18), "does not read name___type___program" },
        { "iterator without program", WRONG(19), "did you mean 'on_task'?" },
        { "no data source", WRONG(10), "the object declares no data source" },
        { "too many data sources", WRONG(11), "more than 16 data sources" },
        { "event larger than any", WRONG(14), "has 65540 bytes, not 1 to 65536" },
        { "entry larger than any", WRONG(22), "key and value have not 1 to 65528 bytes together" },
        { "too many fields", BAD(1), "struct event has more than 512 fields" },
        { "too deep", BAD(2), "nests structs deeper than 16 levels" },
        { "histogram of 65 slots", WRONG(15), "has 65 slots" },
        { "histogram of a million slots", BAD(3), "key and value have not 1 to 65528 bytes" },
        { "parameter of no kind", WRONG(13), "cannot be a parameter" },
};

static void expect_refusal(struct env *env, const char *what, const char *says, struct run *run) {
        int code = run_exit(run);

        if (code != 1 || !strstr(run_err(run), says))
                run_fail(run, "%s: exit %d, '%s' expected", what, code, says);
        assert_string_equal(run_out(run), "");
}

static void test_objects(void **state) {
        struct env *env = *state;

        test_needs(NEED_ROOT);
        env_start(env, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
                expect_refusal(env, refused[i].what, refused[i].says,
                               env_run(env, "run", refused[i].object, NULL));
        env_stop(env);
}

/* --- definitions --- */

static const struct {
        const char *text;
        const char *says; /* behind the name of the file */
} definitions[] = {
        { "nam: x\n", ":1:1: 'nam' is not known here; did you mean 'name'?" },
        { "name: [x]\n", ":1:7: text is expected here, not a list" },
        { "name: x\nname: y\n", ":2:1: 'name' stands here a second time (first in line 1)" },
        { "datasources:\n  cals:\n", ":2:3: the object has no data source 'cals'; did you mean" },
        { "datasources:\n  calls:\n    fields:\n      pdi:\n", ":4:7: data source 'calls' has no" },
        { "datasources:\n  calls:\n    fields:\n      pid:\n        annotations:\n"
          "          columns.widht: 3\n",
          ":6:11: annotation 'columns.widht' is not known; did you mean 'columns.width'?" },
        { "datasources:\n  calls:\n    fields:\n      pid:\n        annotations:\n"
          "          template: pdi\n",
          ":6:11: template 'pdi' does not exist; did you mean 'pid'?" },
        { "datasources:\n  calls:\n    fields:\n      pid:\n        annotations:\n"
          "          columns.ellipsis: midle\n",
          ":6:11: annotation 'columns.ellipsis' takes start, middle, end or none, not 'midle'; did "
          "you mean 'middle'?" },
        { "datasources:\n  calls:\n    annotations:\n      ebpf.rest.len: pid\n",
          ":4:7: 'ebpf.rest.len': bytes behind the struct of an event are not read" },
        { "datasources:\n  calls:\n    annotations:\n      fetch-interval: soon\n",
          ":4:7: annotation 'fetch-interval' takes a duration such as 500ms or 2s, not 'soon'" },
        { "params:\n  ebpf:\n    targ_pdi:\n      key: pid\n", ":3:5: the object has no const" },
        { "params:\n  custom:\n    x: {}\n", ":2:3: 'custom': parameters that patch" },
        { "params:\n  wasm:\n    x: {}\n", ":2:3: 'wasm': gadgets with wasm code" },
        { "operator:\n  process: {}\n", ":1:1: 'operator': operators are not configured" },
        { "tracers:\n  x: {}\n", ":1:1: 'tracers': " },
        { "programs:\n  on_getpid:\n    attach_to: x\n", ":2:3: the object has no program" },
        { "name: x\ndescription: &a y\nannotations: *a\n", ":3:14: aliases (*name) are not" },
        { "name: x\n---\nname: y\n", ":3:1: a second document begins" },
        { "name: \"x\n", ": not YAML" },
        { "{", ": not YAML" },
};

static void test_definitions(void **state) {
        struct env *env = *state;
        char says[256];

        test_needs(NEED_ROOT);
        env_start(env, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(definitions); i++) {
                const char *path = env_path(env, "/mine.yaml");
                struct run *run;

                assert_int_equal(write_file_atomic(AT_FDCWD, path, definitions[i].text,
                                                   strlen(definitions[i].text), 0644),
                                 0);
                run = env_run(env, "run", act_object("ring4k"), "--definition", path, NULL);
                /* The file is called what the user called it. */
                snprintf(says, sizeof(says), "gadgetctl: %s:", path);
                expect_refusal(env, definitions[i].text, says, run);
                assert_non_null(strstr(run_err(run), definitions[i].says));
        }
        env_stop(env);
}

/* --- BTF --- */

/* Bytes behind a type's header. */
static size_t btf_extra(const struct btf_type *t) {
        unsigned int n = BTF_INFO_VLEN(t->info);

        switch (BTF_INFO_KIND(t->info)) {
        case BTF_KIND_INT:
        case BTF_KIND_VAR:
        case BTF_KIND_DECL_TAG:
                return 4;
        case BTF_KIND_ARRAY:
                return sizeof(struct btf_array);
        case BTF_KIND_STRUCT:
        case BTF_KIND_UNION:
                return n * sizeof(struct btf_member);
        case BTF_KIND_ENUM:
                return n * sizeof(struct btf_enum);
        case BTF_KIND_ENUM64:
                return n * sizeof(struct btf_enum64);
        case BTF_KIND_FUNC_PROTO:
                return n * sizeof(struct btf_param);
        case BTF_KIND_DATASEC:
                return n * sizeof(struct btf_var_secinfo);
        default:
                return 0;
        }
}

/* Makes the first typedef of the object one of itself. */
static void make_recursive(struct buf *object) {
        static const uint8_t magic[] = { 0x9f, 0xeb, 1, 0 };
        uint8_t *p = memmem(object->data, object->len, magic, sizeof(magic));
        struct btf_header header;
        uint32_t id = 1;
        size_t at;

        assert_non_null(p);
        memcpy(&header, p, sizeof(header));
        p += header.hdr_len + header.type_off;
        for (at = 0; at < header.type_len; id++) {
                struct btf_type t;

                memcpy(&t, p + at, sizeof(t));
                if (BTF_INFO_KIND(t.info) == BTF_KIND_TYPEDEF) {
                        t.type = id;
                        memcpy(p + at, &t, sizeof(t));
                        return;
                }
                at += sizeof(t) + btf_extra(&t);
        }
        fail_msg("the object has no typedef");
}

static void test_recursive_types(void **state) {
        cleanup_buf struct buf object = BUF_INIT(16 << 20);
        struct env *env = *state;
        const char *path;
        int fd;

        test_needs(NEED_ROOT);
        env_start(env, NULL);
        fd = open(act_object("ring4k"), O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(read_fd(fd, &object), 0);
        close(fd);
        make_recursive(&object);
        path = env_path(env, "/recursive.o");
        assert_int_equal(write_file_atomic(AT_FDCWD, path, object.data, object.len, 0644), 0);
        expect_refusal(env, "recursive BTF", "BTF", env_run(env, "run", path, NULL));
        env_stop(env);
}

/* --- what is counted --- */

/* The instance runs, and its gadgetctl follows it. */
static bool is_followed(struct env *env) {
        json_t *list = env_ctl_json(env, "list", "-o", "json", NULL), *item;
        bool result = false;
        size_t i;

        json_array_foreach(list, i, item) result |=
                str_eq(row_str(item, "state"), "running") && row_int(item, "attached") > 0;
        json_decref(list);
        return result;
}

/* Starts it for one child, which then makes n calls, and stops it. */
static struct run *run_for_calls(struct env *env, const char *object, uint64_t n,
                                 const char *const *more) {
        const char *args[16] = { "run", object, "--name", "bad", "-o", "json", "--pid" };
        struct act_child child;
        struct run *run;
        char pid[16];
        size_t at = 8;

        act_fork(&child);
        snprintf(pid, sizeof(pid), "%d", child.pid);
        args[7] = pid;
        while (*more)
                args[at++] = *more++;
        run = env_run_argv(env, args);
        assert_true(WAIT_UNTIL(is_followed(env), WAIT_DEFAULT));
        act_flood(&child, n);
        run_signal(run, SIGINT);
        assert_int_equal(run_exit_within(run, 30 * NSEC_PER_SEC), 0);
        act_end(&child);
        return run;
}

#define WITH(...) ((const char *const[]){ __VA_ARGS__, NULL })
/* Rows of 496 bytes that 32 MiB hold. */
#define HELD (32 * 1024 * 1024 / 496)
#define WITH_NOTHING ((const char *const[]){ NULL })

static void test_events_of_other_sizes(void **state) {
        struct env *env = *state;
        struct run *run;
        json_t *rows;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        run = run_for_calls(env, BAD(4), 25, WITH_NOTHING);
        assert_string_equal(run_out(run), "");
        if (!strstr(run_err(run), "calls: 25 rows lost: 25 that were no event of the"))
                run_fail(run, "25 lost rows are not told");
        run = run_for_calls(env, BAD(5), 25, WITH_NOTHING);
        rows = run_rows(run);
        assert_int_equal(json_array_size(rows), 25);
        assert_string_equal(row_str(json_array_get(rows, 24), "text"), "short");
        assert_string_equal(row_str(json_array_get(rows, 24), "tail"), "");
        assert_int_equal(row_int(json_array_get(rows, 24), "number"), 7);
        json_decref(rows);
        env_stop(env);
}

/* 100 000 keys: sorted as far as 32 MiB of them can be held, the others are told; and whoever wants
 * the three largest gets the three largest of all. */
static void test_key_set_explodes(void **state) {
        struct env *env = *state;
        unsigned int left = 0;
        struct run *run;
        json_t *rows;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        run = run_for_calls(env, BAD(6), 100, WITH("--interval", "0", "--sort", "-count"));
        rows = json_loads(run_out(run), 0, NULL);
        assert_int_equal(json_array_size(rows), HELD);
        json_decref(rows);
        assert_int_equal(sscanf(strstr(run_err(run), "keys: "), "keys: %u rows lost", &left), 1);
        assert_int_equal(left, 100000 - HELD);

        run = run_for_calls(env, BAD(6), 100,
                            WITH("--interval", "0", "--sort", "-count", "--max-entries", "3"));
        rows = json_loads(run_out(run), 0, NULL);
        assert_int_equal(json_array_size(rows), 3);
        for (unsigned int i = 0; i < 3; i++)
                assert_int_equal(row_int(json_array_get(rows, i), "count"), 99999 - i);
        json_decref(rows);
        assert_string_equal(run_err(run), "");
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_objects),          ENV_TEST(test_definitions),
        ENV_TEST(test_recursive_types),  ENV_TEST(test_events_of_other_sizes),
        ENV_TEST(test_key_set_explodes),
};

TEST_MAIN("bad-input", tests)
