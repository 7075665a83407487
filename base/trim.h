/* SPDX-License-Identifier: Apache-2.0 */
/* For programs of which there are many and which start with far more code than they go on with. */
#pragma once

/* Unmaps the pages of our own program that nothing was written to: what is still needed comes back
 * by itself, page by page, from the page cache. Gives freed heap back as well. */
void trim_memory(void);
