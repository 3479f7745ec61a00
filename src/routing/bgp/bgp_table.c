/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Prefixes, paths, sets. A prefix is a record of 16 bytes; the paths to it lie side by side in a block, 16 bytes each:
 * the set as received, the set as import policy left it, whose, since when. Blocks come in classes of so many paths. A
 * new prefix gets one with room for the neighbours that are up, or for four, so that a table that some of them fill
 * leaves no holes behind; from there on blocks double, and halve when they are a quarter full. One of eight or more
 * that is full is on its way to as many paths as neighbours are up, and gets room for them at once, as long as that is
 * no more than eight times what it has.
 *
 * Most of the time goes into waiting for memory: an index slot, a record, a block, and the sets that the decision
 * reads. So an UPDATE's prefixes are taken in batches, each of which goes over the same ground in five passes; what the
 * next one reads is asked for in the one before.
 *
 * What always holds: a prefix without a path is not there, unless a reader needs it or somebody keeps it; then its
 * record stays, with a block, and its number is nobody else's. Its best and second best are those that bgp_decide
 * names; a set is held once for each path that names it, as received or as policy left it; once for one that names it
 * as both.
 *
 * Next: src/routing/bgp/bgp_decide.c
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "routing/bgp/bgp_table_priv.h"

#define PREFIXES_DEFAULT (UINT32_C(1) << 21)
#define PATHS_DEFAULT (UINT32_C(1) << 23)
#define SET_BYTES_DEFAULT (UINT64_C(1) << 30)

/* Paths that a block of each class holds. */
static const uint8_t class_paths[BGP_TABLE_CLASSES] = { 1, 2, 3, 4, 8, 16, 32, 64, 128, 255 };
#define N_CLASSES BGP_TABLE_CLASSES
#define PATHS_A_LINE (64u / sizeof(struct path))
#define GROWS_FAR 8u         /* a block of so many paths may grow by more than one class */
#define GROWS_CLASSES 3u     /* ... at most by so many */
#define FIRST_PATHS_MAX 4u   /* that a new prefix has room for */
#define CLASS_NONE UINT8_MAX /* of a record that is nobody's */

/* --- life --- */

static uint32_t or_default(uint32_t value, uint32_t usual)
{
	return value != 0 ? value : usual;
}

static int init_pools(struct bgp_table *t, uint32_t n_prefixes)
{
	int err = pool_init(&t->records, n_prefixes, sizeof(struct prefix), sizeof(struct prefix));

	for (size_t i = 0; err == 0 && i < N_CLASSES; i++) {
		/* A block that no new prefix gets has more paths than the classes below it hold from which it is
		 * reached: see grow and shrink. */
		uint32_t below = class_paths[i] >= 8 * GROWS_FAR ? GROWS_CLASSES : 2;
		uint32_t least = class_paths[i] <= FIRST_PATHS_MAX ? 1 : class_paths[i - below] + 1u;
		uint32_t n = least == 1 ? n_prefixes : min_u32(n_prefixes, t->paths_max / least + 1);

		err = pool_init(&t->blocks[i], n, class_paths[i] * sizeof(struct path), _Alignof(struct path));
	}
	return err;
}

int bgp_table_create(struct bgp_table **out, const struct bgp_table_limits *limits, enum bgp_med_rule rule,
		     const struct siphash_key *key)
{
	struct bgp_table *t = calloc(1, sizeof(*t));

	*out = NULL;
	if (t == NULL)
		return -ENOMEM;
	t->key = *key;
	t->rule = rule;
	t->paths_max = or_default(limits->paths, PATHS_DEFAULT);
	if (bgp_sets_init(&t->sets, key, limits->set_bytes != 0 ? limits->set_bytes : SET_BYTES_DEFAULT) != 0)
		goto no_sets;
	if (bgp_index_init(&t->index) != 0)
		goto no_index;
	if (init_pools(t, or_default(limits->prefixes, PREFIXES_DEFAULT)) != 0)
		goto no_pools;
	*out = t;
	return 0;
no_pools:
	for (size_t i = 0; i < N_CLASSES; i++)
		pool_fini(&t->blocks[i]);
	pool_fini(&t->records);
	bgp_index_fini(&t->index);
no_index:
	bgp_sets_fini(&t->sets);
no_sets:
	free(t);
	return -ENOMEM;
}

