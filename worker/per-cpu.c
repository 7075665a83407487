/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/per-cpu.h"

/* The SDK's types whose values can be added; none of its others can. */
static const char *const additive[] = {
        "gadget_counter__u32",        "gadget_counter__u64", "gadget_histogram_slot__u32",
        "gadget_histogram_slot__u64", "gadget_bytes",        "gadget_duration",
};

static bool is_number(enum field_kind kind) {
        return kind == FIELD_UINT || kind == FIELD_INT;
}

static bool is_additive(const struct event_field *f) {
        if (!is_number(f->kind == FIELD_ARRAY ? f->elem : f->kind) || f->added ||
            (f->flags & FIELD_KEY) || f->enum_index >= 0 || f->is_boot_time ||
            f->enrich != ENRICH_NONE || f->twin != ENRICH_NONE)
                return false;
        if (f->render != RENDER_NONE && f->render != RENDER_BYTES && f->render != RENDER_DURATION &&
            f->render != RENDER_HISTOGRAM)
                return false;
        if (!f->ctype || !str_after(f->ctype, "gadget_"))
                return true;
        for (size_t i = 0; i < ARRAY_SIZE(additive); i++)
                if (str_after(f->ctype, additive[i]))
                        return true;
        return false;
}

/* Members of a union lie on each other: the first of them says what the bytes are. */
static bool overlaps(const struct per_cpu *p, const struct per_cpu_number *number) {
        uint64_t end = number->offset + (uint64_t)number->size * number->n;

        for (size_t i = 0; i < p->n_numbers; i++) {
                const struct per_cpu_number *other = &p->numbers[i];

                if (number->offset < other->offset + (uint64_t)other->size * other->n &&
                    other->offset < end)
                        return true;
        }
        return false;
}

int per_cpu_init(struct per_cpu *p, const struct event_type *type, uint32_t value_offset,
                 uint32_t value_size, uint32_t n_cpus) {
        *p = (struct per_cpu){ .n_cpus = n_cpus,
                               .value_size = value_size,
                               .stride = ALIGN_UP(value_size, 8) };
        p->numbers = calloc(MAX(type->n_fields, (size_t)1), sizeof(*p->numbers));
        if (!p->numbers)
                return -ENOMEM;
        for (size_t i = 0; i < type->n_fields; i++) {
                const struct event_field *f = &type->fields[i];
                struct per_cpu_number number = { .offset = f->offset - value_offset,
                                                 .size = f->size,
                                                 .n = f->kind == FIELD_ARRAY ? f->n : 1 };

                if (f->offset >= value_offset && is_additive(f) && !overlaps(p, &number))
                        p->numbers[p->n_numbers++] = number;
        }
        return 0;
}

void per_cpu_done(struct per_cpu *p) {
        free(p->numbers);
        *p = (struct per_cpu){ 0 };
}

static bool is_zero(const uint8_t *value, uint32_t n) {
        return value[0] == 0 && memcmp(value, value + 1, n - 1) == 0;
}

/* Little endian or big: the number's own bytes are loaded and stored. */
static void add(uint8_t *to, const uint8_t *from, uint32_t size) {
        union {
                uint8_t u8;
                uint16_t u16;
                uint32_t u32;
                uint64_t u64;
        } a = { 0 }, b = { 0 };

        memcpy(&a, to, size);
        memcpy(&b, from, size);
        switch (size) {
        case 1:
                a.u8 = (uint8_t)(a.u8 + b.u8);
                break;
        case 2:
                a.u16 = (uint16_t)(a.u16 + b.u16);
                break;
        case 4:
                a.u32 += b.u32;
                break;
        default:
                a.u64 += b.u64;
                break;
        }
        memcpy(to, &a, size);
}

void per_cpu_merge(const struct per_cpu *p, const uint8_t *values, uint8_t *out) {
        uint32_t cpu = 0;

        while (cpu + 1 < p->n_cpus && is_zero(values + (size_t)cpu * p->stride, p->value_size))
                cpu++;
        memcpy(out, values + (size_t)cpu * p->stride, p->value_size);
        for (cpu++; cpu < p->n_cpus; cpu++) {
                const uint8_t *value = values + (size_t)cpu * p->stride;

                for (size_t i = 0; i < p->n_numbers; i++) {
                        const struct per_cpu_number *number = &p->numbers[i];

                        for (uint32_t k = 0; k < number->n; k++) {
                                uint32_t at = number->offset + k * number->size;

                                add(out + at, value + at, number->size);
                        }
                }
        }
}
