/* SPDX-License-Identifier: Apache-2.0 */
#include "gadgetctl/inspect.h"

#include "gadgetctl/object.h"

/* The inspection's "problem": is it wrong itself, or only not for this machine? */
static int read_problem(struct bytes object, struct error *err) {
        char code[32], message[400];
        struct bytes problem;

        if (!object_get(object, "problem", &problem))
                return 0;
        object_text(problem, "code", code, sizeof(code));
        object_text(problem, "message", message, sizeof(message));
        error_set(err, error_code_from_name(code), -EINVAL, "%s", message);
        return error_code_from_name(code) == ERROR_INVALID ? -EINVAL : 0;
}

int inspect_object(struct session *session, const struct inspect_spec *spec,
                   struct schema **ret_schema, struct error *err) {
        struct req_image_inspect request = { .image = spec->image,
                                             .object = spec->object,
                                             .definition = spec->definition,
                                             .definition_name = spec->definition_name };
        struct rep_object reply;
        struct bytes schema;
        int r;

        *ret_schema = NULL;
        r = connection_call(session->connection, METHOD_IMAGE_INSPECT, &request, &reply, err);
        if (r < 0)
                return r;
        schema = object_bin(reply.object, "schema");
        if (schema.len > 0)
                return schema_new(schema, ret_schema, err);
        return read_problem(reply.object, err);
}
