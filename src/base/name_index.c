/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Open addressing with linear probing, at most half full. A slot holds a place
 * in the caller's array and nothing else, so that the array may move. An item
 * whose name was emptied leaves a slot that fits no name; it is dropped when the
 * slots are laid out again, and so many are laid out as names are alive: a name
 * that is given up and given again a thousand times costs no more than a
 * thousand names.
 *
 * The hash needs no secret key: the names are those of the operator's own file.
 */
#include "base/name_index.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 16u

/* FNV-1a. */
static uint32_t hash(const char *name, size_t len)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * 16777619u;
	return h ^ h >> 15;
}

static const char *name_of(const struct name_list *l, uint32_t i)
{
	return l->name + i * l->stride;
}

static bool is_name(const char *item, const char *name, size_t len)
{
	return strlen(item) == len && memcmp(item, name, len) == 0;
}

static void put(struct name_index *x, const struct name_list *l, uint32_t i)
{
	uint32_t at = hash(name_of(l, i), strlen(name_of(l, i)));

	while (x->slot[at & (x->n_slots - 1)] != 0)
		at++;
	x->slot[at & (x->n_slots - 1)] = i + 1;
	x->n_used++;
}

/* Lays the slots out again, with room for one more name. */
static bool make_room(struct name_index *x, const struct name_list *l)
{
	struct name_index next = { .n_slots = SLOTS_MIN, .n_items = x->n_items };
	uint32_t n_alive = 0;

	for (uint32_t i = 0; i < x->n_slots; i++)
		n_alive += x->slot[i] != 0 && name_of(l, x->slot[i] - 1)[0] != '\0';
	while (next.n_slots < 4 * (n_alive + 1))
		next.n_slots *= 2;
	next.slot = calloc(next.n_slots, sizeof(*next.slot));
	if (next.slot == NULL)
		return false;
	for (uint32_t i = 0; i < x->n_slots; i++)
		if (x->slot[i] != 0 && name_of(l, x->slot[i] - 1)[0] != '\0')
			put(&next, l, x->slot[i] - 1);
	free(x->slot);
	*x = next;
	return true;
}

bool name_index_add(struct name_index *x, const struct name_list *l)
{
	for (; x->n_items < l->n; x->n_items++) {
		if (name_of(l, x->n_items)[0] == '\0')
			continue;
		if (2 * (x->n_used + 1) > x->n_slots && !make_room(x, l))
			return false;
		put(x, l, x->n_items);
	}
	return true;
}

uint32_t name_index_find(const struct name_index *x, const struct name_list *l, const char *name, size_t len)
{
	if (len == 0)
		return NAME_INDEX_NONE;
	for (uint32_t at = hash(name, len); x->n_slots > 0; at++) {
		uint32_t i = x->slot[at & (x->n_slots - 1)];

		if (i == 0)
			break;
		if (is_name(name_of(l, i - 1), name, len))
			return i - 1;
	}
	for (uint32_t i = x->n_items; i < l->n; i++)
		if (is_name(name_of(l, i), name, len))
			return i;
	return NAME_INDEX_NONE;
}

void name_index_clear(struct name_index *x)
{
	free(x->slot);
	*x = (struct name_index){ 0 };
}
