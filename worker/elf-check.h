/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict structural check of a foreign eBPF object before libelf and libbpf see it. libbpf 1.1
 * trusts symbol offsets, string tables and entry sizes (CVE-2025-29481 loads instructions from
 * outside of a section) and loops for ever on cyclic BTF; what passes here has none of that.
 * Anything clang or llvm-strip writes for the bpf target passes; nothing else has to.
 */
#pragma once

#include "base/error.h"

/* 0, or -ENOEXEC with the first thing that is wrong. Checks .BTF and .BTF.ext as well. */
int elf_check(struct bytes object, struct error *err);

/* The content of the section called `name` of an object that has passed elf_check(); false when
 * there is none. */
bool elf_section(struct bytes object, const char *name, struct bytes *ret);
