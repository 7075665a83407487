/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shared.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "broker/bpf.h"
#include "broker/broker.h"

void shared_done(struct broker *b) {
        close_fd(&b->shared.fd);
}

static int shape_of(int fd, struct broker_shared_map *ret) {
        struct bpf_map_info info = { 0 };
        union bpf_attr attr = {
                .info = { .bpf_fd = (uint32_t)fd, .info_len = sizeof(info), .info = ptr_u64(&info) }
        };
        int r = sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);

        if (r < 0)
                return r;
        *ret = (struct broker_shared_map){ .key_size = info.key_size,
                                           .value_size = info.value_size,
                                           .max_entries = info.max_entries };
        return info.type == BPF_MAP_TYPE_HASH ? 0 : -EINVAL;
}

/* --- gadgetd's answer --- */

int shared_on_map(struct broker *b, const struct msg_shared_map *msg, int *fds, size_t n_fds) {
        struct shared_map *shared = &b->shared;
        int r = 0;

        close_fd(&shared->fd);
        snprintf(shared->why, sizeof(shared->why), "%s", msg->message ?: "gadgetd gave none");
        if (n_fds > 0) {
                shared->fd = TAKE_FD(fds[0]);
                r = shape_of(shared->fd, &shared->shape);
        }
        if (r < 0) {
                close_fd(&shared->fd);
                snprintf(shared->why, sizeof(shared->why), "it is no map that can be used");
        }
        shared->awaits = false;
        return serve_resume(b);
}

int on_shared_want(struct broker *b, const struct request *request, struct reply *reply,
                   struct error *err) {
        const struct broker_shared_want *want = request->body;
        struct msg_shared_map_want msg = { .with_paths = want->with_paths != 0 };
        int r;

        (void)reply;
        if (b->inspect || b->shared.offers || b->shared.was_asked_for)
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker's request 'shared map want' comes at the wrong time");
        b->shared.was_asked_for = true;
        r = channel_send(b->gadgetd, MSG_SHARED_MAP_WANT, &msg, NULL, 0);
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "cannot ask for the map of sockets");
        b->shared.awaits = true;
        return 0;
}

int on_shared_map(struct broker *b, const struct request *request, struct reply *reply,
                  struct error *err) {
        const struct shared_map *shared = &b->shared;

        (void)request;
        (void)err;
        if (shared->fd >= 0) {
                buf_append(&reply->payload, &shared->shape, sizeof(shared->shape));
        } else {
                reply->result = -ENOENT;
                buf_append(&reply->payload, shared->why, strlen(shared->why));
        }
        return 0;
}

/* --- the map in the gadget --- */

int shared_take(struct broker *b, const struct broker_map_create *create, int *ret_fd,
                struct error *err) {
        const struct shared_map *shared = &b->shared;
        const char *name = shared->offers ? BROKER_SHARED_MAP_FILLED : BROKER_SHARED_MAP_READ;

        if (shared->fd < 0 || strncmp(create->name, name, BROKER_NAME_LEN - 1) != 0)
                return 0;
        if (create->map_type != BPF_MAP_TYPE_HASH || create->key_size != shared->shape.key_size ||
            create->value_size != shared->shape.value_size)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "map '%s' has another shape than the map of sockets: %" PRIu32
                                 " and %" PRIu32 " bytes instead of %" PRIu32 " and %" PRIu32,
                                 name, create->key_size, create->value_size, shared->shape.key_size,
                                 shared->shape.value_size);
        *ret_fd = fcntl(shared->fd, F_DUPFD_CLOEXEC, 3);
        if (*ret_fd < 0)
                return error_set(err, ERROR_INTERNAL, -errno, "no fd for the map of sockets");
        return 1;
}

int shared_bind(struct broker *b, struct object *map) {
        union bpf_attr attr = {
                .map_type = BPF_MAP_TYPE_HASH,
                .key_size = b->shared.shape.key_size,
                .value_size = b->shared.shape.value_size,
                .max_entries = 1,
                .map_flags = BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG,
                .map_name = "sockets_twin",
        };

        if (b->shared.offers)
                return 0;
        map->map.twin_fd = sys_bpf(BPF_MAP_CREATE, &attr);
        if (map->map.twin_fd < 0)
                return map->map.twin_fd;
        map->map.is_shared = true;
        return 0;
}

/* Each 64-bit load of a map, which takes two slots: `from` and `to` are of the same shared map. */
static bool exchange(const struct broker *b, struct bpf_insn *insns, uint32_t n, bool to_twins) {
        bool found = false;

        for (uint32_t i = 0; i < n; i++) {
                if (insns[i].code != (BPF_LD | BPF_IMM | BPF_DW))
                        continue;
                for (size_t k = 0; insns[i].src_reg == BPF_PSEUDO_MAP_FD && k < b->objects.n; k++) {
                        const struct object *map = &b->objects.table[k];

                        if (map->kind != OBJECT_MAP || !map->map.is_shared ||
                            insns[i].imm != (to_twins ? map->fd : map->map.twin_fd))
                                continue;
                        insns[i].imm = to_twins ? map->map.twin_fd : map->fd;
                        found = true;
                        break;
                }
                i++;
        }
        return found;
}

bool shared_use_twins(const struct broker *b, struct bpf_insn *insns, uint32_t n) {
        return exchange(b, insns, n, true);
}

void shared_use_maps(const struct broker *b, struct bpf_insn *insns, uint32_t n) {
        (void)exchange(b, insns, n, false);
}

int shared_refuse(const struct object *map, struct error *err) {
        if (!map->map.is_shared)
                return 0;
        return error_set(err, ERROR_DENIED, -EPERM,
                         "the worker tried to use '" BROKER_SHARED_MAP_READ
                         "', which only its programs read");
}

/* --- who fills it --- */

void shared_offer(struct broker *b) {
        for (size_t i = 0; b->shared.offers && i < b->objects.n; i++) {
                const struct object *map = &b->objects.table[i];
                int r;

                if (map->kind != OBJECT_MAP || strcmp(map->name, BROKER_SHARED_MAP_FILLED) != 0)
                        continue;
                r = channel_send(b->gadgetd, MSG_SHARED_MAP_OFFER, NULL, &map->fd, 1);
                if (r < 0)
                        log_warning_errno(r, "cannot hand the map of sockets over");
                return;
        }
}
