/* SPDX-License-Identifier: Apache-2.0 */
/* `gadgetctl __complete WORD...`: what the shells' completion scripts ask. The last word is the one
 * being typed. */
#pragma once

/* Prints one candidate a line, "candidate<TAB>what it is". Always EXIT_OK: a shell shows no errors
 * while it completes. */
int complete(int n_words, char *const *words);
