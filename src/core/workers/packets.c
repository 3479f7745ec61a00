/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The workers: what a worker does with packets before its core sees them.
 *
 * A packet received goes to its owner (owner.c). At the owner a redirect may say
 * that its flow is at another worker still; there it stays, whatever comes, so a
 * packet changes hands twice at most, but for those that ask for a port.
 *
 * Causality: before a worker judges a packet it reads what others have told it.
 * A redirect is told before the packet that makes it necessary leaves the
 * gateway; its answer is received later, and handed over later still. So whoever
 * takes packets, from a device or out of a ring, takes them first, then reads the
 * messages, then judges.
 *
 * Fragments: all fragments of a packet meet at one worker, by addresses and
 * identification, and wait there for the first one. From then on each goes where
 * the flow is, with the first one's tuple.
 *
 * ARP: everybody gets a copy, so that every core knows the neighbours that it
 * asked for; only worker 0 answers, announces and defends addresses.
 *
 * Next: src/core/gateway.c
 */
#include "core/workers/workers.h"

#include <string.h>

#include "core/workers/take.h"
#include "stack/packet/stamp.h"

/* Packets that stay, on their way into the core: a batch an interface, as large as can be. Order counts within a
 * direction of a flow only, and that comes in by one interface. */
#define OPEN_BATCHES 4u
struct inbox {
	struct workers_member *w;
	uint64_t now;
	uint32_t n;       /* open */
	uint32_t ifindex; /* of the one used last; 0: none */
	struct batch *last;
	struct {
		uint32_t ifindex;
		struct batch batch;
	} open[OPEN_BATCHES];
	struct batch host; /* packets that the host made */
};

static void free_gone(struct workers_member *w)
{
	for (uint32_t i = 0; i < w->gone.n; i++)
		packet_free(w->env->pool, w->gone.p[i]);
	w->gone.n = 0;
}

static void inbox_enter(struct inbox *in, uint32_t ifindex, struct batch *b)
{
	if (b->n == 0)
		return;
	gateway_input(in->w->gw, ifindex, b, in->now);
	free_gone(in->w);
}

static void inbox_flush_host(struct inbox *in)
{
	if (in->host.n == 0)
		return;
	gateway_host_output(in->w->gw, &in->host, in->now);
	free_gone(in->w);
}

static void inbox_flush(struct inbox *in)
{
	for (uint32_t i = 0; i < in->n; i++)
		inbox_enter(in, in->open[i].ifindex, &in->open[i].batch);
	in->n = in->ifindex = 0;
	inbox_flush_host(in);
}

/* The open batch of an interface becomes the last one, with room for a packet. */
static void inbox_turn_to(struct inbox *in, uint32_t ifindex)
{
	uint32_t i = 0;

	while (i < in->n && in->open[i].ifindex != ifindex)
		i++;
	if (i == OPEN_BATCHES) {
		inbox_flush(in);
		i = 0;
	}
	if (i == in->n) {
		in->open[i].ifindex = ifindex;
		in->open[i].batch.n = 0;
		in->n++;
	}
	if (in->open[i].batch.n == BATCH_MAX)
		inbox_enter(in, ifindex, &in->open[i].batch);
	in->ifindex = ifindex;
	in->last = &in->open[i].batch;
}

static inline void inbox_add(struct inbox *in, uint32_t ifindex, struct packet *p)
{
	/* No likelihood is told: with it compilers think the caller's loop too rare to have this in it. */
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): no interface has the number 0, so there is a last one */
	if (in->ifindex != ifindex || in->last->n == BATCH_MAX)
		inbox_turn_to(in, ifindex);
	batch_add(in->last, p);
}

static void inbox_add_host(struct inbox *in, struct packet *p)
{
	if (in->host.n == BATCH_MAX)
		inbox_flush_host(in);
	batch_add(&in->host, p);
}

