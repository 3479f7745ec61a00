/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ICMP answers and errors: when they are sent, when they must not be, how often,
 * and what they say.
 */
#include "stack/ip/stack_fixture.h"
#include "stack/wire/bytes.h"
#include "stack/wire/checksum.h"

#define UDP_LAN(a, ...) \
	{ \
		.src = LAN_HOST, .dst = (a), .proto = IPPROTO_NR_UDP, .payload_len = 20, .sport = 9, __VA_ARGS__ \
	}

/* A packet through PREROUTING that must cause an error, if it may: its TTL is 1. */
struct silence_row {
	const char *name;
	struct packet_spec spec;
	enum icmp_silence want;
	uint8_t link_group;
};

/* The five cases of RFC 1122 section 3.2.2 and the twins that do cause an error. */
static const struct silence_row silence_rows[] = {
	{ "plain", UDP_LAN(FAR, .ttl = 1), ICMP_SENT, 0 },
	{ "about an error",
	  { .src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_ICMP, .type = ICMP_DEST_UNREACHABLE, .payload_len = 40 },
	  ICMP_SILENT_ERROR,
	  0 },
	{ "about an unknown type",
	  { .src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_ICMP, .type = 77, .payload_len = 40 },
	  ICMP_SILENT_ERROR,
	  0 },
	{ "about a query",
	  { .src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_ICMP, .type = ICMP_ECHO_REQUEST, .payload_len = 40 },
	  ICMP_SENT,
	  0 },
	{ "to multicast", UDP_LAN(IP4(224, 0, 0, 5)), ICMP_SILENT_DESTINATION, 0 },
	{ "to all", UDP_LAN(UINT32_MAX), ICMP_SILENT_DESTINATION, 0 },
	{ "to a directed broadcast", UDP_LAN(IP4(10, 0, 1, 255)), ICMP_SILENT_DESTINATION, 0 },
	{ "link broadcast", UDP_LAN(FAR), ICMP_SILENT_LINK, 1 },
	{ "later fragment",
	  { .src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_UDP, .payload_len = 64, .frag_off = 64 },
	  ICMP_SILENT_FRAGMENT,
	  0 },
	{ "first fragment",
	  { .src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_UDP, .payload_len = 64, .mf = true },
	  ICMP_SENT,
	  0 },
	{ "from zero", { .src = 0, .dst = FAR, .proto = IPPROTO_NR_UDP }, ICMP_SILENT_SOURCE, 0 },
	{ "from loopback", { .src = IP4(127, 0, 0, 1), .dst = FAR, .proto = IPPROTO_NR_UDP }, ICMP_SILENT_SOURCE, 0 },
	{ "from multicast", { .src = IP4(230, 0, 0, 1), .dst = FAR, .proto = IPPROTO_NR_UDP }, ICMP_SILENT_SOURCE, 0 },
	{ "from all", { .src = UINT32_MAX, .dst = FAR, .proto = IPPROTO_NR_UDP }, ICMP_SILENT_SOURCE, 0 },
	{ "from a directed broadcast",
	  { .src = IP4(10, 0, 1, 255), .dst = FAR, .proto = IPPROTO_NR_UDP },
	  ICMP_SILENT_SOURCE,
	  0 },
};

/* A packet as ip_input leaves it. */
static struct packet *parsed(struct stack_fixture *b, const struct packet_spec *sp)
{
	struct frame *f = malloc(sizeof(*f));

	fixture_frame(f, sp);
	/* An error must quote something. */
	if (sp->type == ICMP_DEST_UNREACHABLE) {
		struct ipv4_view quoted = {
			.src = FAR, .dst = LAN_HOST, .total_len = 40, .proto = IPPROTO_NR_UDP, .ttl = 9
		};

		ipv4_emit(f->bytes + 14 + 20 + 8, &quoted);
	}
	struct packet *p = fixture_receive(b, f);

