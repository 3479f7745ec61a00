/* SPDX-License-Identifier: BSD-2-Clause
 *
 * INVALID packets are left to the rules, as in Linux, but one must never go on
 * untranslated where its way is translated:
 *   - a connection with its tuple is there, and has this side translated (a
 *     segment outside the window): dropped. Else the reply would reach the gateway
 *     itself, whose RST would end the connection that the window check protects.
 *   - it is an ICMP error of ours about a packet that was translated, whose
 *     connection is gone (it waited for a neighbour): dropped, since nobody can put the
 *     quoted packet into its receiver's words any more.
 *   - it is about to be forwarded, and the rules would have translated a new
 *     connection on this way, or on the way back of what it quotes: dropped, or an
 *     inside address would leak. A TCP segment is then of a connection that the
 *     gateway has forgotten, and its sender is told by a reset, so that its program
 *     does not wait in vain. What rules drop before is dropped in silence, and nobody
 *     outside is ever told.
 */
#include "gateway/nat/nat_priv.h"
#include "stack/ip/icmp.h"

/* The connection that has the packet's tuple, and the direction; NULL if none. */
static const struct conn *owner_of(const struct nat *n, const struct packet *p, enum ct_dir *dir)
{
	struct tuple t;

	if (!tuple_of_packet(p, conntrack_zone_of(n->ct, p), &t))
		return NULL;
	uint32_t ref = conntrack_find(n->ct, &t);
	if (ref == CONN_NONE)
		return NULL;
	*dir = conn_dir(ref);
	return conntrack_conn(n->ct, conn_index(ref));
}

void nat_invalid_dst(const struct nat *n, struct packet *p)
{
	enum ct_dir dir;
	const struct conn *c = owner_of(n, p, &dir);

	/* An error of ours about a packet that was held longer than its connection lived. */
	if (p->l4.kind == L4_ICMP_ERROR && p->translated && p->in_ifindex == 0) {
		packet_set_drop(p, DROP_CT_INVALID);
		return;
	}
	if (c == NULL)
		return;
	struct tuple plain = tuple_invert(&c->half[!dir].tuple);
	if (plain.dst != p->ip.dst ||
	    (p->l4.kind == L4_ICMP_QUERY ? plain.sport != p->l4.id : plain.dport != p->l4.dport))
		packet_set_drop(p, DROP_CT_INVALID);
}

/* Of no connection, and its way would be translated. The reset stands where the segment's sender expects the next one,
 * by its own acknowledgement (RFC 9293 section 3.10.7.1, RFC 5961 section 3.2). */
static void drop_unknown(struct nat *n, struct packet *p)
{
	bool told = p->l4.kind == L4_TCP && (p->l4.flags & (TCP_ACK | TCP_SYN | TCP_RST)) == TCP_ACK &&
		    !ipv4_is_fragment(&p->ip) && conntrack_answers_unknown(n->ct, p);

	if (told)
		tcp_send_unknown_reset(n->stack, p);
	packet_set_drop(p, told ? DROP_CT_UNKNOWN_TCP : DROP_CT_INVALID);
}

/* Whether the rules would translate a connection that begins the way back of what the error quotes: then it quotes an
 * inside address, and nobody can put it into its receiver's words. The connection may begin in this very batch. */
static bool quotes_inside(const struct nat *n, enum ip_hook hook, struct packet *p)
{
	struct nat_action a = { .kind = NAT_ACTION_NONE };
	struct packet way = *p;
	struct icmp_quote q;

	if (p->l4.kind != L4_ICMP_ERROR || !icmp_quote_parse(packet_l4(p), packet_l4_len(p), &q))
		return false;
	way.ip = q.ip;
	way.ip.src = q.ip.dst;
	way.ip.dst = q.ip.src;
	way.l4 = q.l4;
	way.l4.sport = q.l4.dport;
	way.l4.dport = q.l4.sport;
	if (q.l4.kind == L4_ICMP_QUERY)
		way.l4.type = icmp_opposite(q.l4.type);
	way.ct_info = CT_INFO_NEW;
	return n->rules(n->rules_ctx, hook, &way, &a) == VERDICT_DROP || a.kind != NAT_ACTION_NONE;
}

static void invalid_whole_src(struct nat *n, enum ip_hook hook, struct packet *p)
{
	struct nat_action a = { .kind = NAT_ACTION_NONE };
	enum ct_dir dir;
	const struct conn *c = owner_of(n, p, &dir);

	/* A connection that was not decided yet says nothing: it may be this batch's. */
	if (c != NULL && (c->status & CT_SNAT_DONE)) {
		struct tuple plain = tuple_invert(&c->half[!dir].tuple);
		if (plain.src != p->ip.src || (p->l4.kind != L4_ICMP_QUERY && plain.sport != p->l4.sport))
			packet_set_drop(p, DROP_CT_INVALID);
		return;
	}
	if (hook != HOOK_POSTROUTING || !p->forwarded || !l4_needs_header(p->ip.proto) || n->rules == NULL)
		return;
	if (n->rules(n->rules_ctx, hook, p, &a) == VERDICT_DROP)
		p->verdict = VERDICT_DROP;
	else if (a.kind != NAT_ACTION_NONE || quotes_inside(n, hook, p))
		drop_unknown(n, p);
}

void nat_invalid_src(struct nat *n, enum ip_hook hook, struct packet *p)
{
	struct ct_fragment_walk *walk;
	enum ct_fragment_place place = conntrack_fragment_place(n->ct, p, &walk);

	/* A later fragment has no ports by which the rules could know it. */
	if (place == CT_FRAGMENT_LATER) {
		if (walk->dropped)
			packet_set_drop(p, (enum drop_reason)walk->reason);
		else if (!walk->nat_passed)
			packet_set_drop(p, DROP_FRAGMENT_ORPHAN);
		return;
	}
	invalid_whole_src(n, hook, p);
	if (place != CT_FRAGMENT_FIRST)
		return;
	walk->nat_passed = p->verdict != VERDICT_DROP;
	if (!walk->nat_passed) {
		walk->dropped = true;
		walk->reason = p->reason;
	}
}
