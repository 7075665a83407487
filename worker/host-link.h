/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the way to the broker: one request and its reply, and the numbers that stand for the
 * broker's objects. */
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include "base/util.h"
#include "gadget/broker.h"

#define HOST_PARTS_MAX 6

struct host_call {
        enum broker_type type;
        struct iovec parts[HOST_PARTS_MAX]; /* fixed struct, then payload */
        size_t n_parts;
        void *out; /* where the reply's payload goes; what does not fit is dropped */
        size_t out_size;
        /* the reply */
        uint32_t handle;
        size_t out_len;
        int fd; /* owned by the caller; -1 = none came */
};

#define PART(_data, _len)                                                                          \
        { .iov_base = (void *)(uintptr_t)(_data), .iov_len = (_len) }
#define CALL(_type, ...)                                                                           \
        {                                                                                          \
                .type = (_type), .parts = { __VA_ARGS__ },                                         \
                .n_parts = sizeof((struct iovec[]){ __VA_ARGS__ }) / sizeof(struct iovec),         \
                .fd = -1,                                                                          \
        }

/* The broker's result: 0 or more, or -errno. Ends the process when the broker is gone. */
int host_call(struct host_call *call);

/* For requests without a reply. */
void host_tell(const struct host_call *call);

/* --- host-fd.c: real numbers that libbpf can hold, duplicate and close --- */

struct host_object {
        uint32_t handle; /* 0 = this number is none of ours */
        bool is_real;    /* a map's or perf event's own fd; else a placeholder */
        bool is_map;
        uint32_t map_type;
        uint32_t key_size;
        uint64_t value_size; /* of a lookup: all CPUs together */
};

int host_fd_init(void);

/* Readable once; for host_fd(). */
int host_fd_anchor(void);

/* A new placeholder, or the real fd under which the object is known from now on (taken, also on
 * failure). fd or -errno. */
int host_fd_add(const struct host_object *object, int take_real_fd);

/* Borrowed; NULL for a number that is none of ours. */
const struct host_object *host_fd_find(int fd);

/* As the broker wants it: NONE for 0, BAD for what is none of ours. */
uint32_t host_fd_handle(int fd);

/* --- host.c, for the others --- */
uint32_t host_n_cpus(void);
bool host_reads_maps_directly(void);

/* --- host-btf.c: the kernel's types, as libbpf reads them --- */
void host_btf_init(int take_fd); /* -1 = this kernel has none */
/* Where they could not be mapped. Not before START: a worker that only waits is to be small. */
int host_btf_read(void);
void host_btf_done(void);
struct bytes host_btf(void); /* empty = none */
int host_btf_fd(void);

/* --- host-syscall.c --- */
int64_t raw_syscall(int64_t nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                    uint64_t f);
