/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A packet is a slot with what is known of it, and behind that as many slots as its bytes
 * need (base/ring.h); all of them become visible at once. When they do not all find room, the
 * newest packet is lost: those that wait are the older ones, and the next that has room says
 * how many are missing before it.
 */
#include "daemon/control/commands/capture_ring.h"

#include <stdlib.h>
#include <string.h>

#include "base/ring.h"
#include "base/util.h"

#define SLOT_BYTES 256u
#define N_SLOTS 32768u /* 8 MB; of packets of 1,500 bytes 4,681 */
_Static_assert(sizeof(struct captured) <= SLOT_BYTES, "what is known of a packet takes one slot");

struct capture_ring {
	struct ring ring;
	uint64_t n_missing; /* the host's: lost, and not said yet */
	_Atomic uint64_t n_lost;
};

struct capture_ring *capture_ring_create(void)
{
	struct capture_ring *r = aligned_alloc(RING_LINE, sizeof(*r));

	if (r == NULL)
		return NULL;
	*r = (struct capture_ring){ .n_missing = 0 };
	if (ring_init(&r->ring, N_SLOTS, SLOT_BYTES) != 0) {
		free(r);
		return NULL;
	}
	return r;
}

void capture_ring_destroy(struct capture_ring *r)
{
	if (r == NULL)
		return;
	ring_fini(&r->ring);
	free(r);
}

static uint32_t slots_of(uint32_t len)
{
	return 1 + (len + SLOT_BYTES - 1) / SLOT_BYTES;
}

void capture_ring_put(struct capture_ring *r, const struct capture_packet *p)
{
	uint32_t len = min_u32(p->len, CAPTURE_BYTES_MAX);

	if (!ring_has_room(&r->ring, slots_of(len))) {
		r->n_missing++;
		atomic_fetch_add_explicit(&r->n_lost, 1, memory_order_relaxed);
		return;
	}
	struct captured *head = ring_put(&r->ring);

	*head = (struct captured){ .at = p->at, .n_missing = r->n_missing, .len = len, .is_out = p->is_out };
	if (p->comment != NULL)
		strncpy(head->comment, p->comment, sizeof(head->comment) - 1);
	for (uint32_t at = 0; at < len; at += SLOT_BYTES)
		memcpy(ring_put(&r->ring), p->bytes + at, min_u32(len - at, SLOT_BYTES));
	r->n_missing = 0;
	(void)ring_publish(&r->ring);
}

bool capture_ring_take(struct capture_ring *r, struct captured *out, uint8_t bytes[CAPTURE_BYTES_MAX])
{
	uint32_t slot = 1;

	if (ring_ready(&r->ring) == 0)
		return false;
	memcpy(out, ring_at(&r->ring, 0), sizeof(*out));
	for (uint32_t at = 0; at < out->len; at += SLOT_BYTES)
		memcpy(bytes + at, ring_at(&r->ring, slot++), min_u32(out->len - at, SLOT_BYTES));
	ring_take(&r->ring, slot);
	return true;
}

uint64_t capture_ring_lost(const struct capture_ring *r)
{
	return atomic_load_explicit(&r->n_lost, memory_order_relaxed);
}
