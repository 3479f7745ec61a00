/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The host among the workers: the member of a worker group that has sockets and no devices.
 * It is a core of ip and sockets alone, on a thread of its own.
 *
 * To it: a worker has done with a packet all that a gateway does up to INPUT, and hands
 * it over through the ring between them. The host may be at something that takes a
 * second, so what it has costs the worker nothing that others need: a small frame is copied
 * into the ring, a large one into the worker's own memory, never a driver's, and only so
 * many of them; when there is no room the packet is dropped by name.
 *
 * From it: a packet goes to the worker that its answer would come to, since there is
 * its connection, its port and its mapping. Which one that is says the one function that
 * says it of all packets (owner.h), asked about the answer: the tuple turned round. Where
 * the connection is another's for all that, a redirect leads there, as for what comes in
 * (redirect.c). At its worker a packet of the host is routed, and meets OUTPUT and
 * all that follows, like any packet that is made there.
 *
 * So the host has no tables of connections, and what others do cannot fill them. Its
 * timers are looked at between two batches of 64.
 *
 * Next: src/stack/ip/host.c
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/workers/take.h"
#include "stack/ip/local.h"
#include "stack/ports/ports.h"

/* Large packets of a worker that the host has: in all, and of those with one of the few large buffers. */
#define HOST_EXTERNAL_MAX 256u
#define HOST_EXTERNAL_LARGE_MAX 16u

/* The bytes of p are not a driver's and not a ring's, and few enough of them are away. */
static bool may_lend(struct workers_member *w, struct packet *p)
{
	uint32_t n_external = w->n_external[w->workers->n];

	if (n_external >= HOST_EXTERNAL_MAX || !packet_copy_on_hold(w->env->pool, p))
		return false;
	return !p->buf_large || n_external < HOST_EXTERNAL_LARGE_MAX;
}

/* Slot of a worker's stack. */
static bool to_host(void *ctx, struct packet *p)
{
	struct workers_member *w = ctx;
	bool small = p->len <= HANDOFF_FRAME_BYTES;
	struct handoff_meta way = {
		.since = w->env->now,
		.ifindex = (uint8_t)p->in_ifindex,
		.host = { .zone = p->zone, .is_broadcast = p->is_broadcast, .link_group = p->link_group },
	};

	p->stamp.present = false;
	if ((!small && !may_lend(w, p)) || !handoff_packet(w, w->workers->n, p, &way, HANDOFF_KEEP_COPIED)) {
		packet_set_drop(p, DROP_HOST_BUSY);
		return false;
	}
	if (small) {
		packet_free(w->env->pool, p);
		return true;
	}
	/* It waits where nobody asks what it belongs to. */
	if (p->conn_unconfirmed)
		conntrack_packet_put(gateway_conntrack(w->gw), p);
	p->conn_ref = CONN_NONE;
	return true;
}

void workers_host_note(struct handoff_meta *way, const struct packet *p)
{
	way->flags |= WORKERS_HOST;
	way->host.zone = p->zone;
	way->host.bound_ifindex = p->bound_ifindex;
	way->host.mark = p->mark;
}

static void carry_one(struct workers_member *w, struct packet *p)
{
	const struct workers *c = w->workers;
	struct ether_view eth = { .type = ETHERTYPE_IPV4 };
	struct owner_view v;
	struct handoff_meta way = {
		.host = { .cookie = (uint32_t)p->held_since,
			  .out_ifindex =
				  (uint8_t)(p->is_broadcast || ip4_is_multicast(p->ip.dst) ? p->out_ifindex : 0) },
	};
	uint32_t to = 0;

	workers_host_note(&way, p);
	/* Its addresses are seen in the frame, as of one that came in. */
	ether_emit(packet_frame(p), &eth);
	if (c->n > 1) {
		owner_look(&c->owner, 0, packet_frame(p), p->len, &v);
		v.tuple.zone = p->zone;
		way.tuple = tuple_invert(&v.tuple);
		to = owner_of_tuple(&c->owner, 0, &way.tuple);
	}
	(void)handoff_packet(w, to, p, &way, HANDOFF_FREE_COPIED);
}

/* Slots of the host's stack: this, and tell_group. */
static void carry(void *ctx, struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++)
		carry_one(ctx, b->p[i]);
	b->n = 0;
}

/* The answer to what is told of here comes later, whichever worker it comes by: who asked hears of this first. */
static void tell_sent(struct workers_member *w, uint32_t cookie)
{
	struct workers_message m = { .sent = { .at = w->env->now, .cookie = cookie }, .kind = WORKERS_SENT };

	(void)workers_tell(w, w->workers->n, &m);
}

void workers_host_restore(struct workers_member *w, struct packet *p, const struct handoff_meta *way)
{
	p->zone = way->host.zone;
	p->out_ifindex = way->host.out_ifindex;
	p->bound_ifindex = way->host.bound_ifindex;
	p->mark = way->host.mark;
	if (way->host.cookie != 0)
		tell_sent(w, way->host.cookie);
}

