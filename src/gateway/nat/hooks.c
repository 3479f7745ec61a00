/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Network address translation at the hooks.
 *
 * The first packet of a connection asks for a mapping, once a side (choose.c). From
 * then on every packet is rewritten by comparing the connection's two tuples
 * (translate.c): at the destination hooks (PREROUTING, OUTPUT) its destination, at
 * the source hooks (POSTROUTING, INPUT) its source. To rewrite twice changes nothing,
 * so a packet may come round.
 *
 * Aside from the way: ICMP errors, which are rewritten by what they quote (icmp.c),
 * INVALID packets (invalid.c), and connections that are about to leave by another
 * interface than the one whose address they have (end_moved).
 *
 * Next: src/gateway/nat/choose.c for the first packet, src/gateway/nat/translate.c for
 * every one
 */
#include "gateway/nat/source.h"

/* A connection that may still be given a mapping. */
static bool is_open(const struct conn *c, const struct packet *p, uint16_t done)
{
	return conn_dir(p->conn_ref) == CT_ORIGINAL && !(c->status & (CT_CONFIRMED | CT_DYING | done));
}

/* What listens to a trace hears that the rules were asked, whatever they say. */
static bool asks_rules(const struct nat *n, enum ip_hook hook)
{
	return n->has_rules == NULL || n->has_rules(n->rules_ctx, hook) || env_traced(n->env);
}

void nat_dst(void *ctx, enum ip_hook hook, struct batch *b)
{
	struct nat *n = ctx;
	bool asks = asks_rules(n, hook);

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];
		if (YG_UNLIKELY(p->ct_info == CT_INFO_INVALID)) {
			nat_invalid_dst(n, p);
			continue;
		}
		struct conn *c = p->ct_info == CT_INFO_NONE ? NULL : conntrack_of(n->ct, p);
		if (c == NULL)
			continue;
		if (YG_UNLIKELY(p->ct_icmp_error)) {
			nat_error_dst(n, p);
			continue;
		}
		if (YG_UNLIKELY(is_open(c, p, CT_DNAT_DONE))) {
			if (n->workers.begins != NULL && p->in_ifindex != 0)
				n->workers.begins(n->workers.ctx, p);
			/* Neither a rule nor a mapping can lead it elsewhere. */
			if (!asks && n->mappings.pool.n_used == 0)
				c->status |= CT_DNAT_DONE;
			else if (!nat_choose_dst(n, hook, p, conn_index(p->conn_ref)))
				continue;
		}
		nat_translate_dst(c, p);
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
	uint32_t first = at;

	while (at < n_sources) {
		struct nat_source *s = &source[at++];

		if (s->state == NAT_SOURCE_ASKED && !nat_source_hold(n, s))
			break;
	}
	/* One right behind the other: each waits for the page table where the table is large, and so they wait
	 * together. */
	for (; first < at; first++)
		if (source[first].state == NAT_SOURCE_HELD)
			conntrack_reach_reply(n->ct, source[first].place);
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
		nat_invalid_src(n, hook, p);
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
	nat_translate_src(n, c, p);
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
