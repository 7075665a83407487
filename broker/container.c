/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The containers that this gadget may see, as gadgetd tells of them: into the kernel's filter at
 * once, and to the worker when it runs. The worker never writes the filter.
 */
#include "broker/container.h"

#include "base/log.h"
#include "broker/bpf.h"
#include "broker/broker.h"

struct row {
        uint64_t mntns;
        struct buf data; /* struct broker_container and texts */
        bool is_sent;
        bool is_filtered_out; /* it has ended: only its name is of use */
};

static struct row *find_row(const struct container_rows *rows, uint64_t mntns) {
        for (size_t i = 0; i < rows->n; i++)
                if (rows->items[i].mntns == mntns)
                        return &rows->items[i];
        return NULL;
}

static int row_get(struct container_rows *rows, uint64_t mntns, struct row **ret) {
        struct row *items;

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
        **ret = (struct row){ .mntns = mntns,
                              .data = BUF_INIT(BROKER_CONTAINER_SIZE_MAX),
                              .is_sent = true }; /* there is nothing to send yet */
        return 0;
}

static void row_remove(struct container_rows *rows, struct row *row) {
        buf_done(&row->data);
        *row = rows->items[--rows->n];
}

static int encode(const struct msg_container_set *set, struct buf *out) {
        const char *const texts[_CONTAINER_TEXT_MAX] = {
                [CONTAINER_NAME] = set->name,       [CONTAINER_RUNTIME] = set->runtime,
                [CONTAINER_ID] = set->id,           [CONTAINER_IMAGE] = set->image,
                [CONTAINER_DIGEST] = set->digest,   [CONTAINER_K8S_NAMESPACE] = set->k8s_namespace,
                [CONTAINER_K8S_POD] = set->k8s_pod, [CONTAINER_K8S_CONTAINER] = set->k8s_container,
        };
        struct broker_container head = {
                .mntns = set->mntns,
                .netns = set->netns,
                .started_ns = set->started_ns,
                .pid = set->pid,
                .is_gone = set->is_gone,
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
                struct row *row = &rows->items[i];
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
                        row_remove(rows, row);
                else
                        i++;
        }
}

int containers_set(struct broker *b, const struct msg_container_set *set) {
        struct container_rows *rows = &b->containers;
        struct row *row;
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
        }
        containers_flush(b);
        if (set->serial > 0)
                (void)channel_send(b->gadgetd, MSG_CONTAINER_DONE,
                                   &(struct msg_container_done){ .serial = set->serial }, NULL, 0);
        return 0;
}

void containers_done(struct broker *b) {
        for (size_t i = 0; i < b->containers.n; i++)
                buf_done(&b->containers.items[i].data);
        free(b->containers.items);
        b->containers = (struct container_rows){ 0 };
}
