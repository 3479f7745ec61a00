/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The config's policies in a running gateway: of each neighbour what its rules are told and which filters it names, for
 * the slots of the table (import) and of the update groups (export).
 *
 * Neighbours that are told the same share one policy of that way, so that they are one group. A reload fills all of
 * them in anew, since the program of the old config goes with it; what is held is judged again only where something
 * that a neighbour's policy says has changed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config/config_policy.h"
#include "daemon/run/run_bgp_priv.h"
#include "routing/bgp/bgp_policy.h"

#define N_KNOWN 256u

struct run_bgp_policies {
	struct bgp_policy_room room;
	struct config_policy *filters; /* held */
	struct policy_prefixes own;
	struct policy_roas roas;
	const struct roa_table *asked[CONFIG_BGP_RPKI_MAX]; /* by the program's numbers; the config has each (check) */
	struct policy_attrs explained;                      /* for people */
	struct known_name {
		bool is_there;
		uint32_t addr;
		const char *name;
	} known[N_KNOWN];                            /* by a neighbour's address */
	struct bgp_policy of[BGP_NEIGHBORS_MAX];     /* by slot */
	struct bgp_export export[BGP_NEIGHBORS_MAX]; /* ... of the first of those that are alike */
};

static enum policy_roa check_roa(void *user, uint32_t table, struct ip4_prefix prefix, uint32_t origin_as)
{
	static const enum policy_roa answers[] = {
		[ROA_UNKNOWN] = POLICY_ROA_UNKNOWN,
		[ROA_VALID] = POLICY_ROA_VALID,
		[ROA_INVALID] = POLICY_ROA_INVALID,
	};
	const struct run_bgp_policies *all = user;
	const struct roa_table *t = table < CONFIG_BGP_RPKI_MAX ? all->asked[table] : NULL;

	return t != NULL ? answers[roa_check(t, prefix, origin_as)] : POLICY_ROA_UNKNOWN;
}

int run_bgp_make_policies(struct run_bgp *b)
{
	b->policies = calloc(1, sizeof(*b->policies));
	if (b->policies == NULL)
		return -ENOMEM;
	b->policies->roas = (struct policy_roas){ check_roa, b->policies };
	return 0;
}

void run_bgp_free_policies(struct run_bgp *b)
{
	if (b->policies != NULL) {
		policy_prefixes_fini(&b->policies->own);
		config_policy_free(b->policies->filters);
	}
	free(b->policies);
	b->policies = NULL;
}

static struct policy_choice choice_of(const struct config_policy *filters, const struct config_bgp_policy *p)
{
	switch (p->kind) {
	case CONFIG_BGP_ALL:
		return (struct policy_choice){ .kind = POLICY_ALL };
	case CONFIG_BGP_FILTER:
		return (struct policy_choice){ POLICY_BY_FILTER, config_policy_find(filters, p->filter) };
	case CONFIG_BGP_NONE:
		return (struct policy_choice){ .kind = POLICY_NOTHING };
	case CONFIG_BGP_NOT_SAID:
		break;
	}
	return (struct policy_choice){ .kind = POLICY_NOT_SAID };
}

static const char *find_name(const struct run_bgp *b, const struct bgp_source *source)
{
	for (uint32_t i = 0; i < BGP_NEIGHBORS_MAX; i++) {
		const struct run_bgp_slot *s = &b->slot[i];

		if (s->is_used && ip4_in(source->addr, s->config->session.peers))
			return s->config->session.name;
	}
	return NULL;
}

/* A source's name is its neighbour's in the config; our own networks have none. Asked for each path that is to be told,
 * so it is kept by address. */
static const char *name_of(void *user, const struct bgp_source *source)
{
	struct run_bgp *b = user;
	struct known_name *k = &b->policies->known[(source->addr ^ source->addr >> 8) % N_KNOWN];

	if (!k->is_there || k->addr != source->addr)
		*k = (struct known_name){ true, source->addr, find_name(b, source) };
	return k->name;
}

static bool set_own(struct run_bgp_policies *all, const struct config_bgp *config)
{
	struct policy_pattern *p = calloc(config->n_networks + 1, sizeof(*p));

	policy_prefixes_fini(&all->own);
	if (p == NULL)
		return false;
	for (size_t i = 0; i < config->n_networks; i++)
		p[i] = (struct policy_pattern){ config->network[i].prefix, config->network[i].prefix.len, 32 };
	bool is_well = policy_prefixes_init(&all->own, p, config->n_networks) == 0;

	free(p);
	return is_well;
}

