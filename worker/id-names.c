/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/id-names.h"

/* Two ids that share a place take turns; no host has many users at once. */
#define PLACES 128
#define LIFE_NS (60 * NSEC_PER_SEC)

static struct {
        struct place {
                struct named_id id;
                bool is_taken;
                uint8_t len;
                char name[ID_NAME_MAX];
        } * places; /* made when the first name is wanted */
        uint64_t filled_ns;
        int (*ask)(const struct named_id *id, char *out, size_t room);
} cache;

void id_names_set_source(int (*ask)(const struct named_id *id, char *out, size_t room)) {
        cache.ask = ask;
}

struct bytes id_name(const struct named_id *id) {
        struct place *place;
        int r;

        if (!cache.ask)
                return BYTES("", 0);
        if (!cache.places && !(cache.places = calloc(PLACES, sizeof(*cache.places))))
                return BYTES("", 0);
        place = &cache.places[(id->id * _BROKER_ID_KIND_MAX + id->kind + id->netns) % PLACES];
        if (!place->is_taken || place->id.kind != id->kind || place->id.id != id->id ||
            place->id.netns != id->netns) {
                r = cache.ask(id, place->name, sizeof(place->name));
                place->id = *id;
                place->is_taken = true;
                place->len = (uint8_t)MAX(r, 0);
        }
        return BYTES(place->name, place->len);
}

void id_names_expire(uint64_t now_ns) {
        if (!cache.places || now_ns - cache.filled_ns < LIFE_NS)
                return;
        for (size_t i = 0; i < PLACES; i++)
                cache.places[i].is_taken = false;
        cache.filled_ns = now_ns;
}
