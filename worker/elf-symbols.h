/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of a program or library, by address, with what it takes to get from a place in the
 * file to an address, and the build id. The file is as foreign as can be, and may change while it
 * is read: it is read in pieces, nothing of it is mapped, and no number of it is believed.
 */
#pragma once

#include "base/util.h"

#define ELF_LOADS_MAX 16
#define BUILD_ID_MAX 32

struct elf_symbols {
        struct elf_symbol {
                uint64_t address;
                uint32_t size; /* 0 = not said */
                uint32_t name : 30;
                uint32_t rank : 2; /* of several at one address the lowest is taken */
        } * items;                 /* by address */
        size_t n;
        char *names; /* each with its NUL */
        size_t names_len;
        struct elf_load {
                uint64_t offset; /* in the file */
                uint64_t address;
                uint64_t size;
        } loads[ELF_LOADS_MAX];
        size_t n_loads;
        uint8_t build_id[BUILD_ID_MAX];
        uint8_t build_id_len; /* 0 = none */
        bool is_cut;          /* it has more functions than LIMIT_FUNCTIONS_MAX, or longer names */
};

/* From .symtab, or from .dynsym where that is missing. A file without functions is fine; -ENOEXEC
 * is for what is no ELF file of this machine's kind. */
int elf_symbols_new(int fd, struct elf_symbols **ret);
struct elf_symbols *elf_symbols_free(struct elf_symbols *symbols);
DEFINE_CLEANUP(struct elf_symbols, elf_symbols_free)

/* The function that the byte at this offset of the file belongs to, or NULL. */
const char *elf_symbols_find(const struct elf_symbols *symbols, uint64_t file_offset);

/* Bytes of memory that it takes. */
size_t elf_symbols_bytes(const struct elf_symbols *symbols);
