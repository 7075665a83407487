/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files a gadget is made of: named on the command line, or found in its directory, where
 * build.yaml may say what they are called. A directory comes from anybody, so build.yaml leads
 * nowhere out of it.
 */
#pragma once

#include "base/error.h"

struct sources {
        char *program;    /* C source */
        char *definition; /* gadget.yaml, NULL = there is none */
};
void sources_done(struct sources *sources);

/*
 * dir NULL = the program must be named. file: build.yaml, NULL = DIR/build.yaml if there is one.
 * Names that could be taken for an option ("-x", "@x") are refused.
 */
struct sources_spec {
        const char *dir;
        const char *program;
        const char *definition;
        const char *file;
};
int sources_find(const struct sources_spec *spec, struct sources *ret, struct error *err);
