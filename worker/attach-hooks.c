/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hooks that the definition chooses: attach_to is one, or a list of which the first that this
 * kernel has is taken; "${key}" in it is the value of a parameter; "gadget_program_disabled" leaves
 * the program out, and so does a `when` that does not hold.
 */
#include <inttypes.h>
#include <stdio.h>

#include "worker/attach.h"

#define DISABLED "gadget_program_disabled"
#define HOOK_MAX 256

static const struct param *find_param(const struct gadget *g, struct bytes key) {
        for (size_t i = 0; i < g->params.n; i++) {
                const struct param *p = &g->params.items[i];
                const char *names[] = { p->key, p->alias, p->variable };

                for (size_t k = 0; k < ARRAY_SIZE(names); k++)
                        if (names[k] && strlen(names[k]) == key.len &&
                            memcmp(names[k], key.data, key.len) == 0)
                                return p;
        }
        return NULL;
}

/* The value that the programs will see, as text. */
static int param_text(const struct param *p, char *out, size_t room) {
        size_t total = 0;
        const uint8_t *data = bpf_map__initial_value(p->map, &total);
        uint64_t u = 0;
        int64_t i;

        if (!data || p->offset > total || p->size > total - p->offset)
                return -ENOEXEC;
        data += p->offset;
        if (p->kind == FIELD_STR) {
                snprintf(out, room, "%.*s", (int)p->size, (const char *)data);
                return 0;
        }
        memcpy(&u, data, p->size);
        i = (int64_t)(u << (64 - 8 * p->size)) >> (64 - 8 * p->size);
        if (p->enum_id) {
                const struct btf_type *t = btf__type_by_id(p->btf, p->enum_id);

                for (uint16_t k = 0; btf_is_enum(t) && k < btf_vlen(t); k++)
                        if (btf_enum(t)[k].val == (int32_t)i) {
                                snprintf(out, room, "%s",
                                         btf__name_by_offset(p->btf, btf_enum(t)[k].name_off));
                                return 0;
                        }
        }
        if (p->kind == FIELD_BOOL)
                snprintf(out, room, "%s", u ? "true" : "false");
        else
                snprintf(out, room, "%" PRId64, i);
        return 0;
}

static int bad_value(const struct yaml *node, struct error *err, const char *value) {
        return definition_error(node, err, NULL, "'%.64s' has characters that no hook has", value);
}

/* Copies with each "${key}" replaced. */
static int expand(const struct gadget *g, const struct yaml *node, char *out, size_t room,
                  struct error *err) {
        const char *text = node->text;
        size_t n = 0;

        while (*text) {
                const char *end = strncmp(text, "${", 2) == 0 ? strchr(text, '}') : NULL;
                const struct param *p;
                char value[HOOK_MAX];

                if (n + 1 >= room)
                        return definition_error(node, err, NULL, "the hook's name is too long");
                if (!end) {
                        out[n++] = *text++;
                        continue;
                }
                p = find_param(g, BYTES(text + 2, (size_t)(end - text) - 2));
                if (!p)
                        return definition_error(node, err, NULL, "the gadget has no parameter %.*s",
                                                (int)(end - text) - 2, text + 2);
                if (param_text(p, value, sizeof(value)) < 0 || strlen(value) >= room - n)
                        return definition_error(node, err, NULL, "the hook's name is too long");
                for (const char *c = value; *c; c++)
                        if (*c <= ' ' || *c > '~')
                                return bad_value(node, err, value);
                memcpy(out + n, value, strlen(value));
                n += strlen(value);
                text = end + 1;
        }
        out[n] = '\0';
        return 0;
}

static int add_hook(struct attach_plan *plan, const char *hook) {
        char **grown = reallocarray(plan->hooks, plan->n_hooks + 1, sizeof(*grown));

        if (!grown)
                return -ENOMEM;
        plan->hooks = grown;
        grown[plan->n_hooks] = strdup(hook);
        if (!grown[plan->n_hooks])
                return -ENOMEM;
        plan->n_hooks++;
        return 0;
}

/* Whether `when` holds: the name of a bool parameter, with '!' in front if it must be false. */
static int is_wanted(const struct gadget *g, const struct definition_program *d, bool *ret,
                     struct error *err) {
        const char *name = d && d->when ? d->when->text : NULL;
        const struct param *p;
        char value[HOOK_MAX];
        bool is_not;

        *ret = true;
        if (!name)
                return 0;
        is_not = name[0] == '!';
        p = find_param(g, BYTES(name + is_not, strlen(name) - is_not));
        if (!p || p->kind != FIELD_BOOL)
                return definition_error(d->when, err, NULL, "'%.64s' is no parameter of type bool",
                                        name + is_not);
        if (param_text(p, value, sizeof(value)) < 0)
                return definition_error(d->when, err, NULL, "its value cannot be read");
        *ret = str_eq(value, "true") != is_not;
        return 0;
}

int attach_find_hooks(const struct gadget *g, struct attach_plan *plan, const char *rest,
                      struct error *err) {
        const struct definition_program *d = plan->definition;
        const struct yaml *to = d ? d->attach_to : NULL;
        char hook[HOOK_MAX];
        bool wanted;
        int r;

        r = is_wanted(g, d, &wanted, err);
        if (r < 0 || !wanted)
                return r;
        if (!to)
                return add_hook(plan, rest);
        for (size_t i = 0; i < (to->kind == YAML_LIST ? to->n : 1); i++) {
                r = expand(g, to->kind == YAML_LIST ? to->items[i] : to, hook, sizeof(hook), err);
                if (r < 0)
                        return r;
                /* As the last of a list: rather without this program than not at all. */
                if (str_eq(hook, DISABLED)) {
                        plan->is_optional = true;
                        return 0;
                }
                r = add_hook(plan, hook[0] ? hook : rest);
                if (r < 0)
                        return r;
        }
        return 0;
}
