/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a program on somebody's stack, and as the labels of a DNS name. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gadget/api.h"
#include "tests/fuzz/fuzz.h"
#include "worker/dns-name.h"
#include "worker/elf-symbols.h"

static void read_symbols(const uint8_t *data, size_t size) {
        int fd = memfd_create("fuzz", MFD_CLOEXEC);
        struct elf_symbols *s = NULL;

        if (fd < 0)
                return;
        if (write(fd, data, size) == (ssize_t)size && elf_symbols_new(fd, &s) == 0) {
                MUST(s->n <= LIMIT_FUNCTIONS_MAX);
                for (size_t i = 0; i < s->n; i++) {
                        MUST(s->items[i].name < s->names_len);
                        MUST(strlen(s->names + s->items[i].name) > 0);
                        MUST(i == 0 || s->items[i - 1].address < s->items[i].address);
                }
                for (size_t i = 0; i < s->n_loads; i++)
                        for (uint64_t at = 0; at < 64; at++)
                                (void)elf_symbols_find(s, s->loads[i].offset + at * 64);
                (void)elf_symbols_find(s, UINT64_MAX);
                elf_symbols_free(s);
        }
        close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char text[DNS_TEXT_MAX];

        read_symbols(data, size);
        MUST(dns_name_text(BYTES(data, size), text) <= DNS_TEXT_MAX);
        return 0;
}
