/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/kernel-enum.h"

#include "worker/host.h"

#define NAME_ROOM 256

/* Filled value by value. */
struct values {
        struct type_enum_value *items;
        size_t n;
        size_t room;
};

static void values_done(struct values *v) {
        for (size_t i = 0; i < v->n; i++)
                free((char *)(uintptr_t)v->items[i].name);
        free(v->items);
        *v = (struct values){ 0 };
}

static int add_value(void *arg, const char *name, int64_t value) {
        struct values *v = arg;
        char *copy;

        if (v->n == v->room) {
                size_t room = MAX(v->room * 2, (size_t)16);
                void *grown = reallocarray(v->items, room, sizeof(*v->items));

                if (!grown)
                        return -ENOMEM;
                v->items = grown;
                v->room = room;
        }
        copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        v->items[v->n++] = (struct type_enum_value){ copy, value };
        return 0;
}

/* "PIDTYPE_PID" or "PIDTYPE_PID___old". */
static bool is_flavour(const char *name, const char *of) {
        const char *rest = str_after(name, of);

        return rest && (*rest == '\0' || strncmp(rest, "___", 3) == 0);
}

static bool have_common_name(const struct type_enum *item, const struct values *values) {
        uint32_t n = btf_vlen(btf__type_by_id(item->btf, item->btf_id));

        for (uint32_t i = 0; i < n; i++)
                for (size_t k = 0; k < values->n; k++)
                        if (is_flavour(btf_enum_name_at(item->btf, item->btf_id, i),
                                       values->items[k].name))
                                return true;
        return false;
}

static int apply(struct type_enum *item) {
        struct values values = { 0 };
        char name[NAME_ROOM];
        const char *flavour;
        bool is_signed;
        size_t n;
        int r;

        flavour = strstr(item->name, "___");
        n = flavour && flavour > item->name ? (size_t)(flavour - item->name) : strlen(item->name);
        if (!item->btf || n == 0 || n >= sizeof(name))
                return 0;
        memcpy(name, item->name, n);
        name[n] = '\0';
        r = host_btf_enum(name, add_value, &values, &is_signed);
        if (r < 0 || !have_common_name(item, &values)) {
                values_done(&values);
                return r == -ENOMEM ? r : 0;
        }
        item->btf = NULL;
        item->is_signed = is_signed;
        item->values = item->kernel_values = values.items;
        item->n_values = values.n;
        return 0;
}

int kernel_enums_apply(struct type_enums *enums, struct error *err) {
        for (size_t i = 0; i < enums->n; i++)
                if (apply(&enums->items[i]) < 0)
                        return error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory for enums");
        return 0;
}

void kernel_enum_done(struct type_enum *item) {
        struct values values = { item->kernel_values, item->kernel_values ? item->n_values : 0, 0 };

        values_done(&values);
        item->kernel_values = NULL;
}
