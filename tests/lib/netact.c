/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What containers of tests do in their networks; the one program of their file system. "netact VERB
 * ARGUMENTS", see verbs[]. Servers print "ready" and stay.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DNS_HEADER 12
#define QUERY_TIMEOUT 5

union address {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
};

static int fail(const char *what) {
        perror(what);
        return 1;
}

static socklen_t parse_address(const char *text, const char *port, union address *ret) {
        *ret = (union address){ 0 };
        if (inet_pton(AF_INET, text, &ret->v4.sin_addr) == 1) {
                ret->v4.sin_family = AF_INET;
                ret->v4.sin_port = htons((uint16_t)atoi(port));
                return sizeof(ret->v4);
        }
        if (inet_pton(AF_INET6, text, &ret->v6.sin6_addr) == 1) {
                ret->v6.sin6_family = AF_INET6;
                ret->v6.sin6_port = htons((uint16_t)atoi(port));
                return sizeof(ret->v6);
        }
        fprintf(stderr, "'%s' is no address\n", text);
        exit(2);
}

static __attribute__((noreturn)) int ready(void) {
        puts("ready");
        fflush(stdout);
        for (;;)
                pause();
}

static int run_sleep(char **args) {
        (void)args;
        return ready();
}

static int bound(const char *address, const char *port, int type) {
        union address own;
        socklen_t n = parse_address(address, port, &own);
        int fd = socket(own.any.sa_family, type, 0), one = 1;

        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
            bind(fd, &own.any, n) < 0)
                exit(fail("bind"));
        return fd;
}

/* ADDRESS PORT */
static int run_listen(char **args) {
        int fd = bound(args[0], args[1], SOCK_STREAM);

        if (listen(fd, 8) < 0)
                return fail("listen");
        return ready();
}

/* ADDRESS PORT: takes connections and what comes on them, and hangs up after the first bytes. */
static int run_sink(char **args) {
        int fd = bound(args[0], args[1], SOCK_STREAM);
        char data[4096];

        if (listen(fd, 8) < 0)
                return fail("listen");
        puts("ready");
        fflush(stdout);
        for (;;) {
                int client = accept(fd, NULL, NULL);

                if (client < 0 || read(client, data, sizeof(data)) < 0)
                        return fail("accept");
                close(client);
        }
}

/* --- DNS --- */

/* "www.example.com" as labels; returns their length. */
static size_t put_name(uint8_t *out, const char *name) {
        size_t n = 0;

        while (*name) {
                size_t len = strcspn(name, ".");

                out[n++] = (uint8_t)len;
                memcpy(out + n, name, len);
                n += len;
                name += len + (name[len] == '.');
        }
        out[n++] = 0;
        return n;
}

static size_t put_answer(uint8_t *out, uint16_t type, const void *data, uint16_t len) {
        const uint8_t head[] = {
                0xc0, DNS_HEADER, (uint8_t)(type >> 8), (uint8_t)type, 0, 1, 0, 0, 0, 60, 0, 0
        };

        memcpy(out, head, sizeof(head));
        out[10] = (uint8_t)(len >> 8);
        out[11] = (uint8_t)len;
        memcpy(out + sizeof(head), data, len);
        return sizeof(head) + len;
}

/* Turns a question into its answer: names that begin with "nx" do not exist, "two" has two IPv4
 * addresses behind an alias. */
static size_t make_answer(uint8_t *message, size_t n) {
        const uint8_t a1[4] = { 192, 0, 2, 1 }, a2[4] = { 192, 0, 2, 2 };
        const uint8_t aaaa[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
        const uint8_t alias[] = { 3, 'o', 'n', 'e', 0 };
        uint8_t type = message[n - 3], *count = &message[7];
        const char *name = (const char *)message + DNS_HEADER + 1;

        message[2] |= 0x80; /* an answer */
        message[3] = 0x80;  /* recursion is available */
        if (strncmp(name, "nx", 2) == 0) {
                message[3] |= 3;
        } else if (type == 28) {
                n += put_answer(message + n, 28, aaaa, sizeof(aaaa));
                *count = 1;
        } else if (strncmp(name, "two", 3) == 0) {
                n += put_answer(message + n, 5, alias, sizeof(alias));
                n += put_answer(message + n, 1, a1, sizeof(a1));
                n += put_answer(message + n, 1, a2, sizeof(a2));
                *count = 3;
        } else {
                n += put_answer(message + n, 1, a1, sizeof(a1));
                *count = 1;
        }
        return n;
}

/* PORT, on all addresses. A name that begins with "slow" takes 50 ms. */
static int run_dns_server(char **args) {
        const struct timespec delay = { .tv_nsec = 50000000 };
        int fd = bound("::", args[0], SOCK_DGRAM);
        uint8_t message[1024];
        union address peer;

        puts("ready");
        fflush(stdout);
        for (;;) {
                socklen_t len = sizeof(peer);
                ssize_t n = recvfrom(fd, message, 512, 0, &peer.any, &len);

                if (n < DNS_HEADER + 5)
                        continue;
                if (strncmp((const char *)message + DNS_HEADER + 1, "slow", 4) == 0)
                        nanosleep(&delay, NULL);
                if (sendto(fd, message, make_answer(message, (size_t)n), 0, &peer.any, len) < 0)
                        return fail("sendto");
        }
}

/* SERVER PORT NAME TYPE ID: asks once, with a hexadecimal id, and prints the port it asked from. */
static int run_dns_query(char **args) {
        const struct timeval timeout = { .tv_sec = QUERY_TIMEOUT };
        uint16_t id = (uint16_t)strtoul(args[4], NULL, 16);
        uint8_t message[512] = { (uint8_t)(id >> 8), (uint8_t)id, 1, 0, 0, 1 };
        union address server, own;
        socklen_t len = parse_address(args[0], args[1], &server);
        int fd = socket(server.any.sa_family, SOCK_DGRAM, 0);
        size_t n = DNS_HEADER;

        n += put_name(message + n, args[2]);
        message[n + 1] = (uint8_t)atoi(args[3]);
        message[n + 3] = 1;
        n += 4;
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
            connect(fd, &server.any, len) < 0 || send(fd, message, n, 0) != (ssize_t)n ||
            recv(fd, message, sizeof(message), 0) < DNS_HEADER)
                return fail("query");
        len = sizeof(own);
        if (getsockname(fd, &own.any, &len) < 0)
                return fail("getsockname");
        printf("%d\n", ntohs(own.v4.sin_port)); /* at the same place in both */
        return 0;
}

