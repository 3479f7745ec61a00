/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The way out: fragments, large segments, packets of our own, loops, groups.
 */
#include "stack/ip/stack_fixture.h"
#include "stack/packet/gso.h"
#include "stack/wire/checksum.h"
#include "stack/ip/local.h"

static const uint8_t record_route[8] = { IPV4_OPT_RECORD_ROUTE, 7, 4 };

static const struct packet_spec udp_far = {
	.src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_UDP, .payload_len = 100, .sport = 5000, .dport = 53
};
static const struct packet_spec tcp_far = { .src = LAN_HOST,
					    .dst = FAR,
					    .proto = IPPROTO_NR_TCP,
					    .payload_len = 100,
					    .sport = 5000,
					    .dport = 80,
					    .flags = TCP_ACK };

/* Would catch: an MTU that is off by one, on either side. */
static void test_mtu_exact(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	struct packet_spec sp = { .src = LAN_HOST, .dst = SMALL_HOST, .proto = IPPROTO_NR_UDP, .df = true };

	sp.payload_len = 576 - 28;
	fixture_input_spec(b, &sp);
	assert_int_equal(b->dev[SMALL].n, 1);
	sp.payload_len++;
	fixture_input_spec(b, &sp);
	assert_int_equal(b->env.ledger.n_dropped[DROP_MTU_EXCEEDED], 1);
	sp.df = false;
	fixture_input_spec(b, &sp);
	assert_int_equal(b->dev[SMALL].n, 3);
	fixture_forget(b);
	/* What the link it came by could not have carried either, is no matter of path MTU: its sender sent smaller
	 * ones. */
	sp = (struct packet_spec){
		.src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_UDP, .df = true, .payload_len = 1501 - 28
	};
	fixture_input_spec(b, &sp);
	assert_int_equal(b->env.ledger.n_dropped[DROP_RX_LARGE], 1);
	assert_int_equal(b->dev[LAN].n, 0);
	fixture_destroy(b);
}

/* Would catch: fragments over the MTU, a gap between them, a changed payload, a lost
 * or double header, also with options and when the packet was a fragment already. */
static void test_fragment_on_forward(void **state)
{
	static const struct packet_spec cases[] = {
		{ .src = LAN_HOST, .dst = SMALL_HOST, .proto = IPPROTO_NR_UDP, .payload_len = 1400, .ip_id = 7 },
		{ .src = LAN_HOST,
		  .dst = SMALL_HOST,
		  .proto = IPPROTO_NR_UDP,
		  .payload_len = 1360,
		  .ip_id = 7,
		  .mf = true },
		{ .src = LAN_HOST,
		  .dst = SMALL_HOST,
		  .proto = 47,
		  .payload_len = 1368,
		  .ip_id = 7,
		  .frag_off = 800,
		  .mf = true },
		{ .src = LAN_HOST,
		  .dst = SMALL_HOST,
		  .proto = IPPROTO_NR_UDP,
		  .payload_len = 1400,
		  .ip_options = record_route,
		  .ip_options_len = 8 },
	};
	struct frame *f = malloc(sizeof(*f));

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct stack_fixture *b = fixture_create_settled();
		uint32_t header_len = IPV4_HEADER_LEN + cases[i].ip_options_len;
		uint32_t at = cases[i].frag_off, n = 0;

		fixture_frame(f, &cases[i]);
		fixture_input(b, LAN, f);
		assert_true(b->dev[SMALL].n >= 3);
		for (uint32_t k = 0; k < b->dev[SMALL].n; k++) {
			struct seen v = fixture_seen(b, SMALL, k);

			assert_true(v.ip.total_len <= 576);
			assert_int_equal(v.ip.frag_off, at);
			assert_int_equal(v.ip.id, cases[i].ip_id);
			assert_memory_equal(v.p4, f->bytes + ETHER_HEADER_LEN + header_len + n, v.l4_len);
			assert_int_equal(v.ip.mf, k + 1 < b->dev[SMALL].n || cases[i].mf);
			at += v.l4_len;
			n += v.l4_len;
		}
		assert_int_equal(n, f->len - ETHER_HEADER_LEN - header_len);
		fixture_destroy(b);
	}
	free(f);
}

