/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows to text. The schema and the options are compiled once into one program a data source: an
 * array of operations, each a piece of fixed text (JSON keys and braces, YAML indentation) and how
 * to print one element. The rows are then printed without looking at the schema again and without
 * allocating. Everything foreign is escaped on its way (base/text.h), names too.
 *
 *   columns     header, padded columns; cut with an ellipsis on a terminal only, never in a file
 *   json        one object a line; data sources that are arrays: one array a line
 *   jsonpretty  the same, indented by two
 *   yaml        one document a row or array, each behind "---"
 *   csv         header, RFC 4180; control characters escaped as in columns
 *   none        nothing, rows are counted
 *
 * JSON: keys in the order of the schema, nested objects from dotted names, u64 exact, NaN and
 * infinity null, invalid UTF-8 as \u00NN a byte, both the value and its rendering. With several
 * data sources each row names its own: {"datasource":"x",...}, an array
 * {"datasource":"x","rows":[...]}, tables have a first column DATASOURCE.
 */
#pragma once

#include "client/out.h"
#include "client/schema.h"

#define OUTPUT_MODE_ENUM(_name, _text) OUTPUT_##_name,
enum output_mode { GADGET_OUTPUT_MODES(OUTPUT_MODE_ENUM) _OUTPUT_MODE_MAX };
#undef OUTPUT_MODE_ENUM
extern const char *const output_mode_names[_OUTPUT_MODE_MAX];

struct render_options {
        enum output_mode mode;
        const char *fields; /* --fields, NULL = default */
        uint32_t terminal;  /* columns of the terminal that out goes to; 0 = none, nothing is cut */
        bool clear_screen;  /* before each array in columns mode */
};

/* Bytes behind the rows that render_rows() may read (never use). */
#define RENDER_SLACK 16

struct renderer;

/* schema and out are borrowed. */
int renderer_new(const struct schema *schema, const struct render_options *options, struct out *out,
                 struct renderer **ret, struct error *err);
struct renderer *renderer_free(struct renderer *renderer);
DEFINE_CLEANUP(struct renderer, renderer_free)

/* What stands above the first row (column names). Flushes nothing. */
void render_header(struct renderer *renderer);

/*
 * One "events" notification: flags are enum event_frame_flags, rows the concatenated arrays with
 * RENDER_SLACK readable bytes behind. Returns the number of rows. -EBADMSG: the rows do not match
 * the schema; what was right before is printed.
 */
int64_t render_rows(struct renderer *renderer, uint32_t source, uint32_t flags, struct bytes rows);
