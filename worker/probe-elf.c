/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/probe-elf.h"

#include <elf.h>
#include <unistd.h>

#include "base/util.h"
#include "gadget/api.h"

#define SECTIONS_MAX 1024
#define SEGMENTS_MAX 128
#define CHUNK (64u << 10)
#define NOTES_SIZE_MAX (4u << 20)
#define NAME_MAX_LEN 1024

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#endif

/* A part of the file, read when it is needed: symbols and their names lie side by side. */
struct window {
        int fd;
        unsigned int *reads; /* what is left of them */
        uint64_t begin;      /* in the file */
        size_t n;
        uint8_t data[CHUNK];
};

struct elf {
        int fd;
        Elf64_Ehdr header;
        Elf64_Shdr sections[SECTIONS_MAX];
        Elf64_Phdr segments[SEGMENTS_MAX];
        unsigned int reads; /* that may still be made */
        struct window symbols, names;
};

static int malformed(struct error *err, const char *what) {
        return error_set(err, ERROR_INVALID, -ENOEXEC, "it is no valid ELF file: %s", what);
}

static int read_all(int fd, void *data, size_t n, uint64_t offset) {
        size_t done = 0;

        if (offset > INT64_MAX - n)
                return -ENOEXEC;
        while (done < n) {
                ssize_t got = pread(fd, (uint8_t *)data + done, n - done, (off_t)(offset + done));

                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        return got < 0 ? -errno : -ENOEXEC;
                done += (size_t)got;
        }
        return 0;
}

/* n bytes at this offset, borrowed until the next call; NULL when the file does not have them, or
 * enough has been read. */
static const uint8_t *window_at(struct window *w, uint64_t offset, size_t n) {
        ssize_t got;

        if (offset >= w->begin && offset - w->begin <= w->n && n <= w->n - (offset - w->begin))
                return w->data + (offset - w->begin);
        if (*w->reads == 0 || offset > INT64_MAX)
                return NULL;
        (*w->reads)--;
        do
                got = pread(w->fd, w->data, sizeof(w->data), (off_t)offset);
        while (got < 0 && errno == EINTR);
        w->begin = offset;
        w->n = got < 0 ? 0 : (size_t)got;
        return n <= w->n ? w->data : NULL;
}

static int open_elf(int fd, struct elf **ret, struct error *err) {
        cleanup_free struct elf *elf = calloc(1, sizeof(*elf));
        Elf64_Ehdr *h;

        if (!elf)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory to read it");
        elf->fd = fd;
        elf->reads = LIMIT_PROBE_READS_MAX;
        elf->symbols.fd = elf->names.fd = fd;
        elf->symbols.reads = elf->names.reads = &elf->reads;
        h = &elf->header;
        if (read_all(fd, h, sizeof(*h), 0) < 0)
                return malformed(err, "it is shorter than its header");
        if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0)
                return malformed(err, "it does not begin like one");
        if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB ||
            h->e_machine != MACHINE)
                return error_set(err, ERROR_UNAVAILABLE, -ENOEXEC,
                                 "it is for another kind of machine");
        if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum > SEGMENTS_MAX ||
            h->e_shentsize != sizeof(Elf64_Shdr) || h->e_shnum > SECTIONS_MAX)
                return malformed(err, "its tables are too large, or of an unknown form");
        if (read_all(fd, elf->segments, h->e_phnum * sizeof(Elf64_Phdr), h->e_phoff) < 0 ||
            read_all(fd, elf->sections, h->e_shnum * sizeof(Elf64_Shdr), h->e_shoff) < 0)
                return malformed(err, "its tables lie behind its end");
        *ret = TAKE_PTR(elf);
        return 0;
}

/* Where an address of the program is in the file; flags: of the segment. */
static bool file_offset(const struct elf *elf, uint64_t address, uint32_t flags, uint64_t *ret) {
        for (size_t i = 0; i < elf->header.e_phnum; i++) {
                const Elf64_Phdr *p = &elf->segments[i];

                if (p->p_type != PT_LOAD || (p->p_flags & flags) != flags || address < p->p_vaddr ||
                    address - p->p_vaddr >= p->p_filesz)
                        continue;
                return !__builtin_add_overflow(address - p->p_vaddr, p->p_offset, ret) &&
                       *ret <= INT64_MAX;
        }
        return false;
}

/* --- functions --- */

