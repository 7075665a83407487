/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/params.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/parse.h"
#include "base/text.h"
#include "gadget/api.h"
#include "ipc/mp.h"

#define PARAM_PREFIX "gadget_param_"

/* Variables of the SDK whose parameters have names of their own, given their type as well as their
 * name. */
static const struct {
        const char *type; /* typedef, or NULL: bool */
        const char *variable;
        const char *key;
        const char *description;
} well_known[] = {
        { "gadget_pid", "targ_pid", "pid", "Show only events of this process ID" },
        { "gadget_tid", "targ_tid", "tid", "Show only events of this thread ID" },
        { "gadget_uid", "targ_uid", "uid", "Show only events of this user ID" },
        { "gadget_gid", "targ_gid", "gid", "Show only events of this group ID" },
        { "gadget_comm", "targ_comm", "comm", "Show only events of processes with this name" },
        { NULL, "collect_ustack", "collect-ustack", "Collect user stacks" },
        { NULL, "collect_build_id", "collect-build-id", "Collect build ids with user stacks" },
        { NULL, "collect_otel_stack", "collect-otel-stack",
          "Collect stacks for the OpenTelemetry profiler" },
};

/* A variable in a read-only data section. */
struct variable {
        const char *name;
        uint32_t type_id;
        struct bpf_map *map;
        uint32_t offset;
};

static int oom(struct error *err) {
        return error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory for the gadget's parameters");
}

static void param_done(struct param *p) {
        free(p->key);
        free(p->variable);
        free(p->alias);
        free(p->description);
        free(p->default_value);
}

void params_done(struct params *p) {
        for (size_t i = 0; i < p->n; i++)
                param_done(&p->items[i]);
        free(p->items);
        *p = (struct params){ 0 };
}

static bool is_const_volatile(const struct btf *btf, uint32_t id) {
        bool is_const = false, is_volatile = false;

        for (int i = 0; i < 32; i++) {
                const struct btf_type *t = btf__type_by_id(btf, id);

                if (!t || !(btf_is_mod(t) || btf_is_typedef(t)))
                        break;
                is_const |= btf_is_const(t);
                is_volatile |= btf_is_volatile(t);
                id = t->type;
        }
        /* clang puts the const of an array on its elements. */
        if (btf_is_array(btf__type_by_id(btf, id)) && !(is_const && is_volatile))
                return is_const_volatile(btf, btf_array(btf__type_by_id(btf, id))->type);
        return is_const && is_volatile;
}

/* The i-th variable of all read-only data sections; false behind the last. */
static bool find_variable(const struct bpf_object *object, const char *name, struct variable *ret) {
        const struct btf *btf = bpf_object__btf(object);

        for (uint32_t id = 1; id < btf__type_cnt(btf); id++) {
                const struct btf_type *sec = btf__type_by_id(btf, id);
                const struct btf_var_secinfo *v;

                if (!btf_is_datasec(sec) ||
                    !str_after(btf__name_by_offset(btf, sec->name_off), ".rodata"))
                        continue;
                v = btf_var_secinfos(sec);
                for (uint32_t i = 0; i < btf_vlen(sec); i++) {
                        const struct btf_type *var = btf__type_by_id(btf, v[i].type);

                        if (!btf_is_var(var) ||
                            !str_eq(btf__name_by_offset(btf, var->name_off), name))
                                continue;
                        *ret = (struct variable){
                                .name = btf__name_by_offset(btf, var->name_off),
                                .type_id = var->type,
                                .map = bpf_object__find_map_by_name(
                                        object, btf__name_by_offset(btf, sec->name_off)),
                                .offset = v[i].offset,
                        };
                        return ret->map != NULL;
                }
        }
        return false;
}

/* The bytes of a variable in the not yet loaded map; NULL when they lie outside of it. */
static uint8_t *storage_of(struct bpf_map *map, uint32_t offset, uint32_t size) {
        size_t total = 0;
        /* libbpf returns its own copy as const, but takes what is in it at load: skeletons write
         * there as well. */
        uint8_t *data = (uint8_t *)(uintptr_t)bpf_map__initial_value(map, &total);

        return data && offset <= total && size <= total - offset ? data + offset : NULL;
}

