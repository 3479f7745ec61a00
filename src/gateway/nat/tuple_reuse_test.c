/* SPDX-License-Identifier: BSD-2-Clause
 *
 * TCP connections that begin again on the tuple of one that has ended: when the
 * outside address and port stay, and when they do not.
 */
#include "gateway/nat/nat_fixture.h"

static struct nat_config cfg;

static struct packet_spec syn_of(uint16_t sport, uint32_t dst, uint32_t seq)
{
	struct packet_spec m = out_make(IPPROTO_NR_TCP, sport, 80);

	m.dst = dst;
	m.seq = seq;
	return m;
}

/* Both ends of a connection, from the SYN on; `came`: what the peer saw of it. */
static struct packet_spec segment(const struct packet_spec *syn, uint8_t flags, uint32_t seq, uint32_t ack)
{
	struct packet_spec m = *syn;

	m.flags = flags;
	m.seq = syn->seq + seq;
	m.ack = 5000 + ack;
	return m;
}

static void reply(struct nat_fixture *nb, const struct packet_spec *syn, const struct came *came, uint8_t flags,
		  uint32_t seq, uint32_t ack)
{
	struct packet_spec m = answer_to(came, syn);

	m.flags = flags;
	m.seq = 5000 + seq;
	m.ack = syn->seq + ack;
	assert_true(nat_send(nb, &m).passed);
}

static void send_on(struct nat_fixture *nb, const struct packet_spec *syn, uint8_t flags, uint32_t seq, uint32_t ack)
{
	struct packet_spec m = segment(syn, flags, seq, ack);

	assert_true(nat_send(nb, &m).passed);
}

enum end { BY_FIN, BY_RST, REFUSED, N_ENDS };

/* The rest of a connection whose SYN came out: to TIME_WAIT, or to CLOSE. */
static void go_through(struct nat_fixture *nb, const struct packet_spec *syn, const struct came *came, enum end end)
{
	const uint8_t fin = TCP_FIN | TCP_ACK;

	if (end == REFUSED) {
		reply(nb, syn, came, TCP_RST | TCP_ACK, 0, 1);
		return;
	}
	reply(nb, syn, came, TCP_SYN | TCP_ACK, 0, 1);
	send_on(nb, syn, TCP_ACK, 1, 1);
	if (end == BY_RST) {
		send_on(nb, syn, TCP_RST, 1, 1);
		return;
	}
	reply(nb, syn, came, fin, 1, 1);
	send_on(nb, syn, fin, 1, 2);
	reply(nb, syn, came, TCP_ACK, 2, 2);
}

static enum ct_tcp_state state_of(struct nat_fixture *nb, const struct packet_spec *syn)
{
	struct tuple t = {
		.src = syn->src, .dst = syn->dst, .sport = syn->sport, .dport = 80, .proto = IPPROTO_NR_TCP
	};
	uint32_t ref = conntrack_find(nb->b.ct, &t);

	assert_int_not_equal(ref, CONN_NONE);
	return (enum ct_tcp_state)conntrack_conn(nb->b.ct, conn_index(ref))->tcp_state;
}

/* From SYN to the end; what the peer saw of the SYN. */
static struct came whole(struct nat_fixture *nb, uint16_t sport, uint32_t dst, uint32_t seq, enum end end)
{
	struct packet_spec syn = syn_of(sport, dst, seq);
	struct came came = nat_send(nb, &syn);

	assert_true(came.passed);
	go_through(nb, &syn, &came, end);
	assert_int_equal(state_of(nb, &syn), end == BY_FIN ? CT_TCP_TIME_WAIT : CT_TCP_CLOSE);
	return came;
}

static void start(struct nat_fixture *nb, uint32_t n_connections)
{
	nat_fixture_start(nb, n_connections);
	memset(&cfg, 0, sizeof(cfg));
	cfg.n_pools = 2;
	for (int i = 0; i < 2; i++) {
		strcpy(cfg.pool[i].name, i == 0 ? "one" : "two");
		cfg.pool[i].n_ranges = 1;
		cfg.pool[i].range[0] = (struct nat_address_range){ POOL_ADDR, POOL_ADDR + 3 };
		cfg.pool[i].ports = (struct port_range){ 1024, 65535 };
	}
}

static struct nat_action from_pool(uint16_t pool)
{
	return (struct nat_action){ .kind = NAT_ACTION_POOL, .pool = pool };
}

static struct nat_action from_range(uint32_t first, uint32_t last, uint16_t first_port, uint16_t last_port)
{
	return (struct nat_action){ .kind = NAT_ACTION_RANGE,
				    .flags = NAT_FLAG_ADDRESS | (first_port != 0 ? NAT_FLAG_PORT : 0),
				    .range = { first, last },
				    .ports = { first_port, last_port } };
}

