/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/image-policy.h"

#include "base/buf.h"
#include "policy/yaml-file.h"

bool image_pattern_matches(const char *pattern, const char *text) {
        const char *star = NULL, *resume = NULL;

        while (*text) {
                if (*pattern == '*') {
                        star = pattern++;
                        resume = text;
                } else if (*pattern == *text) {
                        pattern++;
                        text++;
                } else if (star) {
                        pattern = star + 1;
                        text = ++resume;
                } else {
                        return false;
                }
        }
        while (*pattern == '*')
                pattern++;
        return *pattern == '\0';
}

/* --- reading --- */

static int add_text(struct yaml *yaml, const yaml_node_t *node, char ***list, size_t *n,
                    struct error *err) {
        char **longer;
        int r;

        if (*n >= POLICY_LIST_MAX)
                return yaml_error(yaml, node, err, "more than %d", POLICY_LIST_MAX);
        longer = reallocarray(*list, *n + 1, sizeof(*longer));
        if (!longer)
                return -ENOMEM;
        *list = longer;
        longer[*n] = NULL;
        r = yaml_read_text(yaml, node, &longer[*n], err);
        if (r == 0)
                (*n)++;
        return r;
}

static int on_match(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                    struct error *err) {
        struct policy_rule *rule = userdata;

        return yaml_read_text(yaml, value, &rule->match, err);
}

static int on_signer(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                     struct error *err) {
        struct policy_rule *rule = userdata;

        return add_text(yaml, value, &rule->signed_by, &rule->n_signed_by, err);
}

static int on_digest(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                     struct error *err) {
        struct policy_rule *rule = userdata;

        return add_text(yaml, value, &rule->digests, &rule->n_digests, err);
}

/* A list, or one text. */
static int read_one_or_more(struct yaml *yaml, const yaml_node_t *value, yaml_func func,
                            void *userdata, struct error *err) {
        return value && value->type == YAML_SCALAR_NODE
                       ? func(yaml, value, userdata, err)
                       : yaml_read_list(yaml, value, func, userdata, err);
}

static int on_signed_by(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                        struct error *err) {
        return read_one_or_more(yaml, value, on_signer, userdata, err);
}

static int on_digests(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                      struct error *err) {
        return read_one_or_more(yaml, value, on_digest, userdata, err);
}

static int on_unsigned(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                       struct error *err) {
        struct policy_rule *rule = userdata;
        cleanup_free char *word = NULL;
        int r;

        r = yaml_read_text(yaml, value, &word, err);
        if (r < 0)
                return r;
        rule->allows_unsigned = str_eq(word, "allow");
        if (!rule->allows_unsigned && !str_eq(word, "refuse"))
                return yaml_error(yaml, value, err, "'unsigned' is allow or refuse, not '%.40s'",
                                  word);
        return 0;
}

static int on_rule(struct yaml *yaml, const yaml_node_t *value, void *userdata, struct error *err) {
        static const struct yaml_key keys[] = {
                { "match", on_match },
                { "signed-by", on_signed_by },
                { "digest", on_digests },
                { "unsigned", on_unsigned },
        };
        struct image_policy *policy = userdata;
        struct policy_rule *rules, *rule;
        int r;

        if (policy->n_rules >= POLICY_RULES_MAX)
                return yaml_error(yaml, value, err, "more than %d rules", POLICY_RULES_MAX);
        rules = reallocarray(policy->rules, policy->n_rules + 1, sizeof(*rules));
        if (!rules)
                return -ENOMEM;
        policy->rules = rules;
        rule = &rules[policy->n_rules++];
        *rule = (struct policy_rule){ .line = value ? value->start_mark.line + 1 : 0 };
        r = yaml_read_map(yaml, value, keys, ARRAY_SIZE(keys), rule, err);
        if (r < 0)
                return r;
        if (!rule->match)
                return yaml_error(yaml, value, err, "a rule without 'match'");
        if (rule->allows_unsigned && rule->n_signed_by > 0)
                return yaml_error(yaml, value, err,
                                  "'unsigned: allow' and 'signed-by' contradict each other");
        for (size_t i = 0; i < rule->n_signed_by; i++)
                if (!image_policy_key(policy, rule->signed_by[i]))
                        return yaml_error(yaml, value, err,
                                          "'signed-by' names the key '%.60s', which is not under "
                                          "'keys' above",
                                          rule->signed_by[i]);
        return 0;
}

static int on_images(struct yaml *yaml, const yaml_node_t *value, void *userdata,
                     struct error *err) {
        return yaml_read_list(yaml, value, on_rule, userdata, err);
}

