/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a gadget's programs may do, read from their final instructions: helper and kfunc ids,
 * program and attach types, map types. The broker collects it at every PROG_LOAD and MAP_CREATE;
 * the denied list is checked there, before the kernel sees the program. Links no parser; fixed-size
 * state.
 */
#pragma once

#include <linux/bpf.h>

#include "base/buf.h"
#include "base/error.h"

#define HELPERS_MAX 512
#define KFUNCS_MAX 64
#define HOOKS_MAX 512

struct permissions {
        uint64_t helpers[HELPERS_MAX / 64]; /* bit set of helper ids */
        uint32_t kfuncs[KFUNCS_MAX];        /* BTF ids in vmlinux */
        uint32_t n_kfuncs;
        uint64_t map_types;  /* bit set of enum bpf_map_type */
        uint64_t prog_types; /* bit set of enum bpf_prog_type */
        uint64_t map_bytes;  /* kernel memory of its maps */
        uint32_t n_programs;
        uint32_t n_maps;
        uint32_t n_insns;
};

/* Adds what the instructions call. -EPERM (ERROR_DENIED, naming helper and program) for a helper of
 * the denied list unless allow_unsafe; -EINVAL for an instruction stream that cannot be scanned. */
int permissions_add_program(struct permissions *p, const char *name, uint32_t prog_type,
                            const struct bpf_insn *insns, uint32_t n_insns, bool allow_unsafe,
                            struct error *err);

void permissions_add_map(struct permissions *p, uint32_t map_type, uint64_t bytes);

/* "bpf_probe_write_user"; NULL for an id that this build does not know. */
const char *helper_name(uint32_t id);
const char *helper_denied_reason(uint32_t id); /* NULL = not on the denied list */
const char *map_type_name(uint32_t type);      /* "ringbuf" */
const char *prog_type_name(uint32_t type);     /* "tracepoint" */

/* Kernel memory a map of these attributes takes, as near as the kernel's own count (bpftool's
 * memlock) as arithmetic gets. */
uint64_t map_bytes_estimate(uint32_t type, uint32_t key_size, uint32_t value_size,
                            uint32_t max_entries, uint32_t flags, uint32_t n_cpus);

/* Appends {"programs": [types], "hooks": [str], "helpers": [names], "kfuncs": [ids], "maps":
 * [types], "map_bytes": u, "instructions": u} as msgpack. hooks:
 * "tracepoint/syscalls/sys_enter_openat"; the broker knows them from attaching. */
int permissions_encode(const struct permissions *p, const char *const *hooks, size_t n_hooks,
                       struct buf *out);