void bgp_table_destroy(struct bgp_table *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < N_CLASSES; i++)
		pool_fini(&t->blocks[i]);
	pool_fini(&t->records);
	bgp_index_fini(&t->index);
	bgp_sets_fini(&t->sets);
	free(t);
}

/* --- prefixes --- */

static uint32_t hash_of(const struct bgp_table *t, struct ip4_prefix p)
{
	struct sip s = sip_start(&t->key);

	/* SipHash-1-3 of one word; all have the same length, so that has no part in it. */
	sip_word(&s, (uint64_t)p.len << 32 | p.addr, 1);
	return (uint32_t)sip_end(&s, 3);
}

static bool is_of(const struct prefix *r, struct ip4_prefix p)
{
	return r->addr == p.addr && r->len == p.len;
}

static uint32_t find(const struct bgp_table *t, struct ip4_prefix p, uint32_t hash)
{
	uint64_t at = 0;

	for (uint32_t value; (value = bgp_index_next(&t->index, hash, &at)) != 0;)
		if (is_of(record_at(t, value - 1), p))
			return value - 1;
	return POOL_NONE;
}

static uint8_t class_for(uint32_t n)
{
	uint8_t c = 0;

	while (c + 1u < N_CLASSES && class_paths[c] < n)
		c++;
	return c;
}

static uint32_t add_prefix(struct bgp_table *t, struct ip4_prefix p, uint32_t hash)
{
	uint8_t block_class = class_for(min_u32(t->n_up, FIRST_PATHS_MAX));
	uint32_t record = pool_alloc(&t->records), block;

	if (record == POOL_NONE)
		return POOL_NONE;
	block = pool_alloc(&t->blocks[block_class]);
	if (block == POOL_NONE)
		goto no_block;
	if (!bgp_index_add(&t->index, hash, record + 1))
		goto no_slot;
	*record_at(t, record) = (struct prefix){ .addr = p.addr,
						 .len = p.len,
						 .block_class = block_class,
						 .best = BGP_NOBODY,
						 .second = BGP_NOBODY,
						 .block = block };
	return record;
no_slot:
	pool_free(&t->blocks[block_class], block);
no_block:
	pool_free(&t->records, record);
	return POOL_NONE;
}

static void remove_prefix(struct bgp_table *t, uint32_t record)
{
	struct prefix *r = record_at(t, record);

	bgp_index_remove(&t->index, hash_of(t, (struct ip4_prefix){ r->addr, r->len }), record + 1);
	pool_free(&t->blocks[r->block_class], r->block);
	r->block_class = CLASS_NONE;
	pool_free(&t->records, record);
}

/* --- paths --- */

static struct path *path_of(const struct bgp_table *t, const struct prefix *r, uint32_t source)
{
	struct path *p = paths_of(t, r);

	for (uint32_t i = 0; i < r->n; i++)
		if (p[i].source == source)
			return &p[i];
	return NULL;
}

static bool move_to(struct bgp_table *t, struct prefix *r, uint8_t block_class)
{
	uint32_t block = pool_alloc(&t->blocks[block_class]);

	if (block == POOL_NONE)
		return false;
	memcpy(pool_at(&t->blocks[block_class], block), paths_of(t, r), r->n * sizeof(struct path));
	pool_free(&t->blocks[r->block_class], r->block);
	r->block_class = block_class;
	r->block = block;
	return true;
}

