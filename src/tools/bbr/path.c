/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The bottleneck and what is behind it.
 *
 * One packet is being sent at a time; when it has been, the next begins, at the rate of that moment. Behind the
 * bottleneck each flow has two rings, one in each direction: all packets of a ring take the same time, so they arrive
 * in the order in which they were put in, and what comes next is the least of the rings' heads. Nothing here costs more
 * when more is on the way.
 */
#include "tools/bbr/path.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define RING_FIRST 256u
#define MILLION 1000000u
#define N_ENDS 2u

struct ring {
	struct path_packet *slot;
	uint32_t size, head, n; /* size is a power of two */
};

struct path {
	struct path_config cfg; /* its rate_bps is that of now */
	struct rng rng;
	uint32_t n_flows;
	uint64_t rtt_ns[PATH_FLOWS_MAX];
	struct ring fifo; /* the first is being sent, if busy */
	bool is_busy;
	uint64_t done_at; /* when the first will have been sent */
	uint64_t queue_bytes;
	struct ring on_wire[PATH_FLOWS_MAX][N_ENDS];
	uint64_t tokens_at; /* the bucket is as full as it would be if it had been empty then */
};

/* --- rings --- */

static bool ring_put(struct ring *r, const struct path_packet *k)
{
	if (r->n == r->size) {
		uint32_t size = r->size != 0 ? 2 * r->size : RING_FIRST;
		struct path_packet *slot = malloc(size * sizeof(*slot));

		if (slot == NULL)
			return false;
		for (uint32_t i = 0; i < r->n; i++)
			slot[i] = r->slot[(r->head + i) & (r->size - 1)];
		free(r->slot);
		*r = (struct ring){ .slot = slot, .size = size, .n = r->n };
	}
	r->slot[(r->head + r->n++) & (r->size - 1)] = *k;
	return true;
}

static struct path_packet *ring_first(const struct ring *r)
{
	return r->n > 0 ? &r->slot[r->head] : NULL;
}

static void ring_take(struct ring *r)
{
	r->head = (r->head + 1) & (r->size - 1);
	r->n--;
}

/* A run without memory for what is on the way means nothing. */
static void must_put(struct ring *r, const struct path_packet *k)
{
	if (!ring_put(r, k))
		abort();
}

/* --- the bottleneck --- */

static uint64_t time_for(uint64_t bytes, uint64_t bps)
{
	return (uint64_t)((unsigned __int128)bytes * 8 * NS_PER_S / bps);
}

static void begin_next(struct path *p, uint64_t now)
{
	struct path_packet *k = ring_first(&p->fifo);

	p->is_busy = k != NULL;
	if (k == NULL)
		return;
	p->queue_bytes -= k->len;
	p->done_at = now + max_u64(time_for(k->len, p->cfg.rate_bps), 1);
}

static void run_bottleneck(struct path *p, uint64_t now)
{
	while (p->is_busy && p->done_at <= now) {
		struct path_packet k = *ring_first(&p->fifo);
		uint64_t then = p->done_at;

		ring_take(&p->fifo);
		k.at = then + p->rtt_ns[k.flow] / 2;
		must_put(&p->on_wire[k.flow][PATH_TO_RECEIVER], &k);
		begin_next(p, then);
	}
}

/* The bucket fills at its rate up to its size; a packet that finds less in it than it needs is lost. */
static bool police(struct path *p, uint32_t len, uint64_t now)
{
	if (p->cfg.policer_bps == 0)
		return true;
	uint64_t full = time_for(p->cfg.policer_burst_bytes, p->cfg.policer_bps);

	if (now > full)
		p->tokens_at = max_u64(p->tokens_at, now - full);
	uint64_t after = p->tokens_at + time_for(len, p->cfg.policer_bps);

	if (after > now)
		return false;
	p->tokens_at = after;
	return true;
}

