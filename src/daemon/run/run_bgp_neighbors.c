/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The config's neighbours into the speaker. A neighbour is known by its address (or range): its name
 * may change. What has not changed is not touched, so a reload that has to do with something else is not
 * heard of, and a session that a command has shut stays shut.
 *
 * What a reload would end is said by the same comparison that the speaker makes (bgp_neighbor_config_resets), before it
 * is done.
 */
#include <errno.h>
#include <string.h>

#include "daemon/run/run_bgp_priv.h"

static bool same_peers(const struct config_bgp_neighbor *a, const struct config_bgp_neighbor *b)
{
	return a->session.peers.addr == b->session.peers.addr && a->session.peers.len == b->session.peers.len;
}

static const struct config_bgp_neighbor *find_peers(const struct config_bgp *c, const struct config_bgp_neighbor *n)
{
	for (size_t i = 0; i < c->n_neighbors; i++)
		if (same_peers(&c->neighbor[i], n))
			return &c->neighbor[i];
	return NULL;
}

/* Of a session's config, what changes without a reset. */
static bool same_rest(const struct bgp_neighbor_config *a, const struct bgp_neighbor_config *b)
{
	return strcmp(a->name, b->name) == 0 && a->dynamic_max == b->dynamic_max && a->is_passive == b->is_passive &&
	       a->connect_retry_s == b->connect_retry_s && a->max_prefixes == b->max_prefixes &&
	       a->max_action == b->max_action && a->max_restart_s == b->max_restart_s;
}

static void add(struct run_bgp *b, struct run_bgp_slot *s)
{
	struct bgp_neighbor_config c = s->config->session;
	int rc;

	c.tag = (uint32_t)(s - b->slot);
	s->number = BGP_NEIGHBOR_NONE;
	rc = bgp_speaker_add(b->speaker, &c, worker_clock(), &s->number);
	if (rc == -EEXIST)
		b->any_waits = true;
	else if (rc == -EINVAL)
		run_say("bgp: neighbor %s: %s", c.name, bgp_neighbor_config_fault(&c, b->view.config->as));
	else if (rc != 0)
		run_say("bgp: neighbor %s: %s", c.name, strerror(-rc));
	explicit_bzero(&c.key, sizeof(c.key));
}

void run_bgp_add_waiting(struct run_bgp *b)
{
	if (!b->any_waits)
		return;
	b->any_waits = false;
	for (uint32_t i = 0; i < BGP_NEIGHBORS_MAX; i++)
		if (b->slot[i].is_used && b->slot[i].number == BGP_NEIGHBOR_NONE)
			add(b, &b->slot[i]);
}

static void judge_again(struct run_bgp *b, const struct run_bgp_slot *s);

static void change(struct run_bgp *b, struct run_bgp_slot *s, const struct config_bgp_neighbor *n)
{
	const struct config_bgp_neighbor *before = s->config;
	struct bgp_neighbor_config c = n->session;

	s->config = n;
	c.tag = (uint32_t)(s - b->slot);
	if (s->number != BGP_NEIGHBOR_NONE && (bgp_neighbor_config_resets(&before->session, &n->session) != NULL ||
					       !same_rest(&before->session, &n->session)))
		(void)bgp_speaker_change(b->speaker, s->number, &c, worker_clock());
	explicit_bzero(&c.key, sizeof(c.key));
	s->must_judge = !config_bgp_same_policy(before, n);
}

static struct run_bgp_slot *slot_of(struct run_bgp *b, const struct config_bgp_neighbor *n)
{
	for (uint32_t i = 0; i < BGP_NEIGHBORS_MAX; i++)
		if (b->slot[i].is_used && same_peers(b->slot[i].config, n))
			return &b->slot[i];
	return NULL;
}

static struct run_bgp_slot *free_slot(struct run_bgp *b)
{
	for (uint32_t i = 0; i < BGP_NEIGHBORS_MAX; i++)
		if (!b->slot[i].is_used)
			return &b->slot[i];
	return NULL;
}

