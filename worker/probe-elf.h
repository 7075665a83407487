/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a probe needs to know of a program or library: where a function begins, and where the places
 * of a USDT probe are. The file is a container's: whatever is in it, and however it changes while
 * it is read, costs a bounded time and memory, and ends in a number or in an error that says what
 * is wrong. Nothing is mapped, so that a file that shrinks is only a short read.
 */
#pragma once

#include "base/error.h"

/* -ENOENT: there is no such function in it. The offset is in the file, as the kernel wants it. */
int probe_elf_function(int fd, const char *name, uint64_t *ret_offset, struct error *err);

#define USDT_ARGS_TEXT_MAX 256

struct usdt_place {
        uint64_t offset;               /* in the file */
        uint64_t semaphore;            /* likewise; 0 = none */
        char args[USDT_ARGS_TEXT_MAX]; /* "-4@%eax 8@-16(%rbp)" */
};

/* Each place of PROVIDER:NAME, at most n of them; how many, -ENOENT for none, -E2BIG for more. */
int probe_elf_usdt(int fd, const char *provider, const char *name, struct usdt_place *places,
                   size_t n, struct error *err);
