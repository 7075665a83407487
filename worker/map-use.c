/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/map-use.h"

#include <elf.h>

/* The object, by offsets that elf_check() has found to lie inside. */
struct elf {
        const uint8_t *data;
        Elf64_Ehdr header;
        const char *section_names;
        const char *names; /* of symbols */
        const uint8_t *symbols;
        unsigned int maps; /* section index of .maps */
};

static Elf64_Shdr section_at(const struct elf *elf, unsigned int i) {
        Elf64_Shdr sh;

        memcpy(&sh, elf->data + elf->header.e_shoff + (size_t)i * sizeof(sh), sizeof(sh));
        return sh;
}

static Elf64_Sym symbol_at(const struct elf *elf, size_t i) {
        Elf64_Sym symbol;

        memcpy(&symbol, elf->symbols + i * sizeof(symbol), sizeof(symbol));
        return symbol;
}

static bool open_elf(struct elf *elf, struct bytes file) {
        Elf64_Shdr sh;

        *elf = (struct elf){ .data = file.data };
        memcpy(&elf->header, file.data, sizeof(elf->header));
        sh = section_at(elf, elf->header.e_shstrndx);
        elf->section_names = (const char *)file.data + sh.sh_offset;
        for (unsigned int i = 1; i < elf->header.e_shnum; i++) {
                sh = section_at(elf, i);
                if (sh.sh_type == SHT_SYMTAB) {
                        elf->symbols = file.data + sh.sh_offset;
                        sh = section_at(elf, sh.sh_link);
                        elf->names = (const char *)file.data + sh.sh_offset;
                } else if (str_eq(elf->section_names + sh.sh_name, ".maps")) {
                        elf->maps = i;
                }
        }
        return elf->symbols && elf->maps;
}

/* The symbol of this section that the offset lies in; NULL = there is none. */
static const char *symbol_around(const struct elf *elf, const Elf64_Shdr *symtab,
                                 unsigned int section, unsigned char type, uint64_t offset) {
        for (size_t i = 1; i < symtab->sh_size / sizeof(Elf64_Sym); i++) {
                Elf64_Sym symbol = symbol_at(elf, i);

                if (symbol.st_shndx == section && ELF64_ST_TYPE(symbol.st_info) == type &&
                    offset >= symbol.st_value && offset - symbol.st_value < symbol.st_size)
                        return elf->names + symbol.st_name;
        }
        return NULL;
}

static int add(struct map_use *use, const char *name) {
        const char **grown;

        if (!name) {
                use->is_unknown = true;
                return 0;
        }
        if (map_use_has(use, name))
                return 0;
        grown = reallocarray(use->names, use->n + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        use->names = grown;
        grown[use->n++] = name;
        return 0;
}

/* A program that is not loaded. What lies in no program is shared by all. */
static bool is_off(const struct bpf_object *object, const char *function) {
        const struct bpf_program *program =
                function ? bpf_object__find_program_by_name(object, function) : NULL;

        return program && !bpf_program__autoload(program);
}

static int add_relocation(struct map_use *use, const struct elf *elf, const Elf64_Shdr *table,
                          const Elf64_Shdr *target, size_t i, const struct bpf_object *object) {
        Elf64_Shdr symtab = section_at(elf, table->sh_link);
        Elf64_Sym symbol;
        Elf64_Rel rel;
        int r = 0;

        memcpy(&rel, elf->data + table->sh_offset + i * sizeof(rel), sizeof(rel));
        symbol = symbol_at(elf, ELF64_R_SYM(rel.r_info));
        /* A map whose elements are given refers to those, and is not changed itself. */
        if (table->sh_info == elf->maps)
                r = add(use, symbol_around(elf, &symtab, elf->maps, STT_OBJECT, rel.r_offset));
        if (r < 0 || symbol.st_shndx != elf->maps || map_use_has(use, elf->names + symbol.st_name))
                return r;
        if ((target->sh_flags & SHF_EXECINSTR) &&
            is_off(object, symbol_around(elf, &symtab, table->sh_info, STT_FUNC, rel.r_offset)))
                return 0;
        return add(use, ELF64_ST_TYPE(symbol.st_info) == STT_OBJECT ? elf->names + symbol.st_name
                                                                    : NULL);
}

int map_use_init(struct map_use *use, struct bytes file, const struct bpf_object *object) {
        struct elf elf;
        int r = 0;

        *use = (struct map_use){ 0 };
        if (!open_elf(&elf, file))
                return 0;
        for (unsigned int i = 1; i < elf.header.e_shnum && r == 0; i++) {
                Elf64_Shdr table = section_at(&elf, i), target;

                if (table.sh_type != SHT_REL)
                        continue;
                target = section_at(&elf, table.sh_info);
                /* Not what describes the object: BTF, debug information. */
                if (!(target.sh_flags & SHF_ALLOC))
                        continue;
                for (size_t k = 0; k < table.sh_size / sizeof(Elf64_Rel) && r == 0; k++)
                        r = add_relocation(use, &elf, &table, &target, k, object);
        }
        return r;
}

void map_use_done(struct map_use *use) {
        free(use->names);
        *use = (struct map_use){ 0 };
}

bool map_use_has(const struct map_use *use, const char *map) {
        for (size_t i = 0; i < use->n; i++)
                if (str_eq(use->names[i], map))
                        return true;
        return use->is_unknown;
}
