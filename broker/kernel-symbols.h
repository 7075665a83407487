/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's functions by address, from /proc/kallsyms. Made when a worker asks for the first
 * time, and again when it asks later than a minute after: modules and programs come and go.
 */
#pragma once

#include "base/buf.h"

struct kernel_symbols {
        struct kernel_symbol {
                uint64_t address;
                uint32_t name; /* where in names */
        } * items;             /* by address */
        size_t n;
        size_t room;
        struct buf names; /* each with its NUL */
        uint64_t read_ns;
};

/* Reads the whole of fd from its beginning. -EACCES: the kernel hides addresses
 * (kernel.kptr_restrict). On failure there are no symbols. */
int kernel_symbols_read(struct kernel_symbols *symbols, int fd);
void kernel_symbols_done(struct kernel_symbols *symbols);

/* The function that has this address in it, or NULL. */
const char *kernel_symbols_find(const struct kernel_symbols *symbols, uint64_t address);
