/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/wait.h"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

bool wait_again(struct wait *wait) {
        uint64_t now = now_ns();
        struct timespec pause;

        if (now >= wait->deadline_ns)
                return false;
        wait->pause_ns = MIN(wait->pause_ns * 2, 20 * NSEC_PER_MSEC);
        pause = (struct timespec){ 0, (long)MIN(wait->pause_ns, wait->deadline_ns - now) };
        nanosleep(&pause, NULL);
        return true;
}

int wait_readable(int fd, uint64_t timeout_ns) {
        uint64_t deadline = now_ns() + timeout_ns;

        for (;;) {
                struct pollfd p = { .fd = fd, .events = POLLIN };
                uint64_t now = now_ns();
                int r;

                r = poll(&p, 1, now >= deadline ? 0 : (int)((deadline - now) / NSEC_PER_MSEC + 1));
                if (r > 0)
                        return 0;
                if (r < 0 && errno != EINTR)
                        return -errno;
                if (now >= deadline)
                        return -ETIMEDOUT;
        }
}

int wait_child(pid_t pid, uint64_t timeout_ns, int *ret_status) {
        cleanup_close int pidfd = -1;
        int r;

        pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (pidfd < 0)
                return -errno;
        r = wait_readable(pidfd, timeout_ns);
        if (r < 0)
                return r;
        while (waitpid(pid, ret_status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return 0;
}
