/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/oci.h"

#include <stdio.h>

#include "tests/lib/needs.h"

static bool parse(const char *json, struct oci_info *ret) {
        return oci_parse(OCI_FILE, BYTES(json, strlen(json)), NULL, ret);
}

static void test_state_of_runc(void **state) {
        static const char json[] =
                "{\"id\":\"web\",\"init_process_pid\":4711,\"config\":{\"rootfs\":\"/r\","
                "\"labels\":[\"io.kubernetes.cri.container-name=c\","
                "\"io.kubernetes.cri.sandbox-name=p\",\"io.kubernetes.cri.sandbox-namespace=n\","
                "\"io.kubernetes.cri.image-name=i:1\",\"bundle=/b\",\"noise\"]}}";
        struct oci_info info;

        (void)state;
        assert_true(parse(json, &info));
        assert_int_equal(info.pid, 4711);
        assert_string_equal(info.text[OCI_ID], "web");
        assert_string_equal(info.text[OCI_BUNDLE], "/b");
        assert_string_equal(info.text[OCI_ROOTFS], "/r");
        assert_string_equal(info.text[OCI_K8S_CONTAINER], "c");
        assert_string_equal(info.text[OCI_K8S_POD], "p");
        assert_string_equal(info.text[OCI_K8S_NAMESPACE], "n");
        assert_string_equal(info.text[OCI_IMAGE], "i:1");
        assert_string_equal(info.text[OCI_MANAGER], "containerd");
}

static void test_status_of_crun(void **state) {
        struct oci_info info;

        (void)state;
        assert_true(parse("{\"pid\":12,\"bundle\":\"/b\",\"rootfs\":\"/b/rootfs\"}", &info));
        assert_int_equal(info.pid, 12);
        assert_string_equal(info.text[OCI_BUNDLE], "/b");
        assert_string_equal(info.text[OCI_ID], "");
}

static void test_bundle(void **state) {
        struct oci_info info;

        (void)state;
        assert_true(parse("{\"root\":{\"path\":\"rootfs\"},\"annotations\":{"
                          "\"io.container.manager\":\"libpod\",\"x\":1}}",
                          &info));
        assert_string_equal(info.text[OCI_ROOTFS], "rootfs");
        assert_string_equal(info.text[OCI_MANAGER], "podman");
        assert_int_equal(info.pid, 0);
}

static bool parse_record(enum oci_file file, const char *json, const char *key,
                         struct oci_info *ret) {
        return oci_parse(file, BYTES(json, strlen(json)), key, ret);
}

static void test_record_of_docker(void **state) {
        static const char json[] =
                "{\"ID\":\"c3c5\",\"Name\":\"/web\",\"Image\":\"sha256:1d\",\"Config\":{\"Image\":"
                "\"bb:1\",\"Labels\":{\"a\":\"b\",\"io.kubernetes.pod.name\":\"p\"}}}";
        struct oci_info info;

        (void)state;
        assert_true(parse_record(OCI_DOCKER_RECORD, json, "c3c5", &info));
        assert_string_equal(info.text[OCI_NAME], "web");
        assert_string_equal(info.text[OCI_IMAGE], "bb:1");
        assert_string_equal(info.text[OCI_IMAGE_ID], "sha256:1d");
        assert_string_equal(info.text[OCI_K8S_POD], "p");
        assert_string_equal(info.text[OCI_MANAGER], "docker");
        assert_false(parse_record(OCI_DOCKER_RECORD, json, "other", &info));
        assert_false(parse_record(OCI_DOCKER_RECORD, "[]", "c3c5", &info));
        assert_true(parse("{\"mounts\":[7,{\"destination\":\"/etc/hostname\",\"source\":"
                          "\"/var/lib/docker/containers/c3c5/hostname\"}]}",
                          &info));
        assert_string_equal(info.text[OCI_RECORD], "/var/lib/docker/containers/c3c5");
}

static void test_records_of_podman(void **state) {
        static const char containers[] =
                "[{\"id\":\"a\",\"names\":[\"x\"]},{\"id\":\"b\",\"names\":[\"web\",\"y\"],"
                "\"image\":"
                "\"i2\",\"metadata\":\"{\\\"image-name\\\":\\\"localhost/bb:1\\\"}\"}]";
        static const char images[] = "[{\"id\":\"i1\"},{\"id\":\"i2\",\"digest\":\"sha256:fd\"}]";
        struct oci_info info;

        (void)state;
        assert_true(parse_record(OCI_PODMAN_RECORD, containers, "b", &info));
        assert_string_equal(info.text[OCI_NAME], "web");
        assert_string_equal(info.text[OCI_IMAGE_ID], "i2");
        assert_string_equal(info.text[OCI_IMAGE], "localhost/bb:1");
        assert_false(parse_record(OCI_PODMAN_RECORD, containers, "c", &info));
        assert_true(parse_record(OCI_PODMAN_IMAGES, images, "i2", &info));
        assert_string_equal(info.text[OCI_DIGEST], "sha256:fd");
        assert_false(parse_record(OCI_PODMAN_IMAGES, "{}", "i2", &info));
}

