/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/oci.h"

#include <jansson.h>
#include <stdio.h>

#include "base/text.h"

static const struct {
        const char *key;
        enum oci_text text;
        const char *manager; /* what the presence of the key tells */
} annotations[] = {
        { "io.kubernetes.cri.container-name", OCI_K8S_CONTAINER, "containerd" },
        { "io.kubernetes.cri.container-type", OCI_K8S_KIND, "containerd" },
        { "io.kubernetes.cri.image-name", OCI_IMAGE, "containerd" },
        { "io.kubernetes.cri.sandbox-name", OCI_K8S_POD, "containerd" },
        { "io.kubernetes.cri.sandbox-namespace", OCI_K8S_NAMESPACE, "containerd" },
        { "io.kubernetes.cri.sandbox-id", OCI_SANDBOX, "containerd" },
        { "io.kubernetes.container.name", OCI_K8S_CONTAINER, NULL },
        { "io.kubernetes.pod.name", OCI_K8S_POD, NULL },
        { "io.kubernetes.pod.namespace", OCI_K8S_NAMESPACE, NULL },
        { "io.kubernetes.cri-o.ContainerType", OCI_K8S_KIND, "cri-o" },
        { "io.kubernetes.cri-o.ImageName", OCI_IMAGE, "cri-o" },
        { "io.kubernetes.cri-o.Name", OCI_NAME, "cri-o" },
        { "io.kubernetes.cri-o.SandboxID", OCI_SANDBOX, "cri-o" },
        /* Those of cri-dockerd. */
        { "io.kubernetes.docker.type", OCI_K8S_KIND, NULL },
        { "io.kubernetes.sandbox.id", OCI_SANDBOX, NULL },
};

static bool is_text(const char *text, size_t n) {
        if (n == 0 || !utf8_is_valid((const uint8_t *)text, n))
                return false;
        for (size_t i = 0; i < n; i++) {
                uint8_t c = (uint8_t)text[i];

                /* C1 controls are U+0080 to U+009F. */
                if (c < 0x20 || c == 0x7f || (c == 0xc2 && (uint8_t)text[i + 1] < 0xa0))
                        return false;
        }
        return true;
}

bool oci_is_text(const char *text, size_t n) {
        return n <= LIMIT_CONTAINER_TEXT_MAX && is_text(text, n);
}

static void keep_n(struct oci_info *info, enum oci_text which, const char *text, size_t n) {
        if (!oci_is_text(text, n))
                return;
        memcpy(info->text[which], text, n);
        info->text[which][n] = '\0';
}

static void keep(struct oci_info *info, enum oci_text which, const json_t *value) {
        if (json_is_string(value))
                keep_n(info, which, json_string_value(value), json_string_length(value));
}

static void keep_labels(struct oci_info *info, const char *text, size_t n);

static void keep_annotation(struct oci_info *info, const char *key, size_t n_key, const char *value,
                            size_t n) {
        static const char manager_key[] = "io.container.manager";
        static const char labels_key[] = "io.kubernetes.cri-o.Labels";

        if (n_key == sizeof(manager_key) - 1 && memcmp(key, manager_key, n_key) == 0 && n == 6 &&
            memcmp(value, "libpod", 6) == 0)
                keep_n(info, OCI_MANAGER, "podman", 6);
        if (n_key == sizeof(labels_key) - 1 && memcmp(key, labels_key, n_key) == 0)
                keep_labels(info, value, n);
        for (size_t i = 0; i < ARRAY_SIZE(annotations); i++) {
                const char *manager = annotations[i].manager;

                if (strlen(annotations[i].key) != n_key ||
                    memcmp(annotations[i].key, key, n_key) != 0)
                        continue;
                keep_n(info, annotations[i].text, value, n);
                if (manager)
                        keep_n(info, OCI_MANAGER, manager, strlen(manager));
        }
}

