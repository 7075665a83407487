/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of programs and libraries: of a real library, of files made here to the byte, and of
 * files that somebody broke on purpose.
 */
#include "worker/elf-symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/file.h"
#include "gadget/api.h"
#include "tests/lib/needs.h"
#include "tests/property/random.h"
#include "worker/symbol-files.h"

#define LIBRARY TEST_BUILD_DIR "/tests/gadgets/libgadget-stack.so"
#define MUTATIONS 20000

/* --- a file with these functions --- */

#define TEXT_OFFSET 0x1000u
#define TEXT_ADDRESS 0x401000u
#define TEXT_SIZE 0x10000000u

struct function {
        const char *name;
        uint64_t offset; /* in the code */
        uint64_t size;
        uint8_t binding;
        uint8_t type;
        uint16_t section;
};

struct made {
        Elf64_Ehdr header;
        Elf64_Phdr segments[2];
        Elf64_Shdr sections[3]; /* none, symbols, names */
        struct {
                Elf64_Nhdr note;
                char name[4];
                uint8_t id[20];
        } note;
};

static int make_file(const struct function *functions, size_t n, uint32_t section_type) {
        struct made m = {
                .header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB },
                            .e_type = ET_DYN,
                            .e_phoff = offsetof(struct made, segments),
                            .e_phentsize = sizeof(Elf64_Phdr),
                            .e_phnum = 2,
                            .e_shoff = offsetof(struct made, sections),
                            .e_shentsize = sizeof(Elf64_Shdr),
                            .e_shnum = 3 },
                .segments = { { .p_type = PT_LOAD,
                                .p_flags = PF_R | PF_X,
                                .p_offset = TEXT_OFFSET,
                                .p_vaddr = TEXT_ADDRESS,
                                .p_filesz = TEXT_SIZE },
                              { .p_type = PT_NOTE,
                                .p_offset = offsetof(struct made, note),
                                .p_filesz = sizeof(m.note) } },
                .sections = { [1] = { .sh_type = section_type,
                                      .sh_offset = sizeof(struct made),
                                      .sh_size = n * sizeof(Elf64_Sym),
                                      .sh_entsize = sizeof(Elf64_Sym),
                                      .sh_link = 2 },
                              [2] = { .sh_type = SHT_STRTAB,
                                      .sh_offset = sizeof(struct made) + n * sizeof(Elf64_Sym) } },
                .note = { { 4, 20, NT_GNU_BUILD_ID }, "GNU", { 0xab, 0xcd, [19] = 0xef } },
        };
        struct buf names = BUF_INIT(1 << 28), symbols = BUF_INIT(1 << 28);
        int fd = memfd_create("elf", MFD_CLOEXEC);

        buf_append(&names, "", 1);
        for (size_t i = 0; i < n; i++) {
                const struct function *f = &functions[i];
                Elf64_Sym sym = { .st_name = (uint32_t)names.len,
                                  .st_value = TEXT_ADDRESS + f->offset,
                                  .st_size = f->size,
                                  .st_shndx = f->section,
                                  .st_info = ELF64_ST_INFO(f->binding, f->type) };

                buf_append(&symbols, &sym, sizeof(sym));
                buf_append(&names, f->name, strlen(f->name) + 1);
        }
        m.sections[2].sh_size = names.len;
        assert_int_equal(write(fd, &m, sizeof(m)), sizeof(m));
        assert_int_equal(write(fd, symbols.data, symbols.len), symbols.len);
        assert_int_equal(write(fd, names.data, names.len), names.len);
        buf_done(&symbols);
        buf_done(&names);
        return fd;
}

static const char *find(const struct elf_symbols *s, uint64_t offset) {
        return elf_symbols_find(s, TEXT_OFFSET + offset);
}

#define FUNC(_name, _offset, _size, _binding)                                                      \
        { _name, _offset, _size, _binding, STT_FUNC, 1 }

