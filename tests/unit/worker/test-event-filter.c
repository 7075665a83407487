/* SPDX-License-Identifier: Apache-2.0 */
/* Filters against one made-up event with a field of every kind: by the worker, as the event comes
 * from the kernel, and by the client, as the row that the worker makes of it. Both must agree. */
#include <arpa/inet.h>

#include "replayed.h"
#include "rig.h"
#include "tests/lib/needs.h"
#include "worker/event-filter.h"
#include "worker/program.h"
#include "worker/schema.h"

#define WALL_OFFSET 5

static struct {
        struct bytes object;
        struct rig rig;
        const struct source *source;
        uint8_t *event;
        struct buf schema;
        struct bytes row;
} fx;

static const struct event_field *field_of(const char *name) {
        const struct event_type *type = fx.source->type;

        for (size_t i = 0; i < type->n_fields; i++)
                if (str_eq(type->fields[i].name, name))
                        return &type->fields[i];
        fail_msg("no field '%s'", name);
        return NULL;
}

static void put(const char *name, const void *data, size_t n) {
        memcpy(fx.event + field_of(name)->offset, data, n);
}

#define PUT(_name, _type, _value) put(_name, &(_type){ _value }, sizeof(_type))

/* What the worker sends of the event. */
static void encode_row(void) {
        struct program program;
        uint8_t *row;

        assert_int_equal(program_init(&program, fx.source->type), 0);
        row = malloc(program.row_max);
        fx.row = BYTES(row,
                       program_run(&program, fx.event, fx.source->type->size, WALL_OFFSET, row) -
                               row);
        program_done(&program);
}

static int setup(void **state) {
        fx.object = rig_object("tests/gadgets/all_types");
        if (rig_open(&fx.rig, fx.object, NULL, 64 << 10) < 0)
                fail_msg("%s", fx.rig.err.msg);
        fx.source = &fx.rig.gadget.sources[0];
        fx.event = calloc(1, fx.source->type->size);
        PUT("u64_max", uint64_t, UINT64_MAX);
        PUT("s32_min", int32_t, INT32_MIN);
        PUT("s8_min", int8_t, -5);
        PUT("u32_max", uint32_t, 1000);
        PUT("yes", bool, true);
        PUT("color_raw", uint32_t, 7);
        PUT("unknown_color_raw", uint32_t, 99);
        PUT("signed_color_raw", int32_t, -3);
        PUT("access_raw", uint32_t, 9);
        put("text", "some text", 10);
        put("full", "full", 4);
        PUT("error_raw", uint32_t, 2);
        PUT("signal_raw", uint32_t, 10);
        PUT("syscall_raw", uint64_t, 1);
        PUT("duration_raw", uint64_t, 1500000);
        PUT("bytes_raw", uint64_t, 4096);
        PUT("timestamp_raw", uint64_t, 1000);
        put("proc.comm", "cat", 4);
        PUT("proc.pid", uint32_t, 42);
        put("args", "ls\0-l\0/tmp", 11);
        put("l3v4.addr", "\x7f\0\0\1", 4);
        PUT("l3v4.version", uint8_t, 4);
        inet_pton(AF_INET6, "2001:db8::5", fx.event + field_of("l3v6.addr")->offset);
        PUT("l3v6.version", uint8_t, 6);
        PUT("mode_raw", uint32_t, 0100644);
        PUT("flags_raw", uint32_t, 02000001);
        fx.schema = BUF_INIT(LIMIT_SCHEMA_SIZE_MAX);
        if (schema_encode(&fx.rig.gadget, &fx.schema, &fx.rig.err) < 0)
                fail_msg("%s", fx.rig.err.msg);
        encode_row();
        return 0;
}

static int teardown(void **state) {
        free(fx.event);
        free((void *)(uintptr_t)fx.row.data);
        buf_done(&fx.schema);
        rig_done(&fx.rig);
        free((void *)(uintptr_t)fx.object.data);
        return 0;
}

