/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs and libraries whose functions are known, each read once. Bounded by
 * LIMIT_SYMBOL_BYTES_MAX: those that were not used for longest are forgotten.
 */
#pragma once

#include "gadget/broker.h"
#include "worker/elf-symbols.h"

/* The id of this file, which is read from fd if it is not known; 0 = it cannot be read. */
uint64_t symbol_files_add(const struct broker_file *file, int fd);

/* NULL when it has been forgotten. Valid until the next symbol_files_add(). */
const struct elf_symbols *symbol_files_get(uint64_t id);

/* One that has this build id, or NULL. */
const struct elf_symbols *symbol_files_find(const uint8_t *build_id, size_t len);

void symbol_files_forget_all(void);

/* Bytes that all of them take. */
size_t symbol_files_bytes(void);
