/* SPDX-License-Identifier: Apache-2.0 */
/* Recordings: what was written is read, and nothing else is believed. */
#include "client/recording.h"

#include <fcntl.h>
#include <stdio.h>

#include "client/render.h"
#include "ipc/mp.h"
#include "tests/lib/needs.h"
#include "tests/unit/client/sample.h"

static char path[] = "/tmp/gadget-recording-XXXXXX";

static int setup(void **state) {
        int fd = mkstemp(path);

        return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state) {
        return unlink(path);
}

static void save(const uint8_t *data, size_t n) {
        int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, data, n), n);
        close(fd);
}

/* A header, a batch of two rows, a ledger, the end. */
static struct out sample(void) {
        cleanup_buf struct buf schema = BUF_INIT(1 << 20), rows = BUF_INIT(1 << 20),
                               ledger = BUF_INIT(4096), ledgers = BUF_INIT(4096);
        struct incoming in = { .type = NOTIFY_EVENTS, .source = 0, .first_seq = 5, .lost = 3 };
        struct out out;

        sample_schema(&schema, &sample_open, 1, NULL, 0);
        sample_open_row(&rows, 0);
        sample_open_row(&rows, 1);
        sample_map(&ledger, 1);
        sample_str(&ledger, "lost");
        sample_uint(&ledger, 3);
        sample_array(&ledgers, 1);
        buf_append(&ledgers, ledger.data, ledger.len);
        assert_int_equal(out_init(&out, -1, 4096), 0);
        recording_put_header(
                &out, &(struct recording_header){ .writer = "test",
                                                  .schema = BYTES(schema.data, schema.len) });
        recording_put(&out, &in, BYTES(rows.data, rows.len));
        in = (struct incoming){ .type = NOTIFY_LOSSES, .ledger = BYTES(ledger.data, ledger.len) };
        recording_put(&out, &in, BYTES(NULL, 0));
        in = (struct incoming){ .type = NOTIFY_DONE,
                                .cause = BYTES("stopped", 7),
                                .ledger = BYTES(ledgers.data, ledgers.len) };
        recording_put(&out, &in, BYTES(NULL, 0));
        return out;
}

static void test_round_trip(void **state) {
        cleanup(recording_freep) struct recording *recording = NULL;
        cleanup(out_done) struct out out = sample();
        struct recording_header header;
        struct error err = { 0 };
        struct incoming in;

        save(out.data, out_pending(&out));
        assert_int_equal(recording_open(path, &recording, &header, &err), 0);
        assert_true(header.schema.len > 100);
        assert_int_equal(recording_next(recording, &in, &err), 1);
        assert_int_equal(in.type, NOTIFY_EVENTS);
        assert_true(in.first_seq == 5 && in.lost == 3 && in.rows.len > 50);
        assert_int_equal(recording_next(recording, &in, &err), 1);
        assert_int_equal(in.type, NOTIFY_LOSSES);
        assert_int_equal(in.ledger.len, 7);
        assert_int_equal(recording_next(recording, &in, &err), 1);
        assert_int_equal(in.type, NOTIFY_DONE);
        assert_true(bytes_eq(in.cause, "stopped"));
        assert_int_equal(recording_next(recording, &in, &err), 0);
        assert_int_equal(recording_next(recording, &in, &err), 0);
}

/* Reads to the end or the first error; the schema is decoded and rows are rendered as replay does.
 */
static int read_all(void) {
        cleanup(recording_freep) struct recording *recording = NULL;
        cleanup(renderer_freep) struct renderer *renderer = NULL;
        cleanup(schema_freep) struct schema *schema = NULL;
        cleanup(out_done) struct out out = { .fd = -1 };
        struct render_options options = { .mode = OUTPUT_JSON };
        struct recording_header header;
        struct error err = { 0 };
        struct incoming in;
        int r;

        r = recording_open(path, &recording, &header, &err);
        if (r == 0)
                r = schema_new(header.schema, &schema, &err);
        if (r < 0) {
                assert_true(strlen(error_text(&err)) > 0);
                return r;
        }
        assert_int_equal(out_init(&out, -1, 4096), 0);
        r = renderer_new(schema, &options, &out, &renderer, &err);
        while (r == 0 && (r = recording_next(recording, &in, &err)) > 0)
                r = in.type == NOTIFY_EVENTS
                            ? (int)MIN(render_rows(renderer, in.source, in.flags, in.rows), 0)
                            : 0;
        return r;
}

/* Every truncation is noticed but the ones between two records. */
static void test_truncated(void **state) {
        cleanup(out_done) struct out out = sample();
        size_t n = out_pending(&out), whole = 0;

        for (size_t i = 0; i < n; i++) {
                int r;

                save(out.data, i);
                r = read_all();
                whole += r == 0;
                if (r != 0 && r != -EBADMSG && r != -ENODATA)
                        fail_msg("%zu bytes: %d", i, r);
        }
        assert_int_equal(whole, 3);
}

static void test_mutated(void **state) {
        static const uint8_t with[] = { 0x00, 0x7f, 0x80, 0xc1, 0xc6, 0xdb, 0xdd, 0xdf, 0xff };
        cleanup(out_done) struct out out = sample();
        size_t n = out_pending(&out);

        for (size_t i = 0; i < n; i++) {
                uint8_t was = out.data[i];

                for (size_t k = 0; k < ARRAY_SIZE(with); k++) {
                        out.data[i] = with[k];
                        save(out.data, n);
                        assert_true(read_all() <= 0);
                }
                out.data[i] = was;
        }
        save(out.data, n);
        assert_int_equal(read_all(), 0);
}

static void test_refused(void **state) {
        static const uint8_t later[] = "\x81\xb0gadget-recording\x02";
        struct recording *recording = NULL;
        struct recording_header header;
        struct error err = { 0 };

        assert_int_equal(recording_open("/nonexistent/x", &recording, &header, &err), -ENOENT);
        assert_non_null(strstr(error_text(&err), "'/nonexistent/x': No such file"));
        save((const uint8_t *)"hello\n", 6);
        assert_int_equal(recording_open(path, &recording, &header, &err), -EBADMSG);
        assert_non_null(strstr(error_text(&err), "it is not a recording"));
        save(later, sizeof(later) - 1);
        assert_int_equal(recording_open(path, &recording, &header, &err), -EPROTONOSUPPORT);
        assert_non_null(strstr(error_text(&err), "use a later one"));
        save((const uint8_t *)"\xdd\x08\x00\x00\x00", 5);
        assert_int_equal(recording_open(path, &recording, &header, &err), -EBADMSG);
        assert_null(recording);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_mutated),
        cmocka_unit_test(test_refused),
};

TEST_MAIN_SETUP("client-recording", tests, setup, teardown)