int params_set_flag(struct bpf_object *object, const char *variable, bool value) {
        struct variable v;
        uint8_t *p;

        if (!find_variable(object, variable, &v))
                return 0;
        p = storage_of(v.map, v.offset, 1);
        if (!p)
                return -ENOEXEC;
        *p = value;
        return 0;
}

static uint32_t n_enum_values(const struct param *p) {
        return p->enum_id ? btf_vlen(btf__type_by_id(p->btf, p->enum_id)) : 0;
}

const char *param_value_at(const struct param *p, size_t i) {
        if (p->allowed)
                return i < p->allowed->n ? p->allowed->items[i]->text : NULL;
        return i < n_enum_values(p) ? btf_enum_name_at(p->btf, p->enum_id, (uint32_t)i) : NULL;
}

/* What the compiled-in value is, as text. */
static int default_text(const struct param *p, const uint8_t *at, char **ret) {
        uint64_t u = 0;
        int64_t i;

        if (p->kind == FIELD_STR) {
                *ret = strndup((const char *)at, p->size);
                return *ret ? 0 : -ENOMEM;
        }
        memcpy(&u, at, p->size);
        if (p->kind == FIELD_BOOL) {
                *ret = strdup(u ? "true" : "false");
                return *ret ? 0 : -ENOMEM;
        }
        i = (int64_t)(u << (64 - 8 * p->size)) >> (64 - 8 * p->size);
        for (uint32_t k = 0; k < n_enum_values(p); k++)
                if (btf_enum_value_at(p->btf, p->enum_id, k) ==
                    (p->kind == FIELD_INT ? i : (int64_t)u)) {
                        *ret = strdup(btf_enum_name_at(p->btf, p->enum_id, k));
                        return *ret ? 0 : -ENOMEM;
                }
        if (asprintf(ret, p->kind == FIELD_INT ? "%" PRId64 : "%" PRIu64,
                     p->kind == FIELD_INT ? i : (int64_t)u) < 0)
                return -ENOMEM;
        return 0;
}

/* Kind and size from the C type. False when a variable of this type cannot be a parameter. */
static bool read_type(struct param *p, const struct btf *btf, uint32_t type_id) {
        uint32_t id = btf_resolve(btf, type_id);
        const struct btf_type *t = btf__type_by_id(btf, id);

        p->btf = btf;
        if (btf_is_int(t) && t->size <= 8) {
                p->size = t->size;
                p->kind = btf_int_encoding(t) & BTF_INT_BOOL     ? FIELD_BOOL
                          : btf_int_encoding(t) & BTF_INT_SIGNED ? FIELD_INT
                                                                 : FIELD_UINT;
                return true;
        }
        if (btf_is_any_enum(t)) {
                p->size = t->size;
                p->kind = btf_enum_is_signed(btf, id) ? FIELD_INT : FIELD_UINT;
                p->enum_id = id;
                return true;
        }
        if (btf_is_array(t)) {
                const struct btf_array *array = btf_array(t);
                const struct btf_type *elem = btf__type_by_id(btf, btf_resolve(btf, array->type));

                p->size = array->nelems;
                p->kind = FIELD_STR;
                return btf_is_int(elem) && elem->size == 1 && array->nelems > 0;
        }
        return false;
}

static int set_text(char **to, const char *text) {
        if (!text)
                return 0;
        free(*to);
        *to = strdup(text);
        return *to ? 0 : -ENOMEM;
}

/* Names by well-known variable and type; everything else is called as its variable. */
static int name_param(struct param *p, const struct variable *v) {
        int r;

        r = set_text(&p->variable, v->name);
        if (r == 0)
                r = set_text(&p->key, v->name);
        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(well_known); i++) {
                uint32_t type_id = v->type_id;
                const struct btf_type *t = btf__type_by_id(p->btf, btf_resolve(p->btf, type_id));

                if (!str_eq(well_known[i].variable, v->name))
                        continue;
                if (btf_is_array(t))
                        type_id = btf_array(t)->type;
                if (well_known[i].type ? !btf_has_typedef(p->btf, type_id, well_known[i].type)
                                       : p->kind != FIELD_BOOL)
                        continue;
                r = set_text(&p->key, well_known[i].key);
                if (r == 0)
                        r = set_text(&p->description, well_known[i].description);
                /* What is compiled in stands for "everyone", not for a user 4294967295. */
                if (r == 0 && well_known[i].type)
                        r = set_text(&p->default_value, "");
        }
        return r;
}

