/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is logged: sessions and mappings from begin to end, by the config and no more.
 */
#include "gateway/nat/nat_fixture.h"
#include "stack/ports/port_blocks.h"

#define WALL_NS UINT64_C(1795367536000000000)
#define RECORDS_MAX 64

static struct nat_config cfg;

struct fixture {
	struct nat_fixture nat;
	uint32_t n;
	struct log_record record[RECORDS_MAX];
};

static void note(void *ctx, const struct log_record *r)
{
	struct fixture *f = ctx;

	assert_true(f->n < RECORDS_MAX);
	f->record[f->n++] = *r;
}

static void start(struct fixture *f)
{
	f->n = 0;
	nat_fixture_start(&f->nat, 1000);
	f->nat.b.env.wall_offset_ns = WALL_NS;
	f->nat.b.env.now += 567; /* times are told to the microsecond */
	f->nat.b.env.log = (struct log_slot){ .fn = note, .ctx = f };
	(void)nat_fixture_pool(&cfg);
	cfg.log = NAT_LOG_SESSIONS;
	nat_configure(f->nat.nat, &cfg);
}

static void end_all(struct fixture *f)
{
	uint32_t cursor = 0, index;

	while (conntrack_next(f->nat.b.ct, &cursor, &index))
		conntrack_end(f->nat.b.ct, index, CT_END_FLUSHED);
	fixture_pass(&f->nat.b, 0);
}

/* The next record that was not looked at; of this kind. */
static const struct log_record *next(struct fixture *f, uint32_t *seen, enum log_kind kind)
{
	assert_true(*seen < f->n);
	assert_int_equal(f->record[*seen].kind, kind);
	return &f->record[(*seen)++];
}

static void is_tuple(const struct ip_tuple *t, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport)
{
	assert_int_equal(t->src.v4, src);
	assert_int_equal(t->dst.v4, dst);
	assert_int_equal(t->src.family, src != 0 ? IP_FAMILY_V4 : IP_FAMILY_NONE);
	assert_int_equal(t->dst.family, dst != 0 ? IP_FAMILY_V4 : IP_FAMILY_NONE);
	assert_int_equal(t->sport, sport);
	assert_int_equal(t->dport, dport);
}

/* Would catch: a session without one of its ends, with other ports than the packets have, with counters of the wrong
 * direction, a time that is not UTC, a duration that is not its own; one that NAT has nothing to do with. */
static void test_session(void **state)
{
	struct fixture f;
	struct packet_spec m = out_make(IPPROTO_NR_UDP, 4000, 53);
	uint32_t seen = 0;

	(void)state;
	start(&f);
	uint64_t begun = f.nat.b.env.now - 567;
	struct came c = nat_send(&f.nat, &m);
	const struct log_record *r = next(&f, &seen, LOG_SESSION_BEGIN);
	is_tuple(&r->orig, CLIENT, 4000, SERVER, 53);
	is_tuple(&r->reply, SERVER, 53, WAN_ADDR, c.l4.sport);
	assert_int_equal(r->orig.proto, IPPROTO_NR_UDP);
	assert_string_equal(r->pool, "wan0");
	assert_int_equal(r->time_ns, WALL_NS + begun);
	assert_int_equal(r->begin_ns, 0);
	struct packet_spec back = answer_to(&c, &m);
	back.payload_len = 100;
	assert_true(nat_send(&f.nat, &back).passed);
	assert_true(nat_send(&f.nat, &m).passed);
	fixture_pass(&f.nat.b, 700 * NS_PER_S);
	r = next(&f, &seen, LOG_SESSION_END);
	is_tuple(&r->orig, CLIENT, 4000, SERVER, 53);
	is_tuple(&r->reply, SERVER, 53, WAN_ADDR, c.l4.sport);
	assert_int_equal(r->packets[CT_ORIGINAL], 2);
	assert_int_equal(r->packets[CT_REPLY], 1);
	assert_int_equal(r->bytes[CT_ORIGINAL], 2 * (28 + m.payload_len));
	assert_int_equal(r->bytes[CT_REPLY], 128);
	assert_int_equal(r->reason, CT_END_TIMEOUT);
	assert_int_equal(r->begin_ns, WALL_NS + begun);
	assert_true(r->time_ns > r->begin_ns + 200 * NS_PER_S);

	/* From outside, to a host inside by a rule: no pool. */
	struct packet_spec in = out_make(IPPROTO_NR_UDP, 7000, 8080);
	in.in = WAN;
	in.src = SERVER;
	in.dst = WAN_ADDR;
	assert_true(nat_send(&f.nat, &in).passed);
	r = next(&f, &seen, LOG_SESSION_BEGIN);
	is_tuple(&r->orig, SERVER, 7000, WAN_ADDR, 8080);
	is_tuple(&r->reply, CLIENT, 80, SERVER, 7000);
	assert_string_equal(r->pool, "");
	/* Not translated: nobody's business here. */
	f.nat.snat.kind = NAT_ACTION_NONE;
	m.sport = 4001;
	assert_true(nat_send(&f.nat, &m).passed);
	end_all(&f);
	assert_int_equal(next(&f, &seen, LOG_SESSION_END)->reason, CT_END_FLUSHED);
	assert_int_equal(seen, f.n);
	nat_fixture_stop(&f.nat);
}

