/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Events. The user may do anything from within one: close this stream or another, connect, end a listener. So
 * nothing is freed before all have been told, and what was closed meanwhile is passed over.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/timer.h"
#include "daemon/stream/stream_host_priv.h"

static bool is_the_users(const struct host_stream *hs)
{
	return hs->state == HOST_CONNECTING || hs->state == HOST_OPEN;
}

static void tell_accepted(struct host_stream *hs, uint64_t now)
{
	struct host_listener *l = hs->by;

	hs->by = NULL;
	if (l->socket >= 0 && l->accept(l->user, &l->l, &hs->s, now))
		return;
	hs->state = HOST_ABORTING;
	hs->h->wants_turn = true;
}

static void tell_closed(struct host_stream *hs, uint64_t now)
{
	hs->state = HOST_OVER;
	hs->s.events->closed(hs->s.user, &hs->s, hs->error, now);
}

static void tell_stream(struct host_stream *hs, uint64_t now)
{
	if (hs->by != NULL)
		tell_accepted(hs, now);
	if (hs->state == HOST_CONNECTING && hs->is_up) {
		hs->state = HOST_OPEN;
		hs->s.events->open(hs->s.user, &hs->s, now);
	}
	if (hs->state == HOST_CONNECTING && !hs->has_ended && now >= hs->deadline) {
		hs->has_ended = true;
		hs->error = ETIMEDOUT;
	}
	if (hs->state == HOST_OPEN && hs->in.n > 0 && !hs->is_in_told) {
		hs->is_in_told = true;
		hs->s.events->readable(hs->s.user, &hs->s, now);
	}
	if (hs->state == HOST_OPEN && hs->wants_room && hs->out.n <= HOST_BYTES_MAX / 2 && !hs->has_ended) {
		hs->wants_room = false;
		hs->s.events->writable(hs->s.user, &hs->s, now);
	}
	if (is_the_users(hs) && hs->has_ended && (hs->in.n == 0 || hs->error != 0))
		tell_closed(hs, now);
	/* It had its time to go. */
	if (hs->state == HOST_LEAVING && now >= hs->deadline) {
		hs->state = HOST_ABORTING;
		hs->h->wants_turn = true;
	}
}

void host_tell(struct stream_host *h, uint64_t now)
{
	h->is_telling = true;
	/* What connects meanwhile is put in front. */
	for (struct host_stream *hs = h->streams; hs != NULL; hs = hs->next)
		tell_stream(hs, now);
	h->is_telling = false;
	host_sweep(h);
}

void host_sweep(struct stream_host *h)
{
	if (h->is_telling)
		return;
	for (struct host_stream **at = &h->streams, *hs; (hs = *at) != NULL;) {
		if (hs->state != HOST_GONE) {
			at = &hs->next;
			continue;
		}
		*at = hs->next;
		free(hs->in.p);
		free(hs->out.p);
		free(hs);
	}
	for (struct host_listener **at = &h->listeners, *l; (l = *at) != NULL;) {
		if (l->socket >= 0) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		free(l);
	}
}
