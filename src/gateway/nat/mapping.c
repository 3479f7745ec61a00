/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Endpoint-independent mappings (RFC 4787 REQ-1, RFC 5382 REQ-1, RFC 5508 REQ-1).
 *
 * A mapping ties an inside address and port to one outside address and port,
 * whatever the destination. It has the outside port to itself and lives while a
 * connection uses it, in either direction. It is found by its inside (a new
 * connection from there) and by its outside (a new one to there, if filtering
 * lets it in).
 *
 * Filtering (RFC 4787 REQ-8): address-dependent asks whether the inside talks
 * with that remote address; a pinhole counts the connections that do. With the
 * strictest filtering a pinhole names the port as well, and is there only for
 * attempts (pending_open.c): all others are let in by their own connection.
 *
 * What always holds: a mapping stands in both chains and holds its port; its
 * n_holders is the number of connections that hold it, on either side (hold.c), of
 * attempts, and of other workers that it is leased to or from; n_holds is
 * the sum of all.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/nat/nat_priv.h"

static uint32_t *buckets(uint32_t n)
{
	uint32_t *b = malloc(n * sizeof(*b));

	for (uint32_t i = 0; b != NULL && i < n; i++)
		b[i] = NAT_NONE;
	return b;
}

int nat_mappings_init(struct nat_mappings *m, uint32_t n)
{
	*m = (struct nat_mappings){ .n_buckets = n };
	m->in = buckets(n);
	m->out = buckets(n);
	m->pinhole = buckets(n);
	if (m->in == NULL || m->out == NULL || m->pinhole == NULL)
		goto free_buckets;
	if (pool_init(&m->pool, n, sizeof(struct nat_eim), _Alignof(struct nat_eim)) != 0)
		goto free_buckets;
	if (pool_init(&m->pinholes, n, sizeof(struct nat_pinhole), _Alignof(struct nat_pinhole)) != 0)
		goto fini_pool;
	if (pool_init(&m->pairs, n, sizeof(struct nat_hairpin_pair), _Alignof(struct nat_hairpin_pair)) != 0)
		goto fini_pinholes;
	return 0;

fini_pinholes:
	pool_fini(&m->pinholes);
fini_pool:
	pool_fini(&m->pool);
free_buckets:
	free(m->in);
	free(m->out);
	free(m->pinhole);
	return -ENOMEM;
}

void nat_mappings_fini(struct nat_mappings *m)
{
	pool_fini(&m->pairs);
	pool_fini(&m->pinholes);
	pool_fini(&m->pool);
	free(m->in);
	free(m->out);
	free(m->pinhole);
}

static uint32_t *in_bucket(const struct nat *n, uint32_t addr, uint16_t port, uint16_t zone, uint8_t proto,
			   uint32_t pool)
{
	uint64_t m0 = (uint64_t)addr << 32 | (uint64_t)port << 16 | zone;

	return &n->mappings.in[siphash13_16(&n->key, m0, (uint64_t)pool << 8 | proto) % n->mappings.n_buckets];
}

static uint32_t *out_bucket(const struct nat *n, uint32_t addr, uint16_t port, uint8_t proto)
{
	uint64_t m0 = (uint64_t)addr << 32 | (uint64_t)port << 16;

	return &n->mappings.out[siphash13_16(&n->key, m0, UINT64_C(1) << 32 | proto) % n->mappings.n_buckets];
}

uint32_t nat_mapping_of_inside(const struct nat *n, const struct tuple *orig, uint32_t pool)
{
	uint16_t port = nat_inside_port(orig);
	uint32_t i = *in_bucket(n, orig->src, port, orig->zone, orig->proto, pool);

	for (; i != NAT_NONE; i = nat_mapping_at(n, i)->in_chain) {
		const struct nat_eim *m = nat_mapping_at(n, i);
		if (m->in_addr == orig->src && m->in_port == port && m->in_zone == orig->zone &&
		    m->proto == orig->proto && m->pool == pool)
			return i;
	}
	return NAT_NONE;
}

