/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/fastpath/offload_fixture.h"

/* --- what a flow looks like --- */

static uint16_t sum16(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint16_t mend(uint16_t check, uint16_t delta)
{
	uint32_t sum = (uint32_t)(uint16_t)~check + (uint16_t)~delta;

	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~((sum & 0xffff) + (sum >> 16));
}

/* Pseudo header and ports, or an ICMP header, over which the checksum goes. */
static uint16_t l4_sum(const struct tuple *t)
{
	uint8_t b[14] = { (uint8_t)(t->src >> 24),
			  (uint8_t)(t->src >> 16),
			  (uint8_t)(t->src >> 8),
			  (uint8_t)t->src,
			  (uint8_t)(t->dst >> 24),
			  (uint8_t)(t->dst >> 16),
			  (uint8_t)(t->dst >> 8),
			  (uint8_t)t->dst,
			  (uint8_t)(t->sport >> 8),
			  (uint8_t)t->sport,
			  (uint8_t)(t->dport >> 8),
			  (uint8_t)t->dport,
			  0x12,
			  0x34 };

	return t->proto == IPPROTO_ICMP ? sum16(b + 8, 6) : sum16(b, 14);
}

/* The program adds a number to a checksum; a checksum over all of the packet must agree.
 * Would catch: a wrong byte order, a pseudo header in ICMP's sum, a port left out, the other direction's rewrite. */
static void test_flow(void **state)
{
	static const uint8_t protos[] = { IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP };
	struct offload_fixture w;

	open_fixture(&w);
	for (uint32_t i = 0; i < 30; i++) {
		make_conn(&w, i, protos[i % 3]);
		w.ct.conn[i].half[CT_REPLY].tuple.dst += i * 0x01010101;
		put_in(&w, i);
		for (enum ct_dir dir = CT_ORIGINAL; dir < N_CT_DIRS; dir++) {
			struct flowcache_view v;
			struct model_packet p = packet_of(&w, i, dir);
			flowcache_view(&w.flowcache, i, dir, &v);
			const struct fp_flow *f = flow_of(&w, i, dir);
			assert_non_null(f);
			assert_int_equal(run(&w, &p), FP_FORWARDED);
			assert_int_equal(p.src, v.out.src);
			assert_int_equal(p.dst, v.out.dst);
			assert_int_equal(p.sport, v.out.sport);
			assert_int_equal(p.dport, v.out.dport);
			assert_int_equal(mend((uint16_t)~l4_sum(&v.in), f->l4_delta), (uint16_t)~l4_sum(&v.out));
			uint32_t in[2] = { htonl(v.in.src), htonl(v.in.dst) },
				 out[2] = { htonl(v.out.src), htonl(v.out.dst) };
			assert_int_equal(mend((uint16_t)~sum16((uint8_t *)in, 8), f->ip_delta),
					 (uint16_t)~sum16((uint8_t *)out, 8));
		}
	}
	/* Nothing is translated: nothing is to be added. */
	make_conn(&w, 40, IPPROTO_UDP);
	w.ct.conn[40].half[CT_REPLY].tuple.dst = w.ct.conn[40].half[CT_ORIGINAL].tuple.src;
	w.ct.conn[40].half[CT_REPLY].tuple.dport = 1000;
	put_in(&w, 40);
	assert_int_equal(flow_of(&w, 40, CT_ORIGINAL)->ip_delta, 0);
	assert_int_equal(flow_of(&w, 40, CT_ORIGINAL)->l4_delta, 0);
	close_fixture(&w);
}

/* Would catch: a connection in the kernel that conntrack has to look at each packet of. */
static void test_refused(void **state)
{
	struct offload_fixture w;

	open_fixture(&w);
	make_conn(&w, 1, IPPROTO_TCP);
	w.ct.conn[1].tcp_state = CT_TCP_FIN_WAIT;
	assert_false(w.o->add(w.m, 1));
	w.ct.conn[2].status &= (uint16_t)~CT_CONFIRMED;
	assert_false(w.o->add(w.m, 2));
	make_conn(&w, 3, IPPROTO_ICMP);
	w.ct.conn[3].half[CT_ORIGINAL].tuple.dport = 13 << 8;
	assert_false(w.o->add(w.m, 3));
	make_conn(&w, 4, 47);
	assert_false(w.o->add(w.m, 4));
	w.flowcache.none = true;
	assert_false(w.o->add(w.m, 5));
	w.flowcache.none = false;
	/* Out by tc alone, where no XDP program reaches; and the way back takes no frames. */
	offload_map_set_port(w.m, 1, 101, FP_EGRESS_UP);
	offload_map_set_kind(w.m, 1, FASTPATH_XDP_GENERIC);
	assert_false(w.o->add(w.m, 5));
	/* No program on either side. */
	offload_map_set_port(w.m, 1, 0, FP_EGRESS_UP);
	offload_map_set_port(w.m, 2, 0, FP_EGRESS_UP);
	assert_false(w.o->add(w.m, 5));
	assert_false(w.o->add(w.m, N_CONNS + 100000));
	assert_int_equal(offload_map_next_deadline(w.m), TIME_NEVER);
	close_fixture(&w);
}

/* Would catch: a flow put in whose program cannot send it where it goes; one left out that could be. Both ways are
 * of the same sort. */
static void test_kinds_of_ways(void **state)
{
	static const bool goes[3][FP_EGRESS_PEER + 1] = {
		[FASTPATH_XDP_NATIVE] = { [FP_EGRESS_REDIRECT] = true },
		[FASTPATH_XDP_GENERIC] = { [FP_EGRESS_REDIRECT] = true, [FP_EGRESS_SEND] = true },
		[FASTPATH_TC] = { [FP_EGRESS_REDIRECT] = true, [FP_EGRESS_SEND] = true, [FP_EGRESS_PEER] = true },
	};

	for (enum fastpath_kind kind = FASTPATH_XDP_NATIVE; kind <= FASTPATH_TC; kind++)
		for (enum fp_egress how = FP_EGRESS_UP; how <= FP_EGRESS_PEER; how++) {
			struct offload_fixture w;

			open_fixture(&w);
			for (uint32_t i = 1; i <= 2; i++) {
				offload_map_set_kind(w.m, i, kind);
				offload_map_set_port(w.m, i, 100 + i, how);
			}
			if (w.o->add(w.m, 0) != goes[kind][how])
				fail_msg("kind %d, how %d", kind, how);
			close_fixture(&w);
		}
}

/* --- reading back --- */

/* Would catch: a deferred count that is credited twice, to the other direction, or with a wrong time or wrong marks. */
static void test_read_back(void **state)
{
	struct offload_fixture w;

	open_fixture(&w);
	make_conn(&w, 7, IPPROTO_TCP);
	put_in(&w, 7);
	assert_false(w.o->read_back(w.m, 7));
	assert_false(w.o->read_back(w.m, 8));
	uint64_t then = w.env.now;
	struct model_packet p = packet_of(&w, 7, CT_ORIGINAL);
	p.end = 9000;
	p.ack = 4500;
	p.win = 41000;
	assert_int_equal(run(&w, &p), FP_FORWARDED);
	assert_int_equal(run_one(&w, 7, CT_ORIGINAL), FP_FORWARDED);
	w.env.now += 300 * MS;
	assert_true(w.o->read_back(w.m, 7));
	assert_int_equal(w.flowcache.n_credits, 1);
	struct flowcache_deferred *d = &w.flowcache.last[CT_ORIGINAL];
	assert_int_equal(d->packets, 2);
	assert_int_equal(d->bytes, 200);
	assert_true(d->has_tcp);
	assert_int_equal(d->tcp_end, 9000);
	assert_int_equal(d->tcp_ack, 4500);
	assert_int_equal(d->tcp_win, 41000);
	assert_in_range(d->last_ns, then - 2 * MS, then + 2 * MS);
	assert_false(w.o->read_back(w.m, 7));
	/* A clock of the program's that runs ahead of ours is not believed. */
	assert_int_equal(run_one(&w, 7, CT_REPLY), FP_FORWARDED);
	flow_of(&w, 7, CT_REPLY)->last_seen += 5;
	assert_true(w.o->read_back(w.m, 7));
	assert_int_equal(w.flowcache.last[CT_REPLY].last_ns, w.env.now);
	close_fixture(&w);
}

/* Would catch: what the kernel forwarded left out of the devices' counters, counted twice, or at the device by which
 * the flow leaves only now. */
static void test_devices(void **state)
{
	struct offload_fixture w;

	open_fixture(&w);
	const struct device *d = w.ip.device;
	put_in(&w, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_FORWARDED);
	assert_int_equal(run_one(&w, 0, CT_REPLY), FP_FORWARDED);
	offload_map_read_all(w.m);
	offload_map_read_all(w.m);
	assert_int_equal(d[1].n_rx_packets, 3);
	assert_int_equal(d[1].n_rx_bytes, 3 * 114);
	assert_int_equal(d[1].n_tx_packets, 1);
	assert_int_equal(d[2].n_tx_packets, 3);
	assert_int_equal(d[2].n_tx_bytes, 3 * 114);
	assert_int_equal(d[2].n_rx_bytes, 114);
	/* One more, and then it leads elsewhere. */
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_FORWARDED);
	w.ip.adjacency[1].ifindex = 1;
	assert_true(w.o->add(w.m, 0));
	offload_map_read_all(w.m);
	assert_int_equal(d[2].n_tx_packets, 4);
	close_fixture(&w);
}

