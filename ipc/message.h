/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages between gadgetd and its children (SOCK_SEQPACKET, ipc/channel.h). One struct, one
 * field table, one row in message_types[] each. gadgetd <-> gadget-broker here; broker <-> worker
 * speaks include/gadget/broker.h instead.
 */
#pragma once

#include "ipc/field.h"

enum message_type {
        MSG_NONE,
        /* gadgetd to broker */
        MSG_START, /* fds: object, definition, event ring, bell, worker executable, instance dir,
                      cgroup dirs... */
        MSG_STOP,  /* detach, drain, report, exit */
        /* broker to gadgetd */
        MSG_STARTED, /* the worker process exists */
        MSG_READY,   /* programs are attached (or, with START.inspect, loaded); rows may follow */
        MSG_FAULT,   /* the gadget cannot go on, and why; STOPPED follows */
        MSG_STOPPED, /* worker gone, links and maps released, ring complete: the last message */
        _MSG_MAX,
};

/* Position of the fds of MSG_START. */
enum start_fd {
        START_FD_OBJECT,     /* sealed memfd: the eBPF object, digest already checked */
        START_FD_DEFINITION, /* sealed memfd: gadget.yaml, may be empty */
        START_FD_RING,       /* memfd of include/gadget/event-ring.h, header not yet written */
        START_FD_BELL,       /* eventfd the worker adds 1 to after writing frames */
        START_FD_WORKER,     /* the worker's executable, O_PATH or O_RDONLY */
        START_FD_DIR,        /* RUN/instances/ID, for broker.sock */
        START_FD_CGROUP, /* then one directory fd a hierarchy: the instance's cgroup, with broker/
                            and worker/ */
        START_FDS_MIN = START_FD_CGROUP,
        START_FDS_MAX = START_FD_CGROUP + 2,
};

struct msg_start {
        const char *id;         /* 64 hex digits */
        const char *image;      /* for messages only */
        struct bytes params;    /* msgpack map str -> str */
        uint32_t worker_uid;    /* host uid and gid of the worker */
        bool inspect;           /* load, report, exit: nothing is attached */
        bool allow_unsafe;      /* helpers of the denied list are granted */
        bool is_host_wide;      /* no container filter: gadget_filter_by_mntns stays false */
        const char *kernel_btf; /* BTF file in place of /sys/kernel/btf/vmlinux */
};

struct msg_stop {
        bool kill; /* do not drain */
};

struct msg_started {
        uint32_t worker_pid; /* in the host's pid namespace */
};

struct msg_ready {
        struct bytes schema;      /* msgpack, include/gadget/schema.h; opaque to gadgetd */
        struct bytes permissions; /* msgpack, policy/permissions.h */
};

struct msg_fault {
        const char *code; /* error_code_name() */
        const char *message;
        const char *detail; /* several lines, such as the end of a verifier log */
};

struct msg_stopped {
        uint32_t worker_status; /* wait status of the worker */
        bool is_clean;          /* the worker said DONE after draining */
};

union message {
        struct msg_start start;
        struct msg_stop stop;
        struct msg_started started;
        struct msg_ready ready;
        struct msg_fault fault;
        struct msg_stopped stopped;
};

struct message_info {
        struct record record; /* record.name names the message in logs */
        uint8_t n_fds_min;
        uint8_t n_fds_max;
};
extern const struct message_info message_types[_MSG_MAX];
