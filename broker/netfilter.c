/* SPDX-License-Identifier: Apache-2.0 */
/* Programs at the hooks of the packet filter, in the broker's own network namespace: the host's. */
#include <linux/netfilter.h>

#include "broker/bpf.h"
#include "broker/place.h"

/* Two programs cannot have one priority at a hook: the first that is free. After everything that
 * the host does with a packet there, and before conntrack confirms it. */
#define PRIORITY_FIRST 500
#define PRIORITY_LAST 999

/* What link_create has of it since 6.4, newer than the headers of Debian 12. */
struct netfilter_target {
        uint32_t family;
        uint32_t hook;
        int32_t priority;
        uint32_t flags;
};

static const struct {
        const char *name;
        struct netfilter_target target;
} hooks[] = {
        { "ipv4/prerouting", { NFPROTO_IPV4, NF_INET_PRE_ROUTING } },
        { "ipv4/input", { NFPROTO_IPV4, NF_INET_LOCAL_IN } },
        { "ipv4/forward", { NFPROTO_IPV4, NF_INET_FORWARD } },
        { "ipv4/output", { NFPROTO_IPV4, NF_INET_LOCAL_OUT } },
        { "ipv4/postrouting", { NFPROTO_IPV4, NF_INET_POST_ROUTING } },
        { "ipv6/prerouting", { NFPROTO_IPV6, NF_INET_PRE_ROUTING } },
        { "ipv6/input", { NFPROTO_IPV6, NF_INET_LOCAL_IN } },
        { "ipv6/forward", { NFPROTO_IPV6, NF_INET_FORWARD } },
        { "ipv6/output", { NFPROTO_IPV6, NF_INET_LOCAL_OUT } },
        { "ipv6/postrouting", { NFPROTO_IPV6, NF_INET_POST_ROUTING } },
};

static int link_at(const struct place *place, struct netfilter_target target) {
        union bpf_attr attr = { .link_create = { .prog_fd = (uint32_t)place->prog->fd,
                                                 .attach_type = place->type->attach_type } };

        memcpy(&attr.link_create.target_btf_id, &target, sizeof(target));
        return sys_bpf(BPF_LINK_CREATE, &attr);
}

int link_netfilter(const struct place *place) {
        int r = -ENOENT;

        for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
                struct netfilter_target target = hooks[i].target;

                if (!str_eq(hooks[i].name, place->hook))
                        continue;
                r = -EBUSY;
                for (int32_t p = PRIORITY_FIRST; r == -EBUSY && p <= PRIORITY_LAST; p++) {
                        target.priority = p;
                        r = link_at(place, target);
                }
        }
        return r;
}
