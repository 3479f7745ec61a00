/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Translation of packets at the hooks.
 */
#include <errno.h>

#include "gateway/nat/nat_fixture.h"
#include "gateway/nat/record.h"

static const uint8_t protos[] = { IPPROTO_NR_TCP, IPPROTO_NR_UDP, IPPROTO_NR_ICMP };

static uint16_t port_of(const struct came *c)
{
	return c->l4.kind == L4_ICMP_QUERY ? c->l4.id : c->l4.sport;
}

/* Would catch: a packet that leaves untranslated, an answer that does not come back, a flow that changes its port. */
static void test_masquerade(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(protos); i++) {
		struct nat_fixture nb;
		struct packet_spec m = out_make(protos[i], 4000, 80);

		nat_fixture_start(&nb, 100);
		struct came c = nat_send(&nb, &m);
		assert_true(c.passed);
		assert_int_equal(c.out, WAN);
		assert_int_equal(c.ip.src, WAN_ADDR);
		assert_int_equal(c.ip.dst, SERVER);
		assert_true(protos[i] == IPPROTO_NR_ICMP || port_of(&c) >= 1024);
		struct packet_spec back = answer_to(&c, &m);
		struct came r = nat_send(&nb, &back);
		assert_true(r.passed);
		assert_int_equal(r.out, LAN);
		assert_int_equal(r.ip.dst, CLIENT);
		assert_int_equal(r.ip.src, SERVER);
		assert_int_equal(protos[i] == IPPROTO_NR_ICMP ? r.l4.id : r.l4.dport, 4000);
		assert_int_equal(r.info, CT_INFO_ESTABLISHED);
		struct came again = nat_send(&nb, &m);
		assert_int_equal(port_of(&again), port_of(&c));
		assert_int_equal(conntrack_n_connections(nb.b.ct), 1);
		nat_fixture_stop(&nb);
	}
}

/* Would catch: a checksum left to the device, or one that is absent, treated as a whole one. */
static void test_checksum_kinds(void **state)
{
	struct nat_fixture nb;
	struct packet_spec m = out_make(IPPROTO_NR_UDP, 4000, 53);

	(void)state;
	nat_fixture_start(&nb, 100);
	struct packet *p = fixture_packet(&nb.b, &m);
	packet_l4(p)[6] = packet_l4(p)[7] = 0;
	p->l4.check = 0;
	p = nat_walk(&nb, p, NULL, NULL);
	assert_int_equal(packet_l4(p)[6] | packet_l4(p)[7], 0);
	fixture_hand(&nb.b, p);

	p = fixture_packet(&nb.b, &m);
	uint16_t sum = checksum_fold(checksum_pseudo(p->ip.src, p->ip.dst, p->ip.proto, packet_l4_len(p)));
	packet_l4(p)[6] = (uint8_t)(sum >> 8);
	packet_l4(p)[7] = (uint8_t)sum;
	p->l4.check = sum;
	p->offload.csum_partial = true;
	p = nat_walk(&nb, p, NULL, NULL);
	sum = checksum_fold(checksum_pseudo(p->ip.src, p->ip.dst, p->ip.proto, packet_l4_len(p)));
	assert_int_equal(packet_l4(p)[6] << 8 | packet_l4(p)[7], sum);
	fixture_hand(&nb.b, p);
	nat_fixture_stop(&nb);
}

/* The gateway's own connection to where the clients' go: its tuple is none of the map's. */
static void open_own(struct nat_fixture *nb, uint16_t port)
{
	struct packet_spec own = out_make(IPPROTO_NR_UDP, port, 53);
	struct batch batch = { .n = 0 };

	own.in = 0;
	own.src = WAN_ADDR;
	batch_add(&batch, fixture_packet(&nb->b, &own));
	fixture_in(&nb->b, HOOK_OUTPUT, &batch);
	nat_dst(nb->nat, HOOK_OUTPUT, &batch);
	nat_src(nb->nat, HOOK_POSTROUTING, &batch);
	fixture_out(&nb->b, HOOK_POSTROUTING, &batch);
	assert_int_equal(batch.n, 1);
	fixture_hand(&nb->b, batch.p[0]);
}

#define N_TOGETHER 60u

