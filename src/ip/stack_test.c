/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The packet's way through the IP layer: frames in, frames out or a drop by
 * name, and the law of conservation behind each.
 */
#include "ip/stack_bench.h"
#include "packet/gso.h"
#include "wire/checksum.h"

static const struct spec udp_far = {
	.src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_UDP, .payload = 100, .sport = 5000, .dport = 53
};
static const struct spec tcp_far = { .src = LAN_HOST,
				     .dst = FAR,
				     .proto = IPPROTO_NR_TCP,
				     .payload = 100,
				     .sport = 5000,
				     .dport = 80,
				     .flags = TCP_ACK };

/* Would catch: a forwarded packet with a wrong TTL, checksum, MAC, interface or content. */
static void test_forward(void **state)
{
	struct bench *b = bench_create_settled();
	struct ether_addr router = mac_of_host(ROUTER);

	bench_input_spec(b, &udp_far);
	assert_int_equal(bench_n_sent(b), 1);
	struct seen v = bench_seen(b, WAN, 0);

	assert_memory_equal(&v.eth.dst, &router, 6);
	assert_int_equal(v.ip.ttl, 63);
	assert_int_equal(v.ip.src, LAN_HOST);
	assert_int_equal(v.ip.dst, FAR);
	assert_int_equal(v.l4.dport, 53);
	assert_int_equal(v.l4.payload_len, 100);
	bench_destroy(b);
}

/* Would catch: packets of one flow that overtake each other in a batch that holds
 * packets to us as well. */
static void test_order(void **state)
{
	struct bench *b = bench_create_settled();
	struct frame *f = malloc(sizeof(*f));
	struct batch batch = { .n = 0 };

	for (uint16_t i = 0; i < BATCH_MAX; i++) {
		struct spec sp = udp_far;

		sp.id = i;
		if (i % 3 == 1) {
			sp.dst = LAN_US;
			sp.proto = IPPROTO_NR_ICMP;
			sp.icmp_type = ICMP_ECHO_REQUEST;
		}
		make_frame(f, &sp);
		batch_add(&batch, bench_receive(b, f));
	}
	ether_input(b->s, LAN, &batch);
	ip_flush(b->s);
	assert_int_equal(b->dev[WAN].n + b->dev[LAN].n, BATCH_MAX);
	for (uint32_t i = 1; i < b->dev[WAN].n; i++)
		assert_true(bench_seen(b, WAN, i).ip.id > bench_seen(b, WAN, i - 1).ip.id);
	free(f);
	bench_destroy(b);
}