uint32_t nat_mapping_of_outside(const struct nat *n, const struct tuple *orig)
{
	uint16_t port = orig->proto == IPPROTO_NR_ICMP ? orig->sport : orig->dport;
	uint32_t i = *out_bucket(n, orig->dst, port, orig->proto);

	for (; i != NAT_NONE; i = nat_mapping_at(n, i)->out_chain) {
		const struct nat_eim *m = nat_mapping_at(n, i);
		if (m->out_addr == orig->dst && m->out_port == port && m->proto == orig->proto)
			return i;
	}
	return NAT_NONE;
}

uint32_t nat_mapping_make(struct nat *n, const struct nat_eim *like)
{
	uint32_t i = pool_alloc(&n->mappings.pool);

	if (i == POOL_NONE)
		return NAT_NONE;
	struct nat_eim *m = nat_mapping_at(n, i);
	uint32_t *in = in_bucket(n, like->in_addr, like->in_port, like->in_zone, like->proto, like->pool);
	uint32_t *out = out_bucket(n, like->out_addr, like->out_port, like->proto);
	*m = *like;
	m->n_holders = 0;
	m->begun_ns = n->env->now;
	m->in_chain = *in;
	m->out_chain = *out;
	*in = *out = i;
	if (m->lessor != 0) {
		n->mappings.n_leased++;
		return i;
	}
	if (YG_UNLIKELY(n->log.any & NAT_LOG_MAPPINGS))
		nat_log_mapping(n, m, LOG_MAPPING_BEGIN);
	return i;
}

static struct tuple inside_of(const struct nat_eim *m)
{
	return (struct tuple){ .src = m->in_addr, .sport = m->in_port, .proto = m->proto, .zone = m->in_zone };
}

/* Its port goes back to where it came from. */
static void give_up(struct nat *n, const struct nat_eim *m, uint32_t index)
{
	struct tuple inside = inside_of(m);

	if (m->lessor != 0) {
		struct nat_lease lease = { .pool = m->pool, .lessor = m->lessor };

		n->mappings.n_leased--;
		if (n->workers.give_back != NULL)
			n->workers.give_back(n->workers.ctx, &inside, &lease);
		return;
	}
	if (YG_UNLIKELY(n->log.any & NAT_LOG_MAPPINGS))
		nat_log_mapping(n, m, LOG_MAPPING_END);
	if (n->workers.mapping != NULL)
		(void)n->workers.mapping(n->workers.ctx, &inside, NAT_MAPPING_GONE);
	nat_port_done(n, nat_ref_of(NAT_HOLD_MAPPING, NAT_ORIGIN_POOL, m->pool, index), m->address, m->proto,
		      m->out_port);
}

void nat_each_mapping(const struct nat *n, void (*fn)(void *ctx, const struct tuple *inside), void *ctx)
{
	for (uint32_t i = 0; i < n->mappings.pool.n_fresh; i++) {
		const struct nat_eim *m = nat_mapping_at(n, i);
		struct tuple inside = inside_of(m);

		if (m->n_holders > 0 && m->lessor == 0)
			fn(ctx, &inside);
	}
}

void nat_lease_grant_end(struct nat *n, const struct tuple *inside, uint32_t pool)
{
	uint32_t mapping = nat_mapping_of_inside(n, inside, pool);

	if (mapping == NAT_NONE)
		return;
	n->mappings.n_for_workers--;
	nat_mapping_leave(n, mapping);
}

void nat_lease_take_end(struct nat *n, const struct tuple *inside, uint32_t pool)
{
	nat_lease_grant_end(n, inside, pool);
}