/* runc keeps annotations as "key=value", and the bundle among them. */
static void keep_label(struct oci_info *info, const json_t *label) {
        const char *text = json_string_value(label), *equals = text ? strchr(text, '=') : NULL;
        size_t n;

        if (!equals)
                return;
        n = json_string_length(label) - (size_t)(equals + 1 - text);
        if ((size_t)(equals - text) == 6 && memcmp(text, "bundle", 6) == 0)
                keep_n(info, OCI_BUNDLE, equals + 1, n);
        else
                keep_annotation(info, text, (size_t)(equals - text), equals + 1, n);
}

static void keep_pid(struct oci_info *info, const json_t *value) {
        json_int_t pid = json_integer_value(value);

        if (pid > 0 && pid <= INT32_MAX)
                info->pid = (uint32_t)pid;
}

/* --- labels of a pod --- */

static bool is_label_text(const char *text, size_t n) {
        return n == 0 || (oci_is_text(text, n) && !memchr(text, ',', n));
}

void oci_add_label(char *labels, size_t size, const char *key, const char *value) {
        size_t len = strlen(labels), n = strlen(key) + strlen(value) + 2;

        if (!key[0] || strchr(key, '=') || !is_label_text(key, strlen(key)) ||
            !is_label_text(value, strlen(value)) || n + 1 > size - len)
                return;
        snprintf(labels + len, size - len, "%s%s=%s", len > 0 ? "," : "", key, value);
}

/* cri-o keeps the pod's labels as JSON in an annotation. */
static void keep_labels(struct oci_info *info, const char *text, size_t n) {
        json_t *labels = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL), *value;
        const char *key;

        json_object_foreach(labels, key, value) {
                const char *word = json_string_value(value);

                if (word && strncmp(key, "io.kubernetes.", 14) != 0)
                        oci_add_label(info->labels, sizeof(info->labels), key, word);
        }
        json_decref(labels);
}

/* --- the files --- */

/* docker and podman mount a file of theirs there, out of the directory that they keep of a
 * container. */
static void keep_record(struct oci_info *info, const json_t *mounts) {
        static const char file[] = "/hostname";
        const json_t *mount;
        size_t i;

        json_array_foreach(mounts, i, mount) {
                const json_t *source = json_object_get(mount, "source");
                const char *to = json_string_value(json_object_get(mount, "destination"));
                const char *from = json_string_value(source);
                size_t n = json_string_length(source);

                if (to && from && str_eq(to, "/etc/hostname") && n > sizeof(file) &&
                    str_eq(from + n - (sizeof(file) - 1), file))
                        keep_n(info, OCI_RECORD, from, n - (sizeof(file) - 1));
        }
}

static bool parse_file(const json_t *root, const char *key, struct oci_info *info) {
        const json_t *config = json_object_get(root, "config"), *labels, *value;
        const json_t *annotations_of = json_object_get(root, "annotations");
        const char *name;
        size_t i;

        (void)key;
        if (!json_is_object(root))
                return false;
        keep(info, OCI_ID, json_object_get(root, "id"));
        keep(info, OCI_BUNDLE, json_object_get(root, "bundle"));
        keep(info, OCI_ROOTFS, json_object_get(root, "rootfs"));
        keep(info, OCI_ROOTFS, json_object_get(json_object_get(root, "root"), "path"));
        keep(info, OCI_ROOTFS, json_object_get(config, "rootfs"));
        keep_pid(info, json_object_get(root, "init_process_pid"));
        keep_pid(info, json_object_get(root, "pid"));
        keep_record(info, json_object_get(root, "mounts"));
        keep_record(info, json_object_get(config, "mounts"));
        labels = json_object_get(config, "labels");
        json_array_foreach(labels, i, value) keep_label(info, value);
        json_object_foreach((json_t *)(uintptr_t)annotations_of, name, value) {
                if (json_is_string(value))
                        keep_annotation(info, name, strlen(name), json_string_value(value),
                                        json_string_length(value));
        }
        return true;
}

