/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The paths of a neighbour in the table, beyond its session. A session that ends for good gives its source up: from
 * then on it is `gone`, and taken out in slices, and a new session of the neighbour has another source. Where both ends
 * have said that they restart gracefully, and the end is one that a restart looks like, the source stays and its paths
 * are stale (RFC 4724 section 4.2): they go unless the neighbour is back in the time that it has said, unless it says
 * that it has kept forwarding (F), and, when it is back, unless they are announced again by End-of-RIB or in stale_s.
 *
 * Nothing may be stale twice: what is still stale when a second restart, or the mark of a refresh (RFC 7313), comes is
 * taken out first, and what remains is marked then; until that nothing of the neighbour is read.
 */
#include "routing/bgp/bgp_speaker_priv.h"

static struct bgp_table *table_of(const struct bgp_peer *p)
{
	return p->speaker->config.table;
}

static bool is_same_source(const struct bgp_source *a, const struct bgp_source *b)
{
	return a->kind == b->kind && a->id == b->id && a->addr == b->addr;
}

static uint64_t stale_ns(const struct bgp_peer *p)
{
	return (p->config.stale_s != 0 ? p->config.stale_s : BGP_STALE_S) * NS_PER_S;
}

/* Said by the peer, and by us; N (RFC 8538) by both. */
static bool is_agreed(const struct bgp_link *l)
{
	return l->ours.can.restart.is_there && l->theirs.can.restart.is_there && l->theirs.can.restart.ipv4;
}

bool bgp_keep_allowed(const struct bgp_link *l)
{
	const struct bgp_down *d = &l->cause;
	bool is_soft = l->ours.can.restart.notification && l->theirs.can.restart.notification;

	if (!is_agreed(l))
		return false;
	if (d->side == BGP_SIDE_TRANSPORT)
		return true;
	return is_soft && !d->is_hard && d->code != BGP_SEND_HOLD_EXPIRED;
}

static void begin_sweep(struct bgp_peer *p)
{
	if (!p->is_stale)
		return;
	p->is_sweeping = true;
	p->stale_at = TIME_NEVER;
	bgp_ready(p);
}

void bgp_keep_sweep(struct bgp_peer *p)
{
	if (!p->marks_next)
		begin_sweep(p);
}

void bgp_keep_mark(struct bgp_peer *p)
{
	if (p->source == BGP_SOURCE_NONE)
		return;
	if (p->is_stale) {
		p->marks_next = true;
		begin_sweep(p);
	} else {
		bgp_table_stale(table_of(p), p->source);
		p->is_stale = true;
	}
	p->stale_at = p->speaker->now + stale_ns(p);
	bgp_arm(p);
}

/* While something is gone nothing of the source that has come after it has been read. */
void bgp_keep_nothing(struct bgp_peer *p)
{
	if (p->source == BGP_SOURCE_NONE)
		return;
	if (p->gone != BGP_SOURCE_NONE)
		(void)bgp_table_drop(table_of(p), p->source, 0);
	else
		p->gone = p->source;
	p->source = BGP_SOURCE_NONE;
	p->is_stale = p->is_sweeping = p->marks_next = false;
	p->stale_at = TIME_NEVER;
	bgp_ready(p);
}

bool bgp_keep_up(struct bgp_peer *p, const struct bgp_link *l)
{
	const struct bgp_source source = { (uint8_t)bgp_kind_of(&l->wire), l->theirs.id, l->s->remote.addr };
	const struct bgp_speaker_config *c = &p->speaker->config;

	if (!is_agreed(l) || !l->theirs.can.restart.ipv4_kept || !is_same_source(&source, &p->of_source))
		bgp_keep_nothing(p);
	if (p->source != BGP_SOURCE_NONE) {
		p->stale_at = p->speaker->now + stale_ns(p);
		return true;
	}
	p->source = bgp_table_add_source(table_of(p), &source);
	p->of_source = source;
	if (p->source == BGP_SOURCE_NONE)
		return false;
	if (c->source != NULL)
		c->source(c->source_user, p->source, &p->config);
	return true;
}

void bgp_keep_down(struct bgp_peer *p, const struct bgp_link *l, bool keeps)
{
	if (!keeps) {
		bgp_keep_nothing(p);
		return;
	}
	bgp_keep_mark(p);
	p->stale_at = p->speaker->now + l->theirs.can.restart.time_s * NS_PER_S;
}

bool bgp_keep_work(struct bgp_peer *p, uint32_t budget)
{
	if (p->gone != BGP_SOURCE_NONE) {
		if (!bgp_table_drop(table_of(p), p->gone, budget))
			return true;
		p->gone = BGP_SOURCE_NONE;
		return p->is_sweeping;
	}
	if (!p->is_sweeping)
		return false;
	if (!bgp_table_drop_stale(table_of(p), p->source, budget))
		return true;
	p->is_sweeping = p->is_stale = false;
	if (p->marks_next) {
		p->marks_next = false;
		bgp_table_stale(table_of(p), p->source);
		p->is_stale = true;
	}
	return false;
}
