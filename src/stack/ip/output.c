/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The way out, for packets through us and from us.
 *
 *   ip_local_out   what has a flow cache entry goes by it; else route, OUTPUT, route
 *                  again, POSTROUTING. The host on a thread of its own only completes
 *                  the packet and hands it to a worker, which does all that (carrier)
 *   ip_output      POSTROUTING, then by the next hop: the link's broadcast or
 *                  group address (RFC 1112 section 6.4), or the neighbour's
 *   ip_transmit    the link address is known: large segments and partial
 *                  checksums are left to the device if it can, done here if not;
 *                  what is larger than the MTU is cut; then the frame waits in
 *                  the interface's batch
 *
 * A packet of ours is routed before OUTPUT, since rules there ask for its output
 * interface, and again behind it, since dnat may have changed its destination; where
 * OUTPUT is empty, once. A
 * packet that leads back to us waits in a list for ip_flush or ip_expire and comes in
 * again behind the checks of input.c; it may do so IP_LOOPS_MAX times.
 *
 * A packet is cut only here, last of all, so that hooks see whole packets and a
 * neighbour's queue holds one packet and not its fragments.
 *
 * Next: src/stack/ip/neigh.c (neigh_output); behind ip_transmit and ip_flush the
 * device (src/daemon/device/af_packet.c)
 */
#include <string.h>

#include "stack/ip/fragment.h"
#include "stack/ip/stack_priv.h"
#include "stack/packet/gso.h"
#include "stack/wire/rewrite.h"

#define TTL_DEFAULT 64

struct packet *ip_packet_new(struct ip_stack *s, uint32_t src, uint32_t dst, uint8_t proto, uint32_t l4_len)
{
	if (l4_len > UINT16_MAX - IPV4_HEADER_LEN)
		return NULL;
	struct packet *p = packet_alloc(s->env->pool, ETHER_HEADER_LEN + IPV4_HEADER_LEN + l4_len);

	if (p == NULL)
		return NULL;
	s->env->ledger.n_originated++;
	if (env_traced(s->env))
		trace_end(&s->env->trace, TRACE_MADE, p);
	memset(packet_frame(p), 0, ETHER_HEADER_LEN);
	p->l3_off = ETHER_HEADER_LEN;
	p->l4_off = ETHER_HEADER_LEN + IPV4_HEADER_LEN;
	p->ip = (struct ipv4_view){
		.src = src,
		.dst = dst,
		.total_len = (uint16_t)(IPV4_HEADER_LEN + l4_len),
		.id = (uint16_t)rng_u32(&s->env->rng),
		.header_len = IPV4_HEADER_LEN,
		.ttl = (uint8_t)(s->cfg->ttl != 0 ? s->cfg->ttl : TTL_DEFAULT),
		.proto = proto,
	};
	ip_packet_finish(p);
	return p;
}

void ip_packet_finish(struct packet *p)
{
	ipv4_emit(packet_l3(p), &p->ip);
}

/* Queues. */

void ip_queue_send(struct ip_stack *s, uint32_t ifindex)
{
	struct ip_interface *ifc = &s->interface[ifindex];

	s->tx_pending &= ~(UINT64_C(1) << ifindex);
	if (ifc->tx.n == 0)
		return;
	struct stage_stats *outer = stage_enter(&s->env->stages, STAGE_SEND, ifc->tx.n);

	if (env_traced(s->env))
		trace_batch(&s->env->trace, &(struct trace_step){ .kind = TRACE_SENT, .ifindex = ifindex }, &ifc->tx);
	ifc->dev->ops->tx(ifc->dev, &ifc->tx);
	stage_leave(&s->env->stages, outer);
}

void ip_queue_frame(struct ip_stack *s, uint32_t ifindex, struct packet *p)
{
	struct ip_interface *ifc = &s->interface[ifindex];

	if (YG_UNLIKELY(ifc->dev == NULL || !ifc->dev->up)) {
		env_drop(s->env, p, DROP_TX_DOWN);
		return;
	}
	batch_add(&ifc->tx, p);
	s->tx_pending |= UINT64_C(1) << ifindex;
	if (ifc->tx.n == BATCH_MAX)
		ip_queue_send(s, ifindex);
}

void ip_queue_drop(struct ip_stack *s, uint32_t ifindex)
{
	struct ip_interface *ifc = &s->interface[ifindex];

	s->tx_pending &= ~(UINT64_C(1) << ifindex);
	for (uint32_t i = 0; i < ifc->tx.n; i++)
		env_drop(s->env, ifc->tx.p[i], DROP_TX_DOWN);
	ifc->tx.n = 0;
}
_Static_assert(IP_INTERFACES_MAX <= 64, "tx_pending has a bit an interface");

