/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Workers in memory, as threads: each has a ring of 2,048 frames of 60 bytes of its
 * own, in batches from both sides in turn; a frame is copied into its slot and given
 * to the gateway. What counts are packets that left.
 */
#ifndef YG_BENCH_SHOP_H
#define YG_BENCH_SHOP_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/workers/workers.h"
#include "base/grace.h"
#include "base/ip4.h"
#include "daemon/config/snapshot.h"

#define MAX_WORKERS 4u
#define N_FLOWS 8192u
#define FRAMES 2048u
#define SLOT_BYTES 128u
#define HEADROOM 64u
#define FRAME_BYTES 60u
#define ROUNDS 5
#define POOL IP4(198, 51, 100, 7)
#define SERVER IP4(192, 0, 2, 1)

enum side { LAN, WAN, N_SIDES };

/* Where packets enter: at their owner, or every other one at somebody else. */
enum entry { AT_OWNER, HALF_WRONG };

struct shop;

struct end {
	struct device device;
	struct shop *shop;
	enum side side;
	uint64_t n_sent;
	uint32_t n_asked, asked[64];
} __attribute__((aligned(128)));

struct shop {
	uint32_t n;
	struct config *config;
	struct snapshot *snapshot;
	struct workers *workers;
	uint32_t ifindex[N_SIDES];
	struct end end[MAX_WORKERS][N_SIDES];
	uint64_t now;
	uint8_t owner[N_FLOWS];
	struct tuple reply[N_FLOWS];
	atomic_bool stop;
	pthread_barrier_t start;
	struct grace grace; /* of the routes */
	double longest_s;   /* of the last measurement: that a worker's timers took between two batches */
};

struct lane {
	struct shop *shop;
	uint32_t worker;
	pthread_t thread;
	uint8_t *frame; /* what the wire brings */
	uint8_t *slot;  /* where it is received */
	double cpu_s;
	double longest_s;
};

/* Ends the program. */
void must(bool good, const char *what);
/* n workers, N_FLOWS flows at most to be established by shop_establish. */
struct shop *shop_open(uint32_t n, uint32_t n_connections);
void shop_close(struct shop *s);
/* What is on its way arrives, and neighbours answer. */
void shop_settle(struct shop *s);
void shop_establish(struct shop *s);
void udp_frame(uint8_t *frame, enum side side, const struct tuple *t);
void enter_one(struct shop *s, uint32_t worker, enum side side, const uint8_t *frame);
/* Packets a second that leave; of them, by the processor time that each thread was given. */
double shop_measure(struct shop *s, enum entry entry, double duration, double *per_cpu);
/* The same of processor time when all workers take turns in one thread. */
double shop_measure_turns(struct shop *s, enum entry entry);

#endif
