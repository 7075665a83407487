/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/symbol-files.h"

#include <inttypes.h>

#include "base/log.h"
#include "gadget/api.h"

/* Each takes at least so much, whatever is in it: this bounds their number. */
#define FILE_OVERHEAD 4096

static struct {
        struct symbol_file {
                struct symbol_file *next; /* used less recently */
                struct broker_file key;
                struct elf_symbols *symbols;
                uint64_t id;
        } * first;
        size_t bytes;
        uint64_t last_id;
} files;

static size_t bytes_of(const struct symbol_file *file) {
        return FILE_OVERHEAD + elf_symbols_bytes(file->symbols);
}

static void forget(struct symbol_file **at) {
        struct symbol_file *file = *at;

        *at = file->next;
        files.bytes -= bytes_of(file);
        elf_symbols_free(file->symbols);
        free(file);
}

/* Moves it to the front. */
static const struct elf_symbols *use(struct symbol_file **at) {
        struct symbol_file *file = *at;

        *at = file->next;
        file->next = files.first;
        files.first = file;
        return file->symbols;
}

/* The last ones, until the rest fits; never the first one, which is wanted now. */
static void make_room(void) {
        while (files.bytes > LIMIT_SYMBOL_BYTES_MAX && files.first->next) {
                struct symbol_file **at = &files.first->next;

                while ((*at)->next)
                        at = &(*at)->next;
                forget(at);
        }
}

uint64_t symbol_files_add(const struct broker_file *key, int fd) {
        struct symbol_file *file;

        for (struct symbol_file **at = &files.first; *at; at = &(*at)->next)
                if (memcmp(&(*at)->key, key, sizeof(*key)) == 0) {
                        use(at);
                        return files.first->id;
                }
        file = calloc(1, sizeof(*file));
        if (!file || elf_symbols_new(fd, &file->symbols) < 0) {
                free(file);
                return 0;
        }
        if (file->symbols->is_cut)
                log_info("a file has too many functions (device %" PRIu64 ", inode %" PRIu64
                         "): those behind the first %zu have no names",
                         key->dev, key->inode, file->symbols->n);
        file->key = *key;
        file->id = ++files.last_id;
        file->next = files.first;
        files.first = file;
        files.bytes += bytes_of(file);
        make_room();
        return file->id;
}

const struct elf_symbols *symbol_files_get(uint64_t id) {
        for (struct symbol_file **at = &files.first; *at; at = &(*at)->next)
                if ((*at)->id == id)
                        return use(at);
        return NULL;
}

const struct elf_symbols *symbol_files_find(const uint8_t *build_id, size_t len) {
        for (struct symbol_file **at = &files.first; *at; at = &(*at)->next)
                if ((*at)->symbols->build_id_len == len &&
                    memcmp((*at)->symbols->build_id, build_id, len) == 0)
                        return use(at);
        return NULL;
}

void symbol_files_forget_all(void) {
        while (files.first)
                forget(&files.first);
}

size_t symbol_files_bytes(void) {
        return files.bytes;
}
