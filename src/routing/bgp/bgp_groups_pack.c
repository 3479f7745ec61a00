/* SPDX-License-Identifier: BSD-2-Clause
 *
 * From numbers to messages. Numbers come sorted by the set of their best path, out of the pairs of a dump or out of a
 * batch of up to 8,192 that have changed; so policy is asked and attributes are written once a set, and one message has
 * all prefixes of it that fit. Three lists are open at a time: what is announced with the attributes at hand, what is
 * withdrawn from all, and what is withdrawn from the neighbour alone from which the path comes now, since it has been
 * told of another one before.
 *
 * What is told is always the best path of now: a pair only says in which order. One of a dump whose number has changed
 * since is passed over, since it is among the changed; while a dump goes on, it and they take turns, chunk by chunk.
 *
 * Not told is: what policy refuses; a path of an internal neighbour to internal ones (RFC 4271 section 9.2); NO_EXPORT,
 * NO_ADVERTISE (RFC 1997), whatever policy makes of them; attributes that leave no room for a prefix (section 5.1.2,
 * counted); more than the neighbour shall be told (counted). What of that was told before is withdrawn.
 *
 * Next: src/stack/wire/bgp_attr_emit.c
 */
#include <stdlib.h>
#include <string.h>

#include "routing/bgp/bgp_groups_priv.h"

#define BUDGET 8192u /* pairs looked at for a chunk */
#define AHEAD 16u

static bool is_full(const struct bgp_chunk *c)
{
	return c->n_bytes >= CHUNK_BYTES || c->n_messages >= CHUNK_MESSAGES || c->n_numbers >= CHUNK_NUMBERS;
}

/* --- lists into messages --- */

static void put_message(struct bgp_chunk *c, struct bgp_update_job *job, struct bgp_list *l, enum bgp_to to)
{
	size_t len = bgp_update_emit(c->bytes + c->n_bytes, job);

	memcpy(c->number + c->n_numbers, l->number, l->n * sizeof(*l->number));
	c->message[c->n_messages++] = (struct bgp_sent_message){
		.len = (uint16_t)len, .n_numbers = (uint16_t)l->n, .source = l->source, .to = (uint8_t)to
	};
	c->n_bytes += (uint32_t)len;
	c->n_numbers += l->n;
	l->n = 0;
	l->len = 0;
}

static void flush_withdrawn(struct bgp_chunk *c, struct bgp_list *l, enum bgp_to to)
{
	struct bgp_update_job job = { .withdrawn = l->prefix, .n_withdrawn = l->n };

	if (l->n > 0)
		put_message(c, &job, l, to);
}

static void flush_announced(struct bgp_packer *k, struct bgp_chunk *c)
{
	struct bgp_update_job job = { .attrs = k->attrs[k->which],
				      .attrs_len = k->attrs_len[k->which],
				      .nlri = k->announce.prefix,
				      .n_nlri = k->announce.n };

	if (k->announce.n > 0)
		put_message(c, &job, &k->announce, TO_OTHERS);
}

static bool has_room(const struct bgp_list *l, struct ip4_prefix prefix, size_t attrs_len)
{
	return l->n < LIST_MAX &&
	       BGP_HEADER_LEN + 4 + attrs_len + l->len + bgp_prefix_len(prefix.len) <= BGP_MESSAGE_MAX;
}

static void put(struct bgp_list *l, struct ip4_prefix prefix, uint32_t number)
{
	l->prefix[l->n] = prefix;
	l->number[l->n++] = number;
	l->len += bgp_prefix_len(prefix.len);
}

/* --- what is made of a set --- */

static struct bgp_out out_of(const struct bgp_group *g, const struct bgp_set *set, const struct bgp_export_verdict *v)
{
	const struct bgp_group_form *f = &g->form;
	bool is_self = f->kind == BGP_EXTERNAL || g->terms.next_hop_self || set->next_hop == 0;

	return (struct bgp_out){ .kind = f->kind,
				 .as4 = f->as4,
				 .keeps_med = v->keeps_med,
				 .local_as = f->local_as,
				 .next_hop = is_self && !v->keeps_next_hop ? f->local_addr : 0,
				 .local_pref = BGP_LOCAL_PREF_DEFAULT };
}