static bool grow(struct bgp_table *t, struct prefix *r)
{
	uint32_t next = r->block_class + 1u, far = class_for(min_u32(t->n_up, BGP_PATHS_MAX));

	if (next == N_CLASSES)
		return false;
	far = min_u32(far, r->block_class + GROWS_CLASSES);
	if (r->n >= GROWS_FAR && far > next && move_to(t, r, (uint8_t)far))
		return true;
	return move_to(t, r, (uint8_t)next);
}

static void shrink(struct bgp_table *t, struct prefix *r)
{
	if (class_paths[r->block_class] > FIRST_PATHS_MAX && r->n <= class_paths[r->block_class - 2])
		(void)move_to(t, r, (uint8_t)(r->block_class - 1));
}

void bgp_table_flag(struct bgp_table *t, struct path *p, uint16_t flags)
{
	t->n_rejected += (flags & PATH_REJECTED) != 0;
	t->n_rejected -= (p->flags & PATH_REJECTED) != 0;
	p->flags = flags;
}

/* Room for one more, or NULL. */
static struct path *new_path(struct bgp_table *t, struct prefix *r)
{
	if (t->n_paths == t->paths_max || (r->n == class_paths[r->block_class] && !grow(t, r)))
		return NULL;
	t->n_paths++;
	t->n_prefixes += r->n == 0;
	struct path *p = &paths_of(t, r)[r->n++];

	*p = (struct path){ .received = BGP_SET_NONE, .set = BGP_SET_NONE };
	return p;
}

/* The last one takes its place: who is best stands at another number until the next decision. */
static void take_out(struct bgp_table *t, struct prefix *r, struct path *p)
{
	t->source[p->source].n_paths--;
	bgp_table_flag(t, p, 0);
	*p = paths_of(t, r)[--r->n];
	t->n_paths--;
	t->n_prefixes -= r->n == 0;
}

static struct bgp_chosen chosen(const struct path *p, uint8_t which)
{
	if (which == BGP_NOBODY)
		return (struct bgp_chosen){ .set = BGP_SET_NONE, .source = BGP_SOURCE_NONE };
	return (struct bgp_chosen){ p[which].set, p[which].source, (p[which].flags & PATH_BLACKHOLE) != 0 };
}

static bool is_same(struct bgp_chosen a, struct bgp_chosen b)
{
	return a.set == b.set && a.source == b.source && a.is_blackhole == b.is_blackhole;
}

struct bgp_before bgp_table_before(const struct bgp_table *t, const struct prefix *r)
{
	const struct path *p = paths_of(t, r);

	return (struct bgp_before){ chosen(p, r->best), chosen(p, r->second) };
}

/* The paths of a prefix that can be chosen, and their numbers. How many. */
static uint32_t candidates(const struct bgp_table *t, const struct prefix *r, struct bgp_candidate c[BGP_PATHS_MAX],
			   uint8_t which[BGP_PATHS_MAX])
{
	const struct path *p = paths_of(t, r);
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->n; i++) {
		if ((p[i].flags & PATH_NOT_CHOSEN) != 0)
			continue;
		const struct bgp_set *set = bgp_sets_at(&t->sets, p[i].set);
		uint32_t cost = bgp_hops_cost(&t->sets.hops, set->hop);

		if (cost == BGP_COST_NONE)
			continue;
		c[n] = (struct bgp_candidate){ set, &t->source[p[i].source].of, cost };
		which[n++] = (uint8_t)i;
	}
	return n;
}

static void decide(struct bgp_table *t, struct prefix *r)
{
	struct bgp_candidate c[BGP_PATHS_MAX];
	uint8_t which[BGP_PATHS_MAX];
	struct bgp_choice choice = bgp_decide(t->rule, c, candidates(t, r, c, which));

	r->best = choice.best != BGP_NOBODY ? which[choice.best] : BGP_NOBODY;
	r->second = choice.second != BGP_NOBODY ? which[choice.second] : BGP_NOBODY;
	r->step = choice.step;
}

