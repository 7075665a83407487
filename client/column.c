/* SPDX-License-Identifier: Apache-2.0 */
#include "client/column.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "base/parse.h"
#include "base/text.h"

#define WIDTH_DEFAULT 16u

struct template {
        const char *name;
        uint32_t width;
        uint32_t min_width;
        uint32_t max_width;
        bool right;
        bool hidden;
        enum ellipsis ellipsis;
};

static const struct template templates[] = {
        { "timestamp", 35, 0, 35, false, true, ELLIPSIS_END },
        { "bytes", 10, 0, 0, true, false, ELLIPSIS_END },
        { "duration", 20, 0, 0, true, false, ELLIPSIS_END },
        { "node", 30, 0, 0, false, false, ELLIPSIS_MIDDLE },
        { "pod", 30, 0, 0, false, false, ELLIPSIS_MIDDLE },
        { "container", 30, 0, 0, false, false, ELLIPSIS_END },
        { "namespace", 30, 0, 0, false, false, ELLIPSIS_END },
        { "containerImageName", 30, 0, 0, false, false, ELLIPSIS_END },
        { "containerImageDigest", 30, 0, 0, false, false, ELLIPSIS_END },
        { "containerPid", 6, 0, 0, true, true, ELLIPSIS_END },
        { "containerStartedAt", 35, 0, 0, false, true, ELLIPSIS_END },
        { "comm", 16, 0, 16, false, false, ELLIPSIS_END },
        { "pcomm", 16, 0, 16, false, true, ELLIPSIS_END },
        { "pid", 7, 7, 0, true, false, ELLIPSIS_END },
        { "tid", 7, 7, 0, true, false, ELLIPSIS_END },
        { "ppid", 7, 7, 0, true, true, ELLIPSIS_END },
        { "ptid", 7, 7, 0, true, true, ELLIPSIS_END },
        { "uid", 8, 8, 0, true, false, ELLIPSIS_END },
        { "gid", 8, 8, 0, true, false, ELLIPSIS_END },
        { "ns", 12, 0, 0, true, true, ELLIPSIS_END },
        { "mntns_id", 12, 0, 0, true, true, ELLIPSIS_END },
        { "netns_id", 12, 0, 0, true, true, ELLIPSIS_END },
        { "l4endpoint", 40, 22, 52, false, false, ELLIPSIS_MIDDLE },
        { "syscall", 18, 0, 28, false, false, ELLIPSIS_END },
        { "errorString", 12, 0, 0, false, false, ELLIPSIS_END },
        { "user_stack", 16, 0, 0, false, true, ELLIPSIS_END },
};

static const struct template *template_find(const char *name) {
        for (size_t i = 0; name && i < ARRAY_SIZE(templates); i++)
                if (str_eq(templates[i].name, name))
                        return &templates[i];
        return NULL;
}

/* What a rendering gets when neither template nor annotation says anything. */
static const char *render_template(const struct schema_field *field) {
        static const char *const names[_RENDER_MAX] = {
                [RENDER_TIMESTAMP] = "timestamp", [RENDER_ERRNO] = "errorString",
                [RENDER_SYSCALL] = "syscall",     [RENDER_BYTES] = "bytes",
                [RENDER_DURATION] = "duration",
        };

        return names[field->render];
}

/* gadget_pid, gadget_comm...: the type names the template. */
static const char *ctype_template(const struct schema_field *field) {
        const char *name = str_after(field->ctype, "gadget_");

        return template_find(name) ? name : NULL;
}

static void apply_template(struct column *c, const struct template *t) {
        if (!t)
                return;
        c->width = t->width;
        c->min_width = t->min_width;
        c->max_width = t->max_width;
        c->right = t->right;
        c->hidden = c->hidden || t->hidden;
        c->ellipsis = t->ellipsis;
}

