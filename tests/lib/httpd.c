/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/httpd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "base/buf.h"
#include "gadget/api.h"
#include "image/digest.h"
#include "image/manifest.h"

#define LAYER_SIZE (12u << 10)
#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define INDEX_TYPE "application/vnd.oci.image.index.v1+json"
#define LAYER_TYPE "application/vnd.gadget.ebpf.program.v1+binary"
#define CONFIG_TYPE "application/vnd.gadget.config.v1+yaml"

const char *const httpd_lie_names[_LIE_MAX] = {
        [LIE_NONE] = "none",
        [LIE_CUT_ONCE] = "cut once",
        [LIE_BUSY] = "503 with Retry-After",
        [LIE_WRONG_BYTES] = "wrong digest",
        [LIE_SHORT] = "short blob",
        [LIE_LONG] = "long blob",
        [LIE_DIGEST_HEADER] = "wrong digest header",
        [LIE_CONTENT_TYPE] = "Content-Type against mediaType",
        [LIE_BOTH_KINDS] = "manifests and layers",
        [LIE_DIGEST_PATH] = "digest with a path",
        [LIE_DUPLICATE_KEY] = "duplicate key",
        [LIE_DEEP] = "deep nesting",
        [LIE_MANY_LAYERS] = "100000 layers",
        [LIE_INDEX_OF_INDEXES] = "index of indexes",
        [LIE_HUGE_MANIFEST] = "1 GiB manifest",
        [LIE_BOMB] = "gzip bomb",
        [LIE_LOGIN_LOOP] = "401 loop",
        [LIE_REALM] = "realm on another host",
        [LIE_REDIRECT_LOOP] = "redirect loop",
        [LIE_REDIRECT_AWAY] = "redirect to another host",
        [LIE_REDIRECT_LINK_LOCAL] = "redirect to a link-local address",
        [LIE_HUGE_LAYER] = "blob past its limit",
        [LIE_HUGE_IMAGE] = "image past its limit",
        [LIE_SLOW] = "slow-loris",
        [LIE_SLOW_HEAD] = "slow-loris in the headers",
        [LIE_ENDLESS_HEAD] = "endless headers",
        [LIE_CUT_MANIFEST] = "manifest cut once",
        [LIE_TOKEN_LOOP] = "401 loop with tokens",
        [LIE_REDIRECT_FILE] = "redirect to a file",
        [LIE_LAYERS] = "129 layers",
        [LIE_INDEX_HIDDEN] = "index in place of a manifest",
        [LIE_URLS] = "urls on another host",
        [LIE_NO_RANGE] = "cut once, no Range",
        [LIE_RANGE_REFUSED] = "cut once, 416 for a Range",
        [LIE_DOCKER] = "docker schema 2",
        [LIE_PUSH_CUT] = "upload cut in a piece",
        [LIE_PUSH_BUSY] = "upload refused with 503",
        [LIE_PUSH_LOST] = "answer of an upload lost",
        [LIE_PUSH_AMNESIA] = "upload forgotten",
};

#define UPLOADS_MAX 64

struct httpd {
        struct httpd *next; /* of those that have ended */
        enum httpd_lie lie;
        int fd;
        uint16_t port;
        uint16_t other_port;
        pthread_t thread;
        atomic_uint requests, authorizations, ranges, lied;
        atomic_bool is_ending, holds_blobs;
        size_t cut;
        uint8_t layer[LAYER_SIZE + 16];
        char layer_digest[DIGEST_TEXT_MAX];
        char config_digest[DIGEST_TEXT_MAX];
        char *manifest;
        size_t n_manifest;
        const char *manifest_type;
        struct resource *resources;
        pthread_mutex_t lock; /* of what follows */
        struct buf seen;
        struct buf uploads[UPLOADS_MAX]; /* by the number in their Location */
        unsigned int n_uploads;
        unsigned int uploaded_bytes, uploaded_blobs;
};

struct resource {
        struct resource *next;
        char *part;
        char *type;
        uint8_t *data;
        size_t n;
};

#if defined(__aarch64__)
#define TEST_ARCH "arm64"
#else
#define TEST_ARCH "amd64"
#endif