/* Would catch: records that nobody asked for, also where nobody takes them; a pool that does not have its own say. */
static void test_by_the_config(void **state)
{
	struct fixture f;
	struct packet_spec m = out_make(IPPROTO_NR_UDP, 4000, 53);
	uint32_t seen = 0;

	(void)state;
	start(&f);
	cfg.log = 0;
	nat_configure(f.nat.nat, &cfg);
	assert_false(nat_logs_any(f.nat.nat));
	assert_null(f.nat.b.ct->log.began);
	assert_true(nat_send(&f.nat, &m).passed);
	/* What began before is told to its end once somebody asks, and has its beginning. */
	cfg.log = NAT_LOG_SESSIONS;
	cfg.pool[0].log_own = 1;
	nat_configure(f.nat.nat, &cfg);
	end_all(&f);
	assert_true(next(&f, &seen, LOG_SESSION_END)->begin_ns >= WALL_NS);
	/* The pool says no. */
	f.nat.snat = (struct nat_action){ .kind = NAT_ACTION_POOL, .pool = 0 };
	assert_true(nat_send(&f.nat, &m).passed);
	end_all(&f);
	assert_int_equal(seen, f.n);
	/* Only the pool says yes. */
	cfg.log = 0;
	cfg.pool[0].log = NAT_LOG_SESSIONS;
	nat_configure(f.nat.nat, &cfg);
	assert_true(nat_send(&f.nat, &m).passed);
	assert_string_equal(next(&f, &seen, LOG_SESSION_BEGIN)->pool, "public");
	f.nat.snat.kind = NAT_ACTION_MASQUERADE;
	m.sport = 4001;
	assert_true(nat_send(&f.nat, &m).passed);
	assert_int_equal(seen, f.n);
	/* What a pool began is told to its end when the pool is gone, by its name. */
	strcpy(cfg.pool[0].name, "");
	cfg.n_pools = 0;
	nat_configure(f.nat.nat, &cfg);
	nat_expire(f.nat.nat);
	const struct log_record *r = next(&f, &seen, LOG_SESSION_END);
	assert_string_equal(r->pool, "public");
	assert_int_equal(r->reason, CT_END_CONFIG);
	/* Nobody takes them. */
	cfg.log = NAT_LOG_SESSIONS | NAT_LOG_MAPPINGS;
	nat_configure(f.nat.nat, &cfg);
	f.nat.b.env.log.fn = NULL;
	m.sport = 4002;
	assert_true(nat_send(&f.nat, &m).passed);
	end_all(&f);
	assert_int_equal(seen, f.n);
	nat_fixture_stop(&f.nat);
}

/* Would catch: a mapping's record with a destination in it, one for each of its connections, one that ends while
 * somebody still uses it; sessions of the pool that come along unasked. */