static int make(enum run_option option, const char *text, struct event_filter **ret) {
        struct run_options *o = &fx.rig.gadget.options;

        run_options_done(o);
        assert_int_equal(run_options_set(o, option, text), 0);
        fx.rig.err = (struct error){ 0 };
        return event_filter_new(&fx.rig.gadget, fx.source, ret, &fx.rig.err);
}

static void expect(enum run_option option, const char *text, bool passes) {
        struct event_filter *f = NULL;
        struct error err = { 0 };
        bool replayed;

        if (make(option, text, &f) < 0)
                fail_msg("'%s': %s", text, fx.rig.err.msg);
        assert_non_null(f);
        if (event_filter_passes(f, fx.event, fx.source->type->size, WALL_OFFSET) != passes)
                fail_msg("'%s' is not %s", text, passes ? "true" : "false");
        event_filter_free(f);
        if (replayed_passes(BYTES(fx.schema.data, fx.schema.len), fx.row, option, text, &replayed,
                            &err) < 0)
                fail_msg("'%s' of a recording: %s", text, err.msg);
        if (replayed != passes)
                fail_msg("'%s' of a recording is not %s", text, passes ? "true" : "false");
}

static void test_terms(void **state) {
        static const struct {
                const char *text;
                bool passes;
        } cases[] = {
                { "proc.pid==42", true },
                { "PROC.PID==42", true },
                { "proc.pid!=42", false },
                { "proc.pid>41,proc.pid<43", true },
                { "proc.pid>=42,proc.pid<=42", true },
                { "proc.pid>42", false },
                { "proc.pid==42,u32_max==1", false },
                { "u64_max==18446744073709551615", true },
                { "u64_max>9223372036854775807", true },
                { "u64_max>-1", true },
                { "s32_min==-2147483648", true },
                { "s32_min<0", true },
                { "s8_min==-5", true },
                { "s8_min>-6,s8_min<18446744073709551615", true },
                { "u32_max==0x3e8", true },
                { "u32_max<1000.5,u32_max>999.5", true },
                { "yes==true", true },
                { "yes==0", false },
                { "no==false", true },
                { "text==some text", true },
                { "text!=some", true },
                { "text~^some", true },
                { "text!~text$", false },
                { "text>som,text<somf", true },
                { "full==full", true },
                { "empty==", true },
                { "color==BLUE", true },
                { "color==blue", true },
                { "color!=RED", true },
                { "color_raw==7", true },
                { "color==7", true },
                { "color~^BL", true },
                { "unknown_color==99", true },
                { "signed_color==BELOW", true },
                { "signed_color<ABOVE", true },
                { "access==READ|EXECUTE", true },
                { "access==READ", false },
                { "access~EXEC", true },
                { "access~WRITE", false },
                { "error==ENOENT", true },
                { "error~^EN", true },
                { "no_error==", true },
                { "error!=", true },
                { "signal==SIGUSR1", true },
                { "signal==10", true },
                { "syscall~^SYS_", true },
                { "duration>1ms,duration<2ms", true },
                { "duration_raw==1500000", true },
                { "bytes==4K", true },
                { "timestamp_raw==1005", true }, /* moved by the offset */
                { "l3v4.addr==127.0.0.1", true },
                { "l3v4.addr!=127.0.0.2", true },
                { "l3v4.addr~^127\\.", true },
                { "l3v6.addr==2001:db8:0:0::5", true },
                { "l3v6.addr~::5$", true },
                { "l3v6.addr==127.0.0.1", false },
                { "l4v4.addr==", true },
                { "args~^ls -l", true },
                { "args==ls -l /tmp", true },
                { "l3v4.version==4", true },
                { "proc.creds.user==rootuser", true },
                { "proc.creds.group~^rootg", true },
                { "proc.creds.user==daemon", false },
                { ",proc.pid==42,", true },
                { " proc.pid = 42 , yes = true ", true },
                { "u64_max==18446744073709551614", false },
                { "u64_max>=18446744073709551615", true },
                { "u64_max<18446744073709551615", false },
                { "u64_max>18446744073709551614", true },
                { "text==some\\, text", false },
                { "text~^so.*text$", true },
                { "text~a\\,b", false },
                { "yes~tru", true },
                { "proc.pid~^4", true },
                { "s8_min~^-5$", true },
                { "mode==-rw-r--r--", true },
                { "mode~^-rw", true },
                { "mode_raw==0100644", false }, /* numbers are decimal, or begin with 0x */
                { "mode_raw==0x81a4", true },
                { "flags==O_WRONLY|O_CLOEXEC", true },
                { "flags~CLOEXEC", true },
                { "flags!=O_RDONLY", true },
                { "unknown_color==UNKNOWN", true },
                { "color==UNKNOWN", false },
                { "unknown_color~^UNK", true },
                { "duration~ms$", true },
                { "duration==1.5ms", true },
                { "bytes~KiB", true },
                { "bytes<4097", true },
                { "access~^READ", true },
                { "access_raw~^9$", true },
                { "no_access==", true },
                { "no_error~^$", true },
                { "timestamp==1005", true },
                { "timestamp>1.5", true },
                { "proc.creds.uid==0", true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                expect(RUN_OPTION_FILTER, cases[i].text, cases[i].passes);
}

static void test_expressions(void **state) {
        static const struct {
                const char *text;
                bool passes;
        } cases[] = {
                { "proc.pid == 42", true },
                { "proc.pid==42 and text == 'some text'", true },
                { "proc.pid==42&&text=='some text'", true },
                { "proc.pid == 1 or proc.pid == 42", true },
                { "proc.pid == 1 || proc.pid == 2", false },
                { "not proc.pid == 1", true },
                { "! proc.pid == 42", false },
                { "not (proc.pid == 42 and yes == true)", false },
                { "proc.pid == 1 or yes == true and error == ENOENT", true },
                { "(proc.pid == 1 or yes == true) and error == EPERM", false },
                { "proc.pid in (1, 2, 42)", true },
                { "proc.comm in (dog, 'bird')", false },
                { "color in (RED, BLUE)", true },
                { "args contains '-l'", true },
                { "text contains \"me te\"", true },
                { "text contains 'z'", false },
                { "l3v4.addr contains '.0.1'", true },
                { "color contains LU", true },
                { "NOT proc.pid == 1 AND text ~ '^some\\ttext|text$'", true },
                { "text != 'it\\'s'", true },
                { "error == ''", false },
                { "proc.pid not in (1, 2)", true },
                { "proc.pid not in (1, 42)", false },
                { "access == READ|EXECUTE", true },
                { "proc.pid == 42 ; yes == true", true },
                { "all_types: proc.pid == 42; params: p_u8 == 9", true },
                { "text == 'a;b' or proc.pid == 42", true },
                { "proc.pid==42||proc.pid==1", true },
                { "u64_max == 18446744073709551615 and u64_max != 18446744073709551614", true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                expect(RUN_OPTION_FILTER_EXPR, cases[i].text, cases[i].passes);
}

static void test_refusals(void **state) {
        static const struct {
                enum run_option option;
                const char *text;
                const char *message;
        } wrong[] = {
                { RUN_OPTION_FILTER, "proc.pid", "no operator" },
                { RUN_OPTION_FILTER, "==3", "no field in front of" },
                { RUN_OPTION_FILTER, "proc.pids==3",
                  "has no field 'proc.pids'; did you mean "
                  "'proc.pid'?" },
                { RUN_OPTION_FILTER, "proc.pid==many", "field 'proc.pid' is a number, and 'many'" },
                { RUN_OPTION_FILTER, "color==PINK", "field 'color_raw' is a number, and 'PINK'" },
                { RUN_OPTION_FILTER, "text~[", "'[' has no ']'" },
                { RUN_OPTION_FILTER, "l3v4.addr==localhost", "this is no address" },
                { RUN_OPTION_FILTER, "l3v4.addr>1.2.3.4", "addresses are compared with" },
                { RUN_OPTION_FILTER, "numbers==3", "field 'numbers' is an array of numbers" },
                { RUN_OPTION_FILTER, "blob==3", "field 'blob' is an array of numbers" },
                { RUN_OPTION_FILTER, "timestamp~2024", "'timestamp' has no text that can be" },
                { RUN_OPTION_FILTER_EXPR, "proc.pid not 3", "expected 'in' behind 'not'" },
                { RUN_OPTION_FILTER_EXPR, "p_u8 == 1", "others have: say which one" },
                { RUN_OPTION_FILTER_EXPR, "proc.pid ==", "expected a word" },
                { RUN_OPTION_FILTER_EXPR, "(proc.pid == 1", "expected ')'" },
                { RUN_OPTION_FILTER_EXPR, "proc.pid == 1 proc.pid == 2", "expected 'and' or 'or'" },
                { RUN_OPTION_FILTER_EXPR, "proc.pid in 1", "needs a list in parentheses" },
                { RUN_OPTION_FILTER_EXPR, "text == 'open", "a quote is not closed" },
                { RUN_OPTION_FILTER_EXPR, "not", "expected a" },
        };
        char text[LIMIT_PARAM_VALUE_MAX];
        struct event_filter *f = NULL;
        struct error err = { 0 };
        bool passes;
        size_t n = 0;

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                assert_true(make(wrong[i].option, wrong[i].text, &f) < 0);
                assert_null(f);
                if (!strstr(fx.rig.err.msg, wrong[i].message))
                        fail_msg("'%s': '%s'", wrong[i].text, fx.rig.err.msg);
                /* The client says the very same. */
                assert_true(replayed_passes(BYTES(fx.schema.data, fx.schema.len), fx.row,
                                            wrong[i].option, wrong[i].text, &passes, &err) < 0);
                assert_string_equal(err.msg, fx.rig.err.msg);
        }
        /* Depth and number of terms are bounded. */
        memset(text, '(', 100);
        text[100] = '\0';
        assert_true(make(RUN_OPTION_FILTER_EXPR, text, &f) < 0);
        assert_non_null(strstr(fx.rig.err.msg, "nested too deeply"));
        for (; n < 300 * 6; n += 6)
                memcpy(text + n, "no==0,", 7);
        assert_int_equal(make(RUN_OPTION_FILTER, text, &f), -E2BIG);
        assert_null(f);
}

/* A term may be for one data source; the other one does not see it. */
static void test_sources(void **state) {
        const struct source *params = &fx.rig.gadget.sources[1];
        struct event_filter *f = NULL;

        assert_string_equal(params->name, "params");
        assert_int_equal(make(RUN_OPTION_FILTER, "all_types:proc.pid==1", &f), 0);
        assert_non_null(f);
        assert_false(event_filter_passes(f, fx.event, fx.source->type->size, 0));
        event_filter_free(f);
        assert_int_equal(event_filter_new(&fx.rig.gadget, params, &f, &fx.rig.err), 0);
        assert_null(f);
        /* Without a name it is for those that have the field. */
        assert_int_equal(make(RUN_OPTION_FILTER, "p_u8==1", &f), 0);
        assert_null(f);
        assert_int_equal(event_filter_new(&fx.rig.gadget, params, &f, &fx.rig.err), 0);
        assert_non_null(f);
        event_filter_free(f);
}

/* An event that was sent up to the end of its text: the rest is zero. */
static void test_short_events(void **state) {
        struct event_filter *f = NULL;

        assert_int_equal(make(RUN_OPTION_FILTER, "tail==,proc.pid==42", &f), 0);
        assert_true(event_filter_passes(f, fx.event, field_of("tail")->offset, 0));
        event_filter_free(f);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_terms),        cmocka_unit_test(test_expressions),
        cmocka_unit_test(test_refusals),     cmocka_unit_test(test_sources),
        cmocka_unit_test(test_short_events),
};
TEST_MAIN_SETUP("worker-filter", tests, setup, teardown)
