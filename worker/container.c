/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/container.h"

#include <stdio.h>

#include "base/log.h"
#include "ipc/mp.h"

#define BUCKETS 256u /* power of two */

struct row {
        struct row *next_mntns, *next_netns;
        uint64_t mntns;
        uint64_t netns;
        uint64_t started_ns;
        uint32_t pid;
        uint32_t blob_len;
        char *texts[_CONTAINER_TEXT_MAX]; /* into `data` */
        char data[CONTAINER_TEXTS_SIZE_MAX + _CONTAINER_TEXT_MAX];
        uint8_t blob[];
};

enum added {
        ADDED_NONE,
        ADDED_TEXT,
        ADDED_UNKNOWN, /* a text that nobody has told so far */
        ADDED_PID,
        ADDED_STARTED,
        ADDED_HOST_NETWORK,
};

/* The order is that of the blob. */
static const struct {
        const char *name;
        const char *description;
        enum added what;
        enum container_text text;
} fields[CONTAINER_FIELDS] = {
        { "runtime.containerName", "Name of the container", ADDED_TEXT, CONTAINER_NAME },
        { "runtime.runtimeName", "Runtime of the container", ADDED_TEXT, CONTAINER_RUNTIME },
        { "runtime.containerId", "Id of the container", ADDED_TEXT, CONTAINER_ID },
        { "runtime.containerPid", "First process of the container", ADDED_PID, 0 },
        { "runtime.containerImageName", "Image of the container", ADDED_TEXT, CONTAINER_IMAGE },
        { "runtime.containerImageDigest", "Digest of the image", ADDED_TEXT, CONTAINER_DIGEST },
        { "runtime.containerStartedAt", "When the container was started, in ns", ADDED_STARTED, 0 },
        { "k8s.namespace", "Kubernetes namespace", ADDED_TEXT, CONTAINER_K8S_NAMESPACE },
        { "k8s.podName", "Kubernetes pod", ADDED_TEXT, CONTAINER_K8S_POD },
        { "k8s.containerName", "Container in the pod", ADDED_TEXT, CONTAINER_K8S_CONTAINER },
        { "k8s.hostnetwork", "The pod uses the host's network", ADDED_HOST_NETWORK, 0 },
        { "k8s.node", "Kubernetes node", ADDED_TEXT, CONTAINER_K8S_NODE },
        { "k8s.podLabels", "Labels of the pod", ADDED_TEXT, CONTAINER_K8S_LABELS },
        { "k8s.owner.kind", "Kind of the pod's owner; empty: no runtime knows", ADDED_UNKNOWN, 0 },
        { "k8s.owner.name", "Name of the pod's owner; empty: no runtime knows", ADDED_UNKNOWN, 0 },
};

static struct {
        struct row *by_mntns[BUCKETS];
        struct row *by_netns[BUCKETS];
        const struct row *last; /* found by its mount namespace */
        struct row *shared;     /* made up for the containers of one network namespace */
        uint8_t nobody[CONTAINER_BLOB_MAX];
        uint32_t nobody_len;
        void (*refill)(void);
} table;

static inline uint32_t bucket_of(uint64_t id) {
        return (uint32_t)(id ^ (id >> 8)) & (BUCKETS - 1);
}

static uint8_t *encode(uint8_t *out, const struct row *row, const struct broker_container *head) {
        for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
                const char *text = row ? row->texts[fields[i].text] : "";

                switch (fields[i].what) {
                case ADDED_TEXT:
                        out = mp_put_str(out, text, (uint32_t)strlen(text));
                        break;
                case ADDED_UNKNOWN:
                        out = mp_put_str(out, "", 0);
                        break;
                case ADDED_PID:
                        out = mp_put_uint(out, head ? head->pid : 0);
                        break;
                case ADDED_STARTED:
                        out = mp_put_uint(out, head ? head->started_ns : 0);
                        break;
                case ADDED_HOST_NETWORK:
                        out = mp_put_bool(out, head && head->netns == 0);
                        break;
                case ADDED_NONE:
                        break;
                }
        }
        return out;
}

static struct row *find_mntns(uint64_t id) {
        struct row *row = table.by_mntns[bucket_of(id)];

        while (row && row->mntns != id)
                row = row->next_mntns;
        return row;
}

