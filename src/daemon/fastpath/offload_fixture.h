/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What stands around the offload's tests. The kernel is a model (program_model.h), and
 * so are the flow cache, conntrack and ip: the few functions of theirs that the offload
 * calls are defined here. For one file of a test.
 */
#ifndef YG_DAEMON_FASTPATH_OFFLOAD_FIXTURE_H
#define YG_DAEMON_FASTPATH_OFFLOAD_FIXTURE_H

#include "daemon/fastpath/offload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/util.h"
#include "daemon/fastpath/flow_map.h"
#include "daemon/fastpath/program_model.h"

#define N_CONNS 4096u
#define N_ADJACENCIES 8u
#define MS NS_PER_MS
#define ROAD_MAX 65536u

static const uint8_t key[16] = { 9, 8, 7 };

/* What stands for the other rooms. */
struct conntrack {
	uint32_t n;
	struct conn *conn;
};

struct flowcache {
	struct conntrack *ct;
	uint32_t n_credits;
	struct flowcache_deferred last[N_CT_DIRS];
	bool none;            /* nobody has a flow cache entry */
	uint32_t others_from; /* connections from here on have other neighbours; 0: all the same */
	const struct fp_adjacency *first_way;
	uint32_t generation; /* of the first way out at the last credit */
	struct {
		uint64_t packets[N_CT_DIRS], bytes[N_CT_DIRS];
	} * credit;
};

struct ip_stack {
	struct device device[IP_INTERFACES_MAX];
	struct ip_adjacency adjacency[N_ADJACENCIES];
	uint32_t n_used[N_ADJACENCIES];
};

struct conn *conntrack_conn(struct conntrack *ct, uint32_t index)
{
	return &ct->conn[index];
}

bool conntrack_tcp_liberal(const struct conn *c)
{
	return false;
}

uint32_t conntrack_capacity(const struct conntrack *ct)
{
	return ct->n;
}

const struct ip_adjacency *ip_adjacency(const struct ip_stack *s, uint32_t index)
{
	return &s->adjacency[index];
}

struct device *ip_stack_device(const struct ip_stack *s, uint32_t ifindex)
{
	return (struct device *)(uintptr_t)&s->device[ifindex];
}

uint32_t ip_n_adjacencies(const struct ip_stack *s)
{
	return N_ADJACENCIES;
}

void ip_adjacency_used(struct ip_stack *s, uint32_t index)
{
	s->n_used[index]++;
}

bool flowcache_view(const struct flowcache *s, uint32_t conn, enum ct_dir dir, struct flowcache_view *out)
{
	const struct conn *c = &s->ct->conn[conn];
	const struct tuple *o = &c->half[!dir].tuple;

	*out = (struct flowcache_view){ .in = c->half[dir].tuple, .in_ifindex = dir + 1u, .adjacency = dir + 1u };
	if (s->others_from != 0 && conn >= s->others_from)
		out->adjacency += 2;
	out->out = (struct tuple){ o->dst, o->src, o->dport, o->sport, o->proto, 0, 0 };
	if (o->proto == IPPROTO_ICMP) {
		out->out.sport = o->sport;
		out->out.dport = c->half[dir].tuple.dport;
	}
	return !s->none;
}

void flowcache_flush_counters(struct flowcache *s, uint32_t conn, enum ct_dir dir,
			      const struct flowcache_deferred *deferred)
{
	s->n_credits++;
	s->generation = MODEL_LOAD(s->first_way->generation);
	s->last[dir] = *deferred;
	s->credit[conn].packets[dir] += deferred->packets;
	s->credit[conn].bytes[dir] += deferred->bytes;
}

struct offload_fixture {
	struct env env;
	struct ip_stack ip;
	struct conntrack ct;
	struct flowcache flowcache;
	struct fastpath_maps maps;
	struct flow_map *flows;
	uint32_t core;
	struct offload_map *m;
	const struct flowcache_offload *o;
	uint32_t n_left, last_left;
	int64_t offset;
	bool stands; /* the queue to user space is never empty */
	/* What went up of which connection, in order; as far as it has a stamp. */
	uint32_t n_went_up, n_came_up;
	struct {
		uint32_t conn;
		uint8_t dir;
		struct up_stamp stamp;
	} road[ROAD_MAX];
};

