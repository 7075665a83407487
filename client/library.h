/* SPDX-License-Identifier: Apache-2.0 */
/* What gadgetctl does with a client of gadget/client.h that other programs cannot. */
#pragma once

#include "client/connection.h"
#include "client/row.h"
#include "gadget/client.h"

/* In place of gadget_client_connect(). */
void gadget_client_use(struct gadget_client *client, struct connection *take_connection);

/* The schema of the gadget, and the row that the client has gone to; NULL = none. Borrowed. */
const struct schema *gadget_client_schema(const struct gadget_client *client);
const struct row *gadget_client_row(const struct gadget_client *client);
