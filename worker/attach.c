/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/attach.h"

#include <bpf/btf.h>
#include <ctype.h>
#include <stdio.h>

#include "base/log.h"
#include "base/parse.h"
#include "gadget/api.h"
#include "worker/probes.h"

#define TARGET_OF_ITER "gadget_mapelem_iter_target_"
#define TARGET_OF_SOCKETS "gadget_sk_prog_target_"
#define HOOK_MAX 256

#define ROW(_section, _type, _attach_type, _trust, _how, _since, _needs, _test, _tested, _note)    \
        { _section,                                                                                \
          BPF_PROG_TYPE_##_type,                                                                   \
          (enum bpf_attach_type)(_attach_type),                                                    \
          PROGRAM_##_trust,                                                                        \
          PROGRAM_BY_##_how,                                                                       \
          _since,                                                                                  \
          _note },
static const struct program_type types[] = { GADGET_PROGRAM_TYPES(ROW) };
#undef ROW

const struct program_type *program_type_of(const char *section, const char **ret_rest) {
        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
                size_t n = strcspn(types[i].section, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
                const char *author = types[i].section + n, *rest = section + n;

                if (strncmp(types[i].section, section, n) != 0 || !*author != !*rest)
                        continue;
                if (str_eq(author, "N") && rest[strspn(rest, "0123456789")] != '\0')
                        continue;
                *ret_rest = rest;
                return &types[i];
        }
        return NULL;
}

/* --- before the object is loaded --- */

/* By its own name, or by that behind perf_event/. */
static const struct definition_program *
find_definition(const struct gadget *g, const struct bpf_program *program, const char *rest) {
        for (size_t i = 0; i < g->definition.n_programs; i++) {
                const struct definition_program *d = &g->definition.programs[i];

                if (str_eq(d->name, bpf_program__name(program)) || str_eq(d->name, rest))
                        return d;
        }
        return NULL;
}

static int check_type(const struct bpf_program *program, const struct program_type *type,
                      struct error *err) {
        const char *name = bpf_program__name(program),
                   *section = bpf_program__section_name(program);

        if (!type)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "program '%.64s': there is no type of program for section "
                                 "'%.64s'",
                                 name, section);
        if (type->trust == PROGRAM_NEVER)
                return error_set(err, ERROR_DENIED, -EPERM,
                                 "program '%.64s' is of a type that gadgets are not given ('%s'): "
                                 "%s",
                                 name, type->section, type->note);
        return 0;
}

/* Sections of our own, which libbpf has never heard of; for the others it says what is known. */
static int set_type(const struct attach_plan *plan) {
        const struct program_type *type = plan->type;
        /* A tc program is loaded without saying where it goes, as before there were links for it.
         */
        bool says_where = type->type != BPF_PROG_TYPE_SCHED_CLS;
        int r;

        if (type->how < PROGRAM_BY_SAMPLING || type->type == BPF_PROG_TYPE_LSM)
                return 0;
        r = bpf_program__set_type(plan->program, type->type);
        if (r < 0)
                return r;
        return bpf_program__set_expected_attach_type(plan->program,
                                                     says_where ? type->attach_type : 0);
}

/* What is attached by a BTF id is chosen now: the first that the kernel's BTF has. */
static int choose_by_btf(const struct attach_plan *plan) {
        int r = -ENOENT;

        if (!(plan->definition && (plan->definition->attach_to || plan->is_optional)))
                return 0;
        for (size_t i = 0; r < 0 && i < plan->n_hooks; i++)
                r = bpf_program__set_attach_target(plan->program, 0, plan->hooks[i]);
        return r;
}

static int no_hook(const struct gadget *g, const struct attach_plan *plan, int r,
                   struct error *err) {
        if (!plan->is_optional)
                return error_set(err, ERROR_UNAVAILABLE, r,
                                 "program '%.64s': this kernel has no hook '%s'",
                                 bpf_program__name(plan->program), attach_describe(plan));
        /* Said once, also when the object is opened again. */
        if (g->n_refused == 0)
                log_warning("program '%.64s': this kernel has no hook '%s', going on without it",
                            bpf_program__name(plan->program), attach_describe(plan));
        bpf_program__set_autoload(plan->program, false);
        return 0;
}

