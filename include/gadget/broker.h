/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker may ask its broker: fixed-shape structs over SOCK_SEQPACKET. Kernel pointers become
 * payload behind the struct, fds become handles: the broker never reads the worker's memory and
 * never takes an fd from it. A message larger than a datagram goes in chunks; each chunk starts
 * with struct broker_frame. A message that is unknown, malformed or not allowed in the present
 * phase ends the worker, and the reason names it.
 *
 * Everything is in the machine's byte order: both ends are built together.
 */
#pragma once

#include <stdint.h>

#include "gadget/api.h"

/* Bytes behind the frame header in every chunk but the last. */
#define BROKER_CHUNK_MAX (64u << 10)

/* The one map that only the broker writes, as the kernel cuts its name. */
#define BROKER_FILTER_MAP "gadget_mntns_filter_map"

/* The map that gadgets read and one gadget of ours fills, by its name in either. */
#define BROKER_SHARED_MAP_READ "gadget_sockets"
#define BROKER_SHARED_MAP_FILLED "shared_sockets"

/* Where USDT arguments are, likewise. */
#define BROKER_USDT_MAP "__bpf_usdt_spec"

#define BROKER_NAME_LEN 16 /* BPF_OBJ_NAME_LEN */

/* Requests are a row each in broker/request.c: phases, payload bound, handler. */
enum broker_type {
        BROKER_NONE,

        /* worker to broker: bpf() */
        BROKER_MAP_CREATE,
        BROKER_MAP_LOOKUP,
        BROKER_MAP_LOOKUP_DELETE,
        BROKER_MAP_UPDATE,
        BROKER_MAP_DELETE,
        BROKER_MAP_NEXT_KEY,
        BROKER_MAP_BATCH,
        BROKER_MAP_FREEZE,
        BROKER_PROG_LOAD,
        BROKER_PROG_BIND_MAP,
        BROKER_BTF_LOAD,
        BROKER_OBJECT_INFO,
        BROKER_LINK_CREATE,
        BROKER_RAW_TRACEPOINT,
        BROKER_ATTACH,
        BROKER_ITER_CREATE,
        BROKER_BPF_OTHER, /* a command that no gadget gets; refused by name */

        /* worker to broker: perf events and files of the host */
        BROKER_PERF_OPEN,
        BROKER_PERF_CONTROL,
        BROKER_TRACEPOINT_ID,
        BROKER_PMU,
        BROKER_TARGET,
        BROKER_TARGET_NEXT,
        BROKER_UPROBE,
        BROKER_USDT_SPEC,

        /* worker to broker: life */
        BROKER_CLOSE, /* no reply */
        BROKER_MAP_FD,
        BROKER_HOOK,
        BROKER_SHARED_WANT,
        BROKER_SHARED_MAP,
        BROKER_READY,
        BROKER_FAULT, /* no reply */
        BROKER_DONE,  /* no reply */
        BROKER_ID_NAME,
        BROKER_KERNEL_SYMBOLS,
        BROKER_PROCESS,
        BROKER_MAPPED_FILE,
        _BROKER_REQUEST_MAX,

        /* broker to worker, not asked for; sequence number 0 */
        BROKER_HELLO, /* fds: kernel BTF, if there is one. Sent before the worker's limits are in
                         force. */
        BROKER_START, /* fds: object, definition, ring, bell. The worker's limits are in force. */
        BROKER_STOP,
        BROKER_CONTAINER, /* include/gadget/container-row.h */
};

#define BROKER_REPLY 0x8000u /* set in the type of a reply */

struct broker_frame {
        uint16_t type;
        uint16_t reserved; /* 0 */
        uint32_t seq; /* of the message: a worker's requests count up by one from 1, a reply has its
                         request's */
        uint32_t total;  /* bytes of the message: fixed struct and payload, all chunks together */
        uint32_t offset; /* of this chunk */
};

/* Behind every reply's frame header; payload follows, one fd may ride along. */
struct broker_reply {
        int32_t result;  /* 0 or more, or -errno */
        uint32_t handle; /* of the new object, 0 = none */
};

/* A handle names an object of this gadget that the broker holds. */
#define BROKER_HANDLE_NONE 0u         /* "no fd" where the kernel takes 0 for that */
#define BROKER_HANDLE_BAD 0xffffffffu /* an fd that is no object: the kernel sees -1 */

struct broker_map_create {
        uint32_t map_type;
        uint32_t key_size;
        uint32_t value_size;
        uint32_t max_entries;
        uint32_t map_flags;
        uint32_t inner_map; /* handle */
        uint32_t numa_node;
        uint32_t btf; /* handle */
        uint32_t btf_key_type_id;
        uint32_t btf_value_type_id;
        uint32_t btf_vmlinux_value_type_id;
        uint32_t reserved;
        uint64_t map_extra;
        char name[BROKER_NAME_LEN];
};

/* MAP_LOOKUP, LOOKUP_DELETE, UPDATE, DELETE, NEXT_KEY. Payload: key (NEXT_KEY: none = from the
 * start), then value for UPDATE; a value of a map of maps, programs or perf events is a handle.
 * Reply: value or next key. */
