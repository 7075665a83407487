/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/probes.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "base/parse.h"
#include "gadget/api.h"
#include "worker/container.h"
#include "worker/host.h"
#include "worker/ld-cache.h"
#include "worker/probe-elf.h"
#include "worker/usdt-specs.h"

#define HOOK_MAX 256
#define PLACES_MAX 128
#define HOST 0 /* in the place of a container's mount namespace */

/* A probe in one file. */
struct site {
        uint32_t target;
        size_t n;
        struct {
                uint32_t handle;
                uint32_t spec; /* USDT */
        } * places;
};

struct probe {
        char *program; /* for messages */
        uint32_t handle;
        bool is_return;
        bool is_usdt;
        bool is_optional;
        char **hooks; /* the first that a container has is taken */
        size_t n_hooks;
        struct site *sites;
        size_t n_sites;
};

/* Which container has which file. */
struct use {
        uint32_t target;
        uint64_t mntns;
};

struct change {
        uint64_t mntns;
        uint32_t root; /* number of its root directory; 0 = it has ended, or nobody gets in */
};

static struct {
        struct probe *items;
        size_t n;
        struct use *uses;
        size_t n_uses;
        struct change *known; /* with the root that was looked into */
        size_t n_known;
        struct change *changes;
        size_t n_changes;
        /* The file that was looked for last: probes go into the same ones. */
        char *name;
        uint64_t mntns;
        int result;
        struct host_target target;
} probes = { .target = { .fd = -1 } };

static const char *where(uint64_t mntns, char *text, size_t n) {
        if (mntns == HOST)
                return "the host";
        if (*container_name_of(mntns))
                snprintf(text, n, "container '%.128s'", container_name_of(mntns));
        else
                snprintf(text, n, "the container in mount namespace %" PRIu64, mntns);
        return text;
}

/* --- files --- */

static void forget_file(void) {
        close_fd(&probes.target.fd);
        free(probes.name);
        probes.name = NULL;
}

/* As the dynamic linker does: by the list that ldconfig made, else in the directories that need
 * none. */
static int find_library(uint64_t mntns, const char *name, struct host_target *ret) {
        struct host_target cache;
        struct error err;
        char path[HOOK_MAX], text[160];
        int r;

        r = host_target(mntns, BROKER_TARGET_LD_CACHE, "/etc/ld.so.cache", &cache);
        if (r == 0) {
                r = ld_cache_find(cache.fd, name, path, sizeof(path), &err);
                close_fd(&cache.fd);
                if (r < 0 && r != -ENOENT)
                        log_warning("%s: %s; looking in the usual directories",
                                    where(mntns, text, sizeof(text)), error_text(&err));
        }
        if (r == 0 && host_target(mntns, BROKER_TARGET_ELF, path, ret) == 0)
                return 0;
        return host_target(mntns, BROKER_TARGET_ELF, name, ret);
}

static int find_file(uint64_t mntns, const char *name) {
        if (probes.name && probes.mntns == mntns && str_eq(probes.name, name))
                return probes.result;
        forget_file();
        probes.name = strdup(name);
        if (!probes.name)
                return -ENOMEM;
        probes.mntns = mntns;
        probes.result = strchr(name, '/')
                                ? host_target(mntns, BROKER_TARGET_ELF, name, &probes.target)
                                : find_library(mntns, name, &probes.target);
        return probes.result;
}

/* --- one probe in one file --- */

static int add_place(struct site *site, uint32_t handle, uint32_t spec) {
        void *grown = reallocarray(site->places, site->n + 1, sizeof(*site->places));

        if (!grown)
                return -ENOMEM;
        site->places = grown;
        site->places[site->n].handle = handle;
        site->places[site->n++].spec = spec;
        return 0;
}

static void site_done(const struct probe *p, struct site *site) {
        for (size_t i = 0; i < site->n; i++) {
                host_uprobe_close(site->places[i].handle);
                if (p->is_usdt)
                        usdt_specs_drop(site->places[i].spec);
        }
        free(site->places);
        *site = (struct site){ 0 };
}

