/* SPDX-License-Identifier: Apache-2.0 */
/* Types: the fields that all_types promises, and the types that somebody makes up to hurt us. */
#include "rig.h"
#include "tests/lib/needs.h"
#include "worker/btf-check.h"

#define ALL_TYPES "tests/gadgets/all_types"

static const struct expected {
        const char *name;
        enum field_kind kind;
        uint32_t size;
        enum field_render render;
        const char *target;
        const char *ctype;
} expected[] = {
        { "u8_max", FIELD_UINT, 1, .ctype = "__u8" },
        { "u16_max", FIELD_UINT, 2, .ctype = "__u16" },
        { "u32_max", FIELD_UINT, 4, .ctype = "__u32" },
        { "u64_max", FIELD_UINT, 8, .ctype = "__u64" },
        { "s8_min", FIELD_INT, 1, .ctype = "__s8" },
        { "s16_min", FIELD_INT, 2, .ctype = "__s16" },
        { "s32_min", FIELD_INT, 4, .ctype = "__s32" },
        { "s64_min", FIELD_INT, 8, .ctype = "__s64" },
        { "c", FIELD_INT, 1, .ctype = "char" },
        { "yes", FIELD_BOOL, 1, .ctype = "bool" },
        { "no", FIELD_BOOL, 1, .ctype = "bool" },
        { "typedefed", FIELD_INT, 4, .ctype = "alias_of_number" },
        { "qualified", FIELD_UINT, 4, .ctype = "__u32" },
        { "color_raw", FIELD_UINT, 4, RENDER_ENUM, "color", "enum color" },
        { "unknown_color_raw", FIELD_UINT, 4, RENDER_ENUM, "unknown_color", "enum color" },
        { "signed_color_raw", FIELD_INT, 4, RENDER_ENUM, "signed_color", "enum signed_color" },
        { "access_raw", FIELD_UINT, 4, RENDER_ENUM, "access", "enum access_set" },
        { "no_access_raw", FIELD_UINT, 4, RENDER_ENUM, "no_access", "enum access_set" },
        { "plain_color", FIELD_UINT, 4, .ctype = "enum color" },
        { "text", FIELD_STR, 16, .ctype = "char[16]" },
        { "full", FIELD_STR, 4, .ctype = "char[4]" },
        { "empty", FIELD_STR, 8, .ctype = "char[8]" },
        { "binary", FIELD_STR, 8, .ctype = "char[8]" },
        { "blob", FIELD_ARRAY, 1, .ctype = "__u8[6]" },
        { "numbers", FIELD_ARRAY, 4, .ctype = "__s32[3]" },
        { "longs", FIELD_ARRAY, 8, .ctype = "__u64[2]" },
        { "inner.port", FIELD_UINT, 2, .ctype = "__u16" },
        { "inner.name", FIELD_STR, 8, .ctype = "char[8]" },
        { "inner.deep.depth", FIELD_UINT, 1, .ctype = "__u8" },
        { "inner.deep.below", FIELD_INT, 2, .ctype = "__s16" },
        { "value.word", FIELD_UINT, 4, .ctype = "__u32" },
        { "value.bytes", FIELD_ARRAY, 1, .ctype = "__u8[4]" },
        { "in_anonymous", FIELD_UINT, 4, .ctype = "__u32" },
        { "timestamp_raw", FIELD_UINT, 8, RENDER_TIMESTAMP, "timestamp", "gadget_timestamp" },
        { "duration_raw", FIELD_UINT, 8, RENDER_DURATION, "duration", "gadget_duration" },
        { "bytes_raw", FIELD_UINT, 8, RENDER_BYTES, "bytes", "gadget_bytes" },
        { "error_raw", FIELD_UINT, 4, RENDER_ERRNO, "error", "gadget_errno" },
        { "no_error_raw", FIELD_UINT, 4, RENDER_ERRNO, "no_error", "gadget_errno" },
        { "unknown_error_raw", FIELD_UINT, 4, RENDER_ERRNO, "unknown_error", "gadget_errno" },
        { "signal_raw", FIELD_UINT, 4, RENDER_SIGNAL, "signal", "gadget_signal" },
        { "syscall_raw", FIELD_UINT, 8, RENDER_SYSCALL, "syscall", "gadget_syscall" },
        { "mode_raw", FIELD_UINT, 4, RENDER_FILE_MODE, "mode", "gadget_file_mode" },
        { "flags_raw", FIELD_UINT, 4, RENDER_FILE_FLAGS, "flags", "gadget_file_flags" },
        { "user_raw", FIELD_UINT, 4, .ctype = "gadget_uid" },
        { "user", FIELD_STR, 4, .ctype = "user" },
        { "group_raw", FIELD_UINT, 4, .ctype = "gadget_gid" },
        { "group", FIELD_STR, 4, .ctype = "group" },
        { "netns_id", FIELD_UINT, 4, .ctype = "gadget_netns_id" },
        { "proc.comm", FIELD_STR, 16, .ctype = "gadget_comm[16]" },
        { "proc.pid", FIELD_UINT, 4, .ctype = "gadget_pid" },
        { "proc.tid", FIELD_UINT, 4, .ctype = "gadget_tid" },
        { "proc.mntns_id", FIELD_UINT, 8, .ctype = "gadget_mntns_id" },
        { "proc.creds.uid", FIELD_UINT, 4, .ctype = "gadget_uid" },
        { "proc.creds.user", FIELD_STR, 4, .ctype = "user" },
        { "proc.creds.gid", FIELD_UINT, 4, .ctype = "gadget_gid" },
        { "proc.creds.group", FIELD_STR, 4, .ctype = "group" },
        { "proc.parent.comm", FIELD_STR, 16, .ctype = "gadget_pcomm[16]" },
        { "proc.parent.pid", FIELD_UINT, 4, .ctype = "gadget_ppid" },
        { "proc.parent.tid", FIELD_UINT, 4, .ctype = "gadget_ptid" },
        { "l3v4.addr", FIELD_IP, 16, .ctype = "union gadget_ip_addr_t" },
        { "l3v4.version", FIELD_UINT, 1, .ctype = "__u8" },
        { "l3v6.addr", FIELD_IP, 16, .ctype = "union gadget_ip_addr_t" },
        { "l3v6.version", FIELD_UINT, 1, .ctype = "__u8" },
        { "l4v4.addr", FIELD_IP, 16, .ctype = "union gadget_ip_addr_t" },
        { "l4v4.port", FIELD_UINT, 2, .ctype = "__u16" },
        { "l4v4.proto_raw", FIELD_UINT, 2, RENDER_ENUM, "l4v4.proto", "__u16" },
        { "l4v4.version", FIELD_UINT, 1, .ctype = "__u8" },
        { "l4v6.addr", FIELD_IP, 16, .ctype = "union gadget_ip_addr_t" },
        { "l4v6.port", FIELD_UINT, 2, .ctype = "__u16" },
        { "l4v6.proto_raw", FIELD_UINT, 2, RENDER_ENUM, "l4v6.proto", "__u16" },
        { "l4v6.version", FIELD_UINT, 1, .ctype = "__u8" },
        { "args", FIELD_ARRAY, 1, .ctype = "gadget_argv[64]" },
        { "tail", FIELD_STR, 256, .ctype = "char[256]" },
};

