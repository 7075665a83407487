/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/elf-symbols.h"

#include <elf.h>

#include "gadget/api.h"

#define PIECE (64u << 10)
#define SECTIONS_MAX 8192u
#define SEGMENTS_MAX 128u
#define NOTES_MAX PIECE
#define NAME_LEN_MAX 255
#define NAMES_MAX (8u << 20)
/* Symbols looked at in all, functions or not. */
#define SYMBOLS_MAX (4u << 20)
/* A function that does not say how long it is, and is the last one. */
#define FUNCTION_MAX (1u << 20)
/* Functions may lie inside of others; so many back are looked at. */
#define NESTED_MAX 8

struct reader {
        int fd;
        struct elf_symbols *s;
        Elf64_Ehdr header;
        size_t room; /* of s->items */
};

/* All of it, or not at all. */
static bool read_at(int fd, uint64_t offset, void *out, size_t n) {
        size_t done = 0;

        if (offset > INT64_MAX - n)
                return false;
        while (done < n) {
                ssize_t got = pread(fd, (uint8_t *)out + done, n - done, (off_t)(offset + done));

                if (got <= 0)
                        return false;
                done += (size_t)got;
        }
        return true;
}

static bool is_ours(const Elf64_Ehdr *h) {
        return memcmp(h->e_ident, ELFMAG, SELFMAG) == 0 && h->e_ident[EI_CLASS] == ELFCLASS64 &&
               h->e_ident[EI_DATA] == ELFDATA2LSB && (h->e_type == ET_EXEC || h->e_type == ET_DYN);
}

/* --- segments --- */

/* Notes: name and content follow their lengths, each padded to 4. */
static void find_build_id(const uint8_t *notes, size_t n, struct elf_symbols *s) {
        Elf64_Nhdr note;

        while (n >= sizeof(note)) {
                uint64_t name_len, len;

                memcpy(&note, notes, sizeof(note));
                name_len = ALIGN_UP((uint64_t)note.n_namesz, 4);
                len = ALIGN_UP((uint64_t)note.n_descsz, 4);
                notes += sizeof(note);
                n -= sizeof(note);
                if (name_len > n || len > n - name_len)
                        return;
                if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
                    memcmp(notes, "GNU", 4) == 0 && note.n_descsz > 0 &&
                    note.n_descsz <= BUILD_ID_MAX) {
                        memcpy(s->build_id, notes + name_len, note.n_descsz);
                        s->build_id_len = (uint8_t)note.n_descsz;
                        return;
                }
                notes += name_len + len;
                n -= name_len + len;
        }
}

static void read_notes(const struct reader *r, const Elf64_Phdr *ph) {
        size_t n = MIN(ph->p_filesz, (uint64_t)NOTES_MAX);
        cleanup_free uint8_t *notes = malloc(n);

        if (notes && read_at(r->fd, ph->p_offset, notes, n))
                find_build_id(notes, n, r->s);
}

static void read_segments(const struct reader *r) {
        struct elf_symbols *s = r->s;

        if (r->header.e_phentsize != sizeof(Elf64_Phdr))
                return;
        for (unsigned int i = 0; i < MIN((unsigned int)r->header.e_phnum, SEGMENTS_MAX); i++) {
                Elf64_Phdr ph;

                if (!read_at(r->fd, r->header.e_phoff + i * sizeof(ph), &ph, sizeof(ph)))
                        return;
                if (ph.p_type == PT_LOAD && (ph.p_flags & PF_X) && s->n_loads < ELF_LOADS_MAX)
                        s->loads[s->n_loads++] =
                                (struct elf_load){ ph.p_offset, ph.p_vaddr, ph.p_filesz };
                if (ph.p_type == PT_NOTE && s->build_id_len == 0)
                        read_notes(r, &ph);
        }
}

/* --- symbols --- */

static bool read_section(const struct reader *r, unsigned int i, Elf64_Shdr *ret) {
        return i < MIN((unsigned int)r->header.e_shnum, SECTIONS_MAX) &&
               read_at(r->fd, r->header.e_shoff + i * sizeof(*ret), ret, sizeof(*ret));
}

/* The table of symbols and that of their names. */
static bool find_tables(const struct reader *r, Elf64_Shdr *ret_symbols, Elf64_Shdr *ret_names) {
        unsigned int n = MIN((unsigned int)r->header.e_shnum, SECTIONS_MAX);
        bool is_found = false;

        if (r->header.e_shentsize != sizeof(Elf64_Shdr))
                return false;
        for (unsigned int i = 0; i < n; i++) {
                Elf64_Shdr sh;

                if (!read_section(r, i, &sh))
                        return false;
                if ((sh.sh_type != SHT_SYMTAB && (sh.sh_type != SHT_DYNSYM || is_found)) ||
                    sh.sh_entsize != sizeof(Elf64_Sym))
                        continue;
                *ret_symbols = sh;
                is_found = true;
                if (sh.sh_type == SHT_SYMTAB)
                        break;
        }
        return is_found && read_section(r, ret_symbols->sh_link, ret_names) &&
               ret_names->sh_type == SHT_STRTAB;
}

