/* SPDX-License-Identifier: Apache-2.0 */
/* The small parts of gadgetd: names, packing, ledgers, outcomes, options. */
#include <getopt.h>
#include <stdio.h>

#include "gadget/api.h"
#include "ipc/scan.h"
#include "supervisor/instance-names.h"
#include "supervisor/ledger.h"
#include "supervisor/options.h"
#include "supervisor/outcome.h"
#include "supervisor/pack.h"
#include "tests/lib/needs.h"

/* --- names --- */

static void test_names(void **state) {
        static const char *const good[] = { "a", "A9", "calm_otter", "x.y-z_1", "0" };
        static const char *const bad[] = { "",    "_a",  "-a",       ".",  "a b",
                                           "a/b", "a\n", "\xc3\xa4", "a;b" };
        char name[LIMIT_NAME_MAX_LEN + 2];
        struct error err = {};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(good); i++)
                assert_int_equal(instance_name_check(good[i], &err), 0);
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_int_equal(instance_name_check(bad[i], &err), -EINVAL);
        memset(name, 'z', sizeof(name));
        name[LIMIT_NAME_MAX_LEN] = '\0';
        assert_int_equal(instance_name_check(name, &err), 0);
        name[LIMIT_NAME_MAX_LEN] = 'z';
        name[LIMIT_NAME_MAX_LEN + 1] = '\0';
        assert_int_equal(instance_name_check(name, &err), -EINVAL);
        memset(name, 'a', INSTANCE_ID_LEN); /* 64 hex digits would be taken for an id */
        name[INSTANCE_ID_LEN] = '\0';
        assert_int_equal(instance_name_check(name, &err), -EINVAL);
}

static void test_generated_names(void **state) {
        char name[LIMIT_NAME_MAX_LEN + 1], id[INSTANCE_ID_LEN + 1], other[INSTANCE_ID_LEN + 1];
        struct error err = {};

        (void)state;
        for (unsigned int attempt = 0; attempt < 1000; attempt++) {
                instance_name_generate(attempt, name);
                assert_int_equal(instance_name_check(name, &err), 0);
                assert_non_null(strchr(name, '_'));
        }
        instance_id_generate(id);
        instance_id_generate(other);
        assert_true(instance_id_is_valid(id));
        assert_string_not_equal(id, other);
        assert_false(instance_id_is_valid("0123"));
        id[3] = 'G';
        assert_false(instance_id_is_valid(id));
}

/* --- pack and ledger --- */

static void test_pack(void **state) {
        const struct scan_limits limits = { .depth = 8, .elements = 1000 };
        cleanup_buf struct buf out = BUF_INIT(4096);
        struct mp_reader reader;
        struct pack map, array;
        struct bytes text;
        uint64_t number;
        uint32_t n;

        (void)state;
        map = pack_map(&out);
        pack_map_uint(&map, "number", 300);
        pack_map_str(&map, "none", NULL);
        pack_key(&map, "array");
        array = pack_array(&out);
        for (int64_t i = -2; i < 2; i++) {
                pack_item(&array);
                pack_int(&out, i);
        }
        pack_end(&array);
        pack_map_bool(&map, "yes", true);
        pack_key(&map, "bin");
        pack_bin(&out, BYTES(NULL, 0));
        pack_end(&map);
        assert_int_equal(buf_result(&out), 0);
        assert_int_equal(msgpack_scan_one(BYTES(out.data, out.len), &limits), 0);

        reader = mp_reader_of(BYTES(out.data, out.len));
        assert_int_equal(mp_read_map(&reader, &n), 0);
        assert_int_equal(n, 5);
        assert_int_equal(mp_read_str(&reader, &text), 0);
        assert_int_equal(mp_read_uint(&reader, &number), 0);
        assert_int_equal(number, 300);
        assert_int_equal(mp_read_str(&reader, &text), 0);
        assert_int_equal(mp_read_str(&reader, &text), 0);
        assert_int_equal(text.len, 0);
        assert_int_equal(mp_read_str(&reader, &text), 0);
        assert_int_equal(mp_read_array(&reader, &n), 0);
        assert_int_equal(n, 4);
}