	p->in_ifindex = LAN;
	p->l3_off = ETHER_HEADER_LEN;
	assert_int_equal(ipv4_parse(packet_l3(p), p->len - 14, &p->ip), IPV4_OK);
	p->l4_off = (uint16_t)(p->l3_off + p->ip.header_len);
	assert_int_equal(l4_parse(&p->ip, packet_l4(p), packet_l4_len(p), &p->l4), L4_OK);
	free(f);
	return p;
}

/* Would catch: an error in one of the five cases, and silence in their twins. */
static void test_silence(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(silence_rows); i++) {
		const struct silence_row *r = &silence_rows[i];
		struct stack_fixture *b = fixture_create_settled();
		struct packet *p = parsed(b, &r->spec);

		p->link_group = r->link_group;
		enum icmp_silence got = icmp_send_error(b->s, p, ICMP_TIME_EXCEEDED, 0, 0);

		if (got != r->want)
			print_error("row: %s\n", r->name);
		assert_int_equal(got, r->want);
		assert_int_equal(icmp_counts(b->s)[r->want], 1);
		ip_flush(b->s);
		assert_int_equal(fixture_n_sent(b), r->want == ICMP_SENT);
		env_drop(&b->env, p, DROP_TTL_EXPIRED);
		fixture_destroy(b);
	}
}

static enum icmp_silence error_from(struct stack_fixture *b, uint32_t src, uint8_t type, uint8_t code)
{
	struct packet *p =
		parsed(b, &(struct packet_spec){ .src = src, .dst = FAR, .proto = IPPROTO_NR_UDP, .payload_len = 20 });
	enum icmp_silence got = icmp_send_error(b->s, p, type, code, 0);

	env_drop(&b->env, p, DROP_TTL_EXPIRED);
	return got;
}

/* Would catch: an error that does not come from the interface that it leaves by, when that is not the one where the
 * packet came in; and one about a packet to us that comes from another address than was asked. */
static void test_error_source(void **state)
{
	struct stack_fixture *b = fixture_create_settled();

	b->cfg.interface[LAN].rpf = IP_RPF_OFF;
	fixture_input_spec(b, &(struct packet_spec){ .src = FAR, .dst = FAR + 1, .proto = IPPROTO_NR_UDP, .ttl = 1 });
	struct seen v = fixture_seen(b, WAN, 0);

	assert_int_equal(v.ip.dst, FAR);
	assert_int_equal(v.ip.src, WAN_US);
	fixture_input_spec(b, &(struct packet_spec){ .src = LAN_HOST, .dst = SMALL_US, .proto = IPPROTO_NR_UDP });
	v = fixture_seen(b, LAN, 0);
	assert_int_equal(v.ip.src, SMALL_US);
	fixture_destroy(b);
}

/* How many of eight other hosts are answered. Two destinations share a slot by one chance in ICMP_SLOTS, so one of them
 * may be without; two are so in one of a million keys. */
static uint32_t others_answered(struct stack_fixture *b, uint8_t type, uint8_t code)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i <= 8; i++)
		n += error_from(b, LAN_HOST + i, type, code) == ICMP_SENT;
	return n;
}

/* Would catch: a limit that is not kept, does not recover, lets one destination or one kind starve the others, or stops
 * path MTU discovery. What is asserted holds whatever the keys of the slots and the lengths of the windows are. */
