/* SPDX-License-Identifier: Apache-2.0 */
#include "gadgetctl/tar.h"

#include <stdio.h>

#include "base/file.h"

struct header {
        char name[100];
        char mode[8];
        char uid[8];
        char gid[8];
        char size[12];
        char mtime[12];
        char checksum[8];
        char type;
        char link[100];
        char magic[6];
        char version[2];
        char user[32];
        char group[32];
        char major[8];
        char minor[8];
        char prefix[155];
        char unused[12];
};
_Static_assert(sizeof(struct header) == TAR_BLOCK, "a tar header is one block");

static unsigned int checksum_of(const struct header *header) {
        const uint8_t *bytes = (const uint8_t *)header;
        size_t from = offsetof(struct header, checksum), n = sizeof(header->checksum);
        unsigned int sum = 0;

        for (size_t i = 0; i < sizeof(*header); i++)
                sum += i >= from && i < from + n ? ' ' : bytes[i];
        return sum;
}

int tar_put_header(int fd, const char *name, uint64_t size) {
        struct header header = { .type = '0', .magic = "ustar", .version = { '0', '0' } };

        if (strlen(name) > sizeof(header.name) + 50 || size >> 33)
                return -ENAMETOOLONG;
        if (strlen(name) >= sizeof(header.name)) {
                const char *slash = strrchr(name, '/');

                memcpy(header.prefix, name, (size_t)(slash - name));
                name = slash + 1;
        }
        if (strlen(name) > sizeof(header.name))
                return -ENAMETOOLONG;
        memcpy(header.name, name, strlen(name));
        snprintf(header.mode, sizeof(header.mode), "%07o", 0644);
        snprintf(header.uid, sizeof(header.uid), "%07o", 0);
        snprintf(header.gid, sizeof(header.gid), "%07o", 0);
        snprintf(header.size, sizeof(header.size), "%011llo", (unsigned long long)size);
        snprintf(header.mtime, sizeof(header.mtime), "%011o", 0);
        snprintf(header.checksum, sizeof(header.checksum), "%06o", checksum_of(&header));
        header.checksum[7] = ' ';
        return write_all(fd, &header, sizeof(header));
}

int tar_put_padding(int fd, uint64_t size) {
        static const uint8_t zeros[TAR_BLOCK];
        size_t n = (size_t)(-size % TAR_BLOCK);

        return n > 0 ? write_all(fd, zeros, n) : 0;
}

int tar_put_end(int fd) {
        static const uint8_t zeros[2 * TAR_BLOCK];

        return write_all(fd, zeros, sizeof(zeros));
}

/* Octal digits up to a blank or NUL. */
static int read_octal(const char *text, size_t n, uint64_t *ret) {
        uint64_t value = 0;
        size_t i = 0;

        while (i < n && text[i] == ' ')
                i++;
        for (; i < n && text[i] >= '0' && text[i] <= '7'; i++) {
                if (value >> 60)
                        return -ERANGE;
                value = value * 8 + (uint64_t)(text[i] - '0');
        }
        if (i < n && text[i] != ' ' && text[i] != '\0')
                return -EINVAL;
        *ret = value;
        return 0;
}

int tar_next(int fd, uint64_t *position, struct tar_entry *ret, struct error *err) {
        for (;;) {
                char full[sizeof(((struct header *)0)->name) + 160];
                struct header header;
                uint64_t size, sum;
                const char *name;
                ssize_t n = pread(fd, &header, sizeof(header), (off_t)*position);

                if (n == 0 || (n == sizeof(header) && header.name[0] == '\0'))
                        return 0;
                if (n != sizeof(header) ||
                    read_octal(header.checksum, sizeof(header.checksum), &sum) < 0 ||
                    sum != checksum_of(&header) ||
                    read_octal(header.size, sizeof(header.size), &size) < 0 || size >> 40)
                        return error_set(err, ERROR_INVALID, -EBADMSG,
                                         "is no tar archive, or a damaged one, at byte %llu",
                                         (unsigned long long)*position);
                snprintf(full, sizeof(full), "%.155s%s%.100s", header.prefix,
                         header.prefix[0] ? "/" : "", header.name);
                *position += TAR_BLOCK;
                ret->offset = *position;
                ret->size = size;
                *position += ALIGN_UP(size, (uint64_t)TAR_BLOCK);
                if (header.type != '0' && header.type != '\0')
                        continue;
                name = str_after(full, "./") ?: full;
                snprintf(ret->name, sizeof(ret->name), "%.255s", name);
                return 1;
        }
}