static const char config[] = "name: lie\n";

static bool put(int fd, const void *data, size_t n) {
        size_t sent = 0;

        while (sent < n) {
                ssize_t got = send(fd, (const char *)data + sent, n - sent, MSG_NOSIGNAL);

                if (got <= 0)
                        return false;
                sent += (size_t)got;
        }
        return true;
}

static bool put_text(int fd, const char *fmt, ...) PRINTF_LIKE(2, 3);
static bool put_text(int fd, const char *fmt, ...) {
        char text[2048];
        va_list args;
        int n;

        va_start(args, fmt);
        n = vsnprintf(text, sizeof(text), fmt, args);
        va_end(args);
        return put(fd, text, (size_t)n);
}

/* --- documents --- */

/* The manifest as docker has it, in a list as docker has it. */
static void make_docker(struct httpd *h, size_t n) {
        char digest[DIGEST_TEXT_MAX], inner[2048];
        int n_inner;

        n_inner = snprintf(
                inner, sizeof(inner),
                "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_TYPE_DOCKER_MANIFEST
                "\",\"config\":{\"mediaType\":\"" CONFIG_TYPE "\",\"digest\":\"%s\",\"size\":%zu},"
                "\"layers\":[{\"mediaType\":\"" LAYER_TYPE "\",\"digest\":\"%s\",\"size\":%u}]}",
                h->config_digest, strlen(config), h->layer_digest, LAYER_SIZE);
        (void)digest_of(inner, (size_t)n_inner, digest);
        httpd_serve(h, digest, MEDIA_TYPE_DOCKER_MANIFEST, inner, (size_t)n_inner);
        h->manifest_type = MEDIA_TYPE_DOCKER_INDEX;
        h->n_manifest =
                (size_t)snprintf(h->manifest, n,
                                 "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_TYPE_DOCKER_INDEX
                                 "\",\"manifests\":[{\"mediaType\":\"" MEDIA_TYPE_DOCKER_MANIFEST
                                 "\",\"digest\":\"%s\",\"size\":%d,"
                                 "\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}}]}",
                                 digest, n_inner, TEST_ARCH);
}

/* What the index calls a manifest is an index, also by its Content-Type. */
static void hide_index(struct httpd *h, size_t n) {
        static const char inner[] =
                "{\"schemaVersion\":2,\"mediaType\":\"" INDEX_TYPE "\",\"manifests\":[]}";
        char digest[DIGEST_TEXT_MAX];

        (void)digest_of(inner, strlen(inner), digest);
        httpd_serve(h, digest, INDEX_TYPE, inner, strlen(inner));
        h->manifest_type = INDEX_TYPE;
        h->n_manifest = (size_t)snprintf(
                h->manifest, n,
                "{\"schemaVersion\":2,\"mediaType\":\"" INDEX_TYPE "\",\"manifests\":[{"
                "\"mediaType\":\"" MANIFEST_TYPE "\",\"digest\":\"%s\",\"size\":%zu,"
                "\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}}]}",
                digest, strlen(inner), TEST_ARCH);
}

