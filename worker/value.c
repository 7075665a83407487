/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/value.h"

#include <strings.h>

#include "base/text.h"
#include "gadget/api.h"

void value_field_init(struct value_field *v, const struct event_field *f) {
        *v = (struct value_field){
                .kind = f->kind,
                .elem = f->elem,
                .offset = f->offset,
                .size = f->size,
                .n = f->n,
                .version_offset = f->version_offset,
                .is_boot_time = f->is_boot_time,
                .enrich = f->enrich,
                .extra_offset = f->extra_offset,
                .added = f->added,
                .ids = f->ids,
        };
}

static uint64_t load_uint(const uint8_t *p, uint32_t size) {
        uint64_t u = 0;

        memcpy(&u, p, size); /* little-endian, as all machines we run on are */
        return u;
}

static int64_t load_int(const uint8_t *p, uint32_t size) {
        unsigned int unused = 64 - 8 * size;

        return (int64_t)(load_uint(p, size) << unused) >> unused;
}

static double load_float(const uint8_t *p, uint32_t size) {
        double d;
        float f;

        if (size == sizeof(d)) {
                memcpy(&d, p, sizeof(d));
                return d;
        }
        memcpy(&f, p, sizeof(f));
        return (double)f;
}

static struct bytes part(const uint8_t *event, uint32_t len, uint32_t offset, uint32_t n) {
        return offset >= len ? BYTES("", 0) : BYTES(event + offset, MIN(n, len - offset));
}

static struct value address_of(const struct value_field *v, const uint8_t *event, uint32_t len) {
        uint8_t version = v->version_offset == NO_OFFSET ? 6
                          : v->version_offset < len      ? event[v->version_offset]
                                                         : 0;

        return (struct value){
                .type = VALUE_BYTES,
                .bytes = part(event, len, v->offset,
                              version == 4   ? 4
                              : version == 6 ? 16
                                             : 0),
        };
}

/* Two live at a time: they are compared with each other. */
static struct bytes enriched(const struct value_field *v, const uint8_t *event, uint32_t len) {
        static char texts[2][ENRICH_TEXT_MAX];
        static unsigned int n;
        struct enrich_from from = { v->enrich, v->offset, v->size, v->extra_offset };
        char *text = texts[n++ % 2];

        return BYTES(text, enrich_text(&from, event, len, text));
}

static struct value added_value(const struct value_field *v, const uint8_t *event) {
        struct value value = { .type = VALUE_UINT };
        const char *text;

        if (!container_field_value(v->added, &v->ids, event, &value.u, &text))
                value = (struct value){ .type = VALUE_BYTES, .bytes = BYTES(text, strlen(text)) };
        return value;
}

struct value value_of(const struct value_field *v, const uint8_t *event, uint32_t len,
                      uint64_t wall_offset) {
        struct value value = { .type = VALUE_BYTES };

        if (v->added)
                return added_value(v, event);
        if (v->enrich != ENRICH_NONE) {
                value.bytes = enriched(v, event, len);
                return value;
        }
        if (v->kind == FIELD_IP)
                return address_of(v, event, len);
        if (v->kind == FIELD_STR) {
                value.bytes = part(event, len, v->offset, v->size);
                value.bytes.len = strnlen((const char *)value.bytes.data, value.bytes.len);
                return value;
        }
        if (v->kind == FIELD_ARRAY || v->kind == FIELD_BIN) {
                value.bytes = part(event, len, v->offset, v->size * v->n);
                /* Strings end with the last of them. */
                while (v->elem == FIELD_STR && value.bytes.len > 0 &&
                       value.bytes.data[value.bytes.len - 1] == 0)
                        value.bytes.len--;
                return value;
        }
        value.type = v->kind == FIELD_INT     ? VALUE_INT
                     : v->kind == FIELD_FLOAT ? VALUE_FLOAT
                                              : VALUE_UINT;
        if (v->offset + v->size > len)
                value.u = 0; /* of every type */
        else if (value.type == VALUE_FLOAT)
                value.f = load_float(event + v->offset, v->size);
        else if (value.type == VALUE_INT)
                value.i = load_int(event + v->offset, v->size);
        else
                value.u = load_uint(event + v->offset, v->size);
        if (v->is_boot_time && value.u)
                value.u += wall_offset;
        if (v->kind == FIELD_BOOL)
                value.u = value.u != 0;
        return value;
}

const struct event_field *value_find_field(const struct event_type *type, const char *name,
                                           bool *ret_is_twin) {
        for (size_t i = 0; i < type->n_fields; i++) {
                const struct event_field *f = &type->fields[i];
                bool is_twin = f->target && strcasecmp(f->target, name) == 0;

                if (!is_twin && strcasecmp(f->name, name) != 0)
                        continue;
                if (ret_is_twin)
                        *ret_is_twin = is_twin;
                return f;
        }
        return NULL;
}

const char *value_nearest_field(const struct event_type *type, const char *name) {
        const char *names[2 * LIMIT_FIELDS_MAX];
        size_t n = 0;

        for (size_t i = 0; i < type->n_fields; i++) {
                names[n++] = type->fields[i].name;
                if (type->fields[i].target)
                        names[n++] = type->fields[i].target;
        }
        return text_nearest(name, names, n);
}
