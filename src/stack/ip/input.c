/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An IPv4 packet is looked at once, here, or where the flow cache did so if it is a
 * plain one (packet.parsed). Behind ip_input the views ip, l4 and options hold what
 * the bytes say, every length has been checked, and the frame is exactly as long as
 * the packet (Ethernet padding is cut off).
 *
 * Refused, each by its name: what RFC 1122 section 3.2.1 and RFC 1812 section
 * 4.2.2 and 5.3.7 call wrong in a header; addresses that cannot be on a wire;
 * a source that is ours; a source that cannot have come in here (RFC 3704: the
 * route back to it leaves by another interface, so it is spoofed); a packet for one host in a frame for many (RFC 1122
 * section 3.3.6); source routes (RFC 7126 section 4.3). A bad option is answered by ICMP 12/0.
 *
 * The checksum of an ICMP message is checked here, since our own errors and
 * NAT's work lean on what it quotes. Those of TCP and UDP are the receiver's
 * business, and conntrack's where a packet changes a connection's state.
 *
 * Behind PREROUTING the packet's destination, as it is by then, decides: to us,
 * through us, or refused by the route. Both ways keep the order of the batch. Which
 * zone's routing table is asked: that of the interface, unless the packet belongs to
 * a connection; an answer goes by the table of the zone in which its connection began.
 *
 * A packet that our own output sent to us comes in here too, by ip_loop_run,
 * behind the checks: its views are valid, and its interface number is 0. If the flow
 * cache sent it, it is with its receiver at once.
 *
 * Next: PREROUTING, whose first entries are src/gateway/conntrack/hooks.c and
 * src/gateway/nat/hooks.c; then, routed, src/stack/ip/forward.c or src/stack/ip/local.c
 */
#include "stack/ip/stack_priv.h"
#include "stack/packet/gso.h"
#include "stack/wire/igmp.h"

static const uint16_t drop_of_ipv4_error[] = {
	[IPV4_SHORT] = DROP_IP_SHORT,
	[IPV4_VERSION] = DROP_IP_VERSION,
	[IPV4_HEADER_LENGTH] = DROP_IP_HEADER_LENGTH,
	[IPV4_TOTAL_LENGTH] = DROP_IP_TOTAL_LENGTH,
	[IPV4_CHECKSUM] = DROP_IP_CHECKSUM,
	[IPV4_FRAGMENT] = DROP_IP_FRAGMENT_BAD,
};

enum drop_reason ip_drop_of_l4(enum l4_error err)
{
	static const uint16_t reason[] = {
		[L4_TCP_HEADER] = DROP_TCP_HEADER,   [L4_UDP_HEADER] = DROP_UDP_HEADER,
		[L4_ICMP_HEADER] = DROP_ICMP_HEADER, [L4_UDPLITE_HEADER] = DROP_UDPLITE_HEADER,
		[L4_DCCP_HEADER] = DROP_DCCP_HEADER, [L4_SCTP_HEADER] = DROP_SCTP_HEADER,
	};

	return (enum drop_reason)reason[err];
}

static bool has_offload(const struct packet *p)
{
	return p->offload.csum_partial || p->offload.gso_type != GSO_NONE;
}

static bool is_finished_here(const struct packet *p)
{
	uint32_t at = p->l4.kind == L4_SCTP      ? SCTP_CHECK_AT
		      : p->l4.kind == L4_DCCP    ? DCCP_CHECK_AT
		      : p->l4.kind == L4_UDPLITE ? UDP_CHECK_AT
						 : 0;

	return at != 0 && p->offload.gso_type == GSO_NONE && p->offload.csum_start == p->l4_off &&
	       p->offload.csum_offset == at;
}

/* A large segment or partial checksum is passed on to a driver, so it must be
 * what it says. A partial checksum inside the payload (a tunnel's) is finished,
 * as nobody behind here knows where it is; so is that of a transport whose sum no
 * driver of ours can be asked for (a CRC, a part of the packet). */
static bool offload_ok(struct packet *p)
{
	if (ipv4_is_fragment(&p->ip))
		return false;
	if (offload_sane(p))
		return true;
	if (is_finished_here(p)) {
		l4_checksum_set(&p->ip, packet_l4(p), packet_l4_len(p));
		p->offload = (struct offload){ .csum_valid = true };
		return true;
	}
	if (p->offload.gso_type != GSO_NONE || p->offload.csum_start < p->l4_off + p->l4.header_len ||
	    !offload_finish_checksum(p))
		return false;
	p->offload.csum_valid = false;
	return true;
}

