/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What rules last did to packets of the gateway's own host: which of them dropped one, or said
 * notrack, for each port of a socket here. It is all that remains of such a packet beside a
 * counter, since it leaves no connection; `yangguan why` asks for it.
 *
 * A record stands where its port leads (a hash), and the next of the same place takes it:
 * whoever floods one port hides what happened to that, and little else. But notrack, which passes,
 * takes no place of another port's drop that may still be told. Another ruleset forgets all.
 */
#include "gateway/rules/rules_priv.h"

#include "base/util.h"

static struct rules_own *place_of(const struct rules *r, uint8_t proto, uint16_t port, bool is_out)
{
	uint32_t x = ((uint32_t)proto << 17 | (uint32_t)is_out << 16 | port) * 0x9e3779b1u;

	return &r->own[x >> (32 - RULES_OWN_BITS)];
}

static bool is_of(const struct rules_own *own, uint8_t proto, uint16_t port, bool is_out)
{
	return own->proto == proto && own->local_port == port && own->is_out == is_out;
}

void rules_own_note(const struct rules *r, enum rules_own_kind kind, bool is_out, const struct packet *p, uint32_t row)
{
	if (ipv4_is_fragment(&p->ip) || !l4_kind_has_ports((enum l4_kind)p->l4.kind))
		return;
	uint16_t port = is_out ? p->l4.sport : p->l4.dport;
	struct rules_own *own = place_of(r, p->ip.proto, port, is_out);

	if (kind == RULES_OWN_UNTRACKED && own->kind == RULES_OWN_DROPPED && own->generation == r->generation &&
	    r->env->now - own->at <= RULES_OWN_TOLD_NS && !is_of(own, p->ip.proto, port, is_out))
		return;
	*own = (struct rules_own){
		.at = r->env->now,
		.local = is_out ? p->ip.src : p->ip.dst,
		.remote = is_out ? p->ip.dst : p->ip.src,
		.local_port = port,
		.remote_port = is_out ? p->l4.dport : p->l4.sport,
		.proto = p->ip.proto,
		.kind = (uint8_t)kind,
		.is_out = is_out,
		.row = row,
		.generation = r->generation,
	};
}

bool rules_own_last(const struct rules *r, uint8_t proto, uint16_t port, bool is_out, struct rules_own *out)
{
	*out = *place_of(r, proto, port, is_out);
	return r->rs != NULL && out->kind != RULES_OWN_NONE && out->generation == r->generation &&
	       is_of(out, proto, port, is_out);
}