static void test_find(void **state) {
        static const struct function functions[] = {
                FUNC("later", 0x300, 0x10, STB_GLOBAL),
                FUNC("first", 0x100, 0x20, STB_LOCAL),
                FUNC("__alias", 0x200, 0x10, STB_LOCAL),
                FUNC("weak_alias", 0x200, 0x18, STB_WEAK),
                FUNC("strong_alias", 0x200, 0x10, STB_GLOBAL),
                FUNC("stronger", 0x200, 0x10, STB_GLOBAL), /* shorter */
                FUNC("outer", 0x400, 0x100, STB_GLOBAL),
                FUNC("nested", 0x420, 0x10, STB_LOCAL),
                FUNC("sizeless", 0x600, 0, STB_GLOBAL),
                { "resolver", 0x500, 0x10, STB_GLOBAL, STT_GNU_IFUNC, 1 },
                { "imported", 0x700, 0x10, STB_GLOBAL, STT_FUNC, SHN_UNDEF },
                { "variable", 0x310, 0x10, STB_GLOBAL, STT_OBJECT, 1 },
                FUNC("", 0x320, 0x10, STB_GLOBAL),
        };
        static const struct {
                uint64_t offset;
                const char *name;
        } cases[] = {
                { 0x0ff, NULL },       { 0x100, "first" },    { 0x11f, "first" },
                { 0x120, NULL },       { 0x200, "stronger" }, { 0x217, "stronger" },
                { 0x218, NULL },       { 0x305, "later" },    { 0x310, NULL },
                { 0x320, NULL },       { 0x410, "outer" },    { 0x425, "nested" },
                { 0x430, "outer" },    { 0x4ff, "outer" },    { 0x505, "resolver" },
                { 0x600, "sizeless" }, { 0x650, "sizeless" }, { 0x705, "sizeless" },
                { 0x200000, NULL },    { TEXT_SIZE, NULL },   { UINT64_MAX - TEXT_OFFSET, NULL },
        };
        static const uint32_t tables[] = { SHT_SYMTAB, SHT_DYNSYM };

        for (size_t t = 0; t < ARRAY_SIZE(tables); t++) {
                int fd = make_file(functions, ARRAY_SIZE(functions), tables[t]);
                struct elf_symbols *s = NULL;

                assert_int_equal(elf_symbols_new(fd, &s), 0);
                for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                        const char *name = find(s, cases[i].offset);

                        if (!str_eq(name ? name : "", cases[i].name ? cases[i].name : ""))
                                fail_msg("0x%llx is in '%s'", (unsigned long long)cases[i].offset,
                                         name ? name : "nothing");
                }
                assert_null(elf_symbols_find(s, 0));
                assert_int_equal(s->build_id_len, 20);
                assert_int_equal(s->build_id[0], 0xab);
                assert_int_equal(s->build_id[19], 0xef);
                assert_false(s->is_cut);
                elf_symbols_free(s);
                close(fd);
        }
}

static void test_real_library(void **state) {
        int fd = open(LIBRARY, O_RDONLY | O_CLOEXEC);
        struct elf_symbols *s = NULL;
        bool has_inner = false;

        assert_true(fd >= 0);
        assert_int_equal(elf_symbols_new(fd, &s), 0);
        for (size_t i = 0; i < s->n; i++)
                has_inner |= str_eq(s->names + s->items[i].name, "library_inner");
        assert_true(has_inner);
        assert_int_equal(s->build_id_len, 20);
        assert_int_equal(s->build_id[1], 0x11);
        elf_symbols_free(s);
        close(fd);
}

/* --- limits --- */

static void test_function_limit(void **state) {
        size_t n = LIMIT_FUNCTIONS_MAX + 10;
        struct function *functions = calloc(n, sizeof(*functions));
        struct elf_symbols *s = NULL;
        int fd;

        for (size_t i = 0; i < n; i++)
                functions[i] = (struct function)FUNC("f", i * 16, 16, STB_GLOBAL);
        fd = make_file(functions, LIMIT_FUNCTIONS_MAX, SHT_SYMTAB);
        assert_int_equal(elf_symbols_new(fd, &s), 0);
        assert_int_equal(s->n, LIMIT_FUNCTIONS_MAX);
        assert_false(s->is_cut);
        s = elf_symbols_free(s);
        close(fd);

        fd = make_file(functions, n, SHT_SYMTAB);
        assert_int_equal(elf_symbols_new(fd, &s), 0);
        assert_int_equal(s->n, LIMIT_FUNCTIONS_MAX);
        assert_true(s->is_cut);
        assert_string_equal(find(s, (LIMIT_FUNCTIONS_MAX - 1) * 16ULL), "f");
        /* No name is better than a wrong one. */
        assert_null(find(s, LIMIT_FUNCTIONS_MAX * 16ULL));
        s = elf_symbols_free(s);
        close(fd);
        free(functions);
}

/* Names that are longer than anybody reads are cut; so many of them that they are too much, too. */
static void test_long_names(void **state) {
        size_t n = 40000;
        struct function *functions = calloc(n, sizeof(*functions));
        struct elf_symbols *s = NULL;
        char name[301];
        int fd;

        memset(name, 'n', 300);
        name[300] = '\0';
        for (size_t i = 0; i < n; i++)
                functions[i] = (struct function)FUNC(name, i * 16, 16, STB_GLOBAL);
        fd = make_file(functions, n, SHT_SYMTAB);
        assert_int_equal(elf_symbols_new(fd, &s), 0);
        assert_int_equal(strlen(find(s, 0)), 255);
        assert_true(s->is_cut);
        assert_true(s->n < n && s->n > n / 2);
        assert_true(elf_symbols_bytes(s) < (10u << 20));
        elf_symbols_free(s);
        close(fd);
        free(functions);
}