struct broker_map_elem {
        uint32_t map;
        uint32_t has_key;
        uint64_t flags;
};

enum broker_batch {
        BROKER_BATCH_LOOKUP,
        BROKER_BATCH_LOOKUP_DELETE,
        BROKER_BATCH_UPDATE,
        BROKER_BATCH_DELETE
};

/* Payload: UPDATE and DELETE: keys, UPDATE: values; LOOKUPs: the position of the last reply, when
 * has_position. Reply: handle = count, payload: position, keys, values. */
struct broker_map_batch {
        uint32_t map;
        uint32_t op; /* enum broker_batch */
        uint32_t count;
        uint32_t has_position;
        uint64_t elem_flags;
        uint64_t flags;
};

/* Payload: instructions (map fds as handles), license with its NUL, func_info, line_info. Reply:
 * verifier log. */
struct broker_prog_load {
        uint32_t prog_type;
        uint32_t expected_attach_type;
        uint32_t insn_cnt;
        uint32_t license_len;
        uint32_t log_level;
        uint32_t log_size;
        uint32_t kern_version;
        uint32_t prog_flags;
        uint32_t btf; /* handle */
        uint32_t func_info_rec_size;
        uint32_t func_info_cnt;
        uint32_t line_info_rec_size;
        uint32_t line_info_cnt;
        uint32_t attach_btf_id;
        uint32_t attach_prog; /* handle */
        uint32_t reserved;
        char name[BROKER_NAME_LEN];
};

/* Payload: BTF. Reply: log. */
struct broker_btf_load {
        uint32_t btf_size;
        uint32_t log_level;
        uint32_t log_size;
        uint32_t reserved;
};

/* Reply: info struct; pointers in it are 0. */
struct broker_object_info {
        uint32_t object;
        uint32_t info_len;
};

/* Two handles: PROG_BIND_MAP (program, map); MAP_FREEZE, CLOSE (object, 0). ITER_CREATE: a link,
 * and the network namespace that came last, 0 = the first is due. Its reply's handle is the
 * namespace that the iterator shows, 0 = it shows no namespace; -ENOENT = there is none left. */
struct broker_pair {
        uint32_t object;
        uint32_t other;
};

struct broker_link_create {
        uint32_t prog;        /* handle */
        uint32_t target;      /* handle: perf event, or NONE, or BAD */
        uint32_t attach_type; /* enum bpf_attach_type */
        uint32_t flags;
        uint32_t iter_map; /* handle: map of an iter/bpf_map_elem program */
        uint32_t target_btf_id;
        uint64_t cookie;
};

/* Payload: name without NUL; none for BTF-typed programs. */
struct broker_raw_tracepoint {
        uint32_t prog;
        uint32_t reserved;
};

/* Attaches where the program's type says: an interface, the root cgroup, the host's network
 * namespace, a socket of the broker's, a map of sockets, functions of the kernel, a hook of the
 * packet filter. Payload: name of an interface, for those that have one (a socket without sees
 * all); pattern of functions; hook. */
struct broker_attach {
        uint32_t prog;        /* handle */
        uint32_t attach_type; /* of include/gadget/program-types.h */
        uint32_t map;         /* handle, for sk_skb and sk_msg */
        uint32_t flags;       /* enum broker_attach_flags */
};
enum broker_attach_flags { BROKER_ATTACH_RETURN = 1 << 0 /* when the functions return */ };

struct broker_bpf_other {
        uint32_t cmd;
        uint32_t reserved;
};

/* Payload: for a kprobe the function's name. */
struct broker_perf_open {
        uint32_t type;
        int32_t pid;
        int32_t cpu;
        uint32_t wakeup_events;
        uint64_t config;
        uint64_t sample_period; /* or frequency */
        uint64_t probe_offset;
        uint64_t flags; /* enum broker_perf_flags */
};
enum broker_perf_flags { BROKER_PERF_FREQ = 1 << 0 };

enum broker_perf_op { BROKER_PERF_ENABLE, BROKER_PERF_DISABLE, BROKER_PERF_SET_BPF };
struct broker_perf_control {
        uint32_t event;
        uint32_t op;   /* enum broker_perf_op */
        uint32_t prog; /* handle, for SET_BPF */
        uint32_t reserved;
};

/* TRACEPOINT_ID has no struct: payload "category/name", result = id. */

enum broker_pmu { BROKER_PMU_KPROBE, BROKER_PMU_UPROBE, _BROKER_PMU_MAX };
enum broker_pmu_item { BROKER_PMU_TYPE, BROKER_PMU_RETPROBE_BIT, _BROKER_PMU_ITEM_MAX };
struct broker_pmu_request {
        uint32_t pmu;
        uint32_t item;
};

/* TARGET: a file that uprobes go into. Payload: an absolute path, or the name of a library
 * ("libc"). Reply: an fd for reading that program or library, payload = its path, handle = the
 * file's number, the same however it was reached. Only ELF files that everybody may read; uprobes
 * go nowhere else. LD_CACHE: the container's list of libraries, which has no number. */
