/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/kernel-symbols.h"

#include "base/clock.h"
#include "base/parse.h"
#include "broker/broker.h"

#define LINE_ROOM 1024 /* the kernel's names have 512 bytes at most */
#define NAMES_MAX (64u << 20)
#define LIFE_NS (60 * NSEC_PER_SEC)
/* Sizes are not told. Behind the last function there is nothing, which has no end. */
#define FUNCTION_MAX (1u << 20)

static bool is_function(char type) {
        return type == 't' || type == 'T' || type == 'w' || type == 'W';
}

/* "ffffffff81000000 T name\t[module]"; the kernel's own text, and yet: what does not look so is
 * left out. */
static int add_line(struct kernel_symbols *s, const char *line) {
        uint64_t address;
        size_t len;
        int r;

        if (!parse_leading(&line, 16, &address) || address == 0 || line[0] != ' ' ||
            !is_function(line[1]) || line[2] != ' ')
                return 0;
        line += 3;
        len = strcspn(line, "\t ");
        if (len == 0 || line[0] == '$') /* $x marks code on arm64 */
                return 0;
        if (s->n == s->room) {
                size_t room = MAX(s->room * 2, (size_t)4096);
                void *grown = reallocarray(s->items, room, sizeof(*s->items));

                if (!grown)
                        return -ENOMEM;
                s->items = grown;
                s->room = room;
        }
        s->items[s->n++] =
                (struct kernel_symbol){ .address = address, .name = (uint32_t)s->names.len };
        r = buf_append(&s->names, line, len);
        return r < 0 ? r : buf_append(&s->names, "", 1);
}

/* Of functions at one address the kernel's choice, which is the first, comes first. */
static int compare(const void *x, const void *y) {
        const struct kernel_symbol *a = x, *b = y;

        if (a->address != b->address)
                return a->address < b->address ? -1 : 1;
        return (a->name > b->name) - (a->name < b->name);
}

static int read_lines(struct kernel_symbols *s, int fd) {
        char text[LINE_ROOM * 16 + 1];
        size_t len = 0;
        ssize_t n;
        int r = 0;

        while (r == 0 && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0) {
                char *line = text, *end;

                len += (size_t)n;
                text[len] = '\0';
                while (r == 0 && (end = memchr(line, '\n', len - (size_t)(line - text)))) {
                        *end = '\0';
                        r = add_line(s, line);
                        line = end + 1;
                }
                len -= (size_t)(line - text);
                memmove(text, line, len);
                if (len == sizeof(text) - 1)
                        return -EBADMSG;
        }
        return r < 0 ? r : n < 0 ? -errno : 0;
}

int kernel_symbols_read(struct kernel_symbols *s, int fd) {
        int r;

        kernel_symbols_done(s);
        s->names = BUF_INIT(NAMES_MAX);
        r = lseek(fd, 0, SEEK_SET) < 0 ? -errno : read_lines(s, fd);
        if (r == 0 && s->n == 0)
                r = -EACCES;
        if (r < 0) {
                kernel_symbols_done(s);
                return r;
        }
        qsort(s->items, s->n, sizeof(*s->items), compare);
        return 0;
}

void kernel_symbols_done(struct kernel_symbols *s) {
        free(s->items);
        buf_done(&s->names);
        *s = (struct kernel_symbols){ 0 };
}

const char *kernel_symbols_find(const struct kernel_symbols *s, uint64_t address) {
        size_t low = 0, high = s->n;

        while (low < high) { /* the first one behind the address */
                size_t middle = low + (high - low) / 2;

                if (s->items[middle].address <= address)
                        low = middle + 1;
                else
                        high = middle;
        }
        if (low == 0 || address - s->items[low - 1].address > FUNCTION_MAX)
                return NULL;
        for (low--; low > 0 && s->items[low - 1].address == s->items[low].address;)
                low--;
        return (const char *)s->names.data + s->items[low].name;
}

/* Names only: an address is answered with nothing that it does not say already. */
int on_kernel_symbols(struct broker *b, const struct request *request, struct reply *reply,
                      struct error *err) {
        size_t n = request->payload_len / sizeof(uint64_t);
        uint64_t address;

        if (n == 0 || n > LIMIT_STACK_FRAMES_MAX || request->payload_len % sizeof(address) != 0)
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker's request 'kernel symbols' is for no list of 1 to %d "
                                 "addresses",
                                 LIMIT_STACK_FRAMES_MAX);
        if (!b->has_stacks)
                return error_set(err, ERROR_DENIED, -EPERM,
                                 "the worker asked for kernel symbols without a map of stacks");
        if (b->kernel_symbols.n == 0 || now_ns() - b->kernel_symbols.read_ns > LIFE_NS) {
                reply->result = b->kallsyms_fd < 0
                                        ? -ENOENT
                                        : kernel_symbols_read(&b->kernel_symbols, b->kallsyms_fd);
                if (reply->result < 0)
                        return 0;
                b->kernel_symbols.read_ns = now_ns();
        }
        for (size_t i = 0; i < n; i++) {
                const char *name;
                uint8_t len;

                memcpy(&address, request->payload + i * sizeof(address), sizeof(address));
                name = kernel_symbols_find(&b->kernel_symbols, address) ?: "";
                len = (uint8_t)MIN(strlen(name), (size_t)UINT8_MAX);
                buf_append(&reply->payload, &len, sizeof(len));
                buf_append(&reply->payload, name, len);
        }
        return 0;
}
