/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A part of a group: members that know the same. What they know is bits by number: told, moved, changed; routes are
 * copied nowhere.
 *
 * Its life: a neighbour that comes up joins the part of its group that has not begun yet, or begins one. That is dumped
 * (bgp_pairs.h), then follows what changes. A member that does not read while the log is full is split off, with the
 * bits of its part and those of what it has not read, and goes on alone; so is one that asks for everything once more.
 * A part that has nothing left to tell is merged into another one of which that is true as well: what is told is a
 * function of the table, so both know the same.
 *
 * A dump ends when pairs and, once, all that had changed by then are out: then each route that was there all the time
 * has been told, however much has changed since, and that is when End-of-RIB is due.
 *
 * Next: src/routing/bgp/bgp_groups_pack.c
 */
#include <stdlib.h>

#include "routing/bgp/bgp_groups_priv.h"

/* --- life --- */

static void free_bits(struct bgp_part *p)
{
	bgp_bits_fini(&p->told);
	bgp_bits_fini(&p->moved);
	bgp_bits_fini(&p->changed);
	bgp_bits_fini(&p->left);
	bgp_bits_fini(&p->blocked);
}

struct bgp_part *bgp_part_create(struct bgp_groups *all, struct bgp_group *g)
{
	struct bgp_part *p = calloc(1, sizeof(*p));
	uint32_t n = bgp_table_limit(all->table);

	if (p == NULL)
		return NULL;
	if (!bgp_bits_init(&p->told, n) || !bgp_bits_init(&p->moved, n) || !bgp_bits_init(&p->changed, n) ||
	    (g->form.max_prefixes != 0 && !bgp_bits_init(&p->blocked, n))) {
		free_bits(p);
		free(p);
		return NULL;
	}
	p->phase = DUMP_DONE;
	p->group = g;
	p->next = g->parts;
	g->parts = p;
	all->stats.n_parts++;
	return p;
}

static void drop_pairs(struct bgp_groups *all, struct bgp_part *p)
{
	struct bgp_pairs *gone = p->pairs;

	p->pairs = NULL;
	if (gone == NULL || --gone->n_users > 0)
		return;
	for (struct bgp_pairs **at = &all->pairs; *at != NULL; at = &(*at)->next)
		if (*at == gone) {
			*at = gone->next;
			break;
		}
	bgp_pairs_free(gone);
}

static void drop_batch(struct bgp_part *p)
{
	free(p->batch);
	p->batch = NULL;
	p->batch_at = p->n_batch = 0;
}

/* What is without a path by now is to be withdrawn, and nothing but its bit says so. */
static void put_back_batch(struct bgp_part *p)
{
	for (uint32_t i = p->batch_at; i < p->n_batch; i++)
		bgp_bits_set(&p->changed, bgp_pair_number(p->batch[i]));
	drop_batch(p);
}

/* Without members. */
static void destroy(struct bgp_groups *all, struct bgp_part *p)
{
	for (struct bgp_part **at = &p->group->parts; *at != NULL; at = &(*at)->next)
		if (*at == p) {
			*at = p->next;
			break;
		}
	bgp_part_set_pending(all, p, false);
	bgp_log_free(all, p);
	drop_pairs(all, p);
	drop_batch(p);
	/* Prefixes that are gone, and that this one would have had to withdraw. */
	if (bgp_table_stats(all->table).n_kept > 0)
		for (uint32_t i = bgp_bits_next(&p->told, 0); i != BGP_BITS_END; i = bgp_bits_next(&p->told, i + 1))
			bgp_table_done(all->table, i);
	free_bits(p);
	free(p);
	all->stats.n_parts--;
}

void bgp_part_set_pending(struct bgp_groups *all, struct bgp_part *p, bool is_pending)
{
	if (is_pending == p->is_pending)
		return;
	p->is_pending = is_pending;
	all->n_pending += is_pending ? 1 : UINT32_MAX;
}

void bgp_part_wake(struct bgp_groups *all, struct bgp_part *p)
{
	for (struct bgp_member *m = p->members; p->n_idle > 0 && m != NULL; m = m->next)
		if (m->is_idle) {
			m->is_idle = false;
			p->n_idle--;
			all->config.wake(all->config.user, m->peer.neighbor);
		}
}

/* --- members --- */

void bgp_part_join(struct bgp_part *p, struct bgp_member *m)
{
	m->part = p;
	m->next = p->members;
	m->at = NULL;
	p->members = m;
	p->n_members++;
	p->n_idle += m->is_idle;
}

void bgp_part_leave(struct bgp_groups *all, struct bgp_member *m)
{
	struct bgp_part *p = m->part;

	bgp_log_leave(all, m);
	for (struct bgp_member **at = &p->members; *at != NULL; at = &(*at)->next)
		if (*at == m) {
			*at = m->next;
			break;
		}
	m->part = NULL;
	p->n_members--;
	p->n_idle -= m->is_idle;
	if (p->n_members == 0)
		destroy(all, p);
}

/* A member may or may not have it: it is looked at once more, and withdrawn if need be. */
static void forget(void *user, uint32_t number)
{
	struct bgp_part *p = user;

	bgp_bits_set(&p->told, number);
	bgp_bits_set(&p->moved, number);
	bgp_bits_set(&p->changed, number);
}

static bool copy_bits(struct bgp_part *to, const struct bgp_part *from)
{
	if (from->left.word != NULL) {
		if (!bgp_bits_init(&to->left, from->left.n))
			return false;
		bgp_bits_add(&to->left, &from->left);
	}
	bgp_bits_add(&to->told, &from->told);
	bgp_bits_add(&to->moved, &from->moved);
	bgp_bits_add(&to->changed, &from->changed);
	if (from->blocked.word != NULL)
		bgp_bits_add(&to->blocked, &from->blocked);
	for (uint32_t i = from->batch_at; i < from->n_batch; i++)
		bgp_bits_set(&to->changed, bgp_pair_number(from->batch[i]));
	return true;
}

