/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gadget-ask: asks the API of one container runtime what a container is called and made of, and
 * parses the answer. gadgetd hands it a connected socket with each question. It has no privilege,
 * no network and no file, and does one question at a time: a runtime that hangs or lies costs its
 * own containers their names, and nothing else.
 *
 *   ask.c          start-up, questions and answers
 *   ask-http.c     HTTP and gRPC over the socket that came along
 *   ask-docker.c   docker, and podman that speaks like it
 *   ask-grpc.c     containerd, and every runtime with a CRI
 *   ask-sandbox.c  what it gives up
 */
#pragma once

#include "base/error.h"
#include "watcher/ask-http.h"
#include "watcher/oci.h"

/* Each fills what it learns; what it has learnt before a failure stays. */
int ask_docker(struct http *http, const char *id, struct oci_info *info);
int ask_containerd(struct http *http, const char *id, const char *namespace, struct oci_info *info);
int ask_cri(struct http *http, const char *id, const char *sandbox, struct oci_info *info);

/* Parsers of the answers. False when it is none. */
bool ask_parse_container(struct bytes json, const char *id, struct oci_info *info);
bool ask_parse_image(struct bytes json, struct oci_info *info);

/* An id that may stand in an URL. */
bool ask_is_id(const char *id);

/* Keeps the text when it may be shown. */
void ask_keep(struct oci_info *info, enum oci_text which, const char *text);
/* The digest of "name@sha256:..." or "sha256:...". */
void ask_keep_digest(struct oci_info *info, const char *reference);

int ask_sandbox(uid_t uid, struct error *err);