static bool is_function(const Elf64_Sym *sym) {
        unsigned int type = ELF64_ST_TYPE(sym->st_info);

        return (type == STT_FUNC || type == STT_GNU_IFUNC) && sym->st_shndx != SHN_UNDEF &&
               sym->st_name != 0;
}

static uint32_t rank_of(const Elf64_Sym *sym) {
        unsigned int binding = ELF64_ST_BIND(sym->st_info);

        return binding == STB_GLOBAL ? 0 : binding == STB_WEAK ? 1 : 2;
}

/* Where the name is in the file goes into `offsets` for now. */
static int add_symbol(struct reader *r, const Elf64_Sym *sym, uint32_t **offsets) {
        struct elf_symbols *s = r->s;

        if (s->n == LIMIT_FUNCTIONS_MAX) {
                s->is_cut = true;
                return 0;
        }
        if (s->n == r->room) {
                size_t room = MAX(r->room * 2, (size_t)256);
                void *items = reallocarray(s->items, room, sizeof(*s->items)), *grown;

                if (items)
                        s->items = items;
                grown = items ? reallocarray(*offsets, room, sizeof(**offsets)) : NULL;
                if (!grown)
                        return -ENOMEM;
                *offsets = grown;
                r->room = room;
        }
        (*offsets)[s->n] = sym->st_name;
        s->items[s->n] = (struct elf_symbol){
                .address = sym->st_value,
                .size = (uint32_t)MIN(sym->st_size, (uint64_t)UINT32_MAX),
                .rank = rank_of(sym),
        };
        s->n++;
        return 0;
}

static int read_symbols(struct reader *r, const Elf64_Shdr *table, uint32_t **offsets) {
        uint64_t n = MIN(table->sh_size / sizeof(Elf64_Sym), (uint64_t)SYMBOLS_MAX), done = 0;
        cleanup_free Elf64_Sym *piece = malloc(PIECE);

        if (!piece)
                return -ENOMEM;
        while (done < n) {
                uint64_t count = MIN(n - done, (uint64_t)PIECE / sizeof(*piece));

                /* A table that is shorter than it says ends where it ends. */
                if (!read_at(r->fd, table->sh_offset + done * sizeof(*piece), piece,
                             count * sizeof(*piece)))
                        break;
                for (uint64_t i = 0; i < count; i++)
                        if (is_function(&piece[i]) && add_symbol(r, &piece[i], offsets) < 0)
                                return -ENOMEM;
                done += count;
        }
        return 0;
}

/* A window on the table of names, which is read from its front to its end. */
struct window {
        char *data;
        uint64_t begin;
        size_t len;
};

/* The name at this offset, in the window; NULL when there is none. */
static const char *name_at(const struct reader *r, const Elf64_Shdr *table, struct window *w,
                           uint32_t offset, size_t *ret_len) {
        uint64_t left;

        if (offset >= table->sh_size)
                return NULL;
        left = table->sh_size - offset;
        if (offset < w->begin || offset - w->begin >= w->len ||
            w->len - (offset - w->begin) < MIN(left, (uint64_t)NAME_LEN_MAX + 1)) {
                w->begin = offset;
                w->len = MIN(left, (uint64_t)PIECE);
                if (!read_at(r->fd, table->sh_offset + offset, w->data, w->len)) {
                        w->len = 0;
                        return NULL;
                }
        }
        *ret_len = strnlen(w->data + (offset - w->begin),
                           MIN(w->len - (offset - w->begin), (size_t)NAME_LEN_MAX));
        return *ret_len ? w->data + (offset - w->begin) : NULL;
}

static int compare_offsets(const void *x, const void *y, void *arg) {
        const uint32_t *offsets = arg, *a = x, *b = y;

        return (offsets[*a] > offsets[*b]) - (offsets[*a] < offsets[*b]);
}

