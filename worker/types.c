/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/types.h"

#include <stdio.h>

#include "base/log.h"
#include "gadget/api.h"
#include "worker/kernel-enum.h"

#define FIELD_NAME_MAX 255
/* typedef, const and volatile around one type; btf_check() has excluded circles. */
#define MODIFIERS_MAX 64
/* Members looked at in one type: a hostile one could repeat a wide struct of unshown fields at each
 * of its levels. */
#define MEMBERS_MAX 16384
#define NOTES_MAX 8
/* Slot n counts values of n binary digits: no number has more. */
#define HISTOGRAM_SLOTS_MAX 64

/* What a typedef of the SDK says about a field. */
struct type_rule {
        const char *type;
        enum field_render render;
        const char *tmpl; /* annotation template, NULL = none */
        bool is_boot_time;
        enum enrich enrich;
};

#define ARGV "gadget_argv"
#define DNS_NAME "gadget_dns_name"
#define USER_STACK "gadget_user_stack"

static const struct type_rule typedef_rules[] = {
        { "gadget_timestamp", RENDER_TIMESTAMP, "timestamp", true },
        { "gadget_errno", RENDER_ERRNO, "errorString" },
        { "gadget_signal", RENDER_SIGNAL, NULL },
        { "gadget_syscall", RENDER_SYSCALL, "syscall" },
        { "gadget_file_mode", RENDER_FILE_MODE, NULL },
        { "gadget_file_flags", RENDER_FILE_FLAGS, NULL },
        { "gadget_bytes", RENDER_BYTES, "bytes" },
        { "gadget_duration", RENDER_DURATION, "duration" },
        { ARGV, RENDER_NONE, NULL },
        { "gadget_kernel_stack", RENDER_NONE, NULL, .enrich = ENRICH_KERNEL_STACK },
        { "gadget_netif_index", RENDER_NONE, NULL, .enrich = ENRICH_INTERFACE },
        { "gadget_histogram_slot__u32", RENDER_HISTOGRAM, NULL },
        { "gadget_histogram_slot__u64", RENDER_HISTOGRAM, NULL },
        { "gadget_comm", RENDER_NONE, "comm" },
        { "gadget_pcomm", RENDER_NONE, "pcomm" },
        { "gadget_pid", RENDER_NONE, "pid" },
        { "gadget_tid", RENDER_NONE, "tid" },
        { "gadget_ppid", RENDER_NONE, "ppid" },
        { "gadget_ptid", RENDER_NONE, "ptid" },
        { "gadget_uid", RENDER_NONE, "uid", .enrich = ENRICH_USER },
        { "gadget_gid", RENDER_NONE, "gid", .enrich = ENRICH_GROUP },
        { "gadget_mntns_id", RENDER_NONE, "mntns_id" },
        { "gadget_netns_id", RENDER_NONE, "netns_id" },
};

/* Structs of the SDK whose members show under their own short names as column headers. */
static const struct alias_rule {
        const char *type;
        const char *prefix;
} alias_rules[] = {
        { "gadget_process", "" },
        { "gadget_creds", "" },
        { "gadget_parent", "p" }, /* comm, pid, tid of the parent */
};

static const struct type_enum_value protocol_values[] = {
        { "ICMP", 1 }, { "IGMP", 2 },    { "TCP", 6 },    { "UDP", 17 },      { "DCCP", 33 },
        { "GRE", 47 }, { "ICMPv6", 58 }, { "SCTP", 132 }, { "UDPLITE", 136 },
};

struct walk {
        const struct btf *btf;
        struct event_type *type;
        const struct type_options *options;
        struct type_enums *enums;
        unsigned int n_members; /* looked at so far */
        unsigned int n_notes;
        struct error *err;
};

/* Where the walk is: the struct around a member. */
struct place {
        const char *prefix; /* "" or "proc." */
        const char *struct_name;
        uint32_t struct_id;
        uint32_t offset;
        unsigned int depth;
};

void type_enums_done(struct type_enums *enums) {
        for (size_t i = 0; i < enums->n; i++)
                kernel_enum_done(&enums->items[i]);
        free(enums->items);
        *enums = (struct type_enums){ 0 };
}

