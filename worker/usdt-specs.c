/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/usdt-specs.h"

#include <bpf/libbpf.h>

#include "worker/host.h"
#include "worker/usdt-args.h"

#define MAP "__bpf_usdt_specs"

static struct {
        uint32_t map; /* handle */
        struct {
                char *args;
                uint32_t n_users;
        } * rows;
        uint32_t n;
} specs;

int usdt_specs_init(const struct bpf_object *object, struct error *err) {
        const struct bpf_map *map = bpf_object__find_map_by_name(object, MAP);

        if (specs.rows)
                return 0;
        if (!map || bpf_map__value_size(map) != sizeof(struct usdt_spec))
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "the object has no map '" MAP "' as libbpf 1.0 to 1.4 makes it: "
                                 "include <bpf/usdt.bpf.h>");
        specs.n = bpf_map__max_entries(map);
        specs.rows = calloc(specs.n, sizeof(*specs.rows));
        specs.map = host_object(bpf_map__fd(map));
        return specs.rows ? 0 : error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory for probes");
}

int usdt_specs_use(const char *args, uint32_t *ret, struct error *err) {
        struct usdt_spec spec;
        uint32_t at = specs.n;
        int r;

        for (uint32_t i = specs.n; i-- > 0;) {
                if (specs.rows[i].n_users == 0) {
                        at = i;
                } else if (str_eq(specs.rows[i].args, args)) {
                        specs.rows[i].n_users++;
                        *ret = i;
                        return 0;
                }
        }
        if (at == specs.n)
                return error_set(err, ERROR_LIMIT, -ENOSPC,
                                 "map '" MAP "' has only %u rows, which are in use", specs.n);
        r = usdt_args_parse(args, &spec, err);
        if (r < 0)
                return r;
        r = host_usdt_spec(specs.map, &at, sizeof(at), &spec, sizeof(spec));
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "map '" MAP "' cannot be written");
        specs.rows[at].args = strdup(args);
        if (!specs.rows[at].args)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory for probes");
        specs.rows[at].n_users = 1;
        *ret = at;
        return 0;
}

void usdt_specs_drop(uint32_t spec) {
        if (--specs.rows[spec].n_users > 0)
                return;
        free(specs.rows[spec].args);
        specs.rows[spec].args = NULL;
}

void usdt_specs_done(void) {
        for (uint32_t i = 0; i < specs.n; i++)
                free(specs.rows[i].args);
        free(specs.rows);
        memset(&specs, 0, sizeof(specs));
}