static struct row *next_in(struct row *row, uint64_t netns) {
        while (row && row->netns != netns)
                row = row->next_netns;
        return row;
}

static void unlink_row(struct row *row) {
        struct row **at = &table.by_mntns[bucket_of(row->mntns)];

        while (*at != row)
                at = &(*at)->next_mntns;
        *at = row->next_mntns;
        if (row->netns == 0)
                return;
        at = &table.by_netns[bucket_of(row->netns)];
        while (*at != row)
                at = &(*at)->next_netns;
        *at = row->next_netns;
}

static void forget(uint64_t mntns) {
        struct row *row = find_mntns(mntns);

        table.last = NULL;
        if (!row)
                return;
        unlink_row(row);
        free(row);
}

static void add(const struct row *model, const struct broker_container *head) {
        uint8_t blob[CONTAINER_BLOB_MAX];
        uint32_t len = (uint32_t)(encode(blob, model, head) - blob);
        struct row *row = malloc(sizeof(*row) + len);
        uint32_t at;

        if (!row)
                return; /* its events go without names */
        *row = *model;
        for (size_t i = 0; i < _CONTAINER_TEXT_MAX; i++)
                row->texts[i] = row->data + (model->texts[i] - model->data);
        row->blob_len = len;
        memcpy(row->blob, blob, len);
        at = bucket_of(row->mntns);
        row->next_mntns = table.by_mntns[at];
        table.by_mntns[at] = row;
        if (row->netns == 0)
                return;
        at = bucket_of(row->netns);
        row->next_netns = table.by_netns[at];
        table.by_netns[at] = row;
}

/* What all containers of a pod agree on stands for them all: which of them it was, a network
 * namespace does not say. */
static const struct row *find_shared(struct row *first) {
        const struct broker_container head = { .netns = first->netns };
        struct row *row = first;

        if (table.shared && table.shared->netns == first->netns)
                return table.shared;
        free(table.shared);
        table.shared = malloc(sizeof(*row) + CONTAINER_BLOB_MAX);
        if (!table.shared)
                return NULL;
        *table.shared = *first;
        for (size_t i = 0; i < _CONTAINER_TEXT_MAX; i++)
                table.shared->texts[i] = table.shared->data + (first->texts[i] - first->data);
        while ((row = next_in(row->next_netns, first->netns)))
                for (size_t i = 0; i < _CONTAINER_TEXT_MAX; i++)
                        if (!str_eq(row->texts[i], table.shared->texts[i]))
                                table.shared->texts[i][0] = '\0';
        table.shared->mntns = table.shared->started_ns = 0;
        table.shared->pid = 0;
        table.shared->blob_len =
                (uint32_t)(encode(table.shared->blob, table.shared, &head) - table.shared->blob);
        return table.shared;
}

static const struct row *find_netns(uint64_t id) {
        struct row *row = next_in(table.by_netns[bucket_of(id)], id);

        return row && next_in(row->next_netns, id) ? find_shared(row) : row;
}

static void forget_shared(void) {
        free(table.shared);
        table.shared = NULL;
}

void container_on_message(const uint8_t *data, size_t len) {
        struct broker_container head;
        struct row row = { 0 };
        size_t at = sizeof(head), room = 0;

        if (len < sizeof(head))
                return;
        memcpy(&head, data, sizeof(head));
        for (size_t i = 0; i < _CONTAINER_TEXT_MAX; i++) {
                const uint16_t max = i == CONTAINER_K8S_LABELS ? LIMIT_CONTAINER_LABELS_MAX
                                                               : LIMIT_CONTAINER_TEXT_MAX;

                if (head.len[i] > max || head.len[i] > len - at)
                        return;
                row.texts[i] = row.data + room;
                memcpy(row.texts[i], data + at, head.len[i]);
                room += head.len[i] + 1u;
                at += head.len[i];
        }
        row.mntns = head.mntns;
        row.netns = head.netns;
        row.started_ns = head.started_ns;
        row.pid = head.pid;
        forget_shared();
        forget(head.mntns);
        if (!head.is_gone)
                add(&row, &head);
}

void container_set_refill(void (*refill)(void)) {
        table.refill = refill;
}

void container_begin_drain(void) {
        if (table.refill)
                table.refill();
}