/* The ports that new flows get, by their own, in batches of n packets; 0: refused. Every third one sends twice. */
static void ports_in_batches(uint32_t n, uint16_t *port)
{
	struct nat_fixture nb;
	struct packet *out[BATCH_MAX];

	memset(port, 0, N_TOGETHER * sizeof(*port));
	nat_fixture_start(&nb, 100);
	nb.snat.flags = NAT_FLAG_PORT;
	nb.snat.ports = (struct port_range){ 2000, 2031 };
	for (uint16_t i = 2000; i < 2008; i++)
		open_own(&nb, i);
	for (uint32_t i = 0; i < N_TOGETHER;) {
		struct batch batch = { .n = 0 };

		for (; batch.n < n && i < N_TOGETHER; i++) {
			struct packet_spec m = out_make(IPPROTO_NR_UDP, (uint16_t)(3000 + i - (i % 3 == 2)), 53);

			m.dst = SERVER + (i / 3 % 5 == 0);
			batch_add(&batch, fixture_packet(&nb.b, &m));
		}
		uint32_t first = i - batch.n;

		fixture_in(&nb.b, HOOK_PREROUTING, &batch);
		nat_dst(nb.nat, HOOK_PREROUTING, &batch);
		for (uint32_t k = 0; k < batch.n; k++) {
			batch.p[k]->out_ifindex = WAN;
			batch.p[k]->forwarded = true;
			out[k] = batch.p[k];
		}
		nat_src(nb.nat, HOOK_POSTROUTING, &batch);
		for (uint32_t k = 0; k < batch.n; k++)
			if (out[k]->verdict == VERDICT_CONTINUE)
				port[first + k] = out[k]->l4.sport;
		batch_settle(&batch, nb.b.env.pool, &nb.b.env.ledger);
		fixture_out(&nb.b, HOOK_POSTROUTING, &batch);
		for (uint32_t k = 0; k < batch.n; k++)
			fixture_hand(&nb.b, batch.p[k]);
	}
	nat_fixture_stop(&nb);
}

/* Would catch: flows whose ports depend on which others were in their batch; one that finds its tuple taken and those
 * behind it with the ports that it ought to have found free. */
static void test_batch_as_one_by_one(void **state)
{
	uint16_t alone[N_TOGETHER], together[N_TOGETHER];
	uint32_t n_refused = 0;

	(void)state;
	/* Three at a time: both packets of a flow together. */
	ports_in_batches(3, alone);
	for (uint32_t n = 6; n <= 60; n += 6) {
		ports_in_batches(n, together);
		assert_memory_equal(alone, together, sizeof(alone));
	}
	for (uint32_t i = 0; i < N_TOGETHER; i++)
		n_refused += alone[i] == 0;
	assert_in_range(n_refused, 1, N_TOGETHER / 2);
}

/* Would catch: two packets of a new flow in one batch with two mappings. */
static void test_one_mapping_a_batch(void **state)
{
	struct nat_fixture nb;
	struct packet_spec m = out_make(IPPROTO_NR_UDP, 4000, 53);
	struct batch batch = { .n = 0 };

	(void)state;
	nat_fixture_start(&nb, 100);
	for (int i = 0; i < 4; i++)
		batch_add(&batch, fixture_packet(&nb.b, &m));
	fixture_in(&nb.b, HOOK_PREROUTING, &batch);
	nat_dst(nb.nat, HOOK_PREROUTING, &batch);
	for (int i = 0; i < 4; i++) {
		batch.p[i]->out_ifindex = WAN;
		batch.p[i]->forwarded = true;
	}
	/* The first is lost in between: the others are not. */
	packet_set_drop(batch.p[0], DROP_RULE_DROP);
	batch_settle(&batch, nb.b.env.pool, &nb.b.env.ledger);
	nat_src(nb.nat, HOOK_POSTROUTING, &batch);
	fixture_out(&nb.b, HOOK_POSTROUTING, &batch);
	assert_int_equal(batch.n, 3);
	for (int i = 0; i < 3; i++) {
		check_sums(batch.p[i]);
		assert_int_equal(batch.p[i]->ip.src, WAN_ADDR);
		assert_int_equal(batch.p[i]->l4.sport, batch.p[0]->l4.sport);
	}
	for (int i = 0; i < 3; i++)
		fixture_hand(&nb.b, batch.p[i]);
	assert_int_equal(conntrack_n_connections(nb.b.ct), 1);
	nat_fixture_stop(&nb);
}

