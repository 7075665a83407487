/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/annotations.h"

#include "base/parse.h"
#include "base/text.h"
#include "gadget/schema.h"

enum value_kind {
        VALUE_TEXT, /* whatever it is */
        VALUE_NAME,
        VALUE_BOOL,
        VALUE_COUNT,
        VALUE_DURATION,
        VALUE_WIDTH,
        VALUE_PRECISION,
        VALUE_ALIGNMENT,
        VALUE_ELLIPSIS,
        VALUE_ARRAYS,
        VALUE_METRIC,
        VALUE_MODE,
        VALUE_MODES,
        _VALUE_KIND_MAX,
};

/* A key that ends in '.' stands for every key that begins so. */
struct key {
        const char *key;
        enum value_kind value;
};

static const struct key source_keys[] = {
        { "description", VALUE_TEXT },
        { "cli.clear-screen-before", VALUE_BOOL },
        { "cli.supported-output-modes", VALUE_MODES },
        { "cli.default-output-mode", VALUE_MODE },
        { "fetch-interval", VALUE_DURATION },
        { "fetch-count", VALUE_COUNT },
        { "ebpf.map.flush-on-stop", VALUE_BOOL },
        { "ebpf.iter.fetch-on-stop", VALUE_BOOL },
        { "ebpf.rest.name", VALUE_NAME },
        { "ebpf.rest.len", VALUE_NAME },
        { "metrics.collect", VALUE_BOOL },
        { "metrics.print", VALUE_BOOL },
        { "metrics.implicit-counter.name", VALUE_TEXT },
        { "metrics.implicit-counter.description", VALUE_TEXT },
        { "logs.array-handling", VALUE_ARRAYS },
        { "logs.name", VALUE_TEXT },
        { "env.fields.", VALUE_TEXT },
        { "kubenameresolver.enable", VALUE_BOOL },
        { "generate_networkpolicy.enable", VALUE_BOOL },
        { "pcap.payload", VALUE_TEXT },
        { "pcap.timestamp", VALUE_TEXT },
        { "pcap.packet-length", VALUE_TEXT },
        { "profiles.stack-fields", VALUE_TEXT },
        { "profiles.value-field", VALUE_TEXT },
        { "profiles.sample-attribute", VALUE_TEXT },
        { "profiles.name", VALUE_TEXT },
        { "profiles.type", VALUE_TEXT },
        { "profiles.unit", VALUE_TEXT },
        { "views.", VALUE_TEXT },
        { "cli.raw.fields", VALUE_TEXT },
};

static const struct key field_keys[] = {
        { "description", VALUE_TEXT },
        { "value.one-of", VALUE_TEXT },
        { "template", VALUE_TEXT },
        { "columns.width", VALUE_WIDTH },
        { "columns.minwidth", VALUE_WIDTH },
        { "columns.maxwidth", VALUE_WIDTH },
        { "columns.alignment", VALUE_ALIGNMENT },
        { "columns.ellipsis", VALUE_ELLIPSIS },
        { "columns.hidden", VALUE_BOOL },
        { "columns.fixed", VALUE_BOOL },
        { "columns.hex", VALUE_BOOL },
        { "columns.alias", VALUE_NAME },
        { "columns.precision", VALUE_PRECISION },
        { "columns.replace", VALUE_NAME },
        { "columns.order", VALUE_COUNT },
        { "columns.group", VALUE_TEXT },
        { "json.skip", VALUE_BOOL },
        { "formatters.timestamp.target", VALUE_TEXT },
        { "formatters.syscall.target", VALUE_TEXT },
        { "formatters.signal.target", VALUE_TEXT },
        { "formatters.errno.target", VALUE_TEXT },
        { "formatters.bytes.target", VALUE_TEXT },
        { "formatters.duration.target", VALUE_TEXT },
        { "formatters.file_mode.target", VALUE_TEXT },
        { "formatters.file_flags.target", VALUE_TEXT },
        { "formatters.timestamp.format", VALUE_TEXT },
        { "ebpf.formatter.enum", VALUE_TEXT },
        { "ebpf.formatter.kstack", VALUE_TEXT },
        { "ebpf.formatter.bitfield.separator", VALUE_TEXT },
        { "uidgidresolver.target", VALUE_TEXT },
        { "metrics.type", VALUE_METRIC },
        { "metrics.name", VALUE_TEXT },
        { "metrics.unit", VALUE_TEXT },
        { "metrics.description", VALUE_TEXT },
        { "metrics.boundaries", VALUE_TEXT },
        { "logs.name", VALUE_TEXT },
        { "logs.body", VALUE_TEXT },
        { "logs.severity", VALUE_TEXT },
        { "pcap.interface-key", VALUE_TEXT },
        { "pcap.interface-var", VALUE_TEXT },
        { "views.", VALUE_TEXT },
};

