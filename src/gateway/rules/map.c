/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Maps from a key of the packet, or from a drawn number, to the address that a
 * translation goes to. Each entry holds a range of values, or the name of an
 * interface; no value is in two entries, except that the same entry may stand
 * twice, as in nft. A value without an entry is a hole: the rule does not speak
 * of that connection. "*" fills all holes.
 *
 * Checked as a tree before the compiler runs; sorted when it does, and searched
 * by halves. Const afterwards.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/rules/rules_priv.h"

const struct rule_map *rules_map_of(const struct rule_table *t, const struct rule_nat_map *m)
{
	uint32_t i;

	if (m->name[0] == '\0')
		return &m->own;
	i = rules_find_map(t, m->name);
	return i == UINT32_MAX ? NULL : &t->map[i];
}

/* The bytes of th may be of any protocol. */
static bool is_port_key(enum rule_key key)
{
	return key >= KEY_TCP_SPORT && key < KEY_TH_SPORT;
}

static bool match_knows_ports(const struct rule_match *m)
{
	if (m->key == KEY_META_L4PROTO || m->key == KEY_IP_PROTOCOL)
		return m->op == RULE_OP_EQ;
	return is_port_key(m->key) || m->key == KEY_CT_PROTOCOL;
}

bool rules_know_ports(const struct rule *r, const struct rule_stmt *s)
{
	for (size_t i = 0; i < r->n_stmts && &r->stmt[i] != s; i++)
		if (r->stmt[i].kind == STMT_MATCH && match_knows_ports(&r->stmt[i].match))
			return true;
	for (uint32_t i = 0; s->map != NULL && i < s->map->number.n_keys; i++)
		if (is_port_key(s->map->number.key[i]))
			return true;
	return false;
}

/* By value; what stands first in the file comes first of equal ones. */
static int by_range(const void *a, const void *b)
{
	const struct rule_map_entry *x = *(const struct rule_map_entry *const *)a,
				    *y = *(const struct rule_map_entry *const *)b;

	if (x->range.lo != y->range.lo)
		return x->range.lo < y->range.lo ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* By name; what stands first in the file comes first of equal ones. */
static int by_name(const void *a, const void *b)
{
	const struct rule_map_entry *x = *(const struct rule_map_entry *const *)a,
				    *y = *(const struct rule_map_entry *const *)b;
	int order = strcmp(x->name.name, y->name.name);

	if (order != 0)
		return order;
	if (x->name.wildcard != y->name.wildcard)
		return x->name.wildcard ? 1 : -1;
	return x < y ? -1 : x > y;
}

static bool is_names(const struct rule_map *m)
{
	return m->key < N_RULE_KEYS && rule_key_info[m->key].type == RULE_TYPE_IFNAME;
}

/* Pointers to all entries but "*", sorted by name or by range; NULL without memory. */
static const struct rule_map_entry **sorted(const struct rule_map *m, size_t *n)
{
	const struct rule_map_entry **e = calloc(m->n_entries + 1, sizeof(const struct rule_map_entry *));

	*n = 0;
	for (size_t i = 0; e != NULL && i < m->n_entries; i++)
		if (!m->entry[i].is_rest)
			e[(*n)++] = &m->entry[i];
	if (*n > 1)
		qsort(e, *n, sizeof(const struct rule_map_entry *), is_names(m) ? by_name : by_range);
	return e;
}

void rules_check_nat_map(const struct rule_table *t, const struct rule *r, const struct rule_stmt *s,
			 struct rules_report *rep)
{
	const struct rule_map *m = rules_map_of(t, s->map);
	enum rule_key key = s->map->number.key[0];

	if (m == NULL) {
		rules_report(rep, &s->name_pos, "table \"%s\" has no map called \"%s\"", t->name, s->map->name);
		return;
	}
	if (m == &s->map->own)
		rules_check_map(m, rep);
	else if (s->map->number.kind != RULE_NUMBER_KEY || rule_key_info[key].type != rule_key_info[m->key].type)
		rules_report(rep, &s->name_pos, "map \"%s\" is of values of another type than %s", m->name,
			     rule_key_info[key].name);
	if (m->has_ports && (s->nat.flags & NAT_FLAG_PORT))
		rules_report(rep, &s->pos, "the port stands in the map already");
	else if ((m->has_ports || (s->nat.flags & NAT_FLAG_PORT)) && !rules_know_ports(r, s))
		rules_report(rep, &s->pos,
			     "a port can be given only behind a match for a protocol that has ports, as in "
			     "\"tcp dport 80\" or \"ip protocol udp\"");
}

static struct nat_map_entry entry_of(const struct rule_map_entry *e)
{
	return (struct nat_map_entry){ .lo = e->range.lo, .hi = e->range.hi, .addr = e->addr, .ports = e->ports };
}

static void add_names_in_order(struct nat_map *m, const struct rule_map *src)
{
	for (size_t i = 0; i < src->n_entries; i++) {
		if (src->entry[i].is_rest)
			continue;
		m->entry[m->n] = entry_of(&src->entry[i]);
		m->entry[m->n++].lo = (uint32_t)i;
	}
}

bool nat_map_init(struct nat_map *m, const struct rule_map *src)
{
	const struct rule_map_entry **e;
	size_t n;

	*m = (struct nat_map){ .is_names = is_names(src), .has_ports = src->has_ports };
	m->entry = calloc(src->n_entries + 1, sizeof(*m->entry));
	e = sorted(src, &n);
	if (m->entry == NULL || e == NULL) {
		free(m->entry);
		free(e);
		m->entry = NULL;
		return false;
	}
	for (size_t i = 0; !m->is_names && i < n; i++)
		if (m->n == 0 || m->entry[m->n - 1].hi < e[i]->range.lo)
			m->entry[m->n++] = entry_of(e[i]);
	free(e);
	if (m->is_names)
		add_names_in_order(m, src);
	for (size_t i = 0; i < src->n_entries && !m->has_rest; i++) {
		m->has_rest = src->entry[i].is_rest;
		m->rest = entry_of(&src->entry[i]);
	}
	return true;
}

const struct nat_map_entry *nat_map_find(const struct nat_map *m, uint32_t value)
{
	uint32_t lo = 0, hi = m->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (value < m->entry[mid].lo)
			hi = mid;
		else if (value > m->entry[mid].hi)
			lo = mid + 1;
		else
			return &m->entry[mid];
	}
	return m->has_rest ? &m->rest : NULL;
}
