/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Routes change while flows go on: what was installed for a flow is held against
 * the routes as they are now, connection by connection, in slices.
 *
 * A flow cache entry knows by which adjacency a direction leaves and by which interface it
 * comes in. The first holds while the route to where the direction goes leads to
 * that neighbour; the second while a packet of that source may come in there. Two
 * look-ups answer both for both directions, since each goes to where the other
 * comes from. A direction that ends here needs a route that does, one that begins here
 * only the first. What does not hold is taken back and forgotten: its next packet goes
 * the slow path. All others keep what they have, in the kernel too, whatever number
 * of routes change a second.
 *
 * That takes seconds with millions of connections. Flows by a neighbour that is lost as
 * a next hop need not wait for it: its adjacency gets another generation, here and in
 * the kernel, which is one write however many they are, and each of them asks the
 * routes with its next packet. So do those by an interface without a link, whose
 * adjacencies are not usable.
 *
 * A sweep passes all connections. Changes that come meanwhile make another one due,
 * so each connection is looked at behind each change, once for as many of them as
 * there were by then. The first change after a while begins one at once; the next one
 * begins no sooner than SWEEP_EVERY_NS later, so that with some thousand connections
 * a stream of changes does not keep a worker at it all the time. A slice takes some
 * ten microseconds: some percent of a processor while routes change and there are so
 * many connections that one sweep follows the other, next to nothing else.
 */
#include "gateway/flowcache/flowcache_priv.h"
#include "stack/ip/route.h"

#define SLICE_CONNS 128u
#define SLICE_EVERY_NS (NS_PER_MS / 2)
#define SWEEP_EVERY_NS (200 * NS_PER_MS)
/* Connections whose look-ups are in flight together, and how far ahead their lines are asked for. */
#define GROUP 32u
#define AHEAD 16u

struct group {
	uint32_t n;
	uint32_t conn[GROUP];
	uint32_t source[GROUP * N_CT_DIRS]; /* of the original direction, then of the reply */
	const struct fib_route *route[GROUP * N_CT_DIRS];
};

static bool any_present(const struct flowcache *s, uint32_t conn)
{
	return flowcache_present(s, conn << 1 | CT_ORIGINAL) || flowcache_present(s, conn << 1 | CT_REPLY);
}

/* As it is routed: behind destination NAT, before source NAT. */
static struct ip_flow flow_of(const struct conn *c, enum ct_dir dir)
{
	const struct tuple *t = &c->half[dir].tuple, *back = &c->half[!dir].tuple;
	struct ip_flow f = {
		.src = t->src, .dst = back->src, .sport = t->sport, .dport = back->sport, .proto = t->proto
	};

	/* A query's identifier is its sender's, both ways. */
	if (t->proto == IPPROTO_NR_ICMP) {
		f.sport = c->half[CT_ORIGINAL].tuple.sport;
		f.dport = 0;
	}
	return f;
}

/* to, from: the routes to where this direction goes, and to where it comes from. */
static bool holds(const struct flowcache *s, uint32_t conn, enum ct_dir dir, const struct fib_route *to,
		  const struct fib_route *from)
{
	const struct ct_flowcache *e = flowcache_entry(s, conn << 1 | dir);
	struct ip_flow f = flow_of(&s->flows.conn[conn], dir);

	bool made_here = flowcache_is_made(e);

	if (made_here)
		f.src = 0; /* the way decides it */
	if (e->adjacency == s->to_us ? !ip_leads_here(to, f.dst) : !ip_adjacency_leads(s->ip, e->adjacency, to, &f))
		return false;
	/* That of a one-way flow has none; what nobody answered begins again before long. */
	return e->in_ifindex == 0 || made_here || ip_source_fits(s->ip, e->in_ifindex, f.src, from);
}