/* Would catch: a forwarded port that goes astray, or an inbound connection that uses up a port of the map. */
static void test_dnat(void **state)
{
	struct nat_fixture nb;
	struct packet_spec m = { .in = WAN,
				 .src = SERVER,
				 .dst = WAN_ADDR,
				 .proto = IPPROTO_NR_TCP,
				 .sport = 999,
				 .dport = 8080,
				 .flags = TCP_SYN,
				 .window = 1000 };

	(void)state;
	nat_fixture_start(&nb, 100);
	struct came c = nat_send(&nb, &m);
	assert_int_equal(c.out, LAN);
	assert_int_equal(c.ip.dst, CLIENT);
	assert_int_equal(c.l4.dport, 80);
	assert_int_equal(c.ip.src, SERVER);
	assert_int_equal(c.l4.sport, 999);
	struct packet_spec back = answer_to(&c, &m);
	struct came r = nat_send(&nb, &back);
	assert_int_equal(r.out, WAN);
	assert_int_equal(r.ip.src, WAN_ADDR);
	assert_int_equal(r.l4.sport, 8080);
	assert_int_equal(ports_n_holders(nb.nat->ports), 0);
	nat_fixture_stop(&nb);
}

/* Would catch: a client that comes to another host each time although the rule says `persistent`, a host that the rule
 * does not have, hosts that no client comes to. */
static void test_dnat_persistent(void **state)
{
	struct nat_fixture nb;
	uint32_t n_to[3] = { 0 };

	(void)state;
	nat_fixture_start(&nb, 100);
	nb.dnat.flags |= NAT_FLAG_ADDRESS | NAT_FLAG_PERSISTENT;
	nb.dnat.range = (struct nat_address_range){ CLIENT, CLIENT + 2 };
	for (uint32_t client = 0; client < 40; client++) {
		uint32_t dst = 0;

		for (uint16_t flow = 0; flow < 2; flow++) {
			struct packet_spec m = { .in = WAN,
						 .src = SERVER + client,
						 .dst = WAN_ADDR,
						 .proto = IPPROTO_NR_UDP,
						 .sport = (uint16_t)(900 + flow),
						 .dport = 8080,
						 .payload_len = 30 };
			struct came c = nat_send(&nb, &m);

			assert_true(c.passed);
			assert_in_range(c.ip.dst, CLIENT, CLIENT + 2);
			if (flow > 0)
				assert_int_equal(c.ip.dst, dst);
			dst = c.ip.dst;
		}
		n_to[dst - CLIENT]++;
	}
	for (size_t i = 0; i < ARRAY_LEN(n_to); i++)
		assert_true(n_to[i] > 0);
	nat_fixture_stop(&nb);
}

/* Would catch: one of the two sides lost when both are translated. */
static void test_both(void **state)
{
	struct nat_fixture nb;
	struct packet_spec m = { .in = WAN,
				 .src = IP4(10, 9, 9, 9),
				 .dst = WAN_ADDR,
				 .proto = IPPROTO_NR_UDP,
				 .sport = 999,
				 .dport = 8080,
				 .payload_len = 30 };

	(void)state;
	nat_fixture_start(&nb, 100);
	/* From an inside-looking address back out of the WAN. */
	nb.dnat.range = (struct nat_address_range){ SERVER, SERVER };
	struct came c = nat_send(&nb, &m);
	assert_int_equal(c.ip.src, WAN_ADDR);
	assert_int_equal(c.ip.dst, SERVER);
	assert_int_equal(c.l4.dport, 80);
	struct packet_spec back = answer_to(&c, &m);
	struct came r = nat_send(&nb, &back);
	assert_int_equal(r.ip.src, WAN_ADDR);
	assert_int_equal(r.l4.sport, 8080);
	assert_int_equal(r.ip.dst, IP4(10, 9, 9, 9));
	assert_int_equal(r.l4.dport, 999);
	nat_fixture_stop(&nb);
}

