/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pools: their addresses and ports, what is known of their use, and the refusal
 * when nothing is left: a named drop, ICMP 3/13 to the sender (RFC 6888 REQ-7),
 * a counter, and an event at most once a second and pool.
 */
#include <stdio.h>

#include "stack/ip/icmp.h"
#include "gateway/nat/nat_priv.h"

#define TELL_EVERY_NS NS_PER_S

void nat_pools_build(struct nat *n, const struct nat_config *cfg)
{
	n->cfg = *cfg;
	for (uint32_t i = 0; i < NAT_POOLS_MAX; i++) {
		const struct nat_pool_config *c = &n->cfg.pool[i];
		struct port_range ports = c->ports;

		if (i >= n->cfg.n_pools || c->name[0] == '\0') {
			n->pool[i] = (struct nat_pool){ 0 };
			continue;
		}
		if (ports.first == 0 && ports.last == 0)
			ports = (struct port_range){ 1024, 65535 };
		n->pool[i].ports = port_set_of(ports, c->excluded, c->n_excluded);
		n->pool[i].n_addresses = 0;
		for (uint32_t r = 0; r < c->n_ranges; r++)
			n->pool[i].n_addresses += (uint64_t)c->range[r].last - c->range[r].first + 1;
	}
}

uint32_t nat_pool_address(const struct nat_pool_config *cfg, uint64_t k)
{
	for (uint32_t r = 0; r < cfg->n_ranges; r++) {
		uint64_t size = (uint64_t)cfg->range[r].last - cfg->range[r].first + 1;
		if (k < size)
			return (uint32_t)(cfg->range[r].first + k);
		k -= size;
	}
	return 0;
}

bool nat_pool_has(const struct nat_pool_config *cfg, uint32_t addr)
{
	for (uint32_t r = 0; r < cfg->n_ranges; r++)
		if (addr >= cfg->range[r].first && addr <= cfg->range[r].last)
			return true;
	return false;
}

struct nat_refusals *nat_refusals_of(struct nat *n, enum nat_origin origin, uint32_t id)
{
	return origin == NAT_ORIGIN_POOL         ? &n->pool_refusals[id]
	       : origin == NAT_ORIGIN_MASQUERADE ? &n->masquerade_refusals[id]
						 : &n->rule_refusals;
}

void nat_refuse(struct nat *n, struct packet *p, enum nat_origin origin, uint32_t id, uint32_t addr)
{
	struct nat_refusals *r = nat_refusals_of(n, origin, id);

	/* Nothing is short, and its sender tries again. */
	if (p->l4.kind == L4_ESP || (p->l4.kind == L4_GRE && p->l4.type == L4_ID_CALL)) {
		packet_set_drop(p, DROP_NAT_ID_AWAITED);
		return;
	}
	r->count++;
	if (!r->told || n->env->now - r->told_ns >= TELL_EVERY_NS) {
		struct yg_event e = {
			.kind = EVENT_NAT_EXHAUSTED, .addr = ip_addr_v4(addr), .count = r->count, .proto = p->ip.proto
		};
		const char *name = origin == NAT_ORIGIN_POOL         ? n->cfg.pool[id].name
				   : origin == NAT_ORIGIN_MASQUERADE ? ip_stack_config(n->stack)->interface[id].name
								     : "snat";
		(void)snprintf(e.text, sizeof(e.text), "%.31s", name);
		r->told = true;
		r->told_ns = n->env->now;
		env_emit(n->env, &e);
	}
	(void)icmp_send_error(n->stack, p, ICMP_DEST_UNREACHABLE, ICMP_ADMIN_PROHIBITED, 0);
	packet_set_drop(p, DROP_NAT_EXHAUSTED);
}

static void add_use(const struct nat *n, uint32_t address, const struct port_set *ports, struct nat_pool_info *out)
{
	out->n_used_tcp += ports_n_used(n->ports, address, PORT_PROTO_TCP, ports);
	out->n_used_udp += ports_n_used(n->ports, address, PORT_PROTO_UDP, ports);
	out->n_used_icmp += ports_n_used(n->ports, address, PORT_PROTO_ICMP, &n->identifiers);
	for (int p = PORT_PROTO_SCTP; p < PORT_PROTO_CALL; p++)
		out->n_used_other += ports_n_used(n->ports, address, (enum port_proto)p, ports);
	out->n_used_other += ports_n_used(n->ports, address, PORT_PROTO_CALL, &n->identifiers);
}

_Static_assert(IP_ADDRESSES_MAX <= 32, "a bit an address");

/* An address belongs to the interface that has it: its bit, 0 when it has not. */
static uint32_t interface_has(const struct ip_interface_config *c, uint32_t addr)
{
	for (uint32_t i = 0; i < c->n_addresses; i++)
		if (c->address[i].addr == addr)
			return UINT32_C(1) << i;
	return 0;
}

/* The pools by number, then the interfaces that masquerade. */
bool nat_pool_next(const struct nat *n, uint32_t *cursor, struct nat_pool_info *out)
{
	uint32_t address;

	for (; *cursor < NAT_POOLS_MAX; ++*cursor) {
		const struct nat_pool_config *c = &n->cfg.pool[*cursor];
		const struct nat_pool *pool = &n->pool[*cursor];
		if (pool->n_addresses == 0)
			continue;
		*out = (struct nat_pool_info){
			.id = *cursor,
			.name = c->name,
			.n_addresses = (uint32_t)pool->n_addresses,
			.n_ports = pool->n_addresses * pool->ports.n_ports,
			.n_refused = n->pool_refusals[*cursor].count,
			.n_reused = n->pool_refusals[*cursor].n_reused,
		};
		for (uint32_t i = 0; ports_next(n->ports, &i, &address);)
			if (nat_pool_has(c, ports_addr(n->ports, address)->v4))
				add_use(n, address, &pool->ports, out);
		++*cursor;
		return true;
	}
	const struct ip_config *ip = ip_stack_config(n->stack);
	for (; ip != NULL && *cursor < NAT_POOLS_MAX + IP_INTERFACES_MAX; ++*cursor) {
		uint32_t ifindex = *cursor - NAT_POOLS_MAX;
		const struct ip_interface_config *c = &ip->interface[ifindex];
		*out = (struct nat_pool_info){
			.id = *cursor,
			.name = c->name,
			.n_refused = n->masquerade_refusals[ifindex].count,
			.n_reused = n->masquerade_refusals[ifindex].n_reused,
		};
		for (uint32_t i = 0; ports_next(n->ports, &i, &address);) {
			uint32_t which = interface_has(c, ports_addr(n->ports, address)->v4);

			if (which == 0)
				continue;
			out->interface_addresses |= which;
			out->n_addresses++;
			out->n_ports += n->default_ports.n_ports;
			add_use(n, address, &n->default_ports, out);
		}
		if (out->n_addresses == 0 && out->n_refused == 0)
			continue;
		++*cursor;
		return true;
	}
	return false;
}
