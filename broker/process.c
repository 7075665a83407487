/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has to be known of a process to put names to the addresses of its stack: which files it
 * executes from, where, and those files to read. Asked for by workers, which see no process. Only
 * numbers are taken from /proc/PID/maps, never a path: files are opened by /proc/PID/map_files,
 * which leads to the very file that is mapped, in whatever container, deleted or not.
 */
#include <elf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "base/parse.h"
#include "broker/broker.h"

#define STAT_ROOM 2048
#define STAT_START_TIME 22 /* fields of /proc/PID/stat, as proc(5) counts them */
#define STAT_START_CODE 26
#define LINE_ROOM (64u << 10) /* paths have 4096 bytes at most, each of which may be escaped */
#define MAPS_MAX (32u << 20)  /* all lines of one process */

/* --- which process --- */

/* Of a worker that sees some containers only: whether the process is in one of them. */
static bool is_visible(const struct broker *b, int dir_fd) {
        struct stat st;

        if (b->is_host_wide)
                return true;
        if (fstatat(dir_fd, "ns/mnt", &st, 0) < 0)
                return false;
        for (size_t i = 0; i < b->containers.n; i++)
                if (b->containers.items[i].mntns == st.st_ino &&
                    !b->containers.items[i].is_filtered_out)
                        return true;
        return false;
}

/* The pid's directory, which stays that of this very process. The pid comes from an event, and is
 * the host's. */
static int open_process(const struct broker *b, uint32_t pid, int *ret_fd) {
        char path[32];
        int fd;

        if (b->has_own_pids)
                return -ESRCH;
        snprintf(path, sizeof(path), "/proc/%u", pid);
        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        if (!is_visible(b, fd)) {
                close_fd(&fd);
                return -EACCES;
        }
        *ret_fd = fd;
        return 0;
}

/* Numbers of /proc/PID/stat. The name of the process, in front, may be anything; it ends with the
 * last parenthesis. */
static int read_stat(int dir_fd, struct broker_process *ret) {
        cleanup_close int fd = openat(dir_fd, "stat", O_RDONLY | O_CLOEXEC);
        char text[STAT_ROOM];
        uint64_t start_ticks = 0;
        const char *at;
        ssize_t n;

        n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        if (n < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        text[n] = '\0';
        at = strrchr(text, ')');
        for (int field = 2; at && field <= STAT_START_CODE; field++, at = strchr(at, ' ')) {
                at++;
                if (field == STAT_START_TIME)
                        (void)parse_leading(&at, 10, &start_ticks);
                if (field == STAT_START_CODE)
                        (void)parse_leading(&at, 10, &ret->start_code);
        }
        if (start_ticks == 0 || ret->start_code == 0)
                return -ESRCH; /* it is ending: it has no memory any more */
        ret->start_ns = start_ticks * (NSEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK));
        return 0;
}

/* --- its mappings --- */

static bool read_hex(const char **at, char end, uint64_t *ret) {
        if (!parse_leading(at, 16, ret) || **at != end)
                return false;
        ++*at;
        return true;
}

/* "start-end r-xp offset major:minor inode path". True when code is mapped there from a file. */
static bool read_line(const char *line, struct broker_mapping *ret) {
        uint64_t major, minor;
        const char *at = line;
        bool is_code;

        if (!read_hex(&at, '-', &ret->start) || !read_hex(&at, ' ', &ret->end) ||
            strnlen(at, 5) < 5)
                return false;
        is_code = at[2] == 'x';
        at += 5;
        if (!is_code || !read_hex(&at, ' ', &ret->offset) || !read_hex(&at, ':', &major) ||
            !read_hex(&at, ' ', &minor))
                return false;
        return parse_leading(&at, 10, &ret->inode) && ret->inode != 0;
}

static void add_mapping(struct broker_process *process, struct buf *out, const char *line) {
        struct broker_mapping mapping;

        if (!read_line(line, &mapping))
                return;
        if (process->n_mappings == LIMIT_MAPPINGS_MAX)
                process->n_missing++;
        else if (buf_append(out, &mapping, sizeof(mapping)) == 0)
                process->n_mappings++;
}