/* Writes the attributes beside those of the list. Communities count as they came: those that policy has put there are
 * for the neighbour. */
static enum bgp_sent write_attrs(struct bgp_groups *all, const struct bgp_group *g, const struct bgp_set *set,
				 const struct bgp_export_verdict *v)
{
	struct bgp_packer *k = &all->packer;
	uint8_t next = 1 - k->which;
	struct bgp_out out = out_of(g, set, v);
	struct bgp_nlri bytes = { set->bytes, set->len };
	enum bgp_sent sent = bgp_set_emit(&out, bytes, k->attrs[next], BGP_EMITTED_MAX, &k->attrs_len[next]);

	if (v->edits == 0 || sent == BGP_NOT_ADVERTISED)
		return sent;
	out.any_community = true;
	bytes = (struct bgp_nlri){ k->edited, g->terms.export.write(g->terms.export.user, k->edited) };
	return bgp_set_emit(&out, bytes, k->attrs[next], BGP_EMITTED_MAX, &k->attrs_len[next]);
}

static enum bgp_sent judge(struct bgp_groups *all, struct bgp_group *g, const struct bgp_numbered *at, bool *asked)
{
	const struct bgp_source *source = bgp_table_source(all->table, at->best.source);
	const struct bgp_set *set = bgp_table_set(all->table, at->best.set);
	struct bgp_export_verdict v = { .is_accepted = true };

	*asked = false;
	if (bgp_group_is_silent(g) ||
	    (g->form.kind == BGP_INTERNAL && source->kind == BGP_INTERNAL && !source->is_ours))
		return BGP_NOT_ADVERTISED;
	if (g->terms.export.judge != NULL)
		g->terms.export.judge(g->terms.export.user, at->prefix, set, source, &v);
	*asked = v.asked_prefix;
	return v.is_accepted ? write_attrs(all, g, set, &v) : BGP_NOT_ADVERTISED;
}

/* What is open to be announced goes on when the attributes are the same. */
static void next_attrs(struct bgp_packer *k, struct bgp_chunk *c, uint32_t source)
{
	uint8_t next = 1 - k->which;

	if (k->announce.n > 0 && k->announce.source == source && k->attrs_len[0] == k->attrs_len[1] &&
	    memcmp(k->attrs[0], k->attrs[1], k->attrs_len[0]) == 0)
		return;
	flush_announced(k, c);
	k->announce.source = (uint16_t)source;
	k->which = next;
}

/* Whether the path is told, with the attributes that are current by then. */
static bool is_announced(struct bgp_groups *all, struct bgp_group *g, struct bgp_chunk *c,
			 const struct bgp_numbered *at)
{
	struct bgp_packer *k = &all->packer;
	struct bgp_judged *last = &k->last;

	if (last->set != at->best.set || last->source != at->best.source || last->asked_prefix) {
		last->set = at->best.set;
		last->source = at->best.source;
		last->sent = judge(all, g, at, &last->asked_prefix);
		if (last->sent == BGP_SENT)
			next_attrs(k, c, at->best.source);
	}
	if (last->sent == BGP_TOO_LONG) {
		g->n_too_long++;
		all->stats.n_too_long++;
	}
	return last->sent == BGP_SENT;
}

/* --- one prefix --- */

static void withdraw(struct bgp_groups *all, struct bgp_part *p, struct bgp_chunk *c, uint32_t number,
		     struct ip4_prefix prefix)
{
	struct bgp_list *l = &all->packer.withdraw;

	bgp_bits_clear(&p->moved, number);
	if (!bgp_bits_has(&p->told, number))
		return;
	bgp_bits_clear(&p->told, number);
	bgp_table_keep(all->table, number);
	if (!has_room(l, prefix, 0))
		flush_withdrawn(c, l, TO_ALL);
	put(l, prefix, number);
}

