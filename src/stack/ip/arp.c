/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ARP as a speaker: answering for our addresses and for NAT's, asking, telling
 * everybody what we have, and telling neigh.c what others said (RFC 826, RFC
 * 5227, RFC 1122 section 2.3.2).
 *
 * What is believed: an address that a host can have and that is none of ours. An
 * entry is made only when the packet asks for an address of ours (RFC 826's merge
 * flag) and comes from a connected prefix of the interface, so a talkative link
 * does not fill the table; what we ask for ourselves may be elsewhere (a gateway
 * that a route names on a link). An address that is claimed beside us is an event, and is
 * answered by one announcement in ten seconds (RFC 5227 section 2.4, choice c).
 *
 * An address is answered for on the interface that has it, and on no other
 * (Linux's arp_ignore=1); one that an interface without addresses borrows, there
 * too.
 *
 * Announcements run in slices, so that a large pool neither stalls the worker
 * nor floods the link, and twice, as RFC 5227 section 2.3 asks.
 *
 * Next: src/stack/ip/neigh.c
 */
#include <string.h>

#include "stack/ip/stack_priv.h"
#include "stack/wire/arp.h"

/* Sends one ARP packet of ours; a missing buffer costs a probe, no more. */
static void arp_send(struct ip_stack *s, uint32_t ifindex, const struct arp_view *v, const struct ether_addr *to)
{
	struct packet *p = packet_alloc(s->env->pool, ETHER_MIN_FRAME);

	if (p == NULL)
		return;
	s->env->ledger.n_originated++;
	if (env_traced(s->env))
		trace_end(&s->env->trace, TRACE_MADE, p);
	struct ether_view eth = { .dst = *to, .src = v->sha, .type = ETHERTYPE_ARP };

	memset(packet_frame(p), 0, ETHER_MIN_FRAME);
	ether_emit(packet_frame(p), &eth);
	arp_emit(packet_frame(p) + ETHER_HEADER_LEN, v);
	p->out_ifindex = ifindex;
	ip_queue_frame(s, ifindex, p);
}

void arp_request(struct ip_stack *s, uint32_t ifindex, uint32_t target, const struct ether_addr *to)
{
	const struct device *dev = s->interface[ifindex].dev;

	if (dev == NULL)
		return;
	struct arp_view v = {
		.op = ARP_REQUEST,
		.sha = dev->mac,
		.spa = ip_source_for(s, ifindex, target),
		.tpa = target,
	};
	arp_send(s, ifindex, &v, to);
}

/* RFC 5227 section 1.1: a request for oneself. */
static void arp_announce_one(struct ip_stack *s, uint32_t ifindex, uint32_t addr)
{
	struct arp_view v = {
		.op = ARP_REQUEST,
		.sha = s->interface[ifindex].dev->mac,
		.spa = addr,
		.tpa = addr,
	};
	arp_send(s, ifindex, &v, &ether_broadcast);
}

static bool is_address_of(const struct ip_stack *s, uint32_t ifindex, uint32_t addr)
{
	const struct ip_interface_config *c = ip_interface_cfg(s, ifindex);

	for (uint32_t i = 0; i < c->n_addresses; i++) {
		if (c->address[i].addr == addr)
			return true;
	}
	return false;
}

static bool is_proxied(const struct ip_stack *s, uint32_t ifindex, uint32_t addr)
{
	for (uint32_t i = 0; i < s->cfg->n_proxies; i++) {
		const struct ip_proxy *x = &s->cfg->proxy[i];

		if (x->ifindex == ifindex && addr >= x->first && addr <= x->last)
			return true;
	}
	return false;
}

static bool answered_for(const struct ip_stack *s, uint32_t ifindex, uint32_t addr)
{
	/* An interface without an address asks by a borrowed one, so it answers for that. */
	if (ip_interface_cfg(s, ifindex)->n_addresses == 0 && addr != 0 && addr == ip_source_for(s, ifindex, 0))
		return true;
	return is_address_of(s, ifindex, addr) || is_proxied(s, ifindex, addr);
}

enum arp_claim {
	CLAIM_PROBE,     /* no sender address: asks whether an address is free */
	CLAIM_NEIGHBOUR, /* can be a neighbour */
	CLAIM_ELSEWHERE, /* a host, but on no prefix of this interface */
	CLAIM_OURS,
	CLAIM_NO_HOST,
};

/* What the sender's protocol address is on this interface. */
static enum arp_claim arp_judge(const struct ip_stack *s, uint32_t ifindex, uint32_t spa)
{
	const struct ip_interface_config *c = ip_interface_cfg(s, ifindex);

	if (spa == 0)
		return CLAIM_PROBE;
	if (!ip4_is_unicast(spa))
		return CLAIM_NO_HOST;
	if (answered_for(s, ifindex, spa) || ip_is_local(s, c->zone, spa))
		return CLAIM_OURS;
	for (uint32_t i = 0; i < c->n_addresses; i++) {
		uint32_t mask = ip4_mask(c->address[i].prefix_len);

		if (((c->address[i].addr ^ spa) & mask) != 0)
			continue;
		/* The lowest address is a host's; a /31 has two hosts and nothing else (RFC 3021). */
		if (c->address[i].prefix_len < 31 && (spa & ~mask) == ~mask)
			return CLAIM_NO_HOST;
		return CLAIM_NEIGHBOUR;
	}
	return CLAIM_ELSEWHERE;
}

static bool is_our_mac(const struct ip_stack *s, const struct ether_addr *mac)
{
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++) {
		if (s->interface[i].dev != NULL && ether_equal(&s->interface[i].dev->mac, mac))
			return true;
	}
	return false;
}