static void tell_readers(const struct bgp_table *t, const struct bgp_change *c)
{
	enum bgp_reads least = !is_same(c->best, c->best_before)       ? BGP_READS_BEST
			       : !is_same(c->second, c->second_before) ? BGP_READS_SECOND
								       : BGP_READS_ALL;

	for (uint32_t i = 0; i < t->n_readers; i++)
		if (t->reader[i].reads >= least)
			t->reader[i].changed(t->reader[i].user, c);
}

static bool is_needed(const struct bgp_table *t, uint32_t record)
{
	if (record_at(t, record)->n_keepers > 0)
		return true;
	for (uint32_t i = 0; i < t->n_readers; i++)
		if (t->reader[i].needs != NULL && t->reader[i].needs(t->reader[i].user, record))
			return true;
	return false;
}

/* Without a path, and needed by nobody, it goes. */
static void remove_unless_needed(struct bgp_table *t, uint32_t record)
{
	if (record_at(t, record)->n == 0 && !is_needed(t, record))
		remove_prefix(t, record);
}

/* What is chosen stands in the record by now. */
static void tell_change(const struct bgp_table *t, uint32_t record, const struct bgp_before *before)
{
	const struct prefix *r = record_at(t, record);
	const struct path *p = paths_of(t, r);

	tell_readers(t, &(struct bgp_change){ .number = record,
					      .prefix = { r->addr, r->len },
					      .best = chosen(p, r->best),
					      .second = chosen(p, r->second),
					      .best_before = before->best,
					      .second_before = before->second });
}

/* After any change of a prefix's paths. */
void bgp_table_settle(struct bgp_table *t, uint32_t record, const struct bgp_before *before)
{
	struct prefix *r = record_at(t, record);

	decide(t, r);
	tell_change(t, record, before);
	if (r->n == 0)
		remove_unless_needed(t, record);
}

/* Whether the path, as it stands, has no part in what is chosen: it cannot be, or it goes at a step before MED, at
 * which the second best is before it. There or not, or another one of which that is true: best and second best are the
 * same, so a path among many costs no more than one among few. */
static bool is_behind(const struct bgp_table *t, const struct prefix *r, const struct path *p)
{
	if ((p->flags & PATH_NOT_CHOSEN) != 0)
		return true;
	if (r->second == BGP_NOBODY)
		return false;
	return bgp_is_behind(bgp_sets_at(&t->sets, p->set), bgp_sets_at(&t->sets, paths_of(t, r)[r->second].set));
}

/* --- an UPDATE --- */

/* What comes of each of a list of prefixes. */
struct order {
	uint32_t source;
	uint32_t received; /* BGP_SET_NONE: it goes */
	uint16_t flags;
	uint32_t now_s;
	struct judged judged;
};

struct batch {
	uint32_t n;
	struct ip4_prefix prefix[BGP_TABLE_BATCH];
	uint32_t hash[BGP_TABLE_BATCH];
	uint32_t record[BGP_TABLE_BATCH];
};

static void withdraw(struct bgp_table *t, uint32_t source, uint32_t record)
{
	struct prefix *r = record_at(t, record);
	struct bgp_before before = bgp_table_before(t, r);
	struct path *p = path_of(t, r, source);

	if (p == NULL)
		return;
	uint32_t received = p->received, set = p->set;
	uint8_t last = (uint8_t)(r->n - 1), place = (uint8_t)(p - paths_of(t, r));
	bool is_of_none = last > 0 && is_behind(t, r, p);

	take_out(t, r, p);
	shrink(t, r);
	if (is_of_none) {
		r->best = r->best == last ? place : r->best;
		r->second = r->second == last ? place : r->second;
		tell_change(t, record, &before);
	} else {
		bgp_table_settle(t, record, &before);
	}
	let_sets_go(t, received, set);
}

