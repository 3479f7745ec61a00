/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a connection holds, and whether all that is held has a holder.
 *
 * A connection can hold two things: the mapping by which it came in, as somebody
 * from outside, and for its source a port of an address or another mapping. Often
 * it is one of them; a hairpin has both, and so has a connection from outside whose
 * source is hidden from the inside. Each is a holder of its own there (n_holders of
 * an address, a mapping, a pinhole), and each is given back when the connection ends.
 * One stands in conn_ext.nat_ref itself, two in a struct nat_hairpin_pair that it names.
 *
 * The law of ports and mappings (nat.h) compares what those count with who holds
 * them, as others know it: conntrack knows how many connections hold something, the
 * pools how many pairs and mappings there are.
 */
#include <assert.h>

#include "gateway/nat/overload.h"

static void give_back(struct nat *n, uint32_t index, const struct tuple *reply, uint32_t ref)
{
	uint32_t held = nat_ref_index(ref);

	switch (nat_ref_kind(ref)) {
	case NAT_HOLD_PORT:
		nat_overload_released(n, index, reply, held);
		nat_port_done(n, ref, held, reply->proto, nat_outside_port(reply));
		return;
	case NAT_HOLD_MAPPING:
		nat_pinhole_leave(n, held, reply->src, 0);
		nat_mapping_leave(n, held);
		return;
	case NAT_HOLD_MAPPING_IN:
		nat_mapping_leave(n, held);
		return;
	case NAT_HOLD_PAIR:
		break;
	}
	assert(!"a pair is of two things, neither of which is a pair");
}

bool nat_hold(struct nat *n, uint32_t index, uint32_t ref)
{
	struct conn *c = conntrack_conn(n->ct, index);
	struct conn_ext *notes = conntrack_ext(n->ct, index);

	if (!(c->status & CT_MAPPED)) {
		notes->nat_ref = ref;
		conntrack_set_mapped(n->ct, index);
		return true;
	}
	assert(nat_ref_kind(notes->nat_ref) == NAT_HOLD_MAPPING_IN);
	uint32_t pair = pool_alloc(&n->mappings.pairs);

	if (pair == POOL_NONE) {
		give_back(n, index, &c->half[CT_REPLY].tuple, ref);
		return false;
	}
	*(struct nat_hairpin_pair *)pool_at(&n->mappings.pairs, pair) =
		(struct nat_hairpin_pair){ .entered = notes->nat_ref, .source = ref };
	notes->nat_ref = nat_ref_of(NAT_HOLD_PAIR, nat_ref_origin(ref), nat_ref_id(ref), pair);
	return true;
}

void nat_release(void *ctx, struct conn *c, uint32_t index)
{
	struct nat *n = ctx;
	const struct tuple *reply = &c->half[CT_REPLY].tuple;
	uint32_t ref = conntrack_ext(n->ct, index)->nat_ref;

	nat_reclaim_queues_leave(n, index);
	if (nat_ref_kind(ref) == NAT_HOLD_PAIR) {
		struct nat_hairpin_pair pair = *nat_pair_at(n, ref);

		pool_free(&n->mappings.pairs, nat_ref_index(ref));
		give_back(n, index, reply, pair.entered);
		ref = pair.source;
	}
	give_back(n, index, reply, ref);
}

void nat_reach(void *ctx, const struct conn *c, uint32_t index)
{
	struct nat *n = ctx;
	const struct tuple *reply = &c->half[CT_REPLY].tuple;
	const struct conn_ext *notes = conntrack_ext(n->ct, index);

	if (nat_ref_kind(notes->nat_ref) != NAT_HOLD_PORT)
		return;
	nat_overload_fetch(n, notes->nat_destination);
	ports_reach(n->ports, nat_ref_index(notes->nat_ref), port_proto_of(reply->proto), nat_outside_port(reply));
}

/* A new config. */

static bool interface_has(const struct nat *n, uint32_t ifindex, uint32_t addr)
{
	const struct ip_interface_config *ifc = &ip_stack_config(n->stack)->interface[ifindex];

	for (uint32_t i = 0; i < ifc->n_addresses; i++)
		if (ifc->address[i].addr == addr)
			return true;
	return false;
}

