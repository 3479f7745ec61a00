/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A port taken, given back, held down.
 *
 * An unused port of the set is picked, each equally likely (RFC 6056 section
 * 3.3.1), and whoever wants it says whether it will do. It may not, although it is
 * unused, when something that holds no port is in its way there (a connection of the
 * gateway's own, or one from outside); then another is picked.
 *
 * With several workers a pick is among the ports of this worker's own blocks; when
 * there is none, it asks for another block (port_lease.c). An address whose ports
 * are not shared, and every address of a gateway with one worker, passes through
 * here without a step of that.
 *
 * For several at a time a port of the set is drawn first, which is free to take
 * unless it is used, and only then one by rank among the unused: that reads three
 * lines, one after the other. Each unused port is as likely either way.
 *
 * Next: who asked, src/gateway/nat/port.c or src/gateway/nat/choose.c
 */
#include "stack/ports/ports_priv.h"

#define UNUSED_TRIES 8
#define PARITY_TRIES 16

static bool has_near(const struct port_request *request)
{
	return request->near != NULL && request->near->n_ports != 0;
}

/* The port that is wanted, 0 when none is. */
static uint32_t wanted(const struct port_request *request)
{
	return request->port != 0 && port_set_has(request->set, request->port) ? request->port : 0;
}

/* Where a port is taken. */
struct place {
	struct ports *p;
	struct ports_address *a;
	struct portmap *m;
	enum port_proto proto;
};

static inline struct place place_of(struct ports *p, uint32_t address, enum port_proto proto)
{
	return (struct place){ p, ports_at(p, address), ports_map_of(p, address, proto), proto };
}

/* Some of its ports are other workers'. */
static inline bool is_shared(const struct place *at)
{
	return at->a->row != PORT_BLOCK_NONE;
}

static struct port_lease lease_of(const struct place *at)
{
	return ports_lease(at->p, at->a, at->proto, at->m);
}

static bool is_idle(const struct place *at, uint32_t port)
{
	return portmap_block_idle(at->m, port / PORT_BLOCK_PORTS);
}

static void tell_block(const struct place *at, uint32_t port, enum ports_block_event what)
{
	struct ports *p = at->p;
	uint32_t address = (uint32_t)(((const uint8_t *)at->a - p->pool.mem) / p->pool.stride);

	if (YG_UNLIKELY(p->block_told != NULL))
		p->block_told(p->block_told_ctx, address, at->proto, port / PORT_BLOCK_PORTS, what);
}

static YG_SELDOM bool use_lease(const struct place *at, uint32_t port)
{
	struct port_lease l = lease_of(at);
	bool begins = is_idle(at, port);

	if (!port_lease_use(&l, port))
		return false;
	if (begins)
		tell_block(at, port, PORTS_BLOCK_BEGINS);
	return true;
}

static YG_SELDOM void settle_lease(const struct place *at, uint32_t port)
{
	struct port_lease l = lease_of(at);

	port_lease_settle(&l, port);
	if (is_idle(at, port))
		tell_block(at, port, PORTS_BLOCK_ENDS);
}

/* The port's block is this worker's and in use from here on. False: it went to another worker meanwhile. */
static inline bool secure_block(const struct place *at, uint32_t port)
{
	return !is_shared(at) || use_lease(at, port);
}

/* Behind the last use of a block, and behind secure_block when nothing came of it. */
static inline void settle_block(const struct place *at, uint32_t port)
{
	if (is_shared(at))
		settle_lease(at, port);
}

/* One more block with ports of the set. False: no worker has a free one. */
static bool lease_block(const struct place *at, const struct port_set *set)
{
	struct port_lease l = lease_of(at);

	return port_lease_more(&l, set, at->p->rng);
}

static inline bool is_mine(const struct place *at, uint32_t port)
{
	return !is_shared(at) || portmap_owns(at->m, port);
}

/* True when the port is this worker's; it tries to make it so. */
static bool make_mine(const struct place *at, uint32_t port)
{
	if (is_shared(at)) {
		struct port_lease l = lease_of(at);

		port_lease_want(&l, port);
	}
	return is_mine(at, port);
}

static inline void hold(const struct place *at, uint32_t port)
{
	at->a->n_holders++;
	portmap_use(at->m, port);
}

/* A port of this worker's that is as good as free. */
static inline bool claim_one(const struct place *at, uint32_t port, port_claim_fn *claim, void *ctx)
{
	if (claim != NULL && !claim(ctx, port)) {
		settle_block(at, port);
		return false;
	}
	hold(at, port);
	return true;
}

/* One that others may have. */
static inline bool share(const struct place *at, uint32_t port, port_claim_fn *claim, void *ctx)
{
	return portmap_can_share(at->m, port) && secure_block(at, port) && claim_one(at, port, claim, ctx);
}

static uint32_t pick_of_mine(const struct place *at, const struct port_request *request)
{
	uint32_t port = has_near(request) ? port_bits_pick(&at->m->bits, request->near, at->p->rng) : PORT_NONE;

	return port != PORT_NONE ? port : port_bits_pick(&at->m->bits, request->set, at->p->rng);
}

/* An unused port: a near one, else one of the set; PORT_NONE when no worker has one that is free to take. */
static uint32_t pick(const struct place *at, const struct port_request *request)
{
	for (;;) {
		uint32_t port = pick_of_mine(at, request);

		if (port != PORT_NONE && (!has_near(request) || port_set_has(request->near, port)))
			return port;
		if (!is_shared(at))
			return port;
		/* Near ports of other workers come before far ones of ours. */
		if (has_near(request) && lease_block(at, request->near))
			continue;
		if (port == PORT_NONE && lease_block(at, request->set))
			continue;
		return port;
	}
}

static bool has_parity(uint32_t port, uint8_t parity)
{
	return (port & 1) == (parity == PORT_PARITY_ODD);
}

uint32_t ports_take(struct ports *p, uint32_t address, enum port_proto proto, const struct port_request *request,
		    port_claim_fn *claim, void *ctx)
{
	const struct place at = place_of(p, address, proto);
	uint32_t port = wanted(request);

	if (at.m == NULL || request->set->n_ports == 0)
		return PORT_NONE;
	if (port != 0 && make_mine(&at, port) && (claim != NULL || portmap_unused(at.m, port)) &&
	    share(&at, port, claim, ctx))
		return port;
	for (int i = 0; request->parity != PORT_PARITY_ANY && i < PARITY_TRIES; i++) {
		port = pick(&at, request);
		if (port == PORT_NONE)
			return PORT_NONE;
		if (has_parity(port, request->parity) && secure_block(&at, port) && claim_one(&at, port, claim, ctx))
			return port;
	}
	for (int i = 0; i < UNUSED_TRIES;) {
		port = pick(&at, request);
		if (port == PORT_NONE)
			return PORT_NONE;
		/* Else its block went to another worker, and this map has one less. */
		if (!secure_block(&at, port))
			continue;
		if (claim_one(&at, port, claim, ctx))
			return port;
		i++;
	}
	return PORT_NONE;
}

bool ports_take_this(struct ports *p, uint32_t address, enum port_proto proto, uint32_t port, port_claim_fn *claim,
		     void *ctx)
{
	if (proto == PORT_PROTO_NONE) {
		if (claim != NULL && !claim(ctx, port))
			return false;
		ports_at(p, address)->n_holders++;
		return true;
	}
	const struct place at = place_of(p, address, proto);

	return at.m != NULL && is_mine(&at, port) && share(&at, port, claim, ctx);
}

void ports_give_back(struct ports *p, uint32_t address, enum port_proto proto, uint32_t port)
{
	ports_at(p, address)->n_holders--;
	if (proto == PORT_PROTO_NONE)
		return;
	const struct place at = place_of(p, address, proto);

	portmap_release(at.m, port);
	settle_block(&at, port);
}

/* In two steps. */

bool ports_draw(const struct ports *p, const struct ip_addr *addr, uint16_t zone, enum port_proto proto,
		const struct port_request *request, struct rng *rng, struct port_draw *draw)
{
	const struct port_set *set = has_near(request) ? request->near : request->set;

	if (proto == PORT_PROTO_NONE || set->n_ports == 0 || request->parity != PORT_PARITY_ANY)
		return false;
	draw->proto = proto;
	draw->maybe = port_set_at(set, rng_below(rng, set->n_ports));
	draw->number = rng_u32(rng);
	if (wanted(request) != 0)
		draw->maybe = request->port;
	draw->address = ports_look(p, addr, zone);
	draw->n_gone = p->n_gone;
	if (draw->address != PORTS_NONE && ports_at(p, draw->address)->map[proto] != PORTS_NONE)
		portmap_prefetch(pool_at(&p->maps, ports_at(p, draw->address)->map[proto]), draw->maybe);
	return true;
}

/* Its number may be another's by now. */
static inline bool is_known(const struct ports *p, const struct port_draw *draw)
{
	return draw->address != PORTS_NONE && draw->n_gone == p->n_gone;
}

uint32_t ports_take_drawn(struct ports *p, const struct ip_addr *addr, uint16_t zone,
			  const struct port_request *request, struct port_draw *draw)
{
	const struct port_set *set = has_near(request) ? request->near : request->set;
	uint32_t port = draw->maybe;

	if (!is_known(p, draw))
		draw->address = ports_address(p, addr, zone);
	if (draw->address == PORTS_NONE)
		return PORT_NONE;
	const struct place at = place_of(p, draw->address, draw->proto);

	if (at.m == NULL)
		return PORT_NONE;
	/* One that is wanted may be others' towards other destinations. */
	bool can_have = port == request->port && make_mine(&at, port) && portmap_can_share(at.m, port);

	if (!can_have && !portmap_unused(at.m, port))
		port = port_bits_pick_by(&at.m->bits, set, draw->number);
	if (port == PORT_NONE || !secure_block(&at, port))
		return PORT_NONE;
	hold(&at, port);
	return port;
}

/* Mine? */

bool ports_is_mine(struct ports *p, uint32_t address, enum port_proto proto, uint32_t port)
{
	const struct place at = place_of(p, address, proto);

	return at.m != NULL && is_mine(&at, port);
}

bool ports_are_mine(const struct ports *p, uint32_t address)
{
	return ports_at(p, address)->row == PORT_BLOCK_NONE;
}

uint32_t ports_n_mine(struct ports *p, uint32_t address, enum port_proto proto, const struct port_set *set)
{
	return ports_are_mine(p, address) ? set->n_ports : portmap_count_own(ports_map_of(p, address, proto), set);
}

uint32_t ports_any_of_mine(struct ports *p, uint32_t address, enum port_proto proto, const struct port_set *set)
{
	if (!ports_are_mine(p, address))
		return port_bits_pick(&ports_map_of(p, address, proto)->own, set, p->rng);
	return set->n_ports == 0 ? PORT_NONE : port_set_at(set, rng_below(p->rng, set->n_ports));
}

bool ports_pin(struct ports *p, const struct ip_addr *addr, uint16_t zone, enum port_proto proto, uint32_t port)
{
	uint32_t address = ports_address(p, addr, zone);

	if (address == PORTS_NONE || ports_are_mine(p, address))
		return false;
	const struct place at = place_of(p, address, proto);
	struct port_lease l = lease_of(&at);

	bool begins = at.m != NULL && is_idle(&at, port);

	if (at.m == NULL || !port_lease_pin(&l, port))
		return false;
	if (begins)
		tell_block(&at, port, PORTS_BLOCK_BEGINS);
	p->n_pins++;
	at.a->n_holders++;
	return true;
}

void ports_unpin(struct ports *p, const struct ip_addr *addr, uint16_t zone, enum port_proto proto, uint32_t port)
{
	const struct place at = place_of(p, ports_find(p, addr, zone), proto);
	struct port_lease l = lease_of(&at);

	p->n_pins--;
	at.a->n_holders--;
	port_lease_unpin(&l, port);
	if (is_idle(&at, port))
		tell_block(&at, port, PORTS_BLOCK_ENDS);
}

/* Held down. */

bool ports_hold_down(struct ports *p, uint32_t address, enum port_proto proto, uint32_t port)
{
	return portmap_hold_down(ports_map_of(p, address, proto), port);
}

void ports_hold_down_end(struct ports *p, uint32_t address, enum port_proto proto, uint32_t port)
{
	portmap_wake(ports_map_of(p, address, proto), port);
	ports_give_back(p, address, proto, port);
}
