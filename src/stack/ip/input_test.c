/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Frames in: what is let through, what is dropped by which name, and what the
 * sender is told.
 */
#include "stack/ip/stack_fixture.h"
#include "stack/wire/checksum.h"
#include "stack/ip/local.h"

static const struct packet_spec udp_far = {
	.src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_UDP, .payload_len = 100, .sport = 5000, .dport = 53
};
/* A row: a frame made from the spec, changed by `mutate`, and what becomes of it. */
struct row {
	const char *name;
	struct packet_spec spec;
	void (*mutate)(struct frame *f);
	enum drop_reason reason;
	int icmp_type, icmp_code; /* the error that the sender gets; -1: none */
	uint32_t info;
};

/* A field of the IPv4 header changed, its checksum mended. */
static void mend(struct frame *f)
{
	struct ipv4_header *h = (struct ipv4_header *)(f->bytes + ETHER_HEADER_LEN);
	size_t len = (size_t)(h->version_ihl & 0xf) * 4;

	if (len < IPV4_HEADER_LEN)
		len = IPV4_HEADER_LEN;
	h->check = be16_of(0);
	h->check = be16_of(checksum_finish(checksum_add(0, h, len)));
}

static void cut_to_10(struct frame *f)
{
	f->len = 10;
}
static void source_group(struct frame *f)
{
	f->bytes[6] |= 1;
}
static void other_host(struct frame *f)
{
	f->bytes[5] ^= 1;
}
static void link_broadcast(struct frame *f)
{
	memset(f->bytes, 0xff, 6);
}
static void ethertype(struct frame *f, uint16_t type)
{
	f->bytes[12] = (uint8_t)(type >> 8);
	f->bytes[13] = (uint8_t)type;
}
static void lldp(struct frame *f)
{
	ethertype(f, 0x88cc);
}
static void vlan(struct frame *f)
{
	ethertype(f, ETHERTYPE_VLAN);
}
static void ipv6(struct frame *f)
{
	ethertype(f, ETHERTYPE_IPV6);
}
static void arp_bytes(struct frame *f)
{
	ethertype(f, ETHERTYPE_ARP);
}
static void ip_short(struct frame *f)
{
	f->len = ETHER_HEADER_LEN + 19;
}
static void ip_version(struct frame *f)
{
	f->bytes[14] = 0x65;
	mend(f);
}
static void ip_header_len(struct frame *f)
{
	f->bytes[14] = 0x44;
	mend(f);
}
static void total_len(struct frame *f)
{
	f->bytes[16] = 0x40;
	mend(f);
}
static void ip_checksum(struct frame *f)
{
	f->bytes[24] ^= 1;
}
static void last_byte(struct frame *f)
{
	f->bytes[f->len - 1] ^= 0x55;
}
static void tcp_offset(struct frame *f)
{
	f->bytes[14 + 20 + 12] = 0x40;
}
static void udp_len(struct frame *f)
{
	f->bytes[14 + 20 + 4] = 0x70;
}
static void offload_lie(struct frame *f)
{
	f->offload = (struct offload){ .csum_partial = true, .csum_start = 20, .csum_offset = 4 };
}
static void offload_gso_lie(struct frame *f)
{
	f->offload = (struct offload){
		.csum_partial = true, .csum_start = 34, .csum_offset = 6, .gso_type = GSO_TCP4, .gso_size = 10
	};
}

#define UDP_FROM(a) \
	{ \
		.src = (a), .dst = FAR, .proto = IPPROTO_NR_UDP, .payload_len = 20, .sport = 9, .dport = 9 \
	}
#define UDP_OPTIONS(...) \
	{ \
		.src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_UDP, .payload_len = 20, \
		.ip_options = (const uint8_t[8]){ __VA_ARGS__ }, .ip_options_len = 8 \
	}
#define SILENT -1, -1

static void put_tag(struct frame *f, uint16_t type, uint16_t tci)
{
	memmove(f->bytes + 16, f->bytes + 12, f->len - 12);
	f->bytes[12] = (uint8_t)(type >> 8);
	f->bytes[13] = (uint8_t)type;
	f->bytes[14] = (uint8_t)(tci >> 8);
	f->bytes[15] = (uint8_t)tci;
	f->len += 4;
}

/* Would catch: a frame with a priority tag that is dropped, one of a VLAN that is let in, a second tag taken out, and a
 * note of unfinished work that is left behind by the tag's length. */
