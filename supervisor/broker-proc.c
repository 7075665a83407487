/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/broker-proc.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "supervisor/broker-routes.h"
#include "supervisor/instance.h"
#include "supervisor/supervisor.h"

#define CHANNEL_QUEUE_MAX (16u << 20) /* every container there can be, with the longest texts */
#define REMAINS_DELAY (NSEC_PER_MSEC) /* first pause between attempts; doubles up to 100 ms */
#define REMAINS_DEADLINE (5 * NSEC_PER_SEC)
#define WORKER_UID_SLOTS (1u << 24)
#define LOG_RECORDS_PER_SECOND 100
#define LOG_RECORDS_PER_CALL 64

/* A worker is one process with one thread; libbpf with the kernel's BTF needs 30 MiB while it
 * loads. */
#define WORKER_PIDS_MAX 4
#define WORKER_MEMORY_MAX (UINT64_C(128) << 20)

/* --- log --- */

static void tail_append(struct broker *broker, const uint8_t *text, size_t n) {
        size_t keep;

        n = MIN(n, (size_t)LOG_TAIL_SIZE - 1);
        keep = MIN(broker->log_tail_len, LOG_TAIL_SIZE - 1 - n);
        memmove(broker->log_tail, broker->log_tail + broker->log_tail_len - keep, keep);
        for (size_t i = 0; i < n;
             i++) /* it travels as a string: no NUL, no controls, no broken UTF-8 */
                broker->log_tail[keep + i] = text[i] >= ' ' && text[i] < 0x7f ? (char)text[i] : '?';
        broker->log_tail[keep + n] = '\n';
        broker->log_tail_len = keep + n + 1;
        broker->log_tail[broker->log_tail_len] = '\0';
}

static void log_record(struct broker *broker, struct bytes record) {
        uint64_t second = now_ns() / NSEC_PER_SEC;
        char who[64];

        if (record.len < 2)
                return;
        /* What a gadget of gadgetd's own goes without is news for the log, not for whoever runs
         * another one. */
        if (broker->instance && broker->instance->is_internal &&
            record.data[0] == LOG_LEVEL_WARNING && log_get_level() < LOG_LEVEL_INFO)
                return;
        if (record.data[0] <= LOG_LEVEL_INFO)
                tail_append(broker, record.data + 1, record.len - 1);
        if (second != broker->log_second) {
                if (broker->log_suppressed > 0)
                        log_warning("instance %.12s: %u log records not shown", broker->id,
                                    broker->log_suppressed);
                broker->log_second = second;
                broker->log_count = broker->log_suppressed = 0;
        }
        if (broker->log_count == LOG_RECORDS_PER_SECOND) {
                broker->log_suppressed++;
                return;
        }
        broker->log_count++;
        snprintf(who, sizeof(who), "instance %.12s", broker->id);
        log_relay(who, record);
}

/* Up to `max` records; true = there may be more. */
static bool log_read(struct broker *broker, unsigned int max) {
        uint8_t record[1 + LIMIT_LOG_TEXT_MAX];

        for (unsigned int i = 0; i < max; i++) {
                ssize_t n = recv(broker->log_fd, record, sizeof(record), MSG_DONTWAIT);

                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return false;
                if (n <= 0) {
                        loop_io_remove(&broker->log_io);
                        return false;
                }
                log_record(broker, BYTES(record, (size_t)n));
        }
        return true;
}

static int on_log(struct loop_io *io, uint32_t events) {
        (void)events;
        (void)log_read(container_of(io, struct broker, log_io), LOG_RECORDS_PER_CALL);
        return 0;
}

/* --- start --- */

static int make_ring(struct instance *in) {
        int r;

        in->ring_fd = memfd_sized("gadget-ring", EVENT_RING_HEADER_SIZE + in->ring_size);
        if (in->ring_fd < 0)
                return in->ring_fd;
        in->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (in->bell_fd < 0)
                return -errno;
        r = ring_reader_init(&in->ring, in->ring_fd, in->ring_size);
        if (r < 0)
                return r;
        in->has_ring = true;
        return 0;
}

static bool is_uid_taken(const struct supervisor *sup, uint32_t uid) {
        const struct instance *in;

        LIST_FOREACH (in, &sup->instances, link)
                if (in->broker->worker_uid == uid)
                        return true;
        return sup->spare.broker && sup->spare.broker->worker_uid == uid;
}

/* One uid a worker. Drawn at random, so that several gadgetd on one host do not meet either. */
static uint32_t choose_uid(const struct supervisor *sup) {
        for (;;) {
                uint32_t slot;

                if (getrandom(&slot, sizeof(slot), 0) != sizeof(slot))
                        abort();
                if (!is_uid_taken(sup, WORKER_UID_BASE + slot % WORKER_UID_SLOTS))
                        return WORKER_UID_BASE + slot % WORKER_UID_SLOTS;
        }
}

