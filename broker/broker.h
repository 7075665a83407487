/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One gadget's broker: what it knows, and the pieces it is made of. The process holds every
 * program, map, link and perf event of the gadget, and is the only one that calls bpf() for it.
 *
 *   main.c        start-up and the loop
 *   start.c       from PREPARE to the first request
 *   life.c        faults, stopping, what happens when somebody dies, until STOPPED
 *   serve.c       the worker's requests and its log
 *   release.c     taking a gadget out of the kernel
 *   worker.c      cloning the worker into its namespaces
 *   cgroup.c      joining and leaving the instance's cgroups
 *   kmsg.c        which system call a worker died of
 *   privileges.c  what the broker gives up before it reads its first request
 *   message.c     datagrams to requests, replies to datagrams
 *   request.c     the table: request, phases, handler
 *   object.c      handles
 *   container.c   the containers that the gadget may see
 *   netns.c       their network namespaces
 *   netlink.c     and what interfaces are in them
 *   process.c     where a process executes which files
 *   kernel-symbols.c  the kernel's functions by address
 *   shared.c      the map that one gadget fills and others read
 *   map.c prog.c attach.c attach-place.c attach-netns.c functions.c netfilter.c perf.c
 *   target.c report.c uprobe.c   the handlers
 */
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/loop.h"
#include "broker/attach-netns.h"
#include "broker/cgroup.h"
#include "broker/clsact.h"
#include "broker/container.h"
#include "broker/kernel-symbols.h"
#include "broker/message.h"
#include "broker/netns.h"
#include "broker/object.h"
#include "broker/shared.h"
#include "broker/target.h"
#include "broker/worker.h"
#include "gadget/program-types.h"
#include "ipc/channel.h"
#include "policy/permissions.h"

#define CLOSERS_MAX 8

enum broker_state {
        BROKER_IDLE,     /* waits for PREPARE */
        BROKER_PREPARED, /* the worker exists and waits for START, as we do */
        BROKER_LOADING,  /* the worker parses, loads and attaches */
        BROKER_RUNNING,  /* attached; the worker reads maps */
        BROKER_STOPPING, /* detached; the worker drains, until the deadline */
        BROKER_KILLED,   /* waits for the worker's end; its requests are ignored */
        BROKER_GONE,     /* STOPPED is said; waits for gadgetd to close */
};

/* A row of GADGET_PROGRAM_TYPES, as far as it concerns the broker. */
struct program_type {
        const char *section;
        uint32_t type;
        uint32_t attach_type;
        enum program_trust trust;
        enum program_how how;
        const char *note;
};

struct tracepoint {
        uint32_t id;
        char name[136]; /* "category/name" */
};

struct broker {
        struct loop *loop;
        struct channel *gadgetd;
        enum broker_state state;

        char id[65];
        bool inspect;
        bool allow_unsafe;
        bool is_host_wide;
        uint32_t n_cpus; /* possible CPUs */

        /* Directories and files of the host, opened before the privileges go. */
        int root_fd;     /* the host's root directory */
        int tracefs_fd;  /* our own mount, attached nowhere; -1 = this kernel has none */
        int pmu_fd;      /* /sys/bus/event_source/devices; -1 = none */
        int kallsyms_fd; /* /proc/kallsyms, as who may see addresses sees it; -1 = none */
        int kmsg_fd;     /* the kernel's log from our start on; -1 = none */
        int dir_fd;      /* RUN/instances/ID */
        int parent_fd;   /* RUN/instances */
        int listen_fd;   /* broker.sock */
        struct loop_io listen_io;
        struct cgroups cgroups;
        int join_fd; /* the child that joins them */
        struct loop_io join_io;
        bool is_joined; /* the worker's limits are in force */

        struct worker worker;
        struct loop_io worker_io;
        struct loop_io exit_io;
        struct loop_io log_io;
        struct loop_timer deadline;
        struct assembler assembler;
        struct sender sender;
        int start_fds[4]; /* object, definition, ring, bell: kept until the worker's limits are in
                             force */
        struct buf start; /* the start message, likewise */