/* A row: a frame made from the spec, changed by `mutate`, and what becomes of it. */
struct row {
	const char *name;
	struct spec spec;
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

#define UDP_TO(a) \
	{ \
		.src = LAN_HOST, .dst = (a), .proto = IPPROTO_NR_UDP, .payload = 20, .sport = 9, .dport = 9 \
	}
#define UDP_FROM(a) \
	{ \
		.src = (a), .dst = FAR, .proto = IPPROTO_NR_UDP, .payload = 20, .sport = 9, .dport = 9 \
	}
#define UDP_OPTIONS(...) \
	{ \
		.src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_UDP, .payload = 20, .options = { __VA_ARGS__ }, \
		.options_len = 8 \
	}
#define SILENT -1, -1

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
	  { .src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_UDP, .payload = 400, .frag_off = 65400 },
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
	{ "from class e", UDP_FROM(IP4(250, 0, 0, 5)), NULL, DROP_IP_SOURCE_MARTIAN, SILENT },
	{ "from all", UDP_FROM(UINT32_MAX), NULL, DROP_IP_SOURCE_MARTIAN, SILENT },
	{ "from a directed broadcast", UDP_FROM(IP4(10, 0, 1, 255)), NULL, DROP_IP_SOURCE_MARTIAN, SILENT },
	{ "from us", UDP_FROM(WAN_US), NULL, DROP_IP_SOURCE_OURS, SILENT },
	{ "to 0/8", UDP_TO(IP4(0, 1, 2, 3)), NULL, DROP_IP_DEST_MARTIAN, SILENT },
	{ "to loopback", UDP_TO(IP4(127, 0, 0, 1)), NULL, DROP_IP_DEST_MARTIAN, SILENT },
	{ "to class e", UDP_TO(IP4(240, 0, 0, 1)), NULL, DROP_IP_DEST_MARTIAN, SILENT },
	{ "unicast in a broadcast", UDP_TO(FAR), link_broadcast, DROP_IP_LINK_BROADCAST, SILENT },
	{ "tcp header",
	  { .src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_TCP, .payload = 4 },
	  tcp_offset,
	  DROP_TCP_HEADER,
	  SILENT },
	{ "udp length", UDP_TO(FAR), udp_len, DROP_UDP_HEADER, SILENT },
	{ "icmp error without a quote",
	  { .src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_ICMP, .icmp_type = ICMP_TIME_EXCEEDED, .payload = 4 },
	  NULL,
	  DROP_ICMP_HEADER,
	  SILENT },
	{ "icmp checksum",
	  { .src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_ICMP, .icmp_type = ICMP_ECHO_REQUEST, .payload = 9 },
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
	  { .src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_UDP, .payload = 20, .ttl = 1 },
	  NULL,
	  DROP_TTL_EXPIRED,
	  11,
	  0 },
	{ "too big",
	  { .src = LAN_HOST, .dst = SMALL_HOST, .proto = IPPROTO_NR_UDP, .payload = 600, .df = true },
	  NULL,
	  DROP_MTU_EXCEEDED,
	  3,
	  4,
	  576 },
	{ "multicast", UDP_TO(IP4(224, 0, 0, 9)), NULL, DROP_FORWARD_MULTICAST, SILENT },
	{ "directed broadcast through us", UDP_TO(IP4(10, 0, 3, 255)), NULL, DROP_FORWARD_BROADCAST, SILENT },
	{ "protocol",
	  { .src = LAN_HOST, .dst = LAN_US, .proto = 47, .payload = 20 },
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
	    .icmp_type = ICMP_ROUTER_ADVERTISEMENT,
	    .payload = 9 },
	  NULL,
	  DROP_ICMP_IGNORED,
	  SILENT },
	{ "broadcast echo",
	  { .src = LAN_HOST,
	    .dst = IP4(10, 0, 1, 255),
	    .proto = IPPROTO_NR_ICMP,
	    .icmp_type = ICMP_ECHO_REQUEST,
	    .payload = 9 },
	  link_broadcast,
	  DROP_ICMP_IGNORED,
	  SILENT },
	{ "a neighbour that has failed", UDP_TO(IP4(10, 0, 3, 77)), NULL, DROP_NEIGH_UNREACHABLE, 3, 1 },
};

static void bench_dead_routes(struct bench *b)
{
	static const uint8_t kinds[] = { FIB_BLACKHOLE, FIB_UNREACHABLE, FIB_PROHIBIT, FIB_NONE };

	for (uint32_t i = 0; i < ARRAY_LEN(kinds); i++)
		bench_route(b, IP4(172, 16 + i, 0, 0), 16, (struct fib_nexthop){ .kind = kinds[i] });
}

static void check_error(const struct bench *b, const struct row *r, const struct frame *f)
{
	struct seen v = bench_seen(b, LAN, 0);
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
		struct bench *b = bench_create_settled();

		bench_dead_routes(b);
		/* Nobody answers for this one. */
		if (r->reason == DROP_NEIGH_UNREACHABLE) {
			neigh_set_state(b->s->neigh, neigh_make(b->s->neigh, SMALL, r->spec.dst), NEIGH_FAILED);
			neigh_find(b->s->neigh, SMALL, r->spec.dst)->probed_ns = b->env.now;
		}
		make_frame(f, &r->spec);
		if (r->mutate != NULL)
			r->mutate(f);
		bench_input(b, LAN, f);
		if (b->env.ledger.n_dropped[r->reason] != 1)
			print_error("row: %s\n", r->name);
		assert_int_equal(b->env.ledger.n_dropped[r->reason], 1);
		assert_int_equal(ledger_dropped(&b->env.ledger), 1);
		if (bench_n_sent(b) != (r->icmp_type >= 0))
			print_error("row: %s\n", r->name);
		assert_int_equal(bench_n_sent(b), r->icmp_type >= 0);
		if (r->icmp_type >= 0)
			check_error(b, r, f);
		bench_destroy(b);
	}
	free(f);
}

