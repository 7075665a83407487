/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a URL leads: scheme, host, port. Decides what may be sent there: credentials go to the
 * registry itself and to a token realm of the same domain, never anywhere else; a redirect may not
 * leave https, nor lead to addresses that only this host or its link reaches.
 */
#pragma once

#include <sys/socket.h>

#include "base/error.h"

struct origin {
        bool is_tls;
        char host[256]; /* lower case, without brackets */
        uint16_t port;
};

/* https://host[:port]/... or http://; user info, other schemes and control characters are refused.
 */
int origin_parse(const char *url, struct origin *ret, struct error *err);
bool origin_equal(const struct origin *a, const struct origin *b);

/* May credentials meant for `registry` be sent to `realm`? Same host, or hosts below one
 * registrable domain; never from https to http. */
bool origin_may_share_credentials(const struct origin *registry, const struct origin *realm);

/* May a redirect from `from` lead to `to` at all? */
bool origin_may_redirect(const struct origin *from, const struct origin *to);

/* True for link-local and unspecified addresses, and for loopback unless `registry` is itself on
 * loopback. */
bool address_is_forbidden(const struct sockaddr *address, bool loopback_allowed);
