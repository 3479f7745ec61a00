/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Network address translation at the hooks.
 *
 * The first packet of a connection asks for a mapping, once a side (choose.c). From
 * then on every packet is rewritten by comparing the connection's two tuples: at
 * the destination hooks (PREROUTING, OUTPUT) its destination becomes the source of
 * the other direction's tuple, at the source hooks (POSTROUTING, INPUT) its source
 * becomes that tuple's destination. An ICMP identifier belongs to the side that
 * asks, so it goes with the source in the ORIGINAL direction and with the
 * destination in the REPLY direction. To rewrite twice changes nothing, so a packet
 * may come round.
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
 *
 * RFC 3022, RFC 4787, RFC 5382, RFC 5508, RFC 6888.
 *
 * Next: src/stack/ip/input.c behind PREROUTING, src/gateway/conntrack/conntrack.c (confirm)
 * behind POSTROUTING and INPUT
 */
#include <stdlib.h>

#include "stack/ip/icmp.h"
#include "gateway/nat/nat_priv.h"
#include "stack/packet/gso.h"
#include "stack/wire/rewrite.h"

#define DEFAULT_ADDRESSES 256
/* Connections looked at in one go after a change of the config. */
#define SWEEP_SLICE 4096

static void seed_ports(struct nat *n)
{
	uint8_t seed[RNG_SEED_BYTES];

	for (uint32_t i = 0; i < RNG_SEED_BYTES; i++)
		seed[i] = (uint8_t)rng_u32(&n->env->rng);
	rng_init(&n->port_rng, seed);
}

struct nat *nat_create(struct env *env, struct ip_stack *stack, struct conntrack *ct, const struct nat_limits *limits)
{
	uint32_t n_addresses = limits->n_addresses != 0 ? limits->n_addresses : DEFAULT_ADDRESSES;
	uint32_t n_mappings = limits->n_mappings != 0 ? limits->n_mappings : conntrack_capacity(ct);
	struct nat *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return NULL;
	n->env = env;
	n->stack = stack;
	n->ct = ct;
	n->key = (struct siphash_key){ rng_u64(&env->rng), rng_u64(&env->rng) };
	n->workers.client_key = n->key;
	seed_ports(n);
	n->default_ports = port_set_of((struct nat_port_range){ 1024, 65535 }, NULL, 0);
	n->identifiers = port_set_of((struct nat_port_range){ 1, 65535 }, NULL, 0);
	if (nat_addresses_init(&n->addresses, min_u32(n_addresses, NAT_MAPPINGS_LIMIT)) != 0)
		goto free_n;
	if (nat_mappings_init(&n->mappings, min_u32(n_mappings, NAT_MAPPINGS_LIMIT)) != 0)
		goto fini_addresses;
	n->overloads = nat_overloads_create(conntrack_capacity(ct));
	if (n->overloads == NULL)
		goto fini_mappings;
	if (nat_hold_downs_init(&n->rests, n_mappings) != 0)
		goto destroy_overloads;
	if (nat_reuse_init(&n->reuse, conntrack_n_numbers_max(ct)) != 0)
		goto fini_hold_downs;
	if (nat_calls_init(&n->calls) != 0)
		goto fini_reuse;
	conntrack_set_release(ct, nat_release, n);
	conntrack_set_finished(ct, nat_reuse_finished, n);
	return n;

fini_reuse:
	nat_reuse_fini(&n->reuse);
fini_hold_downs:
	nat_hold_downs_fini(&n->rests);
destroy_overloads:
	nat_overloads_destroy(n->overloads);
fini_mappings:
	nat_mappings_fini(&n->mappings);
fini_addresses:
	nat_addresses_fini(&n->addresses);
free_n:
	free(n);
	return NULL;
}

void nat_destroy(struct nat *n)
{
	if (n == NULL)
		return;
	conntrack_set_release(n->ct, NULL, NULL);
	conntrack_set_finished(n->ct, NULL, NULL);
	nat_reuse_fini(&n->reuse);
	nat_calls_fini(&n->calls);
	nat_hold_downs_fini(&n->rests);
	nat_overloads_destroy(n->overloads);
	nat_mappings_fini(&n->mappings);
	nat_addresses_fini(&n->addresses);
	free(n);
}

void nat_set_rules(struct nat *n, nat_rules_fn *fn, void *ctx)
{
	n->rules = fn;
	n->rules_ctx = ctx;
}

void nat_set_workers(struct nat *n, const struct nat_workers *workers)
{
	n->workers = *workers;
}

/* Rewriting. */

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

uint16_t nat_next_identification(struct nat *n, uint32_t src, uint32_t dst, uint8_t proto, uint32_t n_pieces)
{
	uint16_t *next = identification_of(n, src, dst, proto);
	uint16_t id = *next;

	*next = (uint16_t)(id + n_pieces);
	return id;
}

