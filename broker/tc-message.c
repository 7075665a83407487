/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/tc-message.h"

#include <assert.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MAX (32u << 10) /* what the kernel puts into one datagram of a list */

int tc_socket(void) {
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

        return fd < 0 ? -errno : fd;
}

void tc_message_init(struct tc_message *m, uint16_t type, uint16_t flags, const struct tcmsg *tc) {
        *m = (struct tc_message){
                .header = { .nlmsg_len = NLMSG_LENGTH(sizeof(*tc)),
                            .nlmsg_type = type,
                            .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags),
                            .nlmsg_seq = 1 },
                .tc = *tc,
        };
}

void tc_message_put(struct tc_message *m, uint16_t type, const void *data, size_t n) {
        size_t at = NLMSG_ALIGN(m->header.nlmsg_len) - NLMSG_LENGTH(sizeof(m->tc));
        struct rtattr head = { .rta_type = type, .rta_len = (uint16_t)RTA_LENGTH(n) };

        assert(at + RTA_SPACE(n) <= sizeof(m->attributes));
        memcpy(m->attributes + at, &head, sizeof(head));
        if (n > 0)
                memcpy(m->attributes + at + RTA_LENGTH(0), data, n);
        m->header.nlmsg_len = (uint32_t)(NLMSG_LENGTH(sizeof(m->tc)) + at + RTA_SPACE(n));
}

size_t tc_message_begin(struct tc_message *m, uint16_t type) {
        size_t begun = m->header.nlmsg_len - NLMSG_LENGTH(sizeof(m->tc));

        tc_message_put(m, type, NULL, 0);
        return begun;
}

void tc_message_end(struct tc_message *m, size_t begun) {
        uint16_t len = (uint16_t)(m->header.nlmsg_len - NLMSG_LENGTH(sizeof(m->tc)) - begun);

        memcpy(m->attributes + begun + offsetof(struct rtattr, rta_len), &len, sizeof(len));
}

int tc_message_send(struct tc_message *m, int fd) {
        struct {
                struct nlmsghdr header;
                struct nlmsgerr error;
                uint8_t rest[1024];
        } answer;
        ssize_t n;

        if (send(fd, m, m->header.nlmsg_len, 0) < 0)
                return -errno;
        n = recv(fd, &answer, sizeof(answer), 0);
        if (n < 0)
                return -errno;
        if ((size_t)n < sizeof(answer.header) + sizeof(answer.error.error) ||
            answer.header.nlmsg_type != NLMSG_ERROR)
                return -EPROTO;
        return answer.error.error;
}

static struct tc_attributes parse(const struct rtattr *first, size_t len) {
        struct tc_attributes a = { 0 };
        size_t left = len;

        for (const struct rtattr *at = first; RTA_OK(at, left); at = RTA_NEXT(at, left))
                if ((at->rta_type & NLA_TYPE_MASK) < TC_ATTRIBUTES_MAX)
                        a.by_type[at->rta_type & NLA_TYPE_MASK] = at;
        return a;
}

struct tc_attributes tc_attributes_of(const struct rtattr *nested) {
        return parse(RTA_DATA(nested), RTA_PAYLOAD(nested));
}

bool tc_attribute_is(const struct tc_attributes *a, unsigned int type, const char *text) {
        const struct rtattr *at = a->by_type[type];

        return at && RTA_PAYLOAD(at) == strlen(text) + 1 &&
               memcmp(RTA_DATA(at), text, strlen(text) + 1) == 0;
}

bool tc_attribute_u32(const struct tc_attributes *a, unsigned int type, uint32_t *ret) {
        const struct rtattr *at = a->by_type[type];

        if (!at || RTA_PAYLOAD(at) < sizeof(*ret))
                return false;
        memcpy(ret, RTA_DATA(at), sizeof(*ret));
        return true;
}

int tc_list_filters(int fd, int interface, uint32_t parent,
                    void (*on_filter)(const struct tcmsg *tc, const struct tc_attributes *a,
                                      void *arg),
                    void *arg) {
        struct tcmsg tc = { .tcm_ifindex = interface, .tcm_parent = parent };
        cleanup_free struct nlmsghdr *answer = malloc(ANSWER_MAX);
        struct tc_message m;

        if (!answer)
                return -ENOMEM;
        tc_message_init(&m, RTM_GETTFILTER, NLM_F_DUMP, &tc);
        m.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        if (send(fd, &m, m.header.nlmsg_len, 0) < 0)
                return -errno;
        for (;;) {
                ssize_t n = recv(fd, answer, ANSWER_MAX, 0);
                size_t left = n < 0 ? 0 : (size_t)n;

                if (n < 0)
                        return -errno;
                for (struct nlmsghdr *h = answer; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
                        const struct tcmsg *found = NLMSG_DATA(h);
                        struct tc_attributes a;

                        if (h->nlmsg_type == NLMSG_DONE)
                                return 0;
                        if (h->nlmsg_type == NLMSG_ERROR)
                                return ((const struct nlmsgerr *)NLMSG_DATA(h))->error;
                        if (h->nlmsg_type != RTM_NEWTFILTER ||
                            h->nlmsg_len < NLMSG_LENGTH(sizeof(*found)))
                                continue;
                        a = parse(TCA_RTA(found), TCA_PAYLOAD(h));
                        on_filter(found, &a, arg);
                }
        }
}
