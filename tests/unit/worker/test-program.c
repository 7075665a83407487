/* SPDX-License-Identifier: Apache-2.0 */
/* Field programs, value by value: an event is written by the offsets of its BTF, run, and read back
 * as msgpack. */
#include <math.h>

#include "rig.h"
#include "tests/lib/needs.h"

#define OUT_ROOM 8192
/* For names of made-up fields, which nobody frees. */
#define literal(_text) ((char *)(uintptr_t)(_text))
#define WALL_OFFSET UINT64_C(1700000000000000000)

static struct fixture {
        struct bytes object;
        struct rig rig;
        const struct event_type *type;
        struct program program;
        uint8_t *event;
        uint8_t out[OUT_ROOM];
        struct mp_value values[600]; /* of the row, arrays flattened behind their header */
        size_t first[512];           /* where a field's value stands among them */
} fx;

static int setup(void **state) {
        fx.object = rig_object("tests/gadgets/all_types");
        assert_int_equal(rig_open(&fx.rig, fx.object, NULL, 64 << 10), 0);
        fx.type = fx.rig.gadget.sources[0].type;
        assert_int_equal(program_init(&fx.program, fx.type), 0);
        fx.event = calloc(1, fx.type->size);
        return 0;
}

static int teardown(void **state) {
        free(fx.event);
        program_done(&fx.program);
        rig_done(&fx.rig);
        free((void *)(uintptr_t)fx.object.data);
        return 0;
}

static size_t index_of(const char *name) {
        for (size_t i = 0; i < fx.type->n_fields; i++)
                if (str_eq(fx.type->fields[i].name, name))
                        return i;
        fail_msg("no field '%s'", name);
        return 0;
}

static void put(const char *name, const void *data, size_t n) {
        memcpy(fx.event + fx.type->fields[index_of(name)].offset, data, n);
}
#define put_value(_name, _type, _value) put(_name, &(_type){ _value }, sizeof(_type))

/* Runs the first len bytes of the event in a buffer of exactly that size, so that ASan sees a read
 * too far. */
static void run_part(const struct program *p, uint32_t len) {
        uint8_t *exact = malloc(len), *end;
        struct mp_reader r;
        uint32_t n;
        size_t v = 0;

        memcpy(exact, fx.event, len);
        memset(fx.out, 0xee, sizeof(fx.out));
        end = program_run(p, exact, len, WALL_OFFSET, fx.out);
        free(exact);
        assert_true(end <= fx.out + p->row_max);
        r = mp_reader_of(BYTES(fx.out, (size_t)(end - fx.out)));
        assert_int_equal(mp_read_array(&r, &n), 0);
        /* What is added of a container is one step. */
        assert_true(n == p->n_steps || n == p->n_steps - 1 + CONTAINER_FIELDS);
        for (uint32_t i = 0; i < n; i++) {
                uint32_t elements;

                fx.first[i] = v;
                assert_int_equal(mp_read(&r, &fx.values[v]), 0);
                elements = fx.values[v].type == MP_ARRAY ? fx.values[v].n : 0;
                for (v++; elements > 0; elements--)
                        assert_int_equal(mp_read(&r, &fx.values[v++]), 0);
                assert_true(v < ARRAY_SIZE(fx.values) - 300);
        }
        assert_ptr_equal(r.pos, r.end);
}

static void run(void) {
        run_part(&fx.program, fx.type->size);
}

static const struct mp_value *value(const char *name) {
        return &fx.values[fx.first[index_of(name)]];
}

static void expect_uint(const char *name, uint64_t u) {
        assert_int_equal(value(name)->type, MP_UINT);
        assert_true(value(name)->u == u);
}

/* Negative numbers are MP_INT; others are MP_UINT in msgpack's shortest form. */
static void expect_int(const char *name, int64_t i) {
        if (i >= 0) {
                expect_uint(name, (uint64_t)i);
                return;
        }
        assert_int_equal(value(name)->type, MP_INT);
        assert_true(value(name)->i == i);
}

static void expect_bytes(const struct mp_value *v, enum mp_type type, const void *data, size_t n) {
        assert_int_equal(v->type, type);
        assert_int_equal(v->n, n);
        assert_memory_equal(v->data, data, n);
}

