/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the clock ends: connections whose time is up, whatever they are of, and
 * fragments that waited too long. It stands on top of all others: nothing in this
 * room calls it.
 *
 * A timer that fires too early is armed again for the time that stands in its
 * connection (timeouts.c). Before one ends, whoever forwards packets of it elsewhere
 * is asked whether there were some.
 */
#include "gateway/conntrack/conntrack_priv.h"

/* Fires at most so many in one go. */
#define EXPIRE_BUDGET 1024
#define DUE_MAX 64
_Static_assert(DUE_MAX <= CT_DYING_MAX, "what ends together waits together");

/* Those whose timers have fired, dealt with together so that the waits for memory overlap: first the connections, then
 * the buckets of those that end, and what NAT has of them. */
struct due {
	struct conntrack *ct;
	uint32_t n;
	uint32_t index[DUE_MAX];
};

static void fire(void *ctx, uint32_t index, uint64_t now)
{
	struct due *due = ctx;
	const uint8_t *c = (const uint8_t *)ct_conn(due->ct, index);

	(void)now;
	prefetch_write(c);
	prefetch_read(c + 64);
	due->index[due->n++] = index;
}

/* Leaves those that end. */
static void sort_out(struct due *due)
{
	struct conntrack *ct = due->ct;
	uint32_t n = due->n, now = ct_now_tick(ct);

	due->n = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t index = due->index[i];
		const struct conn *c = ct_conn(ct, index);

		if (!tick_before(now, conn_expires_tick(c)) && ct->flowcache.alive != NULL)
			(void)ct->flowcache.alive(ct->flowcache_ctx, index);
		if (tick_before(now, conn_expires_tick(c))) {
			ct_arm(ct, index);
			continue;
		}
		prefetch_write(&ct->table.bucket[ct->side[index].bucket[CT_ORIGINAL]]);
		if (c->status & CT_REPLY_RESERVED)
			prefetch_write(&ct->table.bucket[ct->side[index].bucket[CT_REPLY]]);
		if ((c->status & CT_MAPPED) && ct->nat.reach != NULL)
			ct->nat.reach(ct->nat_ctx, c, index);
		due->index[due->n++] = index;
	}
}

static enum ct_end_reason reason_of(const struct conn *c)
{
	const struct ct_protocol *proto = ct_protocol_of_conn(c);

	return proto->end_reason != NULL ? proto->end_reason(c) : CT_END_TIMEOUT;
}

void conntrack_expire(struct conntrack *ct)
{
	struct due due = { .ct = ct };

	/* Whoever ends here need not wait: no packet is on its way. */
	for (uint32_t left = EXPIRE_BUDGET; left > 0;) {
		uint32_t step = min_u32(left, DUE_MAX);

		ct_flush_dying(ct);
		due.n = 0;
		bool last = timer_advance(&ct->wheel, ct->env->now, step, fire, &due) < step;
		sort_out(&due);
		for (uint32_t i = 0; i < due.n; i++)
			conntrack_end(ct, due.index[i], reason_of(ct_conn(ct, due.index[i])));
		if (last)
			break;
		left -= step;
	}
	ct_flush_dying(ct);
	ct_fragments_expire(ct->fragments, ct->env);
	ct_resume_ready(ct);
}

uint64_t conntrack_next_deadline(const struct conntrack *ct)
{
	if (ct->ip.resume != NULL && ct_fragments_has_ready(ct->fragments))
		return ct->env->now;
	return min_u64(timer_next(&ct->wheel), ct_fragments_deadline(ct->fragments));
}
