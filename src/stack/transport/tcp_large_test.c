/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Large segments, sent by way of a device that cuts them: what arrives is the same bytes, and what
 * is lost of one is sent again without the rest.
 */
#include "stack/packet/gso.h"
#include "stack/transport/tcp_flow.h"
#include "stack/transport/tcp_md5.h"

#define BYTES (4u << 20)

static const struct memwire_config whole = {
	.delay_ns = 200 * NS_PER_US,
	.queue_packets = 4096,
	.caps = DEVICE_CAP_CSUM | DEVICE_CAP_TSO,
};

/* What the device at the other end of the wire makes of a frame: its segments, of which some are lost. */
struct cutter {
	uint32_t loss_ppm;
	uint64_t n_large, n_segments, n_lost, bytes_lost;
	uint32_t longest;        /* payload of a frame */
	uint32_t at_once;        /* segments that come in together, 0: as many as there are */
	uint32_t n_pass, n_tail; /* behind so many with data so many are lost */
	struct rng rng;
	bool ce; /* the first one is marked */
	uint64_t n_ce;
};

static void read_headers(struct packet *p)
{
	p->l3_off = ETHER_HEADER_LEN;
	assert_int_equal(ipv4_parse(packet_l3(p), p->len - p->l3_off, &p->ip), IPV4_OK);
	p->l4_off = (uint16_t)(p->l3_off + p->ip.header_len);
	assert_int_equal(l4_parse(&p->ip, packet_l4(p), packet_l4_len(p), &p->l4), L4_OK);
}

static bool loses(struct host *h, struct cutter *k, const struct packet *segment)
{
	bool is_tail = k->n_pass == 0 && k->n_tail > 0 && segment->l4.payload_len > 0;

	k->n_pass -= k->n_pass > 0 && segment->l4.payload_len > 0;
	k->n_tail -= is_tail;
	if (!is_tail && (segment->l4.payload_len == 0 || rng_below(&k->rng, 1000000) >= k->loss_ppm))
		return false;
	k->n_lost++;
	k->bytes_lost += segment->l4.payload_len;
	return true;
}

static void take_segment(struct host *h, struct cutter *k, struct packet *segment, struct batch *in)
{
	if (loses(h, k, segment))
		env_drop(&h->env, segment, DROP_NO_ROUTE);
	else
		batch_add(in, segment);
}

/* A copy of each goes in at once, in order, instead of the frame. */
static bool cut(struct host *h, struct packet *p)
{
	struct cutter *k = h->filter_ctx;
	struct packet *large = packet_copy(h->env.pool, p);
	struct batch out, in = { .n = 0 };

	assert_non_null(large);
	h->env.ledger.n_pieces_made++;
	if (p->offload.gso_type == GSO_NONE) {
		if (packet_frame(large)[12] == 8 && packet_frame(large)[13] == 0)
			read_headers(large);
		take_segment(h, k, large, &in);
		ether_input(h->ip, 1, &in);
		return false;
	}
	read_headers(large);
	assert_true(offload_sane(large));
	k->n_large++;
	k->longest = max_u32(k->longest, large->l4.payload_len);
	while (large != NULL) {
		out.n = in.n = 0;
		assert_true(gso_segment_some(h->env.pool, &h->env.ledger, &large, &out) > 0);
		for (uint32_t i = 0; i < out.n; i++) {
			k->n_segments++;
			take_segment(h, k, out.p[i], &in);
			if (in.n == k->at_once) {
				ether_input(h->ip, 1, &in);
				in.n = 0;
			}
		}
		ether_input(h->ip, 1, &in);
	}
	return false;
}

static void start_cutter(struct net *n, struct cutter *k, uint32_t loss_ppm)
{
	uint8_t seed[RNG_SEED_BYTES] = "a device that cuts";

	*k = (struct cutter){ .loss_ppm = loss_ppm };
	rng_init(&k->rng, seed);
	n->b.filter = cut;
	n->b.filter_ctx = k;
}

struct large {
	struct net n;
	struct cutter k;
	struct tcp_listener *l;
	struct tcp_conn *a, *b;
};

static void begin(struct large *x, const struct memwire_config *wire, const struct tcp_config *cfg, uint32_t loss_ppm)
{
	net_start_with(&x->n, wire, cfg, cfg);
	start_cutter(&x->n, &x->k, loss_ppm);
	x->l = host_listen(&x->n.b, SERVICE);
	net_connect(&x->n, x->l, &x->a, &x->b);
}

