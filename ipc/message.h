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
        MSG_PREPARE, /* fds: worker executable, instance dir, cgroup dirs... A worker is started and
                        confined; which gadget it is for need not be known yet */
        MSG_START,   /* fds: object, definition, event ring, bell. May follow PREPARE at once */
        MSG_STOP,    /* detach, drain, report, exit */
        /* broker to gadgetd */
        MSG_STARTED,  /* the worker process exists */
        MSG_PREPARED, /* its limits are in force, and it waits for START */
        MSG_READY,    /* programs are attached (or, with START.inspect, loaded); rows may follow */
        MSG_FAULT,    /* the gadget cannot go on, and why; STOPPED follows */
        MSG_STOPPED,  /* worker gone, links and maps released, ring complete: the last message */
        /* gadgetd to fetcher */
        MSG_FETCH_OPEN, /* fds: PEM of the CA roots */
        MSG_FETCH_GET,  /* fds: where the bytes go */
        MSG_FETCH_PUT,  /* fds: where the bytes come from */
        MSG_FETCH_CANCEL,
        /* fetcher to gadgetd */
        MSG_FETCH_PROGRESS,
        MSG_FETCH_RESULT, /* one for each GET and PUT */
        /* gadget-watch to gadgetd */
        MSG_WATCH_READY,       /* what is below the host's roots has been listed */
        MSG_CONTAINER_ADDED,   /* it exists, or more is known of it than before. fds: its network
                                  namespace and its root, as far as the message says so */
        MSG_CONTAINER_REMOVED, /* its first process is gone */
        MSG_WATCH_FULL,        /* there are more containers than can be known, or no longer */
        /* gadgetd to gadget-watch */
        MSG_WATCH_GATE, /* hold the first exec of new containers, or no longer */
        MSG_WATCH_PASS, /* everybody knows of the container that this serial was about */
        /* gadgetd to broker and back */
        MSG_CONTAINER_SET,  /* one container that this gadget may see, or that it is gone. fds: as
                               CONTAINER_ADDED, of what the broker wants */
        MSG_CONTAINER_DONE, /* the kernel's filter has it */
        MSG_CONTAINER_WANT, /* the gadget's programs go into containers: all are SET again with fds,
                               and from now on each one is */
        MSG_CONTAINER_ALL,  /* the answer: everything that was known then has been SET */
        /* The map of sockets that one gadget of ours fills and others read */
        MSG_SHARED_MAP_OFFER, /* broker to gadgetd, after READY of START.offers_map. fds: the map */
        MSG_SHARED_MAP_WANT,  /* broker to gadgetd: its gadget reads it */
        MSG_SHARED_MAP,       /* gadgetd to broker, the answer, or ahead of START. fds: the map, or
                                none */
        /* gadgetd to gadget-ask and back */
        MSG_ASK,   /* what a runtime knows of a container. fds: each connected to its API */
        MSG_ASKED, /* one for each ASK */
        _MSG_MAX,
};

#define CONTAINER_FDS_MAX 2 /* of CONTAINER_ADDED and CONTAINER_SET: network namespace, root */

/* Position of the fds of MSG_PREPARE. */
enum prepare_fd {
        PREPARE_FD_WORKER, /* the worker's executable, O_PATH or O_RDONLY */
        PREPARE_FD_DIR,    /* RUN/instances/ID, for broker.sock */
        PREPARE_FD_CGROUP, /* then one directory fd a hierarchy: the instance's cgroup, with broker/
                              and worker/ */
        PREPARE_FDS_MIN = PREPARE_FD_CGROUP,
        PREPARE_FDS_MAX = PREPARE_FD_CGROUP + 2,
};

struct msg_prepare {
        const char *id;         /* 64 hex digits */
        uint32_t worker_uid;    /* host uid and gid of the worker */
        const char *kernel_btf; /* BTF file in place of /sys/kernel/btf/vmlinux */
};

/* Position of the fds of MSG_START. */
enum start_fd {
        START_FD_OBJECT,     /* sealed memfd: the eBPF object, digest already checked */
        START_FD_DEFINITION, /* sealed memfd: gadget.yaml, may be empty */
        START_FD_RING,       /* memfd of include/gadget/event-ring.h, header not yet written */
        START_FD_BELL,       /* eventfd the worker adds 1 to after writing frames */
        START_FDS,
};