/* Hosts that share an outside address number their packets without knowing of each other. Where a receiver may have to
 * put pieces together, the numbers are ours: of pieces, and of packets that a link behind us may cut, which is every
 * one without DF (RFC 6864 section 5.3.1, RFC 7857 section 10). */
static void renumber(struct nat *n, struct packet *p, uint32_t src)
{
	bool piece = ipv4_is_fragment(&p->ip);

	if (!piece && p->ip.df)
		return;
	uint16_t *next = identification_of(n, src, p->ip.dst, p->ip.proto);
	uint16_t id = *next;

	if (piece && !conntrack_fragment_id(n->ct, p, &id))
		return;
	if (id == *next)
		*next = (uint16_t)(*next + gso_n_segments(p)); /* a large segment takes a row of numbers */
	ipv4_set_id(packet_l3(p), id);
	p->ip.id = id;
}

/* Its CRC changes with its ports and with the length of all of it, which a first piece does not tell. */
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

static void translate_dst(const struct conn *c, struct packet *p)
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

static void translate_src(struct nat *n, const struct conn *c, struct packet *p)
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

/* INVALID packets. */

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

static void invalid_dst(const struct nat *n, struct packet *p)
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

static void invalid_src(struct nat *n, enum ip_hook hook, struct packet *p)
{
	struct ct_fragment_walk *walk;
	enum ct_fragment_place piece = conntrack_fragment_place(n->ct, p, &walk);

	/* A later piece has no ports by which the rules could know it. */
	if (piece == CT_FRAGMENT_LATER) {
		if (walk->dropped)
			packet_set_drop(p, (enum drop_reason)walk->reason);
		else if (!walk->nat_passed)
			packet_set_drop(p, DROP_FRAGMENT_ORPHAN);
		return;
	}
	invalid_whole_src(n, hook, p);
	if (piece != CT_FRAGMENT_FIRST)
		return;
	walk->nat_passed = p->verdict != VERDICT_DROP;
	if (!walk->nat_passed) {
		walk->dropped = true;
		walk->reason = p->reason;
	}
}

/* The hooks. */

/* A connection that may still be given a mapping. */
static bool is_open(const struct conn *c, const struct packet *p, uint16_t done)
{
	return conn_dir(p->conn_ref) == CT_ORIGINAL && !(c->status & (CT_CONFIRMED | CT_DYING | done));
}

void nat_dst(void *ctx, enum ip_hook hook, struct batch *b)
{
	struct nat *n = ctx;

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];
		if (YG_UNLIKELY(p->ct_info == CT_INFO_INVALID)) {
			invalid_dst(n, p);
			continue;
		}
		const struct conn *c = p->ct_info == CT_INFO_NONE ? NULL : conntrack_of(n->ct, p);
		if (c == NULL)
			continue;
		if (YG_UNLIKELY(p->ct_icmp_error)) {
			nat_error_dst(n, p);
			continue;
		}
		if (YG_UNLIKELY(is_open(c, p, CT_DNAT_DONE))) {
			if (n->workers.begins != NULL && p->in_ifindex != 0)
				n->workers.begins(n->workers.ctx, p);
			if (!nat_choose_dst(n, hook, p, conn_index(p->conn_ref)))
				continue;
		}
		translate_dst(c, p);
	}
}

/* Connections whose sources are taken together: enough for their waits to overlap. */
#define SOURCES 16

/* What the rules want for those that begin here, and a port is drawn for each. */
static void ask_sources(struct nat *n, enum ip_hook hook, struct packet *const *packet, uint32_t n_packets,
			struct nat_source *source)
{
	for (uint32_t i = 0; i < n_packets; i++) {
		struct packet *p = packet[i];

		source[i].state = NAT_SOURCE_NONE;
		if (p->conn_unconfirmed && !p->ct_icmp_error && p->ct_info != CT_INFO_INVALID &&
		    is_open(conntrack_of(n->ct, p), p, CT_SNAT_DONE | CT_SNAT_ASKED))
			nat_source_ask(n, hook, p, conn_index(p->conn_ref), &source[i]);
	}
}

/* From `at` on, up to one whose choice may need to know what became of those before it. Returns where to go on. */
static uint32_t hold_sources(struct nat *n, struct nat_source *source, uint32_t at, uint32_t n_sources)
{
	while (at < n_sources) {
		struct nat_source *s = &source[at++];

		if (s->state == NAT_SOURCE_ASKED && !nat_source_hold(n, s))
			break;
	}
	return at;
}

/* The source of an open connection, as it was asked for before or is now. */
static bool finish_source(struct nat *n, enum ip_hook hook, struct packet *p, struct nat_source *s)
{
	uint32_t index = conn_index(p->conn_ref);

	/* An earlier packet of the flow has asked in vain. */
	if (s->state == NAT_SOURCE_NONE)
		nat_source_ask(n, hook, p, index, s);
	return s->state != NAT_SOURCE_DROPPED && nat_source_finish(n, p, index, s);
}