static void field_done(struct event_field *f) {
        free(f->name);
        free(f->target);
        free(f->ctype);
        annotations_done(&f->annotations);
}

struct event_type *event_type_free(struct event_type *type) {
        if (!type)
                return NULL;
        for (size_t i = 0; i < type->n_fields; i++)
                field_done(&type->fields[i]);
        for (size_t i = 0; i < type->n_groups; i++)
                free(type->groups[i]);
        free(type->fields);
        free(type->groups);
        free(type->name);
        free(type);
        return NULL;
}

static bool is_modifier(const struct btf_type *t) {
        return btf_is_mod(t) || btf_is_typedef(t);
}

uint32_t btf_resolve(const struct btf *btf, uint32_t id) {
        for (int i = 0; i < MODIFIERS_MAX; i++) {
                const struct btf_type *t = btf__type_by_id(btf, id);

                if (!t || !is_modifier(t))
                        return id;
                id = t->type;
        }
        return 0;
}

/* Follows the chain from id; the first typedef's name into *ret_first, and the rule of the first
 * one that has a rule. */
static const struct type_rule *find_rule(const struct btf *btf, uint32_t id,
                                         const char **ret_first) {
        for (int i = 0; i < MODIFIERS_MAX; i++) {
                const struct btf_type *t = btf__type_by_id(btf, id);
                const char *name;

                if (!t || !is_modifier(t))
                        break;
                id = t->type;
                if (!btf_is_typedef(t))
                        continue;
                name = btf__name_by_offset(btf, t->name_off);
                if (!*ret_first)
                        *ret_first = name;
                for (size_t k = 0; k < ARRAY_SIZE(typedef_rules); k++)
                        if (str_eq(typedef_rules[k].type, name))
                                return &typedef_rules[k];
        }
        return NULL;
}

bool btf_has_typedef(const struct btf *btf, uint32_t id, const char *name) {
        for (int i = 0; i < MODIFIERS_MAX; i++) {
                const struct btf_type *t = btf__type_by_id(btf, id);

                if (!t || !is_modifier(t))
                        break;
                if (btf_is_typedef(t) && str_eq(btf__name_by_offset(btf, t->name_off), name))
                        return true;
                id = t->type;
        }
        return false;
}

static void note(struct walk *w, const char *field, const char *why) {
        if (w->n_notes++ < NOTES_MAX)
                log_info("field '%.100s' of struct %s is not shown: %s", field, w->type->name, why);
}

static int oom(const struct walk *w) {
        return error_set(w->err, ERROR_INTERNAL, -ENOMEM, "no memory for the fields of struct %s",
                         w->type->name);
}

static int add_group(struct walk *w, const char *name) {
        char **groups = reallocarray(w->type->groups, w->type->n_groups + 1, sizeof(*groups));

        if (!groups)
                return oom(w);
        w->type->groups = groups;
        groups[w->type->n_groups] = strdup(name);
        if (!groups[w->type->n_groups])
                return oom(w);
        w->type->n_groups++;
        return 0;
}

/* Index of the enum in w->enums, adding it when it is new. */
static int enum_index(struct walk *w, struct type_enum item) {
        struct type_enum *items;

        for (size_t i = 0; i < w->enums->n; i++)
                if (w->enums->items[i].btf == item.btf &&
                    w->enums->items[i].btf_id == item.btf_id &&
                    w->enums->items[i].values == item.values &&
                    w->enums->items[i].is_set == item.is_set)
                        return (int)i;
        items = reallocarray(w->enums->items, w->enums->n + 1, sizeof(*items));
        if (!items)
                return oom(w);
        w->enums->items = items;
        items[w->enums->n] = item;
        return (int)w->enums->n++;
}

static bool ends_with(const char *text, const char *end) {
        size_t n = strlen(text), m = strlen(end);

        return n > m && str_eq(text + n - m, end);
}

