/* SPDX-License-Identifier: Apache-2.0 */
#include "client/render.h"

#include <math.h>
#include <pty.h>
#include <stdio.h>
#include <time.h>

#include "gadget/event-ring.h"
#include "tests/lib/needs.h"
#include "tests/unit/client/sample.h"

/* One rendering at a time; freed by the next. */
static struct {
        struct buf encoded;
        struct schema *schema;
        struct renderer *renderer;
        struct out out;
} now;

static void forget(void) {
        now.renderer = renderer_free(now.renderer);
        now.schema = schema_free(now.schema);
        out_done(&now.out);
        buf_done(&now.encoded);
}

static void begin_with(const struct sample_stream *streams, uint32_t n_streams,
                       const struct sample_enum *enums, uint32_t n_enums,
                       const struct render_options *options) {
        struct error err = { 0 };

        forget();
        now.encoded = BUF_INIT(1 << 20);
        sample_schema(&now.encoded, streams, n_streams, enums, n_enums);
        if (schema_new(BYTES(now.encoded.data, now.encoded.len), &now.schema, &err) < 0)
                fail_msg("%s", error_text(&err));
        assert_int_equal(out_init(&now.out, -1, 1024), 0);
        if (renderer_new(now.schema, options, &now.out, &now.renderer, &err) < 0)
                fail_msg("%s", error_text(&err));
}

static void begin(const struct sample_stream *stream, enum output_mode mode, const char *fields) {
        begin_with(stream, 1, NULL, 0, &(struct render_options){ .mode = mode, .fields = fields });
}

static int64_t feed(uint32_t source, uint32_t flags, const struct buf *rows) {
        /* Room behind the rows, as the connection's buffer has it; exactly as much, so that ASan
         * sees more. */
        uint8_t *copy = malloc(rows->len + RENDER_SLACK);
        int64_t n;

        assert_non_null(copy);
        memset(copy, 0xc1, rows->len + RENDER_SLACK);
        if (rows->len > 0)
                memcpy(copy, rows->data, rows->len);
        n = render_rows(now.renderer, source, flags, BYTES(copy, rows->len));
        free(copy);
        return n;
}

static const char *result(void) {
        out_put(&now.out, "", 1);
        now.out.pos--;
        return (char *)now.out.data;
}

static const char *render(const struct sample_stream *stream, enum output_mode mode,
                          const char *fields, const struct buf *rows) {
        begin(stream, mode, fields);
        assert_true(feed(0, 0, rows) >= 0);
        return result();
}

/* --- a field of every kind --- */

/* clang-format off */
static const struct sample_value color_values[] = { { "RED", 1 }, { "GREEN", 2 }, { "MINUS", -1 } };
static const struct sample_value bit_values[] = { { "NONE", 0 }, { "A", 1 }, { "B", 2 }, { "AB", 3 }, { "D", 8 } };
static const struct sample_enum enums[] = { { "color", false, color_values, 3 }, { "bits_set", true, bit_values, 5 } };
/* clang-format on */

struct value_case {
        struct sample_field field;
        void (*put)(struct buf *b);
        const char *table;
        const char *json; /* of the value, and of its rendering behind ':' when it has one */
};

#define PUT(_name, _expr)                                                                          \
        static void _name(struct buf *b) {                                                         \
                _expr;                                                                             \
        }
PUT(put_max, sample_uint(b, UINT64_MAX))
PUT(put_min, sample_int(b, INT64_MIN))
PUT(put_minus_one, sample_int(b, -1))
PUT(put_minus_200, sample_int(b, -200))
PUT(put_minus_40000, sample_int(b, -40000))
PUT(put_0, sample_uint(b, 0))
PUT(put_1, sample_uint(b, 1))
PUT(put_2, sample_uint(b, 2))
PUT(put_3, sample_uint(b, 3))
PUT(put_9, sample_uint(b, 9))
PUT(put_200, sample_uint(b, 200))
PUT(put_40000, sample_uint(b, 40000))
PUT(put_mib, sample_uint(b, 1 << 20))
PUT(put_time, sample_uint(b, UINT64_C(1722451156455283441)))
PUT(put_true, sample_bool(b, true))
PUT(put_nil, sample_nil(b))
PUT(put_pi, sample_double(b, 3.25))
PUT(put_nan, sample_double(b, NAN))
PUT(put_inf, sample_double(b, -INFINITY))
PUT(put_hello, sample_str(b, "hello"))
PUT(put_empty, sample_str(b, ""))
PUT(put_quote, sample_str(b, "a\"b\\c,d"))
PUT(put_umlaut, sample_str(b, "\xc3\xa4"))
PUT(put_escape, sample_str(b, "\033[31mred\n"))
PUT(put_invalid, sample_strn(b, "a\xff\0z", 4))
PUT(put_c1, sample_str(b, "\xc2\x9b"
                          "31m"))
PUT(put_bidi, sample_str(b, "\xe2\x80\xae"))
PUT(put_bin, sample_bin(b, "\x01\xab", 2))
PUT(put_v4, sample_bin(b, "\x7f\0\0\1", 4))
PUT(put_v6, sample_bin(b, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16))
static void put_numbers(struct buf *b) {
        sample_array(b, 3);
        sample_uint(b, 1);
        sample_int(b, -2);
        sample_uint(b, UINT64_MAX);
}
static void put_words(struct buf *b) {
        sample_array(b, 2);
        sample_str(b, "ls");
        sample_str(b, "-l \"x\"");
}
static void put_nothing(struct buf *b) {
        sample_array(b, 0);
}
static void put_map(struct buf *b) {
        sample_map(b, 1);
        sample_uint(b, 1);
        sample_uint(b, 2);
}