static bool has_name(struct elf *elf, const Elf64_Shdr *names, uint32_t at, const char *name) {
        size_t n = strlen(name) + 1;
        const uint8_t *text;

        if (at >= names->sh_size || n > names->sh_size - at ||
            names->sh_offset > INT64_MAX - names->sh_size)
                return false;
        text = window_at(&elf->names, names->sh_offset + at, n);
        return text && memcmp(text, name, n) == 0;
}

/* 1 = found. A global symbol is preferred to a local or weak one of that name. */
static int search(struct elf *elf, const Elf64_Shdr *table, const char *name, uint64_t *ret,
                  struct error *err) {
        const Elf64_Shdr *names;
        uint64_t n = table->sh_size / sizeof(Elf64_Sym);
        int found = 0;

        if (table->sh_entsize != sizeof(Elf64_Sym) || table->sh_link >= elf->header.e_shnum ||
            table->sh_offset > INT64_MAX - table->sh_size)
                return malformed(err, "a table of symbols has no valid form");
        names = &elf->sections[table->sh_link];
        for (uint64_t i = 0; i < n; i++) {
                const uint8_t *at = window_at(
                        &elf->symbols, table->sh_offset + i * sizeof(Elf64_Sym), sizeof(Elf64_Sym));
                Elf64_Sym symbol;

                if (!at)
                        return elf->reads == 0 ? error_set(err, ERROR_LIMIT, -E2BIG,
                                                           "its tables of symbols are too large")
                                               : malformed(err, "its symbols lie behind its end");
                memcpy(&symbol, at, sizeof(symbol));
                if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx == SHN_UNDEF ||
                    symbol.st_value == 0 || (found && ELF64_ST_BIND(symbol.st_info) != STB_GLOBAL))
                        continue;
                if (!has_name(elf, names, symbol.st_name, name) ||
                    !file_offset(elf, symbol.st_value, PF_X, ret))
                        continue;
                found = 1;
                if (ELF64_ST_BIND(symbol.st_info) == STB_GLOBAL)
                        break;
        }
        return found;
}

int probe_elf_function(int fd, const char *name, uint64_t *ret_offset, struct error *err) {
        static const uint32_t tables[] = { SHT_DYNSYM, SHT_SYMTAB };
        cleanup_free struct elf *elf = NULL;
        int r;

        if (strlen(name) > NAME_MAX_LEN)
                return error_set(err, ERROR_INVALID, -EINVAL, "the function's name is too long");
        r = open_elf(fd, &elf, err);
        for (size_t t = 0; t < ARRAY_SIZE(tables) && r == 0; t++)
                for (size_t i = 0; i < elf->header.e_shnum && r == 0; i++)
                        if (elf->sections[i].sh_type == tables[t])
                                r = search(elf, &elf->sections[i], name, ret_offset, err);
        if (r == 0)
                return error_set(err, ERROR_UNAVAILABLE, -ENOENT, "it has no function '%.128s'",
                                 name);
        return MIN(r, 0);
}

/* --- USDT --- */

/* One NUL-terminated text of a note; moves behind it. */
static const char *take_text(const uint8_t **at, const uint8_t *end) {
        const uint8_t *nul = memchr(*at, 0, (size_t)(end - *at));
        const char *text = (const char *)*at;

        if (!nul)
                return NULL;
        *at = nul + 1;
        return text;
}

/* The address of .stapsdt.base: notes are written before a prelinker moves the program. */
static uint64_t find_base(const struct elf *elf, struct window *names) {
        const Elf64_Shdr *table;

        if (elf->header.e_shstrndx >= elf->header.e_shnum)
                return 0;
        table = &elf->sections[elf->header.e_shstrndx];
        for (size_t i = 0; i < elf->header.e_shnum; i++) {
                static const char base[] = ".stapsdt.base";
                const Elf64_Shdr *s = &elf->sections[i];
                const uint8_t *name;

                if (s->sh_name >= table->sh_size || table->sh_offset > INT64_MAX - table->sh_size)
                        continue;
                name = window_at(names, table->sh_offset + s->sh_name, sizeof(base));
                if (name && memcmp(name, base, sizeof(base)) == 0)
                        return s->sh_addr;
        }
        return 0;
}

