/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes. Each runs in a forked child, so that what it mounts, unshares or attaches ends with it;
 * the child writes why the machine cannot do it into a pipe, and nothing when it can.
 */
#include "tests/lib/needs.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct why {
        char text[256];
};

#define WHY(_why, ...)                                                                             \
        ({                                                                                         \
                snprintf((_why)->text, sizeof((_why)->text), __VA_ARGS__);                         \
                -1;                                                                                \
        })

static int load(enum bpf_prog_type type, const char *btf_name, enum bpf_attach_type attach,
                int result, struct why *why) {
        const struct bpf_insn insns[] = {
                { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = result },
                { .code = BPF_JMP | BPF_EXIT },
        };
        LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach);
        int fd;

        if (btf_name) {
                int id = libbpf_find_vmlinux_btf_id(btf_name, attach);

                if (id < 0)
                        return WHY(why, "no '%s' in the kernel's BTF: %s", btf_name, strerror(-id));
                opts.attach_btf_id = (uint32_t)id;
        }
        fd = bpf_prog_load(type, "probe", "GPL", insns, ARRAY_SIZE(insns), &opts);
        if (fd < 0)
                return WHY(why, "PROG_LOAD: %s", strerror(errno));
        return fd;
}

static int perf_attach(int prog_fd, struct perf_event_attr *attr, pid_t pid, int cpu,
                       struct why *why) {
        int fd;

        attr->size = sizeof(*attr);
        fd = (int)syscall(SYS_perf_event_open, attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
        if (fd < 0)
                return WHY(why, "perf_event_open: %s", strerror(errno));
        if (ioctl(fd, PERF_EVENT_IOC_SET_BPF, prog_fd) < 0)
                return WHY(why, "attach: %s", strerror(errno));
        return 0;
}

static int read_number(const char *path, uint32_t *ret, struct why *why) {
        FILE *f = fopen(path, "re");
        int n;

        if (!f)
                return WHY(why, "%s: %s", path, strerror(errno));
        n = fscanf(f, "%u", ret);
        fclose(f);
        return n == 1 ? 0 : WHY(why, "%s holds no number", path);
}

static int probe_root(struct why *why) {
        return geteuid() == 0 ? 0 : WHY(why, "uid is %u, not 0", geteuid());
}

static int probe_btf(struct why *why) {
        return access("/sys/kernel/btf/vmlinux", R_OK) == 0
                       ? 0
                       : WHY(why, "/sys/kernel/btf/vmlinux: %s", strerror(errno));
}

static int probe_tracepoint(struct why *why) {
        struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .sample_period = 1 };
        uint32_t id;
        int fd;

        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            (mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL) < 0 && errno != EBUSY))
                return WHY(why, "mounting tracefs: %s", strerror(errno));
        if (read_number("/sys/kernel/tracing/events/syscalls/sys_enter_openat/id", &id, why) < 0)
                return -1;
        fd = load(BPF_PROG_TYPE_TRACEPOINT, NULL, 0, 0, why);
        if (fd < 0)
                return -1;
        attr.config = id;
        return perf_attach(fd, &attr, -1, 0, why);
}

static int probe_raw_tp(struct why *why) {
        int fd = load(BPF_PROG_TYPE_RAW_TRACEPOINT, NULL, 0, 0, why);

        if (fd < 0)
                return -1;
        return bpf_raw_tracepoint_open("sched_process_exec", fd) >= 0
                       ? 0
                       : WHY(why, "RAW_TRACEPOINT_OPEN: %s", strerror(errno));
}

static int probe_tracing(const char *name, enum bpf_attach_type type, struct why *why) {
        int fd = load(BPF_PROG_TYPE_TRACING, name, type, 0, why);

        if (fd < 0)
                return -1;
        return bpf_raw_tracepoint_open(NULL, fd) >= 0
                       ? 0
                       : WHY(why, "RAW_TRACEPOINT_OPEN: %s", strerror(errno));
}

static int probe_tp_btf(struct why *why) {
        return probe_tracing("sched_process_exec", BPF_TRACE_RAW_TP, why);
}

static int probe_fentry(struct why *why) {
        return probe_tracing("do_unlinkat", BPF_TRACE_FENTRY, why);
}

