/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/ask-http.h"

#include <stdio.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "gadget/api.h"

#define GRPC_PREFIX 5 /* compressed or not, length in network order */
#define GRPC_NOT_FOUND 5

/* --- the connection --- */

static curl_socket_t on_open(void *userdata, curlsocktype purpose, struct curl_sockaddr *address) {
        struct http *http = userdata;

        (void)purpose;
        (void)address;
        for (size_t i = 0; i < http->n_fds; i++)
                if (http->fds[i] >= 0)
                        return TAKE_FD(http->fds[i]);
        return CURL_SOCKET_BAD;
}

static int on_opened(void *userdata, curl_socket_t fd, curlsocktype purpose) {
        (void)userdata;
        (void)fd;
        (void)purpose;
        return CURL_SOCKOPT_ALREADY_CONNECTED;
}

static size_t on_body(char *data, size_t size, size_t n, void *userdata) {
        struct buf *body = userdata;

        (void)size;
        buf_append(body, data, n);
        return body->failed ? 0 : n;
}

static size_t on_header(char *line, size_t size, size_t n, void *userdata) {
        static const char name[] = "grpc-status:";
        struct http *http = userdata;
        size_t at = sizeof(name) - 1;

        (void)size;
        if (n <= at || strncasecmp(line, name, at) != 0)
                return n;
        while (at < n && line[at] == ' ')
                at++;
        http->grpc_status = 0;
        for (; at < n && line[at] >= '0' && line[at] <= '9' && http->grpc_status < 100; at++)
                http->grpc_status = 10 * http->grpc_status + (line[at] - '0');
        return n;
}

static bool set_up(struct http *http, CURL *easy, const char *path, struct buf *body) {
        uint64_t left_ns = http->until_ns - now_ns();
        char url[512];

        snprintf(url, sizeof(url), "http://localhost%s", path);
        return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http") == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, "/connected") == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, http) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_opened) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_WRITEDATA, body) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_HEADERDATA, http) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(left_ns / NSEC_PER_MSEC + 1)) ==
                       CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK;
}

static int perform(CURL *easy, const char *path) {
        CURLcode code = curl_easy_perform(easy);

        if (code != CURLE_OK)
                log_info("%s: %s", path, curl_easy_strerror(code));
        if (code == CURLE_OPERATION_TIMEDOUT)
                return -ETIMEDOUT;
        if (code == CURLE_WRITE_ERROR)
                return -EFBIG;
        return code == CURLE_OK ? 0 : -EPROTO;
}

/* --- calls --- */

int http_get(struct http *http, const char *path, struct buf *ret) {
        CURL *easy = now_ns() < http->until_ns ? curl_easy_init() : NULL;
        long status = 0;
        int r;

        if (!easy)
                return -ETIMEDOUT;
        r = set_up(http, easy, path, ret) ? perform(easy, path) : -ENOMEM;
        (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_cleanup(easy);
        if (r < 0)
                return r;
        return status == 200 ? 0 : status == 404 ? -ENOENT : -EPROTO;
}

/* A single message, not compressed, behind its prefix. */
static int unwrap(struct buf *body) {
        uint32_t len;

        if (body->len < GRPC_PREFIX || body->data[0] != 0)
                return -EPROTO;
        len = (uint32_t)body->data[1] << 24 | (uint32_t)body->data[2] << 16 |
              (uint32_t)body->data[3] << 8 | body->data[4];
        if (len != body->len - GRPC_PREFIX)
                return -EPROTO;
        memmove(body->data, body->data + GRPC_PREFIX, len);
        body->len = len;
        return 0;
}

static bool set_request(CURL *easy, struct curl_slist *headers, const struct buf *body) {
        return curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                                (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)body->len) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body->data) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers) == CURLE_OK;
}

static struct curl_slist *make_headers(const char *namespace) {
        static const char *const lines[] = { "Content-Type: application/grpc", "TE: trailers",
                                             "Expect:" };
        struct curl_slist *headers = NULL, *longer;
        char line[LIMIT_CONTAINER_TEXT_MAX + 32];

        for (size_t i = 0; i <= ARRAY_SIZE(lines); i++) {
                if (i == ARRAY_SIZE(lines) && !namespace)
                        break;
                snprintf(line, sizeof(line), "%s%s",
                         i < ARRAY_SIZE(lines) ? lines[i] : "containerd-namespace: ",
                         i < ARRAY_SIZE(lines) ? "" : namespace);
                longer = curl_slist_append(headers, line);
                if (!longer) {
                        curl_slist_free_all(headers);
                        return NULL;
                }
                headers = longer;
        }
        return headers;
}

int http_call(struct http *http, const char *method, const char *namespace, struct bytes request,
              struct buf *ret) {
        const uint8_t prefix[GRPC_PREFIX] = { 0, 0, 0, (uint8_t)(request.len >> 8),
                                              (uint8_t)request.len };
        cleanup_buf struct buf body = BUF_INIT(2 * LIMIT_CONTAINER_TEXT_MAX + GRPC_PREFIX);
        CURL *easy = now_ns() < http->until_ns ? curl_easy_init() : NULL;
        struct curl_slist *headers = make_headers(namespace);
        int r;

        buf_reset(ret);
        buf_append(&body, prefix, sizeof(prefix));
        buf_append(&body, request.data, request.len);
        http->grpc_status = -1;
        r = !easy ? -ETIMEDOUT : !headers ? -ENOMEM : buf_result(&body);
        if (r == 0)
                r = set_up(http, easy, method, ret) && set_request(easy, headers, &body)
                            ? perform(easy, method)
                            : -ENOMEM;
        curl_easy_cleanup(easy);
        curl_slist_free_all(headers);
        if (r < 0)
                return r;
        if (http->grpc_status > 0)
                log_info("%s: gRPC status %d", method, http->grpc_status);
        if (http->grpc_status != 0)
                return http->grpc_status == GRPC_NOT_FOUND ? -ENOENT : -EPROTO;
        return unwrap(ret);
}
