/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/id-names.h"

/* Two ids that share a place take turns; no host has many users at once. */
#define PLACES 128
#define LIFE_NS (60 * NSEC_PER_SEC)

static struct {
        struct place {
                uint8_t kind; /* enum id_kind; ID_NONE = empty */
                uint8_t len;
                uint32_t id;
                char name[ID_NAME_MAX];
        } * places; /* made when the first name is wanted */
        uint64_t filled_ns;
        int (*ask)(bool is_group, uint32_t id, char *out, size_t room);
} cache;

void id_names_set_source(int (*ask)(bool is_group, uint32_t id, char *out, size_t room)) {
        cache.ask = ask;
}

struct bytes id_name(enum id_kind kind, uint32_t id) {
        struct place *place;
        int r;

        if (!cache.ask)
                return BYTES("", 0);
        if (!cache.places && !(cache.places = calloc(PLACES, sizeof(*cache.places))))
                return BYTES("", 0);
        place = &cache.places[(id * 2 + (kind == ID_GROUP)) % PLACES];
        if (place->kind != kind || place->id != id) {
                r = cache.ask(kind == ID_GROUP, id, place->name, sizeof(place->name));
                place->kind = (uint8_t)kind;
                place->id = id;
                place->len = (uint8_t)MAX(r, 0);
        }
        return BYTES(place->name, place->len);
}

void id_names_expire(uint64_t now_ns) {
        if (!cache.places || now_ns - cache.filled_ns < LIFE_NS)
                return;
        for (size_t i = 0; i < PLACES; i++)
                cache.places[i].kind = ID_NONE;
        cache.filled_ns = now_ns;
}
