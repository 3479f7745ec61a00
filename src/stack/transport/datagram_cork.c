/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A datagram that is written in several calls (MSG_MORE): its bytes wait in buffers of the
 * pool, one behind the other, and count as held until it is sent or given up.
 *
 * Next: src/stack/transport/udp_out.c
 */
#include <errno.h>

#include "base/util.h"
#include "stack/transport/datagram.h"

/* The buffer for the next bytes; NULL without memory. */
static struct packet *room(const struct datagram_stack *d, struct datagram_cork *c)
{
	struct packet *p = c->last;

	if (p != NULL && p->len < DATAGRAM_CORK_BYTES)
		return p;
	p = packet_alloc(d->env->pool, DATAGRAM_CORK_BYTES);
	if (p == NULL)
		return NULL;
	d->env->ledger.n_originated++;
	p->len = 0;
	p->next = NULL;
	*(c->last == NULL ? &c->first : &c->last->next) = p;
	c->last = p;
	return p;
}

int datagram_cork_add(const struct datagram_stack *d, struct datagram_cork *c, const struct span *span, int n)
{
	for (int i = 0; i < n; i++) {
		const uint8_t *from = span[i].bytes;
		size_t left = span[i].len;

		while (left > 0) {
			struct packet *p = room(d, c);

			if (p == NULL)
				return -ENOBUFS;
			uint32_t bytes = (uint32_t)min_u64(left, DATAGRAM_CORK_BYTES - p->len);

			memcpy(packet_frame(p) + p->len, from, bytes);
			p->len += bytes;
			c->len += bytes;
			from += bytes;
			left -= bytes;
		}
	}
	return 0;
}

int datagram_cork_spans(const struct datagram_cork *c, struct span out[DATAGRAM_CORK_PIECES])
{
	int n = 0;

	for (struct packet *p = c->first; p != NULL; p = p->next)
		out[n++] = (struct span){ packet_frame(p), p->len };
	return n;
}

void datagram_cork_free(const struct datagram_stack *d, struct datagram_cork *c)
{
	while (c->first != NULL) {
		struct packet *p = c->first;

		c->first = p->next;
		d->env->ledger.n_delivered++;
		packet_free(d->env->pool, p);
	}
	c->last = NULL;
	c->len = 0;
}
