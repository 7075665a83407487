/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/supervisor.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/pid-namespace.h"
#include "supervisor/client.h"
#include "supervisor/fsck.h"
#include "supervisor/instance.h"
#include "supervisor/reaper.h"
#include "supervisor/sd-notify.h"
#include "supervisor/sweep.h"

#define END_DEADLINE (15 * NSEC_PER_SEC)     /* more than an instance's stop and kill take */
#define FAREWELL_DEADLINE (1 * NSEC_PER_SEC) /* for clients to take what is left for them */

/* --- the end --- */

static int on_end_deadline(struct loop_timer *timer) {
        struct supervisor *sup = container_of(timer, struct supervisor, end_deadline);

        log_warning("%zu instances and %zu clients did not end in time, going without",
                    sup->n_instances, sup->n_clients);
        loop_exit(sup->loop, 0);
        return 0;
}

/* Clients hear the end of their streams before they are let go. */
static void close_idle_clients(struct supervisor *sup) {
        struct client *client, *next;

        for (client = LIST_FIRST(&sup->clients); client; client = next) {
                next = LIST_NEXT(client, link);
                if (LIST_EMPTY(&client->streams) && client_unsent(client) == 0)
                        client_close(client);
        }
}

void supervisor_check_end(struct supervisor *sup) {
        if (!sup->is_ending)
                return;
        if (sup->n_instances > 0 || sup->n_transfers > 0 || sup->spare.broker)
                return;
        close_idle_clients(sup);
        if (sup->n_clients == 0)
                loop_exit(sup->loop, 0);
        else if (!sup->is_last_call &&
                 loop_timer_set(sup->loop, &sup->end_deadline, FAREWELL_DEADLINE, "farewell",
                                on_end_deadline) == 0)
                sup->is_last_call = true;
}

void supervisor_end(struct supervisor *sup, const char *why) {
        struct instance *in, *next;

        if (sup->is_ending)
                return;
        sup->is_ending = true;
        log_info("ending: %s", why);
        sd_notify_send("STOPPING=1");
        server_close(sup);
        if (loop_timer_set(sup->loop, &sup->end_deadline, END_DEADLINE, "end deadline",
                           on_end_deadline) < 0)
                loop_exit(sup->loop, 1);
        transfers_stop(sup);
        fsck_stop(sup);
        spare_end(sup);
        for (in = LIST_FIRST(&sup->instances); in; in = next) {
                next = LIST_NEXT(in, link);
                instance_stop(in, CAUSE_SHUTDOWN);
        }
        supervisor_check_end(sup);
}

void supervisor_on_client_gone(struct supervisor *sup) {
        if (sup->options.is_private)
                supervisor_end(sup, "the client is gone");
        supervisor_check_end(sup);
}

/* --- signals --- */

static int on_signal(struct loop_io *io, uint32_t events) {
        struct supervisor *sup = container_of(io, struct supervisor, signals_io);
        struct signalfd_siginfo info;

        (void)events;
        while (read(sup->signals_fd, &info, sizeof(info)) == sizeof(info)) {
                if (info.ssi_signo == SIGCHLD)
                        reaper_run(sup);
                else
                        supervisor_end(sup, info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
        }
        return 0;
}

static int init_signals(struct supervisor *sup) {
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        sigaddset(&set, SIGTERM);
        /* A private gadgetd shares its terminal with the client, and Ctrl-C is the client's: it
         * ends when that has. */
        if (sup->options.is_private)
                signal(SIGINT, SIG_IGN);
        else
                sigaddset(&set, SIGINT);
        signal(SIGPIPE, SIG_IGN);
        sup->signals_fd = loop_signal_fd(&set);
        if (sup->signals_fd < 0)
                return sup->signals_fd;
        return loop_io_add(sup->loop, &sup->signals_io, sup->signals_fd, EPOLLIN, "signals",
                           on_signal);
}

/* --- the beginning --- */

/* An instance takes about ten descriptors, and there may be LIMIT_INSTANCES_MAX. */
static void raise_file_limit(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
                limit.rlim_cur = limit.rlim_max;
                (void)setrlimit(RLIMIT_NOFILE, &limit);
        }
}

