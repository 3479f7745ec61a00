/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Blocks of ports between workers.
 *
 * A byte is 0 (never touched: free, and its owner follows from its number) or
 * worker + 1, with IN_USE when something in the block is in use. It changes so:
 *
 *   free, any owner -> free, me      port_blocks_take: I have run dry
 *   free, me        -> in use, me    port_blocks_use: may fail, somebody took it
 *   in use, me      -> free, me      port_blocks_free: only I do that
 *
 * So nobody but its owner touches a block in use, and where a packet to a port of
 * it belongs does not change while a connection lives on it. A worker finds out
 * that a free block of its own was taken when it wants to use it.
 *
 * Reading eight bytes at once finds a free block among 1024 in 128 loads, also
 * when there is none.
 */
#include "stack/ports/port_blocks.h"

#include <stdlib.h>
#include <string.h>

#include "stack/ports/portmap.h"

#define IN_USE PORT_BLOCK_IN_USE
#define ALL_IN_USE UINT64_C(0x8080808080808080)
#define N_WORDS (PORT_BLOCKS_PER_MAP / 8)

struct port_blocks *port_blocks_create(uint32_t n_workers, uint32_t max_addresses)
{
	struct port_blocks *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->n_workers = n_workers;
	b->max_rows = max_addresses;
	for (b->n_slots = 16; b->n_slots < 4 * max_addresses;)
		b->n_slots *= 2;
	if (pool_init(&b->slots, b->n_slots, sizeof(*b->slot), 4) != 0)
		goto free_blocks;
	if (pool_init(&b->rows, max_addresses, sizeof(*b->row), 64) != 0)
		goto fini_slots;
	b->slot = pool_at(&b->slots, 0);
	b->row = pool_at(&b->rows, 0);
	return b;

fini_slots:
	pool_fini(&b->slots);
free_blocks:
	free(b);
	return NULL;
}

void port_blocks_destroy(struct port_blocks *b)
{
	if (b == NULL)
		return;
	pool_fini(&b->rows);
	pool_fini(&b->slots);
	free(b);
}

static bool put_slot(struct port_blocks *b, uint32_t addr, uint16_t zone, uint32_t row_plus_1)
{
	uint32_t i = port_blocks_slot_of(b, addr, zone);

	if (b->n_used_slots >= b->n_slots / 2)
		return false;
	b->n_used_slots++;
	while (b->slot[i].row_plus_1 != 0)
		i = (i + 1) & (b->n_slots - 1);
	b->slot[i] = (struct port_blocks_slot){ .addr = addr, .zone = zone, .row_plus_1 = row_plus_1 };
	b->seen[port_blocks_seen_bit(addr) / 64] |= UINT64_C(1) << port_blocks_seen_bit(addr) % 64;
	return true;
}

bool port_blocks_add(struct port_blocks *b, uint32_t addr, uint16_t zone)
{
	if (port_blocks_find(b, addr, zone) != PORT_BLOCK_NONE)
		return true;
	return b->n_rows < b->max_rows && put_slot(b, addr, zone, b->n_rows + 1) && ++b->n_rows;
}

bool port_blocks_alias(struct port_blocks *b, uint32_t addr, uint16_t zone, uint16_t home)
{
	if (port_blocks_find(b, addr, zone) != PORT_BLOCK_NONE)
		return true;
	return put_slot(b, addr, zone, port_blocks_find(b, addr, home) + 1);
}

bool port_blocks_same(const struct port_blocks *b, uint32_t addr, uint16_t zone, uint16_t other)
{
	uint32_t row = port_blocks_find(b, addr, zone);

	return row != PORT_BLOCK_NONE && row == port_blocks_find(b, addr, other);
}

static uint8_t *state_at(const struct port_blocks *b, uint32_t row, uint32_t proto, uint32_t block)
{
	return &b->row[row].state[proto][block];
}

static uint8_t load(const struct port_blocks *b, uint32_t row, uint32_t proto, uint32_t block)
{
	return __atomic_load_n(state_at(b, row, proto, block), __ATOMIC_ACQUIRE);
}

bool port_blocks_is_idle_of(const struct port_blocks *b, uint32_t row, uint32_t proto, uint32_t block, uint32_t worker)
{
	uint8_t state = load(b, row, proto, block);

	return (state & IN_USE) == 0 && port_blocks_owner_of(b, row, block, state) == worker;
}

static bool change(struct port_blocks *b, uint32_t row, uint32_t proto, uint32_t block, uint8_t from, uint8_t to)
{
	return __atomic_compare_exchange_n(state_at(b, row, proto, block), &from, to, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

bool port_blocks_use(struct port_blocks *b, uint32_t row, uint32_t proto, uint32_t block, uint32_t worker)
{
	uint8_t state = load(b, row, proto, block);

	if ((state & IN_USE) != 0 || port_blocks_owner_of(b, row, block, state) != worker ||
	    !change(b, row, proto, block, state, (uint8_t)((worker + 1) | IN_USE)))
		return false;
	if (!port_blocks_was_used(b, row))
		__atomic_store_n(&b->row[row].was_used, true, __ATOMIC_RELAXED);
	return true;
}

bool port_blocks_was_used(const struct port_blocks *b, uint32_t row)
{
	return __atomic_load_n(&b->row[row].was_used, __ATOMIC_RELAXED);
}

void port_blocks_free(struct port_blocks *b, uint32_t row, uint32_t proto, uint32_t block, uint32_t worker)
{
	__atomic_store_n(state_at(b, row, proto, block), (uint8_t)(worker + 1), __ATOMIC_RELEASE);
}

bool port_blocks_take_one(struct port_blocks *b, uint32_t row, uint32_t proto, uint32_t block, uint32_t worker)
{
	uint8_t state = load(b, row, proto, block);

	return (state & IN_USE) == 0 && port_blocks_owner_of(b, row, block, state) != worker &&
	       change(b, row, proto, block, state, (uint8_t)(worker + 1));
}

static bool set_touches(const struct port_set *s, uint32_t block)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->range[i].first / PORT_BLOCK_PORTS <= block && block <= s->range[i].last / PORT_BLOCK_PORTS)
			return true;
	return false;
}

uint32_t port_blocks_take(struct port_blocks *b, uint32_t row, uint32_t proto, const struct port_set *set,
			  uint32_t start, uint32_t worker)
{
	for (uint32_t k = 0; k < N_WORDS; k++) {
		uint32_t first = (start / 8 + k) % N_WORDS * 8;
		const uint64_t *word = (const void *)state_at(b, row, proto, first);

		if ((__atomic_load_n(word, __ATOMIC_RELAXED) & ALL_IN_USE) == ALL_IN_USE)
			continue;
		for (uint32_t block = first; block < first + 8; block++)
			if (set_touches(set, block) && port_blocks_take_one(b, row, proto, block, worker))
				return block;
	}
	return PORT_BLOCK_NONE;
}