static int enum_of_btf(struct walk *w, uint32_t id, const char *typedef_name) {
        const struct btf_type *t = btf__type_by_id(w->btf, id);
        const char *name = btf__name_by_offset(w->btf, t->name_off);

        if (name[0] == '\0' && typedef_name)
                name = typedef_name;
        return enum_index(
                w, (struct type_enum){ .name = name,
                                       .is_set = ends_with(name, "_set") ||
                                                 (typedef_name && ends_with(typedef_name, "_set")),
                                       .btf = w->btf,
                                       .btf_id = id });
}

/* clang before 15 does not say whether an enum is signed: one with negative values is, unless it is
 * a set of bits. */
bool btf_enum_is_signed(const struct btf *btf, uint32_t id) {
        const struct btf_type *t = btf__type_by_id(btf, id);

        if (btf_kflag(t))
                return true;
        if (!btf_is_enum(t) || ends_with(btf__name_by_offset(btf, t->name_off), "_set"))
                return false;
        for (uint32_t i = 0; i < btf_vlen(t); i++)
                if (btf_enum(t)[i].val < 0)
                        return true;
        return false;
}

int64_t btf_enum_value_at(const struct btf *btf, uint32_t id, uint32_t i) {
        const struct btf_type *t = btf__type_by_id(btf, id);

        if (!btf_is_enum(t))
                return (int64_t)btf_enum64_value(&btf_enum64(t)[i]);
        return btf_enum_is_signed(btf, id) ? btf_enum(t)[i].val
                                           : (int64_t)(uint32_t)btf_enum(t)[i].val;
}

const char *btf_enum_name_at(const struct btf *btf, uint32_t id, uint32_t i) {
        const struct btf_type *t = btf__type_by_id(btf, id);

        return btf__name_by_offset(btf, btf_is_enum(t) ? btf_enum(t)[i].name_off
                                                       : btf_enum64(t)[i].name_off);
}

/* The scalar kinds. False when t is none of them, with the reason. */
static bool scalar_kind(const struct btf *btf, uint32_t id, enum field_kind *ret,
                        const char **ret_why) {
        const struct btf_type *t = btf__type_by_id(btf, id);

        if (btf_is_int(t)) {
                uint8_t encoding = btf_int_encoding(t);

                if (btf_int_offset(t) != 0 || btf_int_bits(t) != t->size * 8) {
                        *ret_why = "it is a bitfield";
                        return false;
                }
                if (t->size > 8) {
                        *ret_why = "integers of 16 bytes are not supported";
                        return false;
                }
                *ret = encoding & BTF_INT_BOOL     ? FIELD_BOOL
                       : encoding & BTF_INT_SIGNED ? FIELD_INT
                                                   : FIELD_UINT;
                return true;
        }
        if (btf_is_any_enum(t)) {
                *ret = btf_enum_is_signed(btf, id) ? FIELD_INT : FIELD_UINT;
                return true;
        }
        if (btf_is_float(t) && (t->size == 4 || t->size == 8)) {
                *ret = FIELD_FLOAT;
                return true;
        }
        *ret_why = btf_is_ptr(t)     ? "it is a pointer"
                   : btf_is_float(t) ? "floats of this size are not supported"
                                     : "values of its type cannot be shown";
        return false;
}

static bool is_char(const struct walk *w, const struct btf_type *t) {
        if (!btf_is_int(t) || t->size != 1)
                return false;
        if (str_eq(btf__name_by_offset(w->btf, t->name_off), "char"))
                return true;
        return w->options->bytes_are_text && !(btf_int_encoding(t) & BTF_INT_BOOL);
}

/* "gadget_pid", "struct x", "char[16]". */
static char *ctype_of(const struct walk *w, uint32_t id, uint32_t n_elements) {
        const struct btf_type *t = btf__type_by_id(w->btf, btf_resolve(w->btf, id));
        const char *name = NULL, *word = "";
        char *ctype = NULL;

        (void)find_rule(w->btf, id, &name);
        if (!name) {
                name = btf__name_by_offset(w->btf, t->name_off);
                word = btf_is_struct(t)     ? "struct "
                       : btf_is_union(t)    ? "union "
                       : btf_is_any_enum(t) ? "enum "
                                            : "";
        }
        if ((n_elements ? asprintf(&ctype, "%s%.100s[%u]", word, name, n_elements)
                        : asprintf(&ctype, "%s%.100s", word, name)) < 0)
                return NULL;
        return ctype;
}