static int prepare_one(struct gadget *g, struct attach_plan *plan, struct error *err) {
        const char *rest = "";
        int r;

        plan->type = program_type_of(bpf_program__section_name(plan->program), &rest);
        r = check_type(plan->program, plan->type, err);
        if (r < 0)
                return r;
        plan->definition = find_definition(g, plan->program, rest);
        plan->is_optional = plan->definition && plan->definition->is_optional;
        r = set_type(plan);
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "libbpf does not take the type of '%.64s'",
                                 bpf_program__name(plan->program));
        r = attach_find_hooks(g, plan, rest, err);
        if (r == -ENOMEM)
                return error_set(err, ERROR_INTERNAL, r, "no memory for the gadget's programs");
        if (r < 0)
                return r;
        if (plan->n_hooks == 0)
                return bpf_program__set_autoload(plan->program, false);
        if (plan->type->how == PROGRAM_BY_BTF) {
                r = choose_by_btf(plan);
                if (r < 0)
                        return no_hook(g, plan, r, err);
        }
        return 0;
}

int attach_prepare(struct gadget *g, struct error *err) {
        struct bpf_program *program;
        size_t n = 0;

        bpf_object__for_each_program(program, g->object) n++;
        g->plans = calloc(n ? n : 1, sizeof(*g->plans));
        if (!g->plans)
                return error_set(err, ERROR_INTERNAL, -ENOMEM,
                                 "no memory for the gadget's programs");
        bpf_object__for_each_program(program, g->object) {
                struct attach_plan *plan = &g->plans[g->n_plans];
                int r;

                if (!bpf_program__autoload(program))
                        continue;
                g->n_plans++;
                plan->program = program;
                r = prepare_one(g, plan, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

void attach_done(struct gadget *g) {
        for (size_t i = 0; i < g->n_plans; i++) {
                for (size_t k = 0; k < g->plans[i].n_hooks; k++)
                        free(g->plans[i].hooks[k]);
                free(g->plans[i].hooks);
        }
        free(g->plans);
        g->plans = NULL;
        g->n_plans = 0;
}

const char *attach_describe(const struct attach_plan *plan) {
        static char text[256];
        size_t n = 0;

        text[0] = '\0';
        for (size_t i = 0; i < plan->n_hooks && n < sizeof(text); i++)
                n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i ? "', '" : "",
                                      plan->hooks[i]);
        return text[0] ? text : bpf_program__section_name(plan->program);
}

/* --- attaching --- */

int attach_add_link(struct gadget *g, struct bpf_program *program, struct bpf_link *take_link) {
        struct bpf_link **links = reallocarray(g->links, g->n_links + 1, sizeof(*links));
        struct bpf_program **linked;

        g->links = links ?: g->links;
        linked = links ? reallocarray(g->linked, g->n_links + 1, sizeof(*linked)) : NULL;
        g->linked = linked ?: g->linked;
        if (!linked) {
                bpf_link__destroy(take_link);
                return -ENOMEM;
        }
        links[g->n_links] = take_link;
        linked[g->n_links++] = program;
        return 0;
}

/* The map that a variable of the object names for the program: "PREFIX_PROGRAM___MAP". */
static struct bpf_map *find_target_map(const struct gadget *g, const struct bpf_program *program,
                                       const char *prefix) {
        const struct btf *btf = bpf_object__btf(g->object);

        for (uint32_t id = 1; id < btf__type_cnt(btf); id++) {
                const struct btf_type *t = btf__type_by_id(btf, id);
                const char *rest;

                if (!btf_is_var(t))
                        continue;
                rest = str_after(btf__name_by_offset(btf, t->name_off), prefix);
                rest = rest ? str_after(rest, bpf_program__name(program)) : NULL;
                rest = rest ? str_after(rest, "___") : NULL;
                if (rest)
                        return bpf_object__find_map_by_name(g->object, rest);
        }
        return NULL;
}

static int no_target_map(const struct bpf_program *program, const char *macro, struct error *err) {
        return error_set(err, ERROR_INVALID, -EINVAL,
                         "program '%.64s' needs %s with a map of the object",
                         bpf_program__name(program), macro);
}

static struct bpf_link *attach_iter(struct gadget *g, const struct attach_plan *plan,
                                    struct error *err) {
        union bpf_iter_link_info info = { 0 };
        LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));
        struct bpf_map *map;

        if (!str_eq(plan->hooks[0], "bpf_map_elem"))
                return bpf_program__attach_iter(plan->program, NULL);
        map = find_target_map(g, plan->program, TARGET_OF_ITER);
        if (!map) {
                errno = -no_target_map(plan->program, "GADGET_ITER_TARGET_MAP", err);
                return NULL;
        }
        info.map.map_fd = (uint32_t)bpf_map__fd(map);
        return bpf_program__attach_iter(plan->program, &opts);
}

