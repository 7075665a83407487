/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the selected columns of a data source to its program. Tables are a straight list; JSON and
 * YAML first become a tree of the dotted names, and walking it collects the fixed text that stands
 * in front of each value.
 */
#include <strings.h>

#include "base/parse.h"
#include "base/text.h"
#include "client/render-program.h"

#define TEXT_MAX (16u << 20)
/* Longest that a value other than text gets, quotes included. */
#define SCALAR_ROOM 192u

struct span {
        size_t offset;
        size_t n;
};

/* All fixed text goes into one buffer; pointers are made when it no longer moves. */
struct compiler {
        const struct schema *schema;
        const struct columns *columns;
        const struct render_options *options;
        struct program *program;
        struct buf text;
        size_t pending; /* offset where the text for the next operation began */
        struct span *before;
        struct span behind, header, open, between, close, empty;
        uint32_t indent; /* of the outermost keys */
        bool at_start;   /* of a yaml document or list item */
};

static struct span take_pending(struct compiler *c) {
        struct span span = { c->pending, c->text.len - c->pending };

        c->pending = c->text.len;
        return span;
}

static void add_text(struct compiler *c, const char *text) {
        buf_puts(&c->text, text);
}

static void add_spaces(struct compiler *c, size_t n) {
        while (n-- > 0)
                add_text(c, " ");
}

/* One step further: "any" wherever the kind and the rendering do not meet. */
static enum opcode opcode_of(const struct column *column) {
        const struct schema_field *field = column->field;
        bool is_integer = field->kind == FIELD_UINT || field->kind == FIELD_INT;

        if (column->source == COLUMN_ENDPOINT)
                return OP_ENDPOINT;
        if (field->render == RENDER_HISTOGRAM && field->kind == FIELD_ARRAY &&
            (column->source == COLUMN_RENDERED || !field->target[0]))
                return OP_HISTOGRAM;
        if (column->source == COLUMN_RENDERED && is_integer && field->render != RENDER_HISTOGRAM)
                return field->render == RENDER_TIMESTAMP && !schema_rendering(field).layout
                               ? OP_TIMESTAMP
                               : OP_MEMO;
        if (is_integer && !column->hex)
                return OP_NUMBER;
        if (field->kind == FIELD_STR)
                return OP_STRING;
        return field->kind == FIELD_IP ? OP_ADDRESS : OP_ANY;
}

static const char *unit_of(const struct schema_field *field) {
        const char *unit = annotation_get(&field->annotations, "metrics.unit");

        return unit ? unit : "";
}

static int add_op(struct compiler *c, const struct column *column, bool is_table) {
        const struct column *shown = is_table && column->shows ? column->shows : column;
        struct op *op = &c->program->ops[c->program->n_ops];

        *op = (struct op){
                .opcode = opcode_of(shown),
                .index = (uint16_t)shown->index,
                .port_index = (uint16_t)shown->port_index,
                .hex = shown->hex && is_table,
                .precision = is_table ? (int8_t)shown->precision : -1,
                .ellipsis = column->ellipsis,
                .field = shown->field,
                .unit = unit_of(shown->field),
                .header = column->name,
        };
        if (!is_table && op->opcode == OP_ANY &&
            (op->field->kind == FIELD_UINT || op->field->kind == FIELD_INT))
                op->opcode = OP_NUMBER; /* columns.hex is for tables */
        if (op->opcode == OP_MEMO) {
                op->memo = aligned_alloc(64, MEMO_SLOTS * sizeof(*op->memo));
                if (!op->memo)
                        return -ENOMEM;
                memset(op->memo, 0, MEMO_SLOTS * sizeof(*op->memo));
        }
        c->before[c->program->n_ops++] = take_pending(c);
        return 0;
}

static const struct column *column_at(const struct compiler *c, uint32_t i) {
        return &c->columns->items[c->columns->order[i]];
}

static bool names_source(const struct compiler *c) {
        return c->schema->n_streams > 1;
}

static uint32_t escaped_columns(const char *text) {
        return (uint32_t)text_columns((const uint8_t *)text, strlen(text));
}

/* Width of the DATASOURCE column: the longest name. */
static uint32_t source_width(const struct compiler *c) {
        uint32_t width = (uint32_t)strlen("DATASOURCE");

        for (uint32_t i = 0; i < c->schema->n_streams; i++)
                width = MAX(width, escaped_columns(c->schema->streams[i].name));
        return width;
}