static void look_at(struct flowcache *s, const struct group *g, uint32_t i)
{
	uint32_t conn = g->conn[i];

	for (enum ct_dir dir = CT_ORIGINAL; dir < N_CT_DIRS; dir++) {
		const struct fib_route *to = g->route[2 * i + !dir], *from = g->route[2 * i + dir];

		if (!flowcache_present(s, conn << 1 | dir) || holds(s, conn, dir, to, from))
			continue;
		flowcache_take_back(s, conn);
		*flowcache_entry(s, conn << 1 | dir) = (struct ct_flowcache){ 0 };
		s->count[FLOWCACHE_LED_ELSEWHERE]++;
	}
}

static void look_at_group(struct flowcache *s, struct group *g)
{
	ip_fib_routes(s->ip, g->source, g->route, 2 * g->n);
	/* In a zone the routes are those of its own table; the others' are few. */
	for (uint32_t i = 0; i < g->n && ip_has_zones(s->ip); i++) {
		uint16_t zone = conntrack_ext(s->ct, g->conn[i])->zone;

		for (uint32_t k = 0; k < N_CT_DIRS && zone != 0; k++)
			g->route[2 * i + k] = ip_fib_route(s->ip, zone, g->source[2 * i + k]);
	}
	for (uint32_t i = 0; i < g->n; i++)
		look_at(s, g, i);
	g->n = 0;
}

static void ask_ahead(const struct flowcache *s, uint32_t conn, uint32_t end)
{
	if (conn >= end)
		return;
	prefetch_read(&s->flows.conn[conn].half[CT_ORIGINAL]);
	prefetch_read(&s->flows.conn[conn].half[CT_REPLY]);
}

static void slice(struct flowcache *s)
{
	uint32_t all = conntrack_n_numbers(s->ct), end = min_u32(all, s->sweep_at + SLICE_CONNS);
	struct group g = { .n = 0 };

	for (; s->sweep_at < end; s->sweep_at++) {
		uint32_t conn = s->sweep_at;

		ask_ahead(s, conn + AHEAD, end);
		if (!any_present(s, conn))
			continue;
		for (uint32_t k = 0; k < N_CT_DIRS; k++)
			g.source[2 * g.n + k] = s->flows.conn[conn].half[k].tuple.src;
		g.conn[g.n++] = conn;
		if (g.n == GROUP)
			look_at_group(s, &g);
	}
	look_at_group(s, &g);
	s->sweeping = s->sweep_at < all;
}

static uint64_t version(const struct flowcache *s)
{
	/* What was changed before it moved on is seen behind it. */
	return s->routes_version != NULL ? atomic_load_explicit(s->routes_version, memory_order_acquire) : 0;
}

void flowcache_set_routes(struct flowcache *s, const _Atomic(uint64_t) *routes_version, const struct lost_hops *lost)
{
	s->routes_version = routes_version;
	s->routes_seen = version(s);
	s->lost = lost;
	s->n_lost_seen = lost != NULL ? lost_hops_count(lost) : 0;
}

void flowcache_leave_lost(struct flowcache *s)
{
	uint64_t n = lost_hops_count(s->lost);
	bool all = n - s->n_lost_seen > LOST_HOPS;

	for (; s->n_lost_seen < n && !all; s->n_lost_seen++) {
		uint32_t ifindex, addr;

		all = !lost_hops_get(s->lost, s->n_lost_seen, &ifindex, &addr);
		if (!all)
			ip_adjacency_lost(s->ip, ifindex, addr);
	}
	if (all)
		flowcache_invalidate_all(s);
	s->n_lost_seen = n;
}

void flowcache_expire(struct flowcache *s)
{
	uint64_t now = s->env->now;

	if (flowcache_has_lost(s))
		flowcache_leave_lost(s);
	if (now < flowcache_next_deadline(s))
		return;
	if (!s->sweeping) {
		s->routes_seen = version(s);
		s->sweeping = true;
		s->sweep_at = 0;
		s->next_sweep_ns = now + SWEEP_EVERY_NS;
	}
	slice(s);
	s->next_slice_ns = now + SLICE_EVERY_NS;
}

uint64_t flowcache_next_deadline(const struct flowcache *s)
{
	if (flowcache_has_lost(s))
		return 0;
	if (s->sweeping)
		return s->next_slice_ns;
	return version(s) != s->routes_seen ? s->next_sweep_ns : TIME_NEVER;
}
