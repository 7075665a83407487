/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BTF to schema: any bytes as the .BTF section of a gadget. What passes the check is given to
 * libbpf, every struct of it is taken for an event type, compiled into a field program, run on an
 * event, and described in a schema.
 */
#include "fuzz.h"

#include "base/log.h"
#include "gadget/api.h"
#include "worker/btf-check.h"
#include "worker/program.h"
#include "worker/schema.h"

/* A hostile object has thousands of structs; a gadget names at most STREAMS_MAX of them. */
#define STRUCTS_MAX 64

static int quiet(enum libbpf_print_level level, const char *fmt, va_list args) {
        return 0;
}

static void run_program(const struct event_type *type) {
        struct program p;
        uint8_t *event, *row;

        if (program_init(&p, type) < 0)
                return;
        /* Blocks of exactly the sizes that are promised. */
        event = malloc(p.fixed_size ? p.fixed_size : 1);
        row = malloc(p.row_max);
        if (event && row) {
                memset(event, 0xff, p.fixed_size);
                MUST(program_run(&p, event, p.fixed_size, 1, row) <= row + p.row_max);
                memset(event, 0, p.fixed_size);
                MUST(program_run(&p, event, p.fixed_size, 1, row) <= row + p.row_max);
        }
        free(event);
        free(row);
        program_done(&p);
}

static void describe(const struct btf *btf, uint32_t id, bool bytes_are_text) {
        struct buf schema = BUF_INIT(LIMIT_SCHEMA_SIZE_MAX);
        struct type_options options = { .bytes_are_text = bytes_are_text };
        struct source source = { .name = (char *)(uintptr_t) "fuzz" };
        struct gadget g = { .sources = &source, .n_sources = 1 };
        struct error err;

        if (event_type_new(btf, id, &options, &g.enums, &source.type, &err) == 0) {
                run_program(source.type);
                (void)gadget_describe(&g, &err);
                (void)schema_encode(&g, &schema, &err);
                event_type_free(source.type);
        }
        annotations_done(&source.annotations);
        type_enums_done(&g.enums);
        buf_done(&schema);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        unsigned int n_structs = 0;
        struct btf *btf;

        log_set_level(LOG_LEVEL_ERROR);
        libbpf_set_print(quiet);
        if (btf_check(BYTES(data, size), NULL) < 0)
                return 0;
        btf = btf__new(data, (uint32_t)size);
        if (!btf)
                return 0;
        for (uint32_t id = 1; id < btf__type_cnt(btf) && n_structs < STRUCTS_MAX; id++)
                if (btf_is_struct(btf__type_by_id(btf, id)) ||
                    btf_is_typedef(btf__type_by_id(btf, id)))
                        describe(btf, id, n_structs++ % 2);
        btf__free(btf);
        return 0;
}