static void hand_on(struct inbox *in, uint32_t to, uint32_t ifindex, struct packet *p, const struct tuple *t,
		    uint8_t flags)
{
	struct handoff_meta way = { .tuple = *t, .ifindex = (uint8_t)ifindex, .flags = flags };

	(void)handoff_packet(in->w, to, p, &way, HANDOFF_FREE_COPIED);
}

/* At the owner: here, or where its flow is. */
static void settle(struct inbox *in, uint32_t ifindex, struct packet *p, const struct tuple *t)
{
	uint32_t to = in->w->redirects.pool.n_used == 0 ? in->w->id : workers_redirected(in->w, t);

	if (YG_LIKELY(to == in->w->id))
		inbox_add(in, ifindex, p);
	else
		hand_on(in, to, ifindex, p, t, HANDOFF_FINAL);
}

/* The same for a plain frame, where redirects may lead elsewhere. */
static void settle_led(struct inbox *in, uint32_t ifindex, struct packet *p)
{
	struct workers_member *w = in->w;
	uint32_t to = w->id;
	struct tuple t;

	if (owner_look_plain(&w->workers->owner, ifindex, packet_frame(p), p->len, &t))
		to = workers_redirected(w, &t);
	if (to == w->id)
		inbox_add(in, ifindex, p);
	else
		handoff_inline(w, to, p, ifindex, HANDOFF_FINAL);
}

/* The tuple is known; whose is it? */
static void route(struct inbox *in, uint32_t ifindex, struct packet *p, const struct tuple *t)
{
	uint32_t to = owner_of_tuple(&in->w->workers->owner, ifindex, t);

	if (to == in->w->id)
		settle(in, ifindex, p, t);
	else
		hand_on(in, to, ifindex, p, t, 0);
}

/* A fragment at the worker where the fragments of its packet meet. */
static void fragment(struct inbox *in, uint32_t ifindex, struct packet *p, const struct owner_view *v)
{
	struct workers_member *w = in->w;
	uint16_t zone = w->workers->owner.zone[ifindex];

	p->in_ifindex = ifindex;
	p->l3_off = ETHER_HEADER_LEN;
	/* One that does not hold together is refused by name in the core. */
	if (ipv4_parse(packet_l3(p), p->len - ETHER_HEADER_LEN, &p->ip) != IPV4_OK || !l4_needs_header(v->proto)) {
		route(in, ifindex, p, &v->tuple);
		return;
	}
	ct_fragment_arrive(w->fragments, w->env, p, zone);
	if (p->verdict == VERDICT_DROP)
		env_drop(w->env, p, (enum drop_reason)p->reason);
	if (p->verdict != VERDICT_CONTINUE)
		return;
	if (v->frag_off == 0) {
		struct ct_fragment_first first = { .fate = CT_FRAGMENT_TRACKED, .tuple = v->tuple };

		ct_fragment_judge(w->fragments, p, zone, &first);
		route(in, ifindex, p, &v->tuple);
	} else {
		struct ct_fragment_first first = ct_fragment_first_of(w->fragments, p, zone);

		route(in, ifindex, p, first.fate == CT_FRAGMENT_TRACKED ? &first.tuple : &v->tuple);
	}
	while ((p = ct_fragment_ready(w->fragments)) != NULL) {
		struct ct_fragment_first first = ct_fragment_first_of(w->fragments, p, zone);

		p->verdict = VERDICT_CONTINUE;
		p->next = NULL;
		route(in, p->in_ifindex, p, first.fate == CT_FRAGMENT_TRACKED ? &first.tuple : &v->tuple);
	}
}