void ip_flush(struct ip_stack *s)
{
	ip_loop_run(s);
	while (s->tx_pending != 0)
		ip_queue_send(s, (uint32_t)__builtin_ctzll(s->tx_pending));
}

/* From the packet to frames. */

static void queue_ipv4(struct ip_stack *s, struct packet *p, const struct ether_addr *to)
{
	const struct device *dev = s->interface[p->out_ifindex].dev;
	struct ether_view eth = { .dst = *to, .src = dev->mac, .type = ETHERTYPE_IPV4 };

	if (p->offload.csum_partial && (dev->caps & DEVICE_CAP_CSUM) == 0)
		offload_finish_checksum(p);
	ether_emit(packet_frame(p), &eth);
	ip_queue_frame(s, p->out_ifindex, p);
}

/* Fragments of one fragment, when a packet has more than a batch takes. */
#define CUT_TWICE 32u

/* Cuts p to mtu. A packet of very many fragments is cut into large ones first. */
static void transmit_cut(struct ip_stack *s, struct packet *p, uint32_t mtu, const struct ether_addr *to)
{
	struct batch out = { .n = 0 };
	uint32_t step = mtu;

	if (ip_fragment_count(p, mtu) > BATCH_MAX)
		step = p->ip.header_len + CUT_TWICE * ((mtu - p->ip.header_len) & ~7u);
	if (ip_fragment(s->env, p, step, &out) == 0) {
		env_drop(s->env, p, DROP_NO_BUFFER);
		return;
	}
	if (env_traced(s->env))
		trace_pieces(&s->env->trace, p->index, &out);
	for (uint32_t i = 0; i < out.n; i++) {
		if (out.p[i]->ip.total_len > mtu)
			transmit_cut(s, out.p[i], mtu, to);
		else
			queue_ipv4(s, out.p[i], to);
	}
}

/* No large segment any more. */
static void transmit_plain(struct ip_stack *s, struct packet *p, uint32_t mtu, const struct ether_addr *to)
{
	if (YG_LIKELY(p->ip.total_len <= mtu)) {
		queue_ipv4(s, p, to);
		return;
	}
	if (p->ip.df) {
		/* Ours (the sender was asked to look first), or the MTU shrank since forward.c looked. */
		if (p->forwarded)
			icmp_send_error(s, p, ICMP_DEST_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED, mtu);
		env_drop(s->env, p, DROP_MTU_EXCEEDED);
		return;
	}
	/* A fragment has no checksum of its own. */
	if (p->offload.csum_partial)
		offload_finish_checksum(p);
	transmit_cut(s, p, mtu, to);
}

static void transmit_segments(struct ip_stack *s, struct packet *p, uint32_t mtu, const struct ether_addr *to)
{
	while (p != NULL) {
		struct batch out = { .n = 0 };
		uint32_t large = p->index;

		if (gso_segment_some(s->env->pool, &s->env->ledger, &p, &out) == 0) {
			env_drop(s->env, p, DROP_NO_BUFFER);
			return;
		}
		if (env_traced(s->env))
			trace_pieces(&s->env->trace, large, &out);
		for (uint32_t i = 0; i < out.n; i++)
			transmit_plain(s, out.p[i], mtu, to);
	}
}

/* No link, and no other way: as if the neighbour did not answer (RFC 1812 section 5.2.7.1). */
static void refuse_down(struct ip_stack *s, struct packet *p)
{
	if (p->forwarded)
		icmp_send_error(s, p, ICMP_DEST_UNREACHABLE, ICMP_HOST_UNREACHABLE, 0);
	env_drop(s->env, p, DROP_TX_DOWN);
}

void ip_transmit(struct ip_stack *s, struct packet *p, const struct ether_addr *to)
{
	const struct device *dev = s->interface[p->out_ifindex].dev;

	if (YG_UNLIKELY(dev == NULL || !dev->up)) {
		refuse_down(s, p);
		return;
	}
	uint32_t mtu = ip_mtu(s, p->out_ifindex);

	if (p->offload.gso_type == GSO_NONE)
		transmit_plain(s, p, mtu, to);
	else if (device_cuts(dev->caps, p->offload.gso_type) && offload_segment_len(p) <= mtu)
		queue_ipv4(s, p, to);
	else
		transmit_segments(s, p, mtu, to);
}

/* By the next hop. */