/* Copies the names in the order of the file; functions without a name go. */
static int copy_names(struct reader *r, const Elf64_Shdr *table, const uint32_t *offsets) {
        struct elf_symbols *s = r->s;
        cleanup_free uint32_t *order = reallocarray(NULL, MAX(s->n, (size_t)1), sizeof(*order));
        cleanup_free char *piece = malloc(PIECE);
        struct window window = { .data = piece };
        size_t room = 0, kept = 0;

        if (!order || !piece)
                return -ENOMEM;
        for (size_t i = 0; i < s->n; i++)
                order[i] = (uint32_t)i;
        qsort_r(order, s->n, sizeof(*order), compare_offsets, (void *)(uintptr_t)offsets);
        for (size_t i = 0; i < s->n; i++) {
                struct elf_symbol *item = &s->items[order[i]];
                size_t len = 0;
                const char *name = name_at(r, table, &window, offsets[order[i]], &len);

                if (name && s->names_len + len + 1 > NAMES_MAX) {
                        s->is_cut = true;
                        name = NULL;
                }
                if (!name) {
                        item->address = UINT64_MAX; /* sorted to the end, and cut off there */
                        continue;
                }
                if (s->names_len + len + 1 > room) {
                        char *grown = realloc(s->names, room = MAX(room * 2, (size_t)4096));

                        if (!grown)
                                return -ENOMEM;
                        s->names = grown;
                }
                memcpy(s->names + s->names_len, name, len);
                s->names[s->names_len + len] = '\0';
                item->name = (uint32_t)s->names_len;
                s->names_len += len + 1;
                kept += item->address != UINT64_MAX;
        }
        r->room = kept;
        return 0;
}

static int compare_symbols(const void *x, const void *y, void *arg) {
        const struct elf_symbol *a = x, *b = y;
        const char *names = arg;
        size_t n, m;

        if (a->address != b->address)
                return a->address < b->address ? -1 : 1;
        if (a->rank != b->rank)
                return a->rank < b->rank ? -1 : 1;
        if (a->address == UINT64_MAX)
                return 0;
        n = strlen(names + a->name);
        m = strlen(names + b->name);
        return n != m ? (n > m) - (n < m) : strcmp(names + a->name, names + b->name);
}

/* Of several at one address the first one stays, as long as the longest of them. */
static void drop_aliases(struct elf_symbols *s) {
        size_t kept = 0;

        for (size_t i = 0; i < s->n; i++) {
                struct elf_symbol *last = kept ? &s->items[kept - 1] : NULL;

                if (last && last->address == s->items[i].address)
                        last->size = MAX(last->size, s->items[i].size);
                else
                        s->items[kept++] = s->items[i];
        }
        s->n = kept;
}

static int read_functions(struct reader *r) {
        cleanup_free uint32_t *offsets = NULL;
        struct elf_symbols *s = r->s;
        Elf64_Shdr symbols, names;
        void *smaller;
        int result;

        if (!find_tables(r, &symbols, &names))
                return 0;
        result = read_symbols(r, &symbols, &offsets);
        if (result < 0 || s->n == 0)
                return result;
        result = copy_names(r, &names, offsets);
        if (result < 0)
                return result;
        qsort_r(s->items, s->n, sizeof(*s->items), compare_symbols, s->names);
        s->n = r->room;
        drop_aliases(s);
        smaller = s->n ? reallocarray(s->items, s->n, sizeof(*s->items)) : NULL;
        if (smaller)
                s->items = smaller;
        smaller = s->names_len ? realloc(s->names, s->names_len) : NULL;
        if (smaller)
                s->names = smaller;
        return 0;
}

int elf_symbols_new(int fd, struct elf_symbols **ret) {
        cleanup(elf_symbols_freep) struct elf_symbols *s = calloc(1, sizeof(*s));
        struct reader r = { .fd = fd, .s = s };
        int result;

        if (!s)
                return -ENOMEM;
        if (!read_at(fd, 0, &r.header, sizeof(r.header)) || !is_ours(&r.header))
                return -ENOEXEC;
        read_segments(&r);
        result = read_functions(&r);
        if (result < 0)
                return result;
        *ret = TAKE_PTR(s);
        return 0;
}

struct elf_symbols *elf_symbols_free(struct elf_symbols *s) {
        if (!s)
                return NULL;
        free(s->items);
        free(s->names);
        free(s);
        return NULL;
}

size_t elf_symbols_bytes(const struct elf_symbols *s) {
        return sizeof(*s) + s->n * sizeof(*s->items) + s->names_len;
}

static bool covers(const struct elf_symbol *f, uint64_t address) {
        return address - f->address < (f->size ? f->size : FUNCTION_MAX);
}

static const char *find_address(const struct elf_symbols *s, uint64_t address) {
        size_t low = 0, high = s->n;

        while (low < high) { /* the first one behind the address */
                size_t middle = low + (high - low) / 2;

                if (s->items[middle].address <= address)
                        low = middle + 1;
                else
                        high = middle;
        }
        for (size_t back = 0; low > 0 && back < NESTED_MAX; back++)
                if (covers(&s->items[--low], address))
                        return s->names + s->items[low].name;
        return NULL;
}

const char *elf_symbols_find(const struct elf_symbols *s, uint64_t file_offset) {
        for (size_t i = 0; i < s->n_loads; i++) {
                const struct elf_load *load = &s->loads[i];

                if (file_offset >= load->offset && file_offset - load->offset < load->size)
                        return find_address(s, file_offset - load->offset + load->address);
        }
        return NULL;
}
