/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the stack tells the trace slot (stack/packet/trace.h), filled in here so
 * that those who decide have one line of it. Called only when somebody listens.
 */
#include "stack/ip/stack_priv.h"

void ip_trace_route(const struct ip_stack *s, const struct packet *p, const struct fib_route *r)
{
	struct fib_nexthop room;
	bool is_bound = p->bound_ifindex != 0;
	const struct fib_nexthop *nh = is_bound ? ip_route_bound(s, p, &room) : ip_choose_path(r, p);
	struct trace_step step = { .kind = TRACE_ROUTE, .p = p };

	/* To all or to a group: by no route. */
	if (ip4_is_multicast(p->ip.dst) || ip4_is_limited_broadcast(p->ip.dst) || ip4_is_loopback(p->ip.dst))
		return;
	step.route.dst = ip_addr_v4(p->ip.dst);
	step.route.zone = p->zone;
	step.route.kind = nh->kind;
	if (nh->kind == FIB_UNICAST || nh->kind == FIB_BROADCAST) {
		step.route.ifindex = nh->ifindex;
		step.route.next_hop = nh->gateway.v4 != 0 ? nh->gateway : step.route.dst;
	}
	/* Bound to a device: not by that route. */
	if (!is_bound) {
		step.route.group = ip_route_prefix(s, p->zone, p->ip.dst, &step.route.prefix, &step.route.table);
		step.route.n_ways = (uint8_t)(r->paths != NULL ? r->paths->n : 0);
	}
	env_trace(s->env, &step);
}

void ip_trace_neigh(const struct ip_stack *s, const struct packet *p, const struct neigh *n)
{
	static const uint8_t state_of[N_NEIGH_STATES] = {
		[NEIGH_INCOMPLETE] = TRACE_NEIGH_ASKED, [NEIGH_REACHABLE] = TRACE_NEIGH_KNOWN,
		[NEIGH_STALE] = TRACE_NEIGH_STALE,      [NEIGH_DELAY] = TRACE_NEIGH_KNOWN,
		[NEIGH_PROBE] = TRACE_NEIGH_KNOWN,      [NEIGH_FAILED] = TRACE_NEIGH_FAILED,
	};
	struct trace_step step = { .kind = TRACE_NEIGHBOUR, .p = p };

	step.neigh.addr = ip_addr_v4(p->next_hop);
	step.neigh.ifindex = p->out_ifindex;
	step.neigh.state = n != NULL ? state_of[n->state] : TRACE_NEIGH_REFUSED;
	if (n != NULL && n->state != NEIGH_INCOMPLETE && n->state != NEIGH_FAILED)
		step.neigh.mac = n->mac;
	env_trace(s->env, &step);
}

void ip_trace_answered(const struct ip_stack *s, const struct packet *p, uint8_t type, uint8_t code,
		       enum icmp_silence silence)
{
	struct trace_step step = { .kind = TRACE_ANSWERED, .p = p };

	step.answer.type = type;
	step.answer.code = code;
	step.answer.silence = (uint8_t)silence;
	env_trace(s->env, &step);
}
