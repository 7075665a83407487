/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libbpf holds numbers that it takes for program, map and link fds. Here each is a duplicate of one
 * idle eventfd, so that it can be compared, duplicated and closed like any other; a table says
 * which object of the broker it stands for. The linker sends libbpf's close(), dup3(), fcntl() and
 * ioctl() here (-Wl,--wrap).
 */
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "worker/host-link.h"
#include "worker/host.h"

#define FDS_MAX (LIMIT_BROKER_OBJECTS_MAX + 128)

static struct host_object table[FDS_MAX];
static int anchor_fd = -1;
static bool keeps_objects;

int __real_close(int fd);
int __real_dup3(int from, int to, int flags);
int __real_fcntl64(int fd, int cmd, ...);
int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_close(int fd);
int __wrap_dup3(int from, int to, int flags);
int __wrap_fcntl64(int fd, int cmd, ...);
int __wrap_fcntl(int fd, int cmd, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);

int host_fd_init(void) {
        anchor_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        return anchor_fd < 0 ? -errno : 0;
}

int host_fd_anchor(void) {
        return anchor_fd;
}

const struct host_object *host_fd_find(int fd) {
        return fd > 0 && fd < FDS_MAX && table[fd].handle ? &table[fd] : NULL;
}

uint32_t host_fd_handle(int fd) {
        const struct host_object *object = host_fd_find(fd);

        if (object)
                return object->handle;
        return fd == 0 ? BROKER_HANDLE_NONE : BROKER_HANDLE_BAD;
}

static void tell_closed(uint32_t handle) {
        struct broker_pair pair = { .object = handle };
        struct host_call call = CALL(BROKER_CLOSE, PART(&pair, sizeof(pair)));

        host_tell(&call);
}

int host_fd_add(const struct host_object *object, int take_real_fd) {
        int fd = take_real_fd;

        if (fd < 0)
                fd = __real_fcntl64(anchor_fd, F_DUPFD_CLOEXEC, 3);
        if (fd >= 0 && fd < FDS_MAX) {
                table[fd] = *object;
                return fd;
        }
        if (fd >= 0)
                __real_close(fd);
        if (!object->is_real)
                tell_closed(object->handle);
        return -EMFILE;
}

void host_keep_objects(void) {
        keeps_objects = true;
}

/* The object goes with its last number. */
int __wrap_close(int fd) {
        const struct host_object *object = host_fd_find(fd);
        uint32_t handle = object ? object->handle : 0;

        if (object) {
                table[fd] = (struct host_object){ 0 };
                for (int i = 0; i < FDS_MAX && handle; i++)
                        if (table[i].handle == handle)
                                handle = 0;
                if (handle && !keeps_objects)
                        tell_closed(handle);
        }
        return __real_close(fd);
}

int __wrap_dup3(int from, int to, int flags) {
        const struct host_object *object = host_fd_find(from);
        struct host_object copy = object ? *object : (struct host_object){ 0 };
        int fd;

        if (from != to && host_fd_find(to))
                (void)__wrap_close(to);
        fd = __real_dup3(from, to, flags);
        if (fd >= 0 && fd < FDS_MAX)
                table[fd] = copy;
        return fd;
}

int __wrap_fcntl64(int fd, int cmd, ...) {
        const struct host_object *object = host_fd_find(fd);
        va_list args;
        uint64_t arg;
        int r;

        va_start(args, cmd);
        arg = va_arg(args, uint64_t);
        va_end(args);
        r = __real_fcntl64(fd, cmd, arg);
        if (object && (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC) && r >= 0 && r < FDS_MAX)
                table[r] = *object;
        return r;
}

int __wrap_fcntl(int fd, int cmd, ...) {
        va_list args;
        uint64_t arg;

        va_start(args, cmd);
        arg = va_arg(args, uint64_t);
        va_end(args);
        return __wrap_fcntl64(fd, cmd, arg);
}

static int perf_control(const struct host_object *object, unsigned long request, uint64_t arg) {
        struct broker_perf_control control = { .event = object->handle };
        struct host_call call = CALL(BROKER_PERF_CONTROL, PART(&control, sizeof(control)));

        switch (request) {
        case PERF_EVENT_IOC_ENABLE:
                control.op = BROKER_PERF_ENABLE;
                break;
        case PERF_EVENT_IOC_DISABLE:
                control.op = BROKER_PERF_DISABLE;
                break;
        case PERF_EVENT_IOC_SET_BPF:
                control.op = BROKER_PERF_SET_BPF;
                control.prog = host_fd_handle((int)arg);
                break;
        default:
                return -ENOTTY;
        }
        return host_call(&call);
}

int __wrap_ioctl(int fd, unsigned long request, ...) {
        const struct host_object *object = host_fd_find(fd);
        va_list args;
        uint64_t arg;
        int r;

        va_start(args, request);
        arg = va_arg(args, uint64_t);
        va_end(args);
        if (!object)
                return __real_ioctl(fd, request, arg);
        r = object->is_map ? -ENOTTY : perf_control(object, request, arg);
        if (r < 0) {
                errno = -r;
                return -1;
        }
        return r;
}