static bool is_return(const struct attach_plan *plan) {
        return str_after(plan->type->section, "kret") || str_after(plan->type->section, "uret");
}

/* "name+offset" into its parts; the offset may be hexadecimal. */
static int cut_offset(char *hook, uint64_t *ret_offset) {
        char *plus = strrchr(hook, '+');

        *ret_offset = 0;
        if (!plus || !isdigit((unsigned char)plus[1]))
                return 0;
        *plus = '\0';
        return parse_u64(plus + 1, 0, INT64_MAX, ret_offset);
}

static struct bpf_link *invalid(void) {
        errno = EINVAL;
        return NULL;
}

static struct bpf_link *attach_probe(const struct attach_plan *plan, char *hook) {
        LIBBPF_OPTS(bpf_kprobe_opts, opts, .retprobe = is_return(plan));
        uint64_t offset;

        if (cut_offset(hook, &offset) < 0)
                return invalid();
        opts.offset = offset;
        return bpf_program__attach_kprobe_opts(plan->program, hook, &opts);
}

static struct bpf_link *attach_syscall(const struct attach_plan *plan, char *hook) {
        LIBBPF_OPTS(bpf_ksyscall_opts, opts, .retprobe = is_return(plan));

        return bpf_program__attach_ksyscall(plan->program, hook, &opts);
}

static struct bpf_link *attach_tracepoint(const struct attach_plan *plan, char *hook) {
        char *slash = strchr(hook, '/');

        if (!slash)
                return invalid();
        *slash = '\0';
        return bpf_program__attach_tracepoint(plan->program, hook, slash + 1);
}

static struct bpf_link *attach_by_libbpf(struct gadget *g, const struct attach_plan *plan,
                                         char *hook, struct error *err) {
        switch (plan->type->how) {
        case PROGRAM_BY_PROBE:
                return attach_probe(plan, hook);
        case PROGRAM_BY_SYSCALL:
                return attach_syscall(plan, hook);
        case PROGRAM_BY_TRACEPOINT:
                return attach_tracepoint(plan, hook);
        case PROGRAM_BY_RAW_TRACEPOINT:
                return bpf_program__attach_raw_tracepoint(plan->program, hook);
        case PROGRAM_BY_BTF:
                return bpf_program__attach(plan->program);
        case PROGRAM_BY_ITER:
                return attach_iter(g, plan, err);
        case PROGRAM_BY_UPROBE:
        case PROGRAM_BY_USDT:
        case PROGRAM_BY_NOTHING:
        case PROGRAM_BY_SAMPLING:
        case PROGRAM_BY_SOCKET:
        case PROGRAM_BY_INTERFACE:
        case PROGRAM_BY_CGROUP:
        case PROGRAM_BY_NETNS:
        case PROGRAM_BY_SOCKET_MAP:
        case PROGRAM_BY_PATTERN:
        case PROGRAM_BY_NETFILTER:
        case _PROGRAM_HOW_MAX:
                break;
        }
        return invalid();
}

/* The first hook that this kernel has. */
static int attach_first(struct gadget *g, const struct attach_plan *plan, struct error *err) {
        int r = -ENOENT;

        for (size_t i = 0; i < plan->n_hooks; i++) {
                cleanup_free char *hook = strdup(plan->hooks[i]);
                struct bpf_link *link;

                if (!hook)
                        return -ENOMEM;
                link = attach_by_libbpf(g, plan, hook, err);
                if (link)
                        return attach_add_link(g, plan->program, link);
                r = -errno;
                if (r != -ENOENT && r != -ESRCH)
                        return r;
        }
        return r;
}