/* Appends a field at the place; name and the rest are filled in by the caller, who does not own it.
 */
static int add_field(struct walk *w, const char *name, uint32_t offset, uint64_t bytes,
                     struct event_field **ret) {
        struct event_type *type = w->type;
        struct event_field *fields;

        if (offset > type->size || bytes > type->size - offset)
                return error_set(w->err, ERROR_INVALID, -ENOEXEC,
                                 "field '%s' of struct %s lies outside of the struct", name,
                                 type->name);
        if (type->n_fields == LIMIT_FIELDS_MAX)
                return error_set(w->err, ERROR_LIMIT, -E2BIG,
                                 "struct %s has more than %d fields; make arrays of them, or let "
                                 "names begin with __",
                                 type->name, LIMIT_FIELDS_MAX);
        fields = reallocarray(type->fields, type->n_fields + 1, sizeof(*fields));
        if (!fields)
                return oom(w);
        type->fields = fields;
        fields += type->n_fields;
        *fields = (struct event_field){ .name = strdup(name),
                                        .offset = offset,
                                        .version_offset = NO_OFFSET,
                                        .extra_offset = NO_OFFSET,
                                        .enum_index = -1 };
        if (!fields->name)
                return oom(w);
        type->n_fields++;
        *ret = fields;
        return 0;
}

static int apply_rule(struct walk *w, struct event_field *f, const struct type_rule *rule) {
        const char *near;

        if (!rule)
                return 0;
        f->render = rule->render;
        f->is_boot_time = rule->is_boot_time && f->kind == FIELD_UINT && f->size == 8;
        if (f->kind == FIELD_UINT && f->size == sizeof(uint32_t))
                f->twin = rule->enrich;
        if (rule->tmpl && annotations_apply_template(&f->annotations, rule->tmpl, &near) < 0)
                return oom(w);
        return 0;
}

static int apply_alias(struct walk *w, struct event_field *f, const struct place *at,
                       const char *member) {
        char alias[FIELD_NAME_MAX + 2];

        for (size_t i = 0; i < ARRAY_SIZE(alias_rules); i++) {
                if (!str_eq(alias_rules[i].type, at->struct_name))
                        continue;
                snprintf(alias, sizeof(alias), "%s%s", alias_rules[i].prefix, member);
                if (annotations_set(&f->annotations, "columns.alias", alias) < 0)
                        return oom(w);
        }
        return 0;
}

static int add_scalar(struct walk *w, const char *name, uint32_t id, uint32_t offset,
                      struct event_field **ret) {
        uint32_t resolved = btf_resolve(w->btf, id);
        const struct btf_type *t = btf__type_by_id(w->btf, resolved);
        const char *why, *typedef_name = NULL;
        const struct type_rule *rule;
        enum field_kind kind;
        int r;

        *ret = NULL;
        if (!scalar_kind(w->btf, resolved, &kind, &why)) {
                note(w, name, why);
                return 0;
        }
        r = add_field(w, name, offset, t->size, ret);
        if (r < 0)
                return r;
        (*ret)->kind = kind;
        (*ret)->size = t->size;
        (*ret)->ctype = ctype_of(w, id, 0);
        if (!(*ret)->ctype)
                return oom(w);
        rule = find_rule(w->btf, id, &typedef_name);
        if (btf_is_any_enum(t)) {
                r = enum_of_btf(w, resolved, typedef_name);
                if (r < 0)
                        return r;
                (*ret)->enum_index = r;
                (*ret)->render = RENDER_ENUM;
        }
        return apply_rule(w, *ret, rule);
}

/* A DNS name is shown as text alone: its bytes say the same less well. */
static int add_dns_name(struct walk *w, const char *name, const struct btf_array *array,
                        uint32_t offset, struct event_field **ret) {
        int n = (int)strlen(name) - (ends_with(name, "_raw") ? (int)strlen("_raw") : 0);
        char shown[FIELD_NAME_MAX + 1];
        int r;

        snprintf(shown, sizeof(shown), "%.*s", n, name);
        r = add_field(w, shown, offset, array->nelems, ret);
        if (r < 0)
                return r;
        (*ret)->kind = FIELD_STR;
        (*ret)->size = array->nelems;
        (*ret)->enrich = ENRICH_DNS_NAME;
        (*ret)->ctype = ctype_of(w, array->type, array->nelems);
        return (*ret)->ctype ? 0 : oom(w);
}