/* The neighbour that it comes from knows another path of ours to it, or may. */
static void withdraw_from_source(struct bgp_groups *all, const struct bgp_part *p, struct bgp_chunk *c, uint32_t number,
				 const struct bgp_numbered *at)
{
	uint32_t member = all->member_of_source[at->best.source];
	struct bgp_list *l = &all->packer.back;

	if (member == MEMBER_NONE || all->member[member].part != p)
		return;
	if (!has_room(l, at->prefix, 0) || l->source != at->best.source)
		flush_withdrawn(c, l, TO_SOURCE);
	l->source = (uint16_t)at->best.source;
	put(l, at->prefix, number);
}

static bool is_over_limit(struct bgp_groups *all, struct bgp_part *p, uint32_t number)
{
	struct bgp_group *g = p->group;
	uint32_t n = p->told.n_set + (bgp_bits_has(&p->told, number) ? 0 : 1);

	if (g->form.max_prefixes == 0)
		return false;
	if (n <= g->form.max_prefixes) {
		bgp_bits_clear(&p->blocked, number);
		return false;
	}
	if (!bgp_bits_has(&p->blocked, number)) {
		g->n_over_limit++;
		all->stats.n_over_limit++;
	}
	bgp_bits_set(&p->blocked, number);
	return true;
}

static void tell(struct bgp_groups *all, struct bgp_part *p, struct bgp_chunk *c, uint32_t number)
{
	struct bgp_packer *k = &all->packer;
	struct bgp_numbered at;

	if (!bgp_table_at(all->table, number, &at))
		return;
	if (at.best.set == BGP_SET_NONE || !is_announced(all, p->group, c, &at) || is_over_limit(all, p, number)) {
		withdraw(all, p, c, number, at.prefix);
		return;
	}
	if (bgp_bits_has(&p->told, number) && bgp_bits_has(&p->moved, number))
		withdraw_from_source(all, p, c, number, &at);
	bgp_bits_set(&p->told, number);
	bgp_bits_clear(&p->moved, number);
	if (!has_room(&k->announce, at.prefix, k->attrs_len[k->which]))
		flush_announced(k, c);
	put(&k->announce, at.prefix, number);
}

/* --- many --- */

static void prefetch_ahead(const struct bgp_groups *all, const bgp_pair *pair, uint32_t i, uint32_t n)
{
	if (i + AHEAD < n)
		bgp_table_prefetch(all->table, bgp_pair_number(pair[i + AHEAD]));
	if (i + AHEAD / 2 < n) {
		bgp_table_prefetch_paths(all->table, bgp_pair_number(pair[i + AHEAD / 2]));
		if (bgp_pair_set(pair[i + AHEAD / 2]) != BGP_SET_NONE)
			prefetch_read(bgp_table_set(all->table, bgp_pair_set(pair[i + AHEAD / 2])));
	}
}

static uint32_t pack_dump(struct bgp_groups *all, struct bgp_part *p, struct bgp_chunk *c, uint32_t budget)
{
	const struct bgp_pairs *pairs = p->pairs;

	for (; p->pair_at < pairs->n && budget > 0 && !is_full(c); budget--) {
		uint32_t number = bgp_pair_number(pairs->pair[p->pair_at]);

		prefetch_ahead(all, pairs->pair, p->pair_at++, pairs->n);
		if (bgp_bits_has(&p->changed, number) || !bgp_bits_has(&p->left, number))
			continue;
		bgp_bits_clear(&p->left, number);
		tell(all, p, c, number);
	}
	if (p->pair_at == pairs->n)
		bgp_part_sent_pairs(all, p);
	return budget;
}

/* Those for which there is room again. */
static void unblock(struct bgp_part *p)
{
	uint32_t max = p->group->form.max_prefixes, i = 0;

	if (max == 0 || p->blocked.n_set == 0)
		return;
	for (uint32_t n = p->told.n_set; n < max && (i = bgp_bits_next(&p->blocked, i)) != BGP_BITS_END; n++) {
		bgp_bits_clear(&p->blocked, i);
		bgp_bits_set(&p->changed, i);
	}
}