static void test_labels_of_crio(void **state) {
        struct oci_info info;

        (void)state;
        assert_true(parse("{\"annotations\":{\"io.kubernetes.cri-o.Labels\":"
                          "\"{\\\"app\\\":\\\"web\\\",\\\"io.kubernetes.pod.uid\\\":\\\"u\\\","
                          "\\\"bad\\\":\\\"a,b\\\",\\\"tier\\\":\\\"\\\"}\"}}",
                          &info));
        assert_string_equal(info.labels, "app=web,tier=");
}

/* A label that does not fit any more is left out, whole. */
static void test_most_labels(void **state) {
        char labels[LIMIT_CONTAINER_LABELS_MAX + 1] = "", value[65];

        (void)state;
        memset(value, 'v', sizeof(value) - 1);
        value[sizeof(value) - 1] = '\0';
        for (unsigned int i = 0; i < 32; i++) {
                char key[16];

                snprintf(key, sizeof(key), "key-%02u", i);
                oci_add_label(labels, sizeof(labels), key, value);
        }
        assert_int_equal(strlen(labels), 14 * (strlen("key-00=") + 64 + 1) - 1);
        oci_add_label(labels, sizeof(labels), "a", "b");
        assert_non_null(strstr(labels, ",a=b"));
        oci_add_label(labels, sizeof(labels), "c", "d\x1b");
        assert_null(strstr(labels, "c=d"));
}

/* What the parser hands back may be anything. */
static void test_clean(void **state) {
        struct oci_info info, more = { 0 };

        (void)state;
        memset(&info, 'x', sizeof(info));
        oci_clean(&info);
        assert_int_equal(strlen(info.text[OCI_ID]), LIMIT_CONTAINER_TEXT_MAX);
        assert_int_equal(strlen(info.labels), LIMIT_CONTAINER_LABELS_MAX);
        snprintf(info.labels, sizeof(info.labels), "a=\x1b[2J");
        snprintf(info.text[OCI_NAME], sizeof(info.text[0]), "\xff");
        oci_clean(&info);
        assert_string_equal(info.labels, "");
        assert_string_equal(info.text[OCI_NAME], "");
        snprintf(more.text[OCI_NAME], sizeof(more.text[0]), "web");
        snprintf(more.text[OCI_ID], sizeof(more.text[0]), "other");
        oci_merge(&info, &more);
        assert_string_equal(info.text[OCI_NAME], "web");
        assert_int_equal(info.text[OCI_ID][0], 'x');
}

/* Whoever owns a container can write these. */
static void test_what_is_not_believed(void **state) {
        static const char *const no_object[] = {
                "", "[]", "7", "{", "{\"id\":\"a\"} x", "{\"id\":\"a\",\"id\":\"b\"}"
        };
        char longest[LIMIT_CONTAINER_TEXT_MAX + 2], json[512];
        struct oci_info info;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(no_object); i++)
                assert_false(parse(no_object[i], &info));
        assert_true(parse("{\"id\":7,\"init_process_pid\":-1,\"config\":3}", &info));
        assert_string_equal(info.text[OCI_ID], "");
        assert_int_equal(info.pid, 0);
        assert_true(parse("{\"id\":\"a\\u001b[31m\",\"bundle\":\"b\\u0085\"}", &info));
        assert_string_equal(info.text[OCI_ID], "");
        assert_string_equal(info.text[OCI_BUNDLE], "");
        memset(longest, 'x', sizeof(longest));
        longest[LIMIT_CONTAINER_TEXT_MAX] = '\0';
        snprintf(json, sizeof(json), "{\"id\":\"%s\"}", longest);
        assert_true(parse(json, &info));
        assert_string_equal(info.text[OCI_ID], longest);
        longest[LIMIT_CONTAINER_TEXT_MAX] = 'x';
        longest[LIMIT_CONTAINER_TEXT_MAX + 1] = '\0';
        snprintf(json, sizeof(json), "{\"id\":\"%s\"}", longest);
        assert_true(parse(json, &info));
        assert_string_equal(info.text[OCI_ID], "");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_state_of_runc),
                cmocka_unit_test(test_status_of_crun),
                cmocka_unit_test(test_bundle),
                cmocka_unit_test(test_record_of_docker),
                cmocka_unit_test(test_records_of_podman),
                cmocka_unit_test(test_labels_of_crio),
                cmocka_unit_test(test_most_labels),
                cmocka_unit_test(test_clean),
                cmocka_unit_test(test_what_is_not_believed),
        };

        return test_main("watcher-oci", tests, ARRAY_SIZE(tests), NULL, NULL);
}