/* False with the verdict set. */
static bool parse(struct packet *p)
{
	enum ipv4_error err3 = ipv4_parse(packet_l3(p), p->len - p->l3_off, &p->ip);

	if (YG_UNLIKELY(err3 != IPV4_OK)) {
		packet_set_drop(p, (enum drop_reason)drop_of_ipv4_error[err3]);
		return false;
	}
	p->len = (uint32_t)p->l3_off + p->ip.total_len;
	p->l4_off = (uint16_t)(p->l3_off + p->ip.header_len);
	/* Whoever asks before the fragments are put together (a chain that stands there) is to find nothing of another
	 * packet. */
	if (YG_UNLIKELY(ipv4_is_fragment(&p->ip)))
		p->datagram_serial = 0;
	enum l4_error err4 = l4_parse(&p->ip, packet_l4(p), packet_l4_len(p), &p->l4);

	if (YG_UNLIKELY(err4 != L4_OK)) {
		packet_set_drop(p, ip_drop_of_l4(err4));
		return false;
	}
	return true;
}

/* False with the verdict set. */
static bool read_headers(struct packet *p)
{
	if (!p->parsed && !parse(p))
		return false;
	if (YG_UNLIKELY(has_offload(p)) && !offload_ok(p)) {
		packet_set_drop(p, DROP_OFFLOAD_BAD);
		return false;
	}
	return true;
}

/* Asked here, before anything that counts or keeps what a source does; what takes a flow cache entry was asked by then,
 * since its first packets came this way by the same interface. */
static bool fits(enum ip_rpf how, uint32_t ifindex, const struct fib_route *back)
{
	switch (how) {
	case IP_RPF_STRICT:
		return back->nexthop.kind == FIB_UNICAST && (back->from >> ifindex & 1) != 0;
	case IP_RPF_LOOSE:
		return back->nexthop.kind == FIB_UNICAST;
	case IP_RPF_OFF:
		break;
	}
	return true;
}

/* An interface that several zones send by gets the answers to all of them: a route back in any of those will do. */
static bool route_back_fits(const struct ip_stack *s, enum ip_rpf how, uint32_t ifindex, uint32_t src,
			    const struct fib_route *back)
{
	if (YG_LIKELY(fits(how, ifindex, back)))
		return true;
	for (uint64_t zones = ip_interface_cfg(s, ifindex)->used_by; zones != 0; zones &= zones - 1) {
		if (fits(how, ifindex, ip_fib_route(s, s->cfg->zone[__builtin_ctzll(zones)].number, src)))
			return true;
	}
	return false;
}

bool ip_leads_back(const struct ip_stack *s, const struct packet *p)
{
	return route_back_fits(s, IP_RPF_STRICT, p->in_ifindex, p->ip.src, ip_fib_route(s, p->zone, p->ip.src));
}

bool ip_source_fits(const struct ip_stack *s, uint32_t ifindex, uint32_t src, const struct fib_route *back)
{
	const struct ip_interface_config *c = ip_interface_cfg(s, ifindex);

	if (c->zone != 0)
		back = ip_fib_route(s, c->zone, src);
	return back->nexthop.kind != FIB_LOCAL && back->nexthop.kind != FIB_BROADCAST &&
	       route_back_fits(s, (enum ip_rpf)c->rpf, ifindex, src, back);
}

/* A switch that asks in the absence of a router has no address (RFC 4541 section 2.1.1). */
static bool is_query_of_switch(const struct packet *p)
{
	return p->ip.proto == IPPROTO_NR_IGMP && p->ip.src == 0 && ip4_is_multicast(p->ip.dst);
}

/* RFC 1812 section 5.3.7 and 5.3.8, RFC 1122 section 3.2.1.3 and 3.3.6. back: the route to the source. */
static bool check_addresses(const struct ip_stack *s, struct packet *p, const struct fib_route *back)
{
	enum fib_kind src_kind = (enum fib_kind)back->nexthop.kind;
	uint32_t src = p->ip.src, dst = p->ip.dst;

	if (YG_UNLIKELY(!ip4_is_unicast(src))) {
		if (is_query_of_switch(p))
			return true;
		packet_set_drop(p, DROP_IP_SOURCE_MARTIAN);
		return false;
	}
	if (YG_UNLIKELY(src_kind == FIB_LOCAL || src_kind == FIB_BROADCAST)) {
		packet_set_drop(p, src_kind == FIB_LOCAL ? DROP_IP_SOURCE_OURS : DROP_IP_SOURCE_MARTIAN);
		return false;
	}
	if (YG_UNLIKELY(dst == 0 || ip4_is_loopback(dst))) {
		packet_set_drop(p, DROP_IP_DEST_MARTIAN);
		return false;
	}
	if (YG_UNLIKELY(!route_back_fits(s, (enum ip_rpf)ip_interface_cfg(s, p->in_ifindex)->rpf, p->in_ifindex, src,
					 back))) {
		packet_set_drop(p, DROP_RPF);
		return false;
	}
	if (YG_UNLIKELY(p->link_group) && !ip4_is_multicast(dst) && !ip4_is_limited_broadcast(dst) &&
	    ip_route(s, p->zone, dst)->kind != FIB_BROADCAST) {
		packet_set_drop(p, DROP_IP_LINK_BROADCAST);
		return false;
	}
	return true;
}

