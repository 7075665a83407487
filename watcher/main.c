/* SPDX-License-Identifier: Apache-2.0 */
/* gadget-watch: started by gadgetd when containers matter for the first time, and kept. */
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "watcher/procfs.h"
#include "watcher/sandbox.h"
#include "watcher/watch.h"

#define QUEUE_MAX (16u << 20) /* every container there can be, with the longest texts */
#define RESCAN_INTERVAL (30 * NSEC_PER_SEC)

static bool permit(void *owner, enum message_type type) {
        (void)owner;
        return type == MSG_WATCH_GATE || type == MSG_WATCH_PASS;
}

static int on_message(void *owner, struct received *received) {
        struct watch *watch = owner;

        if (received->type == MSG_WATCH_GATE)
                gate_hold(watch, received->msg->watch_gate.hold);
        else
                gate_pass(watch, received->msg->watch_pass.serial);
        return 0;
}

static void on_closed(void *owner, int r, const struct error *err) {
        struct watch *watch = owner;

        (void)err;
        loop_exit(watch->loop, r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* What no event has told. */
static int on_rescan(struct loop_timer *timer) {
        struct watch *watch = container_of(timer, struct watch, rescan);

        gate_mark_runtimes(watch);
        watch_scan(watch);
        return loop_timer_set(watch->loop, timer, RESCAN_INTERVAL, "rescan", on_rescan);
}

/* The host's namespaces are those of process 1, also for a gadgetd in a container that has the
 * host's pid namespace; ours, where they may not be looked at. */
static int host_namespace(const char *which, uint64_t *ret) {
        return proc_namespace(1, which, ret) == 0 ? 0 : proc_namespace(0, which, ret);
}

static int start(struct watch *watch, struct error *err) {
        static const struct channel_ops ops = { permit, on_message, on_closed };
        int r;

        r = host_namespace("mnt", &watch->host_mntns);
        if (r == 0)
                r = host_namespace("pid", &watch->host_pidns);
        if (r == 0)
                r = host_namespace("net", &watch->host_netns);
        if (r < 0)
                return error_set(err, ERROR_UNAVAILABLE, r, "cannot read /proc/self/ns: %s",
                                 strerror(-r));
        r = parser_start(&watch->parser);
        if (r == 0)
                r = loop_new(&watch->loop);
        if (r == 0)
                r = channel_new(watch->loop, CHILD_FD_CHANNEL, "gadgetd", &ops, watch, QUEUE_MAX,
                                &watch->channel);
        if (r == 0)
                r = gate_init(watch);
        if (r == 0)
                r = cgroups_init(watch);
        return r < 0 ? error_set(err, ERROR_INTERNAL, r, "gadget-watch cannot start: %s",
                                 strerror(-r))
                     : sandbox_watch(err);
}

static int run(struct watch *watch) {
        const struct msg_watch_ready ready = { .mntns = watch->host_mntns,
                                               .netns = watch->host_netns };
        int r;

        watch_scan(watch);
        r = channel_send(watch->channel, MSG_WATCH_READY, &ready, NULL, 0);
        if (r == 0)
                r = loop_timer_set(watch->loop, &watch->rescan, RESCAN_INTERVAL, "rescan",
                                   on_rescan);
        return r < 0 ? r : loop_run(watch->loop);
}

/* gadgetd passes on what its configuration has. */
static void read_arguments(struct watch *watch, char **argv) {
        for (size_t i = 1; argv[0] && argv[i] && argv[i + 1]; i += 2) {
                if (str_eq(argv[i], "--state-root"))
                        states_add_root(watch, argv[i + 1]);
                else if (str_eq(argv[i], "--runtime"))
                        gate_add_runtime(watch, argv[i + 1]);
        }
}

int main(int argc, char **argv) {
        struct watch watch = { .inotify_fd = -1, .fanotify_fd = -1, .parser.fd = -1 };
        struct error err = { 0 };
        struct stat st;
        int r;

        if (fstat(CHILD_FD_CHANNEL, &st) < 0 || !S_ISSOCK(st.st_mode)) {
                fprintf(stderr, "gadget-watch: gadgetd starts this program; there is nothing to "
                                "run by hand\n");
                return 2;
        }
        log_init("gadget-watch", CHILD_FD_LOG);
        (void)argc;
        states_init(&watch);
        gate_add_usual_runtimes(&watch);
        read_arguments(&watch, argv);
        r = start(&watch, &err);
        if (r < 0)
                log_error("%s", error_text(&err));
        else
                r = run(&watch);
        gate_done(&watch);
        watch_done(&watch);
        states_done(&watch);
        cgroups_done(&watch);
        channel_free(watch.channel);
        parser_stop(&watch.parser);
        loop_free(watch.loop);
        return r < 0 ? EXIT_FAILURE : r;
}