static void expect_str(const char *name, const char *text) {
        expect_bytes(value(name), MP_STR, text, strlen(text));
}

static void test_zero(void **state) {
        memset(fx.event, 0, fx.type->size);
        run();
        expect_uint("u64_max", 0);
        expect_int("s8_min", 0);
        expect_str("text", "");
        expect_uint("timestamp_raw", 0); /* not the beginning of this boot */
        expect_bytes(value("l3v4.addr"), MP_BIN, "", 0);
        assert_int_equal(value("yes")->type, MP_BOOL);
        assert_false(value("yes")->b);
        assert_int_equal(value("args")->type, MP_ARRAY);
        assert_int_equal(value("args")->n, 0);
        assert_int_equal(value("numbers")->n, 3);
}

static void test_integers(void **state) {
        static const uint64_t edges[] = { 1,
                                          31,
                                          32,
                                          127,
                                          128,
                                          255,
                                          256,
                                          65535,
                                          65536,
                                          UINT32_MAX,
                                          UINT64_C(1) << 32,
                                          INT64_MAX,
                                          UINT64_C(1) << 63,
                                          UINT64_MAX };

        for (size_t i = 0; i < ARRAY_SIZE(edges); i++) {
                put_value("u8_max", uint8_t, (uint8_t)edges[i]);
                put_value("u16_max", uint16_t, (uint16_t)edges[i]);
                put_value("u32_max", uint32_t, (uint32_t)edges[i]);
                put_value("u64_max", uint64_t, edges[i]);
                put_value("s8_min", int8_t, (int8_t)edges[i]);
                put_value("s16_min", int16_t, (int16_t)edges[i]);
                put_value("s32_min", int32_t, (int32_t)edges[i]);
                put_value("s64_min", int64_t, (int64_t)edges[i]);
                run();
                expect_uint("u8_max", (uint8_t)edges[i]);
                expect_uint("u16_max", (uint16_t)edges[i]);
                expect_uint("u32_max", (uint32_t)edges[i]);
                expect_uint("u64_max", edges[i]);
                expect_int("s8_min", (int8_t)edges[i]);
                expect_int("s16_min", (int16_t)edges[i]);
                expect_int("s32_min", (int32_t)edges[i]);
                expect_int("s64_min", (int64_t)edges[i]);

                put_value("s64_min", int64_t, (int64_t)(0 - edges[i]));
                put_value("s32_min", int32_t, (int32_t)(0 - edges[i]));
                run();
                expect_int("s64_min", (int64_t)(0 - edges[i]));
                expect_int("s32_min", (int32_t)(0 - edges[i]));
        }
        put_value("s8_min", int8_t, INT8_MIN);
        put_value("s16_min", int16_t, INT16_MIN);
        put_value("c", char, 'c');
        put_value("typedefed", int32_t, -42);
        put_value("signed_color_raw", int32_t, -3);
        put_value("access_raw", uint32_t, 9);
        put_value("inner.deep.below", int16_t, -7);
        run();
        expect_int("s8_min", INT8_MIN);
        expect_int("s16_min", INT16_MIN);
        expect_int("c", 'c');
        expect_int("typedefed", -42);
        expect_int("signed_color_raw", -3);
        expect_uint("access_raw", 9);
        expect_int("inner.deep.below", -7);
}

static void test_bool_is_any_value_but_zero(void **state) {
        put_value("yes", uint8_t, 0x80);
        put_value("no", uint8_t, 0);
        run();
        assert_true(value("yes")->type == MP_BOOL && value("yes")->b);
        assert_true(value("no")->type == MP_BOOL && !value("no")->b);
}

static void test_text(void **state) {
        static const char *const comms[] = { "",         "a",         "sevenxx",
                                             "eightxxx", "nine_long", "fifteen_chars__" };

        put("full", "full", 4);
        put("binary", "a\xff\x1b[0m\n", 8);
        put("text", "0123456789abcdef", 16);
        run();
        expect_str("full", "full");
        expect_str("binary", "a\xff\x1b[0m\n");
        expect_bytes(value("text"), MP_STR, "0123456789abcdef", 16);
        for (size_t i = 0; i < ARRAY_SIZE(comms); i++) {
                char comm[16];

                memset(comm, 'X', sizeof(comm)); /* what is behind the NUL is not ours */
                memcpy(comm, comms[i], strlen(comms[i]) + 1);
                put("text", comm, 16);
                run();
                expect_str("text", comms[i]);
        }
        put("text", "\x80\x81\x01\xff\x7f\x80\x80\x80\x80\x01\0junkj", 16);
        run();
        expect_str("text", "\x80\x81\x01\xff\x7f\x80\x80\x80\x80\x01");
}

