/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A registry that lies, in a thread of the test: one image with a config and a layer, served with
 * one lie at a time. It notes what it was sent, so that a test can say that no credential went
 * astray.
 */
#pragma once

#include "base/util.h"

enum httpd_lie {
        LIE_NONE,
        LIE_CUT_ONCE,    /* the layer ends after httpd->cut bytes, the first time */
        LIE_BUSY,        /* 503 with Retry-After, the first two times */
        LIE_WRONG_BYTES, /* a layer of the right size with other content */
        LIE_SHORT,       /* a layer that is smaller than the manifest says */
        LIE_LONG,
        LIE_DIGEST_HEADER, /* Docker-Content-Digest of something else */
        LIE_CONTENT_TYPE,  /* a manifest that is announced as an index */
        LIE_BOTH_KINDS,    /* manifests and layers in one document */
        LIE_DIGEST_PATH,   /* a digest with path characters */
        LIE_DUPLICATE_KEY,
        LIE_DEEP,
        LIE_MANY_LAYERS,
        LIE_INDEX_OF_INDEXES,
        LIE_HUGE_MANIFEST, /* a GiB is announced, and sent as long as anybody reads */
        LIE_BOMB,          /* Content-Encoding: gzip */
        LIE_LOGIN_LOOP,    /* 401 whatever comes */
        LIE_REALM,         /* a token realm on another host */
        LIE_REDIRECT_LOOP,
        LIE_REDIRECT_AWAY, /* the layer is on another host */
        LIE_REDIRECT_LINK_LOCAL,
        LIE_HUGE_LAYER, /* one byte more than a blob may have */
        LIE_HUGE_IMAGE, /* layers that are too much together */
        LIE_SLOW,       /* a byte a second */
        _LIE_MAX,
};
extern const char *const httpd_lie_names[_LIE_MAX];

struct httpd;
struct httpd *httpd_new(enum httpd_lie lie);
struct httpd *httpd_free(struct httpd *httpd);
uint16_t httpd_port(const struct httpd *httpd);
void httpd_set_cut(struct httpd *httpd, size_t bytes);

/* Another server that lies point to; borrowed. */
void httpd_set_other(struct httpd *httpd, const struct httpd *other);

/* Requests that came, those with an Authorization header, and those with a Range. */
unsigned int httpd_requests(const struct httpd *httpd);
unsigned int httpd_authorizations(const struct httpd *httpd);
unsigned int httpd_ranges(const struct httpd *httpd);
