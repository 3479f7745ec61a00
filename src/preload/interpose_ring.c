/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a program writes to a connection, put into memory that the service reads (preload_wire.h), so that the kernel is
 * not asked for each piece, neither here nor there.
 *
 * A connection gets a ring when it has been written to some times, and keeps it until it has ended. The process has a
 * number of them, and each at most one of the process's connections; a lock that nobody waits for keeps threads apart.
 * Whoever does not get it, or finds the pair not empty, or no room, writes to the pair as ever. That is also what a
 * child does, however it has come: it does not have the memory, so that it sees nothing of its parent's, and where the
 * arena is noted there is nothing for it (MADV_WIPEONFORK). One made by vfork is in its parent's memory, and may use
 * it.
 *
 * A program that is about to forbid itself system calls (seccomp) has no rings from then on, as they take some that it
 * does not know of.
 *
 * Bytes are copied by the program itself, so a bad pointer is no EFAULT here but ends it, unless it can be none at all.
 */
#include "preload/interpose.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define REAL (*real_calls())
/* How often it is written before a ring is asked for. */
#define OFTEN 16u
#define REFUSED 0xffffu
#define FIRST 0x100u
/* Rings of others that are tried for a new connection. */
#define LOOKS 8u
/* A ring that is empty is begun anew behind so many bytes. */
#define REWIND_BYTES 4096u
/* One that is never empty is followed by its start, or positions that wrap would take that for one to come. */
#define START_FAR (UINT32_C(1) << 30)
#define RING_MASK (PRELOAD_RING_BYTES - 1)

struct use {
	atomic_flag lock;
	_Atomic uint64_t owner; /* as number_entry; 0: none */
};

/* A page of its own; NULL before there was an arena. */
static struct preload_arena *_Atomic *home;
static struct use uses[PRELOAD_RINGS];
/* Of a slot, the lower half of its generation, and: how often it was written, REFUSED, or FIRST and its ring. */
static _Atomic uint32_t ring_of[PRELOAD_SLOTS];
static _Atomic uint32_t next_look;
static atomic_flag is_making = ATOMIC_FLAG_INIT;
static atomic_bool is_off;

static void remember(uint64_t entry, uint32_t what)
{
	atomic_store_explicit(&ring_of[(uint32_t)entry - 1], (uint32_t)(entry >> 32) << 16 | what,
			      memory_order_relaxed);
}

static struct preload_arena *arena(void)
{
	if (home == NULL || atomic_load_explicit(&is_off, memory_order_relaxed))
		return NULL;
	return atomic_load_explicit(home, memory_order_acquire);
}

DOOR int prctl(int op, ...)
{
	unsigned long a[4];
	va_list args;

	va_start(args, op);
	for (size_t i = 0; i < sizeof(a) / sizeof(a[0]); i++)
		a[i] = va_arg(args, unsigned long);
	va_end(args);
	if (op == PR_SET_SECCOMP || op == PR_SET_NO_NEW_PRIVS)
		atomic_store(&is_off, true);
	return REAL.prctl(op, a[0], a[1], a[2], a[3]);
}

bool is_filtered(void)
{
	return atomic_load_explicit(&is_off, memory_order_relaxed);
}

void ring_forget(void)
{
	memset(uses, 0, sizeof(uses));
	atomic_flag_clear(&is_making);
}

void ring_lost(void)
{
	if (home != NULL)
		atomic_store(home, NULL);
	for (uint32_t i = 0; i < PRELOAD_RINGS; i++)
		atomic_store(&uses[i].owner, 0);
}

void ring_close(int fd)
{
	uint64_t entry = number_get(fd);

	for (uint32_t i = 0; i < PRELOAD_RINGS && entry != 0; i++) {
		uint64_t owner = entry;

		if (atomic_compare_exchange_strong(&uses[i].owner, &owner, 0))
			break;
	}
	if (entry != 0)
		remember(entry, REFUSED);
}

/* --- a ring for a connection --- */

/* Memory that a child does not have (MADV_DONTFORK), or finds empty. NULL: there is none. */
static void *map_for_us(size_t len, int memory, int advice)
{
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, memory < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED,
			memory, 0);

	if (at == MAP_FAILED)
		return NULL;
	if (madvise(at, len, advice) == 0)
		return at;
	(void)munmap(at, len);
	return NULL;
}

static bool make_arena(void)
{
	struct preload_request q = { .op = PRELOAD_ARENA };
	struct preload_reply r;
	int memory;

	if (home == NULL)
		home = map_for_us((size_t)sysconf(_SC_PAGESIZE), -1, MADV_WIPEONFORK);
	if (home == NULL || ask(-1, &q, &r, &memory) != 0 || memory < 0)
		return false;
	struct preload_arena *a = map_for_us(sizeof(*a), memory, MADV_DONTFORK);

	(void)REAL.close(memory);
	atomic_store(home, a);
	return a != NULL;
}

static bool is_over(uint64_t owner)
{
	if (owner == 0)
		return true;
	const struct preload_slot *s = &interpose()->slots[(uint32_t)owner - 1];

	return atomic_load(&s->generation) != owner >> 32 || atomic_load(&s->state) == PRELOAD_DEAD;
}

