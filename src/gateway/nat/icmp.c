/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ICMP errors about a translated connection (RFC 5508 section 4.2, REQ-4 and 5).
 *
 * Whoever gets the error must see in it the packet that he sent: so the quoted
 * packet becomes the tuple of its own direction, untranslated, and the error goes
 * to that tuple's source. This is done at the first hook, for addresses, ports
 * and every checksum, the error's own included.
 *
 * Where the error comes from stays as it is, except that an inside address must
 * not appear outside: where the connection's source is translated on this way, a
 * host or router behind us appears under the translated address; one that a rule
 * maps by prefix, one address to one, under its own (REQ-5c). A router of the
 * other side keeps its own, so traceroute shows it. The gateway's own errors keep
 * the address of the interface that they leave through.
 *
 * Errors of the gateway itself come here through OUTPUT; the quoted packet may be
 * translated on one side only then, and still the result is the same.
 */
#include "gateway/nat/nat_priv.h"
#include "stack/wire/rewrite.h"

static enum rewrite_check no_ports(const struct packet *p)
{
	return p->ip.frag_off != 0 ? REWRITE_CHECK_NONE : REWRITE_CHECK_FULL;
}

void nat_error_dst(struct nat *n, struct packet *p)
{
	const struct conn *c = conntrack_of(n->ct, p);
	const struct tuple *quoted = &c->half[!conn_dir(p->conn_ref)].tuple;
	struct icmp_quote q;

	if (!(c->status & (CT_SNAT | CT_DNAT)))
		return;
	/* A way round the translator is none (Linux drops it, too). */
	if (p->l4.type == ICMP_REDIRECT && p->l4.kind == L4_ICMP_ERROR) {
		packet_set_drop(p, DROP_ICMP_IGNORED);
		return;
	}
	if (p->l4.kind == L4_ICMP_ERROR && icmp_quote_parse(packet_l4(p), packet_l4_len(p), &q)) {
		struct rewrite inner = {
			.src = quoted->src, .dst = quoted->dst, .sport = quoted->sport, .dport = quoted->dport
		};
		rewrite_quote(packet_l4(p), packet_l4_len(p), &q, &inner);
	}
	struct rewrite outer = { .src = p->ip.src, .dst = quoted->src };
	rewrite_packet(packet_l3(p), &p->ip, &p->l4, &outer, no_ports(p));
}

/* The outside address of a router behind us, if a rule maps it one to one; else `shown`. */
static uint32_t router_outside(struct nat *n, struct packet *p, uint32_t shown)
{
	struct nat_action a = { .kind = NAT_ACTION_NONE };

	if (n->rules == NULL || n->rules(n->rules_ctx, HOOK_POSTROUTING, p, &a) == VERDICT_DROP ||
	    a.kind != NAT_ACTION_PREFIX)
		return shown;
	return (a.range.first & ip4_mask(a.prefix_len)) | (p->ip.src & ~ip4_mask(a.prefix_len));
}

void nat_error_src(struct nat *n, struct packet *p)
{
	const struct conn *c = conntrack_of(n->ct, p);
	enum ct_dir dir = conn_dir(p->conn_ref);
	uint32_t shown = c->half[!dir].tuple.dst;

	if (p->in_ifindex == 0 || c->half[dir].tuple.src == shown)
		return;
	if (p->ip.src != c->half[dir].tuple.src)
		shown = router_outside(n, p, shown);
	struct rewrite outer = { .src = shown, .dst = p->ip.dst };
	rewrite_packet(packet_l3(p), &p->ip, &p->l4, &outer, no_ports(p));
}