/* 1 = the place of a probe of that name, 0 = another note. */
static int read_note(const struct elf *elf, struct bytes note, uint64_t base, const char *provider,
                     const char *name, struct usdt_place *ret, struct error *err) {
        const uint8_t *at = note.data + 3 * sizeof(uint64_t), *end = note.data + note.len;
        uint64_t words[3]; /* place, base, semaphore */
        const char *texts[3];

        if (note.len < sizeof(words))
                return malformed(err, "a note of a USDT probe is too short");
        memcpy(words, note.data, sizeof(words));
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                texts[i] = take_text(&at, end);
                if (!texts[i])
                        return malformed(err, "a note of a USDT probe has texts without an end");
        }
        if (!str_eq(texts[0], provider) || !str_eq(texts[1], name))
                return 0;
        if (strlen(texts[2]) >= sizeof(ret->args))
                return error_set(err, ERROR_LIMIT, -E2BIG,
                                 "the arguments of a USDT probe are too long");
        if (base && words[1]) {
                words[0] += base - words[1];
                words[2] += words[2] ? base - words[1] : 0;
        }
        *ret = (struct usdt_place){ 0 };
        memcpy(ret->args, texts[2], strlen(texts[2]) + 1);
        if (!file_offset(elf, words[0], PF_X, &ret->offset) ||
            (words[2] && !file_offset(elf, words[2], PF_W, &ret->semaphore)))
                return malformed(err, "a USDT probe lies outside of the program");
        if (ret->semaphore > UINT32_MAX)
                return error_set(err, ERROR_LIMIT, -E2BIG,
                                 "the semaphore of a USDT probe lies behind 4 GiB");
        return 1;
}

struct usdt_search {
        const char *provider, *name;
        struct usdt_place *places;
        size_t room;
        size_t n;
};

static int read_notes(const struct elf *elf, struct bytes notes, uint64_t base,
                      struct usdt_search *search, struct error *err) {
        static const char owner[] = "stapsdt";
        size_t at = 0;

        while (notes.len - at >= sizeof(Elf64_Nhdr)) {
                struct usdt_place place;
                size_t name_at, data_at;
                Elf64_Nhdr header;
                int r = 0;

                memcpy(&header, notes.data + at, sizeof(header));
                name_at = at + sizeof(header);
                data_at = name_at + ALIGN_UP((size_t)header.n_namesz, 4);
                if (data_at > notes.len || header.n_descsz > notes.len - data_at)
                        return malformed(err, "a note is longer than its section");
                if (header.n_type == 3 && header.n_namesz == sizeof(owner) &&
                    memcmp(notes.data + name_at, owner, sizeof(owner)) == 0)
                        r = read_note(elf, BYTES(notes.data + data_at, header.n_descsz), base,
                                      search->provider, search->name, &place, err);
                if (r < 0)
                        return r;
                if (r > 0 && search->n == search->room)
                        return error_set(err, ERROR_LIMIT, -E2BIG,
                                         "it has more than %zu places of that probe", search->room);
                if (r > 0)
                        search->places[search->n++] = place;
                at = MIN(data_at + ALIGN_UP((size_t)header.n_descsz, 4), notes.len);
        }
        return 0;
}

int probe_elf_usdt(int fd, const char *provider, const char *name, struct usdt_place *places,
                   size_t n, struct error *err) {
        struct usdt_search search = { provider, name, places, n, 0 };
        cleanup_free struct elf *elf = NULL;
        size_t left = NOTES_SIZE_MAX;
        uint64_t base;
        int r;

        r = open_elf(fd, &elf, err);
        base = r == 0 ? find_base(elf, &elf->names) : 0;
        for (size_t i = 0; r == 0 && i < elf->header.e_shnum; i++) {
                const Elf64_Shdr *s = &elf->sections[i];
                cleanup_free uint8_t *notes = NULL;

                if (s->sh_type != SHT_NOTE || s->sh_size == 0)
                        continue;
                if (s->sh_size > left)
                        return error_set(err, ERROR_LIMIT, -E2BIG, "its notes are too large");
                left -= s->sh_size;
                notes = malloc(s->sh_size);
                if (!notes)
                        return error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory for its notes");
                if (read_all(fd, notes, s->sh_size, s->sh_offset) < 0)
                        return malformed(err, "its notes lie behind its end");
                r = read_notes(elf, BYTES(notes, s->sh_size), base, &search, err);
        }
        if (r == 0 && search.n == 0)
                return error_set(err, ERROR_UNAVAILABLE, -ENOENT,
                                 "it has no USDT probe '%.64s:%.64s'", provider, name);
        return r < 0 ? r : (int)search.n;
}
