/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCI manifests and image indexes (and docker's schema 2 of the same), parsed strictly: what is
 * ambiguous is refused (CVE-2021-41190), what is merely unknown is left alone. `urls` and `data` of
 * descriptors are never looked at.
 */
#pragma once

#include "image/json.h"

#define MEDIA_TYPE_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_TYPE_DOCKER_INDEX "application/vnd.docker.distribution.manifest.list.v2+json"
#define MEDIA_TYPE_EMPTY "application/vnd.oci.empty.v1+json"

#define ANNOTATION_REF_NAME "org.opencontainers.image.ref.name"
#define ANNOTATION_TITLE "org.opencontainers.image.title"
#define ANNOTATION_CREATED "org.opencontainers.image.created"
#define ANNOTATION_BUILDER "dev.gadgetd.builder.version"
#define ANNOTATION_AUTHORS "org.opencontainers.image.authors"
#define ANNOTATION_DESCRIPTION "org.opencontainers.image.description"

#define MANIFEST_ENTRIES_MAX 128 /* layers of a manifest, manifests of an index */

/* Everything is borrowed from the document; NULL where it says nothing. */
struct descriptor {
        const char *media_type;
        const char *digest; /* valid */
        uint64_t size;
        const char *artifact_type;
        const char *architecture; /* of platform */
        const char *os;
        const char *variant;
        const json_t *annotations;
};

enum document_kind { DOCUMENT_MANIFEST, DOCUMENT_INDEX };

struct document {
        json_t *root;
        enum document_kind kind;
        const char *media_type;
        const char *artifact_type;
        const json_t *annotations;  /* NULL = none */
        struct descriptor config;   /* of a manifest */
        struct descriptor *entries; /* layers of a manifest, manifests of an index */
        size_t n_entries;
};

bool media_type_is_index(const char *media_type);
bool media_type_is_manifest(const char *media_type);

/* media_type: what the descriptor that led here says. The document must say the same; one of OCI
 * may say nothing. */
int document_parse(struct bytes text, const char *media_type, struct document *ret,
                   struct error *err);
void document_done(struct document *doc);
#define cleanup_document cleanup(document_done)

int descriptor_parse(const json_t *value, struct descriptor *ret, struct error *err);

/* An annotation's text, NULL when there is none. annotations may be NULL. */
const char *annotation_get(const json_t *annotations, const char *key);
