/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The map of sockets that one gadget of ours fills for the host (START.offers_map) and the programs
 * of others read. Their workers get neither an fd nor an element of it. That no program writes it
 * is the verifier's word: each one that refers to the map is first loaded with a twin of the same
 * shape that is read-only to programs (BPF_F_RDONLY_PROG), and only then with the map itself.
 */
#pragma once

#include "base/error.h"
#include "gadget/broker.h"

struct broker;
struct object;
struct msg_shared_map;
struct bpf_insn;

struct shared_map {
        bool offers; /* this is the gadget that fills it */
        bool awaits; /* for gadgetd's answer; no request is read meanwhile */
        bool was_asked_for;
        int fd; /* -1 = none */
        struct broker_shared_map shape;
        char why[256]; /* there is none */
};

void shared_done(struct broker *b);

/* MSG_SHARED_MAP; takes the fd out of fds. */
int shared_on_map(struct broker *b, const struct msg_shared_map *msg, int *fds, size_t n_fds);

/* Whether MAP_CREATE asks for the map that is there already: then *ret_fd is one of its own for the
 * gadget. 0 = it does not, 1 = it does, negative: the worker's fault. */
int shared_take(struct broker *b, const struct broker_map_create *create, int *ret_fd,
                struct error *err);

/* The object is the map that shared_take() gave. */
int shared_bind(struct broker *b, struct object *map);

/* Puts the twins where the instructions refer to shared maps; true when there was one. */
bool shared_use_twins(const struct broker *b, struct bpf_insn *insns, uint32_t n);
/* Back again. */
void shared_use_maps(const struct broker *b, struct bpf_insn *insns, uint32_t n);

/* The worker touches a shared map: its fault. */
int shared_refuse(const struct object *map, struct error *err);

/* The gadget runs: hands its map to gadgetd if it is the one that fills it. */
void shared_offer(struct broker *b);
