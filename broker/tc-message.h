/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of rtnetlink about queues and filters of interfaces (tc): one request, one answer. The
 * kernel is who answers. */
#pragma once

#include <linux/rtnetlink.h>

#include "base/util.h"

#define TC_MESSAGE_MAX 512
#define TC_ATTRIBUTES_MAX 32
#define TC_ALL_PROTOCOLS 0x0300 /* ETH_P_ALL in network order */

struct tc_message {
        struct nlmsghdr header;
        struct tcmsg tc;
        uint8_t attributes[TC_MESSAGE_MAX];
};

/* -errno, or an fd. */
int tc_socket(void);

void tc_message_init(struct tc_message *m, uint16_t type, uint16_t flags, const struct tcmsg *tc);
/* Attributes of ours are small and known: what does not fit is a bug. */
void tc_message_put(struct tc_message *m, uint16_t type, const void *data, size_t n);
/* Those up to tc_message_end() are part of this one. */
size_t tc_message_begin(struct tc_message *m, uint16_t type);
void tc_message_end(struct tc_message *m, size_t begun);
/* 0, or what the kernel says. */
int tc_message_send(struct tc_message *m, int fd);

/* Attributes of an answer by type; NULL = there is none. Borrowed. */
struct tc_attributes {
        const struct rtattr *by_type[TC_ATTRIBUTES_MAX];
};
struct tc_attributes tc_attributes_of(const struct rtattr *nested);
static inline const struct rtattr *tc_attribute(const struct tc_attributes *a, unsigned int type) {
        return a->by_type[type];
}
bool tc_attribute_is(const struct tc_attributes *a, unsigned int type, const char *text);
bool tc_attribute_u32(const struct tc_attributes *a, unsigned int type, uint32_t *ret);

/* Calls back for each filter of the interface's parent. */
int tc_list_filters(int fd, int interface, uint32_t parent,
                    void (*on_filter)(const struct tcmsg *tc, const struct tc_attributes *a,
                                      void *arg),
                    void *arg);
