/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debian's docker-registry for one test: a directory, a free port on loopback, optionally TLS with
 * a CA of its own and htpasswd. And a gadget-fetch to talk to it, played by the test as gadgetd
 * does.
 */
#pragma once

#include "ipc/channel.h"
#include "tests/lib/needs.h"
#include "tests/lib/run.h"
#include "tests/lib/wait.h"

enum {
        REGISTRY_TLS = 1 << 0,         /* DIR/ca.crt is the CA */
        REGISTRY_PASSWORD = 1 << 1,    /* user "user", password "secret" */
        REGISTRY_TOKEN = 1 << 2,       /* the same by tests/registry/token-server.py */
        REGISTRY_CLIENT_CERT = 1 << 3, /* with TLS: DIR/client has a certificate that it takes */
};

struct registry {
        char dir[64];
        char host[32]; /* "127.0.0.1:PORT" */
        int flags;
        uint16_t port;
        struct run *run;
        struct run *tokens;
};

void registry_start(struct registry *registry, int flags);
void registry_restart(struct registry *registry); /* same port and content */
void registry_stop(struct registry *registry);    /* SIGKILL */
void registry_done(struct registry *registry);    /* also removes the directory */

uint16_t free_port(void);

struct fetcher {
        struct loop *loop;
        struct channel *channel;
        pid_t pid;
        int pidfd;
        bool is_closed;
        uint64_t progress;
        /* last RESULT */
        bool has_result;
        uint32_t job;
        char code[32];
        char message[512];
        char media_type[128];
        char digest[160];
        uint32_t status;
        uint64_t bytes;
        bool was_present;
};

void fetcher_start(struct fetcher *fetcher, const struct msg_fetch_open *open, const char *ca_path);
void fetcher_done(struct fetcher *fetcher);

/* Send one job and wait for its RESULT. */
void fetcher_get(struct fetcher *fetcher, const struct msg_fetch_get *get, int fd);
void fetcher_put(struct fetcher *fetcher, const struct msg_fetch_put *put, int fd);
