/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/worker.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "gadget/api.h"

/* Beyond the two numbers that the worker knows (enum child_fd), until the exec. */
#define FD_EXE 5
#define FD_SETUP 6
#define FD_PARK 16

#define NAMESPACES                                                                                 \
        (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | \
         CLONE_NEWCGROUP)

enum step {
        STEP_WAIT,
        STEP_UID,
        STEP_HOSTNAME,
        STEP_MOUNT,
        STEP_PIVOT,
        STEP_LIMITS,
        STEP_CAPABILITIES,
        STEP_FDS,
        STEP_EXEC,
};
static const char *const step_names[] = {
        [STEP_WAIT] = "waiting for its id map",        [STEP_UID] = "taking its uid",
        [STEP_HOSTNAME] = "clearing the host name",    [STEP_MOUNT] = "mounting an empty root",
        [STEP_PIVOT] = "entering the empty root",      [STEP_LIMITS] = "setting resource limits",
        [STEP_CAPABILITIES] = "dropping capabilities", [STEP_FDS] = "arranging file descriptors",
        [STEP_EXEC] = "executing gadget-worker",
};

struct setup_failure {
        int step;
        int errnum;
};

/* Everything the child needs, collected before the clone. */
struct plan {
        const struct worker_spec *spec;
        int channel_fd;
        int log_fd;
        int setup_fd;
        int go_fd;       /* one byte: the id map is written */
        int go_write_fd; /* the broker's end of it */
};

static const struct {
        int resource;
        rlim_t max;
} limits[] = {
        /* Every object that libbpf sees has a placeholder fd; rings and maps that are read a real
           one. */
        { RLIMIT_NOFILE, LIMIT_BROKER_OBJECTS_MAX + 128 },
        /* Of this uid, which no other process has: it can start nothing. */
        { RLIMIT_NPROC, 1 },
        { RLIMIT_CORE, 0 },
        /* Nothing to write to by path; the event ring is mapped, and its size is sealed. */
        { RLIMIT_FSIZE, 0 },
        { RLIMIT_DATA, 512 << 20 },
        /* A ring buffer's data pages are mapped twice. */
        { RLIMIT_AS, (512u << 20) + LIMIT_EVENT_RING_MAX + 2 * (rlim_t)LIMIT_MAP_BYTES_MAX },
        { RLIMIT_STACK, 8 << 20 },
        { RLIMIT_MSGQUEUE, 0 },
        { RLIMIT_SIGPENDING, 32 },
};

static int set_limits(void) {
        for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
                struct rlimit limit, now;

                /* Never above what we have: raising takes a capability. */
                if (getrlimit(limits[i].resource, &now) < 0)
                        return -errno;
                limit.rlim_max = MIN(limits[i].max, now.rlim_max);
                limit.rlim_cur = limit.rlim_max;
                if (setrlimit(limits[i].resource, &limit) < 0)
                        return -errno;
        }
        return 0;
}

/* The child has every capability in its own new namespaces, none in ours; these steps need them. */
static int take_uid(const struct plan *plan) {
        uid_t uid = plan->spec->uid;

        /* The id map holds this one id, so no later step can become another. */
        if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
                return -errno;
        /* Again: the change of ids has reset it. */
        return prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? -errno : 0;
}

static int mount_root(void) {
        /* /proc is only a place that exists everywhere; what lies under it is about to vanish. */
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("none", "/proc", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                  "size=4k,nr_inodes=2,mode=0555") < 0)
                return -errno;
        return 0;
}

static int enter_root(void) {
        /* Stacks the old root on top of the new one, at the same place, and takes it off again: no
         * directory for it is needed. */
        if (chdir("/proc") < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
            umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
                return -errno;
        return 0;
}

static int drop_capabilities(void) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

        for (unsigned int cap = 0; cap < 64; cap++)
                if (prctl(PR_CAPBSET_DROP, cap) < 0) {
                        if (errno == EINVAL)
                                break; /* past the last one that this kernel knows */
                        return -errno;
                }
        if (syscall(SYS_capset, &header, none) < 0)
                return -errno;
        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

/* Moves what is kept out of the way, then down to its number; everything else is closed. 0, 1 and 2
 * are /dev/null, as ours. */
static int arrange_fds(struct plan *plan) {
        struct {
                int from, to, flags;
        } moves[] = {
                { plan->channel_fd, CHILD_FD_CHANNEL, 0 },
                { plan->log_fd, CHILD_FD_LOG, 0 },
                { plan->spec->exe_fd, FD_EXE, O_CLOEXEC },
                { plan->setup_fd, FD_SETUP, O_CLOEXEC },
        };

        for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
                moves[i].from = fcntl(moves[i].from, F_DUPFD_CLOEXEC, FD_PARK);
                if (moves[i].from < 0)
                        return -errno;
        }
        plan->setup_fd = moves[3].from;
        for (size_t i = 0; i < ARRAY_SIZE(moves); i++)
                if (dup3(moves[i].from, moves[i].to, moves[i].flags) < 0)
                        return -errno;
        plan->setup_fd = FD_SETUP;
        return syscall(SYS_close_range, FD_SETUP + 1, ~0U, 0) < 0 ? -errno : 0;
}