static void end(struct large *x)
{
	tcp_close(x->n.a.tcp, x->a);
	tcp_close(x->n.b.tcp, x->b);
	net_run(&x->n, 100 * NS_PER_S);
	assert_int_equal(x->n.a.tcp->conns.n_used + x->n.b.tcp->conns.n_used, 0);
	assert_int_equal(x->n.a.tcp->segments.n_used, 0);
	tcp_unlisten(x->n.b.tcp, x->l);
	net_end(&x->n);
}

static uint64_t carry_bytes(struct large *x, uint32_t bytes, uint32_t write_size)
{
	struct flow f = { .from = &x->n.a,
			  .to = &x->n.b,
			  .out = x->a,
			  .in = x->b,
			  .total = bytes,
			  .write_size = write_size,
			  .keep_open = true };

	return carry(&x->n, &f, 600 * NS_PER_S);
}

/* Would catch: segments that leave one by one although the device cuts; a number, a sum or a flag of a cut segment that
 * the other end does not take; segments that are counted as one. */
static void test_bulk_leaves_in_large_segments(void **state)
{
	struct large x;

	begin(&x, &whole, NULL, 0);
	(void)carry_bytes(&x, BYTES, 16384);
	assert_int_equal(x.n.a.tcp->counts[TCP_COUNT_RETRANSMITTED], 0);
	assert_true(x.k.longest > 40000);
	assert_true(x.k.n_segments > 15 * x.k.n_large);
	assert_true(x.a->segs_out >= BYTES / x.a->mss);
	assert_in_range(x.n.a.tcp->counts[TCP_COUNT_OUT_SEGMENTS], BYTES / x.a->mss, BYTES / x.a->mss + 1000);
	end(&x);
}

/* A merged one is taken whole, and counted as its segments. Would catch: acknowledgements that wait for more than two
 * segments, since a merged one counts as one. */
static void test_merged_ones_are_taken_whole(void **state)
{
	struct large x;

	begin(&x, &whole, NULL, 0);
	x.n.b.filter = NULL;
	uint64_t frames = x.n.b.dev->n_rx_packets;

	(void)carry_bytes(&x, BYTES, 16384);
	frames = x.n.b.dev->n_rx_packets - frames;
	assert_true(frames < BYTES / 15000);
	assert_int_equal(x.b->rcv_mss, x.a->mss);
	assert_true(x.b->segs_in >= BYTES / x.a->mss);
	/* One for each of them at most. */
	assert_true(x.b->segs_out <= frames + 10);
	assert_int_equal(x.n.a.tcp->counts[TCP_COUNT_RETRANSMITTED], 0);
	end(&x);
}

/* Would catch: a large segment that is sent again whole for one lost segment of it; bytes that are overwritten by the
 * headers of what was cut off behind them; a piece that is forgotten. conn_check (tcp_fixture.h) holds the queue to its
 * sums at each step. */
static void test_only_what_is_lost_is_sent_again(void **state)
{
	struct large x;

	begin(&x, &whole, NULL, 5000);
	(void)carry_bytes(&x, BYTES, 16384);
	assert_true(x.k.n_lost >= 5);
	assert_true(x.n.a.tcp->conns.n_used > 0);
	assert_true(x.a->bytes_retransmitted >= x.k.bytes_lost);
	assert_true(x.a->bytes_retransmitted < 3 * x.k.bytes_lost);
	end(&x);
}

/* The same without SACK: segment by segment (RFC 6582). */
static void test_lost_without_sack(void **state)
{
	struct tcp_config cfg = tcp_default_config;
	struct large x;

	cfg.sack = false;
	begin(&x, &whole, &cfg, 2000);
	(void)carry_bytes(&x, BYTES, 16384);
	assert_true(x.k.n_lost >= 1);
	end(&x);
}

/* Whole large segments that are lost on the way to the device, and ones that overtake each other. */
static void test_large_ones_are_lost(void **state)
{
	struct memwire_config wire = whole;
	struct large x;

	wire.loss_ppm = 20000;
	wire.reorder_ppm = 20000;
	wire.reorder_delay_ns = 300 * NS_PER_US;
	begin(&x, &wire, NULL, 1000);
	(void)carry_bytes(&x, BYTES, 16384);
	assert_true(x.a->bytes_retransmitted > 0);
	end(&x);
}

/* A receiver with little room, writes of odd sizes with and without Nagle's rule. Would catch: a window that cuts a
 * large segment into ever smaller ones, a stop of the flow where what is left of a window is not worth it. */