/* A flow that nobody answers, then one that somebody does, in the second core's range of a map.
 * Would catch: a half that is not there found, waited for, read, or led by another core's way out. */
static void test_one_way(void **state)
{
	struct offload_fixture w;
	struct fastpath_maps maps;
	struct flow_map *flows = open_maps(&maps, 64, 2 * N_ADJACENCIES);

	open_core(&w, 64, &(struct offload_share){ .maps = &maps, .flows = flows, .core = 1, .n_cores = 2 });
	w.ct.conn[3].status = CT_CONFIRMED;
	put_in(&w, 3);
	assert_int_equal(offload_map_next_deadline(w.m) > w.env.now, true);
	assert_int_equal(run_one(&w, 3, CT_ORIGINAL), FP_FORWARDED);
	assert_int_equal(run_one(&w, 3, CT_REPLY), FP_UP_NO_FLOW);
	pass_time(&w, 3 * NS_PER_S);
	assert_true(offload_map_has(w.m, 3));
	assert_int_equal(w.flowcache.credit[3].packets[CT_ORIGINAL], 1);
	assert_int_equal(run_one(&w, 3, CT_ORIGINAL), FP_FORWARDED);
	/* Invalid, and rewritten in its place. */
	w.o->invalidate_all(w.m);
	assert_int_equal(run_one(&w, 3, CT_ORIGINAL), FP_UP_STALE);
	assert_true(w.o->add(w.m, 3));
	pass_time(&w, 11 * MS);
	assert_int_equal(run_one(&w, 3, CT_ORIGINAL), FP_FORWARDED);
	/* Answered without our being told. */
	w.ct.conn[3].status |= CT_SEEN_REPLY;
	pass_time(&w, 2 * NS_PER_S);
	assert_int_equal(w.n_left, 1);
	put_in(&w, 3);
	assert_int_equal(run_one(&w, 3, CT_ORIGINAL), FP_FORWARDED);
	assert_int_equal(run_one(&w, 3, CT_REPLY), FP_FORWARDED);
	/* Void, and nobody asks for it again. */
	w.ct.conn[5].status = CT_CONFIRMED;
	put_in(&w, 5);
	w.o->invalidate_all(w.m);
	pass_time(&w, 3 * NS_PER_S);
	assert_false(offload_map_has(w.m, 5));
	close_core(&w);
	flow_map_destroy(flows);
	model_maps_free(&maps);
}

