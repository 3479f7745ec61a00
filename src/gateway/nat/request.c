/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a rule wants for a connection's source, as a request: from which addresses,
 * which ports of them, and what a port should be like. Addresses of a range are
 * tried from one that follows from the source address alone.
 */
#include "gateway/nat/source.h"
#include "stack/ip/route.h"

#define SYSTEM_PORTS 1024 /* those below are (RFC 6335 section 6) */

/* One of `size`, at most 2^32: the same client, the same choice. It only spreads clients over addresses, and each of
 * them sees where it lands, so there is nothing to guess: a keyed multiplication, of which the high bits count, is
 * enough. */
uint64_t nat_client_choice(const struct nat *n, const struct tuple *orig, uint64_t size)
{
	const struct siphash_key *key = &n->workers.client_key;
	uint64_t h = (key->k0 ^ ((uint64_t)orig->zone << 32 | orig->src)) * (key->k1 | 1);

	h = (h ^ h >> 32) * UINT64_C(0x9e3779b97f4a7c15);
	return (h >> 32) * size >> 32;
}

/* The address with which a client begins, below n_addresses. */
uint64_t nat_start_address(const struct nat *n, const struct tuple *orig, uint64_t n_addresses)
{
	return n_addresses == 1 ? 0 : nat_client_choice(n, orig, n_addresses);
}

/* The one behind it after i more. */
uint64_t nat_later_address(uint64_t start, uint64_t i, uint64_t n_addresses)
{
	return start + i < n_addresses ? start + i : start + i - n_addresses;
}

uint32_t nat_request_address(const struct nat_source_request *w, uint64_t k)
{
	return w->pool != NULL ? nat_pool_address(w->pool, k) : (uint32_t)(w->range.first + k);
}

/* But for its two sets of ports, which are written where they are needed. */
void nat_request_clear(struct nat_source_request *w)
{
	w->origin = NAT_ORIGIN_RULE;
	w->id = 0;
	w->pool = NULL;
	w->range = (struct nat_address_range){ 0 };
	w->n_addresses = 0;
	w->port = (struct port_request){ 0 };
	w->paired = w->endpoint_independent = false;
}

void nat_request_pool(const struct nat *n, struct nat_source_request *w, uint32_t pool, const struct tuple *orig)
{
	const struct nat_pool_config *cfg = &n->cfg.pool[pool];

	w->origin = NAT_ORIGIN_POOL;
	w->id = pool;
	w->pool = cfg;
	w->n_addresses = n->pool[pool].n_addresses;
	w->port.set = &n->pool[pool].ports;
	w->paired = cfg->paired;
	/* Without ports there is nothing to map independently of the destination. */
	w->endpoint_independent =
		cfg->mapping == NAT_MAP_ENDPOINT_INDEPENDENT && port_proto_of(orig->proto) != PORT_PROTO_NONE;
	w->port.port = cfg->preserve_port ? nat_inside_port(orig) : 0;
	if (cfg->preserve_parity)
		w->port.parity = nat_inside_port(orig) & 1 ? PORT_PARITY_ODD : PORT_PARITY_EVEN;
}

/* A system port goes first to a client that has one itself, another port to any other (RFC 4787 REQ-3a). */
void nat_request_stay_in_range(struct nat_source_request *w, uint16_t inside_port)
{
	const struct port_set *set = w->port.set;

	if (set->n == 0 || set->range[0].first >= SYSTEM_PORTS)
		return;
	w->near = inside_port < SYSTEM_PORTS ? port_set_within(set, 0, SYSTEM_PORTS - 1)
					     : port_set_within(set, SYSTEM_PORTS, 65535);
	w->port.near = &w->near;
}

/* False when the action asks for nothing. */
static bool request_of_action(struct nat *n, const struct nat_action *a, const struct packet *p, const struct conn *c,
			      struct nat_source_request *w)
{
	const struct tuple *o = &c->half[CT_ORIGINAL].tuple;

	w->port.set = &n->default_ports;
	w->n_addresses = 1;
	w->range.first = o->src;
	switch ((enum nat_action_kind)a->kind) {
	case NAT_ACTION_RANGE:
		if (a->flags & NAT_FLAG_ADDRESS) {
			w->range = a->range;
			w->n_addresses = (uint64_t)a->range.last - a->range.first + 1;
		}
		break;
	case NAT_ACTION_MASQUERADE:
		w->origin = NAT_ORIGIN_MASQUERADE;
		w->id = p->out_ifindex;
		w->range.first = ip_interface_address(n->stack, p->out_ifindex, p->next_hop);
		break;
	case NAT_ACTION_POOL:
		nat_request_pool(n, w, a->pool, o);
		break;
	case NAT_ACTION_NONE:
	case NAT_ACTION_PREFIX:
	case NAT_ACTION_REDIRECT:
		return false;
	}
	if (a->flags & NAT_FLAG_PORT) {
		w->ports = port_set_of(a->ports, NULL, 0);
		w->port.set = &w->ports;
	}
	if (a->flags & NAT_FLAG_PRESERVE)
		w->port.port = nat_inside_port(o);
	return true;
}

/* A socket of ours has its port already, which nobody else is given on that address (stack/ports): to be given another
 * one would only part what is on the wire from what the socket knows, and break what covers both (RFC 2385). */
static bool is_so_already(const struct nat_source_request *w, const struct nat_action *a, const struct packet *p,
			  const struct tuple *o)
{
	return p->in_ifindex == 0 && a->kind != NAT_ACTION_POOL && w->n_addresses == 1 && w->range.first == o->src &&
	       (a->flags & (NAT_FLAG_PORT | NAT_FLAG_RANDOM)) == 0;
}

/* Fills in the request. False when nothing is to be translated. */
bool nat_request_make(struct nat *n, const struct packet *p, const struct conn *c, struct nat_source *s)
{
	struct nat_source_request *w = &s->request;
	const struct tuple *o = &c->half[CT_ORIGINAL].tuple;

	nat_request_clear(w);
	if (!request_of_action(n, &s->action, p, c, w) || is_so_already(w, &s->action, p, o))
		return false;
	if (o->proto == IPPROTO_NR_ICMP)
		w->port.set = &n->identifiers;
	else
		nat_request_stay_in_range(w, nat_inside_port(o));
	return true;
}
