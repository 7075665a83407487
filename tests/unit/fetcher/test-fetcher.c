/* SPDX-License-Identifier: Apache-2.0 */
/* Challenges and origins: what a registry may make us say, and to whom. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "fetcher/challenge.h"
#include "fetcher/origin.h"
#include "tests/lib/needs.h"

static void test_challenges(void **state) {
        static const struct {
                const char *header;
                int r;
                enum challenge_scheme scheme;
                const char *realm, *service, *scope;
        } rows[] = {
                { "Basic realm=\"r\"", 0, CHALLENGE_BASIC, "r", "", "" },
                { "Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:x:pull\"", 0,
                  CHALLENGE_BEARER, "https://a/t", "s", "repository:x:pull" },
                { "bearer  REALM = \"https://a/t\" , service=s", 0, CHALLENGE_BEARER, "https://a/t",
                  "s", "" },
                { "Negotiate, Basic realm=x, Bearer realm=\"https://b\"", 0, CHALLENGE_BEARER,
                  "https://b", "", "" },
                { "Bearer realm=\"https://b\", Basic realm=x", 0, CHALLENGE_BEARER, "https://b", "",
                  "" },
                { "Bearer realm=\"a\\\"b\"", 0, CHALLENGE_BEARER, "a\"b", "", "" },
                { "Bearer service=\"s\"", -EBADMSG, 0, "", "", "" },
                { "Bearer realm=\"open", -EBADMSG, 0, "", "", "" },
                { "Bearer realm=\"a\nb\"", -EBADMSG, 0, "", "", "" },
                { "Digest realm=x", -EBADMSG, 0, "", "", "" },
                { "", -EBADMSG, 0, "", "", "" },
                { "=", -EBADMSG, 0, "", "", "" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct challenge challenge = { 0 };

                assert_int_equal(challenge_parse(rows[i].header, &challenge), rows[i].r);
                if (rows[i].r < 0)
                        continue;
                assert_int_equal(challenge.scheme, rows[i].scheme);
                assert_string_equal(challenge.realm, rows[i].realm);
                assert_string_equal(challenge.service, rows[i].service);
                assert_string_equal(challenge.scope, rows[i].scope);
        }
}

static void test_challenge_bounds(void **state) {
        char header[2 * CHALLENGE_REALM_MAX];
        struct challenge challenge;

        for (int extra = -1; extra <= 1; extra++) {
                int n = CHALLENGE_REALM_MAX - 1 + extra;

                snprintf(header, sizeof(header), "Bearer realm=\"%.*s\"", n, "");
                memset(header + strlen("Bearer realm=\""), 'a', (size_t)n);
                memcpy(header + strlen("Bearer realm=\"") + n, "\"", 2);
                assert_int_equal(challenge_parse(header, &challenge), extra > 0 ? -EBADMSG : 0);
        }
}

static void test_challenge_mutations(void **state) {
        static const char good[] =
                "Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:x:pull\"";
        struct challenge challenge;
        char header[sizeof(good)];

        for (size_t at = 0; at < sizeof(good) - 1; at++)
                for (int c = 1; c < 256; c++) {
                        memcpy(header, good, sizeof(good));
                        header[at] = (char)c;
                        (void)challenge_parse(header, &challenge);
                        header[at] = '\0';
                        (void)challenge_parse(header, &challenge);
                }
}

static void test_origins(void **state) {
        static const struct {
                const char *url;
                int r;
                bool is_tls;
                const char *host;
                uint16_t port;
        } rows[] = {
                { "https://Registry.Example/v2/", 0, true, "registry.example", 443 },
                { "http://localhost:5000", 0, false, "localhost", 5000 },
                { "https://[::1]:5000/x", 0, true, "::1", 5000 },
                { "https://h?x", 0, true, "h", 443 },
                { "https://user@h/", -EINVAL, 0, "", 0 },
                { "https://h:0/", -EINVAL, 0, "", 0 },
                { "https://h:65536/", -EINVAL, 0, "", 0 },
                { "https://h:/", -EINVAL, 0, "", 0 },
                { "https:///x", -EINVAL, 0, "", 0 },
                { "ftp://h/", -EINVAL, 0, "", 0 },
                { "file:///etc/passwd", -EINVAL, 0, "", 0 },
                { "https://h\n/", -EINVAL, 0, "", 0 },
                { "https://h%2f/", -EINVAL, 0, "", 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct error err = { 0 };
                struct origin origin;

                assert_int_equal(origin_parse(rows[i].url, &origin, &err), rows[i].r);
                if (rows[i].r < 0) {
                        assert_true(err.msg[0]);
                        continue;
                }
                assert_int_equal(origin.is_tls, rows[i].is_tls);
                assert_string_equal(origin.host, rows[i].host);
                assert_int_equal(origin.port, rows[i].port);
        }
}

static struct origin origin_of(const char *url) {
        struct origin origin;

        assert_int_equal(origin_parse(url, &origin, NULL), 0);
        return origin;
}

static void test_credentials_stay_in_the_domain(void **state) {
        static const struct {
                const char *registry, *realm;
                bool may;
        } rows[] = {
                { "https://ghcr.io", "https://ghcr.io/token", true },
                { "https://registry-1.docker.io", "https://auth.docker.io/token", true },
                { "https://ghcr.io", "http://ghcr.io/token", false },
                { "https://ghcr.io", "https://evil.example/token", false },
                { "https://a.co.uk", "https://b.co.uk/token", false },
                { "https://x.a.co.uk", "https://y.a.co.uk/token", true },
                { "https://10.0.0.1", "https://10.0.0.2/t", false },
                { "http://localhost:5000", "http://localhost:5001/token", true },
                { "http://localhost:5000", "http://127.0.0.1:5001/token", false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct origin a = origin_of(rows[i].registry), b = origin_of(rows[i].realm);

                if (origin_may_share_credentials(&a, &b) != rows[i].may)
                        fail_msg("%s -> %s", rows[i].registry, rows[i].realm);
        }
}

static void test_addresses(void **state) {
        static const struct {
                const char *text;
                bool is_forbidden; /* with loopback not allowed */
        } rows[] = {
                { "169.254.169.254", true },
                { "127.0.0.1", true },
                { "0.0.0.0", true },
                { "224.0.0.1", true },
                { "192.0.2.1", false },
                { "10.0.0.1", false },
                { "::1", true },
                { "fe80::1", true },
                { "::", true },
                { "ff02::1", true },
                { "::ffff:169.254.169.254", true },
                { "2001:db8::1", false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct sockaddr_in v4 = { .sin_family = AF_INET };
                struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
                bool is_v4 = inet_pton(AF_INET, rows[i].text, &v4.sin_addr) == 1;

                if (!is_v4)
                        assert_int_equal(inet_pton(AF_INET6, rows[i].text, &v6.sin6_addr), 1);
                assert_int_equal(address_is_forbidden(is_v4 ? (void *)&v4 : (void *)&v6, false),
                                 rows[i].is_forbidden);
        }
        assert_false(address_is_forbidden(
                (void *)&(struct sockaddr_in){ .sin_family = AF_INET,
                                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK) },
                true));
        assert_true(address_is_forbidden(&(struct sockaddr){ .sa_family = AF_UNIX }, true));
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_challenges),
        cmocka_unit_test(test_challenge_bounds),
        cmocka_unit_test(test_challenge_mutations),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_credentials_stay_in_the_domain),
        cmocka_unit_test(test_addresses),
};

TEST_MAIN("fetcher", tests)
