/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Packets and their memory: three pools of fixed size, one of descriptors and
 * two of buffers. Every operation costs the same at every fill.
 *
 * Life of a packet: packet_alloc (bytes in a pool buffer) or packet_set_external (bytes
 * of a driver) begins it; packet_copy_on_hold may move external bytes into a pool buffer on
 * the way; packet_free ends it. Beginnings and endings are counted in the
 * ledger by those who know why (ledger.h).
 *
 * What always holds of a packet in use: buf is not NULL, and exactly one of
 * these is true: buf_index names a pool buffer, or the bytes are external and
 * buf_index is POOL_NONE. Only a buffer made by packet_buffer_alloc may be shared, and
 * only what packet_share makes shares it: others never look at the counts. The descriptor of a freed packet has buf
 * NULL, and so a second free is noticed.
 *
 * A frame that needs a small buffer gets a large one when the small ones are
 * used up: better to spend it than to lose the frame.
 */
#include "stack/packet/packet.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "stack/packet/trace.h"

#define CACHE_LINE 64

struct packet_pool {
	struct pool packets;
	struct pool small;
	struct pool large;
	/* Of shared buffers: how many have them, less one. */
	uint16_t *small_shares, *large_shares;
	struct packet_conn_slots conn;
	struct trace_slot trace;
};

struct packet_pool *packet_pool_create(const struct packet_pool_config *cfg)
{
	struct packet_pool *pool = calloc(1, sizeof(*pool));
	if (pool == NULL)
		return NULL;
	if (pool_init(&pool->packets, cfg->n_packets, sizeof(struct packet), CACHE_LINE) != 0)
		goto free_pool;
	if (pool_init(&pool->small, cfg->n_small, PACKET_SMALL_BYTES, CACHE_LINE) != 0)
		goto fini_packets;
	if (pool_init(&pool->large, cfg->n_large, PACKET_LARGE_BYTES, CACHE_LINE) != 0)
		goto fini_small;
	pool->small_shares = calloc(cfg->n_small, sizeof(*pool->small_shares));
	pool->large_shares = calloc(cfg->n_large, sizeof(*pool->large_shares));
	if (pool->small_shares == NULL || pool->large_shares == NULL)
		goto free_shares;
	return pool;

free_shares:
	free(pool->large_shares);
	free(pool->small_shares);
	pool_fini(&pool->large);
fini_small:
	pool_fini(&pool->small);
fini_packets:
	pool_fini(&pool->packets);
free_pool:
	free(pool);
	return NULL;
}

void packet_pool_destroy(struct packet_pool *pool)
{
	if (pool == NULL)
		return;
	free(pool->large_shares);
	free(pool->small_shares);
	pool_fini(&pool->large);
	pool_fini(&pool->small);
	pool_fini(&pool->packets);
	free(pool);
}

uint32_t packet_pool_used(const struct packet_pool *pool)
{
	return pool->packets.n_used;
}

uint32_t packet_pool_capacity(const struct packet_pool *pool)
{
	return pool->packets.cap;
}

bool packet_buffer_alloc(struct packet_pool *pool, uint32_t len, struct packet_buffer *b)
{
	if (len > PACKET_LARGE_BYTES)
		return false;
	b->large = len > PACKET_SMALL_BYTES;
	b->index = b->large ? POOL_NONE : pool_alloc(&pool->small);
	if (b->index == POOL_NONE) {
		b->large = true;
		b->index = pool_alloc(&pool->large);
	}
	if (b->index == POOL_NONE)
		return false;
	b->bytes = pool_at(b->large ? &pool->large : &pool->small, b->index);
	b->len = b->large ? PACKET_LARGE_BYTES : PACKET_SMALL_BYTES;
	return true;
}

static void buffer_free(struct packet_pool *pool, uint32_t index, bool large)
{
	pool_free(large ? &pool->large : &pool->small, index);
}

static uint16_t *shares_of(const struct packet_pool *pool, uint32_t index, bool large)
{
	return (large ? pool->large_shares : pool->small_shares) + index;
}

static void buffer_put(struct packet_pool *pool, uint32_t index, bool large)
{
	uint16_t *shares = shares_of(pool, index, large);

	if (*shares == 0)
		buffer_free(pool, index, large);
	else
		(*shares)--;
}

void packet_buffer_put(struct packet_pool *pool, const struct packet_buffer *b)
{
	buffer_put(pool, b->index, b->large);
}

bool packet_buffer_get(struct packet_pool *pool, const struct packet_buffer *b)
{
	uint16_t *shares = shares_of(pool, b->index, b->large);

	if (YG_UNLIKELY(*shares == UINT16_MAX))
		return false;
	(*shares)++;
	return true;
}

bool packet_buffer_large_abound(const struct packet_pool *pool)
{
	return pool->large.n_used <= pool->large.cap / 2;
}

bool packet_buffer_is_own(const struct packet_pool *pool, const struct packet_buffer *b)
{
	return *shares_of(pool, b->index, b->large) == 0;
}