static void test_windows_that_cut(void **state)
{
	static const uint32_t sizes[] = { 100, 700, 1449, 8193, 15011 };

	for (uint32_t i = 0; i < ARRAY_LEN(sizes); i++)
		for (uint32_t nodelay = 0; nodelay < 2; nodelay++) {
			struct tcp_config cfg = tcp_default_config;
			uint32_t bytes = sizes[i] == 100 ? 20000 : BYTES / 4;
			struct large x;

			cfg.rcvbuf = cfg.rcvbuf_max = 50000;
			begin(&x, &whole, &cfg, 0);
			x.a->told.nodelay = nodelay;
			uint64_t took = carry_bytes(&x, bytes, sizes[i]);

			/* A window a round trip at least, but for what a delayed acknowledgement takes at the end. */
			assert_true(took < (bytes / 10000 + 10) * NS_PER_MS + 300 * NS_PER_MS);
			assert_int_equal(x.n.a.tcp->counts[TCP_COUNT_RETRANSMITTED], 0);
			end(&x);
		}
}

/* The device is changed for one that does nothing: what is queued leaves all the same. Would catch: a sum that was left
 * to a device that does not make it (the other end would drop it, and the flow stop). */
static void test_device_without_it(void **state)
{
	struct large x;

	begin(&x, &whole, NULL, 0);
	(void)carry_bytes(&x, BYTES / 4, 16384);
	assert_true(x.k.n_large > 0);
	x.n.a.dev->caps = 0;
	uint64_t n_large = x.k.n_large;

	(void)carry_bytes(&x, BYTES / 4, 16384);
	assert_int_equal(x.k.n_large, n_large);
	assert_int_equal(x.n.a.tcp->counts[TCP_COUNT_RETRANSMITTED], 0);
	end(&x);
}

/* Segments that the device does not cut any more, more of them than a batch takes, and the last of the first batch is
 * lost. Would catch: headers that are written into bytes which may have to be sent again. */
static void test_cut_in_software(void **state)
{
	static uint8_t bytes[UINT16_MAX], got[UINT16_MAX];
	struct memwire_config wire = whole;
	struct large x;

	wire.mtu = 576;
	begin(&x, &wire, NULL, 0);
	(void)carry_bytes(&x, BYTES / 4, 16384);
	uint32_t piece = tcp_piece(x.n.a.tcp, x.a);

	assert_true(piece / x.a->mss > BATCH_MAX);
	x.n.a.dev->caps = 0;
	x.k.n_pass = BATCH_MAX - 1;
	x.k.n_tail = 1;
	for (uint32_t i = 0; i < piece; i++)
		bytes[i] = byte_at(i);
	assert_int_equal(host_send(&x.n.a, x.a, bytes, piece), piece);
	net_run(&x.n, NS_PER_S);
	assert_int_equal(x.k.n_tail, 0);
	assert_true(x.a->bytes_retransmitted > 0);
	assert_int_equal(host_recv(&x.n.b, x.b, got, piece), piece);
	assert_memory_equal(got, bytes, piece);
	end(&x);
}

/* An acknowledgement for every second segment: most tell of a part of a large one. Would catch: round trips that only
 * whole ones tell, and timestamps of a millisecond in their place. */
static void test_round_trip(void **state)
{
	struct large x;

	begin(&x, &whole, NULL, 0);
	x.k.at_once = 2;
	(void)carry_bytes(&x, BYTES, 16384);
	assert_true(x.k.longest > 20000);
	assert_in_range(x.a->min_rtt, 2 * whole.delay_ns, 2 * whole.delay_ns + 50 * NS_PER_US);
	assert_in_range(x.a->srtt, 2 * whole.delay_ns, 3 * whole.delay_ns);
	end(&x);
}

/* The last segments of a flow are lost: a probe and RACK find it, without a timeout. Would catch: a large segment that
 * is taken for one, whose acknowledgement may be held back; an acknowledgement of the probe that does not count, since
 * it echoes a timestamp from before the gap. */
