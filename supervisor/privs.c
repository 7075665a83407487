/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/privs.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/capability.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/parse.h"
#include "supervisor/instance.h"
#include "supervisor/pack.h"

#define PROC_FILE_MAX (256u << 10)
#define ENTRIES_MAX 1024

/* --- reading /proc --- */

/* A whole file as a string, "" when it cannot be read; the caller frees. */
static char *read_text(int dir_fd, const char *name) {
        cleanup_buf struct buf text = BUF_INIT(PROC_FILE_MAX);

        if (read_file_at(dir_fd, name, &text) < 0)
                buf_reset(&text);
        return buf_steal_string(&text);
}

/* The value of "Key:\t..." in a file such as status, up to the end of its line, into out; "" when
 * absent. */
static void find_value(const char *text, const char *key, char *out, size_t size) {
        size_t n = strlen(key);

        out[0] = '\0';
        for (const char *line = text; line;
             line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
                if (strncmp(line, key, n) != 0 || line[n] != ':')
                        continue;
                line += n + 1;
                line += strspn(line, " \t");
                snprintf(out, size, "%.*s", (int)strcspn(line, "\n"), line);
                return;
        }
}

/* The number behind a key, 0 when absent; sets of capabilities are hexadecimal without saying so.
 */
static uint64_t find_number(const char *text, const char *key, bool is_hex) {
        char value[64] = "0x";
        uint64_t n;

        find_value(text, key, value + (is_hex ? 2 : 0), sizeof(value) - 2);
        return parse_u64(value, 0, UINT64_MAX, &n) < 0 ? 0 : n;
}

/* --- credentials --- */

static void pack_cap_set(struct pack *map, const char *key, uint64_t set) {
        struct pack names;

        pack_key(map, key);
        names = pack_array(map->buf);
        for (cap_value_t cap = 0; cap < 64; cap++) {
                char *name;

                if ((set & (UINT64_C(1) << cap)) == 0)
                        continue;
                name = cap_to_name(cap); /* a number when this libcap does not know it */
                pack_item(&names);
                pack_str(map->buf, name);
                cap_free(name);
        }
        pack_end(&names);
}

static void pack_capabilities(const char *status, struct pack *process) {
        struct pack map;

        pack_key(process, "capabilities");
        map = pack_map(process->buf);
        pack_cap_set(&map, "inheritable", find_number(status, "CapInh", true));
        pack_cap_set(&map, "permitted", find_number(status, "CapPrm", true));
        pack_cap_set(&map, "effective", find_number(status, "CapEff", true));
        pack_cap_set(&map, "bounding", find_number(status, "CapBnd", true));
        pack_cap_set(&map, "ambient", find_number(status, "CapAmb", true));
        pack_end(&map);
}

static void pack_ids(const char *status, struct pack *process) {
        static const struct {
                const char *field;
                const char *key;
        } lists[] = { { "Uid", "uids" }, { "Gid", "gids" }, { "Groups", "groups" } };

        for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
                char value[512], *save = NULL;
                struct pack array;

                find_value(status, lists[i].field, value, sizeof(value));
                pack_key(process, lists[i].key);
                array = pack_array(process->buf);
                for (char *word = strtok_r(value, " \t", &save); word;
                     word = strtok_r(NULL, " \t", &save)) {
                        uint64_t id;

                        if (parse_u64(word, 0, UINT32_MAX, &id) < 0)
                                continue;
                        pack_item(&array);
                        pack_uint(process->buf, id);
                }
                pack_end(&array);
        }
}

static void pack_status(int proc_fd, struct pack *process) {
        static const char *const modes[] = { "disabled", "strict", "filter" };
        cleanup_free char *status = read_text(proc_fd, "status");
        uint64_t mode;

        if (!status)
                return;
        pack_ids(status, process);
        pack_capabilities(status, process);
        mode = find_number(status, "Seccomp", false);
        pack_map_bool(process, "no_new_privs", find_number(status, "NoNewPrivs", false) == 1);
        pack_map_str(process, "seccomp", mode < ARRAY_SIZE(modes) ? modes[mode] : "unknown");
        pack_map_uint(process, "seccomp_filters", find_number(status, "Seccomp_filters", false));
        pack_map_uint(process, "threads", find_number(status, "Threads", false));
}

/* --- namespaces --- */

