/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Who gets a packet to us: rows of protocols, raw input hooks, groups, and ICMP
 * errors about packets of ours.
 */
#include <errno.h>

#include "stack/ip/stack_fixture.h"
#include "stack/ip/local.h"

/* One raw input hook or protocol, and what it was shown. */
struct listener {
	uint32_t *clock; /* counts calls of all listeners */
	uint32_t n, last;
	bool wants;
	uint8_t type, code;
	uint16_t sport;
	uint32_t info, dst;
};

static bool listen_raw(void *ctx, const struct packet *p)
{
	struct listener *l = ctx;

	(void)p;
	l->n++;
	l->last = ++*l->clock;
	return l->wants;
}

static void take(void *ctx, struct batch *b)
{
	struct listener *l = ctx;

	for (uint32_t i = 0; i < b->n; i++) {
		l->n++;
		l->last = ++*l->clock;
		if (l->wants)
			b->p[i]->verdict = VERDICT_DELIVERED;
	}
}

static void hear_error(void *ctx, const struct ip_icmp_error *e)
{
	struct listener *l = ctx;

	l->n++;
	l->type = e->p->l4.type;
	l->code = e->p->l4.code;
	l->info = e->p->l4.info;
	l->sport = e->quote->l4.sport;
	l->dst = e->quote->ip.dst;
}

/* Would catch: a raw input hook that keeps the packet from the next one or from the protocol, another order than that
 * of adding, a hook of another protocol, one that was removed; an answer "unreachable" though somebody wanted it. */
static void test_raw_hooks(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	uint32_t clock = 0;
	struct listener one = { .clock = &clock }, two = { .clock = &clock }, other = { .clock = &clock },
			udp = { .clock = &clock };
	struct ip_protocol row = { .ctx = &udp, .input = take, .unreachable = IP_UNREACHABLE_PORT };

	assert_int_equal(ip_stack_add_raw(b->s, IPPROTO_NR_UDP, listen_raw, &one), 0);
	assert_int_equal(ip_stack_add_raw(b->s, IPPROTO_NR_TCP, listen_raw, &other), 0);
	assert_int_equal(ip_stack_add_raw(b->s, IPPROTO_NR_UDP, listen_raw, &two), 0);
	ip_stack_set_protocol(b->s, IPPROTO_NR_UDP, &row);
	fixture_input_spec(b, &(struct packet_spec)UDP_TO(LAN_US));
	assert_int_equal(one.last, 1);
	assert_int_equal(two.last, 2);
	assert_int_equal(udp.last, 3);
	assert_int_equal(other.n, 0);
	assert_int_equal(fixture_n_sent(b), 1); /* nobody wanted it */
	fixture_forget(b);

	two.wants = true;
	fixture_input_spec(b, &(struct packet_spec)UDP_TO(LAN_US));
	assert_int_equal(udp.n, 2);
	assert_int_equal(fixture_n_sent(b), 0);
	assert_int_equal(b->env.ledger.n_delivered, 1);

	ip_stack_remove_raw(b->s, IPPROTO_NR_UDP, listen_raw, &one);
	fixture_input_spec(b, &(struct packet_spec)UDP_TO(LAN_US));
	assert_int_equal(one.n, 2);
	assert_int_equal(two.n, 3);
	for (uint32_t i = 0; i < IP_RAW_MAX - 2; i++)
		assert_int_equal(ip_stack_add_raw(b->s, IPPROTO_NR_UDP, listen_raw, &one), 0);
	assert_int_equal(ip_stack_add_raw(b->s, IPPROTO_NR_UDP, listen_raw, &one), -ENOSPC);
	fixture_destroy(b);
}

