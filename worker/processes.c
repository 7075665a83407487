/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/processes.h"

#include "base/log.h"
#include "gadget/api.h"
#include "worker/hurry.h"
#include "worker/symbol-files.h"

/* What a process has mapped may change; an address that is nowhere is asked for again sooner. */
#define LIFE_NS (10 * NSEC_PER_SEC)
#define PATIENCE_NS (100 * NSEC_PER_MSEC)
/* Start times are told in ticks. */
#define TICK_NS (10 * NSEC_PER_MSEC)
#define NO_FILE UINT64_MAX

static struct {
        struct process {
                struct process *next; /* used less recently */
                uint32_t pid;
                uint32_t hash; /* of the owner's; a process that executes another program is another
                                  one */
                uint64_t start_ns;
                uint64_t asked_ns;
                bool is_known; /* the broker knew it; else all the rest is empty */
                size_t n;
                struct code_mapping *mappings;
        } * first;
        size_t n;
        const struct process_source *source;
} table;

void processes_set_source(const struct process_source *source) {
        table.source = source;
}

/* fnv1a, as the SDK's programs do it. */
static uint32_t hash_of(uint64_t address) {
        uint32_t hash = 0x811c9dc5;

        for (int i = 0; i < 8; i++)
                hash = (hash ^ (uint8_t)(address >> (8 * i))) * 0x01000193;
        return hash;
}

/* Whether what the broker tells of the pid is about the owner: it may have ended and another one
 * have its pid, or it may execute another program by now. Programs built with other headers than
 * ours hash something else; then it has to be the same file. */
static bool is_owner(const struct stack_owner *owner, const struct broker_process *process,
                     const struct broker_mapping *mappings) {
        if (owner->taken_ns && process->start_ns > owner->taken_ns + TICK_NS)
                return false;
        if (hash_of(process->start_code) == owner->base_addr_hash)
                return true;
        for (uint32_t i = 0; i < process->n_mappings; i++)
                if (owner->inode && mappings[i].inode == owner->inode)
                        return true;
        return false;
}

static void forget(struct process **at) {
        struct process *p = *at;

        *at = p->next;
        free(p->mappings);
        free(p);
        table.n--;
}

/* Files that were known stay known where nothing has moved; what could not be had is tried again.
 */
static void keep_files(const struct process *p, struct code_mapping *mappings, size_t n) {
        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < p->n; k++)
                        if (p->mappings[k].file != NO_FILE &&
                            memcmp(&mappings[i].at, &p->mappings[k].at, sizeof(mappings[i].at)) ==
                                    0)
                                mappings[i].file = p->mappings[k].file;
}

/* What was known stays when the process has ended. */
static void ask(struct process *p, const struct stack_owner *owner, uint64_t now_ns) {
        static struct broker_mapping told[LIMIT_MAPPINGS_MAX];
        struct broker_process process = { 0 };
        struct code_mapping *mappings;

        p->asked_ns = now_ns;
        if (!table.source || hurry_is_over() ||
            table.source->process(owner->pid, &process, told) < 0 ||
            !is_owner(owner, &process, told))
                return;
        mappings = calloc(MAX(process.n_mappings, 1u), sizeof(*mappings));
        if (!mappings)
                return;
        for (uint32_t i = 0; i < process.n_mappings; i++)
                mappings[i].at = told[i];
        if (p->is_known && p->start_ns == process.start_ns)
                keep_files(p, mappings, process.n_mappings);
        if (process.n_missing && !p->is_known)
                log_info("process %u executes at %u places, of which %u are looked at", owner->pid,
                         process.n_mappings + process.n_missing, process.n_mappings);
        free(p->mappings);
        p->mappings = mappings;
        p->n = process.n_mappings;
        p->start_ns = process.start_ns;
        p->is_known = true;
}

/* The owner's, at the front; a new one when there is none. */
static struct process *find(const struct stack_owner *owner, uint64_t now_ns) {
        struct process **at = &table.first, *p;

        while (*at && ((*at)->pid != owner->pid || (*at)->hash != owner->base_addr_hash))
                at = &(*at)->next;
        p = *at;
        /* A later process of this pid whose program lies at the same place. */
        if (p && p->is_known && owner->taken_ns && p->start_ns > owner->taken_ns + TICK_NS)
                return NULL;
        if (p) {
                *at = p->next;
        } else {
                if (table.n == LIMIT_PROCESSES_MAX) {
                        for (at = &table.first; (*at)->next;)
                                at = &(*at)->next;
                        forget(at);
                }
                p = calloc(1, sizeof(*p));
                if (!p)
                        return NULL;
                p->pid = owner->pid;
                p->hash = owner->base_addr_hash;
                table.n++;
                ask(p, owner, now_ns);
        }
        p->next = table.first;
        table.first = p;
        return p;
}

static struct code_mapping *find_mapping(const struct process *p, uint64_t address) {
        size_t low = 0, high = p->n;

        while (low < high) { /* the first one that ends behind the address */
                size_t middle = low + (high - low) / 2;

                if (p->mappings[middle].at.end <= address)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < p->n && p->mappings[low].at.start <= address ? &p->mappings[low] : NULL;
}

struct code_mapping *processes_find(const struct stack_owner *owner, uint64_t address,
                                    uint64_t now_ns) {
        struct process *p = find(owner, now_ns);
        struct code_mapping *mapping;

        if (!p)
                return NULL;
        if (now_ns - p->asked_ns >= LIFE_NS)
                ask(p, owner, now_ns);
        mapping = find_mapping(p, address);
        if (!mapping && p->is_known && now_ns - p->asked_ns >= PATIENCE_NS) {
                ask(p, owner, now_ns);
                mapping = find_mapping(p, address);
        }
        return mapping;
}

const struct elf_symbols *processes_symbols(const struct stack_owner *owner,
                                            struct code_mapping *mapping) {
        struct broker_mapped_file want = {
                .pid = owner->pid,
                .start_ns = table.first->start_ns, /* where processes_find() put it */
                .start = mapping->at.start,
                .end = mapping->at.end,
        };
        const struct elf_symbols *symbols = NULL;
        struct broker_file file;
        int fd;

        if (mapping->file == NO_FILE)
                return NULL;
        if (mapping->file != 0)
                symbols = symbol_files_get(mapping->file);
        if (symbols || hurry_is_over())
                return symbols;
        fd = table.source->file(&want, &file);
        /* Not held: an open file keeps the file system of a container busy. */
        mapping->file = fd < 0 ? 0 : symbol_files_add(&file, fd);
        close_fd(&fd);
        if (mapping->file == 0)
                mapping->file = NO_FILE;
        return symbol_files_get(mapping->file);
}

void processes_forget_all(void) {
        while (table.first)
                forget(&table.first);
}

size_t processes_count(void) {
        return table.n;
}
