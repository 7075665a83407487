/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a row costs between the kernel's buffer and the event ring: the field programs of two
 * gadgets over events as they come, beside msgpack-c packing the same fields by hand-written calls.
 *
 *   bench-codec FLOOD_OBJECT OPEN_OBJECT
 *
 * One JSON line a figure. "ratio" is against msgpack-c on the same events in the same run. CPU time
 * of this thread counts, so that a busy machine disturbs little.
 */
#include <bpf/libbpf.h>
#include <linux/types.h>
#include <msgpack.h>
#include <stdio.h>

#include "base/clock.h"
#include "bpf-sdk/include/gadget/types.h"
#include "worker/program.h"

#define EVENTS 4096 /* a kernel buffer's worth: they do not stay in the first cache */
#define ROUNDS_MIN_NS (NSEC_PER_SEC / 4)
#define REPETITIONS 5
#define FRAME_ROOM (64u << 10)
#define FRAMES 16

/* As in tests/bench/flood/program.bpf.c. */
struct flood_event {
        gadget_timestamp timestamp_raw;
        __u64 count;
        __u64 addr;
        gadget_pid pid;
        gadget_tid tid;
        gadget_uid uid;
        gadget_gid gid;
        __u32 cpu;
        __s32 result;
        __u64 number;
        gadget_comm comm[TASK_COMM_LEN];
        char text[56];
};

/* As in gadgets/trace_open/program.bpf.c. */
struct open_event {
        gadget_timestamp timestamp_raw;
        struct gadget_process proc;
        gadget_errno error_raw;
        __s32 fd;
        gadget_file_flags flags_raw;
        gadget_file_mode mode_raw;
        char fname[4096];
};

static const char *const paths[] = {
        "/dev/null",
        "/etc/ld.so.cache",
        "/lib/x86_64-linux-gnu/libc.so.6",
        "/usr/lib/x86_64-linux-gnu/gconv/gconv-modules.cache",
        "/proc/self/status",
        "/usr/lib/python3.11/encodings/__pycache__/utf_8.cpython-311.pyc",
        "/home/user/src/project/include/header.h",
        ".git/index",
};
static const char *const comms[] = { "bash", "python3", "systemd-journal", "cc1", "git" };

/* Events one behind the other as in a ring: each as long as was sent. */
struct events {
        uint8_t *data;
        uint32_t offset[EVENTS];
        uint32_t len[EVENTS];
        size_t used;
};

static uint64_t seed = 88172645463325252u;
static uint64_t next_random(void) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return seed;
}

static void add(struct events *e, size_t i, const void *event, size_t n) {
        e->offset[i] = (uint32_t)e->used;
        e->len[i] = (uint32_t)n;
        memcpy(e->data + e->used, event, n);
        e->used += ALIGN_UP(n + 8, 8);
}

/* mixed: processes and values change from event to event; else one process does the same again and
 * again. */
static void make_flood(struct events *e, bool mixed) {
        for (size_t i = 0; i < EVENTS; i++) {
                uint64_t x = mixed ? next_random() : 0;
                struct flood_event event = {
                        .timestamp_raw = 1000000000u + i * 1000,
                        .count = 100000 + i,
                        .addr = 0xffffc90001234567u + x % 4096,
                        .pid = 4000 + (uint32_t)(x % 100000),
                        .tid = 4000 + (uint32_t)(x % 100000),
                        .uid = x % 3 ? 0 : 1000,
                        .gid = x % 3 ? 0 : 1000,
                        .cpu = (uint32_t)(x % 2),
                        .result = -11,
                        .number = 110,
                        .text = "the quick brown fox jumps over the lazy dog",
                };

                snprintf(event.comm, sizeof(event.comm), "%s", comms[x % ARRAY_SIZE(comms)]);
                add(e, i, &event, sizeof(event));
        }
}