/* Of these none says anything to us. (metrics.unit is shown with histograms.) */
static const struct {
        const char *key; /* as above */
        const char *whom;
} for_others[] = {
        { "metrics.type", "exporters of metrics" },
        { "metrics.name", "exporters of metrics" },
        { "metrics.description", "exporters of metrics" },
        { "metrics.boundaries", "exporters of metrics" },
        { "metrics.collect", "exporters of metrics" },
        { "metrics.print", "exporters of metrics" },
        { "metrics.implicit-counter.", "exporters of metrics" },
        { "logs.", "exporters of logs" },
        { "profiles.", "exporters of profiles" },
        { "pcap.", "writers of capture files" },
        { "views.", "graphical clients" },
        { "env.fields.", "fields from the environment of the daemon" },
        { "kubenameresolver.enable", "a Kubernetes API" },
        { "generate_networkpolicy.enable", "a Kubernetes API" },
        { "cli.raw.fields", "nobody" },
        { "columns.group", "other clients" },
        { "value.one-of", "readers of the definition" },
};

/* Without their effect the gadget would not do what it says. */
static const struct {
        const char *key;
        const char *reason;
} refused[] = {
        { "ebpf.rest.", "bytes behind the struct of an event are not read; make them its last "
                        "field, of which only the used part need be sent" },
};

/* --- values --- */

/* A mode that other clients have: the bytes of one field. */
#define RAW_MODE "raw"

#define MODE_NAME(_name, _text) _text,
static const char *const modes[] = { GADGET_OUTPUT_MODES(MODE_NAME) RAW_MODE, NULL };
#undef MODE_NAME

static const char *const bools[] = { "true", "false", "yes", "no", "1", "0", NULL };
static const char *const alignments[] = { "left", "right", NULL };
static const char *const ellipses[] = { "start", "middle", "end", "none", "", NULL };
static const char *const arrays[] = { "array", "elements", NULL };
static const char *const metrics[] = { "counter", "gauge", "histogram", "key", NULL };
static const char *const widths[] = { "type", NULL };

static bool is_name(const char *value) {
        return value[0] != '\0';
}

static bool is_count(const char *value) {
        uint32_t n;

        return parse_u32(value, 0, UINT32_MAX, &n) == 0;
}

static bool is_duration(const char *value) {
        uint64_t ns;

        return parse_duration(value, &ns) == 0;
}

static bool is_width(const char *value) {
        uint32_t n;

        return parse_u32(value, 0, COLUMN_WIDTH_MAX, &n) == 0;
}

static bool is_precision(const char *value) {
        uint32_t n;

        return parse_u32(value, 0, COLUMN_PRECISION_MAX, &n) == 0;
}

