/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a cache has said, into the table. A table of half a million payloads takes some milliseconds to go through, so
 * that is done in slices, and events are told when it is done.
 */
#include <errno.h>

#include "base/util.h"
#include "routing/rpki/rtr_client_priv.h"

#define SLICE 4096u /* payloads, some 0.1 us each, that are looked at or changed */

void rtr_begin_chore(struct rtr_client *c, enum rtr_chore chore)
{
	c->chore = chore;
	c->chore_at = 0;
}

static uint32_t within(uint32_t said, uint32_t ours, uint32_t usual, uint32_t least, uint32_t most)
{
	if (ours != 0)
		return ours;
	return said == 0 ? usual : said < least ? least : said > most ? most : said;
}

static void answer_is_in(struct rtr_client *c, uint64_t now)
{
	const struct rtr_end_of_data *e = &c->end;

	c->refresh_s = within(e->refresh_s, c->cfg.refresh_s, RTR_REFRESH_S, 1, RTR_REFRESH_S_MAX);
	c->retry_s = within(e->retry_s, c->cfg.retry_s, RTR_RETRY_S, 1, RTR_RETRY_S_MAX);
	c->expire_s = within(e->expire_s, c->cfg.expire_s, RTR_EXPIRE_S, RTR_EXPIRE_S_MIN, RTR_EXPIRE_S_MAX);
	/* Else it would go between two queries (RFC 8210 section 6). */
	if (c->expire_s <= max_u64(c->refresh_s, c->retry_s))
		c->expire_s = (uint32_t)max_u64(c->refresh_s, c->retry_s) + 1;
	c->has_data = true;
	c->session = c->new_session;
	c->serial = e->serial;
	c->updated = now;
	c->expires = now + c->expire_s * NS_PER_S;
	if (c->wants_all)
		c->n_ipv6 = c->n_keys = 0;
	c->n_ipv6 += c->new_ipv6;
	c->n_keys += c->new_keys;
	c->wants_all = false;
	c->n_changes = 0;
	if (c->state == RTR_RECEIVING) {
		c->state = RTR_READY;
		c->next = now + c->refresh_s * NS_PER_S;
		c->last[0] = c->told[0] = '\0';
	}
	rtr_tell(c, RTR_EVENT_UPDATED);
}

/* Half of what an AS may originate makes its other routes invalid: rather none. */
static void give_up(struct rtr_client *c, uint64_t now)
{
	c->has_data = false;
	c->wants_all = true;
	c->expires = TIME_NEVER;
	rtr_begin_chore(c, RTR_CHORE_DROP_ALL);
	if (c->stream != NULL)
		rtr_fail(c, now, "no room for so many payloads");
}

/* True: all of them. They have been looked at as they came. */
static bool apply_some(struct rtr_client *c, uint64_t now)
{
	for (uint32_t i = 0; i < SLICE && c->chore_at < c->n_changes; i++) {
		const struct rtr_prefix *x = &c->change[c->chore_at++];
		struct roa roa = { x->prefix, x->max_len, x->as };

		if (!x->is_announced) {
			(void)roa_remove(c->cfg.roas, c->cfg.cache, &roa);
		} else if (roa_add(c->cfg.roas, c->cfg.cache, &roa) == -ENOSPC) {
			give_up(c, now);
			return false;
		}
	}
	return c->chore_at == c->n_changes;
}

static bool sweep_some(struct rtr_client *c)
{
	enum roa_sweep how = c->chore == RTR_CHORE_TAKE       ? ROA_TAKE_STAGED
			     : c->chore == RTR_CHORE_DROP_ALL ? ROA_DROP_ALL
							      : ROA_DROP_STAGED;

	return !roa_sweep(c->cfg.roas, c->cfg.cache, how, &c->chore_at, SLICE);
}

void rtr_go_on(struct rtr_client *c, uint64_t now)
{
	enum rtr_chore chore = c->chore;

	if (!(chore == RTR_CHORE_APPLY ? apply_some(c, now) : sweep_some(c)))
		return;
	c->chore = RTR_CHORE_NONE;
	if (chore == RTR_CHORE_TAKE || chore == RTR_CHORE_APPLY)
		answer_is_in(c, now);
	if (chore == RTR_CHORE_DROP_ALL)
		rtr_tell(c, RTR_EVENT_EXPIRED);
}