static void set_one(struct run_bgp *b, uint32_t i, const struct config_bgp *config)
{
	const struct config_policy *filters = b->policies->filters;
	const struct config_bgp_neighbor *n = b->slot[i].config;
	uint32_t local_as = n->session.local_as != 0 ? n->session.local_as : config->as;

	/* Where it is in the room stays: the table has it by that. */
	b->policies->of[i] = (struct bgp_policy){
		.place = { b->policies->of[i].place[0], b->policies->of[i].place[1] },
		.program = filters != NULL ? filters->program : NULL,
		.neighbor = { .kind = n->session.peer_as == local_as ? BGP_INTERNAL : BGP_EXTERNAL,
			      .local_as = local_as,
			      .peer_as = n->session.peer_as,
			      .role = n->session.has_role ? n->session.role : BGP_ROLE_NONE,
			      .import = choice_of(filters, &n->import),
			      .export = choice_of(filters, &n->export),
			      .own = config->n_networks > 0 ? &b->policies->own : NULL,
			      .may_be_own = n->may_be_own,
			      .ignores_shutdown = n->ignores_shutdown,
			      .takes_blackholes = n->takes_blackholes,
			      .transit = n->transit },
		.name = n->session.name,
		.roas = &b->policies->roas,
		.name_of = name_of,
		.name_user = b,
		.room = &b->policies->room,
	};
}

/* The first slot that is told the same. */
static uint32_t alike(const struct run_bgp *b, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++)
		if (b->slot[k].is_used && bgp_policy_exports_alike(&b->policies->of[k], &b->policies->of[i]))
			return k;
	return i;
}

static void find_tables(struct run_bgp *b)
{
	struct run_bgp_policies *all = b->policies;
	uint32_t n = run_bgp_asks_rpki(b) ? policy_n_tables(all->filters->program) : 0;

	for (uint32_t i = 0; i < CONFIG_BGP_RPKI_MAX; i++)
		all->asked[i] = i < n ? run_bgp_rpki_find(b->rpki, policy_table_name(all->filters->program, i)) : NULL;
}

static bool same_networks(const struct config_bgp *x, const struct config_bgp *y)
{
	if (x == NULL || x->n_networks != y->n_networks)
		return false;
	for (size_t i = 0; i < x->n_networks; i++)
		if (x->network[i].prefix.addr != y->network[i].prefix.addr ||
		    x->network[i].prefix.len != y->network[i].prefix.len)
			return false;
	return true;
}

bool run_bgp_set_policies(struct run_bgp *b, const struct config_bgp *was, const struct config_bgp *config)
{
	struct run_bgp_policies *all = b->policies;
	struct config_policy *before = all->filters;
	bool differs = !same_networks(was, config);

	all->filters = config_policy_hold(b->run->snap->policy);
	differs = differs || !config_policy_same(before, all->filters);
	config_policy_free(before);
	find_tables(b);
	if (!set_own(all, config))
		return false;
	memset(&all->room.judged, 0, sizeof(all->room.judged));
	memset(all->known, 0, sizeof(all->known));
	for (uint32_t i = 0; i < BGP_NEIGHBORS_MAX; i++) {
		const void *told_by = all->export[i].user;

		if (!b->slot[i].is_used) {
			/* Of one that is on its way out nothing is used, nor of the program that is gone. */
			all->of[i].program = NULL;
			all->of[i].neighbor.import.kind = all->of[i].neighbor.export.kind = POLICY_NOTHING;
			all->of[i].neighbor.own = NULL;
			all->of[i].room = &all->room;
			continue;
		}
		set_one(b, i, config);
		uint32_t first = alike(b, i);

		all->export[i] = first == i ? bgp_policy_export(&all->of[i]) : all->export[first];
		b->slot[i].must_judge = b->slot[i].must_judge || differs || all->export[i].user != told_by;
	}
	return true;
}

void run_bgp_explain(void *ctx, const struct bgp_neighbor_view *v, struct ip4_prefix prefix,
		     const struct bgp_set *received, struct policy_verdict *out)
{
	struct run_bgp *b = ctx;

	bgp_policy_explain(&b->policies->of[v->config->tag], BGP_POLICY_IMPORT, prefix,
			   (struct bgp_nlri){ received->bytes, received->len }, NULL, &b->policies->explained, out);
}

bool run_bgp_asks_rpki(const struct run_bgp *b)
{
	const struct config_policy *filters = b->policies->filters;

	return filters != NULL && filters->program != NULL && policy_n_tables(filters->program) > 0;
}

struct bgp_import run_bgp_import_of(struct run_bgp *b, uint32_t slot)
{
	return bgp_policy_import(&b->policies->of[slot]);
}

struct bgp_export run_bgp_export_of(const struct run_bgp *b, uint32_t slot)
{
	return b->policies->export[slot];
}
