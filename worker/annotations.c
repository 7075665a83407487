/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/annotations.h"

#include "base/text.h"

/* A key that ends in '.' stands for every key that begins so. */
static const char *const source_keys[] = {
        "description",
        "cli.clear-screen-before",
        "cli.supported-output-modes",
        "cli.default-output-mode",
        "fetch-interval",
        "fetch-count",
        "ebpf.map.flush-on-stop",
        "ebpf.iter.fetch-on-stop",
        "ebpf.rest.name",
        "ebpf.rest.len",
        "metrics.collect",
        "metrics.print",
        "metrics.implicit-counter.name",
        "metrics.implicit-counter.description",
        "logs.array-handling",
        "logs.name",
        "env.fields.",
        "kubenameresolver.enable",
        "generate_networkpolicy.enable",
        "pcap.payload",
        "pcap.timestamp",
        "pcap.packet-length",
        "profiles.stack-fields",
        "profiles.value-field",
        "profiles.sample-attribute",
        "profiles.name",
        "profiles.type",
        "profiles.unit",
        "views.",
        "cli.raw.fields",
};

static const char *const field_keys[] = {
        "description",
        "value.one-of",
        "template",
        "columns.width",
        "columns.minwidth",
        "columns.maxwidth",
        "columns.alignment",
        "columns.ellipsis",
        "columns.hidden",
        "columns.fixed",
        "columns.hex",
        "columns.alias",
        "columns.precision",
        "columns.replace",
        "columns.order",
        "columns.group",
        "json.skip",
        "formatters.timestamp.target",
        "formatters.syscall.target",
        "formatters.signal.target",
        "formatters.errno.target",
        "formatters.bytes.target",
        "formatters.duration.target",
        "formatters.file_mode.target",
        "formatters.file_flags.target",
        "formatters.timestamp.format",
        "ebpf.formatter.enum",
        "ebpf.formatter.kstack",
        "ebpf.formatter.bitfield.separator",
        "uidgidresolver.target",
        "metrics.type",
        "metrics.name",
        "metrics.unit",
        "metrics.description",
        "metrics.boundaries",
        "logs.name",
        "logs.body",
        "logs.severity",
        "pcap.interface-key",
        "pcap.interface-var",
        "views.",
};

/* Of these none says anything to us. metrics.unit is shown with histograms, metrics.print and
 * metrics.collect are what we do in any case. */
static const struct {
        const char *key; /* as above */
        const char *whom;
} for_others[] = {
        { "metrics.type", "exporters of metrics" },
        { "metrics.name", "exporters of metrics" },
        { "metrics.boundaries", "exporters of metrics" },
        { "metrics.implicit-counter.", "exporters of metrics" },
        { "logs.", "exporters of logs" },
        { "profiles.", "exporters of profiles" },
        { "pcap.", "writers of capture files" },
        { "views.", "graphical clients" },
        { "env.fields.", "fields from the environment of the daemon" },
        { "kubenameresolver.enable", "a Kubernetes API" },
        { "generate_networkpolicy.enable", "a Kubernetes API" },
        { "cli.raw.fields", "nobody" },
};

#define TEMPLATE_KEYS_MAX 5

static const struct template {
        const char *name;
        struct {
                const char *key;
                const char *value;
        } sets[TEMPLATE_KEYS_MAX];
}
templates[] = {
        { "timestamp",
          { { "columns.width", "35" },
            { "columns.maxwidth", "35" },
            { "columns.ellipsis", "end" },
            { "columns.hidden", "true" },
            { "description", "Time of the event" } } },
        { "bytes", { { "columns.width", "10" }, { "columns.alignment", "right" } } },
        { "duration", { { "columns.width", "20" }, { "columns.alignment", "right" } } },
        { "node", { { "columns.width", "30" }, { "columns.ellipsis", "middle" } } },
        { "pod", { { "columns.width", "30" }, { "columns.ellipsis", "middle" } } },
        { "container", { { "columns.width", "30" } } },
        { "namespace", { { "columns.width", "30" } } },
        { "containerImageName", { { "columns.width", "30" } } },
        { "containerImageDigest", { { "columns.width", "30" } } },
        { "containerPid",
          { { "columns.width", "6" },
            { "columns.hidden", "true" },
            { "columns.alignment", "right" } } },
        { "containerStartedAt", { { "columns.width", "35" }, { "columns.hidden", "true" } } },
        { "comm", { { "columns.maxwidth", "16" }, { "description", "Process name" } } },
        { "pcomm",
          { { "columns.maxwidth", "16" },
            { "columns.hidden", "true" },
            { "description", "Parent process name" } } },
        { "pid",
          { { "columns.minwidth", "7" },
            { "columns.alignment", "right" },
            { "description", "Process ID" } } },
        { "tid",
          { { "columns.minwidth", "7" },
            { "columns.alignment", "right" },
            { "description", "Thread ID" } } },
        { "ppid",
          { { "columns.minwidth", "7" },
            { "columns.alignment", "right" },
            { "columns.hidden", "true" },
            { "description", "Parent process ID" } } },
        { "ptid",
          { { "columns.minwidth", "7" },
            { "columns.alignment", "right" },
            { "columns.hidden", "true" },
            { "description", "Parent thread ID" } } },
        { "uid",
          { { "columns.minwidth", "8" },
            { "columns.alignment", "right" },
            { "description", "User ID" } } },
        { "gid",
          { { "columns.minwidth", "8" },
            { "columns.alignment", "right" },
            { "description", "Group ID" } } },
        { "ns",
          { { "columns.width", "12" },
            { "columns.hidden", "true" },
            { "columns.alignment", "right" } } },
        { "mntns_id",
          { { "columns.width", "12" },
            { "columns.hidden", "true" },
            { "columns.alignment", "right" },
            { "description", "Inode of the mount namespace" } } },
        { "netns_id",
          { { "columns.width", "12" },
            { "columns.hidden", "true" },
            { "columns.alignment", "right" },
            { "description", "Inode of the network namespace" } } },
        { "l4endpoint",
          { { "columns.minwidth", "22" },
            { "columns.width", "40" },
            { "columns.maxwidth", "52" },
            { "columns.ellipsis", "middle" } } },
        { "syscall", { { "columns.width", "18" }, { "columns.maxwidth", "28" } } },
        { "errorString", { { "columns.width", "12" } } },
        { "user_stack", { { "columns.hidden", "true" } } },
};

