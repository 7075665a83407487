/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of the kernel by a pattern, for programs that are attached to many of them at once
 * (kprobe.multi). The names are the kernel's own, from the list of what it can trace; a pattern
 * that matches too many would slow the host down, and is refused.
 */
#include <fcntl.h>
#include <stdio.h>

#include "broker/bpf.h"
#include "broker/place.h"

#define FUNCTIONS "available_filter_functions"
/* Stands in the list for a function that is not there any more. */
#define NO_FUNCTION "__ftrace_invalid_address__"

struct names {
        char **items;
        size_t n;
};

static void names_done(struct names *names) {
        for (size_t i = 0; i < names->n; i++)
                free(names->items[i]);
        free(names->items);
        *names = (struct names){ 0 };
}

/* '*' is any text, '?' any letter. Without recursion: a pattern cannot make it slow. */
bool functions_match(const char *pattern, const char *name) {
        const char *star = NULL, *again = NULL;

        while (*name) {
                if (*pattern == '*') {
                        star = pattern++;
                        again = name;
                } else if (*pattern == '?' || *pattern == *name) {
                        pattern++;
                        name++;
                } else if (star) {
                        pattern = star + 1;
                        name = ++again;
                } else {
                        return false;
                }
        }
        return pattern[strspn(pattern, "*")] == '\0';
}

static int add_name(struct names *names, const char *name) {
        char **grown;

        if (names->n == LIMIT_PROBE_FUNCTIONS_MAX)
                return -E2BIG;
        grown = reallocarray(names->items, names->n + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        names->items = grown;
        grown[names->n] = strdup(name);
        if (!grown[names->n])
                return -ENOMEM;
        names->n++;
        return 0;
}

static int compare(const void *a, const void *b) {
        return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Static functions share names; the kernel takes the first of each, and wants none twice. */
static void remove_doubles(struct names *names) {
        size_t n = 0;

        qsort(names->items, names->n, sizeof(*names->items), compare);
        for (size_t i = 0; i < names->n; i++) {
                if (n > 0 && str_eq(names->items[n - 1], names->items[i]))
                        free(names->items[i]);
                else
                        names->items[n++] = names->items[i];
        }
        names->n = n;
}

static int find(int tracefs_fd, const char *pattern, struct names *names) {
        int fd = tracefs_fd < 0 ? -1 : openat(tracefs_fd, FUNCTIONS, O_RDONLY | O_CLOEXEC), r = 0;
        char line[512];
        FILE *list;

        if (fd < 0)
                return -EOPNOTSUPP;
        list = fdopen(fd, "r");
        if (!list) {
                close(fd);
                return -ENOMEM;
        }
        while (r == 0 && fgets(line, sizeof(line), list)) {
                /* "name [module]" */
                line[strcspn(line, " \t\n")] = '\0';
                if (!str_after(line, NO_FUNCTION) && functions_match(pattern, line))
                        r = add_name(names, line);
        }
        fclose(list);
        if (r == 0 && names->n == 0)
                r = -ENOENT;
        if (r == 0)
                remove_doubles(names);
        return r;
}

int link_functions(const struct place *place) {
        cleanup(names_done) struct names names = { 0 };
        union bpf_attr attr = {
                .link_create = { .prog_fd = (uint32_t)place->prog->fd,
                                 .attach_type = place->type->attach_type },
        };
        int r;

        r = find(place->broker->tracefs_fd, place->hook, &names);
        if (r < 0)
                return r;
        attr.link_create.kprobe_multi.flags = place->is_return ? BPF_F_KPROBE_MULTI_RETURN : 0;
        attr.link_create.kprobe_multi.cnt = (uint32_t)names.n;
        attr.link_create.kprobe_multi.syms = ptr_u64(names.items);
        return sys_bpf(BPF_LINK_CREATE, &attr);
}