static int send_prepare(struct broker *broker, struct error *err) {
        const struct supervisor *sup = broker->sup;
        cleanup_close int worker_fd = -1, dir_fd = -1;
        int fds[PREPARE_FDS_MAX];
        size_t n_fds = PREPARE_FDS_MIN;
        const struct msg_prepare prepare = {
                .id = broker->id,
                .worker_uid = broker->worker_uid,
                .kernel_btf = sup->options.kernel_btf,
        };
        int r;

        worker_fd = open(sup->paths.worker, O_RDONLY | O_CLOEXEC);
        if (worker_fd < 0)
                return error_set(err, ERROR_INTERNAL, -errno, "cannot open the worker '%s': %s",
                                 sup->paths.worker, strerror(errno));
        dir_fd = openat(sup->paths.instances_fd, broker->id, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        if (dir_fd < 0)
                return -errno;
        fds[PREPARE_FD_WORKER] = worker_fd;
        fds[PREPARE_FD_DIR] = dir_fd;
        for (size_t i = 0; i < broker->cgroup.n; i++)
                fds[n_fds++] = broker->cgroup.fds[i];
        r = channel_send(broker->channel, MSG_PREPARE, &prepare, fds, n_fds);
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "cannot send PREPARE to the broker: %s",
                                 strerror(-r));
        return 0;
}

static int send_start(struct instance *in, struct error *err) {
        cleanup_close int object_fd = -1, definition_fd = -1;
        int fds[START_FDS], map_fd = socket_enricher_of(in)->map_fd, r;
        const struct msg_start start = {
                .image = in->image_name,
                .definition_name = in->image->definition_name,
                .params = { in->params, in->params_len },
                .inspect = in->is_inspect,
                .allow_unsafe = in->allow_unsafe,
                .is_host_wide = in->is_host_wide,
                .offers_map = in->is_internal,
        };

        object_fd = memfd_sealed("gadget-object", in->image->object, in->image->object_size);
        if (object_fd < 0)
                return object_fd;
        definition_fd = memfd_sealed("gadget-definition", in->image->definition,
                                     in->image->definition_size);
        if (definition_fd < 0)
                return definition_fd;
        fds[START_FD_OBJECT] = object_fd;
        fds[START_FD_DEFINITION] = definition_fd;
        fds[START_FD_RING] = in->ring_fd;
        fds[START_FD_BELL] = in->bell_fd;
        /* What its predecessor has filled. */
        if (in->is_internal && map_fd >= 0)
                (void)channel_send(in->broker->channel, MSG_SHARED_MAP, &(struct msg_shared_map){},
                                   &map_fd, 1);
        r = channel_send(in->broker->channel, MSG_START, &start, fds, START_FDS);
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "cannot send START to the broker: %s",
                                 strerror(-r));
        in->image = image_free(in->image); /* the memfds hold it now */
        return 0;
}

/* It joins its cgroup by itself, beside the start of its worker: on a v1 hierarchy that waits for
 * an RCU grace period. */
static int spawn(struct broker *broker, int channel_fd, int log_fd, struct error *err) {
        const char *const argv[] = { "gadget-broker", broker->id, NULL };
        struct proc_spec spec = {
                .path = broker->sup->paths.broker,
                .argv = argv,
                .fds = { [CHILD_FD_CHANNEL] = channel_fd, [CHILD_FD_LOG] = log_fd },
        };
        int r;

        r = proc_spawn(&spec, &broker->pid, &broker->pidfd);
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "cannot start '%s': %s", spec.path,
                                 strerror(-r));
        return 0;
}

/* The event ring counts for the worker, which touches its pages first. */
static struct cgroup_limits limits_with(uint64_t ring_size) {
        return (struct cgroup_limits){ WORKER_MEMORY_MAX + ring_size, WORKER_PIDS_MAX };
}

int broker_prepare(struct broker *broker, const char *id, struct error *err) {
        cleanup_close int channel_fd = -1, child_channel_fd = -1, child_log_fd = -1;
        const struct cgroup_limits limits = limits_with(EVENT_RING_DEFAULT);
        struct supervisor *sup = broker->sup;
        int r;

        snprintf(broker->id, sizeof(broker->id), "%s", id);
        broker->worker_uid = choose_uid(sup);
        r = make_dirs(sup->paths.instances_fd, id, 0700, NULL);
        if (r < 0)
                return error_set(err, ERROR_UNAVAILABLE, r, "cannot make '%s/instances/%s': %s",
                                 sup->paths.run, id, strerror(-r));
        broker->has_dir = true;
        r = cgroup_create(&sup->cgroups, id, &limits, &broker->cgroup, err);
        if (r == 0)
                r = socket_pair(SOCK_SEQPACKET, &channel_fd, &child_channel_fd);
        if (r == 0)
                r = socket_pair(SOCK_SEQPACKET, &broker->log_fd, &child_log_fd);
        if (r == 0)
                r = spawn(broker, child_channel_fd, child_log_fd, err);
        if (r < 0)
                return r;
        r = loop_io_add(sup->loop, &broker->log_io, broker->log_fd, EPOLLIN, "broker log", on_log);
        if (r < 0)
                return r;
        r = channel_new(sup->loop, TAKE_FD(channel_fd), "broker", &broker_channel_ops, broker,
                        CHANNEL_QUEUE_MAX, &broker->channel);
        return r < 0 ? r : send_prepare(broker, err);
}

