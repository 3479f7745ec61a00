/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Hosts whose key a listener could not set (stream.h, listen_key): none of them may come in without one.
 */
#ifndef YG_DAEMON_STREAM_STREAM_REFUSED_H
#define YG_DAEMON_STREAM_STREAM_REFUSED_H

#include <stdbool.h>

#include "base/ip4.h"

#define STREAM_REFUSED_MAX 64u

struct stream_refused {
	uint32_t n;
	struct ip4_prefix host[STREAM_REFUSED_MAX];
	bool all; /* more of them than fit: nobody comes in */
};

static inline bool stream_is_refused(const struct stream_refused *r, uint32_t addr)
{
	for (uint32_t i = 0; i < r->n; i++)
		if (ip4_in(addr, r->host[i]))
			return true;
	return r->all;
}

/* From here on they are, or are not. */
static inline void stream_refuse(struct stream_refused *r, struct ip4_prefix from, bool refused)
{
	uint32_t i = 0;

	while (i < r->n && (r->host[i].addr != from.addr || r->host[i].len != from.len))
		i++;
	if (i < r->n && !refused)
		r->host[i] = r->host[--r->n];
	else if (i == r->n && refused && r->n < STREAM_REFUSED_MAX)
		r->host[r->n++] = from;
	else if (i == r->n && refused)
		r->all = true;
}

#endif
