/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gadgetd.yaml: where short names are pulled from, what is special about a registry, and where
 * containers' runtimes are.
 *
 *     short-names:
 *       prefix: ghcr.io/inspektor-gadget/gadget
 *     registries:
 *       - host: docker.io
 *         mirrors: [mirror.example:5000]
 *       - host: mirror.example:5000
 *         plain-http: true
 *     containers:
 *       runtimes: [/opt/bin/runc]
 *       state-roots: [/srv/runc]
 *       sockets:
 *         docker: /run/docker.sock
 *       node-name: worker-1
 */
#pragma once

#include "base/error.h"
#include "image/ref.h"
#include "ipc/message.h"

#define CONFIG_MIRRORS_MAX 4
#define CONFIG_REGISTRIES_MAX 256
#define CONFIG_PATHS_MAX 16
#define CONFIG_PATH_MAX 100 /* an AF_UNIX address has 107 bytes */

struct registry_config {
        char *host;
        char *mirrors[CONFIG_MIRRORS_MAX];
        size_t n_mirrors;
        bool is_plain_http;
        bool is_insecure;
};

struct containers_config {
        char *runtimes[CONFIG_PATHS_MAX]; /* executables, besides the usual ones */
        size_t n_runtimes;
        char *roots[CONFIG_PATHS_MAX]; /* where they keep their state, likewise */
        size_t n_roots;
        char *sockets[_API_MAX]; /* NULL = the usual one */
        char *node;              /* NULL = the host's name */
};

struct config {
        char *prefix; /* NULL = short names have no registry */
        struct registry_config *registries;
        size_t n_registries;
        struct containers_config containers;
};

/* A missing file is an empty one. */
int config_read(const char *path, struct config *ret, struct error *err);
void config_done(struct config *config);

/* NULL = nothing is special about it. */
const struct registry_config *config_registry(const struct config *config, const char *host);

/* Puts the prefix before a reference without host. False: it has none, and no prefix is configured.
 */
bool config_complete(const struct config *config, const struct image_ref *ref,
                     struct image_ref *ret);