static bool parse_docker_record(const json_t *root, const char *key, struct oci_info *info) {
        const json_t *config = json_object_get(root, "Config");
        const char *id = json_string_value(json_object_get(root, "ID"));
        const char *name = json_string_value(json_object_get(root, "Name")), *label;
        json_t *value;

        if (!id || !str_eq(id, key))
                return false;
        if (name)
                keep_n(info, OCI_NAME, name + (name[0] == '/'), strlen(name + (name[0] == '/')));
        keep(info, OCI_IMAGE, json_object_get(config, "Image"));
        keep(info, OCI_IMAGE_ID, json_object_get(root, "Image"));
        keep_n(info, OCI_MANAGER, "docker", 6);
        json_object_foreach(json_object_get(config, "Labels"), label, value) {
                if (json_is_string(value))
                        keep_annotation(info, label, strlen(label), json_string_value(value),
                                        json_string_length(value));
        }
        return true;
}

static const json_t *find_by_id(const json_t *list, const char *key) {
        const json_t *item;
        size_t i;

        json_array_foreach(list, i, item) {
                const char *id = json_string_value(json_object_get(item, "id"));

                if (id && str_eq(id, key))
                        return item;
        }
        return NULL;
}

static bool parse_podman_record(const json_t *root, const char *key, struct oci_info *info) {
        const json_t *item = find_by_id(root, key);
        const json_t *metadata = json_object_get(item, "metadata");
        json_t *more;

        if (!item)
                return false;
        keep(info, OCI_NAME, json_array_get(json_object_get(item, "names"), 0));
        keep(info, OCI_IMAGE_ID, json_object_get(item, "image"));
        more = json_is_string(metadata) ? json_loadb(json_string_value(metadata),
                                                     json_string_length(metadata), 0, NULL)
                                        : NULL;
        keep(info, OCI_IMAGE, json_object_get(more, "image-name"));
        json_decref(more);
        return true;
}

static bool parse_podman_images(const json_t *root, const char *key, struct oci_info *info) {
        const json_t *item = find_by_id(root, key);

        keep(info, OCI_DIGEST, json_object_get(item, "digest"));
        return item != NULL;
}

bool oci_parse(enum oci_file file, struct bytes json, const char *key, struct oci_info *ret) {
        static bool (*const parse[_OCI_FILE_MAX])(const json_t *, const char *,
                                                  struct oci_info *) = {
                [OCI_FILE] = parse_file,
                [OCI_DOCKER_RECORD] = parse_docker_record,
                [OCI_PODMAN_RECORD] = parse_podman_record,
                [OCI_PODMAN_IMAGES] = parse_podman_images,
        };
        struct oci_info info = { 0 };
        bool is_good;
        json_t *root;

        root = json_loadb((const char *)json.data, json.len, JSON_REJECT_DUPLICATES, NULL);
        is_good = root && parse[file](root, key, &info);
        json_decref(root);
        if (is_good)
                *ret = info;
        return is_good;
}

void oci_merge(struct oci_info *info, const struct oci_info *more) {
        for (size_t i = 0; i < _OCI_TEXT_MAX; i++)
                if (!info->text[i][0])
                        memcpy(info->text[i], more->text[i], sizeof(info->text[i]));
        if (!info->labels[0])
                memcpy(info->labels, more->labels, sizeof(info->labels));
}

void oci_clean(struct oci_info *info) {
        info->is_partial = false;
        for (size_t i = 0; i < _OCI_TEXT_MAX; i++) {
                info->text[i][LIMIT_CONTAINER_TEXT_MAX] = '\0';
                if (!oci_is_text(info->text[i], strlen(info->text[i])))
                        info->text[i][0] = '\0';
        }
        info->labels[LIMIT_CONTAINER_LABELS_MAX] = '\0';
        if (!is_text(info->labels, strlen(info->labels)))
                info->labels[0] = '\0';
}
