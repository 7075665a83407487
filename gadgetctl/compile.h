/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a gadget's C source to eBPF objects, with clang and llvm-strip called by argv as the user
 * who calls; never a shell. Used by `build`, and by `run` for a directory.
 */
#pragma once

#include "base/buf.h"
#include "gadgetctl/command.h"

enum target { TARGET_AMD64, TARGET_ARM64, _TARGET_MAX };
extern const char *const target_names[_TARGET_MAX]; /* "amd64", "arm64": as images call them */
#if defined(__aarch64__)
#define TARGET_NATIVE TARGET_ARM64
#else
#define TARGET_NATIVE TARGET_AMD64
#endif

/* What a gadget is made of, as found or named. */
struct sources {
        char *program;    /* C source */
        char *definition; /* gadget.yaml, NULL = there is none */
};
void sources_done(struct sources *sources);

/* dir NULL = the program must be named. Names that could be taken for an option ("-x", "@x") are
 * refused. */
int sources_find(const char *dir, const char *program, const char *definition, struct sources *ret,
                 struct error *err);

/* Appends the stripped object to ret. The compiler's own words have gone to standard error when
 * this fails. */
int compile(const struct args *args, const char *program, enum target target, struct buf *ret,
            struct error *err);

/* Reads a file of at most b->max bytes; what: "object", for the message. */
int read_input(const char *path, const char *what, struct buf *b, struct error *err);
