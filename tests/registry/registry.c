/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/registry/registry.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/proc.h"
#include "gadget/api.h"

uint16_t free_port(void) {
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        socklen_t n = sizeof(address);

        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
        return ntohs(address.sin_port);
}

static void shell(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void shell(const char *fmt, ...) {
        char command[2048];
        va_list args;

        va_start(args, fmt);
        vsnprintf(command, sizeof(command), fmt, args);
        va_end(args);
        if (system(command) != 0)
                fail_msg("failed: %s", command);
}

static void make_certificates(const char *dir) {
        shell("cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days "
              "2 -subj /CN=test-ca "
              "-keyout ca.key -out ca.crt 2>/dev/null && "
              "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=registry "
              "-keyout tls.key "
              "-out tls.csr 2>/dev/null && "
              "printf 'subjectAltName=IP:127.0.0.1,DNS:localhost' >ext && "
              "openssl x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 "
              "-extfile ext "
              "-out tls.crt 2>/dev/null",
              dir);
}

/* Each pair of the directory under a name of its own: the client's own comes first by name, and
 * only NAME.key fits NAME.cert. */
static void make_client_certificate(const char *dir) {
        shell("cd %s && mkdir client && cp ca.crt client && cd client && "
              "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=client "
              "-keyout client.key -out client.csr 2>/dev/null && "
              "openssl x509 -req -in client.csr -CA ../ca.crt -CAkey ../ca.key -CAcreateserial "
              "-days 2 -out client.cert 2>/dev/null && "
              "cp ../ca.key a-key-of-something-else.key",
              dir);
}

static void start_tokens(struct registry *registry) {
        char key[96], certificate[96];
        static const char server[] = TEST_SOURCE_DIR "/tests/registry/token-server.py";
        const char *argv[] = { "python3", server, key, certificate, NULL };

        shell("cd %s && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=tokens -keyout "
              "tokens.key -out tokens.crt 2>/dev/null",
              registry->dir);
        snprintf(key, sizeof(key), "%s/tokens.key", registry->dir);
        snprintf(certificate, sizeof(certificate), "%s/tokens.crt", registry->dir);
        registry->tokens = run_new(&(struct run_spec){ .argv = argv, .dir = registry->dir });
        run_wait_out(registry->tokens, "\n");
}

static void write_config(const struct registry *registry) {
        char path[128];
        FILE *f;

        snprintf(path, sizeof(path), "%s/config.yml", registry->dir);
        f = fopen(path, "we");
        assert_non_null(f);
        fprintf(f,
                "version: 0.1\nlog: {level: warn}\nstorage: {filesystem: {rootdirectory: %s/data}, "
                "delete: {enabled: true}}\n"
                "http:\n  addr: %s\n",
                registry->dir, registry->host);
        if (registry->flags & REGISTRY_TLS)
                fprintf(f, "  tls:\n    certificate: %s/tls.crt\n    key: %s/tls.key\n",
                        registry->dir, registry->dir);
        if (registry->flags & REGISTRY_CLIENT_CERT)
                fprintf(f, "    clientcas: [%s/ca.crt]\n", registry->dir);
        if (registry->flags & REGISTRY_TOKEN)
                fprintf(f,
                        "auth: {token: {realm: \"http://127.0.0.1:%d/token\", service: "
                        "test-registry, issuer: test-issuer, rootcertbundle: %s/tokens.crt}}\n",
                        atoi(run_out(registry->tokens)), registry->dir);
        if (registry->flags & REGISTRY_PASSWORD)
                fprintf(f, "auth: {htpasswd: {realm: test, path: %s/htpasswd}}\n", registry->dir);
        assert_int_equal(fclose(f), 0);
}

static bool is_listening(uint16_t port) {
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_port = htons(port),
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

void registry_restart(struct registry *registry) {
        char config[128];
        const char *argv[] = { "docker-registry", "serve", config, NULL };

        registry_stop(registry);
        snprintf(config, sizeof(config), "%s/config.yml", registry->dir);
        registry->run = run_new(&(struct run_spec){ .argv = argv, .dir = registry->dir });
        if (!WAIT_UNTIL(is_listening(registry->port), WAIT_DEFAULT))
                run_fail(registry->run, "docker-registry does not listen on %s", registry->host);
}

void registry_start(struct registry *registry, int flags) {
        *registry = (struct registry){ .flags = flags, .port = free_port() };
        snprintf(registry->dir, sizeof(registry->dir), "/tmp/gadgetd-registry-XXXXXX");
        assert_non_null(mkdtemp(registry->dir));
        snprintf(registry->host, sizeof(registry->host), "127.0.0.1:%u", registry->port);
        if (flags & REGISTRY_TLS)
                make_certificates(registry->dir);
        if (flags & REGISTRY_CLIENT_CERT)
                make_client_certificate(registry->dir);
        if (flags & REGISTRY_TOKEN)
                start_tokens(registry);
        if (flags & REGISTRY_PASSWORD)
                shell("htpasswd -Bbn user secret >%s/htpasswd", registry->dir);
        write_config(registry);
        registry_restart(registry);
}

void registry_stop(struct registry *registry) {
        registry->run = run_free(registry->run);
}

void registry_done(struct registry *registry) {
        registry_stop(registry);
        registry->tokens = run_free(registry->tokens);
        assert_int_equal(remove_tree(AT_FDCWD, registry->dir), 0);
}

/* --- the fetcher --- */

static bool on_permit(void *owner, enum message_type type) {
        return type == MSG_FETCH_PROGRESS || type == MSG_FETCH_RESULT;
}

static void copy_text(char *out, size_t n, const char *text) {
        snprintf(out, n, "%s", text ?: "");
}

static int on_message(void *owner, struct received *received) {
        const struct msg_fetch_result *result = &received->msg->fetch_result;
        struct fetcher *fetcher = owner;

        if (received->type == MSG_FETCH_PROGRESS) {
                fetcher->progress = received->msg->fetch_progress.bytes;
                return 0;
        }
        fetcher->has_result = true;
        fetcher->job = result->job;
        fetcher->status = result->status;
        fetcher->bytes = result->bytes;
        fetcher->was_present = result->was_present;
        copy_text(fetcher->code, sizeof(fetcher->code), result->code);
        copy_text(fetcher->message, sizeof(fetcher->message), result->message);
        copy_text(fetcher->media_type, sizeof(fetcher->media_type), result->media_type);
        copy_text(fetcher->digest, sizeof(fetcher->digest), result->digest);
        return 0;
}

static void on_closed(void *owner, int r, const struct error *err) {
        struct fetcher *fetcher = owner;

        fetcher->is_closed = true;
}

void fetcher_start(struct fetcher *fetcher, const struct msg_fetch_open *open,
                   const char *ca_path) {
        static const struct channel_ops ops = { on_permit, on_message, on_closed };
        const char *argv[] = { "gadget-fetch", "--uid", "1899000000", NULL };
        cleanup_close int child_fd = -1, ca_fd = -1;
        int fd;

        *fetcher = (struct fetcher){ .pidfd = -1 };
        ca_fd = ca_path ? openat(AT_FDCWD, ca_path, O_RDONLY | O_CLOEXEC)
                        : memfd_sealed("ca", NULL, 0);
        assert_true(ca_fd >= 0);
        assert_int_equal(loop_new(&fetcher->loop), 0);
        assert_int_equal(socket_pair(SOCK_SEQPACKET, &fd, &child_fd), 0);
        assert_int_equal(
                proc_spawn(&(struct proc_spec){ .path = TEST_BUILD_DIR "/fetcher/gadget-fetch",
                                                .argv = argv,
                                                .fds = { [CHILD_FD_CHANNEL] = child_fd },
                                                .keep_stderr = true },
                           &fetcher->pid, &fetcher->pidfd),
                0);
        assert_int_equal(channel_new(fetcher->loop, fd, "fetcher", &ops, fetcher, 1 << 20,
                                     &fetcher->channel),
                         0);
        assert_int_equal(channel_send(fetcher->channel, MSG_FETCH_OPEN, open, &ca_fd, 1), 0);
}

void fetcher_done(struct fetcher *fetcher) {
        int status;

        fetcher->channel = channel_free(fetcher->channel);
        if (fetcher->pid > 0)
                assert_int_equal(wait_child(fetcher->pid, WAIT_DEFAULT, &status), 0);
        close_fd(&fetcher->pidfd);
        fetcher->loop = loop_free(fetcher->loop);
        fetcher->pid = 0;
}

static void send_and_wait(struct fetcher *fetcher, enum message_type type, const void *msg,
                          int fd) {
        uint64_t deadline = now_ns() + 3 * WAIT_DEFAULT;

        fetcher->has_result = false;
        assert_int_equal(channel_send(fetcher->channel, type, msg, &fd, 1), 0);
        while (!fetcher->has_result && !fetcher->is_closed && now_ns() < deadline)
                assert_int_equal(loop_run_once(fetcher->loop, NSEC_PER_SEC), 0);
        if (!fetcher->has_result)
                fail_msg("%s", fetcher->is_closed ? "the fetcher died" : "no result in time");
}

void fetcher_get(struct fetcher *fetcher, const struct msg_fetch_get *get, int fd) {
        send_and_wait(fetcher, MSG_FETCH_GET, get, fd);
}

void fetcher_put(struct fetcher *fetcher, const struct msg_fetch_put *put, int fd) {
        send_and_wait(fetcher, MSG_FETCH_PUT, put, fd);
}