static void tell_group(void *ctx, uint32_t ifindex, uint32_t group, bool joined)
{
	struct workers_member *w = ctx;
	struct workers_message m = {
		.tuple = { .dst = group }, .kind = WORKERS_GROUP, .worker = joined, .ifindex = (uint8_t)ifindex
	};

	for (uint32_t to = 0; to < w->workers->n; to++)
		(void)workers_tell(w, to, &m);
}

/* --- by the host --- */

static void arrive(struct workers_member *w, uint32_t from, struct workers_pair *pair, struct handoff_slot *slot,
		   struct batch *b)
{
	struct packet *p =
		slot->external == NULL ? take_over(w, pair, slot) : take_over_external(w, from, slot->external);

	if (p == NULL)
		return;
	if (env_traced(w->env))
		handoff_trace(w, TRACE_TAKEN_OVER, from, p, slot->way.ifindex);
	p->offload = slot->offload;
	p->in_ifindex = slot->way.ifindex;
	p->zone = slot->way.host.zone;
	p->is_broadcast = slot->way.host.is_broadcast;
	p->link_group = slot->way.host.link_group;
	p->held_since = slot->way.since;
	batch_add(b, p);
}

uint32_t workers_host_poll(struct workers_member *w, uint64_t now)
{
	struct batch b = { .n = 0 };
	struct takings t;
	uint32_t n_returned = take_returns(w);

	see_packets(w, &t);
	workers_read_messages(w);
	w->env->ledger.n_taken_over += t.n;
	for (uint32_t k = 0; k < w->workers->n && t.n > 0; k++) {
		uint32_t from = (w->turn + k) % w->workers->n;
		struct workers_pair *pair = workers_pair(w->workers, from, w->id);

		for (uint32_t i = 0; i < t.of[from]; i++)
			arrive(w, from, pair, ring_at(&pair->packets, pair->n_open + i), &b);
	}
	if (b.n > 0)
		gateway_host_input(w->gw, &b, now);
	workers_publish(w);
	give_slots_back(w, &t);
	return t.n + n_returned;
}

/* --- its life --- */

/* Messages that wait for room: each group once for each worker, there and back. */
static bool create_backlog(struct workers_member *w)
{
	w->backlog_cap = 2 * IP_GROUPS_MAX * w->workers->n;
	w->backlog = calloc(w->backlog_cap, sizeof(*w->backlog));
	return w->backlog != NULL;
}

int workers_add_host(struct workers *c, const struct gateway_limits *limits, const uint8_t seed[RNG_SEED_BYTES],
		     uint64_t now, event_fn *emit, void *emit_ctx)
{
	struct workers_member *w = &c->worker[c->n];

	w->workers = c;
	w->id = c->n;
	/* Its routes are those of the workers, who change them. */
	w->gw = gateway_create_of(1u << GATEWAY_IP | 1u << GATEWAY_SOCKETS, limits, seed, now, emit, emit_ctx);
	if (w->gw == NULL || !create_backlog(w))
		return -ENOMEM;
	w->env = gateway_env(w->gw);
	ports_share_sockets(gateway_ports(w->gw), gateway_ports(c->worker[0].gw));
	for (uint32_t i = 0; i < c->n; i++) {
		if (workers_pair_init(workers_pair(c, i, w->id)) != 0 ||
		    workers_pair_init(workers_pair(c, w->id, i)) != 0)
			return -ENOMEM;
	}
	c->n_members = c->n + 1;
	gateway_end_module(c->worker[0].gw, GATEWAY_SOCKETS);
	for (uint32_t i = 0; i < c->n; i++) {
		struct ip_host_slots slots = { .ctx = &c->worker[i], .wants = &c->wants, .hand_over = to_host };

		ip_stack_set_host(gateway_ip(c->worker[i].gw), &slots);
	}
	struct ip_carrier_slots carrier = { .ctx = w, .wants = &c->wants, .carry = carry, .group = tell_group };

	ip_stack_set_share(gateway_ip(w->gw), c->n, c->n + 1);
	ip_stack_be_host(gateway_ip(w->gw), &carrier);
	return 0;
}

/* Nothing is ever sent by it. */
static void face_tx(struct device *d, struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++)
		packet_drop(d->pool, d->ledger, b->p[i], DROP_TX_DOWN);
	b->n = 0;
}

static const struct device_ops face_ops = { .driver = "host", .tx = face_tx };

void workers_show_device(struct workers *c, uint32_t ifindex, const struct device *d, uint64_t now)
{
	struct device *face = &c->face[ifindex];
	bool was_there = face->ops != NULL;

	if (c->n_members == c->n)
		return;
	struct gateway *host = c->worker[c->n].gw;

	if (d == NULL) {
		gateway_attach(host, ifindex, NULL, now);
		*face = (struct device){ .ops = NULL };
		return;
	}
	face->ops = &face_ops;
	memcpy(face->name, d->name, sizeof(face->name));
	face->mac = d->mac;
	face->mtu = d->mtu;
	face->up = d->up;
	if (was_there)
		gateway_device_changed(host, ifindex, now);
	else
		gateway_attach(host, ifindex, face, now);
}