bool path_send(struct path *p, const struct path_packet *k, uint64_t now, enum path_loss *why)
{
	bool is_unlucky = rng_below(&p->rng, MILLION) < p->cfg.loss_ppm && !k->spared;

	run_bottleneck(p, now);
	if (!police(p, k->len, now)) {
		*why = PATH_LOST_POLICER;
		return false;
	}
	if (is_unlucky) {
		*why = PATH_LOST_RANDOM;
		return false;
	}
	if (p->is_busy && p->queue_bytes + k->len > p->cfg.buffer_bytes) {
		*why = PATH_LOST_BUFFER;
		return false;
	}
	must_put(&p->fifo, k);
	p->queue_bytes += k->len;
	if (!p->is_busy)
		begin_next(p, now);
	return true;
}

void path_send_back(struct path *p, const struct path_packet *k, uint64_t now)
{
	struct path_packet back = *k;
	uint64_t batch = p->cfg.ack_batch_ns, leaves = batch != 0 ? (now + batch - 1) / batch * batch : now;

	back.at = leaves + (p->rtt_ns[k->flow] + 1) / 2;
	must_put(&p->on_wire[k->flow][PATH_TO_SENDER], &back);
}

/* --- what arrives --- */

static struct ring *next_ring(struct path *p, uint32_t *flow, enum path_end *end)
{
	struct ring *best = NULL;

	for (uint32_t f = 0; f < p->n_flows; f++)
		for (uint32_t e = 0; e < N_ENDS; e++) {
			struct ring *r = &p->on_wire[f][e];

			if (r->n == 0 || (best != NULL && ring_first(r)->at >= ring_first(best)->at))
				continue;
			best = r;
			*flow = f;
			*end = (enum path_end)e;
		}
	return best;
}

uint64_t path_next(const struct path *p)
{
	uint64_t next = p->is_busy ? p->done_at : TIME_NEVER;

	for (uint32_t f = 0; f < p->n_flows; f++)
		for (uint32_t e = 0; e < N_ENDS; e++)
			if (p->on_wire[f][e].n > 0)
				next = min_u64(next, ring_first(&p->on_wire[f][e])->at);
	return next;
}

bool path_receive(struct path *p, uint64_t now, struct path_packet *k, enum path_end *end)
{
	uint32_t flow;

	run_bottleneck(p, now);
	struct ring *r = next_ring(p, &flow, end);

	if (r == NULL || ring_first(r)->at > now)
		return false;
	*k = *ring_first(r);
	ring_take(r);
	return true;
}

/* --- life, and what is asked --- */

struct path *path_create(const struct path_config *config, const uint64_t *rtt_ns, uint32_t n_flows,
			 const uint8_t seed[RNG_SEED_BYTES])
{
	struct path *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->cfg = *config;
	p->n_flows = n_flows;
	memcpy(p->rtt_ns, rtt_ns, n_flows * sizeof(rtt_ns[0]));
	rng_init(&p->rng, seed);
	return p;
}

typedef void lose_fn(void *ctx, const struct path_packet *k, enum path_end end);

static void empty(struct ring *r, lose_fn *lose, void *ctx, enum path_end end)
{
	for (; r->n > 0; ring_take(r))
		lose(ctx, ring_first(r), end);
	free(r->slot);
}

void path_destroy(struct path *p, lose_fn *lose, void *ctx)
{
	empty(&p->fifo, lose, ctx, PATH_TO_RECEIVER);
	for (uint32_t f = 0; f < p->n_flows; f++)
		for (uint32_t e = 0; e < N_ENDS; e++)
			empty(&p->on_wire[f][e], lose, ctx, (enum path_end)e);
	free(p);
}

void path_set_rate(struct path *p, uint64_t rate_bps, uint64_t now)
{
	run_bottleneck(p, now);
	p->cfg.rate_bps = rate_bps;
}

uint64_t path_rate(const struct path *p)
{
	return p->cfg.rate_bps;
}

uint64_t path_queue(const struct path *p)
{
	return p->queue_bytes;
}
