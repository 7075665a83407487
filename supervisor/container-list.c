/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to container.list, some of which wait until there is something new. */
#include "supervisor/client.h"
#include "supervisor/container.h"
#include "supervisor/pack.h"

static void pack_container(const struct container *c, struct buf *out) {
        const struct msg_container_added *info = &c->info;
        struct pack map = pack_map(out);

        pack_map_str(&map, "name", info->name);
        pack_map_str(&map, "runtime", info->runtime);
        pack_map_str(&map, "id", info->id);
        pack_map_uint(&map, "pid", info->pid);
        pack_map_str(&map, "image", info->image);
        pack_map_str(&map, "digest", info->digest);
        pack_map_uint(&map, "started", info->started_ns);
        pack_map_uint(&map, "mntns", info->mntns);
        pack_map_uint(&map, "netns", info->netns);
        pack_map_str(&map, "cgroup", info->cgroup);
        pack_map_uint(&map, "cgroup_id", info->cgroup_id);
        pack_map_bool(&map, "host_network", info->host_network);
        pack_map_str(&map, "k8s_namespace", info->k8s_namespace);
        pack_map_str(&map, "k8s_pod", info->k8s_pod);
        pack_map_str(&map, "k8s_container", info->k8s_container);
        pack_map_str(&map, "k8s_labels", info->k8s_labels);
        pack_end(&map);
}

static void answer(struct containers *cs, struct client *client, uint32_t id) {
        cleanup_buf struct buf out = BUF_INIT(CLIENT_REPLY_MAX);
        struct pack array = pack_array(&out);
        const struct container *c;

        LIST_FOREACH (c, &cs->list, link) {
                if (c->gone_ns > 0)
                        continue;
                pack_item(&array);
                pack_container(c, &out);
        }
        pack_end(&array);
        if (out.failed) {
                struct error err;

                error_set(&err, ERROR_INTERNAL, buf_result(&out), "the list is too large");
                client_error(client, id, &err, NULL, NULL);
                return;
        }
        client_reply(client, id, METHOD_CONTAINER_LIST,
                     &(struct rep_container_list){ .items = { out.data, out.len },
                                                   .generation = cs->generation,
                                                   .is_incomplete = cs->is_full });
}

void containers_answer_waiting(struct containers *cs) {
        struct container_wait *wait, *next;

        for (wait = LIST_FIRST(&cs->waits); wait && cs->is_ready; wait = next) {
                next = LIST_NEXT(wait, link);
                if (cs->generation <= wait->after)
                        continue;
                answer(cs, wait->client, wait->id);
                LIST_REMOVE(wait, link);
                free(wait);
        }
}

int containers_answer(struct containers *cs, struct client *client, uint32_t id, uint64_t after) {
        struct container_wait *wait;

        if (cs->is_ready && cs->generation > after) {
                answer(cs, client, id);
                return 0;
        }
        wait = calloc(1, sizeof(*wait));
        if (!wait)
                return -ENOMEM;
        *wait = (struct container_wait){ .client = client, .id = id, .after = after };
        LIST_INSERT_HEAD(&cs->waits, wait, link);
        return 0;
}

void containers_forget_client(struct containers *cs, const struct client *client) {
        struct container_wait *wait, *next;

        for (wait = LIST_FIRST(&cs->waits); wait; wait = next) {
                next = LIST_NEXT(wait, link);
                if (wait->client != client)
                        continue;
                LIST_REMOVE(wait, link);
                free(wait);
        }
}

void containers_refuse_waiting(struct containers *cs, const struct error *why) {
        struct container_wait *wait;

        while ((wait = LIST_FIRST(&cs->waits))) {
                if (why)
                        client_error(wait->client, wait->id, why, NULL, NULL);
                LIST_REMOVE(wait, link);
                free(wait);
        }
}