static void test_rate(void **state)
{
	static const uint8_t other_kinds[] = { ICMP_DEST_UNREACHABLE, ICMP_SOURCE_QUENCH, ICMP_REDIRECT,
					       ICMP_PARAMETER_PROBLEM };
	struct stack_fixture *b = fixture_create_settled();
	uint32_t n = 0;

	b->cfg.icmp_rate_per_s = 100;
	b->cfg.icmp_rate_per_dest_s = 5;
	b->cfg.icmp_rate_path_mtu_s = 400;
	for (uint32_t i = 0; i < 100; i++)
		n += error_from(b, LAN_HOST, ICMP_TIME_EXCEEDED, 0) == ICMP_SENT;
	assert_int_equal(n, 5);
	assert_int_equal(icmp_counts(b->s)[ICMP_SILENT_RATE], 95);
	assert_in_range(others_answered(b, ICMP_TIME_EXCEEDED, 0), 7, 8);
	n = 0;
	for (uint32_t i = 0; i < ARRAY_LEN(other_kinds); i++)
		n += error_from(b, LAN_HOST, other_kinds[i], 0) == ICMP_SENT;
	assert_in_range(n, 3, 4);
	/* A flood to everybody uses up what all share, each answer two tokens of the hundred at most, one on the
	 * average; what the flood before took is made good by then. */
	b->env.now += 2 * NS_PER_S;
	n = 0;
	for (uint32_t i = 0; i < 1000; i++)
		n += error_from(b, LAN_HOST + i % 200, ICMP_DEST_UNREACHABLE, ICMP_PORT_UNREACHABLE) == ICMP_SENT;
	assert_in_range(n, 50, 170);
	ip_flush(b->s);
	fixture_forget(b);
	/* It leaves path MTU messages alone: a quarter for one destination, but for the five that the flood may have
	 * had of the same slot. */
	n = 0;
	for (uint32_t i = 0; i < 1000; i++) {
		n += error_from(b, LAN_HOST, ICMP_DEST_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED) == ICMP_SENT;
		ip_flush(b->s);
		fixture_forget(b);
	}
	assert_in_range(n, 95, 100);
	assert_in_range(others_answered(b, ICMP_DEST_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED), 7, 8);
	/* Twenty seconds at a thousand packets a second: five in each window, which lasts 0.75 to 1.25 s; nothing, or
	 * all of it, in what is left of the first. */
	n = 0;
	for (uint32_t i = 0; i < 20000; i++) {
		b->env.now += NS_PER_MS;
		n += error_from(b, LAN_HOST, ICMP_TIME_EXCEEDED, 0) == ICMP_SENT;
		ip_flush(b->s);
		fixture_forget(b);
	}
	assert_in_range(n, 75, 140);
	fixture_destroy(b);
}

/* An outsider empties what all share, has an answer sent to somebody else or not, and counts what is left for him.
 * Would catch: a count that tells him which it was. */
static void test_no_side_channel(void **state)
{
	enum { ROUNDS = 60 };
	uint32_t sum[2] = { 0 }, least[2] = { UINT32_MAX, UINT32_MAX }, most[2] = { 0 };
	struct stack_fixture *b = fixture_create_settled();

	b->cfg.icmp_rate_per_s = 200;
	for (uint32_t round = 0; round < 2 * ROUNDS; round++) {
		uint32_t n = 0, kind = round % 2;

		b->env.now += 2 * NS_PER_S;
		if (kind == 1)
			assert_int_equal(error_from(b, FAR, ICMP_DEST_UNREACHABLE, ICMP_PORT_UNREACHABLE), ICMP_SENT);
		for (uint32_t i = 0; i < 500; i++)
			n += error_from(b, LAN_HOST + i % 200, ICMP_DEST_UNREACHABLE, ICMP_PORT_UNREACHABLE) ==
			     ICMP_SENT;
		ip_flush(b->s);
		fixture_forget(b);
		sum[kind] += n;
		least[kind] = min_u32(least[kind], n);
		most[kind] = max_u32(most[kind], n);
	}
	/* The two spreads lie over each other by far more than the one answer. */
	assert_true(most[1] > least[0] + 10 && most[0] > least[1] + 10);
	assert_in_range(sum[0] / ROUNDS, 180, 220);
	assert_in_range(sum[1] / ROUNDS, 180, 220);
	fixture_destroy(b);
}

