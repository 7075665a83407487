/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker reduced to stock libbpf on top of worker/host*.c: loads shim.bpf.c, uses each kind of
 * map and program through its broker, and counts what comes out of the ring. Its image name is the
 * pid to trace. The first thing that is not as it should be ends it with a fault; the count of
 * events goes out through the bell.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/parse.h"
#include "gadget/api.h"
#include "worker/host.h"

#define SAY_MAX 8192
static char said[SAY_MAX];

static int on_libbpf(enum libbpf_print_level level, const char *fmt, va_list args) {
        size_t n = strlen(said);

        if (level == LIBBPF_WARN)
                vsnprintf(said + n, sizeof(said) - n, fmt, args);
        return 0;
}

static void fail(int line, const char *what) {
        struct error err = { 0 };

        error_set(&err, ERROR_INTERNAL, -EIO, "shim.c:%d: %s: %s", line, what, strerror(errno));
        host_fault(&err, said);
        _exit(1);
}
#define CHECK(_what) ((_what) ? (void)0 : fail(__LINE__, #_what))

static struct bpf_object *object;

static int map(const char *name) {
        return bpf_object__find_map_fd_by_name(object, name);
}

static struct bpf_program *program(const char *name) {
        return bpf_object__find_program_by_name(object, name);
}

static void load(const struct host_start *start) {
        struct bpf_map *rodata;
        uint32_t *pid;
        struct stat st;
        size_t size;
        void *data;

        libbpf_set_print(on_libbpf);
        CHECK(fstat(start->object_fd, &st) == 0);
        data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, start->object_fd, 0);
        CHECK(data != MAP_FAILED);
        object = bpf_object__open_mem(data, (size_t)st.st_size, NULL);
        CHECK(object);
        rodata = bpf_object__find_map_by_name(object, ".rodata");
        CHECK(rodata);
        pid = (uint32_t *)(uintptr_t)bpf_map__initial_value(rodata, &size);
        CHECK(pid && size >= sizeof(*pid));
        CHECK(parse_u32(start->image, 1, INT32_MAX, pid) == 0);
        CHECK(bpf_object__load(object) == 0);
}

static void use_hash(int fd) {
        uint32_t keys[4], key, next, position, count = ARRAY_SIZE(keys);
        uint64_t values[4], value;

        for (key = 100; key < 104; key++) {
                value = key * 2;
                CHECK(bpf_map_update_elem(fd, &key, &value, BPF_NOEXIST) == 0);
        }
        key = 101;
        CHECK(bpf_map_update_elem(fd, &key, &value, BPF_NOEXIST) < 0 && errno == EEXIST);
        CHECK(bpf_map_lookup_elem(fd, &key, &value) == 0 && value == 202);
        CHECK(bpf_map_get_next_key(fd, NULL, &next) == 0 && next >= 100 && next < 104);
        CHECK(bpf_map_get_next_key(fd, &next, &key) == 0 && key != next);
        key = 5000;
        CHECK(bpf_map_lookup_elem(fd, &key, &value) < 0 && errno == ENOENT);
        key = 103;
        CHECK(bpf_map_lookup_and_delete_elem(fd, &key, &value) == 0 && value == 206);
        CHECK(bpf_map_lookup_elem(fd, &key, &value) < 0 && errno == ENOENT);
        CHECK(bpf_map_lookup_batch(fd, NULL, &position, keys, values, &count, NULL) < 0 &&
              errno == ENOENT && count == 3);
        for (uint32_t i = 0; i < count; i++)
                CHECK(values[i] == keys[i] * 2);
        CHECK(bpf_map_delete_batch(fd, keys, &count, NULL) == 0 && count == 3);
        CHECK(bpf_map_get_next_key(fd, NULL, &next) < 0 && errno == ENOENT);
        count = 2;
        CHECK(bpf_map_update_batch(fd, keys, values, &count, NULL) == 0 && count == 2);
        CHECK(bpf_map_lookup_elem(fd, &keys[1], &value) == 0 && value == values[1]);
        CHECK(bpf_map_delete_elem(fd, &keys[0]) == 0 && bpf_map_delete_elem(fd, &keys[1]) == 0);
}

/* Maps that hold fds: the broker's, not ours. */
static void use_maps_of_fds(void) {
        int inner = map("inner_map"), prog = bpf_program__fd(program("on_getppid"));
        struct bpf_map_info info = { 0 };
        uint32_t key = 1, len = sizeof(info), id;

        CHECK(bpf_map_update_elem(map("jumps"), &key, &prog, BPF_ANY) == 0);
        CHECK(bpf_map_lookup_elem(map("jumps"), &key, &id) == 0 && id > 0);
        CHECK(bpf_map_update_elem(map("outer"), &key, &inner, BPF_ANY) == 0);
        CHECK(bpf_map_lookup_elem(map("outer"), &key, &id) == 0 && id > 0);
        CHECK(bpf_obj_get_info_by_fd(inner, &info, &len) == 0);
        CHECK(info.type == BPF_MAP_TYPE_ARRAY && info.id == id &&
              strcmp(info.name, "inner_map") == 0);
}