static int define_param(struct param *p, const struct definition_param *d, struct error *err) {
        if (set_text(&p->key, d->key) < 0 || set_text(&p->alias, d->alias) < 0 ||
            set_text(&p->description, d->description) < 0 ||
            set_text(&p->default_value, d->default_value) < 0)
                return oom(err);
        p->is_mandatory = d->is_mandatory;
        p->has_default = d->default_value && d->default_value[0] != '\0';
        p->allowed = d->possible_values;
        return 0;
}

static int add_param(struct params *ps, const struct bpf_object *object, const struct variable *v,
                     const struct definition_param *d, struct error *err) {
        struct param *items, *p;
        uint8_t *at;

        if (ps->n == LIMIT_PARAMS_MAX)
                return error_set(err, ERROR_LIMIT, -E2BIG, "the gadget has more than %d parameters",
                                 LIMIT_PARAMS_MAX);
        items = reallocarray(ps->items, ps->n + 1, sizeof(*items));
        if (!items)
                return oom(err);
        ps->items = items;
        p = &items[ps->n++];
        *p = (struct param){ .map = v->map, .offset = v->offset };
        if (!read_type(p, bpf_object__btf(object), v->type_id))
                return error_set(
                        err, ERROR_INVALID, -ENOEXEC,
                        "variable '%s' cannot be a parameter: it is no integer, bool, enum or text",
                        v->name);
        at = storage_of(p->map, p->offset, p->size);
        if (!at)
                return error_set(err, ERROR_INVALID, -ENOEXEC,
                                 "variable '%s' lies outside of its section", v->name);
        if (name_param(p, v) < 0)
                return oom(err);
        if (!p->default_value && default_text(p, at, &p->default_value) < 0)
                return oom(err);
        return d ? define_param(p, d, err) : 0;
}

static const struct definition_param *find_definition(const struct definition *d,
                                                      const char *variable) {
        for (size_t i = 0; i < d->n_params; i++)
                if (str_eq(d->params[i].variable, variable))
                        return &d->params[i];
        return NULL;
}

static bool has_variable(const struct params *p, const char *variable) {
        for (size_t i = 0; i < p->n; i++)
                if (str_eq(p->items[i].variable, variable))
                        return true;
        return false;
}