/* Would catch: a client that uses a tuple again and meets, at its peer, what another connection left there. */
static void test_kept(void **state)
{
	const struct nat_action actions[] = {
		{ .kind = NAT_ACTION_MASQUERADE },
		from_range(POOL_ADDR, POOL_ADDR + 7, 0, 0),
		from_range(POOL_ADDR, POOL_ADDR, 20000, 29999),
		from_pool(0),
		from_pool(1), /* paired */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		for (enum end end = BY_FIN; end <= BY_RST; end++) {
			struct nat_fixture nb;

			start(&nb, 100);
			cfg.pool[1].paired = 1;
			nat_configure(nb.nat, &cfg);
			nb.snat = actions[i];
			struct came first = whole(&nb, 4000, SERVER, 0, end), other;
			for (uint32_t round = 1; round < 6; round++) {
				other = whole(&nb, (uint16_t)(5000 + round), SERVER, 0, end);
				struct came again = whole(&nb, 4000, SERVER, round * 100000, end);

				assert_int_equal(again.info, CT_INFO_NEW);
				assert_int_equal(again.ip.src, first.ip.src);
				assert_int_equal(again.l4.sport, first.l4.sport);
				assert_int_not_equal(other.l4.sport, first.l4.sport);
			}
			assert_int_equal(conntrack_n_connections(nb.b.ct), 6);
			nat_fixture_stop(&nb);
		}
	}
}

/* Would catch: an endpoint-independent mapping that goes with the connection that is followed. */
static void test_kept_mapping(void **state)
{
	struct nat_fixture nb;

	(void)state;
	start(&nb, 100);
	cfg.pool[0].mapping = NAT_MAP_ENDPOINT_INDEPENDENT;
	nat_configure(nb.nat, &cfg);
	nb.snat = from_pool(0);
	struct came first = whole(&nb, 4000, SERVER, 0, BY_FIN);
	for (uint32_t round = 1; round < 6; round++)
		assert_int_equal(whole(&nb, 4000, SERVER, round * 100000, BY_FIN).l4.sport, first.l4.sport);
	nat_fixture_stop(&nb);
}

/* Would catch: a mapping that outlives the rule that it came from. */
static void test_rules_changed(void **state)
{
	struct nat_fixture nb;
	struct came c;

	(void)state;
	start(&nb, 100);
	nat_configure(nb.nat, &cfg);
	/* Each step's rule, and the ports and addresses that it allows. */
	const struct {
		struct nat_action action;
		uint32_t first, last;
		uint16_t first_port, last_port;
	} steps[] = {
		{ { .kind = NAT_ACTION_MASQUERADE }, WAN_ADDR, WAN_ADDR, 1024, 65535 },
		{ from_range(POOL_ADDR + 1, POOL_ADDR + 1, 0, 0), POOL_ADDR + 1, POOL_ADDR + 1, 1024, 65535 },
		{ from_range(POOL_ADDR, POOL_ADDR, 0, 0), POOL_ADDR, POOL_ADDR, 1024, 65535 },
		{ from_range(POOL_ADDR, POOL_ADDR, 300, 303), POOL_ADDR, POOL_ADDR, 300, 303 },
		{ from_range(POOL_ADDR, POOL_ADDR, 310, 313), POOL_ADDR, POOL_ADDR, 310, 313 },
		{ from_range(POOL_ADDR + 1, POOL_ADDR + 3, 310, 313), POOL_ADDR + 1, POOL_ADDR + 3, 310, 313 },
		{ { .kind = NAT_ACTION_NONE }, CLIENT, CLIENT, 4000, 4000 },
		{ from_pool(0), POOL_ADDR, POOL_ADDR + 3, 1024, 65535 },
	};
	for (uint32_t i = 0; i < ARRAY_LEN(steps); i++) {
		nb.snat = steps[i].action;
		c = whole(&nb, 4000, SERVER, i * 100000, BY_FIN);
		assert_in_range(c.ip.src, steps[i].first, steps[i].last);
		assert_in_range(c.l4.sport, steps[i].first_port, steps[i].last_port);
	}
	/* From one pool to another over the same addresses, and from a rule's range to a pool. */
	struct came before = c;
	uint32_t n_same = 0;
	for (uint32_t i = 0; i < 8; i++) {
		nb.snat = from_pool(1 - i % 2);
		c = whole(&nb, 4000, SERVER, (i + 20) * 100000, BY_FIN);
		n_same += c.l4.sport == before.l4.sport;
		before = c;
	}
	for (uint32_t i = 0; i < 8; i++) {
		nb.snat = i % 2 == 0 ? from_range(POOL_ADDR, POOL_ADDR + 3, 0, 0) : from_pool(0);
		c = whole(&nb, 4000, SERVER, (i + 40) * 100000, BY_FIN);
		n_same += c.l4.sport == before.l4.sport;
		before = c;
	}
	assert_in_range(n_same, 0, 1);
	/* A narrower pool: the connection has gone with its port. */
	uint16_t there = c.l4.sport < 30000 ? 40000 : 20000;
	cfg.pool[0].ports = (struct port_range){ there, (uint16_t)(there + 3) };
	nat_configure(nb.nat, &cfg);
	c = whole(&nb, 4000, SERVER, 90 * 100000, BY_FIN);
	assert_in_range(c.l4.sport, there, there + 3);
	nat_fixture_stop(&nb);
}

