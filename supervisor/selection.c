/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/selection.h"

#include "ipc/message.h"
#include "ipc/methods.h"

static const struct {
        const char *name; /* of the request's field */
        size_t request;
        size_t container;
} fields[_SELECT_MAX] = {
        [SELECT_NAME] = { "container_name", offsetof(struct req_instance_run, container_name),
                          offsetof(struct msg_container_added, name) },
        [SELECT_RUNTIME] = { "container_runtime",
                             offsetof(struct req_instance_run, container_runtime),
                             offsetof(struct msg_container_added, runtime) },
        [SELECT_IMAGE] = { "container_image", offsetof(struct req_instance_run, container_image),
                           offsetof(struct msg_container_added, image) },
        [SELECT_DIGEST] = { "container_digest", offsetof(struct req_instance_run, container_digest),
                            offsetof(struct msg_container_added, digest) },
        [SELECT_ID] = { "container_id", offsetof(struct req_instance_run, container_id),
                        offsetof(struct msg_container_added, id) },
        [SELECT_K8S_NAMESPACE] = { "k8s_namespace",
                                   offsetof(struct req_instance_run, k8s_namespace),
                                   offsetof(struct msg_container_added, k8s_namespace) },
        [SELECT_K8S_POD] = { "k8s_pod", offsetof(struct req_instance_run, k8s_pod),
                             offsetof(struct msg_container_added, k8s_pod) },
        [SELECT_K8S_CONTAINER] = { "k8s_container",
                                   offsetof(struct req_instance_run, k8s_container),
                                   offsetof(struct msg_container_added, k8s_container) },
        [SELECT_K8S_LABELS] = { "k8s_labels", offsetof(struct req_instance_run, k8s_labels),
                                offsetof(struct msg_container_added, k8s_labels) },
};

static const char *text_at(const void *object, size_t offset) {
        return *(const char *const *)((const char *)object + offset);
}

static int check_list(const char *name, const char *list, struct error *err) {
        const char *p = list;

        for (;;) {
                size_t n = strcspn(p, ",");

                if (n == 0 || (n == 1 && p[0] == '!'))
                        return error_set(err, ERROR_INVALID, -EINVAL,
                                         "%s '%.100s' has an empty word; it reads a,b,!c", name,
                                         list);
                if (p[n] == '\0')
                        return 0;
                p += n + 1;
        }
}

int selection_init(struct selection *selection, const struct req_instance_run *request,
                   struct error *err) {
        int r;

        *selection = (struct selection){ 0 };
        for (size_t i = 0; i < _SELECT_MAX; i++) {
                const char *list = text_at(request, fields[i].request);

                if (!list)
                        continue;
                r = check_list(fields[i].name, list, err);
                if (r == 0 && !(selection->lists[i] = strdup(list)))
                        r = -ENOMEM;
                if (r < 0) {
                        selection_done(selection);
                        return r;
                }
        }
        return 0;
}

int selection_copy(const struct selection *from, struct selection *ret) {
        struct selection copy = { 0 };

        for (size_t i = 0; i < _SELECT_MAX; i++)
                if (from->lists[i] && !(copy.lists[i] = strdup(from->lists[i]))) {
                        selection_done(&copy);
                        return -ENOMEM;
                }
        *ret = copy;
        return 0;
}

void selection_done(struct selection *selection) {
        for (size_t i = 0; i < _SELECT_MAX; i++)
                free(selection->lists[i]);
        *selection = (struct selection){ 0 };
}

bool selection_is_empty(const struct selection *selection) {
        for (size_t i = 0; i < _SELECT_MAX; i++)
                if (selection->lists[i])
                        return false;
        return true;
}

static bool is_value(const char *word, size_t n, const char *text, size_t len) {
        if (n > 0 && word[n - 1] == '*')
                return len >= n - 1 && memcmp(word, text, n - 1) == 0;
        return len == n && memcmp(word, text, n) == 0;
}

static bool list_matches(const char *list, const char *text) {
        bool wants_one = false, has_one = false;

        for (const char *p = list;; p += strcspn(p, ",") + 1) {
                bool is_excluded = p[0] == '!';
                const char *word = p + is_excluded;
                size_t n = strcspn(word, ",");
                bool is_match = is_value(word, n, text, strlen(text));

                if (is_excluded && is_match)
                        return false;
                wants_one |= !is_excluded;
                has_one |= !is_excluded && is_match;
                if (word[n] == '\0')
                        return has_one || !wants_one;
        }
}

/* "key=value", "key==value" or "key", of n bytes, against "a=b,c=d". */
static bool has_label(const char *word, size_t n, const char *labels) {
        const char *equals = memchr(word, '=', n);
        size_t n_key = equals ? (size_t)(equals - word) : n;
        const char *value = equals ? equals + 1 + (equals + 1 < word + n && equals[1] == '=') : "*";
        size_t n_value = equals ? n - (size_t)(value - word) : 1;

        while (labels[0]) {
                size_t len = strcspn(labels, ","), n_name = strcspn(labels, "=");

                if (n_name == n_key && memcmp(labels, word, n_key) == 0 &&
                    is_value(value, n_value, labels + n_name + 1, len - n_name - 1))
                        return true;
                labels += len + (labels[len] == ',');
        }
        return false;
}

static bool same_key(const char *a, const char *b) {
        size_t n = strcspn(a, "=,");

        return n == strcspn(b, "=,") && memcmp(a, b, n) == 0;
}

/* One word with this key, not excluded, holds. */
static bool holds_for_key(const char *list, const char *key, const char *labels) {
        for (const char *word = list;; word += strcspn(word, ",") + 1) {
                size_t n = strcspn(word, ",");

                if (same_key(word, key) && has_label(word, n, labels))
                        return true;
                if (word[n] == '\0')
                        return false;
        }
}

static bool labels_match(const char *list, const char *labels) {
        for (const char *word = list;; word += strcspn(word, ",") + 1) {
                size_t n = strcspn(word, ",");

                if (word[0] == '!' ? has_label(word + 1, n - 1, labels)
                                   : !holds_for_key(list, word, labels))
                        return false;
                if (word[n] == '\0')
                        return true;
        }
}

bool selection_matches(const struct selection *selection, const struct msg_container_added *c) {
        for (size_t i = 0; i < _SELECT_MAX; i++) {
                const char *list = selection->lists[i],
                           *text = text_at(c, fields[i].container) ?: "";

                if (list && !(i == SELECT_K8S_LABELS ? labels_match : list_matches)(list, text))
                        return false;
        }
        return true;
}
