/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/kernel-stack.h"

#include <bpf/bpf.h>
#include <stdio.h>

#include "base/log.h"
#include "base/names.h"
#include "worker/hurry.h"
#include "worker/stack-text.h"

#define LIFE_NS (60 * NSEC_PER_SEC)
#define PLACES 8192u /* power of two */
/* A table that is fuller than this is emptied: what is still wanted comes back. */
#define NAMES_MAX (PLACES / 4 * 3)
#define REPLY_ROOM (LIMIT_STACK_FRAMES_MAX * (1 + UINT8_MAX))

static struct {
        struct name {
                uint64_t address; /* 0 = free */
                char *text;       /* "" = none */
        } * names;                /* made when the first stack comes */
        size_t n;
        uint64_t filled_ns;
        bool is_told; /* that there are no names */
        int fd;
        uint32_t value_size;
        int (*ask)(const uint64_t *addresses, size_t n, uint8_t *out, size_t room);
} cache = { .fd = -1 };

void kernel_stack_set_source(int (*ask)(const uint64_t *addresses, size_t n, uint8_t *out,
                                        size_t room)) {
        cache.ask = ask;
}

void kernel_stack_set_map(int fd, uint32_t value_size) {
        cache.fd = fd;
        cache.value_size = value_size;
        if (fd >= 0 && (value_size > LIMIT_STACK_FRAMES_MAX * sizeof(uint64_t) ||
                        value_size % sizeof(uint64_t) != 0)) {
                log_warning("kernel stacks are not named: their map has %u bytes an entry, not up "
                            "to %zu",
                            value_size, LIMIT_STACK_FRAMES_MAX * sizeof(uint64_t));
                cache.fd = -1;
        }
}

/* The name's place, or the free one where it goes. */
static struct name *place_of(uint64_t address) {
        uint32_t at = (uint32_t)((address * UINT64_C(0x9e3779b97f4a7c15)) >> 32);

        while (cache.names[at & (PLACES - 1)].address != 0 &&
               cache.names[at & (PLACES - 1)].address != address)
                at++;
        return &cache.names[at & (PLACES - 1)];
}

static void forget_all(void) {
        for (size_t i = 0; i < PLACES; i++)
                free(cache.names[i].text);
        memset(cache.names, 0, PLACES * sizeof(*cache.names));
        cache.n = 0;
}

static void remember(uint64_t address, const uint8_t *name, size_t len) {
        struct name *place = place_of(address);

        if (place->address)
                return;
        place->text = strndup((const char *)name, len);
        if (!place->text)
                return;
        place->address = address;
        cache.n++;
}

/* Puts those that are missing into the table; what is not there afterwards has no name. */
static void ask_for(const uint64_t *addresses, size_t n) {
        uint64_t missing[LIMIT_STACK_FRAMES_MAX];
        uint8_t names[REPLY_ROOM];
        size_t n_missing = 0;
        ptrdiff_t left;
        int r;

        if (cache.n > NAMES_MAX - LIMIT_STACK_FRAMES_MAX)
                forget_all();
        for (size_t i = 0; i < n; i++)
                if (place_of(addresses[i])->address == 0)
                        missing[n_missing++] = addresses[i];
        if (n_missing == 0 || !cache.ask || hurry_is_over())
                return;
        r = cache.ask(missing, n_missing, names, sizeof(names));
        if (r < 0 && !cache.is_told) {
                log_warning("functions of the kernel have no names here: %s",
                            r == -EACCES ? "the kernel hides them (kernel.kptr_restrict)"
                                         : strerror(-r));
                cache.is_told = true;
        }
        for (size_t i = 0; r < 0 && i < n_missing; i++)
                remember(missing[i], names, 0); /* asked again in a minute */
        left = r;
        for (size_t i = 0, at = 0; i < n_missing && left > 0 && names[at] < left; i++) {
                remember(missing[i], names + at + 1, names[at]);
                left -= 1 + names[at];
                at += 1u + names[at];
        }
}

/* Where the function was left: a return address is behind the call, which may be a function's last
 * instruction. The innermost one was interrupted, not left. */
static size_t read_stack(uint32_t id, uint64_t addresses[LIMIT_STACK_FRAMES_MAX]) {
        size_t n = 0;

        if (bpf_map_lookup_elem(cache.fd, &id, addresses) < 0)
                return 0;
        while (n < cache.value_size / sizeof(uint64_t) && addresses[n] != 0) {
                addresses[n] -= n > 0;
                n++;
        }
        return n;
}

uint32_t kernel_stack_text(uint32_t id, char *out) {
        uint64_t addresses[LIMIT_STACK_FRAMES_MAX] = { 0 };
        struct stack_text text = { .out = out };
        size_t n;

        if ((int32_t)id == -EFAULT) /* it was not in the kernel */
                return 0;
        if ((int32_t)id < 0 && (int32_t)id > -4096)
                return (uint32_t)snprintf(out, LIMIT_STACK_TEXT_MAX, "[no stack: %s]",
                                          errno_name((uint64_t) - (int32_t)id) ?: "unknown error");
        if (cache.fd < 0)
                return 0;
        if (!cache.names && !(cache.names = calloc(PLACES, sizeof(*cache.names))))
                return 0;
        n = read_stack(id, addresses);
        ask_for(addresses, n);
        for (size_t i = 0; i < n; i++) {
                const char *name = place_of(addresses[i])->text;

                if (!name || name[0] == '\0')
                        name = STACK_UNKNOWN;
                stack_text_add(&text, BYTES(name, strlen(name)), BYTES("", 0));
        }
        return text.len;
}

void kernel_stack_expire(uint64_t now_ns) {
        if (!cache.names || now_ns - cache.filled_ns < LIFE_NS)
                return;
        forget_all();
        cache.filled_ns = now_ns;
}
