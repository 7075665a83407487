/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/fetcher-proc.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "supervisor/supervisor.h"

#define UID_SLOTS 1000000u
#define QUEUE_MAX (1u << 20)
#define CA_FILE "/etc/ssl/certs/ca-certificates.crt"
#define CA_MAX (4u << 20)
#define MEMORY_MAX (UINT64_C(192) << 20)
#define PIDS_MAX 40 /* itself, and the resolver's threads */
#define LOG_RECORDS_PER_CALL 16

static int on_log(struct loop_io *io, uint32_t events) {
        struct fetcher_proc *fetcher = container_of(io, struct fetcher_proc, log_io);
        uint8_t record[1 + LIMIT_LOG_TEXT_MAX];

        (void)events;
        for (unsigned int i = 0; i < LOG_RECORDS_PER_CALL; i++) {
                ssize_t n = recv(fetcher->log_fd, record, sizeof(record), MSG_DONTWAIT);

                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return 0;
                if (n <= 0) {
                        loop_io_remove(&fetcher->log_io);
                        return 0;
                }
                if (n > 1)
                        log_relay("gadget-fetch", BYTES(record, (size_t)n));
        }
        return 0;
}

/* The system's roots and those of the user, as one file. */
static int make_ca(struct bytes extra) {
        cleanup_buf struct buf all = BUF_INIT(CA_MAX);
        int r;

        r = read_file_at(AT_FDCWD, CA_FILE, &all);
        if (r < 0)
                log_debug("no system certificates: %s", strerror(-r));
        buf_append(&all, "\n", 1);
        buf_append(&all, extra.data, extra.len);
        r = buf_result(&all);
        return r < 0 ? r : memfd_sealed("gadget-ca", all.data, all.len);
}

static uint32_t choose_uid(void) {
        uint32_t slot;

        if (getrandom(&slot, sizeof(slot), 0) != sizeof(slot))
                abort();
        return FETCHER_UID_BASE + slot % UID_SLOTS;
}

/* It writes itself into these before it gives its rights up: on a v1 hierarchy that waits for the
 * kernel. */
static int open_cgroups(const struct fetcher_proc *fetcher, struct proc_spec *spec,
                        int fds[CGROUP_HIERARCHIES_MAX]) {
        for (size_t i = 0; i < fetcher->cgroup.n; i++) {
                fds[i] =
                        openat(fetcher->cgroup.fds[i], "worker/cgroup.procs", O_WRONLY | O_CLOEXEC);
                if (fds[i] < 0)
                        return -errno;
                spec->fds[CHILD_FD_LOG + 1 + i] = fds[i];
        }
        return 0;
}

static int spawn(struct fetcher_proc *fetcher, int channel_fd, int log_fd, struct error *err) {
        int cgroup_fds[CGROUP_HIERARCHIES_MAX] = { -1, -1 };
        char uid[16], n_cgroups[16];
        const char *const argv[] = { "gadget-fetch", "--uid", uid, "--cgroups", n_cgroups, NULL };
        struct proc_spec spec = {
                .path = fetcher->sup->paths.fetcher,
                .argv = argv,
                .fds = { [CHILD_FD_CHANNEL] = channel_fd, [CHILD_FD_LOG] = log_fd },
                .death_signal = SIGKILL,
        };
        int r;

        fetcher->uid = choose_uid();
        snprintf(uid, sizeof(uid), "%u", fetcher->uid);
        snprintf(n_cgroups, sizeof(n_cgroups), "%zu", fetcher->cgroup.n);
        r = open_cgroups(fetcher, &spec, cgroup_fds);
        if (r == 0)
                r = proc_spawn(&spec, &fetcher->pid, &fetcher->pidfd);
        for (size_t i = 0; i < CGROUP_HIERARCHIES_MAX; i++)
                close_fd(&cgroup_fds[i]);
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "cannot start '%s': %s", spec.path,
                                 strerror(-r));
        return 0;
}

int fetcher_start(struct supervisor *sup, const struct msg_fetch_open *open_msg, struct bytes ca,
                  const struct channel_ops *ops, void *owner, struct fetcher_proc *fetcher,
                  struct error *err) {
        static const struct cgroup_limits limits = { MEMORY_MAX, PIDS_MAX };
        cleanup_close int channel_fd = -1, child_channel_fd = -1, child_log_fd = -1, ca_fd = -1;
        int r;

        fetcher->sup = sup;
        instance_id_generate(fetcher->id);
        r = make_dirs(sup->paths.instances_fd, fetcher->id, 0700, NULL);
        if (r < 0)
                return error_set(err, ERROR_UNAVAILABLE, r, "cannot make '%s/instances/%s': %s",
                                 sup->paths.run, fetcher->id, strerror(-r));
        fetcher->has_dir = true;
        r = cgroup_create(&sup->cgroups, fetcher->id, &limits, &fetcher->cgroup, err);
        if (r < 0)
                return r;
        ca_fd = make_ca(ca);
        if (ca_fd < 0)
                return error_set(err, ERROR_INTERNAL, ca_fd, "cannot collect certificates: %s",
                                 strerror(-ca_fd));
        r = socket_pair(SOCK_SEQPACKET, &channel_fd, &child_channel_fd);
        if (r == 0)
                r = socket_pair(SOCK_SEQPACKET, &fetcher->log_fd, &child_log_fd);
        if (r == 0)
                r = spawn(fetcher, child_channel_fd, child_log_fd, err);
        if (r == 0)
                r = loop_io_add(sup->loop, &fetcher->log_io, fetcher->log_fd, EPOLLIN,
                                "fetcher log", on_log);
        if (r == 0)
                r = channel_new(sup->loop, TAKE_FD(channel_fd), "gadget-fetch", ops, owner,
                                QUEUE_MAX, &fetcher->channel);
        if (r == 0)
                r = channel_send(fetcher->channel, MSG_FETCH_OPEN, open_msg, &ca_fd, 1);
        return r;
}

void fetcher_stop(struct fetcher_proc *fetcher) {
        fetcher->channel = channel_free(fetcher->channel);
}

void fetcher_kill(struct fetcher_proc *fetcher) {
        fetcher_stop(fetcher);
        if (fetcher->pidfd >= 0)
                (void)pidfd_send_signal(fetcher->pidfd, SIGKILL, NULL, 0);
}

void fetcher_on_exit(struct fetcher_proc *fetcher) {
        int r;

        if (fetcher->log_io.loop)
                (void)on_log(&fetcher->log_io, EPOLLIN);
        fetcher->pid = 0;
        fetcher_stop(fetcher);
        r = cgroup_remove(&fetcher->cgroup);
        if (r < 0)
                log_warning_errno(r, "cannot remove the cgroup of a fetcher, leaving it");
        if (fetcher->has_dir)
                (void)remove_tree(fetcher->sup->paths.instances_fd, fetcher->id);
        fetcher->has_dir = false;
}

void fetcher_init(struct fetcher_proc *fetcher) {
        *fetcher = (struct fetcher_proc){ .pidfd = -1, .log_fd = -1, .cgroup = CGROUP_NONE };
}

void fetcher_done(struct fetcher_proc *fetcher) {
        fetcher_kill(fetcher);
        if (fetcher->has_dir && fetcher->pid == 0) {
                (void)cgroup_remove(&fetcher->cgroup);
                (void)remove_tree(fetcher->sup->paths.instances_fd, fetcher->id);
        }
        loop_io_remove(&fetcher->log_io);
        close_fd(&fetcher->log_fd);
        close_fd(&fetcher->pidfd);
        cgroup_done(&fetcher->cgroup);
        fetcher_init(fetcher);
}