int broker_start(struct broker *broker, struct error *err) {
        struct instance *in = broker->instance;
        struct cgroup_limits limits = limits_with(in->ring_size);
        int r = 0;

        if (broker->pid == 0)
                r = broker_prepare(broker, in->id, err);
        if (r == 0 && in->ring_size != EVENT_RING_DEFAULT)
                r = cgroup_limit(&broker->cgroup, &limits, err);
        if (r == 0)
                r = make_ring(in);
        return r < 0 ? r : send_start(in, err);
}

/* --- stop and kill --- */

void broker_stop(struct broker *broker) {
        if (broker->channel)
                (void)channel_send(broker->channel, MSG_STOP, &(struct msg_stop){}, NULL, 0);
}

void broker_kill(struct broker *broker) {
        if (broker->pidfd >= 0)
                (void)pidfd_send_signal(broker->pidfd, SIGKILL, NULL, 0);
        if (broker->worker_pidfd >= 0)
                (void)pidfd_send_signal(broker->worker_pidfd, SIGKILL, NULL, 0);
        cgroup_kill(&broker->cgroup);
}

/* --- after its death --- */

static int on_remains(struct loop_timer *timer) {
        struct broker *broker = container_of(timer, struct broker, remains);
        int r;

        r = cgroup_remove(&broker->cgroup);
        if (r < 0 && now_ns() < broker->remains_until_ns) {
                cgroup_kill(&broker->cgroup);
                if (loop_timer_set(broker->sup->loop, timer, broker->remains_delay_ns, "remains",
                                   on_remains) == 0) {
                        broker->remains_delay_ns =
                                MIN(broker->remains_delay_ns * 2, 100 * NSEC_PER_MSEC);
                        return 0;
                }
        }
        if (r < 0)
                log_error_errno(r, "instance %.12s: cannot remove its cgroup, leaving it",
                                broker->id);
        cgroup_done(&broker->cgroup);
        if (broker->has_dir)
                r = remove_tree(broker->sup->paths.instances_fd, broker->id);
        if (broker->has_dir && r < 0)
                log_error_errno(r, "instance %.12s: cannot remove its directory, leaving it",
                                broker->id);
        broker->has_dir = false;
        if (broker->instance)
                (void)instance_event(broker->instance, EVENT_EXITED);
        else
                spare_on_gone(broker->sup);
        return 0;
}

void broker_release(struct broker *broker) {
        if (broker->remains.index != 0)
                return; /* at it */
        broker->remains_until_ns = now_ns() + REMAINS_DEADLINE;
        broker->remains_delay_ns = REMAINS_DELAY;
        if (loop_timer_set(broker->sup->loop, &broker->remains, 0, "remains", on_remains) < 0)
                (void)on_remains(&broker->remains);
}

/* What the exit means when the broker itself did not say it. */
static void explain_exit(struct broker *broker, int status) {
        struct error err = {};
        char how[64];

        if (broker->has_stopped &&
            (broker->is_clean || !broker->instance || !broker->instance->was_running))
                return; /* stopped while it was loading, there is nothing to drain */
        if (broker->has_stopped)
                error_set(&err, ERROR_UNAVAILABLE, -ECHILD, "the worker was lost: %s",
                          proc_status_text((int)broker->worker_status, how, sizeof(how)));
        else
                error_set(&err, ERROR_UNAVAILABLE, -ECHILD, "the broker was lost: %s",
                          proc_status_text(status, how, sizeof(how)));
        broker_on_fault(broker, &err, broker->log_tail);
}

void broker_on_fault(struct broker *broker, const struct error *err, const char *detail) {
        if (broker->instance)
                instance_fault(broker->instance, err, detail);
        else
                spare_on_fault(broker->sup, err);
}

void broker_on_exit(struct broker *broker, int status) {
        /* Last words first, or the reason that it gave would be lost. */
        if (broker->channel)
                channel_drain(broker->channel);
        if (broker->log_io.loop)
                while (log_read(broker, LOG_RECORDS_PER_CALL))
                        ;
        broker->pid = 0;
        loop_timer_clear(&broker->grace);
        broker->channel = channel_free(broker->channel);
        explain_exit(broker, status);
        broker_kill(broker); /* a worker may outlive its broker by a moment */
        broker_release(broker);
}

int broker_new(struct supervisor *sup, struct broker **ret) {
        struct broker *broker = malloc(sizeof(*broker));

        if (!broker)
                return -ENOMEM;
        *broker = (struct broker){
                .sup = sup, .pidfd = -1, .log_fd = -1, .worker_pidfd = -1, .cgroup = CGROUP_NONE
        };
        *ret = broker;
        return 0;
}

struct broker *broker_free(struct broker *broker) {
        if (!broker)
                return NULL;
        loop_timer_clear(&broker->grace);
        loop_timer_clear(&broker->remains);
        broker->channel = channel_free(broker->channel);
        loop_io_remove(&broker->log_io);
        close_fd(&broker->log_fd);
        close_fd(&broker->pidfd);
        close_fd(&broker->worker_pidfd);
        cgroup_done(&broker->cgroup);
        free(broker);
        return NULL;
}
