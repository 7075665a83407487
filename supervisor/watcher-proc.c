/* SPDX-License-Identifier: Apache-2.0 */
/* The process gadget-watch: started when somebody needs it, and again, later each time, when it
 * ends while gadgets run. */
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "supervisor/container.h"
#include "supervisor/supervisor.h"

#define QUEUE_MAX (1u << 20)
#define LOG_RECORDS_PER_CALL 16
#define RESTART_FIRST (100 * NSEC_PER_MSEC)
#define RESTART_LAST (30 * NSEC_PER_SEC)
#define PATIENCE (1 * NSEC_PER_SEC)
#define PROVEN (10 * NSEC_PER_SEC) /* who has run that long may fail once more */

static int on_log(struct loop_io *io, uint32_t events) {
        struct containers *cs = container_of(io, struct containers, log_io);
        uint8_t record[1 + LIMIT_LOG_TEXT_MAX];

        (void)events;
        for (unsigned int i = 0; i < LOG_RECORDS_PER_CALL; i++) {
                ssize_t n = recv(cs->log_fd, record, sizeof(record), MSG_DONTWAIT);

                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return 0;
                if (n <= 0) {
                        loop_io_remove(&cs->log_io);
                        return 0;
                }
                if (n > 1)
                        log_relay("gadget-watch", BYTES(record, (size_t)n));
        }
        return 0;
}

static void release_process(struct containers *cs) {
        cs->channel = channel_free(cs->channel);
        loop_io_remove(&cs->log_io);
        close_fd(&cs->log_fd);
        close_fd(&cs->pidfd);
        cs->pid = 0;
        cs->is_ready = cs->holds = cs->is_full = false;
}

static void fill_arguments(const struct containers_config *config, const char **argv) {
        size_t n = 0;

        argv[n++] = "gadget-watch";
        for (size_t i = 0; i < config->n_runtimes; i++) {
                argv[n++] = "--runtime";
                argv[n++] = config->runtimes[i];
        }
        for (size_t i = 0; i < config->n_roots; i++) {
                argv[n++] = "--state-root";
                argv[n++] = config->roots[i];
        }
        argv[n] = NULL;
}

/* As Kubernetes does: the host's name unless it is told otherwise. */
static void set_node(struct containers *cs) {
        const char *node = cs->sup->config.containers.node;
        struct utsname name;

        if (!node && uname(&name) == 0)
                node = name.nodename;
        snprintf(cs->node, sizeof(cs->node), "%s", node ?: "");
}

int containers_need(struct containers *cs, struct error *err) {
        cleanup_close int channel_fd = -1, child_channel_fd = -1, child_log_fd = -1;
        const char *argv[2 + 4 * CONFIG_PATHS_MAX];
        struct proc_spec spec = { .path = cs->sup->paths.watcher,
                                  .argv = argv,
                                  .death_signal = SIGKILL };
        int r;

        if (cs->pid > 0)
                return 0;
        /* Soon enough to wait for. */
        if (cs->restart.index != 0 && cs->restart_delay_ns <= PATIENCE)
                return 0;
        if (cs->restart.index != 0)
                return error_set(err, ERROR_UNAVAILABLE, -EAGAIN,
                                 "gadget-watch ends again and again, and is started only now and "
                                 "then; see the daemon's log");
        fill_arguments(&cs->sup->config.containers, argv);
        set_node(cs);
        r = socket_pair(SOCK_SEQPACKET, &channel_fd, &child_channel_fd);
        if (r == 0)
                r = socket_pair(SOCK_SEQPACKET, &cs->log_fd, &child_log_fd);
        spec.fds[CHILD_FD_CHANNEL] = child_channel_fd;
        spec.fds[CHILD_FD_LOG] = child_log_fd;
        if (r == 0)
                r = proc_spawn(&spec, &cs->pid, &cs->pidfd);
        if (r == 0)
                r = loop_io_add(cs->sup->loop, &cs->log_io, cs->log_fd, EPOLLIN, "watch log",
                                on_log);
        if (r == 0)
                r = channel_new(cs->sup->loop, TAKE_FD(channel_fd), "gadget-watch",
                                &containers_watcher_ops, cs, QUEUE_MAX, &cs->channel);
        if (r < 0) {
                if (cs->pidfd >= 0)
                        (void)pidfd_send_signal(cs->pidfd, SIGKILL, NULL, 0);
                release_process(cs);
                return error_set(err, ERROR_INTERNAL, r, "cannot start '%s': %s", spec.path,
                                 strerror(-r));
        }
        cs->started_ns = now_ns();
        containers_update_gate(cs);
        return 0;
}

static int on_restart(struct loop_timer *timer);

static void plan_restart(struct containers *cs) {
        if (now_ns() > cs->started_ns + PROVEN)
                cs->restart_delay_ns = 0;
        cs->restart_delay_ns = cs->restart_delay_ns == 0
                                       ? RESTART_FIRST
                                       : MIN(2 * cs->restart_delay_ns, RESTART_LAST);
        log_info("gadget-watch is started again in %llu ms",
                 (unsigned long long)(cs->restart_delay_ns / NSEC_PER_MSEC));
        (void)loop_timer_set(cs->sup->loop, &cs->restart, cs->restart_delay_ns, "watch restart",
                             on_restart);
}

/* The gadgets that run go on meanwhile with what they know. */
static int on_restart(struct loop_timer *timer) {
        struct containers *cs = container_of(timer, struct containers, restart);
        struct error err;

        if (containers_have_listeners(cs) && containers_need(cs, &err) < 0) {
                log_error("%s", error_text(&err));
                plan_restart(cs);
        }
        return 0;
}

void containers_on_stop(struct containers *cs) {
        log_warning("gadget-watch has been stopped by a signal: ending it, since starts of "
                    "containers would wait for it");
        if (cs->pidfd >= 0)
                (void)pidfd_send_signal(cs->pidfd, SIGKILL, NULL, 0);
}

void containers_on_exit(struct containers *cs, int status) {
        char how[64];

        if (cs->log_io.loop)
                (void)on_log(&cs->log_io, EPOLLIN);
        if (!cs->sup->is_ending)
                log_error("gadget-watch %s", proc_status_text(status, how, sizeof(how)));
        release_process(cs);
        containers_on_watcher_gone(cs);
        if (!cs->sup->is_ending && containers_have_listeners(cs))
                plan_restart(cs);
}

void watcher_proc_done(struct containers *cs) {
        if (cs->pidfd >= 0)
                (void)pidfd_send_signal(cs->pidfd, SIGKILL, NULL, 0);
        release_process(cs);
        loop_timer_clear(&cs->restart);
}
