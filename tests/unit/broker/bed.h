/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A broker in the middle of loading, and what its worker would send it. The kernel is played by
 * syscall() (linked with --wrap=syscall), so that handlers run to their end without privileges.
 */
#pragma once

#include "broker/bpf.h"
#include "broker/broker.h"
#include "tests/lib/needs.h"

extern int bed_bpf_calls[64];        /* by command */
extern size_t bed_log_size;          /* the verifier says so much, and refuses */
extern union bpf_attr bed_last_link; /* what the last link was asked for with */

/* Handles of what the broker of a bed has. */
enum { MAP = 1, PROG, BTF, LINK, PERF, ARRAY, FILTER, SOCKET_PROG, SPECS };

struct bed {
        struct broker *broker;
        int peer_fd;
};

void bed_init(struct bed *bed);
void bed_done(struct bed *bed);

/* One more object; borrowed until the next. */
struct object *bed_add(struct broker *b, enum object_kind kind);

/* --- one good request of each type --- */

#define MESSAGE_MAX 512

struct example {
        struct broker_frame frame;
        uint8_t data[MESSAGE_MAX - sizeof(struct broker_frame)];
} __attribute__((aligned(16)));

void make_good(struct example *m, enum broker_type type);
void make_prog_load(struct example *m);

static inline size_t size_of(const struct example *m) {
        return sizeof(m->frame) + m->frame.total;
}
