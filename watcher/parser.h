/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process of our own that parses what containers' owners can influence: no capability, no file, a
 * handful of system calls. gadget-watch hands it an open file and gets a struct oci_info back, or
 * nothing within the deadline: then it is killed and a new one is made.
 */
#pragma once

#include "base/loop.h"
#include "watcher/oci.h"

struct parser {
        pid_t pid;
        int fd;
        uint64_t n_killed; /* for taking too long or ending by itself */
};

int parser_start(struct parser *parser);
void parser_stop(struct parser *parser);

/* Reads and parses the file within timeout_ns; key as in oci_parse(), NULL = none. -EFBIG for more
 * than LIMIT_OCI_FILE_MAX, -ETIMEDOUT, -EBADMSG. */
int parser_run(struct parser *parser, int file_fd, enum oci_file file, const char *key,
               uint64_t timeout_ns, struct oci_info *ret);
