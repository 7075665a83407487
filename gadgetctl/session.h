/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection for one command: to the gadgetd that runs, or, for root when none runs, to a private
 * one that is started for this command and ends with it.
 */
#pragma once

#include "client/connection.h"
#include "gadgetctl/command.h"

struct session {
        struct connection *connection;
        int daemon_pidfd; /* of the private one, -1 = none */
        pid_t daemon_pid;
};

enum session_flags {
        SESSION_MAY_SPAWN = 1 << 0, /* the command makes sense with a private gadgetd */
};

/* 0, or what to exit with; the reason has been said. */
int session_open(struct session *session, const struct args *args, int flags);

/* To a gadgetd that runs already, without a word when there is none: 0 or a negative errno. */
int session_try(struct session *session, const struct args *args);

/* Closes, and waits until a private gadgetd has cleaned up. */
void session_close(struct session *session);
#define cleanup_session cleanup(session_close)

/* ROOT and the path; the caller frees. */
char *path_in_root(const struct args *args, const char *path);