/* SERVER PORT NAME ID: asks for an address over TCP, where the length stands in front, and waits
 * for the end. */
static int run_dns_tcp(char **args) {
        uint16_t id = (uint16_t)strtoul(args[3], NULL, 16);
        uint8_t message[512] = { 0, 0, (uint8_t)(id >> 8), (uint8_t)id, 1, 0, 0, 1 };
        union address server;
        socklen_t len = parse_address(args[0], args[1], &server);
        int fd = socket(server.any.sa_family, SOCK_STREAM, 0);
        size_t n = 2 + DNS_HEADER;

        n += put_name(message + n, args[2]);
        message[n + 1] = 1;
        message[n + 3] = 1;
        n += 4;
        message[1] = (uint8_t)(n - 2);
        if (fd < 0 || connect(fd, &server.any, len) < 0 || send(fd, message, n, 0) != (ssize_t)n)
                return fail("query");
        return read(fd, message, sizeof(message)) < 0 ? fail("read") : 0;
}

/* --- TLS --- */

static uint8_t *put16(uint8_t *out, size_t value) {
        *out++ = (uint8_t)(value >> 8);
        *out++ = (uint8_t)value;
        return out;
}

/* A ClientHello of TLS 1.2: one cipher, and an extension in front of the name. */
static size_t make_hello(uint8_t *out, const char *name) {
        const uint8_t head[] = { 22, 3, 1, 0, 0, 1, 0, 0, 0, 3, 3 };
        const uint8_t ticket[] = { 0, 35, 0, 0 };
        size_t len = strlen(name);
        uint8_t *p = out;

        memcpy(p, head, sizeof(head));
        p += sizeof(head);
        memset(p, 0x5a, 32); /* random */
        p += 32;
        *p++ = 8; /* session id */
        memset(p, 1, 8);
        p += 8;
        p = put16(p, 2);
        p = put16(p, 0xc02f);
        *p++ = 1; /* compression: none */
        *p++ = 0;
        p = put16(p, sizeof(ticket) + 9 + len);
        memcpy(p, ticket, sizeof(ticket));
        p += sizeof(ticket);
        p = put16(p, 0);
        p = put16(p, len + 5);
        p = put16(p, len + 3);
        *p++ = 0;
        p = put16(p, len);
        memcpy(p, name, len);
        p += len;
        put16(out + 3, (size_t)(p - out) - 5);
        put16(out + 7, (size_t)(p - out) - 9);
        return (size_t)(p - out);
}

/* SERVER PORT NAME */
static int run_tls_hello(char **args) {
        union address server;
        socklen_t len = parse_address(args[0], args[1], &server);
        int fd = socket(server.any.sa_family, SOCK_STREAM, 0);
        uint8_t hello[1024];
        size_t n = make_hello(hello, args[2]);

        if (fd < 0 || connect(fd, &server.any, len) < 0 || send(fd, hello, n, 0) != (ssize_t)n)
                return fail("hello");
        return read(fd, hello, sizeof(hello)) < 0 ? fail("read") : 0;
}

static const struct {
        const char *name;
        int n_args;
        int (*run)(char **args);
} verbs[] = {
        { "sleep", 0, run_sleep },         { "listen", 2, run_listen },
        { "sink", 2, run_sink },           { "dns-server", 1, run_dns_server },
        { "dns-query", 5, run_dns_query }, { "dns-tcp", 4, run_dns_tcp },
        { "tls-hello", 3, run_tls_hello },
};

int main(int argc, char **argv) {
        for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
                if (strcmp(argv[1], verbs[i].name) == 0 && argc == 2 + verbs[i].n_args)
                        return verbs[i].run(argv + 2);
        fprintf(stderr, "usage: netact VERB ARGUMENTS\n");
        return 2;
}
