/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regular expressions for filters: literals, ., [classes], \d \w \s, groups, |, *, +, ?, ^ and $,
 * over bytes. The matcher follows all ways at once, so its time is the length of the text times the
 * length of the pattern and nothing makes it backtrack.
 */
#pragma once

#include "base/error.h"

#define PATTERN_LEN_MAX 256
#define PATTERN_TEXT_MAX 4096 /* bytes of a text that are looked at */

struct pattern;

/* Messages name the place in the pattern. */
int pattern_new(const char *text, struct pattern **ret, struct error *err);
struct pattern *pattern_free(struct pattern *p);
DEFINE_CLEANUP(struct pattern, pattern_free)

/* True when the pattern occurs anywhere in the text. */
bool pattern_matches(const struct pattern *p, struct bytes text);
