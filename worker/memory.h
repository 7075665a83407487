/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker holds on to while it runs: it has loaded its gadget with megabytes of libraries and
 * needs little of them again. */
#pragma once

/* Gives back freed heap and every clean page of the program's own file. What is needed again is
 * read from the page cache. */
void memory_settle(void);
