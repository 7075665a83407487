/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const code_names[_ERROR_CODE_MAX] = {
        [ERROR_NONE] = "none",
        [ERROR_INVALID] = "invalid",
        [ERROR_USAGE] = "usage",
        [ERROR_NOT_FOUND] = "not-found",
        [ERROR_DENIED] = "denied",
        [ERROR_UNTRUSTED] = "untrusted",
        [ERROR_UNAVAILABLE] = "unavailable",
        [ERROR_LIMIT] = "limit",
        [ERROR_INTERNAL] = "internal",
};

/* The code for a plain number from below, when nobody who knew better has set one. */
static enum error_code code_of_errno(int errnum) {
        switch (errnum) {
        case EINVAL:
        case EBADMSG:
        case ERANGE:
        case EILSEQ:
        case ENAMETOOLONG:
        case EISDIR:
        case ENOTDIR:
        case ELOOP:
                return ERROR_INVALID;
        case ENOENT:
        case ESRCH:
                return ERROR_NOT_FOUND;
        case EPERM:
        case EACCES:
                return ERROR_DENIED;
        case E2BIG:
        case EFBIG:
                return ERROR_LIMIT;
        case ENOMEM:
        case ENOSPC:
        case EMFILE:
        case ENFILE:
        case EAGAIN:
        case EBUSY:
        case EROFS:
        case ENOSYS:
        case EOPNOTSUPP:
        case ECONNREFUSED:
        case ETIMEDOUT:
                return ERROR_UNAVAILABLE;
        default:
                return ERROR_INTERNAL;
        }
}

int error_set(struct error *err, enum error_code code, int r, const char *fmt, ...) {
        va_list args;

        if (!err)
                return r;
        err->code = code;
        err->errnum = -r;
        va_start(args, fmt);
        vsnprintf(err->msg, sizeof(err->msg), fmt, args);
        va_end(args);
        return r;
}

int error_prefix(struct error *err, int r, const char *fmt, ...) {
        char rest[sizeof(err->msg)];
        va_list args;
        size_t n;

        if (!err)
                return r;
        if (err->code == ERROR_NONE) {
                err->code = code_of_errno(-r);
                err->errnum = -r;
        }
        snprintf(rest, sizeof(rest), "%s", error_text(err));
        va_start(args, fmt);
        vsnprintf(err->msg, sizeof(err->msg), fmt, args);
        va_end(args);
        n = strlen(err->msg);
        snprintf(err->msg + n, sizeof(err->msg) - n, ": %s", rest);
        return r;
}

void error_append(struct error *err, const char *fmt, ...) {
        va_list args;
        size_t n;

        if (!err)
                return;
        if (err->msg[0] == '\0')
                snprintf(err->msg, sizeof(err->msg), "%s", error_text(err));
        n = strlen(err->msg);
        if (n + 3 > sizeof(err->msg))
                return;
        memcpy(err->msg + n, "; ", 3);
        n += 2;
        va_start(args, fmt);
        vsnprintf(err->msg + n, sizeof(err->msg) - n, fmt, args);
        va_end(args);
}

const char *error_code_name(enum error_code code) {
        return (unsigned int)code < _ERROR_CODE_MAX ? code_names[code] : code_names[ERROR_INTERNAL];
}

enum error_code error_code_from_name(const char *name) {
        for (unsigned int i = 0; i < _ERROR_CODE_MAX; i++)
                if (str_eq(name, code_names[i]))
                        return (enum error_code)i;
        return ERROR_INTERNAL;
}

const char *error_text(const struct error *err) {
        const char *text;

        if (!err)
                return "unknown error";
        if (err->msg[0] != '\0')
                return err->msg;
        text = err->errnum > 0 ? strerrordesc_np(err->errnum) : NULL;
        return text ?: "unknown error";
}