/* A value fits when it is one of the words, or for the function. */
static const struct {
        const char *takes;
        const char *const *words; /* NULL at the end; NULL = none */
        bool (*fits)(const char *value);
        bool is_list; /* of words, with commas between */
} value_kinds[_VALUE_KIND_MAX] = {
        [VALUE_NAME] = { "a name", NULL, is_name },
        [VALUE_BOOL] = { "true or false", bools },
        [VALUE_COUNT] = { "a number from 0 to 4294967295", NULL, is_count },
        [VALUE_DURATION] = { "a duration such as 500ms or 2s", NULL, is_duration },
        [VALUE_WIDTH] = { "a number from 0 to " STRINGIFY(COLUMN_WIDTH_MAX) " or 'type'", widths,
                          is_width },
        [VALUE_PRECISION] = { "a number from 0 to " STRINGIFY(COLUMN_PRECISION_MAX), NULL,
                              is_precision },
        [VALUE_ALIGNMENT] = { "left or right", alignments },
        [VALUE_ELLIPSIS] = { "start, middle, end or none", ellipses },
        [VALUE_ARRAYS] = { "array or elements", arrays },
        [VALUE_METRIC] = { "counter, gauge, histogram or key", metrics },
        [VALUE_MODE] = { "an output mode such as columns or json", modes },
        [VALUE_MODES] = { "output modes with commas between", modes, NULL, true },
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

#define KEYS_MAX 64
_Static_assert(ARRAY_SIZE(source_keys) <= KEYS_MAX && ARRAY_SIZE(field_keys) <= KEYS_MAX,
               "names[] of annotation_is_known()");

static const struct key *find_key(enum annotation_scope scope, const char *key) {
        const struct key *keys = scope == ANNOTATION_OF_SOURCE ? source_keys : field_keys;
        size_t n = scope == ANNOTATION_OF_SOURCE ? ARRAY_SIZE(source_keys) : ARRAY_SIZE(field_keys);

        for (size_t i = 0; i < n; i++)
                if (matches(keys[i].key, key))
                        return &keys[i];
        return NULL;
}

bool annotation_is_known(enum annotation_scope scope, const char *key, const char **ret_near) {
        const struct key *keys = scope == ANNOTATION_OF_SOURCE ? source_keys : field_keys;
        size_t n = scope == ANNOTATION_OF_SOURCE ? ARRAY_SIZE(source_keys) : ARRAY_SIZE(field_keys);
        const char *names[KEYS_MAX];

        if (find_key(scope, key))
                return true;
        for (size_t i = 0; i < n; i++)
                names[i] = keys[i].key;
        *ret_near = text_nearest(key, names, n);
        return false;
}

static bool is_word(const char *const *words, const char *value, const char **ret_near) {
        size_t n = 0;

        for (; words[n]; n++)
                if (str_eq(words[n], value))
                        return true;
        *ret_near = text_nearest(value, words, n);
        return false;
}

static bool are_words(const char *const *words, const char *value, const char **ret_near) {
        cleanup_free char *copy = strdup(value);
        char *rest = copy, *word;

        if (!copy)
                return true; /* what follows fails for the same reason, and says so */
        while ((word = strsep(&rest, ",")))
                if (!is_word(words, word, ret_near))
                        return false;
        return true;
}

bool annotation_takes(enum annotation_scope scope, const char *key, const char *value,
                      const char **ret_takes, const char **ret_near) {
        const struct key *known = find_key(scope, key);
        enum value_kind kind = known ? known->value : VALUE_TEXT;

        *ret_near = NULL;
        *ret_takes = value_kinds[kind].takes;
        if (kind == VALUE_TEXT || (value_kinds[kind].fits && value_kinds[kind].fits(value)))
                return true;
        if (!value_kinds[kind].words)
                return false;
        return value_kinds[kind].is_list ? are_words(value_kinds[kind].words, value, ret_near)
                                         : is_word(value_kinds[kind].words, value, ret_near);
}

const char *annotation_refusal(const char *key) {
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
                if (matches(refused[i].key, key))
                        return refused[i].reason;
        return NULL;
}

const char *annotation_is_for_others(const char *key) {
        for (size_t i = 0; i < ARRAY_SIZE(for_others); i++)
                if (matches(for_others[i].key, key))
                        return for_others[i].whom;
        return NULL;
}

bool annotation_names_raw_mode(const char *key, const char *value) {
        const struct key *known = find_key(ANNOTATION_OF_SOURCE, key);

        /* No other mode has it in its name. */
        return known && (known->value == VALUE_MODE || known->value == VALUE_MODES) &&
               strstr(value, RAW_MODE);
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
