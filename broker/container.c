/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The containers that this gadget may see, as gadgetd tells of them: into the kernel's filter at
 * once, and to the worker when it runs. The worker never writes the filter.
 */
#include "broker/container.h"

#include <fcntl.h>

#include "base/log.h"
#include "broker/bpf.h"
#include "broker/broker.h"

static struct container_row *find_row(const struct container_rows *rows, uint64_t mntns) {
        for (size_t i = 0; i < rows->n; i++)
                if (rows->items[i].mntns == mntns)
                        return &rows->items[i];
        return NULL;
}

struct container_row *containers_find(const struct broker *b, uint64_t mntns) {
        return find_row(&b->containers, mntns);
}

static int row_get(struct container_rows *rows, uint64_t mntns, struct container_row **ret) {
        struct container_row *items;

        *ret = find_row(rows, mntns);
        if (*ret)
                return 0;
        if (rows->n >= LIMIT_CONTAINERS_MAX)
                return -ENOSPC;
        items = reallocarray(rows->items, rows->n + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        rows->items = items;
        *ret = &items[rows->n++];
        **ret = (struct container_row){ .mntns = mntns,
                                        .root_fd = -1,
                                        .data = BUF_INIT(BROKER_CONTAINER_SIZE_MAX),
                                        .is_sent = true }; /* there is nothing to send yet */
        return 0;
}

/* The way into a container that has ended is closed at once: it keeps file systems busy and
 * interfaces in place. */
static void row_leave(struct broker *b, struct container_row *row) {
        if (row->netns > 0)
                netns_drop(b, row->netns);
        row->netns = 0;
        row->root = 0;
        close_fd(&row->root_fd);
        targets_leave(b, row->mntns);
}

static int dup_host_netns(const struct broker *b) {
        return b->host_netns_fd < 0 ? -1 : fcntl(b->host_netns_fd, F_DUPFD_CLOEXEC, 3);
}

/* Into its namespace first, then out of the one that it was in before. */
static void row_enter(struct broker *b, struct container_row *row,
                      const struct msg_container_set *set, int *fds) {
        uint64_t old = row->netns, new = set->host_network ? b->host_netns : set->netns;
        cleanup_close int netns_fd = -1;

        if (set->has_root_fd) {
                close_fd(&row->root_fd);
                row->root_fd = TAKE_FD(fds[set->has_netns_fd]);
                row->root = ++b->last_root;
        }
        if (!(b->wants & WANT_NETNS) || new == old)
                return;
        netns_fd = set->has_netns_fd ? TAKE_FD(fds[0]) : set->host_network ? dup_host_netns(b) : -1;
        row->netns = netns_use(b, new, &netns_fd) ? new : 0;
        if (old > 0)
                netns_drop(b, old);
}

static void row_remove(struct broker *b, struct container_row *row) {
        struct container_rows *rows = &b->containers;

        row_leave(b, row);
        buf_done(&row->data);
        *row = rows->items[--rows->n];
}

static int encode(const struct msg_container_set *set, struct buf *out) {
        const char *const texts[_CONTAINER_TEXT_MAX] = {
                [CONTAINER_NAME] = set->name,
                [CONTAINER_RUNTIME] = set->runtime,
                [CONTAINER_ID] = set->id,
                [CONTAINER_IMAGE] = set->image,
                [CONTAINER_DIGEST] = set->digest,
                [CONTAINER_K8S_NAMESPACE] = set->k8s_namespace,
                [CONTAINER_K8S_POD] = set->k8s_pod,
                [CONTAINER_K8S_CONTAINER] = set->k8s_container,
                [CONTAINER_K8S_NODE] = set->k8s_node,
                [CONTAINER_K8S_LABELS] = set->k8s_labels,
        };
        struct broker_container head = {
                .mntns = set->mntns,
                .netns = set->netns,
                .started_ns = set->started_ns,
                .pid = set->pid,
                .is_gone = set->is_gone,
                .has_ended = set->has_ended || set->is_gone,
        };

        for (size_t i = 0; i < _CONTAINER_TEXT_MAX; i++)
                head.len[i] = (uint16_t)strlen(texts[i] ?: "");
        buf_reset(out);
        buf_append(out, &head, sizeof(head));
        for (size_t i = 0; i < _CONTAINER_TEXT_MAX; i++)
                buf_append(out, texts[i] ?: "", head.len[i]);
        return buf_result(out);
}

/* --- the kernel's filter --- */

static int filter_write(int fd, uint64_t mntns, bool add) {
        uint32_t value = 1;
        union bpf_attr attr = { .map_fd = (uint32_t)fd,
                                .key = ptr_u64(&mntns),
                                .value = add ? ptr_u64(&value) : 0 };
        int r = sys_bpf(add ? BPF_MAP_UPDATE_ELEM : BPF_MAP_DELETE_ELEM, &attr);

        return !add && r == -ENOENT ? 0 : MIN(r, 0);
}

/* A gadget has one such map, or none. */
static void filter_all(const struct broker *b, uint64_t mntns, bool add) {
        for (size_t i = 0; i < b->objects.n; i++) {
                const struct object *object = &b->objects.table[i];
                int r;

                if (object->kind != OBJECT_MAP || !object->map.is_filter ||
                    object->map.key_size != sizeof(mntns) || object->map.value_size != 4)
                        continue;
                r = filter_write(object->fd, mntns, add);
                if (r < 0)
                        log_warning_errno(r, "the filter does not take mount namespace %llu",
                                          (unsigned long long)mntns);
        }
}

void containers_fill_filter(struct broker *b, const struct object *map) {
        if (map->map.key_size != sizeof(uint64_t) || map->map.value_size != 4)
                return;
        for (size_t i = 0; i < b->containers.n; i++)
                if (!b->containers.items[i].is_filtered_out)
                        (void)filter_write(map->fd, b->containers.items[i].mntns, true);
}

/* --- the worker --- */

void containers_flush(struct broker *b) {
        struct container_rows *rows = &b->containers;

        for (size_t i = 0; i < rows->n && rows->n_unsent > 0;) {
                struct container_row *row = &rows->items[i];
                int r;

                if (row->is_sent) {
                        i++;
                        continue;
                }
                if ((b->state != BROKER_RUNNING && b->state != BROKER_STOPPING) ||
                    sender_is_busy(&b->sender))
                        return;
                r = serve_send(b, BROKER_CONTAINER, BYTES(row->data.data, row->data.len),
                               BYTES(NULL, 0), NULL, 0);
                if (r < 0)
                        log_warning_errno(r, "cannot tell the worker of a container");
                row->is_sent = true;
                rows->n_unsent--;
                if (((const struct broker_container *)(const void *)row->data.data)->is_gone)
                        row_remove(b, row);
                else
                        i++;
        }
}

int containers_set(struct broker *b, const struct msg_container_set *set, int *fds) {
        struct container_rows *rows = &b->containers;
        struct container_row *row;
        int r;

        r = row_get(rows, set->mntns, &row);
        if (r == 0)
                r = encode(set, &row->data);
        if (r < 0)
                log_warning_errno(r, "a container is not taken note of");
        if (r == 0) {
                rows->n_unsent += row->is_sent;
                row->is_sent = false;
                if (!b->is_host_wide)
                        filter_all(b, set->mntns, !set->is_gone && !set->has_ended);
                row->is_filtered_out = set->has_ended;
                if (set->has_ended || set->is_gone)
                        row_leave(b, row);
                else
                        row_enter(b, row, set, fds);
                memcpy(row->data.data + offsetof(struct broker_container, root), &row->root,
                       sizeof(row->root));
        }
        containers_flush(b);
        if (set->serial > 0)
                (void)channel_send(b->gadgetd, MSG_CONTAINER_DONE,
                                   &(struct msg_container_done){ .serial = set->serial }, NULL, 0);
        return 0;
}

/* The host's namespace is one of them when the gadget may see the host, or a container in it. */
static void use_host(struct broker *b) {
        cleanup_close int fd = dup_host_netns(b);

        if (b->is_host_wide)
                (void)netns_use(b, b->host_netns, &fd);
}

void containers_want(struct broker *b, enum container_want want) {
        const struct msg_container_want msg = {
                .netns = ((b->wants | want) & WANT_NETNS) != 0,
                .roots = ((b->wants | want) & WANT_ROOTS) != 0,
        };
        int r;

        if ((b->wants & want) == want)
                return;
        b->wants |= want;
        if (want & WANT_NETNS)
                use_host(b);
        r = channel_send(b->gadgetd, MSG_CONTAINER_WANT, &msg, NULL, 0);
        if (r < 0)
                log_warning_errno(r, "cannot ask for the way into containers");
        else
                b->awaits_containers = true;
}

int containers_on_all(struct broker *b) {
        b->awaits_containers = false;
        return serve_resume(b);
}

void containers_done(struct broker *b) {
        while (b->containers.n > 0)
                row_remove(b, &b->containers.items[0]);
        free(b->containers.items);
        b->containers = (struct container_rows){ 0 };
}