/* Would catch: two connections of the gateway and of a client with one REPLY tuple. */
static void test_own_connections(void **state)
{
	struct nat_fixture nb;

	(void)state;
	nat_fixture_start(&nb, 100);
	nb.snat.flags = NAT_FLAG_PRESERVE;
	struct packet_spec client = out_make(IPPROTO_NR_ICMP, 77, 0);
	struct came c = nat_send(&nb, &client);
	assert_int_equal(c.l4.id, 77);
	for (int i = 0; i < 2; i++) {
		struct packet_spec own = client;
		struct batch batch = { .n = 0 };
		own.in = 0;
		own.src = WAN_ADDR;
		batch_add(&batch, fixture_packet(&nb.b, &own));
		fixture_in(&nb.b, HOOK_OUTPUT, &batch);
		nat_dst(nb.nat, HOOK_OUTPUT, &batch);
		nat_src(nb.nat, HOOK_POSTROUTING, &batch);
		fixture_out(&nb.b, HOOK_POSTROUTING, &batch);
		assert_int_equal(batch.n, 1);
		check_sums(batch.p[0]);
		assert_int_equal(batch.p[0]->ip.src, WAN_ADDR);
		assert_int_not_equal(batch.p[0]->l4.id, 77);
		struct came o = { .ip = batch.p[0]->ip, .l4 = batch.p[0]->l4, .out = WAN };
		fixture_hand(&nb.b, batch.p[0]);
		struct packet_spec back = answer_to(&o, &own);
		struct came r = nat_send(&nb, &back);
		assert_int_equal(r.ip.dst, WAN_ADDR);
		assert_int_equal(r.l4.id, 77);
	}
	nat_fixture_stop(&nb);
}

static enum packet_verdict redirect_all(void *ctx, enum ip_hook hook, struct packet *p, struct nat_action *out)
{
	*out = (struct nat_action){ .kind = hook == HOOK_PREROUTING || hook == HOOK_OUTPUT ? NAT_ACTION_REDIRECT
											   : NAT_ACTION_NONE };
	return VERDICT_CONTINUE;
}

/* Would catch: what is redirected led to another address than that of the interface by which it came in, or for what
 * the host sends itself the loopback address. */
static void test_redirected(void **state)
{
	(void)state;
	for (int own = 0; own < 2; own++) {
		struct packet_spec m = out_make(IPPROTO_NR_UDP, 4000, 53);
		struct batch batch = { .n = 0 };
		struct nat_fixture nb;

		nat_fixture_start(&nb, 8);
		nat_set_rules(nb.nat, redirect_all, NULL);
		m.in = own ? 0 : LAN;
		m.src = own ? WAN_ADDR : CLIENT;
		batch_add(&batch, fixture_packet(&nb.b, &m));
		fixture_in(&nb.b, own ? HOOK_OUTPUT : HOOK_PREROUTING, &batch);
		nat_dst(nb.nat, own ? HOOK_OUTPUT : HOOK_PREROUTING, &batch);
		assert_int_equal(batch.p[0]->ip.dst, own ? IP4(127, 0, 0, 1) : LAN_ADDR);
		env_drop(&nb.b.env, batch.p[0], DROP_RULE_DROP);
		nat_fixture_stop(&nb);
	}
}

/* Would catch: a packet of the gateway's own that leaves with another's tuple where no port can tell them apart; one
 * that is dropped for some other reason. */
static void test_own_without_ports(void **state)
{
	struct packet_spec client = out_make(IPPROTO_NR_UDP, 0, 0), own;
	struct batch batch = { .n = 0 };
	struct nat_fixture nb;

	(void)state;
	nat_fixture_start(&nb, 100);
	client.proto = 41;
	own = client;
	own.in = 0;
	own.src = WAN_ADDR;
	assert_int_equal(nat_send(&nb, &client).ip.src, WAN_ADDR);
	batch_add(&batch, fixture_packet(&nb.b, &own));
	fixture_in(&nb.b, HOOK_OUTPUT, &batch);
	nat_dst(nb.nat, HOOK_OUTPUT, &batch);
	nat_src(nb.nat, HOOK_POSTROUTING, &batch);
	batch_settle(&batch, nb.b.env.pool, &nb.b.env.ledger);
	assert_int_equal(batch.n, 0);
	assert_int_equal(nb.b.env.ledger.n_dropped[DROP_NAT_EXHAUSTED], 1);
	nat_fixture_stop(&nb);
}

