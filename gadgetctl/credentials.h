/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user's credentials for registries, as docker and the containers tools keep them: config.json
 * and auth.json ("auths", "credHelpers", "credsStore"). Read and written here, as the user;
 * helpers run here, as the user. They go to gadgetd in the request and nowhere else: not into
 * arguments, logs, errors or an environment.
 */
#pragma once

#include "base/error.h"

#define SECRET_MAX 8192

struct credentials {
        char username[256];
        char secret[SECRET_MAX];
        bool is_identity_token; /* the secret is an OAuth2 refresh token */
};
void credentials_wipe(struct credentials *credentials);
#define cleanup_credentials cleanup(credentials_wipe)

/* For this registry, and the repository where entries are that narrow. No entry is success with an
 * empty secret. authfile: NULL = where they usually are. */
int credentials_find(const char *authfile, const char *host, const char *path,
                     struct credentials *ret, struct error *err);

/* Into the file, or the helper that the file names. The file is replaced as a whole, mode 0600. */
int credentials_store(const char *authfile, const char *host, const struct credentials *credentials,
                      char **ret_where, struct error *err);

/* -ENOENT when there was none. */
int credentials_remove(const char *authfile, const char *host, struct error *err);

/* Decodes "user:password". */
int credentials_decode(const char *base64, struct credentials *ret);
