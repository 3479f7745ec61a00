/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Workers in memory: what a second one is worth, and whether every port can be
 * used with any number of them.
 *
 *   memory_workers [SECONDS]      a line of JSON a row on stdout
 *
 *   workers-disjoint      two workers, each receives what it owns, against one
 *   workers-shared-half   one outside address for all; half of the packets come in
 *                         at the wrong worker and are handed over; against one
 *   workers-fill-N        ports used of 64,512, from one client to one server
 *
 * Every worker is a thread with a ring of 2,048 frames of 60 bytes of its own, in
 * batches from both sides in turn; a frame is copied into its slot and given to
 * the gateway, in every row alike. What counts are packets that left. Rounds with
 * one worker and with two take turns, and a row is the median of their ratios.
 * ratio_of_cpu is the same by the processor time that each thread was given: what
 * a machine would show that does nothing else; ratio_in_turns has both workers in
 * one thread, batch by batch.
 */
#include <stdio.h>
#include <stdlib.h>

#include "shop.h"

#define N_PORTS 64512u

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static uint64_t ring_drops(const struct shop *s)
{
	uint64_t n = 0;

	for (uint32_t w = 0; w < s->n; w++)
		n += gateway_env(workers_gateway(s->workers, w))->ledger.n_dropped[DROP_HANDOFF_RING];
	return n;
}

static void row(const char *name, enum entry entry, double bar, double duration)
{
	struct shop *one = shop_open(1, 262144), *two = shop_open(2, 262144);
	double ratio[ROUNDS], cpu_ratio[ROUNDS], turns_ratio[ROUNDS], rate_one[ROUNDS], rate_two[ROUNDS];

	shop_establish(one);
	shop_establish(two);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		double cpu_one, cpu_two;

		rate_one[i] = shop_measure(one, entry, duration, &cpu_one);
		rate_two[i] = shop_measure(two, entry, duration, &cpu_two);
		ratio[i] = rate_two[i] / rate_one[i];
		cpu_ratio[i] = cpu_two / cpu_one;
		turns_ratio[i] = shop_measure_turns(two, entry) / shop_measure_turns(one, entry);
	}
	uint64_t dropped = ring_drops(two);
	qsort(ratio, ROUNDS, sizeof(*ratio), compare);
	qsort(cpu_ratio, ROUNDS, sizeof(*cpu_ratio), compare);
	qsort(turns_ratio, ROUNDS, sizeof(*turns_ratio), compare);
	qsort(rate_one, ROUNDS, sizeof(*rate_one), compare);
	qsort(rate_two, ROUNDS, sizeof(*rate_two), compare);
	printf("{\"row\":\"%s\",\"ratio\":%.2f,\"min\":%.2f,\"max\":%.2f,\"bar\":%.1f,\"mpps_1\":%.2f,\"mpps_2\":%.2f,"
	       "\"ratio_of_cpu\":%.2f,\"ratio_in_turns\":%.2f,\"ring_drops\":%llu}\n",
	       name, ratio[ROUNDS / 2], ratio[0], ratio[ROUNDS - 1], bar, rate_one[ROUNDS / 2] / 1e6,
	       rate_two[ROUNDS / 2] / 1e6, cpu_ratio[ROUNDS / 2], turns_ratio[ROUNDS / 2], (unsigned long long)dropped);
	fflush(stdout);
	shop_close(one);
	shop_close(two);
}

/* One client takes every port towards one server; its packets enter anywhere. */
static void fill_row(uint32_t n)
{
	struct shop *s = shop_open(n, n * 80000);
	uint64_t refused = 0, used = 0;
	struct nat_pool_info info;
	uint8_t frame[FRAME_BYTES];

	for (uint32_t k = 0; k < N_PORTS; k++) {
		struct tuple t = { .src = IP4(10, 1, 0, 1),
				   .dst = SERVER,
				   .sport = (uint16_t)(1024 + k),
				   .dport = 443,
				   .proto = IPPROTO_NR_UDP };

		udp_frame(frame, LAN, &t);
		enter_one(s, k % n, LAN, frame);
		shop_settle(s);
	}
	for (uint32_t w = 0; w < n; w++) {
		refused += gateway_env(workers_gateway(s->workers, w))->ledger.n_dropped[DROP_NAT_EXHAUSTED];
		for (uint32_t cursor = 0; nat_pool_next(gateway_nat(workers_gateway(s->workers, w)), &cursor, &info);)
			used += info.n_used_udp;
	}
	printf("{\"row\":\"workers-fill-%u\",\"ratio\":%.4f,\"bar\":1,\"used\":%llu,\"ports\":%u,\"refused\":%llu}\n",
	       n, (double)used / N_PORTS, (unsigned long long)used, N_PORTS, (unsigned long long)refused);
	shop_close(s);
}

int main(int argc, char **argv)
{
	double duration = argc > 1 ? atof(argv[1]) : 0.5;

	row("workers-disjoint", AT_OWNER, 1.8, duration);
	row("workers-shared-half", HALF_WRONG, 1.4, duration);
	fill_row(1);
	fill_row(2);
	fill_row(4);
	return 0;
}
