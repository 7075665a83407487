/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Gadgets that are wrong, or that say more than they have declared, one a CASE; test-bad-input.c
 * says how each is met. */
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>

#include <gadget/buffer.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#define CASE_MANY_FIELDS 1
#define CASE_DEEP 2
#define CASE_HUGE_HISTOGRAM 3
#define CASE_LONG_EVENT 4
#define CASE_SHORT_EVENT 5
#define CASE_MANY_KEYS 6

#define TEN(_x, _n)                                                                                \
        _x(_n##0) _x(_n##1) _x(_n##2) _x(_n##3) _x(_n##4) _x(_n##5) _x(_n##6) _x(_n##7) _x(_n##8)  \
                _x(_n##9)
#define HUNDRED(_x, _n)                                                                            \
        TEN(_x, _n##0)                                                                             \
        TEN(_x, _n##1)                                                                             \
        TEN(_x, _n##2)                                                                             \
        TEN(_x, _n##3)                                                                             \
        TEN(_x, _n##4)                                                                             \
        TEN(_x, _n##5) TEN(_x, _n##6) TEN(_x, _n##7) TEN(_x, _n##8) TEN(_x, _n##9)
#define FIELD(_n) __u32 f##_n;
#define OPEN(_n) struct {
#define CLOSE(_n)                                                                                  \
        }                                                                                          \
        s##_n;

#if CASE == CASE_MANY_FIELDS
/* 520 of them. */
struct event {
        HUNDRED(FIELD, 1)
        HUNDRED(FIELD, 2)
        HUNDRED(FIELD, 3) HUNDRED(FIELD, 4) HUNDRED(FIELD, 5) TEN(FIELD, 60) TEN(FIELD, 61)
};
#elif CASE == CASE_DEEP
struct event {
        TEN(OPEN, 1) TEN(OPEN, 2) __u32 pid;
        TEN(CLOSE, 1) TEN(CLOSE, 2)
};
#else
struct event {
        gadget_pid pid;
        __u32 number;
        char text[32];
        char tail[32];
};
#endif

#if CASE == CASE_HUGE_HISTOGRAM || CASE == CASE_MANY_KEYS
struct number_key {
        __u64 number;
};

struct number_value {
#if CASE == CASE_HUGE_HISTOGRAM
        gadget_histogram_slot__u32 slots[1000000];
#else
        __u64 count;
        char padding[480];
#endif
};

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, CASE == CASE_MANY_KEYS ? 120000 : 1);
        __type(key, struct number_key);
        __type(value, struct number_value);
} table SEC(".maps");
GADGET_MAPITER(keys, table);

__u64 next = 0;
#else
GADGET_TRACER_MAP(events, 65536);
GADGET_TRACER(calls, events, event);
#endif

#if CASE == CASE_MANY_KEYS
/* A new key for each of a thousand turns. */
static long on_turn(__u32 i, void *unused) {
        struct number_key key = { __sync_fetch_and_add(&next, 1) };
        struct number_value value = { .count = key.number };

        return bpf_map_update_elem(&table, &key, &value, BPF_ANY) != 0;
}
#endif

SEC("tracepoint/syscalls/sys_enter_getppid")
int on_getppid(void *ctx) {
        if (gadget_should_discard_data_current())
                return 0;
#if CASE == CASE_MANY_KEYS
        bpf_loop(1000, on_turn, NULL, 0);
#elif CASE == CASE_LONG_EVENT || CASE == CASE_SHORT_EVENT
        struct {
                struct event event;
                char more[64];
        } all = { .event = { .pid = bpf_get_current_pid_tgid() >> 32, .number = 7 } };

        __builtin_memcpy(all.event.text, "short", 6);
        if (CASE == CASE_LONG_EVENT)
                gadget_output_buf(ctx, &events, &all, sizeof(all));
        else
                gadget_output_buf(ctx, &events, &all, 16);
#endif
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