/* More files than there is memory for: those used last stay. */
static void test_memory_limit(void **state) {
        size_t n = 100000, n_files = 40;
        struct function *functions = calloc(n, sizeof(*functions));
        uint64_t first, last = 0, again;
        int fd;

        for (size_t i = 0; i < n; i++)
                functions[i] = (struct function)FUNC("function", i * 16, 16, STB_GLOBAL);
        fd = make_file(functions, n, SHT_SYMTAB);
        symbol_files_forget_all();
        first = symbol_files_add(&(struct broker_file){ .inode = 1 }, fd);
        assert_true(first > 0);
        assert_int_equal(symbol_files_add(&(struct broker_file){ .inode = 1 }, fd), first);
        for (uint64_t i = 2; i <= n_files; i++) {
                last = symbol_files_add(&(struct broker_file){ .inode = i }, fd);
                assert_true(last > first);
                assert_true(symbol_files_bytes() <= LIMIT_SYMBOL_BYTES_MAX);
                /* Used all the time. */
                assert_non_null(symbol_files_get(first));
        }
        assert_true(symbol_files_bytes() > LIMIT_SYMBOL_BYTES_MAX / 2);
        assert_non_null(symbol_files_get(last));
        assert_null(symbol_files_get(first + 1));
        /* A file that has been written to is another one. */
        again = symbol_files_add(&(struct broker_file){ .inode = 1, .mtime_ns = 7 }, fd);
        assert_true(again != first);
        assert_non_null(symbol_files_find((const uint8_t[20]){ 0xab, 0xcd, [19] = 0xef }, 20));
        assert_null(symbol_files_find((const uint8_t[20]){ 0xab }, 20));
        symbol_files_forget_all();
        assert_int_equal(symbol_files_bytes(), 0);
        close(fd);
        free(functions);
}

/* --- broken files --- */

static int file_of(const void *data, size_t n) {
        int fd = memfd_create("elf", MFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, data, n), n);
        return fd;
}

static void test_not_elf(void **state) {
        struct elf_symbols *s = NULL;
        uint8_t ident[64] = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB };
        int fd = file_of("#!/bin/sh\nexit 0\n", 17);

        assert_int_equal(elf_symbols_new(fd, &s), -ENOEXEC);
        close(fd);
        fd = file_of(ident, sizeof(ident));
        assert_int_equal(elf_symbols_new(fd, &s), -ENOEXEC);
        close(fd);
        fd = file_of("", 0);
        assert_int_equal(elf_symbols_new(fd, &s), -ENOEXEC);
        close(fd);
}

/* Cut anywhere, and with bytes changed anywhere: no crash, no name that does not end, and memory as
 * promised. */
static void test_broken(void **state) {
        struct buf library = BUF_INIT(1 << 20);
        struct random random = random_init("elf-symbols");
        size_t n_read = 0;

        assert_int_equal(read_file_at(AT_FDCWD, LIBRARY, &library), 0);
        for (unsigned int round = 0; round < MUTATIONS; round++) {
                cleanup_free uint8_t *copy = malloc(library.len);
                size_t n = round % 4 ? library.len : random_below(&random, library.len);
                struct elf_symbols *s = NULL;
                int fd;

                memcpy(copy, library.data, library.len);
                for (size_t k = random_below(&random, 8); k > 0; k--) {
                        /* The headers of the file and those of its sections, mostly. */
                        size_t at =
                                random_below(&random, 3)
                                        ? random_below(&random, 1024)
                                        : library.len - 1 - random_below(&random, library.len / 2);

                        copy[at] = (uint8_t)random_below(&random, 256);
                }
                fd = file_of(copy, n);
                if (elf_symbols_new(fd, &s) == 0) {
                        n_read++;
                        for (size_t i = 0; i < s->n; i++) {
                                assert_true(s->items[i].name < s->names_len);
                                assert_true(strlen(s->names + s->items[i].name) <= 255);
                        }
                        for (uint64_t offset = 0; offset < 0x3000; offset += 0x100)
                                (void)elf_symbols_find(s, offset);
                        elf_symbols_free(s);
                }
                close(fd);
        }
        assert_true(n_read > 0 && n_read < MUTATIONS);
        buf_done(&library);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),           cmocka_unit_test(test_real_library),
        cmocka_unit_test(test_function_limit), cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_memory_limit),   cmocka_unit_test(test_not_elf),
        cmocka_unit_test(test_broken),
};
TEST_MAIN("worker-elf-symbols", tests)