/* Would catch: an error about a reset of ours, sent to him whose name it bears. */
static void test_own_reset(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	struct packet *p = ip_packet_new(b->s, FAR, LAN_HOST, IPPROTO_NR_TCP, TCP_HEADER_LEN);

	tcp_emit(packet_l4(p), 80, 1234, 1, 0, TCP_RST, 0);
	l4_checksum_set(&p->ip, packet_l4(p), TCP_HEADER_LEN);
	l4_parse(&p->ip, packet_l4(p), TCP_HEADER_LEN, &p->l4);
	assert_int_equal(icmp_send_error(b->s, p, ICMP_DEST_UNREACHABLE, ICMP_HOST_UNREACHABLE, 0), ICMP_SILENT_OURS);
	p->l4.flags = TCP_ACK; /* whatever else bears a foreign name */
	assert_int_equal(icmp_send_error(b->s, p, ICMP_DEST_UNREACHABLE, ICMP_HOST_UNREACHABLE, 0), ICMP_SILENT_OURS);
	p->ip.src = LAN_US; /* our own sockets hear of what became of theirs, but nobody of a reset */
	p->l4.flags = TCP_RST;
	assert_int_equal(icmp_send_error(b->s, p, ICMP_DEST_UNREACHABLE, ICMP_HOST_UNREACHABLE, 0), ICMP_SILENT_OURS);
	p->l4.flags = TCP_ACK;
	assert_int_equal(icmp_send_error(b->s, p, ICMP_DEST_UNREACHABLE, ICMP_HOST_UNREACHABLE, 0), ICMP_SENT);
	packet_free(b->env.pool, p);
	b->env.ledger.n_delivered++;
	ip_flush(b->s);
	fixture_destroy(b);
}

struct hint {
	uint8_t info;
	uint32_t conn_ref; /* of the error */
};

static void give_conn(void *ctx, enum ip_hook hook, struct batch *b)
{
	const struct hint *h = ctx;

	b->p[0]->conn_ref = 77;
	b->p[0]->ct_info = h->info;
}

static void note_conn(void *ctx, enum ip_hook hook, struct batch *b)
{
	((struct hint *)ctx)->conn_ref = b->p[0]->conn_ref;
}

/* Would catch: an error that conntrack is not told whose packet it quotes, and one of a packet that is nobody's. */
static void test_error_names_its_connection(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	struct packet_spec sp = { .src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_UDP, .ttl = 1 };
	struct hint h = { .info = CT_INFO_NONE };
	struct hook_entry in = { .priority = HOOK_PRI_CONNTRACK, .name = "test", .fn = give_conn, .ctx = &h },
			  out = { .priority = HOOK_PRI_FIRST, .name = "test", .fn = note_conn, .ctx = &h };

	(void)state;
	assert_int_equal(hook_list_add(ip_stack_hooks(b->s, HOOK_PREROUTING), &in), 0);
	assert_int_equal(hook_list_add(ip_stack_hooks(b->s, HOOK_OUTPUT), &out), 0);
	for (h.info = CT_INFO_NONE; h.info <= CT_INFO_UNTRACKED; h.info++) {
		bool is_tracked = h.info == CT_INFO_NEW || h.info == CT_INFO_ESTABLISHED || h.info == CT_INFO_RELATED;

		h.conn_ref = 0;
		fixture_input_spec(b, &sp);
		assert_int_equal(h.conn_ref, is_tracked ? 77 : CONN_NONE);
	}
	assert_int_equal(b->dev[LAN].n, CT_INFO_UNTRACKED + 1);
	fixture_destroy(b);
}

/* Would catch: an answer that is cut, has other data, or is not sent for a ping
 * that came in fragments; and fragments that are counted wrong. */
