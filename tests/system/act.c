/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/system/act.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

const char *act_object(const char *name) {
        static char path[512];

        snprintf(path, sizeof(path), "%s/tests/system/gadgets/%s.bpf.o", TEST_BUILD_DIR, name);
        return path;
}

void act_open_numbered(const char *tag, unsigned int first, unsigned int n) {
        char path[128];

        for (unsigned int i = first; i < first + n; i++) {
                snprintf(path, sizeof(path), "/nonexistent/%s/%u", tag, i);
                assert_int_equal(open(path, O_RDONLY | O_CLOEXEC), -1);
        }
}

static bool shows(struct run *run, const char *tag) {
        char path[128];

        snprintf(path, sizeof(path), "/nonexistent/%s/0", tag);
        act_open_numbered(tag, 0, 1);
        if (!run_is_alive(run))
                run_fail(run, "ended before it showed '%s'", path);
        return strstr(run_out(run), path) != NULL;
}

json_t *act_open_until_row(struct run *run, const char *tag) {
        char path[128];

        if (!WAIT_UNTIL(shows(run, tag), WAIT_DEFAULT))
                run_fail(run, "never shows an open() of this test");
        snprintf(path, sizeof(path), "/nonexistent/%s/0", tag);
        return run_wait_row(run, "fname", path);
}

static void flood_main(int fd) {
        uint64_t n;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (recv(fd, &n, sizeof(n), 0) == sizeof(n)) {
                for (uint64_t i = 0; i < n; i++)
                        syscall(SYS_getppid);
                if (send(fd, &n, sizeof(n), 0) < 0)
                        _exit(1);
        }
        _exit(0);
}

void act_fork(struct act_child *child) {
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
        fflush(NULL);
        child->pid = fork();
        assert_true(child->pid >= 0);
        if (child->pid == 0) {
                close(fds[0]);
                flood_main(fds[1]);
        }
        close(fds[1]);
        child->fd = fds[0];
}

void act_flood(struct act_child *child, uint64_t n) {
        assert_int_equal(send(child->fd, &n, sizeof(n), MSG_NOSIGNAL), sizeof(n));
        assert_int_equal(wait_readable(child->fd, WAIT_DEFAULT), 0);
        assert_int_equal(recv(child->fd, &n, sizeof(n), 0), sizeof(n));
}

void act_end(struct act_child *child) {
        int status;

        close_fd(&child->fd);
        assert_int_equal(wait_child(child->pid, WAIT_DEFAULT, &status), 0);
        assert_int_equal(status, 0);
}

json_t *act_show(struct env *env, const char *name) {
        return env_ctl_json(env, "show", name, "-o", "json", NULL);
}

void act_detach(struct env *env, const char *gadget, const char *name, pid_t pid) {
        char text[16];

        snprintf(text, sizeof(text), "%d", pid);
        if (pid > 0)
                env_ctl(env, 0, "run", gadget, "--detach", "--name", name, "--pid", text, NULL);
        else
                env_ctl(env, 0, "run", gadget, "--detach", "--name", name, NULL);
}