/* "mnt:[4026531841]"; 0 when it cannot be read. */
static uint64_t read_ns(int proc_fd, const char *name) {
        char path[32], target[64], *digits;
        uint64_t inode;
        ssize_t n;

        snprintf(path, sizeof(path), "ns/%s", name);
        n = readlinkat(proc_fd, path, target, sizeof(target) - 1);
        if (n < 0)
                return 0;
        target[n] = '\0';
        digits = strchr(target, '[');
        if (!digits)
                return 0;
        digits++;
        digits[strcspn(digits, "]")] = '\0';
        return parse_u64(digits, 0, UINT64_MAX, &inode) < 0 ? 0 : inode;
}

static void pack_namespaces(int proc_fd, struct pack *process) {
        static const char *const names[] = { "user", "mnt", "net",    "pid",
                                             "ipc",  "uts", "cgroup", "time" };
        cleanup_close int self_fd = open("/proc/self", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        struct pack map;

        pack_key(process, "namespaces");
        map = pack_map(process->buf);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                uint64_t inode = read_ns(proc_fd, names[i]);
                struct pack ns;

                pack_key(&map, names[i]);
                ns = pack_map(process->buf);
                pack_map_uint(&ns, "inode", inode);
                pack_map_bool(&ns, "own", inode != 0 && inode != read_ns(self_fd, names[i]));
                pack_end(&ns);
        }
        pack_end(&map);
}

/* --- limits and cgroups --- */

/* "Max open files            64                   64                   files" */
static void pack_limits(int proc_fd, struct pack *process) {
        cleanup_free char *text = read_text(proc_fd, "limits");
        char *save = NULL;
        struct pack map;

        if (!text)
                return;
        pack_key(process, "limits");
        map = pack_map(process->buf);
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                char name[32], soft[24], hard[24];
                struct pack limit;

                if (strncmp(line, "Max ", 4) != 0 || sscanf(line + 4, "%31c", name) != 1)
                        continue;
                /* The name column is 25 wide, "Max " included; values never contain spaces. */
                snprintf(name, sizeof(name), "%.21s", line + 4);
                for (size_t n = strlen(name); n > 0 && name[n - 1] == ' '; n--)
                        name[n - 1] = '\0';
                if (strlen(line) < 26 || sscanf(line + 25, "%23s %23s", soft, hard) != 2)
                        continue;
                pack_key(&map, name);
                limit = pack_map(process->buf);
                pack_map_str(&limit, "soft", soft);
                pack_map_str(&limit, "hard", hard);
                pack_end(&limit);
        }
        pack_end(&map);
}

/* A limit as text ("max", "134217728"), left out where the hierarchy has none. */
static void pack_cgroup_limit(struct pack *map, const char *key, const char *dir,
                              const char *file) {
        char path[PATH_MAX + 64];
        cleanup_free char *text = NULL;

        snprintf(path, sizeof(path), "%s/%s", dir, file);
        text = read_text(AT_FDCWD, path);
        if (!text || text[0] == '\0')
                return;
        text[strcspn(text, "\n")] = '\0';
        pack_map_str(map, key, text);
}

/* The path that the kernel reports for this hierarchy: "4:memory:/gadgetd/ID/worker", "0::/...". */
static bool find_cgroup_path(const char *text, const struct cgroup_hierarchy *h, char *ret,
                             size_t size) {
        for (const char *line = text; line && *line;
             line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
                const char *controllers = strchr(line, ':');
                const char *path = controllers ? strchr(controllers + 1, ':') : NULL;
                char list[128];

                if (!path || path > line + strcspn(line, "\n"))
                        continue;
                snprintf(list, sizeof(list), ",%.*s,", (int)MIN(path - controllers - 1, 120),
                         controllers + 1);
                if ((h->is_v2 && str_eq(list, ",,")) ||
                    (!h->is_v2 && h->has_memory && strstr(list, ",memory,")) ||
                    (!h->is_v2 && h->has_pids && strstr(list, ",pids,"))) {
                        snprintf(ret, size, "%.*s", (int)strcspn(path + 1, "\n"), path + 1);
                        return true;
                }
        }
        return false;
}