static void test_large_echo(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 1472, 1473, 4000, 65507 };
	struct frame *whole = malloc(sizeof(*whole)), *f = malloc(sizeof(*f));

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct stack_fixture *b = fixture_create_settled();
		struct packet_spec sp = { .src = LAN_HOST,
					  .dst = LAN_US,
					  .proto = IPPROTO_NR_ICMP,
					  .type = ICMP_ECHO_REQUEST,
					  .payload_len = sizes[i] };
		uint32_t l4_len = ICMP_HEADER_LEN + sizes[i], at = 0;

		fixture_frame(whole, &sp);
		while (at < l4_len) {
			struct packet_spec fragment = sp;
			uint32_t n = min_u32(1480, l4_len - at);

			fragment.ip_id = 77;
			fragment.frag_off = (uint16_t)at;
			fragment.mf = at + n < l4_len;
			fragment.payload_len = at == 0 ? n - ICMP_HEADER_LEN : n;
			fixture_frame(f, &fragment);
			memcpy(f->bytes + 34, whole->bytes + 34 + at, n);
			ipv4_set_tos(f->bytes + ETHER_HEADER_LEN, 0xb8);
			fixture_input(b, LAN, f);
			at += n;
		}
		at = 0;
		for (uint32_t k = 0; k < b->dev[LAN].n; k++) {
			struct seen v = fixture_seen(b, LAN, k);

			assert_int_equal(v.ip.frag_off, at);
			assert_int_equal(v.ip.tos, 0xb8);
			if (k == 0) {
				assert_int_equal(v.l4.type, ICMP_ECHO_REPLY);
				assert_int_equal(v.l4.info, 0x12340001);
				assert_memory_equal(v.p4 + 8, whole->bytes + 42, v.l4_len - 8);
			} else {
				assert_memory_equal(v.p4, whole->bytes + 34 + at, v.l4_len);
			}
			at += v.l4_len;
		}
		assert_int_equal(at, l4_len);
		assert_int_equal(b->env.ledger.n_delivered, 1);
		assert_int_equal(packet_pool_used(b->env.pool), 0);
		fixture_destroy(b);
	}
	free(whole);
	free(f);
}

/* Would catch: a packet of more fragments than a batch takes that is dropped. */
static void test_very_many_fragments(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	struct packet *p = ip_packet_new(b->s, 0, SMALL_HOST, 47, 65000);

	b->dev[SMALL].dev.mtu = 300;
	memset(packet_l4(p), 7, 65000);
	ip_local_out_one(b->s, p);
	ip_flush(b->s);
	uint32_t at = 0;

	for (uint32_t i = 0; i < b->dev[SMALL].n; i++) {
		struct seen v = fixture_seen(b, SMALL, i);

		assert_true(v.ip.total_len <= 300);
		assert_int_equal(v.ip.frag_off, at);
		at += v.l4_len;
	}
	assert_int_equal(at, 65000);
	fixture_destroy(b);
}

/* RFC 3168 section 5.3, seen in the answer, which has the service of the request. Would catch: a mark of congestion
 * that is lost when fragments are put together, or made up. */
static void test_ecn_of_fragments(void **state)
{
	struct frame *f = malloc(sizeof(*f));

	for (uint32_t marked = 0; marked < 4; marked++) {
		struct stack_fixture *b = fixture_create_settled();
		struct packet_spec sp = { .src = LAN_HOST,
					  .dst = LAN_US,
					  .proto = IPPROTO_NR_ICMP,
					  .type = ICMP_ECHO_REQUEST,
					  .info = 7,
					  .payload_len = 592,
					  .cut = 200 };

		for (uint32_t k = 0; k < 3; k++) {
			sp.tos = k == marked ? 0xbb : 0xba;
			sp.frag_off = (uint16_t)(k * 200);
			sp.mf = k < 2;
			fixture_frame(f, &sp);
			fixture_input(b, LAN, f);
		}
		struct seen v = fixture_seen(b, LAN, 0);

		assert_int_equal(v.l4.type, ICMP_ECHO_REPLY);
		assert_int_equal(v.ip.tos, marked < 3 ? 0xbb : 0xba);
		fixture_destroy(b);
	}
	free(f);
}

/* Would catch: a datagram that, with the options of its first fragment, is longer than one can be. */
static void test_too_big_together(void **state)
{
	static const uint8_t options[8] = { IPV4_OPT_NOP, IPV4_OPT_NOP, IPV4_OPT_NOP, IPV4_OPT_NOP };
	struct frame *f = malloc(sizeof(*f));
	struct stack_fixture *b = fixture_create_settled();
	struct packet_spec sp = { .src = LAN_HOST,
				  .dst = LAN_US,
				  .proto = IPPROTO_NR_ICMP,
				  .type = ICMP_ECHO_REQUEST,
				  .ip_id = 3,
				  .info = 7,
				  .payload_len = 65504,
				  .cut = 1480 };

	for (uint32_t at = 0; at < 65512; at += 1480) {
		sp.frag_off = (uint16_t)at;
		sp.mf = at + 1480 < 65512;
		fixture_frame(f, &sp);
		if (at == 0) {
			struct packet_spec first = sp;

			first.cut = 0;
			first.payload_len = 1472;
			first.ip_options = options;
			first.ip_options_len = sizeof(options);
			fixture_frame(f, &first);
		}
		fixture_input(b, LAN, f);
	}
	assert_int_equal(fixture_n_sent(b), 0);
	assert_true(b->env.ledger.n_dropped[DROP_FRAGMENT_TOO_BIG] > 40);
	assert_int_equal(packet_pool_used(b->env.pool), 0);
	fixture_destroy(b);
	free(f);
}