static void test_priority_tags(void **state)
{
	static const struct {
		uint16_t type, tci;
		bool twice, passes;
	} row[] = {
		{ 0x8100, 0, false, true },      { 0x8100, 0xa000, false, true }, { 0x8100, 0xf000, false, true },
		{ 0x88a8, 0x2000, false, true }, { 0x8100, 5, false, false },     { 0x8100, 0x0100, false, false },
		{ 0x8100, 0, true, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct stack_fixture *b = fixture_create_settled();
		static struct frame f;

		fixture_frame(&f, &(struct packet_spec)UDP_TO(FAR));
		if (i == 0) { /* its checksum is left to us */
			uint16_t sum =
				checksum_fold(checksum_pseudo(LAN_HOST, FAR, IPPROTO_NR_UDP, UDP_HEADER_LEN + 20));

			f.bytes[34 + 6] = (uint8_t)(sum >> 8);
			f.bytes[34 + 7] = (uint8_t)sum;
			f.offload = (struct offload){ .csum_partial = true, .csum_start = 34 + 4, .csum_offset = 6 };
		}
		put_tag(&f, row[i].type, row[i].tci);
		if (row[i].twice)
			put_tag(&f, row[i].type, row[i].tci);
		fixture_input(b, LAN, &f);
		assert_int_equal(b->dev[WAN].n, row[i].passes);
		assert_int_equal(b->env.ledger.n_dropped[DROP_VLAN], !row[i].passes);
		if (row[i].passes)
			assert_int_equal(fixture_seen(b, WAN, 0).ip.dst, FAR);
		fixture_destroy(b);
	}
}

static const uint8_t quoted_packet[28] = { 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 198, 51, 100, 7, 10, 0, 1, 2 };

static const struct row drops[] = {
	{ "short frame", UDP_TO(FAR), cut_to_10, DROP_FRAME_SHORT, SILENT },
	{ "group source", UDP_TO(FAR), source_group, DROP_LINK_SOURCE_GROUP, SILENT },
	{ "other host", UDP_TO(FAR), other_host, DROP_LINK_OTHER_HOST, SILENT },
	{ "lldp", UDP_TO(FAR), lldp, DROP_ETHERTYPE_UNKNOWN, SILENT },
	{ "vlan", UDP_TO(FAR), vlan, DROP_VLAN, SILENT },
	{ "ipv6", UDP_TO(FAR), ipv6, DROP_IPV6, SILENT },
	{ "arp of nonsense", UDP_TO(FAR), arp_bytes, DROP_ARP_MALFORMED, SILENT },
	{ "short header", UDP_TO(FAR), ip_short, DROP_IP_SHORT, SILENT },
	{ "version 6", UDP_TO(FAR), ip_version, DROP_IP_VERSION, SILENT },
	{ "header of 16 bytes", UDP_TO(FAR), ip_header_len, DROP_IP_HEADER_LENGTH, SILENT },
	{ "longer than the frame", UDP_TO(FAR), total_len, DROP_IP_TOTAL_LENGTH, SILENT },
	{ "header checksum", UDP_TO(FAR), ip_checksum, DROP_IP_CHECKSUM, SILENT },
	{ "fragment past 65535",
	  { .src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_UDP, .payload_len = 400, .frag_off = 65400 },
	  NULL,
	  DROP_IP_FRAGMENT_BAD,
	  SILENT },
	{ "option past the list", UDP_OPTIONS(IPV4_OPT_RECORD_ROUTE, 11, 4), NULL, DROP_IP_OPTION_BAD, 12, 0,
	  21u << 24 },
	{ "option pointer", UDP_OPTIONS(IPV4_OPT_RECORD_ROUTE, 7, 3), NULL, DROP_IP_OPTION_BAD, 12, 0, 22u << 24 },
	{ "source route", UDP_OPTIONS(IPV4_OPT_LSRR, 7, 4, 1, 2, 3, 4), NULL, DROP_IP_SOURCE_ROUTE, 3, 5 },
	{ "from 0.0.0.0", UDP_FROM(0), NULL, DROP_IP_SOURCE_MARTIAN, SILENT },
	{ "from loopback", UDP_FROM(IP4(127, 0, 0, 1)), NULL, DROP_IP_SOURCE_MARTIAN, SILENT },
	{ "from multicast", UDP_FROM(IP4(224, 0, 0, 5)), NULL, DROP_IP_SOURCE_MARTIAN, SILENT },
	{ "from class e, which is elsewhere", UDP_FROM(IP4(250, 0, 0, 5)), NULL, DROP_RPF, SILENT },
	{ "from beyond the wan", UDP_FROM(FAR), NULL, DROP_RPF, SILENT },
	{ "from the wan's own hosts", UDP_FROM(ROUTER), NULL, DROP_RPF, SILENT },
	{ "from where no route leads", UDP_FROM(IP4(172, 19, 1, 1)), NULL, DROP_RPF, SILENT },
	{ "from a blackhole", UDP_FROM(IP4(172, 16, 1, 1)), NULL, DROP_RPF, SILENT },
	{ "from an address that only NAT uses", UDP_FROM(POOL_ADDR), NULL, DROP_RPF, SILENT },
	{ "from all", UDP_FROM(UINT32_MAX), NULL, DROP_IP_SOURCE_MARTIAN, SILENT },
	{ "from a directed broadcast", UDP_FROM(IP4(10, 0, 1, 255)), NULL, DROP_IP_SOURCE_MARTIAN, SILENT },
	{ "from us", UDP_FROM(WAN_US), NULL, DROP_IP_SOURCE_OURS, SILENT },
	{ "to 0.0.0.0", UDP_TO(0), NULL, DROP_IP_DEST_MARTIAN, SILENT },
	{ "to loopback", UDP_TO(IP4(127, 0, 0, 1)), NULL, DROP_IP_DEST_MARTIAN, SILENT },
	{ "unicast in a broadcast", UDP_TO(FAR), link_broadcast, DROP_IP_LINK_BROADCAST, SILENT },
	{ "tcp header",
	  { .src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_TCP, .payload_len = 4 },
	  tcp_offset,
	  DROP_TCP_HEADER,
	  SILENT },
	{ "udp length", UDP_TO(FAR), udp_len, DROP_UDP_HEADER, SILENT },
	{ "icmp error without a quote",
	  { .src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_ICMP, .type = ICMP_TIME_EXCEEDED, .payload_len = 4 },
	  NULL,
	  DROP_ICMP_HEADER,
	  SILENT },
	{ "icmp checksum",
	  { .src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_ICMP, .type = ICMP_ECHO_REQUEST, .payload_len = 9 },
	  last_byte,
	  DROP_L4_CHECKSUM,
	  SILENT },
	{ "icmp error checksum",
	  { .src = LAN_HOST,
	    .dst = FAR,
	    .proto = IPPROTO_NR_ICMP,
	    .type = ICMP_TIME_EXCEEDED,
	    .payload_len = sizeof(quoted_packet),
	    .payload = quoted_packet },
	  last_byte,
	  DROP_L4_CHECKSUM,
	  SILENT },
	{ "udp checksum, to us", UDP_TO(LAN_US), last_byte, DROP_L4_CHECKSUM, SILENT },
	{ "partial checksum elsewhere", UDP_TO(FAR), offload_lie, DROP_OFFLOAD_BAD, SILENT },
	{ "large segment of the wrong kind", UDP_TO(FAR), offload_gso_lie, DROP_OFFLOAD_BAD, SILENT },
	{ "blackhole", UDP_TO(IP4(172, 16, 1, 1)), NULL, DROP_ROUTE_BLACKHOLE, SILENT },
	{ "unreachable", UDP_TO(IP4(172, 17, 1, 1)), NULL, DROP_ROUTE_UNREACHABLE, 3, 1 },
	{ "prohibit", UDP_TO(IP4(172, 18, 1, 1)), NULL, DROP_ROUTE_PROHIBIT, 3, 13 },
	{ "no route", UDP_TO(IP4(172, 19, 1, 1)), NULL, DROP_NO_ROUTE, 3, 0 },
	{ "translation address", UDP_TO(POOL_ADDR), NULL, DROP_NAT_NO_MAPPING, SILENT },
	{ "ttl 1",
	  { .src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_UDP, .payload_len = 20, .ttl = 1 },
	  NULL,
	  DROP_TTL_EXPIRED,
	  11,
	  0 },
	{ "too big",
	  { .src = LAN_HOST, .dst = SMALL_HOST, .proto = IPPROTO_NR_UDP, .payload_len = 600, .df = true },
	  NULL,
	  DROP_MTU_EXCEEDED,
	  3,
	  4,
	  576 },
	{ "multicast", UDP_TO(IP4(224, 0, 0, 9)), NULL, DROP_GROUP_NOT_JOINED, SILENT },
	{ "directed broadcast through us", UDP_TO(IP4(10, 0, 3, 255)), NULL, DROP_FORWARD_BROADCAST, SILENT },
	{ "protocol",
	  { .src = LAN_HOST, .dst = LAN_US, .proto = 47, .payload_len = 20 },
	  NULL,
	  DROP_PROTO_UNREACHABLE,
	  3,
	  2 },
	{ "udp port", UDP_TO(LAN_US), NULL, DROP_PORT_UNREACHABLE, 3, 3 },
	{ "udp to the broadcast", UDP_TO(IP4(10, 0, 1, 255)), link_broadcast, DROP_PORT_UNREACHABLE, SILENT },
	{ "router advertisement",
	  { .src = LAN_HOST,
	    .dst = LAN_US,
	    .proto = IPPROTO_NR_ICMP,
	    .type = ICMP_ROUTER_ADVERTISEMENT,
	    .payload_len = 9 },
	  NULL,
	  DROP_ICMP_IGNORED,
	  SILENT },
	{ "broadcast echo",
	  { .src = LAN_HOST,
	    .dst = IP4(10, 0, 1, 255),
	    .proto = IPPROTO_NR_ICMP,
	    .type = ICMP_ECHO_REQUEST,
	    .payload_len = 9 },
	  link_broadcast,
	  DROP_ICMP_IGNORED,
	  SILENT },
	{ "a neighbour that has failed", UDP_TO(IP4(10, 0, 3, 77)), NULL, DROP_NEIGH_UNREACHABLE, 3, 1 },
};

static void check_error(const struct stack_fixture *b, const struct row *r, const struct frame *f)
{
	struct seen v = fixture_seen(b, LAN, 0);
	struct icmp_quote q;
	/* The quote is as the sender wrote it, byte for byte; behind FORWARD the TTL was
	 * counted down. */
	uint32_t skip = r->reason == DROP_NEIGH_UNREACHABLE ? 12 : 0;
	uint32_t quoted = min_u32(f->len - ETHER_HEADER_LEN, ICMP_ERROR_MAX - 28);

	assert_int_equal(v.ip.dst, LAN_HOST);
	assert_int_equal(v.ip.src, LAN_US);
	assert_int_equal(v.ip.tos, 0xc0);
	assert_int_equal(v.l4.type, r->icmp_type);
	assert_int_equal(v.l4.code, r->icmp_code);
	assert_int_equal(v.l4.info, r->info);
	assert_int_equal(v.l4_len, ICMP_HEADER_LEN + quoted);
	assert_memory_equal(v.p4 + ICMP_HEADER_LEN + skip, f->bytes + ETHER_HEADER_LEN + skip, quoted - skip);
	assert_true(icmp_quote_parse(v.p4, v.l4_len, &q));
}

/* Would catch: any bad packet that is let through, that is dropped by a wrong
 * name, that causes an error it must not cause, or the wrong one. */
static void test_drops(void **state)
{
	struct frame *f = malloc(sizeof(*f));

	for (size_t i = 0; i < ARRAY_LEN(drops); i++) {
		const struct row *r = &drops[i];
		struct stack_fixture *b = fixture_create_settled();

		fixture_dead_routes(b);
		/* Nobody answers for this one. */
		if (r->reason == DROP_NEIGH_UNREACHABLE) {
			neigh_set_state(b->s->neigh, neigh_make(b->s->neigh, SMALL, r->spec.dst), NEIGH_FAILED);
			neigh_find(b->s->neigh, SMALL, r->spec.dst)->probed_ns = b->env.now;
		}
		fixture_frame(f, &r->spec);
		if (r->mutate != NULL)
			r->mutate(f);
		fixture_input(b, LAN, f);
		if (b->env.ledger.n_dropped[r->reason] != 1)
			print_error("row: %s\n", r->name);
		assert_int_equal(b->env.ledger.n_dropped[r->reason], 1);
		assert_int_equal(ledger_dropped(&b->env.ledger), 1);
		if (fixture_n_sent(b) != (r->icmp_type >= 0))
			print_error("row: %s\n", r->name);
		assert_int_equal(fixture_n_sent(b), r->icmp_type >= 0);
		if (r->icmp_type >= 0)
			check_error(b, r, f);
		fixture_destroy(b);
	}
	free(f);
}

/* Its receiver will see. Would catch: a sum that is nobody's business here. */
static void test_checksum_through_us(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	static struct frame f;

	(void)state;
	fixture_frame(&f, &udp_far);
	last_byte(&f);
	fixture_input(b, LAN, &f);
	assert_int_equal(b->dev[WAN].n, 1);
	fixture_destroy(b);
}

/* Would catch: an interface without a block, or without a device, that is used. */
static void test_interface_unknown(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	struct frame *f = malloc(sizeof(*f));

	fixture_frame(f, &udp_far);
	fixture_input(b, 9, f);
	assert_int_equal(b->env.ledger.n_dropped[DROP_LINK_ADMIN_DOWN], 1);
	ip_stack_attach(b->s, WAN, NULL);
	fixture_input(b, LAN, f);
	assert_int_equal(b->env.ledger.n_dropped[DROP_TX_DOWN], 1);
	free(f);
	fixture_destroy(b);
}

/* Would catch: padding that is forwarded, or that hides a short packet. */
static void test_padding(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	struct frame *f = malloc(sizeof(*f));

	fixture_frame(f, &(struct packet_spec)UDP_TO(FAR));
	f->len += 18;
	fixture_input(b, LAN, f);
	assert_int_equal(b->dev[WAN].sent[0].len, f->len - 18);
	free(f);
	fixture_destroy(b);
}

static void udp_input(void *ctx, struct batch *b)
{
	uint32_t *n = ctx;

	for (uint32_t i = 0; i < b->n; i++) {
		(*n)++;
		assert_int_equal(b->p[i]->ip.proto, IPPROTO_NR_UDP);
		if (b->p[i]->l4.dport == 9)
			b->p[i]->verdict = VERDICT_DELIVERED;
	}
}

/* Would catch: a row that is not used, a port that it does not want and that is
 * not refused. */
static void test_protocol(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	uint32_t n = 0;

	ip_stack_set_protocol(
		b->s, IPPROTO_NR_UDP,
		&(struct ip_protocol){ .ctx = &n, .input = udp_input, .unreachable = IP_UNREACHABLE_PORT });
	fixture_input_spec(b, &(struct packet_spec)UDP_TO(LAN_US));
	assert_int_equal(b->env.ledger.n_delivered, 1);
	assert_int_equal(fixture_n_sent(b), 0);
	fixture_input_spec(
		b, &(struct packet_spec){ .src = LAN_HOST, .dst = LAN_US, .proto = IPPROTO_NR_UDP, .dport = 10 });
	assert_int_equal(b->env.ledger.n_dropped[DROP_PORT_UNREACHABLE], 1);
	assert_int_equal(n, 2);
	fixture_destroy(b);
}

static void see_datagram(void *ctx, enum ip_hook hook, struct batch *b)
{
	uint32_t *seen = ctx;

	*seen = b->p[0]->datagram_serial;
}

/* Would catch: a fragment that a chain before defragmentation takes for one of the packet whose buffer this was before.
 */
static void test_fragment_of_nothing(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	uint32_t seen = 1;
	struct frame f;
	struct hook_entry e = { .priority = -500, .name = "see", .fn = see_datagram, .ctx = &seen };

	fixture_frame(
		&f, &(struct packet_spec){
			    .src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_UDP, .frag_off = 64, .payload_len = 64 });
	assert_int_equal(hook_list_add(ip_stack_hooks(b->s, HOOK_PREROUTING), &e), 0);
	struct batch batch = { .n = 1, .p = { fixture_receive(b, &f) } };
	/* As of a descriptor that is used again for external bytes. */
	batch.p[0]->datagram_serial = 77;
	ether_input(b->s, LAN, &batch);
	ip_flush(b->s);
	assert_int_equal(seen, 0);
	fixture_destroy(b);
}

/* Of these no driver can be asked for the sum. Would catch: a packet that leaves with half a checksum, and one that is
 * dropped for it. */
static void test_partial_of_others(void **state)
{
	static const struct {
		uint8_t proto;
		uint16_t at;
	} rows[] = { { IPPROTO_NR_UDPLITE, UDP_CHECK_AT },
		     { IPPROTO_NR_DCCP, DCCP_CHECK_AT },
		     { IPPROTO_NR_SCTP, SCTP_CHECK_AT } };
	static struct frame f;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct stack_fixture *b = fixture_create_settled();
		struct packet_spec sp = { .src = LAN_HOST,
					  .dst = FAR,
					  .proto = rows[i].proto,
					  .sport = 1,
					  .dport = 2,
					  .payload_len = 20,
					  .l4_check = PACKET_FIELD(0x5555) };

		fixture_frame(&f, &sp);
		f.offload = (struct offload){ .csum_partial = true, .csum_start = 34, .csum_offset = rows[i].at };
		fixture_input(b, LAN, &f);
		assert_int_equal(b->dev[WAN].n, 1);
		/* fixture_seen looks at the sum of what is not partial. */
		assert_false(fixture_seen(b, WAN, 0).offload.csum_partial);
		fixture_destroy(b);
	}
}

