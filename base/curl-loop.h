/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl's multi interface on our loop. Linked only into processes that speak HTTP (gadget-fetch,
 * gadget-watch): a library of its own, so that nobody else gets libcurl.
 */
#pragma once

#include <curl/curl.h>

#include "base/loop.h"

struct curl_loop;

/* Called for each finished easy handle, which has been removed from the multi handle; it stays the
 * caller's. */
typedef void (*curl_done_func)(void *userdata, CURL *easy, CURLcode result);

int curl_loop_new(struct loop *loop, curl_done_func on_done, void *userdata,
                  struct curl_loop **ret);
struct curl_loop *curl_loop_free(struct curl_loop *curl);
DEFINE_CLEANUP(struct curl_loop, curl_loop_free)

/* The handle runs from now on; curl_loop_remove() stops it (idempotent, legal in callbacks of other
 * handles). */
int curl_loop_add(struct curl_loop *curl, CURL *easy);
void curl_loop_remove(struct curl_loop *curl, CURL *easy);
