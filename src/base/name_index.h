/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Finds things by name in an array that grows: a hash from the name to the place in the array. The array stays the
 * caller's, and so does its memory; it may move.
 */
#ifndef YG_BASE_NAME_INDEX_H
#define YG_BASE_NAME_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_INDEX_NONE UINT32_MAX

/* Zeroed: empty. */
struct name_index {
	uint32_t *slot;   /* 0: empty; else 1 + the place in the array */
	uint32_t n_slots; /* 0 or a power of two */
	uint32_t n_used;
	uint32_t n_items; /* the first so many of the array were added; those behind them are searched one by one */
};

/* The array: name is that of its first item, and from one to the next are stride bytes. */
struct name_list {
	const char *name;
	size_t stride;
	size_t n;
};

/* The place of an item of that name (of several, any that was added), NAME_INDEX_NONE without one. */
uint32_t name_index_find(const struct name_index *x, const struct name_list *l, const char *name, size_t len);
/* Takes in all of the list that was not yet; false without memory: then the rest is searched one by one.
 * An item that is taken off the end must not have been added. One whose name is emptied afterwards is gone. */
bool name_index_add(struct name_index *x, const struct name_list *l);
void name_index_clear(struct name_index *x);

#endif
