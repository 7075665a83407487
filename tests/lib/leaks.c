/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/leaks.h"

#include <dirent.h>
#include <ftw.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/lib/wait.h"

enum kind { KIND_PROGRAM, KIND_MAP, KIND_LINK, _KIND_MAX };

static const struct {
        const char *name;
        enum bpf_cmd next;
        enum bpf_cmd get_fd;
        const char *fdinfo; /* key in /proc/PID/fdinfo */
} kinds[_KIND_MAX] = {
        { "program", BPF_PROG_GET_NEXT_ID, BPF_PROG_GET_FD_BY_ID, "prog_id:" },
        { "map", BPF_MAP_GET_NEXT_ID, BPF_MAP_GET_FD_BY_ID, "map_id:" },
        { "link", BPF_LINK_GET_NEXT_ID, BPF_LINK_GET_FD_BY_ID, "link_id:" },
};

struct ids {
        uint32_t *at;
        size_t n;
};

/* Sorted cgroup paths or mount lines. */
struct texts {
        char **at;
        size_t n;
};

struct leaks {
        struct ids ids[_KIND_MAX];
        struct texts cgroups;
        struct texts mounts;
};

/* What one look finds. A line counts only when every look since the first has found it: whoever is
 * checked has ended before, so what appears later is somebody else's. */
struct report {
        struct texts lines;
        const struct texts *before; /* NULL = the first look */
};

static void texts_add(struct texts *texts, const char *text) {
        char **grown = reallocarray(texts->at, texts->n + 1, sizeof(*texts->at));

        if (!grown || !(grown[texts->n] = strdup(text)))
                abort();
        texts->at = grown;
        texts->n++;
}

static bool texts_has(const struct texts *texts, const char *text) {
        for (size_t i = 0; i < texts->n; i++)
                if (str_eq(texts->at[i], text))
                        return true;
        return false;
}

static void texts_done(struct texts *texts) {
        for (size_t i = 0; i < texts->n; i++)
                free(texts->at[i]);
        free(texts->at);
        *texts = (struct texts){ 0 };
}

static void report_add(struct report *report, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void report_add(struct report *report, const char *fmt, ...) {
        va_list args;
        char line[4096];

        va_start(args, fmt);
        vsnprintf(line, sizeof(line), fmt, args);
        va_end(args);
        if (!report->before || texts_has(report->before, line))
                texts_add(&report->lines, line);
}

static int sys_bpf(enum bpf_cmd cmd, union bpf_attr *attr) {
        int r = (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));

        return r < 0 ? -errno : r;
}

static void ids_add(struct ids *ids, uint32_t id) {
        uint32_t *grown = reallocarray(ids->at, ids->n + 1, sizeof(*ids->at));

        if (!grown)
                abort();
        ids->at = grown;
        ids->at[ids->n++] = id;
}

static bool ids_has(const struct ids *ids, uint32_t id) {
        for (size_t i = 0; i < ids->n; i++)
                if (ids->at[i] == id)
                        return true;
        return false;
}

static void ids_done(struct ids *ids) {
        free(ids->at);
        *ids = (struct ids){ 0 };
}

static struct ids ids_of_kernel(enum kind kind) {
        struct ids ids = { 0 };
        union bpf_attr attr;

        memset(&attr, 0, sizeof(attr));
        while (sys_bpf(kinds[kind].next, &attr) == 0) {
                ids_add(&ids, attr.next_id);
                attr.start_id = attr.next_id;
        }
        return ids;
}

/* Info of an object by id; -ENOENT when it has just gone. */
static int object_info(enum kind kind, uint32_t id, void *info, uint32_t size) {
        cleanup_close int fd = -1;
        union bpf_attr attr;

        memset(&attr, 0, sizeof(attr));
        attr.prog_id = id;
        fd = sys_bpf(kinds[kind].get_fd, &attr);
        if (fd < 0)
                return fd;
        memset(&attr, 0, sizeof(attr));
        attr.info.bpf_fd = (uint32_t)fd;
        attr.info.info_len = size;
        attr.info.info = (uintptr_t)info;
        return sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
}

static struct texts *walking;

static int on_file(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        if (type == FTW_D || type == FTW_DP)
                texts_add(walking, path);
        return 0;
}

static struct texts cgroups_of_kernel(void) {
        struct texts texts = { 0 };

        walking = &texts;
        nftw("/sys/fs/cgroup", on_file, 16, FTW_PHYS | FTW_DEPTH);
        walking = NULL;
        return texts;
}

static struct texts mounts_of_kernel(void) {
        struct texts texts = { 0 };
        cleanup_free char *line = NULL;
        size_t cap = 0;
        FILE *f = fopen("/proc/self/mountinfo", "re");