/* One that is not plain. */
static void received(struct inbox *in, uint32_t ifindex, struct packet *p)
{
	struct workers_member *w = in->w;
	struct owner_view v;

	owner_look(&w->workers->owner, ifindex, packet_frame(p), p->len, &v);
	switch (v.kind) {
	case OWNER_FLOW:
		route(in, ifindex, p, &v.tuple);
		return;
	case OWNER_FRAGMENT: {
		uint32_t to = owner_of_fragment(&w->workers->owner, &v);

		if (to == w->id)
			fragment(in, ifindex, p, &v);
		else
			hand_on(in, to, ifindex, p, &v.tuple, HANDOFF_FRAGMENT);
		return;
	}
	case OWNER_ALL:
		handoff_copies(w, p, ifindex);
		break;
	case OWNER_NOBODY:
		break;
	}
	inbox_add(in, ifindex, p);
}

/* Whose they are, all of them first; then each goes its way. */
_Static_assert((uint8_t)OWNER_UNKNOWN == WORKERS_NOBODY && WORKERS_MAX <= WORKERS_NOBODY, "kept in a byte");
static void receive_all(struct inbox *in, uint32_t ifindex, struct batch *b)
{
	struct workers_member *w = in->w;
	uint8_t to[BATCH_MAX];

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];

		to[i] = (uint8_t)owner_of_plain(&w->workers->owner, ifindex, packet_frame(p), p->len);
	}
	for (uint32_t i = 0; i < b->n; i++) {
		if (YG_UNLIKELY(to[i] == WORKERS_NOBODY))
			received(in, ifindex, b->p[i]);
		else if (to[i] != w->id)
			handoff_inline(w, to[i], b->p[i], ifindex, 0);
		else if (YG_UNLIKELY(w->redirects.pool.n_used != 0))
			settle_led(in, ifindex, b->p[i]);
		else
			inbox_add(in, ifindex, b->p[i]);
	}
}

/* --- from other workers --- */

/* Nobody has a port for it, or it was refused for another reason: whoever was asked forgets the way. */
static void ask_failed(struct workers_member *w, const struct handoff_meta *way)
{
	for (uint32_t i = 0; i < w->workers->n; i++) {
		struct workers_message m = { .tuple = way->tuple,
					     .kind = WORKERS_REDIRECT_REMOVE,
					     .worker = (uint8_t)w->id,
					     .ifindex = way->ifindex };

		if ((way->asked >> i & 1) != 0 && i != w->id)
			(void)workers_tell(w, i, &m);
	}
}

/* By itself, with a note that it was handed over for want of something. */
static void judge_alone(struct inbox *in, const struct arrival *a)
{
	struct workers_member *w = in->w;

	inbox_flush(in);
	w->ask.p = a->p;
	w->ask.asked = a->way.asked;
	w->ask.settled = false;
	if (a->way.flags & WORKERS_HOST)
		inbox_add_host(in, a->p);
	else
		inbox_add(in, a->way.ifindex, a->p);
	inbox_flush(in);
	w->ask.p = NULL;
}

/* Its sender's mapping goes back with it, if there is one to be had. */
static void lease_mapping(struct inbox *in, struct arrival *a)
{
	struct workers_member *w = in->w;
	struct tuple inside = workers_inside(&a->way.tuple);
	struct nat_lease *lease = &a->way.lease;
	uint32_t to = workers_redirected(w, &inside);

	if (to == w->id) {
		lease->lessor = nat_lease_grant(gateway_nat(w->gw), &inside, lease) ? (uint8_t)(w->id + 1) : 0;
		a->way.flags = HANDOFF_FINAL | HANDOFF_LEASE;
		to = lease->lessee;
	}
	if (!handoff_packet(w, to, a->p, &a->way, HANDOFF_FREE_COPIED) && lease->lessor != 0)
		nat_lease_grant_end(gateway_nat(w->gw), &inside, lease->pool);
}

static void use_lease(struct inbox *in, struct arrival *a)
{
	struct nat *nat = gateway_nat(in->w->gw);
	struct tuple inside = workers_inside(&a->way.tuple);
	bool has_it = a->way.lease.lessor != 0 && nat_lease_take(nat, &inside, &a->way.lease);

	/* Without it a mapping of this worker's must do; nobody else is asked any more. */
	a->way.asked = UINT64_MAX;
	judge_alone(in, a);
	if (has_it)
		nat_lease_take_end(nat, &inside, a->way.lease.pool);
}

