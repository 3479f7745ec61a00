/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is to be seen of a speaker's neighbours: of two connections the one that is further.
 */
#include "routing/bgp/bgp_speaker_priv.h"

static void show_link(const struct bgp_link *l, struct bgp_neighbor_view *v)
{
	v->state = l->state;
	v->is_accepted = l->is_accepted;
	v->ours = l->ours;
	v->theirs = l->theirs;
	v->wire = l->wire;
	v->hold_s = l->hold_s;
	v->keepalive_s = l->keepalive_s;
	v->hold_at = l->hold_at;
	v->keepalive_at = l->keepalive_at;
	v->connect_retry_at = l->retry_at;
	v->send_hold_at = l->send_hold_at;
	v->last_in = l->last_in;
	v->last_out = l->last_out;
	if (l->s == NULL)
		return;
	v->remote = l->s->remote;
	if (l->is_open) {
		v->local = l->s->local;
		v->unacked = l->s->carrier->unacked(l->s);
	}
}

bool bgp_speaker_look(const struct bgp_speaker *s, uint32_t number, struct bgp_neighbor_view *v)
{
	const struct bgp_peer *p = number < BGP_NEIGHBORS_MAX ? s->peer[number] : NULL;

	if (p == NULL)
		return false;
	*v = (struct bgp_neighbor_view){ .number = number,
					 .config = &p->config,
					 .of = p->of,
					 .is_range = p->is_range,
					 .n_dynamic = p->n_dynamic,
					 .idle = p->idle,
					 .until = p->until,
					 .since = p->since,
					 .source = p->source,
					 .stale_at = p->stale_at,
					 .is_stale = p->is_stale,
					 .is_over_warning = p->is_over_warning,
					 .eor_in = p->eor_in,
					 .eor_out = p->eor_out,
					 .last = p->last,
					 .count = p->count };
	show_link(&p->link[p->link[1].state > p->link[0].state], v);
	if (p->source != BGP_SOURCE_NONE)
		v->n_prefixes = bgp_table_n_of(s->config.table, p->source);
	if (!p->is_range)
		v->digests = s->config.carrier->digests(s->config.carrier, p->config.peers.addr);
	return true;
}

uint32_t bgp_speaker_next(const struct bgp_speaker *s, uint32_t number)
{
	while (number < BGP_NEIGHBORS_MAX && s->peer[number] == NULL)
		number++;
	return number < BGP_NEIGHBORS_MAX ? number : BGP_NEIGHBOR_NONE;
}
