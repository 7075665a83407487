/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packs a definition and compiled objects as an image of a store, during the build of gadgetd
 * itself (users have `gadgetctl build`). Running it again with the same files changes nothing;
 * --digest-file is written last, for build systems that want an output file.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <time.h>

#include "base/file.h"
#include "base/parse.h"
#include "image/store.h"

#define OBJECTS_MAX 16
#define ANNOTATIONS_MAX 64

struct options {
        const char *store;
        const char *ref;
        const char *definition;
        const char *digest_file;
        const char *created;
        char *objects[OBJECTS_MAX]; /* ARCH=FILE */
        size_t n_objects;
        char *annotations[ANNOTATIONS_MAX]; /* KEY=VALUE */
        size_t n_annotations;
};

/* What the spec points into. */
struct input {
        struct buf definition;
        struct buf files[OBJECTS_MAX];
        struct pack_object objects[OBJECTS_MAX];
        struct pack_annotation annotations[ANNOTATIONS_MAX];
};

static void input_done(struct input *input) {
        buf_done(&input->definition);
        for (size_t i = 0; i < OBJECTS_MAX; i++)
                buf_done(&input->files[i]);
}

static int usage(FILE *to, int status) {
        fputs("Usage: gadget-pack --store DIR --ref NAME[:TAG] --object ARCH=FILE...\n"
              "                   [--definition FILE] [--annotation KEY=VALUE...] [--created "
              "SECONDS]\n"
              "                   [--digest-file FILE]\n"
              "\n"
              "Packs eBPF objects and their gadget.yaml as an image of the OCI image layout DIR, "
              "which is\n"
              "made when it is missing. --created defaults to SOURCE_DATE_EPOCH, else to the "
              "current time.\n",
              to);
        return status;
}

static int read_options(int argc, char **argv, struct options *o) {
        static const struct option longs[] = {
                { "store", required_argument, NULL, 's' },
                { "ref", required_argument, NULL, 'r' },
                { "definition", required_argument, NULL, 'd' },
                { "object", required_argument, NULL, 'o' },
                { "annotation", required_argument, NULL, 'a' },
                { "created", required_argument, NULL, 'c' },
                { "digest-file", required_argument, NULL, 'f' },
                { "help", no_argument, NULL, 'h' },
                { NULL },
        };
        int c;

        while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
                switch (c) {
                case 's':
                        o->store = optarg;
                        break;
                case 'r':
                        o->ref = optarg;
                        break;
                case 'd':
                        o->definition = optarg;
                        break;
                case 'f':
                        o->digest_file = optarg;
                        break;
                case 'c':
                        o->created = optarg;
                        break;
                case 'o':
                        if (o->n_objects == OBJECTS_MAX)
                                return -E2BIG;
                        o->objects[o->n_objects++] = optarg;
                        break;
                case 'a':
                        if (o->n_annotations == ANNOTATIONS_MAX)
                                return -E2BIG;
                        o->annotations[o->n_annotations++] = optarg;
                        break;
                case 'h':
                        exit(usage(stdout, 0));
                default:
                        return -EINVAL;
                }
        }
        return optind == argc && o->store && o->ref && o->n_objects > 0 ? 0 : -EINVAL;
}

/* Cuts "KEY=VALUE" in two; the value, or NULL. */
static char *split_pair(char *pair) {
        char *equals = strchr(pair, '=');

        if (!equals || equals == pair)
                return NULL;
        *equals = '\0';
        return equals + 1;
}

static int read_input_file(const char *path, size_t max, struct buf *ret, struct error *err) {
        int r;

        *ret = BUF_INIT(max);
        r = read_file_at(AT_FDCWD, path, ret);
        return r < 0 ? error_prefix(err, r, "cannot read '%s'", path) : 0;
}

static int read_objects(const struct options *o, struct input *input, struct error *err) {
        int r;

        for (size_t i = 0; i < o->n_objects; i++) {
                const char *path = split_pair(o->objects[i]);

                if (!path)
                        return error_set(err, ERROR_INVALID, -EINVAL,
                                         "--object '%s' is not ARCH=FILE", o->objects[i]);
                r = read_input_file(path, LIMIT_OBJECT_SIZE_MAX, &input->files[i], err);
                if (r < 0)
                        return r;
                input->objects[i] = (struct pack_object){
                        .arch = o->objects[i],
                        .object = BYTES(input->files[i].data, input->files[i].len),
                };
        }
        return 0;
}

static int read_annotations(const struct options *o, struct input *input, struct error *err) {
        for (size_t i = 0; i < o->n_annotations; i++) {
                const char *value = split_pair(o->annotations[i]);

                if (!value)
                        return error_set(err, ERROR_INVALID, -EINVAL,
                                         "--annotation '%s' is not KEY=VALUE", o->annotations[i]);
                input->annotations[i] = (struct pack_annotation){ o->annotations[i], value };
        }
        return 0;
}

static int read_created(const struct options *o, uint64_t *ret, struct error *err) {
        const char *text = o->created ?: getenv("SOURCE_DATE_EPOCH");

        if (!text) {
                *ret = (uint64_t)time(NULL);
                return 0;
        }
        if (parse_u64(text, 0, INT64_MAX, ret) < 0)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "'%s' is not a number of seconds since 1970", text);
        return 0;
}

static int pack(const struct options *o, struct input *input, char *ret_digest, struct error *err) {
        cleanup(store_closep) struct store *store = NULL;
        struct pack_spec spec = {
                .objects = input->objects,
                .n_objects = o->n_objects,
                .annotations = input->annotations,
                .n_annotations = o->n_annotations,
        };
        struct image_ref ref;
        int r;

        r = image_ref_parse(o->ref, &ref, err);
        if (r < 0)
                return r;
        r = read_created(o, &spec.created, err);
        if (r < 0)
                return r;
        if (o->definition) {
                r = read_input_file(o->definition, LIMIT_DEFINITION_SIZE_MAX, &input->definition,
                                    err);
                if (r < 0)
                        return r;
                spec.definition = BYTES(input->definition.data, input->definition.len);
        }
        r = read_objects(o, input, err);
        if (r < 0)
                return r;
        r = read_annotations(o, input, err);
        if (r < 0)
                return r;
        r = store_open(o->store, STORE_CREATE, &store, err);
        if (r < 0)
                return r;
        return store_pack(store, &ref, &spec, ret_digest, err);
}

static int write_digest(const char *path, const char *digest, struct error *err) {
        char line[DIGEST_TEXT_MAX + 1];
        int n = snprintf(line, sizeof(line), "%s\n", digest);
        int r = write_file_atomic(AT_FDCWD, path, line, (size_t)n, 0644);

        return r < 0 ? error_prefix(err, r, "cannot write '%s'", path) : 0;
}

int main(int argc, char **argv) {
        cleanup(input_done) struct input input = { 0 };
        struct options options = { 0 };
        char digest[DIGEST_TEXT_MAX];
        struct error err = { 0 };
        int r;

        if (read_options(argc, argv, &options) < 0)
                return usage(stderr, 2);
        r = pack(&options, &input, digest, &err);
        if (r == 0 && options.digest_file)
                r = write_digest(options.digest_file, digest, &err);
        if (r < 0) {
                fprintf(stderr, "gadget-pack: %s\n", error_text(&err));
                return 1;
        }
        printf("%s@%s\n", options.ref, digest);
        return 0;
}
