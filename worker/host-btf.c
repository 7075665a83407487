/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's BTF: what libbpf finds at /sys/kernel/btf/vmlinux, and by which CO-RE decides in a
 * gadget what this kernel has.
 */
#include <linux/btf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/host-link.h"
#include "worker/host.h"

static struct {
        int fd;
        struct bytes all;
} btf = { .fd = -1 };

struct bytes host_btf(void) {
        return btf.all;
}

int host_btf_fd(void) {
        return btf.fd;
}

/* Linux maps its BTF since 6.15: then these are the kernel's own pages, and take no memory. */
void host_btf_init(int take_fd) {
        struct stat st;
        void *data;

        btf.fd = take_fd;
        if (btf.fd < 0 || fstat(btf.fd, &st) < 0)
                return;
        data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, btf.fd, 0);
        if (data != MAP_FAILED)
                btf.all = BYTES(data, (size_t)st.st_size);
}

static uint8_t *new_pages(size_t size) {
        void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        return data == MAP_FAILED ? NULL : data;
}

/* Before 6.15, a page at a time. */
int host_btf_read(void) {
        struct stat st;
        uint8_t *data;
        size_t done = 0;

        if (btf.fd < 0 || btf.all.len > 0)
                return 0;
        if (fstat(btf.fd, &st) < 0)
                return -errno;
        data = new_pages((size_t)st.st_size);
        if (!data)
                return -ENOMEM;
        while (done < (size_t)st.st_size) {
                ssize_t n = pread(btf.fd, data + done, (size_t)st.st_size - done, (off_t)done);

                if (n <= 0)
                        break;
                done += (size_t)n;
        }
        btf.all = BYTES(data, (size_t)st.st_size);
        return 0;
}

static void unmap(void) {
        if (btf.all.len > 0)
                munmap((void *)(uintptr_t)btf.all.data, btf.all.len);
        btf.all = BYTES(NULL, 0);
}

void host_btf_done(void) {
        unmap();
        close_fd(&btf.fd);
}

/* All names, each with its NUL. */
static struct bytes names(void) {
        struct btf_header header;
        uint64_t begin;

        if (btf.all.len < sizeof(header))
                return BYTES(NULL, 0);
        memcpy(&header, btf.all.data, sizeof(header));
        begin = (uint64_t)header.hdr_len + header.str_off;
        if (begin > btf.all.len || header.str_len > btf.all.len - begin)
                return BYTES(NULL, 0);
        return BYTES(btf.all.data + begin, header.str_len);
}

/* The next name at or behind `from` that begins so; NULL = there is none. */
static const uint8_t *find_name(struct bytes in, const uint8_t *from, const char *prefix) {
        const uint8_t *end = in.data + in.len;
        size_t n = strlen(prefix);

        while (from && from < end) {
                const uint8_t *at = memmem(from, (size_t)(end - from), prefix, n);

                if (!at || (at > in.data && at[-1] == 0))
                        return at;
                from = at + 1;
        }
        return NULL;
}

bool host_btf_has(const char *name) {
        struct bytes in = names();
        size_t n = strlen(name);
        const uint8_t *at = in.data;

        if (in.len == 0)
                return true;
        while ((at = find_name(in, at, name))) {
                if (at + n < in.data + in.len && at[n] == 0)
                        return true;
                at++;
        }
        return false;
}

/* A copy, in which the names have another first letter. Who would rather map the file than read it
 * does not find it. */
int host_btf_hide(const char *prefix) {
        struct bytes all = btf.all, in;
        uint8_t *copy;

        if (all.len == 0)
                return -ENOENT;
        copy = new_pages(all.len);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, all.data, all.len);
        unmap();
        btf.all = BYTES(copy, all.len);
        close_fd(&btf.fd);
        in = names();
        for (const uint8_t *at = in.data; (at = find_name(in, at, prefix)); at++)
                copy[at - copy] = '-';
        return 0;
}
