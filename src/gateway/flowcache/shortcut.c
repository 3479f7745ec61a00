/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The memory of shortcuts: an entry for each direction of each connection, in its
 * line there (ct_half.shortcut), which a packet reads anyway. Conntrack only keeps
 * the place, and clears it when a connection begins.
 *
 * Life of an entry: shortcuts_learn writes it when a packet of the direction
 * leaves on the full way; it is void when the connection ends or its ct mark
 * changes (cleared), when its neighbour's number is given to another (the
 * adjacency's generation moves on), or when anything changes on which all of them
 * depend: config, rules, routes, devices (the generation of all moves on).
 *
 * Both come round. The generation of all is 16 bits; then all entries are cleared.
 * An adjacency's is 7 bits; then the generation of all moves on, which happens once
 * in 128 times that one number is given away.
 *
 * A void entry still says to which rules' counters is owed what others forwarded
 * while it was good; so that is credited before the entry is written anew or
 * cleared. Trails keep their numbers over a change of rules. Once in thousands of
 * such changes they begin anew (trails_since); then all that is owed is read back
 * first, in one go.
 *
 * One-way flows (telemetry, media, one leg of an asymmetric path). What is decided
 * for packets of a connection that nobody has answered may be decided otherwise once
 * somebody does, so here they all go the full way. But whoever forwards in our stead
 * tells us of the first answer, since that comes up: after ONE_WAY_AFTER packets UDP
 * in its original direction gets an entry for them alone, which has no interface,
 * so that nothing fits it here. The answer takes it back, and both directions learn
 * anew.
 *
 * What always holds: an entry of the present generation belongs to a confirmed
 * connection that has been answered, unless it is such a one; its trail is a present one; its
 * adjacency is marked as learnt, or of another generation by now. `offloaded`
 * stands in both entries of a connection, which then are of the same generation,
 * or in none.
 *
 * Next: src/gateway/flowcache/input.c
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/flowcache/shortcut_priv.h"
#include "stack/wire/icmp.h"

_Static_assert(IP_ADJACENCY_GENERATIONS == 1 << 7, "an entry's field");
_Static_assert(IP_INTERFACES_MAX <= UINT8_MAX && IP_ADJACENCIES_MAX - 1 <= UINT16_MAX, "an entry's fields");

struct shortcuts *shortcuts_create(struct env *env, struct ip_stack *ip, struct conntrack *ct, struct nat *nat,
				   struct rules *rules)
{
	struct shortcuts *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->env = env;
	s->ip = ip;
	s->ct = ct;
	s->nat = nat;
	s->adjacency = ip_adjacency(ip, 0);
	s->trail = rules_trails(rules);
	s->generation = s->trails_since = 1;
	conntrack_flows(ct, &s->flows);
	return s;
}

void shortcuts_destroy(struct shortcuts *s)
{
	free(s);
}

void shortcuts_set_mode(struct shortcuts *s, enum shortcuts_mode mode)
{
	shortcuts_void_all(s);
	/* Packets that pass by us are judged by windows as they are. */
	shortcut_read_back_all(s);
	s->mode = (uint8_t)mode;
}

const uint64_t *shortcuts_counts(const struct shortcuts *s)
{
	return s->count;
}

