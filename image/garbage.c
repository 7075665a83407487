/* SPDX-License-Identifier: Apache-2.0 */
/* Collecting garbage: everything that index.json does not lead to. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "image/partial.h"
#include "image/reach.h"
#include "image/store-internal.h"

/* Calls func for each name in the directory. */
static int each_file(int root_fd, const char *path,
                     int (*func)(int dir_fd, const char *name, void *userdata), void *userdata) {
        cleanup_close int fd = open_beneath(root_fd, path, O_RDONLY | O_DIRECTORY, 0);
        const struct dirent *entry;
        DIR *dir;
        int r = 0;

        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        dir = fdopendir(fd);
        if (!dir)
                return -errno;
        TAKE_FD(fd);
        while (r == 0 && (entry = readdir(dir)))
                r = func(dirfd(dir), entry->d_name, userdata);
        closedir(dir);
        return r;
}

struct sweep {
        const char *algorithm;
        const struct reach *live;
};

static int sweep_blob(int dir_fd, const char *name, void *userdata) {
        const struct sweep *sweep = userdata;
        char digest[DIGEST_TEXT_MAX + 256];

        snprintf(digest, sizeof(digest), "%s:%s", sweep->algorithm, name);
        if (!digest_is_valid(digest) || reach_has(sweep->live, digest))
                return 0;
        return unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* A temporary file is locked as long as its writer lives; what is left of a cut transfer waits to
 * be resumed. */
static int sweep_temp(int dir_fd, const char *name, void *userdata) {
        bool is_partial = str_after(name, PARTIAL_PREFIX);
        cleanup_close int fd = -1;
        struct stat st;

        (void)userdata;
        if (!str_after(name, STORE_TEMP_PREFIX) && !is_partial)
                return 0;
        if (is_partial && (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
                           time(NULL) - st.st_mtime < PARTIAL_KEEP_S))
                return 0;
        fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return 0;
        return unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int store_collect_garbage(struct store *store) {
        static const char *const algorithms[] = { "sha256", "sha512" };
        cleanup_layout struct layout layout = { 0 };
        cleanup_reach struct reach live = { 0 };
        int r;

        r = each_file(store->root_fd, ".", sweep_temp, NULL);
        if (r < 0)
                return r;
        r = layout_read(store->root_fd, &layout, NULL);
        if (r < 0)
                return r;
        r = reach_from(store->root_fd, layout.root, &live);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++) {
                struct sweep sweep = { algorithms[i], &live };
                char dir[BLOB_PATH_MAX];

                snprintf(dir, sizeof(dir), "blobs/%s", algorithms[i]);
                r = each_file(store->root_fd, dir, sweep_blob, &sweep);
                if (r < 0)
                        return r;
        }
        return 0;
}