/* Rules of their own: everything goes to one server inside, as its context says. */
static enum packet_verdict to_one(void *ctx, enum ip_hook hook, struct packet *p, struct nat_action *out)
{
	const uint32_t *server = ctx;

	(void)p;
	*out = (struct nat_action){ .kind = NAT_ACTION_MASQUERADE };
	if (hook == HOOK_PREROUTING)
		*out = (struct nat_action){ .kind = NAT_ACTION_RANGE,
					    .flags = NAT_FLAG_ADDRESS,
					    .range = { *server, *server } };
	return VERDICT_CONTINUE;
}

/* Would catch: a mapping that leads to where the destination was translated the last time. */
static void test_other_destination(void **state)
{
	struct nat_fixture nb;
	uint32_t server = SERVER + 1;

	(void)state;
	nat_fixture_start(&nb, 100);
	nat_set_rules(nb.nat, to_one, &server);
	struct came c = whole(&nb, 4000, SERVER, 0, BY_FIN), same = whole(&nb, 4000, SERVER, 100000, BY_FIN);
	assert_int_equal(c.ip.dst, SERVER + 1);
	assert_int_equal(same.ip.dst, SERVER + 1);
	assert_int_equal(same.l4.sport, c.l4.sport);
	server++;
	assert_int_equal(whole(&nb, 4000, SERVER, 200000, BY_FIN).ip.dst, SERVER + 2);
	nat_fixture_stop(&nb);
}

/* Would catch: a client that tries again and again on the port that its peer refuses; and one that is refused itself
 * because the last port is still its own. */
static void test_never_established(void **state)
{
	struct nat_fixture nb;
	uint16_t before = 0;
	uint32_t n_same = 0;

	(void)state;
	nat_fixture_start(&nb, 100);
	for (uint32_t i = 0; i < 10; i++) {
		struct came c = whole(&nb, 4000, SERVER, i * 100000, REFUSED);

		n_same += c.l4.sport == before;
		before = c.l4.sport;
	}
	assert_in_range(n_same, 0, 1);
	nb.snat = from_range(POOL_ADDR, POOL_ADDR, 2000, 2063);
	for (uint32_t i = 0; i < 3 * 64; i++)
		(void)whole(&nb, (uint16_t)(5000 + i % 64), SERVER, i * 100000, REFUSED);
	nat_fixture_stop(&nb);
}

/* Would catch: a port that is held down although its next user is its last one, or that is given back twice or never.
 */
static void test_rest(void **state)
{
	struct nat_fixture nb;

	(void)state;
	start(&nb, 100);
	cfg.pool[0].range[0] = (struct nat_address_range){ POOL_ADDR, POOL_ADDR };
	cfg.pool[0].ports = (struct port_range){ 2000, 2000 };
	cfg.pool[0].hold_down_s = 120;
	nat_configure(nb.nat, &cfg);
	nb.snat = from_pool(0);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(whole(&nb, 4000, SERVER, i * 100000, BY_FIN).l4.sport, 2000);
	fixture_pass(&nb.b, 1000 * NS_PER_S);
	assert_int_equal(conntrack_n_connections(nb.b.ct), 0);
	/* It is held down now. */
	struct packet_spec syn = syn_of(4001, SERVER, 0);
	assert_false(nat_send(&nb, &syn).passed);
	fixture_pass(&nb.b, 121 * NS_PER_S);
	nat_expire(nb.nat);
	assert_int_equal(nat_send(&nb, &syn).l4.sport, 2000);
	fixture_pass(&nb.b, 1000 * NS_PER_S);
	fixture_pass(&nb.b, 121 * NS_PER_S);
	nat_expire(nb.nat);
	nat_fixture_stop(&nb);
}

