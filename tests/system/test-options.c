/* SPDX-License-Identifier: Apache-2.0 */
/* Options and parameters against data sources that they do not go with: refused before anything
 * starts, with what is wrong and where to look. Nothing is ignored. */
#include <stdio.h>

#include "tests/system/act.h"

#define OBJECT(_name) TEST_BUILD_DIR "/tests/unit/worker/" _name "-" TEST_ARCH ".bpf.o"
#define TRACER "trace_open"         /* open */
#define ITERATOR "snapshot_process" /* processes */
#define MAP "top_syscall"           /* a map */
#define HISTOGRAM "profile_blockio" /* a histogram */

static const struct {
        const char *gadget;
        const char *option;
        const char *value; /* NULL = none */
        const char *says;
} refused[] = {
        { TRACER, "--sort", "proc.pid", "sort: data source 'open' is a tracer" },
        { TRACER, "--sort", "open:proc.pid", "sort: data source 'open' is a tracer" },
        { TRACER, "--sort", "nosuch:proc.pid", "sort: there is no data source 'nosuch'" },
        { TRACER, "--max-entries", "5", "max-entries: data source 'open' is a tracer" },
        { TRACER, "--interval", "1s", "interval: data source 'open' is a tracer" },
        { TRACER, "--count", "3", "count: data source 'open' is a tracer" },
        { TRACER, "--keep", NULL, "keep: data source 'open' is a tracer" },
        { TRACER, "--iface", "lo", "iface: no program of the gadget" },
        { TRACER, "--filter", "opn:proc.pid==1",
          "there is no data source 'opn'; did you mean 'open'?" },
        { TRACER, "--filter", "proc.pif==1", "no field 'proc.pif'; did you mean 'proc.pid'?" },
        { TRACER, "--filter", "proc.pid=x", "filter: " },
        { TRACER, "--filter", "proc.comm~(", "pattern '(', byte 2" },
        { TRACER, "--filter-expr", "proc.pid == 1 and", "filter-expr: " },
        { TRACER, "--filter-expr", "nosuch: proc.pid == 1",
          "filter-expr: there is no data source 'nosuch'" },
        { TRACER, "--filter.opn", "proc.pid==1", "filter: there is no data source 'opn'" },
        { TRACER, "--filter.open", "proc.pid==1,proc.pif==2", "has no field 'proc.pif'" },
        { TRACER, "--sort.open", "proc.pid", "sort: data source 'open' is a tracer" },
        { TRACER, "--keep.open", NULL, "keep: data source 'open' is a tracer" },
        { TRACER, "--nosuch", "1", "the gadget has no parameter 'nosuch'" },
        { TRACER, "--faild", NULL, "did you mean 'failed'?" },
        { TRACER, "--pid", "4294967296", "'4294967296' is not a number from 0 to 4294967295" },
        { TRACER, "--pid", "-1", "'-1' is not a number from 0 to 4294967295" },
        { TRACER, "--failed", "perhaps", "'perhaps' is neither true nor false" },
        { TRACER, "--comm", "longer-than-sixteen", "at most 15 fit" },
        { TRACER, "--definition", "mine.yaml", "--definition goes with an object file" },
        { ITERATOR, "--keep", NULL, "keep: data source 'processes' is an iterator" },
        { ITERATOR, "--sort", "-proc.comn",
          "sort: data source 'processes' has no field 'proc.comn'; did you mean 'proc.comm'?" },
        { ITERATOR, "--sort", "nosuch:pid", "sort: there is no data source 'nosuch'" },
        { ITERATOR, "--interval", "soon", "interval: 'soon' is no duration" },
        { ITERATOR, "--interval", "1us", "shorter than 1ms" },
        { ITERATOR, "--max-entries", "-1", "max-entries: '-1' is not a number" },
        { ITERATOR, "--max-entries", "nosuch:1", "max-entries: there is no data source 'nosuch'" },
        { ITERATOR, "--count", "many", "count: 'many' is not a number" },
        { MAP, "--keep=perhaps", NULL, "'perhaps' is neither true nor false" },
        { MAP, "--perf-buffers", NULL, "perf-buffers: data source 'syscalls' is a map" },
        { TRACER, "--perf-buffers=perhaps", NULL, "'perhaps' is neither true nor false" },
        { MAP, "--sort", "nosuch", "has no field 'nosuch'" },
        { HISTOGRAM, "--iface", "lo", "iface: no program of the gadget" },
};

static void test_refused(void **state) {
        struct env *env = *state;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
                struct run *run = env_run(env, "run", refused[i].gadget, refused[i].option,
                                          refused[i].value, NULL);
                int code = run_exit(run);

                if (code != 2 || !strstr(run_err(run), refused[i].says))
                        run_fail(run, "row %zu: exit %d, '%s' expected", i, code, refused[i].says);
                assert_string_equal(run_out(run), "");
        }
        env_stop(env);
}

/* What is no option of run is a parameter of the gadget: the gadget's own help lists those. */
static void test_unknown_parameter_leads_to_help(void **state) {
        struct env *env = *state;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        run = env_ctl(env, 2, "run", TRACER, "--nosuch", "1", NULL);
        assert_non_null(strstr(run_err(run), "'gadgetctl run " TRACER " --help'"));
        run = env_ctl(env, 0, "run", TRACER, "--help", NULL);
        assert_non_null(strstr(run_out(run), "--pid u32"));
        assert_non_null(strstr(run_out(run), "(0 to 4294967295)"));
        assert_non_null(strstr(run_out(run), "(at most 15 bytes)"));
        assert_non_null(strstr(run_out(run), "--failed "));
        assert_non_null(strstr(run_out(run), "(default false)"));
        env_stop(env);
}

/* Of several data sources each gets what is meant for it. */
static void test_prefixes(void **state) {
        struct env *env = *state;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        env_start(env, NULL);
        env_ctl(env, 0, "run", OBJECT("kinds"), "--host", "--count", "1", "--max-entries",
                "calls:1,table:2", "--sort", "calls:-count;table:value", "-o", "json", NULL);
        run = env_ctl(env, 2, "run", OBJECT("kinds"), "--host", "--keep=elements:true", NULL);
        assert_non_null(strstr(run_err(run), "keep: data source 'elements' is an iterator"));
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_refused),
        ENV_TEST(test_unknown_parameter_leads_to_help),
        ENV_TEST(test_prefixes),
};

TEST_MAIN("options", tests)