/* The ring is locked. */
static int take_over(int fd, uint32_t i, uint64_t entry)
{
	struct preload_request q = { .op = PRELOAD_RING, .arg = { (int32_t)i } };
	struct preload_reply r;

	/* What was put there may still be under way (-EBUSY): the service begins it anew. */
	atomic_store(&uses[i].owner, 0);
	int rc = ask(fd, &q, &r, NULL);

	if (rc == 0)
		atomic_store(&uses[i].owner, entry);
	return rc;
}

static void find_ring(int fd, uint64_t entry)
{
	uint32_t looks = 0;

	if (atomic_flag_test_and_set(&is_making))
		return;
	remember(entry, REFUSED);
	if (arena() == NULL && !make_arena())
		looks = LOOKS;
	for (uint32_t n = 0; n < PRELOAD_RINGS && looks < LOOKS; n++) {
		uint32_t i = atomic_fetch_add(&next_look, 1) % PRELOAD_RINGS;
		int rc = -EBUSY;

		if (!is_over(atomic_load(&uses[i].owner)) || atomic_flag_test_and_set(&uses[i].lock))
			continue;
		if (is_over(atomic_load(&uses[i].owner))) {
			rc = take_over(fd, i, entry);
			looks++;
		}
		atomic_flag_clear(&uses[i].lock);
		if (rc == 0)
			remember(entry, FIRST + i);
		if (rc != -EBUSY)
			break;
	}
	atomic_flag_clear(&is_making);
}

/* --- bytes --- */

static void copy_in(unsigned char *bytes, uint32_t at, const unsigned char *from, size_t n)
{
	size_t first = PRELOAD_RING_BYTES - (at & RING_MASK);

	first = n < first ? n : first;
	if (n == 0)
		return;
	memcpy(bytes + (at & RING_MASK), from, first);
	memcpy(bytes, from + first, n - first);
}

static size_t put(struct preload_arena *a, uint32_t i, const struct iovec *v, size_t n_pieces)
{
	struct preload_ring *ring = &a->ring[i];
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed),
		 used = tail - atomic_load_explicit(&ring->head, memory_order_acquire);
	size_t sum = 0;

	if (used > PRELOAD_RING_BYTES || atomic_load_explicit(&ring->is_closed, memory_order_relaxed) != 0)
		return 0;
	if (used == 0 && (tail & RING_MASK) > REWIND_BYTES) {
		tail = (tail | RING_MASK) + 1;
		atomic_store_explicit(&ring->start, tail, memory_order_relaxed);
	} else if (tail - atomic_load_explicit(&ring->start, memory_order_relaxed) > START_FAR) {
		atomic_store_explicit(&ring->start, tail - used, memory_order_relaxed);
	}
	for (size_t p = 0; p < n_pieces; p++) {
		size_t room = PRELOAD_RING_BYTES - used - sum, n = v[p].iov_len < room ? v[p].iov_len : room;

		copy_in(a->bytes[i], tail + (uint32_t)sum, v[p].iov_base, n);
		sum += n;
		if (n < v[p].iov_len)
			break;
	}
	atomic_store_explicit(&ring->tail, tail + (uint32_t)sum, memory_order_release);
	return sum;
}

static bool is_pair_empty(int fd)
{
	int value;

	return REAL.ioctl(fd, SIOCOUTQ, &value) == 0 && value == 0;
}

static void ring_bell(struct preload_arena *a, uint32_t i)
{
	atomic_fetch_or(&a->pending[i / 64], (uint64_t)1 << i % 64);
	if (atomic_load(&a->is_asleep) != 0 && atomic_exchange(&a->is_asleep, 0) != 0 && !wake_service())
		atomic_store(home, NULL);
}

size_t ring_put(int fd, const struct preload_slot *s, const struct iovec *v, size_t n_pieces)
{
	uint64_t entry = number_get(fd);
	uint32_t what =
		entry != 0 ? atomic_load_explicit(&ring_of[(uint32_t)entry - 1], memory_order_relaxed) : REFUSED;

	if (what >> 16 != (uint32_t)(entry >> 32 & 0xffff))
		what = 0;
	what &= 0xffff;
	if (what == OFTEN && !atomic_load(&is_off) && atomic_load(&s->state) == PRELOAD_CONNECTED && is_own_memory())
		find_ring(fd, entry);
	else if (what < OFTEN)
		remember(entry, what + 1);
	if (what < FIRST || what == REFUSED)
		return 0;
	for (size_t i = 0; i < n_pieces; i++)
		if (is_nowhere(v[i].iov_base, v[i].iov_len))
			return 0;
	struct preload_arena *a = arena();
	struct use *u = &uses[what - FIRST];
	size_t n = 0;

	if (atomic_load(&u->owner) != entry || a == NULL) {
		remember(entry, 0);
		return 0;
	}
	if (atomic_flag_test_and_set(&u->lock))
		return 0;
	if (atomic_load(&u->owner) == entry && is_pair_empty(fd))
		n = put(a, what - FIRST, v, n_pieces);
	atomic_flag_clear(&u->lock);
	if (n > 0)
		ring_bell(a, what - FIRST);
	return n;
}
