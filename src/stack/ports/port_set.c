/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sets of ports: ranges in rising order, without those that are excluded.
 */
#include "stack/ports/port_set.h"

#include <assert.h>

#include "base/util.h"

static void set_add(struct port_set *s, uint32_t first, uint32_t last)
{
	if (first > last || s->n == PORT_SET_MAX)
		return;
	s->range[s->n++] = (struct port_range){ (uint16_t)first, (uint16_t)last };
	s->n_ports += last - first + 1;
	s->id = (s->id ^ (first << 16 | last)) * 2654435761u + 1;
}

struct port_set port_set_of(struct port_range ports, const struct port_range *excluded, uint32_t n_excluded)
{
	struct port_set s = { 0 };
	uint32_t at = ports.first == 0 ? 1 : ports.first;

	while (at <= ports.last) {
		/* The next port that is left out, and where that hole ends. */
		uint32_t hole = (uint32_t)ports.last + 1, behind = hole;
		for (uint32_t i = 0; i < n_excluded; i++) {
			uint32_t first = excluded[i].first > at ? excluded[i].first : at;
			if (excluded[i].last < at || first > hole)
				continue;
			if (first < hole || excluded[i].last + 1u > behind)
				behind = excluded[i].last + 1u;
			hole = first;
		}
		set_add(&s, at, hole - 1);
		at = behind;
		if (hole > ports.last)
			break;
	}
	return s;
}

struct port_set port_set_within(const struct port_set *s, uint32_t first, uint32_t last)
{
	struct port_set w = { 0 };

	for (uint32_t i = 0; i < s->n; i++)
		set_add(&w, max_u32(s->range[i].first, first), min_u32(s->range[i].last, last));
	return w;
}

bool port_set_has(const struct port_set *s, uint32_t port)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (port >= s->range[i].first && port <= s->range[i].last)
			return true;
	return false;
}

uint32_t port_set_at(const struct port_set *s, uint32_t k)
{
	for (uint32_t i = 0; i < s->n; i++) {
		uint32_t n = s->range[i].last - s->range[i].first + 1u;
		if (k < n)
			return s->range[i].first + k;
		k -= n;
	}
	assert(!"k is below n_ports");
	return 0;
}
