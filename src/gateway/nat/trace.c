/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What NAT tells the trace slot (stack/packet/trace.h): what was chosen for a side
 * of a new connection. Called only when somebody listens.
 */
#include "gateway/nat/nat_priv.h"

void nat_trace_choice(const struct nat *n, enum trace_kind side, const struct packet *p, const struct nat_action *a,
		      enum nat_choice choice)
{
	const struct conn *c = conntrack_conn(n->ct, conn_index(p->conn_ref));
	struct tuple now = tuple_invert(&c->half[CT_REPLY].tuple);
	struct trace_step step = { .kind = side, .p = p };

	step.nat.action = a->kind;
	step.nat.pool = a->pool;
	step.nat.is_done = choice == NAT_CHOICE_MADE;
	step.nat.was = tuple_to_ip(&c->half[CT_ORIGINAL].tuple);
	step.nat.now = tuple_to_ip(&now);
	env_trace(n->env, &step);
}
