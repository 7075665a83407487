/* SPDX-License-Identifier: Apache-2.0 */
#include "gadgetctl/registry.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <strings.h>

#include "base/file.h"
#include "gadgetctl/diag.h"
#include "gadgetctl/progress.h"
#include "gadgetctl/signals.h"
#include "image/ref.h"

#define CA_MAX (1u << 20)
#define PEM_MAX (64u << 10)

void registry_access_done(struct registry_access *access) {
        credentials_wipe(&access->credentials);
        buf_done(&access->ca);
        buf_done(&access->client_cert);
        if (access->client_key.data)
                explicit_bzero(access->client_key.data, access->client_key.len);
        buf_done(&access->client_key);
        free(access->proxy);
        free(access->no_proxy);
}

/* --- certificates --- */

static bool ends_with(const char *text, const char *end) {
        size_t n = strlen(text), n_end = strlen(end);

        return n > n_end && str_eq(text + n - n_end, end);
}

static int read_pem(const char *dir, int dir_fd, const char *name, struct buf *into,
                    struct error *err) {
        int r = read_file_at(dir_fd, name, into);

        if (r == 0)
                r = buf_append(into, "\n", 1);
        return r < 0 ? error_set(err, ERROR_DENIED, r, "cannot read '%s/%s': %s", dir, name,
                                 strerror(-r))
                     : 0;
}

/* NAME.cert goes with NAME.key. */
static int read_client_pair(const char *dir, int dir_fd, const char *cert,
                            struct registry_access *access, struct error *err) {
        char key[NAME_MAX + 1];
        int r;

        snprintf(key, sizeof(key), "%.*s.key", (int)(strlen(cert) - strlen(".cert")), cert);
        r = read_pem(dir, dir_fd, cert, &access->client_cert, err);
        return r < 0 ? r : read_pem(dir, dir_fd, key, &access->client_key, err);
}

/* One directory of certs.d: *.crt are CAs, NAME.cert and NAME.key the client's certificate; of
 * several the first by name, and of several directories that of the first. */
static int read_certs_dir(const char *dir, struct registry_access *access, struct error *err) {
        cleanup_close int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct dirent **entries;
        int n, r = 0;

        if (dir_fd < 0)
                return 0;
        n = scandirat(dir_fd, ".", &entries, NULL, alphasort);
        for (int i = 0; i < n; i++) {
                const char *name = entries[i]->d_name;

                if (r == 0 && ends_with(name, ".crt"))
                        r = read_pem(dir, dir_fd, name, &access->ca, err);
                else if (r == 0 && ends_with(name, ".cert") && access->client_cert.len == 0)
                        r = read_client_pair(dir, dir_fd, name, access, err);
                free(entries[i]);
        }
        if (n >= 0)
                free(entries);
        return r;
}

static int read_certs(const struct args *args, const char *host, struct registry_access *access,
                      struct error *err) {
        static const char *const system[] = { "/etc/docker/certs.d", "/etc/containers/certs.d",
                                              GADGET_CONFDIR "/certs.d" };
        static const char *const own[] = { ".docker/certs.d", ".config/containers/certs.d" };
        const char *home = getenv("HOME");
        char path[1024];
        int r = 0;

        if (args->cert_dir)
                return read_certs_dir(args->cert_dir, access, err);
        for (size_t i = 0; i < ARRAY_SIZE(own) && home && r == 0; i++) {
                snprintf(path, sizeof(path), "%s/%s/%s", home, own[i], host);
                r = read_certs_dir(path, access, err);
        }
        for (size_t i = 0; i < ARRAY_SIZE(system) && r == 0; i++) {
                snprintf(path, sizeof(path), "%s%s/%s", args->root, system[i], host);
                r = read_certs_dir(path, access, err);
        }
        return r;
}

/* --- proxies --- */

static const char *from_environment(const char *name, const char *upper) {
        const char *value = getenv(name);

        if (!value || !value[0])
                value = getenv(upper);
        return value && value[0] ? value : NULL;
}

/* As curl does it: HTTP_PROXY in capitals would be what a web server passes on, so it is not read.
 */
static int read_proxies(bool is_plain_http, struct registry_access *access) {
        const char *proxy = is_plain_http ? from_environment("http_proxy", "http_proxy")
                                          : from_environment("https_proxy", "HTTPS_PROXY");
        const char *no_proxy = from_environment("no_proxy", "NO_PROXY");

        if (proxy && !(access->proxy = strdup(proxy)))
                return -ENOMEM;
        if (no_proxy && !(access->no_proxy = strdup(no_proxy)))
                return -ENOMEM;
        return 0;
}