/* There is no room for what is announced: what it would have replaced must not stay. */
static void refuse(struct bgp_table *t, uint32_t source, uint32_t record)
{
	t->n_no_room++;
	if (path_of(t, record_at(t, record), source) != NULL)
		withdraw(t, source, record);
	else
		remove_unless_needed(t, record);
}

static void announce(struct bgp_table *t, struct order *o, uint32_t record)
{
	struct prefix *r = record_at(t, record);
	struct bgp_before before = bgp_table_before(t, r);
	struct path *p = path_of(t, r, o->source);
	uint32_t set;
	uint16_t flags;

	if (!bgp_table_judge(t, o->source, (struct ip4_prefix){ r->addr, r->len }, o->received, &o->judged, &set,
			     &flags)) {
		refuse(t, o->source, record);
		return;
	}
	flags |= o->flags;
	if (p != NULL && p->received == o->received && p->set == set && ((p->flags ^ flags) & ~PATH_EPOCH) == 0) {
		p->flags = flags;
		return; /* said once more */
	}
	bool is_of_none = p == NULL || is_behind(t, r, p);

	if (p == NULL) {
		p = new_path(t, r);
		t->source[o->source].n_paths += p != NULL;
	}
	if (p == NULL) {
		refuse(t, o->source, record);
		return;
	}
	uint32_t gone = p->received, gone_set = p->set;

	p->received = o->received;
	p->set = set;
	p->since_s = o->now_s;
	p->source = (uint16_t)o->source;
	bgp_table_flag(t, p, flags);
	hold_sets(t, o->received, set);
	if (!is_of_none || !is_behind(t, r, p))
		bgp_table_settle(t, record, &before);
	else
		tell_change(t, record, &before);
	if (gone != BGP_SET_NONE)
		let_sets_go(t, gone, gone_set);
}

static void prefetch_paths(const struct bgp_table *t, uint32_t record)
{
	const struct prefix *r = record_at(t, record);

	for (uint32_t k = 0; k == 0 || k < r->n; k += PATHS_A_LINE)
		prefetch_write(paths_of(t, r) + k);
}

/* Of many paths, those that are asked in most cases: see is_behind. */
static void prefetch_sets(const struct bgp_table *t, uint32_t record, uint32_t source)
{
	const struct prefix *r = record_at(t, record);
	const struct path *p = paths_of(t, r);

	for (uint32_t k = 0; k < r->n; k++)
		if (r->n <= FIRST_PATHS_MAX || k == r->best || k == r->second || p[k].source == source)
			prefetch_read(bgp_sets_at(&t->sets, p[k].set));
}

/* The others too, when what comes is likely to need a decision. */
static void prefetch_others(const struct bgp_table *t, uint32_t record, uint32_t received)
{
	const struct prefix *r = record_at(t, record);
	const struct path *p = paths_of(t, r);

	if (r->n <= FIRST_PATHS_MAX || r->second >= r->n || received == BGP_SET_NONE ||
	    bgp_is_behind(bgp_sets_at(&t->sets, received), bgp_sets_at(&t->sets, p[r->second].set)))
		return;
	for (uint32_t k = 0; k < r->n; k++)
		prefetch_read(bgp_sets_at(&t->sets, p[k].set));
}

static void apply(struct bgp_table *t, struct order *o, struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		b->record[i] = find(t, b->prefix[i], b->hash[i]);
		if (b->record[i] != POOL_NONE)
			prefetch_paths(t, b->record[i]);
	}
	for (uint32_t i = 0; i < b->n; i++)
		if (b->record[i] != POOL_NONE)
			prefetch_sets(t, b->record[i], o->source);
	for (uint32_t i = 0; i < b->n; i++)
		if (b->record[i] != POOL_NONE)
			prefetch_others(t, b->record[i], o->received);
	for (uint32_t i = 0; i < b->n; i++) {
		/* One that stands in the batch twice is there by now, or gone. */
		uint32_t record = b->record[i];

		if (record == POOL_NONE || record_at(t, record)->n == 0 || !is_of(record_at(t, record), b->prefix[i]))
			record = find(t, b->prefix[i], b->hash[i]);
		if (o->received == BGP_SET_NONE) {
			if (record != POOL_NONE)
				withdraw(t, o->source, record);
			continue;
		}
		if (record == POOL_NONE)
			record = add_prefix(t, b->prefix[i], b->hash[i]);
		if (record == POOL_NONE)
			t->n_no_room++;
		else
			announce(t, o, record);
	}
}

