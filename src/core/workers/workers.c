/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A worker group as a whole: made, given a config, ended. What it does with packets is in
 * packets.c, how they change hands in handoff.c, and who is told what about
 * connections in redirect.c.
 *
 * Life: workers_create makes the cores, the shared bytes of the port blocks and three
 * rings for each ordered pair of workers. workers_configure runs while all workers are
 * quiesced: it sees what is on its way to its end, adds the addresses whose ports are
 * shared, gives each core its values, and, if somebody has another owner than
 * before, decides the owner of every connection again. workers_destroy ends all of it.
 *
 * Limits: what counts by source is exact for hosts inside, since each has one
 * worker; the rate of our own ICMP errors is divided evenly; `limit` in rules
 * counts in each worker by itself.
 *
 * Next: src/core/workers/packets.c
 */
#include "core/workers/workers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/workers/workers_priv.h"
#include "stack/ports/port_blocks.h"
#include "stack/ports/ports.h"

/* Address space for the ports of so many translation addresses. */
#define ADDRESSES_MAX 131072u
#define DEFAULT_CONNECTIONS 262144u
#define DEFAULT_FRAGMENTS 1024u
/* Hosts are not spread quite evenly. */
#define SHARE(total, n) ((total) / (n) + (total) / (8 * (n)) + 64)

static struct gateway_limits limits_of_one(const struct gateway_limits *all, uint32_t n)
{
	struct gateway_limits l = *all;

	if (n == 1)
		return l;
	uint32_t n_connections = all->conntrack.n_connections != 0 ? all->conntrack.n_connections : DEFAULT_CONNECTIONS;
	l.conntrack.n_connections = SHARE(n_connections, n);
	if (all->nat.n_mappings != 0)
		l.nat.n_mappings = SHARE(all->nat.n_mappings, n);
	return l;
}

/* Seeds that have nothing in common but their own. */
static void seed_of(const uint8_t seed[RNG_SEED_BYTES], uint32_t worker, uint8_t out[RNG_SEED_BYTES])
{
	struct rng rng;

	memcpy(out, seed, RNG_SEED_BYTES);
	if (worker == 0)
		return;
	rng_init(&rng, seed);
	for (uint32_t i = 0; i < worker; i++)
		for (uint32_t k = 0; k < RNG_SEED_BYTES; k++)
			out[k] = (uint8_t)rng_u32(&rng);
}

static bool create_tables(struct workers_member *w, uint32_t n_connections)
{
	struct workers *c = w->workers;

	w->n_sides = n_connections + 4 * BATCH_MAX;
	w->backlog_cap = 2 * w->n_sides;
	w->side = calloc(w->n_sides, sizeof(*w->side));
	w->stash = calloc(WORKERS_STASH, sizeof(*w->stash));
	w->backlog = calloc(w->backlog_cap, sizeof(*w->backlog));
	w->fragments = ct_fragments_create(w->env, DEFAULT_FRAGMENTS);
	return w->side != NULL && w->stash != NULL && w->backlog != NULL && w->fragments != NULL &&
	       workers_redirects_init(&w->redirects, min_u32(2 * c->n * w->n_sides, UINT32_C(1) << 30)) == 0;
}

static void connect_slots(struct workers_member *w, struct siphash_key client_key)
{
	struct nat_workers nat = {
		.blocks = w->workers->blocks,
		.worker = w->id,
		.client_key = client_key,
		.ctx = w,
		.begins = workers_begins,
		.elsewhere = workers_elsewhere,
		.mapping = workers_mapping,
		.lease = workers_lease,
		.give_back = workers_give_back,
		.pending_open = workers_pending_open,
	};
	struct ct_workers ct = { .ctx = w, .confirmed = workers_confirmed, .ended = workers_ended };

	nat_set_workers(gateway_nat(w->gw), &nat);
	conntrack_set_workers(gateway_conntrack(w->gw), &ct);
	rules_set_hash_key(gateway_rules(w->gw), client_key);
	ip_stack_set_share(gateway_ip(w->gw), w->id, w->workers->n);
}

int workers_pair_init(struct workers_pair *p)
{
	if (ring_init(&p->packets, HANDOFF_SLOTS, HANDOFF_SLOT_BYTES) != 0 ||
	    ring_init(&p->messages, WORKERS_MESSAGES, sizeof(struct workers_message)) != 0 ||
	    ring_init(&p->returns, HANDOFF_RETURNS, sizeof(struct packet *)) != 0)
		return -ENOMEM;
	return 0;
}

