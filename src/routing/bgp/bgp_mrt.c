/* SPDX-License-Identifier: BSD-2-Clause */
#include "routing/bgp/bgp_mrt.h"

#include <string.h>

#include "base/util.h"
#include "stack/wire/bytes.h"

#define NO_PEER UINT16_MAX

size_t bgp_mrt_begin(struct bgp_mrt_dump *d, const struct bgp_table *table, uint32_t collector, const char *view,
		     uint64_t time_s, uint64_t now_s, bgp_mrt_peer_fn *peer, void *user, uint8_t *p, size_t cap)
{
	struct mrt_peer peers[BGP_SOURCES_MAX];
	uint16_t n = 0;

	*d = (struct bgp_mrt_dump){ .table = table, .time_s = (uint32_t)time_s, .clock_s = (int64_t)(time_s - now_s) };
	for (uint32_t i = 0; i < BGP_SOURCES_MAX; i++) {
		d->peer[i] = peer(user, i, &peers[n]) ? n : NO_PEER;
		n += d->peer[i] != NO_PEER;
	}
	return mrt_peers_emit(p, cap, d->time_s, collector, view, peers, n);
}

static size_t write_prefix(struct bgp_mrt_dump *d, struct ip4_prefix prefix, uint8_t *p, size_t cap, uint32_t *n)
{
	struct mrt_entry entry[BGP_PATHS_MAX];
	struct bgp_prefix_view v;

	*n = 0;
	bgp_table_look(d->table, prefix, &v);
	for (uint32_t i = 0; i < v.n; i++) {
		uint16_t peer = v.path[i].source < BGP_SOURCES_MAX ? d->peer[v.path[i].source] : NO_PEER;
		const struct bgp_set *set = bgp_table_set(d->table, v.path[i].received);

		if (peer == NO_PEER || set == NULL)
			continue;
		entry[(*n)++] = (struct mrt_entry){ .peer = peer,
						    .since_s = (uint32_t)(v.path[i].since_s + d->clock_s),
						    .attrs = set->bytes,
						    .attrs_len = set->len };
	}
	return *n == 0 ? 0 : mrt_rib_emit(p, cap, d->time_s, d->seq, prefix, entry, *n);
}

size_t bgp_mrt_next(struct bgp_mrt_dump *d, uint8_t *p, size_t cap, uint32_t budget, bool *more)
{
	uint32_t end = bgp_table_n_numbers(d->table), n;
	struct bgp_numbered at;
	size_t len = 0;

	for (; d->at < end && budget > 0; d->at++, budget--) {
		if (!bgp_table_at(d->table, d->at, &at))
			continue;
		size_t took = write_prefix(d, at.prefix, p + len, cap - len, &n);

		if (n == 0)
			continue;
		if (took == 0)
			break;
		d->seq++;
		d->n_prefixes++;
		d->n_paths += n;
		len += took;
	}
	*more = d->at < end;
	return len;
}

size_t bgp_mrt_update(uint8_t *p, struct ip4_prefix prefix, const struct mrt_entry *e)
{
	size_t len = BGP_HEADER_LEN + 4 + (size_t)e->attrs_len + bgp_prefix_len(prefix.len);
	uint8_t *at;

	if (len > BGP_MESSAGE_MAX)
		return 0;
	at = bgp_header_emit(p, BGP_UPDATE, len);
	bytes_put16(at, 0);
	bytes_put16(at + 2, e->attrs_len);
	if (e->attrs_len > 0)
		memcpy(at + 4, e->attrs, e->attrs_len);
	bgp_prefix_emit(at + 4 + e->attrs_len, prefix);
	return len;
}
