/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/twins.h"

#include <stdio.h>

#include "base/log.h"
#include "gadget/api.h"

#define NAME_ROOM 512

/* Which of both is among the default columns. */
enum shown {
        SHOWN_ID,   /* the field that the twin speaks of */
        SHOWN_TWIN, /* the twin */
        SHOWN_RAW,  /* the field, but the twin if the field's name ends in _raw */
};

static const struct twin_rule {
        const char *ctype;       /* of the twin */
        const char *key;         /* annotation that names it; NULL = none */
        const char *end;         /* of a field's name, and what the twin's has in its place; */
        const char *twin_end;    /* NULL = no such name gives one */
        const char *description; /* NULL = none */
        enum shown shown;
} rules[_ENRICH_MAX] = {
        [ENRICH_USER] = { "user", "uidgidresolver.target", "uid", "user", NULL, SHOWN_ID },
        [ENRICH_GROUP] = { "group", "uidgidresolver.target", "gid", "group", NULL, SHOWN_ID },
        [ENRICH_INTERFACE] = { "interface", NULL, "ifindex", "ifname", "Network interface",
                               SHOWN_RAW },
        [ENRICH_KERNEL_STACK] = { "kernel_stack", "ebpf.formatter.kstack", NULL, NULL,
                                  "Functions of the kernel, the innermost first", SHOWN_TWIN },
};

const char *twin_target_key(enum enrich twin) {
        return rules[twin].key;
}

static bool ends_with(const char *text, const char *end) {
        size_t n = strlen(text), m = strlen(end);

        return n > m && str_eq(text + n - m, end);
}

/* "creds.uid" has "creds.user", "owner_gid" has "owner_group", and "owner_raw" has "owner". False
 * when nothing of this fits. */
static bool name_twin(const struct event_field *f, char out[NAME_ROOM]) {
        const struct twin_rule *rule = &rules[f->twin];
        const char *named = rule->key ? annotations_get(&f->annotations, rule->key) : NULL;
        size_t n = strlen(f->name), n_end = strlen(rule->end ? rule->end : "");

        if (named && named[0] != '\0') {
                snprintf(out, NAME_ROOM, "%s", named);
                return true;
        }
        if (ends_with(f->name, "_raw")) {
                snprintf(out, NAME_ROOM, "%.*s", (int)(n - strlen("_raw")), f->name);
                return true;
        }
        if (!rule->twin_end ||
            (!str_eq(f->name, rule->end) &&
             !(ends_with(f->name, rule->end) && strchr("._", f->name[n - n_end - 1]))))
                return false;
        snprintf(out, NAME_ROOM, "%.*s%s", (int)(n - n_end), f->name, rule->twin_end);
        return true;
}

static bool is_taken(const struct event_type *type, const char *name) {
        for (size_t i = 0; i < type->n_fields; i++)
                if (str_eq(type->fields[i].name, name))
                        return true;
        return false;
}

/* Interfaces have their numbers in a network namespace. */
static uint32_t netns_of(const struct event_type *type) {
        for (size_t i = 0; i < type->n_fields; i++)
                if (str_eq(type->fields[i].ctype, "gadget_netns_id"))
                        return type->fields[i].offset;
        return NO_OFFSET;
}

static const char *last_part(const char *name) {
        const char *dot = strrchr(name, '.');

        return dot ? dot + 1 : name;
}

static int fill_twin(struct event_field *twin, struct event_field *of, const char *name) {
        const struct twin_rule *rule = &rules[of->twin];
        bool is_twin_shown = rule->shown == SHOWN_TWIN ||
                             (rule->shown == SHOWN_RAW && ends_with(of->name, "_raw"));
        int r = 0;

        *twin = (struct event_field){
                .name = strdup(name),
                .ctype = strdup(rule->ctype),
                .kind = FIELD_STR,
                .enrich = of->twin,
                .flags = FIELD_ADDED | (of->flags & FIELD_KEY),
                .offset = of->offset,
                .size = of->size,
                .version_offset = NO_OFFSET,
                .extra_offset = NO_OFFSET,
                .enum_index = -1,
        };
        if (!twin->name || !twin->ctype)
                return -ENOMEM;
        if (rule->description)
                r = annotations_set(&twin->annotations, "description", rule->description);
        if (r == 0 && annotations_get(&of->annotations, "columns.alias"))
                r = annotations_set(&twin->annotations, "columns.alias", last_part(name));
        if (r == 0)
                r = annotations_set(is_twin_shown ? &of->annotations : &twin->annotations,
                                    "columns.hidden", "true");
        return r;
}

int twins_add(struct event_type *type, struct error *err) {
        uint32_t netns = netns_of(type);

        for (size_t i = 0; i < type->n_fields; i++) {
                struct event_field *grown, twin = { 0 };
                char name[NAME_ROOM];

                if (type->fields[i].twin == ENRICH_NONE || !name_twin(&type->fields[i], name))
                        continue;
                if (is_taken(type, name)) {
                        log_debug("'%s' is a field of the gadget's own", name);
                        continue;
                }
                if (type->n_fields == LIMIT_FIELDS_MAX)
                        return error_set(err, ERROR_LIMIT, -E2BIG,
                                         "struct %s has more than %d fields, with the names of ids",
                                         type->name, LIMIT_FIELDS_MAX);
                grown = reallocarray(type->fields, type->n_fields + 1, sizeof(*grown));
                if (!grown)
                        return error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory for fields");
                type->fields = grown;
                if (fill_twin(&twin, &grown[i], name) < 0) {
                        free(twin.name);
                        free(twin.ctype);
                        annotations_done(&twin.annotations);
                        return error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory for fields");
                }
                if (twin.enrich == ENRICH_INTERFACE)
                        twin.extra_offset = netns;
                i++;
                memmove(&grown[i + 1], &grown[i], (type->n_fields - i) * sizeof(*grown));
                grown[i] = twin;
                type->n_fields++;
        }
        return 0;
}