static int add_array(struct walk *w, const char *name, uint32_t id, uint32_t offset,
                     struct event_field **ret) {
        const struct btf_array *array = btf_array(btf__type_by_id(w->btf, btf_resolve(w->btf, id)));
        uint32_t elem_id = btf_resolve(w->btf, array->type);
        const struct btf_type *elem = btf__type_by_id(w->btf, elem_id);
        bool is_text = is_char(w, elem), is_argv;
        const char *why = NULL, *first = NULL;
        enum field_kind kind;
        int r;

        *ret = NULL;
        if (array->nelems == 0)
                why = "the array has no elements";
        else if (btf_is_array(elem))
                why = "it is an array of arrays";
        else if (btf_is_composite(elem))
                why = "it is an array of structs";
        if (why || (!is_text && !scalar_kind(w->btf, elem_id, &kind, &why))) {
                note(w, name, why);
                return 0;
        }
        if (btf_has_typedef(w->btf, array->type, DNS_NAME) && elem->size == 1)
                return add_dns_name(w, name, array, offset, ret);
        r = add_field(w, name, offset, (uint64_t)elem->size * array->nelems, ret);
        if (r < 0)
                return r;
        is_argv = is_text && btf_has_typedef(w->btf, array->type, ARGV);
        (*ret)->kind = is_text && !is_argv ? FIELD_STR : FIELD_ARRAY;
        (*ret)->elem = is_text ? FIELD_STR : kind;
        (*ret)->size = is_text && !is_argv ? array->nelems : elem->size;
        (*ret)->n = array->nelems;
        (*ret)->ctype = ctype_of(w, array->type, array->nelems);
        if (!(*ret)->ctype)
                return oom(w);
        r = apply_rule(w, *ret, find_rule(w->btf, array->type, &first));
        if (r == 0 && (*ret)->render == RENDER_HISTOGRAM && array->nelems > HISTOGRAM_SLOTS_MAX)
                return error_set(
                        w->err, ERROR_LIMIT, -E2BIG,
                        "histogram '%s' of struct %s has %u slots; more than %d say nothing", name,
                        w->type->name, array->nelems, HISTOGRAM_SLOTS_MAX);
        return r;
}

/* The address of an endpoint: its version stands beside it in the same struct. */
static int add_address(struct walk *w, const char *name, const struct place *at, uint32_t offset,
                       struct event_field **ret) {
        const struct btf_type *outer = btf__type_by_id(w->btf, at->struct_id);
        const struct btf_member *m = btf_members(outer);
        cleanup_free char *shown = strdup(name);
        int r;

        if (!shown)
                return oom(w);
        if (ends_with(shown, "_raw"))
                shown[strlen(shown) - strlen("_raw")] = '\0';
        r = add_field(w, shown, offset, 16, ret);
        if (r < 0)
                return r;
        (*ret)->kind = FIELD_IP;
        (*ret)->size = 16;
        (*ret)->ctype = strdup("union gadget_ip_addr_t");
        for (uint32_t i = 0; i < btf_vlen(outer); i++)
                if (str_eq(btf__name_by_offset(w->btf, m[i].name_off), "version"))
                        (*ret)->version_offset = at->offset + btf_member_bit_offset(outer, i) / 8;
        if ((*ret)->version_offset != NO_OFFSET && (*ret)->version_offset >= w->type->size)
                (*ret)->version_offset = NO_OFFSET;
        return (*ret)->ctype ? 0 : oom(w);
}

/* What the other members of an endpoint mean. */
static int finish_endpoint(struct walk *w, struct event_field *f, const char *member) {
        if (str_eq(member, "version"))
                return annotations_set(&f->annotations, "columns.hidden", "true") < 0 ? oom(w) : 0;
        if (str_eq(member, "proto_raw") && f->kind == FIELD_UINT) {
                int r = enum_index(w,
                                   (struct type_enum){ .name = "ip_protocol",
                                                       .values = protocol_values,
                                                       .n_values = ARRAY_SIZE(protocol_values) });

                if (r < 0)
                        return r;
                f->enum_index = r;
                f->render = RENDER_ENUM;
        }
        return 0;
}

