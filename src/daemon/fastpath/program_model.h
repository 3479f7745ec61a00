/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For tests: what the kernel's program does with a packet, in plain C over plain
 * memory. It follows layout.h, not the program's source, so that the writer's
 * tests need no kernel.
 */
#ifndef YG_DAEMON_FASTPATH_PROGRAM_MODEL_H
#define YG_DAEMON_FASTPATH_PROGRAM_MODEL_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/fastpath/fastpath.h"
#include "stack/packet/packet.h"

#define MODEL_LOAD(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)

struct model_packet {
	uint32_t conn; /* for the test's own use, like dir */
	uint8_t dir;
	uint32_t src, dst; /* host order, like the ports */
	uint16_t sport, dport;
	uint8_t proto, port;
	bool not_plain; /* FIN, RST, ...: has a flow and goes up */
	uint16_t len;   /* of the IP packet */
	uint32_t end, ack;
	uint16_t win;
	struct up_stamp stamp; /* as it goes up */
};

/* Memory as the loader makes it. */
static inline void model_maps(struct fastpath_maps *m, uint32_t n_connections, uint32_t n_home, uint32_t n_overflow,
			      uint32_t n_adjacencies)
{
	*m = (struct fastpath_maps){ .n_home = n_home,
				     .n_overflow = n_overflow,
				     .n_connections = n_connections,
				     .n_adjacencies = n_adjacencies };
	size_t n_buckets = (size_t)n_home + n_overflow;
	m->config = aligned_alloc(64, sizeof(*m->config));
	m->bucket = aligned_alloc(64, n_buckets * sizeof(*m->bucket));
	m->flow = aligned_alloc(64, 2 * (size_t)n_connections * sizeof(*m->flow));
	m->adjacency = calloc(n_adjacencies, sizeof(*m->adjacency));
	memset(m->config, 0, sizeof(*m->config));
	memset(m->bucket, 0, n_buckets * sizeof(*m->bucket));
	memset(m->flow, 0, 2 * (size_t)n_connections * sizeof(*m->flow));
}

static inline void model_maps_free(struct fastpath_maps *m)
{
	free(m->config);
	free(m->bucket);
	free(m->flow);
	free(m->adjacency);
}

static inline bool model_key_equal(const struct fp_flow *f, const struct model_packet *p)
{
	return MODEL_LOAD(f->src_be) == htonl(p->src) && MODEL_LOAD(f->dst_be) == htonl(p->dst) &&
	       MODEL_LOAD(f->sport_be) == htons(p->sport) && MODEL_LOAD(f->dport_be) == htons(p->dport) &&
	       MODEL_LOAD(f->proto) == p->proto && MODEL_LOAD(f->in_port) == p->port;
}

/* The flow of the packet; *version as it stood before the key was compared. */
static inline struct fp_flow *model_find(const struct fastpath_maps *m, const struct model_packet *p, uint16_t *version)
{
	const __u64 key[2] = { MODEL_LOAD(m->config->key[0]), MODEL_LOAD(m->config->key[1]) };
	uint64_t hash =
		fp_hash_flow(key, htonl(p->src), htonl(p->dst), htons(p->sport), htons(p->dport), p->proto, p->port);
	struct fp_bucket *b = &m->bucket[fp_bucket_of(hash, MODEL_LOAD(m->config->bucket_mask))];

	for (int n = 0; n < FP_CHAIN_MAX; n++) {
		for (int i = 0; i < FP_BUCKET_SLOTS; i++) {
			if (MODEL_LOAD(b->tag[i]) != fp_tag_of(hash))
				continue;
			struct fp_flow *f = &m->flow[MODEL_LOAD(b->ref[i])];
			*version = MODEL_LOAD(f->version);
			if (model_key_equal(f, p))
				return f;
		}
		uint32_t next = MODEL_LOAD(b->next);
		if (next == 0)
			return NULL;
		b = &m->bucket[m->n_home + next - 1];
	}
	return NULL;
}

static inline enum fp_count model_up(struct fp_flow *f, struct model_packet *p, uint16_t version, enum fp_count why)
{
	if ((uint16_t)(MODEL_LOAD(f->up) - MODEL_LOAD(f->handled)) >= FP_UP_MAX)
		return FP_UP_OVERLOAD;
	p->stamp.number = __atomic_add_fetch(&f->up, 1, __ATOMIC_SEQ_CST);
	p->stamp.version = version;
	p->stamp.present = true;
	return why;
}

