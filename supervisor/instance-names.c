/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/instance-names.h"

#include <stdio.h>
#include <sys/random.h>

#include "base/text.h"

static const char *const adjectives[] = {
        "agile",  "amber",   "ample",  "avid",   "bold",  "brave",  "brisk", "calm",
        "candid", "clear",   "clever", "cosy",   "crisp", "deft",   "eager", "early",
        "exact",  "fair",    "fleet",  "frank",  "fresh", "gentle", "glad",  "golden",
        "grand",  "handy",   "hardy",  "humble", "ideal", "keen",   "kind",  "lively",
        "lucid",  "lucky",   "mellow", "merry",  "mild",  "modest", "neat",  "nimble",
        "noble",  "patient", "placid", "polite", "proud", "quick",  "quiet", "rapid",
        "ready",  "robust",  "rustic", "serene", "sharp", "silent", "sleek", "smart",
        "solid",  "steady",  "sunny",  "swift",  "tidy",  "upbeat", "vivid", "wise",
};

static const char *const nouns[] = {
        "acorn",  "anchor",  "badger",  "beacon", "beaver", "birch",  "bison",   "brook",
        "cedar",  "cobra",   "comet",   "condor", "coral",  "crane",  "cricket", "curlew",
        "dingo",  "dolphin", "falcon",  "fern",   "finch",  "fjord",  "gecko",   "glacier",
        "harbor", "hawk",    "hazel",   "heron",  "ibis",   "jackal", "juniper", "kestrel",
        "lagoon", "lantern", "lark",    "lemur",  "lichen", "lynx",   "maple",   "marten",
        "meadow", "mole",    "newt",    "orchid", "osprey", "otter",  "panda",   "pebble",
        "pine",   "puffin",  "quail",   "raven",  "reef",   "robin",  "salmon",  "spruce",
        "stork",  "tapir",   "thistle", "tundra", "walrus", "willow", "wombat",  "yak",
};

static uint32_t random_u32(void) {
        uint32_t v;

        /* Up to 256 bytes come whole and without waiting once the kernel's generator is seeded; it
         * is long before us. */
        if (getrandom(&v, sizeof(v), 0) != sizeof(v))
                abort();
        return v;
}

static bool is_word(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

int instance_name_check(const char *name, struct error *err) {
        size_t n = strlen(name);

        if (n == 0 || n > LIMIT_NAME_MAX_LEN)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "an instance name has 1 to %d characters", LIMIT_NAME_MAX_LEN);
        for (size_t i = 0; i < n; i++)
                if (!is_word(name[i]) && (i == 0 || !strchr("_-.", name[i])))
                        return error_set(
                                err, ERROR_INVALID, -EINVAL,
                                "instance name '%s': only letters, digits, '_', '-' and '.', "
                                "beginning with a letter or digit",
                                name);
        if (instance_id_is_valid(name))
                return error_set(err, ERROR_INVALID, -EINVAL, "instance name '%s' looks like an id",
                                 name);
        return 0;
}

void instance_name_generate(unsigned int attempt, char ret[LIMIT_NAME_MAX_LEN + 1]) {
        uint32_t v = random_u32();
        const char *adjective = adjectives[v % ARRAY_SIZE(adjectives)];
        const char *noun = nouns[(v >> 16) % ARRAY_SIZE(nouns)];

        if (attempt < 8)
                snprintf(ret, LIMIT_NAME_MAX_LEN + 1, "%s_%s", adjective, noun);
        else
                snprintf(ret, LIMIT_NAME_MAX_LEN + 1, "%s_%s_%u", adjective, noun,
                         random_u32() % 100000);
}

void instance_id_generate(char ret[INSTANCE_ID_LEN + 1]) {
        uint32_t words[8];

        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                words[i] = random_u32();
        hex_encode(words, sizeof(words), ret);
}

bool instance_id_is_valid(const char *text) {
        return strlen(text) == INSTANCE_ID_LEN &&
               strspn(text, "0123456789abcdef") == INSTANCE_ID_LEN;
}