        while (f && getline(&line, &cap, f) > 0)
                texts_add(&texts, line);
        if (f)
                fclose(f);
        return texts;
}

/* --- what foreign processes hold --- */

static void add_task_query(struct ids *held, pid_t pid, uint32_t fd) {
        union bpf_attr attr;

        memset(&attr, 0, sizeof(attr));
        attr.task_fd_query.pid = (uint32_t)pid;
        attr.task_fd_query.fd = fd;
        if (sys_bpf(BPF_TASK_FD_QUERY, &attr) == 0)
                ids_add(&held[KIND_PROGRAM], attr.task_fd_query.prog_id);
}

static void add_fdinfo(struct ids *held, pid_t pid, const char *fd) {
        cleanup_free char *line = NULL;
        char path[320];
        size_t cap = 0;
        uint32_t id;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", pid, fd);
        f = fopen(path, "re");
        if (!f)
                return;
        while (getline(&line, &cap, f) > 0)
                for (int k = 0; k < _KIND_MAX; k++) {
                        const char *rest = str_after(line, kinds[k].fdinfo);

                        if (rest && sscanf(rest, "%u", &id) == 1)
                                ids_add(&held[k], id);
                }
        fclose(f);
}

static void add_process(struct ids *held, pid_t pid) {
        char path[320], target[64];
        struct dirent *entry;
        ssize_t n;
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%d/fd", pid);
        dir = opendir(path);
        if (!dir)
                return;
        while ((entry = readdir(dir))) {
                n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
                if (n <= 0)
                        continue;
                target[n] = '\0';
                if (str_after(target, "anon_inode:[perf_event]"))
                        add_task_query(held, pid, (uint32_t)atoi(entry->d_name));
                else if (str_after(target, "anon_inode:bpf"))
                        add_fdinfo(held, pid, entry->d_name);
        }
        closedir(dir);
}

/* A link holds its program, a program its maps. */
static void add_closure(struct ids *held) {
        for (size_t i = 0; i < held[KIND_LINK].n; i++) {
                struct bpf_link_info info = { 0 };

                if (object_info(KIND_LINK, held[KIND_LINK].at[i], &info, sizeof(info)) == 0)
                        ids_add(&held[KIND_PROGRAM], info.prog_id);
        }
        for (size_t i = 0; i < held[KIND_PROGRAM].n; i++) {
                uint32_t maps[256];
                struct bpf_prog_info info = { .nr_map_ids = ARRAY_SIZE(maps),
                                              .map_ids = (uintptr_t)maps };

                if (object_info(KIND_PROGRAM, held[KIND_PROGRAM].at[i], &info, sizeof(info)) == 0)
                        for (uint32_t m = 0; m < MIN(info.nr_map_ids, ARRAY_SIZE(maps)); m++)
                                ids_add(&held[KIND_MAP], maps[m]);
        }
}

static void held_by_others(struct ids held[_KIND_MAX]) {
        struct dirent *entry;
        DIR *dir = opendir("/proc");

        while (dir && (entry = readdir(dir))) {
                pid_t pid = atoi(entry->d_name);

                if (pid > 0 && pid != getpid())
                        add_process(held, pid);
        }
        if (dir)
                closedir(dir);
        add_closure(held);
}

/* --- comparison --- */

/* Calls func with each child of ours, adopted ones included. */
static void each_child(void (*func)(struct report *report, pid_t pid), struct report *report) {
        char path[64];
        FILE *f;
        int pid;

        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
        snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
        f = fopen(path, "re");
        while (f && fscanf(f, "%d", &pid) == 1)
                func(report, pid);
        if (f)
                fclose(f);
}

static void report_process(struct report *report, pid_t pid) {
        char path[64], name[32] = "";
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/comm", pid);
        f = fopen(path, "re");
        if (f && fscanf(f, "%31s", name) != 1)
                name[0] = '\0';
        if (f)
                fclose(f);
        report_add(report, "process %d (%s) is still there\n", pid, name);
}

static void kill_process(struct report *report, pid_t pid) {
        kill(pid, SIGKILL);
}

static bool has_processes(const char *cgroup) {
        char file[4096];
        bool has;
        FILE *f;

        snprintf(file, sizeof(file), "%s/cgroup.procs", cgroup);
        f = fopen(file, "re");
        if (!f)
                return false;
        has = fgetc(f) != EOF;
        fclose(f);
        return has;
}

/* One with a process in it or below it belongs to somebody alive. HIERARCHY/gadgetd is shared by
 * all gadgetd and stays. */