/* clang-format off */
#define RAW(_kind) { "x", _kind }
#define TWIN(_kind, _render) { "x_raw", _kind, _render, "x" }
static const struct value_case cases[] = {
        { RAW(FIELD_UINT), put_max, "18446744073709551615", "18446744073709551615" },
        { RAW(FIELD_UINT), put_0, "0", "0" },
        { RAW(FIELD_UINT), put_200, "200", "200" },
        { RAW(FIELD_UINT), put_40000, "40000", "40000" },
        { RAW(FIELD_INT), put_min, "-9223372036854775808", "-9223372036854775808" },
        { RAW(FIELD_INT), put_minus_one, "-1", "-1" },
        { RAW(FIELD_INT), put_minus_200, "-200", "-200" },
        { RAW(FIELD_INT), put_minus_40000, "-40000", "-40000" },
        { RAW(FIELD_BOOL), put_true, "true", "true" },
        { RAW(FIELD_UINT), put_nil, "", "null" },
        { RAW(FIELD_STR), put_nil, "", "null" },
        { RAW(FIELD_FLOAT), put_pi, "3.25", "3.25" },
        { RAW(FIELD_FLOAT), put_nan, "NaN", "null" },
        { RAW(FIELD_FLOAT), put_inf, "-Inf", "null" },
        { RAW(FIELD_STR), put_hello, "hello", "\"hello\"" },
        { RAW(FIELD_STR), put_empty, "", "\"\"" },
        { RAW(FIELD_STR), put_quote, "a\"b\\c,d", "\"a\\\"b\\\\c,d\"" },
        { RAW(FIELD_STR), put_umlaut, "\xc3\xa4", "\"\xc3\xa4\"" },
        { RAW(FIELD_STR), put_escape, "\\x1b[31mred\\n", "\"\\u001b[31mred\\n\"" },
        { RAW(FIELD_STR), put_invalid, "a\\xff\\x00z", "\"a\\u00ff\\u0000z\"" },
        { RAW(FIELD_STR), put_c1, "\\u{009b}31m", "\"\\u009b31m\"" },
        { RAW(FIELD_STR), put_bidi, "\\u{202e}", "\"\\u202e\"" },
        { RAW(FIELD_BIN), put_bin, "<2 bytes>", "\"01ab\"" },
        { RAW(FIELD_IP), put_v4, "127.0.0.1", "\"127.0.0.1\"" },
        { RAW(FIELD_IP), put_v6, "::1", "\"::1\"" },
        { { "x", FIELD_ARRAY, .elem = FIELD_INT }, put_numbers, "1,-2,18446744073709551615", "[1,-2,18446744073709551615]" },
        { { "x", FIELD_ARRAY, .elem = FIELD_STR }, put_words, "ls -l \"x\"", "[\"ls\",\"-l \\\"x\\\"\"]" },
        { { "x", FIELD_ARRAY, .elem = FIELD_STR }, put_nothing, "", "[]" },
        { RAW(FIELD_UINT), put_hello, "hello", "\"hello\"" }, /* a worker that says one and sends another */
        { RAW(FIELD_STR), put_9, "9", "9" },
        { RAW(FIELD_STR), put_map, "?", "null" },
        { { "x", FIELD_UINT, .annotations = { "columns.hex", "true" } }, put_200, "0xc8", "200" },
        { { "x", FIELD_FLOAT, .annotations = { "columns.precision", "1" } }, put_pi, "3.2", "3.25" },
        { TWIN(FIELD_UINT, RENDER_ERRNO), put_2, "ENOENT", "\"ENOENT\",\"x_raw\":2" },
        { TWIN(FIELD_UINT, RENDER_ERRNO), put_0, "", "\"\",\"x_raw\":0" },
        { TWIN(FIELD_UINT, RENDER_SIGNAL), put_9, "SIGKILL", "\"SIGKILL\",\"x_raw\":9" },
        { TWIN(FIELD_UINT, RENDER_BYTES), put_mib, "1.0 MiB", "\"1.0 MiB\",\"x_raw\":1048576" },
        { TWIN(FIELD_INT, RENDER_BYTES), put_minus_200, "-200 B", "\"-200 B\",\"x_raw\":-200" },
        { TWIN(FIELD_UINT, RENDER_DURATION), put_200, "200ns", "\"200ns\",\"x_raw\":200" },
        { TWIN(FIELD_UINT, RENDER_FILE_MODE), put_200, "--wx--x---", "\"--wx--x---\",\"x_raw\":200" },
        { TWIN(FIELD_INT, RENDER_FILE_FLAGS), put_2, "O_RDWR", "\"O_RDWR\",\"x_raw\":2" },
        { TWIN(FIELD_UINT, RENDER_TIMESTAMP), put_time, "2024-07-31T18:39:16.455283441Z",
          "\"2024-07-31T18:39:16.455283441Z\",\"x_raw\":1722451156455283441" },
        { TWIN(FIELD_UINT, RENDER_ERRNO), put_nil, "", "null,\"x_raw\":null" },
        { TWIN(FIELD_STR, RENDER_ERRNO), put_hello, "hello", "\"hello\",\"x_raw\":\"hello\"" },
        { { "x_raw", FIELD_UINT, RENDER_ENUM, "x", 0, 1 }, put_1, "RED", "\"RED\",\"x_raw\":1" },
        { { "x_raw", FIELD_INT, RENDER_ENUM, "x", 0, 1 }, put_minus_one, "MINUS", "\"MINUS\",\"x_raw\":-1" },
        { { "x_raw", FIELD_UINT, RENDER_ENUM, "x", 0, 1 }, put_9, "UNKNOWN", "\"UNKNOWN\",\"x_raw\":9" },
        { { "x_raw", FIELD_UINT, RENDER_ENUM, "x", 0, 2 }, put_0, "NONE", "\"NONE\",\"x_raw\":0" },
        { { "x_raw", FIELD_UINT, RENDER_ENUM, "x", 0, 2 }, put_3, "A|B|AB", "\"A|B|AB\",\"x_raw\":3" },
        { { "x_raw", FIELD_UINT, RENDER_ENUM, "x", 0, 2 }, put_9, "A|D", "\"A|D\",\"x_raw\":9" },
        { { "x_raw", FIELD_UINT, RENDER_ENUM, "x", 0, 2, .annotations = { "ebpf.formatter.bitfield.separator", ", " } }, put_200, "D, 0xc0", "\"D, 0xc0\",\"x_raw\":200" },
        { { "x_raw", FIELD_UINT, RENDER_ENUM, "x", 0, 2 }, put_200, "D|0xc0", "\"D|0xc0\",\"x_raw\":200" },
};
/* clang-format on */