/* Of a line only its front is looked at, however long it is. */
static int read_maps(int dir_fd, struct broker_process *process, struct buf *out) {
        cleanup_close int fd = openat(dir_fd, "maps", O_RDONLY | O_CLOEXEC);
        cleanup_free char *text = malloc(LINE_ROOM + 1);
        size_t len = 0, total = 0;
        ssize_t n;

        if (fd < 0 || !text)
                return fd < 0 ? -errno : -ENOMEM;
        while ((n = read(fd, text + len, LINE_ROOM - len)) > 0) {
                char *line = text, *end;

                len += (size_t)n;
                total += (size_t)n;
                while ((end = memchr(line, '\n', len - (size_t)(line - text)))) {
                        *end = '\0';
                        add_mapping(process, out, line);
                        line = end + 1;
                }
                len -= (size_t)(line - text);
                memmove(text, line, len);
                if (len == LINE_ROOM || total > MAPS_MAX)
                        return -E2BIG;
        }
        return n < 0 ? -errno : 0;
}

static int check_stacks(const struct broker *b, const char *what, struct error *err) {
        if (b->has_stacks)
                return 0;
        return error_set(err, ERROR_DENIED, -EPERM,
                         "the worker asked for %s of a process without a map of stacks", what);
}

int on_process(struct broker *b, const struct request *request, struct reply *reply,
               struct error *err) {
        const struct broker_pair *want = request->body;
        struct broker_process process = { 0 };
        cleanup_buf struct buf mappings =
                BUF_INIT(LIMIT_MAPPINGS_MAX * sizeof(struct broker_mapping));
        cleanup_close int dir_fd = -1;
        int r;

        r = check_stacks(b, "mappings", err);
        if (r < 0)
                return r;
        reply->result = open_process(b, want->object, &dir_fd);
        if (reply->result == 0)
                reply->result = read_stat(dir_fd, &process);
        if (reply->result == 0)
                reply->result = read_maps(dir_fd, &process, &mappings);
        if (reply->result < 0)
                return 0;
        buf_append(&reply->payload, &process, sizeof(process));
        buf_append(&reply->payload, mappings.data, mappings.len);
        return 0;
}

/* --- a file that it has mapped --- */

/* By O_PATH first: a file system that a user serves need not answer when a file is opened. */
static int open_mapped(int dir_fd, const struct broker_mapped_file *want, int *ret_fd) {
        cleanup_close int path_fd = -1, fd = -1;
        struct statfs fs;
        char path[64];

        snprintf(path, sizeof(path), "map_files/%llx-%llx", (unsigned long long)want->start,
                 (unsigned long long)want->end);
        path_fd = openat(dir_fd, path, O_PATH | O_CLOEXEC);
        if (path_fd < 0 || fstatfs(path_fd, &fs) < 0)
                return -errno;
        if (fs.f_type == FUSE_SUPER_MAGIC)
                return -EACCES;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* Programs and libraries that everybody may read, as on_target() has it. */
static int check_file(int fd, struct broker_file *ret) {
        unsigned char magic[SELFMAG];
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || !(st.st_mode & S_IROTH))
                return -EACCES;
        if (pread(fd, magic, sizeof(magic), 0) != sizeof(magic) ||
            memcmp(magic, ELFMAG, SELFMAG) != 0)
                return -ENOEXEC;
        *ret = (struct broker_file){
                .dev = st.st_dev,
                .inode = st.st_ino,
                .size = (uint64_t)st.st_size,
                .mtime_ns =
                        (uint64_t)st.st_mtim.tv_sec * NSEC_PER_SEC + (uint64_t)st.st_mtim.tv_nsec,
        };
        return 0;
}

int on_mapped_file(struct broker *b, const struct request *request, struct reply *reply,
                   struct error *err) {
        const struct broker_mapped_file *want = request->body;
        struct broker_process process = { 0 };
        cleanup_close int dir_fd = -1, fd = -1;
        struct broker_file file;
        int r;

        r = check_stacks(b, "a file", err);
        if (r < 0)
                return r;
        reply->result = open_process(b, want->pid, &dir_fd);
        if (reply->result == 0)
                reply->result = read_stat(dir_fd, &process);
        if (reply->result == 0 && process.start_ns != want->start_ns)
                reply->result = -ESRCH; /* another one has its pid */
        if (reply->result == 0)
                reply->result = open_mapped(dir_fd, want, &fd);
        if (reply->result == 0)
                reply->result = check_file(fd, &file);
        if (reply->result < 0)
                return 0;
        buf_append(&reply->payload, &file, sizeof(file));
        reply->fd = TAKE_FD(fd);
        reply->is_fd_ours = true;
        return 0;
}
