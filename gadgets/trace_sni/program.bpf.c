/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The names of servers that TLS clients ask for, from their ClientHello, on any port. The name is
 * found when it is in the first segment of the connection's data, where all common clients put it.
 */
#include <vmlinux.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define GADGET_NO_BUF_RESERVE
#define GADGET_TYPE_NETWORKING
#include <gadget/buffer.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/sockets-map.h>

#include <gadget/packet.h>
#include <gadget/types.h>

#define NAME_LEN 256
#define EXTENSIONS_MAX 48
#define HANDSHAKE 22
#define CLIENT_HELLO 1
#define SERVER_NAME 0
#define RANDOM_LEN 32
#define LOOPBACK 1

struct event {
        gadget_timestamp timestamp_raw;
        gadget_netns_id netns_id;
        struct gadget_process proc; /* zeros when it is not known whose packet it is */
        struct gadget_l4endpoint_t src;
        struct gadget_l4endpoint_t dst;
        char name[NAME_LEN]; /* last: only as much is sent as there is */
};

GADGET_TRACER_MAP(events, 256 * 1024);
GADGET_TRACER(sni, events, event);
GADGET_SCRATCH(scratch, struct event)

/* Record, handshake and the beginning of the message. */
struct hello {
        __u8 record_type;
        __u8 record_version[2];
        __u8 record_len[2];
        __u8 message_type;
        __u8 message_len[3];
        __u8 version[2];
        __u8 random[RANDOM_LEN];
        __u8 session_len;
};

static __always_inline bool is_hello(const struct hello *h) {
        return h->record_type == HANDSHAKE && h->record_version[0] == 3 &&
               h->message_type == CLIENT_HELLO && h->version[0] == 3 && h->session_len <= 32;
}

/* Behind the session id: cipher suites, compressions, extensions, each with its length. 0 = there
 * are none. */
static __always_inline __u32 find_extensions(struct __sk_buff *skb, __u32 at, __u32 *ret_end) {
        __u16 len;
        __u8 n;

        if (bpf_skb_load_bytes(skb, at, &len, sizeof(len)) < 0)
                return 0;
        at += sizeof(len) + bpf_ntohs(len);
        if (bpf_skb_load_bytes(skb, at, &n, sizeof(n)) < 0)
                return 0;
        at += sizeof(n) + n;
        if (bpf_skb_load_bytes(skb, at, &len, sizeof(len)) < 0)
                return 0;
        at += sizeof(len);
        *ret_end = at + bpf_ntohs(len);
        return at;
}

static __always_inline __u32 find_server_name(struct __sk_buff *skb, __u32 at, __u32 end) {
        for (int i = 0; i < EXTENSIONS_MAX && at < end; i++) {
                __u16 head[2]; /* type, length */

                if (bpf_skb_load_bytes(skb, at, head, sizeof(head)) < 0)
                        return 0;
                at += sizeof(head);
                if (head[0] == bpf_htons(SERVER_NAME))
                        return at;
                at += bpf_ntohs(head[1]);
        }
        return 0;
}

/* A list of names, of which there is one, of type host_name. Returns its length. */
static __always_inline __u32 read_name(struct __sk_buff *skb, __u32 at, struct event *event) {
        struct {
                __u8 list_len[2];
                __u8 type;
                __u8 len[2];
        } head;
        __u32 n;

        if (bpf_skb_load_bytes(skb, at, &head, sizeof(head)) < 0 || head.type != 0)
                return 0;
        n = head.len[0] << 8 | head.len[1];
        if (n == 0 || n > NAME_LEN - 1 ||
            gadget_packet_load(skb, at + sizeof(head), event->name, n, NAME_LEN) < 0)
                return 0;
        event->name[n & (NAME_LEN - 1)] = '\0';
        return n;
}

SEC("socket1")
int on_packet(struct __sk_buff *skb) {
        struct gadget_packet packet;
        __u32 at, end = 0, len;
        struct gadget_socket_value *owner;
        struct event *event;
        struct hello hello;
        bool is_source;

        if (!gadget_packet_parse(skb, &packet) || packet.src.proto_raw != IPPROTO_TCP ||
            packet.payload + sizeof(hello) > packet.end ||
            bpf_skb_load_bytes(skb, packet.payload, &hello, sizeof(hello)) < 0 || !is_hello(&hello))
                return 0;
        at = packet.payload + sizeof(hello) + hello.session_len;
        at = find_extensions(skb, at, &end);
        if (at > 0)
                at = find_server_name(skb, at, end);
        /* Of the end that is here; on the loopback interface, of the one that asks. */
        is_source = skb->pkt_type == GADGET_PACKET_OUTGOING || skb->ifindex == LOOPBACK;
        owner = gadget_packet_owner(skb, is_source ? &packet.src : &packet.dst);
        if (gadget_should_discard_packet(skb, owner))
                return 0;
        event = at > 0 ? scratch() : NULL;
        if (!event)
                return 0;
        len = read_name(skb, at, event);
        if (len == 0)
                return 0;
        event->timestamp_raw = bpf_ktime_get_boot_ns();
        event->netns_id = skb->cb[0];
        gadget_process_populate_from_socket(owner, &event->proc);
        event->src = packet.src;
        event->dst = packet.dst;
        /* The compiler knows the bound, the verifier does not. */
        asm volatile("" : "+r"(len));
        gadget_output_buf(skb, &events, event,
                          offsetof(struct event, name) + 1 + (len & (NAME_LEN - 1)));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