static void tail(uint32_t caps, bool timestamps)
{
	struct memwire_config wire = { .delay_ns = 10 * NS_PER_MS, .queue_packets = 4096, .caps = caps };
	struct tcp_config cfg = tcp_default_config;
	struct large x;

	cfg.timestamps = timestamps;
	cfg.slow_start_after_idle = false;
	begin(&x, &wire, &cfg, 0);
	(void)carry_bytes(&x, BYTES / 4, 16384);
	net_run(&x.n, NS_PER_S);
	uint64_t before = x.n.a.tcp->counts[TCP_COUNT_TLPS];
	uint8_t bytes[11 * 1448] = { 0 }, got[sizeof(bytes)];

	uint64_t start = x.n.now;

	x.k.n_pass = 6;
	x.k.n_tail = 5;
	assert_int_equal(host_send(&x.n.a, x.a, bytes, sizeof(bytes)), sizeof(bytes));

	while (tcp_unacked(x.a) > 0 && x.n.now - start < 2 * NS_PER_S)
		net_run(&x.n, NS_PER_MS);
	assert_int_equal(tcp_unacked(x.a), 0);
	assert_int_equal(x.k.n_tail, 0);
	assert_int_equal(x.n.a.tcp->counts[TCP_COUNT_RTOS], 0);
	assert_int_equal(x.n.a.tcp->counts[TCP_COUNT_TLPS], before + 1);
	assert_true(x.n.now - start < 150 * NS_PER_MS);
	assert_int_equal(host_recv(&x.n.b, x.b, got, sizeof(got)), sizeof(got));
	end(&x);
}

static void test_tail_is_found_by_a_probe(void **state)
{
	for (uint32_t timestamps = 0; timestamps < 2; timestamps++) {
		tail(0, timestamps);
		tail(whole.caps, timestamps);
	}
}

/* A host a with few large buffers. */
static void begin_small(struct large *x, uint32_t n_large)
{
	const struct packet_pool_config pool = { .n_packets = 8192, .n_small = 8192, .n_large = n_large };
	static const struct packet_pool_config usual = { .n_packets = 8192, .n_small = 8192, .n_large = 256 };
	static const struct tcp_limits limits = { .n_connections = 64, .n_half_open = 64, .n_time_wait = 64 };
	static const uint8_t seed[RNG_SEED_BYTES] = "a wire";
	struct net *n = &x->n;

	memset(n, 0, sizeof(*n));
	n->now = 1000 * NS_PER_S;
	n->wire = memwire_create(&whole, &whole, seed);
	assert_non_null(n->wire);
	memwire_set_time(n->wire, n->now);
	host_start_pool(&n->a, memwire_end(n->wire, 0), A_ADDR, n->now, &pool, &limits, NULL);
	host_start_pool(&n->b, memwire_end(n->wire, 1), B_ADDR, n->now, &usual, &limits, NULL);
	net_run(n, 5 * NS_PER_S);
	start_cutter(n, &x->k, 0);
	x->l = host_listen(&n->b, SERVICE);
	net_connect(n, x->l, &x->a, &x->b);
}

/* A flow whose window is closed, since nobody reads. */
static struct flow paused(struct large *x)
{
	struct flow f = { .from = &x->n.a,
			  .to = &x->n.b,
			  .out = x->a,
			  .in = x->b,
			  .total = 2 * BYTES,
			  .write_size = 16384,
			  .keep_open = true,
			  .paused = true };

	for (uint32_t i = 0; i < 2000; i++)
		(void)flow_step(&x->n, &f);
	return f;
}

/* Everything large waits in one queue, and the other end does not read for a while. Would catch: a flow that waits for
 * its own memory for ever. */
static void test_few_large_buffers(void **state)
{
	struct large x;

	for (uint32_t n_large = 0; n_large < 12; n_large++) {
		begin_small(&x, n_large);
		struct flow f = paused(&x);

		f.paused = false;
		(void)carry(&x.n, &f, 60 * NS_PER_S);
		end(&x);
	}
}

/* No packet is left when the window opens, and nothing is on its way that would bring another acknowledgement. Would
 * catch: a flow for which nothing is due any more. */
static void test_no_memory_when_the_window_opens(void **state)
{
	static struct packet *hoard[65536];
	struct large x;

	begin(&x, &whole, NULL, 0);
	struct flow f = paused(&x);
	uint32_t n = 0, sent;

	assert_int_equal(x.a->flight->queue.n_sent, 0);
	while (packet_pool_used(x.n.a.env.pool) + 1 < packet_pool_capacity(x.n.a.env.pool)) {
		hoard[n] = packet_alloc(x.n.a.env.pool, 100);
		assert_non_null(hoard[n++]);
	}
	x.n.a.env.ledger.n_received += n;
	sent = x.a->snd_nxt;
	f.paused = false;
	drain(&f, x.n.now);
	net_run(&x.n, NS_PER_MS);
	assert_true(x.a->snd_wnd > 0);
	assert_int_equal(x.a->snd_nxt, sent);
	while (n > 0)
		env_drop(&x.n.a.env, hoard[--n], DROP_NO_ROUTE);
	(void)carry(&x.n, &f, 10 * NS_PER_S);
	end(&x);
}

