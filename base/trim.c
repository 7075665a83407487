/* SPDX-License-Identifier: Apache-2.0 */
#include "base/trim.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>

#include "base/util.h"

#define SEGMENTS_MAX 8

struct segments {
        struct {
                void *first;
                size_t size;
        } items[SEGMENTS_MAX];
        size_t n;
};

static int add_segments(struct dl_phdr_info *info, size_t size, void *userdata) {
        uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
        struct segments *segments = userdata;

        for (size_t i = 0; i < info->dlpi_phnum && segments->n < SEGMENTS_MAX; i++) {
                const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
                uintptr_t start = info->dlpi_addr + segment->p_vaddr;
                uintptr_t first = start / page * page;

                /* Writable ones hold data and relocations that are nowhere else. */
                if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W))
                        continue;
                segments->items[segments->n].first = (void *)first;
                segments->items[segments->n].size = start + segment->p_memsz - first;
                segments->n++;
        }
        return 1; /* the program itself comes first, and is all that we want */
}

void trim_memory(void) {
        struct segments segments = { 0 };

        (void)malloc_trim(0);
        (void)dl_iterate_phdr(add_segments, &segments);
        /* Only madvise() is called from here on: each page that is touched after it was given back
         * returns with up to fifteen neighbours. */
        for (size_t i = 0; i < segments.n; i++)
                (void)madvise(segments.items[i].first, segments.items[i].size, MADV_DONTNEED);
}