static void test_mapping(void **state)
{
	struct fixture f;
	struct packet_spec m = out_make(IPPROTO_NR_UDP, 4000, 53);
	uint32_t seen = 0;

	(void)state;
	start(&f);
	cfg.log = NAT_LOG_MAPPINGS;
	cfg.pool[0].mapping = NAT_MAP_ENDPOINT_INDEPENDENT;
	nat_configure(f.nat.nat, &cfg);
	f.nat.snat = (struct nat_action){ .kind = NAT_ACTION_POOL, .pool = 0 };
	uint64_t begun = f.nat.b.env.now - 567;
	struct came c = nat_send(&f.nat, &m);
	const struct log_record *r = next(&f, &seen, LOG_MAPPING_BEGIN);
	is_tuple(&r->orig, CLIENT, 4000, 0, 0);
	is_tuple(&r->reply, 0, 0, POOL_ADDR, c.l4.sport);
	assert_int_equal(r->orig.proto, IPPROTO_NR_UDP);
	assert_string_equal(r->pool, "public");
	fixture_pass(&f.nat.b, 100 * NS_PER_S);
	m.dst = SERVER + 1;
	assert_true(nat_send(&f.nat, &m).passed);
	assert_int_equal(seen, f.n);
	/* The first connection is over, the second goes on. */
	fixture_pass(&f.nat.b, 250 * NS_PER_S);
	assert_int_equal(conntrack_n_connections(f.nat.b.ct), 1);
	assert_int_equal(seen, f.n);
	end_all(&f);
	r = next(&f, &seen, LOG_MAPPING_END);
	is_tuple(&r->orig, CLIENT, 4000, 0, 0);
	is_tuple(&r->reply, 0, 0, POOL_ADDR, c.l4.sport);
	assert_int_equal(r->begin_ns, WALL_NS + begun);
	assert_true(r->time_ns >= r->begin_ns + 350 * NS_PER_S);
	assert_int_equal(seen, f.n);
	nat_fixture_stop(&f.nat);
}

/* Two hosts inside that meet at an outside endpoint: the connection holds two mappings. Would catch: two records of it,
 * none, or one in which it cannot be seen who was there; a side that must be left out. */
static void test_hairpin(void **state)
{
	struct fixture f;
	struct packet_spec a = out_make(IPPROTO_NR_UDP, 4000, 53), b = out_make(IPPROTO_NR_UDP, 4001, 53);
	uint32_t seen = 2;

	(void)state;
	start(&f);
	cfg.pool[0].mapping = NAT_MAP_ENDPOINT_INDEPENDENT;
	cfg.pool[0].filtering = NAT_FILTER_ENDPOINT_INDEPENDENT;
	nat_configure(f.nat.nat, &cfg);
	f.nat.snat = (struct nat_action){ .kind = NAT_ACTION_POOL, .pool = 0 };
	b.src = CLIENT + 1;
	struct came ca = nat_send(&f.nat, &a), cb = nat_send(&f.nat, &b);
	assert_int_equal(f.n, 2);
	a.dst = POOL_ADDR;
	a.dport = cb.l4.sport;
	assert_true(nat_send(&f.nat, &a).passed);
	const struct log_record *r = next(&f, &seen, LOG_SESSION_BEGIN);
	is_tuple(&r->orig, CLIENT, 4000, POOL_ADDR, cb.l4.sport);
	is_tuple(&r->reply, CLIENT + 1, 4001, POOL_ADDR, ca.l4.sport);
	assert_string_equal(r->pool, "public");
	assert_int_equal(seen, f.n);
	cfg.log_no_destinations = 1;
	nat_configure(f.nat.nat, &cfg);
	end_all(&f);
	assert_int_equal(f.n, 6);
	for (; seen < f.n; seen++)
		if (f.record[seen].reply.dport == ca.l4.sport)
			is_tuple(&f.record[seen].orig, CLIENT, 4000, 0, 0);
	nat_fixture_stop(&f.nat);
}

/* Would catch: a destination that is logged although it must not be, or a subscriber that is not although he must. */
static void test_no_destinations(void **state)
{
	struct fixture f;
	struct packet_spec m = out_make(IPPROTO_NR_UDP, 4000, 53), in = out_make(IPPROTO_NR_UDP, 7000, 8080);
	struct packet_spec echo = out_make(IPPROTO_NR_ICMP, 77, 0);
	uint32_t seen = 0;

	(void)state;
	start(&f);
	cfg.log_no_destinations = 1;
	nat_configure(f.nat.nat, &cfg);
	struct came c = nat_send(&f.nat, &m);
	const struct log_record *r = next(&f, &seen, LOG_SESSION_BEGIN);
	is_tuple(&r->orig, CLIENT, 4000, 0, 0);
	is_tuple(&r->reply, 0, 0, WAN_ADDR, c.l4.sport);
	in.in = WAN;
	in.src = SERVER;
	in.dst = WAN_ADDR;
	assert_true(nat_send(&f.nat, &in).passed);
	r = next(&f, &seen, LOG_SESSION_BEGIN);
	is_tuple(&r->orig, 0, 0, WAN_ADDR, 8080);
	is_tuple(&r->reply, CLIENT, 80, 0, 0);
	c = nat_send(&f.nat, &echo);
	r = next(&f, &seen, LOG_SESSION_BEGIN);
	is_tuple(&r->orig, CLIENT, 77, 0, ICMP_ECHO_REQUEST << 8);
	is_tuple(&r->reply, 0, c.l4.id, WAN_ADDR, ICMP_ECHO_REPLY << 8);
	end_all(&f);
	for (uint32_t i = seen; i < f.n; i++) {
		assert_int_not_equal(f.record[i].orig.src.v4, SERVER);
		assert_int_not_equal(f.record[i].orig.dst.v4, SERVER);
		assert_int_not_equal(f.record[i].reply.src.v4, SERVER);
		assert_int_not_equal(f.record[i].reply.dst.v4, SERVER);
	}
	assert_int_equal(f.n - seen, 3);
	nat_fixture_stop(&f.nat);
}

