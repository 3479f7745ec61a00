/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The pool of what few connections have. Its memory is touched only where somebody has
 * one.
 */
#include "stack/transport/tcp_rare.h"

const struct tcp_rare tcp_rare_none = { .max_pacing_rate = TCP_UNPACED };

struct tcp_rare *tcp_rare_get(struct tcp *t, uint32_t *of)
{
	if (*of == POOL_NONE) {
		*of = pool_alloc(&t->rares);
		*(struct tcp_rare *)pool_at(&t->rares, *of) = tcp_rare_none;
	}
	return pool_at(&t->rares, *of);
}

void tcp_rare_release(struct tcp *t, uint32_t *of)
{
	if (*of == POOL_NONE)
		return;
	pool_free(&t->rares, *of);
	*of = POOL_NONE;
}

uint32_t tcp_rare_inherit(struct tcp *t, const struct tcp_listener *l)
{
	uint32_t made = POOL_NONE;

	if (l->rare != POOL_NONE)
		*tcp_rare_get(t, &made) = *tcp_rare_at(t, l->rare);
	return made;
}