/* Would catch: a counter that wraps and is credited as four thousand millions, a carry from packets into bytes, ticks
 * that wrap after 52 days. */
static void test_wrap(void **state)
{
	struct offload_fixture w;

	open_fixture(&w);
	/* Ticks of our clock are about to wrap. */
	w.offset = (int64_t)((UINT64_C(1) << (32 + FP_TICK_SHIFT)) - w.env.now - 20 * MS);
	offload_map_set_clock(w.m, w.offset);
	for (int i = 0; i < 2; i++) {
		w.maps.flow[i].packets = UINT32_MAX;
		w.maps.flow[i].bytes = UINT32_MAX - 50;
		w.maps.flow[i].up = UINT16_MAX;
	}
	put_in(&w, 0);
	uint64_t then = w.env.now;
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_FORWARDED);
	w.env.now += 50 * MS;
	assert_true(w.o->read_back(w.m, 0));
	assert_int_equal(w.flowcache.credit[0].packets[CT_ORIGINAL], 1);
	assert_int_equal(w.flowcache.credit[0].bytes[CT_ORIGINAL], 100);
	assert_in_range(w.flowcache.last[CT_ORIGINAL].last_ns, then - 2 * MS, then + 2 * MS);
	/* `up` wraps too. */
	struct model_packet p = packet_of(&w, 0, CT_REPLY);
	p.not_plain = true;
	assert_int_equal(run(&w, &p), FP_UP_NOT_PLAIN);
	assert_int_equal(run_one(&w, 0, CT_REPLY), FP_UP_BEHIND);
	assert_true(comes_up(&w));
	assert_int_equal(run_one(&w, 0, CT_REPLY), FP_UP_BEHIND);
	all_come_up(&w);
	assert_int_equal(run_one(&w, 0, CT_REPLY), FP_FORWARDED);
	close_fixture(&w);
}

