/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A packet of a connection, rewritten by comparing its two tuples: at the
 * destination hooks its destination becomes the source of the other direction's
 * tuple, at the source hooks its source becomes that tuple's destination. An ICMP
 * identifier belongs to the side that asks, so it goes with the source in the
 * ORIGINAL direction and with the destination in the REPLY direction.
 *
 * The bytes and checksums are rewritten by src/stack/wire/rewrite.c.
 *
 * Next: behind PREROUTING the route (src/stack/ip/input.c), then src/stack/ip/forward.c;
 * behind POSTROUTING and INPUT conntrack_confirm (src/gateway/conntrack/hooks.c), then
 * src/stack/ip/output.c or src/stack/ip/local.c
 */
#include "gateway/nat/nat_priv.h"
#include "stack/packet/gso.h"
#include "stack/wire/rewrite.h"

void nat_mark_sides(struct conn *c)
{
	const struct tuple *o = &c->half[CT_ORIGINAL].tuple, *r = &c->half[CT_REPLY].tuple;
	bool ports = l4_has_ports(o->proto) || o->proto == IPPROTO_NR_ICMP;

	c->status &= (uint16_t) ~(CT_SNAT | CT_DNAT);
	if (r->dst != o->src || (ports && nat_outside_port(r) != nat_inside_port(o)))
		c->status |= CT_SNAT;
	if (r->src != o->dst || (l4_has_ports(o->proto) && r->sport != o->dport))
		c->status |= CT_DNAT;
}

static enum rewrite_check check_of(const struct packet *p)
{
	if (p->ip.frag_off != 0)
		return REWRITE_CHECK_NONE;
	return p->offload.csum_partial ? REWRITE_CHECK_PARTIAL : REWRITE_CHECK_FULL;
}

/* A counter belongs to one pair of addresses and protocol at a time, and who takes it over begins anywhere: else a host
 * could count by its own packets what goes to another that falls into its place. */
static uint16_t *identification_of(struct nat *n, uint32_t src, uint32_t dst, uint8_t proto)
{
	uint64_t hash = siphash13_16(&n->key, (uint64_t)src << 32 | dst, proto);
	struct nat_identification *i = &n->identification[hash % NAT_IDENTIFICATIONS];
	uint16_t owner = (uint16_t)(hash >> 48 | 1);

	/* Not from the core's random numbers, nor by the order in which pairs come: what is forwarded elsewhere takes
	 * no identification here, what has a flow cache entry takes it sooner, and everything else must come out the
	 * same. */
	if (YG_UNLIKELY(i->owner != owner)) {
		uint64_t before = UINT64_C(1) << 32 | (uint64_t)i->owner << 16 | i->next;

		i->next = (uint16_t)(siphash13_16(&n->key, hash, before) >> 32);
		i->owner = owner;
	}
	return &i->next;
}

uint16_t nat_next_identification(struct nat *n, uint32_t src, uint32_t dst, uint8_t proto, uint32_t n_segments)
{
	uint16_t *next = identification_of(n, src, dst, proto);
	uint16_t id = *next;

	*next = (uint16_t)(id + n_segments);
	return id;
}

/* Hosts that share an outside address number their packets without knowing of each other. Where a receiver may have to
 * put fragments together, the numbers are ours: of fragments, and of packets that a link behind us may cut, which is
 * every one without DF (RFC 6864 section 5.3.1, RFC 7857 section 10). */
static void renumber(struct nat *n, struct packet *p, uint32_t src)
{
	bool is_fragment = ipv4_is_fragment(&p->ip);

	if (!is_fragment && p->ip.df)
		return;
	uint16_t *next = identification_of(n, src, p->ip.dst, p->ip.proto);
	uint16_t id = *next;

	if (is_fragment && !conntrack_fragment_id(n->ct, p, &id))
		return;
	if (id == *next)
		*next = (uint16_t)(*next + gso_n_segments(p)); /* a large segment takes a row of numbers */
	ipv4_set_id(packet_l3(p), id);
	p->ip.id = id;
}

/* Its CRC changes with its ports and with the length of all of it, which a first fragment does not tell. */
static bool is_sctp_fragment(const struct packet *p, const struct conn *c)
{
	const struct tuple *o = &c->half[CT_ORIGINAL].tuple, *r = &c->half[CT_REPLY].tuple;

	return YG_UNLIKELY(p->ip.proto == IPPROTO_NR_SCTP) && ipv4_is_fragment(&p->ip) &&
	       (o->sport != r->dport || o->dport != r->sport);
}

static void translate(struct packet *p, const struct conn *c, const struct rewrite *to)
{
	if (is_sctp_fragment(p, c)) {
		packet_set_drop(p, DROP_NAT_SCTP_FRAGMENT);
		return;
	}
	rewrite_packet(packet_l3(p), &p->ip, &p->l4, to, check_of(p));
	p->translated = true;
}

static struct rewrite as_it_is(const struct packet *p)
{
	return (struct rewrite){
		.src = p->ip.src,
		.dst = p->ip.dst,
		.sport = p->l4.kind == L4_ICMP_QUERY ? p->l4.id : p->l4.sport,
		.dport = p->l4.kind == L4_GRE ? (uint16_t)p->l4.info : p->l4.dport,
	};
}

void nat_translate_dst(const struct conn *c, struct packet *p)
{
	enum ct_dir dir = conn_dir(p->conn_ref);
	const struct tuple *other = &c->half[!dir].tuple;

	if (!(c->status & (CT_SNAT | CT_DNAT)))
		return;
	struct rewrite to = as_it_is(p);

	to.dst = other->src;
	if (l4_kind_has_ports(p->l4.kind))
		to.dport = other->sport;
	/* Not that of another call to the host, which it may begin before the host does (gateway/conntrack/identity.c).
	 */
	else if (p->l4.kind == L4_GRE && p->l4.type == L4_ID_CALL && p->l4.info == c->half[dir].tuple.dport)
		to.dport = c->half[dir].datagram.dport;
	else if (p->l4.kind == L4_ICMP_QUERY && dir == CT_REPLY)
		to.sport = other->sport;
	translate(p, c, &to);
}

void nat_translate_src(struct nat *n, const struct conn *c, struct packet *p)
{
	enum ct_dir dir = conn_dir(p->conn_ref);
	const struct tuple *other = &c->half[!dir].tuple;

	if (!(c->status & (CT_SNAT | CT_DNAT)))
		return;
	struct rewrite to = as_it_is(p);

	to.src = other->dst;
	if (to.src != p->ip.src)
		renumber(n, p, to.src);
	if (l4_kind_has_ports(p->l4.kind))
		to.sport = other->dport;
	else if (p->l4.kind == L4_ICMP_QUERY && dir == CT_ORIGINAL)
		to.sport = other->sport;
	translate(p, c, &to);
}
