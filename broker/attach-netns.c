/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/attach-netns.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/log.h"
#include "broker/bpf.h"
#include "broker/broker.h"
#include "broker/clsact.h"
#include "broker/netlink.h"

#define LOOPBACK 1 /* the interface's number, in every namespace */
#define PEERS_MAX 64

/* --- socket filters --- */

/* What the dispatchers call. The kernel empties such an array once nobody has it open. */
static int make_array(int prog_fd) {
        cleanup_close int fd = -1;
        uint32_t key = 0;
        int r;

        fd = sys_bpf(BPF_MAP_CREATE, &(union bpf_attr){ .map_type = BPF_MAP_TYPE_PROG_ARRAY,
                                                        .key_size = sizeof(key),
                                                        .value_size = sizeof(uint32_t),
                                                        .max_entries = 1,
                                                        .map_name = "gadget_netns" });
        if (fd < 0)
                return fd;
        r = sys_bpf(BPF_MAP_UPDATE_ELEM, &(union bpf_attr){ .map_fd = (uint32_t)fd,
                                                            .key = ptr_u64(&key),
                                                            .value = ptr_u64(&prog_fd) });
        return r < 0 ? r : TAKE_FD(fd);
}

#define INSN(_code, _dst, _src, _off, _imm)                                                        \
        { .code = (_code), .dst_reg = (_dst), .src_reg = (_src), .off = (_off), .imm = (_imm) }
#define SKB(_member) ((int16_t)offsetof(struct __sk_buff, _member))

/*
 * What runs before the gadget's program. The loopback interface shows each packet twice, as it
 * leaves and as it arrives: the first is left out. skb->cb[0] says in which namespace this is, for
 * looking sockets up (gadget/sockets-map.h), cb[1] whether that is the host's.
 */
static int load_dispatcher(int array_fd, uint64_t netns, bool is_host) {
        const struct bpf_insn insns[] = {
                INSN(BPF_ALU64 | BPF_MOV | BPF_X, 6, 1, 0, 0),
                INSN(BPF_LDX | BPF_MEM | BPF_W, 2, 1, SKB(ifindex), 0),
                INSN(BPF_JMP | BPF_JNE | BPF_K, 2, 0, 2, LOOPBACK),
                INSN(BPF_LDX | BPF_MEM | BPF_W, 2, 1, SKB(pkt_type), 0),
                INSN(BPF_JMP | BPF_JEQ | BPF_K, 2, 0, 9, PACKET_OUTGOING),
                INSN(BPF_ALU | BPF_MOV | BPF_K, 2, 0, 0, (int32_t)netns),
                INSN(BPF_STX | BPF_MEM | BPF_W, 6, 2, SKB(cb[0]), 0),
                INSN(BPF_ALU | BPF_MOV | BPF_K, 2, 0, 0, is_host),
                INSN(BPF_STX | BPF_MEM | BPF_W, 6, 2, SKB(cb[1]), 0),
                INSN(BPF_LD | BPF_IMM | BPF_DW, 2, BPF_PSEUDO_MAP_FD, 0, array_fd),
                INSN(0, 0, 0, 0, 0),
                INSN(BPF_ALU64 | BPF_MOV | BPF_X, 1, 6, 0, 0),
                INSN(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, 0),
                INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_tail_call),
                INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0),
                INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
        };

        return sys_bpf(BPF_PROG_LOAD, &(union bpf_attr){ .prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
                                                         .insn_cnt = ARRAY_SIZE(insns),
                                                         .insns = ptr_u64(insns),
                                                         .license = ptr_u64("Dual BSD/GPL"),
                                                         .prog_name = "gadget_netns" });
}

/* In the namespace that we are in: the packets of one interface, or of all. Nobody reads the
 * socket. It gets packets only once its program is there, and has the smallest buffer for what a
 * program lets through in spite of that. */
static int open_socket(const struct broker *b, int array_fd, uint64_t netns, int ifindex) {
        cleanup_close int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        cleanup_close int dispatcher_fd = load_dispatcher(array_fd, netns, netns == b->host_netns);
        struct sockaddr_ll address = { .sll_family = AF_PACKET,
                                       .sll_protocol = htons(ETH_P_ALL),
                                       .sll_ifindex = ifindex };
        int least = 1;

        if (dispatcher_fd < 0)
                return dispatcher_fd;
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &dispatcher_fd, sizeof(int)) < 0 ||
            bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

