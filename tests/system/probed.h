/* SPDX-License-Identifier: Apache-2.0 */
/* What tests/system/probed.c and the library beside it have for probes to go into. */
#pragma once

int probed_function(int value);
int lib_function(int value);