static void test_values(void **state) {
        setenv("TZ", "UTC0", 1);
        tzset();
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const struct sample_stream stream = { "s", STREAM_TRACER, &cases[i].field, 1 };
                cleanup_buf struct buf rows = BUF_INIT(4096);
                char want[2100], csv[1000];

                /* Twice: the second time from memory, where there is one. */
                for (unsigned int k = 0; k < 2; k++) {
                        sample_array(&rows, 1);
                        cases[i].put(&rows);
                }
                for (enum output_mode mode = 0; mode < _OUTPUT_MODE_MAX; mode++) {
                        begin_with(&stream, 1, enums, ARRAY_SIZE(enums),
                                   &(struct render_options){
                                           .mode = mode,
                                           .fields = mode == OUTPUT_COLUMNS || mode == OUTPUT_CSV
                                                             ? "x"
                                                             : NULL });
                        assert_int_equal(feed(0, 0, &rows), 2);
                        if (mode == OUTPUT_COLUMNS) {
                                const char *body = strchr(result(), '\n') + 1;
                                /* Numbers stand at the right of their column. */
                                snprintf(want, sizeof(want), "%s\n", cases[i].table);
                                while (*body == ' ')
                                        body++;
                                if (strncmp(body, want, strlen(want)) != 0)
                                        fail_msg("case %zu: columns: '%s', want '%s'", i, body,
                                                 want);
                        } else if (mode == OUTPUT_JSON) {
                                snprintf(want, sizeof(want), "{\"x\":%s}\n{\"x\":%s}\n",
                                         cases[i].json, cases[i].json);
                                assert_string_equal(result(), want);
                        } else if (mode == OUTPUT_CSV) {
                                bool quoted = strpbrk(cases[i].table, ",\"");
                                char *p = csv;

                                for (const char *t = cases[i].table; *t; t++) {
                                        if (*t == '"')
                                                *p++ = '"';
                                        *p++ = *t;
                                }
                                *p = '\0';
                                snprintf(want, sizeof(want), "x\n%s%s%s\n%s%s%s\n",
                                         quoted ? "\"" : "", csv, quoted ? "\"" : "",
                                         quoted ? "\"" : "", csv, quoted ? "\"" : "");
                                assert_string_equal(result(), want);
                        } else if (mode == OUTPUT_NONE) {
                                assert_string_equal(result(), "");
                        }
                }
        }
        forget();
}

/* --- whole rows --- */

static const struct sample_field counter_fields[] = { { "file", FIELD_STR },
                                                      { "count", FIELD_UINT } };
static const struct sample_stream counter = { "top", STREAM_MAP, counter_fields, 2 };

static struct buf open_rows(uint32_t n) {
        struct buf rows = BUF_INIT(1 << 20);

        for (uint32_t i = 0; i < n; i++)
                sample_open_row(&rows, i);
        return rows;
}

static void test_columns(void **state) {
        cleanup_buf struct buf rows = open_rows(2);

        assert_string_equal(
                render(&sample_open, OUTPUT_COLUMNS, NULL, &rows),
                "COMM                 PID     TID      UID      GID ERROR           FD FLAGS       "
                "             MODE       FNAME\n"
                "cat                 1000    1000     1000     1000 ENOENT           0 "
                "O_RDONLY|O_CLOEXEC       -rw-r--r-- /etc/ld.so.cache\n"
                "bash                1001    1001        0        0                  4 "
                "O_RDONLY|O_LARGEFILE     ---------- /lib/x86_64-linux-gnu/libc.so.6\n");
        forget();
}

static void test_json(void **state) {
        cleanup_buf struct buf rows = open_rows(1);

        assert_string_equal(render(&sample_open, OUTPUT_JSON, NULL, &rows),
                            "{\"timestamp\":\"2024-07-31T18:39:16.455283441Z\",\"timestamp_raw\":"
                            "1722451156455283441,"
                            "\"proc\":{\"comm\":\"cat\",\"pid\":1000,\"tid\":1000,\"mntns_id\":"
                            "4026531841,\"creds\":{\"uid\":1000,\"gid\":1000},"
                            "\"parent\":{\"comm\":\"bash\",\"pid\":999}},\"error\":\"ENOENT\","
                            "\"error_raw\":2,\"fd\":0,"
                            "\"flags\":\"O_RDONLY|O_CLOEXEC\",\"flags_raw\":524288,\"mode\":\"-rw-"
                            "r--r--\",\"mode_raw\":420,"
                            "\"fname\":\"/etc/ld.so.cache\"}\n");
        forget();
}

/* A gadget may say how a time is written; what it says is text like any other. */
static void test_time_layout(void **state) {
        static const struct sample_field fields[] = {
                { "at_raw", FIELD_UINT, RENDER_TIMESTAMP, "at",
                  .annotations = { "formatters.timestamp.format", "15:04:05.000 \"\x1b" } },
                { "plain_raw", FIELD_UINT, RENDER_TIMESTAMP, "plain",
                  .annotations = { "formatters.timestamp.format", "" } },
        };
        static const struct sample_stream stream = { "times", STREAM_TRACER, fields, 2 };
        cleanup_buf struct buf rows = BUF_INIT(4096);

        sample_array(&rows, 2);
        sample_uint(&rows, 1722451156455283441);
        sample_uint(&rows, 1722451156455283441);
        assert_string_equal(render(&stream, OUTPUT_JSON, "at,plain", &rows),
                            "{\"at\":\"18:39:16.455 \\\"\\u001b\",\"plain\":"
                            "\"2024-07-31T18:39:16.455283441Z\"}\n");
        assert_string_equal(render(&stream, OUTPUT_CSV, "at", &rows),
                            "at\n\"18:39:16.455 \"\"\\x1b\"\n");
        forget();
}