static void take_numbers(struct bgp_part *p)
{
	while (p->n_batch < BGP_BATCH_MAX) {
		uint32_t i = bgp_bits_next(&p->changed, p->changed_at);

		if (i == BGP_BITS_END) {
			p->changed_at = 0;
			p->lap_done = true;
			return;
		}
		p->changed_at = i + 1;
		bgp_bits_clear(&p->changed, i);
		if (p->left.word != NULL)
			bgp_bits_clear(&p->left, i);
		p->batch[p->n_batch++] = bgp_pair_of(BGP_SET_NONE, i);
	}
}

/* The next of what has changed, sorted: what has no path is first. */
static bool take_batch(struct bgp_groups *all, struct bgp_part *p)
{
	struct bgp_numbered at;
	uint32_t n = 0;

	p->batch = malloc(BGP_BATCH_MAX * sizeof(*p->batch));
	if (p->batch == NULL) {
		all->stats.n_no_memory++;
		return false;
	}
	p->batch_at = p->n_batch = 0;
	take_numbers(p);
	if (p->n_batch == 0)
		take_numbers(p);
	for (uint32_t i = 0; i < p->n_batch; i++) {
		uint32_t number = bgp_pair_number(p->batch[i]);

		prefetch_ahead(all, p->batch, i, p->n_batch);
		if (bgp_table_at(all->table, number, &at))
			p->batch[n++] = bgp_pair_of(at.best.set, number);
	}
	p->n_batch = n;
	bgp_pairs_sort_batch(p->batch, n, bgp_bits_of(bgp_table_set_limit(all->table)), all->spare_batch);
	return true;
}

static uint32_t pack_changed(struct bgp_groups *all, struct bgp_part *p, struct bgp_chunk *c, uint32_t budget)
{
	if (p->batch == NULL && (p->changed.n_set == 0 || is_full(c) || !take_batch(all, p)))
		return budget;
	for (; p->batch_at < p->n_batch && budget > 0 && !is_full(c); budget--) {
		uint32_t number = bgp_pair_number(p->batch[p->batch_at]);

		prefetch_ahead(all, p->batch, p->batch_at++, p->n_batch);
		/* It may have changed once more: it is told as it is now, or a dump would never end. */
		bgp_bits_clear(&p->changed, number);
		tell(all, p, c, number);
	}
	if (p->batch_at == p->n_batch) {
		free(p->batch);
		p->batch = NULL;
	}
	return budget;
}

static bool is_swept(const struct bgp_part *p)
{
	return p->phase == DUMP_SWEEP && p->batch == NULL && (p->lap_done || p->changed.n_set == 0);
}

static bool has_more(struct bgp_part *p)
{
	unblock(p);
	return p->phase != DUMP_DONE || p->batch != NULL || p->changed.n_set > 0;
}

enum bgp_made bgp_part_make(struct bgp_groups *all, struct bgp_part *p)
{
	struct bgp_packer *k = &all->packer;
	uint32_t budget = BUDGET;

	if (!has_more(p))
		return MADE_NONE;
	if (!bgp_part_prepare(all, p))
		return MADE_LATER;
	struct bgp_chunk *c = bgp_chunk_get(all);
	if (c == NULL)
		return MADE_LATER;
	k->last.set = BGP_SET_NONE;
	p->turn = !p->turn;
	if (p->turn)
		budget = pack_changed(all, p, c, budget);
	if (p->phase == DUMP_SEND)
		budget = pack_dump(all, p, c, budget);
	if (!p->turn)
		(void)pack_changed(all, p, c, budget);
	flush_announced(k, c);
	flush_withdrawn(c, &k->withdraw, TO_ALL);
	flush_withdrawn(c, &k->back, TO_SOURCE);
	bool is_made = c->n_messages > 0;

	if (is_made)
		bgp_log_append(all, p, c);
	else
		bgp_chunk_put(all, c);
	if (is_swept(p)) {
		p->phase = DUMP_DONE;
		p->dump_end = p->n_made;
	}
	return is_made ? MADE_SOME : has_more(p) ? MADE_LATER : MADE_NONE;
}
