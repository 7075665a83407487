/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/memory.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>

#include "base/util.h"

#define SEGMENTS_MAX 8

struct segments {
        struct {
                void *begin;
                size_t n;
        } items[SEGMENTS_MAX];
        size_t n;
};

/* Segments that are never written hold nothing of their own. What the linker relocates is written,
 * and stays. */
static int add_segments(struct dl_phdr_info *info, size_t size, void *data) {
        uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
        struct segments *s = data;

        for (int i = 0; i < info->dlpi_phnum && s->n < SEGMENTS_MAX; i++) {
                const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
                uintptr_t begin = (info->dlpi_addr + ph->p_vaddr) & ~(page - 1);

                if (ph->p_type != PT_LOAD || (ph->p_flags & PF_W))
                        continue;
                s->items[s->n].begin = (void *)begin;
                s->items[s->n++].n = info->dlpi_addr + ph->p_vaddr + ph->p_memsz - begin;
        }
        return 1; /* the program itself comes first, and is static */
}

void memory_settle(void) {
        struct segments segments = { 0 };

        malloc_trim(0);
        (void)dl_iterate_phdr(add_segments, &segments);
        /* Nothing but madvise() is called between here and the loop that goes on running: each page
         * that is touched comes back with fifteen neighbours. */
        for (size_t i = 0; i < segments.n; i++)
                (void)madvise(segments.items[i].begin, segments.items[i].n, MADV_DONTNEED);
}
