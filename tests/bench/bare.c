/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The baseline: the least that any consumer of the same object does. One process, stock libbpf, the
 * same ring, no boundary crossed.
 *
 *   bare open|flood OBJECT PID count|text|msgpack nap|each OUT
 *
 * count looks at nothing; text writes one row of columns an event; msgpack packs one array an
 * event. nap sleeps 1 ms after a wake-up and drains (so the kernel wakes it a thousand times a
 * second at most), each drains at once. Ends on SIGINT, with JSON on stderr.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/types.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mount.h>

#include "base/clock.h"
#include "base/util.h"
#include "bpf-sdk/include/gadget/types.h"
#include "ipc/mp.h"

/* As in gadgets/trace_open/program.bpf.c; checked against the object's BTF. */
struct open_event {
        gadget_timestamp timestamp_raw;
        struct gadget_process proc;
        gadget_errno error_raw;
        __s32 fd;
        gadget_file_flags flags_raw;
        gadget_file_mode mode_raw;
        char fname[4096];
};

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

static volatile sig_atomic_t ended;
static uint64_t n_rows, boot_offset_ns;
static int out_fd;
static uint8_t out[256 << 10];
static size_t out_len;

static void flush_out(void) {
        for (size_t done = 0; done < out_len;) {
                ssize_t n = write(out_fd, out + done, out_len - done);

                if (n < 0)
                        break;
                done += (size_t)n;
        }
        out_len = 0;
}

static uint8_t *put_text(uint8_t *p, const char *text, size_t max, size_t width) {
        size_t n = strnlen(text, max);

        memcpy(p, text, n);
        p += n;
        for (; n < width; n++)
                *p++ = ' ';
        *p++ = ' ';
        return p;
}

static uint8_t *put_number(uint8_t *p, int64_t value, size_t width) {
        char digits[24];
        size_t n = sizeof(digits);
        uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

        do {
                digits[--n] = (char)('0' + left % 10);
                left /= 10;
        } while (left);
        if (value < 0)
                digits[--n] = '-';
        return put_text(p, digits + n, sizeof(digits) - n, width);
}

/* The date is written anew only when the second changes. */
static uint8_t *put_time(uint8_t *p, uint64_t boot_ns) {
        static time_t last_second;
        static char text[24];
        uint64_t ns = boot_ns + boot_offset_ns;
        time_t second = (time_t)(ns / NSEC_PER_SEC);
        uint32_t left = (uint32_t)(ns % NSEC_PER_SEC);
        struct tm tm;

        if (second != last_second) {
                localtime_r(&second, &tm);
                strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S.", &tm);
                last_second = second;
        }
        memcpy(p, text, 20);
        for (int i = 28; i >= 20; i--, left /= 10)
                p[i] = (uint8_t)('0' + left % 10);
        p[29] = ' ';
        return p + 30;
}

static uint8_t *text_open(uint8_t *p, const struct open_event *e) {
        p = put_time(p, e->timestamp_raw);
        p = put_text(p, e->proc.comm, sizeof(e->proc.comm), 16);
        p = put_number(p, e->proc.pid, 7);
        p = put_number(p, e->proc.tid, 7);
        p = put_number(p, e->fd, 4);
        p = put_text(p, e->error_raw ? strerrorname_np((int)e->error_raw) : "", 20, 8);
        p = put_text(p, e->fname, sizeof(e->fname), 0);
        *p++ = '\n';
        return p;
}

static uint8_t *text_flood(uint8_t *p, const struct flood_event *e) {
        p = put_time(p, e->timestamp_raw);
        p = put_number(p, (int64_t)e->count, 10);
        p = put_number(p, (int64_t)e->addr, 20);
        p = put_number(p, e->pid, 7);
        p = put_number(p, e->tid, 7);
        p = put_number(p, e->uid, 6);
        p = put_number(p, e->gid, 6);
        p = put_number(p, e->cpu, 4);
        p = put_number(p, e->result, 6);
        p = put_number(p, (int64_t)e->number, 6);
        p = put_text(p, e->comm, sizeof(e->comm), 16);
        p = put_text(p, e->text, sizeof(e->text), 0);
        *p++ = '\n';
        return p;
}

