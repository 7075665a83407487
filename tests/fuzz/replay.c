/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main of a fuzz target without libFuzzer: runs it over every file of the folders (or files)
 * named on the command line, and over every truncation of the small ones. No input at all is a
 * failure: a corpus that was moved must not pass.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tests/fuzz/fuzz.h"

#define TRUNCATED_MAX 4096

/* Each run gets memory of its own size, so that a sanitizer sees a step over the end. */
static void run(const uint8_t *data, size_t size) {
        uint8_t *copy = malloc(size > 0 ? size : 1);

        MUST(copy);
        memcpy(copy, data, size);
        LLVMFuzzerTestOneInput(copy, size);
        free(copy);
}

static int replay_file(int dir_fd, const char *name) {
        cleanup_buf struct buf b = BUF_INIT(16 << 20);
        int r;

        r = read_file_at(dir_fd, name, &b);
        if (r < 0)
                return r;
        if (!buf_reserve(&b, 1))
                return buf_result(&b);
        for (size_t n = b.len > TRUNCATED_MAX ? b.len : 0; n <= b.len; n++)
                run(b.data, n);
        return 0;
}

static int replay_dir(int dir_fd, unsigned int *n_files) {
        const struct dirent *entry;
        DIR *dir = fdopendir(dir_fd);
        int r = 0;

        if (!dir)
                return -errno;
        while (r == 0 && (entry = readdir(dir))) {
                if (entry->d_name[0] == '.')
                        continue;
                r = replay_file(dirfd(dir), entry->d_name);
                if (r < 0)
                        fprintf(stderr, "'%s': %s\n", entry->d_name, strerror(-r));
                (*n_files)++;
        }
        closedir(dir);
        return r;
}

int main(int argc, char **argv) {
        unsigned int n_files = 0;

        for (int i = 1; i < argc; i++) {
                int dir_fd = open(argv[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

                if (dir_fd >= 0) {
                        r = replay_dir(dir_fd, &n_files);
                } else {
                        r = replay_file(AT_FDCWD, argv[i]);
                        n_files++;
                }
                if (r < 0) {
                        fprintf(stderr, "'%s': %s\n", argv[i], strerror(-r));
                        return 1;
                }
        }
        printf("%u inputs\n", n_files);
        return n_files == 0;
}