static void test_all_types_become_fields(void **state) {
        struct bytes object = rig_object(ALL_TYPES);
        const struct event_type *type;
        struct rig rig;

        assert_int_equal(rig_open(&rig, object, NULL, 64 << 10), 0);
        assert_int_equal(rig.gadget.n_sources, 2);
        assert_string_equal(rig.gadget.sources[0].name, "all_types");
        type = rig.gadget.sources[0].type;
        for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
                const struct event_field *f = &type->fields[i];

                assert_true(i < type->n_fields);
                assert_string_equal(f->name, expected[i].name);
                assert_string_equal(f->ctype, expected[i].ctype);
                assert_int_equal(f->kind, expected[i].kind);
                assert_int_equal(f->size, expected[i].size);
                assert_int_equal(f->render, expected[i].render);
                if (expected[i].target)
                        assert_string_equal(f->target, expected[i].target);
                else
                        assert_null(f->target);
                assert_true(f->offset + f->size <= type->size);
        }
        assert_int_equal(type->n_fields, ARRAY_SIZE(expected) + CONTAINER_FIELDS);
        rig_done(&rig);
        free((void *)(uintptr_t)object.data);
}

static const struct event_field *field(const struct event_type *type, const char *name) {
        for (size_t i = 0; i < type->n_fields; i++)
                if (str_eq(type->fields[i].name, name))
                        return &type->fields[i];
        fail_msg("no field '%s'", name);
        return NULL;
}

