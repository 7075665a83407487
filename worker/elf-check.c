/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/elf-check.h"

#include <elf.h>

#include "gadget/api.h"
#include "worker/btf-check.h"

#ifndef EM_BPF
#define EM_BPF 247
#endif
#ifndef SHT_LLVM_ADDRSIG
#define SHT_LLVM_ADDRSIG 0x6fff4c03
#endif

/* Far above what a gadget needs, low enough that walking all of them costs nothing. */
#define SECTIONS_MAX 4096
#define SYMBOLS_MAX 65536
#define ALIGN_MAX 4096

/* The object and what the checks have found so far. Offsets are only used once they are known to
 * lie inside. */
struct elf {
        struct bytes file;
        Elf64_Ehdr header;
        unsigned int n_sections;
        struct bytes names;  /* section name table */
        unsigned int symtab; /* section index; 0 = none */
        size_t n_symbols;
        struct bytes btf;
        struct bytes btf_ext;
        struct error *err;
};

#define bad(_elf, ...)                                                                             \
        error_set((_elf)->err, ERROR_INVALID, -ENOEXEC, "not a usable eBPF object: " __VA_ARGS__)

static Elf64_Shdr section_at(const struct elf *elf, unsigned int i) {
        Elf64_Shdr sh;

        memcpy(&sh, elf->file.data + elf->header.e_shoff + (size_t)i * sizeof(sh), sizeof(sh));
        return sh;
}

static struct bytes content_of(const struct elf *elf, const Elf64_Shdr *sh) {
        return BYTES(elf->file.data + sh->sh_offset, sh->sh_size);
}

/* A table of strings must begin and end with NUL, so that every offset inside it is a C string. */
static bool is_string_table(struct bytes b) {
        return b.len > 0 && b.data[0] == 0 && b.data[b.len - 1] == 0;
}

static const char *section_name(const struct elf *elf, const Elf64_Shdr *sh) {
        return (const char *)elf->names.data + sh->sh_name;
}

static int check_header(struct elf *elf) {
        const Elf64_Ehdr *h = &elf->header;

        if (elf->file.len < sizeof(*h))
                return bad(elf, "%zu bytes are too few for an ELF header", elf->file.len);
        memcpy(&elf->header, elf->file.data, sizeof(*h));
        if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0)
                return bad(elf, "it does not begin as an ELF file does");
        if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB)
                return bad(elf, "it is not 64-bit little-endian ELF");
        if (h->e_machine != EM_BPF)
                return bad(elf, "it is for machine %u, not for BPF (%d)", h->e_machine, EM_BPF);
        if (h->e_type != ET_REL || h->e_version != EV_CURRENT ||
            h->e_ident[EI_VERSION] != EV_CURRENT || h->e_ehsize != sizeof(*h) || h->e_phnum != 0)
                return bad(elf, "it is not a relocatable object as clang writes one");
        if (h->e_shentsize != sizeof(Elf64_Shdr) || h->e_shnum == 0 || h->e_shnum > SECTIONS_MAX)
                return bad(elf, "its section table has %u entries of %u bytes", h->e_shnum,
                           h->e_shentsize);
        if (h->e_shoff % 8 != 0 || h->e_shoff > elf->file.len ||
            h->e_shnum * sizeof(Elf64_Shdr) > elf->file.len - h->e_shoff)
                return bad(elf, "its section table lies outside of the file (is it truncated?)");
        if (h->e_shstrndx == 0 || h->e_shstrndx >= h->e_shnum)
                return bad(elf, "it has no table of section names");
        elf->n_sections = h->e_shnum;
        return 0;
}

