/* SPDX-License-Identifier: Apache-2.0 */
#include "gadgetctl/sources.h"

#include <stdio.h>
#include <sys/stat.h>

#include "policy/yaml-file.h"

void sources_done(struct sources *sources) {
        free(sources->program);
        free(sources->definition);
        *sources = (struct sources){ 0 };
}

/* clang takes "-x" for an option and "@x" for a file of options. */
static int check_name(const char *path, struct error *err) {
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

        if (path[0] == '-' || path[0] == '@' || name[0] == '-' || name[0] == '@')
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "'%s': a file name that starts with '-' or '@' is not compiled",
                                 path);
        return 0;
}

static bool exists(const char *path) {
        struct stat st;

        return stat(path, &st) == 0;
}

static char *in_dir(const char *dir, const char *name) {
        char *path;

        return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

/* --- build.yaml --- */

struct build_file {
        char *program;
        char *definition;
};

/* Relative, and down only. */
static int read_path(struct yaml *yaml, const yaml_node_t *value, char **ret, struct error *err) {
        int r = yaml_read_text(yaml, value, ret, err);

        if (r < 0)
                return r;
        for (const char *p = *ret; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL)
                if (*p == '/' || (p[0] == '.' && p[1] == '.' && (p[2] == '/' || p[2] == '\0')))
                        return yaml_error(yaml, value, err,
                                          "'%.100s' is not a path below the directory", *ret);
        return 0;
}

static int on_program(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                      struct error *err) {
        return read_path(yaml, value, &((struct build_file *)userdata)->program, err);
}

static int on_definition(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                         struct error *err) {
        return read_path(yaml, value, &((struct build_file *)userdata)->definition, err);
}

static int on_wasm(struct yaml *yaml, const yaml_node_t *value, void *userdata, struct error *err) {
        (void)userdata;
        return yaml_error(yaml, value, err,
                          "the gadget needs a wasm program, and gadgetd runs eBPF only");
}

static int on_cflags(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                     struct error *err) {
        (void)userdata;
        return yaml_error(yaml, value, err,
                          "'cflags' are taken from the command line (--cflags), not from the "
                          "directory that is built");
}

static int read_build_file(const char *path, bool is_named, struct build_file *ret,
                           struct error *err) {
        static const struct yaml_key keys[] = {
                { "ebpfsource", on_program },
                { "metadata", on_definition },
                { "wasm", on_wasm },
                { "cflags", on_cflags },
        };
        cleanup_yaml struct yaml yaml = { .is_loaded = false };
        int r;

        r = yaml_open(path, &yaml, err);
        if (r == -ENOENT && !is_named) {
                *err = (struct error){ 0 };
                return 0;
        }
        if (r == -ENOENT)
                return error_set(err, ERROR_NOT_FOUND, r, "there is no '%s'", path);
        if (r == 0 && yaml_root(&yaml))
                r = yaml_read_map(&yaml, yaml_root(&yaml), keys, ARRAY_SIZE(keys), ret, err);
        return r;
}

/* --- all together --- */

static int find(const struct sources_spec *spec, const struct build_file *file,
                struct sources *found, struct error *err) {
        bool must_be_there = spec->definition || file->definition;
        int r = 0;

        found->program = spec->program ? strdup(spec->program)
                                       : in_dir(spec->dir, file->program ?: "program.bpf.c");
        if (spec->definition)
                found->definition = strdup(spec->definition);
        else if (spec->dir)
                found->definition = in_dir(spec->dir, file->definition ?: "gadget.yaml");
        if (!found->program || ((spec->dir || spec->definition) && !found->definition))
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        r = check_name(found->program, err);
        if (r == 0 && !exists(found->program))
                r = error_set(err, ERROR_NOT_FOUND, -ENOENT, "there is no '%s'", found->program);
        if (r < 0 || !found->definition || exists(found->definition))
                return r;
        if (must_be_there)
                return error_set(err, ERROR_NOT_FOUND, -ENOENT, "there is no '%s'",
                                 found->definition);
        free(TAKE_PTR(found->definition)); /* in a directory it is optional */
        return 0;
}

int sources_find(const struct sources_spec *spec, struct sources *ret, struct error *err) {
        cleanup_free char *beside = spec->dir ? in_dir(spec->dir, "build.yaml") : NULL;
        struct build_file file = { .program = NULL };
        struct sources found = { .program = NULL };
        int r = 0;

        if (spec->file || beside)
                r = read_build_file(spec->file ?: beside, spec->file != NULL, &file, err);
        if (r == 0)
                r = find(spec, &file, &found, err);
        free(file.program);
        free(file.definition);
        if (r < 0) {
                sources_done(&found);
                return r;
        }
        *ret = found;
        return 0;
}
