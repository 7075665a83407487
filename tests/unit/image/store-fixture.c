/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/image/store-fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/file.h"

#define DEFINITION "name: sample\n"

int store_fixture_setup(void **state) {
        struct store_fixture *f = calloc(1, sizeof(*f));
        struct error err = { 0 };

        /* In memory where that is possible: the tests fsync() by the thousand. */
        snprintf(f->dir, sizeof(f->dir), "%s/gadget-store-XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        if (!mkdtemp(f->dir))
                return -1;
        f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        snprintf(f->path, sizeof(f->path), "%s/store", f->dir);
        if (store_open(f->path, STORE_CREATE, &f->store, &err) < 0) {
                fprintf(stderr, "%s\n", error_text(&err));
                return -1;
        }
        *state = f;
        return 0;
}

int store_fixture_teardown(void **state) {
        struct store_fixture *f = *state;

        store_close(f->store);
        close_fd(&f->dir_fd);
        remove_tree(AT_FDCWD, f->dir);
        free(f);
        return 0;
}

void store_fixture_reopen(struct store_fixture *f) {
        struct error err = { 0 };

        f->store = store_close(f->store);
        if (store_open(f->path, 0, &f->store, &err) < 0)
                fail_msg("%s", error_text(&err));
}

struct image_ref ref_of(const char *text) {
        struct image_ref ref;

        assert_int_equal(image_ref_parse(text, &ref, NULL), 0);
        return ref;
}

int pack_sample(struct store *store, const char *name, const char *object, char *ret_digest,
                struct error *err) {
        char amd64[128], arm64[128];
        int n_amd64 = snprintf(amd64, sizeof(amd64), "%s for amd64", object);
        int n_arm64 = snprintf(arm64, sizeof(arm64), "%s for arm64", object);
        const struct pack_object objects[] = {
                { "arm64", BYTES(arm64, n_arm64) },
                { "amd64", BYTES(amd64, n_amd64) },
        };
        const struct pack_annotation annotations[] = {
                { "org.opencontainers.image.title", "sample" },
                { "org.opencontainers.image.authors", "A. Nonymous" },
        };
        struct image_ref ref = ref_of(name);
        char digest[DIGEST_TEXT_MAX];

        return store_pack(store, &ref,
                          &(struct pack_spec){
                                  .definition = BYTES(DEFINITION, strlen(DEFINITION)),
                                  .objects = objects,
                                  .n_objects = ARRAY_SIZE(objects),
                                  .annotations = annotations,
                                  .n_annotations = ARRAY_SIZE(annotations),
                                  .created = 1700000000,
                          },
                          ret_digest ?: digest, err);
}

void assert_loads(struct store *store, const char *name, const char *object) {
        cleanup(image_freep) struct image *image = NULL;
        struct image_ref ref = ref_of(name);
        struct error err = { 0 };
        char want[128];

        if (store_load(store, &ref, "amd64", &image, &err) < 0)
                fail_msg("%s", error_text(&err));
        snprintf(want, sizeof(want), "%s for amd64", object);
        assert_int_equal(image->object_size, strlen(want));
        assert_memory_equal(image->object, want, strlen(want));
        assert_int_equal(image->definition_size, strlen(DEFINITION));
        assert_memory_equal(image->definition, DEFINITION, strlen(DEFINITION));
}

void assert_not_found(struct store *store, const char *name) {
        struct image_ref ref = ref_of(name);
        struct error err = { 0 };
        struct image *image;

        assert_int_equal(store_load(store, &ref, "amd64", &image, &err), -ENOENT);
        assert_int_equal(err.code, ERROR_NOT_FOUND);
}

size_t count_blobs(const struct store_fixture *f) {
        cleanup_free char *path = NULL;
        const struct dirent *entry;
        size_t n = 0;
        DIR *dir;

        assert_true(asprintf(&path, "%s/blobs/sha256", f->path) > 0);
        dir = opendir(path);
        assert_non_null(dir);
        while ((entry = readdir(dir)))
                n += entry->d_name[0] != '.';
        closedir(dir);
        return n;
}

void put_raw(struct store_fixture *f, const char *name, const char *media_type,
             struct bytes content, char ret_digest[DIGEST_TEXT_MAX]) {
        struct error err = { 0 };
        struct descriptor d = { .media_type = media_type,
                                .digest = ret_digest,
                                .size = content.len };
        struct image_ref ref;

        if (blob_put(f->store->root_fd, content, ret_digest, &err) < 0)
                fail_msg("%s", error_text(&err));
        if (!name)
                return;
        ref = ref_of(name);
        if (store_put_name(f->store, &ref, &d, &err) < 0)
                fail_msg("%s", error_text(&err));
}