static void loop_push(struct ip_stack *s, struct packet *p)
{
	if (++p->n_loops > IP_LOOPS_MAX) {
		env_drop(s->env, p, DROP_LOOP);
		return;
	}
	if (!packet_copy_on_hold(s->env->pool, p)) {
		env_drop(s->env, p, DROP_NO_BUFFER);
		return;
	}
	p->next = NULL;
	*(s->loop_first == NULL ? &s->loop_first : &s->loop_last->next) = p;
	s->loop_last = p;
}

/* The sender is told when it could have sent p to the next hop itself: both are on the link that p came by and goes out
 * by again, and nothing was translated, since behind NAT it would learn a way round the gateway. */
static void redirect_sender(struct ip_stack *s, const struct packet *p)
{
	const struct ip_interface_config *c = ip_interface_cfg(s, p->in_ifindex);

	if (p->translated || p->next_hop == p->ip.src)
		return;
	for (uint32_t i = 0; i < c->n_addresses; i++) {
		struct ip4_prefix net = { c->address[i].addr, c->address[i].prefix_len };

		if (!ip4_in(p->ip.src, net) || !ip4_in(p->next_hop, net))
			continue;
		(void)icmp_send_error(s, p, ICMP_REDIRECT, ICMP_REDIRECT_HOST, p->next_hop);
		return;
	}
}

void ip_loop_cached(struct ip_stack *s, struct packet *p)
{
	p->cached = true;
	loop_push(s, p);
}

static void output_one(struct ip_stack *s, struct packet *p)
{
	const struct device *dev = ip_stack_device(s, p->out_ifindex);

	if (YG_UNLIKELY(p->forwarded && p->in_ifindex == p->out_ifindex &&
			ip_interface_cfg(s, p->in_ifindex)->redirects))
		redirect_sender(s, p);

	if (p->to_us) {
		loop_push(s, p);
		return;
	}
	if (YG_UNLIKELY(dev == NULL || !dev->up)) {
		refuse_down(s, p);
		return;
	}
	if (YG_UNLIKELY(ip4_is_multicast(p->ip.dst))) {
		struct ether_addr to = ip_group_address(p->ip.dst);

		ip_transmit(s, p, &to);
		return;
	}
	if (YG_UNLIKELY(p->is_broadcast))
		ip_transmit(s, p, &ether_broadcast);
	else
		neigh_output(s, p);
}

void ip_output(struct ip_stack *s, struct batch *b)
{
	hook_run(s->env, &s->hook[HOOK_POSTROUTING], HOOK_POSTROUTING, b);
	if (b->n == 0)
		return;
	struct stage_stats *outer = stage_enter(&s->env->stages, STAGE_OUTPUT, b->n);

	for (uint32_t i = 0; i < b->n; i++)
		output_one(s, b->p[i]);
	b->n = 0;
	stage_leave(&s->env->stages, outer);
}

/* From us. */

/* Routes that lead nowhere. For a packet of ours there is nobody to tell. */
static const uint16_t drop_of_route[] = {
	[FIB_NONE] = DROP_NO_ROUTE,
	[FIB_TRANSLATED] = DROP_NAT_NO_MAPPING,
	[FIB_BLACKHOLE] = DROP_ROUTE_BLACKHOLE,
	[FIB_UNREACHABLE] = DROP_ROUTE_UNREACHABLE,
	[FIB_PROHIBIT] = DROP_ROUTE_PROHIBIT,
};

enum route_pass {
	PASS_BEFORE_OUTPUT, /* dnat may yet lead it elsewhere */
	PASS_BEHIND_OUTPUT,
};

/* To a group or to all: by the interface that its maker chose, or by the route. */
static void route_out_many(const struct ip_stack *s, struct packet *p)
{
	const struct fib_nexthop *nh = ip_route(s, p->zone, p->ip.dst);

	p->next_hop = p->ip.dst;
	p->is_broadcast = !ip4_is_multicast(p->ip.dst);
	if (p->out_ifindex != 0)
		return;
	if (p->is_broadcast || nh->kind != FIB_UNICAST)
		packet_set_drop(p, DROP_NO_ROUTE);
	else
		p->out_ifindex = nh->ifindex;
}