/* Would catch: a slot that no slice passes, one that is passed too seldom, a burst. */
static void test_slices(void **state)
{
	enum { N = 40000 };
	struct offload_fixture w;
	uint64_t next, end;
	uint32_t before, most = 0;

	open_sized(&w, N, N);
	for (uint32_t i = 0; i < N; i++)
		assert_true(w.o->add(w.m, i));
	pass_time(&w, 100 * MS);
	for (int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < N; i++)
			assert_int_equal(run_one(&w, i, i & 1), FP_FORWARDED);
		end = w.env.now + NS_PER_S;
		while ((next = offload_map_next_deadline(w.m)) <= end) {
			w.env.now = max_u64(w.env.now, next);
			before = w.flowcache.n_credits;
			offload_map_expire(w.m);
			most = max_u32(most, w.flowcache.n_credits - before);
		}
		w.env.now = end;
		assert_int_equal(w.flowcache.n_credits, (uint32_t)(round + 1) * N);
	}
	assert_true(most <= 4096);
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(w.flowcache.credit[i].packets[i & 1], 3);
	close_fixture(&w);
}

/* Would catch: something that was forwarded and is lost at the end, packets that are forwarded after it. */
static void test_destroy(void **state)
{
	struct offload_fixture w;

	open_fixture(&w);
	for (uint32_t i = 0; i < 100; i++)
		assert_true(w.o->add(w.m, i));
	pass_time(&w, 20 * MS);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(run_one(&w, i, CT_REPLY), FP_FORWARDED);
	offload_map_read_all(w.m);
	assert_int_equal(w.flowcache.n_credits, 100);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(run_one(&w, i, CT_REPLY), FP_FORWARDED);
	offload_map_destroy(w.m);
	assert_int_equal(w.n_left, 100);
	for (uint32_t i = 0; i < 100; i++) {
		assert_int_equal(w.flowcache.credit[i].packets[CT_REPLY], 2);
		assert_int_equal(run_one(&w, i, CT_REPLY), FP_UP_NO_FLOW);
	}
	w.m = NULL;
	close_fixture(&w);
}

/* --- coming and going --- */

/* Would catch: a slot that is used again while a program may still count in it, its late packets credited to the next
 * connection, a mapping that stays. */
