/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What BGP's neighbours are told by a running gateway: update groups (routing/bgp/bgp_groups.h) by what the config
 * says of export, and the networks that are ours.
 *
 * Our networks are paths of a source of our own in the table: ORIGIN IGP, no AS, external without having come from
 * anybody, and without a next hop, which is each session's own end when it is told. So they are told as others are, an
 * AS_PATH without a number is the shortest, and they stand in no FIB.
 */
#include <errno.h>
#include <string.h>

#include "daemon/run/run_bgp_priv.h"
#include "stack/wire/bgp_message.h"

/* --- groups --- */

static void terms_of(void *user, const struct bgp_outbound_peer *peer, struct bgp_group_terms *terms)
{
	const struct run_bgp *b = user;
	uint32_t slot = peer->config->tag;

	/* Of one that is on its way out, what it was told last. */
	terms->export = run_bgp_export_of(b, slot < BGP_NEIGHBORS_MAX ? slot : 0);
	if (slot < BGP_NEIGHBORS_MAX && b->slot[slot].is_used)
		terms->next_hop_self = b->slot[slot].config->next_hop_self;
}

static void wake_neighbor(void *user, uint32_t neighbor)
{
	struct run_bgp *b = user;

	bgp_speaker_wake(b->speaker, neighbor);
	run_bgp_wake(b);
}

int run_bgp_make_groups(struct run_bgp *b)
{
	return bgp_groups_create(
		&b->groups,
		&(struct bgp_groups_config){ .table = b->table, .terms = terms_of, .wake = wake_neighbor, .user = b });
}

static int out_up(void *user, const struct bgp_outbound_peer *p, uint32_t *member)
{
	struct run_bgp *b = user;
	int rc = bgp_groups_slot.up(b->groups, p, member);

	if (rc == 0 && p->neighbor < BGP_NEIGHBORS_MAX) {
		b->member[p->neighbor].is_there = true;
		b->member[p->neighbor].number = *member;
	}
	return rc;
}

static void out_down(void *user, uint32_t member)
{
	struct run_bgp *b = user;

	for (uint32_t i = 0; i < BGP_NEIGHBORS_MAX; i++)
		if (b->member[i].is_there && b->member[i].number == member)
			b->member[i].is_there = false;
	bgp_groups_slot.down(b->groups, member);
}

static void out_changed(void *user, uint32_t member, const struct bgp_neighbor_config *config)
{
	bgp_groups_slot.changed(((struct run_bgp *)user)->groups, member, config);
}

static void out_refresh(void *user, uint32_t member)
{
	bgp_groups_slot.refresh(((struct run_bgp *)user)->groups, member);
}

static size_t out_next(void *user, uint32_t member, uint8_t *buf, size_t room)
{
	return bgp_groups_slot.next(((struct run_bgp *)user)->groups, member, buf, room);
}

static bool out_is_dumped(void *user, uint32_t member)
{
	return bgp_groups_slot.is_dumped(((struct run_bgp *)user)->groups, member);
}

const struct bgp_outbound run_bgp_outbound = {
	.up = out_up,
	.down = out_down,
	.changed = out_changed,
	.refresh = out_refresh,
	.next = out_next,
	.is_dumped = out_is_dumped,
};

void run_bgp_export_changed(struct run_bgp *b, const struct bgp_neighbor_view *v)
{
	if (v->number < BGP_NEIGHBORS_MAX && b->member[v->number].is_there)
		bgp_groups_slot.changed(b->groups, b->member[v->number].number, v->config);
}

bool run_bgp_told_of(const struct run_bgp *b, uint32_t number, struct bgp_groups_view *v)
{
	if (number >= BGP_NEIGHBORS_MAX || !b->member[number].is_there)
		return false;
	bgp_groups_look(b->groups, b->member[number].number, v);
	return true;
}

/* --- networks --- */

/* An UPDATE of ours to ourselves, so that there is one way into the table. */
static void say(struct run_bgp *b, struct bgp_update_job *job)
{
	static const struct bgp_wire to_us = { .local_as = UINT32_MAX, .peer_as = UINT32_MAX, .as4 = true };
	uint8_t p[BGP_MESSAGE_MAX];
	struct bgp_update u;
	struct bgp_error e;
	size_t len;

	while ((len = bgp_update_emit(p, job)) > 0) {
		enum bgp_disposition d = bgp_update_parse(&to_us, p, len, &u, &e);

		u.attrs.next_hop = 0;
		if (d != BGP_RESET)
			bgp_table_update(b->table, b->own, &u, d, (uint32_t)(worker_clock() / NS_PER_S));
	}
}

static void announce(struct run_bgp *b, const struct ip4_prefix *prefix)
{
	/* The next hop is one that a message may have. */
	static const uint8_t attrs[] = {
		0x40, BGP_ORIGIN, 1, BGP_ORIGIN_IGP, 0x40, BGP_AS_PATH, 0, 0x40, BGP_NEXT_HOP, 4, 192, 0, 2, 1
	};
	struct bgp_update_job job = { .attrs = attrs, .attrs_len = sizeof(attrs), .nlri = prefix, .n_nlri = 1 };

	say(b, &job);
}

static bool has_network(const struct config_bgp *c, const struct ip4_prefix *p)
{
	for (size_t i = 0; c != NULL && i < c->n_networks; i++)
		if (c->network[i].prefix.addr == p->addr && c->network[i].prefix.len == p->len)
			return true;
	return false;
}

void run_bgp_set_networks(struct run_bgp *b, const struct config_bgp *was, const struct config_bgp *config)
{
	const struct bgp_source own = { .kind = BGP_EXTERNAL, .id = config->router_id };

	if (b->own == BGP_SOURCE_NONE && config->n_networks > 0)
		b->own = bgp_table_add_source(b->table, &own);
	if (b->own == BGP_SOURCE_NONE)
		return;
	for (size_t i = 0; was != NULL && i < was->n_networks; i++) {
		struct bgp_update_job job = { .withdrawn = &was->network[i].prefix, .n_withdrawn = 1 };

		if (!has_network(config, &was->network[i].prefix))
			say(b, &job);
	}
	for (size_t i = 0; i < config->n_networks; i++)
		if (!has_network(was, &config->network[i].prefix))
			announce(b, &config->network[i].prefix);
}