static uint8_t *pack_open(uint8_t *p, const struct open_event *e) {
        p = mp_put_array(p, 17);
        p = mp_put_uint(p, e->timestamp_raw + boot_offset_ns);
        p = mp_put_str(p, e->proc.comm, (uint32_t)strnlen(e->proc.comm, sizeof(e->proc.comm)));
        p = mp_put_uint(p, e->proc.pid);
        p = mp_put_uint(p, e->proc.tid);
        p = mp_put_uint(p, e->proc.mntns_id);
        p = mp_put_uint(p, e->proc.creds.uid);
        p = mp_put_uint(p, e->proc.creds.gid);
        p = mp_put_str(p, e->proc.parent.comm,
                       (uint32_t)strnlen(e->proc.parent.comm, sizeof(e->proc.parent.comm)));
        p = mp_put_uint(p, e->proc.parent.pid);
        p = mp_put_uint(p, e->proc.parent.tid);
        p = mp_put_uint(p, e->error_raw);
        p = mp_put_int(p, e->fd);
        p = mp_put_uint(p, e->flags_raw);
        p = mp_put_uint(p, e->mode_raw);
        return mp_put_str(p, e->fname, (uint32_t)strnlen(e->fname, sizeof(e->fname)));
}

static uint8_t *pack_flood(uint8_t *p, const struct flood_event *e) {
        p = mp_put_array(p, 12);
        p = mp_put_uint(p, e->timestamp_raw + boot_offset_ns);
        p = mp_put_uint(p, e->count);
        p = mp_put_uint(p, e->addr);
        p = mp_put_uint(p, e->pid);
        p = mp_put_uint(p, e->tid);
        p = mp_put_uint(p, e->uid);
        p = mp_put_uint(p, e->gid);
        p = mp_put_uint(p, e->cpu);
        p = mp_put_int(p, e->result);
        p = mp_put_uint(p, e->number);
        p = mp_put_str(p, e->comm, (uint32_t)strnlen(e->comm, sizeof(e->comm)));
        return mp_put_str(p, e->text, (uint32_t)strnlen(e->text, sizeof(e->text)));
}

static int on_count(void *ctx, void *data, size_t size) {
        n_rows++;
        return 0;
}

#define ROW_MAX 8192
#define ON_EVENT(_name, _put, _type)                                                               \
        static int _name(void *ctx, void *data, size_t size) {                                     \
                if (out_len + ROW_MAX > sizeof(out))                                               \
                        flush_out();                                                               \
                out_len = (size_t)(_put(out + out_len, (const struct _type *)data) - out);         \
                n_rows++;                                                                          \
                return 0;                                                                          \
        }
ON_EVENT(on_open_text, text_open, open_event)
ON_EVENT(on_open_msgpack, pack_open, open_event)
ON_EVENT(on_flood_text, text_flood, flood_event)
ON_EVENT(on_flood_msgpack, pack_flood, flood_event)

static ring_buffer_sample_fn consumer(const char *what, const char *how) {
        if (str_eq(how, "count"))
                return on_count;
        if (str_eq(what, "open"))
                return str_eq(how, "text") ? on_open_text : on_open_msgpack;
        return str_eq(how, "text") ? on_flood_text : on_flood_msgpack;
}

static void die(const char *what, int r) {
        fprintf(stderr, "bare: %s: %s\n", what, strerror(-r));
        exit(1);
}

/* tracefs is not mounted on every machine. */
static void mount_tracefs(void) {
        if (access("/sys/kernel/tracing/events", F_OK) == 0)
                return;
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL) < 0)
                die("mounting tracefs", -errno);
}

