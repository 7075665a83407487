/* SPDX-License-Identifier: Apache-2.0 */
#include "gadgetctl/credentials.h"

#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/file.h"
#include "image/json.h"

#define FILE_MAX (1u << 20)
#define VALUES_MAX 16384
#define HELPER_PREFIX "docker-credential-"
#define HELPER_NAME_MAX 64
#define HELPER_OUTPUT_MAX (2 * SECRET_MAX)
#define HELPER_TIMEOUT_MS 60000 /* it may ask its user something */
#define TOKEN_USER "<token>"    /* as which helpers return a refresh token */

void credentials_wipe(struct credentials *credentials) {
        explicit_bzero(credentials, sizeof(*credentials));
}

/* --- base64 --- */

static int digit_of(char c) {
        static const char digits[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const char *at = c ? strchr(digits, c) : NULL;

        return at ? (int)(at - digits) : -1;
}

static int base64_decode(const char *text, char *out, size_t max) {
        uint32_t bits = 0;
        size_t n = 0, n_bits = 0;

        for (; *text && *text != '='; text++) {
                int digit = digit_of(*text);

                if (digit < 0)
                        return -EINVAL;
                bits = bits << 6 | (uint32_t)digit;
                n_bits += 6;
                if (n_bits >= 8) {
                        n_bits -= 8;
                        if (n + 1 >= max)
                                return -E2BIG;
                        out[n++] = (char)(bits >> n_bits & 0xff);
                }
        }
        out[n] = '\0';
        return memchr(out, '\0', n) ? -EINVAL : 0;
}

static char *base64_encode(const char *text) {
        static const char digits[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        size_t n = strlen(text), at = 0;
        char *out = malloc(n / 3 * 4 + 5);

        for (size_t i = 0; out && i < n; i += 3) {
                uint32_t v = (uint32_t)(uint8_t)text[i] << 16;

                v |= i + 1 < n ? (uint32_t)(uint8_t)text[i + 1] << 8 : 0;
                v |= i + 2 < n ? (uint32_t)(uint8_t)text[i + 2] : 0;
                out[at++] = digits[v >> 18];
                out[at++] = digits[v >> 12 & 63];
                out[at++] = i + 1 < n ? digits[v >> 6 & 63] : '=';
                out[at++] = i + 2 < n ? digits[v & 63] : '=';
        }
        if (out)
                out[at] = '\0';
        return out;
}

int credentials_decode(const char *base64, struct credentials *ret) {
        char pair[sizeof(ret->username) + SECRET_MAX];
        char *colon;
        int r;

        r = base64_decode(base64, pair, sizeof(pair));
        colon = r == 0 ? strchr(pair, ':') : NULL;
        if (!colon || (size_t)(colon - pair) >= sizeof(ret->username) ||
            strlen(colon + 1) >= sizeof(ret->secret)) {
                r = -EINVAL;
        } else {
                *colon = '\0';
                snprintf(ret->username, sizeof(ret->username), "%s", pair);
                snprintf(ret->secret, sizeof(ret->secret), "%s", colon + 1);
        }
        explicit_bzero(pair, sizeof(pair));
        return r;
}

/* --- files --- */

static char *join(const char *dir, const char *name) {
        char *path;

        return dir && dir[0] && asprintf(&path, "%s/%s", dir, name) >= 0 ? path : NULL;
}

/* Where credentials may be, in order; the first is where login writes unless it says otherwise. */
#define PLACES_MAX 4
struct places {
        char *paths[PLACES_MAX];
        size_t n;
        size_t own; /* docker's config.json, or what was named */
};

static void places_done(struct places *places) {
        for (size_t i = 0; i < places->n; i++)
                free(places->paths[i]);
}

static void add_place(struct places *places, char *take_path) {
        if (take_path)
                places->paths[places->n++] = take_path;
}

static void find_places(const char *authfile, struct places *places) {
        const char *named = authfile ?: getenv("REGISTRY_AUTH_FILE");
        const char *home = getenv("HOME"), *docker = getenv("DOCKER_CONFIG");
        cleanup_free char *docker_dir =
                docker && docker[0] ? strdup(docker) : join(home, ".docker");

        *places = (struct places){ .n = 0 };
        if (named && named[0]) {
                add_place(places, strdup(named));
                return;
        }
        add_place(places, join(getenv("XDG_RUNTIME_DIR"), "containers/auth.json"));
        add_place(places, join(home, ".config/containers/auth.json"));
        places->own = places->n;
        add_place(places, join(docker_dir, "config.json"));
}

/* -ENOENT: no such file. */
static int read_config(const char *path, json_t **ret, struct error *err) {
        cleanup_buf struct buf text = BUF_INIT(FILE_MAX);
        int r;

        r = read_file_at(AT_FDCWD, path, &text);
        if (r == -ENOENT || r == -ENOTDIR)
                return -ENOENT;
        if (r < 0)
                return error_set(err, ERROR_DENIED, r, "cannot read '%s': %s", path, strerror(-r));
        if (text.len == 0)
                return -ENOENT;
        r = json_parse(BYTES(text.data, text.len), VALUES_MAX, ret, err);
        explicit_bzero(text.data, text.len);
        return r < 0 ? error_prefix(err, -EINVAL, "'%s'", path) : 0;
}

/* The directory is made when it is missing, for the user alone. */
static int write_config(const char *path, const json_t *root, struct error *err) {
        cleanup_free char *copy = strdup(path);
        cleanup_close int dir_fd = -1;
        char *text = json_dumps(root, JSON_INDENT(8));
        const char *slash = strrchr(path, '/');
        int r;

        if (!copy || !text) {
                free(text);
                return -ENOMEM;
        }
        r = make_dirs(AT_FDCWD, slash ? dirname(copy) : ".", 0700, &dir_fd);
        if (r == 0)
                r = write_file_atomic(dir_fd, slash ? slash + 1 : path, text, strlen(text), 0600);
        explicit_bzero(text, strlen(text));
        free(text);
        return r < 0 ? error_set(err, ERROR_DENIED, r, "cannot write '%s': %s", path, strerror(-r))
                     : 0;
}

/* --- helpers --- */

static int check_helper(const char *name, struct error *err) {
        size_t n = strlen(name);

        if (n == 0 || n > HELPER_NAME_MAX || name[0] == '-' ||
            strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != n)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "'%.60s' is no name of a credential helper", name);
        return 0;
}

static int spawn_helper(const char *name, const char *verb, int in_fd, int out_fd, pid_t *ret_pid,
                        struct error *err) {
        char program[sizeof(HELPER_PREFIX) + HELPER_NAME_MAX];
        char *const argv[] = { program, (char *)verb, NULL };
        posix_spawn_file_actions_t actions;
        int r;

        snprintf(program, sizeof(program), HELPER_PREFIX "%.64s", name);
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, in_fd, STDIN_FILENO);
        posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
        r = posix_spawnp(ret_pid, program, &actions, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&actions);
        if (r != 0)
                return error_set(err, ERROR_UNAVAILABLE, -r, "cannot run '%s': %s", program,
                                 strerror(r));
        return 0;
}

