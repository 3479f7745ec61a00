/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sets lie in chunks of 64 KiB; a set's number is where it lies, in units of eight bytes. Number 0 is nobody's.
 *
 * A chunk is sets and free room, one behind the other. A set gets the smallest room that is large enough, and what is
 * left of that is room again, unless it is too little for any set: then it is the set's (n_spare). Room that is given
 * back is joined to what is free before and behind it, so no two pieces are neighbours, and sets of one size leave
 * nothing behind that those of another cannot have. Free room looks like a set that nobody holds: its size, the next
 * and the previous piece of its list stand where a set has other numbers, and the size once more at its end, where what
 * comes behind finds it (is_after_free).
 *
 * A set is written before it is looked for, so equal ones are found by their bytes.
 *
 * Next: src/routing/bgp/bgp_table.c
 */
#include "routing/bgp/bgp_sets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stack/wire/bytes.h"

#define CHUNK_BYTES ((size_t)BGP_SETS_CHUNK_UNITS * BGP_SETS_UNIT)
#define UNITS_MAX ((uint32_t)BGP_SETS_UNITS_MAX)
/* Of the shortest set, and of free room: its size stands once more at its end. */
#define UNITS_MIN ((uint32_t)((sizeof(struct bgp_set) + sizeof(uint32_t) + BGP_SETS_UNIT - 1) / BGP_SETS_UNIT))
_Static_assert(UNITS_MAX < BGP_SETS_CHUNK_UNITS, "the longest set fits into a chunk");

static uint32_t units_of(size_t len)
{
	return max_u32(UNITS_MIN, (uint32_t)((sizeof(struct bgp_set) + len + BGP_SETS_UNIT - 1) / BGP_SETS_UNIT));
}

int bgp_sets_init(struct bgp_sets *s, const struct siphash_key *key, uint64_t bytes_max)
{
	*s = (struct bgp_sets){ .key = *key };
	s->n_chunks_max = (uint32_t)((bytes_max + CHUNK_BYTES - 1) / CHUNK_BYTES);
	s->chunk = calloc(s->n_chunks_max, sizeof(*s->chunk));
	if (s->chunk == NULL || bgp_index_init(&s->index) != 0)
		goto no_index;
	if (bgp_hops_init(&s->hops) == 0)
		return 0;
	bgp_index_fini(&s->index);
no_index:
	free(s->chunk);
	return -ENOMEM;
}

void bgp_sets_fini(struct bgp_sets *s)
{
	for (uint32_t i = 0; i < s->n_chunks; i++)
		free(s->chunk[i]);
	free(s->chunk);
	bgp_hops_fini(&s->hops);
	bgp_index_fini(&s->index);
}

/* --- room --- */

/* What stands in free room. */
static uint32_t *size_of(const struct bgp_sets *s, uint32_t at)
{
	return &bgp_sets_at(s, at)->hash;
}

static uint32_t *next_of(const struct bgp_sets *s, uint32_t at)
{
	return &bgp_sets_at(s, at)->local_pref;
}

static uint32_t *previous_of(const struct bgp_sets *s, uint32_t at)
{
	return &bgp_sets_at(s, at)->med;
}

/* The last word before `at`. */
static uint32_t *end_before(const struct bgp_sets *s, uint32_t at)
{
	return (uint32_t *)(void *)((uint8_t *)bgp_sets_at(s, at - 1) + BGP_SETS_UNIT - sizeof(uint32_t));
}

static bool ends_chunk(uint32_t end)
{
	return end % BGP_SETS_CHUNK_UNITS == 0;
}

static void put_in(struct bgp_sets *s, uint32_t at, uint32_t n_units)
{
	uint32_t list = min_u32(n_units, UNITS_MAX), next = s->free[list], end = at + n_units;
	struct bgp_set *room = bgp_sets_at(s, at);

	room->n_refs = 0;
	room->is_after_free = 0;
	*size_of(s, at) = n_units;
	*end_before(s, end) = n_units;
	*next_of(s, at) = next;
	*previous_of(s, at) = BGP_SET_NONE;
	if (next != BGP_SET_NONE)
		*previous_of(s, next) = at;
	s->free[list] = at;
	s->has_free[list / 64] |= UINT64_C(1) << list % 64;
	if (!ends_chunk(end))
		bgp_sets_at(s, end)->is_after_free = 1;
}

/* Returns its size. */
static uint32_t take_out(struct bgp_sets *s, uint32_t at)
{
	uint32_t n_units = *size_of(s, at), list = min_u32(n_units, UNITS_MAX);
	uint32_t next = *next_of(s, at), previous = *previous_of(s, at);

	if (next != BGP_SET_NONE)
		*previous_of(s, next) = previous;
	if (previous != BGP_SET_NONE)
		*next_of(s, previous) = next;
	else
		s->free[list] = next;
	if (s->free[list] == BGP_SET_NONE)
		s->has_free[list / 64] &= ~(UINT64_C(1) << list % 64);
	if (!ends_chunk(at + n_units))
		bgp_sets_at(s, at + n_units)->is_after_free = 0;
	return n_units;
}

static void give_back(struct bgp_sets *s, uint32_t at, uint32_t n_units)
{
	if (bgp_sets_at(s, at)->is_after_free) {
		at -= *end_before(s, at);
		n_units += take_out(s, at);
	}
	if (!ends_chunk(at + n_units) && bgp_sets_at(s, at + n_units)->n_refs == 0)
		n_units += take_out(s, at + n_units);
	put_in(s, at, n_units);
}