/* Would catch: a fragment that goes out untranslated, or a packet whose checksum is wrong when it is put together. */
static void test_fragments(void **state)
{
	static const uint32_t orders[][3] = { { 0, 1, 2 }, { 2, 1, 0 }, { 1, 0, 2 },
					      { 2, 0, 1 }, { 0, 2, 1 }, { 1, 2, 0 } };

	(void)state;
	for (size_t o = 0; o < ARRAY_LEN(orders); o++)
		for (size_t k = 0; k < ARRAY_LEN(protos); k++) {
			struct nat_fixture nb;
			uint8_t whole[2000] = { 0 };
			uint32_t n_bytes = 0, n_pieces = 0;
			struct ipv4_view ip = { 0 };

			nat_fixture_start(&nb, 100);
			for (int i = 0; i < 3; i++) {
				struct packet_spec m = out_make(protos[k], 4000, 53);
				struct packet *out[8];
				uint32_t n = 0;
				m.payload_len = 1100;
				m.ip_id = 99;
				m.frag_off = (uint16_t)(orders[o][i] * 400);
				m.mf = orders[o][i] < 2;
				m.cut = 400;
				nat_walk(&nb, fixture_packet(&nb.b, &m), &n, out);
				for (uint32_t j = 0; j < n; j++) {
					assert_int_equal(out[j]->ip.src, WAN_ADDR);
					assert_true(n_bytes == 0 || out[j]->ip.id == ip.id);
					memcpy(whole + out[j]->ip.frag_off, packet_l4(out[j]), packet_l4_len(out[j]));
					n_bytes += packet_l4_len(out[j]);
					ip = out[j]->ip;
					fixture_hand(&nb.b, out[j]);
				}
				n_pieces += n;
			}
			assert_int_equal(n_pieces, 3);
			ip.frag_off = 0;
			ip.mf = false;
			ip.total_len = (uint16_t)(20 + n_bytes);
			assert_true(l4_checksum_ok(&ip, whole, n_bytes));
			nat_fixture_stop(&nb);
		}
}

/* Would catch: fragments of two hosts behind one address that a receiver would put together. */
static void test_identification(void **state)
{
	struct nat_fixture nb;
	uint16_t seen[4];

	(void)state;
	nat_fixture_start(&nb, 100);
	for (uint32_t i = 0; i < 4; i++) {
		struct packet_spec m = out_make(IPPROTO_NR_UDP, 4000, 53);
		m.src = CLIENT + i;
		m.ip_id = 77;
		m.payload_len = 1100;
		m.mf = i < 2;
		m.cut = i < 2 ? 400 : 0;
		seen[i] = nat_send(&nb, &m).ip.id;
		for (uint32_t k = 0; k < i; k++)
			assert_int_not_equal(seen[i], seen[k]);
	}
	/* What nobody may cut keeps its own. */
	struct packet_spec m = out_make(IPPROTO_NR_UDP, 4000, 53);
	m.ip_id = 77;
	m.df = true;
	assert_int_equal(nat_send(&nb, &m).ip.id, 77);
	m.df = false;
	assert_int_not_equal(nat_send(&nb, &m).ip.id, 77);
	nat_fixture_stop(&nb);
}

/* One destination looks at the identifications that it gets, and others get some in between. Would catch: a counter
 * that several share, by which one can count what goes to the others; and numbers that repeat for one destination. */
static void test_identifications_apart(void **state)
{
	enum { N_OTHERS = 3 * NAT_IDENTIFICATIONS };
	struct nat_fixture nb;
	uint32_t n_small_steps = 0;

	(void)state;
	nat_fixture_start(&nb, 100);
	uint16_t last = nat_next_identification(nb.nat, WAN_ADDR, SERVER, IPPROTO_NR_UDP, 1);

	for (uint32_t i = 0; i < 200; i++) {
		uint16_t next = nat_next_identification(nb.nat, WAN_ADDR, SERVER, IPPROTO_NR_UDP, 1);

		assert_int_equal((uint16_t)(next - last), 1);
		last = next;
	}
	for (uint32_t round = 0; round < 50; round++) {
		uint16_t before = nat_next_identification(nb.nat, WAN_ADDR, SERVER, IPPROTO_NR_UDP, 1);

		for (uint32_t i = 1; i <= N_OTHERS; i++)
			(void)nat_next_identification(nb.nat, WAN_ADDR, SERVER + i, IPPROTO_NR_UDP, 1);
		uint16_t step =
			(uint16_t)(nat_next_identification(nb.nat, WAN_ADDR, SERVER, IPPROTO_NR_UDP, 1) - before);

		n_small_steps += step > 1 && step < 64; /* some three of the others fall into its place */
	}
	assert_in_range(n_small_steps, 0, 2);
	nat_fixture_stop(&nb);
}