static int read_output(int fd, struct buf *out) {
        struct pollfd p = { .fd = fd, .events = POLLIN };

        for (;;) {
                uint8_t *room = buf_reserve(out, 4096);
                ssize_t n;

                if (!room)
                        return buf_result(out);
                if (poll(&p, 1, HELPER_TIMEOUT_MS) == 0)
                        return -ETIMEDOUT;
                n = read(fd, room, 4096);
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n == 0)
                        return 0;
                if (n > 0)
                        out->len += (size_t)n;
        }
}

/* Runs docker-credential-NAME VERB with this on its standard input. */
static int run_helper(const char *name, const char *verb, const char *input, struct buf *out,
                      struct error *err) {
        cleanup_close int in_read = -1, in_write = -1, out_read = -1, out_write = -1;
        int in[2], output[2], status, r;
        pid_t pid;

        r = check_helper(name, err);
        if (r < 0)
                return r;
        if (pipe2(in, O_CLOEXEC) < 0)
                return -errno;
        in_read = in[0];
        in_write = in[1];
        if (pipe2(output, O_CLOEXEC) < 0)
                return -errno;
        out_read = output[0];
        out_write = output[1];
        r = spawn_helper(name, verb, in_read, out_write, &pid, err);
        if (r < 0)
                return r;
        close_fd(&in_read);
        close_fd(&out_write);
        (void)write_all(in_write, input, strlen(input));
        close_fd(&in_write);
        r = read_output(out_read, out);
        if (r < 0)
                kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (r < 0)
                return error_set(err, ERROR_UNAVAILABLE, r, "'" HELPER_PREFIX "%s %s': %s", name,
                                 verb, strerror(-r));
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EREMOTEIO;
}

