/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Drops by name and the law of conservation, of whatever has an environment.
 */
#include "lib/lib_info.h"

#include <string.h>

#include "lib/lib_priv.h"

void lib_drops_of(const struct env *env,
		  void (*fn)(void *ctx, const char *name, uint64_t n, const char *what, const char *hint), void *ctx)
{
	for (uint32_t i = 0; i < N_DROP_REASONS; i++)
		fn(ctx, drop_info[i].name, env->ledger.n_dropped[i], drop_info[i].text, drop_info[i].hint);
}

void lib_law_of(const struct env *env, struct yg_law *out)
{
	const struct ledger *l = &env->ledger;
	struct yg_law law = { .size = out->size < sizeof(law) ? out->size : sizeof(law),
			      .received = l->n_received,
			      .originated = l->n_originated,
			      .pieces = l->n_pieces_made,
			      .handed = l->n_handed,
			      .delivered = l->n_delivered,
			      .consumed = l->n_consumed,
			      .merged = l->n_merged,
			      .dropped = ledger_dropped(l),
			      .held = packet_pool_used(env->pool) };

	law.holds = ledger_expected_held(l) == (int64_t)law.held;
	memcpy(out, &law, law.size);
}

void yg_drops(const struct yg_stack *s,
	      void (*fn)(void *ctx, const char *name, uint64_t n, const char *what, const char *hint), void *ctx)
{
	lib_drops_of(s->env, fn, ctx);
}

void yg_law(const struct yg_stack *s, struct yg_law *out)
{
	lib_law_of(s->env, out);
}