static inline uint64_t read_id(const uint8_t *event, uint32_t offset, uint8_t size) {
        uint64_t wide;
        uint32_t narrow;

        if (offset == NO_OFFSET)
                return 0;
        if (size == 8) {
                memcpy(&wide, event + offset, sizeof(wide));
                return wide;
        }
        memcpy(&narrow, event + offset, sizeof(narrow));
        return narrow;
}

static const struct row *look_up(const struct container_ids *ids, const uint8_t *event) {
        uint64_t mntns = read_id(event, ids->mntns, ids->mntns_size);
        uint64_t netns = read_id(event, ids->netns, ids->netns_size);
        const struct row *row = mntns ? find_mntns(mntns) : NULL;

        return row || mntns || !netns ? row : find_netns(netns);
}

static const struct row *find(const struct container_ids *ids, const uint8_t *event) {
        const struct row *row;

        if (table.last && read_id(event, ids->mntns, ids->mntns_size) == table.last->mntns)
                return table.last;
        row = look_up(ids, event);
        if (row && row->mntns > 0 && ids->mntns != NO_OFFSET)
                table.last = row;
        return row;
}

struct bytes container_blob(const struct container_ids *ids, const uint8_t *event) {
        const struct row *row = find(ids, event);

        if (row)
                return BYTES(row->blob, row->blob_len);
        if (table.nobody_len == 0)
                table.nobody_len = (uint32_t)(encode(table.nobody, NULL, NULL) - table.nobody);
        return BYTES(table.nobody, table.nobody_len);
}

bool container_field_value(uint32_t added, const struct container_ids *ids, const uint8_t *event,
                           uint64_t *ret_number, const char **ret_text) {
        const struct row *row = find(ids, event);

        switch (fields[added - 1].what) {
        case ADDED_PID:
                *ret_number = row ? row->pid : 0;
                return true;
        case ADDED_STARTED:
                *ret_number = row ? row->started_ns : 0;
                return true;
        case ADDED_HOST_NETWORK:
                *ret_number = row && row->netns == 0;
                return true;
        case ADDED_UNKNOWN:
                *ret_text = "";
                return false;
        case ADDED_TEXT:
        case ADDED_NONE:
                break;
        }
        *ret_text = row ? row->texts[fields[added - 1].text] : "";
        return false;
}

const char *container_name_of(uint64_t mntns) {
        const struct row *row = find_mntns(mntns);

        return row ? row->texts[CONTAINER_NAME] : "";
}

void container_forget_all(void) {
        forget_shared();
        for (size_t i = 0; i < BUCKETS; i++)
                while (table.by_mntns[i])
                        forget(table.by_mntns[i]->mntns);
}

/* --- the type --- */

/* The container that some ids of a type are about. */
struct group {
        char prefix[128]; /* of the added fields' names, with its dot; "" = the event's own */
        struct container_ids ids;
};

static bool is_id(const struct event_field *f, const char *ctype) {
        return f->kind == FIELD_UINT && (f->size == 4 || f->size == 8) && f->ctype &&
               str_eq(f->ctype, ctype);
}

static bool has_field(const struct event_type *type, const char *name) {
        for (size_t i = 0; i < type->n_fields; i++)
                if (str_eq(type->fields[i].name, name) ||
                    (type->fields[i].target && str_eq(type->fields[i].target, name)))
                        return true;
        return false;
}

/* "parent_mntns_id" is about "parent", and so is "parent.netns_id". */
static void prefix_of(const struct event_type *type, const char *name, char *buf, size_t n) {
        static const char *const ends[] = { "mntns_id", "netns_id", "mntns", "netns" };
        size_t len = strlen(name);

        for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
                size_t end = strlen(ends[i]);

                if (len > end + 1 && str_eq(name + len - end, ends[i]) &&
                    strchr("._", name[len - end - 1])) {
                        snprintf(buf, n, "%.*s", (int)MIN(len - end - 1, n - 2), name);
                        break;
                }
                if (i == ARRAY_SIZE(ends) - 1)
                        snprintf(buf, n, "%.100s_container", name);
        }
        if (has_field(type, buf))
                snprintf(buf, n, "%.100s_container", name);
        snprintf(buf + strlen(buf), n - strlen(buf), ".");
}

