/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's only window: its broker. Everything that a worker needs from outside comes through
 * here, synchronously while loading, by poll afterwards. libbpf's bpf(), perf_event_open(), and the
 * few files it opens are caught underneath and take the same way (host-syscall.c, host-file.c), so
 * the rest of the worker uses stock libbpf and never notices.
 */
#pragma once

#include "base/error.h"
#include "gadget/broker.h"

struct host_start {
        const char *image; /* for messages, as */
        const char *definition_name;
        struct bytes params; /* msgpack map str -> str */
        bool inspect;        /* load, say READY, end: attach nothing */
        bool is_host_wide;   /* leave gadget_filter_by_mntns false */
        int object_fd;
        int definition_fd;
        int ring_fd;
        int bell_fd;
        int btf_fd;      /* kernel BTF; -1 = this kernel has none */
        uint32_t n_cpus; /* possible CPUs: slots of per-CPU maps, buffers of a perf event array */
};

/* Takes the channel, installs the loading seccomp filter, waits for the start message. Strings stay
 * valid for ever. */
int host_init(int channel_fd, struct host_start *ret, struct error *err);

/* Whether the kernel's BTF has this name, of an enumerator for example; true when there is no BTF,
 * which then cannot decide anything. */
bool host_btf_has(const char *name);

/* Calls `each` for every value of the kernel's enum of this name, in order; a negative result ends
 * it. -ENOENT: the kernel has none. Names are valid during the call. */
int host_btf_enum(const char *name, int (*each)(void *arg, const char *name, int64_t value),
                  void *arg, bool *ret_is_signed);

/* From now on it has no name that begins so, neither for us nor for libbpf. */
int host_btf_hide(const char *prefix);

/* The real fd behind libbpf's placeholder for a map that this worker reads (ring, map, stack map).
 * Owned by the caller. */
int host_map_fd(int placeholder_fd, int *ret_fd);

/* The same, also for deleting what was read (BPF_MAP_DELETE_*, BPF_MAP_LOOKUP_AND_DELETE_*). Not
 * for maps of programs, maps or events, and not for the filter map. */
int host_map_fd_writable(int placeholder_fd, int *ret_fd);

/* Types of our own for CO-RE to find among the kernel's: a struct of this name whose members are
 * integers and char arrays, in this order and without gaps of their own making. */
struct host_member {
        const char *name;
        uint32_t offset;
        uint32_t size;  /* of an element: 1 = char, 4, 8 */
        uint32_t count; /* > 0: an array */
};
int host_btf_add_struct(const char *name, uint32_t size, const struct host_member *members,
                        size_t n_members);

/* The map of sockets that gadgetd keeps for all gadgets: its shape, or -ENOENT with the reason in
 * `why`. Waits until it is filled. */
struct broker_shared_map;
int host_shared_map(bool with_paths, struct broker_shared_map *ret, char *why, size_t room);

/* When inspecting, nothing is attached that would tell the broker the hooks: says them, one by one
 * ("tracepoint/..."). */
void host_declare_hook(const char *section);

/* Attaches a program to a place of the host (include/gadget/program-types.h, PROGRAM_BY_SOCKET and
 * further). It stays until the gadget ends. */
struct host_place {
        int prog_fd;
        uint32_t attach_type;
        bool is_return;
        int map_fd;       /* -1 = none */
        const char *name; /* of an interface, functions, a hook; "" = none */
};
int host_attach(const struct host_place *place);

/* What the broker calls the object behind libbpf's placeholder. */
uint32_t host_object(int placeholder_fd);

/* A file that uprobes go into, by its absolute path or by the name of a library, in the root
 * directory of a container, or (mntns 0) of the host. The fd, for reading, is the caller's. */
struct host_target {
        uint32_t id; /* the same for the same file */
        int fd;
        char path[256];
};
int host_target(uint64_t mntns, enum broker_target_what what, const char *name,
                struct host_target *ret);

/* The next container behind c->mntns that lets look into its root directory, which has a number.
 * The first call asks for them, and finds none. */
struct host_container {
        uint64_t mntns;
        uint32_t root;
};
int host_container_next(struct host_container *c);

/* A probe in such a file; -ENOSPC when the gadget has as many objects as it may. */
struct host_uprobe {
        uint32_t prog;   /* host_object() */
        uint32_t target; /* host_target.id */
        uint64_t offset;
        uint32_t semaphore; /* of USDT: offset in the file; 0 = none */
        bool has_cookie;
        bool is_return;
        uint64_t cookie;
};
int host_uprobe_open(const struct host_uprobe *uprobe, uint32_t *ret_handle);
void host_uprobe_close(uint32_t handle);

/* One element of libbpf's map of USDT arguments, by its host_object(). */
int host_usdt_spec(uint32_t map, const void *key, size_t key_size, const void *value,
                   size_t value_size);

/* Creates the iterator fd of an attached iter/ program's link (placeholder); read() it for the seq
 * output. An iterator that shows one network namespace is made once for each: *netns is the last
 * one, 0 at first, and becomes the one that is shown; 0 = it shows none. -ENOENT: that was all. */
int host_iter_create(int link_placeholder_fd, uint32_t *netns, int *ret_fd);

/* Loaded (and attached unless inspecting): hands the encoded schema over and enters the RUNNING
 * phase, in which the broker answers map reads only; installs the steady-state seccomp filter. */
int host_ready(struct bytes schema, struct error *err);

/* From now on closing a number does not end what it stands for: libbpf's memory can be freed while
 * the gadget runs. */
void host_keep_objects(void);

/* The name of a user, a group or an interface of the host into out; its length, or -ENOENT. Only
 * once it runs. */
struct named_id;
int host_id_name(const struct named_id *id, char *out, size_t room);

/* Names of the kernel's functions at these addresses, as kernel_stack_set_source() wants them. */
int host_kernel_symbols(const uint64_t *addresses, size_t n, uint8_t *out, size_t room);

/* Where a process executes files, and such a file to read, as struct process_source wants them. */
struct broker_process;
struct broker_mapping;
struct broker_mapped_file;
struct broker_file;
int host_process(uint32_t pid, struct broker_process *ret, struct broker_mapping *out);
int host_mapped_file(const struct broker_mapped_file *want, struct broker_file *ret);

/* Reports why the gadget cannot go on; detail may be NULL. The caller exits afterwards. */
void host_fault(const struct error *err, const char *detail);

/* Who hears of containers (BROKER_CONTAINER) while the gadget runs. */
void host_on_container(void (*handler)(const uint8_t *data, size_t len));

/* Hands over those that have come, without waiting. */
void host_take_containers(void);

enum host_event {
        HOST_NONE,
        HOST_STOP, /* programs are detached: drain everything, write the last counters, host_done(),
                      exit */
        HOST_CONTAINER, /* the handler has been told of some */
        HOST_CLOSED,    /* the broker is gone: exit */
};
int host_fd(void);               /* readable when host_next() has something */
enum host_event host_next(void); /* never blocks */
void host_done(void);
