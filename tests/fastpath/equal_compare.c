/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See equal.h, and equal_test.c for what may differ.
 */
#include "equal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stack/wire/arp.h"

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

void equal_note(struct end *e, const uint8_t *frame, uint32_t len)
{
	struct sent *s = &e->sent[e->n];
	struct ether_view eth;
	struct ipv4_view ip;
	struct l4_view l4 = { .kind = L4_NONE };

	assert_true(e->n < SENT_MAX);
	*s = (struct sent){ .len = len, .seq = e->n++, .bytes = malloc(len) };
	memcpy(s->bytes, frame, len);
	assert_true(ether_parse(frame, len, &eth));
	if (eth.type == ETHERTYPE_ARP)
		s->flow = be32_get(*(const be32 *)(frame + ETHER_HEADER_LEN + 24));
	if (eth.type != ETHERTYPE_IPV4)
		return;
	uint8_t *l3 = s->bytes + ETHER_HEADER_LEN;
	assert_int_equal(ipv4_parse(l3, len - ETHER_HEADER_LEN, &ip), IPV4_OK);
	(void)l4_parse(&ip, l3 + ip.header_len, (size_t)ip.total_len - ip.header_len, &l4);
	s->flow = mix(mix(mix(1, ip.src), ip.dst), ip.proto);
	if (!ipv4_is_fragment(&ip) && l4.kind != L4_NONE && l4.kind != L4_ICMP_ERROR)
		s->flow = mix(s->flow, l4.kind == L4_ICMP_QUERY ? l4.id : (uint64_t)l4.sport << 16 | l4.dport);
	if (!ip.df) {
		memset(l3 + 4, 0, 2);
		memset(l3 + 10, 0, 2);
	}
}

static int by_flow(const void *a, const void *b)
{
	const struct sent *x = a, *y = b;

	if (x->flow != y->flow)
		return x->flow < y->flow ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static void print_frame(const char *who, const struct sent *s)
{
	fprintf(stderr, "%s, %u bytes:", who, s->len);
	for (uint32_t i = 0; i < min_u32(s->len, 74); i++)
		fprintf(stderr, "%s%02x", i == 14 || i == 34 ? "  " : " ", s->bytes[i]);
	fprintf(stderr, "\n");
}

static void compare_sent(struct duel *d, int side)
{
	struct end *a = &d->end[FULL][side], *b = &d->end[KERNEL][side];

	qsort(a->sent, a->n, sizeof(a->sent[0]), by_flow);
	qsort(b->sent, b->n, sizeof(b->sent[0]), by_flow);
	for (uint32_t i = 0; i < min_u32(a->n, b->n); i++) {
		const struct sent *x = &a->sent[i], *y = &b->sent[i];
		/* The program leaves the filling of a short frame where it is. */
		uint32_t len = min_u32(x->len, y->len);
		if (max_u32(x->len, y->len) > max_u32(len, 60) || memcmp(x->bytes, y->bytes, len) != 0) {
			print_frame("slow path", x);
			print_frame("kernel", y);
			fail_msg("after %llu packets: another frame on side %d", (unsigned long long)d->n_packets,
				 side);
		}
	}
	if (a->n != b->n)
		fail_msg("after %llu packets: %u frames on the slow path, %u with the kernel",
			 (unsigned long long)d->n_packets, a->n, b->n);
	for (uint32_t i = 0; i < a->n; i++) {
		free(a->sent[i].bytes);
		free(b->sent[i].bytes);
	}
	a->n = b->n = 0;
}

static bool conn_equal(const struct conn *x, const struct conn *y)
{
	bool equal =
		x->status == y->status && x->tcp_state == y->tcp_state && conn_expires_tick(x) == conn_expires_tick(y);

	for (int k = 0; k < N_CT_DIRS; k++) {
		equal &= tuple_equal(&x->half[k].tuple, &y->half[k].tuple);
		equal &= x->half[k].packets == y->half[k].packets && x->half[k].bytes == y->half[k].bytes;
		if (x->half[0].tuple.proto == IPPROTO_NR_TCP)
			equal &= x->half[k].tcp.end == y->half[k].tcp.end &&
				 x->half[k].tcp.max_ack == y->half[k].tcp.max_ack;
	}
	return equal;
}

static void compare_connections(const struct duel *d)
{
	struct conntrack *a = gateway_conntrack(d->gw[FULL]), *b = gateway_conntrack(d->gw[KERNEL]);
	uint32_t at[N_WAYS] = { 0 }, i, j;

	while (conntrack_next(a, &at[FULL], &i)) {
		assert_true(conntrack_next(b, &at[KERNEL], &j));
		const struct conn *x = conntrack_conn(a, i), *y = conntrack_conn(b, j);
		if (i == j && conn_equal(x, y) && conntrack_ext(a, i)->mark == conntrack_ext(b, j)->mark)
			continue;
		for (int k = 0; k < N_CT_DIRS; k++)
			fprintf(stderr, "direction %d: packets %llu %llu, bytes %llu %llu, end %u %u, max_ack %u %u\n",
				k, (unsigned long long)x->half[k].packets, (unsigned long long)y->half[k].packets,
				(unsigned long long)x->half[k].bytes, (unsigned long long)y->half[k].bytes,
				x->half[k].tcp.end, y->half[k].tcp.end, x->half[k].tcp.max_ack, y->half[k].tcp.max_ack);
		fail_msg("after %llu packets: connection %u (proto %u) differs: status %x %x, state %u %u, expires %u "
			 "%u",
			 (unsigned long long)d->n_packets, i, x->half[0].tuple.proto, x->status, y->status,
			 x->tcp_state, y->tcp_state, conn_expires_tick(x), conn_expires_tick(y));
	}
	assert_false(conntrack_next(b, &at[KERNEL], &j));
}

static void compare_rules(const struct duel *d)
{
	uint32_t at[N_WAYS] = { 0 };
	struct rules_line x, y;

	while (rules_next(gateway_rules(d->gw[FULL]), &at[FULL], &x)) {
		assert_true(rules_next(gateway_rules(d->gw[KERNEL]), &at[KERNEL], &y));
		if (x.packets != y.packets || x.bytes != y.bytes)
			fail_msg("after %llu packets: %s: %llu packets on the slow path, %llu with the kernel",
				 (unsigned long long)d->n_packets, x.rule, (unsigned long long)x.packets,
				 (unsigned long long)y.packets);
	}
}

void equal_compare(struct duel *d)
{
	const struct env *a = gateway_env(d->gw[FULL]), *b = gateway_env(d->gw[KERNEL]);

	offload_map_read_all(d->map);
	for (int r = 0; r < N_DROP_REASONS; r++)
		if (a->ledger.n_dropped[r] != b->ledger.n_dropped[r])
			fail_msg("after %llu packets: dropped as %s: %llu on the slow path, %llu with the kernel",
				 (unsigned long long)d->n_packets, drop_info[r].name,
				 (unsigned long long)a->ledger.n_dropped[r],
				 (unsigned long long)b->ledger.n_dropped[r]);
	for (int side = 0; side < N_FLOWS_SIDES; side++)
		compare_sent(d, side);
	assert_int_equal(a->ledger.n_handed, b->ledger.n_handed + d->n_forwarded);
	assert_int_equal(a->ledger.n_received, b->ledger.n_received + d->n_forwarded);
	compare_connections(d);
	compare_rules(d);
}