static bool another_chunk(struct bgp_sets *s)
{
	uint32_t at = s->n_chunks * BGP_SETS_CHUNK_UNITS, nobodys = at == BGP_SET_NONE ? 1 : 0;

	if (s->n_chunks == s->n_chunks_max)
		return false;
	s->chunk[s->n_chunks] = malloc(CHUNK_BYTES);
	if (s->chunk[s->n_chunks] == NULL)
		return false;
	s->n_chunks++;
	put_in(s, at + nobodys, BGP_SETS_CHUNK_UNITS - nobodys);
	return true;
}

/* The smallest piece of so many units at least, or BGP_SET_NONE. */
static uint32_t smallest(const struct bgp_sets *s, uint32_t n_units)
{
	uint64_t bits = s->has_free[n_units / 64] & UINT64_MAX << n_units % 64;

	for (uint32_t i = n_units / 64;; bits = s->has_free[i]) {
		if (bits != 0)
			return s->free[i * 64 + (uint32_t)__builtin_ctzll(bits)];
		if (++i == ARRAY_LEN(s->has_free))
			return BGP_SET_NONE;
	}
}

/* Room for a set, of which n_spare is written, or BGP_SET_NONE. */
static uint32_t room_for(struct bgp_sets *s, uint32_t n_units)
{
	uint32_t at = smallest(s, n_units);

	if (at == BGP_SET_NONE && another_chunk(s))
		at = smallest(s, n_units);
	if (at == BGP_SET_NONE)
		return BGP_SET_NONE;
	uint32_t left = take_out(s, at) - n_units;

	bgp_sets_at(s, at)->n_spare = left < UNITS_MIN ? left & 0x7f : 0;
	if (left >= UNITS_MIN)
		put_in(s, at + n_units, left);
	return at;
}

/* --- sets --- */

static uint32_t find(const struct bgp_sets *s, uint32_t hash, size_t len)
{
	uint64_t at = 0;

	for (uint32_t set; (set = bgp_index_next(&s->index, hash, &at)) != BGP_SET_NONE;) {
		const struct bgp_set *found = bgp_sets_at(s, set);

		if (found->len == len && memcmp(found->bytes, s->scratch, len) == 0)
			return set;
	}
	return BGP_SET_NONE;
}

/* What the decision reads of the set in scratch, into what is zero but for local_pref. */
static void read_numbers(const struct bgp_sets *s, size_t len, struct bgp_set *f)
{
	struct bgp_nlri rest = { s->scratch, len };
	struct bgp_path_facts path;
	struct bgp_attr a;

	while (bgp_set_next(&rest, &a)) {
		if (a.type == BGP_ORIGIN) {
			f->origin = a.value[0];
		} else if (a.type == BGP_AS_PATH) {
			(void)bgp_path_check((struct bgp_path){ a.value, a.len, BGP_AS4 }, 0, &path);
			f->n_hops = path.n_hops;
			f->neighbor_as = path.first;
		} else if (a.type == BGP_NEXT_HOP) {
			f->next_hop = bytes_get32(a.value);
		} else if (a.type == BGP_MED) {
			f->med = bytes_get32(a.value);
		} else if (a.type == BGP_LOCAL_PREF) {
			f->local_pref = bytes_get32(a.value);
		} else if (a.type == BGP_ORIGINATOR_ID) {
			f->originator_id = bytes_get32(a.value);
		} else if (a.type == BGP_CLUSTER_LIST) {
			f->n_clusters = a.len / 4;
		}
	}
}

uint32_t bgp_sets_take_scratch(struct bgp_sets *s, size_t len)
{
	uint32_t hash = (uint32_t)siphash13(&s->key, s->scratch, len), set = find(s, hash, len);

	if (set != BGP_SET_NONE) {
		bgp_sets_at(s, set)->n_refs++;
		return set;
	}
	set = room_for(s, units_of(len));
	if (set == BGP_SET_NONE)
		return BGP_SET_NONE;
	struct bgp_set *made = bgp_sets_at(s, set);
	uint8_t n_spare = made->n_spare;
	uint32_t n_units = units_of(len) + n_spare;

	if (!bgp_index_add(&s->index, hash, set)) {
		give_back(s, set, n_units);
		return BGP_SET_NONE;
	}
	*made = (struct bgp_set){ .n_refs = 1,
				  .hash = hash,
				  .local_pref = BGP_LOCAL_PREF_DEFAULT,
				  .len = (uint16_t)len,
				  .n_spare = n_spare & 0x7f };
	read_numbers(s, len, made);
	made->hop = bgp_hops_take(&s->hops, made->next_hop);
	if (made->hop == BGP_HOP_NONE) {
		bgp_index_remove(&s->index, hash, set);
		give_back(s, set, n_units);
		return BGP_SET_NONE;
	}
	memcpy(made->bytes, s->scratch, len);
	s->n++;
	s->n_bytes += (uint64_t)n_units * BGP_SETS_UNIT;
	return set;
}

uint32_t bgp_sets_take(struct bgp_sets *s, const struct bgp_attrs *a, uint32_t next_hop)
{
	return bgp_sets_take_scratch(s, bgp_set_write(s->scratch, a, next_hop));
}

void bgp_sets_hold(struct bgp_sets *s, uint32_t set, uint32_t n)
{
	bgp_sets_at(s, set)->n_refs += n;
}

void bgp_sets_let_go(struct bgp_sets *s, uint32_t set, uint32_t n)
{
	struct bgp_set *gone = bgp_sets_at(s, set);
	uint32_t n_units = units_of(gone->len) + gone->n_spare;

	gone->n_refs -= n;
	if (gone->n_refs > 0)
		return;
	bgp_hops_let_go(&s->hops, gone->hop);
	bgp_index_remove(&s->index, gone->hash, set);
	s->n--;
	s->n_bytes -= (uint64_t)n_units * BGP_SETS_UNIT;
	give_back(s, set, n_units);
}
