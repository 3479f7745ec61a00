/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Queues of ends for which no event comes, and the time at which they are looked at again.
 *
 * Orphans: the program has closed, and the peer takes none of what is left (its window is closed). As with Linux's
 * orphans somebody must give up, or a peer could hold a socket and its bytes for as long as it likes. Whatever it takes
 * begins the time anew, so the oldest is always the first.
 *
 * Starved listeners: a connection is there, and the stack has no socket for it. One is tried when one is freed, and
 * every now and then, as not all are freed by us.
 *
 * Ended connections: the pair is closed, but their options may still be asked for, as those of a socket. So many, the
 * last ones, keep the stack's socket; any of them gives way to a socket that somebody wants.
 *
 * What a listener has offered is such a queue too (service_listen.c), and nobody's time.
 */
#include "preload/service_priv.h"

/* As long as Linux leaves an orphan in FIN-WAIT-2 (tcp_fin_timeout). */
#define ORPHAN_NS 60000000000u
#define STARVED_NS 100000000u
#define NS_PER_MS 1000000u
#define ENDED_MAX 64u

void waits_init(struct service *v)
{
	v->orphans = v->starved = v->ended = (struct waits){ .first = SERVICE_NONE, .last = SERVICE_NONE };
}

void waits_append(struct service *v, struct waits *w, struct end *e)
{
	uint32_t i = end_index(v, e);

	if (e->waits != NULL)
		return;
	e->waits = w;
	e->wait_since = yg_now(v->stack);
	e->next_wait = SERVICE_NONE;
	e->prev_wait = w->last;
	*(w->last == SERVICE_NONE ? &w->first : &v->ends[w->last].next_wait) = i;
	w->last = i;
	w->n++;
}

void orphan_wait(struct service *v, struct end *e)
{
	/* A connection that was taken may still count as offered. */
	if (e->waits != &v->orphans)
		wait_leave(v, e);
	waits_append(v, &v->orphans, e);
}

void starved_wait(struct service *v, struct end *e)
{
	waits_append(v, &v->starved, e);
}

void wait_leave(struct service *v, struct end *e)
{
	struct waits *w = e->waits;

	if (w == NULL)
		return;
	*(e->prev_wait == SERVICE_NONE ? &w->first : &v->ends[e->prev_wait].next_wait) = e->next_wait;
	*(e->next_wait == SERVICE_NONE ? &w->last : &v->ends[e->next_wait].prev_wait) = e->prev_wait;
	w->n--;
	e->waits = NULL;
}

void starved_go_on(struct service *v)
{
	while (v->starved.first != SERVICE_NONE) {
		struct end *e = &v->ends[v->starved.first];

		wait_leave(v, e);
		e->stack_readable = true;
		end_go_on(v, e);
	}
}

void ended_keep(struct service *v, struct end *e)
{
	waits_append(v, &v->ended, e);
	if (v->ended.n > ENDED_MAX)
		end_forget(v, &v->ends[v->ended.first]);
}

bool ended_give(struct service *v)
{
	if (v->ended.first == SERVICE_NONE)
		return false;
	end_forget(v, &v->ends[v->ended.first]);
	return true;
}

static bool is_over(const struct service *v, const struct waits *w, uint64_t ns)
{
	return w->first != SERVICE_NONE && yg_now(v->stack) - v->ends[w->first].wait_since >= ns;
}

void waits_look(struct service *v)
{
	if (is_over(v, &v->starved, STARVED_NS))
		starved_go_on(v);
	while (is_over(v, &v->orphans, ORPHAN_NS))
		stream_abort(v, &v->ends[v->orphans.first]);
}

static int sooner(const struct service *v, const struct waits *w, uint64_t ns, int most)
{
	if (w->first == SERVICE_NONE)
		return most;
	uint64_t passed = yg_now(v->stack) - v->ends[w->first].wait_since;
	int ms = passed >= ns ? 0 : (int)((ns - passed) / NS_PER_MS) + 1;

	return most < 0 || ms < most ? ms : most;
}

int waits_timeout_ms(const struct service *v, int most)
{
	return sooner(v, &v->starved, STARVED_NS, sooner(v, &v->orphans, ORPHAN_NS, most));
}