static uint32_t route_out(const struct ip_stack *s, struct packet *p, enum route_pass pass)
{
	uint32_t dst = p->ip.dst;

	p->to_us = p->is_broadcast = false;
	if (ip4_is_multicast(dst) || ip4_is_limited_broadcast(dst)) {
		route_out_many(s, p);
		return ip_source_for(s, p->out_ifindex, dst);
	}
	struct fib_nexthop room;
	const struct fib_nexthop *nh = YG_LIKELY(p->bound_ifindex == 0)
					       ? ip_choose_path(ip_fib_route(s, p->zone, dst), p)
					       : ip_route_bound(s, p, &room);

	p->out_ifindex = 0;
	if (nh->kind == FIB_LOCAL || ip4_is_loopback(dst)) {
		p->to_us = true;
		return dst;
	}
	switch ((enum fib_kind)nh->kind) {
	case FIB_UNICAST:
	case FIB_BROADCAST:
		p->out_ifindex = nh->ifindex;
		p->next_hop = nh->gateway.v4 != 0 ? nh->gateway.v4 : dst;
		p->is_broadcast = nh->kind == FIB_BROADCAST;
		return nh->source.v4 != 0 ? nh->source.v4 : ip_source_for(s, nh->ifindex, p->next_hop);
	default:
		break;
	}
	/* It may be the address that a reply goes to before NAT puts the right one there. */
	if (pass == PASS_BEHIND_OUTPUT)
		packet_set_drop(p, (enum drop_reason)drop_of_route[nh->kind]);
	return 0;
}

static void fill_source(struct packet *p, uint32_t src)
{
	struct rewrite to = {
		.src = src,
		.dst = p->ip.dst,
		.sport = p->l4.kind == L4_ICMP_QUERY ? p->l4.id : p->l4.sport,
		.dport = p->l4.dport,
	};
	enum rewrite_check check = p->ip.frag_off != 0       ? REWRITE_CHECK_NONE
				   : p->offload.csum_partial ? REWRITE_CHECK_PARTIAL
							     : REWRITE_CHECK_FULL;

	rewrite_packet(packet_l3(p), &p->ip, &p->l4, &to, check);
}

/* What its maker left to the route: the source, and the interface of what is for many. */
static void complete(struct ip_stack *s, struct packet *p)
{
	if (p->ip.src != 0 && !ip4_is_multicast(p->ip.dst) && !ip4_is_limited_broadcast(p->ip.dst))
		return;
	uint32_t src = route_out(s, p, PASS_BEFORE_OUTPUT);

	if (p->ip.src == 0 && p->verdict == VERDICT_CONTINUE)
		fill_source(p, src != 0 ? src : ip_source_for(s, 0, p->ip.dst));
}

static void output_cached(struct ip_stack *s, struct batch *b)
{
	struct stage_stats *outer = stage_enter(&s->env->stages, STAGE_FLOWCACHE, b->n);

	s->flowcache.output(s->flowcache_ctx, b);
	stage_leave(&s->env->stages, outer);
}

static void route_out_all(struct ip_stack *s, struct batch *b, enum route_pass pass)
{
	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];

		route_out(s, p, pass);
		/* As a raw socket may have written it (RFC 1122 section 3.2.1.3 g). */
		if (YG_UNLIKELY(ip4_is_loopback(p->ip.src)) && pass == PASS_BEHIND_OUTPUT && !p->to_us)
			packet_set_drop(p, DROP_IP_SOURCE_MARTIAN);
	}
	for (uint32_t i = 0; i < b->n && env_traced(s->env) && pass == PASS_BEHIND_OUTPUT; i++)
		ip_trace_route(s, b->p[i], ip_fib_route(s, b->p[i]->zone, b->p[i]->ip.dst));
	batch_settle(b, s->env->pool, &s->env->ledger);
}

/* A route for each, behind OUTPUT if anybody hangs there. */
static void route_through_output(struct ip_stack *s, struct batch *b)
{
	if (s->hook[HOOK_OUTPUT].n > 0) {
		route_out_all(s, b, PASS_BEFORE_OUTPUT);
		hook_run(s->env, &s->hook[HOOK_OUTPUT], HOOK_OUTPUT, b);
	}
	route_out_all(s, b, PASS_BEHIND_OUTPUT);
}

void ip_local_out(struct ip_stack *s, struct batch *b)
{
	struct stage_stats *outer = stage_enter(&s->env->stages, STAGE_ORIGIN, b->n);

	for (uint32_t i = 0; i < b->n; i++)
		complete(s, b->p[i]);
	batch_settle(b, s->env->pool, &s->env->ledger);
	if (s->carrier.carry != NULL) {
		s->carrier.carry(s->carrier.ctx, b);
		stage_leave(&s->env->stages, outer);
		return;
	}
	if (s->flowcache.output != NULL)
		output_cached(s, b);
	if (b->n > 0)
		route_through_output(s, b);
	stage_leave(&s->env->stages, outer);
	if (b->n > 0)
		ip_output(s, b);
}

void ip_local_out_one(struct ip_stack *s, struct packet *p)
{
	struct batch b = { .n = 1, .p = { p } };

	ip_local_out(s, &b);
}