/* Where the section lies; what is in it comes later, when all of them are known to lie inside. */
static int check_bounds(struct elf *elf, unsigned int i) {
        Elf64_Shdr sh = section_at(elf, i);

        if (sh.sh_type == SHT_NULL)
                return i == 0 || sh.sh_size == 0 ? 0
                                                 : bad(elf, "section %u has a size but no type", i);
        if (i == 0)
                return bad(elf, "section 0 is in use");
        if (sh.sh_type == SHT_NOBITS) {
                if (sh.sh_size > LIMIT_OBJECT_SIZE_MAX)
                        return bad(elf, "section %u wants %llu bytes of zeroes", i,
                                   (unsigned long long)sh.sh_size);
        } else if (sh.sh_offset > elf->file.len || sh.sh_size > elf->file.len - sh.sh_offset) {
                return bad(elf, "section %u lies outside of the file (is it truncated?)", i);
        }
        if (sh.sh_addralign > ALIGN_MAX || (sh.sh_addralign & (sh.sh_addralign - 1)) != 0)
                return bad(elf, "section %u has an impossible alignment", i);
        if (sh.sh_flags & SHF_COMPRESSED)
                return bad(elf, "section %u is compressed", i);
        return 0;
}

static int check_names(struct elf *elf) {
        Elf64_Shdr sh = section_at(elf, elf->header.e_shstrndx);

        if (sh.sh_type != SHT_STRTAB || !is_string_table(content_of(elf, &sh)))
                return bad(elf, "its table of section names is damaged");
        elf->names = content_of(elf, &sh);
        for (unsigned int i = 0; i < elf->n_sections; i++) {
                sh = section_at(elf, i);
                if (sh.sh_name >= elf->names.len)
                        return bad(elf, "the name of section %u lies outside of its table", i);
        }
        return 0;
}

static int check_symbol(struct elf *elf, size_t i, const Elf64_Sym *sym, size_t strings_len) {
        Elf64_Shdr sh;

        if (sym->st_name >= strings_len)
                return bad(elf, "the name of symbol %zu lies outside of its table", i);
        if (sym->st_shndx == SHN_UNDEF || sym->st_shndx == SHN_ABS || sym->st_shndx == SHN_COMMON)
                return 0;
        if (sym->st_shndx >= elf->n_sections)
                return bad(elf, "symbol %zu belongs to no section", i);
        sh = section_at(elf, sym->st_shndx);
        if (sym->st_value > sh.sh_size || sym->st_size > sh.sh_size - sym->st_value)
                return bad(elf, "symbol %zu lies outside of section '%s'", i,
                           section_name(elf, &sh));
        return 0;
}

static int check_symtab(struct elf *elf, unsigned int index, const Elf64_Shdr *sh) {
        Elf64_Shdr strings;
        Elf64_Sym sym;
        int r;

        if (elf->symtab)
                return bad(elf, "it has two symbol tables");
        if (sh->sh_entsize != sizeof(sym) || sh->sh_size % sizeof(sym) != 0)
                return bad(elf, "its symbol table has entries of an impossible size");
        elf->n_symbols = sh->sh_size / sizeof(sym);
        if (elf->n_symbols > SYMBOLS_MAX)
                return bad(elf, "it has %zu symbols, more than %d", elf->n_symbols, SYMBOLS_MAX);
        if (sh->sh_link == 0 || sh->sh_link >= elf->n_sections || sh->sh_info > elf->n_symbols)
                return bad(elf, "its symbol table has no names");
        strings = section_at(elf, sh->sh_link);
        if (strings.sh_type != SHT_STRTAB || !is_string_table(content_of(elf, &strings)))
                return bad(elf, "its table of symbol names is damaged");
        for (size_t i = 0; i < elf->n_symbols; i++) {
                memcpy(&sym, elf->file.data + sh->sh_offset + i * sizeof(sym), sizeof(sym));
                r = check_symbol(elf, i, &sym, strings.sh_size);
                if (r < 0)
                        return r;
        }
        elf->symtab = index;
        return 0;
}

static int check_relocations(struct elf *elf, const Elf64_Shdr *sh) {
        Elf64_Shdr target;
        Elf64_Rel rel;
        uint64_t room;

        if (sh->sh_entsize != sizeof(rel) || sh->sh_size % sizeof(rel) != 0)
                return bad(elf, "'%s' has entries of an impossible size", section_name(elf, sh));
        if (!elf->symtab || sh->sh_link != elf->symtab || sh->sh_info == 0 ||
            sh->sh_info >= elf->n_sections)
                return bad(elf, "'%s' belongs to no section", section_name(elf, sh));
        target = section_at(elf, sh->sh_info);
        room = target.sh_flags & SHF_EXECINSTR ? 8 : 4;
        for (size_t i = 0; i < sh->sh_size / sizeof(rel); i++) {
                memcpy(&rel, elf->file.data + sh->sh_offset + i * sizeof(rel), sizeof(rel));
                if (ELF64_R_SYM(rel.r_info) >= elf->n_symbols)
                        return bad(elf, "'%s' names a symbol that does not exist",
                                   section_name(elf, sh));
                if (target.sh_size < room || rel.r_offset > target.sh_size - room)
                        return bad(elf, "'%s' points outside of its section",
                                   section_name(elf, sh));
        }
        return 0;
}