static void go_through(struct bgp_table *t, struct order *o, struct bgp_nlri list)
{
	struct batch b;

	while (list.len > 0) {
		for (b.n = 0; b.n < BGP_TABLE_BATCH && bgp_nlri_next(&list, &b.prefix[b.n]);) {
			if (!bgp_prefix_is_unicast(b.prefix[b.n]))
				continue;
			b.hash[b.n] = hash_of(t, b.prefix[b.n]);
			bgp_index_prefetch(&t->index, b.hash[b.n]);
			b.n++;
		}
		apply(t, o, &b);
	}
}

static uint64_t count(struct bgp_nlri list)
{
	struct ip4_prefix prefix;
	uint64_t n = 0;

	while (bgp_nlri_next(&list, &prefix))
		n += bgp_prefix_is_unicast(prefix);
	return n;
}

static void announce_all(struct bgp_table *t, struct order *o, const struct bgp_update *u, struct bgp_nlri list,
			 uint32_t next_hop)
{
	if (list.len == 0)
		return;
	o->received = bgp_sets_take(&t->sets, &u->attrs, next_hop);
	if (o->received == BGP_SET_NONE) {
		/* What it would have replaced must not stay. */
		t->n_no_room += count(list);
		go_through(t, o, list);
		return;
	}
	o->flags = (uint16_t)(t->source[o->source].epoch | (u->is_loop ? PATH_LOOP : 0));
	go_through(t, o, list);
	bgp_table_forget(t, &o->judged);
	bgp_sets_let_go(&t->sets, o->received, 1);
}

void bgp_table_update(struct bgp_table *t, uint32_t source, const struct bgp_update *u, enum bgp_disposition d,
		      uint32_t now_s)
{
	struct order o = { .source = source, .received = BGP_SET_NONE, .now_s = now_s };
	const struct bgp_mp *reach = &u->attrs.reach;

	go_through(t, &o, u->withdrawn);
	go_through(t, &o, u->attrs.unreach.nlri);
	if (d == BGP_WITHDRAW) {
		go_through(t, &o, u->nlri);
		go_through(t, &o, reach->nlri);
		return;
	}
	announce_all(t, &o, u, u->nlri, u->attrs.next_hop);
	announce_all(t, &o, u, reach->nlri, reach->next_hop);
}

/* --- neighbours --- */

static void source_changed(struct bgp_table *t, uint32_t source, bool up)
{
	const struct bgp_resolver *r = &t->sets.hops.resolver;

	if (r->source_changed != NULL)
		r->source_changed(r->user, source, up);
}

uint32_t bgp_table_add_source(struct bgp_table *t, const struct bgp_source *source)
{
	for (uint32_t i = 0; i < BGP_SOURCES_MAX; i++)
		if (!t->source[i].is_used) {
			t->source[i] = (struct source){ .of = *source, .is_used = true };
			t->n_up++;
			source_changed(t, i, true);
			return i;
		}
	return BGP_SOURCE_NONE;
}

bool bgp_table_drop(struct bgp_table *t, uint32_t source, uint32_t budget)
{
	struct source *s = &t->source[source];

	/* What goes by it is led elsewhere before it is looked at one by one. */
	if (s->swept == 0 && s->n_paths > 0)
		source_changed(t, source, false);
	for (; budget > 0 && s->n_paths > 0; budget--, s->swept++)
		if (record_at(t, s->swept)->n > 0)
			withdraw(t, source, s->swept);
	if (s->n_paths > 0)
		return false;
	s->is_used = false;
	s->import = (struct bgp_import){ 0 };
	t->n_up--;
	return true;
}

