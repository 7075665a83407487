/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiler options that `build --cflags` may add: a table of what is known to decide about the
 * code and nothing else. Whatever is not in it is refused, because clang has too many options that
 * write files (-o, -MF, -save-temps, -ftime-trace), load code (-fplugin) or read more options
 * (@FILE, --config) for a list of the bad ones to be complete.
 */
#pragma once

#include "gadgetctl/command.h"

#define CFLAGS_MAX 64

struct cflags {
        char *words[CFLAGS_MAX + 1]; /* NULL-terminated */
        size_t n;
};

/* Each option's text is split at blanks; there is no quoting, for there is no shell. -EINVAL names
 * the word that is refused. */
int cflags_read(const struct word_list *options, struct cflags *ret, struct error *err);
void cflags_done(struct cflags *cflags);
