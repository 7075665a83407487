/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/container.h"

#include <signal.h>
#include <sys/pidfd.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"
#include "supervisor/instance.h"
#include "supervisor/supervisor.h"

#define FAREWELL (5 * NSEC_PER_SEC) /* how long late events find the name */

/* --- one container --- */

static const size_t texts[] = {
        offsetof(struct msg_container_added, id),
        offsetof(struct msg_container_added, name),
        offsetof(struct msg_container_added, runtime),
        offsetof(struct msg_container_added, image),
        offsetof(struct msg_container_added, digest),
        offsetof(struct msg_container_added, cgroup),
        offsetof(struct msg_container_added, k8s_namespace),
        offsetof(struct msg_container_added, k8s_pod),
        offsetof(struct msg_container_added, k8s_container),
        offsetof(struct msg_container_added, k8s_labels),
        offsetof(struct msg_container_added, k8s_sandbox),
        offsetof(struct msg_container_added, containerd_namespace),
};

static char **text_at(struct msg_container_added *info, size_t i) {
        return (char **)((char *)info + texts[i]);
}

static void info_done(struct msg_container_added *info) {
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                free(*text_at(info, i));
}

static int info_copy(const struct msg_container_added *from, struct msg_container_added *ret) {
        struct msg_container_added copy = *from;
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                char **text = text_at(&copy, i);

                if (*text && !(*text = strdup(*text)))
                        r = -ENOMEM;
        }
        if (r < 0)
                info_done(&copy);
        else
                *ret = copy;
        return r;
}

static struct container *find(struct containers *cs, uint64_t mntns) {
        struct container *c;

        LIST_FOREACH (c, &cs->list, link)
                if (c->info.mntns == mntns)
                        return c;
        return NULL;
}

static void container_free(struct containers *cs, struct container *c) {
        LIST_REMOVE(c, link);
        cs->n--;
        askers_forget(cs->askers, c->info.mntns);
        answer_done(&c->answer);
        container_fds_close(cs, c);
        info_done(&c->info);
        free(c);
}

/* --- instances --- */

static bool may_see(const struct instance *in, const struct msg_container_added *info) {
        return in->is_host_wide || selection_matches(&in->selection, info);
}

static bool is_listening(const struct instance *in) {
        return !in->is_inspect && in->broker && in->broker->channel && in->broker->pid > 0 &&
               (in->state == INSTANCE_STARTING || in->state == INSTANCE_RUNNING);
}

/* True when it was sent. */
static bool tell(struct containers *cs, struct instance *in, struct container *c, uint32_t serial,
                 bool is_gone) {
        const struct msg_container_added *info = &c->info;
        int fds[CONTAINER_FDS_MAX];
        size_t n_fds;
        struct msg_container_set set = {
                .serial = serial,
                .mntns = info->mntns,
                .netns = info->host_network ? 0 : info->netns,
                .pid = info->pid,
                .started_ns = info->started_ns,
                .has_ended = c->gone_ns > 0,
                .is_gone = is_gone,
                .id = info->id,
                .name = info->name,
                .runtime = info->runtime,
                .image = info->image,
                .digest = info->digest,
                .k8s_namespace = info->k8s_namespace,
                .k8s_pod = info->k8s_pod,
                .k8s_container = info->k8s_container,
                .k8s_labels = info->k8s_labels,
                .k8s_node = info->k8s_pod ? cs->node : NULL,
                .host_network = info->host_network,
        };

        int r;

        (void)cs;
        if (!is_listening(in) || !may_see(in, &c->info))
                return false;
        n_fds = container_fds_get(c, in, &set, fds);
        r = channel_send(in->broker->channel, MSG_CONTAINER_SET, &set, fds, n_fds);
        if (r < 0 && r != -EPIPE && r != -ECONNRESET)
                log_error_errno(r,
                                "instance '%s' cannot be told of container '%s', whose events it "
                                "may miss",
                                in->name, info->name ?: "");
        return r == 0;
}

/* The namespace's id is another container's now, or it has another name: who may not see that one
 * forgets the old one, and the new one waits for that as well. */
static uint32_t retract(struct containers *cs, const struct msg_container_added *old,
                        const struct msg_container_added *new) {
        const struct msg_container_set gone = { .serial = new->serial,
                                                .mntns = new->mntns,
                                                .is_gone = true };
        struct instance *in;
        uint32_t n = 0;

        LIST_FOREACH (in, &cs->sup->instances, link)
                if (is_listening(in) && may_see(in, old) && !may_see(in, new))
                        n += channel_send(in->broker->channel, MSG_CONTAINER_SET, &gone, NULL, 0) ==
                             0;
        return n;
}