/* The host made it; here or where a redirect leads its flow is. */
static void judge_host(struct inbox *in, struct arrival *a)
{
	uint32_t to = a->way.flags & HANDOFF_FINAL ? in->w->id : workers_redirected(in->w, &a->way.tuple);

	if (to == in->w->id) {
		workers_host_restore(in->w, a->p, &a->way);
		inbox_add_host(in, a->p);
		return;
	}
	a->way.flags |= HANDOFF_FINAL;
	(void)handoff_packet(in->w, to, a->p, &a->way, HANDOFF_FREE_COPIED);
}

static void judge_arrival(struct inbox *in, struct arrival *a)
{
	struct owner_view v;

	if ((a->way.flags & WORKERS_HOST) && a->way.asked == 0) {
		judge_host(in, a);
	} else if (a->way.flags & HANDOFF_LEASE_WANTED) {
		lease_mapping(in, a);
	} else if (a->way.flags & HANDOFF_LEASE) {
		use_lease(in, a);
	} else if (a->way.asked != 0) {
		if (a->way.flags & WORKERS_HOST)
			workers_host_restore(in->w, a->p, &a->way);
		judge_alone(in, a);
		if (!in->w->ask.settled)
			ask_failed(in->w, &a->way);
	} else if (a->way.flags & HANDOFF_FINAL) {
		inbox_add(in, a->way.ifindex, a->p);
	} else if (a->way.flags & HANDOFF_FRAGMENT) {
		owner_look(&in->w->workers->owner, a->way.ifindex, packet_frame(a->p), a->p->len, &v);
		fragment(in, a->way.ifindex, a->p, &v);
	} else {
		settle(in, a->way.ifindex, a->p, &a->way.tuple);
	}
}

static inline void arrive(struct inbox *in, uint32_t from, struct workers_pair *pair, struct handoff_slot *slot)
{
	struct workers_member *w = in->w;
	struct arrival a;

	if (YG_LIKELY(slot->flags & HANDOFF_INLINE)) {
		struct packet *p = take_over(w, pair, slot);

		if (YG_UNLIKELY(p == NULL))
			return;
		if (env_traced(w->env))
			handoff_trace(w, TRACE_TAKEN_OVER, from, p, slot->ifindex);
		p->offload.csum_valid = (slot->flags & HANDOFF_CSUM_VALID) != 0;
		if (YG_UNLIKELY(slot->flags & HANDOFF_STAMPED))
			stamp_take(ip_stack_device(gateway_ip(w->gw), slot->ifindex), p);
		if (YG_UNLIKELY((slot->flags & HANDOFF_FINAL) == 0 && w->redirects.pool.n_used != 0))
			settle_led(in, slot->ifindex, p);
		else
			inbox_add(in, slot->ifindex, p);
		return;
	}
	a.p = slot->external == NULL ? take_over(w, pair, slot) : take_over_external(w, from, slot->external);
	if (a.p == NULL)
		return;
	if (env_traced(w->env))
		handoff_trace(w, TRACE_TAKEN_OVER, from, a.p, slot->way.ifindex);
	a.p->offload = slot->offload;
	a.way = slot->way;
	if (YG_LIKELY((a.way.flags & WORKERS_HOST) == 0))
		stamp_take(ip_stack_device(gateway_ip(w->gw), a.way.ifindex), a.p);
	judge_arrival(in, &a);
}

static void judge_takings(struct inbox *in, const struct takings *t)
{
	struct workers_member *w = in->w;

	w->env->ledger.n_taken_over += t->n;
	for (uint32_t k = 0; k < w->workers->n_members && t->n > 0; k++) {
		uint32_t from = (w->turn + k) % w->workers->n_members;
		struct workers_pair *pair = workers_pair(w->workers, from, w->id);

		for (uint32_t i = 0; i < t->of[from]; i++)
			arrive(in, from, pair, ring_at(&pair->packets, pair->n_open + i));
	}
}

