/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "watcher/procfs.h"
#include "watcher/watch.h"

#define PARSE_TIMEOUT (50 * NSEC_PER_MSEC)
#define TIMEOUTS_MAX 3 /* of one container: on a busy machine the parser may get no time */

/* Where runtimes keep their state unless told otherwise; '*' is one directory. More are learnt from
 * the command lines of runtimes. */
static const char *const usual_roots[] = {
        "/run/runc",
        "/run/crun",
        "/run/containerd/runc/*",
        "/run/docker/runtime-runc/*",
        "/run/docker/runtime-crun/*",
        "/run/user/*/runc",
        "/run/user/*/crun",
        "/run/k3s/containerd/runc/*",
};
static const char *const state_names[] = { "state.json", "status" };

void states_add_root(struct watch *watch, const char *root) {
        for (size_t i = 0; i < watch->n_roots; i++)
                if (str_eq(watch->roots[i], root))
                        return;
        if (watch->n_roots == ROOTS_MAX || root[0] != '/')
                return;
        watch->roots[watch->n_roots] = strdup(root);
        if (watch->roots[watch->n_roots])
                watch->n_roots++;
}

void states_init(struct watch *watch) {
        for (size_t i = 0; i < ARRAY_SIZE(usual_roots); i++)
                states_add_root(watch, usual_roots[i]);
}

static struct state *state_free(struct state *s) {
        LIST_REMOVE(s, link);
        free(s->dir);
        free(s);
        return NULL;
}

void states_done(struct watch *watch) {
        while (!LIST_EMPTY(&watch->states))
                state_free(LIST_FIRST(&watch->states));
        for (size_t i = 0; i < watch->n_roots; i++)
                free(watch->roots[i]);
        watch->n_roots = 0;
}

const char *states_runtime_of(const char *dir, const struct oci_info *info) {
        static const struct {
                const char *part;
                const char *runtime;
        } known[] = {
                { "/runtime-runc/moby", "docker" }, { "/runtime-crun/moby", "docker" },
                { "/docker/", "docker" },           { "/containerd/runc/moby", "docker" },
                { "/containerd/", "containerd" },   { "/crun", "crun" },
        };

        if (info->text[OCI_MANAGER][0])
                return info->text[OCI_MANAGER];
        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
                if (strstr(dir, known[i].part))
                        return known[i].runtime;
        return "runc";
}

static int read_file_of(struct watch *watch, const char *path, enum oci_file file, const char *key,
                        uint64_t timeout_ns, struct oci_info *info) {
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        struct oci_info more;
        int r;

        r = fd < 0 ? -errno : parser_run(&watch->parser, fd, file, key, timeout_ns, &more);
        info->is_partial |= r == -ETIMEDOUT || r == -EPIPE;
        if (r < 0)
                log_debug("'%s' is not used: %s", path, strerror(-r));
        else
                oci_merge(info, &more);
        return r;
}

void states_read_bundle(struct watch *watch, struct oci_info *info, uint64_t timeout_ns) {
        char path[LIMIT_CONTAINER_TEXT_MAX + 32];

        if (info->text[OCI_BUNDLE][0] != '/')
                return;
        snprintf(path, sizeof(path), "%s/config.json", info->text[OCI_BUNDLE]);
        (void)read_file_of(watch, path, OCI_FILE, NULL, timeout_ns, info);
}

/* A bundle of podman is STORE/DRIVER-containers/ID/userdata; its container is listed in
 * STORE/DRIVER-containers/containers.json, its image in STORE/DRIVER-images/images.json. */
static void read_podman_records(struct watch *watch, struct oci_info *info, uint64_t timeout_ns) {
        static const char kind[] = "-containers";
        char path[LIMIT_CONTAINER_TEXT_MAX + 32], dir[LIMIT_CONTAINER_TEXT_MAX + 1];
        char *slash;
        size_t n;

        snprintf(dir, sizeof(dir), "%s", info->text[OCI_BUNDLE]);
        for (unsigned int i = 0; i < 2; i++) {
                slash = strrchr(dir, '/');
                if (!slash)
                        return;
                *slash = '\0';
        }
        n = strlen(dir);
        if (n < sizeof(kind) || !str_eq(dir + n - (sizeof(kind) - 1), kind))
                return;
        snprintf(path, sizeof(path), "%s/containers.json", dir);
        if (read_file_of(watch, path, OCI_PODMAN_RECORD, info->text[OCI_ID], timeout_ns, info) < 0)
                return;
        snprintf(path, sizeof(path), "%.*s-images/images.json", (int)(n - (sizeof(kind) - 1)), dir);
        (void)read_file_of(watch, path, OCI_PODMAN_IMAGES, info->text[OCI_IMAGE_ID], timeout_ns,
                           info);
}

void states_read_records(struct watch *watch, struct oci_info *info, uint64_t timeout_ns) {
        char path[LIMIT_CONTAINER_TEXT_MAX + 32];

        if (str_eq(info->text[OCI_MANAGER], "podman")) {
                read_podman_records(watch, info, timeout_ns);
        } else if (info->text[OCI_RECORD][0] == '/' && !info->text[OCI_MANAGER][0]) {
                snprintf(path, sizeof(path), "%s/config.v2.json", info->text[OCI_RECORD]);
                (void)read_file_of(watch, path, OCI_DOCKER_RECORD, info->text[OCI_ID], timeout_ns,
                                   info);
        }
}