void run_bgp_set_neighbors(struct run_bgp *b, const struct config_bgp *config)
{
	const struct config_bgp *was = b->view.config;

	b->view.config = config;
	for (uint32_t i = 0; i < BGP_NEIGHBORS_MAX; i++) {
		struct run_bgp_slot *s = &b->slot[i];

		if (!s->is_used || find_peers(config, s->config) != NULL)
			continue;
		if (s->number != BGP_NEIGHBOR_NONE)
			bgp_speaker_remove(b->speaker, s->number, worker_clock());
		*s = (struct run_bgp_slot){ .number = BGP_NEIGHBOR_NONE };
	}
	for (size_t i = 0; i < config->n_neighbors; i++) {
		struct run_bgp_slot *s = slot_of(b, &config->neighbor[i]);

		if (s != NULL) {
			change(b, s, &config->neighbor[i]);
			continue;
		}
		/* There are no more in a config than there are slots. */
		s = free_slot(b);
		*s = (struct run_bgp_slot){ .is_used = true, .config = &config->neighbor[i] };
		add(b, s);
	}
	if (!run_bgp_rpki_set(b->rpki, config))
		run_say("bgp: no memory for what an RPKI table should have");
	if (!run_bgp_set_policies(b, was, config))
		run_say("bgp: no memory for policies: nothing of a network of ours is refused");
	for (uint32_t i = 0; i < BGP_NEIGHBORS_MAX; i++) {
		if (b->slot[i].is_used && b->slot[i].must_judge)
			judge_again(b, &b->slot[i]);
		b->slot[i].must_judge = false;
	}
}

/* --- import --- */

void run_bgp_set_import(struct run_bgp *b, const struct bgp_neighbor_view *v)
{
	const struct run_bgp_slot *s = v->config->tag < BGP_NEIGHBORS_MAX ? &b->slot[v->config->tag] : NULL;

	if (s == NULL || !s->is_used || v->source == BGP_SOURCE_NONE)
		return;
	const struct bgp_import import = run_bgp_import_of(b, (uint32_t)(s - b->slot));

	bgp_table_set_import(b->table, v->source, &import);
}

/* Another policy: what is held of all sessions of the slot, and what they are told, is judged anew. */
static void judge_again(struct run_bgp *b, const struct run_bgp_slot *s)
{
	struct bgp_neighbor_view v;

	for (uint32_t i = bgp_speaker_next(b->speaker, 0); i != BGP_NEIGHBOR_NONE;
	     i = bgp_speaker_next(b->speaker, i + 1))
		if (bgp_speaker_look(b->speaker, i, &v) && !v.is_range && v.config->tag == (uint32_t)(s - b->slot)) {
			run_bgp_set_import(b, &v);
			run_bgp_export_changed(b, &v);
			bgp_groups_judge_again(b->groups, run_bgp_export_of(b, (uint32_t)(s - b->slot)).user);
			b->is_judging = true;
		}
}

void run_bgp_judge_all(struct run_bgp *b)
{
	for (uint32_t i = 0; run_bgp_asks_rpki(b) && i < BGP_NEIGHBORS_MAX; i++) {
		const struct run_bgp_slot *s = &b->slot[i];

		if (s->is_used &&
		    (s->config->import.kind == CONFIG_BGP_FILTER || s->config->export.kind == CONFIG_BGP_FILTER))
			judge_again(b, s);
	}
}

/* --- what a reload would do --- */

const char *run_bgp_speaker_differs(const struct config_bgp *a, const struct config_bgp *b)
{
	if (a->as != b->as)
		return "as";
	if (a->router_id != b->router_id)
		return "router-id";
	if (a->transport != b->transport)
		return "transport";
	if (a->no_listen != b->no_listen || a->listen.addr != b->listen.addr || a->listen.port != b->listen.port)
		return "listen";
	return a->med_always != b->med_always ? "compare med" : NULL;
}

static void foresee_neighbor(const struct config_bgp_neighbor *was, const struct config_bgp_neighbor *n, struct text *t)
{
	const char *why = bgp_neighbor_config_resets(&was->session, &n->session);

	if (why != NULL)
		text_add(t, "; bgp neighbor %s is reset (%s)", n->session.name, why);
	else if (!config_bgp_same_policy(was, n))
		text_add(t, "; bgp neighbor %s has another policy, without a reset", n->session.name);
}

void run_bgp_foresee(const struct config_bgp *before, const struct config_bgp *now, struct text *t)
{
	const char *why = before != NULL && now != NULL ? run_bgp_speaker_differs(before, now) : NULL;

	if (before == NULL && now == NULL)
		return;
	if (before == NULL || now == NULL) {
		text_add(t, before == NULL ? "; bgp begins" : "; bgp ends");
		return;
	}
	if (why != NULL) {
		text_add(t, "; all bgp neighbors are reset (%s)", why);
		return;
	}
	for (size_t i = 0; i < before->n_neighbors; i++)
		if (find_peers(now, &before->neighbor[i]) == NULL)
			text_add(t, "; bgp neighbor %s ends", before->neighbor[i].session.name);
	for (size_t i = 0; i < now->n_neighbors; i++) {
		const struct config_bgp_neighbor *was = find_peers(before, &now->neighbor[i]);

		if (was == NULL)
			text_add(t, "; bgp neighbor %s is new", now->neighbor[i].session.name);
		else
			foresee_neighbor(was, &now->neighbor[i], t);
	}
}
