/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long sequences of random frames in each phase, to one broker: good requests with random bytes in
 * them, and noise. Whatever comes, a request is answered or ends the worker with a reason, and what
 * the broker holds stays consistent.
 */
#include "tests/property/random.h"
#include "tests/unit/broker/bed.h"

#define SEQUENCES 400
#define FRAMES 200

struct script {
        struct random random;
        uint32_t phase;
        size_t n_answered[_BROKER_REQUEST_MAX];
        size_t n_refused;
};

/* Mostly a request that is allowed in this phase, else any number. */
static enum broker_type pick(struct script *s) {
        for (unsigned int i = 0; i < 64; i++) {
                enum broker_type t =
                        (enum broker_type)(1 + random_below(&s->random, _BROKER_REQUEST_MAX - 1));

                if ((request_table[t].phases & s->phase) || random_below(&s->random, 64) == 0)
                        return t;
        }
        return BROKER_NONE + 1;
}

static size_t make_random(struct script *s, uint32_t seq, struct example *m) {
        enum broker_type t = pick(s);
        uint64_t n_changes = random_below(&s->random, 4);
        size_t size;

        make_good(m, t);
        m->frame.seq = seq;
        size = size_of(m);
        if (random_below(&s->random, 16) == 0) { /* noise behind a frame that fits */
                m->frame.total =
                        request_table[t].body_size + (uint32_t)random_below(&s->random, 200);
                m->frame.total = MIN(m->frame.total, (uint32_t)sizeof(m->data));
                random_bytes(&s->random, m->data, sizeof(m->data));
                size = size_of(m);
        }
        for (uint64_t i = 0; i < n_changes; i++)
                ((uint8_t *)m)[sizeof(m->frame) + random_below(&s->random, sizeof(m->data))] =
                        (uint8_t)random_u64(&s->random);
        if (random_below(&s->random, 128) == 0)
                ((uint8_t *)m)[random_below(&s->random, sizeof(m->frame))] ^= 1;
        if (random_below(&s->random, 128) == 0)
                size = random_below(&s->random, sizeof(*m));
        return size;
}

/* What is counted is what is there. */
static void assert_consistent(const struct broker *b) {
        uint64_t map_bytes = 0;

        assert_true(b->objects.n <= LIMIT_BROKER_OBJECTS_MAX);
        for (uint32_t handle = 1; handle <= b->objects.n; handle++) {
                const struct object *object = objects_find(&b->objects, handle);

                if (!object)
                        continue;
                assert_true(object->fd >= 0);
                if (object->kind == OBJECT_MAP)
                        map_bytes += object->map.bytes;
        }
        assert_true(b->map_bytes == map_bytes);
        assert_true(b->map_bytes <= LIMIT_MAP_BYTES_MAX);
}

/* False when the worker has been ended. */
static bool deliver(struct script *s, struct bed *bed, struct assembler *assembler,
                    struct example *m, size_t size) {
        struct reply reply = { .fd = -1, .payload = BUF_INIT(2 * LIMIT_BROKER_PAYLOAD_MAX) };
        struct error err = { 0 };
        struct request request;
        int r;

        r = assemble(assembler, s->phase, (uint8_t *)m, size, &request, &err);
        if (r == 1) {
                r = request_table[request.type].handler(bed->broker, &request, &reply, &err);
                if (r == 0)
                        s->n_answered[request.type]++;
                if (reply.is_fd_ours)
                        close_fd(&reply.fd);
                buf_done(&reply.payload);
        }
        assert_true(r >= 0 || err.msg[0]);
        s->n_refused += r < 0;
        assert_consistent(bed->broker);
        return r >= 0 &&
               bed->broker->state == (s->phase == PHASE_LOADING ? BROKER_LOADING : BROKER_RUNNING);
}

static void run_sequence(struct script *s) {
        struct assembler assembler = { 0 };
        struct bed bed;

        bed_init(&bed);
        bed.broker->state = s->phase == PHASE_LOADING ? BROKER_LOADING : BROKER_RUNNING;
        bed.broker->allow_unsafe = random_below(&s->random, 2);
        bed.broker->inspect = random_below(&s->random, 4) == 0;
        for (unsigned int i = 0; i < FRAMES; i++) {
                struct example m;
                size_t size = make_random(s, assembler.seq + 1, &m);

                if (!deliver(s, &bed, &assembler, &m, size))
                        break;
        }
        assembler_done(&assembler);
        bed_done(&bed);
}

static void run_phase(uint32_t phase) {
        struct script s = { .random = random_init("broker-random"), .phase = phase };

        for (unsigned int i = 0; i < SEQUENCES; i++)
                run_sequence(&s);
        /* The script is no good when it does not reach a handler. */
        for (enum broker_type t = BROKER_NONE + 1; t < _BROKER_REQUEST_MAX; t++)
                if ((request_table[t].phases & phase) && t != BROKER_BPF_OTHER &&
                    s.n_answered[t] == 0)
                        fail_msg("no '%s' was ever answered", request_table[t].name);
        assert_true(s.n_refused > 0);
}

static void test_while_loading(void **state) {
        run_phase(PHASE_LOADING);
}

static void test_while_running(void **state) {
        run_phase(PHASE_RUNNING);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_while_loading),
        cmocka_unit_test(test_while_running),
};
TEST_MAIN("broker-random", tests)