static void test_slots(void **state)
{
	struct offload_fixture w;
	struct offload_map_info info;

	open_sized(&w, N_CONNS, 2);
	put_in(&w, 10);
	put_in(&w, 11);
	assert_true(offload_map_has(w.m, 11));
	assert_false(w.o->add(w.m, 12));
	struct fp_flow *f = flow_of(&w, 11, CT_ORIGINAL);
	w.o->remove(w.m, 11);
	assert_false(offload_map_has(w.m, 11));
	assert_int_equal(run_one(&w, 11, CT_ORIGINAL), FP_UP_NO_FLOW);
	/* A program that was on its way. */
	f->packets += 3;
	assert_false(w.o->add(w.m, 12));
	pass_time(&w, 10 * MS);
	assert_true(w.o->add(w.m, 12));
	assert_ptr_equal(flow_of(&w, 12, CT_ORIGINAL), f);
	assert_false(w.o->read_back(w.m, 12));
	info_of(&w, &info);
	assert_int_equal(info.n_late, 3);
	assert_int_equal(info.n_connections, 2);
	assert_int_equal(info.n_full, 2);
	assert_int_equal(info.n_added, 3);
	assert_int_equal(info.n_removed, 1);
	w.o->remove(w.m, 11);
	w.o->came_up(w.m, 11, CT_ORIGINAL, &(struct up_stamp){ .present = true });
	close_fixture(&w);
}

/* Would catch: slots that stay with connections that say nothing, and busy ones that are thrown out. */
static void test_make_room(void **state)
{
	struct offload_fixture w;

	open_sized(&w, N_CONNS, 4);
	for (uint32_t i = 0; i < 4; i++)
		put_in(&w, i);
	for (int s = 0; s < 15; s++) {
		for (uint32_t i = 0; i < 3; i++)
			assert_int_equal(run_one(&w, i, CT_ORIGINAL), FP_FORWARDED);
		pass_time(&w, NS_PER_S);
	}
	assert_false(w.o->add(w.m, 9));
	assert_int_equal(w.n_left, 1);
	assert_int_equal(w.last_left, 3);
	assert_false(w.o->add(w.m, 9));
	assert_int_equal(w.n_left, 1);
	pass_time(&w, 10 * MS);
	assert_true(w.o->add(w.m, 9));
	/* One that was silent for long, and has just begun again: no slice has seen it. */
	pass_time(&w, 15 * NS_PER_S);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(run_one(&w, i, CT_ORIGINAL), FP_FORWARDED);
	assert_int_equal(run_one(&w, 9, CT_ORIGINAL), FP_FORWARDED);
	assert_false(w.o->add(w.m, 10));
	assert_int_equal(w.n_left, 1);
	close_fixture(&w);
}

/* Would catch: a TCP connection that closes and stays in the kernel. */
static void test_tcp_closes(void **state)
{
	struct offload_fixture w;

	open_fixture(&w);
	for (uint32_t i = 0; i < 2; i++) {
		make_conn(&w, i, IPPROTO_TCP);
		put_in(&w, i);
		assert_int_equal(run_one(&w, i, CT_ORIGINAL), FP_FORWARDED);
	}
	struct model_packet fin = packet_of(&w, 0, CT_ORIGINAL);
	fin.not_plain = true;
	assert_int_equal(run(&w, &fin), FP_UP_NOT_PLAIN);
	(void)w.o->read_back(w.m, 0);
	assert_int_equal(w.flowcache.credit[0].packets[CT_ORIGINAL], 1);
	w.ct.conn[0].tcp_state = CT_TCP_FIN_WAIT;
	all_come_up(&w);
	assert_int_equal(w.n_left, 1);
	assert_false(offload_map_has(w.m, 0));
	/* By another way: a slice sees it. */
	w.ct.conn[1].tcp_state = CT_TCP_CLOSE;
	pass_time(&w, 2 * NS_PER_S);
	assert_int_equal(w.n_left, 2);
	assert_int_equal(w.flowcache.credit[1].packets[CT_ORIGINAL], 1);
	close_fixture(&w);
}