static bool rule_gives(const struct nat *n, uint32_t addr)
{
	uint32_t low = 0, high = n->cfg.n_sources;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (n->cfg.source[mid].last < addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low < n->cfg.n_sources && n->cfg.source[low].first <= addr;
}

/* Somebody here answers for the address, so what is on its way to it finds us. */
static bool is_ours(const struct nat *n, uint32_t addr)
{
	if (rule_gives(n, addr))
		return true;
	for (uint32_t i = 0; i < IP_INTERFACES_MAX; i++)
		if (interface_has(n, i, addr))
			return true;
	for (uint32_t i = 0; i < n->cfg.n_pools; i++)
		if (nat_pool_has(&n->cfg.pool[i], addr))
			return true;
	return false;
}

static bool ref_is_allowed(const struct nat *n, const struct tuple *reply, uint32_t ref)
{
	uint32_t id = nat_ref_id(ref), addr = reply->dst, port = nat_outside_port(reply);

	if (nat_ref_kind(ref) == NAT_HOLD_MAPPING_IN) {
		const struct nat_eim *m = nat_mapping_at(n, nat_ref_index(ref));

		addr = m->out_addr;
		port = m->out_port;
	}
	switch (nat_ref_origin(ref)) {
	case NAT_ORIGIN_POOL:
		if (n->pool[id].n_addresses == 0 || !nat_pool_has(&n->cfg.pool[id], addr))
			return false;
		return !l4_has_ports(reply->proto) || port_set_has(&n->pool[id].ports, port);
	case NAT_ORIGIN_MASQUERADE:
		return interface_has(n, id, addr);
	case NAT_ORIGIN_RULE:
		break;
	}
	return is_ours(n, addr);
}

bool nat_still_allowed(const struct nat *n, uint32_t index)
{
	const struct conn *c = conntrack_conn(n->ct, index);
	const struct tuple *orig = &c->half[CT_ORIGINAL].tuple, *reply = &c->half[CT_REPLY].tuple;
	uint32_t ref = conntrack_ext(n->ct, index)->nat_ref;

	/* A prefix for a prefix takes no port. */
	if (!(c->status & CT_MAPPED))
		return !(c->status & CT_SNAT) || reply->dst == orig->src || is_ours(n, reply->dst);
	/* Only the port was another: the address is the sender's. */
	if (nat_ref_kind(ref) == NAT_HOLD_PORT && nat_ref_origin(ref) == NAT_ORIGIN_RULE && reply->dst == orig->src)
		return true;
	if (nat_ref_kind(ref) != NAT_HOLD_PAIR)
		return ref_is_allowed(n, reply, ref);
	const struct nat_hairpin_pair *pair = nat_pair_at(n, ref);

	return ref_is_allowed(n, reply, pair->entered) && ref_is_allowed(n, reply, pair->source);
}

/* The law. */

const char *const nat_law_names[N_NAT_LAW_ROWS] = {
	[NAT_LAW_PORTS] = "ports",
	[NAT_LAW_MAPPINGS] = "endpoint-independent mappings",
	[NAT_LAW_CONNECTIONS] = "connections",
	[NAT_LAW_BESIDES] = "connections, besides (the other end of a hairpin)",
	[NAT_LAW_BY_MAPPINGS] = "endpoint-independent mappings, a port each",
	[NAT_LAW_HELD_DOWN] = "nobody: held down",
	[NAT_LAW_PENDING_OPENS] = "pending simultaneous opens",
	[NAT_LAW_WORKERS] = "other workers",
	[NAT_LAW_CALLS] = "calls of PPTP",
};

void nat_law_of(const struct nat *n, struct nat_law *out)
{
	const struct nat_mappings *m = &n->mappings;

	*out = (struct nat_law){ {
		[NAT_LAW_PORTS] = ports_n_holders(n->ports),
		[NAT_LAW_MAPPINGS] = m->n_holds,
		[NAT_LAW_CONNECTIONS] = conntrack_n_mapped(n->ct),
		[NAT_LAW_BESIDES] = m->pairs.n_used,
		[NAT_LAW_BY_MAPPINGS] = m->pool.n_used - m->n_leased,
		[NAT_LAW_HELD_DOWN] = n->hold_downs.n,
		[NAT_LAW_PENDING_OPENS] = n->pending_opens.n,
		[NAT_LAW_WORKERS] = ports_n_pins(n->ports) + m->n_for_workers,
		[NAT_LAW_CALLS] = n->calls.pool.n_used,
	} };
}

uint64_t nat_law_in_use(const struct nat_law *l)
{
	return l->n[NAT_LAW_PORTS] + l->n[NAT_LAW_MAPPINGS];
}

uint64_t nat_law_held(const struct nat_law *l)
{
	uint64_t sum = 0;

	for (int i = NAT_LAW_FIRST_HOLDER; i < N_NAT_LAW_ROWS; i++)
		sum += l->n[i];
	return sum;
}

int64_t nat_law_difference(const struct nat *n)
{
	struct nat_law l;

	nat_law_of(n, &l);
	return (int64_t)(nat_law_in_use(&l) - nat_law_held(&l));
}
