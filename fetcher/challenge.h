/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WWW-Authenticate challenges (RFC 9110 section 11.6.1; the Bearer parameters are those of the
 * distribution project's token specification). Foreign text: every part is bounded, nothing is
 * allocated.
 */
#pragma once

#include "base/util.h"

#define CHALLENGE_REALM_MAX 512
#define CHALLENGE_TEXT_MAX 256

enum challenge_scheme { CHALLENGE_NONE, CHALLENGE_BASIC, CHALLENGE_BEARER };

struct challenge {
        enum challenge_scheme scheme;
        char realm[CHALLENGE_REALM_MAX];
        char service[CHALLENGE_TEXT_MAX];
        char scope[CHALLENGE_TEXT_MAX];
        char error[CHALLENGE_TEXT_MAX];
};

/* Reads one header value. Bearer is preferred where several challenges stand in one header.
 * -EBADMSG when it is none that we know or a part is too long. */
int challenge_parse(const char *header, struct challenge *ret);
