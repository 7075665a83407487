/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One event with a field of every kind that can stand in a struct, for tests of the decoder. It is
 * sent at each getppid() of the process that --pid names (of any process without it), always with
 * the same values.
 */
#include <vmlinux.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

enum color { RED, GREEN = 5, BLUE = 7 };
enum signed_color { BELOW = -3, ABOVE = 3 };

enum access_set { READ = 0x1, WRITE = 0x2, EXECUTE = 0x8 };

typedef int number;
typedef number alias_of_number;

struct inner {
        __u16 port;
        char name[8];
        struct {
                __u8 depth;
                __s16 below;
        } deep;
};

union value {
        __u32 word;
        __u8 bytes[4];
};

struct event {
        __u8 u8_max;
        __u16 u16_max;
        __u32 u32_max;
        __u64 u64_max;
        __s8 s8_min;
        __s16 s16_min;
        __s32 s32_min;
        __s64 s64_min;
        char c;
        bool yes;
        bool no;
        alias_of_number typedefed;
        const volatile __u32 qualified;

        enum color color_raw;
        enum color unknown_color_raw;
        enum signed_color signed_color_raw;
        enum access_set access_raw;
        enum access_set no_access_raw;
        enum color plain_color; /* without _raw: keeps its number */

        char text[16];
        char full[4]; /* no room for a NUL */
        char empty[8];
        char binary[8]; /* bytes that are no UTF-8 */
        __u8 blob[6];
        __s32 numbers[3];
        __u64 longs[2];

        struct inner inner;
        union value value;
        struct {
                __u32 in_anonymous;
        };

        __u32 __private;
        void *pointer; /* left out: an address is nobody's business */

        gadget_timestamp timestamp_raw;
        gadget_duration duration_raw;
        gadget_bytes bytes_raw;
        gadget_errno error_raw;
        gadget_errno no_error_raw;
        gadget_errno unknown_error_raw;
        gadget_signal signal_raw;
        gadget_syscall syscall_raw;
        gadget_file_mode mode_raw;
        gadget_file_flags flags_raw;
        gadget_uid user_raw;
        gadget_gid group_raw;
        gadget_netns_id netns_id;
        struct gadget_process proc;
        struct gadget_l3endpoint_t l3v4;
        struct gadget_l3endpoint_t l3v6;
        struct gadget_l4endpoint_t l4v4;
        struct gadget_l4endpoint_t l4v6;
        gadget_argv args[64];

        char tail[256]; /* the event is sent up to the end of the string */
};

/* A parameter of each kind that can be set; the event says what they are. */
struct params {
        __u8 p_u8;
        __u16 p_u16;
        __u32 p_u32;
        __u64 p_u64;
        __s8 p_s8;
        __s16 p_s16;
        __s32 p_s32;
        __s64 p_s64;
        bool p_bool;
        enum color p_color;
        char p_text[16];
};

const volatile __u8 p_u8 = 1;
const volatile __u16 p_u16 = 2;
const volatile __u32 p_u32 = 3;
const volatile __u64 p_u64 = 4;
const volatile __s8 p_s8 = -1;
const volatile __s16 p_s16 = -2;
const volatile __s32 p_s32 = -3;
const volatile __s64 p_s64 = -4;
const volatile bool p_bool = true;
const volatile enum color p_color = GREEN;
const volatile char p_text[16] = "default";
GADGET_PARAM(p_u8);
GADGET_PARAM(p_u16);
GADGET_PARAM(p_u32);
GADGET_PARAM(p_u64);
GADGET_PARAM(p_s8);
GADGET_PARAM(p_s16);
GADGET_PARAM(p_s32);
GADGET_PARAM(p_s64);
GADGET_PARAM(p_bool);
GADGET_PARAM(p_color);
GADGET_PARAM(p_text);

GADGET_TRACER_MAP(events, 64 * 1024);
GADGET_TRACER(all_types, events, event);
GADGET_SCRATCH(event_scratch, struct event);

GADGET_TRACER_MAP(param_events, 4096);
GADGET_TRACER(params, param_events, params);

static const char long_tail[] = "the end of the tail";