        uint32_t ready_seq; /* of the READY that is yet to be answered; 0 = none */
        struct container_rows containers;
        uint32_t last_root;     /* numbers of their root directories */
        uint32_t wants;         /* enum container_want */
        bool awaits_containers; /* gadgetd tells of them; no request is read meanwhile */
        struct shared_map shared;
        struct netns_table netns;
        struct netns_programs netns_programs;
        struct clsact clsact;       /* of tc programs, on kernels before 6.6 */
        pid_t closers[CLOSERS_MAX]; /* children that close what takes time; 0 = none */
        int host_netns_fd;          /* of our own network namespace */
        uint64_t host_netns;
        struct objects objects;
        struct tracepoint *tracepoints;
        size_t n_tracepoints;
        struct target_table targets;
        char **declared_hooks; /* of BROKER_HOOK, when inspecting */
        size_t n_declared_hooks;
        uint64_t map_bytes;
        bool has_own_pids; /* our pid namespace is not the host's: its pids name other processes */
        bool has_stacks;   /* it has a map of stacks, so that it may ask whose addresses they are */
        struct kernel_symbols kernel_symbols;

        bool is_faulted;     /* MSG_FAULT is sent */
        bool is_done;        /* the worker said DONE */
        bool is_stopping;    /* somebody asked us to stop */
        bool is_orphaned;    /* gadgetd is gone: clean up after both */
        struct buf log_tail; /* the worker's last lines, for the fault */
};

int broker_new(int channel_fd, struct broker **ret);
struct broker *broker_free(struct broker *b);
DEFINE_CLEANUP(struct broker, broker_free)

/* The gadget cannot go on: says so (the first time) and kills the worker. detail may be NULL. */
void broker_fault(struct broker *b, const struct error *err, const char *detail);

/* --- start.c, life.c --- */

/* MSG_PREPARE and MSG_START. What goes wrong is said by a fault. */
int broker_prepare(struct broker *b, struct received *received);
int broker_start(struct broker *b, struct received *received);
int broker_on_worker_exit(struct loop_io *io, uint32_t events);

/* --- serve.c --- */

int serve_init(struct broker *b);
/* Handles what a worker said before it died; or the reason that it gave is lost. */
void serve_drain(struct broker *b);
void serve_end(struct broker *b);
/* The next request may be read. */
int serve_resume(struct broker *b);
/* Of our own accord: HELLO, START, STOP. 0 also when the worker is gone. */
int serve_send(struct broker *b, enum broker_type type, struct bytes body, struct bytes payload,
               const int *fds, size_t n_fds);

/* --- release.c --- */

/* Closes every link: no program runs any more, and nothing that ran is still writing. Maps stay. */
void broker_detach(struct broker *b);
/* For what the kernel takes tens of milliseconds to close: does not wait for it. Takes the fd. */
void broker_close_later(struct broker *b, int take_fd);
/* Closes what is attached to this file. */
void broker_detach_target(struct broker *b, uint32_t target);
/* Closes everything. */
void broker_release(struct broker *b);

/* --- request.c --- */

/* A handler answers by filling reply. A negative result is the worker's fault and ends it; err says
 * why. */
typedef int (*request_func)(struct broker *b, const struct request *request, struct reply *reply,
                            struct error *err);

enum phase {
        PHASE_LOADING = 1 << 0,
        PHASE_RUNNING = 1 << 1,
};

struct request_info {
        const char *name;
        uint32_t phases;
        uint32_t body_size;
        uint32_t payload_max;
        bool has_no_reply;
        request_func handler;
};
extern const struct request_info request_table[_BROKER_REQUEST_MAX];

/* Handlers, by file. */
int on_map_create(struct broker *, const struct request *, struct reply *, struct error *);
int on_map_lookup(struct broker *, const struct request *, struct reply *, struct error *);
int on_map_update(struct broker *, const struct request *, struct reply *, struct error *);
int on_map_delete(struct broker *, const struct request *, struct reply *, struct error *);
int on_map_next_key(struct broker *, const struct request *, struct reply *, struct error *);
int on_map_batch(struct broker *, const struct request *, struct reply *, struct error *);
int on_map_freeze(struct broker *, const struct request *, struct reply *, struct error *);
int on_map_fd(struct broker *, const struct request *, struct reply *, struct error *);