static struct group *find_group(struct group *groups, size_t *n, const char *prefix) {
        for (size_t i = 1; i < *n; i++)
                if (str_eq(groups[i].prefix, prefix))
                        return &groups[i];
        if (*n == CONTAINER_GROUPS_MAX)
                return NULL;
        snprintf(groups[*n].prefix, sizeof(groups->prefix), "%s", prefix);
        groups[*n].ids = (struct container_ids){ .mntns = NO_OFFSET, .netns = NO_OFFSET };
        return &groups[(*n)++];
}

static void add_id(struct container_ids *ids, const struct event_field *f, bool is_mntns) {
        if (is_mntns) {
                ids->mntns = f->offset;
                ids->mntns_size = (uint8_t)f->size;
        } else {
                ids->netns = f->offset;
                ids->netns_size = (uint8_t)f->size;
        }
}

/* The first ids of both kinds are the event's own. */
static size_t find_groups(const struct event_type *type, struct group *groups) {
        size_t n = 1;

        groups[0] = (struct group){ .ids = { .mntns = NO_OFFSET, .netns = NO_OFFSET } };
        for (size_t i = 0; i < type->n_fields; i++) {
                const struct event_field *f = &type->fields[i];
                bool is_mntns = is_id(f, "gadget_mntns_id");
                struct group *group = &groups[0];
                char prefix[sizeof(groups->prefix)];

                if (!is_mntns && !is_id(f, "gadget_netns_id"))
                        continue;
                if ((is_mntns ? group->ids.mntns : group->ids.netns) != NO_OFFSET) {
                        prefix_of(type, f->name, prefix, sizeof(prefix));
                        group = find_group(groups, &n, prefix);
                }
                if (group)
                        add_id(&group->ids, f, is_mntns);
                else
                        log_warning("field '%s': an event is about %d containers at most, going on "
                                    "without the names of this one",
                                    f->name, CONTAINER_GROUPS_MAX);
        }
        return groups[0].ids.mntns == NO_OFFSET && groups[0].ids.netns == NO_OFFSET ? 0 : n;
}

static bool is_text(enum added what) {
        return what == ADDED_TEXT || what == ADDED_UNKNOWN;
}

static int add_field(struct event_type *type, const struct group *group, size_t i, bool is_shown) {
        struct event_field *f = &type->fields[type->n_fields];
        char name[sizeof(group->prefix) + 40];

        snprintf(name, sizeof(name), "%s%s", group->prefix, fields[i].name);
        *f = (struct event_field){
                .name = strdup(name),
                .ctype = strdup(is_text(fields[i].what) ? "char[]" : "u64"),
                .kind = is_text(fields[i].what)                ? FIELD_STR
                        : fields[i].what == ADDED_HOST_NETWORK ? FIELD_BOOL
                                                               : FIELD_UINT,
                .flags = FIELD_ADDED | (is_shown && i == 0 ? 0 : FIELD_HIDDEN),
                .added = (uint32_t)i + 1,
                .ids = group->ids,
                .version_offset = NO_OFFSET,
                .enum_index = -1,
        };
        if (fields[i].what == ADDED_STARTED)
                f->render = RENDER_NONE;
        type->n_fields++;
        if (!f->name || !f->ctype ||
            annotations_set(&f->annotations, "description", fields[i].description) < 0)
                return -ENOMEM;
        return i == 0 && is_shown ? annotations_set(&f->annotations, "columns.width", "24") : 0;
}

int container_add_fields(struct event_type *type, bool is_shown) {
        struct group groups[CONTAINER_GROUPS_MAX];
        size_t n = find_groups(type, groups);
        struct event_field *grown;
        int r = 0;

        for (size_t i = 0; i < type->n_fields; i++)
                if (strncmp(type->fields[i].name, "runtime.", 8) == 0 ||
                    strncmp(type->fields[i].name, "k8s.", 4) == 0)
                        return 0; /* the gadget has fields of these names itself */
        while (n > 0 && type->n_fields + n * ARRAY_SIZE(fields) > LIMIT_FIELDS_MAX)
                n--;
        if (n == 0)
                return 0;
        grown = reallocarray(type->fields, type->n_fields + n * ARRAY_SIZE(fields), sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        type->fields = grown;
        for (size_t i = 0; r == 0 && i < n * ARRAY_SIZE(fields); i++)
                r = add_field(type, &groups[i / ARRAY_SIZE(fields)], i % ARRAY_SIZE(fields),
                              is_shown);
        return r;
}
