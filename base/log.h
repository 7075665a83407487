/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging for programs. Libraries log at debug level only. One line per record, no trailing
 * newline. A program writes to stderr ("<6>gadgetd: ...", the prefix only under systemd); a child
 * of ours writes each record as one datagram {uint8_t level; char text[]} to CHILD_FD_LOG, and its
 * parent says it on (log_relay). Parameters and credentials are never logged.
 */
#pragma once

#include "base/util.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* name: argv[0]-like word for the prefix. fd: -1 = stderr, else a datagram socket for records. */
void log_init(const char *name, int fd);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* Sets the context that is put before each record until it is changed ("" = none), such as
 * "instance 3f2a". */
void log_context(const char *fmt, ...) PRINTF_LIKE(1, 2);

void log_write(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Appends ": " and the text of errno -r; returns r. */
int log_write_errno(enum log_level level, int r, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Logs a record received from a child, control characters replaced; `who` names the child. */
void log_relay(const char *who, struct bytes record);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_error_errno(_r, ...) log_write_errno(LOG_LEVEL_ERROR, _r, __VA_ARGS__)
#define log_warning_errno(_r, ...) log_write_errno(LOG_LEVEL_WARNING, _r, __VA_ARGS__)
#define log_info_errno(_r, ...) log_write_errno(LOG_LEVEL_INFO, _r, __VA_ARGS__)