/* A checksum inside the payload, from its very first byte on. Would catch: one that is taken for a lie, or finished
 * elsewhere. */
static void test_partial_of_the_payload(void **state)
{
	static const uint8_t payload[20] = { 1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9 };
	struct stack_fixture *b = fixture_create_settled();
	struct packet_spec sp = { .src = LAN_HOST,
				  .dst = FAR,
				  .proto = IPPROTO_NR_UDP,
				  .sport = 1,
				  .dport = 2,
				  .payload_len = sizeof(payload),
				  .payload = payload,
				  .l4_check = PACKET_FIELD(0) };
	static struct frame f;

	(void)state;
	fixture_frame(&f, &sp);
	f.offload = (struct offload){ .csum_partial = true, .csum_start = 42, .csum_offset = 6 };
	fixture_input(b, LAN, &f);
	assert_int_equal(b->dev[WAN].n, 1);
	struct seen v = fixture_seen(b, WAN, 0);

	assert_false(v.offload.csum_partial);
	assert_int_equal(checksum_finish(checksum_add(0, v.p4 + UDP_HEADER_LEN, sizeof(payload))), 0);
	fixture_destroy(b);
}

/* Frames of the host on a thread of its own are read again by the worker that sends them. Would catch: a header that
 * lies and is believed. */
