/* SPDX-License-Identifier: BSD-2-Clause
 *
 * RFC 4271's decision is a sieve: at each step those go that have a better one beside them, until one is left. With
 * MED, which counts only between paths of one neighbouring AS, "better" is no order (a may be before b, b before c and
 * c before a), so paths that are compared in pairs give an answer that depends on which come first; the sieve does not.
 * The second best is what the sieve leaves when the best was never there.
 *
 * Of many, those that cannot be best or second are put aside at once, by the steps before MED as one number.
 *
 * A step is a number a candidate, of which the lowest stay. The step that is told is the one at which the second best
 * goes when it is alone with the best: among all it may have gone before, outdone by the MED of a third.
 *
 * Next: src/routing/bgp/bgp_table.c
 */
#include "routing/bgp/bgp_decide.h"

static uint32_t by_local_pref(const struct bgp_candidate *c)
{
	return UINT32_MAX - c->set->local_pref;
}

static uint32_t by_path_length(const struct bgp_candidate *c)
{
	return c->set->n_hops;
}

static uint32_t by_origin(const struct bgp_candidate *c)
{
	return c->set->origin;
}

static uint32_t by_med(const struct bgp_candidate *c)
{
	return c->set->med;
}

static uint32_t by_external(const struct bgp_candidate *c)
{
	return c->from->kind == BGP_EXTERNAL ? 0 : 1;
}

static uint32_t by_igp(const struct bgp_candidate *c)
{
	return c->igp_cost;
}

static uint32_t by_identifier(const struct bgp_candidate *c)
{
	return c->set->originator_id != 0 ? c->set->originator_id : c->from->id;
}

static uint32_t by_cluster_list(const struct bgp_candidate *c)
{
	return c->set->n_clusters;
}

static uint32_t by_address(const struct bgp_candidate *c)
{
	return c->from->addr;
}

static const struct {
	const char *name;
	uint32_t (*number)(const struct bgp_candidate *c); /* NULL: no step of the sieve */
} steps[] = {
	[BGP_STEP_NONE] = { "none", NULL },
	[BGP_STEP_ONLY] = { "the only one", NULL },
	[BGP_STEP_LOCAL_PREF] = { "LOCAL_PREF", by_local_pref },
	[BGP_STEP_PATH_LENGTH] = { "AS_PATH length", by_path_length },
	[BGP_STEP_ORIGIN] = { "ORIGIN", by_origin },
	[BGP_STEP_MED] = { "MED", by_med },
	[BGP_STEP_EXTERNAL] = { "external before internal", by_external },
	[BGP_STEP_IGP] = { "cost to the next hop", by_igp },
	[BGP_STEP_IDENTIFIER] = { "identifier", by_identifier },
	[BGP_STEP_CLUSTER_LIST] = { "CLUSTER_LIST length", by_cluster_list },
	[BGP_STEP_ADDRESS] = { "neighbor's address", by_address },
};
_Static_assert(ARRAY_LEN(steps) == N_BGP_STEPS, "a row each");

const char *bgp_step_name(enum bgp_step step)
{
	return steps[step].name;
}

/* Who is left: numbers of candidates. */
struct left {
	uint8_t who[BGP_PATHS_MAX];
	uint32_t n;
};

static void keep_lowest(const struct bgp_candidate *c, enum bgp_step step, struct left *l)
{
	uint32_t lowest = UINT32_MAX, n = 0;

	for (uint32_t i = 0; i < l->n; i++)
		lowest = min_u32(lowest, steps[step].number(&c[l->who[i]]));
	for (uint32_t i = 0; i < l->n; i++)
		if (steps[step].number(&c[l->who[i]]) == lowest)
			l->who[n++] = l->who[i];
	l->n = n;
}

/* Whether a path of the same neighbouring AS with a lower MED is there. Those without one, our own AS's, are compared
 * with each other. */
static bool is_outdone(const struct bgp_candidate *c, const struct left *l, const struct bgp_set *set)
{
	for (uint32_t i = 0; i < l->n; i++) {
		const struct bgp_set *other = c[l->who[i]].set;

		if (other->neighbor_as == set->neighbor_as && other->med < set->med)
			return true;
	}
	return false;
}

static void keep_lowest_med(const struct bgp_candidate *c, struct left *l)
{
	struct left kept = { .n = 0 };

	for (uint32_t i = 0; i < l->n; i++)
		if (!is_outdone(c, l, c[l->who[i]].set))
			kept.who[kept.n++] = l->who[i];
	for (uint32_t i = 0; i < kept.n; i++)
		l->who[i] = kept.who[i];
	l->n = kept.n;
}