/* Sets `const volatile gadget_pid targ_pid` of the object. */
static void set_pid(struct bpf_object *object, uint32_t pid) {
        struct btf *btf = bpf_object__btf(object);
        int id = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC);
        const struct btf_type *section = id < 0 ? NULL : btf__type_by_id(btf, (uint32_t)id);
        const struct btf_var_secinfo *var = section ? btf_var_secinfos(section) : NULL;
        struct bpf_map *map;
        size_t size;
        char *data;

        bpf_object__for_each_map(map, object) {
                if (!strstr(bpf_map__name(map), ".rodata"))
                        continue;
                data = (char *)bpf_map__initial_value(map, &size);
                for (uint32_t i = 0; var && i < btf_vlen(section); i++) {
                        const struct btf_type *t = btf__type_by_id(btf, var[i].type);

                        if (str_eq(btf__name_by_offset(btf, t->name_off), "targ_pid"))
                                memcpy(data + var[i].offset, &pid, sizeof(pid));
                }
        }
}

static void check_layout(struct bpf_object *object, size_t size) {
        struct btf *btf = bpf_object__btf(object);
        int id = btf__find_by_name_kind(btf, "event", BTF_KIND_STRUCT);

        if (id < 0 || btf__type_by_id(btf, (uint32_t)id)->size != size)
                die("struct event is not what this program knows", -EINVAL);
}

static uint64_t read_lost(struct bpf_object *object) {
        int fd = bpf_object__find_map_fd_by_name(object, "events_lost_samples");
        uint64_t values[1024] = { 0 }, lost = 0;
        uint32_t key = 0;

        if (fd < 0 || bpf_map_lookup_elem(fd, &key, values) < 0)
                return 0;
        for (int i = 0; i < libbpf_num_possible_cpus(); i++)
                lost += values[i];
        return lost;
}

static void on_signal(int signal) {
        ended = 1;
}

static struct bpf_object *load(const char *what, const char *path, uint32_t pid) {
        struct bpf_object *object = bpf_object__open_file(path, NULL);
        struct bpf_program *program;
        int r;

        if (!object)
                die(path, -errno);
        check_layout(object,
                     str_eq(what, "open") ? sizeof(struct open_event) : sizeof(struct flood_event));
        set_pid(object, pid);
        r = bpf_object__load(object);
        if (r < 0)
                die("load", r);
        bpf_object__for_each_program(program, object) if (!bpf_program__attach(program))
                die(bpf_program__name(program), -errno);
        return object;
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args) {
        return 0;
}

int main(int argc, char *argv[]) {
        const struct timespec nap = { 0, (long)NSEC_PER_MSEC };
        struct epoll_event ready;
        struct bpf_object *object;
        struct ring_buffer *ring;
        bool naps;

        if (argc < 7) {
                fprintf(stderr,
                        "usage: bare open|flood OBJECT PID count|text|msgpack nap|each OUT\n");
                return 2;
        }
        naps = str_eq(argv[5], "nap");
        out_fd = str_eq(argv[6], "-")
                         ? 1
                         : open(argv[6], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (out_fd < 0)
                die(argv[6], -errno);
        boot_offset_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME);
        sigaction(SIGINT, &(struct sigaction){ .sa_handler = on_signal }, NULL);
        sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_signal }, NULL);
        libbpf_set_print(quiet);
        mount_tracefs();
        object = load(argv[1], argv[2], (uint32_t)strtoul(argv[3], NULL, 10));
        ring = ring_buffer__new(bpf_object__find_map_fd_by_name(object, "events"),
                                consumer(argv[1], argv[4]), NULL, NULL);
        if (!ring)
                die("ring", -errno);
        while (!ended) {
                if (epoll_wait(ring_buffer__epoll_fd(ring), &ready, 1, -1) < 0)
                        continue;
                if (naps)
                        nanosleep(&nap, NULL);
                ring_buffer__consume(ring);
                /* What is there is shown; under load that is a whole nap's worth of rows. */
                flush_out();
        }
        ring_buffer__consume(ring);
        flush_out();
        fprintf(stderr, "{\"rows\": %llu, \"lost\": %llu}\n", (unsigned long long)n_rows,
                (unsigned long long)read_lost(object));
        return 0;
}
