/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gadget-watch: which containers there are. It sees a container as the kernel does, a mount
 * namespace and a cgroup, whoever made it; what runtimes have written about it gives it a name. It
 * reports and decides nothing: gadgetd does.
 *
 *   main.c       start-up, the channel to gadgetd
 *   watch.c      the containers: found, named, reported, gone
 *   states.c     runtimes' state files
 *   cgroups.c    cgroups that appear (inotify)
 *   gate.c       runtimes that start (fanotify), and the first exec in a new container
 *   pending.c    what a runtime that starts is about to make
 *   parser.c     the process that parses
 *   sandbox.c    what both give up
 */
#pragma once

#include <sys/queue.h>
#include <sys/types.h>

#include "base/loop.h"
#include "ipc/channel.h"
#include "watcher/oci.h"
#include "watcher/parser.h"

LIST_HEAD(container_list, container);
LIST_HEAD(state_list, state);
LIST_HEAD(pending_list, pending);
LIST_HEAD(held_list, held);

struct container {
        struct watch *watch;
        LIST_ENTRY(container) link;
        uint64_t mntns;
        uint64_t netns;
        uint64_t started_ns;
        uint64_t cgroup_id;
        uint64_t root_dev; /* of the root directory that was reported; 0 = none was */
        uint64_t root_ino;
        pid_t pid;
        int pidfd;
        struct loop_io exit_io;
        bool is_named;   /* `info` is from a runtime */
        bool is_ignored; /* a pod's sandbox, or one of gadgetd's own */
        bool is_reported;
        uint32_t serial; /* the last report, until everybody knows; 0 = everybody does */
        char runtime[32];
        char *cgroup;
        struct oci_info info;
};

/* A directory ROOT/ID of a runtime. */
struct state {
        LIST_ENTRY(state) link;
        char *dir;
        uint64_t mtime_ns;
        unsigned int n_timeouts;
        bool is_seen; /* in this round */
        bool is_used; /* a container has its name from it */
        bool has_info;
        struct oci_info info;
};

/* Of a runtime. */
struct executable {
        dev_t device;
        ino_t inode; /* 0 = it is not there */
        const char *path;
};

#define ROOTS_MAX 64
#define FRESH_MAX 64

struct watch {
        struct loop *loop;
        struct channel *channel;
        struct parser parser;
        uint64_t host_mntns;
        uint64_t host_pidns;
        uint64_t host_netns;
        struct container_list containers;
        size_t n_containers;
        bool is_full;           /* gadgetd has been told so */
        bool has_room;          /* nothing was turned away in this scan */
        char *fresh[FRESH_MAX]; /* cgroups that have just appeared, and may be empty still */
        size_t n_fresh;

        struct state_list states;
        char *roots[ROOTS_MAX]; /* patterns of directories that hold ROOT/ID */
        size_t n_roots;

        int inotify_fd;
        struct loop_io inotify_io;
        char *cgroup_root; /* where the hierarchy that is watched is mounted */
        char **cgroup_paths;
        size_t n_cgroup_paths; /* by watch descriptor */

        int fanotify_fd; /* -1 = this kernel has no permission events */
        struct loop_io fanotify_io;
        struct executable executables[32];
        size_t n_executables;
        struct pending_list pending;
        struct held_list held;
        bool holds; /* a gadget filters: hold first execs */
        uint32_t serial;
        uint64_t n_held;
        uint64_t n_timed_out;

        struct loop_timer retry;
        uint64_t retry_delay_ns;
        struct loop_timer rescan;
        struct loop_timer gate_deadline;
        bool is_busy_with_gate;
        bool is_guarded;
};

/* --- watch.c --- */

/* Everything that runs now. */
void watch_scan(struct watch *watch);

/* Something has happened that may have made a container: looks again, soon and then less and less
 * often, until every container has a name. fresh_cgroup may be NULL. */
void watch_look(struct watch *watch, const char *fresh_cgroup);

/* The container of this process, made when it is new. NULL = it is in none. */
struct container *watch_consider(struct watch *watch, pid_t pid);
struct container *watch_find(struct watch *watch, uint64_t mntns);
/* The same after looking whether it has ended: ids of namespaces are given out again at once. */
struct container *watch_find_alive(struct watch *watch, uint64_t mntns);

/* Gives it what a runtime says of it; dir is ROOT/ID. */
void container_name(struct container *c, const char *dir, const struct oci_info *info);

/* This is its first process: until now it may have been one that made it, in another cgroup. */
void container_set_first(struct container *c, pid_t pid);

/* Tells gadgetd that it has ended, and frees it. */
void container_end(struct container *c);

/* Tells gadgetd, with fds of its network namespace and its root. */
void container_report(struct container *c);
void watch_done(struct watch *watch);

/* --- states.c --- */

void states_init(struct watch *watch);
void states_add_root(struct watch *watch, const char *root);
/* Reads what is new and names the containers that it is about. */
void states_refresh(struct watch *watch);
/* "docker", "containerd" and so on, from where the state lies. */
const char *states_runtime_of(const char *dir, const struct oci_info *info);
/* Adds what the bundle's config.json says. */
void states_read_bundle(struct watch *watch, struct oci_info *info, uint64_t timeout_ns);
/* Adds the name and image that docker and podman keep beside the bundle. */
void states_read_records(struct watch *watch, struct oci_info *info, uint64_t timeout_ns);
/* The first process, as the state in this directory has it; 0 = there is none yet. */
uint32_t states_pid(struct watch *watch, const char *dir);
void states_done(struct watch *watch);

/* --- cgroups.c --- */

int cgroups_init(struct watch *watch);
/* Processes of a cgroup, by its path; returns how many of at most n. */
size_t cgroups_pids(const struct watch *watch, const char *path, pid_t *pids, size_t n);
uint64_t cgroups_id(const struct watch *watch, const char *path);
void cgroups_done(struct watch *watch);

/* --- gate.c --- */

int gate_init(struct watch *watch);
void gate_hold(struct watch *watch, bool hold);
void gate_pass(struct watch *watch, uint32_t serial);
/* To be called in between by whoever takes long: nobody waits for a scan. */
void gate_serve(struct watch *watch);
/* Around everything that opens what others own, which may never return: the kernel ends this
 * process when gate_serve() is not called for a second in between, and with it every wait. */
void gate_guard(struct watch *watch, bool begin);
/* Before gate_init(). The path is borrowed. */
void gate_add_runtime(struct watch *watch, const char *path);
void gate_add_usual_runtimes(struct watch *watch);
/* Again for executables that were installed meanwhile. */
void gate_mark_runtimes(struct watch *watch);
void gate_done(struct watch *watch);