/* With a place for the host, whose rings are made when it comes. */
static bool create_pairs(struct workers *c)
{
	uint32_t n = (c->n + 1) * (c->n + 1);

	c->pair = aligned_alloc(RING_LINE, n * sizeof(*c->pair));
	if (c->pair == NULL)
		return false;
	memset(c->pair, 0, n * sizeof(*c->pair));
	for (uint32_t i = 0; i < c->n * c->n; i++)
		if (i / c->n != i % c->n && workers_pair_init(workers_pair(c, i / c->n, i % c->n)) != 0)
			return false;
	return true;
}

static bool create_shared(struct workers *c, const uint8_t seed[RNG_SEED_BYTES])
{
	struct rng rng;
	uint8_t own[RNG_SEED_BYTES];

	if (!create_pairs(c))
		return false;
	if (c->n == 1)
		return true;
	c->blocks = port_blocks_create(c->n, ADDRESSES_MAX);
	if (c->blocks == NULL)
		return false;
	seed_of(seed, WORKERS_MAX, own);
	rng_init(&rng, own);
	c->owner = (struct owner_tables){ .n_workers = c->n,
					  .key = { rng_u64(&rng), rng_u64(&rng) },
					  .blocks = c->blocks };
	struct siphash_key client_key = { rng_u64(&rng), rng_u64(&rng) };

	for (uint32_t i = 0; i < c->n; i++) {
		struct workers_member *w = &c->worker[i];

		if (!create_tables(w, conntrack_capacity(gateway_conntrack(w->gw))))
			return false;
		connect_slots(w, client_key);
	}
	return true;
}

struct workers *workers_create(uint32_t n, const struct gateway_limits *limits, const uint8_t seed[RNG_SEED_BYTES],
			       uint64_t now, event_fn *emit, void *const emit_ctx[])
{
	struct gateway_limits one = limits_of_one(limits, n);
	struct workers *c = n == 0 || n > WORKERS_MAX ? NULL : calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->n = c->n_members = n;
	c->worker = calloc(n + 1, sizeof(*c->worker));
	if (c->worker == NULL)
		goto destroy;
	for (uint32_t i = 0; i < n; i++) {
		struct workers_member *w = &c->worker[i];
		uint8_t own[RNG_SEED_BYTES];

		seed_of(seed, i, own);
		w->workers = c;
		w->id = i;
		w->gw = gateway_create_of(i == 0 ? GATEWAY_ALL : GATEWAY_ALL & ~(1u << GATEWAY_SOCKETS), &one, own, now,
					  emit, emit_ctx[i]);
		if (w->gw == NULL)
			goto destroy;
		w->env = gateway_env(w->gw);
		if (i > 0)
			ports_share_sockets(gateway_ports(w->gw), gateway_ports(c->worker[0].gw));
	}
	if (create_shared(c, seed))
		return c;
destroy:
	workers_destroy(c);
	return NULL;
}

/* What is still on its way is lost with the gateway; descriptors handed over by reference go with their pools. */
static void destroy_worker(struct workers_member *w)
{
	if (w->gw != NULL)
		ct_fragments_destroy(w->fragments, w->env);
	workers_redirects_fini(&w->redirects);
	free(w->side);
	free(w->stash);
	free(w->backlog);
}

void workers_destroy(struct workers *c)
{
	if (c == NULL)
		return;
	/* A core that lets go of its packets ends connections and mappings; nobody needs to hear of it any more. */
	for (uint32_t i = 0; c->worker != NULL && i < c->n; i++) {
		if (c->worker[i].gw != NULL && c->n > 1) {
			struct nat_workers alone = { .blocks = c->blocks, .worker = i };

			conntrack_set_workers(gateway_conntrack(c->worker[i].gw), &(struct ct_workers){ 0 });
			nat_set_workers(gateway_nat(c->worker[i].gw), &alone);
			destroy_worker(&c->worker[i]);
		}
	}
	for (uint32_t i = 0; c->worker != NULL && i <= c->n; i++)
		gateway_destroy(c->worker[i].gw);
	if (c->worker != NULL)
		free(c->worker[c->n].backlog);
	for (uint32_t i = 0; c->pair != NULL && i < (c->n + 1) * (c->n + 1); i++) {
		ring_fini(&c->pair[i].packets);
		ring_fini(&c->pair[i].messages);
		ring_fini(&c->pair[i].returns);
	}
	port_blocks_destroy(c->blocks);
	free(c->pair);
	free(c->worker);
	free(c);
}

uint32_t workers_n(const struct workers *c)
{
	return c->n;
}

static bool workers_has_host(const struct workers *c)
{
	return c->n_members > c->n;
}

