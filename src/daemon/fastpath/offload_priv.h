/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of the offload share.
 */
#ifndef YG_DAEMON_FASTPATH_OFFLOAD_PRIV_H
#define YG_DAEMON_FASTPATH_OFFLOAD_PRIV_H

#include "base/util.h"
#include "daemon/fastpath/flow_map.h"
#include "daemon/fastpath/offload.h"

/* A slot is used again so long after it was left: by then no program runs that found it before. A flow whose packets
 * are on their way up is looked at again after as long. */
#define OFFLOAD_REST_NS (10 * NS_PER_MS)

#define OFFLOAD_NONE UINT32_MAX

/* The program's fields of a flow: read once, and not again behind our back. */
#define FLOW_LOAD(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)

enum slot_state {
	SLOT_FRESH, /* never used */
	SLOT_LIVE,
	SLOT_RESTING, /* taken out; a program may still be counting in it */
};

/* One direction, what we know of it. */
struct offload_side {
	uint64_t counts;  /* fp_flow_counts as they were credited last */
	uint32_t tick;    /* when it was last seen, as of then */
	uint8_t out_port; /* by which it leaves */
	uint16_t handled; /* as it was published */
	bool is_new;      /* none of its packets has been dealt with since it was written */
	uint8_t n_lost;   /* of its packets, on the way up, since it was open last; at most as many as fit */
	/* When the round began: */
	uint16_t mark;    /* `up` */
	uint32_t n_empty; /* of the port */
};

enum offload_lists {
	LIST_RESTING,
	LIST_WATCHED, /* looked at, see offload_order.c */
	N_OFFLOAD_LISTS
};

struct offload_slot {
	uint32_t conn;
	uint32_t next[N_OFFLOAD_LISTS];
	uint64_t since_ns[N_OFFLOAD_LISTS];
	uint8_t state;   /* enum slot_state */
	bool watched;    /* stands in that list */
	bool rewritten;  /* written while it stood there: it waits a whole round from then on */
	bool is_invalid; /* both directions written under an old generation, and seen so once */
	struct offload_side side[N_CT_DIRS];
};

/* Slots in the order of since_ns. */
struct offload_list {
	uint32_t first, last;
};

/* A way out, as we last saw it. */
struct offload_adjacency {
	uint32_t last_used;  /* fp_adjacency.last_used */
	uint16_t generation; /* of flows that are written now */
	bool known;          /* written at least once */
};

struct offload_map {
	struct env *env;
	struct ip_stack *ip;
	struct conntrack *ct;
	struct flowcache *flowcache;
	struct fastpath_maps maps; /* flows and adjacencies: of this core's range alone, numbered from 0 */
	struct flow_map *flows;    /* shared, numbered as the program does: */
	uint32_t first_slot, first_adjacency;
	uint32_t core;
	struct offload_queues *queues; /* NULL: of one core */
	struct flowcache_offload slots;
	offload_left_fn *left;
	void *left_ctx;
	int64_t clock_offset_ns;

	uint32_t *slot_of; /* by connection: slot + 1, 0: not in */
	uint32_t n_conns;
	struct offload_slot *slot;
	uint32_t n_fresh; /* slots from here on were never used */
	struct offload_list list[N_OFFLOAD_LISTS];
	uint64_t next_watch_ns; /* not before then */

	/* reading back */
	uint32_t cursor, hand;
	uint64_t next_slice_ns; /* TIME_NEVER: nothing is in */
	uint64_t next_adjacencies_ns;

	struct {
		uint32_t kernel_ifindex;
		uint8_t how;      /* enum fp_egress */
		uint8_t kind;     /* enum fastpath_kind */
		uint32_t n_empty; /* times that nothing was on its way up, of one core */
	} port[IP_INTERFACES_MAX];
	struct offload_adjacency *adjacency;
	uint32_t n_adjacencies; /* known ones are below */

	struct offload_map_info info;
};

static inline struct fp_flow *offload_flow(const struct offload_map *m, uint32_t slot, enum ct_dir dir)
{
	return flow_map_flow(&m->maps, slot, dir);
}

