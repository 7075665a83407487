/* SPDX-License-Identifier: Apache-2.0 */
/* perf_event/ programs: run at a frequency on every CPU, by an event that the definition names. */
#include <linux/perf_event.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "base/parse.h"
#include "worker/attach.h"

#define FREQUENCY_DEFAULT 49 /* not in step with what happens every second */
#define FREQUENCY_MAX 10000

static const struct {
        const char *type;
        const char *config;
        uint32_t perf_type;
        uint64_t perf_config;
} events[] = {
        { "software", "count_sw_cpu_clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK },
        { "software", "count_sw_task_clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK },
        { "software", "count_sw_page_faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS },
        { "software", "count_sw_page_faults_min", PERF_TYPE_SOFTWARE,
          PERF_COUNT_SW_PAGE_FAULTS_MIN },
        { "software", "count_sw_page_faults_maj", PERF_TYPE_SOFTWARE,
          PERF_COUNT_SW_PAGE_FAULTS_MAJ },
        { "software", "count_sw_context_switches", PERF_TYPE_SOFTWARE,
          PERF_COUNT_SW_CONTEXT_SWITCHES },
        { "software", "count_sw_cpu_migrations", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS },
        { "hardware", "count_hw_cpu_cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES },
        { "hardware", "count_hw_instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS },
        { "hardware", "count_hw_cache_references", PERF_TYPE_HARDWARE,
          PERF_COUNT_HW_CACHE_REFERENCES },
        { "hardware", "count_hw_cache_misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES },
        { "hardware", "count_hw_branch_misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES },
        { "hardware", "count_hw_ref_cpu_cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_REF_CPU_CYCLES },
};

static int find_event(const struct definition_program *d, struct perf_event_attr *attr,
                      struct error *err) {
        const char *type = d && d->perf_type ? d->perf_type : "software";
        const char *config = d && d->perf_config ? d->perf_config : "count_sw_cpu_clock";

        for (size_t i = 0; i < ARRAY_SIZE(events); i++)
                if (str_eq(events[i].type, type) && str_eq(events[i].config, config)) {
                        attr->type = events[i].perf_type;
                        attr->config = events[i].perf_config;
                        return 0;
                }
        return definition_error(d->node, err, NULL,
                                "there is no perf event '%.32s' of type '%.32s'", config, type);
}

static int find_frequency(const struct definition_program *d, struct perf_event_attr *attr,
                          struct error *err) {
        uint32_t frequency = FREQUENCY_DEFAULT;

        if (d && d->frequency && parse_u32(d->frequency, 1, FREQUENCY_MAX, &frequency) < 0)
                return definition_error(d->node, err, NULL,
                                        "its sampler.frequency '%.32s' is not 1 to %d a second",
                                        d->frequency, FREQUENCY_MAX);
        attr->freq = 1;
        attr->sample_freq = frequency;
        return 0;
}

int attach_sampling(struct gadget *g, const struct attach_plan *plan, struct error *err) {
        struct perf_event_attr attr = { .size = sizeof(attr) };
        size_t n_attached = 0;
        int r;

        r = find_event(plan->definition, &attr, err);
        if (r == 0)
                r = find_frequency(plan->definition, &attr, err);
        for (uint32_t cpu = 0; r == 0 && cpu < g->start->n_cpus; cpu++) {
                struct bpf_link *link;
                int fd =
                        (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);

                /* A CPU that is possible, but not there. */
                if (fd < 0 && errno == ENODEV)
                        continue;
                if (fd < 0)
                        return -errno;
                link = bpf_program__attach_perf_event(plan->program, fd);
                if (!link) {
                        r = -errno;
                        close(fd);
                        return r;
                }
                r = attach_add_link(g, plan->program, link);
                n_attached++;
        }
        return r == 0 && n_attached == 0 ? -ENODEV : r;
}
