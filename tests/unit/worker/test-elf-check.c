/* SPDX-License-Identifier: Apache-2.0 */
/* Objects: truncated at every byte, mutated at random. Only what passes may reach libbpf and the
 * walk over types. */
#include <elf.h>
#include <stdio.h>

#include "base/file.h"
#include "rig.h"
#include "tests/lib/needs.h"
#include "worker/elf-check.h"

#define MUTATIONS 10000

static struct bytes object;

static int setup(void **state) {
        object = rig_object("tests/gadgets/all_types");
        return 0;
}

static int teardown(void **state) {
        free((void *)(uintptr_t)object.data);
        return 0;
}

static void test_real_objects_pass(void **state) {
        static const char *const names[] = { "tests/gadgets/all_types", "tests/unit/worker/design",
                                             "tests/unit/worker/small_ring" };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                struct bytes b = rig_object(names[i]);
                struct error err = { 0 };
                int r = elf_check(b, &err);

                if (r < 0)
                        fail_msg("%s: %s", names[i], err.msg);
                free((void *)(uintptr_t)b.data);
        }
}

static void test_every_truncation_is_refused(void **state) {
        struct error err;

        for (size_t n = 0; n < object.len; n++) {
                /* A block of exactly n bytes: ASan sees the first one behind it. */
                uint8_t *exact = malloc(n ? n : 1);
                int r;

                memcpy(exact, object.data, n);
                r = elf_check(BYTES(exact, n), &err);
                free(exact);
                assert_int_equal(r, -ENOEXEC);
        }
}

static void expect_message(const void *data, size_t n, const char *message) {
        struct error err = { 0 };

        assert_int_equal(elf_check(BYTES(data, n), &err), -ENOEXEC);
        if (!strstr(err.msg, message))
                fail_msg("'%s' does not say '%s'", err.msg, message);
}

static void test_garbage_is_named(void **state) {
        static const char script[] =
                "#!/bin/sh\necho this is longer than an ELF header, and no object at all\n";
        uint8_t *copy = malloc(object.len);

        expect_message("", 0, "too few");
        expect_message(script, sizeof(script), "does not begin as an ELF file does");
        memcpy(copy, object.data, object.len);
        ((Elf64_Ehdr *)(void *)copy)->e_machine = EM_X86_64;
        expect_message(copy, object.len, "machine 62, not for BPF (247)");
        memcpy(copy, object.data, object.len);
        copy[EI_CLASS] = ELFCLASS32;
        expect_message(copy, object.len, "64-bit little-endian");
        memcpy(copy, object.data, object.len);
        ((Elf64_Ehdr *)(void *)copy)->e_shnum = 0;
        expect_message(copy, object.len, "section table has 0 entries");
        free(copy);
}

/* The section of this type (and index among them) in a copy of the object. */
static Elf64_Shdr *section(uint8_t *copy, uint32_t type) {
        Elf64_Ehdr *h = (Elf64_Ehdr *)(void *)copy;
        Elf64_Shdr *sh = (Elf64_Shdr *)(void *)(copy + h->e_shoff);

        for (unsigned int i = 0; i < h->e_shnum; i++)
                if (sh[i].sh_type == type)
                        return &sh[i];
        fail_msg("no section of type %u", type);
        return NULL;
}

static void test_hostile_symbols(void **state) {
        uint8_t *copy = malloc(object.len);
        Elf64_Shdr *symtab;
        Elf64_Sym *sym;
        Elf64_Rel *rel;

        /* CVE-2025-29481: an offset that wraps to before the section. */
        memcpy(copy, object.data, object.len);
        symtab = section(copy, SHT_SYMTAB);
        sym = (Elf64_Sym *)(void *)(copy + symtab->sh_offset) + symtab->sh_info;
        sym->st_value = UINT64_MAX - 7;
        expect_message(copy, object.len, "lies outside of section");
        memcpy(copy, object.data, object.len);
        sym->st_size = UINT64_MAX;
        expect_message(copy, object.len, "lies outside of section");
        memcpy(copy, object.data, object.len);
        sym->st_shndx = 60000;
        expect_message(copy, object.len, "belongs to no section");
        memcpy(copy, object.data, object.len);
        symtab->sh_entsize = 0;
        expect_message(copy, object.len, "impossible size");
        memcpy(copy, object.data, object.len);
        copy[section(copy, SHT_STRTAB)->sh_offset + section(copy, SHT_STRTAB)->sh_size - 1] = 'x';
        expect_message(copy, object.len, "damaged");
        memcpy(copy, object.data, object.len);
        rel = (Elf64_Rel *)(void *)(copy + section(copy, SHT_REL)->sh_offset);
        rel->r_offset = UINT64_MAX;
        expect_message(copy, object.len, "points outside of its section");
        memcpy(copy, object.data, object.len);
        rel->r_info = ELF64_R_INFO(1u << 30, 1);
        expect_message(copy, object.len, "symbol that does not exist");
        free(copy);
}