static void make_manifest(struct httpd *h) {
        const char *digest =
                h->lie == LIE_DIGEST_PATH ? "sha256:../../../../etc/passwd" : h->layer_digest;
        size_t n = 64 + (h->lie == LIE_MANY_LAYERS ? 100000u * 220 : 65536u);
        int n_layers = h->lie == LIE_MANY_LAYERS  ? 100000
                       : h->lie == LIE_LAYERS     ? MANIFEST_ENTRIES_MAX + 1
                       : h->lie == LIE_HUGE_IMAGE ? LIMIT_IMAGE_SIZE_MAX / LIMIT_BLOB_SIZE_MAX + 1
                                                  : 1;
        char *out = malloc(n), urls[128] = "";
        size_t at;

        if (h->lie == LIE_URLS)
                snprintf(urls, sizeof(urls), "\"urls\":[\"http://localhost:%u/elsewhere\"],",
                         h->other_port);
        h->manifest_type = MANIFEST_TYPE;
        at = (size_t)snprintf(out, n,
                              "{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST_TYPE
                              "\",%s\"config\":{\"mediaType\""
                              ":\"" CONFIG_TYPE "\",\"digest\":\"%s\",\"size\":%zu},%s\"layers\":[",
                              h->lie == LIE_DUPLICATE_KEY ? "\"mediaType\":\"x\"," : "",
                              h->config_digest, strlen(config),
                              h->lie == LIE_BOTH_KINDS ? "\"manifests\":[]," : "");
        for (int i = 0; i < n_layers; i++) {
                char other[DIGEST_TEXT_MAX];

                (void)digest_of(&i, sizeof(i), other);
                at += (size_t)snprintf(
                        out + at, n - at,
                        "%s{\"mediaType\":\"" LAYER_TYPE "\",\"digest\":\"%s\",%s\"size\":%u}",
                        i ? "," : "",
                        h->lie == LIE_HUGE_IMAGE || h->lie == LIE_LAYERS ? other : digest, urls,
                        h->lie == LIE_HUGE_LAYER   ? LIMIT_BLOB_SIZE_MAX + 1u
                        : h->lie == LIE_HUGE_IMAGE ? LIMIT_BLOB_SIZE_MAX
                                                   : LAYER_SIZE);
        }
        at += (size_t)snprintf(out + at, n - at, "]");
        if (h->lie == LIE_DEEP) {
                at += (size_t)snprintf(out + at, n - at, ",\"annotations\":");
                for (int i = 0; i < 200; i++)
                        out[at++] = '[';
                for (int i = 0; i < 200; i++)
                        out[at++] = ']';
        }
        out[at++] = '}';
        h->manifest = out;
        h->n_manifest = at;
        if (h->lie == LIE_INDEX_OF_INDEXES) {
                h->manifest_type = INDEX_TYPE;
                h->n_manifest = (size_t)snprintf(
                        out, n,
                        "{\"schemaVersion\":2,\"mediaType\":\"" INDEX_TYPE "\",\"manifests\":[{"
                        "\"mediaType\":\"" INDEX_TYPE "\",\"digest\":\"%s\",\"size\":10,"
                        "\"platform\":{\"os\":\"linux\",\"architecture\":\"" TEST_ARCH "\"}}]}",
                        h->layer_digest);
        }
        if (h->lie == LIE_DOCKER)
                make_docker(h, n);
        if (h->lie == LIE_INDEX_HIDDEN)
                hide_index(h, n);
        if (h->lie == LIE_CONTENT_TYPE)
                h->manifest_type = INDEX_TYPE;
}

/* --- answers --- */

static bool put_byte_by_byte(struct httpd *h, int fd, const void *data, size_t n) {
        for (size_t i = 0; i < n && !h->is_ending; i++)
                if (!put(fd, (const char *)data + i, 1) || poll(NULL, 0, 1000) < 0)
                        return false;
        return true;
}

static void answer_manifest(struct httpd *h, int fd) {
        uint64_t size = h->lie == LIE_HUGE_MANIFEST ? UINT64_C(1) << 30 : h->n_manifest;
        static const char head[] = "HTTP/1.1 200 OK\r\nX-Name: value\r\nX-Name: value\r\n";

        if (h->lie == LIE_SLOW_HEAD) {
                (void)put_byte_by_byte(h, fd, head, strlen(head));
                return;
        }
        if (h->lie == LIE_ENDLESS_HEAD) {
                while (!h->is_ending && put(fd, head, strlen(head)))
                        ;
                return;
        }

        put_text(fd,
                 "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %llu\r\n%s%s%s"
                 "Connection: close\r\n\r\n",
                 h->manifest_type, (unsigned long long)size,
                 h->lie == LIE_DIGEST_HEADER ? "Docker-Content-Digest: " : "",
                 h->lie == LIE_DIGEST_HEADER ? h->layer_digest : "",
                 h->lie == LIE_DIGEST_HEADER ? "\r\n" : "");
        if (h->lie == LIE_CUT_MANIFEST && h->lied++ == 0) {
                (void)put(fd, h->manifest, MIN(h->cut, h->n_manifest - 1));
                return;
        }
        if (!put(fd, h->manifest, h->n_manifest) || h->lie != LIE_HUGE_MANIFEST)
                return;
        for (uint64_t sent = h->n_manifest; sent < size; sent += h->n_manifest)
                if (!put(fd, h->manifest, h->n_manifest))
                        return;
}