/* --- places of the host, which the broker attaches to --- */

static int attach_place(const struct attach_plan *plan, const char *name) {
        return host_attach(&(struct host_place){
                .prog_fd = bpf_program__fd(plan->program),
                .attach_type = plan->type->attach_type,
                .is_return = is_return(plan),
                .map_fd = -1,
                .name = name,
        });
}

/* The first that this kernel has. */
static int attach_hooks(const struct attach_plan *plan, struct error *err) {
        int r = -ENOENT;

        for (size_t i = 0; r == -ENOENT && i < plan->n_hooks; i++) {
                if (!*plan->hooks[i])
                        return error_set(err, ERROR_INVALID, -EINVAL,
                                         "program '%.64s': section '%s' does not say where; "
                                         "programs.%.64s.attach_to in gadget.yaml can",
                                         bpf_program__name(plan->program), plan->type->section,
                                         bpf_program__name(plan->program));
                r = attach_place(plan, plan->hooks[i]);
                if (r == -E2BIG)
                        return error_set(err, ERROR_LIMIT, r,
                                         "program '%.64s': more than %d functions match '%s'",
                                         bpf_program__name(plan->program),
                                         LIMIT_PROBE_FUNCTIONS_MAX, plan->hooks[i]);
        }
        return r;
}

static int attach_socket_map(struct gadget *g, const struct attach_plan *plan, struct error *err) {
        struct bpf_map *map = find_target_map(g, plan->program, TARGET_OF_SOCKETS);

        if (!map)
                return no_target_map(plan->program, "GADGET_SK_TARGET_MAP", err);
        return host_attach(&(struct host_place){
                .prog_fd = bpf_program__fd(plan->program),
                .attach_type = plan->type->attach_type,
                .map_fd = bpf_map__fd(map),
                .name = "",
        });
}

/* Each of --iface a,b. */
static int attach_interfaces(struct gadget *g, const struct attach_plan *plan, struct error *err) {
        const char *list = g->options.values[RUN_OPTION_IFACE];
        const char *name = bpf_program__name(plan->program);
        int r = 0;

        if (!list || !*list) {
                if (plan->type->type != BPF_PROG_TYPE_XDP)
                        return attach_place(plan, "");
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "program '%.64s' is attached to a network interface: --iface must "
                                 "say which",
                                 name);
        }
        while (r == 0 && *list) {
                char interface[64];
                size_t n = strcspn(list, ",");

                snprintf(interface, sizeof(interface), "%.*s", (int)MIN(n, (size_t)63), list);
                r = attach_place(plan, interface);
                if (r == -ENODEV)
                        return error_set(err, ERROR_INVALID, r,
                                         "program '%.64s': there is no interface '%s'", name,
                                         interface);
                list += n + (list[n] == ',');
        }
        return r;
}

int attach_program(struct gadget *g, const struct attach_plan *plan, struct error *err) {
        switch (plan->type->how) {
        case PROGRAM_BY_SAMPLING:
                return attach_sampling(g, plan, err);
        case PROGRAM_BY_SOCKET:
        case PROGRAM_BY_INTERFACE:
                return attach_interfaces(g, plan, err);
        case PROGRAM_BY_CGROUP:
        case PROGRAM_BY_NETNS:
                return attach_place(plan, "");
        case PROGRAM_BY_UPROBE:
        case PROGRAM_BY_USDT:
                return probes_add(g, plan, err);
        case PROGRAM_BY_SOCKET_MAP:
                return attach_socket_map(g, plan, err);
        case PROGRAM_BY_PATTERN:
        case PROGRAM_BY_NETFILTER:
                return attach_hooks(plan, err);
        case PROGRAM_BY_NOTHING:
        case PROGRAM_BY_PROBE:
        case PROGRAM_BY_SYSCALL:
        case PROGRAM_BY_TRACEPOINT:
        case PROGRAM_BY_RAW_TRACEPOINT:
        case PROGRAM_BY_BTF:
        case PROGRAM_BY_ITER:
        case _PROGRAM_HOW_MAX:
                break;
        }
        return attach_first(g, plan, err);
}
