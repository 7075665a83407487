/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/enrich.h"

#include "worker/dns-name.h"
#include "worker/id-names.h"
#include "worker/kernel-stack.h"
#include "worker/user-stack.h"

static uint32_t load_u32(const uint8_t *event, uint32_t len, uint32_t offset) {
        uint32_t v;

        if (offset > len || len - offset < sizeof(v))
                return 0;
        memcpy(&v, event + offset, sizeof(v));
        return v;
}

static uint32_t name_of(enum broker_id_kind kind, const struct enrich_from *from,
                        const uint8_t *event, uint32_t len, char *out) {
        struct named_id id = {
                .kind = kind,
                .id = load_u32(event, len, from->offset),
                .netns = from->extra == UINT32_MAX ? 0 : load_u32(event, len, from->extra),
        };
        struct bytes name;

        if (len - from->offset < sizeof(id.id))
                return 0;
        name = id_name(&id);
        memcpy(out, name.data, name.len);
        return (uint32_t)name.len;
}

static struct bytes stack_of(const struct enrich_from *from, const uint8_t *event, uint32_t len) {
        return BYTES(event + from->offset, MIN(from->size, len - from->offset));
}

uint32_t enrich_text_max(enum enrich what) {
        switch (what) {
        case ENRICH_USER:
        case ENRICH_GROUP:
        case ENRICH_INTERFACE:
                return ID_NAME_MAX;
        case ENRICH_DNS_NAME:
                return DNS_TEXT_MAX;
        case ENRICH_KERNEL_STACK:
        case ENRICH_STACK_ADDRESSES:
        case ENRICH_STACK_BUILD_IDS:
        case ENRICH_STACK_SYMBOLS:
                return LIMIT_STACK_TEXT_MAX;
        case ENRICH_NONE:
        case _ENRICH_MAX:
                break;
        }
        return 0;
}

uint32_t enrich_text(const struct enrich_from *from, const uint8_t *event, uint32_t len,
                     char *out) {
        if (from->offset >= len)
                return 0;
        switch (from->what) {
        case ENRICH_USER:
                return name_of(BROKER_ID_USER, from, event, len, out);
        case ENRICH_GROUP:
                return name_of(BROKER_ID_GROUP, from, event, len, out);
        case ENRICH_INTERFACE:
                return name_of(BROKER_ID_INTERFACE, from, event, len, out);
        case ENRICH_DNS_NAME:
                return dns_name_text(
                        BYTES(event + from->offset, MIN(from->size, len - from->offset)), out);
        case ENRICH_KERNEL_STACK:
                return len - from->offset < sizeof(uint32_t)
                               ? 0
                               : kernel_stack_text(load_u32(event, len, from->offset), out);
        case ENRICH_STACK_ADDRESSES:
                return user_stack_text(USER_STACK_ADDRESSES, stack_of(from, event, len), out);
        case ENRICH_STACK_BUILD_IDS:
                return user_stack_text(USER_STACK_BUILD_IDS, stack_of(from, event, len), out);
        case ENRICH_STACK_SYMBOLS:
                return user_stack_text(USER_STACK_SYMBOLS, stack_of(from, event, len), out);
        case ENRICH_NONE:
        case _ENRICH_MAX:
                break;
        }
        return 0;
}