static void answer_layer(struct httpd *h, int fd, size_t from) {
        size_t size = h->lie == LIE_SHORT  ? LAYER_SIZE / 2
                      : h->lie == LIE_LONG ? LAYER_SIZE + 16
                                           : LAYER_SIZE;
        bool is_cut =
                h->lie == LIE_CUT_ONCE || h->lie == LIE_NO_RANGE || h->lie == LIE_RANGE_REFUSED;
        size_t n;

        if (from > 0 && h->lie == LIE_RANGE_REFUSED) {
                put_text(fd, "HTTP/1.1 416 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                return;
        }
        if (h->lie == LIE_NO_RANGE)
                from = 0;
        n = size - MIN(from, size);
        put_text(fd, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s",
                 from ? "206 Partial Content" : "200 OK", n,
                 h->lie == LIE_BOMB ? "Content-Encoding: gzip\r\n" : "");
        if (from)
                put_text(fd, "Content-Range: bytes %zu-%zu/%zu\r\n", from, size - 1, size);
        put_text(fd, "Connection: close\r\n\r\n");
        if (h->lie == LIE_SLOW)
                (void)put_byte_by_byte(h, fd, h->layer, LAYER_SIZE);
        else if (is_cut && h->lied++ == 0)
                put(fd, h->layer, MIN(h->cut, n));
        else
                put(fd, h->layer + from, n);
}

/* Retry-After as a number, then as a date. */
static bool put_busy(struct httpd *h, int fd) {
        char when[64] = "1";
        time_t later = time(NULL) + 2;
        struct tm tm;

        if (h->lied++ > 0)
                strftime(when, sizeof(when), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&later, &tm));
        return put_text(fd,
                        "HTTP/1.1 503 Busy\r\nRetry-After: %s\r\nContent-Length: 0\r\n"
                        "Connection: close\r\n\r\n",
                        when);
}

static bool lie_about_access(struct httpd *h, int fd, const char *request, bool has_bearer) {
        if (h->lie == LIE_BUSY && h->lied < 2)
                return put_busy(h, fd);
        if (h->lie == LIE_LOGIN_LOOP)
                return put_text(fd, "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"x\"\r\n"
                                    "Content-Length: 0\r\nConnection: close\r\n\r\n");
        if (h->lie == LIE_REALM && !has_bearer)
                return put_text(fd,
                                "HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm=\"http://"
                                "localhost:%u/token\",service=\"s\"\r\nContent-Length: 0\r\n"
                                "Connection: close\r\n\r\n",
                                h->other_port);
        if (h->lie == LIE_TOKEN_LOOP)
                return put_text(fd,
                                "HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm=\"http://"
                                "127.0.0.1:%u/token\",service=\"s\"\r\nContent-Length: 0\r\n"
                                "Connection: close\r\n\r\n",
                                h->port);
        if (strstr(request, "/blobs/") && h->lie == LIE_REDIRECT_FILE)
                return put_text(fd, "HTTP/1.1 307 There\r\nLocation: file:///etc/passwd\r\n"
                                    "Content-Length: 0\r\nConnection: close\r\n\r\n");
        if (h->lie == LIE_REDIRECT_LOOP)
                return put_text(fd,
                                "HTTP/1.1 307 Again\r\nLocation: http://127.0.0.1:%u/v2/again\r\n"
                                "Content-Length: 0\r\nConnection: close\r\n\r\n",
                                h->port);
        if (strstr(request, "/blobs/") && h->lie == LIE_REDIRECT_LINK_LOCAL)
                return put_text(fd, "HTTP/1.1 307 There\r\nLocation: http://169.254.169.254/x\r\n"
                                    "Content-Length: 0\r\nConnection: close\r\n\r\n");
        if (strstr(request, "/blobs/") && h->lie == LIE_REDIRECT_AWAY)
                return put_text(fd,
                                "HTTP/1.1 307 There\r\nLocation: http://localhost:%u%.*s\r\n"
                                "Content-Length: 0\r\nConnection: close\r\n\r\n",
                                h->other_port, (int)strcspn(request + 4, " "), request + 4);
        return false;
}

