/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/procfs.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/clock.h"

static ssize_t read_file(const char *path, char *buf, size_t n) {
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        size_t len = 0;

        if (fd < 0)
                return -errno;
        while (len < n - 1) {
                ssize_t got = read(fd, buf + len, n - 1 - len);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return -errno;
                if (got == 0)
                        break;
                len += (size_t)got;
        }
        buf[len] = '\0';
        return (ssize_t)len;
}

static void path_of(pid_t pid, const char *what, char *buf, size_t n) {
        if (pid > 0)
                snprintf(buf, n, "/proc/%d/%s", pid, what);
        else
                snprintf(buf, n, "/proc/self/%s", what);
}

int proc_link(pid_t pid, const char *which, char *buf, size_t n) {
        char path[64];
        ssize_t len;

        path_of(pid, which, path, sizeof(path));
        len = readlink(path, buf, n - 1);
        if (len < 0)
                return -errno;
        buf[len] = '\0';
        return 0;
}

int proc_namespace(pid_t pid, const char *which, uint64_t *ret) {
        char path[64], text[64];
        const char *bracket;
        int r;

        snprintf(path, sizeof(path), "ns/%s", which);
        r = proc_link(pid, path, text, sizeof(text));
        if (r < 0)
                return r;
        bracket = strchr(text, '[');
        return bracket && sscanf(bracket, "[%" SCNu64 "]", ret) == 1 ? 0 : -EINVAL;
}

int proc_cgroup(pid_t pid, char *buf, size_t n) {
        char path[64], text[8192], *save = NULL;
        ssize_t len;

        path_of(pid, "cgroup", path, sizeof(path));
        len = read_file(path, text, sizeof(text));
        if (len < 0)
                return (int)len;
        snprintf(buf, n, "/");
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                bool is_v2 = strncmp(line, "0::", 3) == 0;
                const char *colon = strchr(line, ':');

                colon = colon ? strchr(colon + 1, ':') : NULL;
                if (!colon || str_eq(colon + 1, "/"))
                        continue;
                if (is_v2 || str_eq(buf, "/"))
                        snprintf(buf, n, "%s", colon + 1);
                if (is_v2)
                        break;
        }
        return 0;
}

int proc_parent(pid_t pid, pid_t *ret_parent, uint64_t *ret_started_ns) {
        uint64_t ticks = 0, hz = (uint64_t)sysconf(_SC_CLK_TCK);
        char path[64], text[1024], *p;
        ssize_t len;
        int parent;

        path_of(pid, "stat", path, sizeof(path));
        len = read_file(path, text, sizeof(text));
        if (len < 0)
                return (int)len;
        /* The name before it may hold anything, also brackets. */
        p = strrchr(text, ')');
        if (!p || sscanf(p,
                         ") %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
                         "%*d %*d %" SCNu64,
                         &parent, &ticks) != 2)
                return -EINVAL;
        *ret_parent = parent;
        if (ret_started_ns)
                *ret_started_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME) +
                                  ticks * (NSEC_PER_SEC / hz);
        return 0;
}

ssize_t proc_arguments(pid_t pid, char *buf, size_t n) {
        char path[64];

        path_of(pid, "cmdline", path, sizeof(path));
        return read_file(path, buf, n);
}

/* Behind the links of /proc are namespaces and directories, not paths: following is meant. */
int proc_open_netns(pid_t pid, uint64_t *ret_id) {
        cleanup_close int fd = -1;
        struct stat st;
        char path[64];

        path_of(pid, "ns/net", path, sizeof(path));
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        *ret_id = st.st_ino;
        return TAKE_FD(fd);
}

int proc_open_root(pid_t pid) {
        char path[64];
        int fd;

        path_of(pid, "root", path, sizeof(path));
        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int proc_root(pid_t pid, uint64_t *ret_dev, uint64_t *ret_ino) {
        struct stat st;
        char path[64];

        path_of(pid, "root", path, sizeof(path));
        if (stat(path, &st) < 0)
                return -errno;
        *ret_dev = st.st_dev;
        *ret_ino = st.st_ino;
        return 0;
}

/* --- arguments of an exec that is going on --- */

#define WORDS_MAX 256
#define WORD_SIZE 4096u

/* Where execve() of a process that sleeps in it has its arguments. */
static int find_arguments(pid_t pid, uint64_t *ret) {
        char path[64], text[256];
        uint64_t args[3];
        ssize_t len;
        int nr;

        path_of(pid, "syscall", path, sizeof(path));
        len = read_file(path, text, sizeof(text));
        if (len < 0)
                return (int)len;
        if (strncmp(text, "running", 7) == 0)
                return -EAGAIN;
        if (sscanf(text, "%d %" SCNx64 " %" SCNx64 " %" SCNx64, &nr, &args[0], &args[1],
                   &args[2]) != 4)
                return -EINVAL;
        if (nr == __NR_execve)
                *ret = args[1];
        else if (nr == __NR_execveat)
                *ret = args[2];
        else
                return -ENOENT;
        return 0;
}

/* A string up to its NUL; what lies behind it may not be mapped. */
static ssize_t read_word(int mem_fd, uint64_t address, char *buf, size_t n) {
        size_t len = 0;

        while (len < n) {
                size_t chunk = MIN(n - len, 256 - (address + len) % 256);
                ssize_t got = pread(mem_fd, buf + len, chunk, (off_t)(address + len));
                const char *nul = got > 0 ? memchr(buf + len, '\0', (size_t)got) : NULL;

                if (got <= 0)
                        return got < 0 ? -errno : -EFAULT;
                if (nul)
                        return nul - buf + 1;
                len += (size_t)got;
        }
        return -E2BIG;
}

ssize_t proc_exec_arguments(pid_t pid, char *buf, size_t n) {
        cleanup_close int mem_fd = -1;
        uint64_t at = 0, word;
        char path[64];
        size_t len = 0;
        int r;

        r = find_arguments(pid, &at);
        if (r < 0)
                return r;
        path_of(pid, "mem", path, sizeof(path));
        mem_fd = open(path, O_RDONLY | O_CLOEXEC);
        if (mem_fd < 0)
                return -errno;
        for (size_t i = 0; i < WORDS_MAX; i++) {
                ssize_t got;

                if (pread(mem_fd, &word, sizeof(word), (off_t)(at + i * sizeof(word))) !=
                    sizeof(word))
                        return -EFAULT;
                if (word == 0)
                        return (ssize_t)len;
                got = read_word(mem_fd, word, buf + len, MIN(n - len, WORD_SIZE));
                if (got < 0)
                        return got;
                len += (size_t)got;
        }
        return -E2BIG;
}