void bgp_table_stale(struct bgp_table *t, uint32_t source)
{
	t->source[source].epoch ^= PATH_EPOCH;
	t->source[source].swept_stale = 0;
}

bool bgp_table_drop_stale(struct bgp_table *t, uint32_t source, uint32_t budget)
{
	struct source *s = &t->source[source];

	for (; budget > 0 && s->swept_stale < t->records.n_fresh && s->n_paths > 0; budget--, s->swept_stale++) {
		struct prefix *r = record_at(t, s->swept_stale);
		const struct path *p = r->n > 0 ? path_of(t, r, source) : NULL;

		if (p != NULL && (p->flags & PATH_EPOCH) != s->epoch)
			withdraw(t, source, s->swept_stale);
	}
	return s->swept_stale >= t->records.n_fresh || s->n_paths == 0;
}

uint32_t bgp_table_n_of(const struct bgp_table *t, uint32_t source)
{
	return t->source[source].n_paths;
}

/* --- asked --- */

struct bgp_path_view bgp_table_best(const struct bgp_table *t, struct ip4_prefix prefix)
{
	uint32_t record = find(t, prefix, hash_of(t, prefix));
	struct bgp_chosen best = { .set = BGP_SET_NONE, .source = BGP_SOURCE_NONE };

	if (record != POOL_NONE)
		best = chosen(paths_of(t, record_at(t, record)), record_at(t, record)->best);
	return (struct bgp_path_view){ prefix, best.set, best.source, best.is_blackhole };
}

void bgp_table_look(const struct bgp_table *t, struct ip4_prefix prefix, struct bgp_prefix_view *v)
{
	uint32_t record = find(t, prefix, hash_of(t, prefix));

	*v = (struct bgp_prefix_view){ .best = BGP_NOBODY, .second = BGP_NOBODY };
	if (record == POOL_NONE)
		return;
	const struct prefix *r = record_at(t, record);
	const struct path *p = paths_of(t, r);

	v->n = r->n;
	v->best = r->best;
	v->second = r->second;
	v->step = r->step;
	for (uint32_t i = 0; i < r->n; i++) {
		v->path[i].set = p[i].set;
		v->path[i].received = p[i].received;
		v->path[i].source = p[i].source;
		v->path[i].since_s = p[i].since_s;
		v->path[i].is_stale = (p[i].flags & PATH_EPOCH) != t->source[p[i].source].epoch;
		v->path[i].is_loop = (p[i].flags & PATH_LOOP) != 0;
		v->path[i].is_rejected = (p[i].flags & PATH_REJECTED) != 0;
		v->path[i].is_blackhole = (p[i].flags & PATH_BLACKHOLE) != 0;
	}
}

uint32_t bgp_table_equal(const struct bgp_table *t, struct ip4_prefix prefix, enum bgp_multipath how,
			 struct bgp_chosen *out, uint32_t max, struct bgp_chosen *behind)
{
	uint32_t record = find(t, prefix, hash_of(t, prefix)), n, n_equal, n_left = 0;
	struct bgp_candidate c[BGP_PATHS_MAX];
	uint8_t which[BGP_PATHS_MAX], equal[BGP_PATHS_MAX];
	bool is_equal[BGP_PATHS_MAX] = { false };

	*behind = (struct bgp_chosen){ .set = BGP_SET_NONE, .source = BGP_SOURCE_NONE };
	if (record == POOL_NONE)
		return 0;
	const struct path *p = paths_of(t, record_at(t, record));