static void test_frames_of_the_host(void **state)
{
	static const struct packet_spec rows[] = {
		{ .total_len = PACKET_FIELD(2000) },
		{ .udp_len = PACKET_FIELD(2000) },
		{ .ttl = 64 },
	};
	struct stack_fixture *b = fixture_create_settled();
	static struct frame f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct packet_spec sp = rows[i];

		sp.src = WAN_US;
		sp.dst = FAR;
		sp.proto = IPPROTO_NR_UDP;
		sp.sport = sp.dport = 5;
		sp.payload_len = 20;
		fixture_frame(&f, &sp);
		struct batch batch = { .n = 1, .p = { fixture_receive(b, &f) } };

		ip_host_output(b->s, &batch);
		ip_flush(b->s);
		fixture_check_law(b);
		assert_int_equal(b->env.ledger.n_dropped[DROP_IP_SHORT], i < 2 ? i + 1 : 2);
		assert_int_equal(b->dev[WAN].n, i == 2);
	}
	fixture_destroy(b);
}

static bool take_all(void *ctx, const struct packet *p)
{
	(*(uint32_t *)ctx)++;
	return true;
}

/* Would catch: whoever takes flows to addresses that are not ours not asked of one, or asked of what is ours, of many
 * or of a route that refuses. */