/* The variables that the gadget marks itself. */
static int add_marked(struct params *p, struct bpf_object *object,
                      const struct definition *definition, struct error *err) {
        const struct btf *btf = bpf_object__btf(object);

        for (uint32_t id = 1; id < btf__type_cnt(btf); id++) {
                const struct btf_type *t = btf__type_by_id(btf, id);
                const char *name;
                struct variable v;
                int r;

                if (!btf_is_var(t))
                        continue;
                name = str_after(btf__name_by_offset(btf, t->name_off), PARAM_PREFIX);
                if (!name || has_variable(p, name))
                        continue;
                if (!find_variable(object, name, &v) || !is_const_volatile(btf, v.type_id))
                        return error_set(err, ERROR_INVALID, -ENOEXEC,
                                         "%s%.64s marks a parameter, but there is no const "
                                         "volatile variable '%.64s'",
                                         PARAM_PREFIX, name, name);
                r = add_param(p, object, &v, find_definition(definition, name), err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int unknown_variable(struct bpf_object *object, const struct definition_param *d,
                            struct error *err) {
        const struct btf *btf = bpf_object__btf(object);
        const char *names[64];
        size_t n = 0;

        for (uint32_t id = 1; id < btf__type_cnt(btf) && n < ARRAY_SIZE(names); id++) {
                const struct btf_type *t = btf__type_by_id(btf, id);

                if (btf_is_var(t) && is_const_volatile(btf, t->type))
                        names[n++] = btf__name_by_offset(btf, t->name_off);
        }
        return definition_error(d->node, err, text_nearest(d->variable, names, n),
                                "the object has no const volatile variable '%.64s'", d->variable);
}

static int check_keys(const struct params *p, struct error *err) {
        for (size_t i = 0; i < p->n; i++)
                for (size_t k = i + 1; k < p->n; k++)
                        if (str_eq(p->items[i].key, p->items[k].key))
                                return error_set(err, ERROR_INVALID, -ENOEXEC,
                                                 "variables '%s' and '%s' are both parameter '%s'",
                                                 p->items[i].variable, p->items[k].variable,
                                                 p->items[i].key);
        return 0;
}

int params_init(struct params *p, struct bpf_object *object, const struct definition *definition,
                struct error *err) {
        int r;

        *p = (struct params){ 0 };
        r = add_marked(p, object, definition, err);
        for (size_t i = 0; r == 0 && i < definition->n_params; i++) {
                const struct definition_param *d = &definition->params[i];
                struct variable v;

                if (has_variable(p, d->variable))
                        continue;
                if (!find_variable(object, d->variable, &v) ||
                    !is_const_volatile(bpf_object__btf(object), v.type_id))
                        return unknown_variable(object, d, err);
                r = add_param(p, object, &v, d, err);
        }
        return r < 0 ? r : check_keys(p, err);
}

bool params_read(const struct bpf_object *object, const char *variable, int64_t *ret) {
        struct param p = { 0 };
        struct variable v;
        uint64_t bits = 0;
        uint8_t *at;

        if (!find_variable(object, variable, &v) ||
            !read_type(&p, bpf_object__btf(object), v.type_id) || p.kind == FIELD_STR)
                return false;
        at = storage_of(v.map, v.offset, p.size);
        if (!at)
                return false;
        memcpy(&bits, at, p.size); /* little-endian, as the object is */
        *ret = (int64_t)bits;
        if (p.kind == FIELD_INT && p.size < sizeof(bits))
                *ret = (int64_t)(bits << (64 - 8 * p.size)) >> (64 - 8 * p.size);
        return true;
}

/* --- values --- */

static int check_allowed(const struct param *p, const char *text, struct error *err) {
        const char *names[64];
        size_t n = 0;
        const char *near;
        int r;

        for (const char *name; n < ARRAY_SIZE(names) && (name = param_value_at(p, n)); n++)
                names[n] = name;
        near = text_nearest(text, names, n);
        r = error_set(err, ERROR_USAGE, -EINVAL, "parameter '%s': '%.64s' is not one of its values",
                      p->key, text);
        if (near && err)
                error_append(err, "did you mean '%s'?", near);
        return r;
}

static int parse_number(const struct param *p, const char *text, uint64_t *ret, struct error *err) {
        unsigned int bits = 8 * p->size;
        int64_t min = p->kind == FIELD_INT ? (int64_t)(UINT64_MAX << (bits - 1)) : 0;
        uint64_t max = UINT64_MAX >> (64 - bits + (p->kind == FIELD_INT));
        int64_t i = 0;
        int r;

        for (uint32_t k = 0; k < n_enum_values(p); k++)
                if (str_eq(btf_enum_name_at(p->btf, p->enum_id, k), text)) {
                        *ret = (uint64_t)btf_enum_value_at(p->btf, p->enum_id, k);
                        return 0;
                }
        r = p->kind == FIELD_INT ? parse_i64(text, min, (int64_t)max, &i)
                                 : parse_u64(text, 0, max, ret);
        if (p->kind == FIELD_INT)
                *ret = (uint64_t)i;
        if (r < 0 && p->enum_id)
                return check_allowed(p, text, err);
        if (r < 0)
                return error_set(err, ERROR_USAGE, -EINVAL,
                                 "parameter '%s': '%.64s' is not a number from %" PRId64
                                 " to %" PRIu64,
                                 p->key, text, min, max);
        return 0;
}

static int store(struct param *p, const char *text, struct error *err) {
        uint8_t *at = storage_of(p->map, p->offset, p->size);
        uint64_t u = 0;
        bool b;
        int r;

        if (!at)
                return error_set(err, ERROR_INTERNAL, -ENOEXEC, "parameter '%s' has no storage",
                                 p->key);
        if (p->allowed) {
                size_t i = 0;

                while (i < p->allowed->n && !str_eq(p->allowed->items[i]->text, text))
                        i++;
                if (i == p->allowed->n)
                        return check_allowed(p, text, err);
        }
        if (p->kind == FIELD_STR) {
                if (strlen(text) >= p->size)
                        return error_set(err, ERROR_USAGE, -EINVAL,
                                         "parameter '%s': the value has %zu bytes, at most %u fit",
                                         p->key, strlen(text), p->size - 1);
                memset(at, 0, p->size);
                memcpy(at, text, strlen(text));
        } else if (p->kind == FIELD_BOOL) {
                if (parse_bool(text, &b) < 0)
                        return error_set(err, ERROR_USAGE, -EINVAL,
                                         "parameter '%s': '%.64s' is neither true nor false",
                                         p->key, text);
                memset(at, 0, p->size);
                *at = b;
        } else {
                r = parse_number(p, text, &u, err);
                if (r < 0)
                        return r;
                memcpy(at, &u, p->size); /* little-endian, as the object is */
        }
        p->is_set = true;
        return 0;
}

static int unknown_param(const struct params *p, const char *key, struct error *err) {
        const char *names[LIMIT_PARAMS_MAX];
        const char *near;
        int r;

        for (size_t i = 0; i < p->n; i++)
                names[i] = p->items[i].key;
        near = text_nearest(key, names, p->n);
        r = error_set(err, ERROR_USAGE, -EINVAL, "the gadget has no parameter '%.64s'", key);
        if (near && err)
                error_append(err, "did you mean '%s'?", near);
        return r;
}

static int apply_one(struct params *p, const char *key, const char *value,
                     struct run_options *options, struct error *err) {
        enum run_option option;

        for (size_t i = 0; i < p->n; i++) {
                struct param *param = &p->items[i];

                if (!str_eq(param->key, key) && !(param->alias && str_eq(param->alias, key)))
                        continue;
                /* An empty value leaves what is compiled in, as for a flag not given; text can
                 * really be empty. */
                return value[0] == '\0' && param->kind != FIELD_STR ? 0 : store(param, value, err);
        }
        if (run_option_from_key(key, &option))
                return run_options_set(options, option, value) < 0 ? oom(err) : 0;
        return unknown_param(p, key, err);
}

/* Copies a str of the message, which has no NUL behind it. */
static int read_text(struct mp_reader *r, char *out, size_t room) {
        struct bytes b;

        if (mp_read_str(r, &b) < 0 || memchr(b.data, 0, b.len))
                return -EBADMSG;
        if (b.len >= room)
                return -E2BIG;
        memcpy(out, b.data, b.len);
        out[b.len] = '\0';
        return 0;
}

int params_apply(struct params *p, struct bytes values, struct run_options *options,
                 struct error *err) {
        struct mp_reader reader = mp_reader_of(values);
        char key[LIMIT_PARAM_KEY_MAX + 1], value[LIMIT_PARAM_VALUE_MAX + 1];
        uint32_t n = 0;
        int r = 0;

        if (values.len > 0 && mp_read_map(&reader, &n) < 0)
                return error_set(err, ERROR_INVALID, -EBADMSG, "parameters are not a map");
        for (uint32_t i = 0; i < n; i++) {
                if (read_text(&reader, key, sizeof(key)) < 0 ||
                    read_text(&reader, value, sizeof(value)) < 0)
                        return error_set(
                                err, ERROR_INVALID, -EBADMSG,
                                "parameter %u is not a key and a value of at most %d bytes", i + 1,
                                LIMIT_PARAM_VALUE_MAX);
                r = apply_one(p, key, value, options, err);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < p->n; i++) {
                struct param *param = &p->items[i];

                if (param->is_set)
                        continue;
                if (param->is_mandatory && !param->has_default)
                        return error_set(err, ERROR_USAGE, -EINVAL, "parameter '%s' must be given",
                                         param->key);
                if (param->has_default)
                        r = store(param, param->default_value, err);
                if (r < 0) {
                        if (err)
                                err->code = ERROR_INVALID; /* its author's mistake */
                        return error_prefix(err, r, "default value");
                }
        }
        return 0;
}