/* Would catch: an interface without a block, or without a device, that is used. */
static void test_interface_unknown(void **state)
{
	struct bench *b = bench_create_settled();
	struct frame *f = malloc(sizeof(*f));

	make_frame(f, &udp_far);
	bench_input(b, 9, f);
	assert_int_equal(b->env.ledger.n_dropped[DROP_LINK_ADMIN_DOWN], 1);
	ip_stack_attach(b->s, WAN, NULL);
	bench_input(b, LAN, f);
	assert_int_equal(b->env.ledger.n_dropped[DROP_TX_DOWN], 1);
	free(f);
	bench_destroy(b);
}

/* Would catch: padding that is forwarded, or that hides a short packet. */
static void test_padding(void **state)
{
	struct bench *b = bench_create_settled();
	struct frame *f = malloc(sizeof(*f));

	make_frame(f, &(struct spec)UDP_TO(FAR));
	f->len += 18;
	bench_input(b, LAN, f);
	assert_int_equal(b->dev[WAN].sent[0].len, f->len - 18);
	free(f);
	bench_destroy(b);
}

/* Would catch: pieces over the MTU, a gap between them, a changed payload, a lost
 * or double header, also with options and when the packet was a fragment already. */
static void test_fragment_on_forward(void **state)
{
	static const struct spec cases[] = {
		{ .src = LAN_HOST, .dst = SMALL_HOST, .proto = IPPROTO_NR_UDP, .payload = 1400, .id = 7 },
		{ .src = LAN_HOST, .dst = SMALL_HOST, .proto = IPPROTO_NR_UDP, .payload = 1360, .id = 7, .mf = true },
		{ .src = LAN_HOST,
		  .dst = SMALL_HOST,
		  .proto = 47,
		  .payload = 1368,
		  .id = 7,
		  .frag_off = 800,
		  .mf = true },
		{ .src = LAN_HOST,
		  .dst = SMALL_HOST,
		  .proto = IPPROTO_NR_UDP,
		  .payload = 1400,
		  .options = { IPV4_OPT_RECORD_ROUTE, 7, 4, 0, 0, 0, 0, 0 },
		  .options_len = 8 },
	};
	struct frame *f = malloc(sizeof(*f));

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench *b = bench_create_settled();
		uint32_t header_len = IPV4_HEADER_LEN + cases[i].options_len;
		uint32_t at = cases[i].frag_off, n = 0;

		make_frame(f, &cases[i]);
		bench_input(b, LAN, f);
		assert_true(b->dev[SMALL].n >= 3);
		for (uint32_t k = 0; k < b->dev[SMALL].n; k++) {
			struct seen v = bench_seen(b, SMALL, k);

			assert_true(v.ip.total_len <= 576);
			assert_int_equal(v.ip.frag_off, at);
			assert_int_equal(v.ip.id, cases[i].id);
			assert_memory_equal(v.p4, f->bytes + ETHER_HEADER_LEN + header_len + n, v.l4_len);
			assert_int_equal(v.ip.mf, k + 1 < b->dev[SMALL].n || cases[i].mf);
			at += v.l4_len;
			n += v.l4_len;
		}
		assert_int_equal(n, f->len - ETHER_HEADER_LEN - header_len);
		bench_destroy(b);
	}
	free(f);
}