void annotations_done(struct annotations *a) {
        for (size_t i = 0; i < a->n; i++) {
                free(a->items[i].key);
                free(a->items[i].value);
        }
        free(a->items);
        *a = (struct annotations){ 0 };
}

static struct annotation *find(const struct annotations *a, const char *key) {
        for (size_t i = 0; i < a->n; i++)
                if (str_eq(a->items[i].key, key))
                        return &a->items[i];
        return NULL;
}

int annotations_set(struct annotations *a, const char *key, const char *value) {
        cleanup_free char *new_key = NULL, *new_value = strdup(value);
        struct annotation *item = find(a, key), *items;

        if (!new_value)
                return -ENOMEM;
        if (item) {
                free(item->value);
                item->value = TAKE_PTR(new_value);
                return 0;
        }
        new_key = strdup(key);
        items = reallocarray(a->items, a->n + 1, sizeof(*items));
        if (items)
                a->items = items;
        if (!new_key || !items)
                return -ENOMEM;
        items[a->n++] = (struct annotation){ TAKE_PTR(new_key), TAKE_PTR(new_value) };
        return 0;
}

const char *annotations_get(const struct annotations *a, const char *key) {
        const struct annotation *item = find(a, key);

        return item ? item->value : NULL;
}

bool annotations_is_true(const struct annotations *a, const char *key) {
        const char *value = annotations_get(a, key);

        return value && (str_eq(value, "true") || str_eq(value, "1") || str_eq(value, "yes"));
}

static bool matches(const char *pattern, const char *key) {
        size_t n = strlen(pattern);

        if (pattern[n - 1] == '.')
                return strncmp(pattern, key, n) == 0 && key[n] != '\0';
        return str_eq(pattern, key);
}

bool annotation_is_known(enum annotation_scope scope, const char *key, const char **ret_near) {
        const char *const *keys = scope == ANNOTATION_OF_SOURCE ? source_keys : field_keys;
        size_t n = scope == ANNOTATION_OF_SOURCE ? ARRAY_SIZE(source_keys) : ARRAY_SIZE(field_keys);

        for (size_t i = 0; i < n; i++)
                if (matches(keys[i], key))
                        return true;
        *ret_near = text_nearest(key, keys, n);
        return false;
}

const char *annotation_is_for_others(const char *key) {
        for (size_t i = 0; i < ARRAY_SIZE(for_others); i++)
                if (matches(for_others[i].key, key))
                        return for_others[i].whom;
        return NULL;
}

int annotations_apply_template(struct annotations *a, const char *name, const char **ret_near) {
        const char *names[ARRAY_SIZE(templates)];

        for (size_t i = 0; i < ARRAY_SIZE(templates); i++) {
                const struct template *t = &templates[i];

                names[i] = t->name;
                if (!str_eq(t->name, name))
                        continue;
                for (size_t k = 0; k < TEMPLATE_KEYS_MAX && t->sets[k].key; k++) {
                        int r = annotations_set(a, t->sets[k].key, t->sets[k].value);

                        if (r < 0)
                                return r;
                }
                return 0;
        }
        *ret_near = text_nearest(name, names, ARRAY_SIZE(names));
        return -ENOENT;
}