/* Would catch: a timestamp reply with other than the asker's own time in front. */
static void test_timestamp(void **state)
{
	static const uint8_t asked[12] = { 1, 2, 3, 4 };
	struct stack_fixture *b = fixture_create_settled();

	b->env.wall_offset_ns = 5 * NS_PER_S;
	fixture_input_spec(b, &(struct packet_spec){ .src = LAN_HOST,
						     .dst = LAN_US,
						     .proto = IPPROTO_NR_ICMP,
						     .type = ICMP_TIMESTAMP,
						     .payload = asked,
						     .payload_len = sizeof(asked) });
	struct seen v = fixture_seen(b, LAN, 0);
	uint32_t want = ip_time_ms(b->s);
	const uint8_t stamp[4] = { (uint8_t)(want >> 24), (uint8_t)(want >> 16), (uint8_t)(want >> 8), (uint8_t)want };

	assert_int_equal(v.l4.type, ICMP_TIMESTAMP_REPLY);
	assert_memory_equal(v.p4 + 8, asked, 4);
	assert_memory_equal(v.p4 + 12, stamp, 4);
	assert_memory_equal(v.p4 + 16, stamp, 4);
	fixture_destroy(b);
}

/* Would catch: an echo whose record of the way does not come back (ping -R). */
static void test_echo_options(void **state)
{
	static const struct {
		uint8_t options[12], want[12];
		uint8_t header_len;
	} rows[] = {
		{ { IPV4_OPT_NOP, IPV4_OPT_RECORD_ROUTE, 11, 4 },
		  { IPV4_OPT_NOP, IPV4_OPT_RECORD_ROUTE, 11, 8, 10, 0, 1, 1 },
		  32 },
		/* A timestamp with addresses: ours, and midnight's distance, which is not looked at. */
		{ { IPV4_OPT_TIMESTAMP, 12, 5, 1 }, { IPV4_OPT_TIMESTAMP, 12, 13, 1, 10, 0, 1, 1 }, 32 },
		/* Nothing that is answered. */
		{ { IPV4_OPT_NOP, IPV4_OPT_NOP, IPV4_OPT_NOP }, { 0 }, 20 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct stack_fixture *b = fixture_create_settled();

		fixture_input_spec(b, &(struct packet_spec){ .src = LAN_HOST,
							     .dst = LAN_US,
							     .proto = IPPROTO_NR_ICMP,
							     .type = ICMP_ECHO_REQUEST,
							     .payload_len = 30,
							     .ip_options = rows[i].options,
							     .ip_options_len = 12 });
		struct seen v = fixture_seen(b, LAN, 0);

		assert_int_equal(v.ip.header_len, rows[i].header_len);
		if (rows[i].header_len > IPV4_HEADER_LEN)
			assert_memory_equal(v.l3 + IPV4_HEADER_LEN, rows[i].want, 8);
		assert_int_equal(v.l4.payload_len, 30);
		fixture_destroy(b);
	}
}

/* Would catch: an error from the packet's destination, that is, an answer, for a
 * fragment whose time was over; and silence about it. */
static void test_reassembly_timeout(void **state)
{
	struct stack_fixture *b = fixture_create_settled();

	fixture_input_spec(b, &(struct packet_spec){ .src = LAN_HOST,
						     .dst = LAN_US,
						     .proto = IPPROTO_NR_UDP,
						     .payload_len = 64,
						     .mf = true,
						     .ip_id = 1 });
	fixture_input_spec(b, &(struct packet_spec){ .src = LAN_HOST,
						     .dst = LAN_US,
						     .proto = IPPROTO_NR_UDP,
						     .payload_len = 64,
						     .frag_off = 800,
						     .ip_id = 2 });
	assert_int_equal(packet_pool_used(b->env.pool), 2);
	fixture_run_for(b, 61 * NS_PER_S);
	assert_int_equal(b->env.ledger.n_dropped[DROP_FRAGMENT_TIMEOUT], 2);
	/* The neighbour is STALE by now, and packets still pass. */
	struct seen v = fixture_seen(b, LAN, 0);

	assert_int_equal(b->dev[LAN].n, 1);
	assert_int_equal(v.l4.type, ICMP_TIME_EXCEEDED);
	assert_int_equal(v.l4.code, ICMP_REASSEMBLY_TIMEOUT);
	fixture_destroy(b);
}

struct reset_row {
	uint8_t flags;
	uint32_t payload;
	bool sent;
	uint8_t want_flags;
	uint32_t want_seq, want_ack;
};

/* RFC 9293 section 3.10.7.1; the segment has sequence 1000, acknowledgement 2000. */
static const struct reset_row reset_rows[] = {
	{ TCP_SYN, 0, true, TCP_RST | TCP_ACK, 0, 1001 }, { TCP_SYN | TCP_ACK, 0, true, TCP_RST, 2000, 0 },
	{ TCP_ACK, 10, true, TCP_RST, 2000, 0 },          { TCP_FIN, 10, true, TCP_RST | TCP_ACK, 0, 1011 },
	{ 0, 10, true, TCP_RST | TCP_ACK, 0, 1010 },      { TCP_RST, 0, false, 0, 0, 0 },
	{ TCP_RST | TCP_ACK, 0, false, 0, 0, 0 },
};

/* Would catch: a reset that the sender would not accept, and one for a reset. */
static void test_reset(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(reset_rows); i++) {
		const struct reset_row *r = &reset_rows[i];
		struct stack_fixture *b = fixture_create_settled();

		fixture_input_spec(b, &(struct packet_spec){ .src = LAN_HOST,
							     .dst = LAN_US,
							     .proto = IPPROTO_NR_TCP,
							     .sport = 4000,
							     .dport = 80,
							     .flags = r->flags,
							     .payload_len = r->payload });
		assert_int_equal(b->env.ledger.n_dropped[DROP_TCP_NO_SOCKET], 1);
		assert_int_equal(fixture_n_sent(b), r->sent);
		if (r->sent) {
			struct seen v = fixture_seen(b, LAN, 0);

			assert_int_equal(v.l4.flags, r->want_flags);
			assert_int_equal(v.l4.seq, r->want_seq);
			assert_int_equal(v.l4.ack, r->want_ack);
			assert_int_equal(v.l4.sport, 80);
			assert_int_equal(v.l4.dport, 4000);
			assert_int_equal(v.ip.src, LAN_US);
		}
		fixture_destroy(b);
	}
}

