/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/gadget.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/log.h"
#include "gadget/api.h"
#include "worker/attach.h"
#include "worker/buffers.h"
#include "worker/container.h"
#include "worker/elf-check.h"
#include "worker/kernel-enum.h"
#include "worker/probes.h"
#include "worker/sockets-map.h"

#define LOG_LINES_SHOWN 30
#define FILTER_BY_MNTNS "gadget_filter_by_mntns"

/* What libbpf complained about last: it returns an errno, its messages say of what. */
static struct {
        char last[512];    /* last warning, one line */
        char program[128]; /* program named by the last warning that names one */
} complaints;

static int on_libbpf_message(enum libbpf_print_level level, const char *fmt, va_list args) {
        static const char before_name[] = "libbpf: prog '";
        char text[sizeof(complaints.last)];
        size_t n;

        vsnprintf(text, sizeof(text), fmt, args);
        text[strcspn(text, "\n")] = '\0';
        log_debug("%s", text);
        if (level != LIBBPF_WARN || text[0] == '\0')
                return 0;
        n = strlen(before_name);
        if (strncmp(text, before_name, n) == 0)
                snprintf(complaints.program, sizeof(complaints.program), "%.*s",
                         (int)strcspn(text + n, "'"), text + n);
        snprintf(complaints.last, sizeof(complaints.last), "%s",
                 str_after(text, "libbpf: ") ?: text);
        return 0;
}

/* A read-only private view of a sealed memfd. */
static int map_file(int fd, size_t max, struct bytes *ret) {
        struct stat st;
        void *p;

        *ret = (struct bytes){ 0 };
        if (fd < 0)
                return 0;
        if (fstat(fd, &st) < 0)
                return -errno;
        if ((uint64_t)st.st_size > max)
                return -EFBIG;
        if (st.st_size == 0)
                return 0;
        p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
                return -errno;
        *ret = BYTES(p, (size_t)st.st_size);
        return 0;
}

static void unmap_file(struct bytes *b) {
        if (b->data)
                munmap((void *)(uintptr_t)b->data, b->len);
        *b = (struct bytes){ 0 };
}

static int open_object(struct gadget *g, struct error *err) {
        cleanup(unmap_file) struct bytes object = { 0 };
        LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "gadget");
        struct bpf_map *map;
        int r;

        r = map_file(g->start->object_fd, LIMIT_OBJECT_SIZE_MAX, &object);
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "cannot read the eBPF object");
        r = elf_check(object, err);
        if (r < 0)
                return r;
        libbpf_set_print(on_libbpf_message);
        g->object = bpf_object__open_mem(object.data, object.len, &opts);
        if (!g->object)
                return error_set(err, ERROR_INVALID, -errno,
                                 "libbpf cannot read the eBPF object: %s",
                                 complaints.last[0] ? complaints.last : strerror(errno));
        /* Nothing of a gadget outlives it, and two gadgets share nothing. */
        bpf_object__for_each_map(map, g->object) {
                if (bpf_map__pin_path(map))
                        log_info("map '%s' is not pinned: gadgets share no maps",
                                 bpf_map__name(map));
                (void)bpf_map__set_pin_path(map, NULL);
        }
        return 0;
}

static int open_definition(struct gadget *g, struct error *err) {
        cleanup(unmap_file) struct bytes text = { 0 };
        int r;

        r = map_file(g->start->definition_fd, LIMIT_DEFINITION_SIZE_MAX, &text);
        if (r < 0)
                return error_set(err, ERROR_LIMIT, r,
                                 "cannot read '%s', or it has more than %d bytes",
                                 g->start->definition_name, LIMIT_DEFINITION_SIZE_MAX);
        return definition_init(&g->definition, g->start->definition_name, text, err);
}

/* perf_event/NAME is known by NAME as well as by its function. */
static bool is_sampler(const struct gadget *g, const char *name) {
        struct bpf_program *program;

        bpf_object__for_each_program(program, g->object) {
                const char *rest = str_after(bpf_program__section_name(program), "perf_event/");

                if (rest && str_eq(rest, name))
                        return true;
        }
        return false;
}

/* The definition's programs must exist. */
static int check_programs(const struct gadget *g, struct error *err) {
        for (size_t i = 0; i < g->definition.n_programs; i++) {
                const struct definition_program *p = &g->definition.programs[i];

                if (!bpf_object__find_program_by_name(g->object, p->name) &&
                    !is_sampler(g, p->name))
                        return definition_error(p->node, err, NULL,
                                                "the object has no program '%.64s'", p->name);
        }
        return 0;
}

