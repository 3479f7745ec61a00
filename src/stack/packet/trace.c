/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Steps of whole batches: called when somebody listens, never on the way of a
 * packet that nobody traces.
 */
#include "stack/packet/trace.h"

#include "stack/packet/packet.h"

void trace_batch(const struct trace_slot *t, const struct trace_step *like, const struct batch *b)
{
	struct trace_step step = *like;

	for (uint32_t i = 0; i < b->n; i++) {
		step.p = b->p[i];
		if (step.p != NULL)
			t->fn(t->ctx, &step);
	}
}

void trace_pieces(const struct trace_slot *t, uint32_t of, const struct batch *pieces)
{
	trace_batch(t, &(struct trace_step){ .kind = TRACE_PIECE, .of = of }, pieces);
}

void trace_end(const struct trace_slot *t, enum trace_kind kind, const struct packet *p)
{
	t->fn(t->ctx, &(struct trace_step){ .kind = kind, .p = p, .reason = p->reason });
}
