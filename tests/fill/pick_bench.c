/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Work for tests/fill/pick_cost, which runs it under callgrind: connections that
 * each take a port at a known fill, between calls of mark_part. Callgrind writes
 * what it has counted and begins again whenever mark_part is entered; so the parts
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
 *   turns     destinations that are full by others' tuples alone take turns
 *   refusedN  full destinations of a rule with N ports take turns, FILL of them, each
 *             with one connection too many
 *   lastN     ... each with one port that has come free
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "gateway/nat/nat_fixture.h"
#include "gateway/nat/source.h"

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
static uint32_t connect_to(struct nat_fixture *nb, uint32_t dst, uint32_t from, uint32_t to)
{
	uint32_t n = 0;

	for (uint32_t k = from; k < to; k++) {
		struct packet_spec m = out_make(IPPROTO_NR_UDP, (uint16_t)(PORTS_FIRST + k % N_PORTS), 443);

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

static void measure(struct nat_fixture *nb, const char *kind, uint32_t dst, uint32_t n_before)
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
static void measure_once(struct nat_fixture *nb)
{
	nb->snat.flags = NAT_FLAG_PORT;
	nb->snat.ports = (struct port_range){ FEW_FIRST, FEW_LAST };
	/* Connections from outside to the gateway hold no port but have the tuples: a destination is full at once. */
	for (uint32_t dst = SERVER + 2; dst <= SERVER + 2 + N_TURNS; dst++) {
		for (uint32_t port = FEW_FIRST; port <= FEW_LAST; port++) {
			struct packet_spec m = { .in = WAN,
						 .src = dst,
						 .dst = WAN_ADDR,
						 .proto = IPPROTO_NR_UDP,
						 .sport = 443,
						 .dport = (uint16_t)port,
						 .payload_len = 20 };
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

static const struct few {
	uint32_t n_ports, n_destinations;
} few[] = { { 64, 1 }, { 64, 100 }, { 64, 10000 }, { 1024, 1 }, { 1024, 100 }, { 8192, 1 }, { 8192, 16 } };

/* A connection as the hooks would make it, without a packet. */
static bool quick(struct nat_fixture *nb, uint32_t dst, uint32_t k, const struct port_set *set)
{
	struct tuple orig = { .src = CLIENT + k / 50000,
			      .dst = dst,
			      .sport = (uint16_t)(PORTS_FIRST + k % 50000),
			      .dport = 443,
			      .proto = IPPROTO_NR_UDP };
	struct tuple reply = tuple_invert(&orig);
	struct conntrack *ct = nb->b.ct;
	struct nat *n = nb->nat;
	struct port_request request = { .set = set };
	uint32_t index = ct_create(ct, ct_place_of(ct, &orig), &orig);
	uint32_t address = nat_ports_address(n, WAN_ADDR, 0);

	must(index != POOL_NONE, "room for a connection");
	reply.dst = WAN_ADDR;
	if (!nat_take_port(n, index, address, reply, &request, NAT_PORT_UNUSED) &&
	    !nat_take_port(n, index, address, reply, &request, NAT_PORT_SHARED))
		return false;
	must(nat_hold(n, index, nat_ref_of(NAT_HOLD_PORT, NAT_ORIGIN_MASQUERADE, WAN, address)), "a hold");
	ct_begin(ct, index, &ct_udp, NULL);
	return ct_confirm_one(ct, index);
}

static void end_one(struct nat_fixture *nb, uint32_t dst, uint32_t port)
{
	struct tuple t = {
		.src = dst, .dst = WAN_ADDR, .sport = 443, .dport = (uint16_t)port, .proto = IPPROTO_NR_UDP
	};
	uint32_t ref = conntrack_find(nb->b.ct, &t);

	must(ref != CONN_NONE, "a full destination");
	conntrack_end(nb->b.ct, conn_index(ref), CT_END_FLUSHED);
}

/* The k-th of the destinations that take turns. */
static uint32_t destination(const struct few *f, uint32_t k)
{
	return SERVER + (uint32_t)((uint64_t)k * 7919 % f->n_destinations);
}

static void measure_few(const struct few *f)
{
	static struct nat_fixture nb;
	struct port_set set = port_set_of((struct port_range){ 3000, (uint16_t)(2999 + f->n_ports) }, NULL, 0);
	char kind[32];

	nat_fixture_start(&nb, f->n_ports * f->n_destinations + 1000);
	nb.snat.flags = NAT_FLAG_PORT;
	nb.snat.ports = set.range[0];
	for (uint32_t d = 0; d < f->n_destinations; d++)
		for (uint32_t k = 0; k < f->n_ports; k++)
			must(quick(&nb, SERVER + d, k, &set), "a connection was refused while a port was free");
	fixture_pass(&nb.b, 0);
	skipped();
	for (uint32_t k = 0; k < N_PICKS; k++)
		must(connect_to(&nb, destination(f, k), 60000, 60001) == 0, "nothing is left");
	(void)snprintf(kind, sizeof(kind), "refused%u", f->n_ports);
	part(kind, f->n_destinations, N_PICKS);
	for (uint32_t k = 0; k < N_PICKS; k++) {
		end_one(&nb, destination(f, k), 3000 + k);
		fixture_pass(&nb.b, 0);
		skipped();
		must(connect_to(&nb, destination(f, k), 60100 + k, 60101 + k) == 1, "a free port was missed");
		(void)snprintf(kind, sizeof(kind), "last%u", f->n_ports);
		part(kind, f->n_destinations, 1);
	}
	nat_fixture_stop(&nb);
	skipped();
}

int main(void)
{
	static struct nat_fixture nb;

	nat_fixture_start(&nb, 3 * N_PORTS);
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
	nat_fixture_stop(&nb);
	skipped();
	for (size_t i = 0; i < ARRAY_LEN(few); i++)
		measure_few(&few[i]);
	return 0;
}