static void make_open(struct events *e, bool mixed) {
        static struct open_event event;

        for (size_t i = 0; i < EVENTS; i++) {
                uint64_t x = mixed ? next_random() : 0;
                const char *path = paths[x % ARRAY_SIZE(paths)];
                uint32_t pid = 4000 + (uint32_t)(x % 100000);

                event = (struct open_event){
                        .timestamp_raw = 1000000000u + i * 1000,
                        .proc = { .pid = pid,
                                  .tid = pid,
                                  .mntns_id = 4026531841u,
                                  .creds = { .uid = x % 3 ? 0 : 1000, .gid = x % 3 ? 0 : 1000 },
                                  .parent = { .pid = pid - 1, .tid = pid - 1, .comm = "bash" } },
                        .error_raw = x % 5 ? 0 : 2,
                        .fd = x % 5 ? 3 + (int)(x % 7) : -1,
                        .flags_raw = 02000000,
                };
                snprintf(event.proc.comm, sizeof(event.proc.comm), "%s",
                         comms[x % ARRAY_SIZE(comms)]);
                snprintf(event.fname, sizeof(event.fname), "%s", path);
                add(e, i, &event, offsetof(struct open_event, fname) + strlen(path) + 1);
        }
}

/* --- ours --- */

static struct program program;
static uint8_t *frames;

static uint64_t run_program(const struct events *e) {
        uint8_t *frame = frames, *out = frame;
        size_t n = 0;
        uint64_t bytes = 0;

        for (size_t i = 0; i < EVENTS; i++) {
                if (FRAME_ROOM - (size_t)(out - frame) < program.row_max) {
                        bytes += (uint64_t)(out - frame);
                        n = (n + 1) % FRAMES;
                        out = frame = frames + n * FRAME_ROOM;
                }
                out = program_run(&program, e->data + e->offset[i], e->len[i], 17, out);
        }
        return bytes + (uint64_t)(out - frame);
}

/* --- msgpack-c --- */

static msgpack_sbuffer sbuffer;
static msgpack_packer packer;

static void pack_text(const char *text, size_t n) {
        n = strnlen(text, n);
        msgpack_pack_str(&packer, n);
        msgpack_pack_str_body(&packer, text, n);
}

static uint64_t pack_flood(const struct events *e) {
        uint64_t bytes = 0;

        for (size_t i = 0; i < EVENTS; i++) {
                const struct flood_event *f = (const void *)(e->data + e->offset[i]);

                if (sbuffer.size > FRAME_ROOM - 256) {
                        bytes += sbuffer.size;
                        msgpack_sbuffer_clear(&sbuffer);
                }
                msgpack_pack_array(&packer, 12);
                msgpack_pack_uint64(&packer, f->timestamp_raw + 17);
                msgpack_pack_uint64(&packer, f->count);
                msgpack_pack_uint64(&packer, f->addr);
                msgpack_pack_uint32(&packer, f->pid);
                msgpack_pack_uint32(&packer, f->tid);
                msgpack_pack_uint32(&packer, f->uid);
                msgpack_pack_uint32(&packer, f->gid);
                msgpack_pack_uint32(&packer, f->cpu);
                msgpack_pack_int32(&packer, f->result);
                msgpack_pack_uint64(&packer, f->number);
                pack_text(f->comm, sizeof(f->comm));
                pack_text(f->text, sizeof(f->text));
        }
        return bytes + sbuffer.size;
}

static uint64_t pack_open(const struct events *e) {
        uint64_t bytes = 0;

        for (size_t i = 0; i < EVENTS; i++) {
                const struct open_event *f = (const void *)(e->data + e->offset[i]);
                const struct gadget_process *p = &f->proc;

                if (sbuffer.size > FRAME_ROOM - 4608) {
                        bytes += sbuffer.size;
                        msgpack_sbuffer_clear(&sbuffer);
                }
                msgpack_pack_array(&packer, 15);
                msgpack_pack_uint64(&packer, f->timestamp_raw + 17);
                pack_text(p->comm, sizeof(p->comm));
                msgpack_pack_uint32(&packer, p->pid);
                msgpack_pack_uint32(&packer, p->tid);
                msgpack_pack_uint64(&packer, p->mntns_id);
                msgpack_pack_uint32(&packer, p->creds.uid);
                msgpack_pack_uint32(&packer, p->creds.gid);
                pack_text(p->parent.comm, sizeof(p->parent.comm));
                msgpack_pack_uint32(&packer, p->parent.pid);
                msgpack_pack_uint32(&packer, p->parent.tid);
                msgpack_pack_uint32(&packer, f->error_raw);
                msgpack_pack_int32(&packer, f->fd);
                msgpack_pack_uint32(&packer, f->flags_raw);
                msgpack_pack_uint32(&packer, f->mode_raw);
                pack_text(f->fname, e->len[i] - offsetof(struct open_event, fname));
        }
        return bytes + sbuffer.size;
}

