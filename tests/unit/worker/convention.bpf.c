/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Gadgets that declare their data sources wrongly, one a CASE; test-convention.c says how. */
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>

#include <gadget/macros.h>
#include <gadget/types.h>

struct event {
        __u32 pid;
};
const struct event *keep_event __attribute__((unused));

#define RING(_name)                                                                                \
        struct {                                                                                   \
                __uint(type, BPF_MAP_TYPE_RINGBUF);                                                \
                __uint(max_entries, 4096);                                                         \
        } _name SEC(".maps")
#define TRACER_VARIABLE(_name) const void *_name __attribute__((unused))

#define CASE_TWO_ON_ONE_MAP 1
#define CASE_TWO_OF_ONE_NAME 2
#define CASE_NO_SUCH_MAP 3
#define CASE_NO_SUCH_TYPE 4
#define CASE_NOT_A_BUFFER 5
#define CASE_MALFORMED_NAME 6
#define CASE_LOST_MAP_OF_WRONG_KIND 7
#define CASE_MAP_ITERATOR 8
#define CASE_PRINT_WITHOUT_TYPE 9
#define CASE_NOTHING 10
#define CASE_TOO_MANY 11
#define CASE_PARAM_NOT_VOLATILE 12
#define CASE_PARAM_OF_NO_KIND 13
#define CASE_EVENT_TOO_LARGE 14
#define CASE_TOO_MANY_SLOTS 15
#define CASE_UNTYPED_MAP 16
#define CASE_MAP_ITERATOR_WITHOUT_MAP 17
#define CASE_ITERATOR_MALFORMED 18
#define CASE_NO_SUCH_ITERATOR 19
#define CASE_NOT_AN_ITERATOR 20
#define CASE_ITERATOR_TYPE_WITHOUT_ITERATOR 21
#define CASE_ENTRY_TOO_LARGE 22
#define CASE_NAME_ONLY 23

#if CASE != CASE_NOTHING
RING(events);
#endif

#if CASE == CASE_TWO_ON_ONE_MAP
TRACER_VARIABLE(gadget_tracer_one___events___event);
TRACER_VARIABLE(gadget_tracer_two___events___event);
#elif CASE == CASE_TWO_OF_ONE_NAME
RING(more_events);
TRACER_VARIABLE(gadget_tracer_one___events___event);
TRACER_VARIABLE(gadget_tracer_one___more_events___event);
#elif CASE == CASE_NO_SUCH_MAP
TRACER_VARIABLE(gadget_tracer_one___evnts___event);
#elif CASE == CASE_NO_SUCH_TYPE
TRACER_VARIABLE(gadget_tracer_one___events___evemt);
#elif CASE == CASE_NOT_A_BUFFER
struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 16);
        __type(key, __u32);
        __type(value, struct event);
} table SEC(".maps");
TRACER_VARIABLE(gadget_tracer_one___table___event);
#elif CASE == CASE_MALFORMED_NAME
TRACER_VARIABLE(gadget_tracer_one___events);
#elif CASE == CASE_LOST_MAP_OF_WRONG_KIND
struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, __u64);
} events_lost_samples SEC(".maps");
TRACER_VARIABLE(gadget_tracer_one___events___event);
#elif CASE == CASE_MAP_ITERATOR
TRACER_VARIABLE(gadget_mapiter_one___events);
#elif CASE == CASE_TOO_MANY_SLOTS
struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(
                value, struct { gadget_histogram_slot__u32 slots[65]; });
} table SEC(".maps");
TRACER_VARIABLE(gadget_mapiter_one___table);
#elif CASE == CASE_UNTYPED_MAP
struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 1);
        __uint(key_size, 4);
        __uint(value_size, 8);
} table SEC(".maps");
TRACER_VARIABLE(gadget_mapiter_one___table);
#elif CASE == CASE_MAP_ITERATOR_WITHOUT_MAP
TRACER_VARIABLE(gadget_mapiter_one___event);
#elif CASE == CASE_ITERATOR_MALFORMED
TRACER_VARIABLE(gadget_iter_one___event);
#elif CASE == CASE_NO_SUCH_ITERATOR
TRACER_VARIABLE(gadget_iter_one___event___on_tsk);
#elif CASE == CASE_NOT_AN_ITERATOR
TRACER_VARIABLE(gadget_iter_one___event___on_switch);
#elif CASE == CASE_ITERATOR_TYPE_WITHOUT_ITERATOR
const struct event *gadget_iter_type;
#elif CASE == CASE_ENTRY_TOO_LARGE
struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(
                value, struct { __u64 all[8192]; });
} table SEC(".maps");
TRACER_VARIABLE(gadget_mapiter_one___table);
#elif CASE == CASE_NAME_ONLY
TRACER_VARIABLE(gadget_tracer_one___events___event);
TRACER_VARIABLE(gadget_tracer_two);
#elif CASE == CASE_PRINT_WITHOUT_TYPE
RING(print_one);
#elif CASE == CASE_TOO_MANY
#define ONE(_n)                                                                                    \
        RING(events_##_n);                                                                         \
        TRACER_VARIABLE(gadget_tracer_t##_n##___events_##_n##___event)
ONE(1);
ONE(2);
ONE(3);
ONE(4);
ONE(5);
ONE(6);
ONE(7);
ONE(8);
ONE(9);
ONE(10);
ONE(11);
ONE(12);
ONE(13);
ONE(14);
ONE(15);
ONE(16);
ONE(17);
#elif CASE == CASE_PARAM_NOT_VOLATILE
__u32 setting = 1;
TRACER_VARIABLE(gadget_param_setting);
TRACER_VARIABLE(gadget_tracer_one___events___event);
#elif CASE == CASE_PARAM_OF_NO_KIND
const volatile struct event setting = {};
TRACER_VARIABLE(gadget_param_setting);
TRACER_VARIABLE(gadget_tracer_one___events___event);
#elif CASE == CASE_EVENT_TOO_LARGE
struct huge {
        __u32 pid;
        char text[65536];
};
const struct huge *keep_huge __attribute__((unused));
TRACER_VARIABLE(gadget_tracer_one___events___huge);
#endif

SEC("tracepoint/syscalls/sys_enter_getppid")
int on_getppid(void *ctx) {
#if CASE == CASE_PARAM_NOT_VOLATILE
        return setting;
#elif CASE == CASE_PARAM_OF_NO_KIND
        return setting.pid;
#else
        return 0;
#endif
}

#if CASE == CASE_NO_SUCH_ITERATOR || CASE == CASE_NOT_AN_ITERATOR
SEC("iter/task")
int on_task(struct bpf_iter__task *ctx) {
        return 0;
}

SEC("tp_btf/sched_switch")
int on_switch(void *ctx) {
        return 0;
}
#endif

char LICENSE[] SEC("license") = "Dual BSD/GPL";
