/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For tests of carriers: a user of streams that writes down what it is told.
 */
#ifndef YG_DAEMON_STREAM_STREAM_FIXTURE_H
#define YG_DAEMON_STREAM_STREAM_FIXTURE_H

#include "routing/stream/stream.h"

/* What one end has heard. */
struct end {
	struct stream *s;
	bool reads; /* reads all at once when told to */
	uint32_t n_open, n_readable, n_writable, n_closed;
	int error;
	uint64_t closed_at;
	uint8_t got[1 << 18];
	size_t n_got;
};

static inline void on_open(void *user, struct stream *s, uint64_t now)
{
	struct end *e = user;

	assert_ptr_equal(e->s, s);
	e->n_open++;
}

static inline void read_all(struct end *e)
{
	size_t n;

	while ((n = e->s->carrier->read(e->s, e->got + e->n_got, sizeof(e->got) - e->n_got)) > 0)
		e->n_got += n;
}

static inline void on_readable(void *user, struct stream *s, uint64_t now)
{
	struct end *e = user;

	e->n_readable++;
	if (e->reads)
		read_all(e);
}

static inline void on_writable(void *user, struct stream *s, uint64_t now)
{
	((struct end *)user)->n_writable++;
}

static inline void on_closed(void *user, struct stream *s, int error, uint64_t now)
{
	struct end *e = user;

	e->n_closed++;
	e->error = error;
	e->closed_at = now;
}

static const struct stream_events events = { on_open, on_readable, on_writable, on_closed };

#endif