/* Would catch: a second packet of a flow that was refused, or an INVALID one before its first, that leaves with its
 * inside address because it shares a connection that is not decided. */
static void test_undecided(void **state)
{
	(void)state;
	for (int invalid_first = 0; invalid_first < 2; invalid_first++) {
		struct nat_fixture nb;
		struct batch batch = { .n = 0 };
		struct packet_spec m = out_make(IPPROTO_NR_TCP, 4000, 80), odd = m;

		nat_fixture_start(&nb, 100);
		if (!invalid_first)
			nb.snat = (struct nat_action){ .kind = NAT_ACTION_POOL, .pool = 1 };
		odd.flags = TCP_SYN | TCP_FIN;
		batch_add(&batch, fixture_packet(&nb.b, &m));
		batch_add(&batch, fixture_packet(&nb.b, invalid_first ? &odd : &m));
		fixture_in(&nb.b, HOOK_PREROUTING, &batch);
		nat_dst(nb.nat, HOOK_PREROUTING, &batch);
		if (invalid_first) {
			struct packet *swap = batch.p[0];
			batch.p[0] = batch.p[1];
			batch.p[1] = swap;
		}
		for (int i = 0; i < 2; i++) {
			batch.p[i]->out_ifindex = WAN;
			batch.p[i]->forwarded = true;
		}
		nat_src(nb.nat, HOOK_POSTROUTING, &batch);
		batch_settle(&batch, nb.b.env.pool, &nb.b.env.ledger);
		fixture_out(&nb.b, HOOK_POSTROUTING, &batch);
		assert_int_equal(batch.n, invalid_first);
		assert_int_equal(nb.b.env.ledger.n_dropped[DROP_NAT_EXHAUSTED], invalid_first ? 0 : 2);
		assert_int_equal(nb.b.env.ledger.n_dropped[DROP_CT_INVALID], invalid_first);
		for (uint32_t i = 0; i < batch.n; i++) {
			assert_int_equal(batch.p[i]->ip.src, WAN_ADDR);
			fixture_hand(&nb.b, batch.p[i]);
		}
		nat_fixture_stop(&nb);
	}
}

/* A connection whose address a rule has given by itself, or an interface's, ends and begins again from its record.
 * Would catch: a record that forgets whose address it is, one that is refused for that, and one of an interface or a
 * pool that is no longer there. */
static void test_records(void **state)
{
	(void)state;
	for (int by_rule = 0; by_rule < 2; by_rule++) {
		struct packet_spec m = out_make(IPPROTO_NR_UDP, 4000, 53);
		struct nat_fixture nb;
		struct nat_record held;
		struct ct_record r;
		uint32_t again;

		nat_fixture_start(&nb, 8);
		if (by_rule)
			nb.snat = (struct nat_action){ .kind = NAT_ACTION_RANGE,
						       .flags = NAT_FLAG_ADDRESS,
						       .range = { WAN_ADDR, WAN_ADDR } };
		struct came before = nat_send(&nb, &m);
		uint32_t index = conn_index(fixture_ref_of(&nb.b, &m));

		assert_int_equal(conntrack_export(nb.b.ct, index, &r), 0);
		assert_int_equal(nat_export(nb.nat, index, &held), 0);
		conntrack_end(nb.b.ct, index, CT_END_FLUSHED);
		ct_flush_dying(nb.b.ct);
		assert_int_equal(conntrack_import(nb.b.ct, &r, &again), 0);
		if (!by_rule) {
			struct nat_record other = held;

			strcpy(other.hold[0].name, "gone");
			assert_int_equal(nat_import(nb.nat, again, &other), -ENOENT);
			other.hold[0].origin = NAT_RECORD_OF_POOL;
			assert_int_equal(nat_import(nb.nat, again, &other), -ENOENT);
		}
		assert_int_equal(nat_import(nb.nat, again, &held), 0);
		conntrack_import_confirm(nb.b.ct, again);
		struct came after = nat_send(&nb, &m);

		assert_int_equal(after.ip.src, WAN_ADDR);
		assert_int_equal(after.l4.sport, before.l4.sport);
		nat_fixture_stop(&nb);
	}
}

