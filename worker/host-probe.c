/* SPDX-License-Identifier: Apache-2.0 */
/* uprobes without libbpf, which knows the files of one host only: also once the gadget runs. */
#include "worker/host-link.h"
#include "worker/host.h"

uint32_t host_object(int placeholder_fd) {
        return host_fd_handle(placeholder_fd);
}

int host_target(uint64_t mntns, enum broker_target_what what, const char *name,
                struct host_target *ret) {
        struct broker_target want = { .mntns = mntns, .what = what };
        struct host_call call =
                CALL(BROKER_TARGET, PART(&want, sizeof(want)), PART(name, strlen(name)));
        int r;

        *ret = (struct host_target){ .fd = -1 };
        call.out = ret->path;
        call.out_size = sizeof(ret->path) - 1;
        r = host_call(&call);
        if (r < 0)
                return r;
        ret->id = call.handle;
        ret->fd = call.fd;
        return 0;
}

int host_container_next(struct host_container *c) {
        struct broker_target_next want = { .after = c->mntns };
        struct host_call call = CALL(BROKER_TARGET_NEXT, PART(&want, sizeof(want)));
        int r;

        call.out = &c->mntns;
        call.out_size = sizeof(c->mntns);
        r = host_call(&call);
        c->root = call.handle;
        return r;
}

int host_uprobe_open(const struct host_uprobe *uprobe, uint32_t *ret_handle) {
        struct broker_uprobe want = {
                .prog = uprobe->prog,
                .target = uprobe->target,
                .offset = uprobe->offset,
                .cookie = uprobe->cookie,
                .semaphore = uprobe->semaphore,
                .flags = (uprobe->is_return ? BROKER_UPROBE_RETURN : 0) |
                         (uprobe->has_cookie ? BROKER_UPROBE_COOKIE : 0),
        };
        struct host_call call = CALL(BROKER_UPROBE, PART(&want, sizeof(want)));
        int r = host_call(&call);

        *ret_handle = call.handle;
        return r;
}

void host_uprobe_close(uint32_t handle) {
        struct broker_pair pair = { .object = handle };
        struct host_call call = CALL(BROKER_CLOSE, PART(&pair, sizeof(pair)));

        host_tell(&call);
}

int host_usdt_spec(uint32_t map, const void *key, size_t key_size, const void *value,
                   size_t value_size) {
        struct broker_map_elem elem = { .map = map, .has_key = 1 };
        struct host_call call = CALL(BROKER_USDT_SPEC, PART(&elem, sizeof(elem)),
                                     PART(key, key_size), PART(value, value_size));

        return host_call(&call);
}
