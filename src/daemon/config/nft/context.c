/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the matches of a rule say together: of which protocol its packets are,
 * and of which family. A rule that asks for two protocols never matches, and nft
 * refuses what it can see of that; so do we, and make a note of what nft takes
 * but never matches either.
 *
 * As in nft, the first match that settles the protocol counts, a set of several
 * protocols is none of them, and "!=" and masks settle nothing.
 */
#include "daemon/config/nft/nft.h"

#include "stack/wire/icmp.h"

/* A set of them: no header belongs to it. */
#define SEVERAL_PROTOCOLS 256u

static const char *protocol_name(uint32_t proto, char text[16])
{
	size_t n;
	const struct rule_symbol *s = rule_symbols(RULE_TYPE_PROTOCOL, &n);

	for (size_t i = 0; i < n; i++)
		if (s[i].value == proto)
			return s[i].name;
	if (proto == SEVERAL_PROTOCOLS)
		return "several";
	snprintf(text, 16, "%u", proto);
	return text;
}

/* A header of this protocol is looked at. */
static bool needs(struct parser *p, const struct text_pos *pos, uint32_t proto)
{
	struct config_context *c = &nft_of(p)->context;
	char a[16], b[16];

	if (!c->has_proto) {
		c->has_proto = true;
		c->proto = proto;
	}
	if (c->proto == proto)
		return true;
	config_err(p, pos, "conflicting protocols: %s, and %s before it; no packet is both", protocol_name(proto, a),
		   protocol_name(c->proto, b));
	return false;
}

static bool holds(const struct rule_match *m, uint32_t value)
{
	for (size_t i = 0; i < m->n_ranges; i++)
		if (m->range[i].lo <= value && value <= m->range[i].hi)
			return true;
	return false;
}

/* `key value` or `key { values }`, not masked, not negated. */
static bool is_list(const struct rule_stmt *s)
{
	return s->kind == STMT_MATCH && s->match.op == RULE_OP_EQ && !s->match.has_mask &&
	       s->match.set_name[0] == '\0' && s->match.n_ranges > 0;
}

/* `meta l4proto tcp` and the like. */
static void learn_protocol(struct parser *p, const struct rule_stmt *s)
{
	const struct rule_match *m = &s->match;
	struct config_context *c = &nft_of(p)->context;
	char text[16];

	if (!is_list(s))
		return;
	if (c->has_proto && c->proto != SEVERAL_PROTOCOLS && !holds(m, c->proto))
		config_note(p, &s->pos, "this rule never matches: it asks for %s before",
			    protocol_name(c->proto, text));
	if (c->has_proto)
		return;
	for (size_t i = 0; i < m->n_ranges; i++) {
		if (m->range[i].lo != m->range[i].hi)
			return;
		if (m->range[i].lo != m->range[0].lo) {
			c->has_proto = true;
			c->proto = SEVERAL_PROTOCOLS;
			return;
		}
	}
	c->has_proto = true;
	c->proto = m->range[0].lo;
}

static bool icmp_key(struct parser *p, const struct rule_stmt *s)
{
	const struct rule_match *m = &s->match;

	nft_of(p)->context.is_ipv4 = true;
	if (m->key == KEY_ICMP_TYPE && is_list(s))
		nft_of(p)->context.no_echo = !holds(m, ICMP_ECHO_REPLY) && !holds(m, ICMP_ECHO_REQUEST);
	if (m->key != KEY_ICMP_ID || !nft_of(p)->context.no_echo)
		return true;
	config_err(p, &s->pos, "only echo has an id, and the type before it is another one");
	return false;
}

static bool key(struct parser *p, const struct rule_stmt *s)
{
	const struct rule_match *m = &s->match;
	const struct rule_key_info *info = &rule_key_info[m->key];

	if (info->proto != 0 && !needs(p, &s->pos, info->proto))
		return false;
	if (m->key == KEY_META_L4PROTO || m->key == KEY_IP_PROTOCOL || m->key == KEY_CT_PROTOCOL)
		learn_protocol(p, s);
	if (m->key >= KEY_IP_SADDR && m->key <= KEY_IP_FRAG_OFF)
		nft_of(p)->context.is_ipv4 = true;
	if (m->key == KEY_META_NFPROTO && m->op == RULE_OP_EQ)
		nft_of(p)->context.is_ipv4 = true;
	return info->proto != IPPROTO_NR_ICMP || icmp_key(p, s);
}

static bool reject(struct parser *p, const struct rule_stmt *s)
{
	const struct config_context *c = &nft_of(p)->context;
	char text[16];

	if (s->reject_kind != REJECT_TCP_RESET || !c->has_proto || c->proto == IPPROTO_NR_TCP)
		return true;
	config_err(p, &s->pos, "only TCP can be reset, and this rule is for %s", protocol_name(c->proto, text));
	return false;
}

/* In an inet table nothing says of which family an address is. */
static bool nat(struct parser *p, const struct rule_stmt *s)
{
	bool address = s->map != NULL || (s->nat.flags & NAT_FLAG_ADDRESS) != 0;

	if (!nft_of(p)->inet || !address || s->nat.kind == NAT_ACTION_POOL || nft_of(p)->context.is_ipv4 ||
	    nft_of(p)->context.nat_says_ip)
		return true;
	config_err(p, &s->pos, "in a table of family inet write \"%s ip to\", as in nft",
		   s->nat_is_source ? "snat" : "dnat");
	return false;
}

bool config_context(struct parser *p, const struct rule_stmt *s)
{
	switch (s->kind) {
	case STMT_MATCH:
	case STMT_VMAP:
		return key(p, s);
	case STMT_REJECT:
		return reject(p, s);
	case STMT_NAT:
		return nat(p, s);
	default:
		return true;
	}
}