	n = candidates(t, record_at(t, record), c, which);
	n_equal = bgp_decide_equal(t->rule, how, c, n, equal, min_u32(max, BGP_PATHS_MAX));
	for (uint32_t i = 0; i < n_equal; i++) {
		out[i] = chosen(p, which[equal[i]]);
		is_equal[equal[i]] = true;
	}
	for (uint32_t i = 0; i < n; i++)
		if (!is_equal[i]) {
			c[n_left] = c[i];
			which[n_left++] = which[i];
		}
	uint8_t next = bgp_decide(t->rule, c, n_left).best;

	if (next != BGP_NOBODY)
		*behind = chosen(p, which[next]);
	return n_equal;
}

const struct bgp_set *bgp_table_set(const struct bgp_table *t, uint32_t set)
{
	return bgp_sets_at(&t->sets, set);
}

struct bgp_table_stats bgp_table_stats(const struct bgp_table *t)
{
	return (struct bgp_table_stats){ .n_prefixes = t->n_prefixes,
					 .n_kept = t->records.n_used - t->n_prefixes,
					 .n_paths = t->n_paths,
					 .n_rejected = t->n_rejected,
					 .n_sets = t->sets.n,
					 .set_bytes = t->sets.n_bytes,
					 .n_no_room = t->n_no_room };
}

/* --- readers --- */

bool bgp_table_add_reader(struct bgp_table *t, const struct bgp_reader *r)
{
	if (t->n_readers == BGP_READERS_MAX)
		return false;
	t->reader[t->n_readers++] = *r;
	return true;
}

void bgp_table_remove_reader(struct bgp_table *t, const void *user)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n_readers; i++)
		if (t->reader[i].user != user)
			t->reader[n++] = t->reader[i];
	t->n_readers = n;
}

uint32_t bgp_table_limit(const struct bgp_table *t)
{
	return t->records.cap;
}

uint32_t bgp_table_set_limit(const struct bgp_table *t)
{
	return t->sets.n_chunks * BGP_SETS_CHUNK_UNITS;
}

uint32_t bgp_table_n_numbers(const struct bgp_table *t)
{
	return t->records.n_fresh;
}

static bool is_there(const struct bgp_table *t, uint32_t number)
{
	return number < t->records.n_fresh && record_at(t, number)->block_class != CLASS_NONE;
}

bool bgp_table_at(const struct bgp_table *t, uint32_t number, struct bgp_numbered *out)
{
	if (!is_there(t, number))
		return false;
	const struct prefix *r = record_at(t, number);
	const struct path *p = paths_of(t, r);

	*out = (struct bgp_numbered){ { r->addr, r->len }, chosen(p, r->best), chosen(p, r->second) };
	return true;
}

bool bgp_table_find(const struct bgp_table *t, struct ip4_prefix prefix, struct bgp_numbered *out)
{
	uint32_t record = find(t, prefix, hash_of(t, prefix));

	return record != POOL_NONE && bgp_table_at(t, record, out);
}

void bgp_table_prefetch(const struct bgp_table *t, uint32_t number)
{
	prefetch_read(record_at(t, number));
}

void bgp_table_prefetch_paths(const struct bgp_table *t, uint32_t number)
{
	if (is_there(t, number))
		prefetch_read(paths_of(t, record_at(t, number)));
}

void bgp_table_keep(struct bgp_table *t, uint32_t number)
{
	struct prefix *r = record_at(t, number);

	assert(is_there(t, number) && r->n_keepers < BGP_KEPT_MAX);
	r->n_keepers++;
}

void bgp_table_let_go(struct bgp_table *t, uint32_t number)
{
	struct prefix *r = record_at(t, number);

	assert(is_there(t, number) && r->n_keepers > 0);
	r->n_keepers--;
	remove_unless_needed(t, number);
}

void bgp_table_done(struct bgp_table *t, uint32_t number)
{
	if (is_there(t, number))
		remove_unless_needed(t, number);
}

enum bgp_med_rule bgp_table_rule(const struct bgp_table *t)
{
	return t->rule;
}

const struct bgp_source *bgp_table_source(const struct bgp_table *t, uint32_t source)
{
	return &t->source[source].of;
}
