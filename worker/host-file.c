/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few files of the host that libbpf reads. There is none in the worker's root: their content
 * comes from the broker, or from what it said at the start. Every other path does not exist. The
 * linker sends libbpf's fopen(), open() and faccessat() here.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "worker/host-link.h"
#include "worker/host.h"

enum file_kind {
        FILE_NONE,
        FILE_TEXT,
        FILE_BTF,
        FILE_ROOT, /* "/", which libbpf opens to reserve a number */
};

FILE *__wrap_fopen64(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_faccessat(int dir_fd, const char *path, int mode, int flags);
int __wrap_access(const char *path, int mode);

/* "CATEGORY/NAME" of ".../events/CATEGORY/NAME/id", or empty. */
static struct bytes tracepoint_of(const char *path) {
        const char *name = str_after(path, "/sys/kernel/tracing/events/");
        size_t n;

        if (!name)
                name = str_after(path, "/sys/kernel/debug/tracing/events/");
        n = name ? strlen(name) : 0;
        if (n < 4 || !str_eq(name + n - 3, "/id"))
                return BYTES(NULL, 0);
        return BYTES(name, n - 3);
}

static int ask_tracepoint(struct bytes name) {
        struct host_call call = CALL(BROKER_TRACEPOINT_ID, PART(name.data, name.len));

        return host_call(&call);
}

static const struct {
        const char *path;
        struct broker_pmu_request request;
        const char *format;
} pmu_files[] = {
        { "/sys/bus/event_source/devices/kprobe/type", { BROKER_PMU_KPROBE, BROKER_PMU_TYPE }, "" },
        { "/sys/bus/event_source/devices/uprobe/type", { BROKER_PMU_UPROBE, BROKER_PMU_TYPE }, "" },
        { "/sys/bus/event_source/devices/kprobe/format/retprobe",
          { BROKER_PMU_KPROBE, BROKER_PMU_RETPROBE_BIT },
          "config:" },
        { "/sys/bus/event_source/devices/uprobe/format/retprobe",
          { BROKER_PMU_UPROBE, BROKER_PMU_RETPROBE_BIT },
          "config:" },
};

/* What is behind the path; for FILE_TEXT its content. Negative: the broker's errno. */
static int find_file(const char *path, char *text, size_t n) {
        struct bytes tracepoint = tracepoint_of(path);
        int r;

        if (str_eq(path, "/"))
                return FILE_ROOT;
        if (str_eq(path, "/sys/kernel/btf/vmlinux"))
                return host_btf().len > 0 ? FILE_BTF : FILE_NONE;
        if (str_eq(path, "/sys/devices/system/cpu/possible")) {
                snprintf(text, n, "0-%" PRIu32 "\n", host_n_cpus() - 1);
                return FILE_TEXT;
        }
        if (tracepoint.len > 0) {
                r = ask_tracepoint(tracepoint);
                if (r >= 0)
                        snprintf(text, n, "%d\n", r);
                return r < 0 ? r : FILE_TEXT;
        }
        for (size_t i = 0; i < ARRAY_SIZE(pmu_files); i++) {
                struct broker_pmu_request request = pmu_files[i].request;
                struct host_call call = CALL(BROKER_PMU, PART(&request, sizeof(request)));

                if (!str_eq(path, pmu_files[i].path))
                        continue;
                r = host_call(&call);
                if (r >= 0)
                        snprintf(text, n, "%s%d\n", pmu_files[i].format, r);
                return r < 0 ? r : FILE_TEXT;
        }
        return FILE_NONE;
}

FILE *__wrap_fopen64(const char *path, const char *mode) {
        char text[64];
        FILE *file;

        switch (find_file(path, text, sizeof(text))) {
        case FILE_TEXT:
                file = fmemopen(NULL, strlen(text) + 1, "w+");
                if (!file)
                        return NULL;
                fputs(text, file);
                rewind(file);
                return file;
        case FILE_BTF:
                return fmemopen((void *)(uintptr_t)host_btf().data, host_btf().len, "r");
        default:
                errno = ENOENT;
                return NULL;
        }
}

FILE *__wrap_fopen(const char *path, const char *mode) {
        return __wrap_fopen64(path, mode);
}

/* A pipe that holds the text: reading it ends like a file. */
static int open_text(const char *text) {
        int fds[2];

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -1;
        if (write(fds[1], text, strlen(text)) < 0) {
                close(fds[0]);
                fds[0] = -1;
        }
        close(fds[1]);
        return fds[0];
}

int __wrap_open64(const char *path, int flags, ...) {
        char text[64];

        switch (find_file(path, text, sizeof(text))) {
        case FILE_TEXT:
                return open_text(text);
        case FILE_BTF:
                return fcntl(host_btf_fd(), F_DUPFD_CLOEXEC, 3);
        case FILE_ROOT:
                return fcntl(host_fd_anchor(), F_DUPFD_CLOEXEC, 3);
        default:
                errno = ENOENT;
                return -1;
        }
}

int __wrap_open(const char *path, int flags, ...) {
        return __wrap_open64(path, flags);
}

/* Asked before opening; the broker is asked once, when the file is opened. */
int __wrap_faccessat(int dir_fd, const char *path, int mode, int flags) {
        if (str_eq(path, "/sys/kernel/btf/vmlinux") && host_btf().len > 0)
                return 0;
        errno = ENOENT;
        return -1;
}

int __wrap_access(const char *path, int mode) {
        return __wrap_faccessat(AT_FDCWD, path, mode, 0);
}
