/* SPDX-License-Identifier: Apache-2.0 */
#include "gadgetctl/table.h"

#include "base/text.h"

void table_init(struct table *table, const char *const *headers, size_t n_columns) {
        *table = (struct table){ .headers = headers,
                                 .n_columns = MIN(n_columns, (size_t)TABLE_COLUMNS_MAX) };
}

void table_done(struct table *table) {
        for (size_t i = 0; i < table->n_cells; i++)
                free(table->cells[i]);
        free(table->cells);
        *table = (struct table){ 0 };
}

int table_add(struct table *table, const char *cell) {
        cleanup_buf struct buf b = BUF_INIT(64u << 10);
        char **cells, *text;

        text_append_escaped(&b, (const uint8_t *)cell, strlen(cell));
        text = buf_steal_string(&b);
        if (!text)
                return -ENOMEM;
        cells = reallocarray(table->cells, table->n_cells + 1, sizeof(*cells));
        if (!cells) {
                free(text);
                return -ENOMEM;
        }
        table->cells = cells;
        table->cells[table->n_cells++] = text;
        return 0;
}

static size_t width_of(const char *text) {
        return text_columns((const uint8_t *)text, strlen(text));
}

/* One line, without blanks at its end. */
static void put_line(struct out *out, const char *const *cells, const size_t *widths, size_t n) {
        while (n > 1 && cells[n - 1][0] == '\0')
                n--;
        for (size_t c = 0; c < n; c++) {
                out_put(out, cells[c], strlen(cells[c]));
                for (size_t at = width_of(cells[c]); at < widths[c] + 2 && c + 1 < n; at++)
                        out_put(out, " ", 1);
        }
        out_put(out, "\n", 1);
}

void table_print(const struct table *table, struct out *out) {
        size_t widths[TABLE_COLUMNS_MAX];

        for (size_t c = 0; c < table->n_columns; c++) {
                widths[c] = width_of(table->headers[c]);
                for (size_t i = c; i < table->n_cells; i += table->n_columns)
                        widths[c] = MAX(widths[c], width_of(table->cells[i]));
        }
        put_line(out, table->headers, widths, table->n_columns);
        for (size_t i = 0; i + table->n_columns <= table->n_cells; i += table->n_columns)
                put_line(out, (const char *const *)&table->cells[i], widths, table->n_columns);
}
