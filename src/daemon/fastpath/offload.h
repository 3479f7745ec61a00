/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What keeps the kernel's flow map in step with conntrack: puts a connection in
 * when the flow cache says so, reads back what was forwarded before conntrack lets
 * anything expire and about once a second for what people read, takes it out at
 * its end. Works on the mapped memory alone (layout.h), makes no system call, and
 * belongs to the worker that owns the connections. Where several do, each has one
 * of these, over the same maps: a packet that the program sent up is counted as
 * dealt with by the core whose connection it is of, whoever received it.
 *
 * What the flow cache guarantees us:
 *   - it calls read_back before any packet of an offloaded connection that came up is judged by conntrack: a FIN or
 *     RST is judged by windows that the kernel's packets have moved;
 *   - it calls came_up for every packet with a stamp (stack/packet/stamp.h), of whatever connection, once, after it has
 * been dealt with (handed to the driver, dropped, held ...), in the order in which they came;
 *   - add is called again for a connection that is in already when its flow cache entries were installed again: it is
 * rewritten in place;
 *   - add, read_back, came_up and remove of a connection that is not in do nothing: we take connections out by
 *     ourselves too (TCP that closes, idle ones when others ask), and tell so through `left`.
 */
#ifndef YG_DAEMON_FASTPATH_OFFLOAD_H
#define YG_DAEMON_FASTPATH_OFFLOAD_H

#include "daemon/fastpath/fastpath.h"
#include "gateway/flowcache/flowcache.h"

struct offload_map; /* (struct offload is a packet's) */
struct flow_map;    /* flow_map.h; made once for the maps, outlives us */
struct offload_queues;

/* What a core has of the maps: an equal part of connections and adjacencies, and as many buckets as it needs. */
struct offload_share {
	const struct fastpath_maps *maps;
	struct flow_map *flows;
	struct offload_queues *queues; /* of all cores; NULL with one */
	uint32_t core, n_cores;        /* from 0; at least 1 */
};

/* What cores tell each other about their receive queues. NULL without memory. */
struct offload_queues *offload_queues_create(uint32_t n_cores);
void offload_queues_destroy(struct offload_queues *q);

/* Touches nothing of the other cores': each may be made, used and destroyed in its own thread. */
struct offload_map *offload_map_create(struct env *env, struct ip_stack *ip, struct conntrack *ct,
				       struct flowcache *flowcache, const struct offload_share *share);
/* Credits and takes out everything. */
void offload_map_destroy(struct offload_map *m);
/* For flowcache_set_offload. */
const struct flowcache_offload *offload_map_slots(struct offload_map *m);

/* CLOCK_MONOTONIC minus the core's clock, ns; 0 at first. The program's ticks are of CLOCK_MONOTONIC. */
void offload_map_set_clock(struct offload_map *m, int64_t monotonic_minus_now_ns);

/* Slot: a connection was taken out without being asked for; add may be called again. */
typedef void offload_left_fn(void *ctx, uint32_t conn);
void offload_map_set_left(struct offload_map *m, offload_left_fn *fn, void *ctx);

/* How frames leave by an interface (fastpath_egress) and the kernel's number of it; FP_EGRESS_UP while it is not
 * attached. */
void offload_map_set_port(struct offload_map *m, uint32_t ifindex, uint32_t kernel_ifindex, enum fp_egress how);
/* By which kind of program an interface is served; FASTPATH_XDP_NATIVE unless it is said. An XDP program reaches only
 * interfaces that have one too, a native one only those whose driver takes redirected frames; tc reaches all. */
void offload_map_set_kind(struct offload_map *m, uint32_t ifindex, enum fastpath_kind kind);

/* What came up from this interface has all been dealt with: there was no more to receive. With several cores: by this
 * core's worker, and nothing of what others had handed to it either. */
void offload_map_seen_empty(struct offload_map *m, uint32_t ifindex);

/* Sliced reading back; call at offload_map_next_deadline at the latest. */
void offload_map_expire(struct offload_map *m);
uint64_t offload_map_next_deadline(const struct offload_map *m);
/* Before counters are shown: credits everything now. */
void offload_map_read_all(struct offload_map *m);
/* True while the kernel has the connection. */
bool offload_map_has(const struct offload_map *m, uint32_t conn);

struct offload_map_info {
	uint32_t n_connections, capacity;
	uint64_t n_added, n_removed;
	uint64_t n_full;             /* times there was no room */
	uint64_t n_no_way;           /* times a neighbour's number was beyond the ways out that this core has */
	uint64_t n_packets, n_bytes; /* forwarded by the kernel and credited to connections */
	uint64_t n_late;             /* packets that the kernel counted after their connection was taken out */
	uint64_t n_lost;             /* packets of flows that went up and never came to their connection */
};
void offload_map_info(const struct offload_map *m, struct offload_map_info *out);

#endif