static void test_fields(void **state) {
        cleanup_buf struct buf rows = open_rows(1);

        assert_string_equal(
                render(&sample_open, OUTPUT_CSV, "fname,proc.pid,error_raw,FNAME", &rows),
                "fname,proc.pid,error_raw\n/etc/ld.so.cache,1000,2\n");
        assert_string_equal(render(&sample_open, OUTPUT_CSV, "pid,uid", &rows),
                            "proc.pid,proc.creds.uid\n1000,1000\n");
        assert_string_equal(render(&sample_open, OUTPUT_CSV, "proc.creds", &rows),
                            "proc.creds.uid,proc.creds.gid\n1000,1000\n");
        assert_string_equal(render(&sample_open, OUTPUT_CSV,
                                   "-flags,-mode,-tid,-proc.creds,+proc.parent.pid", &rows),
                            "proc.comm,proc.pid,error,fd,fname,proc.parent.pid\n"
                            "cat,1000,ENOENT,0,/etc/ld.so.cache,999\n");
        assert_string_equal(
                render(&sample_open, OUTPUT_JSON, "proc.parent,error", &rows),
                "{\"proc\":{\"parent\":{\"comm\":\"bash\",\"pid\":999}},\"error\":\"ENOENT\"}\n");
        assert_string_equal(render(&sample_open, OUTPUT_JSON, "open:fd", &rows), "{\"fd\":0}\n");
        /* Nothing is left: rows are counted, not printed. */
        buf_reset(&rows);
        sample_array(&rows, 2);
        sample_str(&rows, "f");
        sample_uint(&rows, 1);
        assert_string_equal(render(&counter, OUTPUT_JSON, "-file,-count", &rows), "");
        forget();
}

static void expect_bad_fields(const char *fields, const char *want) {
        struct render_options options = { .mode = OUTPUT_COLUMNS, .fields = fields };
        struct renderer *renderer = NULL;
        struct error err = { 0 };

        begin(&sample_open, OUTPUT_COLUMNS, NULL);
        assert_int_equal(renderer_new(now.schema, &options, &now.out, &renderer, &err), -EINVAL);
        assert_string_equal(err.msg, want);
        forget();
}

static void test_bad_fields(void **state) {
        expect_bad_fields("fnmae", "--fields: there is no field 'fnmae'; did you mean 'fname'?");
        expect_bad_fields("-zzzzzzzz", "--fields: there is no field 'zzzzzzzz'");
        expect_bad_fields("opem:fd",
                          "--fields: there is no data source 'opem'; did you mean 'open'?");
}

static void test_jsonpretty_and_yaml(void **state) {
        cleanup_buf struct buf rows = open_rows(1);

        assert_string_equal(render(&sample_open, OUTPUT_JSONPRETTY, "proc.creds,fd", &rows),
                            "{\n  \"proc\": {\n    \"creds\": {\n      \"uid\": 1000,\n      "
                            "\"gid\": 1000\n    }\n  },\n  \"fd\": 0\n}\n");
        assert_string_equal(render(&sample_open, OUTPUT_YAML, "proc.creds,fname", &rows),
                            "---\nproc:\n  creds:\n    uid: 1000\n    gid: 1000\nfname: "
                            "\"/etc/ld.so.cache\"\n");
        forget();
}

/* --- arrays and several data sources --- */

static struct buf counter_rows(uint32_t n) {
        struct buf rows = BUF_INIT(4096);

        for (uint32_t i = 0; i < n; i++) {
                sample_array(&rows, 2);
                sample_str(&rows, i ? "b" : "a");
                sample_uint(&rows, i);
        }
        return rows;
}

static const char *render_array(enum output_mode mode, uint32_t n_streams) {
        const struct sample_stream streams[] = { counter,
                                                 { "other", STREAM_TRACER, counter_fields, 2 } };
        cleanup_buf struct buf two = counter_rows(2), one = counter_rows(1), none = counter_rows(0);

        begin_with(streams, n_streams, NULL, 0, &(struct render_options){ .mode = mode });
        /* Two frames, one frame, no rows at all. */
        assert_int_equal(feed(0, EVENT_FRAME_SNAPSHOT, &two), 2);
        assert_int_equal(feed(0, EVENT_FRAME_END, &one), 1);
        assert_int_equal(feed(0, EVENT_FRAME_SNAPSHOT | EVENT_FRAME_END, &one), 1);
        assert_int_equal(feed(0, EVENT_FRAME_SNAPSHOT | EVENT_FRAME_END, &none), 0);
        if (n_streams > 1)
                assert_int_equal(feed(1, 0, &one), 1);
        return result();
}

static void test_arrays(void **state) {
        assert_string_equal(render_array(OUTPUT_JSON, 1),
                            "[{\"file\":\"a\",\"count\":0},{\"file\":\"b\",\"count\":1},{\"file\":"
                            "\"a\",\"count\":0}]\n"
                            "[{\"file\":\"a\",\"count\":0}]\n[]\n");
        assert_string_equal(render_array(OUTPUT_YAML, 1),
                            "---\n- file: \"a\"\n  count: 0\n- file: \"b\"\n  count: 1\n- file: "
                            "\"a\"\n  count: 0\n"
                            "---\n- file: \"a\"\n  count: 0\n---\n[]\n");
        assert_string_equal(
                render_array(OUTPUT_JSONPRETTY, 1),
                "[\n  {\n    \"file\": \"a\",\n    \"count\": 0\n  },\n  {\n    \"file\": "
                "\"b\",\n    \"count\": 1\n  },\n"
                "  {\n    \"file\": \"a\",\n    \"count\": 0\n  }\n]\n[\n  {\n    "
                "\"file\": \"a\",\n    \"count\": 0\n  }\n]\n[]\n");
        assert_string_equal(render_array(OUTPUT_CSV, 1), "file,count\na,0\nb,1\na,0\na,0\n");
        forget();
}