/* --- what is attached --- */

static int keep(struct netns_programs *p, const struct netns_link *link) {
        struct netns_link *links = reallocarray(p->links, p->n_links + 1, sizeof(*links));

        if (!links)
                return -ENOMEM;
        p->links = links;
        links[p->n_links++] = *link;
        return 0;
}

static bool is_linked(const struct netns_programs *p, uint32_t link, uint64_t netns,
                      uint32_t ifindex) {
        for (size_t i = 0; i < p->n_links; i++)
                if (p->links[i].link == link && p->links[i].netns == netns &&
                    p->links[i].ifindex == ifindex)
                        return true;
        return false;
}

/* Takes those of one program, or of one namespace, out. */
static void unlink_all(struct broker *b, uint32_t link, uint64_t netns) {
        struct netns_programs *p = &b->netns_programs;
        size_t kept = 0;

        for (size_t i = 0; i < p->n_links; i++) {
                if (link ? p->links[i].link != link : p->links[i].netns != netns)
                        p->links[kept++] = p->links[i];
                else
                        broker_close_later(b, TAKE_FD(p->links[i].fd));
        }
        p->n_links = kept;
}

static void add_socket(struct broker *b, const struct netns_program *program,
                       const struct netns *netns) {
        struct netns_link link = { .link = program->link, .netns = netns->id, .fd = -1 };
        int r;

        if (is_linked(&b->netns_programs, link.link, link.netns, 0))
                return;
        r = netns_enter(b, netns);
        if (r == 0) {
                r = link.fd = open_socket(b, program->array_fd, netns->id, 0);
                netns_leave(b);
        }
        if (r >= 0)
                r = keep(&b->netns_programs, &link);
        if (r >= 0)
                return;
        log_warning_errno(r, "no packets of network namespace %llu are seen",
                          (unsigned long long)netns->id);
        close_fd(&link.fd);
}

static int link_interface(struct broker *b, const struct netns_program *program, uint32_t ifindex) {
        union bpf_attr attr = { .link_create = { .prog_fd = (uint32_t)program->prog_fd,
                                                 .target_ifindex = ifindex,
                                                 .attach_type = program->type->attach_type } };
        int fd = sys_bpf(BPF_LINK_CREATE, &attr);

        /* What a kernel before 6.6 says of a tc program. */
        return fd == -EINVAL ? clsact_link(&b->clsact, program->prog_fd, (int)ifindex,
                                           program->type->attach_type == ATTACH_TYPE_TCX_EGRESS)
                             : fd;
}

/* On the host's ends of its veth interfaces. One that has gone meanwhile is no error. */
static void add_interfaces(struct broker *b, const struct netns_program *program,
                           const struct netns *netns) {
        uint32_t peers[PEERS_MAX];
        int n;

        if (netns->id == b->host_netns)
                return;
        n = netns_enter(b, netns);
        if (n == 0) {
                n = netlink_peers(b->host_netns_fd, peers, ARRAY_SIZE(peers));
                netns_leave(b);
        }
        if (n < 0)
                log_warning_errno(n, "the interfaces of network namespace %llu are not known",
                                  (unsigned long long)netns->id);
        for (int i = 0; i < n; i++) {
                struct netns_link link = { program->link, netns->id, peers[i], -1 };

                if (is_linked(&b->netns_programs, link.link, link.netns, link.ifindex))
                        continue;
                link.fd = link_interface(b, program, peers[i]);
                if (link.fd >= 0 && keep(&b->netns_programs, &link) < 0)
                        close_fd(&link.fd);
                else if (link.fd < 0 && link.fd != -ENODEV)
                        log_warning_errno(link.fd, "no packets of interface %u are seen",
                                          (unsigned int)peers[i]);
        }
}

static void add(struct broker *b, const struct netns_program *program, const struct netns *netns) {
        if (program->is_at_interface)
                return;
        if (program->array_fd >= 0)
                add_socket(b, program, netns);
        else
                add_interfaces(b, program, netns);
}

static void add_everywhere(struct broker *b, const struct netns_program *program) {
        const struct netns *netns = NULL;

        while ((netns = netns_next(b, netns ? netns->id : 0)))
                add(b, program, netns);
}

