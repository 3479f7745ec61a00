/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Update groups: who is in which, and what the speaker and the table call.
 *
 * A group is what makes what is told the same: policy, kind, octets of AS numbers, our AS and address, the limit.
 * Within it are parts (bgp_groups_part.c), within them members. The table says what has changed, number by number, and
 * each part notes it as a bit; from there on it is pulled: a session that has room asks for messages, which are in the
 * log of its part already or are made by then (bgp_groups_pack.c). What took too long for that goes on in
 * bgp_groups_work.
 *
 * What always holds: a part has a member; a number that was told, or whose withdrawal somebody has not read, is nobody
 * else's; no member waits for another.
 *
 * Next: src/routing/bgp/bgp_groups_log.c
 */
#include "routing/bgp/bgp_groups.h"

#include <errno.h>
#include <stdlib.h>

#include "routing/bgp/bgp_groups_priv.h"

static void accept_all(void *user, struct ip4_prefix prefix, const struct bgp_set *set, const struct bgp_source *source,
		       struct bgp_export_verdict *v)
{
}

const struct bgp_export bgp_export_all = { .judge = accept_all };

/* --- the table's reader --- */

static void changed(void *user, const struct bgp_change *c)
{
	struct bgp_groups *all = user;
	bool has_moved = c->best.source != c->best_before.source;

	for (struct bgp_pairs *p = all->pairs; p != NULL; p = p->next)
		bgp_bits_set(&p->changed, c->number);
	for (struct bgp_group *g = all->groups; g != NULL; g = g->next)
		for (struct bgp_part *p = g->parts; p != NULL; p = p->next) {
			if (bgp_group_is_silent(g) && p->told.n_set == 0)
				continue;
			bgp_bits_set(&p->changed, c->number);
			if (has_moved)
				bgp_bits_set(&p->moved, c->number);
			if (p->n_idle > 0)
				bgp_part_wake(all, p);
		}
}

static bool needs(void *user, uint32_t number)
{
	const struct bgp_groups *all = user;

	for (const struct bgp_group *g = all->groups; g != NULL; g = g->next)
		for (const struct bgp_part *p = g->parts; p != NULL; p = p->next)
			if (bgp_bits_has(&p->told, number))
				return true;
	return false;
}

int bgp_groups_create(struct bgp_groups **out, const struct bgp_groups_config *c)
{
	struct bgp_groups *all = calloc(1, sizeof(*all));

	*out = NULL;
	if (all == NULL)
		return -ENOMEM;
	all->config = *c;
	all->table = c->table;
	for (uint32_t i = 0; i < BGP_SOURCES_MAX; i++)
		all->member_of_source[i] = MEMBER_NONE;
	if (!bgp_table_add_reader(c->table, &(struct bgp_reader){ BGP_READS_BEST, changed, needs, all })) {
		free(all);
		return -ENOSPC;
	}
	*out = all;
	return 0;
}

/* --- groups --- */

static bool is_same_group(const struct bgp_group *g, const struct bgp_group_form *f, const struct bgp_group_terms *t)
{
	const struct bgp_export *a = &g->terms.export, *b = &t->export;

	return g->form.kind == f->kind && g->form.as4 == f->as4 && g->form.local_as == f->local_as &&
	       g->form.local_addr == f->local_addr && g->form.max_prefixes == f->max_prefixes &&
	       g->terms.next_hop_self == t->next_hop_self && g->terms.tag == t->tag && a->judge == b->judge &&
	       a->write == b->write && a->user == b->user;
}

/* The group of a neighbour, made if need be; NULL without memory. */
static struct bgp_group *group_of(struct bgp_groups *all, const struct bgp_outbound_peer *peer)
{
	const struct bgp_group_form f = { .kind = bgp_kind_of(&peer->wire),
					  .as4 = peer->wire.as4,
					  .local_as = peer->wire.local_as,
					  .local_addr = peer->local_addr,
					  .max_prefixes = peer->config->max_prefixes_out };
	struct bgp_group_terms terms = { 0 };
	struct bgp_group *g;

	all->config.terms(all->config.user, peer, &terms);
	for (g = all->groups; g != NULL; g = g->next)
		if (is_same_group(g, &f, &terms))
			return g;
	g = calloc(1, sizeof(*g));
	if (g == NULL)
		return NULL;
	g->form = f;
	g->terms = terms;
	g->next = all->groups;
	all->groups = g;
	all->stats.n_groups++;
	return g;
}