static void add_padded(struct compiler *c, const char *escaped, uint32_t width, bool right) {
        uint32_t n = escaped_columns(escaped), pad = width > n ? width - n : 0;

        if (right)
                add_spaces(c, pad);
        add_text(c, escaped);
        if (!right)
                add_spaces(c, pad);
}

static void add_escaped_padded(struct compiler *c, const char *text, uint32_t width) {
        uint32_t n = escaped_columns(text);

        text_append_escaped(&c->text, (const uint8_t *)text, strlen(text));
        add_spaces(c, width > n ? width - n : 0);
}

static void set_width(struct compiler *c, struct op *op, const struct column *column,
                      bool is_last) {
        op->right = column->right;
        op->cut = c->options->terminal > 0 && column->ellipsis != ELLIPSIS_NONE;
        op->width = (uint16_t)MIN(column->width, (uint32_t)UINT16_MAX);
        op->is_last = is_last;
        if (is_last && !column->right && !op->cut)
                op->width = 0;
}

/* On a terminal a name that is wider than its column loses its end. */
static void add_header(struct compiler *c, const struct column *column, bool is_last) {
        size_t n = strlen(column->header);
        cleanup_free char *text = strdup(column->header);

        if (!text) {
                c->text.failed = true;
                return;
        }
        while (c->options->terminal > 0 && escaped_columns(text) > column->width) {
                do
                        text[--n] = '\0';
                while (n > 0 && !utf8_is_valid((uint8_t *)text, n));
        }
        add_padded(c, text, is_last && !column->right ? 0 : column->width, column->right);
}

static bool shows_histogram(const struct compiler *c) {
        for (uint32_t i = 0; i < c->columns->n_order; i++)
                if (opcode_of(column_at(c, i)) == OP_HISTOGRAM)
                        return true;
        return false;
}

/* A histogram takes lines of its own, so the row becomes a block: "NAME: value" for the other
 * columns, then the bars. */
static int compile_blocks(struct compiler *c) {
        int r;

        add_text(c, "\n");
        c->between = take_pending(c);
        if (names_source(c)) {
                text_append_escaped(&c->text, (const uint8_t *)c->columns->stream->name,
                                    strlen(c->columns->stream->name));
                add_text(c, "\n");
        }
        for (uint32_t i = 0; i < c->columns->n_order; i++) {
                const struct column *column = column_at(c, i);
                bool is_bars = opcode_of(column) == OP_HISTOGRAM;

                if (!is_bars) {
                        add_text(c, column->header);
                        add_text(c, ": ");
                }
                r = add_op(c, column, true);
                if (r < 0)
                        return r;
                if (!is_bars)
                        add_text(c, "\n");
        }
        return 0;
}

static int compile_columns(struct compiler *c) {
        int r;

        if (shows_histogram(c))
                return compile_blocks(c);
        if (names_source(c)) {
                add_padded(c, "DATASOURCE", source_width(c), false);
                add_text(c, " ");
        }
        for (uint32_t i = 0; i < c->columns->n_order; i++) {
                const struct column *column = column_at(c, i);
                bool is_last = i + 1 == c->columns->n_order;

                add_header(c, column, is_last);
                add_text(c, is_last ? "\n" : " ");
        }
        c->header = take_pending(c);
        if (names_source(c)) {
                add_escaped_padded(c, c->columns->stream->name, source_width(c));
                add_text(c, " ");
        }
        for (uint32_t i = 0; i < c->columns->n_order; i++) {
                if (i > 0)
                        add_text(c, " ");
                r = add_op(c, column_at(c, i), true);
                if (r < 0)
                        return r;
                set_width(c, &c->program->ops[i], column_at(c, i), i + 1 == c->columns->n_order);
        }
        add_text(c, "\n");
        return 0;
}

static void add_csv_name(struct compiler *c, const char *name) {
        cleanup_buf struct buf escaped = BUF_INIT(TEXT_MAX);

        text_append_escaped(&escaped, (const uint8_t *)name, strlen(name));
        add_text(c, "\"");
        for (size_t i = 0; i < escaped.len; i++)
                buf_append(&c->text, escaped.data[i] == '"' ? "\"\"" : (char *)&escaped.data[i],
                           escaped.data[i] == '"' ? 2 : 1);
        add_text(c, "\"");
}

static void add_csv_plain_name(struct compiler *c, const char *name) {
        if (name[0] &&
            strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._") ==
                    strlen(name))
                add_text(c, name);
        else
                add_csv_name(c, name);
}