int registry_access_read(const struct args *args, const char *host, const char *path,
                         struct registry_access *access, struct req_image_transfer *request,
                         struct error *err) {
        const struct credentials *c = &access->credentials;
        int r;

        *access = (struct registry_access){ .ca = BUF_INIT(CA_MAX),
                                            .client_cert = BUF_INIT(PEM_MAX),
                                            .client_key = BUF_INIT(PEM_MAX) };
        request->plain_http = args->plain_http;
        request->is_insecure = args->insecure;
        request->timeout_ns = args->transfer_timeout_ns;
        if (!host)
                return 0;
        r = credentials_find(args->authfile, host, path, &access->credentials, err);
        if (r == 0)
                r = read_certs(args, host, access, err);
        if (r == 0)
                r = read_proxies(args->plain_http, access);
        if (r < 0)
                return r;
        if (c->secret[0] && c->is_identity_token)
                request->identity_token = c->secret;
        else if (c->secret[0])
                request->password = c->secret;
        if (c->secret[0] && !c->is_identity_token)
                request->username = c->username;
        request->proxy = access->proxy;
        request->no_proxy = access->no_proxy;
        request->ca = BYTES(access->ca.data, access->ca.len);
        request->client_cert = BYTES(access->client_cert.data, access->client_cert.len);
        request->client_key = BYTES(access->client_key.data, access->client_key.len);
        return 0;
}

/* --- the transfer --- */

static int wait_for(struct session *session) {
        struct pollfd fds[] = { { .fd = connection_fd(session->connection), .events = POLLIN },
                                { .fd = signals_fd(), .events = POLLIN } };

        while (poll(fds, ARRAY_SIZE(fds), -1) < 0)
                if (errno != EINTR)
                        return -errno;
        return fds[1].revents ? -EINTR : 0;
}

int registry_transfer(struct session *session, const struct args *args, enum method method,
                      const struct req_image_transfer *request, void *reply, struct error *err) {
        cleanup(progress_done) struct progress progress;
        struct incoming in;
        uint32_t id;
        int r;

        progress_init(&progress, args->quiet);
        r = connection_send(session->connection, method, request, &id, err);
        while (r == 0) {
                r = connection_next(session->connection, &in, err);
                if (r == 0) {
                        r = wait_for(session);
                        if (r < 0)
                                error_set(err, ERROR_UNAVAILABLE, r, "interrupted");
                        continue;
                }
                if (r < 0)
                        return r;
                r = 0;
                if (in.kind == RPC_NOTIFICATION && in.type == NOTIFY_PROGRESS)
                        progress_update(&progress, in.digest, in.bytes, in.total);
                if (in.kind != RPC_RESPONSE || in.id != id)
                        continue;
                progress_finish(&progress);
                if (in.is_error) {
                        *err = in.error;
                        return -EREMOTEIO;
                }
                return record_decode(&methods[method].reply, (uint8_t *)in.params.data,
                                     in.params.len, RECORD_LENIENT, reply, err);
        }
        return r;
}

int registry_pull(struct session *session, const struct args *args, const char *image,
                  bool only_missing, struct rep_image_pull *ret, struct error *err) {
        cleanup_registry_access struct registry_access access = { .proxy = NULL };
        struct req_image_ref ref_request = { .image = image };
        struct req_image_transfer request = { .platform = args->platform,
                                              .all_platforms = args->all_platforms };
        struct rep_image_resolve resolved;
        cleanup_free char *full = NULL, *host = NULL;
        struct image_ref ref;
        int r;

        *ret = (struct rep_image_pull){ .image = NULL };
        r = connection_call(session->connection, METHOD_IMAGE_RESOLVE, &ref_request, &resolved,
                            err);
        if (r < 0)
                return r;
        if (only_missing && (resolved.present || !resolved.host))
                return 0;
        full = strdup(resolved.image);
        host = resolved.host ? strdup(resolved.host) : NULL;
        if (!full || (resolved.host && !host))
                return -ENOMEM;
        r = image_ref_parse(full, &ref, err);
        if (r == 0)
                r = registry_access_read(args, host, ref.path, &access, &request, err);
        if (r < 0)
                return r;
        request.image = host ? full : image;
        return registry_transfer(session, args, METHOD_IMAGE_PULL, &request, ret, err);
}
