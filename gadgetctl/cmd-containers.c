/* SPDX-License-Identifier: Apache-2.0 */
/* `gadgetctl containers`. */
#include <stdio.h>

#include "gadget/api.h"
#include "gadgetctl/diag.h"
#include "gadgetctl/print.h"
#include "gadgetctl/session.h"
#include "gadgetctl/signals.h"

static void add_container(struct table *table, struct bytes item) {
        char text[512], *k8s = text;

        table_add(table, object_text(item, "runtime", text, sizeof(text)));
        table_add(table, object_text(item, "id", text, 13));
        table_add(table, object_text(item, "name", text, sizeof(text)));
        snprintf(text, sizeof(text), "%llu", (unsigned long long)object_uint(item, "pid"));
        table_add(table, text);
        table_add(table, object_text(item, "image", text, sizeof(text)));
        object_text(item, "k8s_namespace", k8s, 256);
        if (k8s[0]) {
                size_t n = strlen(k8s);

                k8s[n++] = '/';
                object_text(item, "k8s_pod", k8s + n, sizeof(text) - n);
        }
        table_add(table, k8s);
        snprintf(text, sizeof(text), "%llu", (unsigned long long)object_uint(item, "mntns"));
        table_add(table, text);
}

static int print_containers(const struct args *args, struct bytes items) {
        static const char *const headers[] = { "RUNTIME", "ID",  "NAME", "PID",
                                               "IMAGE",   "POD", "MNTNS" };
        enum output_format format = output_format_of(args, FORMAT_TABLE);
        struct object_iter iter = object_iter_of(items);
        struct printer printer;
        struct table table;
        struct bytes item;
        struct out out;

        if (out_init(&out, STDOUT_FILENO, OUT_SIZE) < 0)
                return EXIT_FAILED;
        if (format != FORMAT_TABLE) {
                printer_init(&printer, &out, format);
                printer_object(&printer, items);
                return print_end(&out);
        }
        table_init(&table, headers, ARRAY_SIZE(headers));
        while (object_next(&iter, &item))
                add_container(&table, item);
        table_print(&table, &out);
        table_done(&table);
        return print_end(&out);
}

int cmd_containers(struct args *args) {
        cleanup_session struct session session = { .daemon_pidfd = -1 };
        struct req_container_list request = { .after = 0 };
        struct rep_container_list reply;
        struct error err = { 0 };
        int r, code;

        r = session_open(&session, args, SESSION_MAY_SPAWN);
        if (r != 0)
                return r;
        do {
                r = connection_call(session.connection, METHOD_CONTAINER_LIST, &request, &reply,
                                    &err);
                if (r == -EINTR && signals_count > 0)
                        return EXIT_OK;
                if (r < 0)
                        return diag_failure(&err, r, session.connection);
                code = print_containers(args, reply.items);
                if (reply.is_incomplete)
                        fprintf(stderr,
                                "gadgetctl: there are more than %d containers: the rest is not "
                                "listed, and gadgets that choose containers do not see it\n",
                                LIMIT_CONTAINERS_MAX);
                request.after = reply.generation;
        } while (args->watch && code == EXIT_OK);
        return code;
}