static int probe_lsm(struct why *why) {
        int fd = load(BPF_PROG_TYPE_LSM, "file_open", BPF_LSM_MAC, 0, why);

        if (fd < 0)
                return -1;
        return bpf_raw_tracepoint_open(NULL, fd) >= 0
                       ? 0
                       : WHY(why, "RAW_TRACEPOINT_OPEN: %s", strerror(errno));
}

static int probe_iter(struct why *why) {
        int fd = load(BPF_PROG_TYPE_TRACING, "task", BPF_TRACE_ITER, 0, why);
        int link;

        if (fd < 0)
                return -1;
        link = bpf_link_create(fd, 0, BPF_TRACE_ITER, NULL);
        if (link < 0)
                return WHY(why, "LINK_CREATE: %s", strerror(errno));
        return bpf_iter_create(link) >= 0 ? 0 : WHY(why, "ITER_CREATE: %s", strerror(errno));
}

static int probe_perf_event(struct why *why) {
        struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE,
                                        .config = PERF_COUNT_SW_CPU_CLOCK,
                                        .sample_period = 1000000 };
        int fd = load(BPF_PROG_TYPE_PERF_EVENT, NULL, 0, 0, why);

        return fd < 0 ? -1 : perf_attach(fd, &attr, 0, -1, why);
}

/* Where in its file a piece of our code is; 0 = nowhere. */
static uint64_t file_offset_of(uintptr_t address) {
        FILE *maps = fopen("/proc/self/maps", "re");
        uint64_t begin, end, offset, found = 0;
        char line[512];

        while (maps && !found && fgets(line, sizeof(line), maps))
                if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64, &begin, &end, &offset) ==
                            3 &&
                    address >= begin && address < end)
                        found = address - begin + offset;
        if (maps)
                fclose(maps);
        return found;
}

static int probe_uprobe(struct why *why) {
        struct perf_event_attr attr = { .sample_period = 1 };
        int fd;

        if (read_number("/sys/bus/event_source/devices/uprobe/type", &attr.type, why) < 0)
                return -1;
        fd = load(BPF_PROG_TYPE_KPROBE, NULL, 0, 0, why);
        if (fd < 0)
                return -1;
        attr.config1 = (uintptr_t) "/proc/self/exe";
        /* The beginning of a function: any other place may be one that cannot be probed. */
        attr.config2 = file_offset_of((uintptr_t)need_name);
        return perf_attach(fd, &attr, -1, 0, why);
}

static int probe_kprobe(struct why *why) {
        struct perf_event_attr attr = { .sample_period = 1 };
        int fd;

        if (read_number("/sys/bus/event_source/devices/kprobe/type", &attr.type, why) < 0)
                return -1;
        fd = load(BPF_PROG_TYPE_KPROBE, NULL, 0, 0, why);
        if (fd < 0)
                return -1;
        attr.config1 = (uintptr_t) "do_unlinkat";
        return perf_attach(fd, &attr, -1, 0, why);
}

static int probe_xdp(struct why *why) {
        int fd = load(BPF_PROG_TYPE_XDP, NULL, BPF_XDP, XDP_PASS, why);

        if (fd < 0)
                return -1;
        if (unshare(CLONE_NEWNET) < 0)
                return WHY(why, "unshare(NEWNET): %s", strerror(errno));
        return bpf_link_create(fd, (int)if_nametoindex("lo"), BPF_XDP, NULL) >= 0
                       ? 0
                       : WHY(why, "LINK_CREATE: %s", strerror(errno));
}

