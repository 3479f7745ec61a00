/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Translations that are good as text and come to nothing: a masquerade by an
 * interface that has no address to give, and a dnat to where no route leads. The
 * packets are dropped by name; the one who wrote the rule is told before.
 */
#include "daemon/config/config_priv.h"

#include <string.h>

static bool names_it(const struct rule_name *name, size_t n, const char *what)
{
	for (size_t i = 0; i < n; i++)
		if (name[i].wildcard ? strncmp(name[i].name, what, strlen(name[i].name)) == 0
				     : strcmp(name[i].name, what) == 0)
			return true;
	return false;
}

/* Whether a rule speaks of packets that leave by this interface. */
enum leaves { LEAVES_NEVER, LEAVES_PERHAPS, LEAVES_NAMED };

static enum leaves leaves_by(const struct rule_table *t, const struct rule *r, const char *name)
{
	enum leaves by = LEAVES_PERHAPS;

	for (size_t i = 0; i < r->n_stmts; i++) {
		const struct rule_match *m = &r->stmt[i].match;
		const struct rule_name *names = m->name;
		size_t n = m->n_names;
		uint32_t set;

		if (r->stmt[i].kind != STMT_MATCH || m->key != KEY_META_OIFNAME)
			continue;
		if (m->set_name[0] != '\0') {
			set = rules_find_set(t, m->set_name);
			names = set == UINT32_MAX ? NULL : t->set[set].ifname;
			n = set == UINT32_MAX ? 0 : t->set[set].n_names;
		}
		if (names_it(names, n, name) != (m->op == RULE_OP_EQ))
			return LEAVES_NEVER;
		if (m->op == RULE_OP_EQ)
			by = LEAVES_NAMED;
	}
	return by;
}

/* Without an address of its own only a route says that anything leaves by it. */
static bool routed_by(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_routes; i++)
		if (c->route[i].route.nexthop.kind == FIB_UNICAST && strcmp(c->route[i].device, name) == 0)
			return true;
	return false;
}

static void check_masquerade(struct parser *p, const struct rule_table *t, const struct rule_chain *ch,
			     const struct rule *r, const struct rule_stmt *s)
{
	for (size_t i = 0; i < config_of(p)->n_interfaces; i++) {
		const struct ip_interface_config *f = &config_of(p)->interface[i].ip;
		enum leaves by;

		if (f->n_addresses > 0)
			continue;
		by = leaves_by(t, r, f->name);
		/* Of another chain's rules only who jumps to them knows the interface. */
		if (by == LEAVES_NAMED ||
		    (by == LEAVES_PERHAPS && ch->type == CHAIN_NAT && routed_by(config_of(p), f->name)))
			config_note(p, &s->pos,
				    "interface \"%s\" has no address: what this rule would masquerade there is dropped",
				    f->name);
	}
}

/* By the longest prefix, as packets will be sent; of equal ones the lowest metric. */
static bool is_reached(const struct config *c, uint32_t addr)
{
	const struct rib_route *best = NULL;
	bool reached = false;
	int len = -1;

	for (size_t i = 0; i < c->n_routes; i++) {
		const struct rib_route *r = &c->route[i].route;

		if (!ip4_in(addr, ip_prefix_to_v4(&r->prefix)) || (int)r->prefix.len < len ||
		    ((int)r->prefix.len == len && best != NULL && r->metric >= best->metric))
			continue;
		best = r;
		len = (int)r->prefix.len;
		reached = r->nexthop.kind == FIB_UNICAST;
	}
	for (size_t i = 0; i < c->n_interfaces; i++) {
		for (uint32_t k = 0; k < c->interface[i].ip.n_addresses; k++) {
			uint8_t n = c->interface[i].ip.address[k].prefix_len;
			struct ip4_prefix net = { c->interface[i].ip.address[k].addr & ip4_mask(n), n };

			if (c->interface[i].ip.address[k].addr == addr)
				return true;
			reached |= n >= len && ip4_in(addr, net);
		}
	}
	return reached;
}

static void check_address(struct parser *p, const struct text_pos *pos, uint32_t addr)
{
	char text[IP4_TEXT_MAX];

	if (!is_reached(config_of(p), addr))
		config_note(p, pos, "no route leads to %s: what is sent there is dropped", ip4_format(addr, text));
}

static void check_dnat(struct parser *p, const struct rule_table *t, const struct rule_stmt *s)
{
	const struct rule_map *m = s->map != NULL ? rules_map_of(t, s->map) : NULL;

	for (size_t i = 0; m != NULL && i < m->n_entries; i++)
		check_address(p, &m->entry[i].pos, m->entry[i].addr);
	if (s->map != NULL || (s->nat.flags & NAT_FLAG_ADDRESS) == 0)
		return;
	check_address(p, &s->pos, s->nat.range.first);
	if (s->nat.range.last != s->nat.range.first)
		check_address(p, &s->pos, s->nat.range.last);
}

static void check_rule(struct parser *p, const struct rule_table *t, const struct rule_chain *ch, const struct rule *r)
{
	for (size_t i = 0; i < r->n_stmts; i++) {
		const struct rule_stmt *s = &r->stmt[i];

		if (s->kind != STMT_NAT)
			continue;
		if (s->nat.kind == NAT_ACTION_MASQUERADE)
			check_masquerade(p, t, ch, r, s);
		else if (!s->nat_is_source && s->nat.kind != NAT_ACTION_REDIRECT)
			check_dnat(p, t, s);
	}
}

void config_check_reach(struct parser *p)
{
	const struct rule_ast *ast = &config_of(p)->rules;

	if (config_of(p)->n_interfaces == 0) /* rules alone, to be included elsewhere */
		return;
	for (size_t t = 0; t < ast->n_tables; t++)
		for (size_t c = 0; c < ast->table[t].n_chains; c++)
			for (size_t r = 0; r < ast->table[t].chain[c].n_rules; r++)
				check_rule(p, &ast->table[t], &ast->table[t].chain[c], &ast->table[t].chain[c].rule[r]);
}