/* Would catch: an error for our own packet that goes out to the link, or answers
 * itself for ever: a ping from here to a host that does not answer ARP. */
static void test_error_to_us(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	struct packet *p = ip_packet_new(b->s, 0, LAN_HOST + 70, IPPROTO_NR_ICMP, 20);

	memset(packet_l4(p), 0, 20);
	icmp_emit(packet_l4(p), ICMP_ECHO_REQUEST, 0, 1);
	l4_checksum_set(&p->ip, packet_l4(p), 20);
	l4_parse(&p->ip, packet_l4(p), 20, &p->l4);
	ip_local_out_one(b->s, p);
	ip_flush(b->s);
	fixture_run_for(b, 4 * NS_PER_S);
	assert_int_equal(b->env.ledger.n_dropped[DROP_NEIGH_UNREACHABLE], 1);
	assert_int_equal(icmp_counts(b->s)[ICMP_SENT], 1);
	assert_int_equal(b->env.ledger.n_delivered, 1);
	for (uint32_t i = 0; i < b->dev[LAN].n; i++)
		assert_int_equal(fixture_seen(b, LAN, i).eth.type, ETHERTYPE_ARP);
	fixture_destroy(b);
}

/* Would catch: an empty packet pool that crashes, and that is not survived. */
static void test_no_buffer(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	struct packet *taken[2048];
	uint32_t n = 0;

	struct frame *f = malloc(sizeof(*f));

	fixture_frame(f, &(struct packet_spec)UDP_LAN(FAR, .ttl = 1));
	struct batch batch = { .n = 1, .p = { fixture_receive(b, f) } };

	while ((taken[n] = packet_alloc(b->env.pool, 100)) != NULL)
		n++;
	ether_input(b->s, LAN, &batch);
	assert_int_equal(icmp_counts(b->s)[ICMP_SILENT_NO_BUFFER], 1);
	fixture_frame(f, &(struct packet_spec){ .src = LAN_HOST,
						.dst = LAN_US,
						.proto = IPPROTO_NR_ICMP,
						.type = ICMP_ECHO_REQUEST,
						.payload_len = 10 });
	packet_free(b->env.pool, taken[--n]);
	batch = (struct batch){ .n = 1, .p = { fixture_receive(b, f) } };
	while (n < 2048 && (taken[n] = packet_alloc(b->env.pool, 100)) != NULL)
		n++;
	ether_input(b->s, LAN, &batch);
	assert_int_equal(b->env.ledger.n_dropped[DROP_NO_BUFFER], 1);
	while (n > 0)
		packet_free(b->env.pool, taken[--n]);
	fixture_input(b, LAN, f);
	assert_int_equal(b->dev[LAN].n, 1);
	free(f);
	fixture_destroy(b);
}