static int attach_at(const struct probe *p, struct site *site, struct host_uprobe *at,
                     uint32_t spec, struct error *err) {
        uint32_t handle;
        int r;

        at->prog = p->handle;
        at->target = site->target;
        at->is_return = p->is_return;
        r = host_uprobe_open(at, &handle);
        if (r == -ENOSPC)
                return error_set(err, ERROR_LIMIT, r,
                                 "the gadget has as many probes, maps and programs as it may");
        if (r < 0)
                return error_set(err, ERROR_UNAVAILABLE, r, "the kernel does not take a probe: %s",
                                 strerror(-r));
        r = add_place(site, handle, spec);
        if (r < 0)
                host_uprobe_close(handle);
        return r;
}

/* "SYMBOL+OFFSET"; the offset may be hexadecimal. */
static int attach_function(const struct probe *p, struct site *site, char *symbol,
                           struct error *err) {
        char *plus = strrchr(symbol, '+');
        struct host_uprobe at = { 0 };
        uint64_t offset = 0;
        int r;

        if (plus && isdigit((unsigned char)plus[1])) {
                *plus = '\0';
                if (parse_u64(plus + 1, 0, INT32_MAX, &offset) < 0)
                        return error_set(err, ERROR_INVALID, -EINVAL, "'%s' is no offset",
                                         plus + 1);
        }
        r = probe_elf_function(probes.target.fd, symbol, &at.offset, err);
        at.offset += offset;
        return r < 0 ? r : attach_at(p, site, &at, 0, err);
}

/* "PROVIDER:NAME". */
static int attach_usdt(const struct probe *p, struct site *site, char *provider,
                       struct error *err) {
        cleanup_free struct usdt_place *places = calloc(PLACES_MAX, sizeof(*places));
        char *name = strchr(provider, ':');
        int n, r = 0;

        if (!places || !name)
                return error_set(err, ERROR_INVALID, -EINVAL, "it is no PROVIDER:NAME");
        *name++ = '\0';
        n = probe_elf_usdt(probes.target.fd, provider, name, places, PLACES_MAX, err);
        for (int i = 0; i < n && r == 0; i++) {
                struct host_uprobe at = { .offset = places[i].offset,
                                          .semaphore = (uint32_t)places[i].semaphore,
                                          .has_cookie = true };
                uint32_t spec;

                r = usdt_specs_use(places[i].args, &spec, err);
                if (r < 0)
                        break;
                at.cookie = spec;
                r = attach_at(p, site, &at, spec, err);
                if (r < 0)
                        usdt_specs_drop(spec);
        }
        return n < 0 ? n : r;
}

static bool has_site(const struct probe *p, uint32_t target) {
        for (size_t i = 0; i < p->n_sites; i++)
                if (p->sites[i].target == target)
                        return true;
        return false;
}