/* A buffer that is too small fails once, at the end, and writes nowhere else. */
static void test_pack_overflow(void **state) {
        (void)state;
        for (size_t max = 0; max < 200; max++) {
                cleanup_buf struct buf out = BUF_INIT(max);
                struct pack map = pack_map(&out);

                for (unsigned int i = 0; i < 10; i++)
                        pack_map_str(&map, "key", "a value of some length");
                pack_end(&map);
                assert_int_equal(buf_result(&out) == 0, max >= out.len && !out.failed);
                assert_true(out.len <= max);
        }
}

static void test_ledger(void **state) {
        const struct ledger ledger = { .skipped = 1, .delivered = 2, .lost = 3 };
        struct event_ring_stream counters = { .rows = 6 };
        cleanup_buf struct buf out = BUF_INIT(4096);
        uint32_t n;
        struct mp_reader reader;

        (void)state;
        assert_false(ledger_is_empty(&counters));
        assert_true(ledger_is_empty(&(struct event_ring_stream){}));
        counters.dropped[DROP_FILTERED] = 9;
        ledger_pack(&ledger, &counters, &out);
        reader = mp_reader_of(BYTES(out.data, out.len));
        assert_int_equal(mp_read_map(&reader, &n), 0);
        assert_int_equal(n, 5);
        for (unsigned int i = 0; i < 4; i++) {
                static const uint64_t expected[] = { 6, 1, 2, 3 };
                struct bytes key;
                uint64_t value;

                assert_int_equal(mp_read_str(&reader, &key), 0);
                assert_int_equal(mp_read_uint(&reader, &value), 0);
                assert_int_equal(value, expected[i]);
        }
        assert_int_equal(mp_skip(&reader), 0);
        assert_int_equal(mp_read_map(&reader, &n), 0);
        assert_int_equal(n, 1);
}

/* What "show" says of a source: nothing that is an attachment's. */
static void test_ledger_without_an_attachment(void **state) {
        struct event_ring_stream counters = { .rows = 6, .dropped[DROP_FILTERED] = 9 };
        static const char *const keys[] = { "source", "rows", "dropped" };
        cleanup_buf struct buf out = BUF_INIT(4096);
        struct mp_reader reader;
        struct bytes key;
        uint32_t n;

        (void)state;
        ledger_pack_counters(3, &counters, &out);
        reader = mp_reader_of(BYTES(out.data, out.len));
        assert_int_equal(mp_read_map(&reader, &n), 0);
        assert_int_equal(n, ARRAY_SIZE(keys));
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                assert_int_equal(mp_read_str(&reader, &key), 0);
                assert_true(bytes_eq(key, keys[i]));
                assert_int_equal(mp_skip(&reader), 0);
        }
}

/* --- outcome --- */

static void test_outcome(void **state) {
        struct outcome outcome = {};
        struct error first = {}, second = {};

        (void)state;
        error_set(&first, ERROR_DENIED, -EPERM, "first");
        error_set(&second, ERROR_INTERNAL, -EIO, "second");
        assert_string_equal(outcome_cause_name(&outcome), "");
        outcome_wish(&outcome, CAUSE_TIMEOUT);
        outcome_wish(&outcome, CAUSE_STOPPED);
        assert_string_equal(outcome_cause_name(&outcome), "timeout");
        outcome_fail(&outcome, &first, "why");
        outcome_fail(&outcome, &second, "other");
        outcome_wish(&outcome, CAUSE_STOPPED);
        assert_string_equal(outcome_cause_name(&outcome), "failed");
        assert_string_equal(outcome.error.msg, "first");
        assert_string_equal(outcome.detail, "why");
        outcome_done(&outcome);
        outcome_done(&outcome);
}

