/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ports shared among the workers of a group, in blocks of 64: one byte for each
 * block of an (address, zone, protocol) says which worker it belongs to and
 * whether anything in it is in use. All workers read and write it; nobody locks.
 *
 * A worker offers only ports of its own blocks. Before it uses the first port of
 * a block it marks the block as used, behind the last one as free; a free block
 * may be taken by any worker that has run dry. A block that was never touched
 * belongs to the worker that its number names, so everybody starts with an equal
 * share.
 */
#ifndef YG_STACK_PORTS_PORT_BLOCKS_H
#define YG_STACK_PORTS_PORT_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/pool.h"
#include "stack/ports/port_proto.h"

#define PORT_BLOCK_PORTS 64u
#define PORT_BLOCKS_PER_MAP 1024u
#define PORT_BLOCK_NONE UINT32_MAX
#define PORT_BLOCK_WORKERS_MAX 64u

struct port_set;

/* For the functions below that are asked for every packet. */
#define PORT_BLOCKS_SEEN_BITS 4096u
struct port_blocks_row {
	uint8_t state[N_PORT_PROTOS][PORT_BLOCKS_PER_MAP] __attribute__((aligned(64)));
	bool was_used; /* some worker has translated to this address */
};
/* Of an address that is there. */
struct port_blocks_slot {
	uint32_t addr;
	uint16_t zone;
	uint32_t row_plus_1; /* 0: nobody's */
};
struct port_blocks {
	uint32_t n_workers;
	uint32_t n_slots; /* a power of two, at least four times max_rows */
	uint32_t max_rows, n_rows;
	uint32_t n_used_slots; /* half of them at most */
	struct port_blocks_slot *slot;
	struct port_blocks_row *row;
	struct pool slots, rows; /* used as arrays: what nobody touches costs nothing */
	/* A bit for many addresses: 0 where none of them is there. Most packets go to somebody else, and each would
	 * wait for another line of the slots. */
	uint64_t seen[PORT_BLOCKS_SEEN_BITS / 64];
};

/* NULL without memory. max_addresses is address space only. */
struct port_blocks *port_blocks_create(uint32_t n_workers, uint32_t max_addresses);
void port_blocks_destroy(struct port_blocks *b);
/* While every worker is quiesced: addresses are added and never taken away. False when there are too many. */
bool port_blocks_add(struct port_blocks *b, uint32_t addr, uint16_t zone);
/* The address is seen in that zone too, and is the same as in `home`, where it was added. What it is there it stays. */
bool port_blocks_alias(struct port_blocks *b, uint32_t addr, uint16_t zone, uint16_t home);
bool port_blocks_same(const struct port_blocks *b, uint32_t addr, uint16_t zone, uint16_t other);

static inline uint32_t port_blocks_seen_bit(uint32_t addr)
{
	return addr * 2654435761u / (UINT32_MAX / PORT_BLOCKS_SEEN_BITS + 1);
}

/* Nobody outside chooses these addresses, so a plain hash does. */
static inline uint32_t port_blocks_slot_of(const struct port_blocks *b, uint32_t addr, uint16_t zone)
{
	return (uint32_t)((addr ^ (uint64_t)zone << 32) * UINT64_C(0x9e3779b97f4a7c15) >> 40) & (b->n_slots - 1);
}

/* The row of an address, PORT_BLOCK_NONE when its ports are not shared. */
static inline uint32_t port_blocks_find(const struct port_blocks *b, uint32_t addr, uint16_t zone)
{
	uint32_t bit = port_blocks_seen_bit(addr);

	if ((b->seen[bit / 64] >> bit % 64 & 1) == 0)
		return PORT_BLOCK_NONE;
	for (uint32_t i = port_blocks_slot_of(b, addr, zone);; i = (i + 1) & (b->n_slots - 1)) {
		const struct port_blocks_slot *s = &b->slot[i];

		if (s->row_plus_1 == 0)
			return PORT_BLOCK_NONE;
		if (s->addr == addr && s->zone == zone)
			return s->row_plus_1 - 1;
	}
}

#define PORT_BLOCK_IN_USE 0x80u
static inline uint32_t port_blocks_owner_of(const struct port_blocks *b, uint32_t row, uint32_t block, uint8_t state)
{
	if (state == 0)
		return (row + block) % b->n_workers;
	return (state & ~PORT_BLOCK_IN_USE) - 1;
}

static inline uint32_t port_blocks_owner(const struct port_blocks *b, uint32_t row, uint32_t proto, uint32_t block)
{
	return port_blocks_owner_of(b, row, block, __atomic_load_n(&b->row[row].state[proto][block], __ATOMIC_ACQUIRE));
}

/* True when the block is the worker's and nothing in it is in use. */
bool port_blocks_is_idle_of(const struct port_blocks *b, uint32_t row, uint32_t proto, uint32_t block, uint32_t worker);

/* A free block becomes a used one of the worker, who has it. False: it went to another. */
bool port_blocks_use(struct port_blocks *b, uint32_t row, uint32_t proto, uint32_t block, uint32_t worker);
/* Whether any worker ever did, of any protocol. */
bool port_blocks_was_used(const struct port_blocks *b, uint32_t row);
/* A used block of the worker is free from now on, and anybody's who asks. */
void port_blocks_free(struct port_blocks *b, uint32_t row, uint32_t proto, uint32_t block, uint32_t worker);
/* Takes over a free block of another worker that has ports of the set; looks from block `start` on. The block's number,
 * PORT_BLOCK_NONE when there is none. */
uint32_t port_blocks_take(struct port_blocks *b, uint32_t row, uint32_t proto, const struct port_set *set,
			  uint32_t start, uint32_t worker);
/* The same for one block. */
bool port_blocks_take_one(struct port_blocks *b, uint32_t row, uint32_t proto, uint32_t block, uint32_t worker);

#endif
