/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ICMP errors: which connection they are about (RFC 5508 section 4, RFC 5927).
 *
 * An error that arrives quotes the packet as it left us. So the other direction
 * of the quoted tuple is one of the connection's two, and its direction is the
 * one in which the error travels: the connection is found by plain look-up.
 *
 * An error of our own quotes the packet as it stood when we gave up on it:
 *   - not translated, or translated on the destination side only, where that side
 *     changes nothing: the quoted tuple itself is in the table (also of a
 *     connection not confirmed yet: a traceroute's first probe);
 *   - translated at one side or at both: the other direction of it is in there;
 *   - translated on the destination side of a connection that has both: neither.
 *     For this one, src/stack/ip may leave the quoted packet's conn_ref in the error
 *     (with CT_INFO_NONE). It may be stale, so it counts only if the quoted
 *     packet can be one of that connection.
 *
 * Either way it goes to whoever sent what it quotes.
 *
 * An error from outside about TCP must quote a sequence number that can be on
 * its way; else an attacker off the path could send it (RFC 5927 section 4). The
 * quoted IP header must have its checksum right (RFC 5508 REQ-3a); that of TCP or
 * UDP is not asked for (REQ-3c).
 */
#include "gateway/conntrack/conntrack_priv.h"
#include "stack/wire/checksum.h"

/* True when the quoted tuple, without its zone, can be what a packet of direction d looks like inside us. */
static bool quote_of(const struct conn *c, enum ct_dir d, const struct tuple *quoted)
{
	const struct tuple *from = &c->half[d].tuple;
	struct tuple to = tuple_invert(&c->half[!d].tuple);
	struct tuple half = *from;

	half.dst = to.dst;
	if (half.proto != IPPROTO_NR_ICMP)
		half.dport = to.dport;
	half.zone = quoted->zone;
	to.zone = quoted->zone;
	if (tuple_equal(&half, quoted) || tuple_equal(&to, quoted))
		return true;
	struct tuple first = *from;
	first.zone = quoted->zone;
	return tuple_equal(&first, quoted);
}

/* A reference whose direction is that of the error. */
static uint32_t find_for_ours(const struct conntrack *ct, const struct packet *p, const struct tuple *quoted)
{
	if (p->conn_ref != CONN_NONE && conn_index(p->conn_ref) < ct->conns.n_fresh) {
		const struct conn *c = ct_conn(ct, conn_index(p->conn_ref));
		enum ct_dir d = conn_dir(p->conn_ref);
		/* An unused one has no status at all; an unconfirmed one may have none either, but stands in the table.
		 */
		if (c->status != 0 && quote_of(c, d, quoted))
			return p->conn_ref ^ 1;
	}
	struct tuple inverse = tuple_invert(quoted);
	uint32_t ref = conntrack_find(ct, &inverse);
	if (ref != CONN_NONE)
		return ref;
	ref = conntrack_find(ct, quoted);
	return ref == CONN_NONE ? CONN_NONE : ref ^ 1;
}

void ct_icmp_error(struct conntrack *ct, enum ip_hook hook, struct packet *p)
{
	struct icmp_quote q;
	struct tuple quoted;
	uint32_t ref;

	if (!ct_checksum_ok(p)) {
		packet_set_drop(p, DROP_L4_CHECKSUM);
		return;
	}
	if (!icmp_quote_parse(packet_l4(p), packet_l4_len(p), &q) || q.ip.src != p->ip.dst ||
	    !tuple_of_quote(&q, conntrack_zone_of(ct, p), &quoted)) {
		ct_set_invalid(ct, p);
		return;
	}
	if (hook != HOOK_OUTPUT && checksum_finish(checksum_add(0, packet_l4(p) + q.ip_offset, q.ip.header_len)) != 0) {
		packet_set_drop(p, DROP_ICMP_QUOTE_CHECKSUM);
		return;
	}
	if (hook == HOOK_OUTPUT) {
		ref = find_for_ours(ct, p, &quoted);
	} else {
		struct tuple inverse = tuple_invert(&quoted);
		ref = conntrack_find(ct, &inverse);
	}
	if (ref == CONN_NONE && tuple_has_own_id(&quoted))
		ref = ct_identity_quoted(ct, &quoted);
	/* Of one that begins in this very batch nobody can have seen a packet; and how it is translated is not known
	 * yet, so its quote could not be put right. */
	if (ref == CONN_NONE || (hook != HOOK_OUTPUT && !(ct_conn(ct, conn_index(ref))->status & CT_CONFIRMED))) {
		ct_set_invalid(ct, p);
		return;
	}
	if (ct->flowcache.alive != NULL)
		(void)ct->flowcache.alive(ct->flowcache_ctx, conn_index(ref));
	const struct conn *c = ct_conn(ct, conn_index(ref));
	const struct ct_protocol *proto = ct_protocol_of_conn(c);
	if (hook != HOOK_OUTPUT && proto->quote_fits != NULL && !proto->quote_fits(c, !conn_dir(ref), &q.l4)) {
		ct->counts[CT_COUNT_ICMP_OUT_OF_WINDOW]++;
		ct_set_invalid(ct, p);
		return;
	}
	p->conn_ref = ref;
	p->ct_info = CT_INFO_RELATED;
	p->ct_icmp_error = true;
}