static void end_if_empty(struct bgp_groups *all, struct bgp_group *g)
{
	if (g->parts != NULL)
		return;
	for (struct bgp_group **at = &all->groups; *at != NULL; at = &(*at)->next)
		if (*at == g) {
			*at = g->next;
			break;
		}
	free(g);
	all->stats.n_groups--;
}

/* --- members --- */

/* One that nobody was told anything in. */
static struct bgp_part *fresh_part(struct bgp_groups *all, struct bgp_group *g)
{
	for (struct bgp_part *p = g->parts; p != NULL; p = p->next)
		if (p->n_made == 0 && p->told.n_set == 0 && p->phase == DUMP_WAIT)
			return p;
	struct bgp_part *p = bgp_part_create(all, g);

	if (p != NULL && !bgp_group_is_silent(g))
		bgp_part_restart(all, p);
	return p;
}

static struct bgp_member *unused_member(struct bgp_groups *all)
{
	for (uint32_t i = 0; i < MEMBERS_MAX; i++)
		if (all->member[i].part == NULL)
			return &all->member[i];
	return NULL;
}

static int up(void *user, const struct bgp_outbound_peer *peer, uint32_t *member)
{
	struct bgp_groups *all = user;
	struct bgp_member *m = unused_member(all);
	struct bgp_group *g = m != NULL ? group_of(all, peer) : NULL;
	struct bgp_part *p = g != NULL ? fresh_part(all, g) : NULL;

	if (p == NULL) {
		if (g != NULL)
			end_if_empty(all, g);
		return m == NULL ? -ENOSPC : -ENOMEM;
	}
	*m = (struct bgp_member){ .peer = *peer, .wants_dump = true };
	bgp_part_join(p, m);
	*member = (uint32_t)(m - all->member);
	if (peer->source < BGP_SOURCES_MAX)
		all->member_of_source[peer->source] = *member;
	all->stats.n_members++;
	return 0;
}

static void down(void *user, uint32_t member)
{
	struct bgp_groups *all = user;
	struct bgp_member *m = &all->member[member];
	struct bgp_group *g = m->part->group;

	if (m->peer.source < BGP_SOURCES_MAX && all->member_of_source[m->peer.source] == member)
		all->member_of_source[m->peer.source] = MEMBER_NONE;
	bgp_part_leave(all, m);
	end_if_empty(all, g);
	all->stats.n_members--;
}

/* Into another group, with what it knows, to be looked at once more. Without memory it stays where it is, and tries
 * again when it is next heard. */
static void regroup(struct bgp_groups *all, struct bgp_member *m)
{
	struct bgp_group *was = m->part->group, *g = group_of(all, &m->peer);

	m->is_misplaced = g != was;
	if (g == was)
		return;
	if (g == NULL || !bgp_part_split(all, m) || !bgp_part_regroup(m->part, g)) {
		all->stats.n_no_memory++;
		if (g != NULL)
			end_if_empty(all, g);
		bgp_part_set_pending(all, m->part, true);
		return;
	}
	m->is_misplaced = false;
	bgp_part_restart(all, m->part);
	end_if_empty(all, was);
}

static void config_changed(void *user, uint32_t member, const struct bgp_neighbor_config *config)
{
	struct bgp_groups *all = user;

	all->member[member].peer.config = config;
	regroup(all, &all->member[member]);
}

static void refresh(void *user, uint32_t member)
{
	struct bgp_groups *all = user;
	struct bgp_member *m = &all->member[member];

	m->wants_dump = true;
	/* Without memory all of its part are told once more: that is not wrong. */
	(void)bgp_part_split(all, m);
	bgp_part_restart(all, m->part);
}

static bool is_dumped(void *user, uint32_t member)
{
	struct bgp_groups *all = user;
	struct bgp_member *m = &all->member[member];

	if (m->wants_dump && m->part->phase == DUMP_DONE && bgp_log_position(m) >= m->part->dump_end)
		m->wants_dump = false;
	return !m->wants_dump;
}

