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

/* "linux/arm64" or "arm64"; -EINVAL for anything else. */
int target_of(const char *platform, enum target *ret);

/* Appends the stripped object to ret; args->cflags are checked (gadgetctl/cflags.h). The compiler's
 * own words have gone to standard error when this fails. */
int compile(const struct args *args, const char *program, enum target target, struct buf *ret,
            struct error *err);

/* Reads a file of at most b->max bytes; what: "object", for the message. */
int read_input(const char *path, const char *what, struct buf *b, struct error *err);