/* --- measuring --- */

/* Nanoseconds of CPU a row, the best of some repetitions; *ret_bytes of a row. */
static double measure(uint64_t (*func)(const struct events *), const struct events *e,
                      double *ret_bytes) {
        double best = 1e9;

        for (int i = 0; i < REPETITIONS; i++) {
                uint64_t rounds = 0, bytes = 0, begin = clock_ns(CLOCK_THREAD_CPUTIME_ID), spent;

                do {
                        msgpack_sbuffer_clear(&sbuffer);
                        bytes = func(e);
                        rounds++;
                        spent = clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin;
                } while (spent < ROUNDS_MIN_NS);
                best = MIN(best, (double)spent / (double)(rounds * EVENTS));
                *ret_bytes = (double)bytes / EVENTS;
        }
        return best;
}

static int load(const char *path, size_t expected_size) {
        struct type_enums enums = { 0 };
        struct type_options options = { 0 };
        struct event_type *type;
        struct bpf_object *object = bpf_object__open_file(path, NULL);
        struct btf *btf = object ? bpf_object__btf(object) : NULL;
        int id, r;

        if (!btf) {
                fprintf(stderr, "bench-codec: cannot open %s\n", path);
                return -ENOENT;
        }
        id = btf__find_by_name_kind(btf, "event", BTF_KIND_STRUCT);
        r = id < 0 ? id : event_type_new(btf, (uint32_t)id, &options, &enums, &type, NULL);
        if (r == 0 && type->size != expected_size) {
                fprintf(stderr,
                        "bench-codec: struct event of %s has %u bytes, not the %zu of here\n", path,
                        type->size, expected_size);
                r = -EINVAL;
        }
        return r < 0 ? r : program_init(&program, type);
}

static void figure(const char *name, uint64_t (*baseline)(const struct events *),
                   const struct events *e) {
        double bytes, theirs_bytes;
        double ours = measure(run_program, e, &bytes), theirs = measure(baseline, e, &theirs_bytes);

        printf("{\"name\": \"codec.%s\", \"value\": %.1f, \"unit\": \"ns/row\", \"n\": %d, "
               "\"fields\": %zu, "
               "\"bytes\": %.1f, \"msgpack_c\": %.1f, \"ratio\": %.2f}\n",
               name, ours, EVENTS, program.n_steps, bytes, theirs, ours / theirs);
}

int main(int argc, char **argv) {
        static struct events events;

        if (argc != 3) {
                fprintf(stderr, "usage: bench-codec FLOOD_OBJECT OPEN_OBJECT\n");
                return 2;
        }
        events.data = malloc((size_t)EVENTS * 512);
        frames = malloc((size_t)FRAMES * FRAME_ROOM);
        msgpack_sbuffer_init(&sbuffer);
        msgpack_packer_init(&packer, &sbuffer, msgpack_sbuffer_write);
        if (!events.data || !frames)
                return 1;
        for (int what = 0; what < 4; what++) {
                bool is_open = what / 2, mixed = what % 2;

                events.used = 0;
                if (is_open)
                        make_open(&events, mixed);
                else
                        make_flood(&events, mixed);
                if (load(argv[1 + is_open],
                         is_open ? sizeof(struct open_event) : sizeof(struct flood_event)) < 0)
                        return 1;
                figure(is_open ? mixed ? "open.mixed" : "open.steady"
                       : mixed ? "flood.mixed"
                               : "flood.steady",
                       is_open ? pack_open : pack_flood, &events);
        }
        return 0;
}