/* Room in the log: those that are furthest behind go on alone. False without memory for that. */
static bool make_room(struct bgp_groups *all, struct bgp_part *p)
{
	while (p->n_chunks >= LOG_CHUNKS_MAX) {
		struct bgp_member *m = p->members;

		while (m != NULL && m->at != p->first)
			m = m->next;
		if (m == NULL || !bgp_part_split(all, m))
			return false;
		all->stats.n_split++;
	}
	return true;
}

static enum bgp_made make(struct bgp_groups *all, struct bgp_part *p)
{
	return make_room(all, p) ? bgp_part_make(all, p) : MADE_LATER;
}

static size_t next(void *user, uint32_t member, uint8_t *buf, size_t room)
{
	struct bgp_groups *all = user;
	struct bgp_member *m = &all->member[member];
	enum bgp_made made = MADE_SOME;

	if (m->is_misplaced)
		regroup(all, m);
	size_t len = bgp_log_read(all, m, buf, room);

	if (m->at == NULL && room - len >= BGP_MESSAGE_MAX) {
		made = make(all, m->part);
		len += bgp_log_read(all, m, buf + len, room - len);
	}
	if (len > 0)
		return len;
	/* There may be more that is not for this one. */
	if (made != MADE_NONE)
		bgp_part_set_pending(all, m->part, true);
	else
		bgp_part_merge(all, m->part);
	if (!m->is_idle) {
		m->is_idle = true;
		m->part->n_idle++;
	}
	return 0;
}

const struct bgp_outbound bgp_groups_slot = {
	.up = up,
	.down = down,
	.changed = config_changed,
	.refresh = refresh,
	.next = next,
	.is_dumped = is_dumped,
};

/* --- work --- */

bool bgp_groups_has_work(const struct bgp_groups *all)
{
	return all->n_pending > 0;
}

bool bgp_groups_work(struct bgp_groups *all)
{
	struct bgp_part *longest = NULL;

	if (all->n_pending == 0)
		return false;
	for (struct bgp_group *g = all->groups; g != NULL; g = g->next)
		for (struct bgp_part *p = g->parts; p != NULL; p = p->next)
			if (p->is_pending && (longest == NULL || p->worked < longest->worked))
				longest = p;
	longest->worked = ++all->clock;
	/* Whoever has not read yet finds it there; also one that sleeps, and for whom somebody else made it. */
	if (longest->n_idle < longest->n_members || longest->first != NULL || make(all, longest) != MADE_LATER) {
		bgp_part_set_pending(all, longest, false);
		bgp_part_wake(all, longest);
	}
	return all->n_pending > 0;
}

void bgp_groups_judge_again(struct bgp_groups *all, const void *export_user)
{
	for (struct bgp_group *g = all->groups; g != NULL; g = g->next)
		for (struct bgp_part *p = g->parts; g->terms.export.user == export_user && p != NULL; p = p->next)
			bgp_part_restart(all, p);
}

/* --- asked --- */

struct bgp_groups_stats bgp_groups_stats(const struct bgp_groups *all)
{
	struct bgp_groups_stats s = all->stats;

	for (const struct bgp_pairs *p = all->pairs; p != NULL; p = p->next)
		s.resident_bytes += sizeof(*p) + (uint64_t)p->cap * sizeof(*p->pair);
	for (const struct bgp_group *g = all->groups; g != NULL; g = g->next)
		for (const struct bgp_part *p = g->parts; p != NULL; p = p->next)
			s.resident_bytes += p->n_chunks * sizeof(struct bgp_chunk);
	return s;
}

void bgp_groups_look(const struct bgp_groups *all, uint32_t member, struct bgp_groups_view *v)
{
	const struct bgp_member *m = &all->member[member];
	const struct bgp_part *p = m->part;

	*v = (struct bgp_groups_view){ .n_told = p->told.n_set,
				       .n_waiting = p->changed.n_set + p->n_batch - p->batch_at,
				       .n_too_long = p->group->n_too_long,
				       .n_over_limit = p->group->n_over_limit,
				       .is_dumped = !m->wants_dump,
				       .n_members = p->n_members };
}

void bgp_groups_destroy(struct bgp_groups *all)
{
	if (all == NULL)
		return;
	for (uint32_t i = 0; i < MEMBERS_MAX; i++)
		if (all->member[i].part != NULL)
			down(all, i);
	bgp_table_remove_reader(all->table, all);
	while (all->spare != NULL) {
		struct bgp_chunk *c = all->spare;

		all->spare = c->next;
		free(c);
	}
	free(all);
}
