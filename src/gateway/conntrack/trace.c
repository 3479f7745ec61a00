/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What connection tracking tells the trace slot (stack/packet/trace.h): of each
 * packet of a batch which connection it belongs to, as it was when all of the batch
 * had been judged. Called only when somebody listens.
 */
#include "gateway/conntrack/conntrack_priv.h"

static void tell(struct conntrack *ct, const struct packet *p)
{
	const struct conn *c = conntrack_of(ct, p);
	struct trace_step step = { .kind = TRACE_CONNECTION, .p = p };

	step.conn.info = p->ct_info;
	step.conn.index = CONN_NONE;
	step.conn.is_quote = p->ct_icmp_error;
	if (c != NULL) {
		step.conn.index = conn_index(p->conn_ref);
		step.conn.is_reply = conn_dir(p->conn_ref) == CT_REPLY;
		step.conn.original = tuple_to_ip(&c->half[CT_ORIGINAL].tuple);
		step.conn.reply = tuple_to_ip(&c->half[CT_REPLY].tuple);
	}
	env_trace(ct->env, &step);
}

void ct_trace(struct conntrack *ct, const struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++)
		if (b->p[i]->verdict == VERDICT_CONTINUE)
			tell(ct, b->p[i]);
}
