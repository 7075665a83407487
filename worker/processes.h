/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes whose stacks were looked at: where each executes which file. The broker says it while
 * the process lives; what it said stays of use after that. Bounded by LIMIT_PROCESSES_MAX: those
 * not used for longest are forgotten.
 */
#pragma once

#include "gadget/broker.h"
#include "worker/elf-symbols.h"

/* Who a stack is of, as the SDK's program saw it. */
struct stack_owner {
        uint32_t pid;            /* of the thread group, in the host's PID namespace */
        uint32_t base_addr_hash; /* of the kernel's start_code, fnv1a of 32 bits over its 8 bytes */
        uint64_t inode;          /* of the program */
        uint64_t taken_ns;       /* boot time of the stack; 0 = not known */
};

struct code_mapping {
        struct broker_mapping at;
        uint64_t file; /* of symbol-files.h; 0 = not asked for yet, UINT64_MAX = there is none */
};

/* Who is asked. `process`: the mappings go to out, of LIMIT_MAPPINGS_MAX entries. `file`: an fd, or
 * negative. */
struct process_source {
        int (*process)(uint32_t pid, struct broker_process *ret, struct broker_mapping *out);
        int (*file)(const struct broker_mapped_file *want, struct broker_file *ret);
};
void processes_set_source(const struct process_source *source);

/* Where this address of the owner's lies, or NULL: nowhere, or nobody knows any more. now_ns: of a
 * clock. Valid until the next call. */
struct code_mapping *processes_find(const struct stack_owner *owner, uint64_t address,
                                    uint64_t now_ns);

/* The functions of the file that is mapped there, or NULL. */
const struct elf_symbols *processes_symbols(const struct stack_owner *owner,
                                            struct code_mapping *mapping);

void processes_forget_all(void);
size_t processes_count(void);