int gadget_open(struct gadget *g, const struct host_start *start, struct error *err) {
        int r;

        *g = (struct gadget){ .start = start };
        r = open_object(g, err);
        if (r == 0)
                r = open_definition(g, err);
        if (r == 0)
                r = gadget_find_sources(g, err);
        if (r == 0)
                r = gadget_describe(g, err);
        if (r == 0)
                r = kernel_enums_apply(&g->enums, err);
        for (size_t i = 0; r == 0 && i < g->n_sources; i++)
                if (container_add_fields(g->sources[i].type, !start->is_host_wide) < 0)
                        r = error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory for fields");
        if (r == 0)
                r = params_init(&g->params, g->object, &g->definition, err);
        return r < 0 ? r : check_programs(g, err);
}

static int reopen(struct gadget *g, struct error *err) {
        const struct host_start *start = g->start;

        gadget_done(g);
        return gadget_open(g, start, err);
}

/* --- the verifier's word --- */

static bool is_line_of(const char *line, const char *begin) {
        return strncmp(line, begin, strlen(begin)) == 0;
}

/* The last line that says why, and the last lines in all. The log is cut into lines in place. */
static void read_verifier_log(char *log, char *reason, size_t room, char **ret_detail) {
        char *shown = log + strlen(log);
        unsigned int lines = 0;

        while (shown > log && (shown[-1] == '\n'))
                *--shown = '\0';
        while (shown > log) {
                if (shown[-1] == '\n' && ++lines == LOG_LINES_SHOWN)
                        break;
                shown--;
        }
        if (strlen(shown) > LIMIT_ERROR_DETAIL_MAX - 1)
                shown += strlen(shown) - (LIMIT_ERROR_DETAIL_MAX - 1);
        *ret_detail = strdup(shown);
        reason[0] = '\0';
        for (char *line = strtok(shown, "\n"); line; line = strtok(NULL, "\n"))
                if (!is_line_of(line, "processed ") && !is_line_of(line, "verification time") &&
                    !is_line_of(line, "stack depth"))
                        snprintf(reason, room, "%s", line);
}

static const struct attach_plan *plan_of(const struct gadget *g, const char *program) {
        for (size_t i = 0; i < g->n_plans; i++)
                if (str_eq(bpf_program__name(g->plans[i].program), program))
                        return &g->plans[i];
        return NULL;
}

static int explain_load(const struct gadget *g, int r, char *log, char **ret_detail,
                        struct error *err) {
        const char *program = complaints.program[0] ? complaints.program : "(unknown)";
        const struct attach_plan *plan = plan_of(g, program);
        char reason[160];

        if (log[0] != '\0') {
                read_verifier_log(log, reason, sizeof(reason), ret_detail);
                return error_set(err, ERROR_INVALID, r,
                                 "the kernel's verifier refused program '%s': %s", program, reason);
        }
        /* The kernel says no more of a type that it has not heard of. */
        if (r == -EINVAL && plan)
                return error_set(err, ERROR_UNAVAILABLE, r,
                                 "program '%s': this kernel does not load a program of section "
                                 "'%s', which takes Linux %s or later: %s",
                                 program, plan->type->section, plan->type->since, complaints.last);
        if (g->start->btf_fd < 0)
                return error_set(err, ERROR_UNAVAILABLE, r,
                                 "this kernel has no BTF (/sys/kernel/btf/vmlinux), which the "
                                 "gadget needs: %s",
                                 complaints.last);
        return error_set(err, r == -EPERM ? ERROR_DENIED : ERROR_UNAVAILABLE, r,
                         "the gadget cannot be loaded: %s",
                         complaints.last[0] ? complaints.last : strerror(-r));
}

static int check_options(const struct gadget *g, struct error *err) {
        struct run_source sources[LIMIT_STREAMS_MAX];

        for (size_t i = 0; i < g->n_sources; i++)
                sources[i] = (struct run_source){ g->sources[i].name, g->sources[i].kind };
        return run_options_check(&g->options, sources, g->n_sources, false, err);
}

/* --iface is for programs that go to an interface. */
static int check_iface(const struct gadget *g, struct error *err) {
        if (!g->options.values[RUN_OPTION_IFACE])
                return 0;
        for (size_t i = 0; i < g->n_plans; i++)
                if (g->plans[i].type->how == PROGRAM_BY_SOCKET ||
                    g->plans[i].type->how == PROGRAM_BY_INTERFACE)
                        return 0;
        return error_set(err, ERROR_USAGE, -EINVAL,
                         "iface: no program of the gadget is attached to a network interface");
}