static inline void model_max(__u32 *mark, uint32_t value)
{
	if ((int32_t)(value - MODEL_LOAD(*mark)) > 0)
		__atomic_store_n(mark, value, __ATOMIC_RELEASE);
}

/* Rewrites p as it leaves; *out is the copy of the flow by which it was decided. */
static inline enum fp_count model_run(const struct fastpath_maps *m, struct model_packet *p, uint64_t mono_ns,
				      struct fp_flow *out)
{
	uint16_t version;
	struct fp_flow *f = model_find(m, p, &version);

	p->stamp.present = false;
	if (MODEL_LOAD(m->config->on) == 0 || f == NULL)
		return FP_UP_NO_FLOW;
	out->new_src_be = MODEL_LOAD(f->new_src_be);
	out->new_dst_be = MODEL_LOAD(f->new_dst_be);
	out->new_sport_be = MODEL_LOAD(f->new_sport_be);
	out->new_dport_be = MODEL_LOAD(f->new_dport_be);
	out->ip_delta = MODEL_LOAD(f->ip_delta);
	out->l4_delta = MODEL_LOAD(f->l4_delta);
	out->adjacency = MODEL_LOAD(f->adjacency);
	out->generation = MODEL_LOAD(f->generation);
	out->handled = MODEL_LOAD(f->handled);
	if (!model_key_equal(f, p) || (version & 1) || MODEL_LOAD(f->version) != version)
		return FP_UP_STALE;
	if (p->not_plain)
		return model_up(f, p, version, FP_UP_NOT_PLAIN);
	if (out->handled != __atomic_load_n(&f->up, __ATOMIC_SEQ_CST) && p->proto == IPPROTO_UDP &&
	    (MODEL_LOAD(f->tcp_win) & FP_DRAIN) != 0) {
		if (fp_tick_of(mono_ns) - MODEL_LOAD(f->last_seen) < FP_DRAIN_TICKS)
			return FP_UP_OVERLOAD;
		__atomic_store_n(&f->last_seen, fp_tick_of(mono_ns), __ATOMIC_RELEASE);
	}
	if (out->handled != __atomic_load_n(&f->up, __ATOMIC_SEQ_CST))
		return model_up(f, p, version, FP_UP_BEHIND);
	if (p->proto == IPPROTO_TCP) {
		const struct fp_flow *other = &m->flow[(f - m->flow) ^ 1];
		uint32_t win = MODEL_LOAD(other->tcp_win);
		uint32_t window = ((win & 0xffff) + 1) << (win >> FP_TCP_SCALE_SHIFT & FP_TCP_SCALE_MAX);
		if ((int32_t)(MODEL_LOAD(other->tcp_ack) + window - p->end) < 0 ||
		    (int32_t)(p->end - MODEL_LOAD(f->tcp_end) + window) < 0 ||
		    (int32_t)(MODEL_LOAD(other->tcp_end) - p->ack) < 0)
			return model_up(f, p, version, FP_UP_WINDOW);
	}
	struct fp_adjacency *a = &m->adjacency[out->adjacency];
	if (MODEL_LOAD(a->version) % 2 != 0 || MODEL_LOAD(a->how) == FP_EGRESS_UP)
		return model_up(f, p, version, FP_UP_ADJACENCY);
	if (out->generation != MODEL_LOAD(a->generation))
		return model_up(f, p, version, FP_UP_STALE);
	if (p->len > MODEL_LOAD(a->mtu))
		return model_up(f, p, version, FP_UP_TOO_BIG);
	__atomic_fetch_add((__u64 *)(void *)&f->packets, 1 + ((__u64)p->len << 32), __ATOMIC_RELEASE);
	__atomic_store_n(&f->last_seen, fp_tick_of(mono_ns), __ATOMIC_RELEASE);
	__atomic_store_n(&a->last_used, fp_tick_of(mono_ns), __ATOMIC_RELEASE);
	if (p->proto == IPPROTO_TCP) {
		model_max(&f->tcp_end, p->end);
		model_max(&f->tcp_ack, p->ack);
		if (p->win > (uint16_t)MODEL_LOAD(f->tcp_win))
			__atomic_store_n((uint16_t *)(void *)&f->tcp_win, p->win, __ATOMIC_RELEASE);
	}
	p->src = ntohl(out->new_src_be);
	p->dst = ntohl(out->new_dst_be);
	p->sport = ntohs(out->new_sport_be);
	p->dport = ntohs(out->new_dport_be);
	return FP_FORWARDED;
}

#endif
