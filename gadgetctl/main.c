/* SPDX-License-Identifier: Apache-2.0 */
/* gadgetctl: command lines to requests, answers to text. Exit status: enum exit_code. */
#include <fcntl.h>

#include "gadgetctl/complete.h"
#include "gadgetctl/diag.h"
#include "gadgetctl/help.h"
#include "gadgetctl/signals.h"

/* Where 0, 1 or 2 were closed by our caller, the next fd that we open must not take their place. */
static int keep_standard_fds(void) {
        int fd;

        do
                fd = open("/dev/null", O_RDWR);
        while (fd >= 0 && fd <= STDERR_FILENO);
        if (fd < 0)
                return -errno;
        close(fd);
        return 0;
}

static int run(int argc, char **argv) {
        static char version[] = "version";
        cleanup(args_done) struct args args = { 0 };
        struct error err = { 0 };

        /* Many programs have it as an option. */
        if (argc == 2 && str_eq(argv[1], "--version"))
                argv[1] = version;
        if (argc >= 2 && str_eq(argv[1], "__complete"))
                return complete(argc - 2, argv + 2);
        if (argc >= 2 && str_eq(argv[1], "--dump-man"))
                return help_dump_man(argc > 2 ? argv[2] : "all");
        if (args_parse(argc, argv, &args, &err) < 0) {
                diag("%s", error_text(&err));
                return EXIT_USAGE;
        }
        if (args.command && (!args.help || args.command->run == cmd_run))
                return args.command->run(&args);
        if (args.command)
                return help_command(args.command);
        if (args.words.n > 0)
                return help_group(args.words.items[0], !args.help);
        return help_all(!args.help);
}

int main(int argc, char **argv) {
        int r = keep_standard_fds();

        if (r == 0)
                r = signals_init();
        if (r < 0) {
                diag("cannot start: %s", strerror(-r));
                return EXIT_FAILED;
        }
        return run(argc, argv);
}