static bool check_options(struct ip_stack *s, struct packet *p)
{
	ipv4_options_check(packet_l3(p), &p->ip, &p->options);
	if (p->options.bad) {
		icmp_send_error(s, p, ICMP_PARAMETER_PROBLEM, 0, (uint32_t)p->options.bad_offset << 24);
		packet_set_drop(p, DROP_IP_OPTION_BAD);
		return false;
	}
	if (p->options.source_route) {
		icmp_send_error(s, p, ICMP_DEST_UNREACHABLE, ICMP_SOURCE_ROUTE_FAILED, 0);
		packet_set_drop(p, DROP_IP_SOURCE_ROUTE);
		return false;
	}
	return true;
}

static bool is_icmp(const struct packet *p)
{
	return p->l4.kind == L4_ICMP_QUERY || p->l4.kind == L4_ICMP_ERROR || p->l4.kind == L4_ICMP_OTHER;
}

/* back: the route to the packet's source. */
static void ip_input_one(struct ip_stack *s, struct packet *p, const struct fib_route *back)
{
	if (!check_addresses(s, p, back))
		return;
	if (is_icmp(p) && !ipv4_is_fragment(&p->ip) && !p->offload.csum_partial && !p->offload.csum_valid &&
	    !l4_checksum_ok(&p->ip, packet_l4(p), packet_l4_len(p))) {
		packet_set_drop(p, DROP_L4_CHECKSUM);
		return;
	}
	if (YG_UNLIKELY(p->ip.header_len > IPV4_HEADER_LEN))
		check_options(s, p);
}

/* Ends p by a route that leads nowhere. */
static void refuse(struct ip_stack *s, struct packet *p, enum drop_reason reason, int code)
{
	if (code >= 0)
		icmp_send_error(s, p, ICMP_DEST_UNREACHABLE, (uint8_t)code, 0);
	packet_set_drop(p, reason);
}

/* Routes p by its destination, to which r is the route: sets to_us, or
 * out_ifindex and next_hop, or the verdict. */
static void route_in(struct ip_stack *s, struct packet *p, const struct fib_route *r)
{
	const struct fib_nexthop *nh = ip_choose_path(r, p);
	uint32_t dst = p->ip.dst;

	if (YG_UNLIKELY(ip4_is_multicast(dst))) {
		/* Never through us. */
		p->to_us = ip_group_is_joined(s, p->in_ifindex, dst);
		if (!p->to_us)
			packet_set_drop(p, DROP_GROUP_NOT_JOINED);
		return;
	}
	if (YG_UNLIKELY(ip4_is_limited_broadcast(dst))) {
		p->to_us = p->is_broadcast = true;
		return;
	}
	if (YG_UNLIKELY(ip4_is_loopback(dst))) {
		/* Only what we sent ourselves may be for 127/8 (RFC 1122 section 3.2.1.3 g). */
		p->to_us = p->in_ifindex == 0;
		if (!p->to_us)
			packet_set_drop(p, DROP_IP_DEST_MARTIAN);
		return;
	}
	if (YG_UNLIKELY(s->foreign != NULL) && (nh->kind == FIB_UNICAST || nh->kind == FIB_NONE) &&
	    s->foreign(s->foreign_ctx, p)) {
		p->to_us = true;
		return;
	}
	switch ((enum fib_kind)nh->kind) {
	case FIB_UNICAST:
		p->out_ifindex = nh->ifindex;
		p->next_hop = nh->gateway.v4 != 0 ? nh->gateway.v4 : dst;
		break;
	case FIB_LOCAL:
		p->to_us = true;
		break;
	case FIB_BROADCAST:
		/* For the link that it came by it is to us; for another it asks to
		 * be forwarded, which RFC 2644 forbids unless asked for. */
		p->is_broadcast = true;
		p->to_us = p->in_ifindex == 0 || nh->ifindex == p->in_ifindex;
		if (p->to_us)
			break;
		p->out_ifindex = nh->ifindex;
		p->next_hop = dst;
		if (!ip_interface_cfg(s, nh->ifindex)->directed_broadcast)
			packet_set_drop(p, DROP_FORWARD_BROADCAST);
		break;
	case FIB_TRANSLATED:
		if (s->unclaimed == NULL || !s->unclaimed(s->unclaimed_ctx, p))
			refuse(s, p, DROP_NAT_NO_MAPPING, -1);
		break;
	case FIB_BLACKHOLE:
		refuse(s, p, DROP_ROUTE_BLACKHOLE, -1);
		break;
	case FIB_UNREACHABLE:
		refuse(s, p, DROP_ROUTE_UNREACHABLE, ICMP_HOST_UNREACHABLE);
		break;
	case FIB_PROHIBIT:
		refuse(s, p, DROP_ROUTE_PROHIBIT, ICMP_ADMIN_PROHIBITED);
		break;
	case FIB_NONE:
		refuse(s, p, DROP_NO_ROUTE, ICMP_NET_UNREACHABLE);
		break;
	}
}