static void test_several_sources(void **state) {
        assert_string_equal(
                render_array(OUTPUT_JSON, 2),
                "{\"datasource\":\"top\",\"rows\":[{\"file\":\"a\",\"count\":0},{\"file\":"
                "\"b\",\"count\":1},{\"file\":\"a\",\"count\":0}]}\n"
                "{\"datasource\":\"top\",\"rows\":[{\"file\":\"a\",\"count\":0}]}\n{"
                "\"datasource\":\"top\",\"rows\":[]}\n"
                "{\"datasource\":\"other\",\"file\":\"a\",\"count\":0}\n");
        assert_string_equal(render_array(OUTPUT_YAML, 2),
                            "---\ndatasource: \"top\"\nrows:\n- file: \"a\"\n  count: 0\n- file: "
                            "\"b\"\n  count: 1\n- file: \"a\"\n  count: 0\n"
                            "---\ndatasource: \"top\"\nrows:\n- file: \"a\"\n  count: "
                            "0\n---\ndatasource: \"top\"\nrows: []\n"
                            "---\ndatasource: \"other\"\nfile: \"a\"\ncount: 0\n");
        assert_string_equal(render_array(OUTPUT_CSV, 2),
                            "datasource,file,count\ntop,a,0\ntop,b,1\ntop,a,0\ntop,a,0\ndatasource,"
                            "file,count\nother,a,0\n");
        assert_string_equal(
                render_array(OUTPUT_COLUMNS, 2),
                "DATASOURCE FILE             COUNT\ntop        a                0\ntop     "
                "   b                1\n"
                "top        a                0\n\n"
                "DATASOURCE FILE             COUNT\ntop        a                0\n\n"
                "DATASOURCE FILE             COUNT\n"
                "DATASOURCE FILE             COUNT\nother      a                0\n");
        forget();
}

/* --- the screen of arrays that come again and again --- */

#define CLEAR "\033[H\033[J"

static void test_screen(void **state) {
        static const struct sample_stream streams[] = {
                { "a", STREAM_MAP, counter_fields, 2 },
                { "b", STREAM_MAP, counter_fields, 2 },
        };
        struct sample_stream once = { "s", STREAM_SNAPSHOT, counter_fields, 2 };
        const struct render_options options = { .mode = OUTPUT_COLUMNS,
                                                .fields = "count",
                                                .clear_screen = true };
        cleanup_buf struct buf one = counter_rows(1);
        uint32_t both = EVENT_FRAME_SNAPSHOT | EVENT_FRAME_END;

        begin_with(&counter, 1, NULL, 0, &options);
        render_header(now.renderer);
        feed(0, both, &one);
        feed(0, both, &one);
        assert_string_equal(result(), CLEAR "COUNT\n0\n" CLEAR "COUNT\n0\n");
        /* Two share the screen: it is cleared for the second round. */
        begin_with(streams, 2, NULL, 0, &options);
        for (uint32_t i = 0; i < 4; i++)
                feed(i % 2, both, &one);
        assert_string_equal(result(), CLEAR "DATASOURCE COUNT\na          0\n\n"
                                            "DATASOURCE COUNT\nb          0\n" CLEAR
                                            "DATASOURCE COUNT\na          0\n\n"
                                            "DATASOURCE COUNT\nb          0\n");
        /* What was asked for once stays where it is. */
        begin_with(&once, 1, NULL, 0, &options);
        feed(0, both, &one);
        assert_string_equal(result(), "COUNT\n0\n");
        /* Unless the gadget says otherwise, both ways. */
        once.annotations[0] = "cli.clear-screen-before";
        once.annotations[1] = "true";
        begin_with(&once, 1, NULL, 0, &options);
        feed(0, both, &one);
        feed(0, both, &one);
        assert_string_equal(result(), CLEAR "COUNT\n0\n" CLEAR "COUNT\n0\n");
        once.kind = STREAM_MAP;
        once.annotations[1] = "false";
        begin_with(&once, 1, NULL, 0, &options);
        feed(0, both, &one);
        feed(0, both, &one);
        assert_string_equal(result(), "COUNT\n0\n\nCOUNT\n0\n");
        forget();
}

/* Rows drawn on a terminal of so many lines: how many newlines come, and what the last line says.
 */
static unsigned int lines_on_terminal(uint32_t n_streams, unsigned int lines, uint32_t n_rows,
                                      const char *last) {
        static const struct sample_stream streams[] = {
                { "a", STREAM_MAP, counter_fields, 2 },
                { "b", STREAM_MAP, counter_fields, 2 },
        };
        const struct render_options options = { .mode = OUTPUT_COLUMNS, .clear_screen = true };
        struct winsize size = { .ws_row = (unsigned short)lines, .ws_col = 80 };
        cleanup_buf struct buf encoded = BUF_INIT(1 << 20), rows = counter_rows(n_rows);
        cleanup_close int master = -1, terminal = -1;
        struct renderer *renderer = NULL;
        struct schema *schema = NULL;
        unsigned int n_lines = 0;
        char text[8192];
        size_t len = 0;
        struct out out;
        ssize_t n;

        assert_int_equal(openpty(&master, &terminal, NULL, NULL, &size), 0);
        sample_schema(&encoded, streams, n_streams, NULL, 0);
        assert_int_equal(schema_new(BYTES(encoded.data, encoded.len), &schema, NULL), 0);
        assert_int_equal(out_init(&out, terminal, OUT_SIZE), 0);
        assert_int_equal(renderer_new(schema, &options, &out, &renderer, NULL), 0);
        assert_non_null(buf_reserve(&rows, RENDER_SLACK));
        for (uint32_t i = 0; i < n_streams; i++)
                assert_int_equal(render_rows(renderer, i, EVENT_FRAME_SNAPSHOT | EVENT_FRAME_END,
                                             BYTES(rows.data, rows.len)),
                                 n_rows);
        assert_int_equal(out_flush(&out), 0);
        /* The end of what a terminal was given comes when nobody has it open. */
        close(terminal);
        terminal = -1;
        while (len < sizeof(text) - 1 && (n = read(master, text + len, sizeof(text) - 1 - len)) > 0)
                len += (size_t)n;
        text[len] = '\0';
        for (size_t i = 0; i < len; i++)
                n_lines += text[i] == '\n';
        if (!strstr(text, last))
                fail_msg("no '%s' in '%s'", last, text);
        renderer_free(renderer);
        schema_free(schema);
        out_done(&out);
        return n_lines;
}