/* What is done with the maps, by what the object's sections say of their use. */
static int with_object(struct gadget *g,
                       int (*prepare)(struct gadget *g, struct bytes object, struct error *err),
                       struct error *err) {
        cleanup(unmap_file) struct bytes object = { 0 };
        int r = map_file(g->start->object_fd, LIMIT_OBJECT_SIZE_MAX, &object);

        return r < 0 ? error_set(err, ERROR_INTERNAL, r, "cannot read the eBPF object")
                     : prepare(g, object, err);
}

static int load_once(struct gadget *g, char **ret_detail, struct error *err) {
        struct bpf_program *program;
        char *log;
        int r;

        /* Inspecting asks what there is: nothing need be given. */
        if (!g->start->inspect || g->start->params.len > 0) {
                r = params_apply(&g->params, g->start->params, &g->options, err);
                if (r == 0)
                        r = check_options(g, err);
                if (r < 0)
                        return r;
        }
        if (!g->start->is_host_wide) {
                r = params_set_flag(g->object, FILTER_BY_MNTNS, true);
                if (r < 0)
                        return error_set(err, ERROR_INVALID, r,
                                         "variable '%s' lies outside of its section",
                                         FILTER_BY_MNTNS);
        }
        r = with_object(g, sockets_map_prepare, err);
        if (r == 0)
                r = buffers_choose(g, err);
        if (r == 0)
                r = attach_prepare(g, err);
        if (r == 0)
                r = check_iface(g, err);
        if (r == 0)
                r = with_object(g, map_sizes_apply, err);
        if (r < 0)
                return r;
        memset(&complaints, 0, sizeof(complaints));
        /* Untouched until the verifier refuses a program: libbpf asks for its log only then. */
        log = mmap(NULL, LIMIT_VERIFIER_LOG_MAX, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (log == MAP_FAILED)
                return error_set(err, ERROR_INTERNAL, -errno, "no memory for the verifier's log");
        bpf_object__for_each_program(program, g->object)(void)
                bpf_program__set_log_buf(program, log, LIMIT_VERIFIER_LOG_MAX);
        r = bpf_object__load(g->object);
        if (r < 0)
                r = explain_load(g, r, log, ret_detail, err);
        bpf_object__for_each_program(program, g->object)(void)
                bpf_program__set_log_buf(program, NULL, 0);
        munmap(log, LIMIT_VERIFIER_LOG_MAX);
        return r;
}

/* The optional program that the kernel has just refused, or NULL. */
static const char *refused_program(const struct gadget *g) {
        const struct attach_plan *plan = plan_of(g, complaints.program);

        return plan && plan->is_optional && bpf_program__autoload(plan->program)
                       ? complaints.program
                       : NULL;
}

/* Opens the object anew, which libbpf loads once only, with one more program left out. */
static int open_without(struct gadget *g, const char *name, struct error *err) {
        char **refused = reallocarray(g->refused, g->n_refused + 1, sizeof(*refused));
        size_t n = g->n_refused;
        int r;

        if (!refused || !(refused[n] = strdup(name))) {
                g->refused = refused ?: g->refused;
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory for a program's name");
        }
        g->refused = NULL;
        g->n_refused = 0;
        r = reopen(g, err);
        g->refused = refused;
        g->n_refused = n + 1;
        for (size_t i = 0; r == 0 && i < g->n_refused; i++)
                bpf_program__set_autoload(bpf_object__find_program_by_name(g->object, refused[i]),
                                          false);
        return r;
}

int gadget_load(struct gadget *g, char **ret_detail, struct error *err) {
        for (;;) {
                cleanup_free char *detail = NULL;
                const char *name;
                int r;

                r = load_once(g, &detail, err);
                name = r < 0 && r != -ENOMEM ? refused_program(g) : NULL;
                if (!name) {
                        *ret_detail = TAKE_PTR(detail);
                        return r;
                }
                log_warning("%s; going on without it", error_text(err));
                *err = (struct error){ 0 };
                r = open_without(g, name, err);
                if (r < 0)
                        return r;
        }
}

static int explain_attach(const struct attach_plan *plan, int r, struct error *err) {
        const char *section = attach_describe(plan), *name = bpf_program__name(plan->program);

        switch (-r) {
        case ENOENT:
        case ESRCH:
                return error_set(err, ERROR_UNAVAILABLE, r,
                                 "program '%s': this kernel has no hook '%s'", name, section);
        case EOPNOTSUPP:
        case EINVAL:
                /* The kernel says no more of what it has not heard of. */
                if (plan->type->how > PROGRAM_BY_LIBBPF)
                        return error_set(err, ERROR_UNAVAILABLE, r,
                                         "program '%s': this kernel cannot attach it to '%s', "
                                         "which takes Linux %s or later",
                                         name, plan->type->section, plan->type->since);
                return error_set(err, ERROR_UNAVAILABLE, r,
                                 "program '%s': cannot be attached to '%s': %s", name, section,
                                 complaints.last[0] ? complaints.last : strerror(-r));
        case E2BIG:
                return error_set(
                        err, ERROR_LIMIT, r,
                        "program '%s': hook '%s' has as many programs as the kernel allows", name,
                        section);
        default:
                return error_set(err, r == -EPERM ? ERROR_DENIED : ERROR_UNAVAILABLE, r,
                                 "program '%s': cannot be attached to '%s': %s", name, section,
                                 strerror(-r));
        }
}

/* An optional program that cannot be attached is a note. */
int gadget_attach(struct gadget *g, struct error *err) {
        for (size_t i = 0; i < g->n_plans; i++) {
                const struct attach_plan *plan = &g->plans[i];
                struct error why = { 0 };
                int r;

                if (!bpf_program__autoload(plan->program))
                        continue;
                complaints.last[0] = '\0';
                r = attach_program(g, plan, &why);
                if (r < 0 && why.code == ERROR_NONE)
                        r = explain_attach(plan, r, &why);
                if (r < 0 && !plan->is_optional) {
                        *err = why;
                        return r;
                }
                if (r < 0)
                        log_warning("%s; going on without it", error_text(&why));
        }
        return probes_begin(g, err);
}

struct bpf_link *gadget_link_of(const struct gadget *g, const struct bpf_program *program) {
        for (size_t i = 0; i < g->n_links; i++)
                if (g->linked[i] == program)
                        return g->links[i];
        return NULL;
}

/* "operator.oci.ebpf.map-fetch-interval": what is behind the last dot names the option. */
static const char *definition_default(const struct definition *d, enum run_option option) {
        for (size_t i = 0; i < d->param_defaults.n; i++) {
                const char *key = d->param_defaults.items[i].key, *dot = strrchr(key, '.');
                enum run_option named;

                if (run_option_from_key(dot ? dot + 1 : key, &named) && named == option)
                        return d->param_defaults.items[i].value;
        }
        return NULL;
}

int gadget_option(const struct gadget *g, const struct source *source, enum run_option option,
                  char **ret, struct error *err) {
        const char *names[LIMIT_STREAMS_MAX];
        const char *text = NULL;
        int r;

        for (size_t i = 0; i < g->n_sources; i++)
                names[i] = g->sources[i].name;
        r = run_options_for_source(&g->options, option, source->name, names, g->n_sources, ret);
        if (r == 0 && !*ret && option == RUN_OPTION_INTERVAL)
                text = annotations_get(&source->annotations, "fetch-interval");
        if (r == 0 && !*ret && option == RUN_OPTION_COUNT)
                text = annotations_get(&source->annotations, "fetch-count");
        if (r == 0 && !*ret && !text)
                text = definition_default(&g->definition, option);
        if (text && !(*ret = strdup(text)))
                r = -ENOMEM;
        return r < 0 ? error_set(err, ERROR_INTERNAL, r, "no memory for the run's options") : 0;
}

void gadget_declare_hooks(const struct gadget *g) {
        struct bpf_program *program;

        bpf_object__for_each_program(program, g->object) if (bpf_program__autoload(program))
                host_declare_hook(bpf_program__section_name(program));
}

void gadget_forget(struct gadget *g) {
        for (size_t i = 0; i < g->n_links; i++)
                bpf_link__disconnect(g->links[i]);
        gadget_done(g);
}

void gadget_done(struct gadget *g) {
        for (size_t i = 0; i < g->n_links; i++)
                bpf_link__destroy(g->links[i]);
        free(g->links);
        free(g->linked);
        attach_done(g);
        for (size_t i = 0; i < g->n_sources; i++) {
                free(g->sources[i].name);
                annotations_done(&g->sources[i].annotations);
                event_type_free(g->sources[i].type);
        }
        free(g->sources);
        type_enums_done(&g->enums);
        params_done(&g->params);
        run_options_done(&g->options);
        bpf_object__close(g->object);
        definition_done(&g->definition);
        for (size_t i = 0; i < g->n_refused; i++)
                free(g->refused[i]);
        free(g->refused);
        *g = (struct gadget){ 0 };
}
