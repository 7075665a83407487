/* SPDX-License-Identifier: Apache-2.0 */
/* Perf events and the few numbers that libbpf reads from files of the host. Names are checked
 * before any path is made of them. */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "base/parse.h"
#include "broker/bpf.h"
#include "broker/broker.h"

#define NAME_MAX_LEN 64
#define FREQUENCY_MAX 10000 /* samples a second and CPU */
#define PERIOD_MIN 10000    /* ns, cycles, ... */

static const char *const pmu_names[_BROKER_PMU_MAX] = { "kprobe", "uprobe" };

/* A small file of the host as text, line end cut off. */
static int read_text(int dir_fd, const char *path, char *text, size_t n) {
        cleanup_close int fd = -1;
        ssize_t len;

        if (dir_fd < 0)
                return -ENOENT;
        fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        len = read(fd, text, n - 1);
        if (len < 0)
                return -errno;
        text[len] = '\0';
        text[strcspn(text, "\n")] = '\0';
        return 0;
}

static int read_number(int dir_fd, const char *path, const char *prefix, uint32_t *ret) {
        const char *number;
        char text[64];
        int r;

        r = read_text(dir_fd, path, text, sizeof(text));
        if (r < 0)
                return r;
        number = str_after(text, prefix);
        return number ? parse_u32(number, 0, INT32_MAX, ret) : -EINVAL;
}

int broker_pmu_number(const struct broker *b, enum broker_pmu pmu, enum broker_pmu_item item) {
        char path[64];
        uint32_t n;
        int r;

        snprintf(path, sizeof(path), "%s/%s", pmu_names[pmu],
                 item == BROKER_PMU_TYPE ? "type" : "format/retprobe");
        r = read_number(b->pmu_fd, path, item == BROKER_PMU_TYPE ? "" : "config:", &n);
        return r < 0 ? r : (int)n;
}

int on_pmu(struct broker *b, const struct request *request, struct reply *reply,
           struct error *err) {
        const struct broker_pmu_request *want = request->body;

        if (want->pmu >= _BROKER_PMU_MAX || want->item >= _BROKER_PMU_ITEM_MAX)
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker's request 'event source' is malformed");
        reply->result =
                broker_pmu_number(b, (enum broker_pmu)want->pmu, (enum broker_pmu_item)want->item);
        return 0;
}

static int remember_tracepoint(struct broker *b, uint32_t id, const char *name) {
        struct tracepoint *grown;

        for (size_t i = 0; i < b->n_tracepoints; i++)
                if (b->tracepoints[i].id == id)
                        return 0;
        if (b->n_tracepoints == LIMIT_BROKER_OBJECTS_MAX)
                return -ENOSPC;
        grown = reallocarray(b->tracepoints, b->n_tracepoints + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        b->tracepoints = grown;
        grown[b->n_tracepoints].id = id;
        snprintf(grown[b->n_tracepoints].name, sizeof(grown->name), "%s", name);
        b->n_tracepoints++;
        return 0;
}

/* "category/name" and nothing else. */
static bool is_tracepoint(struct bytes text) {
        const uint8_t *slash = memchr(text.data, '/', text.len);
        size_t before = slash ? (size_t)(slash - text.data) : 0;

        return slash && before <= NAME_MAX_LEN && text.len - before - 1 <= NAME_MAX_LEN &&
               broker_is_name(BYTES(text.data, before), "-") &&
               broker_is_name(BYTES(slash + 1, text.len - before - 1), "-");
}

int on_tracepoint_id(struct broker *b, const struct request *request, struct reply *reply,
                     struct error *err) {
        char path[64 + 2 * NAME_MAX_LEN], name[2 * NAME_MAX_LEN + 2];
        uint32_t id;

        if (!is_tracepoint(BYTES(request->payload, request->payload_len)))
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker's request 'tracepoint id' does not name a "
                                 "CATEGORY/NAME");
        snprintf(name, sizeof(name), "%.*s", (int)request->payload_len,
                 (const char *)request->payload);
        snprintf(path, sizeof(path), "events/%s/id", name);
        reply->result = read_number(b->tracefs_fd, path, "", &id);
        if (reply->result == 0)
                reply->result = remember_tracepoint(b, id, name);
        if (reply->result == 0)
                reply->result = (int32_t)id;
        return 0;
}

/* What is to be opened, checked. */
struct event {
        struct perf_event_attr attr;
        char symbol[256];
        char hook[288];   /* "" = programs cannot be attached to it */
        bool is_readable; /* the worker maps it: a buffer of a perf event array */
};

static int refuse(struct error *err, const char *what) {
        return error_set(err, ERROR_INVALID, -EPROTO, "the worker's request 'perf event open' %s",
                         what);
}

static int fill_tracepoint(const struct broker *b, const struct broker_perf_open *open,
                           struct event *ret, struct error *err) {
        for (size_t i = 0; i < b->n_tracepoints; i++)
                if (b->tracepoints[i].id == open->config) {
                        snprintf(ret->hook, sizeof(ret->hook), "tracepoint/%s",
                                 b->tracepoints[i].name);
                        return 0;
                }
        return refuse(err, "is for a tracepoint whose id was never asked for");
}

