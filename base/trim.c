/* SPDX-License-Identifier: Apache-2.0 */
#include "base/trim.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>

#include "base/util.h"

static int trim_object(struct dl_phdr_info *info, size_t size, void *userdata) {
        uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

        for (size_t i = 0; i < info->dlpi_phnum; i++) {
                const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
                uintptr_t start = info->dlpi_addr + segment->p_vaddr;
                uintptr_t first = start / page * page;

                /* Writable ones hold data and relocations that are nowhere else. */
                if (segment->p_type == PT_LOAD && !(segment->p_flags & PF_W))
                        (void)madvise((void *)first, start + segment->p_memsz - first,
                                      MADV_DONTNEED);
        }
        return 1; /* the program itself comes first, and is all that we want */
}

void trim_memory(void) {
        (void)malloc_trim(0);
        (void)dl_iterate_phdr(trim_object, NULL);
}