static __always_inline void fill_integers(struct event *event) {
        event->u8_max = 255;
        event->u16_max = 65535;
        event->u32_max = 4294967295u;
        event->u64_max = 18446744073709551615ULL;
        event->s8_min = -128;
        event->s16_min = -32768;
        event->s32_min = -2147483647 - 1;
        event->s64_min = -9223372036854775807LL - 1;
        event->c = 'c';
        event->yes = true;
        event->typedefed = -42;
        *(__u32 *)&event->qualified = 77;
        event->color_raw = BLUE;
        event->unknown_color_raw = 6;
        event->signed_color_raw = BELOW;
        event->access_raw = READ | EXECUTE;
        event->plain_color = GREEN;
        event->__private = 0xdeadbeef;
        event->pointer = event;
}

static __always_inline void fill_arrays(struct event *event) {
        __builtin_memcpy(event->text, "some text", 10);
        __builtin_memcpy(event->full, "full", 4);
        __builtin_memcpy(event->binary, "a\xff\x1b[0m\n", 8);
        __builtin_memcpy(event->blob, "\x00\x01\x02\xfd\xfe\xff", 6);
        event->numbers[0] = 1;
        event->numbers[1] = -2;
        event->numbers[2] = 3;
        event->longs[1] = 18446744073709551615ULL;
        event->inner.port = 8080;
        __builtin_memcpy(event->inner.name, "inner", 6);
        event->inner.deep.depth = 2;
        event->inner.deep.below = -7;
        event->value.word = 0x01020304;
        event->in_anonymous = 99;
        __builtin_memcpy(event->args, "prog\0two words\0\0last", 21);
}

static __always_inline void fill_gadget_types(struct event *event) {
        event->timestamp_raw = bpf_ktime_get_boot_ns();
        event->duration_raw = 1500000;
        event->bytes_raw = 1536;
        event->error_raw = 2;
        event->unknown_error_raw = 4000;
        event->signal_raw = 9;
        event->syscall_raw = 0;
        event->mode_raw = 0100644;
        event->flags_raw = 02000001;
        event->netns_id = 4026531840u;
        gadget_process_populate(&event->proc);

        event->l3v4.version = 4;
        event->l3v4.addr_raw.v4 = bpf_htonl(0x7f000001);
        event->l3v6.version = 6;
        event->l3v6.addr_raw.v6[15] = 1;
        event->l4v4.version = 4;
        event->l4v4.addr_raw.v4 = bpf_htonl(0xc0a80102);
        event->l4v4.port = 443;
        event->l4v4.proto_raw = 6;
        event->l4v6.version = 6;
        event->l4v6.addr_raw.v6[0] = 0xfe;
        event->l4v6.addr_raw.v6[1] = 0x80;
        event->l4v6.addr_raw.v6[15] = 0x42;
        event->l4v6.port = 53;
        event->l4v6.proto = 17; /* by its older name */
}

SEC("tracepoint/syscalls/sys_enter_getppid")
int on_getppid(struct syscall_trace_enter *ctx) {
        struct params *params;
        struct event *event;

        if (gadget_should_discard_data_current())
                return 0;

        event = event_scratch();
        if (event) {
                fill_integers(event);
                fill_arrays(event);
                fill_gadget_types(event);
                __builtin_memcpy(event->tail, long_tail, sizeof(long_tail));
                gadget_output_buf(ctx, &events, event,
                                  __builtin_offsetof(struct event, tail) + sizeof(long_tail));
        }

        params = gadget_reserve_buf(&param_events, sizeof(*params));
        if (!params)
                return 0;
        params->p_u8 = p_u8;
        params->p_u16 = p_u16;
        params->p_u32 = p_u32;
        params->p_u64 = p_u64;
        params->p_s8 = p_s8;
        params->p_s16 = p_s16;
        params->p_s32 = p_s32;
        params->p_s64 = p_s64;
        params->p_bool = p_bool;
        params->p_color = p_color;
        for (int i = 0; i < sizeof(params->p_text); i++)
                params->p_text[i] = p_text[i];
        gadget_submit_buf(ctx, &param_events, params, sizeof(*params));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