static void test_templates_come_with_types(void **state) {
        struct bytes object = rig_object(ALL_TYPES);
        const struct event_type *type;
        struct rig rig;

        assert_int_equal(rig_open(&rig, object, NULL, 64 << 10), 0);
        type = rig.gadget.sources[0].type;
        assert_string_equal(
                annotations_get(&field(type, "proc.pid")->annotations, "columns.minwidth"), "7");
        assert_string_equal(annotations_get(&field(type, "proc.pid")->annotations, "columns.alias"),
                            "pid");
        assert_string_equal(
                annotations_get(&field(type, "proc.parent.pid")->annotations, "columns.alias"),
                "ppid");
        assert_true(field(type, "proc.parent.comm")->flags & FIELD_HIDDEN);
        assert_true(field(type, "timestamp_raw")->flags & FIELD_HIDDEN);
        assert_false(field(type, "error_raw")->flags & FIELD_HIDDEN);
        assert_true(field(type, "timestamp_raw")->is_boot_time);
        assert_true(field(type, "l3v4.version")->flags & FIELD_HIDDEN);
        rig_done(&rig);
        free((void *)(uintptr_t)object.data);
}

/* --- made-up types --- */

struct made {
        struct btf *btf;
        int u32_id;
        int char_id;
        struct type_enums enums;
        struct error err;
};

static void made_init(struct made *m) {
        *m = (struct made){ .btf = btf__new_empty() };
        m->u32_id = btf__add_int(m->btf, "__u32", 4, 0);
        m->char_id = btf__add_int(m->btf, "char", 1, BTF_INT_SIGNED);
}

static void made_done(struct made *m) {
        type_enums_done(&m->enums);
        btf__free(m->btf);
}

static int made_type(struct made *m, int id, struct event_type **ret) {
        struct type_options options = { 0 };

        return event_type_new(m->btf, (uint32_t)id, &options, &m->enums, ret, &m->err);
}

static int made_checks(struct made *m) {
        uint32_t n;
        const void *data = btf__raw_data(m->btf, &n);

        return btf_check(BYTES(data, n), &m->err);
}

static void test_too_many_fields(void **state) {
        struct event_type *type = NULL;
        struct made m;
        char name[16];
        int id;

        for (int n = LIMIT_FIELDS_MAX; n <= LIMIT_FIELDS_MAX + 1; n++) {
                made_init(&m);
                id = btf__add_struct(m.btf, "event", 4u * (uint32_t)n);
                for (int i = 0; i < n; i++) {
                        snprintf(name, sizeof(name), "f%d", i);
                        btf__add_field(m.btf, name, m.u32_id, 32u * (uint32_t)i, 0);
                }
                if (n == LIMIT_FIELDS_MAX) {
                        assert_int_equal(made_type(&m, id, &type), 0);
                        assert_int_equal(type->n_fields, LIMIT_FIELDS_MAX);
                        event_type_free(type);
                } else {
                        assert_int_equal(made_type(&m, id, &type), -E2BIG);
                        assert_int_equal(m.err.code, ERROR_LIMIT);
                        assert_non_null(strstr(m.err.msg, "512"));
                }
                made_done(&m);
        }
}

static void test_too_deep(void **state) {
        struct event_type *type = NULL;
        struct made m;
        int id;

        made_init(&m);
        id = btf__add_struct(m.btf, "s0", 4);
        btf__add_field(m.btf, "x", m.u32_id, 0, 0);
        for (int i = 1; i <= LIMIT_TYPE_DEPTH_MAX; i++) {
                char name[16];

                snprintf(name, sizeof(name), "s%d", i);
                int outer = btf__add_struct(m.btf, name, 4);

                btf__add_field(m.btf, "in", id, 0, 0);
                id = outer;
        }
        assert_int_equal(made_type(&m, id, &type), 0);
        assert_int_equal(strlen(type->fields[0].name), 3 * LIMIT_TYPE_DEPTH_MAX + 1);
        event_type_free(type);
        int outer = btf__add_struct(m.btf, "outermost", 4);

        btf__add_field(m.btf, "in", id, 0, 0);
        assert_int_equal(made_type(&m, outer, &type), -E2BIG);
        assert_non_null(strstr(m.err.msg, "struct outermost nests structs deeper than 16 levels"));
        made_done(&m);
}

/* Each level repeats the one below it 64 times: 64^8 members without a single field. */
static void test_repetition_is_bounded(void **state) {
        struct event_type *type = NULL;
        struct made m;
        int id;

        made_init(&m);
        id = btf__add_struct(m.btf, "bottom", 4);
        btf__add_field(m.btf, "__hidden", m.u32_id, 0, 0);
        for (int level = 0; level < 8; level++) {
                int outer = btf__add_union(m.btf, NULL, 4);

                for (int i = 0; i < 64; i++)
                        btf__add_field(m.btf, NULL, id, 0, 0);
                id = outer;
        }
        int top = btf__add_struct(m.btf, "top", 4);

        btf__add_field(m.btf, NULL, id, 0, 0);
        assert_int_equal(made_checks(&m), 0);
        assert_int_equal(made_type(&m, top, &type), -E2BIG);
        made_done(&m);
}

