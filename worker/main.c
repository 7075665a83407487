/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gadget-worker: one running gadget, with no privileges at all. It parses what is foreign (ELF,
 * BTF, YAML, events) and asks its broker for everything else. It ends by returning from main: what
 * it holds is the kernel's to release.
 */
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "base/trim.h"
#include "gadget/api.h"
#include "worker/container.h"
#include "worker/gadget.h"
#include "worker/id-names.h"
#include "worker/kernel-stack.h"
#include "worker/probes.h"
#include "worker/processes.h"
#include "worker/run.h"
#include "worker/schema.h"

static const struct process_source process_source = { host_process, host_mapped_file };

#define SLICE_NS (200 * NSEC_PER_USEC)

static int start_gadget(struct gadget *g, struct run *run, struct host_start *start,
                        char **ret_detail, struct error *err) {
        cleanup_buf struct buf schema = BUF_INIT(LIMIT_SCHEMA_SIZE_MAX);
        int r;

        r = gadget_open(g, start, err);
        if (r == 0)
                r = gadget_load(g, ret_detail, err);
        if (r == 0 && !start->inspect)
                r = run_init(run, g, err);
        if (r == 0 && !start->inspect)
                r = gadget_attach(g, err);
        if (r == 0 && !start->inspect)
                r = run_attached(run, g, err);
        if (r == 0 && start->inspect)
                gadget_declare_hooks(g);
        if (r == 0)
                r = schema_encode(g, &schema, err);
        if (r == 0)
                r = host_ready(BYTES(schema.data, schema.len), err);
        if (r == 0) {
                host_keep_objects();
                gadget_forget(g);
        }
        return r;
}

/* A kernel buffer is full in milliseconds, which is how long a busy CPU may keep a woken task
 * waiting. Both are wishes: nothing is lost when an old kernel has not heard of them, except events
 * at extreme rates. */
static void wake_promptly(void) {
        struct {
                uint32_t size, policy;
                uint64_t flags;
                int32_t nice;
                uint32_t priority;
                uint64_t runtime, deadline, period;
        } attr = { .size = sizeof(attr), .runtime = SLICE_NS };

        /* Naps are short; the default slack of 50 us is as long as the shortest. */
        (void)prctl(PR_SET_TIMERSLACK, 1000);
        /* Since Linux 6.12 a normal task may ask for short turns; it gets no more of the CPU, but
         * gets it sooner. */
        (void)syscall(SYS_sched_setattr, 0, &attr, 0);
}

static void on_container(const uint8_t *data, size_t len) {
        struct broker_container head;

        container_on_message(data, len);
        if (len < sizeof(head))
                return;
        memcpy(&head, data, sizeof(head));
        probes_on_container(head.mntns, head.has_ended ? 0 : head.root);
}

int main(void) {
        struct host_start start;
        struct error err = { 0 };
        struct gadget gadget;
        struct run run = { 0 };
        char *detail = NULL;
        int r;

        log_init("gadget-worker", CHILD_FD_LOG);
        /* Kernel BTF is large and short-lived: always give such blocks back to the kernel when they
         * are freed. */
        mallopt(M_MMAP_THRESHOLD, 128 << 10);
        wake_promptly();

        id_names_set_source(host_id_name);
        kernel_stack_set_source(host_kernel_symbols);
        processes_set_source(&process_source);
        host_on_container(on_container);
        container_set_refill(host_take_containers);
        r = host_init(CHILD_FD_CHANNEL, &start, &err);
        if (r == 0)
                r = start_gadget(&gadget, &run, &start, &detail, &err);
        if (r == 0 && !start.inspect) {
                trim_memory();
                r = run_loop(&run);
        }
        if (r == 0)
                host_done();
        else if (r != -ECONNRESET)
                host_fault(&err, detail);
        return r < 0;
}
