/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ports shared among the workers of a crew, in blocks of 64: one byte for each
 * block of an (address, zone, protocol) says which worker it belongs to and
 * whether anything in it is in use. All workers read and write it; nobody locks.
 *
 * A worker offers only ports of its own blocks. Before it uses the first port of
 * a block it marks the block as used, behind the last one as free; a free block
 * may be taken by any worker that has run dry. A block that was never touched
 * belongs to the worker that its number names, so everybody starts with an equal
 * share.
 */
#ifndef YG_NAT_BLOCKS_H
#define YG_NAT_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

#define NAT_BLOCK_PORTS 64u
#define NAT_BLOCKS_PER_MAP 1024u
#define NAT_BLOCK_PROTOS 3 /* enum nat_proto */
#define NAT_BLOCK_NONE UINT32_MAX
#define NAT_BLOCK_WORKERS_MAX 64u

struct nat_blocks;
struct port_set;

/* NULL without memory. max_addresses is address space only. */
struct nat_blocks *nat_blocks_create(uint32_t n_workers, uint32_t max_addresses);
void nat_blocks_destroy(struct nat_blocks *b);
/* While every worker is at rest: addresses are added and never taken away. False when there are too many. */
bool nat_blocks_add(struct nat_blocks *b, uint32_t addr, uint16_t zone);

/* The row of an address, NAT_BLOCK_NONE when its ports are not shared. */
uint32_t nat_blocks_find(const struct nat_blocks *b, uint32_t addr, uint16_t zone);
uint32_t nat_blocks_owner(const struct nat_blocks *b, uint32_t row, uint32_t proto, uint32_t block);
/* True when the block is the worker's and nothing in it is in use. */
bool nat_blocks_is_idle_of(const struct nat_blocks *b, uint32_t row, uint32_t proto, uint32_t block, uint32_t worker);

/* A free block becomes a used one of the worker, who has it. False: it went to another. */
bool nat_blocks_use(struct nat_blocks *b, uint32_t row, uint32_t proto, uint32_t block, uint32_t worker);
/* A used block of the worker is free from now on, and anybody's who asks. */
void nat_blocks_free(struct nat_blocks *b, uint32_t row, uint32_t proto, uint32_t block, uint32_t worker);
/* Takes over a free block of another worker that has ports of the set; looks from block `start` on. The block's number,
 * NAT_BLOCK_NONE when there is none. */
uint32_t nat_blocks_take(struct nat_blocks *b, uint32_t row, uint32_t proto, const struct port_set *set, uint32_t start,
			 uint32_t worker);
/* The same for one block. */
bool nat_blocks_take_one(struct nat_blocks *b, uint32_t row, uint32_t proto, uint32_t block, uint32_t worker);

#endif