/* False of a one-way flow, whose reply's half is not there. */
static inline bool offload_has_reply(const struct offload_map *m, uint32_t slot)
{
	return offload_flow(m, slot, CT_REPLY)->proto != 0;
}

/* OFFLOAD_NONE when the connection is not in. */
static inline uint32_t offload_slot_of(const struct offload_map *m, uint32_t conn)
{
	return conn < m->n_conns ? m->slot_of[conn] - 1 : OFFLOAD_NONE;
}

/* --- offload.c --- */

/* At the end, since now. */
void offload_list_add(struct offload_map *m, enum offload_lists which, uint32_t slot);
/* The first one that has been there for OFFLOAD_REST_NS, OFFLOAD_NONE if none. */
uint32_t offload_list_pop(struct offload_map *m, enum offload_lists which);
/* Takes a connection out and credits it; whoever put it in is told. */
void offload_leave(struct offload_map *m, uint32_t slot);
/* The connection may be forwarded without being looked at. */
bool offload_plain(const struct offload_map *m, uint32_t conn);

/* --- offload_flow.c --- */

/* The first part and the TCP marks of one direction's flow. */
void offload_flow_of(const struct flowcache_view *v, const struct conn *c, enum ct_dir dir, struct fp_flow *out);
/* fp_flow.tcp_win as conntrack would have it. */
uint32_t offload_tcp_win(const struct conn *c, enum ct_dir dir);

/* --- offload_order.c --- */

/* A flow was written: sets side and half->handled so that its packets go up at first. */
void offload_order_begin(struct offload_map *m, uint32_t slot, enum ct_dir dir, struct fp_flow *half);
void offload_order_came_up(struct offload_map *m, uint32_t slot, enum ct_dir dir, const struct up_stamp *stamp);
/* Packets that went through user space have moved conntrack's windows; the program judges both directions by these
 * marks too. Before such a packet is sent, so that what answers it finds them moved. */
void offload_order_renew_marks(struct offload_map *m, uint32_t slot, enum ct_dir dir);
/* It was written; or its counts may differ: it is looked at after OFFLOAD_REST_NS. */
void offload_order_written(struct offload_map *m, uint32_t slot);
void offload_order_look(struct offload_map *m, uint32_t slot);
void offload_order_expire(struct offload_map *m);
uint64_t offload_order_next(const struct offload_map *m);

/* --- offload_queues.c --- */

/* Steps from a moment to when all that had come up by then has been dealt with. */
#define OFFLOAD_EMPTY_STEPS 3
uint32_t offload_queues_epoch(const struct offload_queues *q, uint32_t port);
/* By a core that has nothing more to receive from the port, nor from other workers. */
void offload_queues_empty(struct offload_queues *q, uint32_t core, uint32_t port);
void offload_queues_leave(struct offload_queues *q, uint32_t core, uint32_t port);

/* --- offload_read.c --- */

/* What the program counted before is nobody's any more. */
void offload_read_begin(struct offload_map *m, uint32_t slot);
/* By which ports its packets leave from now on. */
void offload_read_ports(struct offload_map *m, uint32_t slot, const struct fp_flow half[N_CT_DIRS]);
bool offload_read_slot(struct offload_map *m, uint32_t slot);
void offload_read_expire(struct offload_map *m);
/* From now on slices are due. */
void offload_read_start(struct offload_map *m);
/* Takes out one that has not been used for a while, of a few that are looked at. */
void offload_make_room(struct offload_map *m);

/* --- offload_adjacency.c --- */

/* False when flows cannot refer to it. */
bool offload_adjacency_use(struct offload_map *m, uint32_t index);
void offload_adjacency_changed(struct offload_map *m, uint32_t index, enum ip_adjacency_change change);
/* No flow of this core that was written before is forwarded any more. */
void offload_adjacency_invalidate(struct offload_map *m);
/* The flow was written for another neighbour of that number, or before all were invalid. */
bool offload_adjacency_invalidate_for(const struct offload_map *m, const struct fp_flow *f);
/* ... and is so still when the generation comes round. */
void offload_adjacency_keep_invalid(const struct offload_map *m, struct fp_flow *f);
/* Tells ip which stale neighbours were sent to since the last call. */
void offload_adjacency_read(struct offload_map *m);

#endif