/* A TCP segment of 20 times 1,000 bytes, as a kernel neighbour sends it. */
static void make_large(struct frame *f, uint32_t dst, bool df)
{
	struct spec sp = tcp_far;

	sp.dst = dst;
	sp.payload = 20000;
	sp.df = df;
	make_frame(f, &sp);
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
	struct bench *b = bench_create_settled();
	struct frame *f = malloc(sizeof(*f));

	make_large(f, FAR, true);
	bench_input(b, LAN, f);
	assert_int_equal(b->dev[WAN].n, 20);
	for (uint32_t i = 0; i < 20; i++) {
		struct seen v = bench_seen(b, WAN, i);

		assert_int_equal(v.ip.total_len, 1040);
		assert_int_equal(v.l4.seq, 1000 + i * 1000);
	}
	bench_forget(b);

	b->dev[WAN].dev.caps = DEVICE_CAP_CSUM | DEVICE_CAP_GSO;
	bench_input(b, LAN, f);
	assert_int_equal(b->dev[WAN].n, 1);
	assert_int_equal(b->dev[WAN].sent[0].offload.gso_size, 1000);
	assert_int_equal(bench_seen(b, WAN, 0).ip.ttl, 63);
	bench_forget(b);

	/* Too big a segment for the link, and not to be cut. */
	make_large(f, SMALL_HOST, true);
	bench_input(b, LAN, f);
	assert_int_equal(b->env.ledger.n_dropped[DROP_MTU_EXCEEDED], 1);
	struct seen v = bench_seen(b, LAN, 0);
	struct icmp_quote q;

	assert_int_equal(v.l4.info, 576);
	assert_true(icmp_quote_parse(v.p4, v.l4_len, &q));
	assert_int_equal(q.ip.total_len, 1040);
	assert_int_equal(q.l4.seq, 1000);
	bench_forget(b);

	/* The same, and it may be cut: 20 segments of two fragments each. */
	make_large(f, SMALL_HOST, false);
	bench_input(b, LAN, f);
	assert_int_equal(b->dev[SMALL].n, 40);
	assert_int_equal(b->env.ledger.n_pieces_made, 19 + 39);
	free(f);
	bench_destroy(b);
}

/* Would catch: a partial checksum that leaves unfinished, or is finished for a
 * device that does it itself, or that makes a local delivery fail. */
static void test_partial_checksum(void **state)
{
	struct bench *b = bench_create_settled();
	struct frame *f = malloc(sizeof(*f));
	struct spec sp = udp_far;
	uint16_t sum = checksum_fold(checksum_pseudo(LAN_HOST, FAR, IPPROTO_NR_UDP, 108));

	make_frame(f, &sp);
	f->offload = (struct offload){ .csum_partial = true, .csum_start = 34, .csum_offset = 6 };
	f->bytes[40] = (uint8_t)(sum >> 8);
	f->bytes[41] = (uint8_t)sum;
	bench_input(b, LAN, f);
	assert_false(bench_seen(b, WAN, 0).offload.csum_partial); /* and the sum is checked there */
	bench_forget(b);
	b->dev[WAN].dev.caps = DEVICE_CAP_CSUM;
	bench_input(b, LAN, f);
	assert_true(bench_seen(b, WAN, 0).offload.csum_partial);
	bench_forget(b);

	sp.dst = LAN_US;
	make_frame(f, &sp);
	f->bytes[41] ^= 1;
	f->offload = (struct offload){ .csum_partial = true, .csum_start = 34, .csum_offset = 6 };
	bench_input(b, LAN, f);
	assert_int_equal(b->env.ledger.n_dropped[DROP_PORT_UNREACHABLE], 1);
	free(f);
	bench_destroy(b);
}

/* Hooks that note the order in which they ran. */
struct notes {
	char text[64];
	struct bench *b;
	uint32_t new_dst;
};