/* A TCP segment of 20 times 1,000 bytes, as a kernel neighbour sends it. */
static void make_large(struct frame *f, uint32_t dst, bool df)
{
	struct packet_spec sp = tcp_far;

	sp.dst = dst;
	sp.payload_len = 20000;
	sp.df = df;
	fixture_frame(f, &sp);
	f->offload = (struct offload){ .csum_partial = true,
				       .csum_start = 34,
				       .csum_offset = 16,
				       .gso_type = GSO_TCP4,
				       .gso_size = 1000,
				       .gso_hdr_len = 54 };
	uint16_t sum = checksum_fold(checksum_pseudo(LAN_HOST, dst, IPPROTO_NR_TCP, 20020));

	f->bytes[50] = (uint8_t)(sum >> 8);
	f->bytes[51] = (uint8_t)sum;
}

/* Would catch: a large segment that goes whole to a device that cannot cut it, is
 * cut for one that can, or does not fit the link. */
static void test_large_segment(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	struct frame *f = malloc(sizeof(*f));

	make_large(f, FAR, true);
	fixture_input(b, LAN, f);
	assert_int_equal(b->dev[WAN].n, 20);
	for (uint32_t i = 0; i < 20; i++) {
		struct seen v = fixture_seen(b, WAN, i);

		assert_int_equal(v.ip.total_len, 1040);
		assert_int_equal(v.l4.seq, 1000 + i * 1000);
	}
	fixture_forget(b);

	b->dev[WAN].dev.caps = DEVICE_CAP_CSUM | DEVICE_CAP_TSO;
	fixture_input(b, LAN, f);
	assert_int_equal(b->dev[WAN].n, 1);
	assert_int_equal(b->dev[WAN].sent[0].offload.gso_size, 1000);
	assert_int_equal(fixture_seen(b, WAN, 0).ip.ttl, 63);
	fixture_forget(b);
	b->dev[WAN].dev.mtu = 1040; /* each just fits */
	fixture_input(b, LAN, f);
	assert_int_equal(b->dev[WAN].n, 1);
	fixture_forget(b);

	/* Too big a segment for the link, and not to be cut. */
	make_large(f, SMALL_HOST, true);
	fixture_input(b, LAN, f);
	assert_int_equal(b->env.ledger.n_dropped[DROP_MTU_EXCEEDED], 1);
	struct seen v = fixture_seen(b, LAN, 0);
	struct icmp_quote q;

	assert_int_equal(v.l4.info, 576);
	assert_true(icmp_quote_parse(v.p4, v.l4_len, &q));
	assert_int_equal(q.ip.total_len, 1040);
	assert_int_equal(q.l4.seq, 1000);
	fixture_forget(b);

	/* The same, and it may be cut: 20 segments of two fragments each. */
	make_large(f, SMALL_HOST, false);
	fixture_input(b, LAN, f);
	assert_int_equal(b->dev[SMALL].n, 40);
	assert_int_equal(b->env.ledger.n_pieces_made, 19 + 39);
	free(f);
	fixture_destroy(b);
}

/* Would catch: datagrams that are left to a device that cuts TCP's segments only, or cut for one that cuts both. */
static void test_large_datagram(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	struct frame *f = malloc(sizeof(*f));
	struct packet_spec sp = udp_far;

	sp.payload_len = 5000;
	fixture_frame(f, &sp);
	f->offload = (struct offload){ .csum_partial = true,
				       .csum_start = 34,
				       .csum_offset = 6,
				       .gso_type = GSO_UDP4,
				       .gso_size = 1000,
				       .gso_hdr_len = 42 };
	uint16_t sum = checksum_fold(checksum_pseudo(LAN_HOST, FAR, IPPROTO_NR_UDP, 5008));

	f->bytes[40] = (uint8_t)(sum >> 8);
	f->bytes[41] = (uint8_t)sum;
	b->dev[WAN].dev.caps = DEVICE_CAP_CSUM | DEVICE_CAP_TSO;
	fixture_input(b, LAN, f);
	assert_int_equal(b->dev[WAN].n, 5);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(fixture_seen(b, WAN, i).ip.total_len, 1028);
	fixture_forget(b);
	b->dev[WAN].dev.caps = DEVICE_CAP_CSUM | DEVICE_CAP_USO;
	fixture_input(b, LAN, f);
	assert_int_equal(b->dev[WAN].n, 1);
	free(f);
	fixture_destroy(b);
}

