/* SPDX-License-Identifier: Apache-2.0 */
#include "gadgetctl/diag.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/file.h"
#include "base/text.h"
#include "gadgetctl/signals.h"

#define TEXT_MAX (64u << 10)

static void write_escaped(const char *prefix, const char *text, size_t n) {
        cleanup_buf struct buf b = BUF_INIT(TEXT_MAX);

        buf_puts(&b, prefix);
        text_append_escaped(&b, (const uint8_t *)text, n);
        buf_puts(&b, "\n");
        if (b.failed)
                b.len = MIN(b.len, (size_t)TEXT_MAX);
        (void)write_all(STDERR_FILENO, b.data, b.len);
}

void diag(const char *fmt, ...) {
        char text[1024];
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        write_escaped("gadgetctl: ", text, strlen(text));
}

void diag_detail(const char *text) {
        while (*text) {
                size_t n = strcspn(text, "\n");

                if (n > 0)
                        write_escaped("  ", text, n);
                text += n;
                if (*text == '\n')
                        text++;
        }
}

int exit_code_of(const struct error *err, int r) {
        switch (err->code) {
        case ERROR_DENIED:
        case ERROR_UNTRUSTED:
                return EXIT_DENIED;
        case ERROR_USAGE:
                return EXIT_USAGE;
        case ERROR_NONE:
        case ERROR_INVALID:
        case ERROR_NOT_FOUND:
        case ERROR_UNAVAILABLE:
        case ERROR_LIMIT:
        case ERROR_INTERNAL:
        case _ERROR_CODE_MAX:
                break;
        }
        return r == -ECONNRESET ? EXIT_UNREACHABLE : EXIT_FAILED;
}

int diag_failure(const struct error *err, int r, const struct connection *connection) {
        if (signals_interrupted(r))
                return signals_exit_code();
        diag("%s", err->msg[0] || err->errnum ? error_text(err) : strerror(-r));
        if (connection && r == -EREMOTEIO) {
                if (connection_hint(connection)[0])
                        diag("%s", connection_hint(connection));
                diag_detail(connection_detail(connection));
        }
        return exit_code_of(err, r);
}
