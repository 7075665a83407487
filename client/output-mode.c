/* SPDX-License-Identifier: Apache-2.0 */
#include "client/output-mode.h"

#include "base/buf.h"

#define DEFAULT_KEY "cli.default-output-mode"
#define SUPPORTED_KEY "cli.supported-output-modes"

static enum output_mode mode_of(const char *name, size_t n) {
        for (enum output_mode mode = 0; mode < _OUTPUT_MODE_MAX; mode++)
                if (strlen(output_mode_names[mode]) == n &&
                    memcmp(output_mode_names[mode], name, n) == 0)
                        return mode;
        return _OUTPUT_MODE_MAX;
}

/* One bit a mode; all of them when the data source names none that we have. *ret_first is the first
 * one that it names, if any. */
static uint32_t supported_by(const struct schema_stream *stream, enum output_mode *ret_first) {
        const char *list = annotation_get(&stream->annotations, SUPPORTED_KEY);
        uint32_t modes = 0;

        while (list) {
                size_t n = strcspn(list, ",");
                enum output_mode mode = mode_of(list, n);

                if (mode < _OUTPUT_MODE_MAX && modes == 0)
                        *ret_first = mode;
                if (mode < _OUTPUT_MODE_MAX)
                        modes |= UINT32_C(1) << mode;
                list = list[n] ? list + n + 1 : NULL;
        }
        return modes == 0 ? UINT32_MAX : modes | UINT32_C(1) << OUTPUT_NONE;
}

static int unsupported(const struct schema_stream *stream, const char *name, uint32_t modes,
                       struct error *err) {
        cleanup_buf struct buf list = BUF_INIT(256); /* all of them fit */

        for (enum output_mode mode = 0; mode < _OUTPUT_MODE_MAX; mode++) {
                if (!(modes & UINT32_C(1) << mode))
                        continue;
                buf_puts(&list, list.len > 0 ? ", " : "");
                buf_puts(&list, output_mode_names[mode]);
        }
        return error_set(err, ERROR_INVALID, -EINVAL,
                         "-o %s: data source '%.64s' supports %.*s only", name, stream->name,
                         (int)list.len, (const char *)list.data);
}

static enum output_mode default_of(const struct schema *schema) {
        enum output_mode first = _OUTPUT_MODE_MAX;
        uint32_t modes = UINT32_MAX;

        for (uint32_t i = 0; i < schema->n_streams; i++) {
                const char *name = annotation_get(&schema->streams[i].annotations, DEFAULT_KEY);
                enum output_mode named = name ? mode_of(name, strlen(name)) : _OUTPUT_MODE_MAX;
                enum output_mode begins = _OUTPUT_MODE_MAX;

                if (named < _OUTPUT_MODE_MAX)
                        return named;
                modes &= supported_by(&schema->streams[i], &begins);
                if (first == _OUTPUT_MODE_MAX)
                        first = begins;
        }
        return modes & UINT32_C(1) << OUTPUT_COLUMNS || first == _OUTPUT_MODE_MAX ? OUTPUT_COLUMNS
                                                                                  : first;
}

int output_mode_choose(const struct schema *schema, const char *wanted, enum output_mode *ret,
                       struct error *err) {
        enum output_mode mode = wanted ? mode_of(wanted, strlen(wanted)) : default_of(schema);

        if (mode == _OUTPUT_MODE_MAX)
                return error_set(err, ERROR_INVALID, -EINVAL, "-o '%.32s' is no output mode",
                                 wanted);
        for (uint32_t i = 0; i < schema->n_streams; i++) {
                enum output_mode first;
                uint32_t modes = supported_by(&schema->streams[i], &first);

                if (!(modes & UINT32_C(1) << mode))
                        return unsupported(&schema->streams[i], output_mode_names[mode], modes,
                                           err);
        }
        *ret = mode;
        return 0;
}
