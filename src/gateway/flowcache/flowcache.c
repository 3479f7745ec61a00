/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The memory of flow cache entries: a flow cache entry for each direction of each connection, in its
 * line there (ct_half.flowcache), which a packet reads anyway. Conntrack only keeps
 * the place, and clears it when a connection begins.
 *
 * Life of an entry: install_from writes it when a packet of the direction
 * leaves on the slow path; it is void when the connection ends or its ct mark
 * changes (cleared), when its neighbour's number is given to another or the neighbour
 * is lost as a next hop (the adjacency's generation moves on), when its own route has
 * changed (sweep.c), or when anything changes on which all of them depend: config and
 * rules (the generation of all moves on). Of devices it depends by its adjacency, which
 * is not usable without a link; what comes by a device without one is left.
 *
 * Both come round. The generation of all is 16 bits; then all entries are cleared.
 * An adjacency's is 7 bits; then the generation of all moves on, which happens once
 * in 128 times that one number is given away or lost.
 *
 * An invalid entry still says which rules' counters are due for what others forwarded
 * while it was good; so that is credited before the entry is written again or
 * cleared. Counter paths keep their numbers over a change of rules. Once in thousands of
 * such changes they begin again (counter_paths_since); then all deferred counters are read back
 * first, in one go.
 *
 * One-way flows (telemetry, media, one leg of an asymmetric path). What is decided
 * for packets of a connection that nobody has answered may be decided otherwise once
 * somebody does, so here they all go the slow path. But whoever forwards in our stead
 * tells us of the first answer, since that comes up: after ONE_WAY_AFTER packets UDP
 * in its original direction gets an entry for them alone, which has no interface,
 * so that nothing fits it here. The answer takes it back, and both directions install
 * again.
 *
 * Flows of the host here have entries too (local.c), which no one-way flow has.
 *
 * What always holds: an entry of the present generation belongs to a confirmed
 * connection that has been answered, unless it is such a one; its counter path is a present one; its
 * adjacency is marked as installed, or of another generation by now. `offloaded`
 * stands in both entries of a connection, which then are of the same generation,
 * or in none.
 *
 * Next: src/gateway/flowcache/input.c
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/flowcache/flowcache_priv.h"
#include "stack/wire/icmp.h"

_Static_assert(IP_ADJACENCY_GENERATIONS == 1 << 7, "an entry's field");
_Static_assert(IP_INTERFACES_MAX <= FLOWCACHE_MADE_HERE && IP_ADJACENCIES_MAX <= UINT16_MAX, "an entry's fields");

struct flowcache *flowcache_create(struct env *env, struct ip_stack *ip, struct conntrack *ct, struct nat *nat,
				   struct rules *rules)
{
	struct flowcache *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->env = env;
	s->ip = ip;
	s->ct = ct;
	s->nat = nat;
	s->adjacency = ip_adjacency(ip, 0);
	s->to_us = (uint16_t)ip_n_adjacencies(ip);
	s->rules = rules;
	s->path = rules_counter_paths(rules);
	s->generation = s->counter_paths_since = 1;
	conntrack_flows(ct, &s->flows);
	return s;
}

void flowcache_destroy(struct flowcache *s)
{
	free(s);
}

void flowcache_set_mode(struct flowcache *s, enum flowcache_mode mode)
{
	flowcache_invalidate_all(s);
	/* Packets that pass by us are judged by windows as they are. */
	flowcache_read_back_all(s);
	s->mode = (uint8_t)mode;
}

const uint64_t *flowcache_counts(const struct flowcache *s)
{
	return s->count;
}

bool flowcache_is_plain(const struct packet *p)
{
	if (p->ip.header_len != IPV4_HEADER_LEN || ipv4_is_fragment(&p->ip))
		return false;
	switch (p->l4.kind) {
	case L4_TCP:
		return (p->l4.flags & ~TCP_PSH) == TCP_ACK;
	case L4_UDP:
		return true;
	case L4_ICMP_QUERY:
		return p->l4.type == ICMP_ECHO_REQUEST || p->l4.type == ICMP_ECHO_REPLY;
	default:
		return false;
	}
}

/* So many packets without an answer: a flood of new flows, each of a few packets, does not get in. */
#define ONE_WAY_AFTER 12

/* It may go on in the kernel without having been answered. */
static bool is_one_way(const struct flowcache *s, const struct packet *p)
{
	return s->offload != NULL && p->ct_info == CT_INFO_NEW && conn_dir(p->conn_ref) == CT_ORIGINAL &&
	       p->l4.kind == L4_UDP && p->forwarded &&
	       s->flows.conn[conn_index(p->conn_ref)].half[CT_ORIGINAL].packets >= ONE_WAY_AFTER;
}

/* It came round as often as a packet of the host to itself does, any other not at all. */
static bool came_straight(const struct flowcache *s, const struct packet *p, uint32_t adjacency)
{
	return p->n_loops == (p->in_ifindex == 0 && adjacency == s->to_us);
}

static bool can_install(const struct flowcache *s, const struct packet *p, uint32_t adjacency)
{
	const uint16_t wanted = CT_CONFIRMED | CT_SEEN_REPLY;

	/* First what keeps out the packets that begin flows. */
	if (p->conn_ref == CONN_NONE || (p->ct_info != CT_INFO_ESTABLISHED && !is_one_way(s, p)))
		return false;
	if (p->path == RULES_COUNTER_PATH_NONE || p->conn_unconfirmed || p->link_group ||
	    !came_straight(s, p, adjacency) || !flowcache_is_plain(p))
		return false;
	uint16_t status = s->flows.conn[conn_index(p->conn_ref)].status & (wanted | CT_DYING | CT_HELPED);

	return p->ct_info == CT_INFO_ESTABLISHED ? status == wanted : status == CT_CONFIRMED;
}

static YG_SELDOM void install(struct flowcache *s, const struct packet *p, uint32_t adjacency)
{
	struct ct_flowcache *e = flowcache_entry(s, p->conn_ref);
	bool one_way = p->ct_info == CT_INFO_NEW;
	struct ct_flowcache now = {
		.generation = s->generation,
		.adjacency = (uint16_t)adjacency,
		.path = p->path,
		.in_ifindex = one_way              ? 0
			      : p->in_ifindex == 0 ? flowcache_made(p)
						   : (uint8_t)p->in_ifindex,
		.adjacency_generation = s->adjacency[adjacency].generation & (IP_ADJACENCY_GENERATIONS - 1),
	};
	bool known = flowcache_valid(s, p->conn_ref);

	if (!known || e->adjacency != now.adjacency || e->path != now.path || e->in_ifindex != now.in_ifindex) {
		flowcache_take_back(s, conn_index(p->conn_ref));
		*e = now;
		ip_adjacency_installed(s->ip, adjacency);
		s->count[FLOWCACHE_INSTALLED]++;
	}
	if (one_way && !e->offloaded)
		flowcache_offer_one_way(s, conn_index(p->conn_ref), p->in_ifindex);
}

static void install_from(void *ctx, const struct packet *p, uint32_t adjacency)
{
	struct flowcache *s = ctx;

	if (s->mode != FLOWCACHE_OFF && can_install(s, p, adjacency))
		install(s, p, adjacency);
}

static void forget(struct flowcache *s, uint32_t conn)
{
	flowcache_take_back(s, conn);
	for (uint32_t d = 0; d < N_CT_DIRS; d++)
		*flowcache_entry(s, conn << 1 | d) = (struct ct_flowcache){ 0 };
}

static void ended(void *ctx, uint32_t conn)
{
	struct flowcache *s = ctx;

	/* Also one whose flow cache entries were invalid already: its number is about to be another's. First, while the
	 * entries say whose counters are deferred. */
	if (s->offload != NULL)
		s->offload->remove(s->offload->ctx, conn);
	forget(s, conn);
}

void flowcache_mark_changed(void *ctx, uint32_t conn)
{
	forget(ctx, conn);
}

void flowcache_invalidate_all(struct flowcache *s)
{
	if (s->offload != NULL)
		s->offload->invalidate_all(s->offload->ctx);
	s->count[FLOWCACHE_INVALIDATED]++;
	if (s->generation == UINT16_MAX) {
		flowcache_read_back_all(s);
		for (uint32_t conn = 0; conn < conntrack_n_numbers(s->ct); conn++)
			for (uint32_t d = 0; d < N_CT_DIRS; d++)
				*flowcache_entry(s, conn << 1 | d) = (struct ct_flowcache){ 0 };
		s->generation = s->counter_paths_since = 0;
	}
	s->generation++;
	s->counter_paths_since += s->counter_paths_since == 0;
}

void flowcache_rules_change(struct flowcache *s)
{
	flowcache_invalidate_all(s);
	if (!rules_counter_paths_crowded(s->rules))
		return;
	flowcache_read_back_all(s);
	s->counter_paths_since = s->generation;
}

static void adjacency_changed(void *ctx, uint32_t index, enum ip_adjacency_change change)
{
	struct flowcache *s = ctx;

	if (change == IP_ADJACENCY_GONE && s->adjacency[index].generation == 0)
		flowcache_invalidate_all(s);
	if (s->offload != NULL)
		s->offload->adjacency_changed(s->offload->ctx, index, change);
}

const struct ip_flowcache_ops flowcache_ip_ops = { .input = flowcache_input,
						   .output = flowcache_output,
						   .install = install_from,
						   .adjacency_changed = adjacency_changed };
const struct ct_flowcache_ops flowcache_ct_ops = { .ended = ended, .alive = flowcache_alive };

bool flowcache_view(const struct flowcache *s, uint32_t conn, enum ct_dir dir, struct flowcache_view *out)
{
	uint32_t ref = conn << 1 | dir;
	const struct conn *c = &s->flows.conn[conn];

	if (!flowcache_forwards(s, ref))
		return false;
	*out = (struct flowcache_view){
		.in = c->half[dir].tuple,
		.out = tuple_invert(&c->half[!dir].tuple),
		.in_ifindex = flowcache_entry(s, ref)->in_ifindex != 0 ? flowcache_entry(s, ref)->in_ifindex
								       : s->one_way_ifindex,
		.adjacency = flowcache_entry(s, ref)->adjacency,
	};
	return true;
}
