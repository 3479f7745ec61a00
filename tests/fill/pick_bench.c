/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Work for tests/fill/pick_cost, which runs it under callgrind: connections that
 * each take a port at a known fill, between calls of mark_part. Callgrind writes
 * what it has counted and begins anew whenever mark_part is entered; so the parts
 * of its output are, in turn, what lies between two marks, and so are the lines on
 * stdout:
 *
 *   KIND FILL N_PICKS       N_PICKS connections at FILL (of 64,512 ports)
 *   skip                    not measured: filling up
 *
 * KIND:
 *   unused    towards one destination, while the address has unused ports
 *   shared    towards a second one, when it has none
 *   refused   towards the second one, when that has none either
 *   map       once an address: its first port, with the making of the port map
 *   slice     once a busy destination: a pick that finds it busy and makes its map,
 *             the first of the slices in which that map is filled
 *   turns     more full destinations than there are maps for take turns, each with
 *             one connection too many
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "nat/nat_bench.h"

#define PORTS_FIRST 1024u
#define N_PORTS 64512u
#define N_PICKS 32u
/* A rule with so few ports has a busy destination at once. */
#define FEW_FIRST 2000
#define FEW_LAST 2007
/* Full destinations that take turns. */
#define N_TURNS 24u

static const uint32_t fills[] = { 0, N_PORTS / 2, N_PORTS - N_PORTS / 100, N_PORTS - N_PORTS / 1000 };

/* External and never inlined, so that callgrind knows it by name. */
void mark_part(void);
__attribute__((noinline)) void mark_part(void)
{
	__asm__ volatile("" : : : "memory");
}

static void part(const char *kind, uint32_t fill, uint32_t n)
{
	printf("%s %u %u\n", kind, fill, n);
	mark_part();
}

static void skipped(void)
{
	printf("skip\n");
	mark_part();
}

/* Connections number from to to - 1 of one client; the source address follows from the number, so any number of them
 * goes. Returns how many were let out. */
static uint32_t connect_to(struct nat_bench *nb, uint32_t dst, uint32_t from, uint32_t to)
{
	uint32_t n = 0;

	for (uint32_t k = from; k < to; k++) {
		struct make m = out_make(IPPROTO_NR_UDP, (uint16_t)(PORTS_FIRST + k % N_PORTS), 443);

		m.src = CLIENT + k / N_PORTS;
		m.dst = dst;
		n += nat_send(nb, &m).passed;
	}
	return n;
}

static void must(bool good, const char *what)
{
	if (good)
		return;
	printf("bad: %s\n", what);
	exit(1);
}

static void measure(struct nat_bench *nb, const char *kind, uint32_t dst, uint32_t n_before)
{
	uint32_t done = n_before, n = n_before;

	for (size_t i = 0; i < ARRAY_LEN(fills); i++) {
		uint32_t from = max_u32(fills[i], done);

		n += connect_to(nb, dst, done, from);
		skipped();
		n += connect_to(nb, dst, from, from + N_PICKS);
		part(kind, from, N_PICKS);
		done = from + N_PICKS;
	}
	n += connect_to(nb, dst, done, N_PORTS);
	must(n == N_PORTS, "a connection was refused while a port was free");
	skipped();
}

/* What is done once: behind a rule with so few ports that a destination is full at once. */
static void measure_once(struct nat_bench *nb)
{
	nb->snat.flags = NAT_FLAG_PORT;
	nb->snat.ports = (struct nat_port_range){ FEW_FIRST, FEW_LAST };
	/* Connections from outside to the gateway hold no port but have the tuples: a destination is full at once. */
	for (uint32_t dst = SERVER + 2; dst <= SERVER + 2 + N_TURNS; dst++) {
		for (uint32_t port = FEW_FIRST; port <= FEW_LAST; port++) {
			struct make m = { .in = WAN,
					  .src = dst,
					  .dst = WAN_ADDR,
					  .proto = IPPROTO_NR_UDP,
					  .sport = 443,
					  .dport = (uint16_t)port,
					  .len = 20 };
			must(nat_send(nb, &m).passed, "a connection from outside");
		}
	}
	skipped();
	must(connect_to(nb, SERVER + 2, 0, 1) == 0, "a port that somebody else has");
	part("slice", 0, 1);
	for (uint32_t round = 0; round < 20; round++)
		for (uint32_t i = 0; i < N_TURNS; i++)
			connect_to(nb, SERVER + 3 + i, round, round + 1);
	skipped();
	for (uint32_t i = 0; i < N_TURNS; i++)
		must(connect_to(nb, SERVER + 3 + i, 20, 21) == 0, "a port that somebody else has");
	part("turns", 0, N_TURNS);
}

int main(void)
{
	static struct nat_bench nb;

	nat_bench_start(&nb, 3 * N_PORTS);
	skipped();
	must(connect_to(&nb, SERVER, 0, 1) == 1, "the first connection");
	part("map", 0, 1);
	measure(&nb, "unused", SERVER, 1);
	measure(&nb, "shared", SERVER + 1, 0);
	/* The first of these fill the destination's map. */
	connect_to(&nb, SERVER + 1, N_PORTS, N_PORTS + 20);
	skipped();
	must(connect_to(&nb, SERVER + 1, N_PORTS + 20, N_PORTS + 20 + N_PICKS) == 0, "nothing is left");
	part("refused", N_PORTS, N_PICKS);
	measure_once(&nb);
	nat_bench_stop(&nb);
	return 0;
}