/* A table that is longer than the terminal keeps its names in sight. */
static void test_screen_is_not_passed(void **state) {
        assert_int_equal(lines_on_terminal(1, 24, 5, " 4\r\n"), 6);
        assert_int_equal(lines_on_terminal(1, 8, 5, " 4\r\n"), 6);
        assert_int_equal(lines_on_terminal(1, 6, 5, "(2 more rows)"), 5);
        assert_int_equal(lines_on_terminal(1, 24, 100, "(79 more rows)"), 23);
        assert_int_equal(lines_on_terminal(2, 24, 100, "more rows)"), 22);
        assert_int_equal(lines_on_terminal(1, 4, 2, "(1 more row)"), 3);
}

/* --- histograms --- */

static const struct sample_field latency_fields[] = {
        { "disk", FIELD_STR },
        { "latency", FIELD_ARRAY, RENDER_HISTOGRAM, .elem = FIELD_UINT,
          .annotations = { "metrics.unit", "\302\265s" } },
};
static const struct sample_stream latency = { "lat", STREAM_HISTOGRAM, latency_fields, 2 };

static struct buf latency_row(uint32_t n_slots) {
        struct buf rows = BUF_INIT(1 << 20);

        sample_array(&rows, 2);
        sample_str(&rows, "sda");
        sample_array(&rows, n_slots);
        for (uint32_t i = 0; i < n_slots; i++)
                sample_uint(&rows, i == 1 ? 10 : i == 3 ? 5 : i == 4 ? 1 : 0);
        return rows;
}

static void test_histograms(void **state) {
        cleanup_buf struct buf row = latency_row(8), none = latency_row(1), many = latency_row(65);

        begin(&latency, OUTPUT_COLUMNS, NULL);
        render_header(now.renderer);
        assert_int_equal(feed(0, EVENT_FRAME_SNAPSHOT | EVENT_FRAME_END, &row), 1);
        assert_int_equal(feed(0, EVENT_FRAME_SNAPSHOT | EVENT_FRAME_END, &none), 1);
        assert_string_equal(result(), "DISK: sda\nlatency (\302\265s)\n"
                                      "   2 -> 3  : 10 |****************************************|\n"
                                      "   4 -> 7  : 0  |                                        |\n"
                                      "   8 -> 15 : 5  |********************                    |\n"
                                      "  16 -> 31 : 1  |****                                    |\n"
                                      "\nDISK: sda\nlatency (\302\265s): nothing counted\n");
        begin(&latency, OUTPUT_COLUMNS, "latency");
        assert_int_equal(feed(0, EVENT_FRAME_SNAPSHOT, &none), 1);
        assert_int_equal(feed(0, EVENT_FRAME_END, &none), 1);
        assert_string_equal(result(), "latency (\302\265s): nothing counted\n\n"
                                      "latency (\302\265s): nothing counted\n");
        begin(&latency, OUTPUT_JSON, NULL);
        assert_int_equal(feed(0, EVENT_FRAME_SNAPSHOT | EVENT_FRAME_END, &row), 1);
        assert_string_equal(
                result(),
                "[{\"disk\":\"sda\",\"latency\":[{\"start\":0,\"end\":1,\"count\":0},"
                "{\"start\":2,\"end\":3,\"count\":10},{\"start\":4,\"end\":7,\"count\":0},"
                "{\"start\":8,\"end\":15,\"count\":5},{\"start\":16,\"end\":31,\"count\":1}]}]\n");
        /* A cell is one line, whatever it holds. */
        begin(&latency, OUTPUT_CSV, NULL);
        render_header(now.renderer);
        assert_int_equal(feed(0, EVENT_FRAME_SNAPSHOT, &row), 1);
        assert_int_equal(feed(0, EVENT_FRAME_END, &none), 1);
        assert_string_equal(result(), "disk,latency\n"
                                      "sda,\"[{\"\"start\"\":0,\"\"end\"\":1,\"\"count\"\":0},"
                                      "{\"\"start\"\":2,\"\"end\"\":3,\"\"count\"\":10},{"
                                      "\"\"start\"\":4,\"\"end\"\":7,\"\"count\"\":0},"
                                      "{\"\"start\"\":8,\"\"end\"\":15,\"\"count\"\":5},"
                                      "{\"\"start\"\":16,\"\"end\"\":31,\"\"count\"\":1}]\"\n"
                                      "sda,[]\n");
        /* More slots than values have bits: shown as the array that it is. */
        begin(&latency, OUTPUT_JSON, "latency");
        assert_int_equal(feed(0, EVENT_FRAME_SNAPSHOT | EVENT_FRAME_END, &many), 1);
        assert_int_equal(strncmp(result(), "[{\"latency\":[0,10,0,5,1,0,", 26), 0);
        forget();
}

/* --- names --- */