static int open_for_clients(struct supervisor *sup, struct error *err) {
        struct client *client;
        int r;

        if (!sup->options.is_private)
                return server_listen(sup, err);
        r = client_new(sup, sup->options.client_fd, &client);
        if (r < 0)
                return error_set(err, ERROR_INVALID, r, "--client-fd %d is no connected socket: %s",
                                 sup->options.client_fd, strerror(-r));
        return 0;
}

/* Nothing that we could do about it: setns() leads down only (docs/decisions/007). */
static void check_pid_namespace(void) {
        if (!pid_namespace_is_host())
                log_warning(
                        "gadgetd runs in a pid namespace of its own: snapshots of processes and "
                        "the search for containers end at it, and stacks of programs have no "
                        "names; start it in the host's (Kubernetes: hostPID: true; docker and "
                        "podman: --pid=host)");
}

int supervisor_init(struct supervisor *sup, const struct options *options, struct error *err) {
        int r;

        *sup = (struct supervisor){ .options = *options, .signals_fd = -1 };
        LIST_INIT(&sup->instances);
        LIST_INIT(&sup->clients);
        LIST_INIT(&sup->transfers);
        LIST_INIT(&sup->inflight);
        server_init(&sup->server, options->root);
        raise_file_limit();
        containers_init(&sup->containers, sup);
        socket_enrichers_init(sup->socket_enrichers, sup);
        umask(0022);
        r = paths_init(&sup->paths, options, err);
        if (r == 0)
                r = loop_new(&sup->loop);
        if (r == 0)
                r = reaper_init();
        if (r == 0)
                r = init_signals(sup);
        if (r == 0)
                r = config_read(sup->paths.config, &sup->config, err);
        if (r < 0)
                return r;
        image_service_init(&sup->images, sup->paths.bundled_store, sup->paths.local_store,
                           &sup->config);
        r = cgroup_layout_read("/proc/self/mountinfo", &sup->cgroups);
        if (r < 0)
                log_warning_errno(r, "cannot read the mounts of this host");
        cgroup_layout_open(&sup->cgroups);
        check_pid_namespace();
        sweep(sup);
        return open_for_clients(sup, err);
}

int supervisor_run(struct supervisor *sup) {
        sd_notify_send("READY=1");
        spare_begin(sup);
        log_info("gadgetd %s runs on '%s'", GADGET_VERSION, sup->paths.run);
        return loop_run(sup->loop);
}

void supervisor_done(struct supervisor *sup) {
        struct transfer *transfer;
        struct instance *in;
        struct client *client;
        bool is_unfinished;

        server_close(sup);
        while ((client = LIST_FIRST(&sup->clients)))
                client_free(client);
        containers_done(&sup->containers);
        socket_enrichers_done(sup->socket_enrichers);
        sup->fsck = fsck_free(sup->fsck);
        is_unfinished = sup->n_instances > 0 || sup->n_transfers > 0 || sup->spare.broker;
        spare_done(sup);
        while ((transfer = LIST_FIRST(&sup->transfers)))
                transfer_free(transfer);
        while ((in = LIST_FIRST(&sup->instances))) {
                broker_kill(in->broker);
                instance_free(in);
        }
        if (is_unfinished) {
                reaper_run(sup);
                sweep_own(sup);
        }
        loop_timer_clear(&sup->end_deadline);
        loop_io_remove(&sup->signals_io);
        close_fd(&sup->signals_fd);
        image_service_done(&sup->images);
        config_done(&sup->config);
        cgroup_layout_done(&sup->cgroups);
        sup->loop = loop_free(sup->loop);
        paths_done(&sup->paths);
}