static bool is_plain(const struct packet *p)
{
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
static bool is_one_way(const struct shortcuts *s, const struct packet *p)
{
	return s->offload != NULL && p->ct_info == CT_INFO_NEW && conn_dir(p->conn_ref) == CT_ORIGINAL &&
	       p->l4.kind == L4_UDP && s->flows.conn[conn_index(p->conn_ref)].half[CT_ORIGINAL].packets >= ONE_WAY_AFTER;
}

static bool can_learn(const struct shortcuts *s, const struct packet *p)
{
	const uint16_t wanted = CT_CONFIRMED | CT_SEEN_REPLY;

	/* First what keeps out the packets that begin flows. */
	if (p->conn_ref == CONN_NONE || (p->ct_info != CT_INFO_ESTABLISHED && !is_one_way(s, p)))
		return false;
	if (p->trail == RULES_TRAIL_NONE || p->conn_unconfirmed || p->in_ifindex == 0 || p->n_loops > 0 ||
	    p->link_group)
		return false;
	if (p->ip.header_len != IPV4_HEADER_LEN || ipv4_is_fragment(&p->ip) || !is_plain(p))
		return false;
	uint16_t status = s->flows.conn[conn_index(p->conn_ref)].status & (wanted | CT_DYING | CT_HELPED);

	return p->ct_info == CT_INFO_ESTABLISHED ? status == wanted : status == CT_CONFIRMED;
}

static YG_SELDOM void learn(struct shortcuts *s, const struct packet *p, uint32_t adjacency)
{
	struct ct_shortcut *e = shortcut_entry(s, p->conn_ref);
	bool one_way = p->ct_info == CT_INFO_NEW;
	struct ct_shortcut now = {
		.generation = s->generation,
		.adjacency = (uint16_t)adjacency,
		.trail = p->trail,
		.in_ifindex = (uint8_t)(one_way ? 0 : p->in_ifindex),
		.adjacency_generation = s->adjacency[adjacency].generation & (IP_ADJACENCY_GENERATIONS - 1),
	};
	bool known = shortcut_valid(s, p->conn_ref);

	if (!known || e->adjacency != now.adjacency || e->trail != now.trail || e->in_ifindex != now.in_ifindex) {
		shortcut_take_back(s, conn_index(p->conn_ref));
		*e = now;
		ip_adjacency_learnt(s->ip, adjacency);
		s->count[SHORTCUT_LEARNT]++;
	}
	if (one_way && !e->offloaded)
		shortcut_offer_one_way(s, conn_index(p->conn_ref), p->in_ifindex);
}

void shortcuts_learn(void *ctx, const struct packet *p, uint32_t adjacency)
{
	struct shortcuts *s = ctx;

	if (s->mode != SHORTCUTS_OFF && can_learn(s, p))
		learn(s, p, adjacency);
}

static void forget(struct shortcuts *s, uint32_t conn)
{
	shortcut_take_back(s, conn);
	for (uint32_t d = 0; d < N_CT_DIRS; d++)
		*shortcut_entry(s, conn << 1 | d) = (struct ct_shortcut){ 0 };
}

void shortcuts_ended(void *ctx, uint32_t conn)
{
	struct shortcuts *s = ctx;

	/* Also one whose shortcuts were void already: its number is about to be another's. First, while the entries say
	 * to whom it owes what it owes. */
	if (s->offload != NULL)
		s->offload->remove(s->offload->ctx, conn);
	forget(s, conn);
}

void shortcuts_mark_changed(void *ctx, uint32_t conn)
{
	forget(ctx, conn);
}

void shortcuts_void_all(struct shortcuts *s)
{
	if (s->offload != NULL)
		s->offload->void_all(s->offload->ctx);
	s->count[SHORTCUT_VOIDED]++;
	if (s->generation == UINT16_MAX) {
		shortcut_read_back_all(s);
		for (uint32_t conn = 0; conn < conntrack_n_numbers(s->ct); conn++)
			for (uint32_t d = 0; d < N_CT_DIRS; d++)
				*shortcut_entry(s, conn << 1 | d) = (struct ct_shortcut){ 0 };
		s->generation = s->trails_since = 0;
	}
	s->generation++;
	s->trails_since += s->trails_since == 0;
}

void shortcuts_rules_change(struct shortcuts *s, const struct rules *rules)
{
	shortcuts_void_all(s);
	if (!rules_trails_crowded(rules))
		return;
	shortcut_read_back_all(s);
	s->trails_since = s->generation;
}

void shortcuts_adjacency_changed(void *ctx, uint32_t index, enum ip_adjacency_change change)
{
	struct shortcuts *s = ctx;

	if (change == IP_ADJACENCY_GONE && s->adjacency[index].generation == 0)
		shortcuts_void_all(s);
	if (s->offload != NULL)
		s->offload->adjacency_changed(s->offload->ctx, index, change);
}

bool shortcuts_view(const struct shortcuts *s, uint32_t conn, enum ct_dir dir, struct shortcut_view *out)
{
	uint32_t ref = conn << 1 | dir;
	const struct conn *c = &s->flows.conn[conn];

	if (!shortcut_valid(s, ref))
		return false;
	*out = (struct shortcut_view){
		.in = c->half[dir].tuple,
		.out = tuple_invert(&c->half[!dir].tuple),
		.in_ifindex = shortcut_entry(s, ref)->in_ifindex != 0 ? shortcut_entry(s, ref)->in_ifindex
								      : s->one_way_ifindex,
		.adjacency = shortcut_entry(s, ref)->adjacency,
	};
	return true;
}