static void note(void *ctx, enum ip_hook hook, struct batch *b)
{
	static const char letters[N_HOOKS] = { 'p', 'i', 'f', 'o', 'P' };
	struct notes *n = ctx;
	size_t len = strlen(n->text);

	for (uint32_t i = 0; i < b->n; i++)
		n->text[len + i] = letters[hook];
}

static void hook_add(struct bench *b, enum ip_hook hook, int32_t priority, hook_fn *fn, void *ctx)
{
	struct hook_entry e = { .priority = priority, .name = "test", .fn = fn, .ctx = ctx };

	assert_int_equal(hook_list_add(ip_stack_hooks(b->s, hook), &e), 0);
}

static void note_all(struct bench *b, struct notes *n)
{
	for (int h = 0; h < N_HOOKS; h++)
		hook_add(b, (enum ip_hook)h, HOOK_PRI_FILTER, note, n);
}

static void drop_all(void *ctx, enum ip_hook hook, struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++)
		packet_set_drop(b->p[i], DROP_RULE_DROP);
}

/* Would catch: a hook that is left out, runs twice, or runs for packets that an
 * earlier one dropped; an ICMP error that skips OUTPUT. */
static void test_hooks(void **state)
{
	struct bench *b = bench_create_settled();
	struct notes n = { .b = b };

	note_all(b, &n);
	bench_input_spec(b, &udp_far);
	assert_string_equal(n.text, "pfP");
	memset(n.text, 0, sizeof(n.text));
	bench_input_spec(b, &(struct spec)UDP_TO(LAN_US));
	assert_string_equal(n.text, "pioP");
	memset(n.text, 0, sizeof(n.text));
	/* MTU and TTL come before FORWARD. */
	bench_input_spec(b, &(struct spec){ .src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_UDP, .ttl = 1 });
	assert_string_equal(n.text, "poP");
	memset(n.text, 0, sizeof(n.text));
	hook_add(b, HOOK_PREROUTING, HOOK_PRI_RAW, drop_all, NULL);
	bench_input_spec(b, &udp_far);
	assert_string_equal(n.text, "");
	assert_int_equal(b->env.ledger.n_dropped[DROP_RULE_DROP], 1);
	bench_destroy(b);
}