static bool answer_resource(struct httpd *h, int fd, const char *request) {
        size_t n_line = strcspn(request, "\r");

        for (const struct resource *r = h->resources; r; r = r->next) {
                const char *at = strstr(request, r->part);

                if (!at || at >= request + n_line)
                        continue;
                put_text(fd,
                         "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                         "Connection: close\r\n\r\n",
                         r->type, r->n);
                put(fd, r->data, r->n);
                return true;
        }
        return false;
}

/* --- uploads --- */

/* Reads a body of which the request's buffer may hold the beginning. */
static size_t read_body(int fd, const char *head, size_t n_head, uint64_t n, struct buf *into) {
        size_t taken = (size_t)MIN((uint64_t)n_head, n);

        buf_append(into, head, taken);
        while (taken < n) {
                uint8_t chunk[16384];
                ssize_t got = recv(fd, chunk, (size_t)MIN((uint64_t)sizeof(chunk), n - taken), 0);

                if (got <= 0)
                        break;
                buf_append(into, chunk, (size_t)got);
                taken += (size_t)got;
        }
        return taken;
}

static void put_upload_place(struct httpd *h, int fd, const char *status, unsigned int at) {
        char range[64] = "";

        if (h->uploads[at].len > 0)
                snprintf(range, sizeof(range), "Range: 0-%zu\r\n", h->uploads[at].len - 1);
        put_text(fd,
                 "HTTP/1.1 %s\r\nLocation: /upload/%u\r\n%sContent-Length: 0\r\n"
                 "Connection: close\r\n\r\n",
                 status, at, range);
}

static void take_piece(struct httpd *h, int fd, unsigned int at, const char *body, size_t n_body,
                       uint64_t n) {
        bool is_first = h->lied++ == 0;
        size_t before = h->uploads[at].len;

        if (h->lie == LIE_PUSH_CUT && is_first)
                n /= 2;
        h->uploaded_bytes += (unsigned int)read_body(fd, body, n_body, n, &h->uploads[at]);
        if (is_first && h->lie == LIE_PUSH_BUSY)
                h->uploads[at].len = before;
        if (is_first && h->lie == LIE_PUSH_AMNESIA)
                h->uploads[at].len = 0;
        if (is_first && h->lie == LIE_PUSH_BUSY)
                put_text(fd, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n"
                             "Connection: close\r\n\r\n");
        else if (is_first && h->lie == LIE_PUSH_AMNESIA)
                put_text(fd, "HTTP/1.1 404 What\r\nContent-Length: 0\r\n"
                             "Connection: close\r\n\r\n");
        else if (!is_first || (h->lie != LIE_PUSH_CUT && h->lie != LIE_PUSH_LOST))
                put_upload_place(h, fd, "202 Accepted", at);
}

