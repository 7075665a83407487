/* SPDX-License-Identifier: Apache-2.0 */
/* Listings for people: columns as wide as their widest cell, two spaces between them, everything
 * escaped. */
#pragma once

#include "client/out.h"

#define TABLE_COLUMNS_MAX 12

struct table {
        const char *const *headers;
        size_t n_columns;
        char **cells; /* escaped, row by row */
        size_t n_cells;
};

void table_init(struct table *table, const char *const *headers, size_t n_columns);
void table_done(struct table *table);
int table_add(struct table *table, const char *cell);
void table_print(const struct table *table, struct out *out);