static int add_key(struct yaml *yaml, const yaml_node_pair_t *pair, struct image_policy *policy,
                   struct error *err) {
        const yaml_node_t *name = yaml_document_get_node(&yaml->doc, pair->key);
        struct policy_key *keys, *key;
        int r;

        if (policy->n_keys >= POLICY_LIST_MAX)
                return yaml_error(yaml, name, err, "more than %d keys", POLICY_LIST_MAX);
        keys = reallocarray(policy->keys, policy->n_keys + 1, sizeof(*keys));
        if (!keys)
                return -ENOMEM;
        policy->keys = keys;
        key = &keys[policy->n_keys++];
        *key = (struct policy_key){ .line = name ? name->start_mark.line + 1 : 0 };
        r = yaml_read_text(yaml, name, &key->name, err);
        if (r == 0)
                r = yaml_read_text(yaml, yaml_document_get_node(&yaml->doc, pair->value),
                                   &key->path, err);
        return r;
}

static int on_keys(struct yaml *yaml, const yaml_node_t *value, void *userdata, struct error *err) {
        int r = 0;

        if (!value || value->type != YAML_MAPPING_NODE)
                return yaml_error(yaml, value, err,
                                  "'keys' is a map of names to files with public keys");
        for (const yaml_node_pair_t *pair = value->data.mapping.pairs.start;
             pair < value->data.mapping.pairs.top && r == 0; pair++)
                r = add_key(yaml, pair, userdata, err);
        return r;
}

int image_policy_read(const char *path, struct image_policy *ret, struct error *err) {
        static const struct yaml_key keys[] = { { "keys", on_keys }, { "images", on_images } };
        cleanup_image_policy struct image_policy policy = { .path = strdup(path) };
        cleanup_yaml struct yaml yaml = { .is_loaded = false };
        int r;

        if (!policy.path)
                return -ENOMEM;
        r = yaml_open(policy.path, &yaml, err);
        if (r == -ENOENT) {
                if (err)
                        *err = (struct error){ 0 };
                policy.is_default = true;
                r = 0;
        } else if (r == 0 && yaml_root(&yaml)) {
                r = yaml_read_map(&yaml, yaml_root(&yaml), keys, ARRAY_SIZE(keys), &policy, err);
        }
        if (r < 0)
                return r;
        *ret = policy;
        policy = (struct image_policy){ .path = NULL };
        return 0;
}

static void free_list(char **list, size_t n) {
        for (size_t i = 0; i < n; i++)
                free(list[i]);
        free(list);
}

void image_policy_done(struct image_policy *policy) {
        for (size_t i = 0; i < policy->n_keys; i++) {
                free(policy->keys[i].name);
                free(policy->keys[i].path);
        }
        for (size_t i = 0; i < policy->n_rules; i++) {
                free(policy->rules[i].match);
                free_list(policy->rules[i].signed_by, policy->rules[i].n_signed_by);
                free_list(policy->rules[i].digests, policy->rules[i].n_digests);
        }
        free(policy->keys);
        free(policy->rules);
        free(policy->path);
        *policy = (struct image_policy){ .path = NULL };
}

/* --- asking --- */

const struct policy_rule *image_policy_find(const struct image_policy *policy,
                                            const char *reference) {
        static char any[] = "*";
        static const struct policy_rule nothing = { .match = any };
        cleanup_free char *repository = strdup(reference);
        char *at, *colon, *slash;

        if (!repository) /* "no rule" would not be the safe answer */
                return &nothing;
        at = strchr(repository, '@');
        if (at)
                *at = '\0';
        colon = strrchr(repository, ':');
        slash = strrchr(repository, '/');
        if (colon && (!slash || colon > slash))
                *colon = '\0';
        for (size_t i = 0; i < policy->n_rules; i++)
                if (image_pattern_matches(policy->rules[i].match, reference) ||
                    image_pattern_matches(policy->rules[i].match, repository))
                        return &policy->rules[i];
        return NULL;
}

const struct policy_key *image_policy_key(const struct image_policy *policy, const char *name) {
        for (size_t i = 0; i < policy->n_keys; i++)
                if (str_eq(policy->keys[i].name, name))
                        return &policy->keys[i];
        return NULL;
}

int image_policy_print(const struct image_policy *policy, char **ret) {
        cleanup_buf struct buf out = BUF_INIT(4 * YAML_FILE_MAX);

        buf_puts(&out, "default: bundled, built, signed\n");
        for (size_t i = 0; i < policy->n_keys; i++)
                buf_printf(&out, "key %s %s\n", policy->keys[i].name, policy->keys[i].path);
        for (size_t i = 0; i < policy->n_rules; i++) {
                const struct policy_rule *rule = &policy->rules[i];

                buf_printf(&out, "match %s%s", rule->match,
                           rule->allows_unsigned ? " unsigned" : "");
                for (size_t k = 0; k < rule->n_signed_by; k++)
                        buf_printf(&out, " signed-by %s", rule->signed_by[k]);
                for (size_t k = 0; k < rule->n_digests; k++)
                        buf_printf(&out, " digest %s", rule->digests[k]);
                buf_puts(&out, "\n");
        }
        *ret = buf_steal_string(&out);
        return *ret ? 0 : -ENOMEM;
}
