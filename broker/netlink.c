/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/netlink.h"

#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "base/util.h"

#define ANSWER_MAX (32u << 10) /* the kernel makes none larger unless asked to */

static int ask(int fd, void *request, size_t n) {
        struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

        return sendto(fd, request, n, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0 ? -errno
                                                                                         : 0;
}

static const struct rtattr *attribute(const struct rtattr *first, size_t len, uint16_t type) {
        for (const struct rtattr *a = first; RTA_OK(a, len); a = RTA_NEXT(a, len))
                if (a->rta_type == type && RTA_PAYLOAD(a) >= sizeof(uint32_t))
                        return a;
        return NULL;
}

static int32_t number(const struct rtattr *a, int32_t none) {
        int32_t value;

        if (!a)
                return none;
        memcpy(&value, RTA_DATA(a), sizeof(value));
        return value;
}

/* What that namespace is called here; NETNSA_NSID_NOT_ASSIGNED = nothing here leads into it. */
static int32_t id_of(int fd, int netns_fd, uint8_t *answer) {
        struct {
                struct nlmsghdr header;
                struct rtgenmsg message;
                uint8_t pad[3];
                struct rtattr attribute;
                int32_t value;
        } request = {
                .header = { .nlmsg_len = sizeof(request),
                            .nlmsg_type = RTM_GETNSID,
                            .nlmsg_flags = NLM_F_REQUEST },
                .attribute = { .rta_len = RTA_LENGTH(sizeof(int32_t)), .rta_type = NETNSA_FD },
                .value = netns_fd,
        };
        const struct nlmsghdr *header = (const void *)answer;
        const uint8_t *attributes = answer + NLMSG_SPACE(sizeof(struct rtgenmsg));
        int64_t n;

        if (ask(fd, &request, sizeof(request)) < 0)
                return NETNSA_NSID_NOT_ASSIGNED;
        n = recv(fd, answer, ANSWER_MAX, 0);
        if (n < (int64_t)NLMSG_SPACE(sizeof(struct rtgenmsg)) || !NLMSG_OK(header, n) ||
            header->nlmsg_type != RTM_NEWNSID)
                return NETNSA_NSID_NOT_ASSIGNED;
        return number(attribute((const void *)attributes,
                                header->nlmsg_len - NLMSG_SPACE(sizeof(struct rtgenmsg)),
                                NETNSA_NSID),
                      NETNSA_NSID_NOT_ASSIGNED);
}

/* The other end of an interface that a message is about, 0 = it is not in that namespace. */
static uint32_t peer_of(const struct nlmsghdr *header, int32_t nsid) {
        const struct ifinfomsg *info = NLMSG_DATA(header);
        const struct rtattr *first = IFLA_RTA(info);
        size_t len;

        if (header->nlmsg_type != RTM_NEWLINK || header->nlmsg_len < NLMSG_SPACE(sizeof(*info)))
                return 0;
        len = header->nlmsg_len - NLMSG_SPACE(sizeof(*info));
        if (number(attribute(first, len, IFLA_LINK_NETNSID), NETNSA_NSID_NOT_ASSIGNED) != nsid)
                return 0;
        return (uint32_t)number(attribute(first, len, IFLA_LINK), 0);
}

static int list(int fd, int32_t nsid, uint8_t *answer, uint32_t *ifindexes, size_t n) {
        struct {
                struct nlmsghdr header;
                struct ifinfomsg message;
        } request = {
                .header = { .nlmsg_len = sizeof(request),
                            .nlmsg_type = RTM_GETLINK,
                            .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
        };
        size_t found = 0;
        int r;

        r = ask(fd, &request, sizeof(request));
        while (r == 0) {
                int64_t got = recv(fd, answer, ANSWER_MAX, 0);

                if (got < 0)
                        return -errno;
                for (const struct nlmsghdr *h = (const void *)answer; NLMSG_OK(h, got);
                     h = NLMSG_NEXT(h, got)) {
                        uint32_t peer = peer_of(h, nsid);

                        if (h->nlmsg_type == NLMSG_DONE)
                                return (int)found;
                        if (h->nlmsg_type == NLMSG_ERROR)
                                return -EIO;
                        if (peer > 0 && found < n)
                                ifindexes[found++] = peer;
                }
        }
        return r;
}

int netlink_watch_links(void) {
        cleanup_close int fd =
                socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
        struct sockaddr_nl groups = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };

        if (fd < 0 || bind(fd, (struct sockaddr *)&groups, sizeof(groups)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

void netlink_drain(int fd) {
        uint8_t start[16];

        /* Too many at once is as good as one. */
        while (recv(fd, start, sizeof(start), MSG_DONTWAIT | MSG_TRUNC) >= 0 || errno == ENOBUFS ||
               errno == EINTR)
                ;
}

int netlink_peers(int host_netns_fd, uint32_t *ifindexes, size_t n) {
        cleanup_close int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
        cleanup_free uint8_t *answer = malloc(ANSWER_MAX);
        int32_t nsid;

        if (fd < 0)
                return -errno;
        if (!answer)
                return -ENOMEM;
        nsid = id_of(fd, host_netns_fd, answer);
        return nsid == NETNSA_NSID_NOT_ASSIGNED ? 0 : list(fd, nsid, answer, ifindexes, n);
}
