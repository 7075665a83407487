/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/options.h"

#include <getopt.h>
#include <stdio.h>

#include "base/parse.h"
#include "gadget/api.h"

enum option_id {
        OPTION_ROOT = 256,
        OPTION_KERNEL_BTF,
        OPTION_LOG_LEVEL,
        OPTION_PRIVATE,
        OPTION_CLIENT_FD,
        OPTION_NO_SPARE,
        OPTION_WORKER,
        OPTION_WATCHER,
        OPTION_BROKER,
        OPTION_HELP,
        OPTION_VERSION,
};

static const struct option_info {
        enum option_id id;
        const char *name;
        const char *argument; /* NULL = none */
        const char *help;
} option_infos[] = {
        { OPTION_ROOT, "root", "DIR", "put DIR in front of every path" },
        { OPTION_KERNEL_BTF, "kernel-btf", "PATH",
          "kernel BTF in place of /sys/kernel/btf/vmlinux" },
        { OPTION_LOG_LEVEL, "log-level", "LEVEL",
          "error, warning, info or debug; info unless --private" },
        { OPTION_PRIVATE, "private", NULL,
          "serve the client of --client-fd only, and end with it" },
        { OPTION_CLIENT_FD, "client-fd", "N", "a connected stream socket, for --private" },
        { OPTION_NO_SPARE, "no-spare", NULL,
          "keep no worker ready: saves 1 MB, and each run starts later" },
        { OPTION_WORKER, "worker", "PATH", "run PATH as the worker (for tests)" },
        { OPTION_WATCHER, "watcher", "PATH", "run PATH as gadget-watch (for tests)" },
        { OPTION_BROKER, "broker", "PATH", "run PATH as the broker (for tests)" },
        { OPTION_HELP, "help", NULL, "print this" },
        { OPTION_VERSION, "version", NULL, "print the version" },
};

static void print_help(void) {
        printf("gadgetd [OPTION...]\n\nRuns eBPF gadgets for the clients of its socket "
               "(gadgetctl). Started by root, stays in\n"
               "the foreground, logs to stderr.\n\n");
        for (size_t i = 0; i < ARRAY_SIZE(option_infos); i++) {
                const struct option_info *info = &option_infos[i];
                char left[40];

                snprintf(left, sizeof(left), "--%s%s%s", info->name, info->argument ? " " : "",
                         info->argument ? info->argument : "");
                printf("  %-20s %s\n", left, info->help);
        }
}

static int parse_log_level(const char *text, enum log_level *ret) {
        static const char *const names[] = {
                [LOG_LEVEL_ERROR] = "error",
                [LOG_LEVEL_WARNING] = "warning",
                [LOG_LEVEL_INFO] = "info",
                [LOG_LEVEL_DEBUG] = "debug",
        };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (str_eq(text, names[i])) {
                        *ret = (enum log_level)i;
                        return 0;
                }
        return -EINVAL;
}

static int usage_error(const char *what, const char *value) {
        fprintf(stderr, "gadgetd: %s '%s' (see gadgetd --help)\n", what, value);
        return -EINVAL;
}

static int parse_one(int id, const char *value, struct options *opts) {
        uint32_t n;

        switch ((enum option_id)id) {
        case OPTION_ROOT:
                if (value[0] != '/')
                        return usage_error("--root needs an absolute path, not", value);
                opts->root = str_eq(value, "/") ? "" : value;
                return 1;
        case OPTION_KERNEL_BTF:
                opts->kernel_btf = value;
                return 1;
        case OPTION_LOG_LEVEL:
                if (parse_log_level(value, &opts->log_level) < 0)
                        return usage_error("--log-level is error, warning, info or debug, not",
                                           value);
                opts->has_log_level = true;
                return 1;
        case OPTION_PRIVATE:
                opts->is_private = true;
                return 1;
        case OPTION_CLIENT_FD:
                if (parse_u32(value, 3, 1u << 20, &n) < 0)
                        return usage_error("--client-fd needs the number of an open fd from 3, not",
                                           value);
                opts->client_fd = (int)n;
                return 1;
        case OPTION_NO_SPARE:
                opts->no_spare = true;
                return 1;
        case OPTION_WORKER:
                opts->worker = value;
                return 1;
        case OPTION_BROKER:
                opts->broker = value;
                return 1;
        case OPTION_WATCHER:
                opts->watcher = value;
                return 1;
        case OPTION_HELP:
                print_help();
                return 0;
        case OPTION_VERSION:
                printf("gadgetd %s (protocol %d)\n", GADGET_VERSION, GADGET_PROTOCOL);
                return 0;
        }
        return -EINVAL;
}

int options_parse(int argc, char *const argv[], struct options *ret) {
        struct options opts = { .root = "", .client_fd = -1, .log_level = LOG_LEVEL_INFO };
        struct option longs[ARRAY_SIZE(option_infos) + 1] = {};
        int id, r;

        for (size_t i = 0; i < ARRAY_SIZE(option_infos); i++)
                longs[i] =
                        (struct option){ option_infos[i].name,
                                         option_infos[i].argument ? required_argument : no_argument,
                                         NULL, (int)option_infos[i].id };
        opterr = 0;
        while ((id = getopt_long(argc, argv, "+:", longs, NULL)) != -1) {
                if (id == '?')
                        return usage_error("unknown option", argv[optind - 1]);
                if (id == ':')
                        return usage_error("a value is missing behind", argv[optind - 1]);
                r = parse_one(id, optarg, &opts);
                if (r <= 0)
                        return r;
        }
        if (optind < argc)
                return usage_error("unexpected argument", argv[optind]);
        if (opts.is_private != (opts.client_fd >= 0))
                return usage_error("--private and --client-fd belong together; missing is",
                                   opts.is_private ? "--client-fd" : "--private");
        /* A private one shares its user's terminal, who is told what matters by the client. */
        if (opts.is_private && !opts.has_log_level)
                opts.log_level = LOG_LEVEL_WARNING;
        *ret = opts;
        return 1;
}
