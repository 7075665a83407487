/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between fork and exec the child moves every fd it needs out of the way (at or above FD_PARK),
 * then down to its final number, and closes everything else: the order of the table never matters.
 * It reports a failed step through a pipe that a successful exec closes.
 */
#include "base/proc.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define FD_STATUS PROC_FDS_MAX     /* the pipe to the parent */
#define FD_EXE (PROC_FDS_MAX + 1)  /* exe_fd */
#define FD_PARK (PROC_FDS_MAX + 2) /* first number without a meaning */

/* A mapping of the child: number `to` becomes a duplicate of `from`. */
struct move {
        int from;
        int to;
        bool keep_over_exec;
};

/* Everything that the child needs, collected before the fork. */
struct plan {
        const struct proc_spec *spec;
        char *const *argv;
        char *const *envp;
        pid_t parent;
        int null_fd;
        int status_fd;
};

static int reset_signals(void) {
        sigset_t none;

        for (int i = 1; i < NSIG; i++)
                signal(i, SIG_DFL); /* KILL, STOP and the runtime's own refuse, which is fine */
        sigemptyset(&none);
        return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? -errno : 0;
}

/* *status_fd follows the pipe on its way. */
static int place_fds(const struct plan *plan, int *status_fd) {
        const struct proc_spec *spec = plan->spec;
        struct move moves[PROC_FDS_MAX + 2];
        size_t n = 0;

        moves[n++] = (struct move){ plan->status_fd, FD_STATUS, false };
        for (int i = 0; i < PROC_FDS_MAX; i++) {
                int from = spec->fds[i];

                if (from <= 0 && i == STDERR_FILENO && spec->keep_stderr)
                        from = STDERR_FILENO;
                else if (from <= 0 && i <= STDERR_FILENO)
                        from = plan->null_fd;
                if (from > 0)
                        moves[n++] = (struct move){ from, i, true };
        }
        if (spec->exe_fd > 0)
                moves[n++] = (struct move){ spec->exe_fd, FD_EXE, false };

        for (size_t i = 0; i < n; i++) {
                moves[i].from = fcntl(moves[i].from, F_DUPFD_CLOEXEC, FD_PARK);
                if (moves[i].from < 0)
                        return -errno;
        }
        *status_fd = moves[0].from;
        /* All originals are expendable now; the parked ones are FD_PARK and above. */
        if (syscall(SYS_close_range, 0, FD_STATUS - 1, 0) < 0)
                return -errno;
        for (size_t i = 0; i < n; i++)
                if (dup3(moves[i].from, moves[i].to, moves[i].keep_over_exec ? 0 : O_CLOEXEC) < 0)
                        return -errno;
        *status_fd = FD_STATUS;
        if (spec->exe_fd <= 0)
                close(FD_EXE);
        return syscall(SYS_close_range, FD_PARK, ~0U, 0) < 0 ? -errno : 0;
}

/* Runs in the child; returns only on failure. *status_fd is where the pipe is at that moment. */
static int child(const struct plan *plan, int *status_fd) {
        const struct proc_spec *spec = plan->spec;
        int r;

        r = reset_signals();
        if (r < 0)
                return r;
        if (spec->death_signal > 0) {
                if (prctl(PR_SET_PDEATHSIG, spec->death_signal) < 0)
                        return -errno;
                /* The parent may have died before the kernel knew that we care. */
                if (getppid() != plan->parent)
                        return -ESRCH;
        }
        /* Away from the terminal: Ctrl-C is for the program that the user sees. */
        if (setsid() < 0)
                return -errno;
        for (size_t i = 0; i < spec->n_cgroup_procs; i++)
                if (write(spec->cgroup_procs[i], "0", 1) < 0)
                        return -errno;

        r = place_fds(plan, status_fd);
        if (r < 0)
                return r;
        if (spec->exe_fd > 0)
                execveat(FD_EXE, "", plan->argv, plan->envp, AT_EMPTY_PATH);
        else
                execve(spec->path, plan->argv, plan->envp);
        return -errno;
}

/* Waits until the exec has closed the pipe (0) or the child has written why not. */
static int read_status(int fd) {
        ssize_t n;
        int r = 0;

        do
                n = read(fd, &r, sizeof(r));
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        if (n == 0)
                return 0;
        return n == sizeof(r) && r < 0 ? r : -EIO;
}

static int spawn(struct plan *plan, int status_read_fd, pid_t *ret_pid, int *ret_pidfd) {
        cleanup_close int pidfd = -1;
        sigset_t all, saved;
        pid_t pid;
        int r;

        /* No handler of ours may run in the child. */
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, &saved);
        pid = fork();
        if (pid == 0) {
                int fd = plan->status_fd;

                r = child(plan, &fd);
                /* If even this fails the parent sees a child that exits with 127. */
                if (write(fd, &r, sizeof(r)) < 0)
                        _exit(127);
                _exit(127);
        }
        r = -errno;
        sigprocmask(SIG_SETMASK, &saved, NULL);
        close_fd(&plan->status_fd);
        if (pid < 0)
                return r;

        r = read_status(status_read_fd);
        if (r == 0) {
                /* No race: an unwaited child keeps its pid. */
                pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
                if (pidfd < 0)
                        r = -errno;
        }
        if (r < 0) {
                kill(pid, SIGKILL);
                while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                        ;
                return r;
        }
        *ret_pid = pid;
        *ret_pidfd = TAKE_FD(pidfd);
        return 0;
}

int proc_spawn(const struct proc_spec *spec, pid_t *ret_pid, int *ret_pidfd) {
        static char *const empty[] = { NULL };
        char *argv_default[] = { (char *)spec->path, NULL };
        cleanup_close int status_read_fd = -1, null_fd = -1;
        struct plan plan = {
                .spec = spec,
                .argv = spec->argv ? (char *const *)spec->argv : argv_default,
                .envp = spec->envp ? (char *const *)spec->envp : empty,
                .parent = getpid(),
        };
        int pipe_fds[2], r;

        null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null_fd < 0)
                return -errno;
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return -errno;
        status_read_fd = pipe_fds[0];
        plan.status_fd = pipe_fds[1];
        plan.null_fd = null_fd;

        r = spawn(&plan, status_read_fd, ret_pid, ret_pidfd);
        close_fd(&plan.status_fd);
        return r;
}

const char *proc_status_text(int status, char *buf, size_t n) {
        if (WIFEXITED(status)) {
                snprintf(buf, n, "exited with status %d", WEXITSTATUS(status));
        } else if (WIFSIGNALED(status)) {
                const char *name = sigabbrev_np(WTERMSIG(status));

                if (name)
                        snprintf(buf, n, "killed by SIG%s", name);
                else
                        snprintf(buf, n, "killed by signal %d", WTERMSIG(status));
        } else {
                snprintf(buf, n, "wait status 0x%x", (unsigned int)status);
        }
        return buf;
}
