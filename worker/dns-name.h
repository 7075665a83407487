/* SPDX-License-Identifier: Apache-2.0 */
/* A name as DNS messages have it, labels each with its length in front, as text with dots. */
#pragma once

#include "base/util.h"

/* 255 bytes of labels, of which each may become \ and three digits, and the mark. */
#define DNS_TEXT_MAX 1024

/*
 * Writes the name that begins at the front of `labels` to out and returns its length. The root is
 * ".". Dots and backslashes inside a label get a backslash in front, bytes that are no printable
 * ASCII are \ and three decimal digits. `labels` may go on behind the name: a compression pointer
 * is followed when it points back into it, counted from the message's beginning, whose header of 12
 * bytes is not there. What is no name, or not all there, ends in "...".
 */
uint32_t dns_name_text(struct bytes labels, char out[DNS_TEXT_MAX]);
