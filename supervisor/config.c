/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/config.h"

#include <stdio.h>

#include "gadget/api.h"
#include "policy/yaml-file.h"

static int on_host(struct yaml *yaml, const yaml_node_t *value, void *userdata, struct error *err) {
        struct registry_config *registry = userdata;

        return yaml_read_text(yaml, value, &registry->host, err);
}

static int on_mirror(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                     struct error *err) {
        struct registry_config *registry = userdata;

        if (registry->n_mirrors >= CONFIG_MIRRORS_MAX)
                return yaml_error(yaml, value, err, "more than %d mirrors", CONFIG_MIRRORS_MAX);
        return yaml_read_text(yaml, value, &registry->mirrors[registry->n_mirrors++], err);
}

static int on_mirrors(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                      struct error *err) {
        return yaml_read_list(yaml, value, on_mirror, userdata, err);
}

static int on_plain_http(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                         struct error *err) {
        struct registry_config *registry = userdata;

        return yaml_read_bool(yaml, value, &registry->is_plain_http, err);
}

static int on_insecure(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                       struct error *err) {
        struct registry_config *registry = userdata;

        return yaml_read_bool(yaml, value, &registry->is_insecure, err);
}

static int on_registry(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                       struct error *err) {
        static const struct yaml_key keys[] = {
                { "host", on_host },
                { "mirrors", on_mirrors },
                { "plain-http", on_plain_http },
                { "insecure", on_insecure },
        };
        struct config *config = userdata;
        struct registry_config *registries;
        int r;

        if (config->n_registries >= CONFIG_REGISTRIES_MAX)
                return yaml_error(yaml, value, err, "more than %d registries",
                                  CONFIG_REGISTRIES_MAX);
        registries =
                reallocarray(config->registries, config->n_registries + 1, sizeof(*registries));
        if (!registries)
                return -ENOMEM;
        config->registries = registries;
        registries += config->n_registries++;
        *registries = (struct registry_config){ .host = NULL };
        r = yaml_read_map(yaml, value, keys, ARRAY_SIZE(keys), registries, err);
        if (r == 0 && !registries->host)
                r = yaml_error(yaml, value, err, "a registry without 'host'");
        return r;
}

static int on_registries(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                         struct error *err) {
        return yaml_read_list(yaml, value, on_registry, userdata, err);
}

static int on_prefix(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                     struct error *err) {
        struct config *config = userdata;
        char probe[LIMIT_IMAGE_REF_MAX + 1];
        struct image_ref ref;
        int r;

        r = yaml_read_text(yaml, value, &config->prefix, err);
        if (r < 0)
                return r;
        snprintf(probe, sizeof(probe), "%.300s/x", config->prefix);
        if (image_ref_parse(probe, &ref, NULL) < 0 || ref.host[0] == '\0')
                return yaml_error(yaml, value, err, "the prefix '%.100s' is not HOST[:PORT]/PATH",
                                  config->prefix);
        return 0;
}

static int on_short_names(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                          struct error *err) {
        static const struct yaml_key keys[] = { { "prefix", on_prefix } };

        return yaml_read_map(yaml, value, keys, ARRAY_SIZE(keys), userdata, err);
}

/* --- containers --- */

static int read_path(struct yaml *yaml, const yaml_node_t *value, char **ret, struct error *err) {
        int r = yaml_read_text(yaml, value, ret, err);

        if (r == 0 && ((*ret)[0] != '/' || strlen(*ret) > CONFIG_PATH_MAX))
                return yaml_error(yaml, value, err,
                                  "'%.100s' is no absolute path of at most %d bytes", *ret,
                                  CONFIG_PATH_MAX);
        return r;
}

struct path_list {
        char **items;
        size_t *n;
};

static int on_path(struct yaml *yaml, const yaml_node_t *value, void *userdata, struct error *err) {
        const struct path_list *list = userdata;

        if (*list->n >= CONFIG_PATHS_MAX)
                return yaml_error(yaml, value, err, "more than %d paths", CONFIG_PATHS_MAX);
        return read_path(yaml, value, &list->items[(*list->n)++], err);
}

static int on_runtimes(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                       struct error *err) {
        struct containers_config *containers = userdata;
        struct path_list list = { containers->runtimes, &containers->n_runtimes };

        return yaml_read_list(yaml, value, on_path, &list, err);
}