static void close_upload(struct httpd *h, int fd, unsigned int at, const char *request) {
        const struct buf *upload = &h->uploads[at];
        const char *found = strstr(request, "digest=");
        char digest[DIGEST_TEXT_MAX] = "";
        bool is_right;

        if (found)
                snprintf(digest, sizeof(digest), "%.71s", found + strlen("digest="));
        is_right = digest_check(digest, upload->data ?: (const uint8_t *)"", upload->len) == 0;
        h->uploaded_blobs += is_right;
        put_text(fd, "HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                 is_right ? "201 Created" : "400 Wrong digest");
}

/* What is pushed: the lock is held from a request's head to its answer. */
static bool answer_upload(struct httpd *h, int fd, const char *request, size_t n_request) {
        const char *length = strstr(request, "Content-Length: "), *path = strchr(request, ' ');
        const char *body = strstr(request, "\r\n\r\n") + 4;
        uint64_t n = length ? strtoull(length + strlen("Content-Length: "), NULL, 10) : 0;
        size_t n_body = n_request - (size_t)(body - request);
        cleanup_buf struct buf ignored = BUF_INIT(1 << 20);
        const char *number = path ? str_after(path, " /upload/") : NULL;
        unsigned int at = number ? (unsigned int)atoi(number) % UPLOADS_MAX : 0;

        if (str_after(request, "POST ") && strstr(request, "/blobs/uploads/")) {
                at = h->n_uploads++ % UPLOADS_MAX;
                buf_reset(&h->uploads[at]);
                put_upload_place(h, fd, "202 Accepted", at);
        } else if (number && str_after(request, "PATCH ")) {
                take_piece(h, fd, at, body, n_body, n);
        } else if (number && str_after(request, "GET ")) {
                put_upload_place(h, fd, "204 No Content", at);
        } else if (number && str_after(request, "PUT ")) {
                close_upload(h, fd, at, request);
        } else if (str_after(request, "PUT ") && strstr(request, "/manifests/")) {
                (void)read_body(fd, body, n_body, n, &ignored);
                put_text(fd, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n"
                             "Connection: close\r\n\r\n");
        } else {
                return false;
        }
        return true;
}

static void wait_for_release(const struct httpd *h) {
        while (h->holds_blobs && !h->is_ending)
                (void)poll(NULL, 0, 5);
}

static void answer(struct httpd *h, int fd, const char *request) {
        const char *range = strstr(request, "Range: bytes=");
        const char *authorization = strstr(request, "Authorization: ");
        bool has_bearer = authorization && str_after(authorization, "Authorization: Bearer");
        unsigned int from = 0;

        if (authorization)
                h->authorizations++;
        if (range && sscanf(range, "Range: bytes=%u-", &from) == 1)
                h->ranges++;
        if (str_after(request, "GET /token") || str_after(request, "POST /token")) {
                put_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\n"
                             "{\"token\":\"t\"}");
                return;
        }
        if (strstr(request, "/blobs/"))
                wait_for_release(h);
        if (lie_about_access(h, fd, request, has_bearer) || answer_resource(h, fd, request))
                return;
        if (strstr(request, "/manifests/1 ") && str_after(request, "GET "))
                answer_manifest(h, fd);
        else if (strstr(request, h->layer_digest) && str_after(request, "GET "))
                answer_layer(h, fd, from);
        else if (strstr(request, h->config_digest) && str_after(request, "GET "))
                put_text(fd,
                         "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                         strlen(config), config);
        else
                put_text(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n"
                             "Connection: close\r\n\r\n");
}

static void *serve_one(void *userdata);
struct connection {
        struct httpd *h;
        int fd;
};

static bool is_whole(const char *request) {
        const char *end = strstr(request, "\r\n\r\n");
        const char *length = strstr(request, "Content-Length: ");

        /* A form is short, and wanted with its request. */
        if (end && str_after(request, "POST /token") && length)
                return strlen(end + 4) >= strtoull(length + strlen("Content-Length: "), NULL, 10);
        return end != NULL;
}

static void *serve_one(void *userdata) {
        struct connection *c = userdata;
        char request[8192];
        size_t n = 0;
        ssize_t got;
        bool is_done;

        do {
                got = recv(c->fd, request + n, sizeof(request) - 1 - n, 0);
                n += got > 0 ? (size_t)got : 0;
                request[n] = '\0';
        } while (got > 0 && n < sizeof(request) - 1 && !is_whole(request));
        if (strstr(request, "\r\n\r\n")) {
                c->h->requests++;
                pthread_mutex_lock(&c->h->lock);
                buf_append(&c->h->seen, request, n);
                is_done = answer_upload(c->h, c->fd, request, n);
                pthread_mutex_unlock(&c->h->lock);
                if (!is_done)
                        answer(c->h, c->fd, request);
        }
        shutdown(c->fd, SHUT_WR);
        close(c->fd);
        free(c);
        return NULL;
}

static void *serve(void *userdata) {
        struct httpd *h = userdata;

        for (;;) {
                int fd = accept4(h->fd, NULL, NULL, SOCK_CLOEXEC);
                struct connection *c;
                pthread_t thread;

                if (fd < 0)
                        return NULL;
                c = malloc(sizeof(*c));
                *c = (struct connection){ h, fd };
                if (pthread_create(&thread, NULL, serve_one, c) == 0)
                        pthread_detach(thread);
        }
}

struct httpd *httpd_new(enum httpd_lie lie) {
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        struct httpd *h = calloc(1, sizeof(*h));
        socklen_t size = sizeof(address);
        int one = 1;

        h->lie = lie;
        h->seen = BUF_INIT(64 << 20);
        for (size_t i = 0; i < UPLOADS_MAX; i++)
                h->uploads[i] = BUF_INIT(64 << 20);
        pthread_mutex_init(&h->lock, NULL);
        for (size_t i = 0; i < sizeof(h->layer); i++)
                h->layer[i] = (uint8_t)(i * 31 >> 3);
        (void)digest_of(h->layer, LAYER_SIZE, h->layer_digest);
        (void)digest_of(config, strlen(config), h->config_digest);
        if (lie == LIE_WRONG_BYTES)
                h->layer[100] ^= 1;
        make_manifest(h);
        h->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(h->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(h->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            listen(h->fd, 64) < 0 || getsockname(h->fd, (struct sockaddr *)&address, &size) < 0)
                abort();
        h->port = ntohs(address.sin_port);
        if (pthread_create(&h->thread, NULL, serve, h) != 0)
                abort();
        return h;
}

/* The memory stays: a slow answer may still be using it. */
static struct httpd *ended;

struct httpd *httpd_free(struct httpd *h) {
        if (!h)
                return NULL;
        h->is_ending = true;
        shutdown(h->fd, SHUT_RDWR);
        pthread_join(h->thread, NULL);
        close(h->fd);
        h->next = ended;
        ended = h;
        return NULL;
}

uint16_t httpd_port(const struct httpd *h) {
        return h->port;
}

void httpd_set_cut(struct httpd *h, size_t bytes) {
        h->cut = bytes;
}

void httpd_set_other(struct httpd *h, const struct httpd *other) {
        h->other_port = other->port;
        free(h->manifest);
        make_manifest(h); /* it may name the other */
}

unsigned int httpd_requests(const struct httpd *h) {
        return h->requests;
}

unsigned int httpd_authorizations(const struct httpd *h) {
        return h->authorizations;
}

unsigned int httpd_ranges(const struct httpd *h) {
        return h->ranges;
}

void httpd_serve(struct httpd *h, const char *part, const char *type, const void *data, size_t n) {
        struct resource *r = calloc(1, sizeof(*r));

        *r = (struct resource){ .next = h->resources,
                                .part = strdup(part),
                                .type = strdup(type),
                                .data = malloc(n + 1),
                                .n = n };
        memcpy(r->data, data, n);
        h->resources = r;
}

void httpd_serve_manifest(struct httpd *h, const char *part) {
        httpd_serve(h, part, h->manifest_type, h->manifest, h->n_manifest);
}

const char *httpd_manifest_digest(const struct httpd *h, char *out) {
        (void)digest_of(h->manifest, h->n_manifest, out);
        return out;
}

unsigned int httpd_uploaded_bytes(const struct httpd *h) {
        return h->uploaded_bytes;
}

unsigned int httpd_uploaded_blobs(const struct httpd *h) {
        return h->uploaded_blobs;
}

void httpd_hold_blobs(struct httpd *h) {
        h->holds_blobs = true;
}

void httpd_release_blobs(struct httpd *h) {
        h->holds_blobs = false;
}

unsigned int httpd_count(struct httpd *h, const char *text) {
        const uint8_t *at, *end;
        unsigned int n = 0;

        pthread_mutex_lock(&h->lock);
        end = h->seen.data + h->seen.len;
        for (at = h->seen.data;
             at && at < end && (at = memmem(at, (size_t)(end - at), text, strlen(text))); at++)
                n++;
        pthread_mutex_unlock(&h->lock);
        return n;
}

bool httpd_saw(struct httpd *h, const char *text) {
        return httpd_count(h, text) > 0;
}