struct packet_buffer packet_buffer_at(const struct packet_pool *pool, uint32_t index, bool large)
{
	return (struct packet_buffer){
		.bytes = pool_at(large ? &pool->large : &pool->small, index),
		.len = large ? PACKET_LARGE_BYTES : PACKET_SMALL_BYTES,
		.index = index,
		.large = large,
	};
}

/* A pool buffer for a frame behind the headroom. */
static bool buffer_alloc(struct packet_pool *pool, uint32_t frame_len, struct packet_buffer *b)
{
	return frame_len <= PACKET_LARGE_BYTES - PACKET_HEADROOM &&
	       packet_buffer_alloc(pool, frame_len + PACKET_HEADROOM, b);
}

/* A descriptor in its first state, without bytes. Constant sizes of a line each, which compilers write as a few vector
 * stores; for larger ones they take an instruction that needs longer to begin. */
static struct packet *descriptor_alloc(struct packet_pool *pool)
{
	uint32_t index = pool_alloc(&pool->packets);
	if (YG_UNLIKELY(index == POOL_NONE))
		return NULL;
	struct packet *p = pool_at(&pool->packets, index);
	memset(p, 0, CACHE_LINE);
	memset((uint8_t *)p + CACHE_LINE, 0, PACKET_CLEARED - CACHE_LINE);
	p->index = index;
	p->buf_index = POOL_NONE;
	p->conn_ref = CONN_NONE;
	return p;
}

static void use_buffer(struct packet *p, const struct packet_buffer *b)
{
	p->buf = b->bytes;
	p->buf_len = b->len;
	p->off = PACKET_HEADROOM;
	p->buf_index = b->index;
	p->buf_large = b->large;
	p->buf_shared = false;
	p->release = NULL;
	p->release_ctx = NULL;
	p->release_cookie = 0;
}

struct packet *packet_alloc(struct packet_pool *pool, uint32_t frame_len)
{
	struct packet_buffer b;
	if (!buffer_alloc(pool, frame_len, &b))
		return NULL;
	struct packet *p = descriptor_alloc(pool);
	if (p == NULL) {
		buffer_free(pool, b.index, b.large);
		return NULL;
	}
	/* Whoever makes a packet leaves fields of its headers zero. */
	memset((uint8_t *)p + PACKET_CLEARED, 0, sizeof(*p) - PACKET_CLEARED);
	use_buffer(p, &b);
	p->len = frame_len;
	return p;
}

struct packet *packet_share(struct packet_pool *pool, const struct packet_buffer *b, uint32_t off, uint32_t len)
{
	assert(off <= b->len && len <= b->len - off);
	if (!packet_buffer_get(pool, b))
		return NULL;
	struct packet *p = descriptor_alloc(pool);
	if (p == NULL) {
		packet_buffer_put(pool, b);
		return NULL;
	}
	use_buffer(p, b);
	p->off = off;
	p->len = len;
	p->buf_shared = true;
	return p;
}

struct packet *packet_set_external(struct packet_pool *pool, uint8_t *buf, uint32_t buf_len, uint32_t off,
				   uint32_t frame_len, void (*release)(void *ctx, uint64_t cookie), void *ctx,
				   uint64_t cookie)
{
	assert(buf != NULL && off <= buf_len && frame_len <= buf_len - off);
	struct packet *p = descriptor_alloc(pool);
	if (p == NULL)
		return NULL;
	p->buf = buf;
	p->buf_len = buf_len;
	p->off = off;
	p->len = frame_len;
	p->release = release;
	p->release_ctx = ctx;
	p->release_cookie = cookie;
	return p;
}

bool packet_unshare(struct packet_pool *pool, struct packet *p)
{
	struct packet_buffer b;

	if (!p->buf_shared)
		return true;
	if (!buffer_alloc(pool, p->len, &b))
		return false;
	memcpy(b.bytes + PACKET_HEADROOM, packet_frame(p), p->len);
	buffer_put(pool, p->buf_index, p->buf_large);
	use_buffer(p, &b);
	return true;
}

bool packet_copy_on_hold(struct packet_pool *pool, struct packet *p)
{
	if (p->buf_index != POOL_NONE || p->may_keep)
		return true;
	struct packet_buffer b;
	if (!buffer_alloc(pool, p->len, &b))
		return false;
	memcpy(b.bytes + PACKET_HEADROOM, packet_frame(p), p->len);
	if (p->release != NULL)
		p->release(p->release_ctx, p->release_cookie);
	use_buffer(p, &b);
	return true;
}

struct packet *packet_alloc_like(struct packet_pool *pool, const struct packet *p, uint32_t frame_len)
{
	struct packet *like = packet_alloc(pool, frame_len);
	if (like == NULL)
		return NULL;
	struct packet_buffer b = { like->buf, like->buf_len, like->buf_index, like->buf_large };
	uint32_t index = like->index;
	*like = *p;
	like->index = index;
	like->len = frame_len;
	use_buffer(like, &b);
	/* The original's place in a list is not the new one's. */
	like->next = NULL;
	/* Nor is its hold on a connection. */
	like->conn_unconfirmed = false;
	return like;
}