/* Returns true when there is something new to know. */
static bool state_read(struct watch *watch, struct state *s, const char *id) {
        for (size_t i = 0; i < ARRAY_SIZE(state_names); i++) {
                cleanup_close int fd = -1;
                cleanup_free char *path = NULL;
                struct stat st;
                uint64_t mtime;
                int r;

                if (asprintf(&path, "%s/%s", s->dir, state_names[i]) < 0)
                        return false;
                fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
                if (fd < 0 || fstat(fd, &st) < 0)
                        continue;
                mtime = (uint64_t)st.st_mtim.tv_sec * NSEC_PER_SEC + (uint64_t)st.st_mtim.tv_nsec;
                if (mtime == s->mtime_ns)
                        return false;
                r = parser_run(&watch->parser, fd, OCI_FILE, NULL, PARSE_TIMEOUT, &s->info);
                if (r == -EBADMSG)
                        return false; /* half written: the next look finds the rest */
                if ((r == -ETIMEDOUT || r == -EPIPE) && s->n_timeouts++ < TIMEOUTS_MAX)
                        return false;
                s->mtime_ns = mtime;
                s->has_info = r == 0;
                if (r < 0) {
                        log_debug("'%s' is not used: %s", path, strerror(-r));
                        return false;
                }
                if (!s->info.text[OCI_ID][0] && oci_is_text(id, strlen(id)))
                        snprintf(s->info.text[OCI_ID], sizeof(s->info.text[0]), "%s", id);
                if (str_eq(state_names[i], "status")) /* crun's has no annotations */
                        states_read_bundle(watch, &s->info, PARSE_TIMEOUT);
                states_read_records(watch, &s->info, PARSE_TIMEOUT);
                if (s->info.is_partial && s->n_timeouts++ < TIMEOUTS_MAX)
                        s->mtime_ns = 0; /* the next look reads it again */
                return true;
        }
        return false;
}

static struct state *state_get(struct watch *watch, const char *dir) {
        struct state *s;

        LIST_FOREACH (s, &watch->states, link)
                if (str_eq(s->dir, dir))
                        return s;
        s = calloc(1, sizeof(*s));
        if (!s)
                return NULL;
        s->dir = strdup(dir);
        if (!s->dir) {
                free(s);
                return NULL;
        }
        LIST_INSERT_HEAD(&watch->states, s, link);
        return s;
}

uint32_t states_pid(struct watch *watch, const char *dir) {
        struct oci_info info = { 0 };
        char path[4096 + 16];

        for (size_t i = 0; i < ARRAY_SIZE(state_names) && info.pid == 0; i++) {
                snprintf(path, sizeof(path), "%s/%s", dir, state_names[i]);
                cleanup_close int fd =
                        open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);

                if (fd >= 0 &&
                    parser_run(&watch->parser, fd, OCI_FILE, NULL, PARSE_TIMEOUT, &info) < 0)
                        info.pid = 0;
        }
        return info.pid;
}

static void use(struct watch *watch, struct state *s) {
        struct container *c = s->info.pid > 0 ? watch_consider(watch, (pid_t)s->info.pid) : NULL;

        s->is_used = c != NULL;
        if (c)
                container_set_first(c, (pid_t)s->info.pid);
        if (c && !c->is_named)
                container_name(c, s->dir, &s->info);
}

static void read_root(struct watch *watch, const char *root) {
        DIR *dir = opendir(root);
        struct dirent *entry;

        while (dir && (entry = readdir(dir))) {
                char path[4096];
                struct state *s;

                gate_serve(watch);
                if (entry->d_name[0] == '.' ||
                    (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN))
                        continue;
                if (snprintf(path, sizeof(path), "%s/%s", root, entry->d_name) >= (int)sizeof(path))
                        continue;
                s = state_get(watch, path);
                if (!s)
                        break;
                s->is_seen = true;
                if (state_read(watch, s, entry->d_name) || (s->has_info && !s->is_used))
                        use(watch, s);
        }
        if (dir)
                closedir(dir);
}

void states_refresh(struct watch *watch) {
        struct state *s, *next;

        LIST_FOREACH (s, &watch->states, link)
                s->is_seen = false;
        for (size_t i = 0; i < watch->n_roots; i++) {
                glob_t found = { 0 };

                if (!strchr(watch->roots[i], '*')) {
                        read_root(watch, watch->roots[i]);
                        continue;
                }
                if (glob(watch->roots[i], GLOB_NOSORT, NULL, &found) == 0)
                        for (size_t k = 0; k < found.gl_pathc; k++)
                                read_root(watch, found.gl_pathv[k]);
                globfree(&found);
        }
        for (s = LIST_FIRST(&watch->states); s; s = next) {
                next = LIST_NEXT(s, link);
                if (!s->is_seen)
                        state_free(s);
        }
}