static int ask_helper(const char *name, const char *server, struct credentials *ret,
                      struct error *err) {
        cleanup_buf struct buf out = BUF_INIT(HELPER_OUTPUT_MAX);
        cleanup_json json_t *root = NULL;
        const char *username, *secret;
        int r;

        r = run_helper(name, "get", server, &out, err);
        if (r == -EREMOTEIO)
                return 0; /* it says so when it has none */
        if (r == 0)
                r = json_parse(BYTES(out.data, out.len), 64, &root, NULL);
        if (r < 0)
                return error_prefix(err, r, "credential helper '%s'", name);
        if (json_get_text(root, "Username", &username) < 0 ||
            json_get_text(root, "Secret", &secret) < 0 || strlen(secret) >= sizeof(ret->secret))
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "credential helper '%s' answered something else than Username and "
                                 "Secret",
                                 name);
        ret->is_identity_token = str_eq(username, TOKEN_USER);
        snprintf(ret->username, sizeof(ret->username), "%s", username);
        snprintf(ret->secret, sizeof(ret->secret), "%s", secret);
        explicit_bzero(out.data, out.len);
        return 0;
}

/* --- looking up --- */

static bool is_docker_hub(const char *host) {
        return str_eq(host, "docker.io") || str_eq(host, "index.docker.io") ||
               str_eq(host, "registry-1.docker.io");
}

/* What a key of "auths" means: "https://" and "/v1/" are docker's decoration. */
static void normalise(const char *key, char *out, size_t n) {
        const char *p = str_after(key, "https://") ?: str_after(key, "http://") ?: key;
        size_t len;

        snprintf(out, n, "%s", p);
        len = strlen(out);
        while (len > 0 && out[len - 1] == '/')
                out[--len] = '\0';
        if (len > 3 && (str_eq(out + len - 3, "/v1") || str_eq(out + len - 3, "/v2")))
                out[len - 3] = '\0';
}

/* How much of HOST/PATH the key covers, at borders of components; 0 = it is for something else. */
static size_t coverage(const char *key, const char *host, const char *path) {
        char plain[512], full[600];
        size_t n;

        normalise(key, plain, sizeof(plain));
        if (is_docker_hub(host) && is_docker_hub(plain))
                return strlen(host);
        snprintf(full, sizeof(full), "%s/%s", host, path);
        n = strlen(plain);
        if (strncmp(full, plain, n) != 0 || (full[n] != '\0' && full[n] != '/'))
                return 0;
        return n;
}

static int take_entry(const json_t *entry, struct credentials *ret) {
        const char *auth = json_string_value(json_object_get(entry, "auth"));
        const char *token = json_string_value(json_object_get(entry, "identitytoken"));
        const char *username = json_string_value(json_object_get(entry, "username"));
        const char *password = json_string_value(json_object_get(entry, "password"));

        if (token && token[0] && strlen(token) < sizeof(ret->secret)) {
                snprintf(ret->secret, sizeof(ret->secret), "%s", token);
                ret->is_identity_token = true;
                return 0;
        }
        if (auth && auth[0])
                return credentials_decode(auth, ret);
        if (username && password && strlen(password) < sizeof(ret->secret)) {
                snprintf(ret->username, sizeof(ret->username), "%s", username);
                snprintf(ret->secret, sizeof(ret->secret), "%s", password);
        }
        return 0;
}

static const char *helper_of(const json_t *root, const char *host) {
        const char *name =
                json_string_value(json_object_get(json_object_get(root, "credHelpers"), host));

        return name ?: json_string_value(json_object_get(root, "credsStore"));
}

/* Docker's helpers know the hub by its old address. */
static const char *server_of(const char *host) {
        return is_docker_hub(host) ? "https://index.docker.io/v1/" : host;
}

static int find_in(const json_t *root, const char *path_of_file, const char *host, const char *path,
                   struct credentials *ret, struct error *err) {
        const json_t *best = NULL;
        size_t most = 0;
        const char *key;
        json_t *value;
        int r;

        json_object_foreach(json_object_get(root, "auths"), key, value) {
                size_t n = coverage(key, host, path);

                if (n > most) {
                        most = n;
                        best = value;
                }
        }
        if (best && take_entry(best, ret) < 0)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "'%s': the entry for '%s' is not base64 of USER:PASSWORD",
                                 path_of_file, host);
        if (ret->secret[0] == '\0' && helper_of(root, host)) {
                r = ask_helper(helper_of(root, host), server_of(host), ret, err);
                if (r < 0)
                        return error_prefix(err, r, "'%s'", path_of_file);
        }
        return 0;
}

