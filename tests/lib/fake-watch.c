/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In the place of gadget-watch: hands its channel to the test, over the socket beside its own
 * executable, and is there.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/util.h"
#include "gadget/api.h"

static int hand_over(int fd, int channel_fd) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = { .header = { .cmsg_level = SOL_SOCKET,
                                  .cmsg_type = SCM_RIGHTS,
                                  .cmsg_len = CMSG_LEN(sizeof(int)) } };
        char byte = 0;
        struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
        struct msghdr msg = { .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof(control) };

        memcpy(CMSG_DATA(&control.header), &channel_fd, sizeof(channel_fd));
        return sendmsg(fd, &msg, 0) < 0 ? -errno : 0;
}

int main(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        char exe[64];
        ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe));
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        if (n < 0 || n == sizeof(exe) || fd < 0)
                return 1;
        snprintf(address.sun_path, sizeof(address.sun_path), "%.*s.sock", (int)n, exe);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            hand_over(fd, CHILD_FD_CHANNEL) < 0)
                return 1;
        close(CHILD_FD_CHANNEL);
        for (;;)
                pause();
}