/* Would catch: a record that no connection has and that is taken, one that is refused as if it were such; one of a
 * mapping that is another worker's, or of the port of a mapping. */
static void test_records_refused(void **state)
{
	enum { NONE = NAT_RECORD_NONE, PORT = NAT_RECORD_PORT, OUT = NAT_RECORD_MAPPING, IN = NAT_RECORD_MAPPING_IN };
	static const struct {
		uint8_t first, second;
		bool is_valid;
	} kinds[] = { { PORT, NONE, true }, { OUT, NONE, true },    { IN, NONE, true },    { IN, PORT, true },
		      { IN, OUT, true },    { IN, IN, false },      { PORT, PORT, false }, { OUT, PORT, false },
		      { OUT, OUT, false },  { IN + 1, NONE, false } };
	struct packet_spec m = out_make(IPPROTO_NR_UDP, 4000, 53);
	static struct nat_config cfg;
	struct nat_record held, other;
	struct nat_fixture nb;
	struct ct_record r;
	uint32_t again;

	(void)state;
	nat_fixture_start_pool(&nb, 8, &cfg)->mapping = NAT_MAP_ENDPOINT_INDEPENDENT;
	nat_configure(nb.nat, &cfg);
	assert_true(nat_send(&nb, &m).passed);
	uint32_t index = conn_index(fixture_ref_of(&nb.b, &m));
	struct nat_eim *mapping = nat_mapping_at(nb.nat, nat_ref_index(conntrack_ext(nb.b.ct, index)->nat_ref));

	mapping->lessor = 1;
	assert_int_equal(nat_export(nb.nat, index, &held), -ENOTSUP);
	mapping->lessor = 0;
	assert_int_equal(nat_export(nb.nat, index, &held), 0);
	assert_int_equal(conntrack_export(nb.b.ct, index, &r), 0);
	/* Another connection by the mapping's port, as if it were anybody's. */
	struct ct_record by_port = r;
	by_port.half[CT_ORIGINAL].tuple.sport++;
	by_port.half[CT_ORIGINAL].tuple.dst = by_port.half[CT_REPLY].tuple.src = ip_addr_v4(SERVER + 1);
	assert_int_equal(conntrack_import(nb.b.ct, &by_port, &again), 0);
	other = held;
	other.hold[0].kind = PORT;
	assert_int_equal(nat_import(nb.nat, again, &other), -EADDRINUSE);
	conntrack_import_discard(nb.b.ct, again);
	conntrack_end(nb.b.ct, index, CT_END_FLUSHED);
	ct_flush_dying(nb.b.ct);
	assert_int_equal(conntrack_import(nb.b.ct, &r, &again), 0);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		other = held;
		other.hold[1] = held.hold[0];
		other.hold[0].kind = kinds[i].first;
		other.hold[1].kind = kinds[i].second;
		strcpy(other.hold[0].name, "gone");
		assert_int_equal(nat_import(nb.nat, again, &other), kinds[i].is_valid ? -ENOENT : -EINVAL);
	}
	other = held;
	other.hold[0].outside.family = IP_FAMILY_V6;
	assert_int_equal(nat_import(nb.nat, again, &other), -EINVAL);
	assert_int_equal(nat_import(nb.nat, again, &held), 0);
	conntrack_import_confirm(nb.b.ct, again);
	nat_fixture_stop(&nb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_masquerade),
		cmocka_unit_test(test_checksum_kinds),
		cmocka_unit_test(test_batch_as_one_by_one),
		cmocka_unit_test(test_one_mapping_a_batch),
		cmocka_unit_test(test_dnat),
		cmocka_unit_test(test_dnat_persistent),
		cmocka_unit_test(test_both),
		cmocka_unit_test(test_own_connections),
		cmocka_unit_test(test_own_without_ports),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_identification),
		cmocka_unit_test(test_identifications_apart),
		cmocka_unit_test(test_undecided),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_records_refused),
		cmocka_unit_test(test_redirected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