/* Would catch: a policy of another protocol, or one that stays when its row is gone. */
static void test_policies(void **state)
{
	static const struct packet_spec unknown = { .src = LAN_HOST, .dst = LAN_US, .proto = 77, .payload_len = 20 };
	struct stack_fixture *b = fixture_create_settled();
	uint32_t clock = 0;
	struct listener l = { .clock = &clock };
	struct ip_protocol row = { .ctx = &l, .input = take, .unreachable = IP_UNREACHABLE_PORT };

	fixture_input_spec(b, &unknown);
	ip_stack_set_protocol(b->s, 77, &row);
	fixture_input_spec(b, &unknown);
	ip_stack_set_protocol(b->s, 77, NULL);
	fixture_input_spec(b, &unknown);
	assert_int_equal(l.n, 1);
	assert_int_equal(b->env.ledger.n_dropped[DROP_PROTO_UNREACHABLE], 2);
	assert_int_equal(b->env.ledger.n_dropped[DROP_PORT_UNREACHABLE], 1);
	assert_int_equal(fixture_seen(b, LAN, 0).l4.code, ICMP_PROTOCOL_UNREACHABLE);
	assert_int_equal(fixture_seen(b, LAN, 1).l4.code, ICMP_PORT_UNREACHABLE);
	fixture_destroy(b);
}

#define GROUP IP4(224, 0, 0, 5)

/* What a device's filter was told last. */
struct filter {
	struct device_ops ops;
	uint32_t n, n_told;
	struct ether_addr mac[IP_GROUPS_MAX];
};
static struct filter lan_filter; /* a device has no place for it */

static void set_groups(struct device *d, const struct ether_addr *mac, uint32_t n)
{
	(void)d;
	lan_filter.n = n;
	lan_filter.n_told++;
	memcpy(lan_filter.mac, mac, n * sizeof(*mac));
}

/* Would catch: a packet to a group that nobody joined, or that was joined on another interface, or left, delivered or
 * dropped without its name; one that was joined and does not come; a group that the first of two who joined leaves for
 * both; a device whose filter does not know of it, also after it was down. */
static void test_groups(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	uint32_t clock = 0;
	struct listener l = { .clock = &clock, .wants = true };
	struct ip_protocol row = { .ctx = &l, .input = take, .unreachable = IP_UNREACHABLE_PORT };
	struct device *lan = &b->dev[LAN].dev;

	lan_filter = (struct filter){ .ops = fake_ops };
	lan_filter.ops.set_groups = set_groups;
	lan->ops = &lan_filter.ops;
	ip_stack_set_protocol(b->s, IPPROTO_NR_UDP, &row);
	fixture_input_spec(b, &(struct packet_spec)UDP_TO(GROUP));
	assert_int_equal(b->env.ledger.n_dropped[DROP_GROUP_NOT_JOINED], 1);

	assert_int_equal(ip_group_join(b->s, WAN, GROUP), 0);
	fixture_input_spec(b, &(struct packet_spec)UDP_TO(GROUP));
	assert_int_equal(b->env.ledger.n_dropped[DROP_GROUP_NOT_JOINED], 2);
	assert_int_equal(lan_filter.n_told, 0);

	assert_int_equal(ip_group_join(b->s, LAN, GROUP), 0);
	assert_int_equal(ip_group_join(b->s, LAN, GROUP), 0);
	assert_int_equal(lan_filter.n_told, 1);
	assert_int_equal(lan_filter.n, 1);
	assert_memory_equal(lan_filter.mac[0].b, ((uint8_t[]){ 0x01, 0x00, 0x5e, 0, 0, 5 }), 6);
	fixture_input_spec(b, &(struct packet_spec)UDP_TO(GROUP));
	assert_int_equal(l.n, 1);
	ip_stack_device_changed(b->s, LAN);
	assert_int_equal(lan_filter.n_told, 2);
	assert_int_equal(lan_filter.n, 1);

	ip_group_leave(b->s, LAN, GROUP);
	fixture_input_spec(b, &(struct packet_spec)UDP_TO(GROUP));
	assert_int_equal(l.n, 2);
	ip_group_leave(b->s, LAN, GROUP);
	assert_int_equal(lan_filter.n, 0);
	fixture_input_spec(b, &(struct packet_spec)UDP_TO(GROUP));
	assert_int_equal(l.n, 2);
	assert_int_equal(b->env.ledger.n_dropped[DROP_GROUP_NOT_JOINED], 3);

	/* All hosts. */
	fixture_input_spec(b, &(struct packet_spec)UDP_TO(IP4(224, 0, 0, 1)));
	assert_int_equal(l.n, 3);
	assert_int_equal(ip_group_join(b->s, LAN, LAN_HOST), -EINVAL);
	assert_int_equal(ip_group_join(b->s, 0, GROUP), -EINVAL);
	assert_int_equal(ip_group_join(b->s, IP_HERE + 1, GROUP), -EINVAL);
	for (uint32_t i = 1; i < IP_GROUPS_MAX; i++)
		assert_int_equal(ip_group_join(b->s, LAN, GROUP + i), 0);
	assert_int_equal(ip_group_join(b->s, LAN, GROUP), -ENOSPC);
	fixture_destroy(b);
}

