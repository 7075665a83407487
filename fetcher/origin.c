/* SPDX-License-Identifier: Apache-2.0 */
/* Comparison of URL origins. Pure functions over text; addresses are looked at when curl opens the
 * socket, after DNS. */
#include "fetcher/origin.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>

#include "base/parse.h"

static int parse_port(const char *text, const char *end, struct origin *origin) {
        char port[8];
        uint32_t value;
        size_t n = (size_t)(end - text);
        int r;

        if (n == 0 || n >= sizeof(port))
                return -EINVAL;
        memcpy(port, text, n);
        port[n] = '\0';
        r = parse_u32(port, 1, 65535, &value);
        if (r < 0)
                return r;
        origin->port = (uint16_t)value;
        return 0;
}

static int parse_authority(const char *p, const char *end, struct origin *origin) {
        const char *host_end;
        size_t n;

        if (memchr(p, '@', (size_t)(end - p)))
                return -EINVAL;
        if (*p == '[') {
                p++;
                host_end = memchr(p, ']', (size_t)(end - p));
                if (!host_end)
                        return -EINVAL;
        } else {
                host_end = memchr(p, ':', (size_t)(end - p));
                if (!host_end)
                        host_end = end;
        }
        n = (size_t)(host_end - p);
        if (n == 0 || n >= sizeof(origin->host))
                return -EINVAL;
        for (size_t i = 0; i < n; i++) {
                if (!isalnum((unsigned char)p[i]) && !strchr(".-:_", p[i]))
                        return -EINVAL;
                origin->host[i] = (char)tolower((unsigned char)p[i]);
        }
        origin->host[n] = '\0';
        p = *host_end == ']' ? host_end + 1 : host_end;
        if (p == end)
                return 0;
        return *p == ':' ? parse_port(p + 1, end, origin) : -EINVAL;
}

int origin_parse(const char *url, struct origin *ret, struct error *err) {
        struct origin origin = { 0 };
        const char *p;

        for (const char *c = url; *c; c++)
                if ((unsigned char)*c <= 0x20 || *c == 0x7f)
                        return error_set(err, ERROR_INVALID, -EINVAL,
                                         "URL with a control character");
        p = str_after(url, "https://");
        origin.is_tls = p;
        if (!p)
                p = str_after(url, "http://");
        if (!p)
                return error_set(err, ERROR_INVALID, -EINVAL, "'%.200s' is neither http nor https",
                                 url);
        origin.port = origin.is_tls ? 443 : 80;
        if (parse_authority(p, p + strcspn(p, "/?#"), &origin) < 0)
                return error_set(err, ERROR_INVALID, -EINVAL, "'%.200s' has no valid host", url);
        *ret = origin;
        return 0;
}

bool origin_equal(const struct origin *a, const struct origin *b) {
        return a->is_tls == b->is_tls && a->port == b->port && str_eq(a->host, b->host);
}

static bool is_address(const char *host) {
        struct in6_addr addr;

        return strchr(host, ':') || inet_pton(AF_INET, host, &addr) == 1;
}

/* The last `labels` labels of a host name, or NULL when it has fewer. */
static const char *domain_of(const char *host, unsigned int labels) {
        const char *p = host + strlen(host);

        while (p > host) {
                p--;
                if (*p == '.' && --labels == 0)
                        return p + 1;
        }
        return labels == 1 ? host : NULL;
}

/*
 * Without a public suffix list: the last two labels, or three when the second-level label is short
 * ("co.uk", "com.au"). Too narrow is safe: the token is then asked for without credentials.
 */
static const char *registrable_domain(const char *host) {
        const char *two = domain_of(host, 2);

        if (!two)
                return NULL;
        return strcspn(two, ".") <= 3 ? domain_of(host, 3) : two;
}

bool origin_may_share_credentials(const struct origin *registry, const struct origin *realm) {
        const char *a, *b;

        if (registry->is_tls && !realm->is_tls)
                return false;
        if (str_eq(registry->host, realm->host))
                return true;
        if (is_address(registry->host) || is_address(realm->host) || !realm->is_tls)
                return false;
        a = registrable_domain(registry->host);
        b = registrable_domain(realm->host);
        return a && b && str_eq(a, b);
}

bool origin_may_redirect(const struct origin *from, const struct origin *to) {
        return !from->is_tls || to->is_tls;
}

static bool ipv4_is_forbidden(uint32_t address, bool loopback_allowed) {
        if (address >> 24 == 127)
                return !loopback_allowed;
        return address >> 16 == 0xa9fe || address >> 24 == 0 || address >> 28 == 0xe;
}

bool address_is_forbidden(const struct sockaddr *address, bool loopback_allowed) {
        const struct sockaddr_in6 *v6 = (const void *)address;
        const struct sockaddr_in *v4 = (const void *)address;
        const uint8_t *b = v6->sin6_addr.s6_addr;
        uint32_t mapped;

        if (address->sa_family == AF_INET)
                return ipv4_is_forbidden(ntohl(v4->sin_addr.s_addr), loopback_allowed);
        if (address->sa_family != AF_INET6)
                return true;
        if (IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr))
                return !loopback_allowed;
        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
                memcpy(&mapped, b + 12, sizeof(mapped));
                return ipv4_is_forbidden(ntohl(mapped), loopback_allowed);
        }
        return IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr) || IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr) ||
               IN6_IS_ADDR_MULTICAST(&v6->sin6_addr);
}