static int wait_for_map(const struct plan *plan) {
        char byte;

        /* A broker that dies from here on takes us along; one that has died already left a pipe
         * whose only other end is our own copy. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || close(plan->go_write_fd) < 0)
                return -errno;
        return read(plan->go_fd, &byte, 1) == 1 ? 0 : -EPIPE;
}

/* Runs in the child; returns only on failure. Async-signal-safe calls only. */
static int child(struct plan *plan, enum step *step) {
        static char *const argv[] = { (char *)"gadget-worker", NULL };
        static char *const envp[] = { NULL };
        int r;

        *step = STEP_WAIT;
        r = wait_for_map(plan);
        if (r < 0)
                return r;
        *step = STEP_UID;
        r = take_uid(plan);
        if (r < 0)
                return r;
        *step = STEP_HOSTNAME;
        if (sethostname("", 0) < 0 || setdomainname("", 0) < 0)
                return -errno;
        *step = STEP_MOUNT;
        r = mount_root();
        if (r < 0)
                return r;
        *step = STEP_PIVOT;
        r = enter_root();
        if (r < 0)
                return r;
        *step = STEP_LIMITS;
        r = set_limits();
        if (r < 0)
                return r;
        *step = STEP_CAPABILITIES;
        r = drop_capabilities();
        if (r < 0)
                return r;
        *step = STEP_FDS;
        r = arrange_fds(plan);
        if (r < 0)
                return r;
        *step = STEP_EXEC;
        execveat(FD_EXE, "", argv, envp, AT_EMPTY_PATH);
        return -errno;
}

static int write_proc(int proc_fd, const char *name, const char *text) {
        cleanup_close int fd = openat(proc_fd, name, O_WRONLY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* One id, mapped to itself: inside and outside mean the same, and there is no root to become. */
static int write_maps(pid_t pid, uint32_t uid) {
        cleanup_close int proc_fd = -1;
        char path[32], map[64];
        int r;

        snprintf(path, sizeof(path), "/proc/%d", pid);
        snprintf(map, sizeof(map), "%u %u 1\n", uid, uid);
        proc_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (proc_fd < 0)
                return -errno;
        r = write_proc(proc_fd, "setgroups", "deny");
        if (r == 0)
                r = write_proc(proc_fd, "uid_map", map);
        return r == 0 ? write_proc(proc_fd, "gid_map", map) : r;
}

static pid_t clone_worker(struct plan *plan, int *ret_pidfd) {
        struct clone_args args = {
                .flags = NAMESPACES | CLONE_PIDFD,
                .pidfd = (uint64_t)(uintptr_t)ret_pidfd,
                .exit_signal = SIGCHLD,
        };
        pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

        if (pid == 0) {
                enum step step;
                int r = child(plan, &step);
                struct setup_failure failure = { (int)step, -r };

                /* The parent reads it when it sees us gone. */
                _exit(write(plan->setup_fd, &failure, sizeof(failure)) < 0 ? 126 : 127);
        }
        return pid < 0 ? -errno : pid;
}

int worker_start(const struct worker_spec *spec, struct worker *ret, struct error *err) {
        cleanup_close int channel_fd = -1, child_channel_fd = -1, log_fd = -1, child_log_fd = -1,
                          setup_fd = -1, child_setup_fd = -1, go_fd = -1, child_go_fd = -1,
                          pid_fd = -1;
        int fds[2], r;
        pid_t pid;

        r = socket_pair(SOCK_SEQPACKET, &channel_fd, &child_channel_fd);
        if (r == 0)
                r = socket_pair(SOCK_SEQPACKET, &log_fd, &child_log_fd);
        if (r == 0)
                r = pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : 0;
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "cannot make the worker's channels");
        setup_fd = fds[0];
        child_setup_fd = fds[1];
        if (pipe2(fds, O_CLOEXEC) < 0)
                return error_set(err, ERROR_INTERNAL, -errno, "cannot make a pipe for the worker");
        child_go_fd = fds[0];
        go_fd = fds[1];
        /* The worker's end blocks: libbpf waits for each answer. */
        if (fcntl(child_channel_fd, F_SETFL, 0) < 0)
                return error_set(err, ERROR_INTERNAL, -errno, "cannot set up the worker's channel");

        pid = clone_worker(&(struct plan){ spec, child_channel_fd, child_log_fd, child_setup_fd,
                                           child_go_fd, go_fd },
                           &pid_fd);
        if (pid < 0)
                return error_set(err, ERROR_UNAVAILABLE, pid,
                                 "cannot create the worker's namespaces; does "
                                 "/proc/sys/user/max_user_namespaces allow them?");
        r = write_maps(pid, spec->uid);
        if (r == 0 && write(go_fd, "", 1) < 0)
                r = -errno;
        *ret = (struct worker){
                .pid = pid,
                .pid_fd = TAKE_FD(pid_fd),
                .channel_fd = TAKE_FD(channel_fd),
                .log_fd = TAKE_FD(log_fd),
                .setup_fd = TAKE_FD(setup_fd),
        };
        /* Closing the pipe ends a child that got no map. */
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "cannot write the worker's id map");
        return 0;
}

bool worker_setup_error(const struct worker *w, struct error *err) {
        struct setup_failure failure;

        if (read(w->setup_fd, &failure, sizeof(failure)) != sizeof(failure) || failure.step < 0 ||
            failure.step >= (int)ARRAY_SIZE(step_names))
                return false;
        error_set(err, ERROR_INTERNAL, -failure.errnum, "the worker failed at %s: %s",
                  step_names[failure.step], strerrordesc_np(failure.errnum) ?: "unknown error");
        return true;
}

void worker_done(struct worker *w) {
        close_fd(&w->pid_fd);
        close_fd(&w->channel_fd);
        close_fd(&w->log_fd);
        close_fd(&w->setup_fd);
        w->pid = 0;
}