static int walk_struct(struct walk *w, const struct place *at);

static bool is_endpoint(const char *struct_name) {
        return str_eq(struct_name, "gadget_l3endpoint_t") ||
               str_eq(struct_name, "gadget_l4endpoint_t");
}

/* An endpoint may have its protocol under its older name as well. */
static bool is_older_name(const struct walk *w, const struct place *at, const char *member) {
        const struct btf_type *t = btf__type_by_id(w->btf, at->struct_id);

        if (!is_endpoint(at->struct_name) || !str_eq(member, "proto"))
                return false;
        for (uint32_t i = 0; i < btf_vlen(t); i++)
                if (str_eq(btf__name_by_offset(w->btf, btf_members(t)[i].name_off), "proto_raw"))
                        return true;
        return false;
}

/* What is said of a user stack stands beside it: "ustack.symbols" beside "ustack_raw.stack_id" and
 * the rest of what only gadgetd can make something of. */
static int add_stack_texts(struct walk *w, const char *name, uint32_t offset, uint32_t size) {
        static const struct {
                const char *name;
                const char *description;
                enum enrich enrich;
        } texts[] = {
                { "addresses", "Addresses of the stack, the innermost first",
                  ENRICH_STACK_ADDRESSES },
                { "buildid", "Build ids of the files on the stack, and offsets in them",
                  ENRICH_STACK_BUILD_IDS },
                { "symbols", "Functions of the stack, the innermost first", ENRICH_STACK_SYMBOLS },
        };
        int n = (int)strlen(name) - (ends_with(name, "_raw") ? (int)strlen("_raw") : 0);
        char full[FIELD_NAME_MAX + 16];

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                struct event_field *f;
                int r;

                snprintf(full, sizeof(full), "%.*s.%s", n, name, texts[i].name);
                r = add_field(w, full, offset, size, &f);
                if (r < 0)
                        return r;
                f->kind = FIELD_STR;
                f->size = size;
                f->enrich = texts[i].enrich;
                f->flags = FIELD_ADDED;
                f->ctype = strdup("user_stack");
                if (!f->ctype || annotations_set(&f->annotations, "columns.hidden", "true") < 0 ||
                    annotations_set(&f->annotations, "description", texts[i].description) < 0)
                        return oom(w);
        }
        return 0;
}

/* The members of a struct or union inside `outer`; those of one without a name stand as if they
 * were the outer one's. */
static int enter_struct(struct walk *w, const char *name, const struct btf_member *m,
                        uint32_t offset, const struct place *outer) {
        uint32_t id = btf_resolve(w->btf, m->type);
        const struct btf_type *t = btf__type_by_id(w->btf, id);
        const char *struct_name = btf__name_by_offset(w->btf, t->name_off), *typedef_name = NULL;
        char prefix[FIELD_NAME_MAX + 2];

        if (m->name_off == 0)
                struct_name = outer->struct_name;
        else if (struct_name[0] == '\0')
                (void)find_rule(w->btf, m->type, &typedef_name);
        snprintf(prefix, sizeof(prefix), "%s.", name);
        if (m->name_off) {
                int r = add_group(w, name);

                if (r < 0)
                        return r;
        }
        if (m->name_off && str_eq(struct_name, USER_STACK)) {
                int r = add_stack_texts(w, name, offset, t->size);

                if (r < 0)
                        return r;
        }
        return walk_struct(w, &(struct place){
                                      .prefix = m->name_off ? prefix : outer->prefix,
                                      .struct_name = typedef_name ? typedef_name : struct_name,
                                      .struct_id = id,
                                      .offset = offset,
                                      .depth = outer->depth + 1,
                              });
}