/* Would catch: a flow that goes on by an old decision, one that is not rewritten, one that nobody wants any more
 * and that keeps its slot; packets that are forwarded between their credit and the end of forwarding. */
static void test_void_all(void **state)
{
	struct offload_fixture w;

	open_fixture(&w);
	put_in(&w, 0);
	put_in(&w, 1);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_FORWARDED);
	uint32_t generation = w.maps.adjacency[1].generation;
	w.o->invalidate_all(w.m);
	/* Not at once for all of them; but whoever asks gets it, and behind the end of forwarding. */
	assert_int_equal(w.flowcache.n_credits, 0);
	assert_true(w.o->read_back(w.m, 0));
	assert_int_equal(w.flowcache.credit[0].packets[CT_ORIGINAL], 1);
	assert_int_equal(w.flowcache.generation, generation + 1);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_STALE);
	w.ct.conn[0].half[CT_REPLY].tuple.dst++; /* (only a test can) */
	struct fp_flow *f = flow_of(&w, 0, CT_ORIGINAL);
	assert_true(w.o->add(w.m, 0));
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	all_come_up(&w);
	pass_time(&w, 25 * MS);
	struct model_packet p = packet_of(&w, 0, CT_ORIGINAL);
	assert_int_equal(run(&w, &p), FP_FORWARDED);
	assert_int_equal(p.src, 0xcb007106);
	pass_time(&w, 3 * NS_PER_S);
	assert_true(offload_map_has(w.m, 0));
	assert_false(offload_map_has(w.m, 1));
	assert_int_equal(w.last_left, 1);
	assert_int_equal(w.flowcache.credit[0].packets[CT_ORIGINAL], 2);
	(void)f;
	close_fixture(&w);
}

/* --- ways out --- */

/* Would catch: frames to an old address, out of an old device, by an unusable way, or larger than it takes. */
static void test_adjacency(void **state)
{
	struct offload_fixture w;
	const struct fp_adjacency *a;

	open_fixture(&w);
	put_in(&w, 0);
	a = &w.maps.adjacency[1];
	assert_int_equal(a->how, FP_EGRESS_PEER);
	assert_int_equal(a->ifindex, 102);
	assert_int_equal(a->port, 2);
	assert_int_equal(a->mtu, 1500);
	assert_int_equal(a->header[0], 1);
	assert_int_equal(w.maps.adjacency[3].how, FP_EGRESS_UP);
	w.ip.adjacency[1].header[0] = 99;
	w.ip.adjacency[1].mtu = 50;
	w.o->adjacency_changed(w.m, 1, IP_ADJACENCY_CHANGED);
	assert_int_equal(a->header[0], 99);
	assert_int_equal(a->version & 1, 0);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_TOO_BIG);
	all_come_up(&w);
	w.ip.adjacency[1].usable = false;
	w.ip.adjacency[1].mtu = 1500;
	w.o->adjacency_changed(w.m, 1, IP_ADJACENCY_CHANGED);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_ADJACENCY);
	all_come_up(&w);
	w.ip.adjacency[1].usable = true;
	w.o->adjacency_changed(w.m, 1, IP_ADJACENCY_CHANGED);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_FORWARDED);
	offload_map_set_port(w.m, 2, 0, FP_EGRESS_REDIRECT);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_ADJACENCY);
	w.o->adjacency_changed(w.m, 500, IP_ADJACENCY_CHANGED);
	close_fixture(&w);
}

#define OTHER 100u /* a connection with other neighbours */

/* A neighbour's number is given to another. Would catch: the old one's flows that are sent to the new one, also when
 * the generation has come round; flows of others that go up for it; a flow that leaves although one of its directions
 * goes on, or that stays when none does. */