/* What others have handed over, and what was just received on ifindex (b, may be NULL). */
static uint32_t judge_all(struct workers_member *w, uint32_t ifindex, struct batch *b, uint64_t now)
{
	struct inbox in;
	struct takings t;

	in.w = w;
	in.now = now;
	in.n = in.ifindex = in.host.n = 0;
	uint32_t n_returned = take_returns(w);
	see_packets(w, &t);
	workers_read_messages(w);
	if (b != NULL)
		receive_all(&in, ifindex, b);
	judge_takings(&in, &t);
	inbox_flush(&in);
	workers_publish(w);
	give_slots_back(w, &t);
	return t.n + n_returned;
}

/* One worker and a host: nothing has come from it, nothing of that is still to be given back, and nothing goes to it.
 */
static bool is_host_quiet(struct workers_member *w)
{
	struct workers_pair *from = workers_pair(w->workers, w->workers->n, w->id);

	return !w->slots_open && ring_ready_behind(&from->packets, from->n_open) == 0 &&
	       ring_ready(&from->messages) == 0 && w->n_external[w->workers->n] == 0 && (w->filled | w->touched) == 0;
}

static uint32_t poll_host_alone(struct workers_member *w, uint64_t now)
{
	return w->workers->n_members == 1 || is_host_quiet(w) ? 0 : judge_all(w, 0, NULL, now);
}

void workers_input(struct workers *c, uint32_t worker, uint32_t ifindex, struct batch *b, uint64_t now)
{
	struct workers_member *w = &c->worker[worker];
	uint64_t n_before = w->env->ledger.n_handed_over;
	uint32_t n = b->n;

	if (c->n == 1) {
		gateway_input(w->gw, ifindex, b, now);
		(void)poll_host_alone(w, now);
		return;
	}
	gateway_set_time(w->gw, now);
	/* A flow is at one worker only: what has a flow cache entry here need not be asked whose it is. Where many
	 * packets are others', the look-up in vain would cost more. */
	if (!w->mostly_foreign) {
		workers_read_messages(w);
		gateway_input_cached(w->gw, ifindex, b, now);
	}
	for (uint32_t i = 0; i < b->n; i++)
		prefetch_read(packet_frame(b->p[i]));
	(void)judge_all(w, ifindex, b, now);
	b->n = 0;
	w->mostly_foreign = (w->env->ledger.n_handed_over - n_before) * 4 > n;
}

uint32_t workers_poll(struct workers *c, uint32_t worker, uint64_t now)
{
	struct workers_member *w = &c->worker[worker];

	gateway_set_time(w->gw, now);
	if (worker == c->n)
		return workers_host_poll(w, now);
	return c->n == 1 ? poll_host_alone(w, now) : judge_all(w, 0, NULL, now);
}

void workers_expire(struct workers *c, uint32_t worker, uint64_t now)
{
	struct workers_member *w = &c->worker[worker];

	gateway_expire(w->gw, now);
	if (c->n_members == 1)
		return;
	if (w->fragments != NULL)
		ct_fragments_expire(w->fragments, w->env);
	workers_publish(w);
}

uint64_t workers_next_deadline(const struct workers *c, uint32_t worker)
{
	const struct workers_member *w = &c->worker[worker];
	uint64_t next = gateway_next_deadline(w->gw);

	return w->fragments == NULL ? next : min_u64(next, ct_fragments_deadline(w->fragments));
}

void workers_flush(struct workers *c, uint32_t worker, uint64_t now)
{
	gateway_flush(c->worker[worker].gw, now);
	if (c->n_members > 1)
		workers_publish(&c->worker[worker]);
}