/* An ICMP error from LAN_HOST to `to` about a UDP packet. */
struct error_row {
	const char *name;
	uint8_t type, code;
	uint32_t info;
	struct ipv4_view quoted;
	uint16_t drop; /* 0: it is heard */
	uint32_t to;   /* 0: LAN_US */
	uint32_t cut;  /* bytes of the quoted UDP header that are missing */
};

#define QUOTE(from, to, ...) \
	{ \
		.src = (from), .dst = (to), .proto = IPPROTO_NR_UDP, .ttl = 9, .header_len = IPV4_HEADER_LEN, \
		.total_len = 1000, __VA_ARGS__ \
	}

static const struct error_row error_rows[] = {
	{ "port", 3, ICMP_PORT_UNREACHABLE, 0, QUOTE(LAN_US, FAR, .df = false), 0, 0, 0 },
	{ "ttl", 11, 0, 0, QUOTE(LAN_US, FAR, .df = true), 0, 0, 0 },
	{ "parameter", 12, 0, 0, QUOTE(LAN_US, FAR, .df = true), 0, 0, 0 },
	{ "first fragment", 11, 1, 0, QUOTE(LAN_US, FAR, .mf = true), 0, 0, 0 },
	{ "path mtu", 3, 4, 576, QUOTE(LAN_US, FAR, .df = true), 0, 0, 0 },
	{ "path mtu of an old router", 3, 4, 0, QUOTE(LAN_US, FAR, .df = true), 0, 0, 0 },
	{ "another's packet", 3, 3, 0, QUOTE(LAN_HOST, FAR, .df = false), DROP_ICMP_ERROR_STRAY, 0, 0 },
	{ "another address of ours", 3, 3, 0, QUOTE(WAN_US, FAR, .df = false), DROP_ICMP_ERROR_STRAY, 0, 0 },
	{ "about a group", 3, 3, 0, QUOTE(LAN_US, GROUP, .df = false), DROP_ICMP_ERROR_STRAY, 0, 0 },
	{ "about all", 3, 3, 0, QUOTE(LAN_US, UINT32_MAX, .df = false), DROP_ICMP_ERROR_STRAY, 0, 0 },
	{ "to all, about it", 3, 3, 0, QUOTE(IP4(10, 0, 1, 255), FAR, .df = false), DROP_ICMP_ERROR_STRAY,
	  IP4(10, 0, 1, 255), 0 },
	{ "mtu of what may be cut", 3, 4, 576, QUOTE(LAN_US, FAR, .df = false), DROP_ICMP_ERROR_STRAY, 0, 0 },
	{ "mtu that it fits into", 3, 4, 1000, QUOTE(LAN_US, FAR, .df = true), DROP_ICMP_ERROR_STRAY, 0, 0 },
	{ "later fragment", 3, 3, 0, QUOTE(LAN_US, FAR, .frag_off = 64), DROP_ICMP_ERROR_STRAY, 0, 0 },
	{ "short quote", 3, 3, 0, QUOTE(LAN_US, FAR, .df = false), DROP_ICMP_HEADER, 0, 4 },
};