static uint32_t tell_all(struct containers *cs, struct container *c, uint32_t serial,
                         bool is_gone) {
        struct instance *in;
        uint32_t n = 0;

        LIST_FOREACH (in, &cs->sup->instances, link)
                n += tell(cs, in, c, serial, is_gone);
        return n;
}

/* Runtimes are held up only while somebody would miss something. */
void containers_update_gate(struct containers *cs) {
        struct msg_watch_gate gate = { .hold = false };
        struct instance *in;

        LIST_FOREACH (in, &cs->sup->instances, link)
                gate.hold |= is_listening(in) && !in->is_host_wide;
        if (!cs->channel || gate.hold == cs->holds)
                return;
        cs->holds = gate.hold;
        (void)channel_send(cs->channel, MSG_WATCH_GATE, &gate, NULL, 0);
}

void containers_join(struct containers *cs, struct instance *in) {
        struct container *c;

        LIST_FOREACH (c, &cs->list, link)
                (void)tell(cs, in, c, 0, false);
        containers_update_gate(cs);
}

static void tell_everything(struct containers *cs, struct instance *in) {
        struct container *c;

        in->wants_all = false;
        LIST_FOREACH (c, &cs->list, link)
                (void)tell(cs, in, c, 0, false);
        if (is_listening(in))
                (void)channel_send(in->broker->channel, MSG_CONTAINER_ALL, NULL, NULL, 0);
}

void containers_want(struct containers *cs, struct instance *in,
                     const struct msg_container_want *want) {
        struct error err = { 0 };

        in->wants_netns = want->netns;
        in->wants_roots = want->roots;
        in->wants_all = true;
        if (containers_need(cs, &err) < 0)
                log_warning("%s; '%s' goes into no container", error_text(&err), in->name);
        if (cs->is_ready || cs->pid == 0)
                tell_everything(cs, in);
}

void containers_leave(struct containers *cs, struct instance *in) {
        (void)in;
        containers_update_gate(cs);
}

static void pass(struct containers *cs, struct container *c) {
        if (c->info.serial > 0 && cs->channel)
                (void)channel_send(cs->channel, MSG_WATCH_PASS,
                                   &(struct msg_watch_pass){ .serial = c->info.serial }, NULL, 0);
        c->info.serial = 0;
}

void containers_on_done(struct containers *cs, uint32_t serial) {
        struct container *c;

        LIST_FOREACH (c, &cs->list, link)
                if (c->info.serial == serial && c->n_pending > 0 && --c->n_pending == 0)
                        pass(cs, c);
}

/* --- what gadget-watch says --- */

/* What has ended makes room before its time. gadget-watch never lists more than there is room for.
 */
static bool make_room(struct containers *cs) {
        struct container *c, *oldest = NULL;

        if (cs->n < LIMIT_CONTAINERS_MAX)
                return true;
        LIST_FOREACH (c, &cs->list, link)
                if (c->gone_ns > 0 && (!oldest || c->gone_ns < oldest->gone_ns))
                        oldest = c;
        if (!oldest)
                return false;
        (void)tell_all(cs, oldest, 0, true);
        container_free(cs, oldest);
        return true;
}

/* --- what runtimes' APIs say --- */

/* A gadget that chooses by what is not known yet would miss the container's first exec. */
static bool is_awaited(const struct containers *cs, const struct container *c) {
        const struct instance *in;

        LIST_FOREACH (in, &cs->sup->instances, link) {
                char *const *lists = in->selection.lists;

                if (is_listening(in) && !in->is_host_wide &&
                    ((lists[SELECT_K8S_LABELS] && !c->info.k8s_labels) ||
                     (lists[SELECT_IMAGE] && !c->info.image) ||
                     (lists[SELECT_DIGEST] && !c->info.digest)))
                        return true;
        }
        return false;
}

/* Once for each container. */
static void ask_runtime(struct containers *cs, struct container *c) {
        enum api api = asker_choose(&c->info);

        c->awaits_answer = false;
        if (api == _API_MAX || (c->answer.id && str_eq(c->answer.id, c->info.id)) ||
            !asker_ask(&cs->askers[api], &c->info))
                return;
        c->awaits_answer = c->info.serial > 0 && is_awaited(cs, c);
}