static int walk_member(struct walk *w, const struct place *at, const struct btf_member *m,
                       uint32_t offset) {
        uint32_t id = btf_resolve(w->btf, m->type);
        const struct btf_type *t = btf__type_by_id(w->btf, id);
        const char *member = btf__name_by_offset(w->btf, m->name_off);
        struct event_field *f = NULL;
        char name[FIELD_NAME_MAX + 1];
        int n, r;

        n = snprintf(name, sizeof(name), "%s%s", at->prefix, member);
        if (n > FIELD_NAME_MAX)
                return error_set(w->err, ERROR_LIMIT, -ENAMETOOLONG,
                                 "a field of struct %s has a name longer than %d characters",
                                 w->type->name, FIELD_NAME_MAX);
        if (btf_is_composite(t)) {
                if (str_eq(btf__name_by_offset(w->btf, t->name_off), "gadget_ip_addr_t"))
                        return add_address(w, name, at, offset, &f);
                return enter_struct(w, name, m, offset, at);
        }
        r = btf_is_array(t) ? add_array(w, name, m->type, offset, &f)
                            : add_scalar(w, name, m->type, offset, &f);
        if (r < 0 || !f)
                return r;
        if (is_endpoint(at->struct_name))
                r = finish_endpoint(w, f, member);
        if (str_eq(at->struct_name, USER_STACK) &&
            annotations_set(&f->annotations, "columns.hidden", "true") < 0)
                return oom(w);
        return r < 0 ? r : apply_alias(w, f, at, member);
}

static int walk_struct(struct walk *w, const struct place *at) {
        const struct btf_type *t = btf__type_by_id(w->btf, at->struct_id);
        const struct btf_member *m = btf_members(t);

        if (at->depth > LIMIT_TYPE_DEPTH_MAX)
                return error_set(w->err, ERROR_LIMIT, -E2BIG,
                                 "struct %s nests structs deeper than %d levels", w->type->name,
                                 LIMIT_TYPE_DEPTH_MAX);
        for (uint32_t i = 0; i < btf_vlen(t); i++) {
                const char *name = btf__name_by_offset(w->btf, m[i].name_off);
                uint32_t bits = btf_member_bit_offset(t, i), offset;
                int r;

                if (++w->n_members > MEMBERS_MAX)
                        return error_set(w->err, ERROR_LIMIT, -E2BIG,
                                         "struct %s has more than %d members in all", w->type->name,
                                         MEMBERS_MAX);
                if ((name[0] == '_' && name[1] == '_') || is_older_name(w, at, name))
                        continue;
                if (btf_member_bitfield_size(t, i) != 0 || bits % 8 != 0) {
                        note(w, name, "it is a bitfield");
                        continue;
                }
                if (__builtin_add_overflow(at->offset, bits / 8, &offset) || offset > w->type->size)
                        return error_set(w->err, ERROR_INVALID, -ENOEXEC,
                                         "field '%s' of struct %s lies outside of the struct", name,
                                         w->type->name);
                r = walk_member(w, at, &m[i], offset);
                if (r < 0)
                        return r;
        }
        return 0;
}

int event_type_new(const struct btf *btf, uint32_t id, const struct type_options *options,
                   struct type_enums *enums, struct event_type **ret, struct error *err) {
        cleanup(event_type_freep) struct event_type *type = calloc(1, sizeof(*type));
        struct walk w = {
                .btf = btf, .type = type, .options = options, .enums = enums, .err = err
        };
        const char *name = NULL;
        const struct btf_type *t;
        int r;

        if (!type)
                return -ENOMEM;
        (void)find_rule(btf, id, &name);
        id = btf_resolve(btf, id);
        t = btf__type_by_id(btf, id);
        if (!t || !btf_is_struct(t))
                return error_set(err, ERROR_INVALID, -ENOEXEC,
                                 "the type of the events is not a struct");
        if (t->name_off)
                name = btf__name_by_offset(btf, t->name_off);
        type->name = strndup(name ? name : "(anonymous)", FIELD_NAME_MAX);
        if (!type->name)
                return -ENOMEM;
        if (t->size == 0 || t->size > LIMIT_EVENT_SIZE_MAX)
                return error_set(err, ERROR_LIMIT, -E2BIG, "struct %s has %u bytes, not 1 to %d",
                                 type->name, t->size, LIMIT_EVENT_SIZE_MAX);
        type->size = t->size;
        r = walk_struct(
                &w, &(struct place){ .prefix = "", .struct_name = type->name, .struct_id = id });
        if (r < 0)
                return r;
        if (type->n_fields == 0)
                return error_set(err, ERROR_INVALID, -ENOEXEC,
                                 "struct %s has no field that can be shown", type->name);
        *ret = TAKE_PTR(type);
        return 0;
}