static int compile_csv(struct compiler *c) {
        int r;

        if (names_source(c))
                add_text(c, "datasource,");
        for (uint32_t i = 0; i < c->columns->n_order; i++) {
                add_csv_plain_name(c, column_at(c, i)->name);
                add_text(c, i + 1 == c->columns->n_order ? "\n" : ",");
        }
        c->header = take_pending(c);
        if (names_source(c)) {
                add_csv_plain_name(c, c->columns->stream->name);
                add_text(c, ",");
        }
        for (uint32_t i = 0; i < c->columns->n_order; i++) {
                if (i > 0)
                        add_text(c, ",");
                r = add_op(c, column_at(c, i), true);
                if (r < 0)
                        return r;
        }
        add_text(c, "\n");
        return 0;
}

/* --- the tree of dotted names --- */

struct node {
        const char *key;
        uint32_t n_key;
        uint32_t first; /* child; 0 = none (0 is the root) */
        uint32_t last;
        uint32_t next; /* sibling */
        const struct column *column;
};

struct tree {
        struct node *nodes;
        uint32_t n;
        uint32_t max;
};

static uint32_t find_child(const struct tree *tree, uint32_t parent, const char *key,
                           size_t n_key) {
        for (uint32_t i = tree->nodes[parent].first; i; i = tree->nodes[i].next)
                if (tree->nodes[i].n_key == n_key && memcmp(tree->nodes[i].key, key, n_key) == 0)
                        return i;
        return 0;
}

static uint32_t add_child(struct tree *tree, uint32_t parent, const char *key, size_t n_key) {
        uint32_t index = tree->n++;

        tree->nodes[index] = (struct node){ .key = key, .n_key = (uint32_t)n_key };
        if (tree->nodes[parent].first)
                tree->nodes[tree->nodes[parent].last].next = index;
        else
                tree->nodes[parent].first = index;
        tree->nodes[parent].last = index;
        return index;
}

/* A name that is already a value cannot become an object as well: the first to come keeps it. */
static void insert(struct tree *tree, const struct column *column) {
        const char *key = column->name;
        uint32_t at = 0;

        for (unsigned int depth = 1;; depth++) {
                const char *dot = depth < LIMIT_TYPE_DEPTH_MAX ? strchr(key, '.') : NULL;
                size_t n_key = dot ? (size_t)(dot - key) : strlen(key);
                uint32_t child = find_child(tree, at, key, n_key);

                if (child && (!dot || tree->nodes[child].column))
                        return;
                if (!child)
                        child = add_child(tree, at, key, n_key);
                if (!dot) {
                        tree->nodes[child].column = column;
                        return;
                }
                at = child;
                key = dot + 1;
        }
}

static int build_tree(const struct columns *columns, struct tree *ret) {
        *ret = (struct tree){ .n = 1, .max = columns->n_order * LIMIT_TYPE_DEPTH_MAX + 1 };
        ret->nodes = calloc(ret->max, sizeof(*ret->nodes));
        if (!ret->nodes)
                return -ENOMEM;
        for (uint32_t i = 0; i < columns->n_order; i++)
                insert(ret, &columns->items[columns->order[i]]);
        return 0;
}

static void add_json_string(struct compiler *c, const char *text, size_t n) {
        text_append_json(&c->text, (const uint8_t *)text, n);
}

static void add_line(struct compiler *c, uint32_t depth) {
        add_text(c, "\n");
        add_spaces(c, c->indent + 2 * depth);
}

