/* SPDX-License-Identifier: Apache-2.0 */
/* gadgetd's command line: one table from which parsing and --help come. */
#pragma once

#include "base/log.h"

struct options {
        const char *root;       /* --root, "" = none */
        const char *kernel_btf; /* --kernel-btf, NULL = the running kernel's */
        const char *worker;     /* --worker, NULL = the installed one */
        const char *watcher;    /* --watcher, likewise */
        const char *broker;     /* --broker, NULL = the installed one */
        bool is_private;        /* --private: one client on client_fd, no socket */
        bool no_spare;          /* --no-spare: nothing is started before it is asked for */
        int client_fd;          /* -1 = none */
        enum log_level log_level;
        bool has_log_level; /* it was given */
};

/* 1 = start with *ret; 0 = everything asked for is printed; -EINVAL = usage error, said on stderr.
 */
int options_parse(int argc, char *const argv[], struct options *ret);