static int add_use(uint32_t target, uint64_t mntns) {
        struct use *grown;

        for (size_t i = 0; i < probes.n_uses; i++)
                if (probes.uses[i].target == target && probes.uses[i].mntns == mntns)
                        return 0;
        grown = reallocarray(probes.uses, probes.n_uses + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        probes.uses = grown;
        grown[probes.n_uses++] = (struct use){ target, mntns };
        return 0;
}

static int attach_new(struct probe *p, char *rest, struct error *err) {
        struct site *grown = reallocarray(p->sites, p->n_sites + 1, sizeof(*grown));
        struct site site = { .target = probes.target.id };
        int r;

        if (!grown)
                return -ENOMEM;
        p->sites = grown;
        r = p->is_usdt ? attach_usdt(p, &site, rest, err) : attach_function(p, &site, rest, err);
        if (r < 0)
                site_done(p, &site);
        else
                grown[p->n_sites++] = site;
        return r;
}

/* "FILE:SYMBOL" or "FILE:PROVIDER:NAME" into its parts. */
static char *cut_hook(const struct probe *p, char *hook) {
        char *colon = strrchr(hook, ':');

        if (colon && p->is_usdt) {
                char *last = colon;

                *last = '\0';
                colon = strrchr(hook, ':');
                *last = ':';
        }
        if (!colon || colon == hook || colon[1] == '\0')
                return NULL;
        *colon = '\0';
        return colon + 1;
}

/* In the host or in one container: -ENOENT when it has none of the hooks. */
static int attach_hook(struct probe *p, uint64_t mntns, const char *text, struct error *err) {
        char hook[HOOK_MAX], *rest;
        int r;

        snprintf(hook, sizeof(hook), "%s", text);
        rest = cut_hook(p, hook);
        if (!rest)
                return error_set(err, ERROR_INVALID, -EINVAL, "'%s' is no %s", text,
                                 p->is_usdt ? "PATH:PROVIDER:NAME" : "PATH:SYMBOL");
        r = find_file(mntns, hook);
        if (r == -ENOSPC)
                return error_set(err, ERROR_LIMIT, r, "there are probes in %d files already",
                                 LIMIT_PROBE_FILES_MAX);
        if (r < 0)
                return error_set(err, ERROR_UNAVAILABLE, r, "'%s' cannot be read: %s", hook,
                                 r == -EMEDIUMTYPE ? "it is on a FUSE file system" : strerror(-r));
        r = has_site(p, probes.target.id) ? 0 : attach_new(p, rest, err);
        if (r == 0)
                r = add_use(probes.target.id, mntns);
        return r < 0 ? error_prefix(err, r, "'%.200s'", probes.target.path) : 0;
}

static int attach_in(struct probe *p, uint64_t mntns, struct error *err) {
        int r = -ENOENT;

        for (size_t i = 0; i < p->n_hooks && r < 0; i++) {
                *err = (struct error){ 0 };
                r = attach_hook(p, mntns, p->hooks[i], err);
        }
        return r;
}

static void enter(uint64_t mntns) {
        for (size_t i = 0; i < probes.n; i++) {
                struct error err;
                char text[160];
                int r = attach_in(&probes.items[i], mntns, &err);

                /* Most containers have not every library, and some end while they are looked at. */
                if (r == -ENOENT || r == -ESRCH || r == -ESHUTDOWN)
                        log_debug("%s: program '%s': %s", where(mntns, text, sizeof(text)),
                                  probes.items[i].program, error_text(&err));
                else if (r < 0)
                        log_warning("%s: program '%s': %s; going on without it there",
                                    where(mntns, text, sizeof(text)), probes.items[i].program,
                                    error_text(&err));
        }
        forget_file();
}

static bool is_used(uint32_t target) {
        for (size_t i = 0; i < probes.n_uses; i++)
                if (probes.uses[i].target == target)
                        return true;
        return false;
}

static void leave(uint64_t mntns) {
        for (size_t i = 0; i < probes.n_uses;) {
                if (probes.uses[i].mntns == mntns)
                        probes.uses[i] = probes.uses[--probes.n_uses];
                else
                        i++;
        }
        for (size_t i = 0; i < probes.n; i++) {
                struct probe *p = &probes.items[i];

                for (size_t k = 0; k < p->n_sites;) {
                        if (is_used(p->sites[k].target)) {
                                k++;
                                continue;
                        }
                        site_done(p, &p->sites[k]);
                        p->sites[k] = p->sites[--p->n_sites];
                }
        }
}

/* --- the gadget's --- */

int probes_add(struct gadget *g, const struct attach_plan *plan, struct error *err) {
        struct probe *grown = reallocarray(probes.items, probes.n + 1, sizeof(*grown)), *p;
        int r = 0;

        if (!grown)
                return -ENOMEM;
        probes.items = grown;
        p = &grown[probes.n];
        *p = (struct probe){
                .program = strdup(bpf_program__name(plan->program)),
                .handle = host_object(bpf_program__fd(plan->program)),
                .is_return = str_after(plan->type->section, "uret") != NULL,
                .is_usdt = plan->type->how == PROGRAM_BY_USDT,
                .is_optional = plan->is_optional,
                .hooks = calloc(plan->n_hooks, sizeof(*p->hooks)),
        };
        probes.n++;
        if (!p->program || !p->hooks)
                return -ENOMEM;
        for (; p->n_hooks < plan->n_hooks; p->n_hooks++) {
                p->hooks[p->n_hooks] = strdup(plan->hooks[p->n_hooks]);
                if (!p->hooks[p->n_hooks])
                        return -ENOMEM;
        }
        if (p->is_usdt)
                r = usdt_specs_init(g->object, err);
        return r;
}

static int enter_host(struct error *err) {
        for (size_t i = 0; i < probes.n; i++) {
                struct probe *p = &probes.items[i];
                struct error why;
                int r;

                r = attach_in(p, HOST, &why);
                if (r == 0 || p->n_sites > 0)
                        continue;
                if (!p->is_optional) {
                        *err = why;
                        return error_prefix(err, r, "program '%s'", p->program);
                }
                log_warning("program '%s': %s; going on without it", p->program, error_text(&why));
        }
        forget_file();
        return 0;
}

/* True when this root has not been looked into yet. */
static bool is_new_root(uint64_t mntns, uint32_t root) {
        struct change *grown;

        for (size_t i = 0; i < probes.n_known; i++)
                if (probes.known[i].mntns == mntns) {
                        bool is_new = probes.known[i].root != root;

                        probes.known[i].root = root;
                        return is_new;
                }
        grown = reallocarray(probes.known, probes.n_known + 1, sizeof(*grown));
        if (!grown)
                return true;
        probes.known = grown;
        grown[probes.n_known++] = (struct change){ mntns, root };
        return true;
}

static void forget_root(uint64_t mntns) {
        for (size_t i = 0; i < probes.n_known; i++)
                if (probes.known[i].mntns == mntns) {
                        probes.known[i] = probes.known[--probes.n_known];
                        return;
                }
}

int probes_begin(const struct gadget *g, struct error *err) {
        struct host_container c = { .mntns = UINT64_MAX };

        if (probes.n == 0)
                return 0;
        (void)host_container_next(&c);
        for (c.mntns = HOST; host_container_next(&c) == 0;)
                if (is_new_root(c.mntns, c.root))
                        enter(c.mntns);
        return g->start->is_host_wide ? enter_host(err) : 0;
}

void probes_on_container(uint64_t mntns, uint32_t root) {
        struct change *grown;

        if (probes.n == 0)
                return;
        grown = reallocarray(probes.changes, probes.n_changes + 1, sizeof(*grown));
        if (!grown) {
                log_warning("no memory to take note of a container: no probes go there");
                return;
        }
        probes.changes = grown;
        grown[probes.n_changes++] = (struct change){ mntns, root };
}

bool probes_have_work(void) {
        return probes.n_changes > 0;
}

/* More may come while the broker is asked. */
void probes_update(void) {
        for (size_t i = 0; i < probes.n_changes; i++) {
                struct change change = probes.changes[i];

                if (change.root == 0) {
                        forget_root(change.mntns);
                        leave(change.mntns);
                } else if (is_new_root(change.mntns, change.root)) {
                        enter(change.mntns);
                }
        }
        probes.n_changes = 0;
}

void probes_done(void) {
        forget_file();
        for (size_t i = 0; i < probes.n; i++) {
                struct probe *p = &probes.items[i];

                for (size_t k = 0; k < p->n_sites; k++)
                        free(p->sites[k].places);
                for (size_t k = 0; k < p->n_hooks; k++)
                        free(p->hooks[k]);
                free(p->sites);
                free(p->hooks);
                free(p->program);
        }
        free(probes.items);
        free(probes.uses);
        free(probes.known);
        free(probes.changes);
        usdt_specs_done();
        memset(&probes, 0, sizeof(probes));
        probes.target.fd = -1;
}