/* The only record of this kind about a block of the address; NULL if there is none. */
static const struct log_record *of_block(const struct fixture *f, enum log_kind kind, uint32_t addr)
{
	const struct log_record *r = NULL;

	for (uint32_t i = 0; i < f->n; i++)
		if (f->record[i].kind == kind && f->record[i].reply.dst.v4 == addr) {
			assert_null(r);
			r = &f->record[i];
		}
	return r;
}

/* Workers share an address of a pool, of an interface and of a rule, and each is used for the first time. Would catch:
 * a block that is logged by what is asked for of another origin, or under its name; one that ends with another's
 * beginning. */
static void test_blocks(void **state)
{
	enum { RULE_ADDR = IP4(203, 0, 113, 99), N_ORIGINS = 3 };
	static const uint8_t others = NAT_LOG_SESSIONS | NAT_LOG_MAPPINGS;
	const struct {
		uint32_t addr;
		const char *name;
		struct nat_action action;
	} origin[N_ORIGINS] = {
		{ POOL_ADDR, "public", { .kind = NAT_ACTION_POOL } },
		{ WAN_ADDR, "wan0", { .kind = NAT_ACTION_MASQUERADE } },
		{ RULE_ADDR,
		  "",
		  { .kind = NAT_ACTION_RANGE, .flags = NAT_FLAG_ADDRESS, .range = { RULE_ADDR, RULE_ADDR } } },
	};

	(void)state;
	for (int of_pool = 0; of_pool < 2; of_pool++) {
		struct packet_spec m = out_make(IPPROTO_NR_UDP, 4000, 53);
		struct port_blocks *blocks = port_blocks_create(2, 8);
		uint64_t begun[N_ORIGINS];
		struct fixture f;

		start(&f);
		nat_set_workers(f.nat.nat, &(struct nat_workers){ .blocks = blocks });
		cfg.log = of_pool ? others : NAT_LOG_BLOCKS;
		cfg.pool[0].log_own = 1;
		cfg.pool[0].log = of_pool ? NAT_LOG_BLOCKS : others;
		nat_configure(f.nat.nat, &cfg);
		for (uint32_t i = 0; i < N_ORIGINS; i++) {
			assert_true(port_blocks_add(blocks, origin[i].addr, 0));
			f.nat.b.env.now += NS_PER_S;
			begun[i] = WALL_NS + f.nat.b.env.now - 567;
			f.nat.snat = origin[i].action;
			m.sport++;
			assert_true(nat_send(&f.nat, &m).passed);
		}
		end_all(&f);
		for (uint32_t i = 0; i < N_ORIGINS; i++) {
			const struct log_record *begin = of_block(&f, LOG_BLOCK_BEGIN, origin[i].addr);
			const struct log_record *end = of_block(&f, LOG_BLOCK_END, origin[i].addr);
			bool asked = of_pool ? i == 0 : i > 0;

			assert_int_equal(begin != NULL, asked);
			assert_int_equal(end != NULL, asked);
			if (!asked)
				continue;
			assert_string_equal(begin->pool, origin[i].name);
			assert_int_equal(begin->time_ns, begun[i]);
			assert_string_equal(end->pool, origin[i].name);
			assert_int_equal(end->begin_ns, begun[i]);
		}
		nat_fixture_stop(&f.nat);
		port_blocks_destroy(blocks);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_session), cmocka_unit_test(test_by_the_config),   cmocka_unit_test(test_mapping),
		cmocka_unit_test(test_hairpin), cmocka_unit_test(test_no_destinations), cmocka_unit_test(test_blocks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
