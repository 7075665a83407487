/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

long library_inner(void);
void *library_place(void); /* of library_inner() */
long library_outer(void);