/* Would catch: a partial checksum that leaves unfinished, or is finished for a
 * device that does it itself, or that makes a local delivery fail. */
static void test_partial_checksum(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	struct frame *f = malloc(sizeof(*f));
	struct packet_spec sp = udp_far;
	uint16_t sum = checksum_fold(checksum_pseudo(LAN_HOST, FAR, IPPROTO_NR_UDP, 108));

	fixture_frame(f, &sp);
	f->offload = (struct offload){ .csum_partial = true, .csum_start = 34, .csum_offset = 6 };
	f->bytes[40] = (uint8_t)(sum >> 8);
	f->bytes[41] = (uint8_t)sum;
	fixture_input(b, LAN, f);
	assert_false(fixture_seen(b, WAN, 0).offload.csum_partial); /* and the sum is checked there */
	fixture_forget(b);
	b->dev[WAN].dev.caps = DEVICE_CAP_CSUM;
	fixture_input(b, LAN, f);
	assert_true(fixture_seen(b, WAN, 0).offload.csum_partial);
	fixture_forget(b);

	sp.dst = LAN_US;
	fixture_frame(f, &sp);
	f->bytes[41] ^= 1;
	f->offload = (struct offload){ .csum_partial = true, .csum_start = 34, .csum_offset = 6 };
	fixture_input(b, LAN, f);
	assert_int_equal(b->env.ledger.n_dropped[DROP_PORT_UNREACHABLE], 1);
	free(f);
	fixture_destroy(b);
}

struct notes {
	uint32_t new_dst;
};

static void hook_add(struct stack_fixture *b, enum ip_hook hook, int32_t priority, hook_fn *fn, void *ctx)
{
	struct hook_entry e = { .priority = priority, .name = "test", .fn = fn, .ctx = ctx };

	assert_int_equal(hook_list_add(ip_stack_hooks(b->s, hook), &e), 0);
}

static void change_dst(void *ctx, enum ip_hook hook, struct batch *b)
{
	const struct notes *n = ctx;

	for (uint32_t i = 0; i < b->n; i++) {
		ipv4_set_dst(packet_l3(b->p[i]), n->new_dst);
		b->p[i]->ip.dst = n->new_dst;
	}
}

static struct packet *our_ping(struct stack_fixture *b, uint32_t src, uint32_t dst, uint32_t data)
{
	struct packet *p = ip_packet_new(b->s, src, dst, IPPROTO_NR_ICMP, ICMP_HEADER_LEN + data);

	assert_non_null(p);
	memset(packet_l4(p), 0x5a, ICMP_HEADER_LEN + data);
	icmp_emit(packet_l4(p), ICMP_ECHO_REQUEST, 0, 0x00070001);
	l4_checksum_set(&p->ip, packet_l4(p), packet_l4_len(p));
	assert_int_equal(l4_parse(&p->ip, packet_l4(p), packet_l4_len(p), &p->l4), L4_OK);
	return p;
}

/* Would catch: a packet of ours without a source, and one whose destination dnat
 * changed at OUTPUT that still goes the old way, or is refused by it. */