/* Would catch: records of some bytes each that take a large buffer each. */
static void test_small_records(void **state)
{
	struct span s = { .bytes = (uint8_t[10]){ 0 }, .len = 10 };
	struct large x;

	begin(&x, &whole, NULL, 0);
	(void)carry_bytes(&x, BYTES / 4, 16384);
	assert_true(tcp_piece(x.n.a.tcp, x.a) > x.a->mss);
	for (uint32_t i = 0; i < 2000; i++)
		(void)tcp_send(x.n.a.tcp, x.a, &s, 1, TCP_SEND_EOR);
	assert_true(x.a->flight->queue.n > 1000);
	assert_true(packet_buffer_large_abound(x.n.a.env.pool));
	end(&x);
}

/* Would catch: one signature, or one urgent pointer, for many segments. */
static void test_never_signed_or_urgent(void **state)
{
	struct tcp_md5 md5 = { .addr = B_ADDR, .prefix_len = 32, .len = 3, .key = (const uint8_t *)"bgp" };
	struct large x;

	begin(&x, &whole, NULL, 0);
	(void)carry_bytes(&x, BYTES / 4, 16384);
	assert_true(tcp_piece(x.n.a.tcp, x.a) > x.a->mss);
	struct span s = { .bytes = (uint8_t[40000]){ 0 }, .len = 40000 };
	uint64_t n_large = x.k.n_large;

	assert_int_equal(tcp_send(x.n.a.tcp, x.a, &s, 1, TCP_SEND_URGENT), 40000);
	ip_flush(x.n.a.ip);
	net_run(&x.n, NS_PER_S);
	assert_true(x.a->snd_una == x.a->snd_nxt);
	assert_true(x.k.n_large <= n_large + 1);
	assert_int_equal(tcp_set_md5(x.n.a.tcp, x.a, &md5), 0);
	assert_int_equal(tcp_piece(x.n.a.tcp, x.a), x.a->mss);
	md5.addr = A_ADDR;
	assert_int_equal(tcp_set_md5(x.n.b.tcp, x.b, &md5), 0);
	end(&x);
}

/* CWR answers one mark: of a large segment the first one alone carries it (RFC 3168 section 6.1.2). */
static bool mark_once(struct host *h, struct packet *p)
{
	struct cutter *k = h->filter_ctx;

	if (p->offload.gso_type == GSO_TCP4_ECN)
		k->n_ce++;
	if (!k->ce && p->offload.gso_type != GSO_NONE && p->len > 20000) {
		k->ce = true;
		struct ipv4_view ip;

		assert_int_equal(ipv4_parse(packet_l3(p) + ETHER_HEADER_LEN, p->len - ETHER_HEADER_LEN, &ip), IPV4_OK);
		ip.tos |= 3;
		ipv4_emit(packet_l3(p) + ETHER_HEADER_LEN, &ip);
	}
	return cut(h, p);
}

static void test_congestion_marks(void **state)
{
	struct tcp_config cfg = tcp_default_config;
	struct large x;

	cfg.ecn = 1;
	begin(&x, &whole, &cfg, 0);
	assert_true(x.a->ecn_ok);
	x.n.b.filter = mark_once;
	(void)carry_bytes(&x, BYTES, 16384);
	assert_true(x.k.ce);
	assert_int_equal(x.k.n_ce, 1);
	end(&x);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bulk_leaves_in_large_segments),
		cmocka_unit_test(test_merged_ones_are_taken_whole),
		cmocka_unit_test(test_only_what_is_lost_is_sent_again),
		cmocka_unit_test(test_lost_without_sack),
		cmocka_unit_test(test_large_ones_are_lost),
		cmocka_unit_test(test_windows_that_cut),
		cmocka_unit_test(test_device_without_it),
		cmocka_unit_test(test_cut_in_software),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_tail_is_found_by_a_probe),
		cmocka_unit_test(test_few_large_buffers),
		cmocka_unit_test(test_no_memory_when_the_window_opens),
		cmocka_unit_test(test_small_records),
		cmocka_unit_test(test_never_signed_or_urgent),
		cmocka_unit_test(test_congestion_marks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