/* A container may get its interfaces after it has begun. */
static int on_links(struct loop_io *io, uint32_t events) {
        struct broker *b = container_of(io, struct broker, netns_programs.watch_io);

        (void)events;
        netlink_drain(io->fd);
        for (size_t i = 0; i < b->netns_programs.n; i++)
                if (b->netns_programs.items[i].array_fd < 0)
                        add_everywhere(b, &b->netns_programs.items[i]);
        return 0;
}

static int watch_links(struct broker *b) {
        struct netns_programs *p = &b->netns_programs;

        if (p->watch_fd > 0)
                return 0;
        p->watch_fd = netlink_watch_links();
        if (p->watch_fd < 0)
                return p->watch_fd;
        return loop_io_add(b->loop, &p->watch_io, p->watch_fd, EPOLLIN, "interfaces", on_links);
}

void netns_on_use(struct broker *b, const struct netns *netns) {
        if (b->state == BROKER_STOPPING || b->state == BROKER_KILLED || b->state == BROKER_GONE)
                return;
        for (size_t i = 0; i < b->netns_programs.n; i++)
                add(b, &b->netns_programs.items[i], netns);
}

void netns_on_drop(struct broker *b, uint64_t id) {
        unlink_all(b, 0, id);
}

size_t netns_steal_links(struct broker *b, int *fds) {
        struct netns_programs *p = &b->netns_programs;
        size_t n = p->n_links;

        for (size_t i = 0; i < n; i++)
                fds[i] = TAKE_FD(p->links[i].fd);
        p->n_links = 0;
        return n;
}

/* --- programs --- */

static void program_done(struct netns_program *program) {
        close_fd(&program->prog_fd);
        close_fd(&program->array_fd);
}

/* The last program, at an interface of the host. */
static int add_interface(struct broker *b, uint32_t handle, int ifindex) {
        struct netns_programs *p = &b->netns_programs;
        struct netns_link link = { .link = handle };
        int r;

        r = link.fd = open_socket(b, p->items[p->n - 1].array_fd, b->host_netns, ifindex);
        if (r >= 0)
                r = keep(p, &link);
        if (r >= 0)
                return 0;
        close_fd(&link.fd);
        netns_remove_program(b, handle);
        return r;
}

int netns_add_program(struct broker *b, const struct object *prog, const struct program_type *type,
                      uint32_t link, int ifindex) {
        struct netns_programs *p = &b->netns_programs;
        struct netns_program program = { .link = link,
                                         .type = type,
                                         .prog_fd = -1,
                                         .array_fd = -1,
                                         .is_at_interface = ifindex > 0 };
        struct netns_program *items;
        int r = 0;

        if (b->host_netns_fd < 0)
                return -ENOSYS;
        program.prog_fd = fcntl(prog->fd, F_DUPFD_CLOEXEC, 3);
        if (program.prog_fd < 0)
                r = -errno;
        else if (type->how == PROGRAM_BY_SOCKET)
                r = program.array_fd = make_array(program.prog_fd);
        else
                r = watch_links(b);
        items = r < 0 ? NULL : reallocarray(p->items, p->n + 1, sizeof(*items));
        if (!items) {
                program_done(&program);
                return r < 0 ? r : -ENOMEM;
        }
        p->items = items;
        items[p->n++] = program;
        if (ifindex > 0)
                return add_interface(b, link, ifindex);
        containers_want(b, WANT_NETNS);
        add_everywhere(b, &program);
        return 0;
}

void netns_remove_program(struct broker *b, uint32_t link) {
        struct netns_programs *p = &b->netns_programs;

        for (size_t i = 0; i < p->n; i++) {
                if (p->items[i].link != link)
                        continue;
                unlink_all(b, link, 0);
                program_done(&p->items[i]);
                p->items[i] = p->items[--p->n];
                return;
        }
}

void netns_programs_done(struct broker *b) {
        struct netns_programs *p = &b->netns_programs;

        loop_io_remove(&p->watch_io);
        if (p->watch_fd > 0)
                close_fd(&p->watch_fd);
        for (size_t i = 0; i < p->n_links; i++)
                close_fd(&p->links[i].fd);
        for (size_t i = 0; i < p->n; i++)
                program_done(&p->items[i]);
        free(p->links);
        free(p->items);
        *p = (struct netns_programs){ 0 };
}
