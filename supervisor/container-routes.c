/* SPDX-License-Identifier: Apache-2.0 */
/* The methods container.*. */
#include "supervisor/client-routes.h"
#include "supervisor/client.h"
#include "supervisor/supervisor.h"

int on_container_list(struct call *call, const union request *request, struct error *err) {
        struct containers *cs = &call->client->sup->containers;
        int r;

        r = containers_need(cs, err);
        if (r == 0)
                r = containers_answer(cs, call->client, call->id, request->container_list.after);
        call->is_answered = r == 0;
        return r;
}
