/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/print-plain.h"

#include <inttypes.h>
#include <msgpack.h>

static const struct {
        const char *open;
        const char *text;   /* name, length, text; or without the name */
        const char *number; /* likewise */
        const char *between;
        const char *close;
} forms[_OUTPUT_MODE_MAX] = {
        [OUTPUT_COLUMNS] = { "", "%-16.*s", "%-12" PRIu64, " ", "\n" },
        [OUTPUT_JSON] = { "{", "\"%.*s\"", "%" PRIu64, ",", "}\n" },
        [OUTPUT_YAML] = { "---\n", "\"%.*s\"", "%" PRIu64, "\n", "\n" },
        [OUTPUT_CSV] = { "", "%.*s", "%" PRIu64, ",", "\n" },
};

bool plain_prints(enum output_mode mode) {
        return forms[mode].open != NULL;
}

int plain_init(struct plain *plain, const struct schema_stream *stream, enum output_mode mode,
               int fd, size_t buffer) {
        *plain = (struct plain){ .mode = mode, .stream = stream };
        plain->file = fdopen(dup(fd), "w");
        return plain->file && setvbuf(plain->file, NULL, _IOFBF, buffer) == 0 ? 0 : -ENOMEM;
}

void plain_done(struct plain *plain) {
        fclose(plain->file);
}

#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static void print_row(struct plain *plain, const msgpack_object_array *row) {
        FILE *f = plain->file;

        fputs(forms[plain->mode].open, f);
        for (uint32_t i = 0; i < row->size; i++) {
                const msgpack_object *o = &row->ptr[i];

                if (i > 0)
                        fputs(forms[plain->mode].between, f);
                if (plain->mode == OUTPUT_JSON)
                        fprintf(f, "\"%s\":", plain->stream->fields[i].name);
                else if (plain->mode == OUTPUT_YAML)
                        fprintf(f, "%s: ", plain->stream->fields[i].name);
                if (o->type == MSGPACK_OBJECT_STR)
                        fprintf(f, forms[plain->mode].text, (int)o->via.str.size, o->via.str.ptr);
                else
                        fprintf(f, forms[plain->mode].number, o->via.u64);
        }
        fputs(forms[plain->mode].close, f);
}

uint64_t plain_print(struct plain *plain, struct bytes rows) {
        msgpack_unpacked unpacked;
        uint64_t n = 0;
        size_t at = 0;

        msgpack_unpacked_init(&unpacked);
        while (msgpack_unpack_next(&unpacked, (const char *)rows.data, rows.len, &at) ==
               MSGPACK_UNPACK_SUCCESS) {
                print_row(plain, &unpacked.data.via.array);
                n++;
        }
        msgpack_unpacked_destroy(&unpacked);
        return n;
}
