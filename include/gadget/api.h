/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers that more than one process must agree on: protocol versions, fixed file descriptors,
 * and every limit on what somebody else can make one of our processes allocate. Each limit is
 * reached by a test (tests/limits names it). Sizes are bytes and times are nanoseconds where the
 * name does not say else.
 */
#pragma once

#define GADGET_PROTOCOL 1     /* client protocol spoken by this build */
#define GADGET_PROTOCOL_MIN 1 /* oldest client protocol still understood */

/* File descriptors that a child of ours finds open, all others being closed. */
enum child_fd {
        CHILD_FD_CHANNEL = 3, /* SOCK_SEQPACKET to the parent */
        CHILD_FD_LOG = 4,     /* SOCK_SEQPACKET, one log record a datagram, see base/log.h */
};

/* X-macro table: name, value, unit, what is bounded and what happens at the bound. docs and tests
 * read it. */
/* clang-format off */
#define GADGET_LIMITS(X)                                                                                    \
        X(NAME_MAX_LEN,            64, "bytes",   "instance name; refused")                                  \
        X(IMAGE_REF_MAX,          512, "bytes",   "image reference; refused")                                \
        X(PARAM_KEY_MAX,          128, "bytes",   "parameter key; refused")                                  \
        X(PARAM_VALUE_MAX,       4096, "bytes",   "parameter value; refused")                                \
        X(PARAMS_MAX,             128, "entries", "parameters of one run; refused")                          \
        X(OBJECT_SIZE_MAX, (16 << 20), "bytes",   "eBPF object of an image or a request; refused")           \
        X(DEFINITION_SIZE_MAX, (1 << 20), "bytes", "gadget.yaml; refused")                                   \
        X(MANIFEST_SIZE_MAX, (4 << 20), "bytes",  "OCI manifest or index; refused")                          \
        X(BLOB_SIZE_MAX,  (256 << 20), "bytes",   "one blob from a registry or an archive; refused")         \
        X(IMAGE_SIZE_MAX, (1 << 30), "bytes",     "all blobs of one image; refused")                         \
        X(TRANSFERS_MAX,           16, "entries", "pulls and pushes at once; refused")                       \
        X(SIGNATURES_MAX,          32, "entries", "signatures looked at for one image; the rest is ignored") \
        X(BLOB_CHUNK_MAX, (1 << 20), "bytes",     "one piece of a blob in image.read and image.write; refused") \
        X(CLIENT_FRAME_MAX, (40 << 20), "bytes",  "one message from a client; the client is closed")         \
        X(CLIENT_DEPTH_MAX,        16, "levels",  "nesting of a client's message; the client is closed")     \
        X(CLIENT_BUFFER_MAX, (1 << 20), "bytes",  "unsent data of one client; rows stay in the ring, then are counted as lost") \
        X(CLIENTS_MAX,            256, "entries", "connected clients; the next one is told and closed")      \
        X(STREAMS_PER_CLIENT_MAX,  64, "entries", "attachments of one client; refused")                      \
        X(INSTANCES_MAX,          512, "entries", "instances; refused")                                      \
        X(FRAME_MAX,      (192 << 10), "bytes",   "one datagram between our own processes; the peer is ended") \
        X(SCHEMA_SIZE_MAX, (160 << 10), "bytes",    "encoded schema of a gadget; the gadget fails")            \
        X(STREAMS_MAX,             16, "entries", "data sources of a gadget; the gadget fails")              \
        X(FIELDS_MAX,             512, "entries", "fields of a data source; the gadget fails")               \
        X(TYPE_DEPTH_MAX,          16, "levels",  "nesting of an event type; the gadget fails")              \
        X(EVENT_SIZE_MAX, (64 << 10), "bytes",    "one event in a kernel buffer; dropped and counted")       \
        X(EVENT_RING_MIN, (64 << 10), "bytes",    "event ring of an instance; refused")                      \
        X(EVENT_RING_MAX, (64 << 20), "bytes",    "event ring of an instance; refused")                      \
        X(BROKER_PAYLOAD_MAX, (24 << 20), "bytes", "payload of one broker request; the worker is ended")     \
        X(BROKER_OBJECTS_MAX,    1024, "entries", "programs, maps, links, events of a gadget; the worker is ended") \
        X(MAP_BYTES_MAX,  (256 << 20), "bytes",   "kernel memory of a gadget's maps; the map is refused")    \
        X(INSNS_MAX,          1000000, "entries", "instructions of a program; the worker is ended")          \
        X(PROBE_FUNCTIONS_MAX,   1000, "entries", "functions that a pattern of kprobe.multi matches; not attached") \
        X(VERIFIER_LOG_MAX, (1 << 20), "bytes",   "verifier log handed back; cut at the front")              \
        X(CONTAINERS_MAX,        4096, "entries", "containers known at once; further ones are not listed")   \
        X(NETNS_MAX,             1024, "entries", "network namespaces that one gadget goes into; further ones are left out") \
        X(PROBE_FILES_MAX,        256, "entries", "files that a gadget's uprobes go into; told, and further files are left out") \
        X(PROBE_READS_MAX,       8192, "entries", "reads of 64 KiB of a file in which a function is looked for; told, and it is left out") \
        X(LD_CACHE_MAX,   (4 << 20), "bytes",     "list of libraries of a container; told, and not read") \
        X(SELECTION_MAX,         4096, "bytes",   "one list of containers of a run; refused")                  \
        X(CONTAINER_TEXT_MAX,     255, "bytes",   "a container's id, name, image and so on; left out")       \
        X(CONTAINER_LABELS_MAX, 1023, "bytes",    "labels of a pod, as a,b=c; further ones are left out")      \
        X(RUNTIME_ANSWER_MAX, (1 << 20), "bytes", "one answer of a runtime's API; not used")                 \
        X(OCI_FILE_MAX,   (1 << 20), "bytes",     "state or bundle file of a container; not read")           \
        X(STACK_FRAMES_MAX,       127, "entries", "frames of a stack; maps of deeper ones are not looked into") \
        X(MAPPINGS_MAX,          1024, "entries", "places where one process executes files; frames elsewhere have no names") \
        X(FUNCTIONS_MAX,  (256 << 10), "entries", "functions of one program or library; the rest has no names") \
        X(SYMBOL_BYTES_MAX, (32 << 20), "bytes",  "names of functions that a worker remembers; files not used for long are forgotten") \
        X(PROCESSES_MAX,          256, "entries", "processes of which a worker remembers where they execute; as above") \
        X(STACK_TEXT_MAX, (16 << 10), "bytes",    "one stack as text; cut")                                \
        X(LOG_TEXT_MAX,          2048, "bytes",   "one log record of a child; cut")                          \
        X(ERROR_DETAIL_MAX, (16 << 10), "bytes",  "detail of a failure, such as a verifier log's tail; cut at the front")
/* clang-format on */

#define GADGET_LIMIT_ENUM(_name, _value, _unit, _what) LIMIT_##_name = (_value),
enum gadget_limit { GADGET_LIMITS(GADGET_LIMIT_ENUM) };
#undef GADGET_LIMIT_ENUM

#define EVENT_RING_DEFAULT (1u << 20)

/* uids of fetchers: FETCHER_UID_BASE + slot. */
#define FETCHER_UID_BASE 1899000000u

/* uids of brokers' workers: WORKER_UID_BASE + slot, one slot an instance, never shared by two at
 * once. */
#define WORKER_UID_BASE 1900000000u