static void work_src(struct nat *n, enum ip_hook hook, struct packet *p, struct nat_source *s)
{
	if (YG_UNLIKELY(p->ct_info == CT_INFO_INVALID)) {
		invalid_src(n, hook, p);
		return;
	}
	const struct conn *c = p->ct_info == CT_INFO_NONE ? NULL : conntrack_of(n->ct, p);
	if (c == NULL || p->verdict != VERDICT_CONTINUE)
		return;
	if (YG_UNLIKELY(p->ct_icmp_error)) {
		nat_error_src(n, p);
		return;
	}
	if (YG_UNLIKELY(is_open(c, p, CT_SNAT_DONE)) && !finish_source(n, hook, p, s))
		return;
	translate_src(n, c, p);
	if (YG_UNLIKELY(c->status & CT_HELPED) && hook == HOOK_POSTROUTING)
		nat_pptp(n, p);
}

static void work_sources(struct nat *n, enum ip_hook hook, struct packet *const *packet, uint32_t n_packets)
{
	struct nat_source source[SOURCES];
	uint32_t held = 0;

	ask_sources(n, hook, packet, n_packets, source);
	for (uint32_t i = 0; i < n_packets; i++) {
		struct nat_source *s = &source[i];

		if (i == held)
			held = hold_sources(n, source, held, n_packets);
		if (s->state == NAT_SOURCE_HELD && !nat_source_take(n, conn_index(packet[i]->conn_ref), s)) {
			/* It chooses as if those behind it had not. */
			while (held > i + 1)
				if (source[--held].state == NAT_SOURCE_HELD)
					nat_source_let_go(n, &source[held]);
		}
		work_src(n, hook, packet[i], s);
	}
}

/* Masqueraded behind one interface, and about to leave by another. */
static bool has_moved(const struct nat *n, const struct packet *p)
{
	const struct conn *c = p->conn_ref == CONN_NONE || p->ct_icmp_error ? NULL : conntrack_of(n->ct, p);

	if (c == NULL || (c->status & (CT_CONFIRMED | CT_MAPPED | CT_SNAT)) != (CT_CONFIRMED | CT_MAPPED | CT_SNAT) ||
	    conn_dir(p->conn_ref) != CT_ORIGINAL || p->out_ifindex == 0)
		return false;
	uint32_t ref = conntrack_ext(n->ct, conn_index(p->conn_ref))->nat_ref;

	return nat_ref_origin(ref) == NAT_ORIGIN_MASQUERADE && nat_ref_id(ref) != p->out_ifindex;
}

/* The address of one interface must not leave by another, where answers would not come back: such a connection ends,
 * as in Linux, and its next packet begins a new one. All of a batch are asked first: none may leave by what has ended.
 */
static void end_moved(struct nat *n, struct batch *b)
{
	uint64_t moved = 0;

	for (uint32_t i = 0; i < b->n; i++)
		moved |= (uint64_t)has_moved(n, b->p[i]) << i;
	for (; moved != 0; moved &= moved - 1) {
		struct packet *p = b->p[__builtin_ctzll(moved)];

		packet_set_drop(p, DROP_NAT_ROUTE_CHANGED);
		if (!(conntrack_of(n->ct, p)->status & CT_DYING))
			conntrack_end(n->ct, conn_index(p->conn_ref), CT_END_ROUTE);
	}
}
_Static_assert(BATCH_MAX <= 64, "a bit a packet");

void nat_src(void *ctx, enum ip_hook hook, struct batch *b)
{
	struct nat *n = ctx;

	if (hook == HOOK_POSTROUTING)
		end_moved(n, b);
	for (uint32_t at = 0; at < b->n; at += SOURCES)
		work_sources(n, hook, &b->p[at], min_u32(b->n - at, SOURCES));
}

/* A new config. */

static void sweep(struct nat *n)
{
	uint32_t index;

	for (uint32_t i = 0; i < SWEEP_SLICE; i++) {
		if (!conntrack_next(n->ct, &n->sweep_cursor, &index)) {
			n->sweeping = false;
			return;
		}
		const struct conn *c = conntrack_conn(n->ct, index);
		if ((c->status & (CT_MAPPED | CT_SNAT)) && !nat_still_allowed(n, index))
			conntrack_end(n->ct, index, CT_END_CONFIG);
	}
}

void nat_configure(struct nat *n, const struct nat_config *cfg)
{
	nat_pending_opens_forget(n);
	nat_pools_build(n, cfg);
	n->sweeping = true;
	n->sweep_cursor = 0;
}

void nat_expire(struct nat *n)
{
	nat_pending_opens_expire(n);
	nat_hold_downs_expire(n);
	nat_calls_expire(n);
	if (n->sweeping)
		sweep(n);
}

uint64_t nat_next_deadline(const struct nat *n)
{
	return n->sweeping ? n->env->now
			   : min_u64(min_u64(nat_hold_downs_deadline(n), nat_pending_opens_deadline(n)),
				     nat_calls_deadline(n));
}