static void test_names(void **state) {
        static const struct sample_field fields[] = {
                { "a.b", FIELD_UINT }, { "a", FIELD_UINT },     { "c", FIELD_UINT },
                { "c.d", FIELD_UINT }, { "a.e.f", FIELD_UINT }, { "q\"\033", FIELD_UINT },
                { "no", FIELD_UINT },  { "c", FIELD_UINT },
        };
        static const struct sample_stream stream = { "s", STREAM_TRACER, fields,
                                                     ARRAY_SIZE(fields) };
        cleanup_buf struct buf rows = BUF_INIT(4096);

        sample_array(&rows, ARRAY_SIZE(fields));
        for (uint32_t i = 0; i < ARRAY_SIZE(fields); i++)
                sample_uint(&rows, i);
        /* One key never stands twice; foreign names are escaped as everything else. */
        assert_string_equal(
                render(&stream, OUTPUT_JSON, NULL, &rows),
                "{\"a\":{\"b\":0,\"e\":{\"f\":4}},\"c\":2,\"q\\\"\\u001b\":5,\"no\":6}\n");
        assert_string_equal(render(&stream, OUTPUT_YAML, "no,q\"\033", &rows),
                            "---\n\"no\": 6\n\"q\\\"\\u001b\": 5\n");
        assert_string_equal(render(&stream, OUTPUT_CSV, "no,q\"\033", &rows),
                            "no,\"q\"\"\\x1b\"\n6,5\n");
        assert_string_equal(render(&stream, OUTPUT_COLUMNS, "no,q\"\033", &rows),
                            "NO               Q\"\\x1b\n6                5\n");
        forget();
}

static void test_deep_name(void **state) {
        char name[4096];
        const struct sample_field fields[] = { { name, FIELD_UINT } };
        const struct sample_stream stream = { "s", STREAM_TRACER, fields, 1 };
        cleanup_buf struct buf rows = BUF_INIT(4096);
        const char *json;
        unsigned int depth = 0;

        memset(name, '.', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        sample_array(&rows, 1);
        sample_uint(&rows, 1);
        json = render(&stream, OUTPUT_JSON, NULL, &rows);
        for (const char *p = json; *p; p++)
                depth += *p == '{';
        assert_int_equal(depth, LIMIT_TYPE_DEPTH_MAX);
        forget();
}

static void test_endpoint(void **state) {
        static const struct sample_field fields[] = { { "dst.addr", FIELD_IP },
                                                      { "dst.port", FIELD_UINT },
                                                      { "src.addr", FIELD_IP } };
        static const struct sample_stream stream = { "s", STREAM_TRACER, fields, 3 };
        static const uint8_t v6[16] = { 0xfe, 0x80, [15] = 1 };
        cleanup_buf struct buf rows = BUF_INIT(4096);

        sample_array(&rows, 3);
        sample_bin(&rows, "\x01\x02\x03\x04", 4);
        sample_uint(&rows, 443);
        sample_bin(&rows, "", 0);
        sample_array(&rows, 3);
        sample_bin(&rows, v6, 16);
        sample_uint(&rows, 80);
        sample_bin(&rows, v6, 16);
        assert_string_equal(render(&stream, OUTPUT_CSV, NULL, &rows),
                            "dst,src\n1.2.3.4:443,\n[fe80::1]:80,fe80::1\n");
        assert_string_equal(
                render(&stream, OUTPUT_JSON, NULL, &rows),
                "{\"dst\":{\"addr\":\"1.2.3.4\",\"port\":443},\"src\":{\"addr\":\"\"}}\n"
                "{\"dst\":{\"addr\":\"fe80::1\",\"port\":80},\"src\":{\"addr\":\"fe80::1\"}}\n");
        forget();
}

/* --- terminals --- */

static const char *render_on(uint32_t terminal, const struct sample_field *fields,
                             uint32_t n_fields, const struct buf *rows) {
        const struct sample_stream stream = { "s", STREAM_TRACER, fields, n_fields };

        begin_with(&stream, 1, NULL, 0,
                   &(struct render_options){ .mode = OUTPUT_COLUMNS, .terminal = terminal });
        assert_true(feed(0, 0, rows) >= 0);
        return result();
}

static void test_cut(void **state) {
        /* clang-format off */
        static const struct sample_field ends[] = {
                { "a", FIELD_STR, .annotations = { "columns.width", "6", "columns.fixed", "true" } },
                { "b", FIELD_STR, .annotations = { "columns.width", "6", "columns.fixed", "true", "columns.ellipsis", "start" } },
                { "c", FIELD_STR, .annotations = { "columns.width", "6", "columns.fixed", "true", "columns.ellipsis", "middle" } },
                { "d", FIELD_STR, .annotations = { "columns.width", "6", "columns.fixed", "true", "columns.ellipsis", "" } },
        };
        /* clang-format on */
        cleanup_buf struct buf rows = BUF_INIT(4096);

        sample_array(&rows, 4);
        for (unsigned int i = 0; i < 4; i++)
                sample_str(&rows, "0123456789");
        /* Wide characters take two columns; escapes are never cut in the middle of a character. */
        sample_array(&rows, 4);
        for (unsigned int i = 0; i < 4; i++)
                sample_str(&rows, "\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2");
        assert_string_equal(
                render_on(200, ends, 4, &rows),
                "A      B      C      D\n"
                "01234\xe2\x80\xa6 \xe2\x80\xa6"
                "56789 012\xe2\x80\xa6"
                "89 0123456789\n"
                "\xe6\xbc\xa2\xe6\xbc\xa2\xe2\x80\xa6  \xe2\x80\xa6\xe6\xbc\xa2\xe6\xbc\xa2  "
                "\xe6\xbc\xa2\xe2\x80\xa6\xe6\xbc\xa2  "
                "\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2\n");
        forget();
}

static void test_fit(void **state) {
        /* clang-format off */
        static const struct sample_field fields[] = {
                { "pid", FIELD_UINT, .ctype = "gadget_pid" },
                { "comm", FIELD_STR, .ctype = "gadget_comm" },
                { "path", FIELD_STR, .annotations = { "columns.width", "40" } },
        };
        /* clang-format on */
        static const uint32_t widths[] = { 30, 40, 60, 64, 80, 200, 1000 };
        cleanup_buf struct buf rows = BUF_INIT(4096);

        sample_array(&rows, 3);
        sample_uint(&rows, 1234567);
        sample_str(&rows, "a-very-long-name-of-a-process");
        sample_str(&rows, "/a/rather/long/path/that/does/not/fit/into/forty/columns");
        for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
                const char *text = render_on(widths[i], fields, 3, &rows),
                           *body = strchr(text, '\n') + 1;
                size_t n = strcspn(body, "\n"), columns = 0;

                for (size_t k = 0; k < n; k++)
                        columns += (body[k] & 0xc0) != 0x80;
                assert_true(columns <= widths[i]);
                /* comm may take 16, what is left goes to the path. */
                if (widths[i] == 1000)
                        assert_non_null(strstr(body, "/columns"));
                assert_non_null(strstr(body, "1234567"));
        }
        forget();
}