void containers_on_answer(struct containers *cs, uint64_t mntns, const char *id,
                          const struct msg_asked *asked) {
        static const struct msg_asked nothing = { .job = 0 };
        struct container *c = find(cs, mntns);
        struct msg_container_added old = { 0 };
        bool is_new;

        if (!c || c->gone_ns > 0 || !c->info.id || !str_eq(c->info.id, id) ||
            answer_set(&c->answer, id, asked ?: &nothing) < 0)
                return;
        if (info_copy(&c->info, &old) < 0)
                return;
        is_new = answer_apply(&c->answer, &c->info);
        if (is_new) {
                c->n_pending += retract(cs, &old, &c->info);
                c->n_pending += tell_all(cs, c, c->info.serial, false);
                cs->generation++;
                containers_answer_waiting(cs);
        }
        info_done(&old);
        if (c->awaits_answer && c->n_pending > 0)
                c->n_pending--;
        c->awaits_answer = false;
        if (c->n_pending == 0)
                pass(cs, c);
}

/* --- what gadget-watch says --- */

static int on_added(struct containers *cs, struct received *received) {
        const struct msg_container_added *info = &received->msg->container_added;
        struct container *c = find(cs, info->mntns);
        struct msg_container_added copy;
        uint32_t n_pending = 0;

        if (!c && !make_room(cs)) {
                log_error("gadget-watch lists more than %d containers", LIMIT_CONTAINERS_MAX);
                return -EPROTO;
        }
        if (info_copy(info, &copy) < 0) {
                log_error("no memory for container '%s': its events are not seen",
                          info->name ?: info->id ?: "");
                return 0;
        }
        if (c) {
                (void)answer_apply(&c->answer, &copy);
                pass(cs, c);
                n_pending = retract(cs, &c->info, &copy);
                info_done(&c->info);
        } else {
                c = calloc(1, sizeof(*c));
                if (!c) {
                        info_done(&copy);
                        return 0;
                }
                c->fds = CONTAINER_FDS_NONE;
                LIST_INSERT_HEAD(&cs->list, c, link);
                cs->n++;
        }
        container_fds_take(cs, c, received);
        c->info = copy;
        c->gone_ns = 0;
        c->is_stale = false;
        ask_runtime(cs, c);
        c->n_pending = n_pending + tell_all(cs, c, info->serial, false) + c->awaits_answer;
        if (c->n_pending == 0)
                pass(cs, c);
        cs->generation++;
        containers_answer_waiting(cs);
        return 0;
}

static void give_up_stale(struct containers *cs);

static int on_farewell(struct loop_timer *timer) {
        struct containers *cs = container_of(timer, struct containers, farewell);
        uint64_t now = now_ns(), next_ns = UINT64_MAX;
        struct container *c, *next;

        if (cs->stale_ns > 0 && now < cs->stale_ns + FAREWELL)
                next_ns = cs->stale_ns + FAREWELL - now;
        else if (cs->stale_ns > 0)
                give_up_stale(cs);
        for (c = LIST_FIRST(&cs->list); c; c = next) {
                next = LIST_NEXT(c, link);
                if (c->gone_ns == 0)
                        continue;
                if (now < c->gone_ns + FAREWELL) {
                        next_ns = MIN(next_ns, c->gone_ns + FAREWELL - now);
                        continue;
                }
                (void)tell_all(cs, c, 0, true);
                container_free(cs, c);
        }
        if (next_ns < UINT64_MAX)
                (void)loop_timer_set(cs->sup->loop, timer, next_ns, "farewell", on_farewell);
        return 0;
}

static void begin_farewell(struct containers *cs) {
        if (cs->farewell.index == 0)
                (void)loop_timer_set(cs->sup->loop, &cs->farewell, FAREWELL, "farewell",
                                     on_farewell);
}

static void say_goodbye(struct containers *cs, struct container *c) {
        pass(cs, c);
        c->gone_ns = now_ns();
        c->is_stale = false;
        container_fds_close(cs, c);
        (void)tell_all(cs, c, 0, false);
        cs->generation++;
        begin_farewell(cs);
}

/* Nobody says any more which of them live: ids of namespaces are given out again, and a gadget must
 * not see who is not selected. */
static void give_up_stale(struct containers *cs) {
        struct container *c;

        LIST_FOREACH (c, &cs->list, link)
                if (c->is_stale)
                        say_goodbye(cs, c);
}

