/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our own configuration files, read strictly: a key that is not known or a value of the wrong type
 * is an error that names file and line, because a misspelt rule must not be a rule that is not
 * there. gadgetd reads its configuration with it, and gadgetctl, as the user, build.yaml; YAML that
 * comes with a gadget is read by its worker.
 */
#pragma once

#include <yaml.h>

#include "base/error.h"

#define YAML_FILE_MAX (1u << 20)

struct yaml {
        yaml_document_t doc;
        bool is_loaded;
        const char *path; /* for messages, borrowed */
};

/* -ENOENT when there is no such file; an empty one has no root. */
int yaml_open(const char *path, struct yaml *ret, struct error *err);
int yaml_parse(const char *path, struct bytes text, struct yaml *ret, struct error *err);
void yaml_done(struct yaml *yaml);
#define cleanup_yaml cleanup(yaml_done)

const yaml_node_t *yaml_root(struct yaml *yaml); /* NULL = empty */

/* -EINVAL (ERROR_INVALID): "PATH line N: text". */
int yaml_error(const struct yaml *yaml, const yaml_node_t *node, struct error *err, const char *fmt,
               ...) PRINTF_LIKE(4, 5);

/* One row a key; func reads the value. */
typedef int (*yaml_func)(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                         struct error *err);
struct yaml_key {
        const char *name;
        yaml_func func;
};
int yaml_read_map(struct yaml *yaml, const yaml_node_t *node, const struct yaml_key *keys,
                  size_t n_keys, void *userdata, struct error *err);
int yaml_read_list(struct yaml *yaml, const yaml_node_t *node, yaml_func func, void *userdata,
                   struct error *err);

/* A copy that the caller frees. */
int yaml_read_text(struct yaml *yaml, const yaml_node_t *node, char **ret, struct error *err);
int yaml_read_bool(struct yaml *yaml, const yaml_node_t *node, bool *ret, struct error *err);
