/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What one statement of `bgp` alone cannot know: what is missing, what is said of two
 * neighbours, and what a neighbour of another AS needs before anything passes (RFC 8212).
 */
#include <string.h>

#include "daemon/config/config_policy.h"
#include "daemon/config/bgp_priv.h"

static bool is_external(const struct config_bgp *b, const struct config_bgp_neighbor *n)
{
	return n->session.peer_as != b->as;
}

static void check_self(struct parser *p, const struct config_bgp *b)
{
	if (b->as == 0)
		config_err(p, &b->pos, "BGP needs the number of our AS: as N;");
	if (b->router_id == 0)
		config_err(p, &b->pos, "BGP needs a router-id: an address of ours that no other speaker has");
	if (b->transport == CONFIG_BGP_TRANSPORT_OWN && config_of(p)->n_interfaces == 0)
		config_err(p, &b->pos,
			   "BGP over the gateway's own TCP needs an interface with an address; over the kernel's, say "
			   "`transport kernel;`");
}

static bool same_peers(const struct config_bgp_neighbor *m, const struct config_bgp_neighbor *n)
{
	return m->session.peers.len > 0 && m->session.peers.addr == n->session.peers.addr &&
	       m->session.peers.len == n->session.peers.len;
}

static void check_names_twice(struct parser *p, const struct config_bgp *b, size_t i)
{
	const struct config_bgp_neighbor *n = &b->neighbor[i];

	for (size_t k = 0; k < i; k++) {
		const struct config_bgp_neighbor *m = &b->neighbor[k];
		char text[IP4_TEXT_MAX];

		if (strcmp(m->session.name, n->session.name) == 0)
			config_err(p, &n->pos, "neighbor \"%s\" has a block already, in line %u", n->session.name,
				   m->pos.line);
		else if (same_peers(m, n))
			config_err(p, &n->pos, "%s: see the neighbour in line %u",
				   n->has_range ? ip4_prefix_format(n->session.peers, text)
						: ip4_format(n->session.peers.addr, text),
				   m->pos.line);
	}
}

static void check_neighbor(struct parser *p, const struct config_bgp *b, const struct config_bgp_neighbor *n)
{
	const struct bgp_neighbor_config *s = &n->session;

	if (s->peer_as == 0)
		config_err(p, &n->pos, "neighbor \"%s\" needs the number of its AS: as N;", s->name);
	if (!n->has_address && !n->has_range)
		config_err(p, &n->pos, "neighbor \"%s\" needs its address, or a range of them", s->name);
	if (n->has_address && n->has_range)
		config_err(p, &n->pos, "neighbor \"%s\" has an address and a range: one of them", s->name);
	if ((s->is_passive || n->has_range) && b->no_listen)
		config_err(p, &n->pos, "neighbor \"%s\" connects to us, and we do not listen", s->name);
	if (s->local_addr != 0 && n->has_address && s->local_addr == s->peers.addr)
		config_err(p, &n->pos, "neighbor \"%s\" has our own address", s->name);
	if (s->peer_as != 0 && b->as != 0 && s->has_role && !is_external(b, n))
		config_err(p, &n->pos, "a role is what we are to another AS (RFC 9234), and AS %u is ours", b->as);
}

/* RFC 8212: what has not been said does not pass. */
static void note_policy(struct parser *p, const struct config_bgp *b, const struct config_bgp_neighbor *n)
{
	bool in = n->import.kind != CONFIG_BGP_NOT_SAID, out = n->export.kind != CONFIG_BGP_NOT_SAID;

	if (!is_external(b, n) || (in && out))
		return;
	config_note(p, &n->pos,
		    "neighbor \"%s\" is of another AS and has no %s: %s (RFC 8212); say `%s all;` or name a filter",
		    n->session.name,
		    !in && !out ? "import and no export"
		    : !in       ? "import"
				: "export",
		    !in && !out ? "nothing is exchanged"
		    : !in       ? "nothing it says is used"
				: "it is told nothing",
		    !in ? "import" : "export");
}

/* Of policies that cannot be read nobody knows which filters there are. */
static void check_filter(struct parser *p, const struct config_bgp_policy *policy)
{
	const struct config_policy *all = config_of(p)->policy;

	if (policy->kind == CONFIG_BGP_FILTER && (all == NULL || !all->has_errors) &&
	    config_policy_find(all, policy->filter) == POLICY_NONE)
		config_err(p, &policy->pos, "no filter is called \"%s\"", policy->filter);
}

static bool has_rpki(const struct config_bgp *b, const char *name)
{
	for (size_t i = 0; i < b->n_rpkis; i++)
		if (strcmp(b->rpki[i].name, name) == 0)
			return true;
	return false;
}

/* A filter that asks a table that is not there hears "unknown" of every route: hardly what was meant. */
static void check_tables(struct parser *p, const struct config_bgp *b)
{
	const struct config_policy *all = config_of(p)->policy;

	if (all == NULL || all->has_errors || all->program == NULL)
		return;
	for (uint32_t i = 0; i < policy_n_tables(all->program); i++)
		if (!has_rpki(b, policy_table_name(all->program, i)))
			config_err(p, &b->pos, "a filter asks roa_check(%s), and no `rpki %s { ... }` stands here",
				   policy_table_name(all->program, i), policy_table_name(all->program, i));
}

void config_check_bgp(struct parser *p)
{
	const struct config_bgp *b = config_of(p)->bgp;

	if (b == NULL)
		return;
	check_self(p, b);
	for (size_t i = 0; i < b->n_neighbors; i++) {
		check_names_twice(p, b, i);
		check_neighbor(p, b, &b->neighbor[i]);
		check_filter(p, &b->neighbor[i].import);
		check_filter(p, &b->neighbor[i].export);
	}
	check_tables(p, b);
	for (size_t i = 0; i < b->n_networks; i++)
		for (size_t k = 0; k < i; k++)
			if (b->network[i].prefix.addr == b->network[k].prefix.addr &&
			    b->network[i].prefix.len == b->network[k].prefix.len)
				config_err(p, &b->network[i].pos, "this network stands in line %u already",
					   b->network[k].pos.line);
	if (config_n_errors(*p->errors) == 0)
		for (size_t i = 0; i < b->n_neighbors; i++)
			note_policy(p, b, &b->neighbor[i]);
}