bool bgp_part_split(struct bgp_groups *all, struct bgp_member *m)
{
	struct bgp_part *from = m->part, *p;

	if (from->n_members == 1)
		return true;
	p = bgp_part_create(all, from->group);
	if (p == NULL || !copy_bits(p, from)) {
		if (p != NULL)
			destroy(all, p);
		all->stats.n_no_memory++;
		return false;
	}
	bgp_log_unread(m, forget, p);
	p->phase = from->phase == DUMP_DONE && m->wants_dump ? DUMP_SWEEP : from->phase;
	p->pair_at = from->pair_at;
	p->pairs = from->pairs;
	if (p->pairs != NULL)
		p->pairs->n_users++;
	bgp_part_leave(all, m);
	bgp_part_join(p, m);
	/* The work that would have woken it is another part's. */
	bgp_part_set_pending(all, p, m->is_idle);
	return true;
}

static bool is_quiet(const struct bgp_part *p)
{
	return p->phase == DUMP_DONE && p->changed.n_set == 0 && p->batch == NULL;
}

static bool have_read_all(const struct bgp_part *p)
{
	for (const struct bgp_member *m = p->members; m != NULL; m = m->next)
		if (m->at != NULL)
			return false;
	return true;
}

void bgp_part_merge(struct bgp_groups *all, struct bgp_part *p)
{
	struct bgp_part *into = p->group->parts;

	/* With a limit, what is told depends on what came first. */
	if ((into == p && p->next == NULL) || p->group->form.max_prefixes != 0 || !is_quiet(p) || !have_read_all(p))
		return;
	while (into != NULL && (into == p || !is_quiet(into)))
		into = into->next;
	if (into == NULL)
		return;
	/* Work would have woken them, and is no more: one may not know yet that its dump has ended. */
	if (p->is_pending)
		bgp_part_wake(all, p);
	for (struct bgp_member *m = p->members, *next; m != NULL; m = next) {
		next = m->next;
		bgp_part_leave(all, m); /* the last one takes the part with it */
		bgp_part_join(into, m);
	}
}

bool bgp_part_regroup(struct bgp_part *p, struct bgp_group *g)
{
	if (g->form.max_prefixes != 0 && p->blocked.word == NULL && !bgp_bits_init(&p->blocked, p->told.n))
		return false;
	for (struct bgp_part **at = &p->group->parts; *at != NULL; at = &(*at)->next)
		if (*at == p) {
			*at = p->next;
			break;
		}
	p->group = g;
	p->next = g->parts;
	g->parts = p;
	return true;
}

/* --- dumps --- */

/* What it has not told is told as if it had changed. */
static void abandon_pairs(struct bgp_groups *all, struct bgp_part *p)
{
	bgp_bits_add(&p->changed, &p->left);
	bgp_part_sent_pairs(all, p);
}

static void abandon_oldest(struct bgp_groups *all)
{
	struct bgp_pairs *oldest = all->pairs;

	while (oldest->next != NULL)
		oldest = oldest->next;
	for (struct bgp_group *g = all->groups; g != NULL; g = g->next)
		for (struct bgp_part *p = g->parts; p != NULL; p = p->next)
			if (p->pairs == oldest)
				abandon_pairs(all, p);
}

/* Those that are there will do when little has changed since. Of two that are there the older one goes, so memory is
 * bounded, whatever the number of dumps. */
static struct bgp_pairs *pairs_for_dump(struct bgp_groups *all)
{
	struct bgp_pairs *p = all->pairs;

	if (p != NULL && p->changed.n_set <= p->cap / 8)
		return p;
	if (p != NULL && p->next != NULL)
		abandon_oldest(all);
	p = bgp_pairs_begin(all->table);
	if (p == NULL) {
		all->stats.n_no_memory++;
		return NULL;
	}
	p->next = all->pairs;
	all->pairs = p;
	return p;
}

bool bgp_part_prepare(struct bgp_groups *all, struct bgp_part *p)
{
	if (p->phase != DUMP_WAIT)
		return true;
	if (p->pairs == NULL) {
		p->pairs = pairs_for_dump(all);
		if (p->pairs == NULL) {
			abandon_pairs(all, p);
			return true;
		}
		p->pairs->n_users++;
		p->pair_at = 0;
		bgp_bits_add(&p->changed, &p->pairs->changed);
	}
	if (!bgp_pairs_work(p->pairs, all->table))
		return false;
	p->phase = DUMP_SEND;
	return true;
}

void bgp_part_sent_pairs(struct bgp_groups *all, struct bgp_part *p)
{
	drop_pairs(all, p);
	bgp_bits_fini(&p->left);
	p->phase = DUMP_SWEEP;
	p->changed_at = 0;
	p->lap_done = false;
}

void bgp_part_restart(struct bgp_groups *all, struct bgp_part *p)
{
	uint32_t n = bgp_table_n_numbers(all->table);

	bgp_part_set_pending(all, p, true);
	/* Nothing was told since the last time: that will do, or who asks all the time would never hear. */
	if (p->phase == DUMP_WAIT)
		return;
	drop_pairs(all, p);
	put_back_batch(p);
	p->phase = DUMP_WAIT;
	if (p->left.word != NULL || bgp_bits_init(&p->left, bgp_table_limit(all->table))) {
		bgp_bits_fill(&p->left, n);
	} else {
		all->stats.n_no_memory++;
		bgp_bits_fill(&p->changed, n);
		bgp_part_sent_pairs(all, p);
	}
}
