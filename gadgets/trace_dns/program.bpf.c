/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * DNS questions and answers as they pass the network of a container or the host: over UDP, and over
 * TCP where a message fits into one segment. Names are handed on as they are in the message; what
 * makes text of them reads them with care.
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

#define DNS_PORT 53
#define MDNS_PORT 5353
#define HEADER 12
#define NAME_MAX_LEN 256 /* labels, with their lengths */
#define LABELS_MAX 128
#define ANSWERS_MAX 16
#define ANSWER_LABELS_MAX 8 /* in front of a pointer */
#define TEXT_MAX 512        /* power of two */
#define ADDRESS_TEXT_MAX 40
#define QUERIES_MAX 8192
#define CLASS_IN 1
#define LOOPBACK 1

enum dns_qr { Q, R };
enum dns_packet { HOST, BROADCAST, MULTICAST, OTHERHOST, OUTGOING };

enum dns_type {
        A = 1,
        NS = 2,
        CNAME = 5,
        SOA = 6,
        PTR = 12,
        HINFO = 13,
        MX = 15,
        TXT = 16,
        AAAA = 28,
        SRV = 33,
        NAPTR = 35,
        OPT = 41,
        DS = 43,
        RRSIG = 46,
        NSEC = 47,
        DNSKEY = 48,
        TLSA = 52,
        SVCB = 64,
        HTTPS = 65,
        IXFR = 251,
        AXFR = 252,
        ANY = 255,
        CAA = 257,
};

enum dns_rcode {
        Success,
        FormatError,
        ServerFailure,
        NameError,
        NotImplemented,
        Refused,
        YXDomain,
        YXRRSet,
        NXRRSet,
        NotAuthoritative,
        NotZone,
};

struct event {
        gadget_timestamp timestamp_raw;
        gadget_netns_id netns_id;
        struct gadget_process proc; /* zeros when it is not known whose packet it is */
        struct gadget_l4endpoint_t src;
        struct gadget_l4endpoint_t dst;
        struct gadget_l3endpoint_t nameserver;
        enum dns_packet pkt_type_raw;
        enum dns_qr qr_raw;
        enum dns_type qtype_raw;
        enum dns_rcode rcode_raw;
        gadget_duration latency_ns_raw; /* of an answer whose question was seen */
        __u16 id;
        __u16 num_answers;
        bool tc; /* truncated */
        bool rd; /* recursion is desired */
        bool ra; /* and available */
        gadget_dns_name name_raw[NAME_MAX_LEN];
        gadget_argv addresses[TEXT_MAX]; /* last: only as much is sent as there is */
};

struct work {
        struct event event;
        __u32 text_len;
};

/* Whose answer it is. */
struct query_key {
        union gadget_ip_addr_t client;
        union gadget_ip_addr_t server;
        __u32 netns;
        __u16 client_port;
        __u16 server_port;
        __u16 id;
        __u16 proto;
};

struct {
        __uint(type, BPF_MAP_TYPE_LRU_HASH);
        __uint(max_entries, QUERIES_MAX);
        __type(key, struct query_key);
        __type(value, __u64);
} queries SEC(".maps");

struct dns_header {
        __u16 id;
        __u8 flags1; /* QR, 4 bits opcode, AA, TC, RD */
        __u8 flags2; /* RA, 3 bits, 4 bits RCODE */
        __u16 n_questions;
        __u16 n_answers;
        __u16 n_authorities;
        __u16 n_additional;
};

struct dns_record {
        __u16 type;
        __u16 class;
        __u16 ttl[2];
        __u16 len;
};

GADGET_TRACER_MAP(events, 512 * 1024);
GADGET_TRACER(dns, events, event);
GADGET_SCRATCH(scratch, struct work)

/* --- text --- */

static __always_inline void put(struct work *w, char c) {
        w->event.addresses[w->text_len & (TEXT_MAX - 1)] = c;
        w->text_len++;
}

/* What is not static is verified once, and not again for each way that leads to it. */
__noinline int dns_put_byte(struct work *w, __u8 n) {
        if (!w)
                return 0;
        if (n >= 100)
                put(w, '0' + n / 100);
        if (n >= 10)
                put(w, '0' + n / 10 % 10);
        put(w, '0' + n % 10);
        return 0;
}

__noinline int dns_put_hex(struct work *w, __u16 n) {
        bool has_begun = false;

        if (!w)
                return 0;
        for (int shift = 12; shift >= 0; shift -= 4) {
                __u8 digit = n >> shift & 0xf;

                has_begun |= digit > 0 || shift == 0;
                if (has_begun)
                        put(w, digit < 10 ? '0' + digit : 'a' + digit - 10);
        }
        return 0;
}

