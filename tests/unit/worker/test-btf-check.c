/* SPDX-License-Identifier: Apache-2.0 */
/* BTF: what is whole passes; what libbpf would loop on, follow out of bounds or believe does not.
 */
#include "rig.h"
#include "tests/lib/needs.h"
#include "worker/btf-check.h"
#include "worker/elf-check.h"

/* The BTF, after the change that `change` makes to it, or NULL. */
static void expect(struct btf *btf, void (*change)(uint8_t *data, uint32_t n),
                   const char *message) {
        struct error err = { 0 };
        const void *raw;
        uint8_t *copy;
        uint32_t n;
        int r;

        raw = btf__raw_data(btf, &n);
        copy = malloc(n);
        memcpy(copy, raw, n);
        if (change)
                change(copy, n);
        r = btf_check(BYTES(copy, n), &err);
        free(copy);
        btf__free(btf);
        if (!message) {
                assert_int_equal(r, 0);
                return;
        }
        assert_int_equal(r, -ENOEXEC);
        if (!strstr(err.msg, message))
                fail_msg("'%s' does not say '%s'", err.msg, message);
}

static void test_whole(void **state) {
        struct btf *btf = btf__new_empty();
        int u32_id = btf__add_int(btf, "u32", 4, 0), s, e;

        expect(btf__new_empty(), NULL, NULL);
        s = btf__add_struct(btf, "node", 16);
        btf__add_field(btf, "value", u32_id, 0, 0);
        btf__add_field(btf, "next", s + 1, 64, 0); /* a pointer to itself is no circle */
        assert_int_equal(btf__add_ptr(btf, s), s + 1);
        e = btf__add_enum(btf, "color", 4);
        btf__add_enum_value(btf, "RED", 1);
        btf__add_enum64(btf, "big", 8, false);
        btf__add_enum64_value(btf, "HUGE", UINT64_MAX);
        btf__add_typedef(btf, "color_t", e);
        btf__add_float(btf, "double", 8);
        btf__add_fwd(btf, "elsewhere", BTF_FWD_STRUCT);
        expect(btf, NULL, NULL);
}

static void test_circles(void **state) {
        struct btf *btf = btf__new_empty();

        btf__add_typedef(btf, "a", 2);
        btf__add_const(btf, 3);
        btf__add_volatile(btf, 1);
        expect(btf, NULL, "contains itself");

        btf = btf__new_empty();
        btf__add_struct(btf, "s", 4);
        btf__add_field(btf, "in", 1, 0, 0);
        expect(btf, NULL, "contains itself");

        btf = btf__new_empty();
        btf__add_array(btf, 2, 2, 3);
        btf__add_typedef(btf, "t", 1);
        expect(btf, NULL, "contains itself");
}

static void test_long_chains(void **state) {
        struct btf *btf = btf__new_empty();
        int id = btf__add_int(btf, "u32", 4, 0);

        for (int i = 0; i < 100; i++)
                id = btf__add_const(btf, id);
        expect(btf, NULL, "nests types deeper");
}

static void test_ids_out_of_range(void **state) {
        struct btf *btf = btf__new_empty();

        btf__add_ptr(btf, 2);
        expect(btf, NULL, "type 1 that refers to nothing");
        btf = btf__new_empty();
        btf__add_struct(btf, "s", 4);
        btf__add_field(btf, "f", 77, 0, 0);
        expect(btf, NULL, "refers to nothing");
        btf = btf__new_empty();
        btf__add_int(btf, "u32", 4, 0);
        btf__add_func(btf, "f", BTF_FUNC_GLOBAL, 1); /* a function whose type is an int */
        expect(btf, NULL, "refers to nothing");
}

static void change_magic(uint8_t *data, uint32_t n) {
        data[0] ^= 1;
}
static void change_type_len(uint8_t *data, uint32_t n) {
        ((struct btf_header *)(void *)data)->type_len -= 4;
}
static void change_str_off(uint8_t *data, uint32_t n) {
        ((struct btf_header *)(void *)data)->str_off = UINT32_MAX;
}
static void change_str_end(uint8_t *data, uint32_t n) {
        data[n - 1] = 'x';
}
static void change_kind(uint8_t *data, uint32_t n) {
        ((struct btf_type *)(void *)(data + sizeof(struct btf_header)))->info = 31u << 24;
}
static void change_name(uint8_t *data, uint32_t n) {
        ((struct btf_type *)(void *)(data + sizeof(struct btf_header)))->name_off = 100000;
}
static void change_bits(uint8_t *data, uint32_t n) {
        data[sizeof(struct btf_header) + sizeof(struct btf_type)] = 255;
}

static void test_damage(void **state) {
        static const struct {
                void (*change)(uint8_t *data, uint32_t n);
                const char *message;
        } cases[] = {
                { change_magic, "header of unknown form" },
                { change_type_len, "ends inside type 1" },
                { change_str_off, "outside of its section" },
                { change_str_end, "damaged string table" },
                { change_kind, "unknown kind 31" },
                { change_name, "name outside" },
                { change_bits, "refers to nothing" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct btf *btf = btf__new_empty();

                btf__add_int(btf, "u32", 4, 0);
                expect(btf, cases[i].change, cases[i].message);
        }
}

/* Every truncation and single-byte change of real .BTF.ext either fails or leaves what libbpf can
 * walk. */
static void test_extension(void **state) {
        struct bytes object = rig_object("tests/gadgets/all_types"), btf, ext;
        uint8_t *copy;
        int n_refused = 0;

        assert_true(elf_section(object, ".BTF", &btf));
        assert_true(elf_section(object, ".BTF.ext", &ext));
        assert_int_equal(btf_ext_check(ext, btf, NULL), 0);
        copy = malloc(ext.len);
        for (size_t n = 0; n < ext.len; n += n < 64 ? 1 : 97) {
                uint8_t *exact = malloc(n ? n : 1);

                memcpy(exact, ext.data, n);
                assert_int_equal(btf_ext_check(BYTES(exact, n), btf, NULL), -ENOEXEC);
                free(exact);
        }
        for (size_t i = 0; i < ext.len && i < 4000; i++) {
                memcpy(copy, ext.data, ext.len);
                copy[i] ^= (uint8_t)(1u << i % 8);
                n_refused += btf_ext_check(BYTES(copy, ext.len), btf, NULL) < 0;
        }
        assert_true(n_refused > 100);
        free(copy);
        free((void *)(uintptr_t)object.data);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),       cmocka_unit_test(test_circles),
        cmocka_unit_test(test_long_chains), cmocka_unit_test(test_ids_out_of_range),
        cmocka_unit_test(test_damage),      cmocka_unit_test(test_extension),
};

TEST_MAIN("worker/btf-check", tests)