/* Columns that do not say where they stand have 0, 10, 20. JSON stays as the struct is. */
static void test_order(void **state) {
        static const struct sample_field fields[] = {
                { "a", FIELD_UINT, .annotations = { "columns.order", "1000" } },
                { "b", FIELD_UINT },
                { "c", FIELD_UINT },
                { "d", FIELD_UINT, .annotations = { "columns.order", "10" } }, /* behind b */
                { "e", FIELD_UINT, .annotations = { "columns.order", "0" } },
                { "f", FIELD_UINT,
                  .annotations = { "columns.order", "no" } }, /* not from a worker */
        };
        static const struct sample_stream stream = { "s", STREAM_TRACER, fields,
                                                     ARRAY_SIZE(fields) };
        cleanup_buf struct buf rows = BUF_INIT(4096);

        sample_array(&rows, 6);
        for (uint32_t i = 0; i < 6; i++)
                sample_uint(&rows, i + 1);
        assert_string_equal(render(&stream, OUTPUT_CSV, NULL, &rows), "e,b,d,c,f,a\n5,2,4,3,6,1\n");
        assert_string_equal(render(&stream, OUTPUT_JSON, NULL, &rows),
                            "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6}\n");
        assert_string_equal(render(&stream, OUTPUT_CSV, "a,b", &rows), "a,b\n1,2\n");
        forget();
}

static void test_templates(void **state) {
        /* clang-format off */
        static const struct sample_field fields[] = {
                { "a", FIELD_UINT, .annotations = { "template", "pid" } },
                { "b", FIELD_UINT, .annotations = { "template", "ns" } },                          /* hidden */
                { "c", FIELD_UINT, .flags = FIELD_HIDDEN },
                { "d", FIELD_UINT, .annotations = { "template", "ns", "columns.hidden", "false" } },
                { "e", FIELD_UINT, .annotations = { "columns.width", "type", "columns.alignment", "right" }, .ctype = "__u16" },
                { "f", FIELD_STR, .annotations = { "columns.alias", "eff", "json.skip", "true" } },
                { "g", FIELD_STR, .annotations = { "columns.replace", "a" } },
        };
        /* clang-format on */
        static const struct sample_stream stream = { "s", STREAM_TRACER, fields,
                                                     ARRAY_SIZE(fields) };
        cleanup_buf struct buf rows = BUF_INIT(4096);

        sample_array(&rows, 7);
        for (uint32_t i = 0; i < 5; i++)
                sample_uint(&rows, i + 1);
        sample_str(&rows, "x");
        sample_str(&rows, "y");
        assert_string_equal(render(&stream, OUTPUT_COLUMNS, NULL, &rows),
                            "      A            D     E EFF              G\n"
                            "      1            4     5 x                1\n");
        assert_string_equal(render(&stream, OUTPUT_JSON, NULL, &rows),
                            "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"g\":\"y\"}\n");
        forget();
}

/* --- rows that are wrong --- */

static void test_wrong_rows(void **state) {
        cleanup_buf struct buf rows = open_rows(1);
        static const uint8_t short_row[] = { 0x91, 0x01 };
        static const uint8_t no_array[] = { 0x01 };
        static const uint8_t cut_string[] = { 0x92, 0xa5, 'a' };
        static const uint8_t huge_string[] = { 0x92, 0xdb, 0xff, 0xff, 0xff, 0xff, 'a' };
        static const uint8_t reserved[] = { 0x92, 0xc1, 0x01 };
        static const struct bytes bad[] = { BYTES(short_row, 2), BYTES(no_array, 1),
                                            BYTES(cut_string, 3), BYTES(huge_string, 7),
                                            BYTES(reserved, 3) };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct buf b = { .data = (uint8_t *)bad[i].data, .len = bad[i].len };

                begin(&counter, OUTPUT_JSON, NULL);
                assert_int_equal(feed(0, 0, &b), -EBADMSG);
        }
        assert_int_equal(feed(7, 0, &rows), -EBADMSG);
        /* Cut anywhere: an error, and never a read past the end. */
        begin(&sample_open, OUTPUT_JSON, NULL);
        for (size_t n = 1; n < rows.len; n++) {
                struct buf b = { .data = rows.data, .len = n };

                assert_int_equal(feed(0, 0, &b), -EBADMSG);
        }
        forget();
}

static void test_long_values(void **state) {
        cleanup_buf struct buf rows = BUF_INIT(4 << 20);
        size_t n = 1 << 20;
        char *text = malloc(n);

        assert_non_null(text);
        memset(text, 'a', n);
        for (unsigned int i = 0; i < 3; i++) {
                /* Short, just past what is copied at once, and far past it. */
                sample_array(&rows, 2);
                sample_strn(&rows, text, i == 0 ? 10 : i == 1 ? (64 << 10) + 1 : n);
                sample_uint(&rows, i);
        }
        free(text);
        assert_int_equal(strlen(render(&counter, OUTPUT_JSON, NULL, &rows)),
                         10 + (64 << 10) + 1 + n + 3 * strlen("{\"file\":\"\",\"count\":0}") + 3);
        forget();
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_time_layout),
        cmocka_unit_test(test_bad_fields),
        cmocka_unit_test(test_jsonpretty_and_yaml),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_several_sources),
        cmocka_unit_test(test_screen),
        cmocka_unit_test(test_screen_is_not_passed),
        cmocka_unit_test(test_histograms),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_deep_name),
        cmocka_unit_test(test_endpoint),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_fit),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_templates),
        cmocka_unit_test(test_wrong_rows),
        cmocka_unit_test(test_long_values),
};

TEST_MAIN("client-render", tests)
