/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/sd-notify.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/log.h"

void sd_notify_send(const char *state) {
        const char *path = getenv("NOTIFY_SOCKET");
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        cleanup_close int fd = -1;
        size_t n;

        if (!path || (path[0] != '/' && path[0] != '@'))
                return;
        n = strlen(path);
        if (n < 2 || n >= sizeof(address.sun_path))
                return;
        memcpy(address.sun_path, path, n);
        if (path[0] == '@')
                address.sun_path[0] = '\0'; /* abstract */
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
                             (struct sockaddr *)&address,
                             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
                log_warning_errno(-errno, "cannot tell systemd '%s'", state);
}