int on_prog_load(struct broker *, const struct request *, struct reply *, struct error *);
int on_prog_bind_map(struct broker *, const struct request *, struct reply *, struct error *);
int on_btf_load(struct broker *, const struct request *, struct reply *, struct error *);
int on_object_info(struct broker *, const struct request *, struct reply *, struct error *);
int on_bpf_other(struct broker *, const struct request *, struct reply *, struct error *);

int on_link_create(struct broker *, const struct request *, struct reply *, struct error *);
int on_raw_tracepoint(struct broker *, const struct request *, struct reply *, struct error *);
int on_iter_create(struct broker *, const struct request *, struct reply *, struct error *);
int on_close(struct broker *, const struct request *, struct reply *, struct error *);

int on_perf_open(struct broker *, const struct request *, struct reply *, struct error *);
int on_perf_control(struct broker *, const struct request *, struct reply *, struct error *);
int on_tracepoint_id(struct broker *, const struct request *, struct reply *, struct error *);
int on_pmu(struct broker *, const struct request *, struct reply *, struct error *);
int on_attach(struct broker *, const struct request *, struct reply *, struct error *);
int on_uprobe(struct broker *, const struct request *, struct reply *, struct error *);
int on_usdt_spec(struct broker *, const struct request *, struct reply *, struct error *);
int on_target_next(struct broker *, const struct request *, struct reply *, struct error *);
int on_target(struct broker *, const struct request *, struct reply *, struct error *);

int on_process(struct broker *, const struct request *, struct reply *, struct error *);
int on_mapped_file(struct broker *, const struct request *, struct reply *, struct error *);
int on_kernel_symbols(struct broker *, const struct request *, struct reply *, struct error *);
int on_id_name(struct broker *, const struct request *, struct reply *, struct error *);

int on_shared_want(struct broker *, const struct request *, struct reply *, struct error *);
int on_shared_map(struct broker *, const struct request *, struct reply *, struct error *);

int on_hook(struct broker *, const struct request *, struct reply *, struct error *);
int on_ready(struct broker *, const struct request *, struct reply *, struct error *);
int on_fault(struct broker *, const struct request *, struct reply *, struct error *);
int on_done(struct broker *, const struct request *, struct reply *, struct error *);

/* life.c, for on_ready() */
void broker_is_ready(struct broker *b);

/* attach.c: nothing is attached while inspecting; names are made of letters, digits, '_' and what
 * `more` adds. */
int broker_may_attach(const struct broker *b, const struct object *prog, struct error *err);
bool broker_is_name(struct bytes name, const char *more);

/* perf.c: what the kernel says of an event source; -errno. */
int broker_pmu_number(const struct broker *b, enum broker_pmu pmu, enum broker_pmu_item item);

/* The row of a type that is loaded or attached so, NULL when there is none. At load what a
 * SCHED_CLS program is attached to is not said. */
const struct program_type *broker_program_type(uint32_t type, uint32_t attach_type);

/* Whether this gadget may have programs of this type: -EPERM says why not. `name` is the
 * program's. */
int broker_may_have(const struct broker *b, const struct program_type *type, const char *name,
                    struct error *err);

/* A new link, with its hook as text; takes both, also on failure. */
int broker_add_link(struct broker *b, int take_fd, char *take_hook, struct reply *reply,
                    struct error *err);

/* functions.c: whether the name of a function matches a pattern of '*' and '?'. */
bool functions_match(const char *pattern, const char *name);

/* The object's fd as the kernel's attributes take it: handle NONE = 0, BAD = -1. Else as
 * broker_object(). */
int broker_object_fd(struct broker *b, uint32_t handle, enum object_kind kind, uint32_t *ret_fd,
                     struct error *err);

/* Puts a new object into the table and its handle into the reply. Takes the fd, also on failure. */
int broker_add_object(struct broker *b, enum object_kind kind, int take_fd, struct reply *reply,
                      struct object **ret, struct error *err);

/* An object of this kind, or an error that names what was asked for and what is there. */
int broker_object(struct broker *b, uint32_t handle, enum object_kind kind, struct object **ret,
                  struct error *err);

/* --- report.c --- */

/* The last `max` bytes of valid UTF-8, or a few less: never from the middle of a character. */
struct bytes broker_text_end(struct bytes text, size_t max);