/* Would catch: a list that is not sorted, or that turns equals around. */
static void test_hook_order(void **state)
{
	static const int32_t priorities[] = { 0, -200, 100, 0, HOOK_PRI_CONFIRM, HOOK_PRI_FIRST, -200 };
	static const uint32_t want[] = { 5, 1, 6, 0, 3, 2, 4 };
	struct hook_list list = { .n = 0 };

	for (size_t i = 0; i < ARRAY_LEN(priorities); i++) {
		struct hook_entry e = { .priority = priorities[i], .ctx = (void *)(uintptr_t)i };

		assert_int_equal(hook_list_add(&list, &e), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		assert_int_equal((uintptr_t)list.entry[i].ctx, want[i]);
	while (list.n < HOOK_LIST_MAX)
		assert_int_equal(hook_list_add(&list, &list.entry[0]), 0);
	assert_true(hook_list_add(&list, &list.entry[0]) < 0);
}

static void change_dst(void *ctx, enum ip_hook hook, struct batch *b)
{
	const struct notes *n = ctx;

	for (uint32_t i = 0; i < b->n; i++) {
		ipv4_set_dst(packet_l3(b->p[i]), n->new_dst);
		b->p[i]->ip.dst = n->new_dst;
	}
}

static struct packet *our_ping(struct bench *b, uint32_t src, uint32_t dst, uint32_t data)
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
	struct bench *b = bench_create_settled();
	struct notes n = { .b = b, .new_dst = LAN_HOST };

	ip_local_out_one(b->s, our_ping(b, 0, FAR, 10));
	ip_flush(b->s);
	assert_int_equal(bench_seen(b, WAN, 0).ip.src, WAN_US);
	assert_int_equal(bench_seen(b, WAN, 0).ip.ttl, 64);
	bench_forget(b);

	hook_add(b, HOOK_OUTPUT, HOOK_PRI_DSTNAT, change_dst, &n);
	ip_local_out_one(b->s, our_ping(b, 0, FAR, 10));
	ip_local_out_one(b->s, our_ping(b, 0, POOL_ADDR, 10));
	ip_local_out_one(b->s, our_ping(b, 0, WAN_US, 10));
	ip_flush(b->s);
	assert_int_equal(b->dev[WAN].n, 0);
	assert_int_equal(b->dev[LAN].n, 3);
	assert_int_equal(bench_seen(b, LAN, 0).ip.dst, LAN_HOST);
	/* No route at all is no route, whatever a rule would say. */
	bench_dead_routes(b);
	ip_local_out_one(b->s, our_ping(b, 0, IP4(172, 19, 0, 1), 10));
	assert_int_equal(b->env.ledger.n_dropped[DROP_NO_ROUTE], 1);
	bench_destroy(b);
}

static bool tap_all(void *ctx, const struct packet *p)
{
	(*(uint32_t *)ctx)++;
	return true;
}

/* Would catch: a ping to ourselves that is lost or goes round for ever, and a tap
 * that is not asked. */
static void test_loop(void **state)
{
	struct bench *b = bench_create_settled();
	uint32_t n_tapped = 0;

	ip_stack_set_tap(b->s, tap_all, &n_tapped);
	ip_local_out_one(b->s, our_ping(b, 0, LAN_US, 2000));
	bench_check_law(b);
	assert_int_equal(ip_next_deadline(b->s), b->env.now);
	ip_flush(b->s);
	assert_int_equal(bench_n_sent(b), 0);
	assert_int_equal(n_tapped, 2); /* request and reply */
	assert_int_equal(b->env.ledger.n_delivered, 2);

	/* Somebody wanted it: no answer that says otherwise. */
	bench_input_spec(b, &(struct spec)UDP_TO(LAN_US));
	assert_int_equal(n_tapped, 3);
	assert_int_equal(b->env.ledger.n_delivered, 3);
	assert_int_equal(bench_n_sent(b), 0);

	struct packet *p = our_ping(b, 0, LAN_US, 20);

	p->n_loops = IP_LOOPS_MAX;
	ip_local_out_one(b->s, p);
	assert_int_equal(b->env.ledger.n_dropped[DROP_LOOP], 1);
	bench_destroy(b);
}

static void udp_slot(void *ctx, struct batch *b)
{
	uint32_t *n = ctx;

	for (uint32_t i = 0; i < b->n; i++) {
		(*n)++;
		assert_int_equal(b->p[i]->ip.proto, IPPROTO_NR_UDP);
		if (b->p[i]->l4.dport == 9)
			b->p[i]->verdict = VERDICT_DELIVERED;
	}
}

/* Would catch: a slot that is not used, a port that it does not want and that is
 * not refused, multicast that is kept from a protocol that asked for it. */
static void test_slot(void **state)
{
	struct bench *b = bench_create_settled();
	uint32_t n = 0;

	ip_stack_set_local(b->s, IPPROTO_NR_UDP, udp_slot, &n);
	bench_input_spec(b, &(struct spec)UDP_TO(LAN_US));
	bench_input_spec(b, &(struct spec)UDP_TO(IP4(224, 0, 0, 9)));
	assert_int_equal(b->env.ledger.n_delivered, 2);
	assert_int_equal(bench_n_sent(b), 0);
	bench_input_spec(b, &(struct spec){ .src = LAN_HOST, .dst = LAN_US, .proto = IPPROTO_NR_UDP, .dport = 10 });
	assert_int_equal(b->env.ledger.n_dropped[DROP_PORT_UNREACHABLE], 1);
	assert_int_equal(n, 3);
	bench_destroy(b);
}

/* Would catch: packets of ours to many that ask ARP for a group's address. */
static void test_to_many(void **state)
{
	static const uint8_t group_mac[6] = { 0x01, 0x00, 0x5e, 0x7f, 0x00, 0x05 };
	struct bench *b = bench_create_settled();
	struct packet *p = our_ping(b, 0, IP4(239, 255, 0, 5), 10);

	p->out_ifindex = LAN;
	ip_local_out_one(b->s, p);
	p = our_ping(b, 0, UINT32_MAX, 10);
	p->out_ifindex = LAN;
	ip_local_out_one(b->s, p);
	ip_local_out_one(b->s, our_ping(b, 0, IP4(10, 0, 1, 255), 10));
	ip_local_out_one(b->s, our_ping(b, 0, UINT32_MAX, 10));
	ip_flush(b->s);
	assert_int_equal(b->dev[LAN].n, 3);
	struct seen v = bench_seen(b, LAN, 0);

	assert_memory_equal(&v.eth.dst, group_mac, 6);
	assert_int_equal(v.ip.src, LAN_US);
	for (uint32_t i = 1; i < 3; i++) {
		v = bench_seen(b, LAN, i);
		assert_true(ether_is_broadcast(&v.eth.dst));
	}
	assert_int_equal(b->env.ledger.n_dropped[DROP_NO_ROUTE], 1);
	bench_destroy(b);
}

/* Would catch: record route and timestamp that leave us out, or break a checksum. */
static void test_options(void **state)
{
	struct bench *b = bench_create_settled();

	bench_input_spec(b, &(struct spec)UDP_OPTIONS(IPV4_OPT_RECORD_ROUTE, 7, 4));
	struct seen v = bench_seen(b, WAN, 0);
	static const uint8_t want[] = { IPV4_OPT_RECORD_ROUTE, 7, 8, 192, 0, 2, 1, 0 };

	assert_memory_equal(v.l3 + IPV4_HEADER_LEN, want, sizeof(want));
	bench_destroy(b);
}

/* Would catch: a device that goes and comes back and leaves packets or neighbours behind. */
static void test_device_down(void **state)
{
	struct bench *b = bench_create_settled();
	struct frame *f = malloc(sizeof(*f));
	struct batch batch = { .n = 0 };

	make_frame(f, &udp_far);
	batch_add(&batch, bench_receive(b, f));
	ether_input(b->s, LAN, &batch);
	b->dev[WAN].dev.up = false;
	ip_stack_device_changed(b->s, WAN);
	assert_int_equal(b->env.ledger.n_dropped[DROP_TX_DOWN], 1);
	bench_input(b, LAN, f);
	assert_int_equal(b->env.ledger.n_dropped[DROP_TX_DOWN], 2);
	b->dev[WAN].dev.up = true;
	ip_stack_device_changed(b->s, WAN);
	bench_input(b, LAN, f);
	assert_int_equal(b->dev[WAN].n, 1);
	/* A reload without the interface, and one with another device. */
	struct ip_config *next = malloc(sizeof(*next));

	*next = b->cfg;
	next->interface[WAN].name[0] = '\0';
	ip_stack_configure(b->s, next);
	assert_null(neigh_find(b->s->neigh, WAN, ROUTER));
	assert_non_null(neigh_find(b->s->neigh, LAN, LAN_HOST));
	ip_stack_configure(b->s, &b->cfg);
	free(next);
	free(f);
	bench_destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forward),       cmocka_unit_test(test_order),
		cmocka_unit_test(test_drops),         cmocka_unit_test(test_interface_unknown),
		cmocka_unit_test(test_padding),       cmocka_unit_test(test_fragment_on_forward),
		cmocka_unit_test(test_large_segment), cmocka_unit_test(test_partial_checksum),
		cmocka_unit_test(test_hooks),         cmocka_unit_test(test_hook_order),
		cmocka_unit_test(test_local_out),     cmocka_unit_test(test_loop),
		cmocka_unit_test(test_slot),          cmocka_unit_test(test_to_many),
		cmocka_unit_test(test_options),       cmocka_unit_test(test_device_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
