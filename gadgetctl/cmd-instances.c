/* SPDX-License-Identifier: Apache-2.0 */
/* `gadgetctl list`, `show`, `stop`, `version`. */
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/format.h"
#include "gadgetctl/diag.h"
#include "gadgetctl/object.h"
#include "gadgetctl/print.h"
#include "gadgetctl/session.h"
#include "gadgetctl/table.h"

/* "5s", "3m", "2h", "4d": how long ago. */
static const char *age_text(uint64_t then_ns, char *buf, size_t n) {
        uint64_t now = clock_ns(CLOCK_REALTIME);
        uint64_t s = now > then_ns ? (now - then_ns) / NSEC_PER_SEC : 0;

        if (then_ns == 0)
                return "";
        if (s < 120)
                snprintf(buf, n, "%llus", (unsigned long long)s);
        else if (s < 7200)
                snprintf(buf, n, "%llum", (unsigned long long)(s / 60));
        else if (s < 172800)
                snprintf(buf, n, "%lluh", (unsigned long long)(s / 3600));
        else
                snprintf(buf, n, "%llud", (unsigned long long)(s / 86400));
        return buf;
}

static void add_instance(struct table *table, struct bytes item) {
        struct bytes lost;
        char text[512];

        object_text(item, "id", text, 13);
        table_add(table, text);
        table_add(table, object_text(item, "name", text, sizeof(text)));
        table_add(table, object_text(item, "image", text, sizeof(text)));
        table_add(table, object_text(item, "state", text, sizeof(text)));
        table_add(table, age_text(object_uint(item, "created"), text, sizeof(text)));
        snprintf(text, sizeof(text), "%llu", (unsigned long long)object_uint(item, "attached"));
        table_add(table, text);
        snprintf(text, sizeof(text), "%llu", (unsigned long long)object_uint(item, "lost"));
        table_add(table, object_get(item, "lost", &lost) ? text : "");
        object_text(item, "message", text, sizeof(text));
        if (text[0] == '\0')
                object_text(item, "note", text, sizeof(text)); /* while it runs */
        table_add(table, text);
}

int cmd_list(struct args *args) {
        static const char *const headers[] = { "ID",  "NAME",     "IMAGE",  "STATE",
                                               "AGE", "ATTACHED", "LOSSES", "MESSAGE" };

        return print_listing(args, METHOD_INSTANCE_LIST, 0, headers, ARRAY_SIZE(headers),
                             add_instance);
}

int cmd_show(struct args *args) {
        struct req_instance_show request = { .instance = args->words.items[0],
                                             .privs = args->privs };
        cleanup_session struct session session = { .daemon_pidfd = -1 };
        struct error err = { 0 };
        struct rep_object reply;
        int r;

        r = session_open(&session, args, 0);
        if (r != 0)
                return r;
        r = connection_call(session.connection, METHOD_INSTANCE_SHOW, &request, &reply, &err);
        if (r < 0)
                return diag_failure(&err, r, session.connection);
        return print_object(args, reply.object);
}

int cmd_stop(struct args *args) {
        cleanup_session struct session session = { .daemon_pidfd = -1 };
        int r, code = EXIT_OK;

        r = session_open(&session, args, 0);
        if (r != 0)
                return r;
        for (size_t i = 0; i < args->words.n; i++) {
                struct req_instance_ref request = { .instance = args->words.items[i] };
                struct error err = { 0 };

                r = connection_call(session.connection, METHOD_INSTANCE_STOP, &request, NULL, &err);
                if (r < 0)
                        code = diag_failure(&err, r, session.connection);
                if (r < 0 && r != -EREMOTEIO)
                        break;
        }
        return code;
}

static void print_version(struct printer *p, const char *daemon) {
        printer_map(p);
        printer_key(p, "gadgetctl");
        printer_text(p, GADGET_VERSION);
        printer_key(p, "gadgetd");
        printer_text(p, daemon);
        printer_end(p);
}

/* Whoever may not ask a gadgetd must not read that there is none. */
static void say_versions(const char *daemon, int r) {
        printf("gadgetctl %s\n", GADGET_VERSION);
        if (r == 0)
                printf("gadgetd %s\n", daemon);
        else if (r == -EACCES || r == -EPERM)
                puts("gadgetd may not be asked by this user");
        else
                puts("gadgetd does not run");
}

/* Says its own version even where no gadgetd runs. */
int cmd_version(struct args *args) {
        enum output_format format = output_format_of(args, FORMAT_TABLE);
        cleanup_session struct session session = { .daemon_pidfd = -1 };
        const char *daemon = "";
        struct printer printer;
        struct out out;
        int r;

        r = session_try(&session, args);
        if (r == 0)
                daemon = connection_server_version(session.connection);
        if (format == FORMAT_TABLE) {
                say_versions(daemon, r);
                return EXIT_OK;
        }
        if (out_init(&out, STDOUT_FILENO, OUT_SIZE) < 0)
                return EXIT_FAILED;
        printer_init(&printer, &out, format);
        print_version(&printer, daemon);
        return print_end(&out);
}