/* Several SYNs in one batch; the ports, 0 for one that was dropped. lost: one that is dropped behind conntrack. */
static void at_once(struct nat_fixture *nb, const struct packet_spec *syn, uint32_t n, uint32_t lost, uint16_t *port)
{
	struct batch batch = { .n = 0 };
	struct packet *out[BATCH_MAX];

	for (uint32_t i = 0; i < n; i++)
		batch_add(&batch, fixture_packet(&nb->b, &syn[i]));
	fixture_in(&nb->b, HOOK_PREROUTING, &batch);
	nat_dst(nb->nat, HOOK_PREROUTING, &batch);
	for (uint32_t i = 0; i < n; i++) {
		out[i] = batch.p[i];
		out[i]->out_ifindex = WAN;
		out[i]->forwarded = true;
		port[i] = 0;
	}
	if (lost < n)
		packet_set_drop(out[lost], DROP_RULE_DROP);
	batch_settle(&batch, nb->b.env.pool, &nb->b.env.ledger);
	nat_src(nb->nat, HOOK_POSTROUTING, &batch);
	for (uint32_t i = 0; i < n; i++)
		if (i != lost && out[i]->verdict == VERDICT_CONTINUE)
			port[i] = out[i]->l4.sport;
	batch_settle(&batch, nb->b.env.pool, &nb->b.env.ledger);
	fixture_out(&nb->b, HOOK_POSTROUTING, &batch);
	for (uint32_t i = 0; i < batch.n; i++)
		fixture_hand(&nb->b, batch.p[i]);
}

/* Would catch: a port that two connections have towards one destination because one of them found it kept, a new
 * connection that is refused though a port is free, one that is lost on the way and keeps its port for ever. */
static void test_taken_meanwhile(void **state)
{
	struct nat_fixture nb;
	uint32_t n_kept = 0, n_lost = 0;

	(void)state;
	nat_fixture_start(&nb, 1000);
	nb.snat = from_range(POOL_ADDR, POOL_ADDR, 2000, 2001);
	for (uint32_t round = 0; round < 40; round++) {
		uint32_t dst = SERVER + 2 * round;
		uint16_t old = whole(&nb, 4000, dst, 0, BY_FIN).l4.sport, port[3];
		struct packet_spec syn[] = { syn_of(4001, dst, 0), syn_of(4000, dst, 100000),
					     syn_of(4000, dst, 100000) };

		/* The other port is taken as well, towards somebody else. */
		whole(&nb, 4000, dst + 1, 0, BY_FIN);
		at_once(&nb, syn, 3, 9, port);
		assert_in_range(port[0], 2000, 2001);
		assert_int_equal(port[1], port[2]);
		assert_int_equal(port[1] + port[0], 4001);
		n_kept += port[1] == old;
		n_lost += port[1] != old;
		/* Nothing else is free there. */
		struct packet_spec more = syn_of(4002, dst, 0);
		assert_false(nat_send(&nb, &more).passed);
	}
	assert_true(n_kept > 0 && n_lost > 0);
	nat_fixture_stop(&nb);

	nat_fixture_start(&nb, 100);
	struct packet_spec syn = syn_of(4000, SERVER, 100000);
	uint16_t port;
	(void)whole(&nb, 4000, SERVER, 0, BY_FIN);
	at_once(&nb, &syn, 1, 0, &port);
	struct packet_spec other = out_make(IPPROTO_NR_UDP, 1, 53);
	assert_true(nat_send(&nb, &other).passed);
	assert_int_equal(ports_n_holders(nb.nat->ports), 1);
	nat_fixture_stop(&nb);
}

#define N_PORTS 200u

/* Would catch: a full destination where those who come again are refused or given somebody else's port, or where a
 * place is lost or won by it. */
static void test_full(void **state)
{
	struct nat_fixture nb;
	static uint16_t port[N_PORTS], again[N_PORTS];
	static struct packet_spec syn[N_PORTS];

	(void)state;
	nat_fixture_start(&nb, 2000);
	nb.snat = from_range(POOL_ADDR, POOL_ADDR, 2000, 2000 + N_PORTS - 1);
	for (uint32_t i = 0; i < N_PORTS; i++)
		port[i] = whole(&nb, (uint16_t)(3000 + i), SERVER, 0, BY_FIN).l4.sport;
	for (uint32_t round = 1; round < 4; round++) {
		for (uint32_t i = 0; i < N_PORTS; i++)
			syn[i] = syn_of((uint16_t)(3000 + i), SERVER, round * 100000);
		for (uint32_t i = 0; i < N_PORTS; i += 50)
			at_once(&nb, &syn[i], 50, BATCH_MAX, &again[i]);
		assert_memory_equal(port, again, sizeof(port));
		for (uint32_t i = 0; i < N_PORTS; i++) {
			struct came came = { .out = WAN };
			came.ip.src = POOL_ADDR;
			came.ip.dst = SERVER;
			came.l4.sport = port[i];
			came.l4.dport = 80;
			go_through(&nb, &syn[i], &came, BY_FIN);
		}
	}
	nat_fixture_stop(&nb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_kept_mapping),
		cmocka_unit_test(test_rules_changed),
		cmocka_unit_test(test_other_destination),
		cmocka_unit_test(test_never_established),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_taken_meanwhile),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