enum broker_target_what { BROKER_TARGET_ELF, BROKER_TARGET_LD_CACHE, _BROKER_TARGET_WHAT_MAX };
struct broker_target {
        uint64_t mntns; /* in the root directory of this container; 0 = of the host */
        uint32_t what;  /* enum broker_target_what */
        uint32_t reserved;
};

/* The next container that has a root directory to look into. Reply: handle = number of that
 * directory, payload = uint64_t, its mount namespace; or -ENOENT. The first of these requests asks
 * gadgetd for the roots, and finds none. */
struct broker_target_next {
        uint64_t after;
};

/* A program into a place of such a file. Reply: handle of the link. -ESRCH: the last container that
 * had the file has ended. -ENOSPC: the gadget has as many objects as it may. */
struct broker_uprobe {
        uint32_t prog;      /* handle */
        uint32_t target;    /* number, of TARGET */
        uint64_t offset;    /* in the file */
        uint64_t cookie;    /* what the program gets */
        uint32_t semaphore; /* offset in the file of what counts USDT's listeners; 0 = none */
        uint32_t flags;     /* enum broker_uprobe_flags */
};
enum broker_uprobe_flags {
        BROKER_UPROBE_RETURN = 1 << 0, /* when the function returns */
        BROKER_UPROBE_COOKIE = 1 << 1, /* not without the cookie */
};

/* USDT_SPEC: an element of libbpf's map of where arguments are, as MAP_UPDATE; also once the gadget
 * runs. */

/* Reply: the real fd, for reading unless `writable` is set (ring buffers are always writable: their
 * reader moves a cursor). */
struct broker_map_fd {
        uint32_t map;
        uint32_t writable;
};

/* Reply: the name of a user, a group or an interface of the host, at most 64 bytes; result = its
 * length, or -ENOENT. */
enum broker_id_kind {
        BROKER_ID_USER,
        BROKER_ID_GROUP,
        BROKER_ID_INTERFACE,
        _BROKER_ID_KIND_MAX,
};
struct broker_id_name {
        uint32_t kind; /* enum broker_id_kind */
        uint32_t id;
        uint32_t netns; /* of an interface: the inode of its network namespace, 0 = the host's */
        uint32_t reserved;
};

/* KERNEL_SYMBOLS has no struct: payload = up to LIMIT_STACK_FRAMES_MAX addresses, a uint64_t each.
 * Reply: for each a uint8_t, and the name of the function around it of so many bytes; 0 = there is
 * none. result: -EACCES = the kernel hides its addresses. Only for gadgets with a map of stacks. */

/* SHARED_WANT: the gadget has a map BROKER_SHARED_MAP_READ. The reply says nothing yet; the next
 * request is not read before gadgetd has answered. SHARED_MAP has no struct. Reply: the shape that
 * MAP_CREATE of that map must have, or -ENOENT and a text why there is none: then the gadget makes
 * one of its own, which stays empty. */
struct broker_shared_want {
        uint32_t with_paths; /* 1 = the gadget reads the optional fields of its values */
        uint32_t reserved;
};

struct broker_shared_map {
        uint32_t key_size;
        uint32_t value_size;
        uint32_t max_entries;
        uint32_t reserved;
};

/* PROCESS: struct broker_pair (pid, 0). Reply: struct broker_process, and as many struct
 * broker_mapping: where it executes files. Both are for gadgets with a map of stacks, and about
 * processes that the gadget may see; result: -ESRCH = it has ended. */
struct broker_process {
        uint64_t start_ns;   /* boot time at which the process began */
        uint64_t start_code; /* the kernel's word on where its program lies; changes by execve() */
        uint32_t n_mappings; /* at most LIMIT_MAPPINGS_MAX */
        uint32_t n_missing;  /* that are more */
};
struct broker_mapping {
        uint64_t start;
        uint64_t end;
        uint64_t offset; /* in the file, of the byte at start */
        uint64_t inode;
};

/* Reply: an fd for reading the file that is mapped there, and struct broker_file. Only ELF files
 * that everybody may read. */
struct broker_mapped_file {
        uint32_t pid;
        uint32_t reserved;
        uint64_t start_ns; /* as PROCESS said */
        uint64_t start;
        uint64_t end;
};
struct broker_file {
        uint64_t dev;
        uint64_t inode;
        uint64_t size;
        uint64_t mtime_ns;
};

/* HOOK has no struct: payload = a hook as text. Only when inspecting, where nothing is attached
 * that would tell. */
/* READY has no struct: payload = schema. */

/* Payload: message, then detail. */
struct broker_fault {
        uint32_t code; /* enum error_code */
        uint32_t message_len;
};

struct broker_hello {
        uint32_t n_cpus;
        uint32_t has_btf;
};

/* Payload: image name, name of the definition file, then params (msgpack map str -> str). */
struct broker_start {
        uint32_t image_len;
        uint32_t definition_name_len;
        uint8_t inspect;
        uint8_t is_host_wide;
        uint8_t reserved[2];
};
