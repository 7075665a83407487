/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/user-stack.h"

#include <bpf/bpf.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "worker/processes.h"
#include "worker/stack-text.h"
#include "worker/symbol-files.h"

#define BUILD_ID_SIZE 20 /* of the kernel's */
#define HEX_ROOM (2 * BUILD_ID_MAX + 32)

/* struct gadget_user_stack, as the SDK has it. Objects that are older than its last members send
 * less. */
struct user_stack {
        uint32_t major;
        uint32_t minor;
        uint64_t inode;
        uint64_t mtime_sec;
        uint32_t mtime_nsec;
        uint32_t base_addr_hash;
        uint32_t stack_id;
        uint32_t tgid_level0;
        uint32_t pid_level0;
        uint32_t pidns_level0;
        uint32_t pid_level1;
        uint32_t pidns_level1;
        uint64_t otel_correlation_id;
        uint64_t boot_timestamp;
};

/* struct bpf_stack_build_id. */
struct build_id_frame {
        int32_t status; /* enum bpf_stack_build_id_status */
        uint8_t id[BUILD_ID_SIZE];
        uint64_t offset; /* in the file, when status is BPF_STACK_BUILD_ID_VALID */
};

static struct {
        int fd;
        size_t depth;
        int build_ids_fd;
        /* The stack that was looked at last: each of its texts is asked for, one after the other.
         */
        struct user_stack stack;
        uint64_t addresses[LIMIT_STACK_FRAMES_MAX];
        size_t n;
        struct build_id_frame build_ids[LIMIT_STACK_FRAMES_MAX];
} state = { .fd = -1, .build_ids_fd = -1 };

void user_stack_set_map(int fd, uint32_t value_size) {
        state.fd = fd;
        state.depth = value_size / sizeof(uint64_t);
        state.stack = (struct user_stack){ 0 };
        if (fd >= 0 && (state.depth > LIMIT_STACK_FRAMES_MAX || value_size % sizeof(uint64_t))) {
                log_warning("user stacks are not named: their map has %u bytes an entry, not up to "
                            "%zu",
                            value_size, LIMIT_STACK_FRAMES_MAX * sizeof(uint64_t));
                state.fd = -1;
        }
}

void user_stack_set_build_ids(int fd, uint32_t value_size) {
        state.build_ids_fd = value_size == sizeof(state.build_ids) ? fd : -1;
        state.stack = (struct user_stack){ 0 };
}

static void load_stack(const struct user_stack *stack) {
        if (memcmp(stack, &state.stack, sizeof(*stack)) == 0)
                return;
        state.stack = *stack;
        state.n = 0;
        memset(state.addresses, 0, sizeof(state.addresses));
        memset(state.build_ids, 0, sizeof(state.build_ids));
        if (state.fd < 0 || bpf_map_lookup_elem(state.fd, &stack->stack_id, state.addresses) < 0)
                return;
        while (state.n < state.depth && state.addresses[state.n] != 0)
                state.n++;
        if (state.build_ids_fd >= 0)
                (void)bpf_map_lookup_elem(state.build_ids_fd, &stack->stack_id, state.build_ids);
}

/* The instruction that belongs to the function: a return address is behind the call, which may be a
 * function's last instruction. The innermost one is the next to be executed. */
static uint64_t inside(size_t i, uint64_t address) {
        return address - (i > 0);
}

static struct code_mapping *mapping_of(size_t i, struct stack_owner *ret_owner) {
        *ret_owner = (struct stack_owner){
                .pid = state.stack.tgid_level0,
                .base_addr_hash = state.stack.base_addr_hash,
                .inode = state.stack.inode,
                .taken_ns = state.stack.boot_timestamp,
        };
        return processes_find(ret_owner, inside(i, state.addresses[i]), now_ns());
}

static bool has_build_id(size_t i) {
        return state.build_ids[i].status == BPF_STACK_BUILD_ID_VALID;
}

static uint64_t offset_of(const struct code_mapping *mapping, uint64_t address) {
        return address - mapping->at.start + mapping->at.offset;
}

static const char *symbol_of(size_t i) {
        const struct elf_symbols *symbols = NULL;
        struct stack_owner owner;
        struct code_mapping *mapping = mapping_of(i, &owner);
        uint64_t offset = 0;

        if (mapping) {
                symbols = processes_symbols(&owner, mapping);
                offset = offset_of(mapping, inside(i, state.addresses[i]));
        }
        /* The process is gone, but maybe another one had the same file. */
        if (!symbols && has_build_id(i)) {
                symbols = symbol_files_find(state.build_ids[i].id, BUILD_ID_SIZE);
                offset = inside(i, state.build_ids[i].offset);
        }
        return symbols ? elf_symbols_find(symbols, offset) : NULL;
}

static size_t put_build_id(char *out, const uint8_t *id, size_t n, uint64_t offset) {
        size_t len = 0;

        for (size_t i = 0; i < n; i++)
                len += (size_t)snprintf(out + len, HEX_ROOM - len, "%02x", id[i]);
        return len + (size_t)snprintf(out + len, HEX_ROOM - len, "+0x%" PRIx64, offset);
}

/* As the kernel read it, else as it stands in the file. 0 when there is none. */
static size_t build_id_of(size_t i, char out[HEX_ROOM]) {
        const struct elf_symbols *symbols;
        struct stack_owner owner;
        struct code_mapping *mapping;

        if (has_build_id(i))
                return put_build_id(out, state.build_ids[i].id, BUILD_ID_SIZE,
                                    state.build_ids[i].offset);
        mapping = mapping_of(i, &owner);
        symbols = mapping ? processes_symbols(&owner, mapping) : NULL;
        if (!symbols || symbols->build_id_len == 0)
                return 0;
        return put_build_id(out, symbols->build_id, symbols->build_id_len,
                            offset_of(mapping, state.addresses[i]));
}

static struct bytes frame_text(enum user_stack_part part, size_t i, char room[HEX_ROOM]) {
        const char *name;
        size_t n;

        switch (part) {
        case USER_STACK_ADDRESSES:
                return BYTES(room, snprintf(room, HEX_ROOM, "0x%" PRIx64, state.addresses[i]));
        case USER_STACK_BUILD_IDS:
                n = build_id_of(i, room);
                return n ? BYTES(room, n) : BYTES(STACK_UNKNOWN, strlen(STACK_UNKNOWN));
        case USER_STACK_SYMBOLS:
                name = symbol_of(i) ?: STACK_UNKNOWN;
                return BYTES(name, strlen(name));
        }
        return BYTES("", 0);
}

uint32_t user_stack_text(enum user_stack_part part, struct bytes bytes, char *out) {
        struct stack_text text = { .out = out };
        struct user_stack stack = { 0 };

        memcpy(&stack, bytes.data, MIN(bytes.len, sizeof(stack)));
        if (stack.tgid_level0 == 0)
                return 0;
        load_stack(&stack);
        for (size_t i = 0; i < state.n; i++) {
                char number[24], room[HEX_ROOM];
                int n = snprintf(number, sizeof(number), "[%zu]", i);

                stack_text_add(&text, BYTES(number, n), frame_text(part, i, room));
        }
        return text.len;
}