static inline void left(void *ctx, uint32_t conn)
{
	struct offload_fixture *w = ctx;

	w->n_left++;
	w->last_left = conn;
}

static inline void make_conn(struct offload_fixture *w, uint32_t i, uint8_t proto)
{
	struct conn *c = &w->ct.conn[i];

	*c = (struct conn){ .status = CT_CONFIRMED | CT_SEEN_REPLY | CT_ASSURED };
	c->half[CT_ORIGINAL].tuple =
		(struct tuple){ 0x0a000000 + (w->core << 20) + i, 0x08080808, 1000, 53, proto, 0, 0 };
	c->half[CT_REPLY].tuple =
		(struct tuple){ 0x08080808, 0xcb007105 + w->core, 53, (uint16_t)(2000 + i), proto, 0, 0 };
	if (proto == IPPROTO_ICMP) {
		c->half[CT_ORIGINAL].tuple.dport = 8 << 8;
		c->half[CT_REPLY].tuple.sport = (uint16_t)(2000 + i);
		c->half[CT_REPLY].tuple.dport = 0;
	}
	if (proto == IPPROTO_TCP) {
		c->tcp_state = CT_TCP_ESTABLISHED;
		for (int dir = 0; dir < N_CT_DIRS; dir++) {
			c->half[dir].tcp.end = 5000;
			c->half[dir].tcp.max_ack = 4000;
			c->half[dir].tcp.max_win = 40000u << 7;
			c->half[dir].scale = 7;
		}
	}
}

/* One core's rooms, and its part of share->maps. */
static inline void open_core(struct offload_fixture *w, uint32_t n_conns, const struct offload_share *share)
{
	memset(w, 0, sizeof(*w));
	w->env.now = 1000 * NS_PER_S;
	w->offset = 77 * (int64_t)NS_PER_S;
	w->core = share->core;
	w->maps = *share->maps;
	w->ct.n = n_conns;
	w->ct.conn = aligned_alloc(64, n_conns * sizeof(struct conn));
	w->flowcache.credit = calloc(n_conns, sizeof(*w->flowcache.credit));
	w->flowcache.ct = &w->ct;
	w->flowcache.first_way = &w->maps.adjacency[w->core * N_ADJACENCIES + 1];
	for (uint32_t i = 0; i < n_conns; i++)
		make_conn(w, i, IPPROTO_UDP);
	for (uint32_t i = 1; i < N_ADJACENCIES; i++)
		w->ip.adjacency[i] = (struct ip_adjacency){ .header = { (uint8_t)i, (uint8_t)w->core },
							    .ifindex = (uint8_t)(i == 1 ? 2 : 1),
							    .usable = true,
							    .mtu = 1500 };
	w->m = offload_map_create(&w->env, &w->ip, &w->ct, &w->flowcache, share);
	assert_non_null(w->m);
	w->o = offload_map_slots(w->m);
	offload_map_set_clock(w->m, w->offset);
	offload_map_set_left(w->m, left, w);
	offload_map_set_kind(w->m, 1, FASTPATH_TC);
	offload_map_set_kind(w->m, 2, FASTPATH_TC);
	offload_map_set_port(w->m, 1, 101, FP_EGRESS_REDIRECT);
	offload_map_set_port(w->m, 2, 102, FP_EGRESS_PEER);
}

static inline void close_core(struct offload_fixture *w)
{
	offload_map_destroy(w->m);
	free(w->ct.conn);
	free(w->flowcache.credit);
}

/* Maps for so many connections, and their writer. */
static inline struct flow_map *open_maps(struct fastpath_maps *maps, uint32_t n_slots, uint32_t n_adjacencies)
{
	uint32_t n_home = 16;

	while (n_home * 2 < n_slots)
		n_home *= 2;
	model_maps(maps, n_slots, n_home, n_home / 4 + 8, n_adjacencies);
	return flow_map_create(maps, key);
}

