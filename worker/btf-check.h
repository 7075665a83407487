/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict check of foreign BTF before libbpf parses it. libbpf 1.1 follows type ids, name offsets
 * and chains of typedefs without looking; after btf_check() every id exists, every name is a
 * string, and no type contains itself.
 */
#pragma once

#include "base/error.h"

/* The content of a .BTF section. 0 or -ENOEXEC. */
int btf_check(struct bytes btf, struct error *err);

/* The content of .BTF.ext beside a .BTF that has passed. 0 or -ENOEXEC. */
int btf_ext_check(struct bytes ext, struct bytes btf, struct error *err);

/* The CO-RE relocations in the content of a .BTF.ext that has passed: the size of a record, then
 * for each section its name, a count, and the records. Empty when there are none. */
struct bytes btf_ext_core(struct bytes ext);