/* Some steps one after the other; *step: the last at which somebody went. */
static void go_through(enum bgp_med_rule rule, const struct bgp_candidate *c, struct left *l, uint8_t from, uint8_t end,
		       uint8_t *step)
{
	for (uint8_t s = from; l->n > 1 && s < end; s++) {
		if (s == BGP_STEP_MED && rule == BGP_MED_SAME_AS)
			keep_lowest_med(c, l);
		else
			keep_lowest(c, (enum bgp_step)s, l);
		*step = s;
	}
}

/* The one that is left of all but `without`. */
static uint8_t sieve(enum bgp_med_rule rule, const struct bgp_candidate *c, uint32_t n, uint8_t without, uint8_t *step)
{
	struct left l;

	l.n = 0;
	for (uint32_t i = 0; i < n; i++)
		if (i != without)
			l.who[l.n++] = (uint8_t)i;
	if (l.n == 0)
		return BGP_NOBODY;
	*step = BGP_STEP_ONLY;
	go_through(rule, c, &l, BGP_STEP_LOCAL_PREF, N_BGP_STEPS, step);
	return l.who[0];
}

uint32_t bgp_decide_equal(enum bgp_med_rule rule, enum bgp_multipath how, const struct bgp_candidate *c, uint32_t n,
			  uint8_t *who, uint32_t max)
{
	struct left l, best;
	uint32_t n_equal = 0;
	uint8_t step;

	for (l.n = 0; l.n < n; l.n++)
		l.who[l.n] = (uint8_t)l.n;
	if (n == 0 || max == 0)
		return 0;
	go_through(rule, c, &l, BGP_STEP_LOCAL_PREF, BGP_STEP_IGP + 1, &step);
	best = l;
	go_through(rule, c, &best, BGP_STEP_IDENTIFIER, N_BGP_STEPS, &step);
	who[n_equal++] = best.who[0];
	for (uint32_t i = 0; i < l.n && n_equal < max; i++)
		if (l.who[i] != best.who[0] &&
		    (how == BGP_MULTIPATH_RELAX || c[l.who[i]].set->neighbor_as == c[best.who[0]].set->neighbor_as))
			who[n_equal++] = l.who[i];
	return n_equal;
}

/* The steps before MED as one number, of which the lowest stays. */
static uint64_t before_med(const struct bgp_set *set)
{
	return (uint64_t)(UINT32_MAX - set->local_pref) << 32 | (uint32_t)set->n_hops << 8 | set->origin;
}

/* Those that are left when MED's turn comes, and if that is one alone, those too that would be without it: nobody else
 * is best or second. Returns how many; which[] are their numbers. */
static uint32_t keep_for_med(const struct bgp_candidate *c, uint32_t n, struct bgp_candidate *kept, uint8_t *which)
{
	uint64_t lowest = UINT64_MAX, next = UINT64_MAX, number[BGP_PATHS_MAX];
	uint32_t n_kept = 0;

	for (uint32_t i = 0; i < n; i++) {
		number[i] = before_med(c[i].set);
		if (number[i] < lowest) {
			next = lowest;
			lowest = number[i];
		} else if (number[i] < next) {
			next = number[i]; /* as low as the lowest when there are two of those */
		}
	}
	for (uint32_t i = 0; i < n; i++)
		if (number[i] <= next) {
			which[n_kept] = (uint8_t)i;
			kept[n_kept++] = c[i];
		}
	return n_kept;
}

static struct bgp_choice decide(enum bgp_med_rule rule, const struct bgp_candidate *c, uint32_t n)
{
	struct bgp_choice choice = { BGP_NOBODY, BGP_NOBODY, BGP_STEP_NONE };
	uint8_t ignored;

	choice.best = sieve(rule, c, n, BGP_NOBODY, &choice.step);
	if (n == 2) {
		choice.second = (uint8_t)(1 - choice.best);
	} else if (n > 2) {
		choice.second = sieve(rule, c, n, choice.best, &ignored);
		const struct bgp_candidate pair[] = { c[choice.best], c[choice.second] };

		(void)sieve(rule, pair, 2, BGP_NOBODY, &choice.step);
	}
	return choice;
}

struct bgp_choice bgp_decide(enum bgp_med_rule rule, const struct bgp_candidate *c, uint32_t n)
{
	struct bgp_candidate kept[BGP_PATHS_MAX];
	uint8_t which[BGP_PATHS_MAX];

	if (n <= 2)
		return decide(rule, c, n);
	struct bgp_choice choice = decide(rule, kept, keep_for_med(c, n, kept, which));

	choice.best = which[choice.best];
	choice.second = which[choice.second];
	return choice;
}
