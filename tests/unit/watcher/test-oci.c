/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/oci.h"

#include <stdio.h>

#include "tests/lib/needs.h"

static bool parse(const char *json, struct oci_info *ret) {
        return oci_parse(BYTES(json, strlen(json)), ret);
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
                cmocka_unit_test(test_what_is_not_believed),
        };

        return test_main("watcher-oci", tests, ARRAY_SIZE(tests), NULL, NULL);
}
