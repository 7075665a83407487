/* SPDX-License-Identifier: Apache-2.0 */
/* `gadgetctl replay`: a recording as if its gadget ran now; needs neither gadgetd nor rights. */
#include "client/recording.h"
#include "gadgetctl/diag.h"
#include "gadgetctl/losses.h"
#include "gadgetctl/row-output.h"
#include "gadgetctl/signals.h"
#include "ipc/mp.h"

struct replay {
        struct row_output output;
        struct losses losses;
        bool is_done;
};

static int on_record(struct replay *replay, const struct incoming *in) {
        if (in->type == NOTIFY_LOSSES)
                losses_set(&replay->losses, in->source, in->ledger);
        if (in->type == NOTIFY_DONE) {
                losses_set_all(&replay->losses, in->ledger);
                replay->is_done = true;
        }
        if (in->type != NOTIFY_EVENTS)
                return 0;
        losses_add(&replay->losses, in->source, in->lost);
        return row_output_add(&replay->output, in->source, in->flags, in->rows);
}

/* 0 or the exit code of what went wrong; rows before it are printed. */
static int print_records(struct replay *replay, struct recording *recording, const char *path) {
        struct error err = { 0 };
        struct incoming in;
        int r;

        while (signals_count == 0 && (r = recording_next(recording, &in, &err)) != 0) {
                if (r < 0) {
                        diag("'%s': %s", path, error_text(&err));
                        return EXIT_FAILED;
                }
                if (on_record(replay, &in) < 0) {
                        diag("'%s': it holds rows that do not match its schema", path);
                        return EXIT_FAILED;
                }
                if (replay->output.out.error)
                        break;
        }
        return EXIT_OK;
}

static int end(struct replay *replay, int code) {
        int r = row_output_end(&replay->output);

        if (r < 0 && r != -EPIPE && r != -EINTR) {
                diag("cannot write to standard output: %s", strerror(-r));
                return EXIT_FAILED;
        }
        if (code == EXIT_OK && !replay->is_done && r == 0 && signals_count == 0)
                diag("the recording ends before its gadget did");
        losses_print(&replay->losses, replay->output.schema);
        return code;
}

int cmd_replay(struct args *args) {
        cleanup(recording_freep) struct recording *recording = NULL;
        struct replay replay = { 0 };
        struct recording_header header;
        const char *path = args->words.items[0];
        struct error err = { 0 };
        int r;

        r = recording_open(path, &recording, &header, &err);
        if (r < 0)
                return diag_failure(&err, r, NULL);
        r = row_output_init(&replay.output, args, header.schema,
                            ROW_OUTPUT_SELECTS | ROW_OUTPUT_WHOLE, &err);
        if (r < 0) {
                row_output_done(&replay.output);
                diag_failure(&err, r, NULL);
                return r == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
        }
        r = end(&replay, print_records(&replay, recording, path));
        row_output_done(&replay.output);
        return r;
}