static void test_foreign(void **state)
{
	static const struct {
		uint32_t dst;
		bool asked;
	} rows[] = {
		{ FAR, true },
		{ IP4(172, 19, 0, 1), true },
		{ WAN_US, false },
		{ IP4(192, 0, 2, 255), false },
		{ POOL_ADDR, false },
		{ IP4(172, 16, 0, 1), false },
		{ IP4(172, 17, 0, 1), false },
		{ IP4(172, 18, 0, 1), false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct stack_fixture *b = fixture_create_settled();
		struct packet_spec sp = UDP_TO(rows[i].dst);
		uint32_t n_asked = 0;

		fixture_dead_routes(b);
		ip_stack_set_foreign(b->s, take_all, &n_asked);
		fixture_input_spec(b, &sp);
		assert_int_equal(n_asked, rows[i].asked);
		assert_int_equal(b->dev[WAN].n, 0);
		fixture_destroy(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_drops),
		cmocka_unit_test(test_priority_tags),
		cmocka_unit_test(test_interface_unknown),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_protocol),
		cmocka_unit_test(test_fragment_of_nothing),
		cmocka_unit_test(test_partial_of_others),
		cmocka_unit_test(test_partial_of_the_payload),
		cmocka_unit_test(test_frames_of_the_host),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_checksum_through_us),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