static void test_fields_outside_of_the_struct(void **state) {
        static const struct {
                uint32_t bit_offset;
                uint32_t n;
        } cases[] = {
                { 64, 0 }, { 40, 0 }, { 0x7ffffff8, 0 }, { 0, 9 }, { 8, 8 }, { 0, 0xffffffff }
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct event_type *type = NULL;
                struct made m;
                int id, inner;

                made_init(&m);
                inner = cases[i].n ? btf__add_array(m.btf, m.u32_id, m.char_id, cases[i].n)
                                   : m.u32_id;
                id = btf__add_struct(m.btf, "event", 8);
                btf__add_field(m.btf, "field", inner, cases[i].bit_offset, 0);
                assert_int_equal(made_type(&m, id, &type), -ENOEXEC);
                assert_non_null(strstr(m.err.msg, "'field' of struct event lies outside"));
                made_done(&m);
        }
}

static void test_what_cannot_be_shown_is_left_out(void **state) {
        struct event_type *type = NULL;
        struct made m;
        int id, pointer, array, arrays, structs, inner, long_long;

        made_init(&m);
        pointer = btf__add_ptr(m.btf, m.u32_id);
        array = btf__add_array(m.btf, m.u32_id, m.u32_id, 2);
        arrays = btf__add_array(m.btf, m.u32_id, array, 2);
        inner = btf__add_struct(m.btf, "inner", 4);
        btf__add_field(m.btf, "x", m.u32_id, 0, 0);
        structs = btf__add_array(m.btf, m.u32_id, inner, 2);
        long_long = btf__add_int(m.btf, "__int128", 16, BTF_INT_SIGNED);
        id = btf__add_struct(m.btf, "event", 96);
        btf__add_field(m.btf, "pointer", pointer, 0, 0);
        btf__add_field(m.btf, "arrays", arrays, 64, 0);
        btf__add_field(m.btf, "structs", structs, 192, 0);
        btf__add_field(m.btf, "wide", long_long, 256, 0);
        btf__add_field(m.btf, "bits", m.u32_id, 384, 3);
        btf__add_field(m.btf, "__private", m.u32_id, 416, 0);
        assert_int_equal(made_type(&m, id, &type), -ENOEXEC);
        assert_non_null(strstr(m.err.msg, "struct event has no field that can be shown"));
        btf__add_field(m.btf, "shown", m.u32_id, 448, 0);
        assert_int_equal(made_type(&m, id, &type), 0);
        assert_int_equal(type->n_fields, 1);
        assert_string_equal(type->fields[0].name, "shown");
        assert_int_equal(type->fields[0].offset, 56);
        event_type_free(type);
        made_done(&m);
}

static void test_size_of_the_struct(void **state) {
        static const uint32_t wrong[] = { 0, LIMIT_EVENT_SIZE_MAX + 1, UINT32_MAX };

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                struct event_type *type = NULL;
                struct made m;
                int id;

                made_init(&m);
                id = btf__add_struct(m.btf, "event", wrong[i]);
                btf__add_field(m.btf, "x", m.u32_id, 0, 0);
                assert_int_equal(made_type(&m, id, &type), -E2BIG);
                assert_int_equal(made_type(&m, m.u32_id, &type), -ENOEXEC);
                assert_non_null(strstr(m.err.msg, "not a struct"));
                made_done(&m);
        }
}

static void test_design_document_text(void **state) {
        struct bytes object = rig_object("tests/unit/worker/design");
        const struct event_type *type;
        struct rig rig;

        assert_int_equal(rig_open(&rig, object, NULL, 64 << 10), 0);
        assert_string_equal(rig.gadget.sources[0].name, "events");
        type = rig.gadget.sources[0].type;
        assert_int_equal(field(type, "comm")->kind, FIELD_STR);
        assert_int_equal(field(type, "fname")->size, 64);
        assert_int_equal(field(type, "ret")->kind, FIELD_INT);
        rig_done(&rig);
        free((void *)(uintptr_t)object.data);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_types_become_fields),
        cmocka_unit_test(test_templates_come_with_types),
        cmocka_unit_test(test_too_many_fields),
        cmocka_unit_test(test_too_deep),
        cmocka_unit_test(test_repetition_is_bounded),
        cmocka_unit_test(test_fields_outside_of_the_struct),
        cmocka_unit_test(test_what_cannot_be_shown_is_left_out),
        cmocka_unit_test(test_size_of_the_struct),
        cmocka_unit_test(test_design_document_text),
};

TEST_MAIN("worker/types", tests)
