/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A route as the words of a journal's line, both ways.
 */
#include <inttypes.h>

#include "base/text.h"
#include "daemon/record/journal.h"

#define WEIGHT_MAX 65535u

static void add_way(struct text *t, const struct rib_path *p)
{
	const struct fib_nexthop *nh = &p->nexthop;

	text_add(t, " %u %u %u %u %u", nh->gateway.v4, nh->ifindex, nh->source.v4, p->weight, p->onlink);
}

void journal_route_write(const struct rib_route *r, bool everything, char *out, size_t cap)
{
	struct text t = text_of(out, cap);
	struct rib_path only = { .nexthop = r->nexthop, .weight = 1, .onlink = r->onlink };

	text_add(&t, "%u %u %u %u %u", r->zone, r->prefix.addr.v4, r->prefix.len, r->source, r->instance);
	if (!everything)
		return;
	text_add(&t, " %u %u %u %u %u %u", r->distance, r->metric, r->nexthop.kind, r->recursive, r->over_default,
		 r->n_paths > 0 ? r->n_paths : 1);
	if (r->n_paths == 0)
		add_way(&t, &only);
	for (uint32_t i = 0; i < r->n_paths; i++)
		add_way(&t, &r->path[i]);
}

static struct ip_addr read_addr(struct journal_words *w)
{
	uint32_t v4 = (uint32_t)journal_number(w, 0, UINT32_MAX);

	return v4 != 0 ? ip_addr_v4(v4) : (struct ip_addr){ 0 };
}

static struct rib_path read_way(struct journal_words *w, uint8_t kind)
{
	struct rib_path p = { .nexthop = { .kind = kind } };

	p.nexthop.gateway = read_addr(w);
	p.nexthop.ifindex = (uint32_t)journal_number(w, 0, IP_INTERFACES_MAX - 1);
	p.nexthop.source = read_addr(w);
	p.weight = (uint32_t)journal_number(w, 1, WEIGHT_MAX);
	p.onlink = journal_number(w, 0, 1) != 0;
	/* A route to a device, or by a gateway. */
	w->bad = w->bad || (kind == FIB_UNICAST) != (p.nexthop.gateway.v4 != 0 || p.nexthop.ifindex != 0) ||
		 (p.onlink && (p.nexthop.gateway.v4 == 0 || p.nexthop.ifindex == 0));
	return p;
}

static bool is_kind(uint64_t kind)
{
	return kind == FIB_UNICAST || kind == FIB_BLACKHOLE || kind == FIB_UNREACHABLE || kind == FIB_PROHIBIT;
}

bool journal_route_read(struct journal_words *w, bool everything, struct rib_route *out,
			struct rib_path path[FIB_PATHS_MAX])
{
	*out = (struct rib_route){ .zone = (uint16_t)journal_number(w, 0, UINT16_MAX) };
	uint32_t addr = (uint32_t)journal_number(w, 0, UINT32_MAX);
	uint32_t len = (uint32_t)journal_number(w, 0, 32);

	out->prefix = ip_prefix_v4(addr, len);
	/* The config's stand in the config. */
	out->source = (uint8_t)journal_number(w, RIB_OF_CONFIG, N_RIB_SOURCES - 1);
	out->instance = (uint32_t)journal_number(w, 0, UINT32_MAX);
	if (!everything)
		return journal_words_end(w) && addr == out->prefix.addr.v4;
	out->distance = (uint8_t)journal_number(w, 0, UINT8_MAX);
	out->metric = (uint32_t)journal_number(w, 0, UINT32_MAX);
	uint64_t kind = journal_number(w, 0, UINT8_MAX);

	out->recursive = journal_number(w, 0, 1) != 0;
	out->over_default = journal_number(w, 0, 1) != 0;
	uint32_t n = (uint32_t)journal_number(w, 1, FIB_PATHS_MAX);

	for (uint32_t i = 0; i < n && !w->bad; i++)
		path[i] = read_way(w, (uint8_t)kind);
	if (!journal_words_end(w) || addr != out->prefix.addr.v4 || !is_kind(kind) || (n > 1 && kind != FIB_UNICAST))
		return false;
	out->nexthop = n > 1 ? (struct fib_nexthop){ .kind = FIB_UNICAST } : path[0].nexthop;
	out->onlink = n == 1 && path[0].onlink;
	out->n_paths = (uint8_t)(n > 1 ? n : 0);
	out->path = n > 1 ? path : NULL;
	return true;
}
