/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The log of a part: messages that were made, in chunks, until the last of its members has read them. Making one is
 * expensive, reading one is a copy; so ten neighbours cost little more than one.
 *
 * Not every message is for everyone: what a neighbour has announced itself it is not told, and what it was told instead
 * before is withdrawn from it alone (enum bgp_to). Beside each message stand the numbers of its prefixes, for a member
 * that leaves the part before it has read them. What a message withdraws keeps its number until the chunk is read by
 * all.
 *
 * Next: src/routing/bgp/bgp_groups_part.c
 */
#include <stdlib.h>
#include <string.h>

#include "routing/bgp/bgp_groups_priv.h"

struct bgp_chunk *bgp_chunk_get(struct bgp_groups *all)
{
	struct bgp_chunk *c = all->spare;

	if (c != NULL) {
		all->spare = c->next;
		all->n_spare--;
	} else {
		c = malloc(sizeof(*c));
		if (c == NULL) {
			all->stats.n_no_memory++;
			return NULL;
		}
	}
	c->next = NULL;
	c->n_readers = c->n_bytes = c->n_messages = c->n_numbers = 0;
	return c;
}

void bgp_chunk_put(struct bgp_groups *all, struct bgp_chunk *c)
{
	if (all->n_spare == SPARE_CHUNKS_MAX) {
		free(c);
		return;
	}
	c->next = all->spare;
	all->spare = c;
	all->n_spare++;
}

/* What it withdraws may have other numbers from here on. */
static void let_go(struct bgp_groups *all, const struct bgp_chunk *c)
{
	const uint32_t *number = c->number;

	for (uint32_t i = 0; i < c->n_messages; number += c->message[i++].n_numbers)
		for (uint32_t k = 0; c->message[i].to == TO_ALL && k < c->message[i].n_numbers; k++)
			bgp_table_let_go(all->table, number[k]);
}

/* Chunks at the front that nobody reads any more. */
static void trim(struct bgp_groups *all, struct bgp_part *p)
{
	while (p->first != NULL && p->first->n_readers == 0) {
		struct bgp_chunk *c = p->first;

		p->first = c->next;
		if (p->first == NULL)
			p->last = NULL;
		p->n_chunks--;
		let_go(all, c);
		bgp_chunk_put(all, c);
	}
}

void bgp_log_append(struct bgp_groups *all, struct bgp_part *p, struct bgp_chunk *c)
{
	c->first = p->n_made;
	p->n_made += c->n_messages;
	all->stats.n_messages += c->n_messages;
	all->stats.n_bytes += c->n_bytes;
	if (p->last != NULL)
		p->last->next = c;
	else
		p->first = c;
	p->last = c;
	p->n_chunks++;
	for (struct bgp_member *m = p->members; m != NULL; m = m->next)
		if (m->at == NULL) {
			m->at = c;
			m->message = m->offset = 0;
			c->n_readers++;
		}
}

static bool is_for(const struct bgp_sent_message *sent, const struct bgp_member *m)
{
	switch ((enum bgp_to)sent->to) {
	case TO_OTHERS:
		return sent->source != m->peer.source;
	case TO_SOURCE:
		return sent->source == m->peer.source;
	case TO_ALL:
		break;
	}
	return true;
}

static void next_chunk(struct bgp_member *m)
{
	m->at->n_readers--;
	m->at = m->at->next;
	m->message = m->offset = 0;
	if (m->at != NULL)
		m->at->n_readers++;
}

size_t bgp_log_read(struct bgp_groups *all, struct bgp_member *m, uint8_t *buf, size_t room)
{
	size_t len = 0;

	while (m->at != NULL) {
		const struct bgp_chunk *c = m->at;

		for (; m->message < c->n_messages; m->offset += c->message[m->message++].len) {
			const struct bgp_sent_message *sent = &c->message[m->message];

			if (!is_for(sent, m))
				continue;
			if (sent->len > room - len)
				goto full;
			memcpy(buf + len, c->bytes + m->offset, sent->len);
			len += sent->len;
		}
		next_chunk(m);
	}
full:
	trim(all, m->part);
	return len;
}

uint64_t bgp_log_position(const struct bgp_member *m)
{
	return m->at != NULL ? m->at->first + m->message : m->part->n_made;
}

void bgp_log_unread(const struct bgp_member *m, void (*each)(void *user, uint32_t number), void *user)
{
	uint32_t from = m->message;

	for (const struct bgp_chunk *c = m->at; c != NULL; c = c->next, from = 0) {
		const uint32_t *number = c->number;

		for (uint32_t i = 0; i < c->n_messages; number += c->message[i++].n_numbers)
			for (uint32_t k = 0; i >= from && is_for(&c->message[i], m) && k < c->message[i].n_numbers; k++)
				each(user, number[k]);
	}
}

void bgp_log_leave(struct bgp_groups *all, struct bgp_member *m)
{
	if (m->at == NULL)
		return;
	m->at->n_readers--;
	m->at = NULL;
	trim(all, m->part);
}

void bgp_log_free(struct bgp_groups *all, struct bgp_part *p)
{
	trim(all, p);
}
