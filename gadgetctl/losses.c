/* SPDX-License-Identifier: Apache-2.0 */
#include "gadgetctl/losses.h"

#include <stdio.h>

#include "gadgetctl/diag.h"
#include "gadgetctl/object.h"
#include "ipc/mp.h"

void losses_add(struct losses *losses, uint32_t source, uint64_t lost) {
        if (source < LIMIT_STREAMS_MAX)
                losses->sources[source].lost += lost;
}

static void read_dropped(struct loss *loss, struct bytes map) {
        struct mp_reader r = mp_reader_of(map);
        struct bytes name;
        uint64_t count;
        uint32_t n;

        loss->n_dropped = 0;
        if (mp_read_map(&r, &n) < 0)
                return;
        for (uint32_t i = 0; i < n && loss->n_dropped < LOSS_REASONS_MAX; i++) {
                if (mp_read_str(&r, &name) < 0 || mp_read_uint(&r, &count) < 0)
                        return;
                snprintf(loss->dropped[loss->n_dropped].name, sizeof(loss->dropped[0].name), "%.*s",
                         (int)MIN(name.len, (size_t)31), (const char *)name.data);
                loss->dropped[loss->n_dropped++].n = count;
        }
}

void losses_set(struct losses *losses, uint32_t source, struct bytes ledger) {
        struct bytes dropped;

        if (source >= LIMIT_STREAMS_MAX)
                return;
        losses->sources[source].lost = object_uint(ledger, "lost");
        if (object_get(ledger, "dropped", &dropped))
                read_dropped(&losses->sources[source], dropped);
}

void losses_set_all(struct losses *losses, struct bytes ledgers) {
        struct object_iter iter = object_iter_of(ledgers);
        struct bytes ledger;

        for (uint32_t source = 0; object_next(&iter, &ledger); source++)
                losses_set(losses, source, ledger);
}

static const char *explain(const char *reason) {
        static const struct {
                const char *name;
                const char *text;
        } texts[] = {
                { "kernel-full", "in the kernel, whose buffer or map was full" },
                { "malformed", "that were no event of the gadget's type" },
                { "too-large", "that were too large, or too many to be sorted" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                if (str_eq(texts[i].name, reason))
                        return texts[i].text;
        return reason;
}

/* What the user wanted left out is no loss. */
static bool is_wanted(const char *reason) {
        return str_eq(reason, "filtered") || str_eq(reason, "limited");
}

uint64_t losses_total(const struct loss *loss) {
        uint64_t total = loss->lost;

        for (uint32_t i = 0; i < loss->n_dropped; i++)
                if (!is_wanted(loss->dropped[i].name))
                        total += loss->dropped[i].n;
        return total;
}

static void print_loss(const struct loss *loss, const char *source) {
        char text[512];
        size_t used = 0;

        if (loss->lost)
                used += (size_t)snprintf(text, sizeof(text),
                                         "%llu because this client was too slow",
                                         (unsigned long long)loss->lost);
        for (uint32_t i = 0; i < loss->n_dropped && used < sizeof(text); i++)
                if (loss->dropped[i].n && !is_wanted(loss->dropped[i].name))
                        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%llu %s",
                                                 used ? ", " : "",
                                                 (unsigned long long)loss->dropped[i].n,
                                                 explain(loss->dropped[i].name));
        diag("%s: %llu rows lost: %s", source, (unsigned long long)losses_total(loss), text);
}

void losses_print(const struct losses *losses, const struct schema *schema) {
        for (uint32_t i = 0; i < schema->n_streams; i++)
                if (losses_total(&losses->sources[i]) > 0)
                        print_loss(&losses->sources[i], schema->streams[i].name);
}