int credentials_find(const char *authfile, const char *host, const char *path,
                     struct credentials *ret, struct error *err) {
        cleanup(places_done) struct places places;
        int r = 0;

        *ret = (struct credentials){ .is_identity_token = false };
        find_places(authfile, &places);
        for (size_t i = 0; i < places.n && ret->secret[0] == '\0' && r == 0; i++) {
                cleanup_json json_t *root = NULL;

                r = read_config(places.paths[i], &root, err);
                if (r == 0)
                        r = find_in(root, places.paths[i], host, path, ret, err);
                if (r == -ENOENT && (authfile == NULL || i > 0))
                        r = 0;
        }
        if (r == -ENOENT)
                return error_set(err, ERROR_NOT_FOUND, r, "there is no '%s'", places.paths[0]);
        return r;
}

/* --- login and logout --- */

static int store_by_helper(const char *helper, const char *host,
                           const struct credentials *credentials, struct error *err) {
        cleanup_buf struct buf out = BUF_INIT(HELPER_OUTPUT_MAX);
        cleanup_json json_t *root =
                json_pack("{s:s,s:s,s:s}", "ServerURL", server_of(host), "Username",
                          credentials->username, "Secret", credentials->secret);
        char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
        int r;

        if (!text)
                return -ENOMEM;
        r = run_helper(helper, "store", text, &out, err);
        explicit_bzero(text, strlen(text));
        free(text);
        if (r == -EREMOTEIO)
                return error_set(err, ERROR_UNAVAILABLE, r,
                                 "credential helper '%s' did not store it", helper);
        return r;
}

/* auths.HOST = {"auth": base64}. */
static int put_entry(json_t *root, const char *host, const struct credentials *credentials) {
        json_t *auths = json_object_get(root, "auths");
        cleanup_free char *pair = NULL, *auth = NULL;
        int r = 0;

        if (asprintf(&pair, "%s:%s", credentials->username, credentials->secret) < 0)
                return -ENOMEM;
        auth = base64_encode(pair);
        explicit_bzero(pair, strlen(pair));
        if (!auth)
                return -ENOMEM;
        if (!json_is_object(auths)) {
                auths = json_object();
                if (json_object_set_new(root, "auths", auths) < 0)
                        return -ENOMEM;
        }
        if (json_object_set_new(auths, server_of(host), json_pack("{s:s}", "auth", auth)) < 0)
                r = -ENOMEM;
        explicit_bzero(auth, strlen(auth));
        return r;
}

int credentials_store(const char *authfile, const char *host, const struct credentials *credentials,
                      char **ret_where, struct error *err) {
        cleanup(places_done) struct places places;
        cleanup_json json_t *root = NULL;
        const char *path, *helper;
        int r;

        find_places(authfile, &places);
        if (places.n == 0)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "$HOME is not set; name a file with --authfile");
        path = places.paths[places.own];
        r = read_config(path, &root, err);
        if (r == -ENOENT)
                root = json_object();
        else if (r < 0)
                return r;
        helper = root ? helper_of(root, host) : NULL;
        if (helper) {
                r = store_by_helper(helper, host, credentials, err);
                if (r == 0 && asprintf(ret_where, "credential helper '%s'", helper) < 0)
                        r = -ENOMEM;
                return r;
        }
        r = root ? put_entry(root, host, credentials) : -ENOMEM;
        if (r == 0)
                r = write_config(path, root, err);
        if (r == 0 && !(*ret_where = strdup(path)))
                r = -ENOMEM;
        return r;
}

static int remove_from(const char *path, const char *host, struct error *err) {
        cleanup_buf struct buf out = BUF_INIT(HELPER_OUTPUT_MAX);
        cleanup_json json_t *root = NULL;
        const char *key;
        json_t *value;
        bool found = false;
        void *next;
        int r;

        r = read_config(path, &root, err);
        if (r < 0)
                return r;
        if (helper_of(root, host) &&
            run_helper(helper_of(root, host), "erase", server_of(host), &out, NULL) == 0)
                found = true;
        json_object_foreach_safe(json_object_get(root, "auths"), next, key, value) {
                if (coverage(key, host, "") == 0)
                        continue;
                json_object_del(json_object_get(root, "auths"), key);
                found = true;
                r = 1;
        }
        if (r > 0)
                r = write_config(path, root, err);
        return r < 0 ? r : found ? 0 : -ENOENT;
}

int credentials_remove(const char *authfile, const char *host, struct error *err) {
        cleanup(places_done) struct places places;
        int r = -ENOENT;

        find_places(authfile, &places);
        for (size_t i = 0; i < places.n; i++) {
                int one = remove_from(places.paths[i], host, err);

                if (one == -ENOENT)
                        continue;
                r = one;
                if (one < 0)
                        break;
        }
        return r;
}