struct packet *packet_copy(struct packet_pool *pool, const struct packet *p)
{
	struct packet *copy = packet_alloc_like(pool, p, p->len);
	if (copy != NULL)
		memcpy(packet_frame(copy), p->buf + p->off, p->len);
	return copy;
}

void packet_pool_set_conn_slots(struct packet_pool *pool, const struct packet_conn_slots *slots)
{
	pool->conn = *slots;
}

void packet_pool_set_trace(struct packet_pool *pool, const struct trace_slot *t)
{
	pool->trace = *t;
}

void packet_get_conn(struct packet_pool *pool, struct packet *p)
{
	if (pool->conn.get != NULL)
		pool->conn.get(pool->conn.ctx, p);
}

void packet_revalidate_conn(struct packet_pool *pool, struct packet *p)
{
	if (p->conn_unconfirmed && pool->conn.revalidate != NULL)
		pool->conn.revalidate(pool->conn.ctx, p);
}

void packet_take_tag_out(struct packet *p)
{
	struct offload *o = &p->offload;

	ether_take_tag_out(packet_frame(p));
	p->off += ETHER_TAG_LEN;
	p->len -= ETHER_TAG_LEN;
	if (o->csum_partial)
		o->csum_start = (uint16_t)(o->csum_start - min_u32(o->csum_start, ETHER_TAG_LEN));
	if (o->gso_type != GSO_NONE)
		o->gso_hdr_len = (uint16_t)(o->gso_hdr_len - min_u32(o->gso_hdr_len, ETHER_TAG_LEN));
}

void packet_free(struct packet_pool *pool, struct packet *p)
{
	assert(p->buf != NULL && "a packet is freed once");
	assert(pool_at(&pool->packets, p->index) == (void *)p && "a packet goes back to its own pool");
	if (p->conn_unconfirmed && pool->conn.put != NULL)
		pool->conn.put(pool->conn.ctx, p);
	if (p->buf_index != POOL_NONE && YG_UNLIKELY(p->buf_shared))
		buffer_put(pool, p->buf_index, p->buf_large);
	else if (p->buf_index != POOL_NONE)
		buffer_free(pool, p->buf_index, p->buf_large);
	else if (p->release != NULL)
		p->release(p->release_ctx, p->release_cookie);
	p->buf = NULL;
	pool_free(&pool->packets, p->index);
}

void packet_drop(struct packet_pool *pool, struct ledger *ledger, struct packet *p, enum drop_reason reason)
{
	assert((unsigned)reason < N_DROP_REASONS);
	p->reason = (uint16_t)reason;
	if (YG_UNLIKELY(pool->trace.fn != NULL))
		trace_end(&pool->trace, TRACE_DROPPED, p);
	ledger_drop(ledger, reason, p->out_ifindex != 0 ? p->out_ifindex : p->in_ifindex);
	packet_free(pool, p);
}

static inline uint32_t verdict_of(const struct packet *p)
{
	return YG_LIKELY(p != NULL) ? p->verdict : VERDICT_STOLEN;
}

/* Those at the beginning that go on: as a rule all, so eight are asked at once. */
static uint32_t n_that_go_on(const struct batch *b)
{
	uint32_t n = 0;

	_Static_assert(VERDICT_CONTINUE == 0, "and so is what eight of it come to");
	for (; n + 8 <= b->n; n += 8) {
		struct packet *const *p = &b->p[n];

		if (YG_UNLIKELY((verdict_of(p[0]) | verdict_of(p[1]) | verdict_of(p[2]) | verdict_of(p[3]) |
				 verdict_of(p[4]) | verdict_of(p[5]) | verdict_of(p[6]) | verdict_of(p[7])) != 0))
			break;
	}
	while (n < b->n && verdict_of(b->p[n]) == VERDICT_CONTINUE)
		n++;
	return n;
}

void batch_settle(struct batch *b, struct packet_pool *pool, struct ledger *ledger)
{
	uint32_t n_kept = n_that_go_on(b);

	for (uint32_t i = n_kept; i < b->n; i++) {
		struct packet *p = b->p[i];
		if (p == NULL)
			continue;
		if (YG_LIKELY(p->verdict == VERDICT_CONTINUE))
			b->p[n_kept++] = p;
		else if (p->verdict == VERDICT_DROP)
			packet_drop(pool, ledger, p, (enum drop_reason)p->reason);
		else if (p->verdict == VERDICT_DELIVERED || p->verdict == VERDICT_CONSUMED) {
			bool delivered = p->verdict == VERDICT_DELIVERED;

			*(delivered ? &ledger->n_delivered : &ledger->n_consumed) += 1;
			if (YG_UNLIKELY(pool->trace.fn != NULL))
				trace_end(&pool->trace, delivered ? TRACE_DELIVERED : TRACE_CONSUMED, p);
			packet_free(pool, p);
		}
	}
	b->n = n_kept;
}