static int is_read_only(int fd) {
        return (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY;
}

static void read_iterator(const struct bpf_link *link, uint32_t pid) {
        uint32_t found = 0, netns = 0;
        int fd = -1;

        CHECK(host_iter_create(bpf_link__fd(link), &netns, &fd) == 0 && netns == 0);
        CHECK(read(fd, &found, sizeof(found)) == sizeof(found) && found == pid);
        close(fd);
}

static uint64_t n_events;

static int on_event(void *ctx, void *data, size_t size) {
        /* In order, none missing. */
        CHECK(size == sizeof(uint64_t) && *(uint64_t *)data == n_events);
        n_events++;
        return 0;
}

static void run(const struct host_start *start, struct ring_buffer *ring) {
        struct pollfd fds[] = { { .fd = host_fd(), .events = POLLIN },
                                { .fd = ring_buffer__epoll_fd(ring), .events = POLLIN } };
        enum host_event event = HOST_NONE;

        while (event == HOST_NONE || event == HOST_CONTAINER) {
                CHECK(ppoll(fds, ARRAY_SIZE(fds), NULL, NULL) > 0);
                CHECK(ring_buffer__consume(ring) >= 0);
                event = fds[0].revents ? host_next() : HOST_NONE;
        }
        CHECK(event == HOST_STOP);
        CHECK(ring_buffer__consume(ring) >= 0);
        CHECK(write(start->bell_fd, &n_events, sizeof(n_events)) == sizeof(n_events));
}

/* The broker's hellos while nothing is attached. */
static void inspect(void) {
        struct error err = { 0 };

        host_declare_hook("tracepoint/syscalls/sys_enter_getppid");
        CHECK(host_ready(BYTES("\x80", 1), &err) == 0);
        _exit(0);
}

int main(void) {
        int ring_fd = -1, counts_fd = -1, writable_fd = -1;
        struct ring_buffer *ring;
        struct host_start start;
        struct bpf_link *iter = NULL;
        struct error err = { 0 };
        uint32_t key = 7, pid;
        uint64_t count = 0;

        log_init("shim", CHILD_FD_LOG);
        if (host_init(CHILD_FD_CHANNEL, &start, &err) < 0) {
                host_fault(&err, NULL);
                return 1;
        }
        load(&start);
        if (start.inspect)
                inspect();
        CHECK(parse_u32(start.image, 1, INT32_MAX, &pid) == 0);
        CHECK(libbpf_num_possible_cpus() == (int)start.n_cpus);
        use_hash(map("counts"));
        use_maps_of_fds();

        CHECK(bpf_program__attach(program("on_getppid")));
        CHECK(bpf_program__attach(program("on_sys_enter")));
        if (start.btf_fd >= 0) {
                CHECK(bpf_program__attach(program("on_sys_exit")));
                iter = bpf_program__attach_iter(program("on_task"), NULL);
                CHECK(iter);
                read_iterator(iter, pid);
        }
        CHECK(host_map_fd(map("events"), &ring_fd) == 0 && !is_read_only(ring_fd));
        ring = ring_buffer__new(ring_fd, on_event, NULL, NULL);
        CHECK(ring);
        CHECK(host_map_fd(map("counts"), &counts_fd) == 0 && is_read_only(counts_fd));
        CHECK(host_map_fd_writable(map("counts"), &writable_fd) == 0 && !is_read_only(writable_fd));
        CHECK(host_map_fd_writable(map("jumps"), &(int){ -1 }) == -EPERM);
        key = 1;
        CHECK(bpf_map_update_elem(writable_fd, &key, &count, BPF_ANY) == 0);

        CHECK(host_ready(BYTES("\x80", 1), &err) == 0);

        /* Now by ourselves, where the kernel allows it, and through the broker. */
        CHECK(bpf_map_lookup_elem(counts_fd, &key, &count) == 0);
        CHECK(bpf_map_delete_elem(counts_fd, &key) < 0 && errno == EPERM);
        CHECK(bpf_map_delete_elem(writable_fd, &key) == 0);
        CHECK(bpf_map_lookup_elem(map("counts"), &key, &count) < 0 && errno == ENOENT);
        if (iter)
                read_iterator(iter, pid);
        /* The test begins when all of this is done: at STOP the iterator goes. */
        CHECK(write(start.bell_fd, &(uint64_t){ 1 }, 8) == 8);
        run(&start, ring);
        host_done();
        return 0;
}
