/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What nobody can be reached by: addresses of a link of ours that a dnat is for and
 * that nobody here holds, and links that no route leads to.
 *
 * A rule translates what matches, and nothing else: it makes no address ours, so
 * the gateway answers no ARP for one that only a rule names. Where that is meant
 * (a host elsewhere on the link, whose traffic is turned round), nothing is
 * missing; where it is not, nothing ever comes. So the one who wrote it is told
 * which line would make the address ours. Held is what an interface has, what a
 * pool holds, what an interface answers for, and what a snat gives out.
 *
 * A link without an address that no route names has no way back to anybody there.
 */
#include "daemon/config/config_priv.h"

#include <string.h>

static bool range_has(const struct nat_address_range *r, uint32_t addr)
{
	return r->first <= addr && addr <= r->last;
}

static bool held_by_interfaces(const struct config *c, uint32_t addr)
{
	for (size_t i = 0; i < c->n_interfaces; i++) {
		for (uint32_t k = 0; k < c->interface[i].ip.n_addresses; k++)
			if (c->interface[i].ip.address[k].addr == addr)
				return true;
		for (uint32_t k = 0; k < c->interface[i].n_answers; k++)
			if (range_has(&c->interface[i].answer[k], addr))
				return true;
	}
	return false;
}

static bool held_by_pools(const struct config *c, uint32_t addr)
{
	for (uint32_t i = 0; i < c->nat.n_pools; i++)
		for (uint32_t k = 0; k < c->nat.pool[i].n_ranges; k++)
			if (range_has(&c->nat.pool[i].range[k], addr))
				return true;
	return false;
}

static bool given_out_by(const struct rule_table *t, const struct rule_stmt *s, uint32_t addr)
{
	const struct rule_map *m = s->map != NULL ? rules_map_of(t, s->map) : NULL;

	if (s->kind != STMT_NAT || !s->nat_is_source)
		return false;
	for (size_t i = 0; m != NULL && i < m->n_entries; i++)
		if (m->entry[i].addr == addr)
			return true;
	return s->map == NULL && s->nat.kind == NAT_ACTION_RANGE && (s->nat.flags & NAT_FLAG_ADDRESS) != 0 &&
	       range_has(&s->nat.range, addr);
}

static bool held_by_rules(const struct config *c, uint32_t addr)
{
	for (size_t t = 0; t < c->rules.n_tables; t++) {
		const struct rule_table *table = &c->rules.table[t];

		for (size_t k = 0; k < table->n_chains; k++)
			for (size_t r = 0; r < table->chain[k].n_rules; r++)
				for (size_t s = 0; s < table->chain[k].rule[r].n_stmts; s++)
					if (given_out_by(table, &table->chain[k].rule[r].stmt[s], addr))
						return true;
	}
	return false;
}

/* The interface on whose prefix addr lies, as one of the hosts; NULL if none. */
static const struct config_interface *link_of(const struct config *c, uint32_t addr)
{
	for (size_t i = 0; i < c->n_interfaces; i++) {
		for (uint32_t k = 0; k < c->interface[i].ip.n_addresses; k++) {
			uint8_t len = c->interface[i].ip.address[k].prefix_len;
			struct ip4_prefix net = { c->interface[i].ip.address[k].addr & ip4_mask(len), len };

			if (ip4_in(addr, net) && (len >= 31 || addr != (net.addr | ~ip4_mask(len))))
				return &c->interface[i];
		}
	}
	return NULL;
}

static bool names_it(const struct rule_match *m, const char *name)
{
	for (size_t i = 0; i < m->n_names; i++) {
		size_t len = strcspn(m->name[i].name, "*");

		if (m->name[i].wildcard ? strncmp(m->name[i].name, name, len) == 0 : strcmp(m->name[i].name, name) == 0)
			return true;
	}
	return false;
}

/* Whether a packet that comes in by this interface can meet the rule. */
static bool may_come_by(const struct rule *r, const char *name)
{
	for (size_t i = 0; i < r->n_stmts; i++) {
		const struct rule_match *m = &r->stmt[i].match;

		if (r->stmt[i].kind != STMT_MATCH || m->key != KEY_META_IIFNAME || m->set_name[0] != '\0')
			continue;
		if ((m->op == RULE_OP_EQ && !names_it(m, name)) || (m->op == RULE_OP_NEQ && names_it(m, name)))
			return false;
	}
	return true;
}