/* Somebody else has an address of ours. */
static void arp_conflict(struct ip_stack *s, uint32_t ifindex, const struct arp_view *v)
{
	struct ip_interface *ifc = &s->interface[ifindex];

	if (ifc->has_defended && s->env->now - ifc->defended_at < ARP_DEFEND_INTERVAL_NS)
		return;
	if (s->share_number != 0)
		return;
	ifc->has_defended = true;
	ifc->defended_at = s->env->now;
	struct yg_event e = { .kind = EVENT_ADDRESS_CONFLICT, .ifindex = ifindex, .addr = ip_addr_v4(v->spa) };

	memcpy(e.mac, v->sha.b, sizeof(e.mac));
	env_emit(s->env, &e);
	/* An address of another interface is not ours to claim on this link. */
	if (answered_for(s, ifindex, v->spa))
		arp_announce_one(s, ifindex, v->spa);
}

static void arp_reply(struct ip_stack *s, uint32_t ifindex, const struct arp_view *v)
{
	struct arp_view r = {
		.op = ARP_REPLY,
		.sha = s->interface[ifindex].dev->mac,
		.spa = v->tpa,
		.tha = v->sha,
		.tpa = v->spa,
	};
	arp_send(s, ifindex, &r, &v->sha);
}

void arp_input(struct ip_stack *s, struct packet *p, const struct ether_view *eth)
{
	uint32_t ifindex = p->in_ifindex;
	struct arp_view v;

	if (!arp_parse(packet_frame(p) + ETHER_HEADER_LEN, p->len - ETHER_HEADER_LEN, &v) ||
	    (v.op != ARP_REQUEST && v.op != ARP_REPLY)) {
		packet_set_drop(p, DROP_ARP_MALFORMED);
		return;
	}
	p->verdict = VERDICT_CONSUMED;
	/* Our own announcements come back on a bridge with a loop, and from our
	 * own second interface on the same link. */
	if (is_our_mac(s, &v.sha))
		return;
	enum arp_claim claim = arp_judge(s, ifindex, v.spa);
	bool for_us = answered_for(s, ifindex, v.tpa);

	if (claim == CLAIM_OURS)
		arp_conflict(s, ifindex, &v);
	if (claim == CLAIM_OURS || claim == CLAIM_NO_HOST || ether_is_group(&v.sha) || ether_is_zero(&v.sha)) {
		packet_set_drop(p, DROP_ARP_SPOOF);
		return;
	}
	if (claim != CLAIM_PROBE) {
		bool answer = v.op == ARP_REPLY && for_us && !ether_is_group(&eth->dst);
		/* With several stacks the answer to one is news for all. */
		bool create =
			claim == CLAIM_NEIGHBOUR && ((v.op == ARP_REQUEST && for_us) || (answer && s->n_shares > 1));

		neigh_learn(s, ifindex, v.spa, &v.sha, answer ? NEIGH_PROOF_ANSWER : NEIGH_PROOF_HEARSAY,
			    create ? NEIGH_CREATE_YES : NEIGH_CREATE_NO);
	}
	if (v.op == ARP_REQUEST && for_us && s->share_number == 0)
		arp_reply(s, ifindex, &v);
}

void arp_announce_start(struct ip_stack *s, uint32_t ifindex, bool all)
{
	struct ip_interface *ifc = &s->interface[ifindex];

	/* Without a device it is said when one comes. */
	if (ifc->dev == NULL || !ifc->dev->up || !ip_interface_known(s, ifindex) || s->share_number != 0)
		return;
	ifc->announce = (struct arp_announcer){ .at = s->env->now, .round_start = s->env->now, .all = all };
	s->announcing |= UINT64_C(1) << ifindex;
}

/* The next address to announce; false at the end of the round. */
static bool announce_next(const struct ip_stack *s, uint32_t ifindex, struct arp_announcer *a, uint32_t *addr)
{
	const struct ip_interface *ifc = &s->interface[ifindex];
	const struct ip_interface_config *c = ip_interface_cfg(s, ifindex);

	for (; a->item < c->n_addresses; a->item++) {
		if (!a->all && (ifc->new_addresses & (1u << a->item)) == 0)
			continue;
		*addr = c->address[a->item++].addr;
		return true;
	}
	for (; a->item - c->n_addresses < s->cfg->n_proxies; a->item++) {
		uint32_t i = a->item - c->n_addresses;
		const struct ip_proxy *x = &s->cfg->proxy[i];

		if (x->ifindex != ifindex || (!a->all && !s->new_proxy[i]))
			continue;
		*addr = x->first + a->offset;
		if (x->last - x->first == a->offset) {
			a->offset = 0;
			a->item++;
		} else {
			a->offset++;
		}
		return true;
	}
	return false;
}

void arp_announce_run(struct ip_stack *s, uint32_t ifindex)
{
	struct ip_interface *ifc = &s->interface[ifindex];
	struct arp_announcer *a = &ifc->announce;
	uint32_t addr;

	if (ifc->dev == NULL || !ifc->dev->up) {
		a->at = TIME_NEVER;
		return;
	}
	for (uint32_t n = 0; n < ARP_ANNOUNCE_SLICE; n++) {
		if (announce_next(s, ifindex, a, &addr)) {
			arp_announce_one(s, ifindex, addr);
			continue;
		}
		a->item = 0;
		a->offset = 0;
		if (++a->round == ARP_ANNOUNCE_NUM) {
			a->at = TIME_NEVER;
			return;
		}
		a->at = max_u64(a->round_start + ARP_ANNOUNCE_INTERVAL_NS, s->env->now + ARP_ANNOUNCE_SLICE_NS);
		a->round_start = a->at;
		return;
	}
	a->at = s->env->now + ARP_ANNOUNCE_SLICE_NS;
}