static int fill_sampling(const struct broker_perf_open *open, struct event *ret,
                         struct error *err) {
        if (open->type == PERF_TYPE_SOFTWARE && open->config == PERF_COUNT_SW_BPF_OUTPUT) {
                ret->attr.sample_type = PERF_SAMPLE_RAW;
                ret->attr.sample_period = 1;
                ret->attr.wakeup_events = MAX(open->wakeup_events, 1u);
                ret->is_readable = true;
                return 0;
        }
        ret->attr.freq = (open->flags & BROKER_PERF_FREQ) != 0;
        ret->attr.sample_period = open->sample_period;
        if (ret->attr.freq ? open->sample_period > FREQUENCY_MAX
                           : open->sample_period > 0 && open->sample_period < PERIOD_MIN)
                return refuse(err, "would sample too often");
        snprintf(ret->hook, sizeof(ret->hook), "perf_event/%s:%" PRIu64,
                 open->type == PERF_TYPE_SOFTWARE ? "software" : "hardware", open->config);
        return 0;
}

static int fill_kprobe(const struct broker *b, const struct broker_perf_open *open,
                       struct bytes symbol, struct event *ret, struct error *err) {
        int bit = broker_pmu_number(b, BROKER_PMU_KPROBE, BROKER_PMU_RETPROBE_BIT);
        uint64_t is_return = bit >= 0 && bit < 64 ? UINT64_C(1) << bit : 0;

        if (!broker_is_name(symbol, ".") || symbol.len >= sizeof(ret->symbol))
                return refuse(err, "is for a kprobe on something that is no function");
        if (open->config & ~is_return)
                return refuse(err, "has unknown bits for a kprobe");
        memcpy(ret->symbol, symbol.data, symbol.len);
        ret->attr.config1 = ptr_u64(ret->symbol);
        ret->attr.config2 = open->probe_offset;
        snprintf(ret->hook, sizeof(ret->hook), "%s/%s",
                 open->config & is_return ? "kretprobe" : "kprobe", ret->symbol);
        return 0;
}

static int fill_event(struct broker *b, const struct broker_perf_open *open, struct bytes symbol,
                      struct event *ret, struct error *err) {
        int kprobe;

        if (open->pid != -1 || open->cpu < 0 || (uint32_t)open->cpu >= b->n_cpus)
                return refuse(err, "is not for one CPU of the host");
        if (open->type == PERF_TYPE_TRACEPOINT)
                return fill_tracepoint(b, open, ret, err);
        if (open->type == PERF_TYPE_SOFTWARE || open->type == PERF_TYPE_HARDWARE)
                return fill_sampling(open, ret, err);
        kprobe = broker_pmu_number(b, BROKER_PMU_KPROBE, BROKER_PMU_TYPE);
        if (kprobe >= 0 && open->type == (uint32_t)kprobe)
                return fill_kprobe(b, open, symbol, ret, err);
        return error_set(err, ERROR_DENIED, -EPERM,
                         "the gadget wants a perf event of type %" PRIu32
                         ", which gadgets are not given",
                         open->type);
}

int on_perf_open(struct broker *b, const struct request *request, struct reply *reply,
                 struct error *err) {
        const struct broker_perf_open *open = request->body;
        struct event event = {
                .attr = { .type = open->type, .size = sizeof(event.attr), .config = open->config }
        };
        struct object *perf;
        int r;

        r = fill_event(b, open, BYTES(request->payload, request->payload_len), &event, err);
        if (r < 0)
                return r;
        reply->result = (int)syscall(SYS_perf_event_open, &event.attr, open->pid, open->cpu, -1,
                                     PERF_FLAG_FD_CLOEXEC);
        if (reply->result < 0) {
                reply->result = -errno;
                return 0;
        }
        r = broker_add_object(b, OBJECT_PERF, reply->result, reply, &perf, err);
        if (r < 0)
                return r;
        if (event.is_readable)
                reply->fd = perf->fd;
        else
                perf->perf.target = strdup(event.hook);
        return 0;
}

static int set_bpf(struct broker *b, struct object *perf, uint32_t handle, struct reply *reply,
                   struct error *err) {
        struct object *prog;
        int r;

        r = broker_object(b, handle, OBJECT_PROG, &prog, err);
        if (r == 0)
                r = broker_may_attach(b, prog, err);
        if (r < 0)
                return r;
        if (ioctl(perf->fd, PERF_EVENT_IOC_SET_BPF, prog->fd) < 0) {
                reply->result = -errno;
                return 0;
        }
        free(perf->hook);
        perf->hook = perf->perf.target ? strdup(perf->perf.target) : NULL;
        return 0;
}

int on_perf_control(struct broker *b, const struct request *request, struct reply *reply,
                    struct error *err) {
        const struct broker_perf_control *control = request->body;
        struct object *perf;
        int r;

        r = broker_object(b, control->event, OBJECT_PERF, &perf, err);
        if (r < 0)
                return r;
        switch (control->op) {
        case BROKER_PERF_ENABLE:
                reply->result = ioctl(perf->fd, PERF_EVENT_IOC_ENABLE, 0) < 0 ? -errno : 0;
                return 0;
        case BROKER_PERF_DISABLE:
                reply->result = ioctl(perf->fd, PERF_EVENT_IOC_DISABLE, 0) < 0 ? -errno : 0;
                return 0;
        case BROKER_PERF_SET_BPF:
                return set_bpf(b, perf, control->prog, reply, err);
        default:
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker's request 'perf event control' is malformed");
        }
}
