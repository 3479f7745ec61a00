/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What BGP's speaker tells, as events of the gateway: sessions up with what was agreed, down with who said so and
 * why, attempts that failed, limits. A password that does not fit is named there, since TCP alone says nothing of it
 * but that time passes. And what caches of the RPKI do.
 */
#include <string.h>

#include "daemon/control/text/bgp_text.h"
#include "daemon/run/run_bgp_priv.h"

static const uint8_t kinds[N_BGP_EVENT_KINDS] = {
	[BGP_EVENT_UP] = EVENT_BGP_UP,
	[BGP_EVENT_DOWN] = EVENT_BGP_DOWN,
	[BGP_EVENT_FAILED] = EVENT_BGP_FAILED,
	[BGP_EVENT_WARNING] = EVENT_BGP_WARNING,
	[BGP_EVENT_LIMIT] = EVENT_BGP_LIMIT,
	[BGP_EVENT_SYNCED] = EVENT_BGP_SYNCED,
	[BGP_EVENT_GONE] = EVENT_BGP_DOWN /* not told */,
};

static void detail(struct text *t, enum bgp_event_kind kind, const struct bgp_neighbor_view *v)
{
	switch (kind) {
	case BGP_EVENT_UP:
		bgp_text_agreed(t, v);
		break;
	case BGP_EVENT_DOWN:
	case BGP_EVENT_FAILED:
		bgp_text_down(t, &v->last);
		if (v->digests.is_known && v->digests.n_wrong > 0)
			text_add(t, "; ");
		(void)bgp_text_digests(t, v);
		break;
	case BGP_EVENT_LIMIT:
	case BGP_EVENT_WARNING:
		text_add(t, "of %u", v->config->max_prefixes);
		break;
	default:
		break;
	}
}

void run_bgp_event(void *user, enum bgp_event_kind kind, const struct bgp_neighbor_view *v)
{
	struct run_bgp *b = user;
	char words[320];
	struct text t = text_of(words, sizeof(words));
	struct yg_event e = { .kind = kinds[kind],
			      .time_ns = worker_clock(),
			      .addr = ip_addr_v4(v->config->peers.addr),
			      .count = v->n_prefixes };

	if (kind == BGP_EVENT_GONE)
		return;
	if (kind == BGP_EVENT_UP)
		run_bgp_set_import(b, v);
	if (v->remote.addr != 0)
		e.addr = ip_addr_v4(v->remote.addr);
	snprintf(e.text, sizeof(e.text), "%s", v->config->name);
	detail(&t, kind, v);
	e.detail = t.len > 0 ? words : NULL;
	run_event(b->run, &e);
}

void run_bgp_rpki_event(void *user, const char *table, enum rtr_event event, const struct rtr_view *v,
			struct stream_end cache)
{
	static const uint8_t rpki_kinds[] = {
		[RTR_EVENT_UPDATED] = EVENT_RPKI_UPDATED,
		[RTR_EVENT_DOWN] = EVENT_RPKI_DOWN,
		[RTR_EVENT_EXPIRED] = EVENT_RPKI_EXPIRED,
	};
	struct run_bgp *b = user;
	struct yg_event e = { .kind = rpki_kinds[event],
			      .time_ns = worker_clock(),
			      .addr = ip_addr_v4(cache.addr),
			      .count = v->n_payloads,
			      .detail = event == RTR_EVENT_DOWN ? v->last : NULL };

	snprintf(e.text, sizeof(e.text), "%s", table);
	run_event(b->run, &e);
}
