/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of a run that the worker carries out itself. They travel among the parameters
 * (START.params, a map str -> str) under these keys; a gadget's own parameter of the same key comes
 * first. A value may speak of one data source by putting its name and a colon in front: "opens:10".
 *
 *   - filter: terms FIELD OP VALUE joined by ',' (all must hold); OP is == != > >= < <= ~ (matches)
 *     !~. Names of rendered twins may be used: "sig==SIGUSR1", "error!=ENOENT"
 *   - filter-expr: the same terms with and, or, not, parentheses, "in (a, b)" and "contains"; text
 *     may stand in quotes
 *   - sort: fields joined by ',', '-' in front = largest first; arrays only. Several data sources:
 *     "a:-x;b:y"
 *   - max-entries: at most so many rows of an array, after sorting; 0 = all. The others count as
 *     "limited"
 *   - interval: duration between two reads of a map or iterator; 0 = none but the first or the last
 *   - count: number of reads, then the source is finished; 0 = no end
 *   - keep: true = entries of a map stay when they are read
 *   - perf-buffers: true = tracers have perf event arrays in place of ring buffers, and the
 * gadget's code takes its branch for kernels without them
 */
#pragma once

/* clang-format off */
#define GADGET_RUN_OPTIONS(X)                                                                             \
        X(FILTER,      "filter",      NULL,                 "Show only rows for which all terms hold: FIELD OP VALUE[,...]; OP is one of == != > >= < <= ~ !~") \
        X(FILTER_EXPR, "filter-expr", NULL,                 "Show only rows for which it holds: comparisons, in (A, B), contains, joined by and, or, not, ()")                 \
        X(SORT,        "sort",        NULL,                 "Sort each array by these fields; -FIELD = largest first")       \
        X(MAX_ENTRIES, "max-entries", NULL,                 "Show at most so many rows of each array; 0 = all")              \
        X(INTERVAL,    "interval",    "map-fetch-interval", "Time between two reads of a map or iterator")                   \
        X(COUNT,       "count",       "map-fetch-count",    "Number of reads, then the run is finished; 0 = no end")         \
        X(KEEP,        "keep",        NULL,                 "Leave a map's entries in place when they are read")                  \
        X(IFACE,       "iface",       NULL,                 "Attach network programs to these interfaces: NAME[,NAME]")         \
        X(PERF_BUFFERS, "perf-buffers", NULL,               "Send events as on kernels before 5.8, which have no ring buffers")
/* clang-format on */

#define GADGET_RUN_OPTION_ENUM(_name, _key, _alias, _doc) RUN_OPTION_##_name,
enum run_option { GADGET_RUN_OPTIONS(GADGET_RUN_OPTION_ENUM) _RUN_OPTION_MAX };
#undef GADGET_RUN_OPTION_ENUM