static void check_address(struct parser *p, const struct rule *r, const struct text_pos *pos, uint32_t addr)
{
	const struct config_interface *i = link_of(config_of(p), addr);
	char text[IP4_TEXT_MAX];

	if (i == NULL || held_by_interfaces(config_of(p), addr) || held_by_pools(config_of(p), addr) ||
	    held_by_rules(config_of(p), addr) || !may_come_by(r, i->ip.name))
		return;
	ip4_format(addr, text);
	config_note(
		p, pos,
		"nobody here holds %s, so no ARP is answered for it; to make it ours: interface %s { answer for %s; }",
		text, i->ip.name, text);
}

/* The destinations of a match, as far as they are single addresses: a whole prefix says nothing of whose they are. */
static void check_match(struct parser *p, const struct rule_table *t, const struct rule *r, const struct rule_stmt *s)
{
	const struct rule_match *m = &s->match;
	const struct rule_range *range = m->range;
	size_t n = m->n_ranges;

	if (s->kind != STMT_MATCH || m->key != KEY_IP_DADDR || m->op != RULE_OP_EQ || m->has_mask)
		return;
	if (m->set_name[0] != '\0') {
		uint32_t set = rules_find_set(t, m->set_name);

		n = set != UINT32_MAX ? t->set[set].n_ranges : 0;
		range = n > 0 ? t->set[set].range : NULL;
	}
	for (size_t i = 0; i < n; i++)
		if (range[i].lo == range[i].hi)
			check_address(p, r, &s->pos, range[i].lo);
}

/* `dnat to ip daddr map` is reached by the keys of the map. */
static void check_map(struct parser *p, const struct rule_table *t, const struct rule *r, const struct rule_stmt *s)
{
	const struct rule_map *m = s->map != NULL ? rules_map_of(t, s->map) : NULL;

	if (m == NULL || s->map->number.kind != RULE_NUMBER_KEY || s->map->number.key[0] != KEY_IP_DADDR)
		return;
	for (size_t i = 0; i < m->n_entries; i++)
		if (!m->entry[i].is_rest && m->entry[i].range.lo == m->entry[i].range.hi)
			check_address(p, r, &s->pos, m->entry[i].range.lo);
}

static void check_rule(struct parser *p, const struct rule_table *t, const struct rule *r)
{
	const struct rule_stmt *dnat = NULL;

	for (size_t i = 0; i < r->n_stmts; i++)
		if (r->stmt[i].kind == STMT_NAT && !r->stmt[i].nat_is_source)
			dnat = &r->stmt[i];
	if (dnat == NULL)
		return;
	for (size_t i = 0; i < r->n_stmts; i++)
		check_match(p, t, r, &r->stmt[i]);
	check_map(p, t, r, dnat);
}

static bool is_routed(const struct config *c, const struct config_interface *f)
{
	for (size_t i = 0; i < c->n_routes; i++)
		if (strcmp(c->route[i].device, f->ip.name) == 0)
			return true;
	return f->ip.n_addresses > 0;
}

static void check_way_back(struct parser *p, const struct config_interface *f)
{
	if (f->ip.rpf == IP_RPF_STRICT && !is_routed(config_of(p), f))
		config_note(p, &f->pos,
			    "no route leads to interface \"%s\", so whatever comes in there is dropped as rpf; to let "
			    "it in: rpf off",
			    f->ip.name);
}

void config_check_held(struct parser *p)
{
	const struct rule_ast *ast = &config_of(p)->rules;

	for (size_t i = 0; i < config_of(p)->n_interfaces; i++)
		check_way_back(p, &config_of(p)->interface[i]);
	for (size_t t = 0; t < ast->n_tables; t++) {
		for (size_t c = 0; c < ast->table[t].n_chains; c++) {
			const struct rule_chain *chain = &ast->table[t].chain[c];

			/* What is made here needs no ARP. */
			if (chain->type == CHAIN_NAT && chain->hook == HOOK_OUTPUT)
				continue;
			for (size_t r = 0; r < chain->n_rules; r++)
				check_rule(p, &ast->table[t], &chain->rule[r]);
		}
	}
}