static void test_local_out(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	struct notes n = { .new_dst = LAN_HOST };

	ip_local_out_one(b->s, our_ping(b, 0, FAR, 10));
	ip_flush(b->s);
	assert_int_equal(fixture_seen(b, WAN, 0).ip.src, WAN_US);
	assert_int_equal(fixture_seen(b, WAN, 0).ip.ttl, 64);
	fixture_forget(b);

	hook_add(b, HOOK_OUTPUT, HOOK_PRI_DSTNAT, change_dst, &n);
	ip_local_out_one(b->s, our_ping(b, 0, FAR, 10));
	ip_local_out_one(b->s, our_ping(b, 0, POOL_ADDR, 10));
	ip_local_out_one(b->s, our_ping(b, 0, WAN_US, 10));
	ip_flush(b->s);
	assert_int_equal(b->dev[WAN].n, 0);
	assert_int_equal(b->dev[LAN].n, 3);
	assert_int_equal(fixture_seen(b, LAN, 0).ip.dst, LAN_HOST);
	/* Where no route leads a rule may still lead it elsewhere (a reply, to what a chain at input put there). */
	fixture_dead_routes(b);
	ip_local_out_one(b->s, our_ping(b, 0, IP4(172, 19, 0, 1), 10));
	ip_flush(b->s);
	assert_int_equal(b->dev[LAN].n, 4);
	fixture_destroy(b);
}

/* Would catch: a packet of ours that leaves although no route leads to its destination, or is not named so. */
static void test_local_out_nowhere(void **state)
{
	struct stack_fixture *b = fixture_create_settled();

	fixture_dead_routes(b);
	ip_local_out_one(b->s, our_ping(b, 0, IP4(172, 19, 0, 1), 10));
	ip_local_out_one(b->s, our_ping(b, 0, POOL_ADDR, 10));
	ip_flush(b->s);
	assert_int_equal(b->env.ledger.n_dropped[DROP_NO_ROUTE], 1);
	assert_int_equal(b->env.ledger.n_dropped[DROP_NAT_NO_MAPPING], 1);
	fixture_destroy(b);
}

static bool hear_all(void *ctx, const struct packet *p)
{
	(*(uint32_t *)ctx)++;
	return true;
}

/* Would catch: a ping to ourselves that is lost or goes round for ever, and a raw
 * input hook that is not asked. */
static void test_loop(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	uint32_t n_heard = 0;

	assert_int_equal(ip_stack_add_raw(b->s, IPPROTO_NR_ICMP, hear_all, &n_heard), 0);
	assert_int_equal(ip_stack_add_raw(b->s, IPPROTO_NR_UDP, hear_all, &n_heard), 0);
	ip_local_out_one(b->s, our_ping(b, 0, LAN_US, 2000));
	fixture_check_law(b);
	assert_int_equal(ip_next_deadline(b->s), b->env.now);
	ip_flush(b->s);
	assert_int_equal(fixture_n_sent(b), 0);
	assert_int_equal(n_heard, 2); /* request and reply */
	assert_int_equal(b->env.ledger.n_delivered, 2);

	/* Somebody wanted it: no answer that says otherwise. */
	fixture_input_spec(b, &(struct packet_spec)UDP_TO(LAN_US));
	assert_int_equal(n_heard, 3);
	assert_int_equal(b->env.ledger.n_delivered, 3);
	assert_int_equal(fixture_n_sent(b), 0);

	/* More than a batch has room for. */
	for (uint32_t i = 0; i < 2 * BATCH_MAX + 1; i++)
		ip_local_out_one(b->s, our_ping(b, 0, LAN_US, 20));
	ip_flush(b->s);
	assert_int_equal(n_heard, 3 + 2 * (2 * BATCH_MAX + 1));

	struct packet *p = our_ping(b, 0, LAN_US, 20);

	p->n_loops = IP_LOOPS_MAX;
	ip_local_out_one(b->s, p);
	assert_int_equal(b->env.ledger.n_dropped[DROP_LOOP], 1);
	/* Its reply may not go round any more. */
	n_heard = 0;
	p = our_ping(b, 0, LAN_US, 20);
	p->n_loops = IP_LOOPS_MAX - 1;
	ip_local_out_one(b->s, p);
	ip_flush(b->s);
	assert_in_range(n_heard, 1, 2);
	fixture_destroy(b);
}

/* Would catch: a packet of ours with the interface's address although its route says another; one that leaves with an
 * address of 127/8, or is dropped for it before OUTPUT has led it to ourselves. */