struct gateway *workers_gateway(struct workers *c, uint32_t worker)
{
	return c->worker[worker].gw;
}

void workers_set_wake(struct workers *c, workers_wake_fn *fn, void *ctx)
{
	c->wake = fn;
	c->wake_ctx = ctx;
}

/* --- config, with all workers quiesced --- */

void workers_drain(struct workers *c, uint64_t now)
{
	bool moved = true;

	while (moved) {
		moved = false;
		for (uint32_t i = 0; i < c->n; i++)
			moved |= workers_poll(c, i, now) > 0;
	}
}

void workers_between(struct workers *c, struct workers_between *out)
{
	*out = (struct workers_between){ 0 };
	for (uint32_t from = 0; from < c->n_members; from++) {
		out->n_asked += c->worker[from].n_asked;
		out->n_redirects_lost += c->worker[from].n_redirects_lost;
		for (uint32_t to = 0; to < c->n_members; to++) {
			if (from == to)
				continue;
			/* Those whose slots are not given back are taken over. */
			struct workers_pair *pair = workers_pair(c, from, to);

			out->n_waiting += ring_ready_now(&pair->packets) - pair->n_open;
			out->n_external += c->worker[from].n_external[to];
		}
	}
}

/* Where an address is, as a table has it: ours in the zone of its interface, a pool's in zone 0, for all zones. */
static uint16_t home_of(const struct core_config *cfg, const struct core_address *a, uint32_t addr)
{
	if (a->is_ours)
		return cfg->ct.zone[a->ifindex];
	for (uint32_t i = 0; i < cfg->nat.n_pools; i++) {
		if (cfg->nat.pool[i].name[0] != '\0' && nat_pool_has(&cfg->nat.pool[i], addr))
			return 0;
	}
	return a->zone;
}

/* Addresses that are ours or that only NAT uses: their ports are shared. */
static bool add_addresses(struct workers *c, const struct core_config *cfg, const struct core_address *a)
{
	uint64_t n = UINT64_C(1) << (32 - a->prefix.len);

	for (uint64_t j = 0; j < n; j++) {
		uint32_t addr = (uint32_t)(a->prefix.addr + j);
		uint16_t home = home_of(cfg, a, addr);

		if (!port_blocks_add(c->blocks, addr, home) ||
		    (home != a->zone && !port_blocks_alias(c->blocks, addr, a->zone, home)))
			return false;
	}
	return true;
}

static bool add_all_addresses(struct workers *c, const struct core_config *cfg)
{
	for (uint32_t i = 0; i < cfg->n_addresses; i++) {
		if (!add_addresses(c, cfg, &cfg->address[i]))
			return false;
	}
	return true;
}

static void abandon_all(struct workers *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		gateway_abandon(c->worker[i].gw);
}

/* All of them or none: otherwise one would judge by the new config and another by the old one. */
static int prepare_all(struct workers *c, const struct core_config *cfg)
{
	for (uint32_t i = 0; i < c->n; i++) {
		int rc = gateway_prepare(c->worker[i].gw, cfg);
		if (rc != 0) {
			abandon_all(c);
			return rc;
		}
	}
	return 0;
}

/* Who owns a packet from here on. *moved: somebody has another owner than before. */
static int change_owners(struct workers *c, const struct core_config *cfg, uint64_t now, bool *moved)
{
	/* Addresses are only ever added. */
	uint32_t n_addresses = c->blocks->n_used_slots;

	/* It was judged by the owners of now. */
	workers_drain(c, now);
	if (!add_all_addresses(c, cfg))
		return -ENOSPC;
	*moved = n_addresses != c->blocks->n_used_slots || c->owner.outside != cfg->outside ||
		 memcmp(c->owner.zone, cfg->ct.zone, sizeof(c->owner.zone)) != 0;
	c->owner.outside = cfg->outside;
	memcpy(c->owner.zone, cfg->ct.zone, sizeof(c->owner.zone));
	return 0;
}

int workers_configure(struct workers *c, const struct core_config *cfg, uint64_t now)
{
	bool moved = false;
	int rc = prepare_all(c, cfg);
	if (rc != 0)
		return rc;
	if (c->n > 1 && (rc = change_owners(c, cfg, now, &moved)) != 0) {
		abandon_all(c);
		return rc;
	}
	for (uint32_t i = 0; i < c->n; i++) {
		rc = gateway_configure(c->worker[i].gw, cfg, now);
		if (rc != 0)
			return rc;
	}
	if (moved)
		workers_resync(c);
	if (workers_has_host(c))
		return gateway_configure(c->worker[c->n].gw, cfg, now);
	return 0;
}
