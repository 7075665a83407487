/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One record is one write, assembled on the stack, so that records of several processes do not mix
 * and a child that is out of memory can still say so. A child never waits for its parent: a record
 * that does not fit into the socket is dropped, and the next one that does says how many were.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/text.h"
#include "gadget/api.h"

static struct {
        const char *name;
        int fd;
        enum log_level level;
        bool has_priorities; /* stderr is the journal: records carry "<N>" */
        uint32_t n_dropped;
        char context[96];
} state = { .name = "gadgetd", .fd = -1, .level = LOG_LEVEL_INFO };

static const char *const priorities[] = {
        [LOG_LEVEL_ERROR] = "<3>",
        [LOG_LEVEL_WARNING] = "<4>",
        [LOG_LEVEL_INFO] = "<6>",
        [LOG_LEVEL_DEBUG] = "<7>",
};

void log_init(const char *name, int fd) {
        state.name = name;
        state.fd = fd;
        state.has_priorities = fd < 0 && getenv("JOURNAL_STREAM");
}

void log_set_level(enum log_level level) {
        state.level = level;
}

enum log_level log_get_level(void) {
        return state.level;
}

void log_context(const char *fmt, ...) {
        va_list args;

        va_start(args, fmt);
        vsnprintf(state.context, sizeof(state.context), fmt, args);
        va_end(args);
}

static bool send_record(enum log_level level, const char *text, size_t n) {
        uint8_t byte = (uint8_t)level;
        struct iovec iov[] = {
                { .iov_base = &byte, .iov_len = 1 },
                { .iov_base = (char *)text, .iov_len = n },
        };
        struct msghdr msg = { .msg_iov = iov, .msg_iovlen = ARRAY_SIZE(iov) };

        return sendmsg(state.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

/* text has room for one byte behind n. */
static void emit(enum log_level level, char *text, size_t n) {
        if (state.fd < 0) {
                text[n] = '\n';
                /* There is nowhere to complain about stderr. */
                if (write(STDERR_FILENO, text, n + 1) < 0)
                        return;
                return;
        }
        if (state.n_dropped > 0) {
                char note[64];
                int len = snprintf(note, sizeof(note), "%u log records dropped, the log was full",
                                   state.n_dropped);

                if (send_record(LOG_LEVEL_WARNING, note, (size_t)len))
                        state.n_dropped = 0;
        }
        if (!send_record(level, text, n))
                state.n_dropped++;
}

/* Text appended to a bounded line; what does not fit is cut. */
struct line {
        char text[LIMIT_LOG_TEXT_MAX + 1];
        size_t n;
};

static void PRINTF_LIKE(2, 0) line_vprintf(struct line *line, const char *fmt, va_list args) {
        size_t room = sizeof(line->text) - line->n;
        int n = vsnprintf(line->text + line->n, room, fmt, args);

        if (n > 0)
                line->n += MIN((size_t)n, room - 1);
}

static void PRINTF_LIKE(2, 3) line_printf(struct line *line, const char *fmt, ...) {
        va_list args;

        va_start(args, fmt);
        line_vprintf(line, fmt, args);
        va_end(args);
}

static void line_begin(struct line *line, enum log_level level) {
        line->n = 0;
        if (state.fd < 0)
                line_printf(line, "%s%s: ", state.has_priorities ? priorities[level] : "",
                            state.name);
        if (state.context[0])
                line_printf(line, "%s: ", state.context);
}

void log_write(enum log_level level, const char *fmt, ...) {
        int saved = errno;
        struct line line;
        va_list args;

        if (level > state.level)
                return;
        line_begin(&line, level);
        va_start(args, fmt);
        line_vprintf(&line, fmt, args);
        va_end(args);
        emit(level, line.text, line.n);
        errno = saved;
}

int log_write_errno(enum log_level level, int r, const char *fmt, ...) {
        int saved = errno;
        struct line line;
        va_list args;

        if (level > state.level)
                return r;
        line_begin(&line, level);
        va_start(args, fmt);
        line_vprintf(&line, fmt, args);
        va_end(args);
        line_printf(&line, ": %s", strerrordesc_np(-r) ?: "unknown error");
        emit(level, line.text, line.n);
        errno = saved;
        return r;
}

void log_relay(const char *who, struct bytes record) {
        cleanup_buf struct buf text = BUF_INIT((size_t)LIMIT_LOG_TEXT_MAX * 10);
        enum log_level level;

        if (record.len < 2)
                return;
        level = record.data[0] <= LOG_LEVEL_DEBUG ? (enum log_level)record.data[0]
                                                  : LOG_LEVEL_ERROR;
        text_append_escaped(&text, record.data + 1,
                            MIN(record.len - 1, (size_t)LIMIT_LOG_TEXT_MAX));
        if (text.failed)
                return;
        log_write(level, "%s: %.*s", who, (int)text.len, (const char *)text.data);
}