__noinline int dns_put_ipv4(struct work *w, __u32 address) {
        if (!w)
                return 0;
        for (int i = 0; i < 4; i++) {
                if (i > 0)
                        put(w, '.');
                dns_put_byte(w, address >> 8 * i);
        }
        return 0;
}

struct words {
        __u16 at[8];
};

/* "::" stands for the first of the longest rows of zeros that are more than one: a bit for each. */
__noinline __u32 dns_zeros(const struct words *words) {
        __u32 first = 0, n = 0, longest_first = 0, longest = 1;

        if (!words)
                return 0;
        for (int i = 0; i < 8; i++) {
                if (words->at[i] != 0) {
                        n = 0;
                        continue;
                }
                if (n++ == 0)
                        first = i;
                if (n > longest) {
                        longest_first = first;
                        longest = n;
                }
        }
        return longest > 1 ? ((1u << longest) - 1) << longest_first : 0;
}

__noinline int dns_put_ipv6(struct work *w, const struct words *words) {
        __u32 zeros, is_inside = 0;

        if (!w || !words)
                return 0;
        zeros = dns_zeros(words);
        for (int i = 0; i < 8; i++) {
                if (zeros >> i & 1) {
                        if (!is_inside)
                                put(w, ':');
                        is_inside = 1;
                        continue;
                }
                if (i > 0)
                        put(w, ':');
                is_inside = 0;
                dns_put_hex(w, bpf_ntohs(words->at[i]));
        }
        if (is_inside)
                put(w, ':');
        return 0;
}

/* --- messages --- */

/* Reads the name of the question and returns the length of its labels, 0 = it is none. */
__noinline __u32 dns_read_name(struct __sk_buff *skb, __u32 at, __u32 end, struct event *event) {
        __u32 n = end - at, len = 0;

        if (!event)
                return 0;
        __builtin_memset(event->name_raw, 0, sizeof(event->name_raw));
        if (end <= at)
                return 0;
        if (n > NAME_MAX_LEN - 1)
                n = NAME_MAX_LEN - 1;
        if (gadget_packet_load(skb, at, event->name_raw, n, NAME_MAX_LEN) < 0)
                return 0;
        for (int i = 0; i < LABELS_MAX; i++) {
                __u8 label = event->name_raw[len & (NAME_MAX_LEN - 1)];

                if (label == 0)
                        return len + 1;
                if (label > 63)
                        return 0;
                len += label + 1;
                if (len >= n)
                        return 0;
        }
        return 0;
}

/* The offset behind a name, 0 = there is none that can be read. */
__noinline __u32 dns_skip_name(struct __sk_buff *skb, __u32 at) {
        for (int i = 0; i < ANSWER_LABELS_MAX; i++) {
                __u8 label;

                if (bpf_skb_load_bytes(skb, at, &label, 1) < 0)
                        return 0;
                if (label == 0)
                        return at + 1;
                if ((label & 0xc0) == 0xc0)
                        return at + 2;
                if (label > 63)
                        return 0;
                at += label + 1;
        }
        return 0;
}

__noinline int dns_add_address(struct __sk_buff *skb, struct work *w, __u16 type, __u32 at) {
        struct words words;
        __u32 v4;

        if (!w || w->text_len > TEXT_MAX - ADDRESS_TEXT_MAX)
                return 0;
        if (type == A && bpf_skb_load_bytes(skb, at, &v4, sizeof(v4)) == 0)
                dns_put_ipv4(w, v4);
        else if (type == AAAA && bpf_skb_load_bytes(skb, at, &words, sizeof(words)) == 0)
                dns_put_ipv6(w, &words);
        else
                return 0;
        put(w, '\0');
        return 0;
}

/* Addresses among the answers, as far as names and their number allow. */
static __always_inline void read_answers(struct __sk_buff *skb, struct work *w, __u32 at, __u32 n) {
        for (__u32 i = 0; i < ANSWERS_MAX && i < n; i++) {
                struct dns_record record;

                at = dns_skip_name(skb, at);
                if (at == 0 || bpf_skb_load_bytes(skb, at, &record, sizeof(record)) < 0)
                        return;
                at += sizeof(record);
                if (record.class == bpf_htons(CLASS_IN))
                        dns_add_address(skb, w, bpf_ntohs(record.type), at);
                at += bpf_ntohs(record.len);
        }
}

