/* SPDX-License-Identifier: Apache-2.0 */
/* uprobes and USDT probes: the only programs that are attached while the gadget runs, as containers
 * with their files come and go. */
#include <inttypes.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "broker/bpf.h"
#include "broker/broker.h"

#define SEMAPHORE_SHIFT 32 /* in the event's config: PERF_UPROBE_REF_CTR_OFFSET_SHIFT */

static int refuse(struct error *err, const char *what) {
        return error_set(err, ERROR_INVALID, -EPROTO, "the worker's request 'uprobe' %s", what);
}

/* The kernel is told the file by our fd of it: its path may be another file's by now. */
static int open_event(const struct broker *b, const struct broker_uprobe *uprobe,
                      const struct target *target) {
        int type = broker_pmu_number(b, BROKER_PMU_UPROBE, BROKER_PMU_TYPE);
        int bit = broker_pmu_number(b, BROKER_PMU_UPROBE, BROKER_PMU_RETPROBE_BIT);
        char path[64];
        struct perf_event_attr attr = {
                .size = sizeof(attr),
                .type = (uint32_t)type,
                .config = (uint64_t)uprobe->semaphore << SEMAPHORE_SHIFT,
                .config1 = ptr_u64(path),
                .config2 = uprobe->offset,
        };
        int fd;

        if (type < 0 || bit < 0 || bit >= SEMAPHORE_SHIFT)
                return -EOPNOTSUPP;
        if (uprobe->flags & BROKER_UPROBE_RETURN)
                attr.config |= UINT64_C(1) << bit;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", target->fd);
        fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

/* A link keeps its event. Before Linux 5.15 there is none, nor a cookie, and the event keeps the
 * program. */
static int attach(const struct broker_uprobe *uprobe, int prog_fd, int *event_fd) {
        union bpf_attr attr = { .link_create = { .prog_fd = (uint32_t)prog_fd,
                                                 .target_fd = (uint32_t)*event_fd,
                                                 .attach_type = BPF_PERF_EVENT } };
        int r;

        attr.link_create.perf_event.bpf_cookie = uprobe->cookie;
        r = sys_bpf(BPF_LINK_CREATE, &attr);
        if (r >= 0 || (uprobe->flags & BROKER_UPROBE_COOKIE))
                return r;
        if (ioctl(*event_fd, PERF_EVENT_IOC_SET_BPF, prog_fd) < 0 ||
            ioctl(*event_fd, PERF_EVENT_IOC_ENABLE, 0) < 0)
                return -errno;
        return TAKE_FD(*event_fd);
}

int on_uprobe(struct broker *b, const struct request *request, struct reply *reply,
              struct error *err) {
        const struct broker_uprobe *uprobe = request->body;
        const struct target *target = target_find(b, uprobe->target);
        bool is_return = (uprobe->flags & BROKER_UPROBE_RETURN) != 0;
        cleanup_close int event_fd = -1;
        struct object *prog;
        char *hook;
        int r;

        if (uprobe->flags & ~(uint32_t)(BROKER_UPROBE_RETURN | BROKER_UPROBE_COOKIE))
                return refuse(err, "is malformed");
        if (!target && (uprobe->target == 0 || uprobe->target > b->targets.last_id))
                return refuse(err, "is for a file that was never asked for");
        r = broker_object(b, uprobe->prog, OBJECT_PROG, &prog, err);
        if (r == 0)
                r = broker_may_attach(b, prog, err);
        if (r < 0)
                return r;
        /* Its last container may have ended since the worker asked; and containers are as many as
         * they are: that ends no gadget. */
        reply->result = b->state == BROKER_STOPPING      ? -ESHUTDOWN
                        : !target                        ? -ESRCH
                        : objects_room(&b->objects) == 0 ? -ENOSPC
                                                         : 0;
        if (reply->result == 0)
                reply->result = event_fd = open_event(b, uprobe, target);
        if (reply->result >= 0)
                reply->result = attach(uprobe, prog->fd, &event_fd);
        if (reply->result < 0)
                return 0;
        if (asprintf(&hook, "%s%s+0x%" PRIx64, is_return ? "uretprobe" : "uprobe", target->path,
                     uprobe->offset) < 0)
                hook = NULL;
        r = broker_add_link(b, reply->result, hook, reply, err);
        if (r == 0)
                objects_find(&b->objects, reply->handle)->target = target->id;
        return r;
}
