/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Linear probing without tombstones: who is removed has those behind it move up. At a load of 3/4 a table of twice the
 * size takes its place, empty; each insertion after that moves four slots of the old one over (2.4 must be), so that
 * the old one is empty long before the new one is full. Until then both are searched. The new one is asked for at a
 * load of 5/8, and each insertion from there on touches a page of it: thousands of pages that the kernel has to fill
 * with zeroes would else come at once.
 *
 * A slot of the old table is taken out as anything is that is removed, so those that wait there stay where a search
 * finds them.
 */
#include "routing/bgp/bgp_index.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS_MIN 1024u
#define MOVED_AT_ONCE 4u
#define TOUCHES_EACH 16u                                            /* insertions; each 32nd would do */
#define TOUCHED_AT_ONCE (4096u / (uint32_t)sizeof(struct bgp_slot)) /* a page */

static bool make(struct bgp_slots *t, uint32_t n)
{
	t->slot = calloc(n, sizeof(*t->slot));
	t->mask = n - 1;
	return t->slot != NULL;
}

int bgp_index_init(struct bgp_index *ix)
{
	*ix = (struct bgp_index){ 0 };
	return make(&ix->now, SLOTS_MIN) ? 0 : -ENOMEM;
}

void bgp_index_fini(struct bgp_index *ix)
{
	free(ix->now.slot);
	free(ix->old.slot);
	free(ix->next.slot);
	*ix = (struct bgp_index){ 0 };
}

static void put(struct bgp_slots *t, struct bgp_slot s)
{
	uint32_t i = s.hash & t->mask;

	while (t->slot[i].value != 0)
		i = (i + 1) & t->mask;
	t->slot[i] = s;
}

/* Those behind slot i move up unless they stand before where they would be looked for from. */
static void take_out(struct bgp_slots *t, uint32_t i)
{
	for (uint32_t k = (i + 1) & t->mask; t->slot[k].value != 0; k = (k + 1) & t->mask) {
		uint32_t home = t->slot[k].hash & t->mask;

		if (((k - home) & t->mask) >= ((k - i) & t->mask)) {
			t->slot[i] = t->slot[k];
			i = k;
		}
	}
	t->slot[i].value = 0;
}

static void move_some(struct bgp_index *ix)
{
	struct bgp_slots *old = &ix->old;

	for (uint32_t n = 0; old->slot != NULL && n < MOVED_AT_ONCE; n++) {
		struct bgp_slot s = old->slot[ix->moved];

		if (s.value != 0) {
			take_out(old, ix->moved); /* another one may stand here now */
			put(&ix->now, s);
		} else if (ix->moved++ == old->mask) {
			free(old->slot);
			*old = (struct bgp_slots){ 0 };
		}
	}
}

/* False: it is as full as it may be, and there is no memory for another. */
static bool grow(struct bgp_index *ix)
{
	uint32_t n_slots = ix->now.mask + 1;

	if (ix->n < n_slots / 8 * 5)
		return true;
	if (ix->next.slot == NULL && make(&ix->next, 2 * n_slots))
		ix->touched = 0;
	if (ix->next.slot != NULL && ix->touched <= ix->next.mask && ix->n % TOUCHES_EACH == 0) {
		*(volatile uint32_t *)&ix->next.slot[ix->touched].value = 0;
		ix->touched += TOUCHED_AT_ONCE;
	}
	if (ix->n < n_slots / 4 * 3)
		return true;
	if (ix->next.slot == NULL)
		return ix->n < ix->now.mask / 8 * 7;
	ix->old = ix->now;
	ix->now = ix->next;
	ix->next = (struct bgp_slots){ 0 };
	ix->moved = 0;
	return true;
}

bool bgp_index_add(struct bgp_index *ix, uint32_t hash, uint32_t value)
{
	if (ix->old.slot == NULL && !grow(ix))
		return false;
	move_some(ix);
	put(&ix->now, (struct bgp_slot){ hash, value });
	ix->n++;
	return true;
}

static bool remove_from(struct bgp_slots *t, uint32_t hash, uint32_t value)
{
	if (t->slot == NULL)
		return false;
	for (uint32_t i = hash & t->mask; t->slot[i].value != 0; i = (i + 1) & t->mask)
		if (t->slot[i].value == value) {
			take_out(t, i);
			return true;
		}
	return false;
}

void bgp_index_remove(struct bgp_index *ix, uint32_t hash, uint32_t value)
{
	if (remove_from(&ix->now, hash, value) || remove_from(&ix->old, hash, value))
		ix->n--;
}