static int on_state_roots(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                          struct error *err) {
        struct containers_config *containers = userdata;
        struct path_list list = { containers->roots, &containers->n_roots };

        return yaml_read_list(yaml, value, on_path, &list, err);
}

static int on_socket_docker(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                            struct error *err) {
        return read_path(yaml, value, (char **)userdata + API_DOCKER, err);
}

static int on_socket_podman(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                            struct error *err) {
        return read_path(yaml, value, (char **)userdata + API_PODMAN, err);
}

static int on_socket_containerd(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                                struct error *err) {
        return read_path(yaml, value, (char **)userdata + API_CONTAINERD, err);
}

static int on_socket_cri(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                         struct error *err) {
        return read_path(yaml, value, (char **)userdata + API_CRI, err);
}

static int on_sockets(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                      struct error *err) {
        static const struct yaml_key keys[] = {
                { "docker", on_socket_docker },
                { "podman", on_socket_podman },
                { "containerd", on_socket_containerd },
                { "cri", on_socket_cri },
        };
        struct containers_config *containers = userdata;

        return yaml_read_map(yaml, value, keys, ARRAY_SIZE(keys), containers->sockets, err);
}

static int on_node_name(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                        struct error *err) {
        struct containers_config *containers = userdata;
        int r = yaml_read_text(yaml, value, &containers->node, err);

        if (r == 0 && strlen(containers->node) > LIMIT_CONTAINER_TEXT_MAX)
                return yaml_error(yaml, value, err, "a name of more than %d bytes",
                                  LIMIT_CONTAINER_TEXT_MAX);
        return r;
}

static int on_containers(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                         struct error *err) {
        static const struct yaml_key keys[] = {
                { "runtimes", on_runtimes },
                { "state-roots", on_state_roots },
                { "sockets", on_sockets },
                { "node-name", on_node_name },
        };
        struct config *config = userdata;

        return yaml_read_map(yaml, value, keys, ARRAY_SIZE(keys), &config->containers, err);
}

int config_read(const char *path, struct config *ret, struct error *err) {
        static const struct yaml_key keys[] = {
                { "short-names", on_short_names },
                { "registries", on_registries },
                { "containers", on_containers },
        };
        cleanup_yaml struct yaml yaml = { .is_loaded = false };
        struct config config = { .prefix = NULL };
        int r;

        r = yaml_open(path, &yaml, err);
        if (r == -ENOENT) {
                if (err)
                        *err = (struct error){ 0 };
                *ret = config;
                return 0;
        }
        if (r == 0 && yaml_root(&yaml))
                r = yaml_read_map(&yaml, yaml_root(&yaml), keys, ARRAY_SIZE(keys), &config, err);
        if (r < 0) {
                config_done(&config);
                return r;
        }
        *ret = config;
        return 0;
}

void config_done(struct config *config) {
        for (size_t i = 0; i < config->n_registries; i++) {
                struct registry_config *registry = &config->registries[i];

                free(registry->host);
                for (size_t k = 0; k < CONFIG_MIRRORS_MAX; k++)
                        free(registry->mirrors[k]);
        }
        for (size_t i = 0; i < CONFIG_PATHS_MAX; i++) {
                free(config->containers.runtimes[i]);
                free(config->containers.roots[i]);
        }
        for (size_t i = 0; i < _API_MAX; i++)
                free(config->containers.sockets[i]);
        free(config->containers.node);
        free(config->registries);
        free(config->prefix);
        *config = (struct config){ .prefix = NULL };
}

const struct registry_config *config_registry(const struct config *config, const char *host) {
        for (size_t i = 0; i < config->n_registries; i++)
                if (str_eq(config->registries[i].host, host))
                        return &config->registries[i];
        return NULL;
}

bool config_complete(const struct config *config, const struct image_ref *ref,
                     struct image_ref *ret) {
        struct image_ref full = *ref;
        const char *slash;

        if (ref->host[0] != '\0') {
                *ret = full;
                return true;
        }
        if (!config->prefix)
                return false;
        slash = strchr(config->prefix, '/');
        snprintf(full.host, sizeof(full.host), "%.*s",
                 (int)(slash ? (size_t)(slash - config->prefix) : strlen(config->prefix)),
                 config->prefix);
        if (strlen(slash ? slash : "") + strlen(ref->path) + 1 > sizeof(full.path))
                return false;
        snprintf(full.path, sizeof(full.path), "%s%s%s", slash ? slash + 1 : "", slash ? "/" : "",
                 ref->path);
        *ret = full;
        return true;
}
