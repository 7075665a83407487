/* SPDX-License-Identifier: Apache-2.0 */
#include "gadgetctl/session.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/proc.h"
#include "gadget/api.h"
#include "gadgetctl/diag.h"
#include "gadgetctl/signals.h"

#define CLIENT_NAME "gadgetctl " GADGET_VERSION
/* How long a private gadgetd may take to remove what its gadgets left in the kernel. */
#define DAEMON_END_MS 15000

char *path_in_root(const struct args *args, const char *path) {
        char *full;

        return asprintf(&full, "%s%s", args->root, path) < 0 ? NULL : full;
}

/* What the user begins with --detach is begun or not; everything else can be interrupted. */
static int interrupt_fd(const struct args *args) {
        return args->detach ? -1 : signals_fd();
}

static int spawn_private(struct session *session, const struct args *args, int *ret_fd,
                         struct error *err) {
        cleanup_free char *path = path_in_root(args, GADGET_BINDIR "/gadgetd");
        cleanup_close int ours = -1, theirs = -1;
        const char *argv[] = { "gadgetd", "--private", "--client-fd", "3", "--log-level",
                               "warning", "--root",    args->root,    NULL };
        struct proc_spec spec = { .path = path, .argv = argv, .keep_stderr = true };
        int pair[2], r;

        if (!path)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        if (!args->root[0])
                argv[6] = NULL;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return error_set(err, ERROR_INTERNAL, -errno, "socketpair: %m");
        ours = pair[0];
        theirs = pair[1];
        spec.fds[CHILD_FD_CHANNEL] = theirs;
        r = proc_spawn(&spec, &session->daemon_pid, &session->daemon_pidfd);
        if (r < 0)
                return error_set(err, ERROR_UNAVAILABLE, r,
                                 "cannot start a private gadgetd ('%s'): %s", path, strerror(-r));
        *ret_fd = TAKE_FD(ours);
        return 0;
}

static int open_private(struct session *session, const struct args *args, struct error *err) {
        int fd = -1, r;

        r = spawn_private(session, args, &fd, err);
        if (r < 0)
                return r;
        r = connection_new(fd, CLIENT_NAME, interrupt_fd(args), &session->connection, err);
        if (r == -ECONNRESET)
                error_set(err, ERROR_UNAVAILABLE, r,
                          "the private gadgetd ended before it could serve");
        return r;
}

/* Nobody listens, as opposed to: somebody does but we may not talk to them. */
static bool is_absent(int r) {
        return r == -ENOENT || r == -ECONNREFUSED || r == -ENOTDIR;
}

static int say_absent(const char *path, const struct args *args, bool may_spawn) {
        diag("gadgetd does not run: nobody listens on '%s'", path);
        if (args->detach)
                diag("--detach needs a gadgetd that outlives this command: start one as root with "
                     "'gadgetd'");
        else if (may_spawn)
                diag("run this command as root, which then starts a private gadgetd, or start one "
                     "as root with 'gadgetd'");
        else
                diag("start one as root with 'gadgetd'");
        return EXIT_UNREACHABLE;
}

/* What --socket or the environment says; NULL = neither. */
static const char *given_socket(const struct args *args) {
        const char *given = args->socket ? args->socket : getenv("GADGETD_SOCKET");

        return given && given[0] ? given : NULL;
}

static char *socket_path(const struct args *args) {
        const char *given = given_socket(args);

        return given ? strdup(given) : path_in_root(args, GADGET_RUNDIR "/gadgetd.sock");
}

int session_try(struct session *session, const struct args *args) {
        cleanup_free char *path = socket_path(args);
        struct error err = { 0 };

        *session = (struct session){ .daemon_pidfd = -1 };
        return path ? connection_open(path, CLIENT_NAME, interrupt_fd(args), &session->connection,
                                      &err)
                    : -ENOMEM;
}

int session_open(struct session *session, const struct args *args, int flags) {
        cleanup_free char *path = socket_path(args);
        bool may_spawn = flags & SESSION_MAY_SPAWN && !given_socket(args) && !args->detach;
        struct error err = { 0 };
        int r;

        *session = (struct session){ .daemon_pidfd = -1 };
        if (!path) {
                diag("out of memory");
                return EXIT_FAILED;
        }
        r = connection_open(path, CLIENT_NAME, interrupt_fd(args), &session->connection, &err);
        if (is_absent(r)) {
                if (!may_spawn || geteuid() != 0)
                        return say_absent(path, args, may_spawn);
                err = (struct error){ 0 };
                r = open_private(session, args, &err);
        }
        if (r == 0)
                return 0;
        if (signals_interrupted(r))
                return signals_exit_code();
        diag("%s", error_text(&err));
        if (r == -EACCES || r == -EPERM) {
                diag("root and members of the group 'gadgetd' may talk to it");
                return EXIT_DENIED;
        }
        return err.code == ERROR_DENIED ? EXIT_DENIED : EXIT_UNREACHABLE;
}

void session_close(struct session *session) {
        struct pollfd p = { .fd = session->daemon_pidfd, .events = POLLIN };
        siginfo_t info;

        session->connection = connection_free(session->connection);
        if (session->daemon_pidfd >= 0) {
                int r;

                do
                        r = poll(&p, 1, DAEMON_END_MS);
                while (r < 0 && errno == EINTR);
                if (r == 0)
                        diag("the private gadgetd (pid %d) is still cleaning up",
                             (int)session->daemon_pid);
                else
                        (void)waitid(P_PIDFD, (id_t)session->daemon_pidfd, &info, WEXITED);
        }
        close_fd(&session->daemon_pidfd);
}
