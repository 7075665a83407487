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
        LIE_HUGE_LAYER,    /* one byte more than a blob may have */
        LIE_HUGE_IMAGE,    /* layers that are too much together */
        LIE_SLOW,          /* a byte a second */
        LIE_SLOW_HEAD,     /* headers, a byte a second */
        LIE_ENDLESS_HEAD,  /* headers without an end */
        LIE_CUT_MANIFEST,  /* the manifest ends after httpd->cut bytes, the first time */
        LIE_TOKEN_LOOP,    /* gives tokens and takes none */
        LIE_REDIRECT_FILE, /* the layer is at file:///etc/passwd */
        LIE_LAYERS,        /* one layer more than a manifest may have */
        LIE_INDEX_HIDDEN,  /* what an index calls a manifest is an index */
        LIE_URLS,          /* descriptors with urls on another host */
        LIE_NO_RANGE,      /* like LIE_CUT_ONCE, and knows no Range */
        LIE_RANGE_REFUSED, /* like LIE_CUT_ONCE, and answers a Range with 416 */
        LIE_DOCKER,        /* no lie: docker's media types */
        LIE_PUSH_CUT,      /* the connection breaks in the middle of the first piece of an upload */
        LIE_PUSH_BUSY,     /* 503 for the first piece, of which nothing is taken */
        LIE_PUSH_LOST,     /* the first piece is taken, the answer never comes */
        LIE_PUSH_AMNESIA,  /* after the first piece the upload is not known any more, once */
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

/* One more thing that it has: a request whose first line holds `part` gets this, which is copied.
 */
void httpd_serve(struct httpd *httpd, const char *part, const char *type, const void *data,
                 size_t n);

/* The same with what is at /manifests/1. */
void httpd_serve_manifest(struct httpd *httpd, const char *part);

/* The digest of what is served at /manifests/1, and of its layer. */
const char *httpd_manifest_digest(const struct httpd *httpd, char *out);

/* Bytes of bodies that uploads have brought, all together; and whether what is there at the end is
 * what its digest says, for as many blobs. */
unsigned int httpd_uploaded_bytes(const struct httpd *httpd);
unsigned int httpd_uploaded_blobs(const struct httpd *httpd);

/* Requests for blobs are answered when they are released. */
void httpd_hold_blobs(struct httpd *httpd);
void httpd_release_blobs(struct httpd *httpd);

/* How many requests had this text. */
unsigned int httpd_count(struct httpd *httpd, const char *text);

/* Whether some request, its headers and a form it brought included, had this text. */
bool httpd_saw(struct httpd *httpd, const char *text);

/* Requests that came, those with an Authorization header, and those with a Range. */
unsigned int httpd_requests(const struct httpd *httpd);
unsigned int httpd_authorizations(const struct httpd *httpd);
unsigned int httpd_ranges(const struct httpd *httpd);