static int on_removed(struct containers *cs, const struct msg_container_removed *removed) {
        struct container *c = find(cs, removed->mntns);

        if (c && c->gone_ns == 0)
                say_goodbye(cs, c);
        containers_answer_waiting(cs);
        return 0;
}

static int on_full(struct containers *cs, const struct msg_watch_full *full) {
        cs->is_full = full->is_full;
        if (full->is_full)
                log_warning("there are more than %d containers: gadgets that choose containers do "
                            "not see the rest until others have ended",
                            LIMIT_CONTAINERS_MAX);
        else
                log_info("every container is known again");
        cs->generation++;
        containers_answer_waiting(cs);
        return 0;
}

static int on_ready(struct containers *cs, const struct msg_watch_ready *ready) {
        struct instance *in, *next;

        cs->is_ready = true;
        cs->stale_ns = 0;
        give_up_stale(cs); /* those that it has not listed */
        cs->host_mntns = ready->mntns;
        cs->generation++;
        for (in = LIST_FIRST(&cs->sup->instances); in; in = next) {
                next = LIST_NEXT(in, link);
                if (in->waits_for_containers)
                        instance_begin(in);
                else if (in->wants_all)
                        tell_everything(cs, in);
        }
        containers_answer_waiting(cs);
        return 0;
}

static bool permit(void *owner, enum message_type type) {
        const struct containers *cs = owner;

        return type == MSG_CONTAINER_ADDED || type == MSG_CONTAINER_REMOVED ||
               type == MSG_WATCH_FULL || (type == MSG_WATCH_READY && !cs->is_ready);
}

static int on_message(void *owner, struct received *received) {
        struct containers *cs = owner;

        if (received->type == MSG_CONTAINER_ADDED)
                return on_added(cs, received);
        if (received->type == MSG_CONTAINER_REMOVED)
                return on_removed(cs, &received->msg->container_removed);
        if (received->type == MSG_WATCH_FULL)
                return on_full(cs, &received->msg->watch_full);
        return on_ready(cs, &received->msg->watch_ready);
}

/* Its exit follows. */
static void on_closed(void *owner, int r, const struct error *err) {
        struct containers *cs = owner;

        if (r < 0)
                log_error("gadget-watch broke the protocol: %s", error_text(err));
        if (cs->pidfd >= 0)
                (void)pidfd_send_signal(cs->pidfd, SIGKILL, NULL, 0);
}

const struct channel_ops containers_watcher_ops = { permit, on_message, on_closed };

/* Nobody can be told which containers there are: what waits for that fails. */
static void give_up(struct containers *cs) {
        struct instance *in, *next;
        struct error err;

        error_set(&err, ERROR_UNAVAILABLE, -ECHILD, "gadget-watch has ended; see the daemon's log");
        containers_refuse_waiting(cs, &err);
        for (in = LIST_FIRST(&cs->sup->instances); in; in = next) {
                next = LIST_NEXT(in, link);
                if (in->waits_for_containers)
                        instance_fault(in, &err, NULL);
                else if (in->wants_all)
                        tell_everything(cs, in);
        }
}

bool containers_have_listeners(const struct containers *cs) {
        const struct instance *in;

        LIST_FOREACH (in, &cs->sup->instances, link)
                if (is_listening(in))
                        return true;
        return false;
}

void containers_on_watcher_gone(struct containers *cs) {
        struct container *c;

        cs->stale_ns = now_ns();
        LIST_FOREACH (c, &cs->list, link) {
                c->is_stale = c->gone_ns == 0;
                c->info.serial = 0; /* the kernel lets pass whom it held */
        }
        begin_farewell(cs);
        give_up(cs);
}

void containers_init(struct containers *cs, struct supervisor *sup) {
        struct rlimit files;

        *cs = (struct containers){ .sup = sup, .pidfd = -1, .log_fd = -1 };
        /* The other half is for clients and instances. */
        cs->fds_max = getrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_cur / 2 : 0;
        askers_init(cs->askers, cs);
        LIST_INIT(&cs->netns_list);
        LIST_INIT(&cs->list);
        LIST_INIT(&cs->waits);
}

void containers_done(struct containers *cs) {
        if (!cs->sup)
                return;
        watcher_proc_done(cs);
        askers_done(cs->askers);
        loop_timer_clear(&cs->farewell);
        while (!LIST_EMPTY(&cs->list))
                container_free(cs, LIST_FIRST(&cs->list));
        containers_refuse_waiting(cs, NULL);
}