static bool cgroup_is_left(const struct texts *cgroups, const char *path) {
        const char *last = strrchr(path, '/');

        if (str_eq(last, "/gadgetd"))
                return false;
        for (size_t i = 0; i < cgroups->n; i++)
                if (str_after(cgroups->at[i], path) && has_processes(cgroups->at[i]))
                        return false;
        return true;
}

static void report_texts(struct leaks *leaks, struct report *report) {
        struct texts now = cgroups_of_kernel();

        for (size_t i = 0; i < now.n; i++)
                if (!texts_has(&leaks->cgroups, now.at[i]) && cgroup_is_left(&now, now.at[i]))
                        report_add(report, "cgroup %s\n", now.at[i]);
        texts_done(&now);
        now = mounts_of_kernel();
        for (size_t i = 0; i < now.n; i++)
                if (!texts_has(&leaks->mounts, now.at[i]))
                        report_add(report, "mount %s", now.at[i]);
        texts_done(&now);
}

/* Adds the name to a line that says "BPF map 12\n". Only to what stays: a map of programs is
 * emptied by a work item when its last fd is closed, and a second fd that is opened and closed
 * before that has run leaks the map (Linux 6.18, prog_array_map_clear()). */
static void name_object(const char *line, char *text, size_t n) {
        struct bpf_prog_info prog = { 0 };
        struct bpf_map_info map = { 0 };
        const char *name = "";
        uint32_t id;

        if (sscanf(line, "BPF program %u", &id) == 1 &&
            object_info(KIND_PROGRAM, id, &prog, sizeof(prog)) == 0)
                name = prog.name;
        if (sscanf(line, "BPF map %u", &id) == 1 &&
            object_info(KIND_MAP, id, &map, sizeof(map)) == 0)
                name = map.name;
        snprintf(text, n, "%.*s %s\n", (int)strcspn(line, "\n"), line, name);
}

static void report_bpf(struct leaks *leaks, struct report *report) {
        struct ids held[_KIND_MAX] = { 0 }, left[_KIND_MAX] = { 0 };
        size_t n_left = 0;

        for (int k = 0; k < _KIND_MAX; k++) {
                struct ids now = ids_of_kernel((enum kind)k);

                for (size_t i = 0; i < now.n; i++)
                        if (!ids_has(&leaks->ids[k], now.at[i]))
                                ids_add(&left[k], now.at[i]);
                n_left += left[k].n;
                ids_done(&now);
        }
        if (n_left > 0)
                held_by_others(held);
        for (int k = 0; k < _KIND_MAX; k++) {
                for (size_t i = 0; i < left[k].n; i++)
                        if (!ids_has(&held[k], left[k].at[i]))
                                report_add(report, "BPF %s %u\n", kinds[k].name, left[k].at[i]);
                ids_done(&left[k]);
                ids_done(&held[k]);
        }
}

/* Looks once more; what is left replaces what was. */
static bool is_clean(struct leaks *leaks, struct texts *left, bool is_first) {
        struct report report = { .before = is_first ? NULL : left };

        each_child(report_process, &report);
        report_texts(leaks, &report);
        report_bpf(leaks, &report);
        texts_done(left);
        *left = report.lines;
        return left->n == 0;
}

struct leaks *leaks_new(void) {
        struct leaks *leaks = calloc(1, sizeof(*leaks));

        if (!leaks || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
                return leaks_free(leaks);
        for (int k = 0; k < _KIND_MAX; k++)
                leaks->ids[k] = ids_of_kernel((enum kind)k);
        leaks->cgroups = cgroups_of_kernel();
        leaks->mounts = mounts_of_kernel();
        return leaks;
}

struct leaks *leaks_free(struct leaks *leaks) {
        if (!leaks)
                return NULL;
        for (int k = 0; k < _KIND_MAX; k++)
                ids_done(&leaks->ids[k]);
        texts_done(&leaks->cgroups);
        texts_done(&leaks->mounts);
        free(leaks);
        return NULL;
}

int leaks_check(struct leaks *leaks, uint64_t timeout_ns, char *text, size_t n) {
        struct texts left = { 0 };
        size_t len = 0;

        if (is_clean(leaks, &left, true) || WAIT_UNTIL(is_clean(leaks, &left, false), timeout_ns)) {
                texts_done(&left);
                return 0;
        }
        text[0] = '\0';
        for (size_t i = 0; i < left.n && len < n; i++) {
                char line[4096 + 64];

                name_object(left.at[i], line, sizeof(line));
                len += (size_t)snprintf(text + len, n - len, "%s", line);
        }
        texts_done(&left);
        /* Reported; not to disturb the next test. */
        each_child(kill_process, NULL);
        return -EBUSY;
}