/* Sections of which libbpf takes the first or the last one without looking: only one may exist. */
static int check_named(struct elf *elf, const Elf64_Shdr *sh) {
        const char *name = section_name(elf, sh);

        if (str_eq(name, ".BTF")) {
                if (elf->btf.data)
                        return bad(elf, "it has two .BTF sections");
                elf->btf = content_of(elf, sh);
        } else if (str_eq(name, ".BTF.ext")) {
                if (elf->btf_ext.data)
                        return bad(elf, "it has two .BTF.ext sections");
                elf->btf_ext = content_of(elf, sh);
        }
        return 0;
}

static int check_content(struct elf *elf, unsigned int i) {
        Elf64_Shdr sh = section_at(elf, i);

        switch (sh.sh_type) {
        case SHT_PROGBITS:
                if ((sh.sh_flags & SHF_EXECINSTR) &&
                    (sh.sh_size % 8 != 0 || sh.sh_size / 8 > LIMIT_INSNS_MAX))
                        return bad(elf, "'%s' is no sequence of instructions",
                                   section_name(elf, &sh));
                return check_named(elf, &sh);
        case SHT_STRTAB:
                if (!is_string_table(content_of(elf, &sh)))
                        return bad(elf, "string table '%s' is damaged", section_name(elf, &sh));
                return 0;
        case SHT_REL:
                return check_relocations(elf, &sh);
        case SHT_NULL:
        case SHT_SYMTAB: /* done before the others */
        case SHT_NOBITS:
        case SHT_LLVM_ADDRSIG:
                return 0;
        default:
                return bad(elf, "section '%s' has a type (0x%x) that eBPF objects do not have",
                           section_name(elf, &sh), sh.sh_type);
        }
}

static int check_symtabs(struct elf *elf) {
        for (unsigned int i = 1; i < elf->n_sections; i++) {
                Elf64_Shdr sh = section_at(elf, i);
                int r = sh.sh_type == SHT_SYMTAB ? check_symtab(elf, i, &sh) : 0;

                if (r < 0)
                        return r;
        }
        if (!elf->symtab)
                return bad(elf, "it has no symbol table (stripped too far?)");
        return 0;
}

int elf_check(struct bytes object, struct error *err) {
        struct elf elf = { .file = object, .err = err };
        int r;

        r = check_header(&elf);
        for (unsigned int i = 0; r == 0 && i < elf.n_sections; i++)
                r = check_bounds(&elf, i);
        if (r == 0)
                r = check_names(&elf);
        if (r == 0)
                r = check_symtabs(&elf);
        for (unsigned int i = 0; r == 0 && i < elf.n_sections; i++)
                r = check_content(&elf, i);
        if (r < 0)
                return r;
        if (!elf.btf.data)
                return bad(&elf, "it has no .BTF section; compile it with -g");
        r = btf_check(elf.btf, err);
        if (r == 0 && elf.btf_ext.data)
                r = btf_ext_check(elf.btf_ext, elf.btf, err);
        return r;
}

bool elf_section(struct bytes object, const char *name, struct bytes *ret) {
        struct elf elf = { .file = object };

        if (check_header(&elf) < 0 || check_names(&elf) < 0)
                return false;
        for (unsigned int i = 1; i < elf.n_sections; i++) {
                Elf64_Shdr sh = section_at(&elf, i);

                if (sh.sh_type == SHT_PROGBITS && str_eq(section_name(&elf, &sh), name)) {
                        *ret = content_of(&elf, &sh);
                        return true;
                }
        }
        return false;
}
