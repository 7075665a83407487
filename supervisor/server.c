/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/server.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/log.h"
#include "supervisor/client.h"
#include "supervisor/supervisor.h"

#define SOCKET_NAME "gadgetd.sock"
#define BACKLOG 64
#define ACCEPTS_PER_CALL 16
#define PAUSE (100 * NSEC_PER_MSEC)

/* Only the file is asked: name services would load code into this process and may block. */
void server_init(struct server *server, const char *root) {
        char path[PATH_MAX];
        const struct group *group;
        FILE *file;

        snprintf(path, sizeof(path), "%s/etc/group", root);
        file = fopen(path, "re");
        *server = (struct server){ .fd = -1 };
        while (file && (group = fgetgrent(file)))
                if (str_eq(group->gr_name, "gadgetd")) {
                        server->has_group = true;
                        server->group = group->gr_gid;
                }
        if (file)
                fclose(file);
}

/* sun_path has 108 bytes and --root may be longer: then the way leads through the directory's fd.
 */
static int make_address(const struct paths *paths, struct sockaddr_un *ret) {
        int n;

        *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
        n = snprintf(ret->sun_path, sizeof(ret->sun_path), "%s", paths->socket);
        if (n >= (int)sizeof(ret->sun_path))
                n = snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/" SOCKET_NAME,
                             paths->run_fd);
        return n >= (int)sizeof(ret->sun_path) ? -ENAMETOOLONG : 0;
}

static int on_accept(struct loop_io *io, uint32_t events);

static int on_pause_over(struct loop_timer *timer) {
        struct server *server = container_of(timer, struct server, pause);

        return loop_io_modify(&server->io, EPOLLIN);
}

static int on_accept(struct loop_io *io, uint32_t events) {
        struct server *server = container_of(io, struct server, io);
        struct supervisor *sup = container_of(server, struct supervisor, server);

        (void)events;
        for (unsigned int i = 0; i < ACCEPTS_PER_CALL; i++) {
                int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                struct client *client;
                int r;

                if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
                        return 0;
                if (fd < 0) {
                        /* The connection stays in the backlog; without a pause the loop would spin
                         * on it. */
                        log_warning_errno(-errno, "cannot accept a client, trying again");
                        (void)loop_io_modify(&server->io, 0);
                        return loop_timer_set(sup->loop, &server->pause, PAUSE, "accept pause",
                                              on_pause_over);
                }
                r = client_new(sup, fd, &client);
                if (r < 0)
                        log_warning_errno(r, "cannot serve another client, closing it");
        }
        return 0;
}

int server_listen(struct supervisor *sup, struct error *err) {
        struct server *server = &sup->server;
        cleanup_close int fd = -1;
        struct sockaddr_un address;
        mode_t mask;
        int r;

        r = make_address(&sup->paths, &address);
        if (r < 0)
                return error_set(err, ERROR_INVALID, r, "the path '%s' is too long for a socket",
                                 sup->paths.socket);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (unlinkat(sup->paths.run_fd, SOCKET_NAME, 0) < 0 && errno != ENOENT)
                return error_set(err, ERROR_UNAVAILABLE, -errno, "cannot remove the old '%s': %s",
                                 sup->paths.socket, strerror(errno));
        mask = umask(0177); /* nobody else may connect before group and mode are set */
        r = bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
        umask(mask);
        if (r == 0 && server->has_group &&
            (fchownat(sup->paths.run_fd, SOCKET_NAME, 0, server->group, AT_SYMLINK_NOFOLLOW) < 0 ||
             fchmodat(sup->paths.run_fd, SOCKET_NAME, 0660, 0) < 0))
                r = -errno;
        if (r == 0 && listen(fd, BACKLOG) < 0)
                r = -errno;
        if (r == 0)
                r = loop_io_add(sup->loop, &server->io, fd, EPOLLIN, "accept", on_accept);
        if (r < 0)
                return error_set(err, ERROR_UNAVAILABLE, r, "cannot listen on '%s': %s",
                                 sup->paths.socket, strerror(-r));
        server->fd = TAKE_FD(fd);
        return 0;
}

void server_close(struct supervisor *sup) {
        struct server *server = &sup->server;

        if (server->fd < 0)
                return;
        loop_timer_clear(&server->pause);
        loop_io_remove(&server->io);
        close_fd(&server->fd);
        (void)unlinkat(sup->paths.run_fd, SOCKET_NAME, 0);
}
