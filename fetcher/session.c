/* SPDX-License-Identifier: Apache-2.0 */
/* Handles and headers that every request of a session shares. */
#include "fetcher/session.h"

#include <sys/socket.h>

#define CONNECT_TIMEOUT_S 15L
#define STALL_BYTES_PER_S 64L /* slower than this ... */
#define STALL_TIME_S 20L      /* ... for so long is a dead peer */

static bool is_loopback_name(const char *host) {
        return str_eq(host, "localhost") || str_eq(host, "::1") || str_after(host, "127.");
}

/* The last place before a connection: whatever DNS said, these addresses are not reached on behalf
 * of a registry. */
static curl_socket_t on_open_socket(void *userdata, curlsocktype purpose,
                                    struct curl_sockaddr *address) {
        struct session *session = userdata;
        bool via_proxy = session->proxy && session->proxy[0];

        if (!via_proxy &&
            address_is_forbidden(&address->addr, is_loopback_name(session->origin.host))) {
                session->has_refused = true;
                return CURL_SOCKET_BAD;
        }
        return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static void set_blob(CURL *easy, CURLoption option, struct bytes pem) {
        struct curl_blob blob = { .data = (void *)pem.data,
                                  .len = pem.len,
                                  .flags = CURL_BLOB_NOCOPY };

        if (pem.len > 0)
                curl_easy_setopt(easy, option, &blob);
}

CURL *session_easy_new(struct session *session) {
        CURL *easy = curl_easy_init();

        if (!easy)
                return NULL;
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR,
                         session->origin.is_tls ? "https" : "http,https");
        curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES_PER_S);
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, STALL_TIME_S);
        curl_easy_setopt(easy, CURLOPT_USERAGENT, "gadgetd/" GADGET_VERSION);
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
        curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
        curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, session);
        /* No environment here: proxies come with the session or not at all. */
        curl_easy_setopt(easy, CURLOPT_PROXY, session->proxy ? session->proxy : "");
        if (session->no_proxy)
                curl_easy_setopt(easy, CURLOPT_NOPROXY, session->no_proxy);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, session->is_insecure ? 0L : 1L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, session->is_insecure ? 0L : 2L);
        set_blob(easy, CURLOPT_CAINFO_BLOB, session->ca);
        set_blob(easy, CURLOPT_SSLCERT_BLOB, session->client_cert);
        set_blob(easy, CURLOPT_SSLKEY_BLOB, session->client_key);
        return easy;
}

static int append_base64(struct buf *out, const uint8_t *data, size_t n) {
        static const char alphabet[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

        for (size_t i = 0; i < n; i += 3) {
                uint32_t v = (uint32_t)data[i] << 16;

                if (i + 1 < n)
                        v |= (uint32_t)data[i + 1] << 8;
                if (i + 2 < n)
                        v |= data[i + 2];
                buf_printf(out, "%c%c%c%c", alphabet[v >> 18], alphabet[v >> 12 & 63],
                           i + 1 < n ? alphabet[v >> 6 & 63] : '=',
                           i + 2 < n ? alphabet[v & 63] : '=');
        }
        return buf_result(out);
}

static int append_basic(const struct session *session, struct buf *out) {
        cleanup_buf struct buf pair = BUF_INIT(8192);

        buf_printf(&pair, "%s:%s", session->username, session->password);
        buf_puts(out, "Authorization: Basic ");
        if (buf_result(&pair) < 0)
                return buf_result(&pair);
        return append_base64(out, pair.data, pair.len);
}

int session_authorization(const struct session *session, const struct origin *target,
                          struct buf *out) {
        if (!origin_equal(&session->origin, target))
                return 0;
        if (session->token[0])
                return buf_printf(out, "Authorization: Bearer %s", session->token);
        if (session->use_basic && session->username)
                return append_basic(session, out);
        return 0;
}
