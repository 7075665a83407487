/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Foreign text on its way to people: escaping for terminals and JSON. What may pass unescaped to a
 * terminal is valid UTF-8 without C0, DEL, C1 and bidirectional controls (CVE-2026-25996 is what
 * happens otherwise).
 */
#pragma once

#include "base/buf.h"
#include "base/util.h"

/* Length of the valid UTF-8 sequence at p (1 to 4), or 0. n > 0. */
size_t utf8_sequence(const uint8_t *p, size_t n);
bool utf8_is_valid(const uint8_t *p, size_t n);

/* True for code points that change how a terminal shows what is around them (U+202A..E, U+2066..9,
 * U+200E/F, U+061C). */
bool is_bidi_control(uint32_t code_point);

/* Appends text with everything unsafe as \n, \t, \xNN or \u{NNNN}; backslash itself stays as it is.
 */
int text_append_escaped(struct buf *b, const uint8_t *text, size_t n);

/* Appends a JSON string with its quotes; invalid bytes become \ufffd-free escapes: each as \u00NN.
 * Always valid JSON. */
int text_append_json(struct buf *b, const uint8_t *text, size_t n);

/* Columns that the UTF-8 text takes on a terminal (wide characters 2, combining 0, invalid bytes 4
 * as \xNN). */
size_t text_columns(const uint8_t *text, size_t n);

/* The word of `words` nearest to `word` by edit distance, or NULL when none is near enough to
 * suggest. When none is, a word without dot is compared with what stands behind the last dot of
 * each ("pid" and "proc.pid"). */
const char *text_nearest(const char *word, const char *const *words, size_t n_words);

/* Lower-case hex of n bytes into out (2n + 1). */
void hex_encode(const void *data, size_t n, char *out);
int hex_decode(const char *text, size_t n_text, uint8_t *out);
