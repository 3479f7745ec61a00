/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ports that are held down: a pool may ask that a port which nobody uses any more is not
 * given out for a while, so that what is still under way to its last user, and
 * a log that names him, do not meet the next one (RFC 6888 REQ-8: 120 seconds).
 *
 * A port that is held down stays in use in its map and cannot be shared. It waits in one
 * queue in the order in which ports were let go; the head decides, so behind a
 * longer hold-down of another pool a shorter one lasts as long. When the queue is
 * full its head goes free early: better that than to hold back ports without a
 * bound.
 */
#include <errno.h>
#include <stdlib.h>

#include "gateway/nat/nat_priv.h"

int nat_hold_downs_init(struct nat_hold_downs *r, uint32_t cap)
{
	*r = (struct nat_hold_downs){ .cap = cap };
	r->entry = calloc(cap, sizeof(*r->entry));
	return r->entry != NULL ? 0 : -ENOMEM;
}

void nat_hold_downs_fini(struct nat_hold_downs *r)
{
	free(r->entry);
}

static void release_first(struct nat *n)
{
	struct nat_hold_downs *r = &n->hold_downs;
	const struct nat_hold_down *first = &r->entry[r->head];

	ports_hold_down_end(n->ports, first->address, port_proto_of(first->ip_proto), first->port);
	r->head = r->head + 1 == r->cap ? 0 : r->head + 1;
	r->n--;
}

/* False when nobody may hold it down. */
static YG_SELDOM bool hold_down(struct nat *n, uint32_t hold_down_s, uint32_t address, uint8_t ip_proto, uint32_t port)
{
	struct nat_hold_downs *r = &n->hold_downs;
	enum port_proto proto = port_proto_of(ip_proto);

	if (proto == PORT_PROTO_NONE || !ports_hold_down(n->ports, address, proto, port))
		return false;
	if (r->n == r->cap)
		release_first(n);
	uint32_t at = r->head + r->n++;
	r->entry[at < r->cap ? at : at - r->cap] =
		(struct nat_hold_down){ .until = n->env->now + hold_down_s * NS_PER_S,
					.address = address,
					.port = (uint16_t)port,
					.ip_proto = ip_proto };
	return true;
}

void nat_port_done(struct nat *n, uint32_t ref, uint32_t address, uint8_t ip_proto, uint32_t port)
{
	uint32_t hold_down_s = nat_ref_origin(ref) == NAT_ORIGIN_POOL ? n->cfg.pool[nat_ref_id(ref)].hold_down_s : 0;

	if (hold_down_s == 0 || n->hold_downs.is_off || !hold_down(n, hold_down_s, address, ip_proto, port))
		ports_give_back(n->ports, address, port_proto_of(ip_proto), port);
}

void nat_hold_downs_expire(struct nat *n)
{
	while (n->hold_downs.n > 0 && n->hold_downs.entry[n->hold_downs.head].until <= n->env->now)
		release_first(n);
}

uint64_t nat_hold_downs_deadline(const struct nat *n)
{
	return n->hold_downs.n > 0 ? n->hold_downs.entry[n->hold_downs.head].until : TIME_NEVER;
}