static inline void open_sized(struct offload_fixture *w, uint32_t n_conns, uint32_t n_slots)
{
	struct fastpath_maps maps;
	struct flow_map *flows = open_maps(&maps, n_slots, N_ADJACENCIES);

	assert_non_null(flows);
	open_core(w, n_conns, &(struct offload_share){ .maps = &maps, .flows = flows, .n_cores = 1 });
	w->flows = flows;
}

static inline void open_fixture(struct offload_fixture *w)
{
	open_sized(w, N_CONNS, N_CONNS);
}

static inline void close_fixture(struct offload_fixture *w)
{
	struct flow_map *flows = w->flows;
	struct fastpath_maps maps = w->maps;

	close_core(w);
	flow_map_destroy(flows);
	model_maps_free(&maps);
}

/* The clock goes on by ns; what is due is done at its time, as the worker does it. */
static inline void pass_time(struct offload_fixture *w, uint64_t ns)
{
	uint64_t end = w->env.now + ns, next;

	while ((next = offload_map_next_deadline(w->m)) <= end) {
		w->env.now = max_u64(w->env.now, next);
		for (uint32_t i = 1; i <= 2 && !w->stands; i++)
			offload_map_seen_empty(w->m, i);
		offload_map_expire(w->m);
	}
	w->env.now = end;
}

static inline struct model_packet packet_of(const struct offload_fixture *w, uint32_t conn, enum ct_dir dir)
{
	const struct tuple *t = &w->ct.conn[conn].half[dir].tuple;

	return (struct model_packet){ .conn = conn,
				      .dir = dir,
				      .src = t->src,
				      .dst = t->dst,
				      .sport = t->sport,
				      .dport = t->dport,
				      .proto = t->proto,
				      .port = (uint8_t)(dir + 1),
				      .len = 100,
				      .end = 5000,
				      .ack = 4000,
				      .win = 40000 };
}

static inline enum fp_count run(struct offload_fixture *w, struct model_packet *p)
{
	struct fp_flow out;
	enum fp_count what = model_run(&w->maps, p, w->env.now + (uint64_t)w->offset, &out);
	uint32_t at = w->n_went_up % ROAD_MAX;

	if (!p->stamp.present)
		return what;
	w->road[at].conn = p->conn;
	w->road[at].dir = p->dir;
	w->road[at].stamp = p->stamp;
	w->n_went_up++;
	return what;
}

/* The next one that went up is dealt with. False: there is none. */
static inline bool comes_up(struct offload_fixture *w)
{
	uint32_t at = w->n_came_up % ROAD_MAX;

	if (w->n_came_up == w->n_went_up)
		return false;
	w->n_came_up++;
	w->o->came_up(w->m, w->road[at].conn, (enum ct_dir)w->road[at].dir, &w->road[at].stamp);
	return true;
}

static inline void all_come_up(struct offload_fixture *w)
{
	while (comes_up(w))
		;
}

/* The next one that went up is lost. */
static inline void is_lost(struct offload_fixture *w)
{
	w->n_came_up++;
}

static inline enum fp_count run_one(struct offload_fixture *w, uint32_t conn, enum ct_dir dir)
{
	struct model_packet p = packet_of(w, conn, dir);

	return run(w, &p);
}

/* In, and past the time in which its packets go up. */
static inline void put_in(struct offload_fixture *w, uint32_t conn)
{
	assert_true(w->o->add(w->m, conn));
	pass_time(w, 11 * MS);
}

static inline struct fp_flow *flow_of(struct offload_fixture *w, uint32_t conn, enum ct_dir dir)
{
	struct model_packet p = packet_of(w, conn, dir);
	uint16_t version;

	return model_find(&w->maps, &p, &version);
}

static inline void info_of(struct offload_fixture *w, struct offload_map_info *info)
{
	offload_map_info(w->m, info);
}

#endif