bool nat_lease_take(struct nat *n, const struct tuple *inside, const struct nat_lease *lease)
{
	uint32_t mapping = nat_mapping_of_inside(n, inside, lease->pool);

	if (mapping != NAT_NONE) {
		/* Another packet of it came with the same lease: once is enough. */
		n->workers.give_back(n->workers.ctx, inside, lease);
	} else {
		struct nat_eim like = {
			.in_addr = inside->src,
			.in_port = inside->sport,
			.in_zone = inside->zone,
			.proto = inside->proto,
			.out_addr = lease->addr,
			.out_port = lease->port,
			.pool = lease->pool,
			.out_ifindex = lease->out_ifindex,
			.lessor = lease->lessor,
			.address = NAT_NONE,
		};
		mapping = nat_mapping_make(n, &like);
		if (mapping == NAT_NONE) {
			n->workers.give_back(n->workers.ctx, inside, lease);
			return false;
		}
	}
	nat_mapping_join(n, mapping);
	n->mappings.n_for_workers++;
	return true;
}

void nat_mapping_join(struct nat *n, uint32_t index)
{
	nat_mapping_at(n, index)->n_holders++;
	n->mappings.n_holds++;
}

void nat_mapping_leave(struct nat *n, uint32_t index)
{
	struct nat_eim *m = nat_mapping_at(n, index);

	assert(m->n_holders > 0);
	n->mappings.n_holds--;
	if (--m->n_holders > 0)
		return;
	uint32_t *link = in_bucket(n, m->in_addr, m->in_port, m->in_zone, m->proto, m->pool);
	while (*link != index)
		link = &nat_mapping_at(n, *link)->in_chain;
	*link = m->in_chain;
	link = out_bucket(n, m->out_addr, m->out_port, m->proto);
	while (*link != index)
		link = &nat_mapping_at(n, *link)->out_chain;
	*link = m->out_chain;
	give_up(n, m, index);
	pool_free(&n->mappings.pool, index);
}

/* The link that leads to the pinhole, or to the end of the chain. */
static uint32_t *pinhole_link(const struct nat *n, uint32_t mapping, uint32_t remote, uint16_t port)
{
	uint64_t hash = siphash13_16(&n->key, (uint64_t)mapping << 32 | remote, (uint64_t)port << 32 | 2);
	uint32_t *link = &n->mappings.pinhole[hash % n->mappings.n_buckets];

	while (*link != NAT_NONE) {
		struct nat_pinhole *x = pool_at(&n->mappings.pinholes, *link);
		if (x->mapping == mapping && x->remote == remote && x->port == port)
			break;
		link = &x->chain;
	}
	return link;
}

void nat_pinhole_join(struct nat *n, uint32_t mapping, uint32_t remote, uint16_t port)
{
	uint32_t *link = pinhole_link(n, mapping, remote, port);

	if (*link == NAT_NONE) {
		/* As many as connections; a pinhole that finds no room only keeps somebody out. */
		uint32_t i = pool_alloc(&n->mappings.pinholes);
		if (i == POOL_NONE)
			return;
		*(struct nat_pinhole *)pool_at(&n->mappings.pinholes, i) =
			(struct nat_pinhole){ .mapping = mapping, .remote = remote, .port = port, .chain = NAT_NONE };
		*link = i;
	}
	((struct nat_pinhole *)pool_at(&n->mappings.pinholes, *link))->n_holders++;
}

void nat_pinhole_leave(struct nat *n, uint32_t mapping, uint32_t remote, uint16_t port)
{
	uint32_t *link = pinhole_link(n, mapping, remote, port), index = *link;

	if (index == NAT_NONE)
		return;
	struct nat_pinhole *x = pool_at(&n->mappings.pinholes, index);
	if (--x->n_holders > 0)
		return;
	*link = x->chain;
	pool_free(&n->mappings.pinholes, index);
}

bool nat_pinhole_for(const struct nat *n, uint32_t mapping, uint32_t remote, uint16_t port)
{
	return *pinhole_link(n, mapping, remote, port) != NAT_NONE;
}