/* LIMIT_ERROR_DETAIL_MAX: the end stays, whole lines only. */
static void test_outcome_detail_is_cut_in_front(void **state) {
        struct outcome outcome = {};
        struct error err = {};
        cleanup_free char *detail = NULL;

        (void)state;
        detail = calloc(1, 3 * LIMIT_ERROR_DETAIL_MAX);
        assert_non_null(detail);
        for (size_t i = 0; i < 2 * LIMIT_ERROR_DETAIL_MAX; i += 10)
                snprintf(detail + i, 11, "line %04u\n", (unsigned int)(i / 10) % 10000);
        error_set(&err, ERROR_INVALID, -EINVAL, "rejected");
        outcome_fail(&outcome, &err, detail);
        assert_true(strlen(outcome.detail) <= LIMIT_ERROR_DETAIL_MAX);
        assert_true(strlen(outcome.detail) > LIMIT_ERROR_DETAIL_MAX - 20);
        assert_memory_equal(outcome.detail, "line ", 5);
        assert_string_equal(outcome.detail + strlen(outcome.detail) - 10,
                            detail + strlen(detail) - 10);
        outcome_done(&outcome);
}

/* --- options --- */

static int parse(struct options *ret, const char *const argv[]) {
        int argc = 0;

        while (argv[argc])
                argc++;
        optind = 0;
        return options_parse(argc, (char *const *)argv, ret);
}
#define PARSE(_ret, ...) parse(_ret, (const char *const[]){ "gadgetd", __VA_ARGS__, NULL })

static void test_options(void **state) {
        struct options options;

        (void)state;
        assert_int_equal(parse(&options, (const char *const[]){ "gadgetd", NULL }), 1);
        assert_string_equal(options.root, "");
        assert_int_equal(options.client_fd, -1);
        assert_int_equal(options.log_level, LOG_LEVEL_INFO);
        assert_int_equal(PARSE(&options, "--root", "/x", "--log-level", "debug", "--kernel-btf",
                               "/b", "--worker", "/w"),
                         1);
        assert_string_equal(options.root, "/x");
        assert_string_equal(options.kernel_btf, "/b");
        assert_string_equal(options.worker, "/w");
        assert_int_equal(options.log_level, LOG_LEVEL_DEBUG);
        assert_int_equal(PARSE(&options, "--root", "/"), 1);
        assert_string_equal(options.root, "");
        assert_int_equal(PARSE(&options, "--private", "--client-fd", "7"), 1);
        assert_int_equal(options.client_fd, 7);
}

static void test_wrong_options(void **state) {
        struct options options;

        (void)state;
        assert_int_equal(PARSE(&options, "--nonsense"), -EINVAL);
        assert_int_equal(PARSE(&options, "--root"), -EINVAL);
        assert_int_equal(PARSE(&options, "--root", "relative"), -EINVAL);
        assert_int_equal(PARSE(&options, "--log-level", "loud"), -EINVAL);
        assert_int_equal(PARSE(&options, "--client-fd", "1"), -EINVAL);
        assert_int_equal(PARSE(&options, "--client-fd", "x"), -EINVAL);
        assert_int_equal(PARSE(&options, "--private"), -EINVAL);
        assert_int_equal(PARSE(&options, "--client-fd", "5"), -EINVAL);
        assert_int_equal(PARSE(&options, "run"), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_generated_names),
                cmocka_unit_test(test_pack),
                cmocka_unit_test(test_pack_overflow),
                cmocka_unit_test(test_ledger),
                cmocka_unit_test(test_ledger_without_an_attachment),
                cmocka_unit_test(test_outcome),
                cmocka_unit_test(test_outcome_detail_is_cut_in_front),
                cmocka_unit_test(test_options),
                cmocka_unit_test(test_wrong_options),
        };

        return test_main("supervisor-parts", tests, ARRAY_SIZE(tests), NULL, NULL);
}