static uint64_t next_random(uint64_t *x) {
        *x ^= *x << 13;
        *x ^= *x >> 7;
        *x ^= *x << 17;
        return *x;
}

/* What the worker does itself with an object that has passed: its BTF, every struct of it as an
 * event type. */
static void walk_types(struct bytes copy) {
        struct type_options options = { 0 };
        struct type_enums enums = { 0 };
        struct event_type *type;
        struct btf *btf;
        struct bytes b;

        assert_true(elf_section(copy, ".BTF", &b));
        btf = btf__new(b.data, (uint32_t)b.len);
        assert_non_null(btf);
        for (uint32_t id = 1; id < btf__type_cnt(btf); id++) {
                if (!btf_is_struct(btf__type_by_id(btf, id)))
                        continue;
                if (event_type_new(btf, id, &options, &enums, &type, NULL) == 0)
                        event_type_free(type);
        }
        type_enums_done(&enums);
        btf__free(btf);
}

static void test_random_mutations(void **state) {
        uint64_t x = 0x9e3779b97f4a7c15u;
        unsigned int n_passed = 0;

        for (int round = 0; round < MUTATIONS; round++) {
                uint8_t *copy = malloc(object.len);
                unsigned int n = 1 + (unsigned int)(next_random(&x) % 4);

                memcpy(copy, object.data, object.len);
                for (unsigned int i = 0; i < n; i++) {
                        /* Half of them in the parts that say where everything is. */
                        Elf64_Ehdr *h = (Elf64_Ehdr *)(void *)(uintptr_t)object.data;
                        size_t tables = h->e_shoff, where = next_random(&x) % object.len;

                        if (next_random(&x) % 2)
                                where = tables + next_random(&x) % (object.len - tables);
                        if (next_random(&x) % 8 == 0)
                                where = next_random(&x) % sizeof(*h);
                        copy[where] = next_random(&x) % 3 ? (uint8_t)next_random(&x) : 0xff;
                }
                if (elf_check(BYTES(copy, object.len), NULL) == 0) {
                        n_passed++;
                        if (n_passed % 16 ==
                            0) /* a hundred structs each: enough of them in a second */
                                walk_types(BYTES(copy, object.len));
                }
                free(copy);
        }
        /* The check must not be so strict that the walk is never tried. */
        assert_true(n_passed > MUTATIONS / 20);
}

/* Damage in the BTF alone, where the walk goes. */
static void test_random_mutations_of_btf(void **state) {
        uint64_t x = 0x2545f4914f6cdd1du;
        unsigned int n_passed = 0;
        struct bytes btf;

        assert_true(elf_section(object, ".BTF", &btf));
        for (int round = 0; round < 400; round++) {
                uint8_t *copy = malloc(object.len);
                uint8_t *in = copy + (btf.data - object.data);

                memcpy(copy, object.data, object.len);
                for (int i = 0; i < 3; i++)
                        in[next_random(&x) % (btf.len * 3 / 4)] ^=
                                (uint8_t)(1u << next_random(&x) % 8);
                if (elf_check(BYTES(copy, object.len), NULL) == 0) {
                        n_passed++;
                        walk_types(BYTES(copy, object.len));
                }
                free(copy);
        }
        assert_true(n_passed > 10);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_objects_pass),
        cmocka_unit_test(test_every_truncation_is_refused),
        cmocka_unit_test(test_garbage_is_named),
        cmocka_unit_test(test_hostile_symbols),
        cmocka_unit_test(test_random_mutations),
        cmocka_unit_test(test_random_mutations_of_btf),
};

TEST_MAIN_SETUP("worker/elf-check", tests, setup, teardown)