static void route_in_all(struct ip_stack *s, struct batch *b)
{
	const struct fib_route *route[BATCH_MAX];
	uint32_t dst[BATCH_MAX];

	for (uint32_t i = 0; i < b->n; i++)
		dst[i] = b->p[i]->ip.dst;
	ip_route_batch(s, b, dst, route);
	for (uint32_t i = 0; env_traced(s->env) && i < b->n; i++)
		ip_trace_route(s, b->p[i], route[i]);
	for (uint32_t i = 0; i < b->n; i++)
		route_in(s, b->p[i], route[i]);
}

/* PREROUTING and the route for packets whose views are valid. */
static void input_parsed(struct ip_stack *s, struct batch *b)
{
	struct batch local = { .n = 0 };

	hook_run(s->env, &s->hook[HOOK_PREROUTING], HOOK_PREROUTING, b);
	if (b->n == 0)
		return;
	struct stage_stats *outer = stage_enter(&s->env->stages, STAGE_ROUTE, b->n);

	route_in_all(s, b);
	batch_settle(b, s->env->pool, &s->env->ledger);

	uint32_t n_through = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		if (b->p[i]->to_us)
			batch_add(&local, b->p[i]);
		else
			b->p[n_through++] = b->p[i];
	}
	b->n = n_through;
	stage_leave(&s->env->stages, outer);
	if (local.n > 0)
		ip_local_in(s, &local);
	if (b->n > 0)
		ip_forward(s, b);
}

void ip_input(struct ip_stack *s, struct batch *b)
{
	const struct fib_route *route[BATCH_MAX];
	uint32_t src[BATCH_MAX];
	struct stage_stats *outer = stage_enter(&s->env->stages, STAGE_IP, b->n);

	for (uint32_t i = 0; i < b->n; i++)
		src[i] = read_headers(b->p[i]) ? b->p[i]->ip.src : 0;
	for (uint32_t i = 0; i < b->n && s->cfg->n_zones > 0; i++)
		b->p[i]->zone = ip_zone_from(s, b->p[i]);
	ip_route_batch(s, b, src, route);
	for (uint32_t i = 0; i < b->n; i++) {
		if (b->p[i]->verdict == VERDICT_CONTINUE)
			ip_input_one(s, b->p[i], route[i]);
	}
	batch_settle(b, s->env->pool, &s->env->ledger);
	stage_leave(&s->env->stages, outer);
	if (b->n > 0)
		input_parsed(s, b);
}

void ip_loop_run(struct ip_stack *s)
{
	/* What these packets send to us in turn joins the tail; n_loops and the
	 * silence about ICMP errors end every chain. */
	while (s->loop_first != NULL) {
		struct batch b = { .n = 0 };
		bool cached = s->loop_first->cached;

		while (s->loop_first != NULL && b.n < BATCH_MAX && s->loop_first->cached == cached) {
			struct packet *p = s->loop_first;

			s->loop_first = p->next;
			if (s->loop_first == NULL)
				s->loop_last = NULL;
			p->next = NULL;
			p->in_ifindex = 0;
			p->out_ifindex = 0;
			p->is_broadcast = false;
			p->to_us = cached;
			batch_add(&b, p);
		}
		if (cached)
			ip_local_cached(s, &b);
		else
			input_parsed(s, &b);
	}
}