static void test_adjacency_gone(void **state)
{
	struct offload_fixture w;

	open_fixture(&w);
	w.flowcache.others_from = OTHER;
	put_in(&w, 0);
	put_in(&w, OTHER);
	for (uint32_t i = 0; i <= UINT16_MAX; i++) {
		w.o->adjacency_changed(w.m, 1, IP_ADJACENCY_GONE);
		if (i % 8192 == 0)
			pass_time(&w, 300 * MS);
		if (i % 8192 != 0 && i != UINT16_MAX)
			continue;
		assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_STALE);
		all_come_up(&w);
		assert_int_equal(run_one(&w, 0, CT_REPLY), FP_FORWARDED);
		assert_int_equal(run_one(&w, OTHER, CT_ORIGINAL), FP_FORWARDED);
		assert_int_equal(run_one(&w, OTHER, CT_REPLY), FP_FORWARDED);
	}
	pass_time(&w, 2 * NS_PER_S);
	assert_true(offload_map_has(w.m, 0));
	assert_int_equal(w.flowcache.credit[0].packets[CT_REPLY], 9);
	w.o->adjacency_changed(w.m, 2, IP_ADJACENCY_GONE);
	assert_int_equal(run_one(&w, 0, CT_REPLY), FP_UP_STALE);
	pass_time(&w, 2 * NS_PER_S);
	assert_false(offload_map_has(w.m, 0));
	assert_true(offload_map_has(w.m, OTHER));
	assert_int_equal(w.n_left, 1);
	/* Again, by the number as it is now. */
	put_in(&w, 0);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_FORWARDED);
	close_fixture(&w);
}

/* Would catch: a flow by a way out that belongs to another core, or does not exist; a refusal that nobody sees. */
static void test_no_way(void **state)
{
	struct offload_fixture w;
	struct fastpath_maps maps;
	struct offload_map_info info;
	struct flow_map *flows = open_maps(&maps, N_CONNS, 4);

	open_core(&w, N_CONNS, &(struct offload_share){ .maps = &maps, .flows = flows, .n_cores = 1 });
	w.flows = flows;
	w.flowcache.others_from = OTHER;
	assert_true(w.o->add(w.m, 0));
	info_of(&w, &info);
	assert_int_equal(info.n_no_way, 0);
	assert_false(w.o->add(w.m, OTHER)); /* by 3 and 4 */
	info_of(&w, &info);
	assert_int_equal(info.n_no_way, 1);
	assert_int_equal(info.n_full, 0);
	close_fixture(&w);
}

/* Would catch: a stale neighbour that is sent to for ever without being asked, and one that is asked although nothing
 * is sent to it. */
static void test_stale(void **state)
{
	struct offload_fixture w;

	open_fixture(&w);
	put_in(&w, 0);
	w.ip.adjacency[1].stale = w.ip.adjacency[2].stale = true;
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_FORWARDED);
	pass_time(&w, 1100 * MS);
	assert_int_equal(w.ip.n_used[1], 1);
	assert_int_equal(w.ip.n_used[2], 0);
	pass_time(&w, 3 * NS_PER_S);
	assert_int_equal(w.ip.n_used[1], 1);
	close_fixture(&w);
}

/* An idle gateway sleeps. Would catch: a timer that goes on when nothing is in. */
static void test_idle(void **state)
{
	struct offload_fixture w;

	open_fixture(&w);
	put_in(&w, 0);
	assert_in_range(offload_map_next_deadline(w.m), w.env.now + 1, w.env.now + NS_PER_S);
	w.o->remove(w.m, 0);
	pass_time(&w, 2 * NS_PER_S);
	assert_int_equal(offload_map_next_deadline(w.m), TIME_NEVER);
	close_fixture(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flow),           cmocka_unit_test(test_refused),
		cmocka_unit_test(test_kinds_of_ways),  cmocka_unit_test(test_read_back),
		cmocka_unit_test(test_devices),        cmocka_unit_test(test_one_way),
		cmocka_unit_test(test_wrap),           cmocka_unit_test(test_slices),
		cmocka_unit_test(test_destroy),        cmocka_unit_test(test_slots),
		cmocka_unit_test(test_make_room),      cmocka_unit_test(test_tcp_closes),
		cmocka_unit_test(test_void_all),       cmocka_unit_test(test_adjacency),
		cmocka_unit_test(test_stale),          cmocka_unit_test(test_idle),
		cmocka_unit_test(test_adjacency_gone), cmocka_unit_test(test_no_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
