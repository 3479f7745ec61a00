/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The flow table that the kernel's program reads (layout.h), from the side that
 * writes it. A slot is room for one connection: two flows, one a direction, at
 * 2 * slot and 2 * slot + 1 of the array.
 *
 * Readers run at any moment, on other CPUs, and wait for nobody: see flow_map.c
 * for the order of writes. Several threads may write, each to slots of its own.
 */
#ifndef YG_DAEMON_FASTPATH_FLOW_MAP_H
#define YG_DAEMON_FASTPATH_FLOW_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/fastpath/fastpath.h"

struct flow_map;

/* Empty buckets, and the key. maps outlive it. NULL without memory. */
struct flow_map *flow_map_create(const struct fastpath_maps *maps, const uint8_t key[16]);
/* Nothing is found any more. */
void flow_map_destroy(struct flow_map *m);

static inline struct fp_flow *flow_map_flow(const struct fastpath_maps *maps, uint32_t slot, unsigned dir)
{
	return &maps->flow[(uint64_t)slot << 1 | dir];
}

/* A half of protocol 0, only ever the second, is not there. */
/* Writes both flows of an empty slot, marks included, and then lets them be found. What the program counts (up,
 * packets, bytes, last_seen) goes on from where it was. False, and nothing is found, when a chain is full. */
bool flow_map_insert(struct flow_map *m, uint32_t slot, const struct fp_flow half[2]);
/* Rewrites what may change of flows whose tuples stay: all but addresses, ports, protocol and port. */
void flow_map_rewrite(struct flow_map *m, uint32_t slot, const struct fp_flow half[2]);
/* Nobody finds them from now on, and who found them before and did not yet decide sends the packet up. */
void flow_map_remove(struct flow_map *m, uint32_t slot);
/* True when half names the same two packets as what stands in the slot. */
bool flow_map_same(const struct flow_map *m, uint32_t slot, const struct fp_flow half[2]);

#endif
