/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/ld-cache.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "gadget/api.h"

/* The format since glibc 2.2; before 2.32 the older one may stand in front of it. */
#define MAGIC "glibc-ld.so.cache1.1"
#define OLD_MAGIC "ld.so-1.7.0"

#define TEXT_MAX 1024
#define TYPE_ELF_LIBC6 3
#if defined(__x86_64__)
#define REQUIRED 0x0300
#elif defined(__aarch64__)
#define REQUIRED 0x0a00
#endif

struct header {
        char magic[20];
        uint32_t n_libs;
        uint32_t strings_size;
        uint32_t flags_and_extension[5];
};

struct entry {
        int32_t flags;
        uint32_t key;   /* of its name, from the start of the list */
        uint32_t value; /* of its path */
        uint32_t os_version;
        uint64_t hwcap;
};

static int malformed(struct error *err) {
        return error_set(err, ERROR_INVALID, -ENOEXEC, "its list of libraries is malformed");
}

static const char *text_at(struct bytes list, uint32_t at) {
        /* Not further: each of many entries may name the same long text. */
        return at < list.len && memchr(list.data + at, 0, MIN(list.len - at, (size_t)TEXT_MAX))
                       ? (const char *)list.data + at
                       : NULL;
}

/* "libc" is libc.so.6, "libc.so.6" is itself. */
static bool is_library(const char *file, const char *name) {
        const char *rest = str_after(file, name);

        return rest &&
               (rest[0] == '\0' ? strstr(name, ".so") != NULL : str_after(rest, ".so") != NULL);
}

/* Where the list in the new format begins. */
static bool find_list(struct bytes file, struct bytes *ret) {
        struct {
                char magic[12];
                uint32_t n_libs;
        } old;
        size_t at = 0;

        if (file.len >= sizeof(old) && memcmp(file.data, OLD_MAGIC, strlen(OLD_MAGIC)) == 0) {
                memcpy(&old, file.data, sizeof(old));
                at = ALIGN_UP(sizeof(old) + (size_t)old.n_libs * 12, 8);
        }
        if (at > file.len || file.len - at < sizeof(struct header) ||
            memcmp(file.data + at, MAGIC, strlen(MAGIC)) != 0)
                return false;
        *ret = BYTES(file.data + at, file.len - at);
        return true;
}

static int search(struct bytes list, const char *name, char *path, size_t room, struct error *err) {
        const char *found = NULL;
        size_t shortest = SIZE_MAX;
        struct header header;

        memcpy(&header, list.data, sizeof(header));
        if (header.n_libs > (list.len - sizeof(header)) / sizeof(struct entry))
                return malformed(err);
        for (uint32_t i = 0; i < header.n_libs; i++) {
                struct entry entry;
                const char *key, *value;

                memcpy(&entry, list.data + sizeof(header) + i * sizeof(entry), sizeof(entry));
                key = text_at(list, entry.key);
                value = text_at(list, entry.value);
                if (!key || !value)
                        return malformed(err);
                if ((entry.flags & 0xff) != TYPE_ELF_LIBC6 || (entry.flags & 0xff00) != REQUIRED ||
                    entry.hwcap != 0 || value[0] != '/' || strlen(value) >= room)
                        continue;
                if (strlen(key) >= shortest || !is_library(key, name))
                        continue;
                found = value;
                shortest = strlen(key);
        }
        if (!found)
                return error_set(err, ERROR_UNAVAILABLE, -ENOENT, "it has no library '%.64s'",
                                 name);
        memcpy(path, found, strlen(found) + 1);
        return 0;
}

int ld_cache_find(int fd, const char *name, char *path, size_t room, struct error *err) {
        cleanup_free uint8_t *data = malloc(LIMIT_LD_CACHE_MAX + 1);
        struct bytes list;
        size_t n = 0;
        ssize_t got = 1;

        if (!data)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory for a list of libraries");
        while (n <= LIMIT_LD_CACHE_MAX && got > 0) {
                got = pread(fd, data + n, LIMIT_LD_CACHE_MAX + 1 - n, (off_t)n);
                n += got > 0 ? (size_t)got : 0;
        }
        if (n > LIMIT_LD_CACHE_MAX)
                return error_set(err, ERROR_LIMIT, -EFBIG,
                                 "its list of libraries is larger than %d bytes",
                                 LIMIT_LD_CACHE_MAX);
        if (!find_list(BYTES(data, n), &list))
                return malformed(err);
        return search(list, name, path, room, err);
}