/* --- entries of maps --- */

/* The key or the value: fields of a struct, or one number. */
static int walk_half(struct walk *w, uint32_t id, const char *name, uint32_t offset) {
        uint32_t resolved = btf_resolve(w->btf, id);
        const struct btf_type *t = btf__type_by_id(w->btf, resolved);
        struct event_field *f;

        if (btf_is_struct(t))
                return walk_struct(
                        w, &(struct place){ .prefix = "",
                                            .struct_name = btf__name_by_offset(w->btf, t->name_off),
                                            .struct_id = resolved,
                                            .offset = offset });
        if (btf_is_array(t))
                return add_array(w, name, id, offset, &f);
        return add_scalar(w, name, id, offset, &f);
}

static bool has_field(const struct event_type *type, size_t n, const char *name) {
        for (size_t i = 0; i < n; i++)
                if (str_eq(type->fields[i].name, name))
                        return true;
        return false;
}

/* A field of the value that is called as one of the key would make rows ambiguous. */
static void drop_doubles(struct walk *w, size_t n_key) {
        struct event_type *type = w->type;
        size_t kept = n_key;

        for (size_t i = n_key; i < type->n_fields; i++) {
                if (has_field(type, n_key, type->fields[i].name)) {
                        note(w, type->fields[i].name, "the key has a field of this name");
                        field_done(&type->fields[i]);
                        continue;
                }
                type->fields[kept++] = type->fields[i];
        }
        type->n_fields = kept;
}

int event_type_of_entry(const struct btf *btf, uint32_t key_id, uint32_t value_id,
                        const struct type_options *options, struct type_enums *enums,
                        struct event_type **ret, uint32_t *ret_value_offset, struct error *err) {
        cleanup(event_type_freep) struct event_type *type = calloc(1, sizeof(*type));
        int64_t key_size = btf__resolve_size(btf, key_id);
        int64_t value_size = btf__resolve_size(btf, value_id);
        struct walk w = {
                .btf = btf, .type = type, .options = options, .enums = enums, .err = err
        };
        const char *name = NULL;
        const struct btf_type *t;
        uint32_t value_offset;
        size_t n_key;
        int r;

        if (!type)
                return -ENOMEM;
        if (key_size <= 0 || value_size <= 0 || key_size > LIMIT_EVENT_SIZE_MAX ||
            value_size > LIMIT_EVENT_SIZE_MAX - key_size - 8)
                return error_set(err, ERROR_LIMIT, -E2BIG,
                                 "key and value have not 1 to %d bytes together",
                                 LIMIT_EVENT_SIZE_MAX - 8);
        (void)find_rule(btf, value_id, &name);
        t = btf__type_by_id(btf, btf_resolve(btf, value_id));
        if (t->name_off)
                name = btf__name_by_offset(btf, t->name_off);
        type->name = strndup(name ? name : "(anonymous)", FIELD_NAME_MAX);
        if (!type->name)
                return -ENOMEM;
        value_offset = ALIGN_UP((uint32_t)key_size, 8);
        type->size = value_offset + (uint32_t)value_size;
        r = walk_half(&w, key_id, "key", 0);
        n_key = type->n_fields;
        for (size_t i = 0; i < n_key; i++)
                type->fields[i].flags |= FIELD_KEY;
        if (r == 0)
                r = walk_half(&w, value_id, "value", value_offset);
        if (r < 0)
                return r;
        drop_doubles(&w, n_key);
        if (type->n_fields == 0)
                return error_set(err, ERROR_INVALID, -ENOEXEC,
                                 "neither its key nor its value has a field that can be shown");
        *ret = TAKE_PTR(type);
        *ret_value_offset = value_offset;
        return 0;
}