/* Notes when a question was asked; from an answer, how long that took. */
static __always_inline __u64 measure(const struct event *event) {
        bool is_answer = event->qr_raw == R;
        const struct gadget_l4endpoint_t *client = is_answer ? &event->dst : &event->src;
        const struct gadget_l4endpoint_t *server = is_answer ? &event->src : &event->dst;
        struct query_key key = {
                .client = client->addr_raw,
                .server = server->addr_raw,
                .netns = event->netns_id,
                .client_port = client->port,
                .server_port = server->port,
                .id = event->id,
                .proto = client->proto_raw,
        };
        __u64 now = event->timestamp_raw, *asked, latency = 0;

        if (!is_answer) {
                bpf_map_update_elem(&queries, &key, &now, BPF_ANY);
                return 0;
        }
        asked = bpf_map_lookup_elem(&queries, &key);
        if (asked) {
                latency = now - *asked;
                bpf_map_delete_elem(&queries, &key);
        }
        return latency;
}

static __always_inline bool is_dns_port(__u16 port) {
        return port == DNS_PORT || port == MDNS_PORT;
}

/* Where the message begins; over TCP its length stands in front. 0 = it is not all here. */
static __always_inline __u32 find_message(struct __sk_buff *skb, const struct gadget_packet *p) {
        __u16 len;

        if (p->src.proto_raw == IPPROTO_UDP)
                return p->payload;
        if (p->payload + sizeof(len) + HEADER > p->end ||
            bpf_skb_load_bytes(skb, p->payload, &len, sizeof(len)) < 0 ||
            p->payload + sizeof(len) + bpf_ntohs(len) != p->end)
                return 0;
        return p->payload + sizeof(len);
}

static __always_inline void fill(struct __sk_buff *skb, struct event *event,
                                 const struct gadget_packet *p, const struct dns_header *h) {
        event->timestamp_raw = bpf_ktime_get_boot_ns();
        event->netns_id = skb->cb[0];
        event->src = p->src;
        event->dst = p->dst;
        event->pkt_type_raw = skb->pkt_type;
        event->qr_raw = h->flags1 >> 7;
        event->nameserver.addr_raw = event->qr_raw == R ? p->src.addr_raw : p->dst.addr_raw;
        event->nameserver.version = p->src.version;
        event->rcode_raw = h->flags2 & 0xf;
        event->id = bpf_ntohs(h->id);
        event->num_answers = bpf_ntohs(h->n_answers);
        event->tc = (h->flags1 & 2) != 0;
        event->rd = (h->flags1 & 1) != 0;
        event->ra = (h->flags2 & 0x80) != 0;
        event->latency_ns_raw = measure(event);
}

/* Whose message it is: of the end that is here. On the loopback interface both are: the one that
 * asks. */
static __always_inline struct gadget_socket_value *
find_owner(const struct __sk_buff *skb, const struct gadget_packet *p, bool is_answer) {
        bool is_source = skb->ifindex == LOOPBACK ? !is_answer : skb->pkt_type == OUTGOING;

        return gadget_packet_owner(skb, is_source ? &p->src : &p->dst);
}

SEC("socket1")
int on_packet(struct __sk_buff *skb) {
        struct gadget_packet packet;
        struct gadget_socket_value *owner;
        struct dns_header header;
        struct work *w;
        __u32 at, name_len;
        __u16 type;

        if (!gadget_packet_parse(skb, &packet) ||
            !(is_dns_port(packet.src.port) || is_dns_port(packet.dst.port)))
                return 0;
        at = find_message(skb, &packet);
        if (at == 0 || bpf_skb_load_bytes(skb, at, &header, sizeof(header)) < 0 ||
            header.n_questions != bpf_htons(1) || (header.flags1 & 0x78) != 0)
                return 0;
        owner = find_owner(skb, &packet, header.flags1 & 0x80);
        if (gadget_should_discard_packet(skb, owner))
                return 0;
        w = scratch();
        if (!w)
                return 0;
        gadget_process_populate_from_socket(owner, &w->event.proc);
        at += HEADER;
        name_len = dns_read_name(skb, at, packet.end, &w->event);
        at += name_len;
        if (name_len == 0 || bpf_skb_load_bytes(skb, at, &type, sizeof(type)) < 0)
                return 0;
        w->event.qtype_raw = bpf_ntohs(type);
        w->text_len = 0;
        fill(skb, &w->event, &packet, &header);
        if (w->event.qr_raw == R)
                read_answers(skb, w, at + 4, w->event.num_answers);
        gadget_output_buf(skb, &events, &w->event,
                          offsetof(struct event, addresses) + (w->text_len & (TEXT_MAX - 1)));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