static void input_error(struct stack_fixture *b, const struct error_row *r)
{
	uint32_t to = r->to != 0 ? r->to : LAN_US;
	uint32_t quote_len = IPV4_HEADER_LEN + UDP_HEADER_LEN - r->cut;
	struct packet_spec sp = {
		.src = LAN_HOST, .dst = to, .proto = IPPROTO_NR_ICMP, .type = r->type, .payload_len = quote_len
	};
	struct frame *f = malloc(sizeof(*f));
	uint8_t *icmp = f->bytes + ETHER_HEADER_LEN + IPV4_HEADER_LEN, udp[UDP_HEADER_LEN];
	struct ipv4_view ip;

	fixture_frame(f, &sp);
	icmp_emit(icmp, r->type, r->code, r->info);
	ipv4_emit(icmp + ICMP_HEADER_LEN, &r->quoted);
	udp_emit(udp, 7777, 53, 972);
	memcpy(icmp + ICMP_HEADER_LEN + IPV4_HEADER_LEN, udp, UDP_HEADER_LEN - r->cut);
	assert_int_equal(ipv4_parse(f->bytes + ETHER_HEADER_LEN, f->len - ETHER_HEADER_LEN, &ip), IPV4_OK);
	l4_checksum_set(&ip, icmp, ICMP_HEADER_LEN + quote_len);
	if (to == IP4(10, 0, 1, 255))
		memset(f->bytes, 0xff, 6);
	fixture_input(b, LAN, f);
	free(f);
}

/* ICMP that is nobody's own. Would catch: what a raw input hook wanted counted as dropped, or a refusal by name hidden
 * because somebody listens. */
static void test_raw_icmp(void **state)
{
	static const struct error_row stray = { "another's packet",    3, 3, 0, QUOTE(LAN_HOST, FAR, .df = false),
						DROP_ICMP_ERROR_STRAY, 0, 0 };

	for (int wants = 0; wants < 2; wants++) {
		struct stack_fixture *b = fixture_create_settled();
		uint32_t clock = 0;
		struct listener l = { .clock = &clock, .wants = wants };

		assert_int_equal(ip_stack_add_raw(b->s, IPPROTO_NR_ICMP, listen_raw, &l), 0);
		fixture_input_spec(b, &(struct packet_spec){ .src = LAN_HOST,
							     .dst = LAN_US,
							     .proto = IPPROTO_NR_ICMP,
							     .type = 40,
							     .payload_len = 8 });
		assert_int_equal(l.n, 1);
		assert_int_equal(b->env.ledger.n_delivered, wants);
		assert_int_equal(b->env.ledger.n_dropped[DROP_ICMP_IGNORED], !wants);
		input_error(b, &stray);
		assert_int_equal(l.n, 2);
		assert_int_equal(b->env.ledger.n_delivered, wants);
		assert_int_equal(b->env.ledger.n_dropped[DROP_ICMP_ERROR_STRAY], 1);
		fixture_destroy(b);
	}
}

/* Would catch: an error that does not reach the protocol that it quotes, that reaches another one, that is believed
 * though we cannot have sent what it quotes, or vanishes without its name. */
static void test_errors(void **state)
{
	for (uint32_t i = 0; i < ARRAY_LEN(error_rows); i++) {
		const struct error_row *r = &error_rows[i];
		struct stack_fixture *b = fixture_create_settled();
		struct listener l = { 0 }, other = { 0 };

		ip_stack_set_protocol(b->s, IPPROTO_NR_UDP,
				      &(struct ip_protocol){ .ctx = &l,
							     .icmp_error = hear_error,
							     .unreachable = IP_UNREACHABLE_PORT });
		ip_stack_set_protocol(b->s, IPPROTO_NR_TCP,
				      &(struct ip_protocol){ .ctx = &other,
							     .icmp_error = hear_error,
							     .unreachable = IP_UNREACHABLE_RESET });
		input_error(b, r);
		if (l.n != (r->drop == 0) || (r->drop != 0 && b->env.ledger.n_dropped[r->drop] != 1))
			fail_msg("%s: heard %u times", r->name, l.n);
		assert_int_equal(other.n, 0);
		if (r->drop == 0) {
			assert_int_equal(l.type, r->type);
			assert_int_equal(l.code, r->code);
			assert_int_equal(l.info, r->info);
			assert_int_equal(l.sport, 7777);
			assert_int_equal(l.dst, FAR);
			assert_int_equal(b->env.ledger.n_delivered, 1);
		}
		/* A row without packets of its own takes none. */
		fixture_input_spec(b, &(struct packet_spec)UDP_TO(LAN_US));
		assert_int_equal(b->env.ledger.n_dropped[DROP_PORT_UNREACHABLE], 1);
		fixture_destroy(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_raw_hooks), cmocka_unit_test(test_raw_icmp), cmocka_unit_test(test_policies),
		cmocka_unit_test(test_groups),    cmocka_unit_test(test_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