static void test_arrays(void **state) {
        put("blob", "\x00\x01\x02\xfd\xfe\xff", 6);
        put("numbers", &(int32_t[]){ 1, -2, 3 }, 12);
        put("longs", &(uint64_t[]){ 0, UINT64_MAX }, 16);
        run();
        assert_int_equal(value("blob")->n, 6);
        assert_int_equal(value("blob")[4].u, 0xfd);
        assert_int_equal(value("numbers")->n, 3);
        assert_int_equal(value("numbers")[2].type, MP_INT);
        assert_int_equal(value("numbers")[2].i, -2);
        assert_true(value("longs")[2].u == UINT64_MAX);
}

static void test_times_are_moved_to_the_wall_clock(void **state) {
        put_value("timestamp_raw", uint64_t, 12345);
        put_value("duration_raw", uint64_t, 12345);
        run();
        expect_uint("timestamp_raw", WALL_OFFSET + 12345);
        expect_uint("duration_raw", 12345);
}

static void test_addresses(void **state) {
        static const uint8_t v6[16] = { 0xfe, 0x80, [15] = 0x42 };

        put("l3v4.addr", "\x7f\0\0\x01", 4);
        put_value("l3v4.version", uint8_t, 4);
        put("l4v6.addr", v6, 16);
        put_value("l4v6.version", uint8_t, 6);
        put_value("l4v6.port", uint16_t, 53);
        put_value("l4v6.proto_raw", uint16_t, 17);
        put_value("l3v6.version", uint8_t, 5); /* no such thing: no address */
        run();
        expect_bytes(value("l3v4.addr"), MP_BIN, "\x7f\0\0\x01", 4);
        expect_bytes(value("l4v6.addr"), MP_BIN, v6, 16);
        expect_bytes(value("l3v6.addr"), MP_BIN, "", 0);
        expect_uint("l4v6.port", 53);
        expect_uint("l4v6.proto_raw", 17);
}

static void test_strings(void **state) {
        static const struct {
                const char *args;
                size_t size;
                const char *strings[5];
        } cases[] = {
                { "prog\0two words\0\0last", 20, { "prog", "two words", "", "last" } },
                { "prog\0", 6, { "prog" } },
                { "", 1, { NULL } },
                { "no NUL in 64 bytes: 0123456789012345678901234567890123456789abcd",
                  64,
                  { "no NUL in 64 bytes: 0123456789012345678901234567890123456789abcd" } },
        };
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char args[64] = { 0 };
                size_t n = 0;

                memcpy(args, cases[i].args, cases[i].size);
                put("args", args, sizeof(args));
                run();
                while (n < 5 && cases[i].strings[n]) {
                        expect_bytes(&value("args")[n + 1], MP_STR, cases[i].strings[n],
                                     strlen(cases[i].strings[n]));
                        n++;
                }
                assert_int_equal(value("args")->n, n);
        }
}

static void test_short_events(void **state) {
        const struct event_field *tail = &fx.type->fields[index_of("tail")];

        put("tail", "the end", 8);
        put("text", "whole", 6);
        assert_int_equal(fx.program.fixed_size, tail->offset);
        run_part(&fx.program, tail->offset + 4);
        expect_str("tail", "the ");
        expect_str("text", "whole");
        run_part(&fx.program, tail->offset);
        expect_str("tail", "");
        run_part(&fx.program, tail->offset + 200);
        expect_str("tail", "the end");
}