struct msg_start {
        const char *image; /* for messages only, as */
        const char *definition_name;
        struct bytes params; /* msgpack map str -> str */
        bool inspect;        /* load, report, exit: nothing is attached */
        bool allow_unsafe;   /* helpers of the denied list are granted */
        bool is_host_wide;   /* no container filter: gadget_filter_by_mntns stays false */
        bool offers_map;     /* it fills the map that others read; a SHARED_MAP that came before is
                                what its predecessor has filled */
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
        const char *note;         /* what is not as a user may expect; NULL = nothing */
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

/* One registry, one repository, one set of credentials: the whole life of a fetcher. */
struct msg_fetch_open {
        const char *host;       /* "localhost:5000" */
        const char *repository; /* "team/trace_open" */
        const char *username;
        const char *password;
        const char *identity_token; /* OAuth2 refresh token in place of a password */
        const char *proxy;
        const char *no_proxy;
        struct bytes client_cert; /* PEM */
        struct bytes client_key;
        bool is_plain_http;
        bool is_insecure;
        bool is_push;
};

enum fetch_kind { FETCH_MANIFEST, FETCH_BLOB, FETCH_REFERRERS, _FETCH_KIND_MAX };

struct msg_fetch_get {
        uint32_t job;          /* chosen by gadgetd, comes back in PROGRESS and RESULT */
        uint32_t kind;         /* enum fetch_kind */
        const char *reference; /* tag or digest */
        uint64_t offset;       /* bytes the fd already holds */
        uint64_t max;          /* more than this is an error */
};

struct msg_fetch_put {
        uint32_t job;
        uint32_t kind;
        const char *reference;  /* tag or digest of a manifest, digest of a blob */
        const char *media_type; /* of a manifest */
        const char *mount_from; /* repository of the same registry that may have this blob */
        uint64_t size;
};

struct msg_fetch_cancel {
        uint32_t job;
};

struct msg_fetch_progress {
        uint32_t job;
        uint64_t bytes; /* in the fd, or sent, so far */
};

struct msg_fetch_result {
        uint32_t job;
        const char *code; /* error_code_name(); absent = it worked */
        const char *message;
        uint32_t status; /* last HTTP status */
        uint64_t bytes;
        const char *media_type; /* Content-Type of a manifest */
        const char *digest;     /* Docker-Content-Digest, as the registry claims it */
        const char *warning;    /* a Warning header's text, once */
        bool was_present;       /* PUT: the registry had it already, or mounted it */
        bool spoke_tls;         /* it does, whatever came of it: plain http is no way to it */
};

/* The ids of gadgetd's own namespaces: what is in them is in no container. */
struct msg_watch_ready {
        uint64_t mntns;
        uint64_t netns;
};

/* The mount namespace's inode is the key; texts are valid UTF-8 without control characters. */
struct msg_container_added {
        uint32_t serial; /* not 0: a process is held until MSG_WATCH_PASS brings it back */
        uint64_t mntns;
        uint64_t netns;
        uint32_t pid;
        uint64_t started_ns; /* CLOCK_REALTIME */
        uint64_t cgroup_id;  /* 0 = not known */
        bool host_network;
        const char *id;
        const char *name;
        const char *runtime;
        const char *image;
        const char *digest;
        const char *cgroup;
        const char *k8s_namespace;
        const char *k8s_pod;
        const char *k8s_container;
        const char *k8s_labels;  /* of the pod: "a=b,c=d" */
        const char *k8s_sandbox; /* id of the pod's sandbox */
        const char *containerd_namespace;
        bool has_netns_fd; /* the first fd; not for the host's */
        bool has_root_fd;  /* the last fd, O_PATH */
};

struct msg_container_removed {
        uint64_t mntns;
};

struct msg_watch_full {
        bool is_full;
};

struct msg_watch_gate {
        bool hold;
};

struct msg_watch_pass {
        uint32_t serial;
};

/* What a worker shows of a container, and whether the kernel's filter lets it pass. */
struct msg_container_set {
        uint32_t serial; /* not 0: DONE brings it back */
        uint64_t mntns;
        uint64_t netns;
        uint32_t pid;
        uint64_t started_ns;
        bool has_ended; /* the filter forgets it, its name stays for late events */
        bool is_gone;   /* everything does */
        const char *id;
        const char *name;
        const char *runtime;
        const char *image;
        const char *digest;
        const char *k8s_namespace;
        const char *k8s_pod;
        const char *k8s_container;
        const char *k8s_labels;
        const char *k8s_node;
        bool host_network;
        bool has_netns_fd;
        bool has_root_fd;
};

struct msg_container_done {
        uint32_t serial;
};

struct msg_container_want {
        bool netns;
        bool roots;
};

struct msg_shared_map_want {
        bool with_paths;
};

struct msg_shared_map {
        const char *message; /* why there is none */
};

/* APIs of runtimes. */
enum api {
        API_DOCKER,
        API_PODMAN,
        API_CONTAINERD,
        API_CRI,
        _API_MAX,
};

#define ASK_FDS 2 /* a connection for each call: libcurl 7.88 cannot use one of HTTP/2 twice */

struct msg_ask {
        uint32_t job;
        uint32_t api; /* enum api */
        const char *id;
        const char *sandbox;   /* of its pod */
        const char *namespace; /* of containerd */
};

/* Texts are valid UTF-8 without control characters, as gadgetd checks again. */
struct msg_asked {
        uint32_t job;
        uint32_t failure; /* errno; 0 = none. What it learnt before is there all the same */
        const char *name;
        const char *image;
        const char *digest;
        const char *k8s_namespace;
        const char *k8s_pod;
        const char *k8s_container;
        const char *k8s_labels;
};

union message {
        struct msg_prepare prepare;
        struct msg_start start;
        struct msg_stop stop;
        struct msg_started started;
        struct msg_ready ready;
        struct msg_fault fault;
        struct msg_stopped stopped;
        struct msg_fetch_open fetch_open;
        struct msg_fetch_get fetch_get;
        struct msg_fetch_put fetch_put;
        struct msg_fetch_cancel fetch_cancel;
        struct msg_fetch_progress fetch_progress;
        struct msg_fetch_result fetch_result;
        struct msg_watch_ready watch_ready;
        struct msg_container_added container_added;
        struct msg_container_removed container_removed;
        struct msg_watch_full watch_full;
        struct msg_watch_gate watch_gate;
        struct msg_watch_pass watch_pass;
        struct msg_container_set container_set;
        struct msg_container_done container_done;
        struct msg_ask ask;
        struct msg_asked asked;
        struct msg_container_want container_want;
        struct msg_shared_map_want shared_map_want;
        struct msg_shared_map shared_map;
};

struct message_info {
        struct record record; /* record.name names the message in logs */
        uint8_t n_fds_min;
        uint8_t n_fds_max;
};
extern const struct message_info message_types[_MSG_MAX];
