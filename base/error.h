/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An explanation that travels beside a negative errno. It lives on the caller's stack and allocates
 * nothing. The number decides what happens; the message is for a person and is never parsed. `err`
 * may be NULL everywhere.
 */
#pragma once

#include "base/util.h"

/* Goes over the wire by name (error_code_name) and decides gadgetctl's exit code. */
enum error_code {
        ERROR_NONE,
        ERROR_INVALID,     /* the request, image or file is wrong */
        ERROR_USAGE,       /* a parameter or option that the user gave does not fit the gadget */
        ERROR_NOT_FOUND,   /* no such image, instance, field */
        ERROR_DENIED,      /* the caller or the gadget may not do this */
        ERROR_UNTRUSTED,   /* signature or policy does not admit the image */
        ERROR_UNAVAILABLE, /* the kernel, a registry or a peer cannot do it now */
        ERROR_LIMIT,       /* a limit of include/gadget/api.h was reached */
        ERROR_INTERNAL,    /* our fault */
        _ERROR_CODE_MAX,
};

struct error {
        enum error_code code;
        int errnum; /* positive errno, 0 when none fits */
        char msg[480];
};

/* Stores code, -r and the message; returns r, so that `return error_set(...)` reads well. r is
 * negative. */
int error_set(struct error *err, enum error_code code, int r, const char *fmt, ...)
        PRINTF_LIKE(4, 5);

/* Puts "text: " before the message that is there (or the errno's text when there is none); returns
 * r. */
int error_prefix(struct error *err, int r, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Puts "; text" behind the message; for hints about what the user can do. */
void error_append(struct error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* "not-found" and so on; never NULL. */
const char *error_code_name(enum error_code code);

/* ERROR_INTERNAL for a name that is not known. */
enum error_code error_code_from_name(const char *name);

/* The message, or the errno text, never "". */
const char *error_text(const struct error *err);