/* A made-up type: arguments at the end, of which only a part is sent. */
static void test_strings_cut_by_the_end_of_the_event(void **state) {
        static const struct {
                const char *sent;
                uint32_t n;
                uint32_t n_strings;
                const char *last;
        } cases[] = {
                { "a\0b\0", 4, 2, "b" }, { "a\0b", 3, 2, "b" }, { "a\0\0", 3, 2, "" },
                { "a\0", 2, 1, "a" },    { "\0", 1, 1, "" },    { "", 0, 0, NULL },
                { "\0\0", 2, 2, "" },
        };
        struct event_field fields[] = {
                { .name = literal("n"),
                  .kind = FIELD_UINT,
                  .size = 4,
                  .version_offset = NO_OFFSET },
                { .name = literal("args"),
                  .kind = FIELD_ARRAY,
                  .elem = FIELD_STR,
                  .size = 1,
                  .n = 32,
                  .offset = 4,
                  .version_offset = NO_OFFSET },
        };
        struct event_type type = { .size = 36, .fields = fields, .n_fields = 2 };
        struct program p;

        assert_int_equal(program_init(&p, &type), 0);
        assert_int_equal(p.fixed_size, 4);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                memset(fx.event, 0, 36);
                memcpy(fx.event + 4, cases[i].sent, cases[i].n);
                run_part(&p, 4 + cases[i].n);
                assert_int_equal(fx.values[1].n, cases[i].n_strings);
                if (cases[i].last)
                        expect_bytes(&fx.values[1 + cases[i].n_strings], MP_STR, cases[i].last,
                                     strlen(cases[i].last));
        }
        program_done(&p);
}

/* A comm that is the last field may be cut as well: its short cut must not read past the event. */
static void test_sixteen_chars_at_the_end(void **state) {
        struct event_field fields[] = {
                { .name = literal("comm"),
                  .kind = FIELD_STR,
                  .size = 16,
                  .version_offset = NO_OFFSET },
        };
        struct event_type type = { .size = 16, .fields = fields, .n_fields = 1 };
        struct program p;

        assert_int_equal(program_init(&p, &type), 0);
        memcpy(fx.event, "0123456789abcdef", 16);
        for (uint32_t n = 1; n <= 16; n++) {
                run_part(&p, n);
                expect_bytes(&fx.values[0], MP_STR, "0123456789abcdef", n);
        }
        program_done(&p);
}

static void test_floats(void **state) {
        struct event_field fields[] = {
                { .name = literal("f"),
                  .kind = FIELD_FLOAT,
                  .size = 4,
                  .version_offset = NO_OFFSET },
                { .name = literal("d"),
                  .kind = FIELD_FLOAT,
                  .size = 8,
                  .offset = 4,
                  .version_offset = NO_OFFSET },
                { .name = literal("a"),
                  .kind = FIELD_ARRAY,
                  .elem = FIELD_FLOAT,
                  .size = 4,
                  .n = 2,
                  .offset = 12,
                  .version_offset = NO_OFFSET },
        };
        struct event_type type = { .size = 20, .fields = fields, .n_fields = 3 };
        struct program p;

        assert_int_equal(program_init(&p, &type), 0);
        memcpy(fx.event, &(float){ 1.5f }, 4);
        memcpy(fx.event + 4, &(double){ -2.25 }, 8);
        memcpy(fx.event + 12, &(float[]){ 0.0f, NAN }, 8);
        run_part(&p, 20);
        assert_true(fx.values[0].type == MP_FLOAT && fx.values[0].f == 1.5);
        assert_true(fx.values[1].f == -2.25);
        assert_true(isnan(fx.values[4].f));
        program_done(&p);
}

/* Whatever the bytes are, a row stays within row_max and is whole msgpack. */
static void test_any_bytes(void **state) {
        uint64_t x = 88172645463325252u;

        for (int round = 0; round < 2000; round++) {
                for (uint32_t i = 0; i < fx.type->size; i++) {
                        x ^= x << 13;
                        x ^= x >> 7;
                        x ^= x << 17;
                        fx.event[i] = round % 3 == 0   ? (uint8_t)x
                                      : round % 3 == 1 ? 0xff
                                                       : (uint8_t)(x & 1);
                }
                run_part(&fx.program,
                         fx.program.fixed_size +
                                 (uint32_t)(x % (fx.type->size - fx.program.fixed_size + 1)));
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zero),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_bool_is_any_value_but_zero),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_times_are_moved_to_the_wall_clock),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_short_events),
        cmocka_unit_test(test_strings_cut_by_the_end_of_the_event),
        cmocka_unit_test(test_sixteen_chars_at_the_end),
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_any_bytes),
};

TEST_MAIN_SETUP("worker/program", tests, setup, teardown)
