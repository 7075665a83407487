/* SPDX-License-Identifier: Apache-2.0 */
/* gadgetd: see supervisor.h. Exit status: 0 ended as asked, 1 could not start or go on, 2 usage. */
#include "base/log.h"
#include "supervisor/options.h"
#include "supervisor/privileges.h"
#include "supervisor/supervisor.h"

int main(int argc, char *argv[]) {
        static struct supervisor sup;
        struct options options;
        struct error err = {};
        int r;

        r = options_parse(argc, argv, &options);
        if (r <= 0)
                return r < 0 ? 2 : 0;
        log_init("gadgetd", -1);
        log_set_level(options.log_level);

        r = privileges_trim(&err);
        if (r < 0) {
                log_error("%s", error_text(&err));
                return 1;
        }
        r = supervisor_init(&sup, &options, &err);
        if (r < 0) {
                if (err.code == ERROR_NONE)
                        error_set(&err, ERROR_INTERNAL, r, "cannot start: %s", strerror(-r));
                log_error("%s", error_text(&err));
                supervisor_done(&sup);
                return 1;
        }
        r = supervisor_run(&sup);
        if (r < 0)
                log_error_errno(r, "cannot go on");
        supervisor_done(&sup);
        return r < 0 ? 1 : 0;
}
