/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What keeps the kernel's flow map in step with conntrack: puts a connection in
 * when shortcut says so, reads back what was forwarded before conntrack lets
 * anything expire and about once a second for what people read, takes it out at
 * its end. Works on the mapped memory alone (layout.h), makes no system call, and
 * belongs to the worker that owns the connections.
 */
#ifndef YG_FASTPATH_OFFLOAD_H
#define YG_FASTPATH_OFFLOAD_H

#include "fastpath/fastpath.h"
#include "shortcut/shortcut.h"

struct offload_map; /* (struct offload is a packet's) */

struct offload_map *offload_map_create(struct env *env, struct ip_stack *ip, struct conntrack *ct,
				       struct shortcuts *shortcuts, const struct fastpath_maps *maps,
				       const uint8_t key[16]);
/* Credits and takes out everything. */
void offload_map_destroy(struct offload_map *m);
/* For shortcuts_set_offload. */
const struct shortcuts_offload *offload_map_slots(struct offload_map *m);

/* How frames leave by an interface (fastpath_how) and the kernel's number of it; FP_HOW_UP while it is not attached. */
void offload_map_set_port(struct offload_map *m, uint32_t ifindex, uint32_t kernel_ifindex, enum fp_how how);

/* Sliced reading back; call at offload_map_next_deadline at the latest. */
void offload_map_expire(struct offload_map *m);
uint64_t offload_map_next_deadline(const struct offload_map *m);
/* Before counters are shown: credits everything now. */
void offload_map_read_all(struct offload_map *m);

struct offload_map_info {
	uint32_t n_connections, capacity;
	uint64_t n_added, n_removed;
	uint64_t n_full; /* times there was no room */
};
void offload_map_info(const struct offload_map *m, struct offload_map_info *out);

#endif