static void test_sources(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	struct notes n = { .new_dst = LAN_US };

	(void)state;
	fixture_route(b, FAR, 24,
		      (struct fib_nexthop){ .kind = FIB_UNICAST,
					    .ifindex = WAN,
					    .gateway = ip_addr_v4(ROUTER),
					    .source = ip_addr_v4(LAN_US) });
	ip_local_out_one(b->s, our_ping(b, 0, FAR, 10));
	ip_flush(b->s);
	assert_int_equal(fixture_seen(b, WAN, 0).ip.src, LAN_US);
	ip_local_out_one(b->s, our_ping(b, IP4(127, 0, 0, 1), FAR, 10));
	ip_flush(b->s);
	assert_int_equal(b->dev[WAN].n, 1);
	assert_int_equal(b->env.ledger.n_dropped[DROP_IP_SOURCE_MARTIAN], 1);
	hook_add(b, HOOK_OUTPUT, HOOK_PRI_DSTNAT, change_dst, &n);
	ip_local_out_one(b->s, our_ping(b, IP4(127, 0, 0, 1), FAR, 10));
	ip_flush(b->s);
	assert_int_equal(b->env.ledger.n_dropped[DROP_IP_SOURCE_MARTIAN], 1);
	fixture_destroy(b);
}

/* Would catch: packets of ours to many that ask ARP for a group's address. */
static void test_to_many(void **state)
{
	static const uint8_t group_mac[6] = { 0x01, 0x00, 0x5e, 0x7f, 0x00, 0x05 };
	struct stack_fixture *b = fixture_create_settled();
	struct packet *p = our_ping(b, 0, IP4(239, 255, 0, 5), 10);

	p->out_ifindex = LAN;
	ip_local_out_one(b->s, p);
	p = our_ping(b, 0, UINT32_MAX, 10);
	p->out_ifindex = LAN;
	ip_local_out_one(b->s, p);
	ip_local_out_one(b->s, our_ping(b, 0, IP4(10, 0, 1, 255), 10));
	ip_local_out_one(b->s, our_ping(b, 0, UINT32_MAX, 10));
	/* Where nobody says by which interface the route does. */
	ip_local_out_one(b->s, our_ping(b, 0, IP4(239, 255, 0, 5), 10));
	ip_flush(b->s);
	assert_int_equal(b->dev[WAN].n, 1);
	assert_int_equal(b->dev[LAN].n, 3);
	struct seen v = fixture_seen(b, LAN, 0);

	assert_memory_equal(&v.eth.dst, group_mac, 6);
	assert_int_equal(v.ip.src, LAN_US);
	for (uint32_t i = 1; i < 3; i++) {
		v = fixture_seen(b, LAN, i);
		assert_true(ether_is_broadcast(&v.eth.dst));
	}
	assert_int_equal(b->env.ledger.n_dropped[DROP_NO_ROUTE], 1);
	fixture_destroy(b);
}

/* Would catch: record route and timestamp that leave us out, or break a checksum. */
static void test_options(void **state)
{
	struct stack_fixture *b = fixture_create_settled();

	struct packet_spec sp = udp_far;

	sp.ip_options = record_route;
	sp.ip_options_len = sizeof(record_route);
	fixture_input_spec(b, &sp);
	struct seen v = fixture_seen(b, WAN, 0);
	static const uint8_t want[] = { IPV4_OPT_RECORD_ROUTE, 7, 8, 192, 0, 2, 1, 0 };

	assert_memory_equal(v.l3 + IPV4_HEADER_LEN, want, sizeof(want));
	fixture_destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mtu_exact),         cmocka_unit_test(test_fragment_on_forward),
		cmocka_unit_test(test_large_segment),     cmocka_unit_test(test_large_datagram),
		cmocka_unit_test(test_partial_checksum),  cmocka_unit_test(test_local_out),
		cmocka_unit_test(test_local_out_nowhere), cmocka_unit_test(test_loop),
		cmocka_unit_test(test_to_many),           cmocka_unit_test(test_options),
		cmocka_unit_test(test_sources),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
