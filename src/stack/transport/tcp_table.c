/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Who has a four-tuple: one table for connections, half open ones and TIME_WAIT
 * records, which all begin with a struct tcp_node. Chained, with about as many buckets
 * as there may be nodes, under a keyed hash: nobody outside can make a chain long.
 *
 * As long as a tuple is in the table its port is told to ip (ip_port_open), so that
 * workers hand over what comes to it, and refuse what comes to others.
 *
 * Listeners are found by their port; of one port the one with the address comes
 * before the one for any, and among those that share both (SO_REUSEPORT) the hash of
 * the tuple chooses.
 */
#include <errno.h>
#include <stdlib.h>

#include "stack/ip/local.h"
#include "stack/transport/tcp_rare.h"

int tcp_table_init(struct tcp_table *table, uint32_t n)
{
	uint32_t size = 16;

	/* The nearest power of two: when all is in use, one and a half in a bucket at most. */
	while (size < n - n / 3 && size < UINT32_C(1) << 30)
		size *= 2;
	table->bucket = malloc(size * sizeof(*table->bucket));
	if (table->bucket == NULL)
		return -ENOMEM;
	memset(table->bucket, 0xff, size * sizeof(*table->bucket));
	table->mask = size - 1;
	return 0;
}
_Static_assert(POOL_NONE == UINT32_MAX, "bytes of ones");

void tcp_table_fini(struct tcp_table *table)
{
	free(table->bucket);
}

static uint32_t hash_of(const struct tcp *t, const struct tcp_node *n)
{
	uint64_t ports = (uint64_t)n->zone << 32 | (uint32_t)n->lport << 16 | n->rport;

	return (uint32_t)siphash13_16(&t->key_table, (uint64_t)n->laddr << 32 | n->raddr, ports);
}

static struct tcp_node *node_at(const struct tcp *t, uint32_t ref)
{
	uint32_t index = tcp_ref_index(ref);

	switch (tcp_ref_kind(ref)) {
	case TCP_KIND_CONN:
		return pool_at(&t->conns, index);
	case TCP_KIND_HALF_OPEN:
		return pool_at(&t->half_open, index);
	default:
		return pool_at(&t->time_wait, index);
	}
}
_Static_assert(offsetof(struct tcp_conn, node) == 0 && offsetof(struct tcp_half_open, node) == 0 &&
		       offsetof(struct tcp_time_wait, node) == 0,
	       "at the head of each");

void tcp_find_ahead(struct tcp *t, struct tcp_node *n)
{
	n->hash = hash_of(t, n);
	prefetch_read(&t->table.bucket[n->hash & t->table.mask]);
}

/* What will be touched of the first in the bucket, which as a rule is the one. */
void tcp_find_near(const struct tcp *t, const struct tcp_node *n)
{
	uint32_t ref = t->table.bucket[n->hash & t->table.mask];

	if (ref == POOL_NONE)
		return;
	const uint8_t *at = (const uint8_t *)node_at(t, ref);
	uint32_t lines = tcp_ref_kind(ref) == TCP_KIND_CONN ? TCP_CONN_HOT_LINES : 1;

	for (uint32_t i = 0; i < lines; i++)
		prefetch_read(at + 64 * i);
}

uint32_t tcp_find_hashed(const struct tcp *t, const struct tcp_node *n)
{
	uint32_t ref = t->table.bucket[n->hash & t->table.mask];

	while (ref != POOL_NONE && !tcp_same_tuple(node_at(t, ref), n))
		ref = node_at(t, ref)->next;
	return ref;
}

uint32_t tcp_find(struct tcp *t, struct tcp_node *n)
{
	n->hash = hash_of(t, n);
	return tcp_find_hashed(t, n);
}

void tcp_insert(struct tcp *t, struct tcp_node *n, enum tcp_kind kind, uint32_t index)
{
	uint32_t *bucket = &t->table.bucket[n->hash & t->table.mask];

	n->kind = (uint8_t)kind;
	n->is_in = true;
	n->next = *bucket;
	*bucket = (uint32_t)kind << 30 | index;
	t->table.n++;
	(void)ip_port_open(t->ip, IPPROTO_NR_TCP, n->laddr, n->lport, IP_PORT_BOUND);
}

/* Where n's number stands: in its bucket, or in the node before it. */
static uint32_t *place_of(struct tcp *t, const struct tcp_node *n)
{
	uint32_t *at = &t->table.bucket[n->hash & t->table.mask];

	while (node_at(t, *at) != n)
		at = &node_at(t, *at)->next;
	return at;
}

void tcp_replace(struct tcp *t, struct tcp_node *old, struct tcp_node *n, enum tcp_kind kind, uint32_t index)
{
	*place_of(t, old) = (uint32_t)kind << 30 | index;
	*n = *old;
	n->kind = (uint8_t)kind;
	old->is_in = false;
}

void tcp_remove(struct tcp *t, struct tcp_node *n)
{
	if (!n->is_in)
		return;
	*place_of(t, n) = n->next;
	n->is_in = false;
	t->table.n--;
	ip_port_close(t->ip, IPPROTO_NR_TCP, n->laddr, n->lport, IP_PORT_BOUND);
}

struct tcp_listener *tcp_listener_for(struct tcp *t, const struct tcp_node *n, uint32_t ifindex)
{
	struct tcp_listener *best = NULL;
	uint32_t n_best = 0;

	for (uint32_t i = t->listener_of[n->lport % TCP_PORT_BUCKETS]; i != POOL_NONE;) {
		struct tcp_listener *l = pool_at(&t->listeners, i);

		i = l->next;
		if (l->port != n->lport || l->zone != n->zone || (l->addr != 0 && l->addr != n->laddr))
			continue;
		if (!tcp_rare_hears(t, l->rare, ifindex))
			continue;
		if (best != NULL && best->addr != 0 && l->addr == 0)
			continue;
		if (best == NULL || (best->addr == 0 && l->addr != 0))
			n_best = 0;
		if (++n_best == 1 || hash_picks(n->hash, n_best))
			best = l;
	}
	return best;
}