static int probe_cgroup_skb(struct why *why) {
        const char *const roots[] = { "/sys/fs/cgroup/unified", "/sys/fs/cgroup" };
        int fd = load(BPF_PROG_TYPE_CGROUP_SKB, NULL, BPF_CGROUP_INET_EGRESS, 1, why);

        if (fd < 0)
                return -1;
        for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
                int dir = open(roots[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                if (dir >= 0 && bpf_link_create(fd, dir, BPF_CGROUP_INET_EGRESS, NULL) >= 0)
                        return 0;
        }
        return WHY(why, "LINK_CREATE on a cgroup2 root: %s", strerror(errno));
}

static int probe_socket(struct why *why) {
        int fd = load(BPF_PROG_TYPE_SOCKET_FILTER, NULL, 0, 0, why);
        int sock;

        if (fd < 0)
                return -1;
        sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
        if (sock < 0)
                return WHY(why, "socket(AF_PACKET): %s", strerror(errno));
        return setsockopt(sock, SOL_SOCKET, SO_ATTACH_BPF, &fd, sizeof(fd)) == 0
                       ? 0
                       : WHY(why, "SO_ATTACH_BPF: %s", strerror(errno));
}

static int probe_userns(struct why *why) {
        return unshare(CLONE_NEWUSER) == 0 ? 0 : WHY(why, "unshare: %s", strerror(errno));
}

static int probe_overlay(struct why *why) {
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", "/tmp", "tmpfs", 0, NULL) < 0)
                return WHY(why, "private tmpfs: %s", strerror(errno));
        if (mkdir("/tmp/l", 0700) < 0 || mkdir("/tmp/u", 0700) < 0 || mkdir("/tmp/w", 0700) < 0 ||
            mkdir("/tmp/m", 0700) < 0)
                return WHY(why, "mkdir: %s", strerror(errno));
        if (mount("o", "/tmp/m", "overlay", 0, "lowerdir=/tmp/l,upperdir=/tmp/u,workdir=/tmp/w") <
            0)
                return WHY(why, "mount: %s", strerror(errno));
        return 0;
}

/* True when a directory made there gets the limit file, that is, the controller works in that
 * hierarchy. */
static bool has_controller(const char *root, const char *limit) {
        char dir[256], file[320];
        bool ok;

        snprintf(dir, sizeof(dir), "%s/gadget-test-%d", root, getpid());
        snprintf(file, sizeof(file), "%s/%s", dir, limit);
        if (mkdir(dir, 0755) < 0)
                return false;
        ok = access(file, W_OK) == 0;
        rmdir(dir);
        return ok;
}

static int probe_cgroup(struct why *why) {
        if (!has_controller("/sys/fs/cgroup/memory", "memory.limit_in_bytes") &&
            !has_controller("/sys/fs/cgroup", "memory.max"))
                return WHY(why, "no cgroup hierarchy limits memory");
        if (!has_controller("/sys/fs/cgroup/pids", "pids.max") &&
            !has_controller("/sys/fs/cgroup", "pids.max"))
                return WHY(why, "no cgroup hierarchy limits pids");
        return 0;
}

/* Runs argv with its output thrown away; met when it ends with 0. */
static int probe_command(const char *const *argv, struct why *why) {
        int status, null;
        pid_t pid = fork();

        if (pid == 0) {
                null = open("/dev/null", O_RDWR);
                dup2(null, 0);
                dup2(null, 1);
                dup2(null, 2);
                execvp(argv[0], (char *const *)argv);
                _exit(127);
        }
        if (pid < 0 || waitpid(pid, &status, 0) < 0)
                return WHY(why, "fork: %s", strerror(errno));
        if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
                return WHY(why, "'%s' is not installed", argv[0]);
        return status == 0 ? 0 : WHY(why, "'%s' fails", argv[0]);
}

static int probe_registry(struct why *why) {
        return probe_command((const char *const[]){ "docker-registry", "--version", NULL }, why);
}

static int probe_runc(struct why *why) {
        return probe_command((const char *const[]){ "runc", "--version", NULL }, why);
}

static int probe_skopeo(struct why *why) {
        return probe_command((const char *const[]){ "skopeo", "--version", NULL }, why);
}

static int probe_umoci(struct why *why) {
        return probe_command((const char *const[]){ "umoci", "--version", NULL }, why);
}

static int probe_clang_bpf(struct why *why) {
        return probe_command((const char *const[]){ "clang", "--target=bpf", "-x", "c", "-c",
                                                    "/dev/null", "-o", "/dev/null", NULL },
                             why);
}

static const struct {
        const char *name;
        int (*probe)(struct why *why);
} needs[_NEED_MAX] = {
        [NEED_ROOT] = { "root", probe_root },
        [NEED_BTF] = { "btf", probe_btf },
        [NEED_BPF_TRACEPOINT] = { "tracepoint", probe_tracepoint },
        [NEED_BPF_RAW_TP] = { "raw_tp", probe_raw_tp },
        [NEED_BPF_TP_BTF] = { "tp_btf", probe_tp_btf },
        [NEED_BPF_PERF_EVENT] = { "perf_event", probe_perf_event },
        [NEED_BPF_ITER] = { "iter", probe_iter },
        [NEED_BPF_UPROBE] = { "uprobe", probe_uprobe },
        [NEED_BPF_KPROBE] = { "kprobe", probe_kprobe },
        [NEED_BPF_FENTRY] = { "fentry", probe_fentry },
        [NEED_BPF_LSM] = { "lsm", probe_lsm },
        [NEED_BPF_XDP] = { "xdp", probe_xdp },
        [NEED_BPF_CGROUP_SKB] = { "cgroup_skb", probe_cgroup_skb },
        [NEED_BPF_SOCKET] = { "socket", probe_socket },
        [NEED_USERNS] = { "userns", probe_userns },
        [NEED_OVERLAY] = { "overlay", probe_overlay },
        [NEED_CGROUP] = { "cgroup", probe_cgroup },
        [NEED_REGISTRY] = { "registry", probe_registry },
        [NEED_RUNC] = { "runc", probe_runc },
        [NEED_SKOPEO] = { "skopeo", probe_skopeo },
        [NEED_UMOCI] = { "umoci", probe_umoci },
        [NEED_CLANG_BPF] = { "clang-bpf", probe_clang_bpf },
};

static size_t n_skipped;

static int quiet(enum libbpf_print_level level, const char *format, va_list args) {
        return 0;
}

const char *need_name(enum need need) {
        return needs[need].name;
}

/* In the child: probes and says why not. */
static void run_probe(enum need need, int out_fd) {
        struct why why = { "" };

        libbpf_set_print(quiet);
        if (needs[need].probe(&why) < 0 && write(out_fd, why.text, strlen(why.text)) < 0)
                _exit(2);
        _exit(why.text[0] ? 1 : 0);
}

const char *need_probe(enum need need) {
        static struct {
                bool is_known;
                struct why why;
        } results[_NEED_MAX];
        struct why *why = &results[need].why;
        int pipe_fds[2], status;
        ssize_t n;
        pid_t pid;

        if (results[need].is_known)
                return why->text[0] ? why->text : NULL;
        results[need].is_known = true;
        fflush(NULL);
        if (pipe2(pipe_fds, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
                WHY(why, "cannot probe: %s", strerror(errno));
                return why->text;
        }
        if (pid == 0)
                run_probe(need, pipe_fds[1]);
        close(pipe_fds[1]);
        n = read(pipe_fds[0], why->text, sizeof(why->text) - 1);
        why->text[n > 0 ? n : 0] = '\0';
        close(pipe_fds[0]);
        waitpid(pid, &status, 0);
        if (status != 0 && !why->text[0])
                WHY(why, "the probe died (wait status 0x%x)", (unsigned int)status);
        return why->text[0] ? why->text : NULL;
}

static bool is_required(const char *name) {
        const char *list = getenv("GADGET_TEST_REQUIRE");
        size_t n = strlen(name);

        if (!list)
                return false;
        if (str_eq(list, "all"))
                return true;
        for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',')
                if (strcspn(p, ",") == n && strncmp(p, name, n) == 0)
                        return true;
        return false;
}

void test_unmet(const char *need, const char *why) {
        if (is_required(need))
                fail_msg("need '%s' must be met here (GADGET_TEST_REQUIRE) and is not: %s", need,
                         why);
        fprintf(stderr, "SKIP-REASON %s: %s\n", need, why);
        n_skipped++;
        skip();
}

void test_needs(enum need need) {
        const char *why = need_probe(need);

        if (why)
                test_unmet(need_name(need), why);
}

int test_main(const char *name, const struct CMUnitTest *tests, size_t n_tests,
              CMFixtureFunction setup, CMFixtureFunction teardown) {
        int failed;

        setvbuf(stdout, NULL, _IOLBF, 0);
        failed = _cmocka_run_group_tests(name, tests, n_tests, setup, teardown);
        if (failed < 0)
                failed = (int)n_tests; /* the group's own fixture */
        printf("TEST-COUNT passed=%zu failed=%d skipped=%zu\n",
               n_tests - MIN(n_tests, (size_t)failed + n_skipped), failed, n_skipped);
        if (failed > 0)
                return 1;
        return n_tests > 0 && n_skipped == n_tests ? 77 : 0;
}