static void pack_cgroups(const struct instance *in, int proc_fd, struct pack *process) {
        cleanup_free char *text = read_text(proc_fd, "cgroup");
        const struct cgroup_layout *layout = in->broker->cgroup.layout;
        struct pack array;

        if (!text)
                return;
        pack_key(process, "cgroups");
        array = pack_array(process->buf);
        for (size_t i = 0; layout && i < layout->n; i++) {
                const struct cgroup_hierarchy *h = &layout->hierarchies[i];
                char path[512], dir[PATH_MAX + 512];
                struct pack map;

                if (!find_cgroup_path(text, h, path, sizeof(path)))
                        continue;
                snprintf(dir, sizeof(dir), "%s%s", h->mount, path);
                pack_item(&array);
                map = pack_map(process->buf);
                pack_map_str(&map, "hierarchy", h->mount);
                pack_map_str(&map, "path", path);
                pack_cgroup_limit(&map, "memory_max", dir,
                                  h->is_v2 ? "memory.max" : "memory.limit_in_bytes");
                pack_cgroup_limit(&map, "pids_max", dir, "pids.max");
                pack_end(&map);
        }
        pack_end(&array);
}

/* --- what it sees and holds --- */

static uint32_t count_entries(int proc_fd, const char *path) {
        int fd = openat(proc_fd, path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        const struct dirent *entry;
        uint32_t n = 0;

        if (!dir)
                return UINT32_MAX; /* not readable is not empty */
        while (n < ENTRIES_MAX && (entry = readdir(dir)))
                n += !str_eq(entry->d_name, ".") && !str_eq(entry->d_name, "..");
        closedir(dir);
        return n;
}

static void pack_root(int proc_fd, struct pack *process) {
        cleanup_free char *mounts = read_text(proc_fd, "mountinfo");
        uint32_t n_mounts = 0;
        bool read_only = false;
        struct pack map;

        for (const char *p = mounts; p && (p = strchr(p, '\n')); p++)
                n_mounts++;
        if (mounts && n_mounts == 1) {
                const char *point = strstr(mounts, " / / ");

                read_only = point && strncmp(point + 5, "ro", 2) == 0;
        }
        pack_key(process, "root");
        map = pack_map(process->buf);
        pack_map_uint(&map, "entries", count_entries(proc_fd, "root"));
        pack_map_uint(&map, "mounts", n_mounts);
        pack_map_bool(&map, "read_only", read_only);
        pack_end(&map);
}

/* "socket", "memfd:gadget-ring", "anon_inode:bpf-map", or the path of a file. */
static void describe_fd(int fds_fd, const char *name, char *out, size_t size) {
        char target[PATH_MAX];
        ssize_t n = readlinkat(fds_fd, name, target, sizeof(target) - 1);

        target[MAX(n, 0)] = '\0';
        if (str_after(target, "socket:"))
                snprintf(out, size, "socket");
        else if (str_after(target, "pipe:"))
                snprintf(out, size, "pipe");
        else if (str_after(target, "/memfd:"))
                snprintf(out, size, "memfd:%.*s", (int)strcspn(target + 7, " "), target + 7);
        else
                snprintf(out, size, "%s", target);
}

static void pack_fds(int proc_fd, struct pack *process) {
        int fd = openat(proc_fd, "fd", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        const struct dirent *entry;
        struct pack array;

        if (!dir)
                return;
        pack_key(process, "fds");
        array = pack_array(process->buf);
        while (array.n < ENTRIES_MAX && (entry = readdir(dir))) {
                char kind[PATH_MAX];
                struct pack map;
                uint32_t number;

                if (parse_u32(entry->d_name, 0, INT32_MAX, &number) < 0)
                        continue;
                describe_fd(fd, entry->d_name, kind, sizeof(kind));
                pack_item(&array);
                map = pack_map(process->buf);
                pack_map_uint(&map, "fd", number);
                pack_map_str(&map, "kind", kind);
                pack_end(&map);
        }
        pack_end(&array);
        closedir(dir);
}

static void pack_process(const struct instance *in, pid_t pid, struct buf *out) {
        struct pack process = pack_map(out);
        cleanup_close int proc_fd = -1;
        char path[32];

        snprintf(path, sizeof(path), "/proc/%d", pid);
        if (pid > 0)
                proc_fd = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        if (proc_fd >= 0) {
                pack_map_uint(&process, "pid", (uint64_t)pid);
                pack_status(proc_fd, &process);
                pack_namespaces(proc_fd, &process);
                pack_limits(proc_fd, &process);
                pack_cgroups(in, proc_fd, &process);
                pack_root(proc_fd, &process);
                pack_fds(proc_fd, &process);
        }
        pack_end(&process);
}

void privs_pack(const struct instance *in, struct buf *out) {
        struct pack map = pack_map(out);
        bool is_alive = in->broker->pid > 0;

        pack_key(&map, "broker");
        pack_process(in, in->broker->pid, out);
        pack_key(&map, "worker");
        pack_process(in, is_alive ? in->broker->worker_pid : 0, out);
        pack_end(&map);
}
