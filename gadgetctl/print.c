/* SPDX-License-Identifier: Apache-2.0 */
#include "gadgetctl/print.h"

#include "gadgetctl/diag.h"

int print_end(struct out *out) {
        int r = out_flush(out);

        out_done(out);
        if (r == 0 || r == -EPIPE)
                return EXIT_OK;
        diag("cannot write to standard output: %s", strerror(-r));
        return EXIT_FAILED;
}

int print_object(const struct args *args, struct bytes object) {
        struct printer printer;
        struct out out;

        if (out_init(&out, STDOUT_FILENO, OUT_SIZE) < 0) {
                diag("out of memory");
                return EXIT_FAILED;
        }
        printer_init(&printer, &out, output_format_of(args, FORMAT_YAML));
        printer_object(&printer, object);
        return print_end(&out);
}

static int print_table(struct bytes items, const char *const *headers, size_t n_headers,
                       add_row_func add_row) {
        struct object_iter iter = object_iter_of(items);
        struct table table;
        struct bytes item;
        struct out out;

        if (out_init(&out, STDOUT_FILENO, OUT_SIZE) < 0) {
                diag("out of memory");
                return EXIT_FAILED;
        }
        table_init(&table, headers, n_headers);
        while (object_next(&iter, &item))
                add_row(&table, item);
        table_print(&table, &out);
        table_done(&table);
        return print_end(&out);
}

int print_listing(const struct args *args, enum method method, int session_flags,
                  const char *const *headers, size_t n_headers, add_row_func add_row) {
        cleanup_session struct session session = { .daemon_pidfd = -1 };
        struct error err = { 0 };
        const struct req_instance_list instances = { .all = args->all };
        struct rep_list reply;
        int r;

        r = session_open(&session, args, session_flags);
        if (r != 0)
                return r;
        r = connection_call(session.connection, method,
                            method == METHOD_INSTANCE_LIST ? &instances : NULL, &reply, &err);
        if (r < 0)
                return diag_failure(&err, r, session.connection);
        if (output_format_of(args, FORMAT_TABLE) != FORMAT_TABLE)
                return print_object(args, reply.items);
        return print_table(reply.items, headers, n_headers, add_row);
}