/* Widest decimal of a C type, for "columns.width: type". */
static uint32_t type_width(const struct schema_field *field) {
        static const struct {
                const char *ctype;
                uint32_t width;
        } types[] = {
                { "__u8", 3 }, { "__s8", 4 },   { "__u16", 5 },  { "__s16", 6 },  { "__u32", 10 },
                { "int", 11 }, { "__s32", 11 }, { "__u64", 20 }, { "__s64", 20 }, { "bool", 5 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(types); i++)
                if (str_eq(field->ctype, types[i].ctype))
                        return types[i].width;
        return field->kind == FIELD_BOOL                               ? 5
               : field->kind == FIELD_UINT || field->kind == FIELD_INT ? 20
                                                                       : WIDTH_DEFAULT;
}

static void read_width(const struct schema_field *field, const char *key, uint32_t *width) {
        const char *value = annotation_get(&field->annotations, key);
        uint32_t v;

        if (!value)
                return;
        if (str_eq(value, "type"))
                *width = type_width(field);
        else if (parse_u32(value, 0, COLUMN_WIDTH_MAX, &v) == 0)
                *width = v;
}

static void read_bool(const struct schema_field *field, const char *key, bool *ret) {
        const char *value = annotation_get(&field->annotations, key);

        if (value)
                (void)parse_bool(value, ret);
}

static void apply_annotations(struct column *c) {
        const struct schema_field *field = c->field;
        const char *value;
        uint32_t precision;

        read_width(field, "columns.width", &c->width);
        read_width(field, "columns.minwidth", &c->min_width);
        read_width(field, "columns.maxwidth", &c->max_width);
        read_bool(field, "columns.hidden", &c->hidden);
        read_bool(field, "columns.fixed", &c->fixed);
        read_bool(field, "columns.hex", &c->hex);
        read_bool(field, "json.skip", &c->skip_json);
        value = annotation_get(&field->annotations, "columns.alignment");
        if (value)
                c->right = str_eq(value, "right");
        value = annotation_get(&field->annotations, "columns.precision");
        if (value && parse_u32(value, 0, COLUMN_PRECISION_MAX, &precision) == 0)
                c->precision = (int)precision;
        value = annotation_get(&field->annotations, "columns.ellipsis");
        if (!value)
                return;
        c->ellipsis = str_eq(value, "start")    ? ELLIPSIS_START
                      : str_eq(value, "middle") ? ELLIPSIS_MIDDLE
                      : str_eq(value, "end")    ? ELLIPSIS_END
                                                : ELLIPSIS_NONE;
}

static int set_header(struct column *c, const char *text) {
        struct buf b = BUF_INIT(4096);
        cleanup_free char *upper = strdup(text);

        if (!upper)
                return -ENOMEM;
        for (char *p = upper; *p; p++)
                *p = (char)toupper((unsigned char)*p);
        text_append_escaped(&b, (uint8_t *)upper, strlen(upper));
        c->header = buf_steal_string(&b);
        if (!c->header) {
                buf_done(&b);
                return -ENOMEM;
        }
        c->width = MAX(c->width, (uint32_t)text_columns((uint8_t *)c->header, strlen(c->header)));
        return 0;
}

static struct column *add(struct columns *columns, const struct schema_field *field,
                          const char *name, enum column_source source) {
        struct column *c = &columns->items[columns->n++];

        *c = (struct column){
                .name = name,
                .source = source,
                .field = field,
                .index = (uint32_t)(field - columns->stream->fields),
                .port_index = UINT32_MAX,
                .width = WIDTH_DEFAULT,
                .precision = -1,
                .ellipsis = ELLIPSIS_END,
                .hidden = field->flags & FIELD_HIDDEN,
        };
        return c;
}

/* Template and annotations of the field speak of this column. */
static int describe(struct column *c) {
        const struct schema_field *field = c->field;
        const char *name = annotation_get(&field->annotations, "template");
        const char *alias = annotation_get(&field->annotations, "columns.alias");

        if (!name)
                name = ctype_template(field);
        if (!name && c->source == COLUMN_RENDERED)
                name = render_template(field);
        apply_template(c, template_find(name));
        apply_annotations(c);
        c->width = MAX(c->width, 1u);
        c->min_width = MIN(c->min_width, c->width);
        return set_header(c, alias && alias[0] ? alias : c->name);
}

static uint32_t find_field(const struct schema_stream *stream, const char *prefix, size_t n_prefix,
                           const char *name) {
        for (uint32_t i = 0; i < stream->n_fields; i++) {
                const char *field = stream->fields[i].name;

                if (strncmp(field, prefix, n_prefix) == 0 && str_eq(field + n_prefix, name))
                        return i;
        }
        return UINT32_MAX;
}

/* Of "dst.addr" makes the column "dst"; both parts are then hidden. */
static int add_endpoint(struct columns *columns, const struct schema_field *field) {
        const struct schema_stream *stream = columns->stream;
        size_t n = strlen(field->name);
        struct column *c;
        char *name;

        name = strndup(field->name, n - strlen(".addr"));
        if (!name)
                return -ENOMEM;
        c = add(columns, field, name, COLUMN_ENDPOINT);
        c->owns_name = true;
        c->port_index = find_field(stream, field->name, n - strlen("addr"), "port");
        apply_template(c, template_find("l4endpoint"));
        return set_header(c, name);
}

static bool is_endpoint(const struct schema_field *field) {
        size_t n = strlen(field->name);

        return field->kind == FIELD_IP && n > strlen(".addr") &&
               str_eq(field->name + n - strlen(".addr"), ".addr");
}

static int add_field(struct columns *columns, const struct schema_field *field) {
        struct column *c;
        int r;

        if (is_endpoint(field)) {
                r = add_endpoint(columns, field);
                if (r < 0)
                        return r;
        }
        if (field->render != RENDER_NONE && field->target[0] != '\0') {
                c = add(columns, field, field->target, COLUMN_RENDERED);
                r = describe(c);
                if (r < 0)
                        return r;
                c = add(columns, field, field->name, COLUMN_VALUE);
                c->hidden = true;
                c->right = true;
                c->width = type_width(field);
                return set_header(c, field->name);
        }
        return describe(add(columns, field, field->name, COLUMN_VALUE));
}

static struct column *find_column(struct columns *columns, const char *name) {
        for (uint32_t i = 0; i < columns->n; i++)
                if (str_eq(columns->items[i].name, name))
                        return &columns->items[i];
        return NULL;
}

/* The parts of an endpoint that its own column already shows. */
static void hide_endpoint_parts(struct columns *columns) {
        static const char *const parts[] = { "addr", "port", "version", "proto", "proto_raw" };

        for (uint32_t i = 0; i < columns->n; i++) {
                const struct column *c = &columns->items[i];

                if (c->source != COLUMN_ENDPOINT)
                        continue;
                for (size_t k = 0; k < ARRAY_SIZE(parts); k++) {
                        char name[512];
                        struct column *part;

                        snprintf(name, sizeof(name), "%s.%s", c->name, parts[k]);
                        part = find_column(columns, name);
                        if (part)
                                part->hidden = true;
                }
        }
}

/* columns.replace: the column stays where it is and shows another one's value. */
static void apply_replace(struct columns *columns) {
        for (uint32_t i = 0; i < columns->n; i++) {
                struct column *c = &columns->items[i];
                const char *name = annotation_get(&c->field->annotations, "columns.replace");
                const struct column *other = name ? find_column(columns, name) : NULL;

                if (other && other != c && c->source != COLUMN_ENDPOINT)
                        c->shows = other;
        }
}

int columns_init(struct columns *columns, const struct schema_stream *stream) {
        int r = 0;

        *columns = (struct columns){ .stream = stream };
        columns->items = calloc((size_t)stream->n_fields * 3 + 1, sizeof(*columns->items));
        columns->order = calloc((size_t)stream->n_fields * 3 + 1, sizeof(*columns->order));
        if (!columns->items || !columns->order)
                return -ENOMEM;
        for (uint32_t i = 0; i < stream->n_fields && r == 0; i++)
                r = add_field(columns, &stream->fields[i]);
        if (r < 0)
                return r;
        hide_endpoint_parts(columns);
        apply_replace(columns);
        return 0;
}

void columns_done(struct columns *columns) {
        for (uint32_t i = 0; i < columns->n; i++) {
                free(columns->items[i].header);
                if (columns->items[i].owns_name)
                        free((char *)columns->items[i].name);
        }
        free(columns->items);
        free(columns->order);
        *columns = (struct columns){ 0 };
}

static void select_one(struct columns *columns, uint32_t index) {
        for (uint32_t i = 0; i < columns->n_order; i++)
                if (columns->order[i] == index)
                        return;
        columns->order[columns->n_order++] = index;
}

static void deselect_one(struct columns *columns, uint32_t index) {
        for (uint32_t i = 0; i < columns->n_order; i++)
                if (columns->order[i] == index) {
                        memmove(&columns->order[i], &columns->order[i + 1],
                                (columns->n_order - i - 1) * sizeof(columns->order[0]));
                        columns->n_order--;
                        return;
                }
}

/* Where it stands among the columns for people: columns.order, or else ten times the number of the
 * column, so that there is room between two. */
static uint32_t rank_of(const struct columns *columns, uint32_t index) {
        const char *said =
                annotation_get(&columns->items[index].field->annotations, "columns.order");
        uint32_t rank;

        return said && parse_u32(said, 0, UINT32_MAX, &rank) == 0 ? rank : index * 10;
}

/* By insertion: nearly always everything is in order already. */
static void sort_by_rank(struct columns *columns) {
        for (uint32_t i = 1; i < columns->n_order; i++) {
                uint32_t index = columns->order[i], rank = rank_of(columns, index), k = i;

                for (; k > 0 && rank_of(columns, columns->order[k - 1]) > rank; k--)
                        columns->order[k] = columns->order[k - 1];
                columns->order[k] = index;
        }
}

void columns_select_default(struct columns *columns, bool for_people) {
        columns->n_order = 0;
        for (uint32_t i = 0; i < columns->n; i++) {
                const struct column *c = &columns->items[i];

                if (for_people ? !c->hidden : c->source != COLUMN_ENDPOINT && !c->skip_json)
                        columns->order[columns->n_order++] = i;
        }
        if (for_people)
                sort_by_rank(columns);
}

enum match { MATCH_NAME, MATCH_BELOW, MATCH_HEADER, _MATCH_MAX };

static bool is_match(const struct column *c, const char *name, enum match how) {
        size_t n = strlen(name);

        switch (how) {
        case MATCH_NAME:
                return strcasecmp(c->name, name) == 0;
        case MATCH_BELOW:
                return strncasecmp(c->name, name, n) == 0 && c->name[n] == '.';
        case MATCH_HEADER:
                return strcasecmp(c->header, name) == 0;
        case _MATCH_MAX:
                break;
        }
        return false;
}

/* True when the data source has it. Tables prefer the endpoint to its parts, JSON the parts to the
 * endpoint. */
static bool apply_name(struct columns *columns, const char *name, bool add_it, bool for_people) {
        for (enum match how = 0; how < _MATCH_MAX; how++) {
                bool is_found = false;

                for (uint32_t i = 0; i < columns->n; i++) {
                        const struct column *c = &columns->items[i];

                        if (!is_match(c, name, how) ||
                            (!for_people && c->source == COLUMN_ENDPOINT))
                                continue;
                        if (add_it)
                                select_one(columns, i);
                        else
                                deselect_one(columns, i);
                        is_found = true;
                }
                if (is_found)
                        return true;
        }
        return false;
}

static int unknown_field(struct columns *all, uint32_t n_all, const char *name, struct error *err) {
        cleanup_free const char **names = NULL;
        const char *nearest;
        size_t n = 0, max = 0;

        for (uint32_t i = 0; i < n_all; i++)
                max += all[i].n;
        names = calloc(max + 1, sizeof(*names));
        if (!names)
                return -ENOMEM;
        for (uint32_t i = 0; i < n_all; i++)
                for (uint32_t k = 0; k < all[i].n; k++)
                        names[n++] = all[i].items[k].name;
        nearest = text_nearest(name, names, n);
        error_set(err, ERROR_USAGE, -EINVAL, "--fields: there is no field '%s'", name);
        if (nearest)
                error_append(err, "did you mean '%s'?", nearest);
        return -EINVAL;
}

/* One "a,b" or "+a,-b" for the data sources of `all`. */
static int select_group(struct columns *all, uint32_t n_all, char *group, bool for_people,
                        struct error *err) {
        bool is_relative = group[0] == '+' || group[0] == '-';
        char *save = NULL;

        for (uint32_t i = 0; i < n_all; i++) {
                all[i].is_explicit = true;
                if (!is_relative)
                        all[i].n_order = 0;
        }
        for (char *word = strtok_r(group, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
                bool add_it = word[0] != '-', is_found = false;
                const char *name = word[0] == '+' || word[0] == '-' ? word + 1 : word;

                for (uint32_t i = 0; i < n_all; i++)
                        is_found |= apply_name(&all[i], name, add_it, for_people);
                if (!is_found)
                        return unknown_field(all, n_all, name, err);
        }
        return 0;
}

static int unknown_stream(const struct columns *all, uint32_t n_all, const char *name,
                          struct error *err) {
        const char *names[LIMIT_STREAMS_MAX];
        const char *nearest;

        for (uint32_t i = 0; i < n_all; i++)
                names[i] = all[i].stream->name;
        nearest = text_nearest(name, names, n_all);
        error_set(err, ERROR_USAGE, -EINVAL, "--fields: there is no data source '%s'", name);
        if (nearest)
                error_append(err, "did you mean '%s'?", nearest);
        return -EINVAL;
}

int columns_select(struct columns *all, uint32_t n_all, const char *fields, bool for_people,
                   struct error *err) {
        cleanup_free char *copy = strdup(fields);
        char *save = NULL;
        int r;

        if (!copy)
                return -ENOMEM;
        for (uint32_t i = 0; i < n_all; i++)
                columns_select_default(&all[i], for_people);
        for (char *group = strtok_r(copy, ";", &save); group; group = strtok_r(NULL, ";", &save)) {
                char *colon = strchr(group, ':');
                uint32_t i = 0;

                if (!colon) {
                        r = select_group(all, n_all, group, for_people, err);
                        if (r < 0)
                                return r;
                        continue;
                }
                *colon = '\0';
                while (i < n_all && !str_eq(all[i].stream->name, group))
                        i++;
                if (i == n_all)
                        return unknown_stream(all, n_all, group, err);
                r = select_group(&all[i], 1, colon + 1, for_people, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static uint32_t total_width(const struct columns *columns) {
        uint32_t total = columns->n_order ? columns->n_order - 1 : 0;

        for (uint32_t i = 0; i < columns->n_order; i++)
                total += columns->items[columns->order[i]].width;
        return total;
}

static uint32_t smallest_width(const struct column *c) {
        uint32_t header = (uint32_t)text_columns((uint8_t *)c->header, strlen(c->header));

        if (c->fixed)
                return c->width;
        return MAX(c->min_width, MIN(c->width, MIN(header, 8u)));
}

/* Takes from the widest one at a time, so that narrow columns keep what they need longest. */
static bool shrink_one(struct columns *columns) {
        struct column *widest = NULL;

        for (uint32_t i = 0; i < columns->n_order; i++) {
                struct column *c = &columns->items[columns->order[i]];

                if (c->width > smallest_width(c) && (!widest || c->width > widest->width))
                        widest = c;
        }
        if (widest)
                widest->width--;
        return widest != NULL;
}

static bool may_grow(const struct column *c) {
        return !c->fixed && !c->right && (c->max_width == 0 || c->width < c->max_width);
}

void columns_fit(struct columns *columns, uint32_t terminal) {
        bool has_grown = true;
        uint32_t total;

        for (uint32_t i = 0; i < columns->n_order; i++) {
                struct column *c = &columns->items[columns->order[i]];

                if (!c->fixed)
                        c->width = MIN(c->width, terminal);
        }
        total = total_width(columns);
        while (total > terminal && shrink_one(columns))
                total--;
        while (has_grown && total < terminal) {
                has_grown = false;
                for (uint32_t i = 0; i < columns->n_order && total < terminal; i++) {
                        struct column *c = &columns->items[columns->order[i]];

                        if (!may_grow(c))
                                continue;
                        c->width++;
                        total++;
                        has_grown = true;
                }
        }
}