static int emit_json(struct compiler *c, const struct tree *tree, uint32_t parent, uint32_t depth) {
        bool is_pretty = c->options->mode == OUTPUT_JSONPRETTY;
        bool is_first = parent != 0 || !names_source(c) || c->program->is_array;
        int r;

        for (uint32_t i = tree->nodes[parent].first; i; i = tree->nodes[i].next) {
                const struct node *node = &tree->nodes[i];

                if (!is_first)
                        add_text(c, ",");
                is_first = false;
                if (is_pretty)
                        add_line(c, depth);
                add_json_string(c, node->key, node->n_key);
                add_text(c, is_pretty ? ": " : ":");
                if (node->column) {
                        r = add_op(c, node->column, false);
                } else {
                        add_text(c, "{");
                        r = emit_json(c, tree, i, depth + 1);
                        if (is_pretty)
                                add_line(c, depth);
                        add_text(c, "}");
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

static void add_json_source(struct compiler *c, bool is_pretty) {
        add_text(c, is_pretty ? "\"datasource\": " : "\"datasource\":");
        add_json_string(c, c->columns->stream->name, strlen(c->columns->stream->name));
}

/* What stands in front of the [ of an array, and behind its ]. */
static void add_json_head(struct compiler *c, bool is_pretty) {
        if (!names_source(c))
                return;
        add_text(c, is_pretty ? "{\n  " : "{");
        add_json_source(c, is_pretty);
        add_text(c, is_pretty ? ",\n  \"rows\": " : ",\"rows\":");
}

static void add_json_tail(struct compiler *c, bool is_pretty) {
        if (names_source(c))
                add_text(c, is_pretty ? "\n}" : "}");
        add_text(c, "\n");
}

static void add_json_frame(struct compiler *c, bool is_pretty) {
        add_json_head(c, is_pretty);
        add_text(c, "[]");
        add_json_tail(c, is_pretty);
        c->empty = take_pending(c);
        add_json_head(c, is_pretty);
        add_text(c, "[");
        c->open = take_pending(c);
        add_text(c, ",");
        c->between = take_pending(c);
        if (is_pretty)
                add_text(c, names_source(c) ? "\n  " : "\n");
        add_text(c, "]");
        add_json_tail(c, is_pretty);
        c->close = take_pending(c);
        c->indent = is_pretty ? (names_source(c) ? 4 : 2) : 0;
}

static int compile_json(struct compiler *c, const struct tree *tree) {
        bool is_pretty = c->options->mode == OUTPUT_JSONPRETTY;
        bool is_empty = !tree->nodes[0].first;
        int r;

        if (c->program->is_array) {
                add_json_frame(c, is_pretty);
                if (is_pretty)
                        add_line(c, 0);
        }
        add_text(c, "{");
        if (names_source(c) && !c->program->is_array) {
                if (is_pretty)
                        add_line(c, 1);
                add_json_source(c, is_pretty);
                is_empty = false;
        }
        r = emit_json(c, tree, 0, 1);
        if (r < 0)
                return r;
        if (is_pretty && !is_empty)
                add_line(c, 0);
        add_text(c, c->program->is_array ? "}" : "}\n");
        return 0;
}

/* A key that no YAML reader takes for anything but a string. */
static bool is_yaml_plain(const char *key, size_t n) {
        static const char *const taken[] = { "y",   "n",    "yes",   "no",  "on",
                                             "off", "true", "false", "null" };

        for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
                if (strlen(taken[i]) == n && strncasecmp(key, taken[i], n) == 0)
                        return false;
        for (size_t i = 0; i < n; i++) {
                bool is_letter = (key[i] | 0x20) >= 'a' && (key[i] | 0x20) <= 'z';

                if (!is_letter && key[i] != '_' && !(i > 0 && key[i] >= '0' && key[i] <= '9'))
                        return false;
        }
        return n > 0;
}

static void add_yaml_key(struct compiler *c, const char *key, size_t n, uint32_t depth) {
        if (!c->at_start)
                add_line(c, depth);
        c->at_start = false;
        if (is_yaml_plain(key, n))
                buf_append(&c->text, key, n);
        else
                add_json_string(c, key, n);
        add_text(c, ":");
}

static int emit_yaml(struct compiler *c, const struct tree *tree, uint32_t parent, uint32_t depth) {
        int r;

        for (uint32_t i = tree->nodes[parent].first; i; i = tree->nodes[i].next) {
                const struct node *node = &tree->nodes[i];

                add_yaml_key(c, node->key, node->n_key, depth);
                if (node->column) {
                        add_text(c, " ");
                        r = add_op(c, node->column, false);
                } else {
                        r = emit_yaml(c, tree, i, depth + 1);
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

static void add_yaml_source(struct compiler *c) {
        add_text(c, "datasource: ");
        add_json_string(c, c->columns->stream->name, strlen(c->columns->stream->name));
        add_text(c, "\n");
}

static void add_yaml_frame(struct compiler *c) {
        add_text(c, "---\n");
        if (names_source(c))
                add_yaml_source(c);
        add_text(c, names_source(c) ? "rows: []\n" : "[]\n");
        c->empty = take_pending(c);
        add_text(c, "---\n");
        if (names_source(c)) {
                add_yaml_source(c);
                add_text(c, "rows:\n");
        }
        c->open = take_pending(c);
        add_text(c, "- ");
        c->indent = 2;
}

static int compile_yaml(struct compiler *c, const struct tree *tree) {
        bool is_empty = !tree->nodes[0].first;
        int r;

        if (c->program->is_array) {
                add_yaml_frame(c);
        } else {
                add_text(c, "---\n");
                if (names_source(c))
                        add_yaml_source(c);
        }
        c->at_start = true;
        r = emit_yaml(c, tree, 0, 0);
        if (r < 0)
                return r;
        if (!is_empty)
                add_text(c, "\n");
        else if (c->program->is_array || !names_source(c))
                add_text(c, "{}\n");
        return 0;
}

static int compile_mode(struct compiler *c) {
        struct tree tree;
        int r;

        switch (c->options->mode) {
        case OUTPUT_COLUMNS:
                c->program->style = STYLE_TABLE;
                return compile_columns(c);
        case OUTPUT_CSV:
                c->program->style = STYLE_CSV;
                return compile_csv(c);
        case OUTPUT_JSON:
        case OUTPUT_JSONPRETTY:
        case OUTPUT_YAML:
                c->program->style = STYLE_JSON;
                r = build_tree(c->columns, &tree);
                if (r < 0)
                        return r;
                r = c->options->mode == OUTPUT_YAML ? compile_yaml(c, &tree)
                                                    : compile_json(c, &tree);
                free(tree.nodes);
                return r;
        case OUTPUT_NONE:
        case _OUTPUT_MODE_MAX:
                break;
        }
        return 0;
}

static struct text text_of(const struct compiler *c, struct span span) {
        return (struct text){ c->program->memory + span.offset, (uint32_t)span.n };
}

static int finish(struct compiler *c) {
        struct program *program = c->program;
        static const uint8_t slack[OUT_SLACK];
        size_t room;

        buf_append(&c->text, slack, sizeof(slack));
        if (c->text.failed)
                return buf_result(&c->text);
        /* Never moved by buf_consume(), so the memory can be taken over as it is. */
        program->memory = malloc(c->text.len);
        if (!program->memory)
                return -ENOMEM;
        memcpy(program->memory, c->text.data, c->text.len);
        program->behind = text_of(c, c->behind);
        program->header = text_of(c, c->header);
        program->open = text_of(c, c->open);
        program->between = text_of(c, c->between);
        program->close = text_of(c, c->close);
        program->empty = text_of(c, c->empty);
        room = program->behind.n + OUT_SLACK;
        for (uint32_t i = 0; i < program->n_ops; i++) {
                struct text before = text_of(c, c->before[i]);

                program->ops[i].before = before.data;
                program->ops[i].n_before = before.n;
                room += before.n + program->ops[i].width + SCALAR_ROOM;
        }
        program->room = (uint32_t)room;
        return 0;
}

/* An array that comes again and again is drawn over the last one; the data source may say
 * otherwise, or that one which comes once is as well. */
static bool is_live(const struct schema_stream *stream) {
        const char *said = annotation_get(&stream->annotations, "cli.clear-screen-before");
        bool live = stream->kind == STREAM_MAP || stream->kind == STREAM_HISTOGRAM;

        if (said && stream->kind != STREAM_TRACER)
                (void)parse_bool(said, &live);
        return live;
}

int program_compile(const struct schema *schema, struct columns *columns,
                    const struct render_options *options, struct program *ret) {
        struct compiler c = {
                .schema = schema,
                .columns = columns,
                .options = options,
                .program = ret,
                .text = BUF_INIT(TEXT_MAX),
        };
        int r;

        *ret = (struct program){
                .n_fields = columns->stream->n_fields,
                .is_array = columns->stream->kind != STREAM_TRACER,
                .is_live = is_live(columns->stream),
                .is_silent = options->mode == OUTPUT_NONE ||
                             (columns->n_order == 0 && columns->is_explicit),
        };
        ret->ops = calloc(columns->n_order + 1, sizeof(*ret->ops));
        c.before = calloc(columns->n_order + 1, sizeof(*c.before));
        if (!ret->ops || !c.before)
                r = -ENOMEM;
        else
                r = compile_mode(&c);
        if (r == 0) {
                c.behind = take_pending(&c);
                r = finish(&c);
        }
        free(c.before);
        buf_done(&c.text);
        return r;
}

void program_done(struct program *program) {
        for (uint32_t i = 0; i < program->n_ops; i++)
                free(program->ops[i].memo);
        free(program->ops);
        free(program->memory);
        *program = (struct program){ 0 };
}