/* Its checksum was left to a device. Would catch: a quote whose checksum is half a one although all of the packet is in
 * it, one that is made of a part of the packet. */
static void test_quote_checksum(void **state)
{
	static const uint16_t payload_len[] = { 100, 1000 };
	static struct frame f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(payload_len); i++) {
		struct stack_fixture *b = fixture_create_settled();
		uint32_t l4_len = UDP_HEADER_LEN + payload_len[i];
		uint16_t half = checksum_fold(checksum_pseudo(LAN_HOST, FAR, IPPROTO_NR_UDP, l4_len));
		struct packet_spec sp = { .src = LAN_HOST,
					  .dst = FAR,
					  .proto = IPPROTO_NR_UDP,
					  .sport = 9,
					  .dport = 9,
					  .ttl = 1,
					  .payload_len = payload_len[i],
					  .l4_check = PACKET_FIELD(half) };
		struct icmp_quote q;

		fixture_frame(&f, &sp);
		f.offload = (struct offload){ .csum_partial = true, .csum_start = 34, .csum_offset = 6 };
		fixture_input(b, LAN, &f);
		struct seen v = fixture_seen(b, LAN, 0);

		assert_true(icmp_quote_parse(v.p4, v.l4_len, &q));
		assert_int_equal(q.len == q.ip.total_len, i == 0);
		if (i == 0)
			assert_true(l4_checksum_ok(&q.ip, v.p4 + q.l4_offset, l4_len));
		else
			assert_int_equal(bytes_get16(v.p4 + q.l4_offset + UDP_CHECK_AT), half);
		fixture_destroy(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_error_source),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_no_side_channel),
		cmocka_unit_test(test_own_reset),
		cmocka_unit_test(test_error_names_its_connection),
		cmocka_unit_test(test_large_echo),
		cmocka_unit_test(test_very_many_fragments),
		cmocka_unit_test(test_ecn_of_fragments),
		cmocka_unit_test(test_too_big_together),
		cmocka_unit_test(test_timestamp),
		cmocka_unit_test(test_echo_options),
		cmocka_unit_test(test_reassembly_timeout),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_error_to_us),
		cmocka_unit_test(test_no_buffer),
		cmocka_unit_test(test_quote_checksum),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
